//! Adam: both moments, with the bias of their start at zero taken out (Kingma and Ba 2015, algorithm 1).
//!
//! ```text
//! m ← β₁·m + (1 − β₁)·g          m̂ = m / (1 − β₁^t)
//! v ← β₂·v + (1 − β₂)·g²         v̂ = v / (1 − β₂^t)
//! η = α · m̂ / (√v̂ + ε)
//! ```
//!
//! Computed as η = (α/(1 − β₁^t))·m / (√v · 1/√(1 − β₂^t) + ε): the two corrections are scalars of the step.
//!
//! AMSGrad (Reddi, Kale and Kumar 2018) divides by the largest v so far: V ← max(V, v), corrected like v; or, as optax
//! has it, V̂ ← max(V̂, v̂).

use super::compose::{Composed, Direction, Phi, Psi};
use super::epsilon::Epsilon;

/// Hyper-parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Adam {
    /// α.
    pub lr: f64,
    /// β₁, of the first moment.
    pub beta1: f64,
    /// β₂, of the second moment.
    pub beta2: f64,
    /// ε.
    pub epsilon: Epsilon,
    /// Whether the moments are corrected for their start at zero.
    pub corrected: bool,
    /// Whether the largest v divides.
    pub amsgrad: Option<Largest>,
}

/// Which v's AMSGrad compares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Largest {
    /// V ← max(V, v).
    Raw,
    /// V̂ ← max(V̂, v̂).
    Hat,
}

impl Adam {
    /// Adam with ε outside the root.
    #[must_use]
    pub fn new(lr: f64, beta1: f64, beta2: f64, eps: f64) -> Self {
        Self { lr, beta1, beta2, epsilon: Epsilon::outside(eps), corrected: true, amsgrad: None }
    }

    /// Its four steps. State: `exp_avg`, `exp_avg_sq`, and for AMSGrad `max_exp_avg_sq`.
    #[must_use]
    pub fn composed(&self) -> Composed {
        let Self { lr, beta1, beta2, epsilon, corrected, amsgrad } = *self;
        let second = match amsgrad {
            None => Psi::Ema { beta: beta2, corrected },
            Some(largest) => Psi::Max { beta: beta2, corrected, hat: largest == Largest::Hat },
        };
        Composed {
            lr,
            first: Phi::Ema { beta: beta1, corrected },
            second,
            direction: Direction::Ratio { epsilon, lr_decay: 0.0, lr_last: false },
        }
    }
}
