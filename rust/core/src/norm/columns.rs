//! Sums down the columns of a row-major matrix, in the order of [`crate::lanes`].
//!
//! A column (a channel) is summed as if it stood alone: cut into blocks of [`ROWS`] values, value `i` of a block added to
//! lane `i mod 32`, the lanes halved, the blocks merged pairwise in index order. So the sum is a function of the column's
//! values and their positions alone, the same at every level, on any number of threads and beside any other columns.
//! Accumulators are `f64`.
//!
//! Work is handed out in tiles, a block of rows by `WIDTH` (32) columns: the accumulators of a tile (8 KiB for each sum)
//! stay in the first cache, and a tile that is read twice comes from there or from the second. Both sizes are fixed; only
//! [`ROWS`] shows in the bits.

use crate::exec::Exec;
use crate::isa::Kernel;
use crate::lanes::LANES;
use crate::pool;
use crate::real::Real;

/// Values of one column in a block.
pub const ROWS: usize = 1024;

/// Columns of a tile.
pub(crate) const WIDTH: usize = 32;

/// One number for each column of a tile.
pub(crate) type Row = [f64; WIDTH];

/// `rows` by `width` values of a matrix that has `columns` columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tile {
    pub(crate) columns: usize,
    pub(crate) row: usize,
    pub(crate) rows: usize,
    pub(crate) column: usize,
    pub(crate) width: usize,
}

impl Tile {
    /// The part of row `r` of the tile.
    #[inline(always)]
    pub(crate) fn row_of<T>(self, x: &[T], r: usize) -> &[T] {
        let at = (self.row + r) * self.columns + self.column;
        &x[at..at + self.width]
    }
}

/// One value of `block` for each tile of columns: that of each block of rows, merged pairwise in index order.
pub(crate) fn reduce<M: Clone + Send>(
    exec: &Exec,
    rows: usize,
    columns: usize,
    block: impl Fn(Tile) -> M + Send + Sync,
    merge: impl Fn(&M, &M) -> M,
) -> Vec<M> {
    let blocks = rows.div_ceil(ROWS).max(1);
    let tiles = columns.div_ceil(WIDTH);
    let parts = pool::map(exec.threads_for(rows * columns), tiles * blocks, |i| {
        let (row, column) = (i % blocks * ROWS, i / blocks * WIDTH);
        block(Tile { columns, row, rows: ROWS.min(rows - row), column, width: WIDTH.min(columns - column) })
    });
    parts.chunks(blocks).map(|parts| tree(parts, &merge)).collect()
}

/// The parts merged as a balanced tree: halves at the largest power of two below the length.
fn tree<M: Clone>(parts: &[M], merge: &impl Fn(&M, &M) -> M) -> M {
    if let [one] = parts {
        return one.clone();
    }
    let half = parts.len().next_power_of_two() / 2;
    merge(&tree(&parts[..half], merge), &tree(&parts[half..], merge))
}

/// K sums for each column of the tile, over what `f(column in the tile, values of the I matrices)` gives.
#[inline(always)]
pub(crate) fn sums<T: Real, const I: usize, const K: usize>(
    x: [&[T]; I],
    tile: Tile,
    f: impl Fn(usize, [T; I]) -> [f64; K],
) -> [Row; K] {
    // Twice the same body: with a width known to the compiler it becomes straight vector code.
    if tile.width == WIDTH {
        sums_of(x, Tile { width: WIDTH, ..tile }, f)
    } else {
        sums_of(x, Tile { width: tile.width.min(WIDTH), ..tile }, f)
    }
}

#[inline(always)]
fn sums_of<T: Real, const I: usize, const K: usize>(
    x: [&[T]; I],
    tile: Tile,
    f: impl Fn(usize, [T; I]) -> [f64; K],
) -> [Row; K] {
    let mut lanes = [[[0.0; WIDTH]; LANES]; K];
    for r in 0..tile.rows {
        let mut rows = x;
        for i in 0..I {
            rows[i] = tile.row_of(x[i], r);
        }
        for c in 0..tile.width {
            let mut values = [T::ZERO; I];
            for i in 0..I {
                values[i] = rows[i][c];
            }
            let terms = f(c, values);
            for k in 0..K {
                lanes[k][r % LANES][c] += terms[k];
            }
        }
    }
    let mut half = LANES / 2;
    while half > 0 {
        for sum in &mut lanes {
            let (low, high) = sum.split_at_mut(half);
            for (low, high) in low.iter_mut().zip(high) {
                for (low, high) in low.iter_mut().zip(high) {
                    *low += *high;
                }
            }
        }
        half /= 2;
    }
    let mut folded = [[0.0; WIDTH]; K];
    for k in 0..K {
        folded[k] = lanes[k][0];
    }
    folded
}

/// Adds to `into` the sum of each column of `x`, rounded once: the gradient of a bias.
///
/// # Panics
/// When `x` does not hold whole rows of as many values as `into`.
pub fn add_sums<T: Real>(exec: &Exec, x: &[T], into: &mut [T]) {
    let columns = into.len();
    assert!(columns > 0 && x.len().is_multiple_of(columns), "x holds whole rows");
    let sums = reduce(exec, x.len() / columns, columns, |tile| exec.level.run(Sum { x, tile }), add);
    for (into, sum) in into.iter_mut().zip(sums.as_flattened().as_flattened()) {
        *into = *into + T::from_f64(*sum);
    }
}

struct Sum<'a, T> {
    x: &'a [T],
    tile: Tile,
}

impl<T: Real> Kernel for Sum<'_, T> {
    type Out = [Row; 1];

    #[inline(always)]
    fn run(self) -> [Row; 1] {
        sums(
            [self.x],
            self.tile,
            #[inline(always)]
            |_, [x]| [x.to_f64()],
        )
    }
}

/// The parts of two tiles' sums, added.
pub(crate) fn add<const K: usize>(a: &[Row; K], b: &[Row; K]) -> [Row; K] {
    let mut sum = *a;
    for (sum, b) in sum.as_flattened_mut().iter_mut().zip(b.as_flattened()) {
        *sum += b;
    }
    sum
}
