//! `out = f(inputs, coefficients of the channel)` for every value, in parallel pieces.
//!
//! Where a channel's values lie side by side (a plane of at least [`SHORT`]), its coefficients are scalars of the inner loop.
//! Where they do not, rows of the innermost values have one coefficient for each value, repeated until a row is long enough
//! for full registers: (N, 3) is worked on as (N/22, 66).

use std::ops::BitOr;

use super::{Element, Shape};
use crate::exec::Exec;
use crate::isa::{Kernel, prefetch};
use crate::pool;
use crate::real::Real;

/// Shorter planes are worked on by rows.
const SHORT: usize = 16;

/// The least values of a row.
const LEAST: usize = 256;

/// Values that are worked on at once: with a length known to the compiler the loop is straight vector code.
const STRIP: usize = 32;

/// And at the end of a plane.
const SHORT_STRIP: usize = 8;

/// In longer planes the end does not matter, and one loop is faster.
const LONG: usize = 512;

/// Where the coefficients of a row are more bytes than the first cache holds beside all else, so many values are worked on in so
/// many rows before the next ones. (Elsewhere rows are read and written in order, which the memory likes best.)
const FIRST_CACHE: usize = 1 << 15;
const WIDE: usize = 512;
const TOGETHER: usize = 16;

/// The most values of a piece: long enough for the memory to find its stride.
const PIECE: usize = 1 << 18;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Bytes between two requests for later ones, and how much later those are.
const ASKED: usize = 1 << 10;
const AHEAD: usize = 1 << 13;

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
    let (planes, row) =
        if space >= SHORT { (true, channels) } else { (false, row_of(channels * space, shape.samples)) };
    // Where rows are whole cache lines, all but the values in front of the first line are written a line at a time.
    let lines = !planes && (row * size_of::<E>()).is_multiple_of(LINE);
    let head = if lines { out.as_ptr().align_offset(LINE).min(row) } else { 0 };
    let each = if planes { 1 } else { space };
    let table = Table::new(channels, each, row + head, head, of);
    let coefficients = table.kinds();
    let space = if planes { space } else { 1 };
    let threads = exec.threads_for(shape.len());
    let chunk = (out.len() / (4 * threads)).clamp(exec.chunk.max(1), PIECE.max(exec.chunk));
    let size = if planes { chunk } else { (chunk / row).max(1) * row };
    // The last piece first: statistics have read it last, and may have left it in a cache.
    let mut pieces: Vec<_> =
        out.chunks_mut(size).enumerate().map(|(i, out)| (i * size, out, false)).rev().collect();
    pool::for_each(threads, &mut pieces, |(at, out, alarm)| {
        let inputs = cut(inputs, *at, out.len());
        *alarm = exec.level.run(Piece { inputs, out, at: *at, space, head, row, coefficients, f });
    });
    pieces.iter().any(|(_, _, alarm)| *alarm)
}

/// The length of a row that repeats `period` values until there are enough of them: if they are few, of whole strips.
fn row_of(period: usize, times: usize) -> usize {
    let whole = period << (STRIP.trailing_zeros() - period.trailing_zeros().min(STRIP.trailing_zeros()));
    let unit = if whole <= 4 * LEAST { whole } else { period };
    (LEAST.div_ceil(unit) * unit).min(times.max(1) * period)
}

/// The coefficients of the places of a row, or of planes: all of one kind, then all of the next one.
struct Table<T, const K: usize> {
    values: Vec<T>,
    len: usize,
    first: usize,
    apart: usize,
}

