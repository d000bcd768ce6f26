//! Signum: steps of one size along the sign of the momentum (Bernstein et al. 2018).
//!
//! ```text
//! m ← γ·m + (1 − γ)·g
//! η = α·sign(m)                  sign(0) = 0; γ = 0 is signSGD
//! ```

use super::sign::sign;
use crate::real::Real;
use crate::rule::FourStep;

/// Hyper-parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Signum {
    /// α.
    pub lr: f64,
    /// γ.
    pub momentum: f64,
}

/// The coefficients of one step. State: `momentum_buffer`.
#[derive(Clone, Copy, Debug)]
pub struct SignumStep<T> {
    lr: T,
    momentum: T,
    one_minus_momentum: T,
}

impl Signum {
    /// The coefficients; they are the same at every step.
    #[must_use]
    pub fn at<T: Real>(&self) -> SignumStep<T> {
        SignumStep {
            lr: T::from_f64(self.lr),
            momentum: T::from_f64(self.momentum),
            one_minus_momentum: T::from_f64(1.0 - self.momentum),
        }
    }
}

impl<T: Real> FourStep<T, 1> for SignumStep<T> {
    #[inline(always)]
    fn moments(self, _: T, g: T, [m]: [T; 1]) -> [T; 1] {
        [self.momentum * m + self.one_minus_momentum * g]
    }

    #[inline(always)]
    fn direction(self, _: T, _: T, [m]: &mut [T; 1]) -> T {
        self.lr * sign(*m)
    }
}
