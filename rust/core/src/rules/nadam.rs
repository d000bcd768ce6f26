//! Nadam: Adam that looks ahead, in the forms that need no gradient elsewhere: with Dozat's momentum schedule (2016), or
//! without.
//!
//! ```text
//! μ_t = β₁·(1 − ½·0.96^(t·ψ))            Π_t = μ_1·…·μ_t
//! m ← β₁·m + (1 − β₁)·g                  v ← β₂·v + (1 − β₂)·g²
//! η = (α·(1 − μ_t)/(1 − Π_t)·g + α·μ_{t+1}/(1 − Π_{t+1})·m) / (√(v/(1 − β₂^t)) + ε)
//! simple: (α·(1 − β₁)/(1 − β₁^t)·g + α·β₁/(1 − β₁^(t+1))·m)
//! ```

use super::compose::{Composed, Direction, Mix, Phi, Psi};
use super::epsilon::Epsilon;

/// Hyper-parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Nadam {
    /// α.
    pub lr: f64,
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// ε.
    pub epsilon: Epsilon,
    /// How g and m are mixed.
    pub mix: Mix,
}

impl Nadam {
    /// Its four steps. State: `exp_avg`, `exp_avg_sq`.
    #[must_use]
    pub fn composed(&self) -> Composed {
        Composed {
            lr: self.lr,
            first: Phi::Ahead { beta: self.beta1, mix: self.mix },
            second: Psi::Ema { beta: self.beta2, corrected: true },
            direction: Direction::Ratio { epsilon: self.epsilon, lr_decay: 0.0, lr_last: false },
        }
    }
}
