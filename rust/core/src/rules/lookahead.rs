//! The look-ahead point, where NAG and the notes' Nadam take their gradient (O10, O16). Writes no state.
//!
//! ```text
//! w ← w − c·m                    c = α·γ (Nesterov's) or α (the notes': by the whole of m)
//! w ← w − α·m / (√V + ε)         Nadam
//! ```

use crate::real::Real;
use crate::rule::FourStep;

/// w ← w − c·m. State: the first moment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AlongMomentum {
    /// c.
    pub factor: f64,
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
        AlongMomentumStep { factor: T::from_f64(self.factor) }
    }
}

impl<T: Real> FourStep<T, 1> for AlongMomentumStep<T> {
    #[inline(always)]
    fn moments(self, _: T, state: [T; 1]) -> [T; 1] {
        state
    }

    #[inline(always)]
    fn direction(self, _: T, [m]: &mut [T; 1]) -> T {
        self.factor * *m
    }
}

/// w ← w − α·m/(√V + ε). State: the two moments.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AlongRatio {
    /// α.
    pub lr: f64,
    /// ε.
    pub eps: f64,
}

/// The coefficients of one look-ahead along the ratio of the moments.
#[derive(Clone, Copy, Debug)]
pub struct AlongRatioStep<T> {
    lr: T,
    eps: T,
}

impl AlongRatio {
    /// The coefficients, rounded.
    #[must_use]
    pub fn at<T: Real>(&self) -> AlongRatioStep<T> {
        AlongRatioStep { lr: T::from_f64(self.lr), eps: T::from_f64(self.eps) }
    }
}

impl<T: Real> FourStep<T, 2> for AlongRatioStep<T> {
    #[inline(always)]
    fn moments(self, _: T, state: [T; 2]) -> [T; 2] {
        state
    }

    #[inline(always)]
    fn direction(self, _: T, [m, v]: &mut [T; 2]) -> T {
        (self.lr * *m) / (v.sqrt() + self.eps)
    }
}
