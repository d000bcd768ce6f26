//! Backward: dγ and dβ, added to what is there, and dx.
//!
//! ```text
//! dz = dy·activation'(z)                              z recomputed from x
//! S = Σdz     D = Σ dz·(x − μ)                        one read of x and dy, in f64
//! dβ += S     dγ += D·invstd
//! dx = ((dz − S/n) − (x − μ)·k)·a                     k = D·invstd²/n, a = γ·invstd: another read of both
//! dx = dz·a                                           with frozen statistics
//! ```

use super::activation::{self, Activation, for_activation};
use super::apply::{AlarmOf, apply};
use super::fold::{self, About};
use super::forward::line;
use super::{Affine, Element, Shape, Statistics};
use crate::exec::Exec;
use crate::real::Real;

/// What a backward pass reads.
#[derive(Debug)]
pub struct Backward<'a, E: Element> {
    /// How it runs.
    pub exec: &'a Exec,
    /// Of x, dy and dx.
    pub shape: Shape,
    /// The input of forward.
    pub x: &'a [E],
    /// The gradient by its output.
    pub dy: &'a [E],
    /// γ and β of forward.
    pub affine: Affine<'a, E::Real>,
    /// What stands behind.
    pub activation: Activation,
    /// Whether the statistics were the running ones, and so do not depend on x.
    pub frozen: bool,
}

/// Where the gradients go.
#[derive(Debug)]
pub struct Gradients<'a, E: Element> {
    /// dx, overwritten.
    pub x: &'a mut [E],
    /// dγ, added to.
    pub weight: Option<&'a mut [E::Real]>,
    /// dβ, added to.
    pub bias: Option<&'a mut [E::Real]>,
}

impl<E: Element> Backward<'_, E> {
    /// The gradients of a forward pass that left these statistics.
    ///
    /// # Panics
    /// When lengths do not fit the shape.
    pub fn run(&self, statistics: &Statistics<'_>, gradients: Gradients<'_, E>) {
        let len = self.shape.len();
        assert!(self.shape.channels > 0 && self.x.len() == len, "x has the values of the shape");
        assert!(self.dy.len() == len && gradients.x.len() == len, "dy and dx have the values of the shape");
        statistics.check(self.shape.channels);
        if len > 0 {
            let (backward, activation) = (self, self.activation);
            for_activation!(activation, run::<E>(backward, statistics, gradients));
        }
    }
}

fn run<E: Element, const KIND: u8>(
    backward: &Backward<'_, E>,
    statistics: &Statistics<'_>,
    gradients: Gradients<'_, E>,
) {
    let wanted = gradients.weight.is_some() || gradients.bias.is_some();
    let sums = if wanted || !backward.frozen { reduce::<E, KIND>(backward, statistics) } else { Vec::new() };
    if let Some(weight) = gradients.weight {
        add(weight, |c| sums[c][1] * statistics.invstd[c]);
    }
    if let Some(bias) = gradients.bias {
        add(bias, |c| sums[c][0]);
    }
    if backward.frozen {
        frozen::<E, KIND>(backward, statistics, gradients.x);
    } else {
        through::<E, KIND>(backward, statistics, &sums, gradients.x);
    }
}

/// S and D of each channel.
fn reduce<E: Element, const KIND: u8>(backward: &Backward<'_, E>, statistics: &Statistics<'_>) -> Vec<[f64; 2]> {
    let Backward { exec, shape, x, dy, affine, .. } = backward;
    let (inputs, about) = ([*x, *dy], About::Given(statistics.mean));
    let mut blocks = if KIND == activation::IDENTITY {
        fold::sums(
            exec,
            *shape,
            inputs,
            about,
            [],
            #[inline(always)]
            |[x, dy], mean, []| {
                let dy = dy.to_f64();
                [dy, dy * (x.to_f64() - mean)]
            },
            as_they_are,
        )
    } else {
        let slope = backward.activation.slope::<E::Real>();
        let mut lines = [const { Vec::new() }; 4];
        for c in 0..shape.channels {
            for (kind, k) in lines.iter_mut().zip(affine.line(statistics, c)) {
                kind.push(k);
            }
        }
        fold::sums(
            exec,
            *shape,
            inputs,
            about,
            [&lines[0], &lines[1], &lines[2], &lines[3]],
            #[inline(always)]
            |[x, dy], mean, k| {
                let dz = activation::chained::<E::Real, KIND>(line(x, k), dy, slope).to_f64();
                [dz, dz * (x.to_f64() - mean)]
            },
            as_they_are,
        )
    };
    blocks.merged(|_, a, _, b| [a[0] + b[0], a[1] + b[1]])
}