impl<T: Real, const K: usize> Table<T, K> {
    /// `of(channel)` for `each` places of every channel, again and again until there are `len`; place `head` begins a cache line.
    fn new(channels: usize, each: usize, len: usize, head: usize, of: impl Fn(usize) -> [T; K]) -> Self {
        let line = LINE / size_of::<T>();
        let apart = len.next_multiple_of(line) + line;
        let mut values = vec![T::ZERO; K * apart + line];
        let first = values.as_ptr().wrapping_add(head).align_offset(LINE).min(line);
        for channel in 0..channels {
            for (kind, k) in of(channel).into_iter().enumerate() {
                values[first + kind * apart + channel * each..][..each].fill(k);
            }
        }
        for kind in 0..K {
            let places = &mut values[first + kind * apart..][..len];
            let mut done = channels * each;
            while done < len {
                let more = done.min(len - done);
                places.copy_within(..more, done);
                done += more;
            }
        }
        Self { values, len, first, apart }
    }

    fn kinds(&self) -> [&[T]; K] {
        let mut kinds = [&[] as &[T]; K];
        for (kind, places) in kinds.iter_mut().enumerate() {
            *places = &self.values[self.first + kind * self.apart..][..self.len];
        }
        kinds
    }
}

struct Piece<'a, E: Element, F, const I: usize, const K: usize> {
    inputs: [&'a [E]; I],
    out: &'a mut [E],
    /// Where the piece starts in the whole.
    at: usize,
    /// Values of a plane; 1 for rows.
    space: usize,
    /// Values in front of the first cache line, and of a row.
    head: usize,
    row: usize,
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
        let Self { inputs, out, at, space, coefficients, f, .. } = self;
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
            all = all
                | if len < LONG {
                    in_strips(x, out, k, f)
                } else if I > 1 {
                    asking(inputs, done, x, out, k, f)
                } else {
                    in_one(x, out, k, f)
                };
            done += len;
        }
        all
    }

    #[inline(always)]
    fn rows(self) -> AlarmOf<E> {
        let Self { inputs, out, head, row, coefficients, f, .. } = self;
        // One for each place in a strip: gathered only at the end.
        let mut alarms = [AlarmOf::<E>::default(); STRIP];
        let (front, lines) = out.split_at_mut(head.min(out.len()));
        let (k, x, len) = (cut(coefficients, 0, front.len()), cut(inputs, 0, front.len()), front.len());
        strip(x, front, k, len.min(STRIP), f, &mut alarms);
        let wide = if K * row * size_of::<E::Real>() > FIRST_CACHE { WIDE } else { row };
        for (block, lines) in lines.chunks_mut(TOGETHER * row).enumerate() {
            for first in (0..row).step_by(wide) {
                for (r, out) in lines.chunks_mut(row).enumerate() {
                    let Some(out) = out.get_mut(first..) else { continue };
                    let len = out.len().min(wide);
                    let at = head + (block * TOGETHER + r) * row + first;
                    let (k, x) = (cut(coefficients, head + first, len), cut(inputs, at, len));
                    in_strips_of_row(x, &mut out[..len], k, f, &mut alarms);
                }
            }
        }
        gathered(alarms)
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

/// Some values of one channel, in one loop.
#[inline(always)]
fn in_one<E: Element, F, const I: usize, const K: usize>(
    x: [&[E]; I],
    out: &mut [E],
    k: [E::Real; K],
    f: F,
) -> AlarmOf<E>
where
    F: Fn([E::Real; I], E::Real, [E::Real; K]) -> (E::Real, AlarmOf<E>) + Copy,
{
    let mut all = AlarmOf::<E>::default();
    for c in 0..out.len() {
        all = all | one(x, out, c, k, f);
    }
    all
}

/// Some values of one channel, which start at `from` in the inputs; asks for later ones. (A value that is loaded only where an
/// activation lets it through tells the memory nothing of what comes next.)
#[inline(always)]
fn asking<E: Element, F, const I: usize, const K: usize>(
    inputs: [&[E]; I],
    from: usize,
    x: [&[E]; I],
    out: &mut [E],
    k: [E::Real; K],
    f: F,
) -> AlarmOf<E>
where
    F: Fn([E::Real; I], E::Real, [E::Real; K]) -> (E::Real, AlarmOf<E>) + Copy,
{
    let mut all = AlarmOf::<E>::default();
    for here in (0..out.len()).step_by(ASKED / size_of::<E>()) {
        let there = (here + ASKED / size_of::<E>()).min(out.len());
        for at in (here..there).step_by(LINE / size_of::<E>()) {
            for input in inputs {
                prefetch(input, from + at + AHEAD / size_of::<E>());
            }
        }
        all = all | in_strips(cut(x, here, there - here), &mut out[here..there], k, f);
    }
    all
}

/// Some values of one channel, so many at once as there still are.
#[allow(clippy::needless_range_loop, reason = "a strip of all arrays is what the loop is over")]
#[inline(always)]
fn in_strips<E: Element, F, const I: usize, const K: usize>(
    x: [&[E]; I],
    out: &mut [E],
    k: [E::Real; K],
    f: F,
) -> AlarmOf<E>
where
    F: Fn([E::Real; I], E::Real, [E::Real; K]) -> (E::Real, AlarmOf<E>) + Copy,
{
    // One for each place in a strip: gathered only at the end.
    let mut alarms = [AlarmOf::<E>::default(); STRIP];
    let mut done = 0;
    while done + STRIP <= out.len() {
        let (x, out) = (cut(x, done, STRIP), &mut out[done..done + STRIP]);
        for c in 0..STRIP {
            alarms[c] = alarms[c] | one(x, out, c, k, f);
        }
        done += STRIP;
    }
    let mut all = gathered(alarms);
    let mut alarms = [AlarmOf::<E>::default(); SHORT_STRIP];
    while done + SHORT_STRIP <= out.len() {
        let (x, out) = (cut(x, done, SHORT_STRIP), &mut out[done..done + SHORT_STRIP]);
        for c in 0..SHORT_STRIP {
            alarms[c] = alarms[c] | one(x, out, c, k, f);
        }
        done += SHORT_STRIP;
    }
    all = all | gathered(alarms);
    let rest = out.len() - done;
    all | in_one(cut(x, done, rest), &mut out[done..], k, f)
}

#[inline(always)]
fn gathered<A: Copy + Default + BitOr<Output = A>, const N: usize>(alarms: [A; N]) -> A {
    let mut all = A::default();
    for alarm in alarms {
        all = all | alarm;
    }
    all
}

/// Value `c`.
#[inline(always)]
fn one<E: Element, F, const I: usize, const K: usize>(
    x: [&[E]; I],
    out: &mut [E],
    c: usize,
    k: [E::Real; K],
    f: F,
) -> AlarmOf<E>
where
    F: Fn([E::Real; I], E::Real, [E::Real; K]) -> (E::Real, AlarmOf<E>) + Copy,
{
    let mut values = [E::Real::ZERO; I];
    for i in 0..I {
        values[i] = x[i][c].load();
    }
    let (y, alarm) = f(values, out[c].load(), k);
    out[c] = E::store(y);
    alarm
}

/// Some values of a row.
#[inline(always)]
fn in_strips_of_row<E: Element, F, const I: usize, const K: usize>(
    x: [&[E]; I],
    out: &mut [E],
    k: [&[E::Real]; K],
    f: F,
    alarms: &mut [AlarmOf<E>; STRIP],
) where
    F: Fn([E::Real; I], E::Real, [E::Real; K]) -> (E::Real, AlarmOf<E>) + Copy,
{
    let mut c = 0;
    while c + STRIP <= out.len() {
        strip(cut(x, c, STRIP), &mut out[c..c + STRIP], cut(k, c, STRIP), STRIP, f, alarms);
        c += STRIP;
    }
    let rest = out.len() - c;
    if rest > 0 {
        strip(cut(x, c, rest), &mut out[c..], cut(k, c, rest), rest.min(STRIP), f, alarms);
    }
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
