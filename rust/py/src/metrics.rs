//! Metrics: labels as bytes, then one call for each metric. Arrays are read, never written.

use fourstep::metrics::MetricError;
use fourstep::metrics::auc::{self, Left, Nan, Pairs, Rows};
use fourstep::metrics::bootstrap;
use fourstep::metrics::bucket;
use fourstep::metrics::confusion::{self, Cells};
use fourstep::metrics::curve;
use fourstep::metrics::gauc::{self, Fate, GroupWeight, Groups, OneClass, Options};
use fourstep::metrics::key::Score;
use fourstep::metrics::label;
use fourstep::metrics::loss::{self, Loss, Predictions};
use fourstep::metrics::placement::{self, Sums};
use fourstep::metrics::steps::{self, Steps};
use numpy::{IntoPyArray, PyArray1, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::arrays::{Reading, reading};
use crate::exec::{ExecArgs, resolve};

/// Binds the elements of `$array`, whatever type of the list they are, and evaluates `$body`.
macro_rules! with_elements {
    ($array:expr, $name:literal, [$($t:ty),+], |$x:ident| $body:expr) => {{
        let array: &Bound<'_, PyAny> = $array;
        $(
            if array.cast::<numpy::PyArrayDyn<$t>>().is_ok() {
                let held = reading::<$t>(array, $name)?;
                let $x = held.elements();
                return $body;
            }
        )+
        Err(wrong_type(array, $name, stringify!($($t),+)))
    }};
}

fn wrong_type(array: &Bound<'_, PyAny>, name: &str, need: &str) -> PyErr {
    PyTypeError::new_err(match array.cast::<PyUntypedArray>() {
        Ok(array) => format!("{name}: got dtype {}, need one of {need}", array.dtype()),
        Err(_) => format!("{name}: got {}, need a NumPy array", array.get_type()),
    })
}

fn value_error(error: &MetricError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

fn unknown(name: &str, got: &str, need: &str) -> PyErr {
    PyValueError::new_err(format!("{name}: got {got:?}, need one of {need}"))
}

fn nan_policy(name: &str) -> PyResult<Nan> {
    match name {
        "raise" => Ok(Nan::Raise),
        "drop" => Ok(Nan::Drop),
        "lowest" => Ok(Nan::Lowest),
        _ => Err(unknown("nan", name, "raise, drop, lowest")),
    }
}

/// Borrowed labels and weights.
struct Held<'py> {
    labels: Reading<'py, u8>,
    weights: Option<Reading<'py, f64>>,
}

impl<'py> Held<'py> {
    fn new(labels: &Bound<'py, PyAny>, weights: Option<&Bound<'py, PyAny>>) -> PyResult<Self> {
        let weights = weights.map(|w| reading(w, "sample_weight")).transpose()?;
        Ok(Self { labels: reading(labels, "y")?, weights })
    }

    /// Labels, and weights if there are any, both of this length.
    fn of_length(&self, n: usize, name: &str) -> PyResult<(&[u8], Option<&[f64]>)> {
        let labels = self.labels.elements();
        let weights = self.weights.as_ref().map(Reading::elements);
        same_length(labels.len(), n, name)?;
        if let Some(weights) = weights {
            same_length(labels.len(), weights.len(), "sample_weight")?;
        }
        Ok((labels, weights))
    }

    fn rows<'a, S>(&'a self, scores: &'a [S]) -> PyResult<Rows<'a, S>> {
        let (labels, weights) = self.of_length(scores.len(), "score")?;
        Ok(Rows { labels, scores, weights })
    }
}

fn same_length(labels: usize, other: usize, name: &str) -> PyResult<()> {
    if labels == other {
        return Ok(());
    }
    Err(PyValueError::new_err(format!("{name}: got {other} rows, need {labels}, as many as y")))
}

/// Labels 0/1 or −1/+1 of any number type as bytes 0 and 1; `None` when they are such bytes already.
#[pyfunction]
pub(crate) fn metrics_labels<'py>(
    py: Python<'py>,
    y: &Bound<'py, PyAny>,
    exec: ExecArgs,
) -> PyResult<Option<Bound<'py, PyArray1<u8>>>> {
    let exec = resolve(exec)?;
    with_elements!(y, "y", [u8, i64, i32, f32, f64, i8, i16, u16, u32, u64], |labels| {
        let bytes = py.detach(|| label::binary(&exec, labels)).map_err(|e| value_error(&e))?;
        Ok(bytes.map(|b| b.into_pyarray(py)))
    })
}

