//! The steps of the ROC curve: how many negatives are above each distinct score of a positive, and how many equal it.
//!
//! ```text
//! for each distinct score t of a positive, falling:    tp = #{positives >= t}    above = #{negatives > t}    fp = #{negatives >= t}
//! ```
//!
//! Between two steps the curve runs level: only negatives are there. So the area, Kolmogorov's distance, average precision, the
//! best threshold, a placement of any row: all follow from the steps, of which a rare positive class has few. Nothing is
//! sorted then but the positives: every row looks up how many of them are below it and equal to it,
//!
//! ```text
//! code = 2·below + equal      one number for each gap between two positives and for each of their values: rows are counted by it
//! ```
//!
//! Otherwise all rows are put in order and walked, each with its label (`marked`). With weights both classes are sorted,
//! and walked from the top.

use super::MetricError;
use super::auc::{Classes, Left, Member, Nan, Rows, Weighted, total};
use super::exact::{BLOCK, Exact};
use super::key::{Key, Score};
use super::marked::{self, Bucket, Fold};
use super::rank;
use super::sort;
use crate::exec::Exec;
use crate::pages;

/// The steps of the ROC curve, from the highest; counts in units of each class's weight.
#[derive(Clone, PartialEq, Debug)]
pub struct Steps<S> {
    /// Distinct scores of positives, falling.
    pub thresholds: Vec<S>,
    /// Positives at or above each.
    pub tp: Vec<u64>,
    /// Negatives above each.
    pub above: Vec<u64>,
    /// Negatives at or above each.
    pub fp: Vec<u64>,
    /// All positives.
    pub positives: u64,
    /// All negatives.
    pub negatives: u64,
    /// Rows that did not count.
    pub left: Left,
}

impl<S> Steps<S> {
    pub(crate) fn with_room_for(steps: usize) -> Self {
        Self {
            thresholds: Vec::with_capacity(steps),
            tp: Vec::with_capacity(steps),
            above: Vec::with_capacity(steps),
            fp: Vec::with_capacity(steps),
            positives: 0,
            negatives: 0,
            left: Left::default(),
        }
    }

    pub(crate) fn push(&mut self, threshold: S, tp: u64, above: u64, fp: u64) {
        self.thresholds.push(threshold);
        self.tp.push(tp);
        self.above.push(above);
        self.fp.push(fp);
    }
}

impl<S> Steps<S> {
    /// The largest distance of the curve from its diagonal, |tp·N − fp·P| at a corner: Kolmogorov's, times P·N.
    #[must_use]
    pub fn distance(&self) -> u128 {
        distance(&self.tp, &self.above, &self.fp, self.positives, self.negatives)
    }
}

/// The same, of columns.
#[must_use]
pub fn distance(tp: &[u64], above: &[u64], fp: &[u64], positives: u64, negatives: u64) -> u128 {
    let far = |tp: u64, fp: u64| {
        (u128::from(tp) * u128::from(negatives)).abs_diff(u128::from(fp) * u128::from(positives))
    };
    let mut before = 0;
    let corners = tp.iter().zip(above).zip(fp).map(|((&tp, &above), &fp)| {
        let entered = far(before, above);
        before = tp;
        entered.max(far(tp, fp))
    });
    corners.max().unwrap_or(0)
}

/// Σ Δtp·tp/(tp + fp), each term rounded, the sum exact: average precision times P, in the positives' unit. tp·2^`shift` is in the
/// unit of fp.
///
/// # Panics
/// When a term is not finite, which no count is.
#[must_use]
pub fn precisions(tp: &[u64], fp: &[u64], shift: i32) -> f64 {
    // 2^−|shift| for the smaller unit; below 2^-1022 it is next to nothing beside the other one.
    let power = |shift: i32| f64::from_bits(((1023 + shift.clamp(-1022, 0)) as u64) << 52);
    let (of_tp, of_fp) = (power(shift), power(-shift));
    let (mut sum, mut before) = (Exact::new(), 0);
    let mut block = [0.0; BLOCK];
    for (tp, fp) in tp.chunks(BLOCK).zip(fp.chunks(BLOCK)) {
        for ((term, &tp), &fp) in block.iter_mut().zip(tp).zip(fp) {
            let (found, real, false_) = (tp - before, tp as f64 * of_tp, fp as f64 * of_fp);
            before = tp;
            *term =
                if found == 0 { 0.0 } else { found as f64 * if fp == 0 { 1.0 } else { real / (real + false_) } };
        }
        sum.add_block(&block[..tp.len()]);
    }
    sum.value()
}

