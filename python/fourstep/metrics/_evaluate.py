"""What a `Report` holds, computed from rows that are checked once.

    check                who takes part: labels, scores and weights; NaN and weights of 0 are settled here
    sort                 one sort of both classes, where there are no weights; with weights each metric has its own
    by_order             what the order of the scores says: AUC, average precision, KS, best threshold
    by_threshold         what one threshold says: the confusion matrix and its quotients
    by_loss              what is a mean over rows: log loss, NE, Brier score, calibration ratio
    by_bin               what is calibrated bin by bin: ECE, bucket error
    by_group             what groups say: gAUC, and AUC within and between them
    by_slice             AUC of each slice

Each takes rows and returns the results of the functions of that name, bit for bit.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fourstep import _core, exact_math
from fourstep._runtime import execution
from fourstep.metrics import _interval, losses, thresholds
from fourstep.metrics._counts import Order, count, edges, edges_of_order, order, steps
from fourstep.metrics._groups import as_integers
from fourstep.metrics._inputs import Array, Rows, same_index, same_length, such
from fourstep.metrics._inputs import rows as checked_rows
from fourstep.metrics._means import mean, means
from fourstep.metrics._nan import Nan
from fourstep.metrics.calibration import (
    MAX_RELATIVE_ERROR,
    MAX_SPAN,
    CalibrationCurve,
    _binned,
    _binned_in_order,
    _bucket_error,
    _ece,
)
from fourstep.metrics.curves import _score_of_precision
from fourstep.metrics.decomposition import Decomposition, decompose
from fourstep.metrics.ranking import GroupWeight, OneClass, auc, auc_of, gauc
from fourstep.metrics.score import OnUndefined, Score, UndefinedMetricWarning, plural
from fourstep.metrics.shift import _ks
from fourstep.metrics.slices import AucBy, _auc_by, _slices
from fourstep.metrics.thresholds import Confusion, Threshold

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Checked(NamedTuple):
    """Rows as they came, and those that take part.

    ``place`` is where these are among all, None = all are; ``unranked`` counts rows of NaN score that rank lowest.
    """

    given: Rows
    rows: Rows
    place: NDArray[np.intp] | None
    dropped: dict[str, int]
    unranked: int

    @property
    def nan(self) -> Nan:
        """What a metric is to do with NaN in `rows`."""
        return "lowest" if self.unranked else "raise"

    def sort(self) -> Order | None:
        """Sort the rows once for all; None where weights or NaN ask for what each metric does by itself."""
        return None if self.rows.weight is not None or self.unranked else order(self.rows)


def check(
    y: ArrayLike,
    score: ArrayLike,
    sample_weight: ArrayLike | None,
    pos_label: Any,
    nan: Nan,
    others: dict[str, Any],
) -> Checked:
    """Check the inputs, and leave out rows of weight 0, which do not exist, and those of NaN scores that are dropped."""
    same_index({"y": y, "score": score, "sample_weight": sample_weight} | others)
    given = checked_rows(y, score, sample_weight, pos_label)
    labels, scores, weights = given
    if weights is None and nan == "raise":
        return Checked(given, given, None, {}, 0)  # the sort refuses NaN
    if weights is not None and not (weights.min() >= 0 and 0 < weights.max() < math.inf):
        mean(labels, np.zeros(len(labels)), weights)  # says what is wrong, before it is compared with 0
    exists = np.ones(len(labels), bool) if weights is None else weights > 0
    missing = np.isnan(scores) & exists if scores.dtype.kind == "f" else np.zeros(len(labels), bool)
    there = exists & ~missing if nan == "drop" else exists
    n = int(np.count_nonzero(missing))
    if n and (nan == "raise" or not there.any()):
        _core.metrics_auc(labels, scores, weights, nan, execution())  # says where
    dropped = {"nan": n if nan == "drop" else 0, "weight_zero": int(np.count_nonzero(~exists))}
    dropped = {reason: rows for reason, rows in dropped.items() if rows}
    if there.all():
        return Checked(given, given, None, dropped, n)
    rows = Rows(labels[there], scores[there], None if weights is None else weights[there])
    return Checked(given, rows, np.flatnonzero(there), dropped, n if nan == "lowest" else 0)


def prevalence(rows: Rows, counts: dict[str, int]) -> Score:
    """Return the share of the positives, of their weight where there are weights; rounded once."""
    return Score(losses._share(rows.y, rows.weight, counts), "prevalence", counts=counts)


class ByOrder(NamedTuple):
    """What depends on the order of the scores; no best threshold where there is no positive or a NaN is ranked."""

    auc: Score
    average_precision: Score
    ks: Score
    best_threshold: Threshold | None


def by_order(
    data: Checked, ordered: Order | None, counts: dict[str, int], ci: float | None, on_undefined: OnUndefined
) -> ByOrder:
    """Rank. With weights AUC has no interval."""
    y, score, weight = data.rows
    found = steps(data.rows, data.nan)[0] if ordered is None else ordered.steps
    if weight is not None:
        area = auc(y, score, sample_weight=weight, nan=data.nan, on_undefined=on_undefined)
    else:
        level = ci if min(found.positives, found.negatives) > 1 else None
        area = auc_of(found, {}, level, _interval.method("delong"), on_undefined, stacklevel=5)
    area.dropped = dict(data.dropped)
    precision = _score_of_precision(found, counts, data.dropped, on_undefined)
    distance = _ks(found, counts, data.dropped, on_undefined)
    best = None
    if found.positives and not data.unranked:
        highest = None if ordered is None else ordered.scores[-1]
        best = thresholds._best_threshold(data.rows, found, "f1", None, highest)
    return ByOrder(area, precision, distance, best)


class ByThreshold(NamedTuple):
    """What one threshold says; and which quotients have nothing below the line and are 0.0."""

    confusion: Confusion
    precision: Score
    recall: Score
    specificity: Score
    f1: Score
    mcc: Score
    empty: dict[str, str]


#: Quotients of the confusion matrix, and what is missing where they have no value.
_EMPTY = {
    "precision": "no row is predicted positive",
    "recall": "there is no positive",
    "specificity": "there is no negative",
    "f1": "there is neither a positive nor a predicted one",
    "mcc": "there is one actual or one predicted class only",
}


def by_threshold(rows: Rows, at: float, cut: float) -> ByThreshold:
    """Count at a threshold, which as the scores' type has it is `cut`: one pass over the rows."""
    matrix = thresholds._confusion(rows, at, cut)
    values = {name: getattr(matrix, name) for name in _EMPTY}
    empty = {name: why for name, why in _EMPTY.items() if math.isnan(values[name])}
    scores = [thresholds._score(name, matrix, value, 0.0, _EMPTY[name]) for name, value in values.items()]
    precision, recall, specificity, f1, mcc = scores
    return ByThreshold(matrix, precision, recall, specificity, f1, mcc, empty)


