//! Two formats of fewer bits, an element at a time and in loops: bfloat16 and 8-bit blocks.
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
//! are cut off ([`Random`]). A moving average needs it where 1 − β is less than the distance of two codes: rounded to
//! the nearest it would never move.

use crate::isa::Kernel;
use crate::random::Random;
use crate::real::Real;

/// Elements that share an exponent.
pub const BLOCK8: usize = 256;

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

/// The same as any real.
#[inline(always)]
pub(crate) fn half_to<T: Real>(x: u16) -> T {
    full(from_half(x))
}

/// The nearest bfloat16, ties to even; NaN stays NaN.
#[inline(always)]
#[must_use]
pub fn to_half(x: f32) -> u16 {
    half(x, 0x7FFF + ((x.to_bits() >> 16) & 1))
}

/// The nearest bfloat16 of any real.
#[inline(always)]
pub(crate) fn nearest_half<T: Real>(x: T) -> u16 {
    to_half(single(x))
}

/// One of the two bfloat16 around `x`, by a random number. What is infinite stays: its lower bits are 0, so nothing
/// carries.
#[inline(always)]
pub(crate) fn random_half<T: Real>(x: T, random: u32) -> u16 {
    half(single(x), random >> 16)
}

/// The bits of `x` with something below 2^16 added, cut.
#[inline(always)]
fn half(x: f32, add: u32) -> u16 {
    let bits = x.to_bits();
    let rounded = if x.is_nan() { bits | 0x40_0000 } else { bits.wrapping_add(add) };
    (rounded >> 16) as u16
}

/// The format of one 8-bit block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    /// The upper 12 bits of an f32 that has code 0: code `top` has exponent E and a mantissa of ones.
    base: i32,
    /// The largest magnitude of a code: 127 below a sign, or 255.
    top: i32,
    /// The bit of the sign, if there is one.
    sign: i32,
    /// The smallest code of what is not 0, above 20 bits.
    least: i32,
    /// Bits that all numbers have: none, or those of NaN.
    all: i32,
}

impl Format {
    /// Of a block with this exponent.
    #[inline(always)]
    pub(crate) fn new(exponent: u8, signed: bool) -> Self {
        let (top, sign, least) = if signed { (127, 128, 0) } else { (255, 0, 1 << 20) };
        let all = if exponent == u8::MAX { 0x7FC0_0000 } else { 0 };
        Self { base: i32::from(exponent) * 8 + 7 - top, top, sign, least, all }
    }

    /// The number that a code is.
    #[inline(always)]
    pub(crate) fn decode<T: Real>(self, code: u8) -> T {
        let code = i32::from(code);
        let magnitude = code & self.top;
        let upper = (magnitude + self.base).max(0) << 20;
        let upper = if magnitude == 0 { 0 } else { upper };
        full(f32::from_bits((upper | (code & self.sign) << 24 | self.all) as u32))
    }

    /// The code of a number; `add` is what is added to the lower 20 bits before they are cut.
    ///
    /// A negative second moment does not exist; without a sign bit its magnitude is kept.
    #[inline(always)]
    pub(crate) fn encode<T: Real>(self, x: T, add: u32) -> u8 {
        let bits = single(x).to_bits() as i32;
        let magnitude = bits & i32::MAX;
        let above = (magnitude - (self.base << 20)).max(self.least);
        let code = ((above + add as i32) >> 20).min(self.top);
        let code = if magnitude == 0 { 0 } else { code };
        (code | (bits >> 24 & self.sign)) as u8
    }
}

/// The exponent of the largest number of a block.
#[inline(always)]
pub(crate) fn exponent<T: Real>(block: &[T]) -> u8 {
    let mut largest = 0;
    for &x in block {
        largest = largest.max(single(x).to_bits() & 0x7FFF_FFFF);
    }
    (largest >> 23) as u8
}

/// Rounds to the nearest.
pub(crate) const NEAREST: u32 = 1 << 19;

/// bfloat16 to full.
pub(crate) struct FromHalf<'a, T> {
    pub(crate) from: &'a [u16],
    pub(crate) to: &'a mut [T],
}

impl<T: Real> Kernel for FromHalf<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        for (to, &x) in self.to.iter_mut().zip(self.from) {
            *to = half_to(x);
        }
    }
}

/// Full to bfloat16.
pub(crate) struct ToHalf<'a, T> {
    pub(crate) from: &'a [T],
    pub(crate) to: &'a mut [u16],
    pub(crate) random: Option<Random>,
}

impl<T: Real> Kernel for ToHalf<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        let Self { from, to, random } = self;
        match random {
            None => {
                for (to, &x) in to.iter_mut().zip(from) {
                    *to = nearest_half(x);
                }
            }
            Some(random) => {
                for (i, (to, &x)) in (0u32..).zip(to.iter_mut().zip(from)) {
                    *to = random_half(x, random.at(i));
                }
            }
        }
    }
}

/// 8-bit blocks to full.
pub(crate) struct FromByte<'a, T> {
    pub(crate) codes: &'a [u8],
    pub(crate) exponents: &'a [u8],
    pub(crate) signed: bool,
    pub(crate) to: &'a mut [T],
}

impl<T: Real> Kernel for FromByte<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        let Self { codes, exponents, signed, to } = self;
        for ((codes, &exponent), to) in codes.chunks(BLOCK8).zip(exponents).zip(to.chunks_mut(BLOCK8)) {
            let format = Format::new(exponent, signed);
            for (to, &code) in to.iter_mut().zip(codes) {
                *to = format.decode(code);
            }
        }
    }
}

/// Full to 8-bit blocks.
pub(crate) struct ToByte<'a, T> {
    pub(crate) from: &'a [T],
    pub(crate) codes: &'a mut [u8],
    pub(crate) exponents: &'a mut [u8],
    pub(crate) signed: bool,
    pub(crate) random: Option<Random>,
}

impl<T: Real> Kernel for ToByte<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        let Self { from, codes, exponents, signed, random } = self;
        let mut first = 0;
        for ((codes, e), from) in codes.chunks_mut(BLOCK8).zip(exponents).zip(from.chunks(BLOCK8)) {
            *e = exponent(from);
            let format = Format::new(*e, signed);
            for (i, (code, &x)) in (first..).zip(codes.iter_mut().zip(from)) {
                let add = match random {
                    None => NEAREST,
                    Some(random) => random.spread(i) >> 12,
                };
                *code = format.encode(x, add);
            }
            first += BLOCK8 as u32;
        }
    }
}
