//! LARS: SGD whose gradients are scaled, for each parameter array, to the size of the array (You et al. 2017).
//!
//! ```text
//! r = c·‖w‖/(‖g‖ + λ·‖w‖ + ε)    over the array; 1 where a norm is 0 or not finite
//! d = r·(g + λ·w)
//! m ← γ·m + (1 − d₀)·d           d₀: dampening, 0 at the first step
//! η = α·m                        Nesterov: α·(d + γ·m); without momentum: α·d
//! ```
//!
//! The frame leaks: r needs the norms before the first element is written. They are measured first, so w and g are
//! read twice.

use super::trust::{before_caution, per_array, ratio, square};
use crate::exec::Exec;
use crate::measure::measure;
use crate::pass::{Pass, Segment};
use crate::real::Real;
use crate::rule::FourStep;

/// Hyper-parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Lars {
    /// α.
    pub lr: f64,
    /// γ; 0 has no state.
    pub momentum: f64,
    /// d₀.
    pub dampening: f64,
    /// Whether η looks ahead.
    pub nesterov: bool,
    /// λ, inside the ratio.
    pub weight_decay: f64,
    /// c.
    pub trust_coefficient: f64,
    /// ε, added to the divisor of r.
    pub eps: f64,
    /// Whether r is measured; else it is 1.
    pub adapt: bool,
    /// Whether the buffer holds no gradient yet.
    pub first: bool,
}

/// The coefficients of one step. State: with momentum, `momentum_buffer`.
#[derive(Clone, Copy, Debug)]
pub struct LarsStep<T> {
    trust: T,
    weight_decay: T,
    lr: T,
    momentum: T,
    gradient: T,
    nesterov: bool,
}

impl Lars {
    /// The coefficients, where `trust` is r.
    #[must_use]
    pub fn at<T: Real>(&self, trust: f64) -> LarsStep<T> {
        LarsStep {
            trust: T::from_f64(trust),
            weight_decay: T::from_f64(self.weight_decay),
            lr: T::from_f64(self.lr),
            momentum: T::from_f64(self.momentum),
            gradient: T::from_f64(if self.first { 1.0 } else { 1.0 - self.dampening }),
            nesterov: self.nesterov,
        }
    }

    /// The coefficients without momentum.
    #[must_use]
    pub fn plain<T: Real>(&self, trust: f64) -> LarsPlain<T> {
        LarsPlain(self.at(trust))
    }

    /// Takes a step over arrays, each a segment.
    pub fn step<T: Real>(&self, exec: &Exec, pass: &Pass<'_, T>, segments: &mut [Segment<'_, T>]) {
        let at =
            |array: &Segment<'_, T>| self.at::<T>(if self.adapt { self.trust(exec, pass, array) } else { 1.0 });
        if self.momentum > 0.0 {
            per_array(exec, pass, segments, at);
        } else {
            per_array(exec, pass, segments, |array| LarsPlain(at(array)));
        }
    }

    /// r.
    fn trust<T: Real>(&self, exec: &Exec, pass: &Pass<'_, T>, array: &Segment<'_, T>) -> f64 {
        let [w, g] = measure(
            exec,
            LarsPlain(Self { lr: 1.0, weight_decay: 0.0, ..*self }.at(1.0)), // whose η is g
            before_caution(pass.frame),
            array,
            #[inline(always)]
            |w: T, _, g: T| [square(w), square(g)],
        )
        .map(f64::sqrt);
        ratio(w, g, self.trust_coefficient * w / (g + self.weight_decay * w + self.eps))
    }
}

impl<T: Real> LarsStep<T> {
    /// d.
    #[inline(always)]
    fn scaled(self, w: T, g: T) -> T {
        self.trust * if self.weight_decay == T::ZERO { g } else { g + self.weight_decay * w }
    }
}

impl<T: Real> FourStep<T, 1> for LarsStep<T> {
    #[inline(always)]
    fn moments(self, w: T, g: T, [m]: [T; 1]) -> [T; 1] {
        [self.momentum * m + self.gradient * self.scaled(w, g)]
    }

    #[inline(always)]
    fn direction(self, w: T, g: T, [m]: &mut [T; 1]) -> T {
        self.lr * if self.nesterov { self.scaled(w, g) + self.momentum * *m } else { *m }
    }
}

/// LARS without momentum. No state.
#[derive(Clone, Copy, Debug)]
pub struct LarsPlain<T>(LarsStep<T>);

impl<T: Real> FourStep<T, 0> for LarsPlain<T> {
    #[inline(always)]
    fn moments(self, _: T, _: T, state: [T; 0]) -> [T; 0] {
        state
    }

    #[inline(always)]
    fn direction(self, w: T, g: T, _: &mut [T; 0]) -> T {
        self.0.lr * self.0.scaled(w, g)
    }
}
