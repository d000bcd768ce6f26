//! One-line scalar oracles: what each rule does to one element, as the textbook writes it (tests only).
//!
//! `black_box` keeps every operation apart, so nothing here is vectorised, contracted or reordered.

use std::cmp::Ordering;
use std::hint::black_box;

use crate::coefficients::{pow, power};
use crate::elementary::{exp, ln};
use crate::real::Real;
use crate::rule::Frame;
use crate::rules::Rule;
use crate::rules::adam::Largest;
use crate::rules::compose::{Composed, Direction, Mix, Phi, Psi};
use crate::rules::epsilon::Epsilon;
use crate::rules::schedule_free::ScheduleFree;
use crate::rules::sgd::Form;

/// w, g and the state values of one element after step `t` of `rule`.
pub(crate) fn step<T: Real>(
    rule: &Rule,
    t: u64,
    frame: Frame<T>,
    w: T,
    g: T,
    [a, b, c, d]: [T; 4],
) -> (T, [T; 4]) {
    let k = T::from_f64;
    let ema = |beta: f64, old: T, new: T| add(mul(k(beta), old), mul(k(1.0 - beta), new));

    let gradient = frame.gradient;
    let skipped = frame.skip && !g.is_finite();
    let old = (w, [a, b, c, d]);
    let mut g = mul(gradient.scale, g);
    if g > gradient.limit {
        g = gradient.limit;
    }
    if g < -gradient.limit {
        g = -gradient.limit;
    }
    if gradient.weight_decay != T::ZERO {
        g = add(g, mul(gradient.weight_decay, w));
    }

    let schedule_free = |r: ScheduleFree, n: T, z: T| {
        let mut step = mul(k(r.rate), n);
        if r.decay != 0.0 {
            step = add(step, mul(k(r.decay), w));
        }
        let weight = k(1.0 - r.beta * (1.0 - r.share));
        (add(mul(k(r.share), sub(w, z)), mul(weight, step)), sub(z, step))
    };

    let (eta, state) = match *rule {
        Rule::Sgd(r) => (mul(k(r.lr), g), [a, b, c, d]),
        Rule::Momentum { rule: r, first } => {
            let m = match r.form {
                Form::Torch | Form::Nesterov if first => add(mul(k(r.momentum), a), g),
                Form::Torch | Form::Nesterov => add(mul(k(r.momentum), a), mul(k(1.0 - r.dampening), g)),
                Form::LrInside | Form::NesterovInside => add(mul(k(r.momentum), a), mul(k(r.lr), g)),
                Form::Ema => ema(r.momentum, a, g),
            };
            let eta = match r.form {
                Form::LrInside => m,
                Form::NesterovInside => add(mul(k(r.lr), g), mul(k(r.momentum), m)),
                Form::Nesterov => mul(k(r.lr), add(g, mul(k(r.momentum), m))),
                _ => mul(k(r.lr), m),
            };
            (eta, [m, b, c, d])
        }
        Rule::AdaGrad(r) => {
            let v = add(a, mul(g, g));
            let lr = k(r.lr / (1.0 + (t - 1) as f64 * r.lr_decay));
            (div(mul(lr, g), root(Epsilon::placed(r.eps, r.eps_inside), 1.0, v)), [v, b, c, d])
        }
        Rule::AdaDelta(r) => {
            let v = ema(r.rho, a, mul(g, g));
            let delta = mul(div(sqrt(add(b, k(r.eps))), sqrt(add(v, k(r.eps)))), g);
            (mul(k(r.lr), delta), [v, ema(r.rho, b, mul(delta, delta)), c, d])
        }
        Rule::RmsProp { rule: r, centered } => {
            let v = ema(r.alpha, a, mul(g, g));
            let mean = if centered { ema(r.alpha, b, g) } else { b };
            let mut variance = v;
            if centered {
                variance = sub(v, mul(mean, mean));
                if variance < T::ZERO {
                    variance = T::ZERO;
                }
            }
            let normalised = div(g, root(Epsilon::placed(r.eps, r.eps_inside), 1.0, variance));
            let old = if centered { c } else { b };
            let (rate, rate_inside) = if r.lr_inside { (T::ONE, k(r.lr)) } else { (k(r.lr), T::ONE) };
            let pushed = add(mul(k(r.momentum), old), mul(rate_inside, normalised));
            match (centered, r.momentum > 0.0) {
                (_, false) => (mul(k(r.lr), normalised), [v, mean, c, d]),
                (false, true) => (mul(rate, pushed), [v, pushed, c, d]),
                (true, true) => (mul(rate, pushed), [v, mean, pushed, d]),
            }
        }
        Rule::Adam(r) => {
            let (m, v) = (ema(r.beta1, a, g), ema(r.beta2, b, mul(g, g)));
            let correction = |beta| if r.corrected { 1.0 - power(beta, t) } else { 1.0 };
            let (c1, c2) = (correction(r.beta1), correction(r.beta2));
            let numerator = mul(k(r.lr / c1), m);
            match r.amsgrad {
                None => (div(numerator, root(r.epsilon, c2, v)), [m, v, c, d]),
                Some(Largest::Raw) => {
                    let x = max(c, v);
                    (div(numerator, root(r.epsilon, c2, x)), [m, v, x, d])
                }
                Some(Largest::Hat) => {
                    let x = max(c, mul(k(1.0 / c2), v));
                    (div(numerator, root(r.epsilon, 1.0, x)), [m, v, x, d])
                }
            }
        }
        Rule::Nadam(r) => {
            let (m, v) = (ema(r.beta1, a, g), ema(r.beta2, b, mul(g, g)));
            let (by_g, by_m) = mixed(r.mix, r.beta1, r.lr, t);
            let numerator = add(mul(k(by_g), g), mul(k(by_m), m));
            (div(numerator, root(r.epsilon, 1.0 - power(r.beta2, t), v)), [m, v, c, d])
        }
        Rule::Signum(r) => {
            let m = ema(r.momentum, a, g);
            (mul(k(r.lr), signum(m)), [m, b, c, d])
        }
        Rule::Lion(r) => (mul(k(r.lr), signum(ema(r.beta1, a, g))), [ema(r.beta2, a, g), b, c, d]),
        Rule::Adan(r) => {
            let difference = if t == 1 { T::ZERO } else { add(g, d) };
            let ahead = add(g, mul(k(r.beta2), difference));
            let (m, u) = (ema(r.beta1, a, g), ema(r.beta2, b, difference));
            let v = ema(r.beta3, c, mul(ahead, ahead));
            let [c1, c2, c3] = [r.beta1, r.beta2, r.beta3].map(|beta| 1.0 - power(beta, t));
            let numerator = add(mul(k(r.lr / c1), m), mul(k(r.lr * r.beta2 / c2), u));
            (div(numerator, add(mul(sqrt(v), k(1.0 / c3.sqrt())), k(r.eps))), [m, u, v, -g])
        }
        Rule::Adopt(_) if t == 1 => (T::ZERO, [a, mul(g, g), c, d]),
        Rule::Adopt(r) => {
            let root = sqrt(b);
            let limit = k(if r.clip { pow((t - 1) as f64, 0.25) } else { f64::INFINITY });
            let mut x = div(g, if root < k(r.eps) { k(r.eps) } else { root });
            if x > limit {
                x = limit;
            }
            if x < -limit {
                x = -limit;
            }
            let m = ema(r.beta1, a, x);
            (mul(k(r.lr), m), [m, ema(r.beta2, b, mul(g, g)), c, d])
        }
        Rule::AdEmaMix(r) => {
            let (fast, slow, v) = (ema(r.beta1, a, g), ema(r.beta3, b, g), ema(r.beta2, c, mul(g, g)));
            let (c1, c2) = (1.0 - power(r.beta1, t), 1.0 - power(r.beta2, t));
            let numerator = add(mul(k(r.lr / c1), fast), mul(k(r.lr * r.alpha), slow));
            (div(numerator, add(mul(sqrt(v), k(1.0 / c2.sqrt())), k(r.eps))), [fast, slow, v, d])
        }
        Rule::Rprop(r) => {
            let turn = mul(signum(g), signum(a));
            let mut size = if turn > T::ZERO {
                mul(b, k(r.etas.1))
            } else if turn < T::ZERO {
                mul(b, k(r.etas.0))
            } else {
                mul(b, add(T::ONE, turn))
            };
            if size < k(r.step_sizes.0) {
                size = k(r.step_sizes.0);
            }
            if size > k(r.step_sizes.1) {
                size = k(r.step_sizes.1);
            }
            let used = if turn < T::ZERO { T::ZERO } else { g };
            (mul(size, signum(used)), [used, size, c, d])
        }
        Rule::Ftrl(r) => {
            let raised = |n: T| match r.power {
                0.5 => sqrt(n),
                0.0 => T::ONE,
                p => k(exp(p * ln(n.to_f64()))),
            };
            let n = add(a, mul(g, g));
            let sigma = mul(sub(raised(n), raised(a)), k(1.0 / r.lr));
            let shrunk = if r.shrinkage == 0.0 { g } else { add(g, mul(k(r.shrinkage), w)) };
            let z = add(b, sub(shrunk, mul(sigma, w)));
            let mut clipped = z;
            if z > k(r.l1) {
                clipped = k(r.l1);
            }
            if z < -k(r.l1) {
                clipped = -k(r.l1);
            }
            let quadratic = add(mul(raised(n), k(1.0 / r.lr)), k(r.beta / r.lr + r.l2));
            let solved = if quadratic == T::ZERO { w } else { div(sub(clipped, z), quadratic) };
            (solved, [n, z, c, d])
        }
        Rule::ScheduleFreeSgd(r) => {
            let (eta, z) = schedule_free(r, g, a);
            (eta, [z, b, c, d])
        }
        Rule::ScheduleFreeAdamW(r, s) => {
            let v = ema(s.beta2, b, mul(g, g));
            let (eta, z) = schedule_free(r, div(g, add(sqrt(v), k(s.eps))), a);
            (eta, [z, v, c, d])
        }
        // With r = 1: `trust.rs` tests the rest.
        Rule::Lamb(r) => {
            let (m, v) = (ema(r.beta1, a, g), ema(r.beta2, b, mul(g, g)));
            let of = |beta| if r.bias_correction { 1.0 - power(beta, t) } else { 1.0 };
            let denominator = add(mul(sqrt(v), k(1.0 / of(r.beta2).sqrt())), k(r.eps));
            let u = div(mul(k(1.0 / of(r.beta1)), m), denominator);
            (mul(k(r.lr), add(u, mul(k(r.weight_decay), w))), [m, v, c, d])
        }
        Rule::Lars(r) => {
            let decayed = add(g, mul(k(r.weight_decay), w));
            let new = if r.first { 1.0 } else { 1.0 - r.dampening };
            let m = add(mul(k(r.momentum), a), mul(k(new), decayed));
            match (r.momentum > 0.0, r.nesterov) {
                (false, _) => (mul(k(r.lr), decayed), [a, b, c, d]),
                (true, false) => (mul(k(r.lr), m), [m, b, c, d]),
                (true, true) => (mul(k(r.lr), add(decayed, mul(k(r.momentum), m))), [m, b, c, d]),
            }
        }
        Rule::Adamax(r) => {
            let m = ema(r.beta1, a, g);
            let c1 = if r.corrected { 1.0 - power(r.beta1, t) } else { 1.0 };
            let norm = if r.eps_inside { add(abs(g), k(r.eps)) } else { abs(g) };
            let u = max(mul(k(r.beta2), b), norm);
            let denominator = if r.eps_inside { u } else { add(u, k(r.eps)) };
            (div(mul(k(r.lr / c1), m), denominator), [m, u, c, d])
        }
        Rule::RAdam(r) => {
            let (m, v) = (ema(r.beta1, a, g), ema(r.beta2, b, mul(g, g)));
            let (c1, c2) = (1.0 - power(r.beta1, t), 1.0 - power(r.beta2, t));
            match rectified(r.beta2, t) {
                Some(rate) => (div(mul(k(r.lr * rate / c1), m), root(r.epsilon, c2, v)), [m, v, c, d]),
                None => (mul(k(r.lr / c1), m), [m, v, c, d]),
            }
        }
        Rule::AdaBelief(r) => {
            let m = ema(r.beta1, a, g);
            let surprise = sub(g, m);
            let s = add(ema(r.beta2, b, mul(surprise, surprise)), k(r.add));
            let correction = |beta| if r.corrected { 1.0 - power(beta, t) } else { 1.0 };
            let numerator = mul(k(r.lr / correction(r.beta1)), m);
            (div(numerator, root(r.epsilon, correction(r.beta2), s)), [m, s, c, d])
        }
        Rule::Yogi(r) => {
            let m = ema(r.beta1, a, g);
            let square = mul(g, g);
            let v = sub(b, mul(signum(sub(b, square)), mul(k(1.0 - r.beta2), square)));
            let correction = |beta| if r.corrected { 1.0 - power(beta, t) } else { 1.0 };
            let numerator = mul(k(r.lr / correction(r.beta1)), m);
            (div(numerator, root(r.epsilon, correction(r.beta2), v)), [m, v, c, d])
        }
        Rule::FourStep(r) => composed(&r, t, g, [a, b, c, d]),
        Rule::AlongMomentum(r) => (mul(k(r.lr * r.share), a), [a, b, c, d]),
        Rule::AlongRatio(r) => {
            let correction = |beta| if r.corrected { 1.0 - power(beta, t) } else { 1.0 };
            let (c1, c2) = (correction(r.beta1), correction(r.beta2));
            (div(mul(k(r.lr / c1), a), root(r.epsilon, c2, b)), [a, b, c, d])
        }
    };
    let eta = match frame.cautious {
        Some(boost) if mul(eta, g) > T::ZERO => mul(boost, eta),
        Some(_) => T::ZERO,
        None => eta,
    };
    let new = match *rule {
        Rule::Ftrl(_) => eta,
        Rule::Adopt(_) if t == 1 => w,
        Rule::Adan(r) if !r.no_prox => div(sub(w, eta), sub(k(2.0), frame.keep)),
        _ => sub(mul(frame.keep, w), eta),
    };
    if skipped { old } else { (new, state) }
}

