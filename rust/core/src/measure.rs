//! A dry run: the steps that a rule would take, summed and thrown away.
//!
//! The trust ratios of LAMB and LARS need norms of all their steps before the first of them. The dry run reads w, g and the state, computes the step of every
//! element in registers, folds f(w, g, η) over fixed lanes as `lanes.rs` does, and writes nothing. So it holds for every
//! rule, and the pass that follows gives the bits that it would have given anyway. (A cautious step counts over such a
//! run too: in `pass.rs`, as it needs no sums of reals.)

use crate::exec::Exec;
use crate::isa::Kernel;
use crate::lanes::{BLOCK, LANES, fold, pairwise};
use crate::pass::Segment;
use crate::pool;
use crate::real::Real;
use crate::rule::{FourStep, Frame, element};

/// Σ f(w, g, η) over a segment, with w before the step and g after step 1.
pub fn measure<T: Real, R: FourStep<T, S>, const S: usize, const K: usize>(
    exec: &Exec,
    rule: R,
    frame: Frame<T>,
    segment: &Segment<'_, T>,
    f: impl Fn(T, T, T) -> [f64; K] + Copy + Send + Sync,
) -> [f64; K] {
    let n = segment.len();
    let sums = pool::map(exec.threads_for(n), n.div_ceil(BLOCK), |b| {
        let range = b * BLOCK..n.min((b + 1) * BLOCK);
        segment.read(exec.level, range, S, |w, g, state| {
            let state: [&[T]; S] = std::array::from_fn(|k| state[k]);
            exec.level.run(Measured(Block { rule, frame, w, g, state, f }))
        })
    });
    std::array::from_fn(|k| pairwise(&sums.iter().map(|s| s[k]).collect::<Vec<_>>()))
}

struct Block<'a, T, R, F, const S: usize> {
    rule: R,
    frame: Frame<T>,
    w: &'a [T],
    g: &'a [T],
    state: [&'a [T]; S],
    f: F,
}

impl<T, R, F, const S: usize, const K: usize> Kernel for Measured<Block<'_, T, R, F, S>, K>
where
    T: Real,
    R: FourStep<T, S>,
    F: Fn(T, T, T) -> [f64; K] + Copy,
{
    type Out = [f64; K];

    #[inline(always)]
    fn run(self) -> [f64; K] {
        let Block { rule, frame, w, g, state, f } = self.0;
        let n = w.len();
        let g = &g[..n];
        let state = state.map(
            #[inline(always)]
            |s| &s[..n],
        );
        let mut lanes = [[0.0; K]; LANES];
        for start in (0..n).step_by(LANES) {
            for (lane, sums) in lanes.iter_mut().enumerate().take(n - start) {
                let i = start + lane;
                let mut s = [T::ZERO; S];
                for k in 0..S {
                    s[k] = state[k][i];
                }
                let x = frame.gradient.of(w[i], g[i]);
                let (_, _, eta) = element(rule, frame, w[i], g[i], s);
                let terms = f(w[i], x, eta);
                for k in 0..K {
                    sums[k] += terms[k];
                }
            }
        }
        std::array::from_fn(
            #[inline(always)]
            |k| {
                fold(lanes.map(
                    #[inline(always)]
                    |sums| sums[k],
                ))
            },
        )
    }
}

/// Says how many sums a block has.
struct Measured<B, const K: usize>(B);
