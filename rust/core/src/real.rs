//! The dtype seam: what a kernel may do with a real number.
//!
//! Only operations that IEEE 754 rounds correctly are here (+ − × ÷ √), so that every level, and NumPy, gives the same
//! bits. There is no fused multiply-add, no reciprocal square root and no transcendental function.

use std::fmt::Debug;
use std::ops::{Add, BitOr, Div, Mul, Neg, Sub};

/// An IEEE 754 binary format with its correctly rounded operations: `f32` or `f64`.
pub trait Real:
    Copy
    + Debug
    + Default
    + PartialEq
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + 'static
{
    /// Its name in Python and in benchmark ids.
    const NAME: &'static str;
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Correctly rounded square root.
    #[must_use]
    fn sqrt(self) -> Self;
    /// The nearest value of this format.
    fn from_f64(x: f64) -> Self;
    /// The same value, exactly.
    fn to_f64(self) -> f64;
    /// The bits, widened: for tests of "the same bits".
    fn bits(self) -> u64;
    /// Whether the value is neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// Bits that are gathered with `|` over many values to tell whether any is infinite or NaN.
    type Alarm: Copy + Default + BitOr<Output = Self::Alarm>;
    /// The highest bit is set where the value is infinite or NaN: adding 1 to an exponent of ones carries into it.
    fn alarm(self) -> Self::Alarm;
    /// Whether some value was infinite or NaN.
    fn alarmed(bits: Self::Alarm) -> bool;
    /// The value, or 0 where it is subnormal: by comparison, never through the control register. A first moment is 0
    /// below 2^24 times the smallest normal number already, as its product with a learning rate is subnormal there; a
    /// second moment is not multiplied by the rate, and divides.
    fn flushed(self, first_moment: bool) -> Self;
}

macro_rules! real {
    ($t:ident, $bits:ident) => {
        impl Real for $t {
            const NAME: &'static str = stringify!($t);
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            #[inline(always)]
            fn sqrt(self) -> Self {
                $t::sqrt(self)
            }
            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn bits(self) -> u64 {
                u64::from(self.to_bits())
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                $t::is_finite(self)
            }
            type Alarm = $bits;
            #[inline(always)]
            fn alarm(self) -> $bits {
                (self.to_bits() & ($bits::MAX >> 1)) + (1 << ($t::MANTISSA_DIGITS - 1))
            }
            #[inline(always)]
            fn alarmed(bits: $bits) -> bool {
                bits >> ($bits::BITS - 1) == 1
            }
            #[inline(always)]
            fn flushed(self, first_moment: bool) -> Self {
                let least = if first_moment { $t::MIN_POSITIVE * 16_777_216.0 } else { $t::MIN_POSITIVE };
                if -least < self && self < least { 0.0 } else { self }
            }
        }
    };
}

real!(f32, u32);
real!(f64, u64);

/// Whether `T` is `f32`.
pub(crate) fn is_single<T: Real>() -> bool {
    size_of::<T>() == size_of::<f32>()
}
