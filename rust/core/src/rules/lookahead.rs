//! Moves along moments that are already there, without a gradient: how NAG and the notes' Nadam get to the look-ahead
//! point, where their gradient is taken, and how they make their update afterwards (O10, O16). Writes no state.
//!
//! ```text
//! w ← w − c·m                    c = α·γ (Nesterov's look-ahead), or α (the notes' look-ahead, and NAG's update)
//! w ← w − α·m / (√V + ε)         the look-ahead of Nadam
//! w ← w − α·m̂ / (√v̂ + ε)         its update
//! ```

use super::adam::{Adam, Ratio};
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
    /// Hyper-parameters of Adam.
    pub adam: Adam,
    /// Whether the moments are corrected for their start at zero.
    pub corrected: bool,
}

/// The coefficients of one move along the ratio of the moments.
#[derive(Clone, Copy, Debug)]
pub struct AlongRatioStep<T>(Ratio<T>);

impl AlongRatio {
    /// The coefficients after step `t`.
    #[must_use]
    pub fn at<T: Real>(&self, t: u64) -> AlongRatioStep<T> {
        AlongRatioStep(if self.corrected { self.adam.ratio(t) } else { self.adam.raw_ratio() })
    }
}

impl<T: Real> FourStep<T, 2> for AlongRatioStep<T> {
    #[inline(always)]
    fn moments(self, _: T, _: T, state: [T; 2]) -> [T; 2] {
        state
    }

    #[inline(always)]
    fn direction(self, _: T, _: T, [m, v]: &mut [T; 2]) -> T {
        self.0.of(*m, *v)
    }
}
