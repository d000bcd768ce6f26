//! Mean and squares about it, of each channel.
//!
//! ```text
//! block of n values     μ = x₀ + Σ(x − x₀)/n           M = Σ(x − μ)²            two passes, the second from the cache
//! two blocks            δ = μ_b − μ_a    n = n_a + n_b
//!                       μ = μ_a + δ·(n_b/n)            M = M_a + M_b + δ²·(n_a·(n_b/n))
//! ```
//!
//! Never E(x²) − E(x)²: with a mean of 10⁴ and a deviation of 1 that difference of two large numbers is noise in `f32`.
//! Counting from the block's first value x₀ makes a constant channel exact, whatever its value: μ = x₀ and M = 0. The merge
//! is that of Chan, Golub and LeVeque (1979).

use super::columns::{self, Row, Tile, WIDTH};
use crate::exec::Exec;
use crate::isa::Kernel;
use crate::real::Real;

/// Number of values, mean, and sum of squares about the mean, of each channel of a tile.
#[derive(Clone)]
struct Moments {
    n: f64,
    mean: Row,
    squares: Row,
}

/// Mean and sum of squares about it, of each of the `channels` columns of `x`.
pub fn moments<T: Real>(exec: &Exec, x: &[T], channels: usize) -> (Vec<f64>, Vec<f64>) {
    let block = |tile| exec.level.run(Block { x, tile });
    let tiles = columns::reduce(exec, x.len() / channels, channels, block, merge);
    let mean = tiles.iter().flat_map(|m| m.mean).take(channels).collect();
    let squares = tiles.iter().flat_map(|m| m.squares).take(channels).collect();
    (mean, squares)
}

struct Block<'a, T> {
    x: &'a [T],
    tile: Tile,
}

impl<T: Real> Kernel for Block<'_, T> {
    type Out = Moments;

    #[inline(always)]
    fn run(self) -> Moments {
        let Self { x, tile } = self;
        let n = tile.rows as f64;
        let mut first = [0.0; WIDTH];
        for (first, x) in first.iter_mut().zip(tile.row_of(x, 0)) {
            *first = x.to_f64();
        }
        let [sum] = columns::sums(
            [x],
            tile,
            #[inline(always)]
            |c, [x]| [x.to_f64() - first[c]],
        );
        let mut mean = first;
        for c in 0..WIDTH {
            mean[c] += sum[c] / n;
        }
        let [squares] = columns::sums(
            [x],
            tile,
            #[inline(always)]
            |c, [x]| {
                let d = x.to_f64() - mean[c];
                [d * d]
            },
        );
        Moments { n, mean, squares }
    }
}

fn merge(a: &Moments, b: &Moments) -> Moments {
    let n = a.n + b.n;
    let share = b.n / n;
    let mut all = Moments { n, ..a.clone() };
    for c in 0..WIDTH {
        let delta = b.mean[c] - a.mean[c];
        all.mean[c] += delta * share;
        all.squares[c] = a.squares[c] + b.squares[c] + delta * delta * (a.n * share);
    }
    all
}
