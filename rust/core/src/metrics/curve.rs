//! The ROC curve: one scan over the sorted classes, from the top down.
//!
//! After all scores >= t: tp(t) positives and fp(t) negatives are predicted positive. There is one point for each distinct
//! score; ties move both counts at once. A point on the straight line between its neighbours says nothing, and is left out on
//! demand: three points are in line exactly when a cross product of integers is 0.

use super::MetricError;
use super::auc::{Classes, Left, Member, Nan, Rows, Weighted};
use super::key::Score;
use super::sort;
use crate::exec::Exec;

/// Points of the ROC curve, from the highest threshold down; the first one is not at the origin.
#[derive(Clone, PartialEq, Debug)]
pub struct Curve<S> {
    /// Distinct scores, falling.
    pub thresholds: Vec<S>,
    /// Positives at or above each, in units of the positives' weight.
    pub tp: Vec<u64>,
    /// Negatives at or above each, in units of the negatives' weight.
    pub fp: Vec<u64>,
    /// All positives, in their unit.
    pub positives: u64,
    /// All negatives, in their unit.
    pub negatives: u64,
    /// Rows that did not count.
    pub left: Left,
}

/// The ROC curve; with `corners`, only the points where it bends. NaN scores are an error.
///
/// # Panics
/// When the lengths differ.
pub fn roc<S: Score>(exec: &Exec, rows: &Rows<'_, S>, corners: bool) -> Result<Curve<S>, MetricError> {
    match rows.weights {
        None => curve::<S, S::Key>(exec, rows, corners),
        Some(_) => curve::<S, Weighted<S::Key>>(exec, rows, corners),
    }
}

fn curve<S: Score, M: Member<Key = S::Key>>(
    exec: &Exec,
    rows: &Rows<'_, S>,
    corners: bool,
) -> Result<Curve<S>, MetricError> {
    let (counts, left) = rows.check(exec, Nan::Raise)?;
    let mut classes = Classes::<M>::split(exec, rows, Nan::Raise, &counts);
    classes.settle(exec);
    let (mut thresholds, mut tp, mut fp) = (Vec::new(), Vec::new(), Vec::new());
    // The step that led to the last point.
    let mut last = (0, 0);
    let (positives, negatives) = scan(exec, &mut classes, |key, p, n| {
        let step = (p - tp.last().unwrap_or(&0), n - fp.last().unwrap_or(&0));
        let cross = |a: u64, b: u64| u128::from(a) * u128::from(b);
        if corners && !tp.is_empty() && cross(last.0, step.1) == cross(last.1, step.0) {
            // In line with the point before: it takes its place.
            last = (last.0 + step.0, last.1 + step.1);
            thresholds.pop();
            tp.pop();
            fp.pop();
        } else {
            last = step;
        }
        thresholds.push(S::from_key(key));
        tp.push(p);
        fp.push(n);
    });
    Ok(Curve { thresholds, tp, fp, positives, negatives, left })
}

/// Calls `point` for each distinct key, highest first, with the weights at or above it; returns the whole weights.
fn scan<M: Member>(
    exec: &Exec,
    Classes { positives, negatives }: &mut Classes<M>,
    mut point: impl FnMut(M::Key, u64, u64),
) -> (u64, u64) {
    sort::sort(exec, positives);
    sort::sort(exec, negatives);
    let (mut p, mut n) = (&positives[..], &negatives[..]);
    let (mut tp, mut fp) = (0, 0);
    while let Some(key) = p.last().map(M::key).max(n.last().map(M::key)) {
        tp += take_equal(&mut p, key);
        fp += take_equal(&mut n, key);
        point(key, tp, fp);
    }
    (tp, fp)
}

/// Takes the members of this key from the end; returns their weight.
fn take_equal<M: Member>(members: &mut &[M], key: M::Key) -> u64 {
    let mut weight = 0;
    while let Some((last, rest)) = members.split_last()
        && last.key() == key
    {
        weight += last.weight();
        *members = rest;
    }
    weight
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::auc::auc;
    use crate::metrics::confusion::{Cells, confusion};
    use crate::metrics::naive::tests::executions;
    use proptest::prelude::*;

    fn check<S: Score + PartialEq>(rows: &Rows<'_, S>, corners: bool) -> Curve<S> {
        let results: Vec<_> = executions().map(|exec| roc(&exec, rows, corners)).collect();
        assert!(results.windows(2).all(|w| w[0] == w[1]), "the same on every level and thread count");
        results[0].clone().unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn points_at_known_values() {
        let rows = Rows { labels: &[0, 0, 1, 1], scores: &[0.1f32, 0.4, 0.35, 0.8], weights: None };
        let got = check(&rows, false);
        assert_eq!(got.thresholds, [0.8, 0.4, 0.35, 0.1], "thresholds");
        assert_eq!((&got.tp[..], &got.fp[..]), (&[1, 1, 2, 2][..], &[0, 1, 1, 2][..]), "counts");
        let rows = Rows { labels: &[1, 1, 0, 0, 1], scores: &[5i64, 4, 3, 2, 1], weights: None };
        let got = check(&rows, true);
        assert_eq!(got.thresholds, [4, 2, 1], "the corners");
        assert_eq!((&got.tp[..], &got.fp[..]), (&[2, 2, 3][..], &[0, 2, 2][..]), "counts");
    }

    proptest! {
        #[test]
        fn the_area_is_auc_and_counts_are_the_confusion(
            rows in prop::collection::vec((0u8..2, -4i32..4), 1..100),
        ) {
            let labels: Vec<u8> = rows.iter().map(|r| r.0).collect();
            let scores: Vec<f64> = rows.iter().map(|r| f64::from(r.1)).collect();
            let rows = Rows { labels: &labels, scores: &scores, weights: None };
            let exec = executions().next().unwrap_or_else(|| unreachable!("the baseline is always there"));
            let pairs = auc(&exec, &rows, Nan::Raise).unwrap_or_else(|e| panic!("{e}")).pairs;
            for corners in [false, true] {
                let got = check(&rows, corners);
                // Twice the area by trapezoids: each step right, times the heights at its two ends.
                let (mut area, mut tp, mut fp) = (0, 0, 0);
                for i in 0..got.tp.len() {
                    area += u128::from(got.fp[i] - fp) * u128::from(got.tp[i] + tp);
                    (tp, fp) = (got.tp[i], got.fp[i]);
                    let Cells { tp, fp, .. } = confusion(&exec, &rows, got.thresholds[i]).unwrap_or_else(|e| panic!("{e}")).cells;
                    prop_assert_eq!((tp, fp), (got.tp[i], got.fp[i]));
                }
                prop_assert_eq!(area, 2 * pairs.below + pairs.tied);
            }
        }
    }
}