/// Pairs as `(below, tied, all)`.
type PairsOut = (u128, u128, u128);
/// Rows that did not count, as `(nan, weightless)`.
type LeftOut = (u64, u64);

fn pairs_out(p: Pairs) -> PairsOut {
    (p.below, p.tied, p.all)
}

fn left_out(left: Left) -> LeftOut {
    (left.nan, left.weightless)
}

/// `(auc, positives, negatives, pairs, left)`.
#[pyfunction]
pub(crate) fn metrics_auc<'py>(
    py: Python<'py>,
    y: &Bound<'py, PyAny>,
    score: &Bound<'py, PyAny>,
    sample_weight: Option<&Bound<'py, PyAny>>,
    nan: &str,
    exec: ExecArgs,
) -> PyResult<(Option<f64>, u64, u64, PairsOut, LeftOut)> {
    let (exec, nan, held) = (resolve(exec)?, nan_policy(nan)?, Held::new(y, sample_weight)?);
    with_elements!(score, "score", [f32, f64, i64, u64], |scores| {
        let rows = held.rows(scores)?;
        let got = py.detach(|| auc::auc(&exec, &rows, nan)).map_err(|e| value_error(&e))?;
        Ok((got.pairs.auc(), got.positives, got.negatives, pairs_out(got.pairs), left_out(got.left)))
    })
}

/// Groups of one fate as `(groups, rows, positives)`.
type TallyOut = (u64, u64, u64);
/// Each group: ids (none for offsets), AUC, rows, positives, kept.
type EachGroup<'py> = (
    Option<Bound<'py, PyAny>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<u64>>,
    Bound<'py, PyArray1<u64>>,
    Bound<'py, PyArray1<bool>>,
);
type GaucOut<'py> = (Option<f64>, [TallyOut; 4], Option<usize>, PairsOut, LeftOut, Option<EachGroup<'py>>);

