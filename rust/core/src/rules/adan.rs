//! Adan: Nesterov's momentum without a look-ahead, from the difference of gradients (Xie et al. 2022, algorithm 1).
//!
//! ```text
//! d = g − g₋₁                    0 at the first step
//! m ← β₁·m + (1 − β₁)·g
//! u ← β₂·u + (1 − β₂)·d
//! v ← β₃·v + (1 − β₃)·(g + β₂·d)²
//! η = (α/(1 − β₁^t)·m + α·β₂/(1 − β₂^t)·u) / (√(v/(1 − β₃^t)) + ε)
//! w ← keep·w − η, or with the proximal form of decoupled decay (w − η)/(2 − keep): keep = 1 − α·λ
//! ```
//!
//! The β are those of the authors' code; the paper's are 1 less them. State holds −g₋₁, as that code does.

use crate::coefficients::power;
use crate::real::Real;
use crate::rule::FourStep;

/// Hyper-parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Adan {
    /// α.
    pub lr: f64,
    /// β₁, of the gradients.
    pub beta1: f64,
    /// β₂, of their differences.
    pub beta2: f64,
    /// β₃, of the squares.
    pub beta3: f64,
    /// ε, outside the root.
    pub eps: f64,
    /// Whether decoupled decay multiplies by 1 − α·λ instead of dividing by 1 + α·λ.
    pub no_prox: bool,
}

/// The coefficients of one step. State: `exp_avg`, `exp_avg_diff`, `exp_avg_sq`, `neg_pre_grad`.
#[derive(Clone, Copy, Debug)]
pub struct AdanStep<T> {
    first: bool,
    beta: [T; 3],
    one_minus_beta: [T; 3],
    by_m: T,
    by_u: T,
    root: T,
    eps: T,
    no_prox: bool,
}

impl Adan {
    /// The coefficients of step `t`, counted from 1.
    #[must_use]
    pub fn at<T: Real>(&self, t: u64) -> AdanStep<T> {
        let beta = [self.beta1, self.beta2, self.beta3];
        AdanStep {
            first: t == 1,
            beta: beta.map(T::from_f64),
            one_minus_beta: beta.map(|b| T::from_f64(1.0 - b)),
            by_m: T::from_f64(self.lr / (1.0 - power(self.beta1, t))),
            by_u: T::from_f64(self.lr * self.beta2 / (1.0 - power(self.beta2, t))),
            root: T::from_f64(1.0 / (1.0 - power(self.beta3, t)).sqrt()),
            eps: T::from_f64(self.eps),
            no_prox: self.no_prox,
        }
    }
}

impl<T: Real> FourStep<T, 4> for AdanStep<T> {
    #[inline(always)]
    fn moments(self, _: T, g: T, [m, u, v, minus_last]: [T; 4]) -> [T; 4] {
        let difference = if self.first { T::ZERO } else { g + minus_last };
        let ahead = g + self.beta[1] * difference;
        [
            self.beta[0] * m + self.one_minus_beta[0] * g,
            self.beta[1] * u + self.one_minus_beta[1] * difference,
            self.beta[2] * v + self.one_minus_beta[2] * (ahead * ahead),
            -g,
        ]
    }

    #[inline(always)]
    fn direction(self, _: T, _: T, [m, u, v, _]: &mut [T; 4]) -> T {
        (self.by_m * *m + self.by_u * *u) / (v.sqrt() * self.root + self.eps)
    }

    #[inline(always)]
    fn update(self, w: T, eta: T, keep: T) -> T {
        if self.no_prox { keep * w - eta } else { (w - eta) / ((T::ONE + T::ONE) - keep) }
    }
}
