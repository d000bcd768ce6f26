//! Mean and sum of squares about it, of each channel, in one read of the input.
//!
//! ```text
//! block of n values     d = x − x₀ (its first value)     μ = x₀ + Σd/n     M = Σd² − Σd·(Σd/n)
//! two blocks            δ = μ_b − μ_a    n = n_a + n_b
//!                       μ = μ_a + δ·(n_b/n)              M = M_a + M_b + δ²·(n_a·(n_b/n))
//! ```
//!
//! Never E(x²) − E(x)²: with a mean of 10⁴ and a deviation of 1 that difference of two large numbers is noise in `f32`. The
//! difference in M is another one, for x₀ is one of the values: (μ − x₀)² ≤ M, so Σd² = M + n·(μ − x₀)² ≤ (n + 1)·M, and the
//! subtraction enlarges the rounding errors of `f64` by n + 1 ≤ 2049 at the very worst. A sum has taken some 70 roundings of
//! 2⁻⁵³ in a lane and in the fold of the lanes, and Σd stands in a square: 3·70·2⁻⁵³·2049 < 5·10⁻¹¹ of M, if all of them go
//! one way. When x₀ is a typical value it is about 2 instead of n + 1. A constant channel is exact, whatever its value: d = 0, μ = x₀ and M = 0.
//!
//! The merge is that of Chan, Golub and LeVeque (1979); so it is across batches and workers ([`merge`]).

use super::fold::{self, About};
use super::{Element, Shape};
use crate::exec::Exec;
use crate::real::Real;

/// Mean, and sum of squares about it.
pub type Moments = [f64; 2];

/// The moments of each channel of `x`.
///
/// # Panics
/// When `x` has not as many values as the shape.
#[must_use]
pub fn moments<E: Element>(exec: &Exec, shape: Shape, x: &[E]) -> Vec<Moments> {
    assert_eq!(x.len(), shape.len(), "x has the values of the shape");
    let mut blocks = fold::sums(
        exec,
        shape,
        [x],
        About::First,
        [],
        #[inline(always)]
        |[x], first, []| {
            let d = x.to_f64() - first;
            [d, d * d]
        },
        #[inline(always)]
        |[sum, squares], first, n| {
            let shift = sum / n;
            let about_mean = squares - sum * shift;
            // A rounding may leave less than nothing; NaN stays.
            [first + shift, if about_mean < 0.0 { 0.0 } else { about_mean }]
        },
    );
    blocks.merged(|n_a, a, n_b, b| merge(n_a as f64, a, n_b as f64, b))
}

/// The moments of `n_a` and `n_b` values together.
#[inline(always)]
#[must_use]
pub fn merge(n_a: f64, [mean_a, a]: Moments, n_b: f64, [mean_b, b]: Moments) -> Moments {
    let share = n_b / (n_a + n_b);
    let delta = mean_b - mean_a;
    [mean_a + delta * share, a + b + delta * delta * (n_a * share)]
}
