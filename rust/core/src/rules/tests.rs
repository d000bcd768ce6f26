//! Every rule × dtype × level × threads × length × offset gives the bits of `naive.rs`, for 50 steps.

use super::compose::{Direction, Mix, Phi, Psi};
use super::epsilon::Epsilon;
use super::sgd::Form;
use super::*;
use crate::isa::Level;
use crate::naive;
use crate::pass::{Cautious, Found};
use crate::rule::{Frame, Gradient, MAX_STATE};

/// One of each rule and option; a new rule is a new line.
fn rules() -> Vec<(String, Rule)> {
    let momentum = |form| Rule::Momentum {
        rule: sgd::Momentum { lr: 0.03, momentum: 0.9, dampening: 0.1, form },
        first: false,
    };
    let rmsprop = |momentum, centered, eps_inside, lr_inside| Rule::RmsProp {
        rule: rmsprop::RmsProp { lr: 0.01, alpha: 0.99, eps: 1e-8, eps_inside, momentum, lr_inside },
        centered,
    };
    let adagrad =
        |eps_inside| Rule::AdaGrad(adagrad::AdaGrad { lr: 0.01, lr_decay: 1e-3, eps: 1e-10, eps_inside });
    let adan = |no_prox| adan::Adan { lr: 1e-2, beta1: 0.98, beta2: 0.92, beta3: 0.99, eps: 1e-8, no_prox };
    let adopt = |clip| adopt::Adopt { lr: 1e-2, beta1: 0.9, beta2: 0.9999, eps: 1e-6, clip };
    let ademamix = ademamix::AdEmaMix { lr: 1e-3, beta1: 0.9, beta2: 0.999, beta3: 0.9999, alpha: 5.0, eps: 1e-8 };
    let ftrl =
        |power, l1, shrinkage| Rule::Ftrl(ftrl::Ftrl { lr: 0.1, power, l1, l2: 0.02, shrinkage, beta: 1.0 });
    let free = |decay| schedule_free::ScheduleFree { rate: 0.02, beta: 0.9, share: 0.2, decay };
    let scaling = schedule_free::Scaling { beta2: 0.999, eps: 1e-8 };
    let lamb = |bias_correction| {
        let (beta1, beta2, eps, weight_decay) = (0.9, 0.999, 1e-6, 0.01);
        Rule::Lamb(lamb::Lamb { lr: 1e-3, beta1, beta2, eps, weight_decay, bias_correction, adapt: false })
    };
    let lars = |momentum, nesterov| {
        let (dampening, weight_decay, trust_coefficient, eps) = (0.1, 0.01, 1e-3, 1e-8);
        let (adapt, first) = (false, false);
        Rule::Lars(lars::Lars {
            lr: 0.1,
            momentum,
            dampening,
            nesterov,
            weight_decay,
            trust_coefficient,
            eps,
            adapt,
            first,
        })
    };
    let (lr, beta1, beta2, epsilon, corrected) = (1e-3, 0.9, 0.999, Epsilon::outside(1e-8), true);
    let adam = adam::Adam::new(lr, beta1, beta2, 1e-8);
    let ratio = |corrected| Rule::AlongRatio(lookahead::AlongRatio { lr, beta1, beta2, epsilon, corrected });
    let schedule = Mix::Schedule { momentum_decay: 4e-3, mu_product: 1.0 };
    let nadam = |mix| Rule::Nadam(nadam::Nadam { lr: 2e-3, beta1, beta2, epsilon, mix });
    let adamax = |eps_inside| Rule::Adamax(adamax::Adamax { lr, beta1, beta2, eps: 1e-3, eps_inside, corrected });
    let named = [
        ("sgd", Rule::Sgd(sgd::Sgd { lr: 0.03 })),
        ("momentum_torch", momentum(Form::Torch)),
        ("momentum_lr_inside", momentum(Form::LrInside)),
        ("momentum_ema", momentum(Form::Ema)),
        ("nag", momentum(Form::Nesterov)),
        ("nag_lr_inside", momentum(Form::NesterovInside)),
        ("adagrad", adagrad(false)),
        ("adagrad_eps_inside", adagrad(true)),
        ("adadelta", Rule::AdaDelta(adadelta::AdaDelta { lr: 1.0, rho: 0.9, eps: 1e-6 })),
        ("rmsprop", rmsprop(0.0, false, false, false)),
        ("rmsprop_eps_inside", rmsprop(0.0, false, true, false)),
        ("rmsprop_centered", rmsprop(0.0, true, false, false)),
        ("rmsprop_momentum", rmsprop(0.9, false, false, false)),
        ("rmsprop_lr_inside", rmsprop(0.9, false, true, true)),
        ("rmsprop_centered_lr_inside", rmsprop(0.0, true, false, true)),
        ("rmsprop_centered_momentum", rmsprop(0.9, true, false, false)),
        ("adam", Rule::Adam(adam)),
        ("adam_uncorrected", Rule::Adam(adam::Adam { corrected: false, ..adam })),
        ("amsgrad_raw", Rule::Adam(adam::Adam { amsgrad: Some(adam::Largest::Raw), ..adam })),
        ("amsgrad_hat", Rule::Adam(adam::Adam { amsgrad: Some(adam::Largest::Hat), ..adam })),
        ("nadam", nadam(schedule)),
        ("nadam_simple", nadam(Mix::Simple)),
        ("adamax", adamax(true)),
        ("adamax_eps_outside", adamax(false)),
        ("radam", Rule::RAdam(radam::RAdam { lr, beta1, beta2, epsilon: Epsilon { hat: true, ..epsilon } })),
        ("adabelief", Rule::AdaBelief(adabelief::AdaBelief { lr, beta1, beta2, epsilon, add: 1e-16, corrected })),
        ("yogi", Rule::Yogi(yogi::Yogi { lr, beta1, beta2, epsilon, corrected: false })),
        ("signum", Rule::Signum(signum::Signum { lr: 1e-3, momentum: 0.9 })),
        ("lion", Rule::Lion(lion::Lion { lr: 1e-3, beta1: 0.9, beta2: 0.99 })),
        ("adan", Rule::Adan(adan(false))),
        ("adan_no_prox", Rule::Adan(adan(true))),
        ("adopt", Rule::Adopt(adopt(true))),
        ("adopt_no_clip", Rule::Adopt(adopt(false))),
        ("ademamix", Rule::AdEmaMix(ademamix)),
        ("rprop", Rule::Rprop(rprop::Rprop { etas: (0.5, 1.2), step_sizes: (1e-6, 50.0) })),
        ("ftrl", ftrl(0.5, 0.0, 0.0)),
        ("ftrl_l1", ftrl(0.5, 0.3, 0.01)),
        ("ftrl_power", ftrl(0.7, 0.1, 0.0)),
        ("ftrl_constant", ftrl(0.0, 0.1, 0.0)),
        ("schedule_free_sgd", Rule::ScheduleFreeSgd(free(0.0))),
        ("schedule_free_adamw", Rule::ScheduleFreeAdamW(free(0.01), scaling)),
        ("lamb", lamb(true)),
        ("lamb_no_correction", lamb(false)),
        ("lars", lars(0.9, false)),
        ("lars_nesterov", lars(0.9, true)),
        ("lars_no_momentum", lars(0.0, false)),
        ("along_momentum", Rule::AlongMomentum(lookahead::AlongMomentum { lr: 0.03, share: 0.9 })),
        ("along_ratio", ratio(false)),
        ("along_ratio_corrected", ratio(true)),
    ];
    named.map(|(name, rule)| (name.to_owned(), rule)).into_iter().chain(composed()).collect()
}