#[inline(always)]
fn as_they_are(sums: [f64; 2], _: f64, _: f64) -> [f64; 2] {
    sums
}

/// dx where the statistics depend on x.
fn through<E: Element, const KIND: u8>(
    backward: &Backward<'_, E>,
    statistics: &Statistics<'_>,
    sums: &[[f64; 2]],
    dx: &mut [E],
) {
    let Backward { exec, shape, x, dy, affine, .. } = backward;
    let n = shape.values() as f64;
    let slope = backward.activation.slope::<E::Real>();
    apply(
        exec,
        *shape,
        [*x, *dy],
        dx,
        |c| {
            let [near, rest, a, b] = affine.line(statistics, c);
            let invstd = statistics.invstd[c];
            let mean_dz = E::Real::from_f64(sums[c][0] / n);
            [near, rest, a, b, mean_dz, E::Real::from_f64(sums[c][1] * (invstd * invstd) / n)]
        },
        #[inline(always)]
        |[x, dy], _, [near, rest, a, b, mean_dz, k]| {
            let centred = (x - near) - rest;
            let dz = activation::chained::<E::Real, KIND>(centred * a + b, dy, slope);
            (((dz - mean_dz) - centred * k) * a, AlarmOf::<E>::default())
        },
    );
}

/// dx where the statistics are constants.
fn frozen<E: Element, const KIND: u8>(backward: &Backward<'_, E>, statistics: &Statistics<'_>, dx: &mut [E]) {
    let Backward { exec, shape, x, dy, affine, .. } = backward;
    let slope = backward.activation.slope::<E::Real>();
    if KIND == activation::IDENTITY {
        apply(
            exec,
            *shape,
            [*dy],
            dx,
            |c| [affine.line(statistics, c)[2]],
            #[inline(always)]
            |[dy], _, [a]| (dy * a, AlarmOf::<E>::default()),
        );
    } else {
        apply(
            exec,
            *shape,
            [*x, *dy],
            dx,
            |c| affine.line(statistics, c),
            #[inline(always)]
            |[x, dy], _, k| {
                let dz = activation::chained::<E::Real, KIND>(line(x, k), dy, slope);
                (dz * k[2], AlarmOf::<E>::default())
            },
        );
    }
}

/// Adds `of(c)`, rounded once, to the gradient of each channel.
fn add<T: Real>(gradient: &mut [T], of: impl Fn(usize) -> f64) {
    for (c, g) in gradient.iter_mut().enumerate() {
        *g = *g + T::from_f64(of(c));
    }
}

/// Adds to `into` the sum of each column of the rows of `x`, rounded once: the gradient of a bias.
///
/// # Panics
/// When `x` does not hold whole rows of as many values as `into`.
pub fn add_column_sums<E: Element>(exec: &Exec, x: &[E], into: &mut [E::Real]) {
    let channels = into.len();
    assert!(channels > 0 && x.len().is_multiple_of(channels), "x holds whole rows");
    let shape = Shape { samples: x.len() / channels, channels, space: 1 };
    let mut blocks = fold::sums(
        exec,
        shape,
        [x],
        About::First,
        [],
        #[inline(always)]
        |[x], _, []| [x.to_f64(), 0.0],
        as_they_are,
    );
    let sums = blocks.merged(|_, a, _, b| [a[0] + b[0], 0.0]);
    add(into, |c| sums[c][0]);
}
