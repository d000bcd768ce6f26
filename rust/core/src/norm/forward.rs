//! Forward: training (the batch's own statistics) and evaluation (the running ones).

use super::activation::{self, Activation, for_activation};
use super::apply::{AlarmOf, apply};
use super::moments::{Moments, moments};
use super::{Affine, Element, Refusal, Shape, Statistics, not_finite, parts};
use crate::exec::Exec;
use crate::real::Real;

/// The running statistics that training moves.
#[derive(Debug)]
pub struct Running<'a, T> {
    /// `running_mean`.
    pub mean: &'a mut [T],
    /// `running_var`.
    pub var: &'a mut [T],
    /// Weight of the new value.
    pub momentum: f64,
    /// Whether `running_var` follows Σ(x − μ)²/(n − 1), or Σ(x − μ)²/n.
    pub unbiased: bool,
}

/// What is done with values that are NaN or infinite in training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonFinite {
    /// They are refused before anything is written.
    Raise,
    /// Running statistics stay as they were; the output has what comes out.
    SkipUpdate,
    /// They go everywhere.
    Propagate,
}

/// What both kinds of forward have in common.
#[derive(Debug)]
pub struct Forward<'a, E: Element> {
    /// How it runs.
    pub exec: &'a Exec,
    /// Of x and the output.
    pub shape: Shape,
    /// The input; `None` when it stands in the output, which then is overwritten.
    pub x: Option<&'a [E]>,
    /// γ and β.
    pub affine: Affine<'a, E::Real>,
    /// ε.
    pub eps: f64,
    /// What stands behind.
    pub activation: Activation,
}

impl<E: Element> Forward<'_, E> {
    fn check(&self, statistics: &Statistics<'_>, out: &[E]) {
        let channels = self.shape.channels;
        assert!(channels > 0 && out.len() == self.shape.len(), "the output has the values of the shape");
        assert!(self.x.is_none_or(|x| x.len() == out.len()), "x has the values of the shape");
        for parameter in [self.affine.weight, self.affine.bias].into_iter().flatten() {
            assert_eq!(parameter.len(), channels, "one parameter for each channel");
        }
        statistics.check(channels);
    }

    /// Normalises by the batch's own statistics, and moves the running ones. Says whether every value was finite; after a
    /// refusal nothing was written.
    ///
    /// # Panics
    /// When lengths do not fit the shape.
    pub fn train(
        &self,
        running: Option<Running<'_, E::Real>>,
        nonfinite: NonFinite,
        statistics: &mut Statistics<'_>,
        out: &mut [E],
    ) -> Result<bool, Refusal> {
        self.check(statistics, out);
        if self.shape.values() < 2 {
            return Err(Refusal::TooFew(self.shape.values()));
        }
        let x: &[E] = self.x.unwrap_or(out);
        let moments = moments(self.exec, self.shape, x);
        let n = self.shape.values() as f64;
        // A NaN or an infinity anywhere in a channel shows in its mean, so nothing has to be looked at twice.
        let fits = |v: f64| E::Real::from_f64(v).is_finite();
        let bad = moments.iter().position(|&[mean, squares]| !(fits(mean) && fits(squares / (n - 1.0))));
        if let (Some(channel), NonFinite::Raise) = (bad, nonfinite) {
            return Err(not_finite(self.shape, x).unwrap_or(Refusal::TooLarge { channel, dtype: E::NAME }));
        }
        statistics.set(&moments, n, self.eps);
        if let (Some(running), true) = (running, bad.is_none() || nonfinite == NonFinite::Propagate) {
            running.follow(&moments, n);
        }
        self.normalise(statistics, out);
        Ok(bad.is_none())
    }

    /// Normalises by the running statistics. With `raise`, values that are not finite are found in the pass and refused after
    /// it; in place they are looked for before, so that x is still there.
    ///
    /// # Panics
    /// When lengths do not fit the shape.
    pub fn evaluate(
        &self,
        (running_mean, running_var): (&[E::Real], &[E::Real]),
        raise: bool,
        statistics: &mut Statistics<'_>,
        out: &mut [E],
    ) -> Result<(), Refusal> {
        self.check(statistics, out);
        for (name, values, least) in
            [("running_mean", running_mean, f64::NEG_INFINITY), ("running_var", running_var, 0.0)]
        {
            assert_eq!(values.len(), self.shape.channels, "one running value for each channel");
            let broken = |v: &E::Real| !(v.is_finite() && v.to_f64() >= least);
            if let (Some(channel), true) = (values.iter().position(broken), raise) {
                return Err(Refusal::Running { name, channel });
            }
        }
        if let (None, true) = (self.x, raise)
            && let Some(refusal) = not_finite(self.shape, out)
        {
            return Err(refusal);
        }
        for c in 0..self.shape.channels {
            let var = running_var[c].to_f64();
            statistics.set_channel(c, running_mean[c].to_f64(), var, self.eps);
        }
        let finite = self.normalise(statistics, out) || !raise;
        match self.x {
            Some(x) if !finite => Err(not_finite(self.shape, x).unwrap_or(Refusal::TooFew(0))),
            _ => Ok(()),
        }
    }

    /// y = activation(((x − μ) − rest of μ)·a + β); whether every x is finite.
    fn normalise(&self, statistics: &Statistics<'_>, out: &mut [E]) -> bool {
        let (forward, activation) = (self, self.activation);
        !for_activation!(activation, normalise::<E>(forward, statistics, out))
    }
}

