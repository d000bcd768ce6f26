//! Rprop: a step size for each parameter, from the signs of its gradients alone (Riedmiller and Braun 1993, without
//! weight backtracking, as torch has it).
//!
//! ```text
//! p = sign(g·g₋₁)
//! s ← clamp(s·η⁺, s·1 or s·η⁻ as p is 1, 0 or −1)
//! g ← 0 where p < 0                         the step after a turn is skipped, and has no turn itself
//! η = s·sign(g)                             g₋₁ ← g
//! ```
//!
//! The frame leaks: α is the first s only, and the state holds the step itself.

use super::triple::sign;
use crate::real::Real;
use crate::rule::FourStep;

/// Hyper-parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rprop {
    /// η⁻, η⁺: the factors after a turn and without one.
    pub etas: (f64, f64),
    /// The smallest and the largest step.
    pub step_sizes: (f64, f64),
}

/// The coefficients of one step. State: `prev`, `step_size`.
#[derive(Clone, Copy, Debug)]
pub struct RpropStep<T> {
    shrink: T,
    grow: T,
    least: T,
    most: T,
}

impl Rprop {
    /// The coefficients; they are the same at every step.
    #[must_use]
    pub fn at<T: Real>(&self) -> RpropStep<T> {
        RpropStep {
            shrink: T::from_f64(self.etas.0),
            grow: T::from_f64(self.etas.1),
            least: T::from_f64(self.step_sizes.0),
            most: T::from_f64(self.step_sizes.1),
        }
    }
}

impl<T: Real> FourStep<T, 2> for RpropStep<T> {
    /// The product of the signs, not of the numbers: that underflows.
    #[inline(always)]
    fn moments(self, _: T, g: T, [prev, size]: [T; 2]) -> [T; 2] {
        let turn = sign(g) * sign(prev);
        let factor = if turn > T::ZERO {
            self.grow
        } else if turn < T::ZERO {
            self.shrink
        } else {
            turn + T::ONE
        };
        let size = size * factor;
        let size = if size < self.least { self.least } else { size };
        let size = if size > self.most { self.most } else { size };
        [if turn < T::ZERO { T::ZERO } else { g }, size]
    }

    #[inline(always)]
    fn direction(self, _: T, _: T, [prev, size]: &mut [T; 2]) -> T {
        *size * sign(*prev)
    }
}
