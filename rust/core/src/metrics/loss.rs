//! Means over rows: log loss from probabilities and from logits, Brier score, and predictions over labels.
//!
//! ```text
//! log loss      ℓ = −ln p for a positive, −ln(1 − p) for a negative      of a logit z: ln(1 + e^−z), ln(1 + e^z)
//! Brier         ℓ = (p − y)²
//! spread        ℓ = (p − c)²                                             about a constant c: a variance
//! mean          Σ q_i·ℓ_i / Σ q_i                                       q: 1, or the sample weight as an integer
//! calibration   Σ q_i·p_i / Σ q_i·y_i
//! ```
//!
//! ℓ is computed in `f64`, by our own logarithm; 1 − p is never formed for a small p, and a logit is never turned into a
//! probability. Each ℓ is rounded once, the sum is exact, and one division rounds it. A prediction that is certain and
//! wrong has an infinite loss: it is counted and told, not clipped in silence.

use super::exact::{self, BLOCK, Exact};
use super::weight::{self, Unit};
use super::{Found, MetricError};
use crate::elementary::{ln_plus, softplus};
use crate::exec::Exec;
use crate::isa::Kernel;
use crate::pool;
use crate::real::Real;

/// What is averaged.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Loss {
    /// Log loss of probabilities, clipped to [clip, 1 − clip]; clip = 0 leaves them as they are.
    Log {
        /// How far from 0 and 1 a probability is kept.
        clip: f64,
    },
    /// Log loss of logits.
    LogOfLogits,
    /// Brier score of probabilities.
    Brier,
    /// Squares of the probabilities about a number.
    Spread {
        /// The number.
        about: f64,
    },
    /// The probabilities themselves.
    Prediction,
    /// Those of one class, and 0 elsewhere.
    PredictionOf {
        /// The label.
        class: u8,
    },
    /// Squares about a number of those of one class, and 0 elsewhere.
    SpreadOf {
        /// The label.
        class: u8,
        /// The number.
        about: f64,
    },
}

/// Predictions with labels (bytes 0 and 1) and weights if there are any.
#[derive(Clone, Copy, Debug)]
pub struct Predictions<'a, T> {
    /// 1 for a positive, 0 for a negative.
    pub labels: &'a [u8],
    /// Probabilities or logits.
    pub p: &'a [T],
    /// Sample weights: finite and >= 0.
    pub weights: Option<&'a [f64]>,
}

/// A sum over rows, and what it was computed from.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Sum {
    sum: Exact,
    total: u128,
    positive: u128,
    /// Rows that count: those whose weight is not 0.
    pub rows: u64,
    /// Positives among them.
    pub positives: u64,
    /// Rows that are certain and wrong: how many.
    pub infinite: u64,
    /// The first such row.
    pub first_infinite: Option<usize>,
}

impl Sum {
    /// The mean over the rows.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.infinite > 0 { f64::INFINITY } else { self.sum.over(self.total) }
    }

    /// The sum over the positives' weight; `None` when that is 0.
    #[must_use]
    pub fn over_positives(&self) -> Option<f64> {
        (self.positive > 0).then(|| self.sum.over(self.positive))
    }

    /// The sum over the negatives' weight; `None` when that is 0.
    #[must_use]
    pub fn over_negatives(&self) -> Option<f64> {
        let negative = self.total - self.positive;
        (negative > 0).then(|| self.sum.over(negative))
    }

    fn and(self, that: &Self) -> Self {
        Self {
            sum: self.sum.merged(&that.sum),
            total: self.total + that.total,
            positive: self.positive + that.positive,
            rows: self.rows + that.rows,
            positives: self.positives + that.positives,
            infinite: self.infinite + that.infinite,
            first_infinite: self.first_infinite.or(that.first_infinite),
        }
    }
}

