//! Yogi: the second moment moves towards g² by a step whose size depends on g² alone, so it rises and falls slowly (Zaheer
//! et al. 2018).
//!
//! ```text
//! m ← β₁·m + (1 − β₁)·g
//! v ← v − (1 − β₂)·sign(v − g²)·g²
//! η = α · m / (√v + ε)
//! ```

use super::compose::{Composed, Direction, Phi, Psi};
use super::epsilon::Epsilon;

/// Hyper-parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Yogi {
    /// α.
    pub lr: f64,
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// ε.
    pub epsilon: Epsilon,
    /// Whether the moments are divided by 1 − β^t; the paper's are not.
    pub corrected: bool,
}

impl Yogi {
    /// Its four steps. State: `exp_avg`, `exp_avg_sq`.
    #[must_use]
    pub fn composed(&self) -> Composed {
        let Self { lr, beta1, beta2, epsilon, corrected } = *self;
        Composed {
            lr,
            first: Phi::Ema { beta: beta1, corrected },
            second: Psi::Yogi { beta: beta2, corrected },
            direction: Direction::Ratio { epsilon, lr_decay: 0.0, lr_last: false },
        }
    }
}
