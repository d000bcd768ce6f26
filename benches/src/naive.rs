//! The first rung of the ladder: the textbook's formula, one element at a time.
//!
//! `black_box` hides the index from the compiler, so that the loop stays scalar: "serial" times that are secretly
//! vectorised would flatter nobody but us. The operations are in the order of the kernels, so the bits are theirs too.

use std::hint::black_box;

use fourstep::coefficients::power;
use fourstep::real::Real;
use fourstep::rules::Rule;
use fourstep::rules::adam::Largest;
use fourstep::rules::compose::{Composed, Direction, Mix, Phi, Psi, rectification};
use fourstep::rules::sgd::Form;

use crate::cases::{Arrays, STEP};

/// The measured step of `rule` over all of `arrays`.
///
/// # Panics
/// For an option of a rule that no benchmark measures.
pub fn step<T: Real>(rule: &Rule, arrays: &mut Arrays<T>) {
    let k = T::from_f64;
    match *rule {
        Rule::Sgd(r) => {
            let lr = k(r.lr);
            each(arrays, |w, g, []| (w - lr * g, []));
        }
        Rule::Momentum { rule: r, first: false } if matches!(r.form, Form::Torch | Form::Nesterov) => {
            let (lr, gamma, new) = (k(r.lr), k(r.momentum), k(1.0 - r.dampening));
            let nesterov = r.form == Form::Nesterov;
            each(arrays, |w, g, [m]| {
                let m = gamma * m + new * g;
                (w - lr * if nesterov { g + gamma * m } else { m }, [m])
            });
        }
        Rule::AdaGrad(r) if !r.eps_inside => {
            let (lr, eps) = (k(r.lr / (1.0 + (STEP - 1) as f64 * r.lr_decay)), k(r.eps));
            each(arrays, |w, g, [v]| {
                let v = v + g * g;
                (w - lr * g / (v.sqrt() + eps), [v])
            });
        }
        Rule::AdaDelta(r) => {
            let (lr, rho, new, eps) = (k(r.lr), k(r.rho), k(1.0 - r.rho), k(r.eps));
            each(arrays, |w, g, [v, u]| {
                let v = rho * v + new * (g * g);
                let delta = (u + eps).sqrt() / (v + eps).sqrt() * g;
                (w - lr * delta, [v, rho * u + new * (delta * delta)])
            });
        }
        Rule::RmsProp { rule: r, centered } if !r.eps_inside => {
            let (lr, alpha, new) = (k(r.lr), k(r.alpha), k(1.0 - r.alpha));
            let (eps, mu) = (k(r.eps), k(r.momentum));
            match (centered, r.momentum > 0.0) {
                (false, false) => each(arrays, |w, g, [v]| {
                    let v = alpha * v + new * (g * g);
                    (w - lr * (g / (v.sqrt() + eps)), [v])
                }),
                (true, false) => each(arrays, |w, g, [v, mean]| {
                    let v = alpha * v + new * (g * g);
                    let mean = alpha * mean + new * g;
                    let variance = v - mean * mean;
                    let variance = if variance < T::ZERO { T::ZERO } else { variance };
                    (w - lr * (g / (variance.sqrt() + eps)), [v, mean])
                }),
                (false, true) => each(arrays, |w, g, [v, b]| {
                    let v = alpha * v + new * (g * g);
                    let b = mu * b + g / (v.sqrt() + eps);
                    (w - lr * b, [v, b])
                }),
                (true, true) => panic!("{rule:?}: centred RMSProp with momentum is not measured"),
            }
        }
        Rule::Adam(r) => {
            let (lr, root) = (k(r.lr / (1.0 - power(r.beta1, STEP))), root_of_correction(r.beta2));
            let (b1, n1, b2, n2) = (k(r.beta1), k(1.0 - r.beta1), k(r.beta2), k(1.0 - r.beta2));
            let eps = k(r.epsilon.eps);
            match r.amsgrad {
                None => each(arrays, |w, g, [m, v]| {
                    let m = b1 * m + n1 * g;
                    let v = b2 * v + n2 * (g * g);
                    (w - lr * m / (v.sqrt() * root + eps), [m, v])
                }),
                Some(Largest::Raw) => each(arrays, |w, g, [m, v, x]| {
                    let m = b1 * m + n1 * g;
                    let v = b2 * v + n2 * (g * g);
                    let x = if v > x { v } else { x };
                    (w - lr * m / (x.sqrt() * root + eps), [m, v, x])
                }),
                Some(Largest::Hat) => panic!("{rule:?}: the largest corrected v is not measured"),
            }
        }
        Rule::Adamax(r) => {
            let lr = k(r.lr / (1.0 - power(r.beta1, STEP)));
            let (b1, n1, b2, eps) = (k(r.beta1), k(1.0 - r.beta1), k(r.beta2), k(r.eps));
            each(arrays, |w, g, [m, u]| {
                let m = b1 * m + n1 * g;
                let (old, new) = (b2 * u, if g < T::ZERO { -g } else { g } + eps);
                let u = if new > old { new } else { old };
                (w - lr * m / u, [m, u])
            });
        }
        Rule::Nadam(r) => {
            let Mix::Schedule { momentum_decay, mu_product } = r.mix else { panic!("{r:?} is not measured") };
            let mu = |t| Mix::mu(r.beta1, momentum_decay, t);
            let (mu, next) = (mu(STEP), mu(STEP + 1));
            let product = mu_product * mu;
            let by_g = k(r.lr * (1.0 - mu) / (1.0 - product));
            let by_m = k(r.lr * next / (1.0 - product * next));
            let (b1, n1, b2, n2) = (k(r.beta1), k(1.0 - r.beta1), k(r.beta2), k(1.0 - r.beta2));
            let (root, eps) = (root_of_correction(r.beta2), k(r.epsilon.eps));
            each(arrays, |w, g, [m, v]| {
                let m = b1 * m + n1 * g;
                let v = b2 * v + n2 * (g * g);
                (w - (by_g * g + by_m * m) / (v.sqrt() * root + eps), [m, v])
            });
        }
        Rule::RAdam(r) => {
            let rate = rectification(r.beta2, STEP).expect("the measured step is rectified");
            let (lr, root) = (k(r.lr * rate / (1.0 - power(r.beta1, STEP))), root_of_correction(r.beta2));
            let (b1, n1, b2, n2) = (k(r.beta1), k(1.0 - r.beta1), k(r.beta2), k(1.0 - r.beta2));
            let eps = k(r.epsilon.eps / (1.0 - power(r.beta2, STEP)).sqrt());
            each(arrays, |w, g, [m, v]| {
                let m = b1 * m + n1 * g;
                let v = b2 * v + n2 * (g * g);
                (w - lr * m / (v.sqrt() * root + eps), [m, v])
            });
        }
        Rule::AdaBelief(r) => {
            let (lr, root) = (k(r.lr / (1.0 - power(r.beta1, STEP))), root_of_correction(r.beta2));
            let (b1, n1, b2, n2) = (k(r.beta1), k(1.0 - r.beta1), k(r.beta2), k(1.0 - r.beta2));
            let (eps, add) = (k(r.epsilon.eps), k(r.add));
            each(arrays, |w, g, [m, s]| {
                let m = b1 * m + n1 * g;
                let s = b2 * s + n2 * ((g - m) * (g - m)) + add;
                (w - lr * m / (s.sqrt() * root + eps), [m, s])
            });
        }
        Rule::Yogi(r) => {
            let (lr, eps) = (k(r.lr), k(r.epsilon.eps));
            let (b1, n1, n2) = (k(r.beta1), k(1.0 - r.beta1), k(1.0 - r.beta2));
            each(arrays, |w, g, [m, v]| {
                let m = b1 * m + n1 * g;
                let (step, towards) = (n2 * (g * g), g * g);
                let v = if v > towards { v - step } else { v + step };
                (w - lr * m / (v.sqrt() + eps), [m, v])
            });
        }
        Rule::FourStep(Composed {
            lr,
            first: Phi::Ema { beta, corrected: true },
            second: Psi::Sum,
            direction: Direction::Ratio { epsilon, .. },
        }) => {
            let lr = k(lr / (1.0 - power(beta, STEP)));
            let (b1, n1, eps) = (k(beta), k(1.0 - beta), k(epsilon.eps));
            each(arrays, |w, g, [m, v]| {
                let m = b1 * m + n1 * g;
                let v = v + g * g;
                (w - lr * m / (v.sqrt() + eps), [m, v])
            });
        }
        other => panic!("{other:?} is not measured"),
    }
}

/// 1/√(1 − β₂^t).
fn root_of_correction<T: Real>(beta2: f64) -> T {
    T::from_f64(1.0 / (1.0 - power(beta2, STEP)).sqrt())
}

/// The scalar loop: (w, state) of each element after `f(w, g, state)`.
fn each<T: Real, const S: usize>(arrays: &mut Arrays<T>, f: impl Fn(T, T, [T; S]) -> (T, [T; S])) {
    let Arrays { w, g, state } = arrays;
    for i in 0..w.len() {
        let i = black_box(i);
        let before: [T; S] = std::array::from_fn(|k| state[k][i]);
        let (new, after) = f(w[i], g[i], before);
        w[i] = new;
        for k in 0..S {
            state[k][i] = after[k];
        }
    }
}
