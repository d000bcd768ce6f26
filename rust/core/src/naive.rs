//! One-line scalar oracles: what each rule does to one element, as the textbook writes it (tests only).
//!
//! `black_box` keeps every operation apart, so nothing here is vectorised, contracted or reordered.

use std::hint::black_box;

use crate::coefficients::{pow, power};
use crate::real::Real;
use crate::rule::Frame;
use crate::rules::Rule;
use crate::rules::adam::Adam;
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
    let add = |x: T, y: T| black_box(black_box(x) + black_box(y));
    let sub = |x: T, y: T| black_box(black_box(x) - black_box(y));
    let mul = |x: T, y: T| black_box(black_box(x) * black_box(y));
    let div = |x: T, y: T| black_box(black_box(x) / black_box(y));
    let sqrt = |x: T| black_box(black_box(x).sqrt());
    let ema = |beta: f64, old: T, new: T| add(mul(k(beta), old), mul(k(1.0 - beta), new));
    let root = |eps: f64, inside: bool, v: T| if inside { sqrt(add(v, k(eps))) } else { add(sqrt(v), k(eps)) };

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

    let (eta, state) = match *rule {
        Rule::Sgd(r) => (mul(k(r.lr), g), [a, b, c, d]),
        Rule::Momentum { rule: r, first } => {
            let m = match r.form {
                Form::Torch | Form::Nesterov if first => add(mul(k(r.momentum), a), g),
                Form::Torch | Form::Nesterov => add(mul(k(r.momentum), a), mul(k(1.0 - r.dampening), g)),
                Form::LrInside => add(mul(k(r.momentum), a), mul(k(r.lr), g)),
                Form::Ema => ema(r.momentum, a, g),
            };
            let eta = match r.form {
                Form::LrInside => m,
                Form::Nesterov => mul(k(r.lr), add(g, mul(k(r.momentum), m))),
                _ => mul(k(r.lr), m),
            };
            (eta, [m, b, c, d])
        }
        Rule::AdaGrad(r) => {
            let v = add(a, mul(g, g));
            let lr = k(r.lr / (1.0 + (t - 1) as f64 * r.lr_decay));
            (div(mul(lr, g), root(r.eps, r.eps_inside, v)), [v, b, c, d])
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
            let normalised = div(g, root(r.eps, r.eps_inside, variance));
            let old = if centered { c } else { b };
            let pushed = add(mul(k(r.momentum), old), normalised);
            match (centered, r.momentum > 0.0) {
                (_, false) => (mul(k(r.lr), normalised), [v, mean, c, d]),
                (false, true) => (mul(k(r.lr), pushed), [v, pushed, c, d]),
                (true, true) => (mul(k(r.lr), pushed), [v, mean, pushed, d]),
            }
        }
        Rule::Adam(r) => {
            let (m, v) = (ema(r.beta1, a, g), ema(r.beta2, b, mul(g, g)));
            let (c1, c2) = (1.0 - power(r.beta1, t), 1.0 - power(r.beta2, t));
            let denominator = add(mul(sqrt(v), k(1.0 / c2.sqrt())), k(r.eps));
            (div(mul(k(r.lr / c1), m), denominator), [m, v, c, d])
        }
        Rule::Nadam(r) => {
            let (m, v) = (ema(r.beta1, a, g), ema(r.beta2, b, mul(g, g)));
            let mu = |t: u64| r.beta1 * (1.0 - 0.5 * pow(0.96, t as f64 * r.momentum_decay));
            let product = r.mu_product * mu(t);
            let by_g = k(r.lr * (1.0 - mu(t)) / (1.0 - product));
            let by_m = k(r.lr * mu(t + 1) / (1.0 - product * mu(t + 1)));
            let c2 = 1.0 - power(r.beta2, t);
            let denominator = add(mul(sqrt(v), k(1.0 / c2.sqrt())), k(r.eps));
            (div(add(mul(by_g, g), mul(by_m, m)), denominator), [m, v, c, d])
        }
        Rule::AlongMomentum(r) => (mul(k(r.lr * r.share), a), [a, b, c, d]),
        Rule::AlongRatio(r) => {
            let Adam { lr, beta1, beta2, eps } = r.adam;
            let eta = if r.corrected {
                let (c1, c2) = (1.0 - power(beta1, t), 1.0 - power(beta2, t));
                div(mul(k(lr / c1), a), add(mul(sqrt(b), k(1.0 / c2.sqrt())), k(eps)))
            } else {
                div(mul(k(lr), a), add(sqrt(b), k(eps)))
            };
            (eta, [a, b, c, d])
        }
    };
    let eta = match frame.cautious {
        Some(boost) if mul(eta, g) > T::ZERO => mul(boost, eta),
        Some(_) => T::ZERO,
        None => eta,
    };
    if skipped { old } else { (sub(mul(frame.keep, w), eta), state) }
}
