//! How a buffer is stored: in full, as bfloat16, or as 8-bit blocks. Arithmetic is done in full always.
//!
//! ```text
//! bfloat16   the upper half of an f32: 8 bits of exponent, 7 of mantissa
//! 8-bit      256 elements share an exponent E, that of the largest of them; an element is a small float below it:
//!            moments of both signs   sign, 4 bits of exponent, 3 of mantissa      values from 2^(E−15) to 1.875·2^E
//!            second moments          5 bits of exponent, 3 of mantissa            values from 2^(E−31) to 1.875·2^E
//! ```
//!
//! An 8-bit code is the upper bits of an f32 less a constant of its block, so coding is an addition, a shift and a clamp,
//! and a value that did not change keeps its code, also when E moves. 0 is code 0. A second moment that is not 0 never
//! gets code 0: a step divides by its root.
//!
//! Rounding is to the nearest (ties to even in bfloat16, up in 8 bits), or stochastic: as many random bits are added as
//! are cut off. The random number of an element depends on seed, step, parameter, buffer and index alone ([`Random`]),
//! so threads and levels do not change it. A moving average needs it where 1 − β is less than the distance of two codes:
//! rounded to the nearest it would never move.

use std::ops::Range;

use crate::isa::{Kernel, Level};
use crate::real::Real;

/// Elements that share an exponent.
pub const BLOCK8: usize = 256;

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
#[derive(Debug)]
pub struct Bytes<'a> {
    /// One code an element.
    pub codes: &'a mut [u8],
    /// One biased exponent a block.
    pub exponents: &'a mut [u8],
    /// Whether the numbers can be negative.
    pub signed: bool,
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

    /// The elements in full: in place, or decoded into `scratch`.
    pub(crate) fn open<'s>(&'s mut self, level: Level, scratch: &'s mut [T]) -> &'s mut [T] {
        match self {
            Self::Full(x) => x,
            Self::Half(x) => {
                let to = &mut scratch[..x.len()];
                level.run(FromHalf { from: x, to });
                to
            }
            Self::Byte(Bytes { codes, exponents, signed }) => {
                let to = &mut scratch[..codes.len()];
                level.run(FromByte { codes, exponents, signed: *signed, to });
                to
            }
        }
    }

    /// Some of the elements in full, to read: in place, or decoded into `scratch`. 8-bit blocks: whole ones.
    pub(crate) fn view<'s>(&'s self, level: Level, range: Range<usize>, scratch: &'s mut [T]) -> &'s [T] {
        let to = match self {
            Self::Full(x) => return &x[range],
            Self::Half(_) | Self::Byte(_) => &mut scratch[..range.len()],
        };
        match self {
            Self::Full(_) => {}
            Self::Half(x) => level.run(FromHalf { from: &x[range], to: &mut *to }),
            Self::Byte(Bytes { codes, exponents, signed }) => {
                let exponents = &exponents[range.start / BLOCK8..];
                level.run(FromByte { codes: &codes[range], exponents, signed: *signed, to: &mut *to });
            }
        }
        to
    }

    /// Encodes what [`Self::open`] left in `scratch`; nothing where it was in place.
    pub(crate) fn close(&mut self, level: Level, scratch: &[T], random: Option<Random>) {
        match self {
            Self::Full(_) => {}
            Self::Half(to) => level.run(ToHalf { from: &scratch[..to.len()], to, random }),
            Self::Byte(to) => level.run(ToByte { from: &scratch[..to.codes.len()], to, random }),
        }
    }
}

/// A stream of random numbers: one 32-bit number for each index.
#[derive(Clone, Copy, Debug)]
pub struct Random {
    key: u32,
    first: u32,
}

impl Random {
    /// The numbers of one buffer of one parameter at one step, from element `first` on.
    #[must_use]
    pub fn new(seed: u64, step: u64, parameter: u64, buffer: u64, first: usize) -> Self {
        // The upper half of the index goes into the key: a run that is read at once lies within one.
        let words = [step, parameter, buffer, first as u64 >> 32];
        let key = words.iter().fold(mix64(seed), |key, &word| mix64(key ^ word));
        Self { key: (key >> 32) as u32, first: first as u32 }
    }

    /// The number of element `i`, counted from `first`.
    #[inline(always)]
    #[must_use]
    pub fn at(self, i: u32) -> u32 {
        mix32(self.first.wrapping_add(i).wrapping_mul(0x9E37_79B9) ^ self.key)
    }
}

/// A bijection of 64 bits in which each bit of the input moves each of the output (the finaliser of splitmix64).
fn mix64(x: u64) -> u64 {
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

/// The f32 that `x` is, or is nearest to.
#[inline(always)]
fn single<T: Real>(x: T) -> f32 {
    x.to_f64() as f32
}

#[inline(always)]
fn full<T: Real>(x: f32) -> T {
    T::from_f64(f64::from(x))
}

/// The f32 that a bfloat16 is.
#[inline(always)]
#[must_use]
pub fn from_half(x: u16) -> f32 {
    f32::from_bits(u32::from(x) << 16)
}

/// The nearest bfloat16, ties to even; NaN stays NaN.
#[inline(always)]
#[must_use]
pub fn to_half(x: f32) -> u16 {
    let bits = x.to_bits();
    half(bits, 0x7FFF + ((bits >> 16) & 1))
}

/// `bits` with something below 2^16 added, cut.
#[inline(always)]
fn half(bits: u32, add: u32) -> u16 {
    let is_nan = bits & 0x7FFF_FFFF > 0x7F80_0000;
    let rounded = bits.wrapping_add(add) >> 16;
    (if is_nan { (bits >> 16) | 0x40 } else { rounded }) as u16
}

struct FromHalf<'a, T> {
    from: &'a [u16],
    to: &'a mut [T],
}

