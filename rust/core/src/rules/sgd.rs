//! SGD, with momentum in three forms, and Nesterov's (NAG).
//!
//! ```text
//! SGD          η = α·g
//! torch        m ← γ·m + (1 − d)·g        η = α·m              d: dampening, 0 at the first step
//! lr_inside    m ← γ·m + α·g              η = m                (O7)
//! ema          m ← β·m + (1 − β)·g        η = α·m              (O8)
//! NAG          m ← γ·m + (1 − d)·g        η = α·(g + γ·m)      the rewritten form: w is the look-ahead point
//! ```
//!
//! All are one rule: m ← a·m + b·g, η = c·m + e·g. The two named forms of momentum are equal while α is constant; when it
//! drops, `lr_inside` goes on with the old α inside m.

use crate::real::Real;
use crate::rule::FourStep;

/// SGD without momentum.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sgd {
    /// α.
    pub lr: f64,
}

/// The coefficient of one step of [`Sgd`]. No state.
#[derive(Clone, Copy, Debug)]
pub struct SgdStep<T> {
    lr: T,
}

impl Sgd {
    /// The coefficients; they are the same at every step.
    #[must_use]
    pub fn at<T: Real>(&self) -> SgdStep<T> {
        SgdStep { lr: T::from_f64(self.lr) }
    }
}

impl<T: Real> FourStep<T, 0> for SgdStep<T> {
    #[inline(always)]
    fn moments(self, _: T, _: T, state: [T; 0]) -> [T; 0] {
        state
    }

    #[inline(always)]
    fn direction(self, _: T, g: T, _: &mut [T; 0]) -> T {
        self.lr * g
    }
}

/// How momentum takes the gradient in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// m ← γ·m + (1 − d)·g, η = α·m.
    Torch,
    /// m ← γ·m + α·g, η = m.
    LrInside,
    /// m ← β·m + (1 − β)·g, η = α·m.
    Ema,
    /// m ← γ·m + (1 − d)·g, η = α·(g + γ·m).
    Nesterov,
}

/// SGD with momentum.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Momentum {
    /// α.
    pub lr: f64,
    /// γ, or β₁ in the form of a moving average.
    pub momentum: f64,
    /// d.
    pub dampening: f64,
    /// Which of the forms.
    pub form: Form,
}

/// The coefficients of one step of [`Momentum`]. State: `momentum_buffer`.
#[derive(Clone, Copy, Debug)]
pub struct MomentumStep<T, const NESTEROV: bool> {
    momentum: T,
    gradient: T,
    lr: T,
}

impl Momentum {
    /// The coefficients; `first` while the buffer holds no gradient yet, when torch ignores dampening.
    #[must_use]
    pub fn at<T: Real, const NESTEROV: bool>(&self, first: bool) -> MomentumStep<T, NESTEROV> {
        let (gradient, lr) = match self.form {
            Form::Torch | Form::Nesterov if first => (1.0, self.lr),
            Form::Torch | Form::Nesterov => (1.0 - self.dampening, self.lr),
            Form::LrInside => (self.lr, 1.0),
            Form::Ema => (1.0 - self.momentum, self.lr),
        };
        MomentumStep { momentum: T::from_f64(self.momentum), gradient: T::from_f64(gradient), lr: T::from_f64(lr) }
    }
}

impl<T: Real, const NESTEROV: bool> FourStep<T, 1> for MomentumStep<T, NESTEROV> {
    #[inline(always)]
    fn moments(self, _: T, g: T, [m]: [T; 1]) -> [T; 1] {
        [self.momentum * m + self.gradient * g]
    }

    #[inline(always)]
    fn direction(self, _: T, g: T, [m]: &mut [T; 1]) -> T {
        if NESTEROV { self.lr * (g + self.momentum * *m) } else { self.lr * *m }
    }
}
