//! What LAMB and LARS share: coefficients that differ from array to array, and norms that are measured first.

use crate::exec::Exec;
use crate::pass::{Pass, Segment, step};
use crate::pool;
use crate::real::Real;
use crate::rule::{FourStep, Frame};

/// `value`, or 1 where one of the norms that it is made from is 0 or not finite: such an array steps as it would without.
#[must_use]
pub fn ratio(a: f64, b: f64, value: f64) -> f64 {
    let usable = |x: f64| x > 0.0 && x.is_finite();
    if usable(a) && usable(b) { value } else { 1.0 }
}

/// x² in `f64`.
#[inline(always)]
#[must_use]
pub fn square<T: Real>(x: T) -> f64 {
    x.to_f64() * x.to_f64()
}

/// The frame of a dry run: a cautious step is so after its ratio is known.
#[must_use]
pub fn before_caution<T>(frame: Frame<T>) -> Frame<T> {
    Frame { cautious: None, ..frame }
}

/// Steps each array by the rule that `rule` makes for it.
pub fn per_array<T: Real, R: FourStep<T, S>, const S: usize>(
    exec: &Exec,
    pass: &Pass<'_, T>,
    arrays: &mut [Segment<'_, T>],
    rule: impl Fn(&Segment<'_, T>) -> R + Send + Sync,
) {
    let total: usize = arrays.iter().map(Segment::len).sum();
    pool::for_each(exec.threads_for(total), arrays, |array| {
        step(exec, rule(array), pass, std::slice::from_mut(array));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Level;
    use crate::lanes::sum_of_squares;
    use crate::pass::Found;
    use crate::rules::lamb::Lamb;
    use crate::rules::lars::Lars;

    fn noise(seed: usize, n: usize) -> Vec<f32> {
        (0..n).map(|i| (((i * 7919 + seed * 104_729) % 1009) as f32 - 504.0) / 700.0).collect()
    }

    const EXEC: Exec = Exec { level: Level::BASELINE, threads: 1, chunk: 16, serial_below: 0 };

    /// Each array steps by the norms of its own, whatever the level and threads: as a rule whose r is set beforehand.
    #[test]
    fn lamb_steps_each_array_by_its_own_ratio() {
        let (beta1, beta2, eps, weight_decay) = (0.9, 0.999, 1e-6, 0.01);
        let (bias_correction, adapt, lr) = (true, true, 1e-2);
        let lamb = Lamb { lr, beta1, beta2, eps, weight_decay, bias_correction, adapt };
        let sizes = [0, 1, 33, 5000, 70_001];
        let run = |exec: &Exec, ratios: Option<&[f64]>| {
            let mut w: Vec<_> = sizes.iter().map(|&n| noise(1, n)).collect();
            let g: Vec<_> = sizes.iter().map(|&n| noise(2, n)).collect();
            let mut m = g.clone();
            let mut v: Vec<Vec<f32>> = g.iter().map(|g| g.iter().map(|x| x * x).collect()).collect();
            let mut arrays: Vec<Segment<'_, f32>> = w
                .iter_mut()
                .zip(&g)
                .zip(m.iter_mut().zip(&mut v))
                .map(|((w, g), (m, v))| Segment::new(w, g, [m, v, &mut [], &mut []]))
                .collect();
            let found = Found::default();
            let pass = Pass::plain(&found);
            match ratios {
                None => lamb.step(exec, 3, &pass, &mut arrays),
                Some(ratios) => {
                    for (array, ratio) in arrays.iter_mut().zip(ratios) {
                        step(exec, lamb.at(3, lr * ratio), &pass, std::slice::from_mut(array));
                    }
                }
            }
            (w, m, v)
        };
        let ratios: Vec<f64> = sizes
            .iter()
            .map(|&n| {
                let (w, g) = (noise(1, n), noise(2, n));
                let rule = lamb.at::<f32>(3, 1.0);
                let u: Vec<f32> = (0..n)
                    .map(|i| rule.direction(w[i], g[i], &mut rule.moments(w[i], g[i], [g[i], g[i] * g[i]])))
                    .collect();
                let (w, u) = (sum_of_squares(&EXEC, &w).sqrt(), sum_of_squares(&EXEC, &u).sqrt());
                if n == 0 { 1.0 } else { w / u }
            })
            .collect();
        let want = run(&EXEC, Some(&ratios));
        for level in Level::available() {
            for threads in [1, 2, 3, 7] {
                assert_eq!(run(&Exec { level, threads, ..EXEC }, None), want, "{level} on {threads} threads");
            }
        }
    }

    #[test]
    fn lars_steps_by_the_norms_of_the_gradient_and_the_array() {
        let (momentum, dampening, nesterov, weight_decay) = (0.0, 0.0, false, 0.01);
        let (trust_coefficient, eps, adapt, first) = (0.02, 1e-8, true, false);
        let lars =
            Lars { lr: 0.5, momentum, dampening, nesterov, weight_decay, trust_coefficient, eps, adapt, first };
        let (mut w, g) = (noise(1, 5000), noise(2, 5000));
        let norms = [&w, &g].map(|x| sum_of_squares(&EXEC, x).sqrt());
        let trust = trust_coefficient * norms[0] / (norms[1] + weight_decay * norms[0] + eps);
        let want: Vec<f32> =
            w.iter().zip(&g).map(|(w, g)| w - 0.5 * (trust as f32 * (g + weight_decay as f32 * w))).collect();
        let found = Found::default();
        let array = Segment::new(&mut w, &g, Default::default());
        lars.step(&Exec { threads: 3, ..EXEC }, &Pass::plain(&found), &mut [array]);
        assert_eq!(w, want, "r is {trust}");
    }

    #[test]
    fn a_norm_of_zero_or_nan_makes_the_ratio_one() {
        for (a, b) in [(0.0, 1.0), (1.0, 0.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)] {
            assert_eq!(ratio(a, b, a / b), 1.0, "{a} and {b}");
        }
        assert_eq!(ratio(1.0, 2.0, 0.5), 0.5, "both usable");
    }
}