def cuts(threshold: float, score: ArrayLike, scores: Array, from_logits: bool) -> tuple[float, float]:
    """Return the threshold on the scale of the scores, and in their type; of a probability for logits: ln(t/(1 − t))."""
    at = thresholds._threshold(threshold)
    if from_logits and not isinstance(threshold, Threshold):
        if not 0.0 <= at <= 1.0:
            raise ValueError(f"threshold: got {threshold!r} with from_logits=True, need a probability")
        at = exact_math.log(at / (1.0 - at)) if 0.0 < at < 1.0 else math.copysign(math.inf, at - 0.5)
    return at, thresholds._as_compared(at, score) if scores.dtype == np.float32 else at


class ByLoss(NamedTuple):
    """Means over rows; and how many are certain and wrong, the first of them by its index."""

    logloss: Score
    ne: Score
    brier: Score
    calibration_ratio: Score
    first_infinite: int | None


def by_loss(
    rows: Rows,
    p: Array,
    taken: dict[str, int],
    limit: float,
    from_logits: bool,
    base_rate: float | None,
    negative_sampling_rate: float,
    on_undefined: OnUndefined,
) -> ByLoss:
    """Compute the losses, in passes over the rows. `p` holds the probabilities, also where the scores are logits."""
    y, score, weight = rows
    loss, values = "log", p
    if from_logits:
        loss, values = "logits", score if score.dtype.kind == "f" else score.astype(np.float64)
    if from_logits:
        log, (squares, predicted) = (
            mean(y, values, weight, loss, limit),
            means(y, p, weight, "brier", "prediction"),
        )
    else:
        log, squares, predicted = means(y, p, weight, (loss, limit), "brier", "prediction")
    counts = losses._counts(log.rows, log.positives)
    infinite = {"infinite": log.infinite} if log.infinite else {}
    base = None if base_rate is None else losses._rate("base_rate", base_rate, below_one=True)
    entropy = losses._entropy_of(y, weight, taken) if base is None else losses._entropy(base)
    if negative_sampling_rate == 1.0 and entropy:
        normalised = Score(log.value / entropy, "ne", counts=counts | infinite)
    else:
        normalised = losses.ne(
            y,
            values,
            base_rate=base_rate,
            negative_sampling_rate=negative_sampling_rate,
            from_logits=from_logits,
            sample_weight=weight,
            clip=limit or None,
            on_undefined=on_undefined,
        )
    return ByLoss(
        Score(log.value, "logloss", counts=counts | infinite),
        normalised,
        Score(squares.value, "brier", counts=counts),
        losses._calibration_ratio(predicted, on_undefined),
        log.first_infinite,
    )


