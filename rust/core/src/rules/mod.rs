//! One rule family a file: formula on top, hyper-parameters in `f64`, the coefficients of a step, the three functions.
//!
//! [`Rule`] is the list of them all, and the place where a rule that is known at run time meets the loop that is
//! compiled for it. To add a rule: a file like `adam.rs`, a line in [`Rule`], a line in [`Rule::states`], one in
//! [`Rule::step`], and its scalar formula in `naive.rs`.

pub mod adadelta;
pub mod adagrad;
pub mod adam;
pub mod epsilon;
pub mod lookahead;
pub mod nadam;
pub mod rmsprop;
pub mod sgd;

use crate::exec::Exec;
use crate::pass::{Pass, Segment, step};
use crate::real::Real;
use sgd::Form;

/// Any rule, with its hyper-parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Rule {
    /// SGD without momentum.
    Sgd(sgd::Sgd),
    /// SGD with momentum, in any form; Nesterov's is NAG. `first`: the buffer holds no gradient yet.
    Momentum {
        /// Hyper-parameters.
        rule: sgd::Momentum,
        /// Whether this is the buffer's first step.
        first: bool,
    },
    /// AdaGrad.
    AdaGrad(adagrad::AdaGrad),
    /// AdaDelta.
    AdaDelta(adadelta::AdaDelta),
    /// RMSProp.
    RmsProp {
        /// Hyper-parameters.
        rule: rmsprop::RmsProp,
        /// Whether the variance about the mean is used.
        centered: bool,
    },
    /// Adam.
    Adam(adam::Adam),
    /// Nadam.
    Nadam(nadam::Nadam),
    /// The look-ahead, and the update, of NAG.
    AlongMomentum(lookahead::AlongMomentum),
    /// The look-ahead, and the update, of the notes' Nadam.
    AlongRatio(lookahead::AlongRatio),
}

impl Rule {
    /// The names of the state buffers, in the order in which a [`Segment`] holds them.
    #[must_use]
    pub fn states(&self) -> &'static [&'static str] {
        match self {
            Self::Sgd(_) => &[],
            Self::Momentum { .. } | Self::AlongMomentum(_) => &["momentum_buffer"],
            Self::AdaGrad(_) => &["sum"],
            Self::AdaDelta(_) => &["square_avg", "acc_delta"],
            Self::RmsProp { rule, centered } => match (centered, rule.momentum > 0.0) {
                (false, false) => &["square_avg"],
                (true, false) => &["square_avg", "grad_avg"],
                (false, true) => &["square_avg", "momentum_buffer"],
                (true, true) => &["square_avg", "grad_avg", "momentum_buffer"],
            },
            Self::Adam(_) | Self::Nadam(_) | Self::AlongRatio(_) => &["exp_avg", "exp_avg_sq"],
        }
    }

    /// Takes step `t`, counted from 1, over all segments.
    pub fn step<T: Real>(&self, exec: &Exec, t: u64, pass: &Pass<'_, T>, segments: &mut [Segment<'_, T>]) {
        match self {
            Self::Sgd(r) => step(exec, r.at(), pass, segments),
            Self::Momentum { rule, first } => match rule.form {
                Form::Nesterov => step(exec, rule.at::<T, true>(*first), pass, segments),
                _ => step(exec, rule.at::<T, false>(*first), pass, segments),
            },
            Self::AdaGrad(r) => step(exec, r.at(t), pass, segments),
            Self::AdaDelta(r) => step(exec, r.at(), pass, segments),
            Self::RmsProp { rule, centered } => match (centered, rule.momentum > 0.0) {
                (false, false) => step(exec, rule.at::<T, false, false>(), pass, segments),
                (true, false) => step(exec, rule.at::<T, true, false>(), pass, segments),
                (false, true) => step(exec, rule.at::<T, false, true>(), pass, segments),
                (true, true) => step(exec, rule.at::<T, true, true>(), pass, segments),
            },
            Self::Adam(r) => step(exec, r.at(t), pass, segments),
            Self::Nadam(r) => step(exec, r.at(t), pass, segments),
            Self::AlongMomentum(r) => step(exec, r.at(), pass, segments),
            Self::AlongRatio(r) => step(exec, r.at(t), pass, segments),
        }
    }
}

#[cfg(test)]
mod tests;
