//! The first rung of the ladder: the textbook's formula, one element at a time.
//!
//! `black_box` hides the index from the compiler, so that the loop stays scalar: "serial" times that are secretly
//! vectorised would flatter nobody but us. The operations are in the order of the kernels, so the bits are theirs too.

use std::hint::black_box;

use fourstep::coefficients::{pow, power};
use fourstep::elementary::{exp, ln};
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
        Rule::Lion(r) => {
            let (b1, n1, b2, n2) = (k(r.beta1), k(1.0 - r.beta1), k(r.beta2), k(1.0 - r.beta2));
            let lr = k(r.lr);
            each(arrays, |w, g, [m]| (w - lr * sign(b1 * m + n1 * g), [b2 * m + n2 * g]));
        }
        Rule::Rprop(r) => {
            let (shrink, grow) = (k(r.etas.0), k(r.etas.1));
            let (least, most) = (k(r.step_sizes.0), k(r.step_sizes.1));
            each(arrays, |w, g, [last, size]| {
                let turn = sign(g) * sign(last);
                let factor = match (turn > T::ZERO, turn < T::ZERO) {
                    (true, _) => grow,
                    (_, true) => shrink,
                    _ => T::ONE,
                };
                let size = size * factor;
                let size = if size < least { least } else { size };
                let size = if size > most { most } else { size };
                let g = if turn < T::ZERO { T::ZERO } else { g };
                (w - size * sign(g), [g, size])
            });
        }
        Rule::Adopt(r) if r.clip => {
            let (b1, n1, b2, n2) = (k(r.beta1), k(1.0 - r.beta1), k(r.beta2), k(1.0 - r.beta2));
            let (lr, eps, limit) = (k(r.lr), k(r.eps), k(pow((STEP - 1) as f64, 0.25)));
            each(arrays, |w, g, [m, v]| {
                let root = v.sqrt();
                let x = g / if root < eps { eps } else { root };
                let x = if x > limit { limit } else { x };
                let x = if x < -limit { -limit } else { x };
                let m = b1 * m + n1 * x;
                (w - lr * m, [m, b2 * v + n2 * (g * g)])
            });
        }
        Rule::AdEmaMix(r) => {
            let (b1, n1, b2, n2) = (k(r.beta1), k(1.0 - r.beta1), k(r.beta2), k(1.0 - r.beta2));
            let (b3, n3, eps, root) = (k(r.beta3), k(1.0 - r.beta3), k(r.eps), root_of_correction(r.beta2));
            let (by_fast, by_slow) = (k(r.lr / (1.0 - power(r.beta1, STEP))), k(r.lr * r.alpha));
            each(arrays, |w, g, [fast, slow, v]| {
                let (fast, slow) = (b1 * fast + n1 * g, b3 * slow + n3 * g);
                let v = b2 * v + n2 * (g * g);
                (w - (by_fast * fast + by_slow * slow) / (v.sqrt() * root + eps), [fast, slow, v])
            });
        }
        Rule::Adan(r) if !r.no_prox => {
            let (b1, n1, b2, n2) = (k(r.beta1), k(1.0 - r.beta1), k(r.beta2), k(1.0 - r.beta2));
            let (b3, n3, eps, root) = (k(r.beta3), k(1.0 - r.beta3), k(r.eps), root_of_correction(r.beta3));
            let by_m = k(r.lr / (1.0 - power(r.beta1, STEP)));
            let by_u = k(r.lr * r.beta2 / (1.0 - power(r.beta2, STEP)));
            each(arrays, |w, g, [m, u, v, minus_last]| {
                let difference = g + minus_last;
                let ahead = g + b2 * difference;
                let (m, u) = (b1 * m + n1 * g, b2 * u + n2 * difference);
                let v = b3 * v + n3 * (ahead * ahead);
                (w - (by_m * m + by_u * u) / (v.sqrt() * root + eps), [m, u, v, -g])
            });
        }
        Rule::Ftrl(r) if r.shrinkage == 0.0 => {
            let (inverse, l1, ridge) = (k(1.0 / r.lr), k(r.l1), k(r.beta / r.lr + r.l2));
            let raised = |n: T| if r.power == 0.5 { n.sqrt() } else { k(exp(r.power * ln(n.to_f64()))) };
            each(arrays, |w, g, [n, z]| {
                let next = n + g * g;
                let z = z + (g - (raised(next) - raised(n)) * inverse * w);
                let clipped = if z > l1 { l1 } else { z };
                let clipped = if clipped < -l1 { -l1 } else { clipped };
                ((clipped - z) / (raised(next) * inverse + ridge), [next, z])
            });
        }
        Rule::ScheduleFreeSgd(r) => {
            let (rate, share, weight) = (k(r.rate), k(r.share), k(1.0 - r.beta * (1.0 - r.share)));
            each(arrays, |y, g, [z]| {
                let step = rate * g;
                (y - (share * (y - z) + weight * step), [z - step])
            });
        }
        Rule::ScheduleFreeAdamW(r, s) => {
            let (rate, share, weight) = (k(r.rate), k(r.share), k(1.0 - r.beta * (1.0 - r.share)));
            let (b2, n2, eps) = (k(s.beta2), k(1.0 - s.beta2), k(s.eps));
            each(arrays, |y, g, [z, v]| {
                let v = b2 * v + n2 * (g * g);
                let step = rate * (g / (v.sqrt() + eps));
                (y - (share * (y - z) + weight * step), [z - step, v])
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

fn sign<T: Real>(x: T) -> T {
    match (x > T::ZERO, x < T::ZERO) {
        (true, _) => T::ONE,
        (_, true) => -T::ONE,
        _ => x,
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
