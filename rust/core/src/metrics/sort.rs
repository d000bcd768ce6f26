//! Sorting by an unsigned key: radix, in two steps that both stay close to the cache.
//!
//! ```text
//! 1  range      smallest and largest key: only the bits that differ count (scores of click models use some 27 of 32)
//! 2  scatter    by the highest BUCKET_BITS of them, one pass through memory, every thread its own rows
//! 3  buckets    each one, now some kilobytes, by the next 16 bits in two passes, and again where that leaves several values
//!               together; threads share them out
//! ```
//!
//! 1. A bucket that is still large (many equal or close keys) starts again at step 1 with its own, smaller range. Each
//!    round uses up BUCKET_BITS of at most 64 bits, and a bucket of one value ends at once: no input is quadratic.
//! 2. Pieces of the source write to pieces of each bucket, handed out as iterators over disjoint slices. That is how
//!    threads scatter into one array without `unsafe`, and costs what a bounds check costs.
//! 3. Few items go to the standard library, which is faster there.
//!
//! The order of items of equal keys is not kept, and may differ between thread counts: what is made of sorted items here
//! (counts, integer sums) does not depend on it. Memory: one scratch array of the same length.

use super::ROWS;
use super::key::Key;
use crate::exec::Exec;
use crate::pages;
use crate::pool;

/// Something that has a key.
pub trait Item: Copy + Default + Send + Sync {
    /// The type of its key.
    type Key: Key;
    /// Whether it is an integer and nothing else.
    const IS_KEY: bool = false;
    /// What it is sorted by.
    fn key(&self) -> Self::Key;
}

impl<K: Key> Item for K {
    type Key = K;
    const IS_KEY: bool = true;
    #[inline(always)]
    fn key(&self) -> K {
        *self
    }
}

/// Up to this many items the standard library is faster.
const SMALL: usize = 256;
/// Up to this many items no scatter is needed: they and their scratch fit the second-level cache.
pub(crate) const LOCAL: usize = 1 << 14;
/// 2^11 buckets: their ends fit the first-level cache, and 10⁷ items make buckets of 5000.
pub(crate) const BUCKET_BITS: u32 = 11;
/// Bits of one pass inside a bucket, and passes.
const DIGIT_BITS: u32 = 8;
const DIGITS_SORTED: u32 = 2;
const DIGITS: usize = 1 << DIGIT_BITS;

/// Sorts by key, not keeping the order of equal keys.
pub fn sort<T: Item>(exec: &Exec, items: &mut [T]) {
    if items.len() <= SMALL {
        return items.sort_unstable_by_key(T::key);
    }
    let mut scratch = fresh(items.len());
    sort_with(
        exec,
        items,
        &mut scratch,
        #[inline(always)]
        |item| item.key().wide(),
    );
}

/// `n` items to be written.
pub(crate) fn fresh<T: Item>(n: usize) -> Vec<T> {
    if T::IS_KEY { pages::zeros(n) } else { pages::filled(n, T::default()) }
}

/// Sorts `items` by `key`, using `scratch` of the same length.
pub(crate) fn sort_with<T: Copy + Send + Sync>(
    exec: &Exec,
    items: &mut [T],
    scratch: &mut [T],
    key: impl Fn(&T) -> u64 + Copy + Send + Sync,
) {
    let Some((least, bits)) = range(exec, items, key) else { return };
    if items.len() <= LOCAL {
        return local(items, scratch, least, bits, key);
    }
    let shift = bits.saturating_sub(BUCKET_BITS);
    let bucket = |item: &T| ((key(item) - least) >> shift) as usize;
    let sizes = scatter(exec, items, scratch, 1 << (bits - shift), |&item| item, bucket);

    // From here on scratch holds the buckets, and items is free.
    let (mut small, mut large) = (Vec::new(), Vec::new());
    let (mut left, mut sorted) = (&mut *scratch, &mut *items);
    for size in sizes {
        let (from, to);
        (from, left) = left.split_at_mut(size);
        (to, sorted) = sorted.split_at_mut(size);
        if size > LOCAL { large.push((from, to)) } else { small.push((from, to)) }
    }
    pool::for_each(exec.threads_for(items_in(&small)), &mut small, |(from, to)| {
        to.copy_from_slice(from);
        local(to, from, least, shift, key);
    });
    for (from, to) in large {
        to.copy_from_slice(from);
        sort_with(exec, to, from, key);
    }
}