/// `(gauc, [kept, one class, small, empty], index of the first group of one class, pairs, left, each group)`.
///
/// `groups` holds ids (int64 or uint64), or with `offsets` the bounds of the groups (int64).
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "the arguments of the Python function")]
pub(crate) fn metrics_gauc<'py>(
    py: Python<'py>,
    y: &Bound<'py, PyAny>,
    score: &Bound<'py, PyAny>,
    groups: &Bound<'py, PyAny>,
    offsets: bool,
    sample_weight: Option<&Bound<'py, PyAny>>,
    group_weight: &str,
    one_class: &str,
    min_rows: u64,
    nan: &str,
    per_group: bool,
    exec: ExecArgs,
) -> PyResult<GaucOut<'py>> {
    let (exec, held) = (resolve(exec)?, Held::new(y, sample_weight)?);
    let options = Options {
        group_weight: match group_weight {
            "impressions" => GroupWeight::Impressions,
            "positives" => GroupWeight::Positives,
            "uniform" => GroupWeight::Uniform,
            "pairs" => GroupWeight::Pairs,
            _ => return Err(unknown("group_weight", group_weight, "impressions, positives, uniform, pairs")),
        },
        one_class: match one_class {
            "drop" => OneClass::Drop,
            "half" => OneClass::Half,
            _ => return Err(unknown("one_class", one_class, "drop, half")),
        },
        min_rows,
        nan: nan_policy(nan)?,
    };
    let signed = reading::<i64>(groups, "groups");
    let unsigned = if signed.is_ok() { None } else { Some(reading::<u64>(groups, "groups")?) };
    let grouping = match (&signed, &unsigned) {
        (Ok(offset), _) if offsets => Groups::Offsets(offset.elements()),
        (Ok(ids), _) => Groups::Signed(ids.elements()),
        (_, Some(ids)) if !offsets => Groups::Unsigned(ids.elements()),
        _ => return Err(PyTypeError::new_err("offsets: need dtype int64")),
    };
    with_elements!(score, "score", [f32, f64, i64, u64], |scores| {
        let rows = held.rows(scores)?;
        if let Groups::Signed(&[..]) | Groups::Unsigned(&[..]) = grouping {
            same_length(rows.labels.len(), groups.len()?, "groups")?;
        }
        let mut got = py.detach(|| gauc::gauc(&exec, &rows, grouping, &options)).map_err(|e| value_error(&e))?;
        let totals = got.totals();
        let tallies = totals.tallies.map(|tally| (tally.groups, tally.rows, tally.positives));
        let each = per_group.then(|| {
            let ids = std::mem::take(&mut got.ids);
            let ids = match grouping {
                Groups::Signed(_) => {
                    Some(ids.into_iter().map(i64::from_key).collect::<Vec<_>>().into_pyarray(py).into_any())
                }
                Groups::Unsigned(_) => Some(ids.into_pyarray(py).into_any()),
                Groups::Offsets(_) => None,
            };
            let column =
                |f: fn(&gauc::Group) -> u64| got.groups.iter().map(f).collect::<Vec<_>>().into_pyarray(py);
            (
                ids,
                got.groups.iter().map(|g| g.auc).collect::<Vec<_>>().into_pyarray(py),
                column(|g| g.rows),
                column(|g| g.positives),
                got.groups.iter().map(|g| g.fate == Fate::Kept).collect::<Vec<_>>().into_pyarray(py),
            )
        });
        let pairs = pairs_out(totals.pairs);
        Ok((got.value, tallies, totals.first_one_class, pairs, left_out(got.left), each))
    })
}

/// `(thresholds, tp, fp, positives, negatives)`, thresholds falling and of the scores' type, counts in units of weight.
#[pyfunction]
#[allow(clippy::type_complexity, reason = "a tuple of arrays is what Python gets")]
pub(crate) fn metrics_roc<'py>(
    py: Python<'py>,
    y: &Bound<'py, PyAny>,
    score: &Bound<'py, PyAny>,
    sample_weight: Option<&Bound<'py, PyAny>>,
    corners: bool,
    exec: ExecArgs,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyArray1<u64>>, Bound<'py, PyArray1<u64>>, u64, u64)> {
    let (exec, held) = (resolve(exec)?, Held::new(y, sample_weight)?);
    with_elements!(score, "score", [f32, f64, i64, u64], |scores| {
        let rows = held.rows(scores)?;
        let got = py.detach(|| curve::roc(&exec, &rows, corners)).map_err(|e| value_error(&e))?;
        let thresholds = got.thresholds.into_pyarray(py).into_any();
        Ok((thresholds, got.tp.into_pyarray(py), got.fp.into_pyarray(py), got.positives, got.negatives))
    })
}

/// `((tp, fp, fn, tn), the same as real weights)`: counts are integers in one unit.
#[pyfunction]
#[allow(clippy::type_complexity, reason = "two tuples of cells are what Python gets")]
pub(crate) fn metrics_confusion<'py>(
    py: Python<'py>,
    y: &Bound<'py, PyAny>,
    score: &Bound<'py, PyAny>,
    sample_weight: Option<&Bound<'py, PyAny>>,
    threshold: f64,
    exec: ExecArgs,
) -> PyResult<((u64, u64, u64, u64), (f64, f64, f64, f64))> {
    let (exec, held) = (resolve(exec)?, Held::new(y, sample_weight)?);
    with_elements!(score, "score", [f32, f64, i64, u64], |scores| {
        let rows = held.rows(scores)?;
        let got = py.detach(|| confusion::confusion(&exec, &rows, threshold)).map_err(|e| value_error(&e))?;
        let Cells { tp, fp, fn_, tn } = got.cells;
        let real = |q| got.unit.real(q);
        Ok(((tp, fp, fn_, tn), (real(tp), real(fp), real(fn_), real(tn))))
    })
}