/// Every kernel that a triple can ask for, and each place of ε once.
fn composed() -> Vec<(String, Rule)> {
    let firsts = [
        Phi::Plain,
        Phi::Ema { beta: 0.8, corrected: true },
        Phi::Nesterov { momentum: 0.9, dampening: 0.1, started: true },
    ];
    let seconds = [
        Psi::Sum,
        Psi::Ema { beta: 0.99, corrected: true },
        Psi::Max { beta: 0.99, corrected: true, hat: true },
        Psi::Infinity { beta: 0.99, eps: 1e-3 },
        Psi::Belief { beta: 0.99, corrected: true, eps: 1e-6 },
        Psi::Yogi { beta: 0.99, corrected: true },
    ];
    let outside = Epsilon::outside(1e-3);
    let ratio = |epsilon| Direction::Ratio { epsilon, lr_decay: 1e-3, lr_last: false };
    let mut all = Vec::new();
    let mut push = |first, second, direction| {
        let rule = Composed { lr: 0.03, first, second, direction };
        all.push((format!("{rule:?}"), Rule::FourStep(rule)));
    };
    for first in firsts {
        push(first, Psi::None, Direction::Plain);
        push(first, Psi::None, Direction::Sign);
        push(first, seconds[1], Direction::Rectified { epsilon: outside });
        for second in seconds {
            if first != Phi::Plain || !matches!(second, Psi::Belief { .. }) {
                push(first, second, ratio(outside));
            }
        }
    }
    for (inside, hat, root) in
        [(true, false, 0.0), (true, true, 1e-6), (false, true, 0.0), (false, true, 1e-6), (false, false, 1e-6)]
    {
        push(firsts[1], seconds[1], ratio(Epsilon { inside, hat, root, ..outside }));
    }
    let schedule = Mix::Schedule { momentum_decay: 4e-3, mu_product: 1.0 };
    let last = Direction::Ratio { epsilon: outside, lr_decay: 0.0, lr_last: true };
    push(Phi::HeavyBall { momentum: 0.9, dampening: 0.1, started: true }, seconds[1], last);
    for ahead in [false, true] {
        push(Phi::LrInside { momentum: 0.9, ahead }, seconds[1], ratio(outside));
    }
    push(Phi::Ahead { beta: 0.9, mix: schedule }, seconds[5], ratio(outside));
    push(Phi::Ahead { beta: 0.9, mix: Mix::Simple }, Psi::None, Direction::Plain);
    all
}