/// Adds up losses of all rows, in one pass for all of them. [`Loss::LogOfLogits`] is not to be mixed with others.
///
/// # Panics
/// When the lengths differ.
pub fn sums<T: Real + std::fmt::Display>(
    exec: &Exec,
    predictions: &Predictions<'_, T>,
    losses: &[Loss],
) -> Result<Vec<Sum>, MetricError> {
    let rows = predictions.labels.len();
    assert_eq!(predictions.p.len(), rows, "as many predictions as labels");
    assert!(predictions.weights.is_none_or(|w| w.len() == rows), "as many weights as labels");
    if rows == 0 {
        return Err(MetricError::Empty);
    }
    if let Some(weights) = predictions.weights {
        weight::check(exec, weights)?;
    }
    let unit = predictions.weights.map_or(Unit::ONE, |w| Unit::of_slice(exec, w, |&w| w));
    // An exact sum is large and needs no fixed cut: one for each thread.
    let threads = exec.threads_for(rows);
    let share = rows.div_ceil(threads);
    let shares = pool::map(threads, rows.div_ceil(share), |i| {
        let range = i * share..rows.min((i + 1) * share);
        exec.level.run(Add { predictions, range, losses, unit })
    });
    if shares.iter().any(Option::is_none) {
        let Predictions { p, weights, .. } = *predictions;
        let error = match losses.first() {
            Some(Loss::LogOfLogits) => Found::search(p, weights, |x| x.to_f64().is_nan()).map(MetricError::Logit),
            _ => Found::search(p, weights, |x| !in_range(x.to_f64())).map(MetricError::Probability),
        };
        return Err(error.unwrap_or(MetricError::Empty));
    }
    let both = |a: Vec<Sum>, b: Vec<Sum>| a.into_iter().zip(&b).map(|(a, b)| a.and(b)).collect();
    shares.into_iter().flatten().reduce(both).ok_or(MetricError::Empty)
}

#[inline(always)]
fn in_range(p: f64) -> bool {
    (0.0..=1.0).contains(&p)
}

/// Adds up a range of rows; `None` when one of them is not a prediction.
struct Add<'a, T> {
    predictions: &'a Predictions<'a, T>,
    range: std::ops::Range<usize>,
    losses: &'a [Loss],
    unit: Unit,
}

impl<T: Real> Kernel for Add<'_, T> {
    type Out = Option<Vec<Sum>>;

    #[inline(always)]
    fn run(self) -> Option<Vec<Sum>> {
        let mut sums = vec![Sum::default(); self.losses.len()];
        for start in self.range.clone().step_by(BLOCK) {
            let rows = start..self.range.end.min(start + BLOCK);
            for (sum, &loss) in sums.iter_mut().zip(self.losses) {
                if !self.block(sum, rows.clone(), loss) {
                    return None;
                }
            }
        }
        Some(sums)
    }
}

/// −ln p or −ln(1 − p), of p in [0, 1].
#[inline(always)]
fn log_loss(p: f64, positive: bool) -> f64 {
    // As in ln_1p: u = 1 − p rounded, and what the rounding lost.
    let rest = 1.0 - p;
    let lost = -p - (rest - 1.0);
    let u = if positive { p } else { rest };
    let c = if positive { 0.0 } else { lost / rest };
    let loss = -ln_plus(u, c);
    if u == 0.0 { f64::INFINITY } else { loss }
}

