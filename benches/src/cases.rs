//! The table of rules that are measured, and the arrays that a step moves.

use fourstep::exec::{CHUNK, Exec};
use fourstep::isa::Level;
use fourstep::pass::{Found, Pass, Segment};
use fourstep::real::Real;
use fourstep::rule::MAX_STATE;
use fourstep::rules::compose::{Composed, Direction, Mix, Phi, Psi};
use fourstep::rules::epsilon::Epsilon;
use fourstep::rules::schedule_free::{Scaling, ScheduleFree};
use fourstep::rules::{
    Rule, adabelief, adadelta, adagrad, adam, adamax, adan, ademamix, adopt, ftrl, lion, nadam, radam, rmsprop,
    rprop, sgd, yogi,
};

/// The step that is measured: not the first, so that no coefficient is 0 or 1 by accident.
pub const STEP: u64 = 7;

/// Every rule that is measured, in order of complexity, with PyTorch's defaults where they matter.
#[must_use]
pub fn rules() -> Vec<(&'static str, Rule)> {
    let momentum = |form| Rule::Momentum {
        rule: sgd::Momentum { lr: 1e-3, momentum: 0.9, dampening: 0.0, form },
        first: false,
    };
    let rmsprop = |momentum, centered| Rule::RmsProp {
        rule: rmsprop::RmsProp { lr: 1e-3, alpha: 0.99, eps: 1e-8, eps_inside: false, momentum, lr_inside: false },
        centered,
    };
    let (lr, beta1, beta2, eps) = (1e-3, 0.9, 0.999, 1e-8);
    let (adam, epsilon) = (adam::Adam::new(lr, beta1, beta2, eps), Epsilon::outside(eps));
    let mix = Mix::Schedule { momentum_decay: 4e-3, mu_product: 0.5 };
    // A triple that no name stands for: Adam's first moment over AdaGrad's second.
    let composed = Composed {
        lr,
        first: Phi::Ema { beta: beta1, corrected: true },
        second: Psi::Sum,
        direction: Direction::Ratio { epsilon, lr_decay: 0.0, lr_last: false },
    };
    let ftrl = |power| Rule::Ftrl(ftrl::Ftrl { lr: 0.1, power, l1: 0.01, l2: 0.01, shrinkage: 0.0, beta: 1.0 });
    let free = ScheduleFree { rate: lr, beta: 0.9, share: 1.0 / STEP as f64, decay: 0.0 };
    vec![
        ("sgd", Rule::Sgd(sgd::Sgd { lr })),
        ("momentum", momentum(sgd::Form::Torch)),
        ("nag", momentum(sgd::Form::Nesterov)),
        ("adagrad", Rule::AdaGrad(adagrad::AdaGrad { lr, lr_decay: 0.0, eps: 1e-10, eps_inside: false })),
        ("adadelta", Rule::AdaDelta(adadelta::AdaDelta { lr: 1.0, rho: 0.9, eps: 1e-6 })),
        ("rmsprop", rmsprop(0.0, false)),
        ("rmsprop_centered", rmsprop(0.0, true)),
        ("rmsprop_momentum", rmsprop(0.9, false)),
        ("adam", Rule::Adam(adam)),
        ("amsgrad", Rule::Adam(adam::Adam { amsgrad: Some(adam::Largest::Raw), ..adam })),
        ("adamax", Rule::Adamax(adamax::Adamax { lr, beta1, beta2, eps, eps_inside: true, corrected: true })),
        ("nadam", Rule::Nadam(nadam::Nadam { lr, beta1, beta2, epsilon, mix })),
        ("radam", Rule::RAdam(radam::RAdam { lr, beta1, beta2, epsilon: Epsilon { hat: true, ..epsilon } })),
        (
            "adabelief",
            Rule::AdaBelief(adabelief::AdaBelief { lr, beta1, beta2, epsilon, add: eps, corrected: true }),
        ),
        ("yogi", Rule::Yogi(yogi::Yogi { lr, beta1, beta2, epsilon, corrected: false })),
        ("lion", Rule::Lion(lion::Lion { lr, beta1, beta2: 0.99 })),
        ("rprop", Rule::Rprop(rprop::Rprop { etas: (0.5, 1.2), step_sizes: (1e-6, 50.0) })),
        ("adopt", Rule::Adopt(adopt::Adopt { lr, beta1, beta2: 0.9999, eps: 1e-6, clip: true })),
        ("ademamix", Rule::AdEmaMix(ademamix::AdEmaMix { lr, beta1, beta2, beta3: 0.9999, alpha: 5.0, eps })),
        ("adan", Rule::Adan(adan::Adan { lr, beta1: 0.98, beta2: 0.92, beta3: 0.99, eps, no_prox: false })),
        ("ftrl", ftrl(0.5)),
        ("ftrl_power", ftrl(0.7)),
        ("schedule_free_sgd", Rule::ScheduleFreeSgd(free)),
        ("schedule_free_adamw", Rule::ScheduleFreeAdamW(free, Scaling { beta2, eps })),
        ("four_step", Rule::FourStep(composed)),
    ]
}

/// How a measured call runs: split over `threads` threads from the first element on.
#[must_use]
pub fn exec(level: Level, threads: usize) -> Exec {
    Exec { level, threads, chunk: CHUNK, serial_below: 0 }
}

/// Parameters, gradients and the state of one rule.
#[derive(Clone, PartialEq, Debug)]
pub struct Arrays<T> {
    /// Parameters.
    pub w: Vec<T>,
    /// Gradients.
    pub g: Vec<T>,
    /// State buffers; those that the rule lacks are empty.
    pub state: [Vec<T>; MAX_STATE],
}

impl<T: Real> Arrays<T> {
    /// `n` elements and `states` state buffers, all from 0.1 to 1: no step over them meets a subnormal number.
    #[must_use]
    pub fn new(n: usize, states: usize) -> Self {
        let buffer = |k: usize| if k < states { noise(3 + k as u64, n) } else { Vec::new() };
        Self { w: noise(1, n), g: noise(2, n), state: std::array::from_fn(buffer) }
    }

    /// Takes the step that is measured.
    pub fn step(&mut self, exec: &Exec, rule: &Rule) {
        let state = self.state.each_mut().map(Vec::as_mut_slice);
        let whole = Segment::new(&mut self.w, &self.g, state);
        rule.step(exec, STEP, &Pass::plain(&Found::default()), &mut [whole]);
    }

    /// Whether all bits are those of `other`.
    #[must_use]
    pub fn same_bits(&self, other: &Self) -> bool {
        let same = |a: &[T], b: &[T]| a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.bits() == y.bits());
        let state = self.state.iter().zip(&other.state).all(|(a, b)| same(a, b));
        state && same(&self.w, &other.w) && same(&self.g, &other.g)
    }
}

/// The bytes that a step over `n` elements must move: w, g and the state in, w and the state out.
#[must_use]
pub fn bytes<T>(n: usize, states: usize) -> u64 {
    (n * (3 + 2 * states) * size_of::<T>()) as u64
}

/// Numbers from 0.1 to 1, the same for the same seed.
#[must_use]
pub fn noise<T: Real>(seed: u64, n: usize) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        T::from_f64(0.1 + 0.9 * ((state >> 40) as f64 / (1u64 << 24) as f64))
    };
    (0..n).map(|_| next()).collect()
}
