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

pub mod adan;
pub mod ademamix;
pub mod adopt;
pub mod compose;
pub mod epsilon;
pub mod ftrl;
pub mod lamb;
pub mod lars;
pub mod lion;
pub mod lookahead;
pub mod nadam;
pub mod radam;
pub mod rmsprop;
pub mod rprop;
pub mod schedule_free;
pub mod sgd;
pub mod signum;
pub mod triple;
pub mod trust;
pub mod yogi;

use crate::exec::Exec;
use crate::pass::{Pass, Segment, step};
use crate::real::Real;
use crate::rule::{FourStep, MAX_STATE};
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
    /// Signum.
    Signum(signum::Signum),
    /// Lion.
    Lion(lion::Lion),
    /// Adan.
    Adan(adan::Adan),
    /// ADOPT.
    Adopt(adopt::Adopt),
    /// AdEMAMix.
    AdEmaMix(ademamix::AdEmaMix),
    /// Rprop.
    Rprop(rprop::Rprop),
    /// FTRL-Proximal.
    Ftrl(ftrl::Ftrl),
    /// Schedule-Free SGD.
    ScheduleFreeSgd(schedule_free::ScheduleFree),
    /// Schedule-Free AdamW.
    ScheduleFreeAdamW(schedule_free::ScheduleFree, schedule_free::Scaling),
    /// LAMB; each segment is one parameter array.
    Lamb(lamb::Lamb),
    /// LARS; each segment is one parameter array.
    Lars(lars::Lars),
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

/// Which of these state buffers are first moments: of both signs, and multiplied by the learning rate.
#[must_use]
pub fn first_moments(states: &[&str]) -> [bool; MAX_STATE] {
    const NAMES: [&str; 6] =
        ["exp_avg", "momentum_buffer", "grad_avg", "exp_avg_diff", "exp_avg_slow", "exp_avg_fast"];
    let mut first = [false; MAX_STATE];
    for (first, name) in first.iter_mut().zip(states) {
        *first = NAMES.contains(name);
    }
    first
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
            Self::Signum(_) => &["momentum_buffer"],
            Self::Lion(_) => &["exp_avg"],
            Self::Adan(_) => &["exp_avg", "exp_avg_diff", "exp_avg_sq", "neg_pre_grad"],
            Self::Adopt(_) | Self::Lamb(_) => &["exp_avg", "exp_avg_sq"],
            Self::AdEmaMix(_) => &["exp_avg_fast", "exp_avg_slow", "exp_avg_sq"],
            Self::Rprop(_) => &["prev", "step_size"],
            Self::Ftrl(_) => &["accumulator", "linear"],
            Self::ScheduleFreeSgd(_) => &["z"],
            Self::ScheduleFreeAdamW(..) => &["z", "exp_avg_sq"],
            Self::Lars(r) if r.momentum > 0.0 => &["momentum_buffer"],
            Self::Lars(_) => &[],
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
            Self::Signum(r) => Some(r.composed()),
            Self::AdaDelta(_) | Self::RmsProp { .. } | Self::AlongMomentum(_) | Self::AlongRatio(_) => None,
            Self::Lion(_) | Self::Rprop(_) | Self::Adan(_) | Self::Adopt(_) | Self::AdEmaMix(_) => None,
            Self::Ftrl(_) | Self::ScheduleFreeSgd(_) | Self::ScheduleFreeAdamW(..) => None,
            Self::Lamb(_) | Self::Lars(_) => None,
        }
    }

    /// Takes step `t`, counted from 1, over all segments.
    pub fn step<T: Real>(&self, exec: &Exec, t: u64, pass: &Pass<'_, T>, segments: &mut [Segment<'_, T>]) {
        let pass = &Pass { first_moments: first_moments(self.states()), ..*pass };
        match self {
            Self::Lamb(r) => r.step(exec, t, pass, segments),
            Self::Lars(r) => r.step(exec, pass, segments),
            _ => self.visit(t, Step { exec, pass, segments }),
        }
    }

    /// Whether rows of a table can step by it: of the triples, the plain ones; and FTRL.
    #[must_use]
    pub fn has_rows(&self) -> bool {
        matches!(self, Self::Ftrl(_)) || self.composed().is_some_and(|composed| composed.at(1).is_plain())
    }

    /// Gives the kernel of step `t` to `visitor`, if rows can step by it.
    ///
    /// # Panics
    /// Where [`Self::has_rows`] is not true.
    pub(crate) fn visit_rows<T: Real, V: Visitor<T>>(&self, t: u64, visitor: V) -> V::Out {
        match (self, self.composed()) {
            (_, Some(composed)) => composed.at(t).visit_plain(visitor),
            (Self::Ftrl(r), _) if r.power == 0.5 => visitor.with(r.at::<T, true>()),
            (Self::Ftrl(r), _) => visitor.with(r.at::<T, false>()),
            _ => panic!("{self:?} has no kernel for rows"),
        }
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
            Self::Lion(r) => visitor.with(r.at()),
            Self::Rprop(r) => visitor.with(r.at()),
            Self::Adan(r) => visitor.with(r.at(t)),
            Self::Adopt(r) => visitor.with(r.at(t)),
            Self::AdEmaMix(r) => visitor.with(r.at(t)),
            Self::Ftrl(r) if r.power == 0.5 => visitor.with(r.at::<T, true>()),
            Self::Ftrl(r) => visitor.with(r.at::<T, false>()),
            Self::ScheduleFreeSgd(r) => visitor.with(r.at()),
            Self::ScheduleFreeAdamW(r, scaling) => visitor.with(r.scaled(*scaling)),
            // Where their ratio is 1; `step` measures it.
            Self::Lamb(r) => visitor.with(r.at(t, r.lr)),
            Self::Lars(r) if r.momentum > 0.0 => visitor.with(r.at(1.0)),
            Self::Lars(r) => visitor.with(r.plain(1.0)),
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
