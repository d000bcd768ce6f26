//! AdaDelta: the root mean square of past updates stands where the learning rate would (Zeiler 2012).
//!
//! ```text
//! v ← ρ·v + (1 − ρ)·g²
//! δ = √(u + ε) / √(v + ε) · g
//! u ← ρ·u + (1 − ρ)·δ²           the frame leaks: u needs the direction
//! η = α·δ
//! ```

use crate::real::Real;
use crate::rule::FourStep;

/// Hyper-parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AdaDelta {
    /// α.
    pub lr: f64,
    /// ρ.
    pub rho: f64,
    /// ε, inside both roots.
    pub eps: f64,
}

/// The coefficients of one step. State: `square_avg`, `acc_delta`.
#[derive(Clone, Copy, Debug)]
pub struct AdaDeltaStep<T> {
    lr: T,
    rho: T,
    one_minus_rho: T,
    eps: T,
}

impl AdaDelta {
    /// The coefficients; they are the same at every step.
    #[must_use]
    pub fn at<T: Real>(&self) -> AdaDeltaStep<T> {
        AdaDeltaStep {
            lr: T::from_f64(self.lr),
            rho: T::from_f64(self.rho),
            one_minus_rho: T::from_f64(1.0 - self.rho),
            eps: T::from_f64(self.eps),
        }
    }
}

impl<T: Real> FourStep<T, 2> for AdaDeltaStep<T> {
    #[inline(always)]
    fn moments(self, _: T, g: T, [v, u]: [T; 2]) -> [T; 2] {
        [self.rho * v + self.one_minus_rho * (g * g), u]
    }

    #[inline(always)]
    fn direction(self, _: T, g: T, [v, u]: &mut [T; 2]) -> T {
        let delta = ((*u + self.eps).sqrt() / (*v + self.eps).sqrt()) * g;
        *u = self.rho * *u + self.one_minus_rho * (delta * delta);
        self.lr * delta
    }
}
