//! FTRL-Proximal: the regularised leader in closed form, with exact zeros (McMahan et al. 2013, algorithm 1).
//!
//! ```text
//! n' = n + g²                                       p: the power −lr_power, ½ in the paper
//! z ← z + g + s·w − (n'^p − n^p)/α · w              s: l2 shrinkage; it does not enter n
//! w ← (clip(z, ±λ₁) − z) / ((β + n'^p)/α + λ₂)      0 exactly where |z| <= λ₁
//! ```
//!
//! λ₂ and s are those of the penalties ½·λ₂·‖w‖² and ½·s·‖w‖²: TensorFlow's, which leave out the ½, are doubled before
//! they come here. The frame leaks: w is solved for, not moved, so the "direction" is the new w and step 4 takes it.
//!
//! p = ½ is a square root. Any other power is e^(p·ln n) in `f64` by our own [`exp`] and [`ln`]: bits that the twin has
//! too, within some 2 + |p·ln n| ulp of `f64` of the true power.

use crate::elementary::{exp, ln};
use crate::real::Real;
use crate::rule::FourStep;

/// Hyper-parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Ftrl {
    /// α, above 0.
    pub lr: f64,
    /// p = −lr_power, from 0 on.
    pub power: f64,
    /// λ₁.
    pub l1: f64,
    /// λ₂, of ½·λ₂·‖w‖².
    pub l2: f64,
    /// s, of ½·s·‖w‖².
    pub shrinkage: f64,
    /// β.
    pub beta: f64,
}

/// The coefficients of one step; `ROOT`: the power is ½. State: `accumulator` (n), `linear` (z).
#[derive(Clone, Copy, Debug)]
pub struct FtrlStep<T, const ROOT: bool> {
    power: f64,
    inverse_lr: T,
    l1: T,
    /// β/α + λ₂.
    ridge: T,
    shrinkage: T,
}

impl Ftrl {
    /// The coefficients; they are the same at every step.
    #[must_use]
    pub fn at<T: Real, const ROOT: bool>(&self) -> FtrlStep<T, ROOT> {
        FtrlStep {
            power: self.power,
            inverse_lr: T::from_f64(1.0 / self.lr),
            l1: T::from_f64(self.l1),
            ridge: T::from_f64(self.beta / self.lr + self.l2),
            shrinkage: T::from_f64(self.shrinkage),
        }
    }
}

impl<T: Real, const ROOT: bool> FtrlStep<T, ROOT> {
    /// n^p.
    #[inline(always)]
    fn raised(self, n: T) -> T {
        if ROOT {
            n.sqrt()
        } else if self.power == 0.0 {
            T::ONE
        } else {
            T::from_f64(exp(self.power * ln(n.to_f64())))
        }
    }
}

impl<T: Real, const ROOT: bool> FourStep<T, 2> for FtrlStep<T, ROOT> {
    #[inline(always)]
    fn moments(self, w: T, g: T, [n, z]: [T; 2]) -> [T; 2] {
        let next = n + g * g;
        let sigma = (self.raised(next) - self.raised(n)) * self.inverse_lr;
        let shrunk = if self.shrinkage == T::ZERO { g } else { g + self.shrinkage * w };
        [next, z + (shrunk - sigma * w)]
    }

    /// The new w.
    #[inline(always)]
    fn direction(self, w: T, _: T, [n, z]: &mut [T; 2]) -> T {
        let clipped = if *z > self.l1 { self.l1 } else { *z };
        let clipped = if clipped < -self.l1 { -self.l1 } else { clipped };
        let quadratic = self.raised(*n) * self.inverse_lr + self.ridge;
        // Without any gradient yet, and nothing in place of one, there is nothing to solve: w stays.
        if quadratic == T::ZERO { w } else { (clipped - *z) / quadratic }
    }

    #[inline(always)]
    fn update(self, _: T, solved: T, _: T) -> T {
        solved
    }
}
