//! AdEMAMix: Adam with a second, slow average of the gradients beside the first (Pagliardini et al. 2024).
//!
//! ```text
//! m₁ ← β₁·m₁ + (1 − β₁)·g
//! m₂ ← β₃·m₂ + (1 − β₃)·g        β₃ and a: this step's, as their warm-ups have them
//! v  ← β₂·v  + (1 − β₂)·g²
//! η = (α/(1 − β₁^t)·m₁ + α·a·m₂) / (√(v/(1 − β₂^t)) + ε)
//! ```
//!
//! m₂ has no bias correction: it is to start slowly.

use crate::coefficients::power;
use crate::real::Real;
use crate::rule::FourStep;

/// Hyper-parameters; `beta3` and `alpha` are those of the step.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AdEmaMix {
    /// α.
    pub lr: f64,
    /// β₁, of the fast average.
    pub beta1: f64,
    /// β₂, of the squares.
    pub beta2: f64,
    /// β₃, of the slow average.
    pub beta3: f64,
    /// a, the weight of the slow average.
    pub alpha: f64,
    /// ε, outside the root.
    pub eps: f64,
}

/// The coefficients of one step. State: `exp_avg_fast`, `exp_avg_slow`, `exp_avg_sq`.
#[derive(Clone, Copy, Debug)]
pub struct AdEmaMixStep<T> {
    beta: [T; 3],
    one_minus_beta: [T; 3],
    by_fast: T,
    by_slow: T,
    root: T,
    eps: T,
}

impl AdEmaMix {
    /// The coefficients of step `t`, counted from 1.
    #[must_use]
    pub fn at<T: Real>(&self, t: u64) -> AdEmaMixStep<T> {
        let beta = [self.beta1, self.beta2, self.beta3];
        AdEmaMixStep {
            beta: beta.map(T::from_f64),
            one_minus_beta: beta.map(|b| T::from_f64(1.0 - b)),
            by_fast: T::from_f64(self.lr / (1.0 - power(self.beta1, t))),
            by_slow: T::from_f64(self.lr * self.alpha),
            root: T::from_f64(1.0 / (1.0 - power(self.beta2, t)).sqrt()),
            eps: T::from_f64(self.eps),
        }
    }
}

impl<T: Real> FourStep<T, 3> for AdEmaMixStep<T> {
    #[inline(always)]
    fn moments(self, _: T, g: T, [fast, slow, v]: [T; 3]) -> [T; 3] {
        [
            self.beta[0] * fast + self.one_minus_beta[0] * g,
            self.beta[2] * slow + self.one_minus_beta[2] * g,
            self.beta[1] * v + self.one_minus_beta[1] * (g * g),
        ]
    }

    #[inline(always)]
    fn direction(self, _: T, _: T, [fast, slow, v]: &mut [T; 3]) -> T {
        (self.by_fast * *fast + self.by_slow * *slow) / (v.sqrt() * self.root + self.eps)
    }
}
