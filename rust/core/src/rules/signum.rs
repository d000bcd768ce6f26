//! Signum: steps of one size along the sign of the momentum (Bernstein et al. 2018).
//!
//! ```text
//! m ← γ·m + (1 − γ)·g
//! η = α·sign(m)                  sign(0) = 0; γ = 0 is signSGD
//! ```

use super::compose::{Composed, Direction, Phi, Psi};

/// Hyper-parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Signum {
    /// α.
    pub lr: f64,
    /// γ.
    pub momentum: f64,
}

impl Signum {
    /// Its four steps. State: `momentum_buffer`.
    #[must_use]
    pub fn composed(&self) -> Composed {
        Composed {
            lr: self.lr,
            first: Phi::Ema { beta: self.momentum, corrected: false },
            second: Psi::None,
            direction: Direction::Sign,
        }
    }
}
