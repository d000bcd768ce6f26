//! LAMB: Adam whose step has, for each parameter array, the size of the array (You et al. 2020, algorithm 2).
//!
//! ```text
//! m ← β₁·m + (1 − β₁)·g          m̂ = m / (1 − β₁^t)
//! v ← β₂·v + (1 − β₂)·g²         v̂ = v / (1 − β₂^t)
//! u = m̂/(√v̂ + ε) + λ·w
//! η = α·r·u                      r = ‖w‖/‖u‖ over the array; 1 where a norm is 0 or not finite
//! ```
//!
//! The frame leaks: r needs u of every element before the first is written. A dry run measures both norms
//! ([`crate::measure`]), so the arrays are read twice and written once.

use super::trust::{before_caution, per_array, ratio, square};
use crate::coefficients::power;
use crate::exec::Exec;
use crate::measure::measure;
use crate::pass::{Pass, Segment};
use crate::real::Real;
use crate::rule::FourStep;

/// Hyper-parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Lamb {
    /// α.
    pub lr: f64,
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// ε, outside the root.
    pub eps: f64,
    /// λ, inside the ratio.
    pub weight_decay: f64,
    /// Whether the moments are corrected for their start at zero.
    pub bias_correction: bool,
    /// Whether r is measured; else it is 1.
    pub adapt: bool,
}

/// The coefficients of one step. State: `exp_avg`, `exp_avg_sq`.
#[derive(Clone, Copy, Debug)]
pub struct LambStep<T> {
    beta: [T; 2],
    one_minus_beta: [T; 2],
    correction: T,
    root: T,
    eps: T,
    weight_decay: T,
    rate: T,
}

impl Lamb {
    /// The coefficients of step `t`, counted from 1, where `rate` is α·r.
    #[must_use]
    pub fn at<T: Real>(&self, t: u64, rate: f64) -> LambStep<T> {
        let of = |beta| if self.bias_correction { 1.0 - power(beta, t) } else { 1.0 };
        LambStep {
            beta: [self.beta1, self.beta2].map(T::from_f64),
            one_minus_beta: [self.beta1, self.beta2].map(|b| T::from_f64(1.0 - b)),
            correction: T::from_f64(1.0 / of(self.beta1)),
            root: T::from_f64(1.0 / of(self.beta2).sqrt()),
            eps: T::from_f64(self.eps),
            weight_decay: T::from_f64(self.weight_decay),
            rate: T::from_f64(rate),
        }
    }

    /// Takes step `t` over arrays, each a segment.
    pub fn step<T: Real>(&self, exec: &Exec, t: u64, pass: &Pass<'_, T>, segments: &mut [Segment<'_, T>]) {
        per_array(exec, pass, segments, |array| {
            self.at(t, self.lr * if self.adapt { self.trust(exec, t, pass, array) } else { 1.0 })
        });
    }

    /// r = ‖w‖/‖u‖.
    fn trust<T: Real>(&self, exec: &Exec, t: u64, pass: &Pass<'_, T>, array: &Segment<'_, T>) -> f64 {
        let [w, u] = measure(
            exec,
            self.at(t, 1.0),
            before_caution(pass.frame),
            array,
            #[inline(always)]
            |w: T, _, eta: T| [square(w), square(eta)],
        )
        .map(f64::sqrt);
        ratio(w, u, w / u)
    }
}

impl<T: Real> FourStep<T, 2> for LambStep<T> {
    #[inline(always)]
    fn moments(self, _: T, g: T, [m, v]: [T; 2]) -> [T; 2] {
        [self.beta[0] * m + self.one_minus_beta[0] * g, self.beta[1] * v + self.one_minus_beta[1] * (g * g)]
    }

    #[inline(always)]
    fn direction(self, w: T, _: T, [m, v]: &mut [T; 2]) -> T {
        let u = (self.correction * *m) / (v.sqrt() * self.root + self.eps);
        let u = if self.weight_decay == T::ZERO { u } else { u + self.weight_decay * w };
        self.rate * u
    }
}
