//! Rows in the order of the table, with their gradients.
//!
//! ```text
//! rows   7 2 7 5        sorted by row, stable    2 5 7 7        summed    2 5 7
//! grads  a b c d                                 b d a c                  b d a+c
//! ```
//!
//! 1. The sum of a row is taken in the order in which the caller names it: no bit depends on threads.
//! 2. Rows that strictly increase already are taken as they are.
//! 3. A row and its position are packed into one integer, and sorted by the row alone, lowest digit first, which keeps
//!    the order of equal rows. Only the bits in which rows differ count: a million rows take two passes.
//! 4. Gradients stay where they are; a step reads each once. Only the norm wants them side by side ([`Named::measured`]),
//!    so that its fold, over fixed lanes, is that of the summed gradients whatever the order they came in.

use std::borrow::Cow;

use super::index::{Index, Order, OutOfRange, checked};
use crate::exec::Exec;
use crate::isa::Kernel;
use crate::lanes;
use crate::metrics::sort::sort;
use crate::pool;
use crate::real::Real;

/// What becomes of a row that is named more than once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Duplicates {
    /// Its gradients are summed first.
    Sum,
    /// It takes a step for each, in order.
    InOrder,
}

/// One row that the caller named.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Entry {
    /// Of the table.
    pub row: usize,
    /// Where its gradient is, in rows.
    pub at: usize,
}

/// Rows that do not decrease, each with its gradient.
#[derive(Clone, Debug)]
pub struct Named<'a, T: Clone> {
    entries: Vec<Entry>,
    grads: Cow<'a, [T]>,
    dim: usize,
    duplicates: Duplicates,
}

impl<'a, T: Real> Named<'a, T> {
    /// Checks `rows` against a table of `size` rows of `dim` elements, and brings them into its order.
    ///
    /// # Panics
    /// When `grads` does not hold `dim` elements for each row.
    pub fn new<I: Index>(
        exec: &Exec,
        rows: &[I],
        grads: &'a [T],
        (size, dim): (usize, usize),
        duplicates: Duplicates,
    ) -> Result<Self, OutOfRange> {
        assert_eq!(Some(grads.len()), rows.len().checked_mul(dim), "a gradient of `dim` elements for each row");
        let (rows, order) = checked(rows, size)?;
        let entries = match order {
            Order::Sorted => entries(rows.iter().copied()),
            Order::None => by_row(exec, &rows),
        };
        Ok(Self { entries, grads: Cow::Borrowed(grads), dim, duplicates })
    }

    /// The rows, and where their gradients are.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Gradients, in rows of [`Self::dim`].
    #[must_use]
    pub fn grads(&self) -> &[T] {
        &self.grads
    }

    /// Elements of a row.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Whether gradients of one row are to be summed.
    #[must_use]
    pub fn sums(&self) -> bool {
        self.duplicates == Duplicates::Sum
    }

    /// The same, with the gradients side by side in order, summed if they are to be; and Σg² over them, or with `finite`
    /// over those that are.
    #[must_use]
    pub fn measured(self, exec: &Exec, finite: bool) -> (Self, f64) {
        let this = if self.side_by_side() { self } else { self.gathered(exec) };
        let fold = if finite { lanes::sum_of_finite_squares } else { lanes::sum_of_squares };
        let squares = fold(exec, &this.grads);
        (this, squares)
    }

    fn side_by_side(&self) -> bool {
        let in_place = self.entries.iter().enumerate().all(|(i, e)| i == e.at);
        in_place && !(self.sums() && self.entries.windows(2).any(|pair| pair[0].row == pair[1].row))
    }

    fn gathered(self, exec: &Exec) -> Self {
        // Where each output row starts.
        let all = &self.entries;
        let mut starts: Vec<usize> =
            (0..all.len()).filter(|&i| i == 0 || !self.sums() || all[i - 1].row != all[i].row).collect();
        let entries = entries(starts.iter().map(|&i| all[i].row));
        starts.push(all.len());
        let mut out = vec![T::ZERO; entries.len() * self.dim];
        if !out.is_empty() {
            let threads = exec.threads_for(self.grads.len());
            let each = entries.len().div_ceil(threads).max(exec.chunk / self.dim).max(1);
            let mut pieces: Vec<_> = out.chunks_mut(each * self.dim).enumerate().collect();
            pool::for_each(threads, &mut pieces, |(i, out)| {
                exec.level.run(Gather { out, starts: &starts[*i * each..], named: &self });
            });
        }
        Self { entries, grads: Cow::Owned(out), ..self }
    }
}

