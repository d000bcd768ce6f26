//! RMSProp: a window over squared gradients instead of all history (O14); centred and with momentum as options.
//!
//! ```text
//! v ← α·v + (1 − α)·g²
//! ḡ ← α·ḡ + (1 − α)·g            centred only
//! a = √v + ε                     centred: v − ḡ² in place of v, not below 0
//! η = lr·g/a                     with momentum: b ← μ·b + g/a, η = lr·b   (the frame leaks: b needs the division)
//! ```
//!
//! Where gradients are steady, v − ḡ² is a difference of equal numbers and may round below 0: its root would be NaN.

use super::epsilon::Epsilon;
use crate::real::Real;
use crate::rule::FourStep;

/// Hyper-parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RmsProp {
    /// The learning rate.
    pub lr: f64,
    /// α, the weight of the past.
    pub alpha: f64,
    /// ε.
    pub eps: f64,
    /// Whether ε stands inside the root.
    pub eps_inside: bool,
    /// μ.
    pub momentum: f64,
}

/// The coefficients of one step. State: `square_avg`, then `grad_avg` if centred, then `momentum_buffer` with momentum.
#[derive(Clone, Copy, Debug)]
pub struct RmsPropStep<T, const CENTERED: bool, const MOMENTUM: bool> {
    lr: T,
    alpha: T,
    one_minus_alpha: T,
    eps: Epsilon<T>,
    momentum: T,
}

impl RmsProp {
    /// The coefficients; they are the same at every step.
    #[must_use]
    pub fn at<T: Real, const CENTERED: bool, const MOMENTUM: bool>(&self) -> RmsPropStep<T, CENTERED, MOMENTUM> {
        RmsPropStep {
            lr: T::from_f64(self.lr),
            alpha: T::from_f64(self.alpha),
            one_minus_alpha: T::from_f64(1.0 - self.alpha),
            eps: Epsilon::new(self.eps, self.eps_inside),
            momentum: T::from_f64(self.momentum),
        }
    }
}

impl<T: Real, const CENTERED: bool, const MOMENTUM: bool> RmsPropStep<T, CENTERED, MOMENTUM> {
    #[inline(always)]
    fn average(self, past: T, new: T) -> T {
        self.alpha * past + self.one_minus_alpha * new
    }

    /// lr·b after b ← μ·b + g/a.
    #[inline(always)]
    fn pushed(self, b: &mut T, normalised: T) -> T {
        *b = self.momentum * *b + normalised;
        self.lr * *b
    }
}

/// v − ḡ², not below 0; NaN stays NaN.
#[inline(always)]
fn variance<T: Real>(v: T, mean: T) -> T {
    let difference = v - mean * mean;
    if difference < T::ZERO { T::ZERO } else { difference }
}

impl<T: Real> FourStep<T, 1> for RmsPropStep<T, false, false> {
    #[inline(always)]
    fn moments(self, _: T, g: T, [v]: [T; 1]) -> [T; 1] {
        [self.average(v, g * g)]
    }

    #[inline(always)]
    fn direction(self, _: T, g: T, [v]: &mut [T; 1]) -> T {
        self.lr * (g / self.eps.root(*v))
    }
}

impl<T: Real> FourStep<T, 2> for RmsPropStep<T, true, false> {
    #[inline(always)]
    fn moments(self, _: T, g: T, [v, mean]: [T; 2]) -> [T; 2] {
        [self.average(v, g * g), self.average(mean, g)]
    }

    #[inline(always)]
    fn direction(self, _: T, g: T, [v, mean]: &mut [T; 2]) -> T {
        self.lr * (g / self.eps.root(variance(*v, *mean)))
    }
}

impl<T: Real> FourStep<T, 2> for RmsPropStep<T, false, true> {
    #[inline(always)]
    fn moments(self, _: T, g: T, [v, b]: [T; 2]) -> [T; 2] {
        [self.average(v, g * g), b]
    }

    #[inline(always)]
    fn direction(self, _: T, g: T, [v, b]: &mut [T; 2]) -> T {
        self.pushed(b, g / self.eps.root(*v))
    }
}

impl<T: Real> FourStep<T, 3> for RmsPropStep<T, true, true> {
    #[inline(always)]
    fn moments(self, _: T, g: T, [v, mean, b]: [T; 3]) -> [T; 3] {
        [self.average(v, g * g), self.average(mean, g), b]
    }

    #[inline(always)]
    fn direction(self, _: T, g: T, [v, mean, b]: &mut [T; 3]) -> T {
        self.pushed(b, g / self.eps.root(variance(*v, *mean)))
    }
}
