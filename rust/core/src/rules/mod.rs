//! One rule family a file: formula on top, hyper-parameters in `f64`, and what they make of a step.
//!
//! A rule that fits the frame is a name for a triple ([`compose`]) and has no kernel of its own: the kernels are in
//! [`triple`]. One that leaks (AdaDelta, RMSProp with its options, the look-ahead moves) writes its three functions.
//!
//! [`Rule`] is the list of them all, and the place where a rule that is known at run time meets the loop that is
//! compiled for it. To add a rule: a file like `adam.rs`, a line in [`Rule`], a line in [`Rule::states`], one in
//! [`Rule::step`], and its scalar formula in `naive.rs`.

pub mod adabelief;
pub mod adadelta;
pub mod adagrad;
pub mod adam;
pub mod adamax;
pub mod compose;
pub mod epsilon;
pub mod lookahead;
pub mod nadam;
pub mod radam;
pub mod rmsprop;
pub mod sgd;
pub mod triple;
pub mod yogi;

use crate::exec::Exec;
use crate::pass::{Pass, Segment, step};
use crate::real::Real;
use crate::rule::FourStep;
use compose::Composed;
use triple::Visitor;

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
    /// Adamax.
    Adamax(adamax::Adamax),
    /// RAdam.
    RAdam(radam::RAdam),
    /// AdaBelief.
    AdaBelief(adabelief::AdaBelief),
    /// Yogi.
    Yogi(yogi::Yogi),
    /// Any triple.
    FourStep(Composed),
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
            Self::Adam(adam::Adam { amsgrad: Some(_), .. }) => &["exp_avg", "exp_avg_sq", "max_exp_avg_sq"],
            Self::Adam(_) | Self::Nadam(_) | Self::RAdam(_) | Self::Yogi(_) | Self::AlongRatio(_) => {
                &["exp_avg", "exp_avg_sq"]
            }
            Self::Adamax(_) => &["exp_avg", "exp_inf"],
            Self::AdaBelief(_) => &["exp_avg", "exp_avg_var"],
            Self::FourStep(r) => r.states(),
        }
    }

    /// The triple that it is a name for; none, where the frame leaks.
    #[must_use]
    pub fn composed(&self) -> Option<Composed> {
        match self {
            Self::Sgd(r) => Some(r.composed()),
            Self::Momentum { rule, first } => Some(rule.composed(*first)),
            Self::AdaGrad(r) => Some(r.composed()),
            Self::RmsProp { rule, centered: false } if rule.momentum == 0.0 => Some(rule.composed()),
            Self::Adam(r) => Some(r.composed()),
            Self::Nadam(r) => Some(r.composed()),
            Self::Adamax(r) => Some(r.composed()),
            Self::RAdam(r) => Some(r.composed()),
            Self::AdaBelief(r) => Some(r.composed()),
            Self::Yogi(r) => Some(r.composed()),
            Self::FourStep(r) => Some(*r),
            Self::AdaDelta(_) | Self::RmsProp { .. } | Self::AlongMomentum(_) | Self::AlongRatio(_) => None,
        }
    }

    /// Takes step `t`, counted from 1, over all segments.
    pub fn step<T: Real>(&self, exec: &Exec, t: u64, pass: &Pass<'_, T>, segments: &mut [Segment<'_, T>]) {
        self.visit(t, Step { exec, pass, segments });
    }

    /// Gives the kernel of step `t` to `visitor`.
    pub(crate) fn visit<T: Real, V: Visitor<T>>(&self, t: u64, visitor: V) -> V::Out {
        if let Some(composed) = self.composed() {
            return composed.at(t).visit(visitor);
        }
        match self {
            Self::AdaDelta(r) => visitor.with(r.at()),
            Self::RmsProp { rule, centered } => match (centered, rule.momentum > 0.0) {
                (true, false) => visitor.with(rule.at::<T, true, false>()),
                (false, true) => visitor.with(rule.at::<T, false, true>()),
                (true, true) => visitor.with(rule.at::<T, true, true>()),
                (false, false) => unreachable!("a triple"),
            },
            Self::AlongMomentum(r) => visitor.with(r.at()),
            Self::AlongRatio(r) => visitor.with(r.at(t)),
            _ => unreachable!("a triple"),
        }
    }
}

/// A step over all segments by whichever kernel it is.
struct Step<'a, 'b, T> {
    exec: &'a Exec,
    pass: &'a Pass<'a, T>,
    segments: &'a mut [Segment<'b, T>],
}

impl<T: Real> Visitor<T> for Step<'_, '_, T> {
    type Out = ();

    fn with<R: FourStep<T, S>, const S: usize>(self, rule: R) {
        step(self.exec, rule, self.pass, self.segments);
    }
}

#[cfg(test)]
mod tests;
