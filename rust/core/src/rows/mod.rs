//! Steps of some rows of a table: the same four steps, over the rows that a batch touched and no others.
//!
//! ```text
//! for each row r that was named, in the order of the table:
//!     the rule of the row     for most the rule itself; the rowwise ones look at the whole of g_r first     RowRule
//!     the four steps of its elements                                                                       FourStep
//! ```
//!
//! Rows are sorted ([`named`]), so the table is walked once, upwards, and threads
//! take runs of rows of their own. Nothing is read or written but the named rows.
//!
//! 1. What bounds it is the latency of lines that are not in the cache, so many have to be under way at once: one kernel
//!    runs over all the rows of a thread, in blocks of fixed length without a branch that depends on data, and a core
//!    then looks some rows ahead by itself.
//! 2. What is asked for around the steps (a [`Frame`], flushing, averages) is done row by row, in the same trip.

pub mod index;
pub mod named;
pub mod rules;

pub use index::OutOfRange;
pub use named::{Duplicates, Entry, Named};
pub use rules::Rule;

use crate::exec::Exec;
use crate::isa::{Kernel, prefetch};
use crate::pool;
use crate::real::Real;
use crate::rule::{FourStep, Frame, MAX_STATE, element};

/// Named rows cost several times what as many elements in a row cost, so threads pay off that much earlier.
const COST: usize = 4;

/// What a rule does with a row before its elements take their steps.
pub trait RowRule<T: Real, const S: usize>: Clone + Send + Sync {
    /// What is kept once for each row.
    type Row: Send + Sync;
    /// Steps 2 to 4 of the elements of this row.
    type Rule: FourStep<T, S>;

    /// Updates what is kept for the row whose parameters are `w` and whose gradient is `g`.
    fn of_row(&mut self, around: Around<T>, w: &[T], g: &[T], row: &mut Self::Row) -> Self::Rule;
}

/// A rule that knows nothing of rows.
#[derive(Clone, Copy, Debug)]
pub struct Each<R>(pub R);

impl<T: Real, R: FourStep<T, S>, const S: usize> RowRule<T, S> for Each<R> {
    type Row = ();
    type Rule = R;

    #[inline(always)]
    fn of_row(&mut self, _: Around<T>, _: &[T], _: &[T], (): &mut ()) -> R {
        self.0
    }
}

/// Rows of `dim` elements one after the other, with their state; the unused state slices are empty.
#[derive(Debug)]
pub struct Table<'a, T, X> {
    /// Parameters, updated in place.
    pub w: &'a mut [T],
    /// State buffers of the same length, in the rule's order.
    pub state: [&'a mut [T]; MAX_STATE],
    /// What is kept once for each row.
    pub rows: &'a mut [X],
    /// The moving average of w, or nothing.
    pub average: &'a mut [T],
}

impl<T, X> Table<'_, T, X> {
    /// The rows before row `at`, and the others.
    fn split(self, at: usize, dim: usize) -> (Self, Self) {
        let (w0, w1) = self.w.split_at_mut(at * dim);
        let (r0, r1) = self.rows.split_at_mut(at);
        let (e0, e1) = self.average.split_at_mut((at * dim).min(self.average.len()));
        let [(a0, a1), (b0, b1), (c0, c1), (d0, d1)] = self.state.map(|s| {
            let at = (at * dim).min(s.len());
            s.split_at_mut(at)
        });
        (
            Self { w: w0, state: [a0, b0, c0, d0], rows: r0, average: e0 },
            Self { w: w1, state: [a1, b1, c1, d1], rows: r1, average: e1 },
        )
    }
}

/// What happens to every row of a call beside its rule.
#[derive(Clone, Copy, Debug)]
pub struct Around<T> {
    /// What all rules share.
    pub frame: Frame<T>,
    /// d of the moving averages, and 1 − d.
    pub average: [T; 2],
    /// Store subnormal state as 0 ([`Real::flushed`]).
    pub flush: bool,
    /// Which state buffers are first moments.
    pub first_moments: [bool; MAX_STATE],
}

impl<T: Real> Around<T> {
    /// This frame, and averages by d.
    #[must_use]
    pub fn new(frame: Frame<T>, d: f64, flush: bool, first_moments: [bool; MAX_STATE]) -> Self {
        Self { frame, average: [T::from_f64(d), T::from_f64(1.0 - d)], flush, first_moments }
    }
}

