//! SGD, with momentum in three forms, and Nesterov's (NAG).
//!
//! ```text
//! SGD          η = α·g
//! torch        m ← γ·m + (1 − d)·g        η = α·m              d: dampening, 0 at the first step
//! lr_inside    m ← γ·m + α·g              η = m                (O7)
//! ema          m ← β·m + (1 − β)·g        η = α·m              (O8)
//! NAG          m ← γ·m + (1 − d)·g        η = α·(g + γ·m)      the rewritten form: w is the look-ahead point
//!              m ← γ·m + α·g              η = α·g + γ·m        the same with lr inside (Keras)
//! ```
//!
//! All are one kernel: m ← a·m + b·g, η = c·m. The two named forms of momentum are equal while α is constant; when it
//! drops, `lr_inside` goes on with the old α inside m.

use super::compose::{Composed, Direction, Phi, Psi};

/// SGD without momentum.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sgd {
    /// α.
    pub lr: f64,
}

impl Sgd {
    /// Its four steps. No state.
    #[must_use]
    pub fn composed(&self) -> Composed {
        Composed { lr: self.lr, first: Phi::Plain, second: Psi::None, direction: Direction::Plain }
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
    /// m ← γ·m + α·g, η = α·g + γ·m.
    NesterovInside,
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

impl Momentum {
    /// Its four steps; `first` while the buffer holds no gradient yet, when torch ignores dampening. State:
    /// `momentum_buffer`.
    #[must_use]
    pub fn composed(&self, first: bool) -> Composed {
        let Self { lr, momentum, dampening, form } = *self;
        let started = !first;
        let first = match form {
            Form::Torch => Phi::HeavyBall { momentum, dampening, started },
            Form::LrInside => Phi::LrInside { momentum, ahead: false },
            Form::NesterovInside => Phi::LrInside { momentum, ahead: true },
            Form::Ema => Phi::Ema { beta: momentum, corrected: false },
            Form::Nesterov => Phi::Nesterov { momentum, dampening, started },
        };
        Composed { lr, first, second: Psi::None, direction: Direction::Plain }
    }
}
