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

use super::exact::{BLOCK, Exact};
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
#[derive(Clone, PartialEq, Debug)]
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

/// Adds up the loss of all rows.
///
/// # Panics
/// When the lengths differ.
pub fn sum<T: Real + std::fmt::Display>(
    exec: &Exec,
    predictions: &Predictions<'_, T>,
    loss: Loss,
) -> Result<Sum, MetricError> {
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
        exec.level.run(Add { predictions, range, loss, unit })
    });
    if shares.iter().any(Option::is_none) {
        let Predictions { p, weights, .. } = *predictions;
        let error = match loss {
            Loss::LogOfLogits => Found::search(p, weights, |x| x.to_f64().is_nan()).map(MetricError::Logit),
            _ => Found::search(p, weights, |x| !in_range(x.to_f64())).map(MetricError::Probability),
        };
        return Err(error.unwrap_or(MetricError::Empty));
    }
    shares.into_iter().flatten().reduce(|a, b| a.and(&b)).ok_or(MetricError::Empty)
}

#[inline(always)]
fn in_range(p: f64) -> bool {
    (0.0..=1.0).contains(&p)
}

/// Adds up a range of rows; `None` when one of them is not a prediction.
struct Add<'a, T> {
    predictions: &'a Predictions<'a, T>,
    range: std::ops::Range<usize>,
    loss: Loss,
    unit: Unit,
}

impl<T: Real> Kernel for Add<'_, T> {
    type Out = Option<Sum>;

    #[inline(always)]
    fn run(self) -> Option<Sum> {
        match self.loss {
            Loss::Log { clip } => self.add(
                in_range,
                #[inline(always)]
                |p, positive| log_loss(if clip > 0.0 { p.max(clip).min(1.0 - clip) } else { p }, positive),
            ),
            Loss::LogOfLogits => self.add(
                #[inline(always)]
                |z| !z.is_nan(),
                #[inline(always)]
                |z, positive| softplus(if positive { -z } else { z }),
            ),
            Loss::Brier => self.add(
                in_range,
                #[inline(always)]
                |p, positive| {
                    let d = p - f64::from(u8::from(positive));
                    d * d
                },
            ),
            Loss::Spread { about } => self.add(
                in_range,
                #[inline(always)]
                |p, _| (p - about) * (p - about),
            ),
            Loss::Prediction => self.add(
                in_range,
                #[inline(always)]
                |p, _| p,
            ),
        }
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
    #[inline(always)]
    fn add(self, valid: impl Fn(f64) -> bool, loss: impl Fn(f64, bool) -> f64) -> Option<Sum> {
        let Predictions { labels, p, weights } = *self.predictions;
        let mut sum = Sum {
            sum: Exact::new(),
            total: 0,
            positive: 0,
            rows: 0,
            positives: 0,
            infinite: 0,
            first_infinite: None,
        };
        let mut terms = [0.0; BLOCK];
        for start in self.range.clone().step_by(BLOCK) {
            let end = self.range.end.min(start + BLOCK);
            let mut good = true;
            // First all losses of a block, which vectorises; then the sum, which does not.
            for ((term, &p), &label) in terms.iter_mut().zip(&p[start..end]).zip(&labels[start..end]) {
                let p = p.to_f64();
                good &= valid(p);
                *term = loss(p, label == 1);
            }
            let exists = |i: usize| weights.is_none_or(|w| w[i] > 0.0);
            if !good && (start..end).any(|i| exists(i) && !valid(p[i].to_f64())) {
                return None;
            }
            let terms = &terms[..end - start];
            if weights.is_none() && terms.iter().fold(true, |finite, &x| finite & (x < f64::INFINITY)) {
                let positives: u64 = labels[start..end].iter().map(|&y| u64::from(y & 1)).sum();
                sum.rows += terms.len() as u64;
                sum.positives += positives;
                sum.total += terms.len() as u128;
                sum.positive += u128::from(positives);
                sum.sum.add_block(terms);
                continue;
            }
            for i in (start..end).filter(|&i| exists(i)) {
                let q = weights.map_or(1, |w| self.unit.integer(w[i]));
                let positive = u64::from(labels[i] & 1);
                sum.rows += 1;
                sum.positives += positive;
                sum.total += u128::from(q);
                sum.positive += u128::from(q * positive);
                if terms[i - start] == f64::INFINITY {
                    sum.infinite += 1;
                    sum.first_infinite = sum.first_infinite.or(Some(i));
                } else {
                    sum.sum.add_times(terms[i - start], q);
                }
            }
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elementary::{ln, ln_1p};
    use crate::metrics::naive::tests::executions;
    use proptest::prelude::*;

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