/// Takes one step over the rows that `named` names, or, where one is named twice, one after the other. Gives whether some
/// gradient is not finite.
///
/// # Panics
/// When a state buffer has another length than the parameters, or a row is not in the table.
pub fn step<T: Real, R: RowRule<T, S>, const S: usize>(
    exec: &Exec,
    rule: R,
    around: Around<T>,
    table: Table<'_, T, R::Row>,
    named: &Named<'_, T>,
) -> bool {
    let dim = named.dim();
    assert_eq!(table.w.len(), table.rows.len() * dim, "a table of whole rows");
    assert!(
        table.state[..S].iter().all(|s| s.len() == table.w.len()),
        "a state buffer has the length of its parameters"
    );
    assert!([0, table.w.len()].contains(&table.average.len()), "an average has the length of its parameters");
    let entries = named.entries();
    let Some(last) = entries.last().filter(|_| dim > 0) else { return false };
    assert!(last.row < table.rows.len(), "every row is in the table");
    let threads = exec.threads_for(entries.len().saturating_mul(COST * dim));
    let piece = Piece { first: 0, table, entries };
    if threads <= 1 {
        return exec.level.run(Pass { rule, around, piece, named });
    }
    let grain = (entries.len() / (8 * threads)).max(exec.chunk / dim).max(1);
    let mut pieces = pieces_of(piece, dim, grain);
    pool::for_each(threads, &mut pieces, |(piece, bad)| {
        let Some(piece) = piece.take() else { return };
        *bad = exec.level.run(Pass { rule: rule.clone(), around, piece, named });
    });
    pieces.iter().any(|(_, bad)| *bad)
}

/// A run of the table, and the named rows that are in it.
struct Piece<'a, T, X> {
    /// Number of the run's first row.
    first: usize,
    table: Table<'a, T, X>,
    entries: &'a [Entry],
}

/// Pieces of about `grain` named rows, each with room for what its pass gives; a row that is named several times stays in one.
fn pieces_of<T: Real, X>(
    piece: Piece<'_, T, X>,
    dim: usize,
    grain: usize,
) -> Vec<(Option<Piece<'_, T, X>>, bool)> {
    let mut pieces = Vec::new();
    let mut rest = piece;
    while let Some(next) = rest.entries.get(grain).map(|entry| entry.row) {
        let Piece { first, table, entries } = rest;
        let row = if entries[grain - 1].row < next { next } else { next + 1 };
        let (now, later) = entries.split_at(entries.partition_point(|entry| entry.row < row));
        let (below, above) = table.split(row - first, dim);
        pieces.push((Some(Piece { first, table: below, entries: now }), false));
        rest = Piece { first: row, table: above, entries: later };
    }
    if !rest.entries.is_empty() {
        pieces.push((Some(rest), false));
    }
    pieces
}

/// The loop over the rows of one piece.
struct Pass<'a, T: Real, R: RowRule<T, S>, const S: usize> {
    rule: R,
    around: Around<T>,
    piece: Piece<'a, T, R::Row>,
    named: &'a Named<'a, T>,
}

impl<T: Real, R: RowRule<T, S>, const S: usize> Kernel for Pass<'_, T, R, S> {
    type Out = bool;

    #[inline(always)]
    fn run(self) -> bool {
        let Around { frame, flush, first_moments, .. } = self.around;
        if frame.is_plain() && !flush {
            let (scale, keep) = (frame.gradient.scale, frame.keep);
            self.rows(
                #[inline(always)]
                |rule, w, g, old| {
                    let g = scale * g;
                    let mut state = rule.moments(w, g, old);
                    let eta = rule.direction(w, g, &mut state);
                    (rule.update(w, eta, keep), state)
                },
            )
        } else {
            self.rows(
                #[inline(always)]
                |rule, w, g, old| {
                    let (w, mut state, _) = element(rule, frame, w, g, old);
                    if flush {
                        for (x, first_moment) in state.iter_mut().zip(first_moments) {
                            *x = x.flushed(first_moment);
                        }
                    }
                    (w, state)
                },
            )
        }
    }
}

