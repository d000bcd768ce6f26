//! `out = f(inputs, coefficients of the channel)` for every value, in parallel pieces.
//!
//! Where a channel's values lie side by side (a plane of at least [`SHORT`]), its coefficients are scalars of the inner loop.
//! Where they do not, rows of the innermost values have one coefficient for each value, repeated until a row is long enough
//! for full registers: (N, 3) is worked on as (N/22, 66).

use super::{Element, Shape};
use crate::exec::Exec;
use crate::isa::Kernel;
use crate::pool;
use crate::real::Real;

/// Shorter planes are worked on by rows.
const SHORT: usize = 16;

/// The least values of a row.
const LEAST: usize = 256;

/// Values that are worked on at once in a row: with a length known to the compiler the loop is straight vector code.
const STRIP: usize = 32;

/// The most values of a piece: long enough for the memory to find its stride.
const PIECE: usize = 1 << 18;

/// Bytes of a cache line.
const LINE: usize = 64;

/// What a function of one value reports, gathered with `|`.
pub(crate) type AlarmOf<E> = <<E as Element>::Real as Real>::Alarm;

/// Fills `out`; `f` also gets what stood there, for work in place. Returns whether it raised the alarm anywhere.
pub(crate) fn apply<E: Element, F, const I: usize, const K: usize>(
    exec: &Exec,
    shape: Shape,
    inputs: [&[E]; I],
    out: &mut [E],
    of: impl Fn(usize) -> [E::Real; K],
    f: F,
) -> bool
where
    F: Fn([E::Real; I], E::Real, [E::Real; K]) -> (E::Real, AlarmOf<E>) + Copy + Send + Sync,
{
    let Shape { channels, space, .. } = shape;
    let (planes, row) = if space >= SHORT { (true, channels) } else { (false, row_of(channels * space)) };
    let mut coefficients = [const { Vec::new() }; K];
    for kind in &mut coefficients {
        kind.resize(row + LINE, E::Real::ZERO);
    }
    // From a cache line on, so that no register of them lies in two.
    let mut starts = [0; K];
    for (start, kind) in starts.iter_mut().zip(&coefficients) {
        *start = kind.as_ptr().align_offset(LINE).min(LINE);
    }
    for i in 0..row {
        let channel = if planes { i } else { i / space % channels };
        for ((kind, start), k) in coefficients.iter_mut().zip(starts).zip(of(channel)) {
            kind[start + i] = k;
        }
    }
    let mut coefficients_of = [&[] as &[E::Real]; K];
    for ((slice, kind), start) in coefficients_of.iter_mut().zip(&coefficients).zip(starts) {
        *slice = &kind[start..start + row];
    }
    let space = if planes { space } else { 1 };
    let threads = exec.threads_for(shape.len());
    let chunk = (out.len() / (4 * threads)).clamp(exec.chunk.max(1), PIECE.max(exec.chunk));
    let size = if planes { chunk } else { (chunk / row).max(1) * row };
    // The last piece first: statistics have read it last, and may have left it in a cache.
    let mut pieces: Vec<_> =
        out.chunks_mut(size).enumerate().map(|(i, out)| (i * size, out, false)).rev().collect();
    pool::for_each(threads, &mut pieces, |(at, out, alarm)| {
        let inputs = cut(inputs, *at, out.len());
        *alarm = exec.level.run(Piece { inputs, out, at: *at, space, coefficients: coefficients_of, f });
    });
    pieces.iter().any(|(_, _, alarm)| *alarm)
}

/// The length of a row that repeats `period` values until there are enough of them.
fn row_of(period: usize) -> usize {
    LEAST.div_ceil(period).max(1) * period
}

struct Piece<'a, E: Element, F, const I: usize, const K: usize> {
    inputs: [&'a [E]; I],
    out: &'a mut [E],
    /// Where the piece starts in the whole.
    at: usize,
    /// Values of a plane; 1 for rows.
    space: usize,
    coefficients: [&'a [E::Real]; K],
    f: F,
}

impl<E: Element, F, const I: usize, const K: usize> Kernel for Piece<'_, E, F, I, K>
where
    F: Fn([E::Real; I], E::Real, [E::Real; K]) -> (E::Real, AlarmOf<E>) + Copy,
{
    type Out = bool;

    #[inline(always)]
    fn run(self) -> bool {
        E::Real::alarmed(if self.space == 1 { self.rows() } else { self.planes() })
    }
}

impl<E: Element, F, const I: usize, const K: usize> Piece<'_, E, F, I, K>
where
    F: Fn([E::Real; I], E::Real, [E::Real; K]) -> (E::Real, AlarmOf<E>) + Copy,
{
    #[inline(always)]
    fn planes(self) -> AlarmOf<E> {
        let Self { inputs, out, at, space, coefficients, f } = self;
        // Without coefficients there is nothing that differs between channels.
        let channels = coefficients.first().map_or(1, |k| k.len());
        let mut all = AlarmOf::<E>::default();
        let mut done = 0;
        while done < out.len() {
            let (plane, place) = ((at + done) / space, (at + done) % space);
            let len = (space - place).min(out.len() - done);
            let mut k = [E::Real::ZERO; K];
            for j in 0..K {
                k[j] = coefficients[j][plane % channels];
            }
            let x = cut(inputs, done, len);
            let out = &mut out[done..done + len];
            for c in 0..len {
                let mut values = [E::Real::ZERO; I];
                for i in 0..I {
                    values[i] = x[i][c].load();
                }
                let (y, alarm) = f(values, out[c].load(), k);
                out[c] = E::store(y);
                all = all | alarm;
            }
            done += len;
        }
        all
    }

    #[inline(always)]
    fn rows(self) -> AlarmOf<E> {
        let Self { inputs, out, coefficients, f, .. } = self;
        let row = coefficients.first().map_or(LEAST, |k| k.len());
        // One for each place in a strip: gathered only at the end.
        let mut alarms = [AlarmOf::<E>::default(); STRIP];
        for (r, out) in out.chunks_mut(row).enumerate() {
            let at = r * row;
            let mut c = 0;
            while c + STRIP <= out.len() {
                let (k, x) = (cut(coefficients, c, STRIP), cut(inputs, at + c, STRIP));
                strip(x, &mut out[c..c + STRIP], k, STRIP, f, &mut alarms);
                c += STRIP;
            }
            let rest = out.len() - c;
            if rest > 0 {
                let (k, x) = (cut(coefficients, c, rest), cut(inputs, at + c, rest));
                strip(x, &mut out[c..], k, rest.min(STRIP), f, &mut alarms);
            }
        }
        let mut all = AlarmOf::<E>::default();
        for alarm in alarms {
            all = all | alarm;
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
fn strip<E: Element, F, const I: usize, const K: usize>(
    x: [&[E]; I],
    out: &mut [E],
    k: [&[E::Real]; K],
    len: usize,
    f: F,
    alarms: &mut [AlarmOf<E>; STRIP],
) where
    F: Fn([E::Real; I], E::Real, [E::Real; K]) -> (E::Real, AlarmOf<E>) + Copy,
{
    for c in 0..len {
        let mut values = [E::Real::ZERO; I];
        for i in 0..I {
            values[i] = x[i][c].load();
        }
        let mut coefficients = [E::Real::ZERO; K];
        for j in 0..K {
            coefficients[j] = k[j][c];
        }
        let (y, alarm) = f(values, out[c].load(), coefficients);
        out[c] = E::store(y);
        alarms[c] = alarms[c] | alarm;
    }
}
