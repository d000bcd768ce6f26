//! Sample weights as integers, so that weighted pairs are counted as exactly as unweighted ones.
//!
//! ```text
//! q_i = round(w_i · 2^s)       s such that the sum of all q is near 2^61, and below 2^62
//! ```
//!
//! Each weight is rounded once, by at most 2⁻⁶¹ of the sum; all else is integer work. Weights that are whole multiples of
//! the unit 2^−s stay exact: all equal weights, and integers that sum to less than 2⁶⁰. s depends on the largest weight and on
//! an integer sum, so not on the order of the rows. Twice the weights: s one lower, the same integers.

use super::ratio::scale;
use super::{Found, MetricError, ROWS};
use crate::exec::Exec;
use crate::pool;

/// The unit of integer weights, 2^−s.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unit {
    s: i32,
}

impl Unit {
    /// 1.
    pub const ONE: Self = Self { s: 0 };

    /// The unit for these weights, all of them finite and > 0.
    #[must_use]
    pub fn of(weights: impl Iterator<Item = f64> + Clone) -> Self {
        let largest = weights.clone().fold(0.0, f64::max);
        let rough = Self::rough(largest);
        Self::refined(rough, weights.map(|w| u128::from(rough.integer(w))).sum())
    }

    /// The same for many weights, in parallel.
    pub(crate) fn of_slice<T: Sync>(exec: &Exec, items: &[T], weight: impl Fn(&T) -> f64 + Sync + Send) -> Self {
        let threads = exec.threads_for(items.len());
        let pieces = items.len().div_ceil(ROWS);
        let piece = |i: usize| items[i * ROWS..items.len().min((i + 1) * ROWS)].iter().map(&weight);
        let largest = pool::map(threads, pieces, |i| piece(i).fold(0.0, f64::max)).into_iter().fold(0.0, f64::max);
        let rough = Self::rough(largest);
        let sums = pool::map(threads, pieces, |i| piece(i).map(|w| u128::from(rough.integer(w))).sum::<u128>());
        Self::refined(rough, sums.into_iter().sum())
    }

    /// In this unit the largest weight is in [2^61, 2^62].
    pub(crate) fn rough(largest: f64) -> Self {
        let shift = if largest < f64::MIN_POSITIVE { 54 } else { 0 };
        let exponent = ((scale(largest, shift).to_bits() >> 52) & 0x7ff) as i32 - 1023 - shift;
        Self { s: 61 - exponent }
    }

    /// In this unit weights sum to about 2^61, if they sum to `sum` in the unit `self`.
    pub(crate) fn refined(self, sum: u128) -> Self {
        let length = 128 - sum.leading_zeros() as i32;
        Self { s: self.s + 61 - length }
    }

    /// The integer nearest to w in this unit.
    #[inline(always)]
    #[must_use]
    pub fn integer(self, w: f64) -> u64 {
        scale(w, self.s).round_ties_even() as u64
    }

    /// The weight of an integer, rounded to `f64`.
    #[must_use]
    pub fn real(self, q: u64) -> f64 {
        scale(q as f64, -self.s)
    }
}

/// Whether all weights are finite, >= 0 and not all of them 0.
pub fn check(exec: &Exec, weights: &[f64]) -> Result<(), MetricError> {
    let bad = |w: f64| !(0.0..f64::INFINITY).contains(&w);
    let pieces = pool::map(exec.threads_for(weights.len()), weights.len().div_ceil(ROWS), |i| {
        let piece = &weights[i * ROWS..weights.len().min((i + 1) * ROWS)];
        piece.iter().fold((false, false), |(any_bad, any), &w| (any_bad | bad(w), any | (w > 0.0)))
    });
    if pieces.iter().any(|p| p.0)
        && let Some(found) = Found::search(weights, None, bad)
    {
        return Err(MetricError::Weight(found));
    }
    if pieces.iter().any(|p| p.1) { Ok(()) } else { Err(MetricError::NoWeight(weights.len())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Level;
    use proptest::prelude::*;

    fn integers(weights: &[f64]) -> (Unit, Vec<u64>) {
        let unit = Unit::of(weights.iter().copied());
        (unit, weights.iter().map(|&w| unit.integer(w)).collect())
    }

    #[test]
    fn integer_weights_stay_exact() {
        let weights: Vec<f64> = (1..=1000).map(f64::from).collect();
        let (unit, q) = integers(&weights);
        let one = q[0];
        for (&w, &q) in weights.iter().zip(&q) {
            assert_eq!(q, w as u64 * one, "a multiple of the first, which is 1");
            assert_eq!(unit.real(q), w, "and back");
        }
    }

    #[test]
    fn extremes() {
        for w in [5e-324, 1e-310, f64::MIN_POSITIVE, 1.0, 1e300, f64::MAX] {
            let (unit, q) = integers(&[w]);
            assert!((1 << 60..1 << 62).contains(&q[0]), "{w:e}: {q:?}");
            assert_eq!(unit.real(q[0]), w, "and back");
        }
        assert_eq!(integers(&[1e300, 1e-300]).1[1], 0, "too small to count");
    }

    #[test]
    fn bad_weights_are_found() {
        let exec = Exec { level: Level::BASELINE, threads: 2, chunk: 64, serial_below: 0 };
        assert_eq!(check(&exec, &[0.0, 1.0, 0.5]), Ok(()), "good ones");
        assert_eq!(check(&exec, &[0.0, -0.0]), Err(MetricError::NoWeight(2)), "all 0");
        for (bad, text) in [(-1.0, "-1"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
            let error = check(&exec, &[1.0, bad, 1.0, bad]).unwrap_err().to_string();
            assert!(error.contains(&format!("got {text} at index 1 (2 such of 4 rows)")), "{error}");
        }
    }

    proptest! {
        #[test]
        fn sums_fit_and_nothing_depends_on_order_or_scale(
            weights in prop::collection::vec(1e-3..1e3f64, 1..200), power in -300i32..300,
        ) {
            let (unit, q) = integers(&weights);
            let sum: u128 = q.iter().map(|&q| u128::from(q)).sum();
            prop_assert!((1 << 60..1 << 62).contains(&sum), "{sum}");
            for (&w, &q) in weights.iter().zip(&q) {
                // 2^-61 of the sum by the one rounding, and half a last bit by the way back.
                let bound = weights.iter().sum::<f64>() / (1u64 << 61) as f64 + w * f64::EPSILON;
                prop_assert!((unit.real(q) - w).abs() <= bound);
            }
            let reversed: Vec<f64> = weights.iter().rev().copied().collect();
            prop_assert_eq!(integers(&reversed).0, unit);
            let scaled: Vec<f64> = weights.iter().map(|&w| scale(w, power)).collect();
            prop_assert_eq!(integers(&scaled).1, q);
            let exec = Exec { level: Level::BASELINE, threads: 2, chunk: 64, serial_below: 0 };
            prop_assert_eq!(Unit::of_slice(&exec, &weights, |&w| w), unit);
        }
    }
}
