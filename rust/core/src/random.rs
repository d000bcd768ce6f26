//! Random numbers for rounding: functions of seed, step, parameter, buffer and index, so that threads and levels do not
//! change them.
//!
//! ```text
//! key  = mix64 over (seed, step, parameter, buffer / 2, upper half of the index)          once for a run of elements
//! r(i) = mix32(i · 0x9E3779B9 ⊕ key)                                                      bfloat16
//! r(i) =       i · 0x9E3779B9 ⊕ key                                                       8 bits
//!                                      with its halves exchanged for the second of two buffers
//! ```
//!
//! Either is uniform for each element, as the key is, and independent from step to step: so rounding is right on average.
//! In bfloat16 the elements of a step are independent of each other too. In 8 bits, where a hash would cost more than
//! the coding itself, they are spread instead: the multiples of 0x9E3779B9 fill the circle evenly, and ⊕ key keeps most of
//! that, so that over many elements the errors of one step cancel at least as well as independent ones would. Two buffers
//! share a number and use it from its two ends: a bit that counts much in one counts little in the other.

/// 2^32 over the golden ratio: its multiples, cut to 32 bits, fill the circle evenly.
pub(crate) const TURN: u32 = 0x9E37_79B9;

/// A stream of random numbers: one 32-bit number for each index.
#[derive(Clone, Copy, Default, Debug)]
pub struct Random {
    key: u32,
    first: u32,
    odd: bool,
}

impl Random {
    /// The numbers of one buffer of one parameter at one step, from element `first` on.
    #[must_use]
    pub fn new(seed: u64, step: u64, parameter: u64, buffer: u64, first: usize) -> Self {
        // The upper half of the index goes into the key: a run that is read at once lies within one.
        let words = [step, parameter, buffer / 2, first as u64 >> 32];
        let key = words.iter().fold(mix64(seed), |key, &word| mix64(key ^ word));
        Self { key: (key >> 32) as u32, first: first as u32, odd: buffer % 2 == 1 }
    }

    /// The number of element `i`, counted from `first`.
    #[inline(always)]
    #[must_use]
    pub fn at(self, i: u32) -> u32 {
        if self.odd { self.hash(i).rotate_left(16) } else { self.hash(i) }
    }

    /// The number of element `i` that is spread over the elements, not independent of theirs.
    #[inline(always)]
    #[must_use]
    pub fn spread(self, i: u32) -> u32 {
        if self.odd { self.point(i).rotate_left(16) } else { self.point(i) }
    }

    #[inline(always)]
    fn hash(self, i: u32) -> u32 {
        mix32(self.point(i))
    }

    #[inline(always)]
    fn point(self, i: u32) -> u32 {
        self.first.wrapping_add(i).wrapping_mul(TURN) ^ self.key
    }
}

/// [`Random::at`] of `S` buffers that follow each other, the first of which is even.
#[inline(always)]
pub(crate) fn side_by_side<const S: usize>(streams: [Random; S], i: u32) -> [u32; S] {
    in_pairs(
        #[inline(always)]
        |k| streams[k].hash(i),
    )
}

/// The same of [`Random::spread`]; `turn` is i · [`TURN`], which a loop adds up.
#[inline(always)]
pub(crate) fn spread_side_by_side<const S: usize>(streams: [Random; S], turn: u32) -> [u32; S] {
    in_pairs(
        #[inline(always)]
        |k| streams[k].first.wrapping_mul(TURN).wrapping_add(turn) ^ streams[k].key,
    )
}

#[inline(always)]
fn in_pairs<const S: usize>(of: impl Fn(usize) -> u32) -> [u32; S] {
    let mut numbers = [0; S];
    for k in (0..S).step_by(2) {
        numbers[k] = of(k);
        if k + 1 < S {
            numbers[k + 1] = numbers[k].rotate_left(16);
        }
    }
    numbers
}

/// A bijection of 64 bits in which each bit of the input moves each of the output (the finaliser of splitmix64).
#[inline(always)]
pub(crate) fn mix64(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// The same of 32 bits.
#[inline(always)]
fn mix32(x: u32) -> u32 {
    let x = (x ^ (x >> 16)).wrapping_mul(0x7FEB_352D);
    let x = (x ^ (x >> 15)).wrapping_mul(0x846C_A68B);
    x ^ (x >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_do_not_repeat_beyond_two_to_the_32() {
        let first = |first| Random::new(1, 1, 0, 0, first).at(0);
        assert_ne!(first(0), first(1 << 32), "the upper half of the index counts");
        assert_eq!(Random::new(1, 1, 0, 0, 0).at(7), first(7), "a run that begins later is the same stream");
    }

    #[test]
    fn side_by_side_is_one_by_one() {
        let streams: [Random; 4] = std::array::from_fn(|k| Random::new(9, 8, 7, 2 + k as u64, 6));
        for i in 0..100 {
            assert_eq!(side_by_side(streams, i), streams.map(|s| s.at(i)), "{i}");
            assert_eq!(spread_side_by_side(streams, i.wrapping_mul(TURN)), streams.map(|s| s.spread(i)), "{i}");
        }
    }
}