impl<T: Real, R: RowRule<T, S>, const S: usize> Pass<'_, T, R, S> {
    #[inline(always)]
    fn rows(self, one: impl Fn(R::Rule, T, T, [T; S]) -> (T, [T; S]) + Copy) -> bool {
        let Self { mut rule, around, piece: Piece { first, table, entries }, named } = self;
        let (grads, dim, sums) = (named.grads(), named.dim(), named.sums());
        let mut buffers = table.state.into_iter();
        let mut state: [&mut [T]; S] = std::array::from_fn(
            #[inline(always)]
            |_| buffers.next().unwrap_or_default(),
        );
        let ahead = rows_ahead::<T>(dim, S + 2);
        let mut summed = vec![T::ZERO; if sums { dim } else { 0 }];
        let mut alarms = [T::Alarm::default(); BLOCK];
        let mut i = 0;
        while let Some(&Entry { row, at }) = entries.get(i) {
            if let Some(next) = entries.get(i + ahead) {
                let at = (next.row - first) * dim;
                ask(table.w, at, dim);
                for s in &state {
                    ask(s, at, dim);
                }
                ask(grads, next.at * dim, dim);
            }
            let mut count = 1;
            if sums {
                while entries.get(i + count).is_some_and(|next| next.row == row) {
                    count += 1;
                }
            }
            let g = if count == 1 {
                &grads[at * dim..(at + 1) * dim]
            } else {
                named::sum(&mut summed, &entries[i..i + count], grads);
                &summed
            };
            i += count;
            let (at, kept) = ((row - first) * dim, &mut table.rows[row - first]);
            let rule = rule.of_row(around, &table.w[at..at + dim], g, kept);
            elements(
                #[inline(always)]
                |w, g, old| one(rule, w, g, old),
                &mut alarms,
                (table.w, at),
                g,
                &mut state,
            );
            if !table.average.is_empty() {
                let [d, rest] = around.average;
                for (e, &w) in table.average[at..at + dim].iter_mut().zip(&table.w[at..at + dim]) {
                    *e = d * *e + rest * w;
                }
            }
        }
        alarms.into_iter().any(T::alarmed)
    }
}

/// Rows ahead of the one that is stepped whose lines are asked for.
///
/// Adam, 4096 fresh rows of 1 Mi × 32 `f32`, µs on one thread by lines asked for at a time (AMD EPYC, AVX-512, November
/// 2026, a busy machine): none 396, 8 302, 24 242, 32 228, 40 223, 64 295, 128 307.
#[inline(always)]
fn rows_ahead<T>(dim: usize, buffers: usize) -> usize {
    let lines = (dim * size_of::<T>()).div_ceil(64).max(1);
    (40 / (lines * buffers)).clamp(1, 16)
}

/// Asks for both ends of a row; where a row has more than two lines, the hardware sees where it leads.
#[inline(always)]
pub(crate) fn ask<T>(x: &[T], at: usize, dim: usize) {
    prefetch(x, at);
    prefetch(x, at + dim - 1);
}

/// Elements of a block: one vector of `f32` at the highest level.
const BLOCK: usize = 16;

/// The elements of the row that begins at `at`: in blocks of 16, then of 4, then one by one.
#[inline(always)]
fn elements<T: Real, const S: usize>(
    one: impl Fn(T, T, [T; S]) -> (T, [T; S]) + Copy,
    alarms: &mut [T::Alarm; BLOCK],
    (w, at): (&mut [T], usize),
    g: &[T],
    state: &mut [&mut [T]; S],
) {
    let mut i = 0;
    while i + BLOCK <= g.len() {
        block::<T, S, BLOCK>(one, alarms, (w, at + i), &g[i..i + BLOCK], state);
        i += BLOCK;
    }
    while i + 4 <= g.len() {
        block::<T, S, 4>(one, alarms, (w, at + i), &g[i..i + 4], state);
        i += 4;
    }
    while i < g.len() {
        block::<T, S, 1>(one, alarms, (w, at + i), &g[i..=i], state);
        i += 1;
    }
}

/// One block: loaded whole, stepped, and stored whole. By plain loops, which are inlined where adaptors are not.
#[inline(always)]
fn block<T: Real, const S: usize, const B: usize>(
    one: impl Fn(T, T, [T; S]) -> (T, [T; S]),
    alarms: &mut [T::Alarm; BLOCK],
    (w, at): (&mut [T], usize),
    g: &[T],
    state: &mut [&mut [T]; S],
) {
    let (w, g) = (&mut w[at..at + B], &g[..B]);
    let mut x = [T::ZERO; B];
    let mut s = [[T::ZERO; B]; S];
    x.copy_from_slice(w);
    for k in 0..S {
        s[k].copy_from_slice(&state[k][at..at + B]);
    }
    for i in 0..B {
        alarms[i] = alarms[i] | g[i].alarm();
        let mut old = [T::ZERO; S];
        for k in 0..S {
            old[k] = s[k][i];
        }
        let (new, old) = one(x[i], g[i], old);
        x[i] = new;
        for k in 0..S {
            s[k][i] = old[k];
        }
    }
    w.copy_from_slice(&x);
    for k in 0..S {
        state[k][at..at + B].copy_from_slice(&s[k]);
    }
}

#[cfg(test)]
mod tests;
