//! The confusion matrix at a threshold: score >= threshold is a predicted positive.
//!
//! Counts are integers; with weights, integers in one unit for all four cells (see [`super::weight`]), so that what is made of
//! them (precision, recall, F1) is a quotient of integers in either case.

use super::auc::{Nan, Rows};
use super::key::Score;
use super::weight::Unit;
use super::{MetricError, ROWS};
use crate::exec::Exec;
use crate::isa::Kernel;
use crate::pool;

/// Rows by actual and predicted class.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Cells {
    /// Positives predicted positive.
    pub tp: u64,
    /// Negatives predicted positive.
    pub fp: u64,
    /// Positives predicted negative.
    pub fn_: u64,
    /// Negatives predicted negative.
    pub tn: u64,
}

impl Cells {
    fn and(self, that: Self) -> Self {
        Self { tp: self.tp + that.tp, fp: self.fp + that.fp, fn_: self.fn_ + that.fn_, tn: self.tn + that.tn }
    }
}

/// The cells, and what one count in them weighs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Confusion {
    /// Counts.
    pub cells: Cells,
    /// Their unit: 1 without weights.
    pub unit: Unit,
}

/// The confusion matrix at `threshold`. NaN scores are an error.
///
/// # Panics
/// When the lengths differ.
pub fn confusion<S: Score>(exec: &Exec, rows: &Rows<'_, S>, threshold: f64) -> Result<Confusion, MetricError> {
    rows.check(exec, Nan::Raise)?;
    let unit = rows.weights.map_or(Unit::ONE, |w| Unit::of_slice(exec, w, |&w| w));
    let cut = S::cut(threshold);
    let n = rows.labels.len();
    let pieces = pool::map(exec.threads_for(n), n.div_ceil(ROWS), |i| {
        exec.level.run(Count { rows: rows.range(i * ROWS, n.min((i + 1) * ROWS)), cut, unit })
    });
    Ok(Confusion { cells: pieces.into_iter().fold(Cells::default(), Cells::and), unit })
}

struct Count<'a, S: Score> {
    rows: Rows<'a, S>,
    cut: S::Cut,
    unit: Unit,
}

impl<S: Score> Kernel for Count<'_, S> {
    type Out = Cells;

    #[inline(always)]
    fn run(self) -> Cells {
        let Rows { labels, scores, weights } = self.rows;
        let Some(weights) = weights else { return self.unweighted() };
        let mut cells = Cells::default();
        for ((&label, &score), &w) in labels.iter().zip(scores).zip(weights) {
            let q = self.unit.integer(w);
            // All ones where the condition holds: no branch on data.
            let actual = u64::from(label & 1).wrapping_neg();
            let predicted = u64::from(score.reaches(self.cut)).wrapping_neg();
            cells.tp += q & actual & predicted;
            cells.fp += q & !actual & predicted;
            cells.fn_ += q & actual & !predicted;
            cells.tn += q & !actual & !predicted;
        }
        cells
    }
}

impl<S: Score> Count<'_, S> {
    #[inline(always)]
    fn unweighted(self) -> Cells {
        let Rows { labels, scores, .. } = self.rows;
        let (mut actual, mut predicted, mut both) = (0, 0, 0);
        // 16-bit counters vectorise well; 1024 rows cannot overflow them.
        for (labels, scores) in labels.chunks(1024).zip(scores.chunks(1024)) {
            let (mut a, mut p, mut ap) = (0u16, 0u16, 0u16);
            for (&label, &score) in labels.iter().zip(scores) {
                let (label, reaches) = (u16::from(label & 1), u16::from(score.reaches(self.cut)));
                a += label;
                p += reaches;
                ap += label & reaches;
            }
            (actual, predicted, both) = (actual + u64::from(a), predicted + u64::from(p), both + u64::from(ap));
        }
        let rows = labels.len() as u64;
        Cells { tp: both, fp: predicted - both, fn_: actual - both, tn: rows + both - actual - predicted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::naive::tests::{executions, noise};
    use proptest::prelude::*;

    fn check<S: Score>(rows: &Rows<'_, S>, threshold: f64) -> Confusion {
        let results: Vec<_> = executions().map(|exec| confusion(&exec, rows, threshold)).collect();
        assert!(results.windows(2).all(|w| w[0] == w[1]), "the same on every level and thread count");
        results[0].clone().unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn cells_at_known_values() {
        let rows = Rows { labels: &[1, 0, 1, 0, 1], scores: &[0.5f32, 0.5, 0.4, 0.1, 0.9], weights: None };
        assert_eq!(check(&rows, 0.5).cells, Cells { tp: 2, fp: 1, fn_: 1, tn: 1 }, "at the threshold is positive");
        assert_eq!(check(&rows, f64::INFINITY).cells, Cells { tp: 0, fp: 0, fn_: 3, tn: 2 }, "none reaches inf");
        assert_eq!(check(&rows, f64::NEG_INFINITY).cells, Cells { tp: 3, fp: 2, fn_: 0, tn: 0 }, "all reach -inf");
    }

    #[test]
    fn nan_is_refused() {
        let rows = Rows { labels: &[1, 0], scores: &[0.5, f64::NAN], weights: None };
        for exec in executions() {
            assert!(
                matches!(confusion(&exec, &rows, 0.5), Err(MetricError::Nan(_))),
                "NaN >= 0.5 is not an answer"
            );
        }
    }

    proptest! {
        #[test]
        fn as_counted_one_by_one(n in 1usize..3000, threshold in -3i32..4, weighted in any::<bool>()) {
            let labels: Vec<u8> = noise(n).map(|x| (x % 2) as u8).collect();
            let scores: Vec<f64> = noise(3 * n).skip(2 * n).map(|x| (x % 7) as f64 - 3.0).collect();
            let weights: Vec<f64> = noise(n).map(|x| (x % 4) as f64).collect();
            prop_assume!(weights.iter().any(|&w| w > 0.0));
            let w = |i: usize| if weighted { weights[i] as u64 } else { 1 };
            let mut want = Cells::default();
            for i in 0..n {
                let cell = match (labels[i], scores[i] >= f64::from(threshold)) {
                    (1, true) => &mut want.tp,
                    (0, true) => &mut want.fp,
                    (1, false) => &mut want.fn_,
                    _ => &mut want.tn,
                };
                *cell += w(i);
            }
            let rows = Rows { labels: &labels, scores: &scores, weights: weighted.then_some(&weights) };
            let got = check(&rows, threshold.into());
            let real = |q| got.unit.real(q) as u64;
            let c = got.cells;
            prop_assert_eq!(Cells { tp: real(c.tp), fp: real(c.fp), fn_: real(c.fn_), tn: real(c.tn) }, want);
        }
    }
}
