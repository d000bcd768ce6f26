//! Rows of a table by index, and their gradient.
//!
//! ```text
//! forward    out[r] = table[ids[r, 0]] ‖ table[n₀ + ids[r, 1]] ‖ …       one segment of `dim` values for each field
//! backward   grad[n₀ + … + ids[r, f]] += dy[r, f]                       for r = 0, 1, … in that order
//! ```
//!
//! The fields share one table, each with a range of rows of its own. So the gradient's order of addition is fixed (that of
//! the rows), and threads split it by field: no two write the same row, and no bit depends on how many there are. It is
//! bound by the latency of rows that are not in the cache; sorting the indices first costs more than it saves.

use std::fmt;

use crate::exec::Exec;
use crate::isa::Kernel;
use crate::pool;
use crate::real::Real;
use crate::rows::ask;

/// An index outside its field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfRange {
    /// Row of the first one.
    pub row: usize,
    /// Its field.
    pub field: usize,
    /// What it is.
    pub id: i64,
    /// How many rows the field has.
    pub size: usize,
    /// How many such indices there are.
    pub count: usize,
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { row, field, id, size, count } = self;
        write!(f, "x: got index {id} at row {row}, field {field}, need 0 to {}", *size as i64 - 1)?;
        if *count > 1 { write!(f, " ({count} indices are out of range)") } else { Ok(()) }
    }
}

impl std::error::Error for OutOfRange {}

/// Checks every index of `ids`, whose rows hold one for each field.
pub fn check(ids: &[i64], sizes: &[usize]) -> Result<(), OutOfRange> {
    let outside = |(i, &id): (usize, &i64)| {
        let (row, field) = (i / sizes.len(), i % sizes.len());
        let size = sizes[field];
        // A negative index becomes a huge one.
        (id as u64 >= size as u64).then_some(OutOfRange { row, field, id, size, count: 1 })
    };
    let all_inside =
        ids.chunks_exact(sizes.len()).all(|row| row.iter().zip(sizes).all(|(&id, &n)| (id as u64) < n as u64));
    if all_inside {
        return Ok(());
    }
    let mut outside = ids.iter().enumerate().filter_map(outside);
    match outside.next() {
        Some(first) => Err(OutOfRange { count: 1 + outside.count(), ..first }),
        None => Ok(()),
    }
}

/// Fills `out[r]` with the table rows that `ids[r]` names.
///
/// # Panics
/// When the lengths do not fit: `table` holds Σ`sizes` rows of `dim`; each row of `out` is `sizes.len()·dim` long.
pub fn look_up<T: Real>(
    exec: &Exec,
    table: &[T],
    dim: usize,
    sizes: &[usize],
    ids: &[i64],
    out: &mut [&mut [T]],
) -> Result<(), OutOfRange> {
    let fields = sizes.len();
    assert_eq!(table.len(), sizes.iter().sum::<usize>() * dim, "the table has a row for each index");
    assert_eq!(ids.len(), out.len() * fields, "one index for each row and field");
    assert!(
        out.iter().all(|row| row.len() == fields * dim),
        "a row of the output has `dim` values for each field"
    );
    check(ids, sizes)?;
    if dim == 0 {
        return Ok(());
    }
    let rows = (exec.chunk / (fields * dim)).max(1);
    let mut pieces: Vec<_> = ids.chunks(rows * fields).zip(out.chunks_mut(rows)).collect();
    pool::for_each(exec.threads_for(ids.len() * dim), &mut pieces, |(ids, out)| {
        exec.level.run(LookUp { table, dim, sizes, ids, out });
    });
    Ok(())
}

/// Rows that are looked up ahead of the one that is copied: their lines are asked for.
const AHEAD: usize = 8;

struct LookUp<'a, 'b, T> {
    table: &'a [T],
    dim: usize,
    sizes: &'a [usize],
    ids: &'a [i64],
    out: &'a mut [&'b mut [T]],
}

impl<T: Real> Kernel for LookUp<'_, '_, T> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        let Self { table, dim, sizes, ids, out } = self;
        let ahead = AHEAD * sizes.len();
        let mut i = 0;
        for out in out {
            let (mut start, mut to) = (0, 0);
            for &size in sizes {
                if let Some(&next) = ids.get(i + ahead) {
                    ask(table, (start + next as usize) * dim, dim);
                }
                let at = (start + ids[i] as usize) * dim;
                for (a, &b) in out[to..to + dim].iter_mut().zip(&table[at..at + dim]) {
                    *a = b;
                }
                (start, to, i) = (start + size, to + dim, i + 1);
            }
        }
    }
}

