//! Batch normalisation: C channels, each normalised over the samples of a batch and the places of each (Ioffe and Szegedy 2015).
//!
//! ```text
//! μ = Σx/n                σ² = Σ(x − μ)²/n              the batch's own in training, the running ones in evaluation
//! z = (x − μ)·a + β       a = γ/√(σ² + ε)               y = activation(z)
//!
//! dβ = Σdz                dγ = Σ dz·x̂                   x̂ = (x − μ)/√(σ² + ε)
//! dx = (dz − dβ/n − x̂·dγ/n)·a                           in training; dx = dz·a with frozen statistics
//!
//! running_mean ← (1 − m)·running_mean + m·μ             running_var ← (1 − m)·running_var + m·σ²·n/(n − 1), or m·σ²
//! ```
//!
//! An input is seen as (samples, channels, space): (N, C, H, W) has H·W places of a channel side by side; channels-last has as
//! many samples as pixels, and one place. A channel's values count by sample, then by place, so its statistics are the same
//! bits in both.
//!
//! 1. Statistics and the sums of the backward pass are reductions: `f64`, in the fixed order of `fold`.
//! 2. `(x − μ)·a + β` and not `x·a + (β − μ·a)`: the second form adds two large numbers that cancel, and a constant channel
//!    of 10⁷ comes out as 105 instead of 0.
//! 3. μ is subtracted in two parts, its nearest real and the rest. The first difference is exact where it matters (x near μ),
//!    so a mean of 10⁶ with a deviation of 1 costs no digits in `f32`.
//! 4. An activation costs no read: it is applied in the pass, and its mask is computed again in backward.
//!
//! Above the cache all of it is bound by memory: forward reads x twice and writes y; backward reads x and dy twice and
//! writes dx.
//!
//! | file | what it holds |
//! |---|---|
//! | [`element`] | how values are stored |
//! | `fold` | two sums over each channel, in a fixed order |
//! | [`moments`](mod@moments) | mean and squares about it |
//! | `apply` | a function of each value and its channel |
//! | [`activation`] | ReLU, leaky ReLU |
//! | [`forward`](mod@forward) | training and evaluation |
//! | [`backward`](mod@backward) | dx, dγ, dβ |

pub mod activation;
pub(crate) mod apply;
pub mod backward;
pub mod element;
pub(crate) mod fold;
pub mod forward;
pub mod moments;

use std::fmt;

use crate::real::Real;

pub use activation::Activation;
pub use backward::{Backward, Gradients, add_column_sums};
pub use element::Element;
pub use forward::{Forward, NonFinite, Running};
pub use moments::{Moments, moments};

/// How an array is seen: value (n, c, s) stands at (n·channels + c)·space + s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Samples; in channels-last, of all places.
    pub samples: usize,
    /// Channels.
    pub channels: usize,
    /// Places of a channel that lie side by side.
    pub space: usize,
}

impl Shape {
    /// All values.
    #[must_use]
    pub fn len(self) -> usize {
        self.samples * self.channels * self.space
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Values of a channel.
    #[must_use]
    pub fn values(self) -> usize {
        self.samples * self.space
    }
}

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

/// What normalises, of each channel: made by forward, read by backward.
#[derive(Debug)]
pub struct Statistics<'a> {
    /// μ.
    pub mean: &'a mut [f64],
    /// σ².
    pub var: &'a mut [f64],
    /// 1/√(σ² + ε).
    pub invstd: &'a mut [f64],
}

impl Statistics<'_> {
    fn check(&self, channels: usize) {
        assert!(
            [self.mean.len(), self.var.len(), self.invstd.len()] == [channels; 3],
            "one statistic for each channel"
        );
    }

    fn set(&mut self, moments: &[Moments], n: f64, eps: f64) {
        for (c, &[mean, squares]) in moments.iter().enumerate() {
            self.set_channel(c, mean, squares / n, eps);
        }
    }

    fn set_channel(&mut self, c: usize, mean: f64, var: f64, eps: f64) {
        self.mean[c] = mean;
        self.var[c] = var;
        self.invstd[c] = 1.0 / (var + eps).sqrt();
    }
}

/// Why a batch is refused. Nothing was written, but for the output of an evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// This many values are NaN or infinite; the first one, by sample, then place, then channel, stands here.
    NotFinite {
        /// How many.
        count: usize,
        /// The first one's place in memory.
        at: usize,
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
    /// This many values in a channel, which have no variance.
    TooFew(usize),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFinite { count, at, channel, value } => {
                write!(f, "x: {count} values are not finite, the first is {value} at {at}, channel {channel}")
            }
            Self::TooLarge { channel, dtype } => write!(
                f,
                "x: the values of channel {channel} are finite, but their mean or variance is too large for {dtype}"
            ),
            Self::Running { name, channel } => {
                write!(f, "{name}: channel {channel} holds no usable value (not finite, or a negative variance)")
            }
            Self::TooFew(n) => write!(f, "x: got {n} values in a channel, need at least 2: one has no variance"),
        }
    }
}

impl std::error::Error for Refusal {}

/// The values that are NaN or infinite; none when there are none.
fn not_finite<E: Element>(shape: Shape, x: &[E]) -> Option<Refusal> {
    let bad = |v: &E| !v.load().is_finite();
    let sample = x.iter().position(bad)? / (shape.channels * shape.space);
    let planes = x[sample * shape.channels * shape.space..].chunks(shape.space).take(shape.channels).enumerate();
    let (place, channel) = planes.filter_map(|(c, plane)| Some((plane.iter().position(bad)?, c))).min()?;
    let at = (sample * shape.channels + channel) * shape.space + place;
    let first = x[at].load();
    let value = if first > E::Real::ZERO {
        "inf"
    } else if first < E::Real::ZERO {
        "-inf"
    } else {
        "nan"
    };
    Some(Refusal::NotFinite { count: x.iter().filter(|v| bad(v)).count(), at, channel, value })
}

/// μ in two parts that add up to it far beyond the precision of `T`: the nearest `T`, and the rest.
fn parts<T: Real>(mean: f64) -> [T; 2] {
    let near = T::from_f64(mean);
    [near, T::from_f64(mean - near.to_f64())]
}

#[cfg(test)]
mod tests;
