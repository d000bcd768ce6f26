//! Moves along moments that are already there, without a gradient: how NAG and the notes' Nadam get to the look-ahead
//! point, where their gradient is taken, and how they make their update afterwards (O10, O16). Writes no state.
//!
//! ```text
//! w ← w − c·m                    c = α·γ (Nesterov's look-ahead), or α (the notes' look-ahead, and NAG's update)
//! w ← w − α·m / (√V + ε)         the look-ahead of Nadam
//! w ← w − α·m̂ / (√v̂ + ε)         its update
//! ```

use super::epsilon::Epsilon;
use super::triple::Root;
use crate::coefficients::power;
use crate::real::Real;
use crate::rule::FourStep;

/// w ← w − α·share·m. State: the first moment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AlongMomentum {
    /// α.
    pub lr: f64,
    /// γ, or 1 for the whole of m.
    pub share: f64,
}

/// The coefficient of one look-ahead along the momentum.
#[derive(Clone, Copy, Debug)]
pub struct AlongMomentumStep<T> {
    factor: T,
}

impl AlongMomentum {
    /// The coefficient, rounded.
    #[must_use]
    pub fn at<T: Real>(&self) -> AlongMomentumStep<T> {
        AlongMomentumStep { factor: T::from_f64(self.lr * self.share) }
    }
}

impl<T: Real> FourStep<T, 1> for AlongMomentumStep<T> {
    #[inline(always)]
    fn moments(self, _: T, _: T, state: [T; 1]) -> [T; 1] {
        state
    }

    #[inline(always)]
    fn direction(self, _: T, _: T, [m]: &mut [T; 1]) -> T {
        self.factor * *m
    }
}

/// w ← w − α·m/(√V + ε), or with Adam's bias corrections. State: the two moments.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AlongRatio {
    /// α.
    pub lr: f64,
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// ε.
    pub epsilon: Epsilon,
    /// Whether the moments are corrected for their start at zero.
    pub corrected: bool,
}

/// The coefficients of one move along the ratio of the moments.
#[derive(Clone, Copy, Debug)]
pub struct AlongRatioStep<T> {
    lr: T,
    root: Root<T>,
}

impl AlongRatio {
    /// The coefficients after step `t`.
    #[must_use]
    pub fn at<T: Real>(&self, t: u64) -> AlongRatioStep<T> {
        let correction = |beta: f64| if self.corrected { 1.0 - power(beta, t) } else { 1.0 };
        AlongRatioStep {
            lr: T::from_f64(self.lr / correction(self.beta1)),
            root: self.epsilon.over(correction(self.beta2)).rounded(),
        }
    }
}

impl<T: Real> FourStep<T, 2> for AlongRatioStep<T> {
    #[inline(always)]
    fn moments(self, _: T, _: T, state: [T; 2]) -> [T; 2] {
        state
    }

    #[inline(always)]
    fn direction(self, _: T, _: T, [m, v]: &mut [T; 2]) -> T {
        (self.lr * *m) / self.root.of(*v)
    }
}