def probabilities(data: Checked, ordered: Order | None, from_logits: bool) -> tuple[Array | None, str]:
    """Return the scores as probabilities, of logits σ(z) in float64; or why they are none."""
    score = data.rows.score
    if data.unranked:
        return None, f"{plural(data.unranked, 'row')} with NaN ranked lowest: NaN is no probability"
    if from_logits:
        logits = score.astype(np.float64)
        p = np.empty_like(logits)
        _core.elementary("sigmoid", logits, p, execution())
        return p, ""
    ends = score if ordered is None else ordered.scores[[0, -1]]
    if ends.min() < 0 or ends.max() > 1:
        wrong = np.flatnonzero((score < 0) | (score > 1))
        at = int(wrong[0] if data.place is None else data.place[wrong[0]])
        return None, (
            "scores outside [0, 1] are no probabilities:"
            f" {such(score[wrong[0]], at, len(wrong), len(data.given.y))}; logits need from_logits=True"
        )
    return score if score.dtype.kind == "f" else score.astype(np.float64), ""


class ByBin(NamedTuple):
    """Calibration bin by bin; the bucket error has no weights."""

    calibration: CalibrationCurve
    ece: Score
    bucket_error: Score | None


def by_bin(rows: Rows, p: Array, ordered: Order | None, bins: int) -> ByBin:
    """Compare predictions with rates in bins of equal weight, and in buckets. `ordered` is the order of the scores."""
    data = Rows(rows.y, p, rows.weight)
    if rows.weight is not None:
        curve = _binned(data, edges(count(data), bins))
        return ByBin(curve, _ece(data, curve), None)
    if ordered is None or p is not rows.score:
        ordered = order(data)
    curve = _binned_in_order(ordered, edges_of_order(ordered, bins))
    return ByBin(curve, _ece(data, curve), _bucket_error(ordered, MAX_SPAN, MAX_RELATIVE_ERROR, math.nan))


class ByGroup(NamedTuple):
    """Grouped AUC, and the parts of AUC."""

    gauc: Score
    decomposition: Decomposition


def by_group(
    data: Checked,
    groups: ArrayLike,
    nan: Nan,
    *,
    group_weight: GroupWeight | ArrayLike,
    one_class: OneClass,
    min_rows: int,
    ci: float | None,
    on_undefined: OnUndefined,
) -> ByGroup:
    """Number the groups once. All rows are handed on, as a group without rows that take part is a group too."""
    y, score, weight = data.given
    ids, names = as_integers(groups)
    same_length(y, ids, "groups")
    by_name = names is None or (isinstance(group_weight, str) and one_class != "raise")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)  # of an interval: the notes have it
        mean = gauc(
            y,
            score,
            ids if by_name else groups,
            group_weight=group_weight,
            sample_weight=weight,
            one_class=one_class,
            min_rows=min_rows,
            ci=ci,
            nan=nan,
            on_undefined=on_undefined,
        )
    parts = decompose(y, score, ids, sample_weight=weight, nan=nan, on_undefined=on_undefined)
    return ByGroup(mean, parts)


class BySlice(NamedTuple):
    """AUC of each slice, and the mean over slices, weighted by their rows."""

    each: AucBy
    mean: Score | None


def by_slice(
    data: Checked, slices: ArrayLike, name: str, nan: Nan, on_undefined: OnUndefined, *, mean: bool
) -> BySlice:
    """Rank inside each slice."""
    y, score, weight = data.given
    ids, names = _slices(slices, name)
    same_length(y, ids, name)
    each = _auc_by(data.given, ids, names, nan)
    if not mean:
        return BySlice(each, None)
    return BySlice(each, gauc(y, score, ids, sample_weight=weight, nan=nan, on_undefined=on_undefined))