fn items_in<T>(buckets: &[(&mut [T], &mut [T])]) -> usize {
    buckets.iter().map(|(from, _)| from.len()).sum()
}

/// The smallest key, and how many bits the others differ from it by; `None` when they do not differ.
fn range<T: Sync>(exec: &Exec, items: &[T], key: impl Fn(&T) -> u64 + Copy + Send + Sync) -> Option<(u64, u32)> {
    let ends = pool::map(exec.threads_for(items.len()), items.len().div_ceil(ROWS), |i| {
        let piece = &items[i * ROWS..items.len().min((i + 1) * ROWS)];
        piece.iter().fold((u64::MAX, 0), |(least, most), item| {
            let key = key(item);
            (least.min(key), most.max(key))
        })
    });
    let (least, most) = ends.into_iter().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
    (most > least).then(|| (least, 64 - (most - least).leading_zeros()))
}

/// Copies `from`, each as `item` makes it, to `to`, grouped by bucket; returns the size of each bucket.
pub(crate) fn scatter<F: Copy + Send + Sync, T: Copy + Send + Sync>(
    exec: &Exec,
    from: &[F],
    to: &mut [T],
    buckets: usize,
    item: impl Fn(&F) -> T + Sync + Send,
    bucket: impl Fn(&T) -> usize + Sync + Send,
) -> Vec<usize> {
    let threads = exec.threads_for(from.len());
    let mut sources: Vec<_> = from.chunks(from.len().div_ceil(threads)).collect();
    let counts = pool::map(threads, sources.len(), |i| {
        let mut counts = vec![0; buckets];
        sources[i].iter().for_each(|from| counts[bucket(&item(from))] += 1);
        counts
    });
    let mut targets = targets(&counts, to);
    let mut tasks: Vec<_> = sources.iter_mut().zip(&mut targets).collect();
    pool::for_each(threads, &mut tasks, |(source, targets)| {
        for from in source.iter() {
            let item = item(from);
            if let Some(slot) = targets[bucket(&item)].next() {
                *slot = item;
            }
        }
    });
    sizes(&counts)
}

/// Where each source writes what of it belongs to each bucket, of which it has `counts`. In memory: bucket by bucket, and
/// inside a bucket source by source.
pub(crate) fn targets<'a, T>(counts: &[Vec<usize>], to: &'a mut [T]) -> Vec<Vec<std::slice::IterMut<'a, T>>> {
    let buckets = counts.first().map_or(0, Vec::len);
    let mut targets: Vec<Vec<_>> = counts.iter().map(|_| Vec::with_capacity(buckets)).collect();
    let mut rest = to;
    for b in 0..buckets {
        for (counts, targets) in counts.iter().zip(&mut targets) {
            let target;
            (target, rest) = rest.split_at_mut(counts[b]);
            targets.push(target.iter_mut());
        }
    }
    targets
}

/// The size of each bucket, of all sources.
pub(crate) fn sizes(counts: &[Vec<usize>]) -> Vec<usize> {
    (0..counts.first().map_or(0, Vec::len)).map(|b| counts.iter().map(|c| c[b]).sum()).collect()
}

