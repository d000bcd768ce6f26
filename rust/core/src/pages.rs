//! Large buffers on huge pages, where the system gives them to those who ask. This is unsafe room 3.
//!
//! A fresh buffer is mapped page by page as it is first touched. On pages of 4 KiB that costs a sort as much as its scatter,
//! and each look into a table of some megabytes waits for the address too. Linux keeps pages of 2 MiB for buffers that are
//! advised so (`madvise`); the advice changes no byte, and where it is refused nothing happens.

/// Smaller buffers have nothing to gain.
const LEAST: usize = 4 << 20;

/// `n` items of one value.
pub(crate) fn filled<T: Copy>(n: usize, value: T) -> Vec<T> {
    let mut items = with_capacity(n);
    items.resize(n, value);
    items
}

/// Room for `n` items.
pub(crate) fn with_capacity<T>(n: usize) -> Vec<T> {
    let items = Vec::with_capacity(n);
    advise(&items);
    items
}

/// `n` integers of 0, of which the system has fresh ones: threads that touch them first map them together. (Other items are
/// written here, before the advice: for these there is [`filled`].)
pub(crate) fn zeros<T: Copy + Default>(n: usize) -> Vec<T> {
    let items = vec![T::default(); n];
    advise(&items);
    items
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "no safe way to advise on memory of one's own")]
fn advise<T>(items: &Vec<T>) {
    const HUGE: usize = 2 << 20;
    let bytes = items.capacity() * size_of::<T>();
    if bytes < LEAST {
        return;
    }
    // Whole huge pages inside the buffer.
    let start = items.as_ptr().addr().next_multiple_of(HUGE);
    let length = (items.as_ptr().addr() + bytes).saturating_sub(start) / HUGE * HUGE;
    let from = items.as_ptr().with_addr(start).cast_mut().cast();
    // SAFETY: the range lies inside a buffer that we hold, and MADV_HUGEPAGE leaves its contents and mapping as they are.
    unsafe { libc::madvise(from, length, libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn advise<T>(_: &Vec<T>) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_of_every_size_hold_what_they_should() {
        for n in [0, 1, 1000, LEAST / 8 - 1, LEAST / 8, LEAST / 8 + 1, 3 * LEAST / 8 + 77] {
            assert!(filled(n, 7u64) == vec![7; n], "{n} items filled");
            assert!(zeros::<u64>(n) == vec![0; n], "{n} zeros");
            let mut room = with_capacity::<u64>(n);
            assert!(room.is_empty() && room.capacity() >= n, "room for {n}");
            room.extend(0..n as u64);
            assert!(room.iter().copied().eq(0..n as u64), "{n} items in the room");
        }
    }
}