/// `(mean, sum over the positives' weight, sum over the negatives', rows, positives, rows of infinite loss, the first of them)`.
type LossOut = (f64, Option<f64>, Option<f64>, u64, u64, u64, Option<usize>);

/// The sum of each of `losses`, in one pass. The number beside its name is the clip of the log loss, and what a spread is about.
#[pyfunction]
pub(crate) fn metrics_losses<'py>(
    py: Python<'py>,
    y: &Bound<'py, PyAny>,
    p: &Bound<'py, PyAny>,
    sample_weight: Option<&Bound<'py, PyAny>>,
    losses: Vec<(String, f64)>,
    exec: ExecArgs,
) -> PyResult<Vec<LossOut>> {
    let (exec, held) = (resolve(exec)?, Held::new(y, sample_weight)?);
    let named = |(loss, constant): &(String, f64)| {
        Ok(match loss.as_str() {
            "log" => Loss::Log { clip: *constant },
            "logits" if losses.len() == 1 => Loss::LogOfLogits,
            "brier" => Loss::Brier,
            "spread" => Loss::Spread { about: *constant },
            "prediction" => Loss::Prediction,
            "prediction of negatives" => Loss::PredictionOf { class: 0 },
            "prediction of positives" => Loss::PredictionOf { class: 1 },
            "spread of negatives" => Loss::SpreadOf { class: 0, about: *constant },
            "spread of positives" => Loss::SpreadOf { class: 1, about: *constant },
            _ => {
                return Err(unknown(
                    "losses",
                    loss,
                    "log, brier, spread, prediction, of positives, of negatives; or logits alone",
                ));
            }
        })
    };
    let losses = losses.iter().map(named).collect::<PyResult<Vec<_>>>()?;
    with_elements!(p, "p", [f32, f64], |p| {
        let (labels, weights) = held.of_length(p.len(), "p")?;
        let predictions = Predictions { labels, p, weights };
        let got = py.detach(|| loss::sums(&exec, &predictions, &losses)).map_err(|e| value_error(&e))?;
        let out = |s: &loss::Sum| {
            (s.mean(), s.over_positives(), s.over_negatives(), s.rows, s.positives, s.infinite, s.first_infinite)
        };
        Ok(got.iter().map(out).collect())
    })
}

fn rising(name: &str, counts: &[u64]) -> PyResult<()> {
    if counts.is_sorted() {
        Ok(())
    } else {
        Err(PyValueError::new_err(format!("{name}: need counts that do not fall")))
    }
}

/// The largest |tp·N − fp·P| at a corner of the ROC curve.
#[pyfunction]
pub(crate) fn metrics_distance(
    py: Python<'_>,
    tp: &Bound<'_, PyAny>,
    above: &Bound<'_, PyAny>,
    fp: &Bound<'_, PyAny>,
    positives: u64,
    negatives: u64,
) -> PyResult<u128> {
    let held = [reading::<u64>(tp, "tp")?, reading(above, "above")?, reading(fp, "fp")?];
    let [tp, above, fp] = held.each_ref().map(Reading::elements);
    same_length(tp.len(), above.len(), "above")?;
    same_length(tp.len(), fp.len(), "fp")?;
    Ok(py.detach(|| steps::distance(tp, above, fp, positives, negatives)))
}

/// Σ Δtp·tp/(tp + fp), where tp·2^`shift` is in the unit of fp.
#[pyfunction]
pub(crate) fn metrics_precisions(
    py: Python<'_>,
    tp: &Bound<'_, PyAny>,
    fp: &Bound<'_, PyAny>,
    shift: i32,
) -> PyResult<f64> {
    let held = [reading::<u64>(tp, "tp")?, reading(fp, "fp")?];
    let [tp, fp] = held.each_ref().map(Reading::elements);
    same_length(tp.len(), fp.len(), "fp")?;
    rising("tp", tp)?;
    Ok(py.detach(|| steps::precisions(tp, fp, shift)))
}

