//! The sign of a number, by comparison.

use crate::real::Real;

/// 1 above zero, −1 below, and the number itself at ±0 and NaN: sign(0) = 0, and NaN stays NaN.
#[inline(always)]
#[must_use]
pub fn sign<T: Real>(x: T) -> T {
    if x > T::ZERO {
        T::ONE
    } else if x < T::ZERO {
        -T::ONE
    } else {
        x
    }
}
