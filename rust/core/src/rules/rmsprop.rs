//! RMSProp: a window over squared gradients instead of all history (O14); centred and with momentum as options.
//!
//! ```text
//! v ← α·v + (1 − α)·g²
//! ḡ ← α·ḡ + (1 − α)·g            centred only
//! a = √(v + ε_in) + ε            centred: v − ḡ² in place of v, not below 0
//! η = lr·g/a                     with momentum: b ← μ·b + g/a, η = lr·b
//! ```
//!
//! Where gradients are steady, v − ḡ² is a difference of equal numbers and may round below 0: its root would be NaN.

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

/// √(v + inside) + outside: ε goes into one of the two, and adding the other, 0, changes no bit.
#[derive(Clone, Copy, Debug)]
pub struct Epsilon<T> {
    inside: T,
    outside: T,
}

impl<T: Real> Epsilon<T> {
    /// ε where it belongs.
    #[must_use]
    pub fn new(eps: f64, inside: bool) -> Self {
        let (inside, outside) = if inside { (eps, 0.0) } else { (0.0, eps) };
        Self { inside: T::from_f64(inside), outside: T::from_f64(outside) }
    }

    /// The root of `v` with ε.
    #[inline(always)]
    pub fn root(self, v: T) -> T {
        (v + self.inside).sqrt() + self.outside
    }
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
}

impl<T: Real> FourStep<T, 3> for RmsPropStep<T, true, true> {
    #[inline(always)]
    fn moments(self, g: T, [v, mean, b]: [T; 3]) -> [T; 3] {
        [self.average(v, g * g), self.average(mean, g), b]
    }

    #[inline(always)]
    fn direction(self, g: T, [v, mean, b]: &mut [T; 3]) -> T {
        *b = self.momentum * *b + g / self.eps.root(variance(*v, *mean));
        self.lr * *b
    }
}

/// v − ḡ², not below 0; NaN stays NaN.
#[inline(always)]
fn variance<T: Real>(v: T, mean: T) -> T {
    let difference = v - mean * mean;
    if difference < T::ZERO { T::ZERO } else { difference }
}
