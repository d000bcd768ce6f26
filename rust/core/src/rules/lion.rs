//! Lion: steps of one size along the sign of a mix of momentum and gradient (Chen et al. 2023, algorithm 2).
//!
//! ```text
//! c = β₁·m + (1 − β₁)·g
//! η = α·sign(c)                  sign(0) = 0
//! m ← β₂·m + (1 − β₂)·g          the frame leaks: the direction needs the old m
//! ```

use super::triple::sign;
use crate::real::Real;
use crate::rule::FourStep;

/// Hyper-parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Lion {
    /// α.
    pub lr: f64,
    /// β₁, of the mix that steps.
    pub beta1: f64,
    /// β₂, of the momentum that is kept.
    pub beta2: f64,
}

/// The coefficients of one step. State: `exp_avg`.
#[derive(Clone, Copy, Debug)]
pub struct LionStep<T> {
    lr: T,
    beta1: T,
    one_minus_beta1: T,
    beta2: T,
    one_minus_beta2: T,
}

impl Lion {
    /// The coefficients; they are the same at every step.
    #[must_use]
    pub fn at<T: Real>(&self) -> LionStep<T> {
        LionStep {
            lr: T::from_f64(self.lr),
            beta1: T::from_f64(self.beta1),
            one_minus_beta1: T::from_f64(1.0 - self.beta1),
            beta2: T::from_f64(self.beta2),
            one_minus_beta2: T::from_f64(1.0 - self.beta2),
        }
    }
}

impl<T: Real> FourStep<T, 1> for LionStep<T> {
    #[inline(always)]
    fn moments(self, _: T, _: T, state: [T; 1]) -> [T; 1] {
        state
    }

    #[inline(always)]
    fn direction(self, _: T, g: T, [m]: &mut [T; 1]) -> T {
        let mix = self.beta1 * *m + self.one_minus_beta1 * g;
        *m = self.beta2 * *m + self.one_minus_beta2 * g;
        self.lr * sign(mix)
    }
}
