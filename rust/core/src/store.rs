//! How a buffer is stored: in full, as bfloat16, or as 8-bit blocks (`coding.rs`). Arithmetic is done in full always.

use std::ops::Range;

use crate::coding::{BLOCK8, FromByte, FromHalf, ToByte, ToHalf};
use crate::isa::Level;
use crate::random::Random;
use crate::real::Real;

/// A buffer of a [`crate::pass::Segment`].
#[derive(Debug)]
pub enum Store<'a, T> {
    /// As it is computed.
    Full(&'a mut [T]),
    /// bfloat16.
    Half(&'a mut [u16]),
    /// 8-bit blocks.
    Byte(Bytes<'a>),
}

/// 8-bit blocks: element `i` belongs to block `i / 256`.
#[derive(Default, Debug)]
pub struct Bytes<'a> {
    /// One code an element.
    pub codes: &'a mut [u8],
    /// One biased exponent a block.
    pub exponents: &'a mut [u8],
    /// Whether the numbers can be negative.
    pub signed: bool,
}

impl Bytes<'_> {
    /// Some whole blocks, or what follows them.
    pub(crate) fn part(&mut self, range: Range<usize>) -> Bytes<'_> {
        let blocks = range.start / BLOCK8..range.end.div_ceil(BLOCK8);
        Bytes { codes: &mut self.codes[range], exponents: &mut self.exponents[blocks], signed: self.signed }
    }
}

impl<T> Default for Store<'_, T> {
    fn default() -> Self {
        Self::Full(&mut [])
    }
}

impl<'a, T: Real> Store<'a, T> {
    /// Elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Full(x) => x.len(),
            Self::Half(x) => x.len(),
            Self::Byte(x) => x.codes.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is stored as it is computed.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    /// The two parts before and after element `at`, which for 8-bit blocks begins a block or ends the buffer.
    #[must_use]
    pub fn split(self, at: usize) -> (Self, Self) {
        let at = at.min(self.len());
        match self {
            Self::Full(x) => {
                let (a, b) = x.split_at_mut(at);
                (Self::Full(a), Self::Full(b))
            }
            Self::Half(x) => {
                let (a, b) = x.split_at_mut(at);
                (Self::Half(a), Self::Half(b))
            }
            Self::Byte(Bytes { codes, exponents, signed }) => {
                assert!(at.is_multiple_of(BLOCK8) || at == codes.len(), "8-bit blocks are cut between blocks");
                let blocks = at.div_ceil(BLOCK8).min(exponents.len());
                let ((a, b), (c, d)) = (codes.split_at_mut(at), exponents.split_at_mut(blocks));
                let part = |codes, exponents| Self::Byte(Bytes { codes, exponents, signed });
                (part(a, c), part(b, d))
            }
        }
    }

