//! ADOPT: Adam that divides by the v of the step before, and takes momentum after the division (Taniguchi et al. 2024,
//! algorithm 2).
//!
//! ```text
//! first step       v ← g², and nothing else
//! then             m ← β₁·m + (1 − β₁)·clip(g / max(√v, ε), ±c)        c = (t − 1)^¼, t counted from 1
//!                  v ← β₂·v + (1 − β₂)·g²
//!                  η = α·m
//! ```
//!
//! The frame leaks: φ is of g/√V, not of g, so step 2 divides.

use crate::coefficients::pow;
use crate::real::Real;
use crate::rule::FourStep;

/// Hyper-parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Adopt {
    /// α.
    pub lr: f64,
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// ε, the least divisor.
    pub eps: f64,
    /// Whether the divided gradient is clipped.
    pub clip: bool,
}

/// The coefficients of one step. State: `exp_avg`, `exp_avg_sq`.
#[derive(Clone, Copy, Debug)]
pub struct AdoptStep<T> {
    first: bool,
    lr: T,
    beta1: T,
    one_minus_beta1: T,
    beta2: T,
    one_minus_beta2: T,
    eps: T,
    limit: T,
}

impl Adopt {
    /// The coefficients of step `t`, counted from 1.
    #[must_use]
    pub fn at<T: Real>(&self, t: u64) -> AdoptStep<T> {
        let limit = if self.clip && t > 1 { pow((t - 1) as f64, 0.25) } else { f64::INFINITY };
        AdoptStep {
            first: t == 1,
            lr: T::from_f64(self.lr),
            beta1: T::from_f64(self.beta1),
            one_minus_beta1: T::from_f64(1.0 - self.beta1),
            beta2: T::from_f64(self.beta2),
            one_minus_beta2: T::from_f64(1.0 - self.beta2),
            eps: T::from_f64(self.eps),
            limit: T::from_f64(limit),
        }
    }
}

impl<T: Real> FourStep<T, 2> for AdoptStep<T> {
    /// Compares so that NaN stays NaN.
    #[inline(always)]
    fn moments(self, _: T, g: T, [m, v]: [T; 2]) -> [T; 2] {
        if self.first {
            return [m, g * g];
        }
        let root = v.sqrt();
        let divisor = if root < self.eps { self.eps } else { root };
        let x = g / divisor;
        let x = if x > self.limit { self.limit } else { x };
        let x = if x < -self.limit { -self.limit } else { x };
        [self.beta1 * m + self.one_minus_beta1 * x, self.beta2 * v + self.one_minus_beta2 * (g * g)]
    }

    #[inline(always)]
    fn direction(self, _: T, _: T, [m, _]: &mut [T; 2]) -> T {
        if self.first { T::ZERO } else { self.lr * *m }
    }

    /// The first step does not even decay.
    #[inline(always)]
    fn update(self, w: T, eta: T, keep: T) -> T {
        if self.first { w } else { keep * w - eta }
    }
}