impl<T: Real> Add<'_, T> {
    /// Adds a block of rows; returns whether all are predictions.
    #[inline(always)]
    fn block(&self, sum: &mut Sum, rows: std::ops::Range<usize>, loss: Loss) -> bool {
        match loss {
            Loss::Log { clip } => self.add(
                sum,
                rows,
                in_range,
                #[inline(always)]
                |p, label| log_loss(if clip > 0.0 { p.max(clip).min(1.0 - clip) } else { p }, label == 1),
            ),
            Loss::LogOfLogits => self.add(
                sum,
                rows,
                #[inline(always)]
                |z| !z.is_nan(),
                #[inline(always)]
                |z, label| softplus(if label == 1 { -z } else { z }),
            ),
            Loss::Brier => self.add(
                sum,
                rows,
                in_range,
                #[inline(always)]
                |p, label| {
                    let d = p - f64::from(label);
                    d * d
                },
            ),
            Loss::Spread { about } => self.add(
                sum,
                rows,
                in_range,
                #[inline(always)]
                |p, _| (p - about) * (p - about),
            ),
            Loss::Prediction => self.add(
                sum,
                rows,
                in_range,
                #[inline(always)]
                |p, _| p,
            ),
            Loss::PredictionOf { class } => self.add(
                sum,
                rows,
                in_range,
                #[inline(always)]
                |p, label| if label == class { p } else { 0.0 },
            ),
            Loss::SpreadOf { class, about } => self.add(
                sum,
                rows,
                in_range,
                #[inline(always)]
                |p, label| if label == class { (p - about) * (p - about) } else { 0.0 },
            ),
        }
    }

    #[inline(always)]
    fn add(
        &self,
        sum: &mut Sum,
        rows: std::ops::Range<usize>,
        valid: impl Fn(f64) -> bool,
        loss: impl Fn(f64, u8) -> f64,
    ) -> bool {
        let Predictions { labels, p, weights } = *self.predictions;
        let mut terms = [0.0; BLOCK];
        let mut good = true;
        // First all losses, which vectorises; then the sum, which does not.
        for ((term, &p), &label) in terms.iter_mut().zip(&p[rows.clone()]).zip(&labels[rows.clone()]) {
            let p = p.to_f64();
            good &= valid(p);
            *term = loss(p, label);
        }
        let exists = |i: usize| weights.is_none_or(|w| w[i] > 0.0);
        if !good && rows.clone().any(|i| exists(i) && !valid(p[i].to_f64())) {
            return false;
        }
        let terms = &terms[..rows.len()];
        let largest = exact::largest(terms);
        if weights.is_none() && largest < f64::INFINITY.to_bits() {
            let positives = u64::from(labels[rows].iter().fold(0u16, |sum, &y| sum + u16::from(y & 1)));
            sum.rows += terms.len() as u64;
            sum.positives += positives;
            sum.total += terms.len() as u128;
            sum.positive += u128::from(positives);
            sum.sum.add_below(terms, largest);
            return true;
        }
        for (&term, i) in terms.iter().zip(rows).filter(|(_, i)| exists(*i)) {
            let q = weights.map_or(1, |w| self.unit.integer(w[i]));
            let positive = u64::from(labels[i] & 1);
            sum.rows += 1;
            sum.positives += positive;
            sum.total += u128::from(q);
            sum.positive += u128::from(q * positive);
            if term == f64::INFINITY {
                sum.infinite += 1;
                sum.first_infinite = sum.first_infinite.or(Some(i));
            } else {
                sum.sum.add_times(term, q);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elementary::{ln, ln_1p};
    use crate::metrics::naive::tests::executions;
    use proptest::prelude::*;

    fn sum<T: Real + std::fmt::Display>(
        exec: &Exec,
        predictions: &Predictions<'_, T>,
        loss: Loss,
    ) -> Result<Sum, MetricError> {
        // Beside another loss it is the same.
        let pair = if loss == Loss::LogOfLogits { [loss, loss] } else { [Loss::Brier, loss] };
        sums(exec, predictions, &pair).map(|mut sums| sums.remove(1))
    }

    fn check<T: Real + std::fmt::Display>(predictions: &Predictions<'_, T>, loss: Loss) -> Sum {
        let results: Vec<_> = executions().map(|exec| sum(&exec, predictions, loss)).collect();
        assert!(results.windows(2).all(|w| w[0] == w[1]), "the same on every level and thread count");
        results[0].clone().unwrap_or_else(|e| panic!("{e}"))
    }

    const EXACT: Loss = Loss::Log { clip: 0.0 };

    #[test]
    fn means_at_known_values() {
        let half = Predictions { labels: &[0, 1], p: &[0.5f32, 0.5], weights: None };
        assert_eq!(check(&half, EXACT).mean(), std::f64::consts::LN_2, "ln 2");
        assert_eq!(check(&half, Loss::Brier).mean(), 0.25, "Brier");
        assert_eq!(check(&half, Loss::Prediction).over_positives(), Some(1.0), "calibration");
        let tiny = Predictions { labels: &[0], p: &[1e-300f64], weights: None };
        assert_eq!(check(&tiny, EXACT).mean(), 1e-300, "-ln(1 - p) of a tiny p");
        let logits = Predictions { labels: &[0, 1], p: &[-800.0f64, 800.0], weights: None };
        assert_eq!(check(&logits, Loss::LogOfLogits).mean(), 0.0, "below the smallest number");
        let wrong = Predictions { labels: &[0, 1], p: &[800.0f32, -800.0], weights: None };
        assert_eq!(check(&wrong, Loss::LogOfLogits).mean(), 800.0, "as large as the logit");
    }

    #[test]
    fn of_one_class() {
        let p = Predictions { labels: &[0, 1, 1, 0], p: &[0.25f32, 0.5, 1.0, 0.75], weights: None };
        assert_eq!(
            check(&p, Loss::PredictionOf { class: 1 }).over_positives(),
            Some(0.75),
            "mean of the positives"
        );
        assert_eq!(check(&p, Loss::PredictionOf { class: 0 }).over_negatives(), Some(0.5), "and of the negatives");
        let spread = Loss::SpreadOf { class: 0, about: 0.5 };
        assert_eq!(check(&p, spread).over_negatives(), Some(0.0625), "their variance");
        let weighted = Predictions { weights: Some(&[3.0, 1.0, 1.0, 1.0]), ..p };
        assert_eq!(check(&weighted, Loss::PredictionOf { class: 0 }).over_negatives(), Some(0.375), "by weight");
        let one = Predictions { labels: &[1], p: &[0.5f32], weights: None };
        assert_eq!(check(&one, Loss::PredictionOf { class: 0 }).over_negatives(), None, "there is none");
    }

    #[test]
    fn certain_and_wrong_is_counted() {
        let p = Predictions { labels: &[0, 1, 0, 1, 1], p: &[0.0f64, 0.0, 1.0, 1.0, 0.5], weights: None };
        let got = check(&p, EXACT);
        assert_eq!((got.mean(), got.infinite, got.first_infinite), (f64::INFINITY, 2, Some(1)), "two of five");
        let clipped = check(&p, Loss::Log { clip: f64::EPSILON });
        assert_eq!(clipped.infinite, 0, "clipped");
        assert!((clipped.mean() - 2.0 * -ln(f64::EPSILON) / 5.0).abs() < 0.2, "{}", clipped.mean());
        let weights = [1.0, 0.0, 0.0, 1.0, 2.0];
        let got = check(&Predictions { weights: Some(&weights), ..p }, EXACT);
        assert_eq!((got.mean(), got.infinite), (std::f64::consts::LN_2 / 2.0, 0), "rows of weight 0 do not exist");
    }

    #[test]
    fn a_row_of_weight_0_may_hold_anything() {
        let p = Predictions { labels: &[0, 1, 1], p: &[0.5, f64::NAN, 7.0], weights: Some(&[2.0, 0.0, 0.0]) };
        assert_eq!(check(&p, EXACT).mean(), std::f64::consts::LN_2, "it does not exist");
        let p = Predictions { weights: Some(&[2.0, 0.0, 1.0]), ..p };
        for exec in executions() {
            let error = sum(&exec, &p, EXACT).unwrap_err().to_string();
            assert!(error.starts_with("p: got 7 at index 2 (1 such of 3 rows)"), "{error}");
        }
    }

    #[test]
    fn what_is_no_prediction_is_found() {
        for exec in executions() {
            let p = Predictions { labels: &[0, 1, 1], p: &[0.5f32, 1.5, -1.0], weights: None };
            let error = sum(&exec, &p, EXACT).unwrap_err().to_string();
            assert!(error.starts_with("p: got 1.5 at index 1 (2 such of 3 rows)"), "{error}");
            let p = Predictions { labels: &[0, 1], p: &[0.5, f64::NAN], weights: None };
            for loss in [EXACT, Loss::LogOfLogits, Loss::Brier, Loss::Prediction] {
                let error = sum(&exec, &p, loss).unwrap_err().to_string();
                assert!(error.starts_with("p: got NaN at index 1"), "{error}");
            }
        }
    }

    proptest! {
        #[test]
        fn exact_sums_of_our_own_logarithms(
            rows in prop::collection::vec((0u8..2, 1e-6..0.999f64, 0u32..4), 1..1500),
        ) {
            let labels: Vec<u8> = rows.iter().map(|r| r.0).collect();
            let p: Vec<f64> = rows.iter().map(|r| r.1).collect();
            let predictions = Predictions { labels: &labels, p: &p, weights: None };
            let mut want = Exact::new();
            rows.iter().for_each(|r| want.add(if r.0 == 1 { -ln(r.1) } else { -ln_1p(-r.1) }));
            let n = rows.len() as u128;
            prop_assert_eq!(check(&predictions, EXACT).mean().to_bits(), want.over(n).to_bits());

            // Equal weights are none, and integer weights are repeated rows.
            let ones = vec![0.3; rows.len()];
            let got = check(&Predictions { weights: Some(&ones), ..predictions }, EXACT).mean();
            prop_assert_eq!(got.to_bits(), want.over(n).to_bits());
            let weights: Vec<f64> = rows.iter().map(|r| r.2.into()).collect();
            prop_assume!(weights.iter().any(|&w| w > 0.0));
            let repeated = |x: &dyn Fn(usize) -> f64| -> Vec<f64> {
                (0..rows.len()).flat_map(|i| vec![x(i); rows[i].2 as usize]).collect()
            };
            let p_repeated = repeated(&|i| p[i]);
            let labels_repeated: Vec<u8> = repeated(&|i| labels[i].into()).iter().map(|&l| l as u8).collect();
            let want = check(&Predictions { labels: &labels_repeated, p: &p_repeated, weights: None }, EXACT);
            let got = check(&Predictions { weights: Some(&weights), ..predictions }, EXACT);
            prop_assert_eq!(got.mean().to_bits(), want.mean().to_bits());
        }
    }
}
