//! Metrics: exact AUC, grouped AUC, curves, confusion counts, log loss.
//!
//! | file | idea |
//! |---|---|
//! | [`key`] | a score as an unsigned integer of the same order |
//! | [`label`] | any labels as bytes 0 and 1 |
//! | [`sort`] | radix sort of keys |
//! | `marked` | all rows in order, each with its label |
//! | [`ratio`] | a quotient of integers, rounded once |
//! | [`exact`] | a sum of reals without rounding, whatever the order |
//! | [`weight`] | sample weights as integers |
//! | `rank` | where keys stand among a few sorted ones |
//! | [`auc`] | pairs of a positive and a negative, counted |
//! | [`gauc`] | the same by group |
//! | `source` | where the rows of groups lie |
//! | [`curve`] | the ROC curve |
//! | [`steps`] | the ROC curve at the positives' scores, from which most follows |
//! | [`placement`] | where a row stands in the other class: the variance of AUC |
//! | [`bootstrap`] | AUC of rows drawn anew |
//! | [`confusion`] | counts at a threshold |
//! | [`bucket`] | calibration in buckets that grow |
//! | [`loss`] | log loss, Brier score, calibration |
//!
//! Counts are integers and are divided once. Reals are rounded once each and then added exactly. So no result here
//! depends on the order of the rows, on the number of threads, on the level or on how the work is cut.

pub mod auc;
pub mod bootstrap;
pub mod bucket;
pub mod confusion;
pub mod curve;
pub mod exact;
pub mod gauc;
pub mod key;
pub mod label;
pub mod loss;
mod marked;
pub mod placement;
mod rank;
pub mod ratio;
pub mod sort;
mod source;
pub mod steps;
pub mod weight;

#[cfg(test)]
mod naive;

use std::fmt;

/// Rows of one piece of work. It changes no result.
pub(crate) const ROWS: usize = 1 << 16;

/// What is wrong with the input.
#[derive(Clone, PartialEq, Debug)]
pub enum MetricError {
    /// There is no row.
    Empty,
    /// A label is not 0/1 or −1/+1.
    Label(Found),
    /// A label is −1 and another one is 0: their first rows.
    MixedLabels {
        /// First row of −1.
        minus: usize,
        /// First row of 0.
        zero: usize,
    },
    /// Scores are NaN.
    Nan(Found),
    /// No row is left once NaN scores are dropped.
    AllNan(usize),
    /// A sample weight is negative, infinite or NaN.
    Weight(Found),
    /// Every sample weight is 0.
    NoWeight(usize),
    /// A probability is outside [0, 1].
    Probability(Found),
    /// A logit is NaN.
    Logit(Found),
    /// Offsets of groups do not start at 0, end at the number of rows, or never fall.
    Offsets {
        /// Which one.
        index: usize,
        /// Its value; `None` when there are no offsets at all.
        value: Option<i64>,
        /// The number of rows.
        rows: usize,
    },
}

/// Bad values: the first one, where it is, how many there are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The first one, as text.
    pub value: String,
    /// Its row.
    pub index: usize,
    /// How many.
    pub count: usize,
    /// Of how many rows.
    pub rows: usize,
}

impl Found {
    /// The values of `x` that are `bad`, but for those whose weight is 0; none is `None`.
    pub(crate) fn search<T: Copy + fmt::Display>(
        x: &[T],
        weights: Option<&[f64]>,
        bad: impl Fn(T) -> bool,
    ) -> Option<Self> {
        let wrong = |&i: &usize| bad(x[i]) && weights.is_none_or(|w| w[i] > 0.0);
        let index = (0..x.len()).find(wrong)?;
        let count = (index..x.len()).filter(wrong).count();
        Some(Self { value: x[index].to_string(), index, count, rows: x.len() })
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, index, count, rows } = self;
        write!(f, "got {value} at index {index} ({count} such of {rows} rows)")
    }
}

impl fmt::Display for MetricError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "y: got no rows, need at least one"),
            Self::Label(found) => write!(f, "y: {found}, need labels 0/1 or -1/+1"),
            Self::MixedLabels { minus, zero } => {
                write!(f, "y: got -1 at index {minus} and 0 at index {zero}, need labels 0/1 or -1/+1")
            }
            Self::Nan(found) => write!(
                f,
                "score: {found}, need numbers; where there is nan=, 'drop' leaves such rows out and 'lowest' ranks them below -inf"
            ),
            Self::AllNan(rows) => write!(f, "score: all {rows} rows are NaN or of weight 0: none is left"),
            Self::Weight(found) => write!(f, "sample_weight: {found}, need finite weights >= 0"),
            Self::NoWeight(rows) => {
                write!(f, "sample_weight: all {rows} weights are 0: rows of weight 0 do not count")
            }
            Self::Probability(found) => {
                write!(f, "p: {found}, need probabilities in [0, 1]; logits need from_logits=True")
            }
            Self::Logit(found) => write!(f, "p: {found}, need logits that are numbers"),
            Self::Offsets { index, value, rows } => {
                match value {
                    Some(value) => write!(f, "offsets: got {value} at index {index}")?,
                    None => write!(f, "offsets: got none")?,
                }
                write!(f, ", need whole numbers that start at 0, end at {rows} (the rows), and never fall")
            }
        }
    }
}

impl std::error::Error for MetricError {}
