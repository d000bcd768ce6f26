//! AdaGrad: parameters that were updated rarely learn more from each sample (Duchi, Hazan and Singer 2011; O12).
//!
//! ```text
//! V ← V + g²
//! η = α_t · g / (√V + ε)         α_t = α / (1 + (t − 1)·decay)
//! ```

use super::epsilon::Epsilon;
use crate::real::Real;
use crate::rule::FourStep;

/// Hyper-parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AdaGrad {
    /// α.
    pub lr: f64,
    /// The decay of α.
    pub lr_decay: f64,
    /// ε.
    pub eps: f64,
    /// Whether ε stands inside the root.
    pub eps_inside: bool,
}

/// The coefficients of one step. State: `sum`.
#[derive(Clone, Copy, Debug)]
pub struct AdaGradStep<T> {
    lr: T,
    eps: Epsilon<T>,
}

impl AdaGrad {
    /// The coefficients of step `t`, counted from 1.
    #[must_use]
    pub fn at<T: Real>(&self, t: u64) -> AdaGradStep<T> {
        AdaGradStep { lr: T::from_f64(self.rate(t)), eps: Epsilon::new(self.eps, self.eps_inside) }
    }

    /// α_t.
    #[must_use]
    pub fn rate(&self, t: u64) -> f64 {
        self.lr / (1.0 + (t - 1) as f64 * self.lr_decay)
    }
}

impl<T: Real> FourStep<T, 1> for AdaGradStep<T> {
    #[inline(always)]
    fn moments(self, _: T, g: T, [v]: [T; 1]) -> [T; 1] {
        [v + g * g]
    }

    #[inline(always)]
    fn direction(self, _: T, g: T, [v]: &mut [T; 1]) -> T {
        (self.lr * g) / self.eps.root(*v)
    }
}
