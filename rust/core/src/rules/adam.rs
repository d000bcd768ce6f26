//! Adam: both moments, with the bias of their start at zero taken out (Kingma and Ba 2015, algorithm 1).
//!
//! ```text
//! m ← β₁·m + (1 − β₁)·g          m̂ = m / (1 − β₁^t)
//! v ← β₂·v + (1 − β₂)·g²         v̂ = v / (1 − β₂^t)
//! η = α · m̂ / (√v̂ + ε)
//! ```
//!
//! Computed as η = (α/(1 − β₁^t))·m / (√v · 1/√(1 − β₂^t) + ε): the two corrections are scalars of the step.

use crate::coefficients::power;
use crate::real::Real;
use crate::rule::FourStep;

/// Hyper-parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Adam {
    /// α.
    pub lr: f64,
    /// β₁, of the first moment.
    pub beta1: f64,
    /// β₂, of the second moment.
    pub beta2: f64,
    /// ε, added outside the root.
    pub eps: f64,
}

/// The two moving averages that the Adam family shares.
#[derive(Clone, Copy, Debug)]
pub struct Moments<T> {
    beta1: T,
    one_minus_beta1: T,
    beta2: T,
    one_minus_beta2: T,
}

impl<T: Real> Moments<T> {
    /// 1 − β is taken in `f64`, then rounded.
    #[must_use]
    pub fn new(beta1: f64, beta2: f64) -> Self {
        Self {
            beta1: T::from_f64(beta1),
            one_minus_beta1: T::from_f64(1.0 - beta1),
            beta2: T::from_f64(beta2),
            one_minus_beta2: T::from_f64(1.0 - beta2),
        }
    }

    /// Both averages after `g`.
    #[inline(always)]
    #[must_use]
    pub fn after(self, g: T, [m, v]: [T; 2]) -> [T; 2] {
        [self.beta1 * m + self.one_minus_beta1 * g, self.beta2 * v + self.one_minus_beta2 * (g * g)]
    }
}

/// α·m / (√v·r + ε), with the bias corrections inside α and r.
#[derive(Clone, Copy, Debug)]
pub struct Ratio<T> {
    lr: T,
    root: T,
    eps: T,
}

impl<T: Real> Ratio<T> {
    /// η of one element.
    #[inline(always)]
    pub fn of(self, m: T, v: T) -> T {
        (self.lr * m) / (v.sqrt() * self.root + self.eps)
    }
}

/// The coefficients of one step. State: `exp_avg`, `exp_avg_sq`.
#[derive(Clone, Copy, Debug)]
pub struct AdamStep<T> {
    moments: Moments<T>,
    ratio: Ratio<T>,
}

impl Adam {
    /// The coefficients of step `t`, counted from 1.
    #[must_use]
    pub fn at<T: Real>(&self, t: u64) -> AdamStep<T> {
        AdamStep { moments: Moments::new(self.beta1, self.beta2), ratio: self.ratio(t) }
    }

    /// The direction of step `t`.
    #[must_use]
    pub fn ratio<T: Real>(&self, t: u64) -> Ratio<T> {
        self.rounded(self.lr / (1.0 - power(self.beta1, t)), 1.0 / (1.0 - power(self.beta2, t)).sqrt())
    }

    /// The direction without bias corrections.
    #[must_use]
    pub fn raw_ratio<T: Real>(&self) -> Ratio<T> {
        self.rounded(self.lr, 1.0)
    }

    fn rounded<T: Real>(&self, lr: f64, root: f64) -> Ratio<T> {
        Ratio { lr: T::from_f64(lr), root: T::from_f64(root), eps: T::from_f64(self.eps) }
    }
}

impl<T: Real> FourStep<T, 2> for AdamStep<T> {
    #[inline(always)]
    fn moments(self, _: T, g: T, state: [T; 2]) -> [T; 2] {
        self.moments.after(g, state)
    }

    #[inline(always)]
    fn direction(self, _: T, _: T, [m, v]: &mut [T; 2]) -> T {
        self.ratio.of(*m, *v)
    }
}