/// The steps of all rows.
///
/// # Panics
/// When the lengths differ.
pub fn steps<S: Score>(exec: &Exec, rows: &Rows<'_, S>, nan: Nan) -> Result<Steps<S>, MetricError> {
    let (counts, left) = rows.check(exec, nan)?;
    let steps = match rows.weights {
        None => rank::steps(exec, rows, total(&counts), left.nan).unwrap_or_else(|| {
            join(&marked::fold(exec, rows, &counts, left.nan > 0, &mut marked::nothing(rows), &Walk))
        }),
        Some(_) => {
            let mut classes = Classes::<Weighted<S::Key>>::split(exec, rows, nan, &counts);
            classes.settle(exec);
            sort::sort(exec, &mut classes.positives);
            sort::sort(exec, &mut classes.negatives);
            walk(&mut classes)
        }
    };
    Ok(Steps { left, ..steps })
}

/// A distinct score of some positives, and rows of a run at and below it.
struct Step<K> {
    key: K,
    /// Positives below.
    positives: u64,
    /// Negatives below, and up to it.
    below: u64,
    up_to: u64,
}

/// The steps of a run of rows, rising, and its rows.
struct Run<K> {
    steps: Vec<Step<K>>,
    positives: u64,
    negatives: u64,
}

impl<K> Default for Run<K> {
    fn default() -> Self {
        Self { steps: Vec::new(), positives: 0, negatives: 0 }
    }
}

impl<K: Key> Run<K> {
    fn add<W: Key>(&mut self, bucket: &Bucket<'_, K, W>) {
        let (mut positives, negatives) = (self.positives, self.negatives);
        let found = bucket.each_step(|key, p, tied, below| {
            let below = negatives + below;
            self.steps.push(Step { key, positives, below, up_to: below + tied });
            positives += p;
        });
        self.positives += found;
        self.negatives += bucket.rows() - found;
    }
}

/// Finds the steps.
struct Walk;

impl<S: Score> Fold<S> for Walk {
    type Sum = Run<S::Key>;
    type Out = ();

    fn bucket<W: Key>(&self, run: &mut Run<S::Key>, bucket: &Bucket<'_, S::Key, W>, _: &mut [()]) {
        run.add(bucket);
    }
}

/// Finds the steps, and writes all scores.
struct Write;

impl<S: Score> Fold<S> for Write {
    type Sum = Run<S::Key>;
    type Out = S;

    fn bucket<W: Key>(&self, run: &mut Run<S::Key>, bucket: &Bucket<'_, S::Key, W>, out: &mut [S]) {
        run.add(bucket);
        out.iter_mut().zip(bucket.keys()).for_each(|(score, key)| *score = S::from_key(key));
    }
}

/// The steps of all rows, from those of runs from the lowest score on.
fn join<S: Score>(runs: &[Run<S::Key>]) -> Steps<S> {
    let mut steps = Steps::with_room_for(runs.iter().map(|run| run.steps.len()).sum());
    steps.positives = runs.iter().map(|run| run.positives).sum();
    steps.negatives = runs.iter().map(|run| run.negatives).sum();
    // From the top: rows of the runs before, and of this one.
    let (mut positives, mut negatives) = (0, 0);
    for run in runs.iter().rev() {
        for step in run.steps.iter().rev() {
            steps.push(
                S::from_key(step.key),
                positives + run.positives - step.positives,
                negatives + run.negatives - step.up_to,
                negatives + run.negatives - step.below,
            );
        }
        positives += run.positives;
        negatives += run.negatives;
    }
    steps
}

/// The steps of sorted classes, from the top.
fn walk<S: Score, M: Member<Key = S::Key>>(classes: &mut Classes<M>) -> Steps<S> {
    let negatives = M::accumulate(&mut classes.negatives);
    let (rest, mut end) = (&classes.negatives[..], classes.negatives.len());
    let (mut steps, mut tp) = (Steps::with_room_for(0), 0);
    for ties in classes.positives.chunk_by(|a, b| a.key() == b.key()).rev() {
        let key = ties[0].key();
        tp += ties.iter().map(M::weight).sum::<u64>();
        let up_to = retreat(&rest[..end], |m| m.key() > key);
        end = retreat(&rest[..up_to], |m| m.key() == key);
        let not_in = |n: usize| negatives - M::sum_of(rest, n);
        steps.push(S::from_key(key), tp, not_in(up_to), not_in(end));
    }
    Steps { positives: tp, negatives, ..steps }
}