/// Adds `dy[r]` to the gradient of the table rows that `ids[r]` names.
///
/// # Panics
/// When the lengths do not fit, as [`look_up`].
pub fn add_gradient<T: Real>(
    exec: &Exec,
    gradient: &mut [T],
    dim: usize,
    sizes: &[usize],
    ids: &[i64],
    dy: &[&[T]],
) -> Result<(), OutOfRange> {
    let fields = sizes.len();
    assert_eq!(gradient.len(), sizes.iter().sum::<usize>() * dim, "the gradient has a row for each index");
    assert_eq!(ids.len(), dy.len() * fields, "one index for each row and field");
    assert!(dy.iter().all(|row| row.len() == fields * dim), "a row of dy has `dim` values for each field");
    check(ids, sizes)?;
    if dim == 0 {
        return Ok(());
    }
    let mut rest = gradient;
    let mut parts = Vec::with_capacity(fields);
    for (field, &size) in sizes.iter().enumerate() {
        let (part, after) = std::mem::take(&mut rest).split_at_mut(size * dim);
        parts.push((field, part));
        rest = after;
    }
    pool::for_each(exec.threads_for(ids.len() * dim), &mut parts, |(field, gradient)| {
        for (ids, dy) in ids.chunks_exact(fields).zip(dy) {
            let at = ids[*field] as usize * dim;
            add(&mut gradient[at..at + dim], &dy[*field * dim..(*field + 1) * dim]);
        }
    });
    Ok(())
}

/// `a += b`, eight at a time: the common dimensions are multiples of it.
#[inline]
fn add<T: Real>(a: &mut [T], b: &[T]) {
    let (a8, a1) = a.as_chunks_mut::<8>();
    let (b8, b1) = b.as_chunks::<8>();
    for (a, b) in a8.iter_mut().zip(b8) {
        for i in 0..8 {
            a[i] = a[i] + b[i];
        }
    }
    for (a, &b) in a1.iter_mut().zip(b1) {
        *a = *a + b;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Level;

    const SIZES: [usize; 3] = [5, 1, 40];

    fn ids(rows: usize) -> Vec<i64> {
        (0..rows).flat_map(|r| [r as i64 * 7 % 5, 0, r as i64 * r as i64 % 40]).collect()
    }

    fn exec(threads: usize) -> Exec {
        Exec { level: Level::detect(), threads, chunk: 64, serial_below: 0 }
    }

    #[test]
    fn rows_come_back_as_they_are_in_the_table() {
        for dim in [1, 3, 8, 19] {
            let table: Vec<f32> = (0..46 * dim).map(|i| i as f32).collect();
            for (rows, threads) in [(0, 1), (1, 2), (333, 1), (333, 3)] {
                let ids = ids(rows);
                let mut flat = vec![-1.0; rows * 3 * dim];
                let mut out: Vec<&mut [f32]> = flat.chunks_mut(3 * dim).collect();
                look_up(&exec(threads), &table, dim, &SIZES, &ids, &mut out).unwrap();
                for (i, &id) in ids.iter().enumerate() {
                    let row = [0, 5, 6][i % 3] + id as usize;
                    assert_eq!(flat[i * dim..(i + 1) * dim], table[row * dim..(row + 1) * dim], "index {i}");
                }
            }
        }
    }

    #[test]
    fn the_gradient_is_the_sum_in_row_order_on_any_number_of_threads() {
        for dim in [1, 3, 8, 19] {
            let rows = 333;
            let ids = ids(rows);
            let dy: Vec<f32> = (0..rows * 3 * dim).map(|i| 1.0 / (i as f32 + 1.0)).collect();
            let mut want = vec![0.5_f32; 46 * dim];
            for (i, &id) in ids.iter().enumerate() {
                for d in 0..dim {
                    want[([0, 5, 6][i % 3] + id as usize) * dim + d] += dy[i * dim + d];
                }
            }
            for threads in [1, 2, 3, 7] {
                let mut got = vec![0.5_f32; 46 * dim];
                let rows: Vec<&[f32]> = dy.chunks(3 * dim).collect();
                add_gradient(&exec(threads), &mut got, dim, &SIZES, &ids, &rows).unwrap();
                assert_eq!(got, want, "dim {dim} on {threads} threads");
            }
        }
    }

    #[test]
    fn an_index_outside_its_field_is_named_and_nothing_is_written() {
        let table = [1.0_f64; 46];
        let ids = [4, 0, 39, 0, 0, -1, 5, 0, 40];
        let mut flat = [7.0; 9];
        let mut out: Vec<&mut [f64]> = flat.chunks_mut(3).collect();
        let error = look_up(&exec(1), &table, 1, &SIZES, &ids, &mut out).unwrap_err();
        assert_eq!(error, OutOfRange { row: 1, field: 2, id: -1, size: 40, count: 3 }, "{error}");
        assert_eq!(flat, [7.0; 9], "untouched");
        let mut gradient = [7.0; 46];
        let error = add_gradient(&exec(1), &mut gradient, 1, &SIZES, &ids, &[&[1.0; 3][..]; 3]).unwrap_err();
        assert!(error.to_string().contains("-1 at row 1, field 2, need 0 to 39"), "{error}");
        assert_eq!(gradient, [7.0; 46], "untouched");
    }
}
