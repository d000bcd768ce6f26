//! A dry run: what a step would do to an array, summed, before anything is written.
//!
//! Each element goes through steps 1 to 3 in registers; f(w, g, η) gives `K` numbers of it, and each is summed over the
//! fixed lanes of [`crate::lanes`]: blocks of 4096 elements, 32 lanes, halved, then pairwise over the blocks. The sums
//! have the same bits at every level and thread count, and `fourstep.reference.lanes` gives them too.

use crate::exec::Exec;
use crate::isa::Kernel;
use crate::lanes::{BLOCK, LANES, fold, pairwise};
use crate::pool;
use crate::real::Real;
use crate::rule::{FourStep, Gradient, Segment};

/// Σ f(w, g, η) over the segment, for each of the `K` numbers.
///
/// # Panics
/// When the gradient or one of the `S` state buffers has another length than its parameters.
pub fn measure<T: Real, R: FourStep<T, S>, const S: usize, const K: usize>(
    exec: &Exec,
    rule: R,
    gradient: Gradient<T>,
    segment: &Segment<'_, T>,
    f: impl Fn(T, T, T) -> [f64; K] + Copy + Send + Sync,
) -> [f64; K] {
    let n = segment.w.len();
    assert_eq!(segment.g.len(), n, "a gradient has the length of its parameters");
    assert!(segment.state[..S].iter().all(|b| b.len() == n), "a state buffer has the length of its parameters");
    let sums = pool::map(exec.threads_for(n), n.div_ceil(BLOCK), |b| {
        let (start, end) = (b * BLOCK, n.min((b + 1) * BLOCK));
        let state: [&[T]; S] = std::array::from_fn(|k| &segment.state[k][start..end]);
        let (w, g) = (&segment.w[start..end], &segment.g[start..end]);
        exec.level.run(Block { rule, gradient, w, g, state, f })
    });
    std::array::from_fn(|k| pairwise(&sums.iter().map(|s| s[k]).collect::<Vec<_>>()))
}

struct Block<'a, T, R, F, const S: usize> {
    rule: R,
    gradient: Gradient<T>,
    w: &'a [T],
    g: &'a [T],
    state: [&'a [T]; S],
    f: F,
}

impl<T: Real, R, F, const S: usize, const K: usize> Kernel for Block<'_, T, R, F, S>
where
    R: FourStep<T, S>,
    F: Fn(T, T, T) -> [f64; K],
{
    type Out = [f64; K];

    #[inline(always)]
    fn run(self) -> [f64; K] {
        let n = self.w.len();
        let whole = n - n % LANES;
        let mut lanes = [[0.0; LANES]; K];
        for start in (0..whole).step_by(LANES) {
            for lane in 0..LANES {
                self.add(start + lane, lane, &mut lanes);
            }
        }
        for i in whole..n {
            self.add(i, i - whole, &mut lanes);
        }
        lanes.map(fold)
    }
}

impl<T: Real, R, F, const S: usize> Block<'_, T, R, F, S> {
    /// Adds what f gives of element `i` to a lane.
    #[inline(always)]
    fn add<const K: usize>(&self, i: usize, lane: usize, lanes: &mut [[f64; LANES]; K])
    where
        R: FourStep<T, S>,
        F: Fn(T, T, T) -> [f64; K],
    {
        let w = self.w[i];
        let g = self.gradient.of(w, self.g[i]);
        let mut s = [T::ZERO; S];
        for (value, buffer) in s.iter_mut().zip(&self.state) {
            *value = buffer[i];
        }
        s = self.rule.moments(w, g, s);
        let eta = self.rule.direction(w, g, &mut s);
        let values = (self.f)(w, g, eta);
        for k in 0..K {
            lanes[k][lane] += values[k];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Level;
    use crate::lanes;
    use crate::rules::adam::Adam;

    /// The sums are those of [`lanes::sum`] over η written out, and nothing is written.
    #[test]
    fn every_level_and_thread_count_gives_the_bits_of_the_written_out_array() {
        let adam = Adam { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8 };
        let gradient = Gradient { scale: -0.7f32, limit: 0.2, weight_decay: 0.01 };
        for n in (0..70).chain([4095, 4096, 4097, 3 * 4096 + 5, 50_003]) {
            let value = |seed: usize, i: usize| (((i * 7919 + seed * 104_729) % 1009) as f32 - 504.0) / 700.0;
            let array = |seed| (0..n).map(|i| value(seed, i)).collect::<Vec<f32>>();
            let (mut w, g, mut m, mut v) = (array(1), array(2), array(3), array(4));
            v.iter_mut().for_each(|x| *x *= *x);
            let eta: Vec<f32> = (0..n)
                .map(|i| {
                    let rule = adam.at::<f32>(3);
                    let g = gradient.of(w[i], g[i]);
                    let mut s = rule.moments(w[i], g, [m[i], v[i]]);
                    rule.direction(w[i], g, &mut s)
                })
                .collect();
            let exec = Exec { level: Level::BASELINE, threads: 1, chunk: 64, serial_below: 0 };
            let want = [lanes::sum_of_squares(&exec, &w), lanes::sum_of_squares(&exec, &eta)];
            let before = (w.clone(), m.clone(), v.clone());
            let segment = Segment { w: &mut w, g: &g, state: [&mut m, &mut v, &mut [], &mut []] };
            for level in Level::available() {
                for threads in [1, 2, 3, 7] {
                    let exec = Exec { level, threads, ..exec };
                    let square = |x: f32| f64::from(x) * f64::from(x);
                    let got = measure(&exec, adam.at(3), gradient, &segment, |w, _, eta| [square(w), square(eta)]);
                    let bits = |x: [f64; 2]| x.map(f64::to_bits);
                    assert_eq!(bits(got), bits(want), "{n} elements at {level} on {threads} threads");
                }
            }
            assert_eq!((w, m, v), before, "a dry run writes nothing");
        }
    }
}