/// Fills `out`; whether some x is not finite.
fn normalise<E: Element, const KIND: u8>(
    forward: &Forward<'_, E>,
    statistics: &Statistics<'_>,
    out: &mut [E],
) -> bool {
    let Forward { exec, shape, affine, .. } = forward;
    let slope = forward.activation.slope::<E::Real>();
    let of = |c| affine.line(statistics, c);
    match forward.x {
        Some(x) => apply(
            exec,
            *shape,
            [x],
            out,
            of,
            #[inline(always)]
            move |[x], _, k| one::<E, KIND>(x, k, slope),
        ),
        None => apply(
            exec,
            *shape,
            [],
            out,
            of,
            #[inline(always)]
            move |[], x, k| one::<E, KIND>(x, k, slope),
        ),
    }
}

/// The output for one value, and an alarm where that is not finite. (Training knows that already; the alarm hides behind the
/// memory, and one kernel is enough.)
#[inline(always)]
fn one<E: Element, const KIND: u8>(x: E::Real, k: [E::Real; 4], slope: E::Real) -> (E::Real, AlarmOf<E>) {
    (activation::value::<E::Real, KIND>(line(x, k), slope), x.alarm())
}

/// ((x − μ) − rest of μ)·a + b: what forward computes, and backward again where there is an activation.
#[inline(always)]
pub(crate) fn line<T: Real>(x: T, [near, rest, a, b]: [T; 4]) -> T {
    ((x - near) - rest) * a + b
}

impl<T: Real> Affine<'_, T> {
    /// The coefficients of [`line`] for a channel.
    pub(crate) fn line(&self, statistics: &Statistics<'_>, c: usize) -> [T; 4] {
        let [near, rest] = parts(statistics.mean[c]);
        [near, rest, T::from_f64(self.weight(c) * statistics.invstd[c]), self.bias(c)]
    }
}

impl<T: Real> Running<'_, T> {
    /// Moves towards the moments of a batch of `n` values in each channel.
    pub fn follow(self, moments: &[Moments], n: f64) {
        let Self { mean, var, momentum, unbiased } = self;
        assert!(mean.len() == moments.len() && var.len() == moments.len(), "one running value for each channel");
        let moved = |old: T, new: f64| T::from_f64((1.0 - momentum) * old.to_f64() + momentum * new);
        let divisor = if unbiased { n - 1.0 } else { n };
        for (c, &[batch_mean, squares]) in moments.iter().enumerate() {
            mean[c] = moved(mean[c], batch_mean);
            var[c] = moved(var[c], squares / divisor);
        }
    }
}
