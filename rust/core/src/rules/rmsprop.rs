//! RMSProp: a window over squared gradients instead of all history (O14); centred and with momentum as options.
//!
//! ```text
//! v ← α·v + (1 − α)·g²
//! ḡ ← α·ḡ + (1 − α)·g            centred only
//! a = √v + ε                     centred: v − ḡ² in place of v, not below 0
//! η = lr·g/a                     with momentum: b ← μ·b + g/a, η = lr·b   (the frame leaks: b needs the division)
//!                                lr_inside:     b ← μ·b + lr·g/a, η = b   (Keras, optax)
//! ```
//!
//! Without either it is a triple. The two options are leaks, and have kernels of their own: the variance needs the mean of
//! g, the momentum the direction.
//!
//! Where gradients are steady, v − ḡ² is a difference of equal numbers and may round below 0: its root would be NaN.

use super::compose::{Composed, Direction, Phi, Psi};
use super::epsilon::Epsilon;
use super::triple::Root;
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
    /// Whether the rate is in the momentum buffer.
    pub lr_inside: bool,
}

/// The coefficients of one step. State: `square_avg`, then `grad_avg` if centred, then `momentum_buffer` with momentum.
#[derive(Clone, Copy, Debug)]
pub struct RmsPropStep<T, const CENTERED: bool, const MOMENTUM: bool> {
    lr: T,
    lr_inside: T,
    alpha: T,
    one_minus_alpha: T,
    root: Root<T>,
    momentum: T,
}

impl RmsProp {
    /// The four steps of the plain one. State: `square_avg`.
    #[must_use]
    pub fn composed(&self) -> Composed {
        let epsilon = Epsilon::placed(self.eps, self.eps_inside);
        Composed {
            lr: self.lr,
            first: Phi::Plain,
            second: Psi::Ema { beta: self.alpha, corrected: false },
            direction: Direction::Ratio { epsilon, lr_decay: 0.0, lr_last: true },
        }
    }

    /// The coefficients; they are the same at every step.
    #[must_use]
    pub fn at<T: Real, const CENTERED: bool, const MOMENTUM: bool>(&self) -> RmsPropStep<T, CENTERED, MOMENTUM> {
        let (lr, lr_inside) = if self.lr_inside && MOMENTUM { (1.0, self.lr) } else { (self.lr, 1.0) };
        RmsPropStep {
            lr: T::from_f64(lr),
            lr_inside: T::from_f64(lr_inside),
            alpha: T::from_f64(self.alpha),
            one_minus_alpha: T::from_f64(1.0 - self.alpha),
            root: Epsilon::placed(self.eps, self.eps_inside).over(1.0).rounded(),
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
        *b = self.momentum * *b + self.lr_inside * normalised;
        self.lr * *b
    }
}

/// v − ḡ², not below 0; NaN stays NaN.
#[inline(always)]
fn variance<T: Real>(v: T, mean: T) -> T {
    let difference = v - mean * mean;
    if difference < T::ZERO { T::ZERO } else { difference }
}

impl<T: Real> FourStep<T, 2> for RmsPropStep<T, true, false> {
    #[inline(always)]
    fn moments(self, _: T, g: T, [v, mean]: [T; 2]) -> [T; 2] {
        [self.average(v, g * g), self.average(mean, g)]
    }

    #[inline(always)]
    fn direction(self, _: T, g: T, [v, mean]: &mut [T; 2]) -> T {
        self.lr * (g / self.root.of(variance(*v, *mean)))
    }
}

impl<T: Real> FourStep<T, 2> for RmsPropStep<T, false, true> {
    #[inline(always)]
    fn moments(self, _: T, g: T, [v, b]: [T; 2]) -> [T; 2] {
        [self.average(v, g * g), b]
    }

    #[inline(always)]
    fn direction(self, _: T, g: T, [v, b]: &mut [T; 2]) -> T {
        self.pushed(b, g / self.root.of(*v))
    }
}

impl<T: Real> FourStep<T, 3> for RmsPropStep<T, true, true> {
    #[inline(always)]
    fn moments(self, _: T, g: T, [v, mean, b]: [T; 3]) -> [T; 3] {
        [self.average(v, g * g), self.average(mean, g), b]
    }

    #[inline(always)]
    fn direction(self, _: T, g: T, [v, mean, b]: &mut [T; 3]) -> T {
        self.pushed(b, g / self.root.of(variance(*v, *mean)))
    }
}