/// The rule as it stands before step `t`.
fn before(rule: &Rule, t: u64) -> Rule {
    let mix = |mix, beta| match mix {
        Mix::Schedule { momentum_decay, .. } => Mix::Schedule {
            momentum_decay,
            mu_product: (1..t).map(|t| Mix::mu(beta, momentum_decay, t)).product(),
        },
        Mix::Simple => Mix::Simple,
    };
    match *rule {
        Rule::Momentum { rule, .. } => Rule::Momentum { rule, first: t == 1 },
        Rule::Nadam(r) => Rule::Nadam(nadam::Nadam { mix: mix(r.mix, r.beta1), ..r }),
        Rule::FourStep(r) => {
            let started = t > 1;
            let first = match r.first {
                Phi::HeavyBall { momentum, dampening, .. } => Phi::HeavyBall { momentum, dampening, started },
                Phi::Nesterov { momentum, dampening, .. } => Phi::Nesterov { momentum, dampening, started },
                Phi::Ahead { beta, mix: m } => Phi::Ahead { beta, mix: mix(m, beta) },
                other => other,
            };
            Rule::FourStep(Composed { first, ..r })
        }
        other => other,
    }
}

/// Numbers of both signs over many binades, with the odd special one.
fn noise<T: Real>(seed: u64, n: usize, special: bool) -> Vec<T> {
    let mut state = seed.wrapping_mul(2) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let odd = [0.0, -0.0, 1e-310, -1e-40, 1e300, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    let mut one = || {
        let bits = next();
        let unit = (bits >> 11) as f64 / (1u64 << 53) as f64 - 0.5;
        let scale = crate::coefficients::power(0.5, bits % 20);
        if special && bits % 31 == 7 { odd[(bits >> 32) as usize % odd.len()] } else { unit * scale }
    };
    (0..n).map(|_| T::from_f64(one())).collect()
}

const STEPS: u64 = 50;

#[derive(Clone)]
struct Arrays<T> {
    w: Vec<T>,
    state: [Vec<T>; MAX_STATE],
}

impl<T: Real> Arrays<T> {
    fn new(n: usize, special: bool) -> Self {
        Self { w: noise(1, n, special), state: std::array::from_fn(|_| vec![T::ZERO; n]) }
    }

    /// The bits of everything; all NaN count as one.
    fn bits(&self) -> Vec<u64> {
        let one = |x: &T| if x.to_f64().is_nan() { u64::MAX } else { x.bits() };
        self.w.iter().chain(self.state.iter().flatten()).map(one).collect()
    }

    /// Steps over `self` from element `offset` on, cut into two segments to cross an array boundary.
    fn run(&mut self, exec: &Exec, rule: &Rule, frame: Frame<T>, gradients: &[Vec<T>], offset: usize) {
        for (t, g) in (1..).zip(gradients) {
            let whole = Segment::new(&mut self.w, g, self.state.each_mut().map(Vec::as_mut_slice));
            let (_, rest) = whole.split(offset);
            let third = rest.len() / 3;
            let (left, right) = rest.split(third);
            let found = Found::default();
            let cautious = if frame.cautious.is_some() { Cautious::Mask } else { Cautious::Off };
            let pass = Pass { frame, cautious, ..Pass::plain(&found) };
            before(rule, t).step(exec, t, &pass, &mut [left, right]);
        }
    }

    fn run_naive(&mut self, rule: &Rule, frame: Frame<T>, gradients: &[Vec<T>], offset: usize) {
        for (t, g) in (1..).zip(gradients) {
            let rule = before(rule, t);
            for i in offset..self.w.len() {
                let state = self.state.each_ref().map(|s| s[i]);
                let (w, state) = naive::step(&rule, t, frame, self.w[i], g[i], state);
                self.w[i] = w;
                for (buffer, value) in self.state.iter_mut().zip(state) {
                    buffer[i] = value;
                }
            }
        }
    }
}

/// What rules share: nothing, what the plain form of the loop computes, and everything.
fn frames<T: Real>() -> [Frame<T>; 3] {
    let k = T::from_f64;
    let scaled = Gradient { scale: k(-0.7), ..Gradient::plain() };
    let plain = Frame { gradient: scaled, keep: k(0.99), ..Frame::plain() };
    let gradient = Gradient { limit: k(0.2), weight_decay: k(0.01), ..scaled };
    [Frame::plain(), plain, Frame { gradient, cautious: Some(T::ONE), skip: true, ..plain }]
}

fn same_bits<T: Real>() {
    const CHUNK: usize = 16;
    let lengths = (0..=67).chain([4 * CHUNK - 1, 4 * CHUNK, 4 * CHUNK + 1, 8 * CHUNK - 1, 8 * CHUNK + 1, 1003]);
    for length in lengths {
        for offset in [0, 1, 3] {
            let n = length + offset;
            let special = length % 2 == 1;
            let grads: Vec<Vec<T>> = (0..STEPS).map(|t| noise(100 + t, n, special)).collect();
            for (name, rule) in rules() {
                // Any triple is the kernels of the named ones: a few lengths are enough.
                if matches!(rule, Rule::FourStep(_)) && ![1, 33, 127].contains(&length) {
                    continue;
                }
                for frame in frames() {
                    let mut want = Arrays::<T>::new(n, special);
                    want.run_naive(&rule, frame, &grads, offset);
                    let want = want.bits();
                    for level in Level::available() {
                        for threads in [1, 2, 3, 7] {
                            // Threads only differ where there is something to split, and it is cut at chunks.
                            let near_a_cut = length > 67 || (length + 1) % CHUNK <= 2;
                            if threads > 1 && (length < CHUNK || !near_a_cut) {
                                continue;
                            }
                            let exec = Exec { level, threads, chunk: CHUNK, serial_below: 0 };
                            let mut got = Arrays::<T>::new(n, special);
                            got.run(&exec, &rule, frame, &grads, offset);
                            assert_eq!(
                                got.bits(),
                                want,
                                "{name} {} {level} {threads} threads, length {length}, offset {offset}",
                                T::NAME
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn same_bits_f32() {
    same_bits::<f32>();
}

#[test]
fn same_bits_f64() {
    same_bits::<f64>();
}

#[test]
fn many_small_segments_are_split_over_threads() {
    let rule = Rule::Adam(adam::Adam::new(1e-3, 0.9, 0.999, 1e-8));
    let run = |threads, serial_below| {
        let exec = Exec { level: Level::detect(), threads, chunk: 16, serial_below };
        let mut all: Vec<Arrays<f32>> = (0..97).map(|i| Arrays::new(i % 7, false)).collect();
        let grads: Vec<Vec<f32>> = (0..97).map(|i| noise(i as u64, i % 7, false)).collect();
        let mut segments: Vec<Segment<'_, f32>> = all
            .iter_mut()
            .zip(&grads)
            .map(|(a, g)| Segment::new(&mut a.w, g, a.state.each_mut().map(Vec::as_mut_slice)))
            .collect();
        rule.step(&exec, 1, &Pass::plain(&Found::default()), &mut segments);
        all.iter().map(Arrays::bits).collect::<Vec<_>>()
    };
    let serial = run(1, usize::MAX);
    for threads in [2, 3, 7] {
        assert_eq!(run(threads, 0), serial, "{threads} threads");
    }
}

#[test]
fn every_rule_names_the_state_that_it_has() {
    let counts: Vec<_> = rules().into_iter().map(|(name, rule)| (name, rule.states().len())).collect();
    assert!(counts.iter().all(|(_, n)| *n <= MAX_STATE), "{counts:?}");
}