/// η and the state of any triple, step by step.
fn composed<T: Real>(r: &Composed, t: u64, g: T, [a, b, c, d]: [T; 4]) -> (T, [T; 4]) {
    let k = T::from_f64;
    let ema = |beta: f64, old: T, new: T| add(mul(k(beta), old), mul(k(1.0 - beta), new));
    let (old_m, old_v, old_x) = if r.first == Phi::Plain { (T::ZERO, a, b) } else { (a, b, c) };
    let m = match r.first {
        Phi::Plain => g,
        Phi::HeavyBall { momentum, started: false, .. } | Phi::Nesterov { momentum, started: false, .. } => {
            add(mul(k(momentum), old_m), g)
        }
        Phi::HeavyBall { momentum, dampening, .. } | Phi::Nesterov { momentum, dampening, .. } => {
            add(mul(k(momentum), old_m), mul(k(1.0 - dampening), g))
        }
        Phi::LrInside { momentum, .. } => add(mul(k(momentum), old_m), mul(k(r.lr), g)),
        Phi::Ema { beta, .. } | Phi::Ahead { beta, .. } => ema(beta, old_m, g),
    };
    let correction = |beta: f64, corrected: bool| if corrected { 1.0 - power(beta, t) } else { 1.0 };
    let square = mul(g, g);
    // V, what divides, and what it still has to be corrected by.
    let (v, divides, c2) = match r.second {
        Psi::None => (old_v, T::ONE, 1.0),
        Psi::Sum => (add(old_v, square), add(old_v, square), 1.0),
        Psi::Ema { beta, corrected } => {
            (ema(beta, old_v, square), ema(beta, old_v, square), correction(beta, corrected))
        }
        Psi::Max { beta, corrected, hat } => {
            let (v, c2) = (ema(beta, old_v, square), correction(beta, corrected));
            if hat { (v, max(old_x, mul(k(1.0 / c2), v)), 1.0) } else { (v, max(old_x, v), c2) }
        }
        Psi::Infinity { beta, eps } => {
            let u = max(mul(k(beta), old_v), add(abs(g), k(eps)));
            (u, u, 1.0)
        }
        Psi::Belief { beta, corrected, eps } => {
            let s = add(ema(beta, old_v, mul(sub(g, m), sub(g, m))), k(eps));
            (s, s, correction(beta, corrected))
        }
        Psi::Yogi { beta, corrected } => {
            let v = sub(old_v, mul(signum(sub(old_v, square)), mul(k(1.0 - beta), square)));
            (v, v, correction(beta, corrected))
        }
    };
    let numerator = |lr: f64| match r.first {
        Phi::Plain => mul(k(lr), g),
        Phi::HeavyBall { .. } => mul(k(lr), m),
        Phi::LrInside { ahead: false, .. } => m,
        Phi::LrInside { momentum, ahead: true } => add(mul(k(r.lr), g), mul(k(momentum), m)),
        Phi::Ema { beta, corrected } => mul(k(lr / correction(beta, corrected)), m),
        Phi::Nesterov { momentum, .. } => add(g, mul(k(momentum), m)),
        Phi::Ahead { beta, mix } => {
            let (by_g, by_m) = mixed(mix, beta, lr, t);
            add(mul(k(by_g), g), mul(k(by_m), m))
        }
    };
    let over = |epsilon: Epsilon| match r.second {
        Psi::Infinity { .. } => add(divides, k(epsilon.eps)),
        _ => root(epsilon, c2, divides),
    };
    let outer = matches!(r.first, Phi::Nesterov { .. });
    let inner = matches!(r.first, Phi::LrInside { .. });
    let eta = match r.direction {
        Direction::Plain if outer => mul(k(r.lr), numerator(1.0)),
        Direction::Plain => numerator(r.lr),
        Direction::Sign => mul(k(r.lr), signum(numerator(1.0))),
        Direction::Ratio { epsilon, lr_decay, lr_last } => {
            let lr = r.lr / (1.0 + (t - 1) as f64 * lr_decay);
            if inner {
                div(numerator(lr), over(epsilon))
            } else if outer || lr_last {
                mul(k(lr), div(numerator(1.0), over(epsilon)))
            } else {
                div(numerator(lr), over(epsilon))
            }
        }
        Direction::Rectified { epsilon } => {
            let beta = if let Psi::Ema { beta, .. } = r.second { beta } else { 0.0 };
            match rectified(beta, t) {
                Some(rate) if outer => mul(k(r.lr * rate), div(numerator(1.0), over(epsilon))),
                Some(rate) => div(numerator(r.lr * rate), over(epsilon)),
                None if outer => mul(k(r.lr), numerator(1.0)),
                None => numerator(r.lr),
            }
        }
    };
    let mut state = if r.first == Phi::Plain { vec![] } else { vec![m] };
    match r.second {
        Psi::None => {}
        Psi::Max { .. } => state.extend([v, divides]),
        _ => state.push(v),
    }
    let rest = [a, b, c, d][state.len()..].to_vec();
    state.extend(rest);
    (eta, std::array::from_fn(|i| state[i]))
}