    /// The same buffer, borrowed for a shorter time.
    pub fn reborrow(&mut self) -> Store<'_, T> {
        match self {
            Self::Full(x) => Store::Full(x),
            Self::Half(x) => Store::Half(x),
            Self::Byte(Bytes { codes, exponents, signed }) => {
                Store::Byte(Bytes { codes, exponents, signed: *signed })
            }
        }
    }

    /// Some of the elements in full: in place, or decoded into `scratch`. 8-bit blocks: whole ones.
    #[inline]
    pub(crate) fn open<'s>(&'s mut self, level: Level, range: Range<usize>, scratch: &'s mut [T]) -> &'s mut [T] {
        if let Self::Full(x) = self {
            return &mut x[range];
        }
        let to = &mut scratch[..range.len()];
        self.decode(level, range, to);
        to
    }

    /// Some of the elements in full, to read: in place, or decoded into `scratch`. 8-bit blocks: whole ones.
    pub(crate) fn view<'s>(&'s self, level: Level, range: Range<usize>, scratch: &'s mut [T]) -> &'s [T] {
        if let Self::Full(x) = self {
            return &x[range];
        }
        let to = &mut scratch[..range.len()];
        self.decode(level, range, to);
        to
    }

    fn decode(&self, level: Level, range: Range<usize>, to: &mut [T]) {
        match self {
            Self::Full(x) => to.copy_from_slice(&x[range]),
            Self::Half(x) => level.run(FromHalf { from: &x[range], to }),
            Self::Byte(Bytes { codes, exponents, signed }) => {
                let exponents = &exponents[range.start / BLOCK8..];
                level.run(FromByte { codes: &codes[range], exponents, signed: *signed, to });
            }
        }
    }

    /// Encodes what [`Self::open`] left in `scratch`; nothing where it was in place.
    #[inline]
    pub(crate) fn close(&mut self, level: Level, range: Range<usize>, scratch: &[T], random: Option<Random>) {
        let from = match self {
            Self::Full(_) => return,
            Self::Half(_) | Self::Byte(_) => &scratch[..range.len()],
        };
        match self {
            Self::Full(_) => {}
            Self::Half(x) => level.run(ToHalf { from, to: &mut x[range], random }),
            Self::Byte(Bytes { codes, exponents, signed }) => {
                let exponents = &mut exponents[range.start / BLOCK8..];
                level.run(ToByte { from, codes: &mut codes[range], exponents, signed: *signed, random });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coding::{from_half, to_half};

    fn every_level(check: impl Fn(Level)) {
        Level::available().into_iter().for_each(check);
    }

    fn coded(level: Level, x: &[f32], signed: bool, random: Option<Random>) -> (Vec<u8>, Vec<u8>, Vec<f32>) {
        let (mut codes, mut exponents) = (vec![0; x.len()], vec![0; x.len().div_ceil(BLOCK8)]);
        let mut store: Store<'_, f32> =
            Store::Byte(Bytes { codes: &mut codes, exponents: &mut exponents, signed });
        store.close(level, 0..x.len(), x, random);
        let mut back = vec![0.0; x.len()];
        store.open(level, 0..x.len(), &mut back);
        (codes, exponents, back)
    }

    #[test]
    fn bfloat16_is_the_nearest_with_ties_to_even() {
        for (x, want) in [
            (1.0, 0x3F80),
            (1.0 + 1.0 / 256.0, 0x3F80), // a tie, to even
            (1.0 + 3.0 / 256.0, 0x3F82), // a tie, to even
            (1.0 + 1.01 / 256.0, 0x3F81),
            (-2.0, 0xC000),
            (f32::INFINITY, 0x7F80),
            (f32::MAX, 0x7F80),
            (0.0, 0),
        ] {
            assert_eq!(to_half(x), want, "{x}");
        }
        assert!(from_half(to_half(f32::NAN)).is_nan(), "NaN stays NaN");
        assert!(from_half(to_half(f32::from_bits(0x7F80_0001))).is_nan(), "also where its upper half is infinity");
    }

    #[test]
    fn every_bfloat16_comes_back() {
        every_level(|level| {
            let all: Vec<u16> = (0..=u16::MAX).filter(|&x| !from_half(x).is_nan()).collect();
            let mut stored = all.clone();
            let mut store: Store<'_, f32> = Store::Half(&mut stored);
            let mut scratch = vec![0.0; all.len()];
            store.open(level, 0..all.len(), &mut scratch);
            for random in [None, Some(Random::new(1, 2, 3, 4, 5))] {
                store.close(level, 0..all.len(), &scratch, random);
            }
            assert_eq!(stored, all, "{level}");
        });
    }

    #[test]
    fn every_code_comes_back_at_every_exponent() {
        every_level(|level| {
            for signed in [true, false] {
                for exponent in [0u8, 1, 5, 31, 100, 127, 254] {
                    let mut codes: Vec<u8> = (0..=255).collect();
                    let mut exponents = vec![exponent];
                    let mut store: Store<'_, f32> =
                        Store::Byte(Bytes { codes: &mut codes, exponents: &mut exponents, signed });
                    let mut x = vec![0.0; 256];
                    store.open(level, 0..256, &mut x);
                    let (again, found, back) = coded(level, &x, signed, Some(Random::new(7, 0, 0, 0, 0)));
                    assert!(
                        back.iter().zip(&x).all(|(a, b)| a == b),
                        "{level} {signed} {exponent}: {x:?} {back:?}"
                    );
                    if exponent > 31 {
                        assert_eq!(found, [exponent], "{level} {signed}");
                        let minus_zero = |c: u8| signed && c == 128;
                        assert!(
                            (0..=255).all(|c: u8| again[usize::from(c)] == c || minus_zero(c)),
                            "{level} {signed} {exponent} {again:?}"
                        );
                    }
                }
            }
        });
    }

    #[test]
    fn eight_bits_keep_a_sixteenth_and_never_lose_a_second_moment() {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state) / f64::from(u32::MAX)
        };
        let x: Vec<f32> = (0..2000).map(|_| (next() * (-8.0 * next()).exp2()) as f32).collect();
        every_level(|level| {
            for signed in [true, false] {
                let (.., back) = coded(level, &x, signed, None);
                for (a, b) in x.iter().zip(&back) {
                    assert!((a - b).abs() <= a / 15.9 || *a < 1e-4, "{level}: {a} became {b}");
                }
                let (.., tiny) = coded(level, &[1.0, 1e-30, 0.0], signed, None);
                assert_eq!(tiny[1] > 0.0, !signed, "{level}: {tiny:?}");
                assert_eq!(tiny[2], 0.0, "{level}");
            }
        });
    }

    #[test]
    fn stochastic_rounding_is_right_on_average_and_the_same_everywhere() {
        let x = vec![1.0 + 1.0 / 1024.0; 1 << 16];
        let random = Some(Random::new(3, 1, 0, 0, 0));
        let mean = |back: &[f32]| back.iter().map(|&b| f64::from(b)).sum::<f64>() / back.len() as f64 - 1.0;
        let want = coded(Level::BASELINE, &x, true, random).0;
        every_level(|level| {
            let (codes, _, back) = coded(level, &x, true, random);
            assert_eq!(codes, want, "{level}");
            // The distance of two codes is 1/8: the mean of 65536 has a deviation of about 4e-5.
            assert!((mean(&back) - 1.0 / 1024.0).abs() < 2.5e-4, "{level}: {}", mean(&back));
            let mut halves = vec![0; x.len()];
            let mut store: Store<'_, f32> = Store::Half(&mut halves);
            store.close(level, 0..x.len(), &x, random);
            let back: Vec<f32> = halves.iter().map(|&h| from_half(h)).collect();
            assert!((mean(&back) - 1.0 / 1024.0).abs() < 7e-5, "{level}: {}", mean(&back));
        });
    }

    #[test]
    fn an_infinite_or_nan_element_poisons_its_block_alone() {
        let mut x = vec![1.0; 600];
        x[300] = f32::NAN;
        let (.., back) = coded(Level::detect(), &x, false, None);
        for (i, b) in back.iter().enumerate() {
            assert_eq!(b.is_nan(), (256..512).contains(&i), "element {i}");
        }
    }
}