impl<T: Real> Kernel for FromHalf<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        for (to, &x) in self.to.iter_mut().zip(self.from) {
            *to = full(from_half(x));
        }
    }
}

struct ToHalf<'a, T> {
    from: &'a [T],
    to: &'a mut [u16],
    random: Option<Random>,
}

impl<T: Real> Kernel for ToHalf<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        let Self { from, to, random } = self;
        match random {
            None => {
                for (to, &x) in to.iter_mut().zip(from) {
                    *to = to_half(single(x));
                }
            }
            Some(random) => {
                for (i, (to, &x)) in (0u32..).zip(to.iter_mut().zip(from)) {
                    let bits = single(x).to_bits();
                    // What is infinite stays: its lower bits are 0, so nothing carries.
                    *to = half(bits, random.at(i) >> 16);
                }
            }
        }
    }
}

/// Bits of a code below its sign.
#[inline(always)]
fn top(signed: bool) -> i32 {
    if signed { 127 } else { 255 }
}

/// The upper 12 bits of an f32 that has code 0, of a block with this exponent: code `top` has exponent E and a mantissa
/// of ones.
#[inline(always)]
fn base(exponent: u8, signed: bool) -> i32 {
    i32::from(exponent) * 8 + 7 - top(signed)
}

struct FromByte<'a, T> {
    codes: &'a [u8],
    exponents: &'a [u8],
    signed: bool,
    to: &'a mut [T],
}

impl<T: Real> Kernel for FromByte<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        let Self { codes, exponents, signed, to } = self;
        let blocks = codes.chunks(BLOCK8).zip(exponents).zip(to.chunks_mut(BLOCK8));
        for ((codes, &exponent), to) in blocks {
            let base = base(exponent, signed);
            let mask = top(signed);
            if exponent == u8::MAX {
                to.fill(T::from_f64(f64::NAN));
                continue;
            }
            for (to, &code) in to.iter_mut().zip(codes) {
                let magnitude = i32::from(code) & mask;
                let sign = (i32::from(code) & !mask) << 24;
                let upper = magnitude + base;
                let bits = if magnitude == 0 || upper <= 0 { 0 } else { upper << 20 };
                *to = full(f32::from_bits((bits | sign) as u32));
            }
        }
    }
}

struct ToByte<'a, 'b, T> {
    from: &'a [T],
    to: &'a mut Bytes<'b>,
    random: Option<Random>,
}

impl<T: Real> Kernel for ToByte<'_, '_, T> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        let Bytes { codes, exponents, signed } = self.to;
        let signed = *signed;
        let mut first = 0;
        let blocks = codes.chunks_mut(BLOCK8).zip(exponents.iter_mut()).zip(self.from.chunks(BLOCK8));
        for ((codes, exponent), from) in blocks {
            let mut largest = 0;
            for &x in from {
                largest = largest.max(single(x).to_bits() & 0x7FFF_FFFF);
            }
            *exponent = (largest >> 23) as u8;
            let base = base(*exponent, signed);
            match self.random {
                None => encode(
                    codes,
                    from,
                    base,
                    signed,
                    #[inline(always)]
                    |_| 1 << 19,
                ),
                Some(random) => encode(
                    codes,
                    from,
                    base,
                    signed,
                    #[inline(always)]
                    |i| random.at(first + i) >> 12,
                ),
            }
            first += BLOCK8 as u32;
        }
    }
}

/// Codes of one block; `add` gives what is added to the lower 20 bits before they are cut.
#[inline(always)]
fn encode<T: Real>(codes: &mut [u8], from: &[T], base: i32, signed: bool, add: impl Fn(u32) -> u32) {
    let least = i32::from(!signed);
    let mask = top(signed);
    for (i, (code, &x)) in (0u32..).zip(codes.iter_mut().zip(from)) {
        let bits = single(x).to_bits();
        let magnitude = bits & 0x7FFF_FFFF;
        let upper = (magnitude.wrapping_add(add(i)) >> 20) as i32 - base;
        let clamped = upper.clamp(if magnitude == 0 { 0 } else { least }, mask);
        // A negative second moment does not exist; without a sign bit its magnitude is kept.
        let kept = if magnitude == 0 { 0 } else { clamped };
        let sign = if signed { (bits >> 24) as i32 & 0x80 } else { 0 };
        *code = (kept | sign) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_level(check: impl Fn(Level)) {
        Level::available().into_iter().for_each(check);
    }

    fn coded(level: Level, x: &[f32], signed: bool, random: Option<Random>) -> (Vec<u8>, Vec<u8>, Vec<f32>) {
        let (mut codes, mut exponents) = (vec![0; x.len()], vec![0; x.len().div_ceil(BLOCK8)]);
        let mut store: Store<'_, f32> =
            Store::Byte(Bytes { codes: &mut codes, exponents: &mut exponents, signed });
        store.close(level, x, random);
        let mut back = vec![0.0; x.len()];
        store.open(level, &mut back);
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
            store.open(level, &mut scratch);
            for random in [None, Some(Random::new(1, 2, 3, 4, 5))] {
                store.close(level, &scratch, random);
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
                    store.open(level, &mut x);
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
            store.close(level, &x, random);
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