/// `(Σ v, Σ v² of positives, Σ v² of negatives, tied pairs)`, v the placements, in halves.
type SumsOut = (u128, u128, u128, u128);

/// The steps of the ROC curve as arrays `(thresholds, tp, above, fp)`, the whole weights, rows left out, and without weights the
/// sums of placements.
type StepsOut<'py> = (
    Bound<'py, PyAny>,
    Bound<'py, PyArray1<u64>>,
    Bound<'py, PyArray1<u64>>,
    Bound<'py, PyArray1<u64>>,
    u64,
    u64,
    LeftOut,
    Option<SumsOut>,
);

fn steps_out<'py, S: numpy::Element>(py: Python<'py>, steps: Steps<S>, sums: Option<Sums>) -> StepsOut<'py> {
    let sums = sums.map(|s| (s.v, s.positives, s.negatives, s.tied));
    let Steps { thresholds, tp, above, fp, positives, negatives, left } = steps;
    let thresholds = thresholds.into_pyarray(py).into_any();
    let [tp, above, fp] = [tp, above, fp].map(|column| column.into_pyarray(py));
    (thresholds, tp, above, fp, positives, negatives, left_out(left), sums)
}

/// `(thresholds, tp, above, fp, positives, negatives, left, sums)`: a step for each distinct score of a positive, falling.
#[pyfunction]
pub(crate) fn metrics_steps<'py>(
    py: Python<'py>,
    y: &Bound<'py, PyAny>,
    score: &Bound<'py, PyAny>,
    sample_weight: Option<&Bound<'py, PyAny>>,
    nan: &str,
    exec: ExecArgs,
) -> PyResult<StepsOut<'py>> {
    let (exec, nan, held) = (resolve(exec)?, nan_policy(nan)?, Held::new(y, sample_weight)?);
    with_elements!(score, "score", [f32, f64, i64, u64], |scores| {
        let rows = held.rows(scores)?;
        let got = py.detach(|| steps::steps(&exec, &rows, nan)).map_err(|e| value_error(&e))?;
        let sums = sample_weight.is_none().then(|| got.placements());
        Ok(steps_out(py, got, sums))
    })
}

/// `(scores, rising, the steps)`.
#[pyfunction]
pub(crate) fn metrics_order<'py>(
    py: Python<'py>,
    y: &Bound<'py, PyAny>,
    score: &Bound<'py, PyAny>,
    exec: ExecArgs,
) -> PyResult<(Bound<'py, PyAny>, StepsOut<'py>)> {
    let (exec, held) = (resolve(exec)?, Held::new(y, None)?);
    with_elements!(score, "score", [f32, f64, i64, u64], |scores| {
        let rows = held.rows(scores)?;
        let got = py.detach(|| steps::order(&exec, &rows)).map_err(|e| value_error(&e))?;
        let sums = got.steps.placements();
        Ok((got.scores.into_pyarray(py).into_any(), steps_out(py, got.steps, Some(sums))))
    })
}

/// `(errors, rows)` of the buckets of rising probabilities; `thresholds` of the positives, falling, with `tp` at or above each.
#[pyfunction]
#[allow(clippy::type_complexity, reason = "two arrays are what Python gets")]
pub(crate) fn metrics_buckets<'py>(
    py: Python<'py>,
    p: &Bound<'py, PyAny>,
    thresholds: &Bound<'py, PyAny>,
    tp: &Bound<'py, PyAny>,
    span: f64,
    bound: f64,
) -> PyResult<(Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<u64>>)> {
    let tp = reading::<u64>(tp, "tp")?;
    let tp = tp.elements();
    with_elements!(p, "p", [f32, f64], |p| {
        let held = reading(thresholds, "thresholds")?;
        let thresholds = held.elements();
        same_length(tp.len(), thresholds.len(), "thresholds")?;
        rising("tp", tp)?;
        let got = py.detach(|| bucket::buckets(p, thresholds, tp, span, bound));
        let (errors, rows): (Vec<f64>, Vec<u64>) = got.iter().map(|b| (b.error, b.rows)).unzip();
        Ok((errors.into_pyarray(py), rows.into_pyarray(py)))
    })
}