/// Sorts items that differ in the low `bits` bits of key − least, in cache: by the highest [`DIGITS_SORTED`] digits of them,
/// the lower one first, and then each run of items that these do not tell apart.
pub(crate) fn local<T: Copy>(
    items: &mut [T],
    scratch: &mut [T],
    least: u64,
    bits: u32,
    key: impl Fn(&T) -> u64 + Copy,
) {
    if items.len() <= SMALL {
        return items.sort_unstable_by_key(key);
    }
    let low = bits.saturating_sub(DIGITS_SORTED * DIGIT_BITS);
    let high = |item: &T| (key(item) - least) >> low;
    let passes = (bits - low).div_ceil(DIGIT_BITS) as usize;
    let digit =
        |item: &T, pass: usize| ((high(item) >> (DIGIT_BITS as usize * pass)) & (DIGITS as u64 - 1)) as usize;
    let mut counts = [[0u32; DIGITS]; DIGITS_SORTED as usize];
    for item in items.iter() {
        for (pass, counts) in counts[..passes].iter_mut().enumerate() {
            counts[digit(item, pass)] += 1;
        }
    }
    let (mut from, mut to) = (&mut *items, &mut *scratch);
    let mut swapped = false;
    for (pass, counts) in counts[..passes].iter_mut().enumerate() {
        if counts.contains(&(from.len() as u32)) {
            continue; // one digit for all
        }
        let mut next = 0;
        for count in counts.iter_mut() {
            (*count, next) = (next, next + *count);
        }
        for item in from.iter() {
            let slot = &mut counts[digit(item, pass)];
            to[*slot as usize] = *item;
            *slot += 1;
        }
        std::mem::swap(&mut from, &mut to);
        swapped = !swapped;
    }
    if swapped {
        items.copy_from_slice(scratch);
    }
    if low > 0 {
        let mut scratch = scratch;
        for run in items.chunk_by_mut(|a, b| high(a) == high(b)) {
            let free;
            (free, scratch) = scratch.split_at_mut(run.len());
            if run.iter().any(|item| key(item) != key(&run[0])) {
                let first = (high(&run[0]) << low) + least;
                local(run, free, first, low, key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Level;
    use proptest::prelude::*;

    fn check<T: Item + Ord + std::fmt::Debug>(items: &[T], what: &str) {
        let mut want = items.to_vec();
        want.sort_unstable();
        for threads in [1, 2, 3, 7] {
            let exec = Exec { level: Level::BASELINE, threads, chunk: 64, serial_below: 0 };
            let mut got = items.to_vec();
            sort(&exec, &mut got);
            assert!(got == want, "{what}: {} items on {threads} threads", items.len());
        }
    }

    fn noise(n: usize) -> impl Iterator<Item = u64> {
        let mut state = 7u64;
        (0..n).map(move |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state ^ (state >> 29)
        })
    }

    #[test]
    fn around_every_size_limit() {
        for n in [0, 1, 2, SMALL, SMALL + 1, LOCAL, LOCAL + 1, ROWS - 1, ROWS + 1, 3 * ROWS + 17] {
            check(&noise(n).collect::<Vec<_>>(), "u64");
            check(&noise(n).map(|x| (x >> 32) as u32).collect::<Vec<_>>(), "u32");
        }
    }

    #[test]
    fn adversarial_orders() {
        let n = 3 * LOCAL + 5;
        check(&(0..n as u32).collect::<Vec<_>>(), "sorted");
        check(&(0..n as u32).rev().collect::<Vec<_>>(), "reversed");
        check(&vec![u32::MAX; n], "one value");
        check(&noise(n).map(|x| (x % 2) * u64::MAX).collect::<Vec<_>>(), "the two ends");
        check(&noise(n).map(|x| if x % 20 == 0 { x } else { 1 << 40 }).collect::<Vec<_>>(), "95 % one value");
        check(&noise(n).map(|x| 1u64 << (x % 64)).collect::<Vec<_>>(), "powers of two");
        let mut outlier: Vec<u64> = noise(n).map(|x| x % 1000).collect();
        outlier[n / 2] = u64::MAX;
        check(&outlier, "one far away");
        // Every bucket of each round but the lowest holds one item: as many rounds as there can be.
        check(&(0..n as u64).map(|i| if i < 64 { 1 << i } else { i % 3 }).collect::<Vec<_>>(), "nested");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn as_the_standard_library(
            items in prop::collection::vec(any::<u64>(), 0..2000), mask in any::<u64>(), copies in 1usize..40,
        ) {
            let items: Vec<u64> = items.iter().map(|x| x & mask).collect::<Vec<_>>().repeat(copies);
            check(&items, "masked");
        }
    }
}
