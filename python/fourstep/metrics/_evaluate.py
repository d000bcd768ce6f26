"""What a `Report` holds, computed from rows that are checked once.

    check                who takes part: labels, scores and weights; NaN and weights of 0 are settled here
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
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fourstep import _core, exact_math
from fourstep._runtime import execution
from fourstep.metrics import losses, thresholds
from fourstep.metrics._counts import count, edges
from fourstep.metrics._groups import as_integers
from fourstep.metrics._inputs import Array, Rows, same_index, same_length
from fourstep.metrics._inputs import rows as checked_rows
from fourstep.metrics._nan import Nan, taken
from fourstep.metrics.calibration import (
    MAX_RELATIVE_ERROR,
    MAX_SPAN,
    CalibrationCurve,
    _binned,
    _bucket_error,
    _ece,
)
from fourstep.metrics.curves import average_precision
from fourstep.metrics.decomposition import Decomposition, decompose
from fourstep.metrics.ranking import GroupWeight, OneClass, auc, gauc
from fourstep.metrics.score import OnUndefined, Score, plural
from fourstep.metrics.shift import ks
from fourstep.metrics.slices import AucBy, _auc_by, _slices
from fourstep.metrics.thresholds import Confusion, Threshold, best_threshold

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
    if weights is not None:  # a bad weight is named before it is compared with 0
        _core.metrics_loss(labels, np.zeros(len(labels)), weights, "prediction", 0.0, execution())
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


def prevalence(rows: Rows) -> Score:
    """Return the share of the positives, of their weight where there are weights; rounded once."""
    share = _core.metrics_loss(
        rows.y, rows.y.astype(np.float64), rows.weight, "prediction", 0.0, execution()
    )[0]
    return Score(share, "prevalence", counts=taken(rows))


class ByOrder(NamedTuple):
    """What depends on the order of the scores; no best threshold where there is no positive or a NaN is ranked."""

    auc: Score
    average_precision: Score
    ks: Score
    best_threshold: Threshold | None


def by_order(data: Checked, ci: float | None, on_undefined: OnUndefined) -> ByOrder:
    """Rank. This is the one place that needs the rows sorted by score; one scan can fill it."""
    y, score, weight = data.rows
    got = [
        metric(y, score, sample_weight=weight, nan=data.nan, on_undefined=on_undefined)
        for metric in (auc, average_precision, ks)
    ]
    for each in got:
        each.dropped = dict(data.dropped)
    got[0].ci, got[0].se = auc_interval(data, ci)
    best = best_threshold(y, score, sample_weight=weight) if y.any() and not data.unranked else None
    return ByOrder(got[0], got[1], got[2], best)


def auc_interval(data: Checked, ci: float | None) -> tuple[tuple[float, float] | None, float | None]:
    """Return interval and standard error of AUC: `auc(ci=…)` goes here."""
    return None, None


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
    if from_logits:
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
    mean, _, n, positives, infinite, first = _core.metrics_loss(y, values, weight, loss, limit, execution())
    counts = losses._counts(n, positives) | ({"infinite": infinite} if infinite else {})
    if negative_sampling_rate == 1.0 and (base_rate is not None or 0 < positives < n):
        base = None if base_rate is None else losses._rate("base_rate", base_rate, below_one=True)
        entropy = losses._entropy_of(y, weight) if base is None else losses._entropy(base)
        normalised = Score(mean / entropy, "ne", counts=counts)
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
        Score(mean, "logloss", counts=counts),
        normalised,
        losses.brier(y, p, sample_weight=weight),
        losses.calibration_ratio(y, p, sample_weight=weight, on_undefined=on_undefined),
        first,
    )


def probabilities(data: Checked, from_logits: bool) -> tuple[Array | None, str]:
    """Return the scores as probabilities, of logits σ(z) in float64; or why they are none."""
    score = data.rows.score
    if data.unranked:
        return None, f"{plural(data.unranked, 'row')} with NaN ranked lowest: NaN is no probability"
    if from_logits:
        logits = score.astype(np.float64)
        p = np.empty_like(logits)
        _core.elementary("sigmoid", logits, p, execution())
        return p, ""
    if score.min() < 0 or score.max() > 1:
        wrong = np.flatnonzero((score < 0) | (score > 1))
        at = int(wrong[0] if data.place is None else data.place[wrong[0]])
        return None, (
            f"scores outside [0, 1] are no probabilities: {score[wrong[0]]} at index {at}"
            f" ({len(wrong):,} such of {len(data.given.y):,} rows)"
        )
    return score if score.dtype.kind == "f" else score.astype(np.float64), ""


class ByBin(NamedTuple):
    """Calibration bin by bin; the bucket error has no weights."""

    calibration: CalibrationCurve
    ece: Score
    bucket_error: Score | None


def by_bin(rows: Rows, p: Array, bins: int) -> ByBin:
    """Compare predictions with rates in bins of equal weight, and in buckets."""
    data = Rows(rows.y, p, rows.weight)
    counts = count(data)
    curve = _binned(data, edges(counts, bins))
    buckets = None
    if rows.weight is None:
        buckets = _bucket_error(data, counts, MAX_SPAN, MAX_RELATIVE_ERROR, math.nan)
    return ByBin(curve, _ece(data, curve), buckets)


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
