//! AdaBelief: divides by how far the gradient was from what the momentum expected (Zhuang et al. 2020).
//!
//! ```text
//! m ← β₁·m + (1 − β₁)·g                    m̂ = m / (1 − β₁^t)
//! s ← β₂·s + (1 − β₂)·(g − m)² + ε         ŝ = s / (1 − β₂^t)
//! η = α · m̂ / (√ŝ + ε)
//! ```
//!
//! The paper has one ε in both places; here each is its own.

use super::compose::{Composed, Direction, Phi, Psi};
use super::epsilon::Epsilon;

/// Hyper-parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AdaBelief {
    /// α.
    pub lr: f64,
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// ε of the denominator.
    pub epsilon: Epsilon,
    /// ε that s takes in at every step.
    pub add: f64,
    /// Whether the moments are corrected for their start at zero.
    pub corrected: bool,
}

impl AdaBelief {
    /// Its four steps. State: `exp_avg`, `exp_avg_var`.
    #[must_use]
    pub fn composed(&self) -> Composed {
        let Self { lr, beta1, beta2, epsilon, add, corrected } = *self;
        Composed {
            lr,
            first: Phi::Ema { beta: beta1, corrected },
            second: Psi::Belief { beta: beta2, corrected, eps: add },
            direction: Direction::Ratio { epsilon, lr_decay: 0.0, lr_last: false },
        }
    }
}