fn entries(rows: impl Iterator<Item = usize>) -> Vec<Entry> {
    rows.enumerate().map(|(at, row)| Entry { row, at }).collect()
}

struct Gather<'a, T: Clone> {
    out: &'a mut [T],
    starts: &'a [usize],
    named: &'a Named<'a, T>,
}

impl<T: Real> Kernel for Gather<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        let Self { out, starts, named } = self;
        for (out, ends) in out.chunks_exact_mut(named.dim).zip(starts.windows(2)) {
            sum(out, &named.entries[ends[0]..ends[1]], &named.grads);
        }
    }
}

/// `out` = the sum of the gradients of `entries`, of which there is at least one, in order.
#[inline(always)]
pub(super) fn sum<T: Real>(out: &mut [T], entries: &[Entry], grads: &[T]) {
    let dim = out.len();
    for (i, entry) in entries.iter().enumerate() {
        let g = &grads[entry.at * dim..(entry.at + 1) * dim];
        if i == 0 {
            for (a, &b) in out.iter_mut().zip(g) {
                *a = b;
            }
        } else {
            for (a, &b) in out.iter_mut().zip(g) {
                *a = *a + b;
            }
        }
    }
}

/// Bits of a digit: 2^11 counters fit the first-level cache.
const DIGIT_BITS: u32 = 11;
/// Up to this many rows the standard library is faster.
const SMALL: usize = 128;
/// Above this many rows and positions, which no longer fit the second-level cache, all threads sort.
const LOCAL: usize = 1 << 16;

/// By row, and where rows are equal by position.
fn by_row(exec: &Exec, rows: &[usize]) -> Vec<Entry> {
    let (least, most) = rows.iter().fold((usize::MAX, 0), |(least, most), &row| (least.min(row), most.max(row)));
    let row_bits = usize::BITS - (most - least).leading_zeros();
    let position_bits = usize::BITS - (rows.len() - 1).leading_zeros();
    if row_bits + position_bits > u64::BITS {
        let mut all = entries(rows.iter().copied());
        all.sort_unstable();
        return all;
    }
    let pack = |(i, &row): (usize, &usize)| ((row - least) as u64) << position_bits | i as u64;
    let mut keys: Vec<u64> = rows.iter().enumerate().map(pack).collect();
    if keys.len() <= SMALL {
        keys.sort_unstable();
    } else if keys.len() <= LOCAL {
        by_digits(&mut keys, position_bits, row_bits);
    } else {
        sort(exec, &mut keys);
    }
    let mask = (1 << position_bits) - 1;
    let entry = |key| Entry { row: least + (key >> position_bits) as usize, at: (key & mask) as usize };
    keys.into_iter().map(entry).collect()
}

