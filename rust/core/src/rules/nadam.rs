//! Nadam: Adam that looks ahead, with Dozat's momentum schedule (2016), in the form that needs no gradient elsewhere.
//!
//! ```text
//! μ_t = β₁·(1 − ½·0.96^(t·ψ))            Π_t = μ_1·…·μ_t
//! m ← β₁·m + (1 − β₁)·g                  v ← β₂·v + (1 − β₂)·g²
//! η = (α·(1 − μ_t)/(1 − Π_t)·g + α·μ_{t+1}/(1 − Π_{t+1})·m) / (√(v/(1 − β₂^t)) + ε)
//! ```

use super::adam::Moments;
use crate::coefficients::{pow, power};
use crate::real::Real;
use crate::rule::FourStep;

/// Hyper-parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Nadam {
    /// α.
    pub lr: f64,
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// ε.
    pub eps: f64,
    /// ψ.
    pub momentum_decay: f64,
    /// Π_{t−1}: the product of the momenta so far, 1 before the first step.
    pub mu_product: f64,
}

/// The coefficients of one step. State: `exp_avg`, `exp_avg_sq`.
#[derive(Clone, Copy, Debug)]
pub struct NadamStep<T> {
    moments: Moments<T>,
    gradient: T,
    momentum: T,
    root: T,
    eps: T,
}

impl Nadam {
    /// μ_t.
    #[must_use]
    pub fn mu(&self, t: u64) -> f64 {
        self.beta1 * (1.0 - 0.5 * pow(0.96, t as f64 * self.momentum_decay))
    }

    /// The coefficients of step `t`, counted from 1.
    #[must_use]
    pub fn at<T: Real>(&self, t: u64) -> NadamStep<T> {
        let (mu, next) = (self.mu(t), self.mu(t + 1));
        let product = self.mu_product * mu;
        NadamStep {
            moments: Moments::new(self.beta1, self.beta2),
            gradient: T::from_f64(self.lr * (1.0 - mu) / (1.0 - product)),
            momentum: T::from_f64(self.lr * next / (1.0 - product * next)),
            root: T::from_f64(1.0 / (1.0 - power(self.beta2, t)).sqrt()),
            eps: T::from_f64(self.eps),
        }
    }
}

impl<T: Real> FourStep<T, 2> for NadamStep<T> {
    #[inline(always)]
    fn moments(self, _: T, g: T, state: [T; 2]) -> [T; 2] {
        self.moments.after(g, state)
    }

    #[inline(always)]
    fn direction(self, _: T, g: T, [m, v]: &mut [T; 2]) -> T {
        (self.gradient * g + self.momentum * *m) / (v.sqrt() * self.root + self.eps)
    }
}
