//! Reductions over fixed virtual lanes: the same bits at every level and thread count.
//!
//! A sum in floating point depends on its order, so the order is fixed by the *length* alone:
//!
//! 1. The input is cut into blocks of [`BLOCK`] elements.
//! 2. In a block, element `i` is added to lane `i mod 32`, in index order. 32 lanes fill two 512-bit registers of `f32`;
//!    narrower levels use more registers for the same lanes.
//! 3. The 32 lanes are halved (`lane[i] + lane[i + 16]`, then 8, 4, 2, 1).
//! 4. The sums of the blocks are added pairwise in index order.
//!
//! Accumulators are `f64` whatever the input. The twin is `fourstep.reference.lanes`.

use crate::exec::Exec;
use crate::isa::Kernel;
use crate::real::Real;

/// Accumulators of a block.
pub const LANES: usize = 32;

/// Elements of a block.
pub const BLOCK: usize = 4096;

/// Σ f(xᵢ) over all of `x`.
pub fn sum<T: Real, F: Fn(T) -> f64 + Copy + Send + Sync>(exec: &Exec, x: &[T], f: F) -> f64 {
    let blocks = x.len().div_ceil(BLOCK);
    let sums = crate::pool::map(exec.threads_for(x.len()), blocks, |b| {
        let end = x.len().min((b + 1) * BLOCK);
        exec.level.run(Block { x: &x[b * BLOCK..end], f })
    });
    pairwise(&sums)
}

/// Σ xᵢ², without overflow for any `f32`.
pub fn sum_of_squares<T: Real>(exec: &Exec, x: &[T]) -> f64 {
    sum(
        exec,
        x,
        #[inline(always)]
        |v| {
            let v = v.to_f64();
            v * v
        },
    )
}

/// Σ xᵢ² over what is finite.
pub fn sum_of_finite_squares<T: Real>(exec: &Exec, x: &[T]) -> f64 {
    sum(
        exec,
        x,
        #[inline(always)]
        |v| {
            let v = if v.is_finite() { v.to_f64() } else { 0.0 };
            v * v
        },
    )
}

/// The sum of `x` as a balanced tree: halves at the largest power of two below the length.
#[must_use]
pub fn pairwise(x: &[f64]) -> f64 {
    match x {
        [] => 0.0,
        [one] => *one,
        _ => {
            let half = x.len().next_power_of_two() / 2;
            pairwise(&x[..half]) + pairwise(&x[half..])
        }
    }
}

struct Block<'a, T, F> {
    x: &'a [T],
    f: F,
}

impl<T: Real, F: Fn(T) -> f64 + Copy> Kernel for Block<'_, T, F> {
    type Out = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let mut lanes = [0.0; LANES];
        let rows = self.x.chunks_exact(LANES);
        let rest = rows.remainder();
        for row in rows {
            for (lane, &v) in lanes.iter_mut().zip(row) {
                *lane += (self.f)(v);
            }
        }
        for (lane, &v) in lanes.iter_mut().zip(rest) {
            *lane += (self.f)(v);
        }
        fold(lanes)
    }
}

/// The 32 lanes, halved until one is left.
#[inline(always)]
#[must_use]
pub fn fold(mut lanes: [f64; LANES]) -> f64 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Level;

    /// 2^100.
    const SCALE: f64 = (1u128 << 100) as f64;

    fn noise(n: usize) -> Vec<f32> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (f64::from(state) / f64::from(u32::MAX)) as f32 - 0.5
        };
        (0..n).map(|_| next()).collect()
    }

    #[test]
    fn every_level_and_thread_count_gives_the_same_bits() {
        for n in (0..70).chain([4095, 4096, 4097, 3 * 4096 + 5, 100_003]) {
            let x = noise(n);
            let exec = Exec { level: Level::BASELINE, threads: 1, chunk: 64, serial_below: 0 };
            let want = sum_of_squares(&exec, &x).to_bits();
            for level in Level::available() {
                for threads in [1, 2, 3, 7] {
                    let got = sum_of_squares(&Exec { level, threads, ..exec }, &x).to_bits();
                    assert_eq!(got, want, "{n} elements at {level} on {threads} threads");
                }
            }
        }
    }

    #[test]
    fn the_sum_is_close_to_the_exact_one() {
        let x = noise(100_003);
        // Squares of 24-bit numbers below 1 fit a fixed-point i128 exactly.
        let exact: i128 = x.iter().map(|&v| ((f64::from(v) * f64::from(v)) * SCALE) as i128).sum();
        let exec = Exec { level: Level::detect(), threads: 2, chunk: 64, serial_below: 0 };
        let got = sum_of_squares(&exec, &x);
        let want = exact as f64 / SCALE;
        assert!((got - want).abs() <= 1e-14 * want, "{got} against {want}");
    }
}
