//! Backward: dγ and dβ, added to what is there, and dx.
//!
//! ```text
//! S = Σdy     D = Σ dy·(x − μ)          one read of x and dy, in f64
//! dβ += S     dγ += D·invstd
//! dx = ((dy − S/n) − (x − μ)·k)·a       k = D·invstd²/n, a = γ·invstd: another read of both
//! ```

use super::columns::{self, Tile};
use super::{Affine, Coefficients, map_rows, parts};
use crate::exec::Exec;
use crate::isa::Kernel;
use crate::real::Real;

/// Where the gradients go.
#[derive(Debug)]
pub struct Gradients<'a, T> {
    /// dx, overwritten.
    pub x: &'a mut [T],
    /// dγ, added to.
    pub weight: Option<&'a mut [T]>,
    /// dβ, added to.
    pub bias: Option<&'a mut [T]>,
}

/// The gradients of a forward pass that saved `mean` and `invstd`; `frozen` when those were the running statistics.
///
/// # Panics
/// When the lengths do not fit: `x`, `dy` and `dx` hold whole rows of as many values as `mean` has channels.
pub fn backward<T: Real>(
    exec: &Exec,
    [x, dy]: [&[T]; 2],
    weight: Option<&[T]>,
    (mean, invstd): (&[f64], &[f64]),
    frozen: bool,
    gradients: Gradients<'_, T>,
) {
    let channels = mean.len();
    assert!(channels > 0 && x.len().is_multiple_of(channels), "x holds whole rows of the channels");
    assert!(x.len() == dy.len() && dy.len() == gradients.x.len(), "dy and dx have the shape of x");
    assert_eq!(invstd.len(), channels, "one 1/√(σ² + ε) for each channel");
    let n = (x.len() / channels) as f64;
    let affine = Affine { weight, bias: None };

    let block = |tile| exec.level.run(Block { x, dy, mean, tile });
    let tiles = columns::reduce(exec, x.len() / channels, channels, block, columns::add);
    let [sum_dy, sum_dy_d] = [0, 1].map(|k| tiles.iter().flat_map(|t| t[k]).take(channels).collect::<Vec<f64>>());
    if let Some(dweight) = gradients.weight {
        add(dweight, channels, |c| sum_dy_d[c] * invstd[c]);
    }
    if let Some(dbias) = gradients.bias {
        add(dbias, channels, |c| sum_dy[c]);
    }

    if frozen {
        let coefficients = Coefficients::new(channels, |c| [T::from_f64(affine.weight(c) * invstd[c])]);
        map_rows(
            exec,
            [dy],
            gradients.x,
            &coefficients,
            #[inline(always)]
            |[dy], [a]| (dy * a, true),
        );
        return;
    }
    let coefficients = Coefficients::new(channels, |c| {
        let [near, rest] = parts(mean[c]);
        let mean_dy = T::from_f64(sum_dy[c] / n);
        let slope = T::from_f64(sum_dy_d[c] * (invstd[c] * invstd[c]) / n);
        [near, rest, mean_dy, slope, T::from_f64(affine.weight(c) * invstd[c])]
    });
    map_rows(
        exec,
        [x, dy],
        gradients.x,
        &coefficients,
        #[inline(always)]
        |[x, dy], [near, rest, mean_dy, slope, a]| (((dy - mean_dy) - ((x - near) - rest) * slope) * a, true),
    );
}

/// Adds `of(c)`, rounded once, to the gradient of each channel.
fn add<T: Real>(gradient: &mut [T], channels: usize, of: impl Fn(usize) -> f64) {
    assert_eq!(gradient.len(), channels, "one gradient for each channel");
    for (c, g) in gradient.iter_mut().enumerate() {
        *g = *g + T::from_f64(of(c));
    }
}

struct Block<'a, T> {
    x: &'a [T],
    dy: &'a [T],
    mean: &'a [f64],
    tile: Tile,
}

impl<T: Real> Kernel for Block<'_, T> {
    type Out = [columns::Row; 2];

    #[inline(always)]
    fn run(self) -> Self::Out {
        let Self { x, dy, mean, tile } = self;
        let mut about = [0.0; columns::WIDTH];
        for (about, &mean) in about.iter_mut().zip(&mean[tile.column..tile.column + tile.width]) {
            *about = mean;
        }
        columns::sums(
            [x, dy],
            tile,
            #[inline(always)]
            |c, [x, dy]| {
                let dy = dy.to_f64();
                [dy, dy * (x.to_f64() - about[c])]
            },
        )
    }
}
