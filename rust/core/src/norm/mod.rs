//! Batch normalisation of (N, C) arrays: C channels, each normalised over the N rows of a batch (Ioffe and Szegedy 2015).
//!
//! ```text
//! μ = Σx/n                σ² = Σ(x − μ)²/n              the batch's own in training, the running ones in evaluation
//! y = (x − μ)·a + β       a = γ/√(σ² + ε)
//!
//! dβ = Σdy                dγ = Σ dy·x̂                   x̂ = (x − μ)/√(σ² + ε)
//! dx = (dy − dβ/n − x̂·dγ/n)·a                           in training; dx = dy·a with frozen statistics
//!
//! running_mean ← (1 − m)·running_mean + m·μ             running_var ← (1 − m)·running_var + m·σ²·n/(n − 1)
//! ```
//!
//! 1. Statistics and the sums of the backward pass are reductions: `f64`, in the fixed order of [`columns`]. The same bits
//!    at every level and thread count.
//! 2. `(x − μ)·a + β` and not `x·a + (β − μ·a)`: the second form adds two large numbers that cancel, and a constant channel
//!    of 10⁷ comes out as 105 instead of 0.
//! 3. μ is subtracted in two parts, its nearest `T` and the rest. The first difference is exact where it matters (x near μ),
//!    so a mean of 10⁶ with a deviation of 1 costs no digits in `f32`.
//! 4. x̂ is never stored: backward makes it again from x.
//!
//! Above the cache all of it is bound by memory: forward reads x twice and writes y; backward reads x and dy twice and
//! writes dx.
//!
//! | file | what it holds |
//! |---|---|
//! | [`columns`] | sums down columns, in a fixed order |
//! | [`moments`] | mean and squares about it |
//! | [`forward`](mod@forward) | training and evaluation |
//! | [`backward`](mod@backward) | dx, dγ, dβ |

pub mod backward;
pub mod columns;
pub mod forward;
pub mod moments;

use std::fmt;

use crate::exec::Exec;
use crate::isa::Kernel;
use crate::pool;
use crate::real::Real;

pub use backward::{Gradients, backward};
pub use forward::{Running, Saved, evaluate, train};

/// The layer's own parameters; `None` stands for γ = 1 and β = 0.
#[derive(Clone, Copy, Debug)]
pub struct Affine<'a, T> {
    /// γ.
    pub weight: Option<&'a [T]>,
    /// β.
    pub bias: Option<&'a [T]>,
}

impl<T: Real> Affine<'_, T> {
    /// γ of channel `c`, as `f64`.
    fn weight(&self, c: usize) -> f64 {
        self.weight.map_or(1.0, |w| w[c].to_f64())
    }

    /// β of channel `c`.
    fn bias(&self, c: usize) -> T {
        self.bias.map_or(T::ZERO, |b| b[c])
    }
}

/// Why a batch is refused. Nothing was written, but for the output of an evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// This many values are NaN or infinite; the first one stands here.
    NotFinite {
        /// How many.
        count: usize,
        /// Row of the first one.
        row: usize,
        /// Its channel.
        channel: usize,
        /// Which it is: `nan`, `inf` or `-inf`.
        value: &'static str,
    },
    /// Finite values whose mean or variance the dtype cannot hold.
    TooLarge {
        /// The first such channel.
        channel: usize,
        /// The dtype.
        dtype: &'static str,
    },
    /// A running statistic that is not finite, or a negative variance.
    Running {
        /// `running_mean` or `running_var`.
        name: &'static str,
        /// The first such channel.
        channel: usize,
    },
    /// A batch of one row has no variance.
    OneRow,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFinite { count, row, channel, value } => {
                write!(f, "x: {count} values are not finite, the first is {value} at row {row}, channel {channel}")
            }
            Self::TooLarge { channel, dtype } => write!(
                f,
                "x: the values of channel {channel} are finite, but their mean or variance is too large for {dtype}"
            ),
            Self::Running { name, channel } => {
                write!(f, "{name}: channel {channel} holds no usable value (not finite, or a negative variance)")
            }
            Self::OneRow => f.write_str("x: got 1 row, need at least 2: one value has no variance"),
        }
    }
}

impl std::error::Error for Refusal {}

/// The first value of `x` that is NaN or infinite, and their count; `TooLarge` in `channel` when there is none.
fn why_not_finite<T: Real>(x: &[T], channels: usize, channel: usize) -> Refusal {
    match x.iter().position(|v| !v.is_finite()) {
        Some(i) => Refusal::NotFinite {
            count: x.iter().filter(|v| !v.is_finite()).count(),
            row: i / channels,
            channel: i % channels,
            value: if x[i] > T::ZERO {
                "inf"
            } else if x[i] < T::ZERO {
                "-inf"
            } else {
                "nan"
            },
        },
        None => Refusal::TooLarge { channel, dtype: T::NAME },
    }
}