/// Sorts by `bits` bits from bit `shift` on, keeping the order of equal ones.
fn by_digits(keys: &mut Vec<u64>, shift: u32, bits: u32) {
    let mut scratch = vec![0; keys.len()];
    for pass in 0..bits.div_ceil(DIGIT_BITS) {
        // Digits of about one size: 12 bits are 6 and 6.
        let width = bits.div_ceil(bits.div_ceil(DIGIT_BITS));
        let digit = |key: u64| (key >> (shift + pass * width)) as usize & ((1 << width) - 1);
        let mut next = [0u32; 1 << DIGIT_BITS];
        for &key in keys.iter() {
            next[digit(key)] += 1;
        }
        let mut sum = 0;
        for count in &mut next[..1 << width] {
            (*count, sum) = (sum, sum + *count);
        }
        for &key in keys.iter() {
            let slot = &mut next[digit(key)];
            scratch[*slot as usize] = key;
            *slot += 1;
        }
        std::mem::swap(keys, &mut scratch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Level;
    use std::collections::BTreeMap;

    fn exec(threads: usize) -> Exec {
        Exec { level: Level::detect(), threads, chunk: 16, serial_below: 0 }
    }

    fn noise(n: usize, below: u64) -> Vec<u64> {
        let mut state = 7u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state ^ (state >> 29)) % below
        };
        (0..n).map(|_| next()).collect()
    }

    /// One gradient after the other, added where its row is.
    fn naive(rows: &[u64], grads: &[f32], dim: usize) -> BTreeMap<u64, Vec<f32>> {
        let mut sums: BTreeMap<u64, Vec<f32>> = BTreeMap::new();
        for (&row, g) in rows.iter().zip(grads.chunks(dim)) {
            match sums.get_mut(&row) {
                Some(sum) => sum.iter_mut().zip(g).for_each(|(a, b)| *a += b),
                None => drop(sums.insert(row, g.to_vec())),
            }
        }
        sums
    }

    fn check(rows: &[u64], size: usize, what: &str) {
        let dim = 3;
        let grads: Vec<f32> = (0..rows.len() * dim).map(|i| (i as f32).sqrt() * 0.37).collect();
        let sums = naive(rows, &grads, dim);
        let mut in_order: Vec<(usize, usize)> = rows.iter().map(|&row| row as usize).zip(0..).collect();
        in_order.sort_unstable();
        for threads in [1, 2, 3, 7] {
            let exec = exec(threads);
            let all = |duplicates| Named::new(&exec, rows, &grads, (size, dim), duplicates).unwrap();
            let got = all(Duplicates::InOrder);
            let pairs: Vec<_> = got.entries.iter().map(|e| (e.row, e.at)).collect();
            assert!(pairs == in_order, "{what}: order");
            let (got, _) = got.measured(&exec, false);
            assert!(got.entries.iter().map(|e| e.row).eq(in_order.iter().map(|p| p.0)), "{what}: each one");
            let want = in_order.iter().flat_map(|&(_, i)| &grads[i * dim..(i + 1) * dim]);
            assert!(got.grads.iter().eq(want), "{what}: gradients in order on {threads} threads");
            let (got, squares) = all(Duplicates::Sum).measured(&exec, false);
            let once = got.entries.iter().map(|e| (e.row as u64, e.at));
            assert!(once.eq(sums.keys().copied().zip(0..)), "{what}: each once");
            let want: Vec<f32> = sums.values().flatten().copied().collect();
            let bits = |all: &[f32]| all.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&got.grads), bits(&want), "{what}: sums of {} rows on {threads} threads", rows.len());
            assert_eq!(squares, lanes::sum_of_squares(&exec, &want), "{what}: the norm");
        }
    }

    #[test]
    fn around_every_size_limit() {
        for n in [0, 1, 2, SMALL - 1, SMALL, SMALL + 1, 4096, LOCAL, LOCAL + 1] {
            for size in [1, 7, 2048, 2049, 1 << 20, 1 << 40] {
                check(&noise(n, size), size as usize, &format!("{size} rows"));
            }
        }
    }

    #[test]
    fn orders() {
        check(&(0..3000).collect::<Vec<_>>(), 3000, "increasing");
        check(&(0..3000).map(|i| i / 3).collect::<Vec<_>>(), 3000, "sorted");
        check(&(0..3000).rev().collect::<Vec<_>>(), 3000, "reversed");
        check(&[5; 1000], 6, "one row");
        check(&[u64::MAX - 1, 0, u64::MAX - 1, 3], usize::MAX, "rows and positions that do not fit one integer");
    }

    #[test]
    fn increasing_rows_are_not_copied() {
        let grads = [1.0f32, 2.0];
        let as_they_are = |rows: &[i32], duplicates| {
            let got = Named::new(&exec(1), rows, &grads, (9, 1), duplicates).unwrap();
            matches!(got.measured(&exec(1), false).0.grads, Cow::Borrowed(_))
        };
        assert!(as_they_are(&[3, 8], Duplicates::Sum), "each row once");
        assert!(!as_they_are(&[3, 3], Duplicates::Sum), "one row twice");
        assert!(as_they_are(&[3, 3], Duplicates::InOrder), "one row twice, in order");
        assert!(!as_they_are(&[8, 3], Duplicates::InOrder), "backwards");
    }

    #[test]
    fn the_first_row_outside_is_named() {
        let message = |rows: &[i32], size| {
            let grads = vec![0.0f32; rows.len()];
            Named::new(&exec(1), rows, &grads, (size, 1), Duplicates::Sum).unwrap_err().to_string()
        };
        assert_eq!(message(&[0, 5, -1, 9], 6), "got row -1 at position 2, need 0 to 5 (2 rows are out of range)");
        assert_eq!(message(&[6], 6), "got row 6 at position 0, need 0 to 5");
        assert_eq!(message(&[0], 0), "got row 0 at position 0 of a table without rows");
        let unsigned = Named::new(&exec(1), &[u64::MAX], &[0.0f32], (6, 1), Duplicates::Sum).unwrap_err();
        assert_eq!(unsigned.row, u64::MAX.to_string(), "the largest");
    }
}
