//! Adamax: Adam with the infinity norm in place of the root mean square (Kingma and Ba 2015, algorithm 2).
//!
//! ```text
//! m ← β₁·m + (1 − β₁)·g          m̂ = m / (1 − β₁^t)
//! u ← max(β₂·u, |g| + ε)         ε in the norm (torch), or outside it: η = α·m̂/(u + ε) (Keras)
//! η = α · m̂ / u
//! ```
//!
//! u needs no correction: it starts at the first |g|.

use super::compose::{Composed, Direction, Phi, Psi};
use super::epsilon::Epsilon;

/// Hyper-parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Adamax {
    /// α.
    pub lr: f64,
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// ε.
    pub eps: f64,
    /// Whether ε stands inside the norm.
    pub eps_inside: bool,
    /// Whether m is corrected for its start at zero.
    pub corrected: bool,
}

impl Adamax {
    /// Its four steps. State: `exp_avg`, `exp_inf`.
    #[must_use]
    pub fn composed(&self) -> Composed {
        let Self { lr, beta1, beta2, eps, eps_inside, corrected } = *self;
        let (inside, outside) = if eps_inside { (eps, 0.0) } else { (0.0, eps) };
        Composed {
            lr,
            first: Phi::Ema { beta: beta1, corrected },
            second: Psi::Infinity { beta: beta2, eps: inside },
            direction: Direction::Ratio { epsilon: Epsilon::outside(outside), lr_decay: 0.0, lr_last: false },
        }
    }
}
