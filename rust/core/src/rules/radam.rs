//! RAdam: Adam that does not divide while v has seen too little to divide by (Liu et al. 2020).
//!
//! ```text
//! m, v as Adam's                 ρ_∞ = 2/(1 − β₂) − 1          ρ_t = ρ_∞ − 2·t·β₂^t/(1 − β₂^t)
//! ρ_t > 5:   η = α · r_t · m̂ / (√v̂ + ε)       r_t² = (ρ_t − 4)·(ρ_t − 2)·ρ_∞ / ((ρ_∞ − 4)·(ρ_∞ − 2)·ρ_t)
//! else:      η = α · m̂
//! ```
//!
//! torch adds ε before v is corrected: (√v + ε)/√(1 − β₂^t).

use super::compose::{Composed, Direction, Phi, Psi};
use super::epsilon::Epsilon;

/// Hyper-parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RAdam {
    /// α.
    pub lr: f64,
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// ε.
    pub epsilon: Epsilon,
}

impl RAdam {
    /// Its four steps. State: `exp_avg`, `exp_avg_sq`.
    #[must_use]
    pub fn composed(&self) -> Composed {
        Composed {
            lr: self.lr,
            first: Phi::Ema { beta: self.beta1, corrected: true },
            second: Psi::Ema { beta: self.beta2, corrected: true },
            direction: Direction::Rectified { epsilon: self.epsilon },
        }
    }
}
