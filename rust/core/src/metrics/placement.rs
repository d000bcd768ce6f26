//! Placements: where each row stands among those of the other class. Their spread is the variance of AUC (DeLong et al. 1988).
//!
//! ```text
//! positive x    v(x) = 2·#{negatives < x} + #{negatives = x}        in 0 … 2N
//! negative z    v(z) = 2·#{positives > z} + #{positives = z}        in 0 … 2P
//! Σ v(x) = Σ v(z) = 2·P·N·AUC
//! var AUC = S(v(x)/2N)/P + S(v(z)/2P)/N                             S: variance, n − 1 in the divisor
//! ```
//!
//! So for one score three sums of integers say all, and they follow from the [steps](super::steps) of the ROC curve without
//! a placement being written down. The covariance of two scores needs them row by row.

use super::MetricError;
use super::ROWS;
use super::auc::{Nan, Rows};
use super::key::Score;
use super::steps::{Steps, steps};
use crate::exec::Exec;
use crate::pool;

/// Sums over the placements of one score.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sums {
    /// Σ v over the positives, and over the negatives.
    pub v: u128,
    /// Σ v² over the positives.
    pub positives: u128,
    /// Σ v² over the negatives.
    pub negatives: u128,
    /// Pairs of a positive and a negative that are equal.
    pub tied: u128,
}

impl<S> Steps<S> {
    /// v of the positives of step `i`.
    fn of_positive(&self, i: usize) -> u64 {
        2 * self.negatives - self.fp[i] - self.above[i]
    }

    /// Positives above step `i`.
    fn tp_before(&self, i: usize) -> u64 {
        if i == 0 { 0 } else { self.tp[i - 1] }
    }

    /// Sums over all placements, where rows have no weights.
    #[must_use]
    pub fn placements(&self) -> Sums {
        let mut sums = Sums { v: 0, positives: 0, negatives: 0, tied: 0 };
        let square = |v: u64| u128::from(v) * u128::from(v);
        let mut fp = 0;
        for i in 0..self.tp.len() {
            let (before, tp, above) = (self.tp_before(i), self.tp[i], self.above[i]);
            let (v, positives) = (self.of_positive(i), tp - before);
            sums.v += u128::from(v) * u128::from(positives);
            sums.positives += square(v) * u128::from(positives);
            sums.negatives += square(2 * before) * u128::from(above - fp);
            fp = self.fp[i];
            sums.negatives += square(before + tp) * u128::from(fp - above);
            sums.tied += u128::from(positives) * u128::from(fp - above);
        }
        sums.negatives += square(2 * self.positives) * u128::from(self.negatives - fp);
        sums
    }
}

/// The placement of each row. Weights are not used; NaN scores are an error, or rank lowest.
///
/// # Panics
/// When the lengths differ.
pub fn placements<S: Score>(exec: &Exec, rows: &Rows<'_, S>, nan: Nan) -> Result<Vec<u64>, MetricError> {
    let rows = Rows { weights: None, ..*rows };
    let steps = steps(exec, &rows, nan)?;
    let keys: Vec<S::Key> = steps.thresholds.iter().map(|s| s.key()).collect();
    let mut out = vec![0; rows.labels.len()];
    let mut pieces: Vec<_> = out.chunks_mut(ROWS).enumerate().collect();
    pool::for_each(exec.threads_for(rows.labels.len()), &mut pieces, |(i, out)| {
        let piece = rows.range(*i * ROWS, *i * ROWS + out.len());
        for ((v, &label), score) in out.iter_mut().zip(piece.labels).zip(piece.scores) {
            let key = score.key();
            let step = keys.partition_point(|&k| k > key);
            *v = if label == 1 {
                steps.of_positive(step)
            } else if keys.get(step) == Some(&key) {
                steps.tp_before(step) + steps.tp[step]
            } else {
                2 * steps.tp_before(step)
            };
        }
    });
    Ok(out)
}

/// Σ a·b over the positives, and over the negatives, of placements of the same rows.
///
/// # Panics
/// When the lengths differ.
#[must_use]
pub fn products(exec: &Exec, labels: &[u8], a: &[u64], b: &[u64]) -> (u128, u128) {
    assert!(a.len() == labels.len() && b.len() == labels.len(), "as many placements as labels");
    let pieces = pool::map(exec.threads_for(labels.len()), labels.len().div_ceil(ROWS), |i| {
        let range = i * ROWS..labels.len().min((i + 1) * ROWS);
        let (labels, a, b) = (&labels[range.clone()], &a[range.clone()], &b[range]);
        labels.iter().zip(a).zip(b).fold((0u128, 0u128), |(p, n), ((&label, &a), &b)| {
            let product = u128::from(a) * u128::from(b);
            if label == 1 { (p + product, n) } else { (p, n + product) }
        })
    });
    pieces.into_iter().fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::naive::tests::{executions, noise};
    use proptest::prelude::*;

    /// From the definition, all pairs.
    fn naive(labels: &[u8], scores: &[f32]) -> Vec<u64> {
        let place = |i: usize| {
            let others = (0..labels.len()).filter(|&j| labels[j] != labels[i]);
            others
                .map(|j| {
                    let (high, low) = if labels[i] == 1 { (scores[i], scores[j]) } else { (scores[j], scores[i]) };
                    if high > low { 2 } else { u64::from(high == low) }
                })
                .sum()
        };
        (0..labels.len()).map(place).collect()
    }

    fn check(labels: &[u8], scores: &[f32]) {
        let want = naive(labels, scores);
        let rows = Rows { labels, scores, weights: None };
        for exec in executions() {
            let got = placements(&exec, &rows, Nan::Raise).unwrap();
            assert_eq!(got, want, "{exec:?}");
            let sums = steps(&exec, &rows, Nan::Raise).unwrap().placements();
            let tied = (0..labels.len()).map(|i| {
                let equal = |&j: &usize| labels[i] == 1 && labels[j] == 0 && scores[i] == scores[j];
                (0..labels.len()).filter(equal).count() as u128
            });
            assert_eq!(sums.tied, tied.sum::<u128>(), "{exec:?}: ties");
            let (positives, negatives) = products(&exec, labels, &got, &got);
            assert_eq!((sums.positives, sums.negatives), (positives, negatives), "{exec:?}: squares");
            for class in [0, 1] {
                let v: u64 = got.iter().zip(labels).filter(|x| *x.1 == class).map(|x| x.0).sum();
                assert_eq!(sums.v, u128::from(v), "{exec:?}: the sum over class {class}");
            }
        }
    }

    #[test]
    fn at_known_values() {
        check(&[0, 0, 1, 1], &[0.1, 0.4, 0.35, 0.8]);
        check(&[1, 0, 1, 0, 1], &[0.5, 0.5, -0.0, 0.0, f32::INFINITY]);
        check(&[1, 1], &[1.0, 2.0]);
        check(&[0, 0], &[1.0, 2.0]);
        let n = 3000;
        let labels: Vec<u8> = noise(n).map(|x| u8::from(x % 9 == 0)).collect();
        check(&labels, &noise(2 * n).skip(n).map(|x| (x % 500) as f32).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn as_counted_pair_by_pair(rows in prop::collection::vec((0u8..2, -6i8..6), 1..60)) {
            let labels: Vec<u8> = rows.iter().map(|r| r.0).collect();
            check(&labels, &rows.iter().map(|r| f32::from(r.1) / 4.0).collect::<Vec<_>>());
        }
    }
}