fn add<T: Real>(x: T, y: T) -> T {
    black_box(black_box(x) + black_box(y))
}

fn sub<T: Real>(x: T, y: T) -> T {
    black_box(black_box(x) - black_box(y))
}

fn mul<T: Real>(x: T, y: T) -> T {
    black_box(black_box(x) * black_box(y))
}

fn div<T: Real>(x: T, y: T) -> T {
    black_box(black_box(x) / black_box(y))
}

fn sqrt<T: Real>(x: T) -> T {
    black_box(black_box(x).sqrt())
}

fn abs<T: Real>(x: T) -> T {
    if x > T::ZERO { x } else { sub(T::ZERO, x) }
}

/// The larger; the new one if it is NaN.
fn max<T: Real>(old: T, new: T) -> T {
    if old >= new { old } else { new }
}

fn signum<T: Real>(x: T) -> T {
    match x.partial_cmp(&T::ZERO) {
        Some(Ordering::Greater) => T::ONE,
        Some(Ordering::Less) => -T::ONE,
        _ => x,
    }
}

/// √(v/c) with ε in its place.
fn root<T: Real>(e: Epsilon, c: f64, v: T) -> T {
    let k = T::from_f64;
    match (e.inside, e.hat) {
        (true, false) => sqrt(add(mul(k(1.0 / c), v), k(e.eps + e.root))),
        (true, true) => sqrt(add(mul(k(1.0 / c), v), k(e.eps / c + e.root))),
        (false, hat) => {
            let outside = k(if hat { e.eps / c.sqrt() } else { e.eps });
            if e.root > 0.0 {
                add(sqrt(add(mul(k(1.0 / c), v), k(e.root))), outside)
            } else {
                add(mul(sqrt(v), k(1.0 / c.sqrt())), outside)
            }
        }
    }
}

/// The factors of g and m in Nadam.
fn mixed(mix: Mix, beta: f64, lr: f64, t: u64) -> (f64, f64) {
    match mix {
        Mix::Schedule { momentum_decay, mu_product } => {
            let mu = |t: u64| beta * (1.0 - 0.5 * pow(0.96, t as f64 * momentum_decay));
            let product = mu_product * mu(t);
            (lr * (1.0 - mu(t)) / (1.0 - product), lr * mu(t + 1) / (1.0 - product * mu(t + 1)))
        }
        Mix::Simple => (lr * (1.0 - beta) / (1.0 - power(beta, t)), lr * beta / (1.0 - power(beta, t + 1))),
    }
}

/// r_t of RAdam, while ρ_t > 5.
fn rectified(beta: f64, t: u64) -> Option<f64> {
    let most = 2.0 / (1.0 - beta) - 1.0;
    let rho = most - 2.0 * t as f64 * power(beta, t) / (1.0 - power(beta, t));
    let part = |rho: f64| (rho - 4.0) * (rho - 2.0) / rho;
    (rho > 5.0).then(|| (part(rho) / part(most)).sqrt())
}
