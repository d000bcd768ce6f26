//! AdaGrad: parameters that were updated rarely learn more from each sample (Duchi, Hazan and Singer 2011; O12).
//!
//! ```text
//! V ← V + g²
//! η = α_t · g / (√V + ε)         α_t = α / (1 + (t − 1)·decay)
//! ```

use super::compose::{Composed, Direction, Phi, Psi};
use super::epsilon::Epsilon;

/// Hyper-parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AdaGrad {
    /// α.
    pub lr: f64,
    /// The decay of α.
    pub lr_decay: f64,
    /// ε.
    pub eps: f64,
    /// Whether ε stands inside the root.
    pub eps_inside: bool,
}

impl AdaGrad {
    /// Its four steps. State: `sum`.
    #[must_use]
    pub fn composed(&self) -> Composed {
        let epsilon = Epsilon::placed(self.eps, self.eps_inside);
        Composed {
            lr: self.lr,
            first: Phi::Plain,
            second: Psi::Sum,
            direction: Direction::Ratio { epsilon, lr_decay: self.lr_decay, lr_last: false },
        }
    }

    /// α_t.
    #[must_use]
    pub fn rate(&self, t: u64) -> f64 {
        self.lr / (1.0 + (t - 1) as f64 * self.lr_decay)
    }
}
