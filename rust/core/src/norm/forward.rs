//! Forward: training (the batch's own statistics) and evaluation (the running ones).

use super::moments::moments;
use super::{Affine, Coefficients, Refusal, map_rows, parts, why_not_finite};
use crate::exec::Exec;
use crate::real::Real;

/// The running statistics that training updates.
#[derive(Debug)]
pub struct Running<'a, T> {
    /// `running_mean`.
    pub mean: &'a mut [T],
    /// `running_var`, of the unbiased variance.
    pub var: &'a mut [T],
    /// Weight of the new value.
    pub momentum: f64,
}

/// What backward needs of the forward pass, beside x.
#[derive(Debug)]
pub struct Saved<'a> {
    /// μ of each channel.
    pub mean: &'a mut [f64],
    /// 1/√(σ² + ε) of each channel.
    pub invstd: &'a mut [f64],
}

/// Normalises by the batch's own statistics, and moves the running ones. On refusal nothing was written.
///
/// # Panics
/// When the lengths do not fit: `x` and `out` hold whole rows of as many values as `saved` has channels.
pub fn train<T: Real>(
    exec: &Exec,
    x: &[T],
    affine: Affine<'_, T>,
    eps: f64,
    running: Option<Running<'_, T>>,
    saved: Saved<'_>,
    out: &mut [T],
) -> Result<(), Refusal> {
    let channels = checked_channels(x, &affine, &saved, out);
    let n = (x.len() / channels) as f64;
    if n <= 1.0 {
        return Err(Refusal::OneRow);
    }
    let (mean, squares) = moments(exec, x, channels);
    // A NaN or an infinity anywhere in a channel shows in its mean, so nothing has to be looked at twice.
    let fits = |v: f64| T::from_f64(v).is_finite();
    if let Some(c) = (0..channels).find(|&c| !(fits(mean[c]) && fits(squares[c] / (n - 1.0)))) {
        return Err(why_not_finite(x, channels, c));
    }
    for c in 0..channels {
        saved.mean[c] = mean[c];
        saved.invstd[c] = 1.0 / (squares[c] / n + eps).sqrt();
    }
    if let Some(Running { mean: running_mean, var: running_var, momentum }) = running {
        let moved = |old: T, new: f64| T::from_f64((1.0 - momentum) * old.to_f64() + momentum * new);
        for c in 0..channels {
            running_mean[c] = moved(running_mean[c], mean[c]);
            running_var[c] = moved(running_var[c], squares[c] / (n - 1.0));
        }
    }
    apply::<T, false>(exec, x, affine, &saved, out);
    Ok(())
}

/// Normalises by the running statistics. Values that are not finite are found in the pass and refused after it.
///
/// # Panics
/// When the lengths do not fit, as [`train`].
pub fn evaluate<T: Real>(
    exec: &Exec,
    x: &[T],
    affine: Affine<'_, T>,
    eps: f64,
    (running_mean, running_var): (&[T], &[T]),
    saved: Saved<'_>,
    out: &mut [T],
) -> Result<(), Refusal> {
    let channels = checked_channels(x, &affine, &saved, out);
    for (name, values, least) in
        [("running_mean", running_mean, f64::NEG_INFINITY), ("running_var", running_var, 0.0)]
    {
        if let Some(channel) = values.iter().position(|v| !(v.is_finite() && v.to_f64() >= least)) {
            return Err(Refusal::Running { name, channel });
        }
    }
    for c in 0..channels {
        saved.mean[c] = running_mean[c].to_f64();
        saved.invstd[c] = 1.0 / (running_var[c].to_f64() + eps).sqrt();
    }
    if apply::<T, true>(exec, x, affine, &saved, out) { Ok(()) } else { Err(why_not_finite(x, channels, 0)) }
}

fn checked_channels<T>(x: &[T], affine: &Affine<'_, T>, saved: &Saved<'_>, out: &[T]) -> usize {
    let channels = saved.mean.len();
    assert!(channels > 0 && x.len().is_multiple_of(channels), "x holds whole rows of the channels");
    assert_eq!(saved.invstd.len(), channels, "one 1/√(σ² + ε) for each channel");
    assert_eq!(x.len(), out.len(), "the output has the shape of x");
    for parameter in [affine.weight, affine.bias].into_iter().flatten() {
        assert_eq!(parameter.len(), channels, "one parameter for each channel");
    }
    channels
}

/// y = ((x − μ) − rest of μ)·a + β; with `CHECK`, whether every x is finite.
fn apply<T: Real, const CHECK: bool>(
    exec: &Exec,
    x: &[T],
    affine: Affine<'_, T>,
    saved: &Saved<'_>,
    out: &mut [T],
) -> bool {
    let coefficients = Coefficients::new(saved.mean.len(), |c| {
        let [near, rest] = parts(saved.mean[c]);
        [near, rest, T::from_f64(affine.weight(c) * saved.invstd[c]), affine.bias(c)]
    });
    map_rows(
        exec,
        [x],
        out,
        &coefficients,
        #[inline(always)]
        |[x], [near, rest, a, beta]| (((x - near) - rest) * a + beta, !CHECK || x.is_finite()),
    )
}