/// How many items are before those at the end that are `in_it`: by leaps that double, then by halves.
#[inline(always)]
fn retreat<M>(items: &[M], in_it: impl Fn(&M) -> bool) -> usize {
    let (mut end, mut leap) = (items.len(), 1);
    while leap <= end && in_it(&items[end - leap]) {
        end -= leap;
        leap *= 2;
    }
    let start = end.saturating_sub(leap);
    start + items[start..end].partition_point(|m| !in_it(m))
}

/// All scores in order, without weights, and the steps: one sort for any number of questions.
#[derive(Clone, PartialEq, Debug)]
pub struct Order<S> {
    /// Scores of all rows, rising; −0.0 is 0.0.
    pub scores: Vec<S>,
    /// The steps of the ROC curve.
    pub steps: Steps<S>,
}

/// Sorts all rows. Weights are not used; NaN scores are an error.
///
/// # Panics
/// When the lengths differ.
pub fn order<S: Score + Default>(exec: &Exec, rows: &Rows<'_, S>) -> Result<Order<S>, MetricError> {
    let rows = Rows { weights: None, ..*rows };
    let (counts, _) = rows.check(exec, Nan::Raise)?;
    let mut scores = pages::zeros(rows.labels.len());
    let steps = join(&marked::fold(exec, &rows, &counts, false, &mut scores, &Write));
    Ok(Order { scores, steps })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::ROWS;
    use crate::metrics::naive::tests::{executions, noise};
    use proptest::prelude::*;

    /// From the definition: a walk over all rows for each distinct score of a positive.
    fn naive(labels: &[u8], scores: &[f64], weights: &[u64]) -> Steps<f64> {
        let mut thresholds: Vec<f64> =
            scores.iter().zip(labels).filter(|x| *x.1 == 1).map(|x| x.0 + 0.0).collect();
        thresholds.sort_by(|a, b| b.total_cmp(a));
        thresholds.dedup();
        let sum = |class: u8, is_in: &dyn Fn(f64) -> bool| {
            (0..labels.len()).filter(|&i| labels[i] == class && is_in(scores[i])).map(|i| weights[i]).sum()
        };
        let column = |class, is_in: fn(f64, f64) -> bool| {
            thresholds.iter().map(|&t| sum(class, &|s| is_in(s, t))).collect()
        };
        Steps {
            tp: column(1, |s, t| s >= t),
            above: column(0, |s, t| s > t),
            fp: column(0, |s, t| s >= t),
            positives: sum(1, &|_| true),
            negatives: sum(0, &|_| true),
            left: Left::default(),
            thresholds,
        }
    }

    fn check(labels: &[u8], scores: &[f64]) {
        let want = naive(labels, scores, &vec![1; labels.len()]);
        for exec in executions() {
            let rows = Rows { labels, scores, weights: None };
            assert_eq!(steps(&exec, &rows, Nan::Raise), Ok(want.clone()), "{exec:?}");
            let counts = rows.check(&exec, Nan::Raise).unwrap().0;
            let got = order(&exec, &rows).unwrap();
            assert_eq!(got.steps, want, "{exec:?}, by sorting");
            let mut sorted: Vec<f64> = scores.iter().map(|x| x + 0.0).collect();
            sorted.sort_by(f64::total_cmp);
            assert_eq!(got.scores, sorted, "{exec:?}, in order");
            if want.positives > 0 {
                assert_eq!(rank::steps_of(&exec, &rows, total(&counts), 0), want, "{exec:?}, by looking up");
            }
        }
    }

    #[test]
    fn at_known_values() {
        check(&[0, 0, 1, 1], &[0.1, 0.4, 0.35, 0.8]);
        check(&[1, 0, 1, 0, 1], &[0.5, 0.5, -0.0, 0.0, 0.0]);
        check(&[1, 1], &[1.0, 1.0]);
        check(&[0, 0], &[1.0, 2.0]);
        check(&[0, 1, 0], &[f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY]);
    }

    #[test]
    fn what_follows_from_the_steps() {
        let labels = [0, 1, 1, 0, 1, 0, 0, 1];
        let scores = [0.9, 0.8, 0.7, 0.7, 0.6, 0.3, 0.2, 0.1];
        let steps = naive(&labels, &scores, &[1; 8]);
        // Of 4 and 4: after the third positive 3·4 − 2·4.
        assert_eq!(steps.distance(), 4, "at a corner of a step");
        let reversed = scores.map(|s: f64| -s);
        assert_eq!(naive(&labels, &reversed, &[1; 8]).distance(), 4, "below the diagonal");
        assert_eq!(naive(&[0, 1], &[2.0, 1.0], &[1; 2]).distance(), 1, "before the first step");
        let want = 1.0 / 2.0 + 2.0 / 4.0 + 3.0 / 5.0 + 4.0 / 8.0;
        assert_eq!(precisions(&steps.tp, &steps.fp, 0), want, "average precision times the positives");
        assert_eq!(precisions(&[1, 2], &[0, 2], 1), 1.0 + 4.0 / 6.0, "positives of twice the unit");
        assert_eq!(
            precisions(&[2, 2, 3], &[2, 5, 6], -1),
            2.0 / 3.0 * 2.0 / 2.0 * 1.0 + 1.5 / 7.5,
            "of half of it"
        );
        assert_eq!(precisions(&[], &[], 0), 0.0, "no positive");
    }

    #[test]
    fn across_pieces_of_rows() {
        let n = ROWS + 17;
        let labels: Vec<u8> = noise(n).map(|x| u8::from(x % 6007 == 0)).collect();
        check(&labels, &noise(2 * n).skip(n).map(|x| (x % 1000) as f64).collect::<Vec<_>>());
    }

    #[test]
    fn nan_is_dropped_or_lowest() {
        let (labels, scores) = ([1, 0, 1, 0, 1], [f32::NAN, 0.5, 0.75, f32::NAN, 0.25]);
        let rows = Rows { labels: &labels, scores: &scores, weights: None };
        for exec in executions() {
            let got = steps(&exec, &rows, Nan::Drop).unwrap();
            assert_eq!(
                (got.thresholds, got.tp, got.above, got.fp),
                (vec![0.75, 0.25], vec![1, 2], vec![0, 1], vec![0, 1])
            );
            assert_eq!((got.positives, got.negatives, got.left.nan), (2, 1, 2), "what is left");
            let got = steps(&exec, &rows, Nan::Lowest).unwrap();
            assert_eq!(
                (got.tp, got.above, got.fp),
                (vec![1, 2, 3], vec![0, 1, 1], vec![0, 1, 2]),
                "one more step"
            );
        }
    }

    proptest! {
        #[test]
        fn as_counted_for_each_threshold(
            rows in prop::collection::vec((0u8..2, -6i8..6, 0u8..3), 1..80),
        ) {
            let labels: Vec<u8> = rows.iter().map(|r| r.0).collect();
            let scores: Vec<f64> = rows.iter().map(|r| f64::from(r.1) / 4.0).collect();
            check(&labels, &scores);
            let weights: Vec<f64> = rows.iter().map(|r| f64::from(r.2)).collect();
            prop_assume!(weights.iter().any(|&w| w > 0.0));
            let exists: Vec<usize> = (0..rows.len()).filter(|&i| weights[i] > 0.0).collect();
            let of = |i: &usize| (labels[*i], scores[*i], weights[*i] as u64);
            let (some_labels, (some_scores, some_weights)): (Vec<u8>, (Vec<f64>, Vec<u64>)) =
                exists.iter().map(of).map(|(y, s, w)| (y, (s, w))).unzip();
            let want = naive(&some_labels, &some_scores, &some_weights);
            for exec in executions() {
                let got = steps(&exec, &Rows { labels: &labels, scores: &scores, weights: Some(&weights) }, Nan::Raise).unwrap();
                prop_assert_eq!(&got.thresholds, &want.thresholds);
                // In units of each class: proportional to the weights.
                for (got, all, want, all_wanted) in [
                    (&got.tp, got.positives, &want.tp, want.positives),
                    (&got.above, got.negatives, &want.above, want.negatives),
                    (&got.fp, got.negatives, &want.fp, want.negatives),
                ] {
                    for (&g, &w) in got.iter().zip(want) {
                        prop_assert_eq!(u128::from(g) * u128::from(all_wanted), u128::from(w) * u128::from(all));
                    }
                }
            }
        }
    }
}