/// The placement of each row, in halves.
#[pyfunction]
pub(crate) fn metrics_placements<'py>(
    py: Python<'py>,
    y: &Bound<'py, PyAny>,
    score: &Bound<'py, PyAny>,
    nan: &str,
    exec: ExecArgs,
) -> PyResult<Bound<'py, PyArray1<u64>>> {
    let (exec, nan, held) = (resolve(exec)?, nan_policy(nan)?, Held::new(y, None)?);
    if nan == Nan::Drop {
        return Err(unknown("nan", "drop", "raise, lowest: each row has a placement"));
    }
    with_elements!(score, "score", [f32, f64, i64, u64], |scores| {
        let rows = held.rows(scores)?;
        let got = py.detach(|| placement::placements(&exec, &rows, nan)).map_err(|e| value_error(&e))?;
        Ok(got.into_pyarray(py))
    })
}

/// `(Σ a·b of positives, Σ a·b of negatives)` of placements of the same rows.
#[pyfunction]
pub(crate) fn metrics_placement_products(
    py: Python<'_>,
    y: &Bound<'_, PyAny>,
    a: &Bound<'_, PyAny>,
    b: &Bound<'_, PyAny>,
    exec: ExecArgs,
) -> PyResult<(u128, u128)> {
    let (exec, held) = (resolve(exec)?, Held::new(y, None)?);
    let (a, b) = (reading::<u64>(a, "a")?, reading::<u64>(b, "b")?);
    let (a, b) = (a.elements(), b.elements());
    let (labels, _) = held.of_length(a.len(), "a")?;
    same_length(labels.len(), b.len(), "b")?;
    Ok(py.detach(|| placement::products(&exec, labels, a, b)))
}

/// AUC of each replicate; NaN where a class is missing. `unit_of` has the group of each row in the order of the steps.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "the arguments of the Python function")]
pub(crate) fn metrics_bootstrap<'py>(
    py: Python<'py>,
    y: &Bound<'py, PyAny>,
    score: &Bound<'py, PyAny>,
    unit_of: Option<&Bound<'py, PyAny>>,
    units: usize,
    nan: &str,
    replicates: usize,
    seed: u64,
    exec: ExecArgs,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let (exec, nan, held) = (resolve(exec)?, nan_policy(nan)?, Held::new(y, None)?);
    let unit_of = unit_of.map(|u| reading::<u32>(u, "groups")).transpose()?;
    let unit_of = unit_of.as_ref().map(Reading::elements);
    with_elements!(score, "score", [f32, f64, i64, u64], |scores| {
        let rows = held.rows(scores)?;
        few_enough(scores.len())?;
        let got = py.detach(|| {
            let steps = steps::steps(&exec, &rows, nan)?;
            let units = if unit_of.is_none() { (steps.positives + steps.negatives) as usize } else { units };
            Ok(bootstrap::aucs(&exec, &steps, unit_of, units, replicates, seed))
        });
        Ok(got.map_err(|e| value_error(&e))?.into_pyarray(py))
    })
}

/// The places that one replicate of the bootstrap draws, as many as there are.
#[pyfunction]
pub(crate) fn metrics_draws(
    py: Python<'_>,
    seed: u64,
    replicate: u64,
    places: usize,
) -> PyResult<Bound<'_, PyArray1<i64>>> {
    few_enough(places)?;
    let draws = bootstrap::Draws::new(seed, replicate, places);
    let drawn = py.detach(|| (0..places as u64).map(|i| draws.place(i) as i64).collect::<Vec<_>>());
    Ok(drawn.into_pyarray(py))
}

fn few_enough(places: usize) -> PyResult<()> {
    if u32::try_from(places).is_ok() {
        return Ok(());
    }
    Err(PyValueError::new_err(format!("bootstrap draws from fewer than 2^32 rows or groups, got {places}")))
}