/// One coefficient of each of K kinds for each channel; rounded once to `T`.
struct Coefficients<T, const K: usize>([Vec<T>; K]);

impl<T: Real, const K: usize> Coefficients<T, K> {
    fn new(channels: usize, of: impl Fn(usize) -> [T; K]) -> Self {
        let mut all = [const { Vec::new() }; K];
        for kind in &mut all {
            kind.reserve_exact(channels);
        }
        for c in 0..channels {
            for (kind, k) in all.iter_mut().zip(of(c)) {
                kind.push(k);
            }
        }
        Self(all)
    }
}

/// μ in two parts that add up to it far beyond the precision of `T`: the nearest `T`, and the rest.
fn parts<T: Real>(mean: f64) -> [T; 2] {
    let near = T::from_f64(mean);
    [near, T::from_f64(mean - near.to_f64())]
}

/// `out[r][c] = f(inputs[r][c], coefficients[c])` over all rows, in parallel pieces of whole rows. Returns whether `f`
/// said so of every element.
fn map_rows<T: Real, F, const I: usize, const K: usize>(
    exec: &Exec,
    inputs: [&[T]; I],
    out: &mut [T],
    coefficients: &Coefficients<T, K>,
    f: F,
) -> bool
where
    F: Fn([T; I], [T; K]) -> (T, bool) + Copy + Send + Sync,
{
    let channels = coefficients.0[0].len();
    let coefficients: [&[T]; K] = std::array::from_fn(|k| &coefficients.0[k][..]);
    let threads = exec.threads_for(out.len());
    if threads <= 1 {
        return exec.level.run(Rows { inputs, out, coefficients, f });
    }
    let piece = (exec.chunk / channels).max(1) * channels;
    let mut pieces: Vec<_> = out.chunks_mut(piece).enumerate().map(|(i, out)| (i * piece, out, true)).collect();
    pool::for_each(threads, &mut pieces, |(at, out, all)| {
        let inputs = inputs.map(|x| &x[*at..*at + out.len()]);
        *all = exec.level.run(Rows { inputs, out, coefficients, f });
    });
    pieces.iter().all(|(_, _, all)| *all)
}

struct Rows<'a, T, F, const I: usize, const K: usize> {
    inputs: [&'a [T]; I],
    out: &'a mut [T],
    coefficients: [&'a [T]; K],
    f: F,
}

/// Channels that are worked on at once: with a length known to the compiler the inner loop is straight vector code.
const STRIP: usize = 32;

impl<T: Real, F, const I: usize, const K: usize> Kernel for Rows<'_, T, F, I, K>
where
    F: Fn([T; I], [T; K]) -> (T, bool) + Copy,
{
    type Out = bool;

    #[inline(always)]
    fn run(self) -> bool {
        let channels = self.coefficients[0].len();
        let mut all = true;
        for (r, out) in self.out.chunks_exact_mut(channels).enumerate() {
            let row = r * channels;
            let mut c = 0;
            while c + STRIP <= channels {
                let (k, x) = (cut(self.coefficients, c, STRIP), cut(self.inputs, row + c, STRIP));
                all &= strip(x, &mut out[c..c + STRIP], k, STRIP, self.f);
                c += STRIP;
            }
            let rest = channels - c;
            let (k, x) = (cut(self.coefficients, c, rest), cut(self.inputs, row + c, rest));
            all &= strip(x, &mut out[c..], k, rest, self.f);
        }
        all
    }
}

#[inline(always)]
fn cut<T, const I: usize>(x: [&[T]; I], at: usize, len: usize) -> [&[T]; I] {
    let mut part = x;
    for i in 0..I {
        part[i] = &x[i][at..at + len];
    }
    part
}

#[inline(always)]
fn strip<T: Real, F, const I: usize, const K: usize>(
    x: [&[T]; I],
    out: &mut [T],
    k: [&[T]; K],
    len: usize,
    f: F,
) -> bool
where
    F: Fn([T; I], [T; K]) -> (T, bool) + Copy,
{
    let mut all = true;
    for c in 0..len {
        let mut values = [T::ZERO; I];
        for i in 0..I {
            values[i] = x[i][c];
        }
        let mut coefficients = [T::ZERO; K];
        for j in 0..K {
            coefficients[j] = k[j][c];
        }
        let (y, good) = f(values, coefficients);
        out[c] = y;
        all &= good;
    }
    all
}

#[cfg(test)]
mod tests;
