"""Curves: two quotients of tp, fp, fn and tn against each other, a point for each threshold; and average precision.

    ROC             TPR = tp/P               against   FPR = fp/N
    PR              precision = tp/(tp+fp)   against   recall = tp/P
    DET             FNR = fn/P               against   FPR = fp/N
    gain            tp/P                     against   (tp+fp)/(P+N)
    thresholds      precision, recall, F1, accuracy against the threshold

All come from one scan of the sorted scores, in integers. A curve of many points is thinned on demand (`max_points`), with
a bound on the area that this costs: see `_thin`.
"""

from __future__ import annotations

import math
from operator import index
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.metrics._counts import Counts, Steps, count, steps
from fourstep.metrics._inputs import Array, choice, rows
from fourstep.metrics._nan import NAN, Nan, taken
from fourstep.metrics.score import OnUndefined, Score, check_on_undefined, undefined

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


class _Roc(NamedTuple):
    fpr: NDArray[np.float64]
    tpr: NDArray[np.float64]
    thresholds: NDArray[np.float64]


class _Pr(NamedTuple):
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    thresholds: NDArray[np.float64]


class _Det(NamedTuple):
    fpr: NDArray[np.float64]
    fnr: NDArray[np.float64]
    thresholds: NDArray[np.float64]


class _Gain(NamedTuple):
    targeted: NDArray[np.float64]
    gain: NDArray[np.float64]
    thresholds: NDArray[np.float64]


class RocCurve(_Roc):
    """Points of the ROC curve, thresholds falling from inf: rows of score >= threshold are predicted positive.

    ``area_lost`` is the most by which `max_points` changed the area under the curve; 0.0 where nothing was left out.
    """

    area_lost: float = 0.0


class PrCurve(_Pr):
    """Points of the precision-recall curve, thresholds falling from inf; ``area_lost`` as in `RocCurve`."""

    area_lost: float = 0.0


class DetCurve(_Det):
    """Points of the detection error trade-off curve, thresholds falling from inf; ``area_lost`` as in `RocCurve`."""

    area_lost: float = 0.0


class GainCurve(_Gain):
    """Points of the cumulative gain curve, thresholds falling from inf; ``area_lost`` as in `RocCurve`."""

    area_lost: float = 0.0


_Curve = TypeVar("_Curve", RocCurve, PrCurve, DetCurve, GainCurve)


class ThresholdCurve(NamedTuple):
    """Metrics against the threshold, which falls from inf: rows of score >= threshold are predicted positive."""

    thresholds: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    accuracy: NDArray[np.float64]


def roc_curve(
    y: ArrayLike,
    score: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: Any = None,
    drop_intermediate: bool = True,
    max_points: int | None = None,
) -> RocCurve:
    """ROC curve: TPR = tp/(tp + fn) against FPR = fp/(fp + tn), a point for each threshold.

    Parameters
    ----------
    y, score, sample_weight, pos_label
        As for `auc`; NaN scores are an error.
    drop_intermediate
        Whether points in line with both neighbours are left out: by integers, so exactly those, and the area under
        the rest is the same.
    max_points
        At most so many points, 3 or more; None = all. The points that stay are points of the curve, and the area under
        it changes by at most ``1/(2·(max_points // 2))``; ``area_lost`` of the result is the bound for these rows,
        usually far smaller.

    Returns
    -------
    RocCurve
        ``fpr``, ``tpr`` and ``thresholds`` of float64, in scikit-learn's order. The first point is (0, 0) at inf,
        that is, above every score, even where a score is inf and has a point of its own.

    Raises
    ------
    ValueError, TypeError
        As for `auc`; also where there is only one class, and for `max_points` below 3.

    Notes
    -----
    Source: the notes' M1 (which omit the brackets of both rates) and M2.

    Where others differ: scikit-learn's `drop_intermediate` keeps some points that are in line. Libraries with a fixed
    number of thresholds bound neither the number of rows between two of them nor the area lost.

    Examples
    --------
    >>> import fourstep as fs
    >>> fpr, tpr, thresholds = fs.metrics.roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> fpr, tpr, thresholds
    (array([0. , 0. , 0.5, 0.5, 1. ]), array([0. , 0.5, 0.5, 1. , 1. ]), array([ inf, 0.8 , 0.4 , 0.35, 0.1 ]))
    """
    most = _max_points(max_points)
    counts = count(rows(y, score, sample_weight, pos_label), corners=bool(drop_intermediate))
    _both_classes(counts, "ROC")
    fpr, tpr = _from_zero(counts.fp / counts.negatives), _from_zero(counts.tp / counts.positives)
    return _lines(RocCurve, fpr, tpr, counts, most)


def det_curve(
    y: ArrayLike,
    score: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: Any = None,
    drop_intermediate: bool = True,
    max_points: int | None = None,
) -> DetCurve:
    """Detection error trade-off: FNR = fn/(tp + fn) against FPR = fp/(fp + tn), a point for each threshold.

    The ROC curve upside down; drawn with both axes on the normal quantile scale it is straight for normal scores.

    Parameters
    ----------
    y, score, sample_weight, pos_label, max_points
        As for `roc_curve`.
    drop_intermediate
        Whether points are left out whose neighbours have the same FPR or the same FNR: those lines stay straight on any
        scale of the axes.

    Returns
    -------
    DetCurve
        ``fpr``, ``fnr`` and ``thresholds`` of float64, from (0, 1) at inf.

    Raises
    ------
    ValueError, TypeError
        As for `roc_curve`.

    Notes
    -----
    Where others differ: scikit-learn has the points in the opposite order; of those on an axis, FPR = 0 or FNR = 0, it
    keeps the one nearest to the origin, so its curve does not start at (0, 1).

    Examples
    --------
    >>> import fourstep as fs
    >>> fpr, fnr, thresholds = fs.metrics.det_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> fpr, fnr
    (array([0. , 0. , 0.5, 0.5, 1. ]), array([1. , 0.5, 0.5, 0. , 0. ]))
    """
    most = _max_points(max_points)
    counts = count(rows(y, score, sample_weight, pos_label))
    _both_classes(counts, "DET")
    if drop_intermediate:
        counts = _at(counts, _turns(counts))
    fnr = np.concatenate([[1.0], (counts.positives - counts.tp) / counts.positives])
    return _lines(DetCurve, _from_zero(counts.fp / counts.negatives), fnr, counts, most)


def gain_curve(
    y: ArrayLike,
    score: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: Any = None,
    drop_intermediate: bool = True,
    max_points: int | None = None,
) -> GainCurve:
    """Cumulative gain: the share of the positives, tp/P, found in the share (tp + fp)/(P + N) of highest scores.

    The lift is gain/targeted: how many times more positives than in as many rows at random.

    Parameters
    ----------
    y, score, sample_weight, pos_label, drop_intermediate, max_points
        As for `roc_curve`.

    Returns
    -------
    GainCurve
        ``targeted``, ``gain`` and ``thresholds`` of float64, from (0, 0) at inf to (1, 1).

    Raises
    ------
    ValueError, TypeError
        As for `auc`; where there is no positive; for `max_points` below 3.

    Notes
    -----
    The area under it is ½·π + (1 − π)·AUC, where π is the share of positives.

    Where others differ: libraries that cut the rows into deciles break ties by the order of the rows; here equal scores
    are targeted together.

    Examples
    --------
    >>> import fourstep as fs
    >>> curve = fs.metrics.gain_curve([0, 0, 0, 1, 1], [0.1, 0.2, 0.4, 0.35, 0.8])
    >>> curve.targeted, curve.gain
    (array([0. , 0.2, 0.4, 0.6, 1. ]), array([0. , 0.5, 0.5, 1. , 1. ]))
    >>> float(curve.gain[1] / curve.targeted[1])
    2.5
    """
    most = _max_points(max_points)
    counts = count(rows(y, score, sample_weight, pos_label), corners=bool(drop_intermediate))
    _some_positive(counts, "gain")
    tp, fp, positives, negatives = counts.common()
    targeted, gain = _from_zero((tp + fp) / (positives + negatives)), _from_zero(counts.tp / counts.positives)
    return _lines(GainCurve, targeted, gain, counts, most)


def pr_curve(
    y: ArrayLike,
    score: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: Any = None,
    drop_intermediate: bool = True,
    max_points: int | None = None,
) -> PrCurve:
    """Precision-recall curve: precision = tp/(tp + fp) against recall = tp/(tp + fn), a point for each threshold.

    Parameters
    ----------
    y, score, sample_weight, pos_label
        As for `auc`; NaN scores are an error.
    drop_intermediate
        Whether points with the recall of both neighbours are left out: they lie on a vertical line, and the area in
        steps (`average_precision`) is the same without them.
    max_points
        At most so many points, 3 or more; None = all. The area in steps changes by at most
        ``ln(last/first)/((max_points − 1) // 2)``, where first and last are how many rows (or which weight) the highest
        and the lowest threshold predict positive; ``area_lost`` of the result is the bound for these rows, usually
        far smaller.

    Returns
    -------
    PrCurve
        ``precision``, ``recall`` and ``thresholds`` of float64. The first point is recall 0 at inf, where nothing is
        predicted positive: its precision is 1 by convention. Between points the curve is a step, not a line.

    Raises
    ------
    ValueError, TypeError
        As for `auc`; where there is no positive; for `max_points` below 3.

    Notes
    -----
    Where others differ: scikit-learn has the points in the opposite order, and no threshold for the point of recall 0;
    its `drop_intermediate` is off unless asked for. Keras and XGBoost interpolate between points.

    Examples
    --------
    >>> import fourstep as fs
    >>> precision, recall, thresholds = fs.metrics.pr_curve([0, 0, 1, 1], [0.1, 0.5, 0.4, 0.8])
    >>> precision.round(3), recall, thresholds
    (array([1.   , 1.   , 0.5  , 0.667, 0.5  ]), array([0. , 0.5, 0.5, 1. , 1. ]), array([inf, 0.8, 0.5, 0.4, 0.1]))
    """
    most = _max_points(max_points)
    counts = count(rows(y, score, sample_weight, pos_label))
    _some_positive(counts, "precision-recall")
    if drop_intermediate:
        counts = _at(counts, _ends_of_runs(counts.tp))
    precision, recall, lost = _precision(counts), counts.tp / counts.positives, 0.0
    if most is not None and len(recall) + 1 > most:
        tp, fp, _, _ = counts.common()
        log = np.empty(len(tp))
        _core.elementary("log", tp + fp, log, execution())
        log = np.maximum.accumulate(log)
        kept = _thin(recall, log / ((log[-1] - log[0]) or 1.0), (most - 1) // 2)
        steps = _from_zero(recall)
        lost = _lost(np.diff(steps) * precision, np.diff(steps[np.r_[0, kept + 1]]) * precision[kept], kept)
        precision, recall, counts = precision[kept], recall[kept], _at(counts, kept)
    curve = PrCurve(np.concatenate([[1.0], precision]), _from_zero(recall), _from_inf(counts))
    curve.area_lost = lost
    return curve


def average_precision(
    y: ArrayLike,
    score: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: Any = None,
    nan: Nan = "raise",
    on_undefined: OnUndefined = "nan",
) -> Score:
    """Average precision AP = Σ_n (R_n − R_{n−1})·P_n over the distinct scores, falling: recall R and precision P.

    The area under the precision-recall curve in steps. Each term is rounded once more than its precision, the sum is
    exact, and one division rounds it.

    Parameters
    ----------
    y, score, sample_weight, pos_label, nan
        As for `auc`.
    on_undefined
        The result where there is no positive: ``"nan"``, with a warning; ``"raise"``; or a number.

    Returns
    -------
    Score
        A float with ``counts`` (rows, positives, negatives) and ``dropped`` (nan, weight_zero). A random order has the
        share of positives on average: AP depends on the base rate, AUC does not.

    Raises
    ------
    ValueError, TypeError
        As for `auc`.

    Notes
    -----
    Where others differ: the same in scikit-learn and LightGBM, 0.0 with a warning where there is no positive. XGBoost's
    ``aucpr`` and Keras' ``AUC(curve="PR")`` interpolate between points; the mean of precisions at each positive breaks
    ties by the order of rows.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.8333333333333333 (average_precision: 2 positives, 2 negatives)
    """
    check_on_undefined(on_undefined)
    choice("nan", nan, NAN)
    data = rows(y, score, sample_weight, pos_label)
    found, dropped = steps(data, nan)
    return _score_of_precision(found, taken(data, nan), dropped, on_undefined)


def _score_of_precision(
    found: Steps, counts: dict[str, int], dropped: dict[str, int], on_undefined: OnUndefined
) -> Score:
    if found.positives:
        value = _average_precision(found.counts())
    else:
        value = undefined("average_precision", "there is no positive", on_undefined, stacklevel=4)
    return Score(value, "average_precision", counts=counts, dropped=dropped)


def threshold_curve(
    y: ArrayLike,
    score: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: Any = None,
) -> ThresholdCurve:
    """Precision, recall, F1 and accuracy against the threshold: what AUC does not depend on, and they do.

    Parameters
    ----------
    y, score, sample_weight, pos_label
        As for `auc`; NaN scores are an error.

    Returns
    -------
    ThresholdCurve
        ``thresholds``, ``precision``, ``recall``, ``f1``, ``accuracy`` of float64. The first threshold is inf, above
        every score, where precision is nan; then each distinct score.

    Raises
    ------
    ValueError, TypeError
        As for `auc`; where there is no positive.

    Notes
    -----
    Source: the notes' M7. Each number is that of `confusion` at that threshold. Where they are highest: `best_threshold`.

    Examples
    --------
    >>> import fourstep as fs
    >>> curve = fs.metrics.threshold_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> curve.thresholds, curve.f1.round(3)
    (array([ inf, 0.8 , 0.4 , 0.35, 0.1 ]), array([0.   , 0.667, 0.5  , 0.8  , 0.667]))
    """
    counts = count(rows(y, score, sample_weight, pos_label))
    _some_positive(counts, "threshold")
    tp, fp, positives, negatives = counts.common()
    tp, fp = _from_zero(tp), _from_zero(fp)
    tn = np.ldexp((counts.negatives - _whole(counts.fp)).astype(np.float64), -max(counts.shift, 0))
    return ThresholdCurve(
        _from_inf(counts),
        np.concatenate([[math.nan], _precision(counts)]),
        _from_zero(counts.tp / counts.positives),
        2 * tp / (tp + fp + positives),
        (tp + tn) / (positives + negatives),
    )


def _both_classes(counts: Counts, curve: str) -> None:
    if counts.positives == 0 or counts.negatives == 0:
        only = int(counts.negatives == 0)
        raise ValueError(f"y: the {curve} curve needs both classes, and all rows are of class {only}")


def _some_positive(counts: Counts, curve: str) -> None:
    if counts.positives == 0:
        raise ValueError(f"y: the {curve} curve needs a positive, and all rows are of class 0")


def _precision(counts: Counts) -> Floats:
    """Return tp/(tp + fp) at each point; one rounding without weights."""
    tp, fp, _, _ = counts.common()
    with np.errstate(invalid="ignore"):  # 0/0 where weights that count are too small beside the others
        return np.asarray(np.where(counts.fp == 0, 1.0, tp / (tp + fp)))


def _average_precision(counts: Counts) -> float:
    """Return Σ Δtp·precision / P; without weights each Δtp·tp is an integer."""
    return _core.metrics_precisions(counts.tp, counts.fp, counts.shift) / counts.positives


def _at(counts: Counts, points: NDArray[np.intp]) -> Counts:
    return counts._replace(thresholds=counts.thresholds[points], tp=counts.tp[points], fp=counts.fp[points])


def _turns(counts: Counts) -> NDArray[np.intp]:
    """Return the points whose neighbours, the origin among them, differ in tp and in fp; and the last one."""
    tp, fp = _whole(counts.tp), _whole(counts.fp)
    turns = (tp[2:] != tp[:-2]) & (fp[2:] != fp[:-2])
    return np.flatnonzero(np.r_[turns, True])


def _ends_of_runs(x: Array) -> NDArray[np.intp]:
    """Return where a run of equal numbers starts or ends."""
    changes = x[1:] != x[:-1]
    return np.flatnonzero(np.r_[True, changes] | np.r_[changes, True])


def _whole(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Put the 0 of the threshold inf in front of counts."""
    return np.concatenate([np.zeros(1, np.uint64), x])


def _from_zero(x: Floats) -> Floats:
    return np.concatenate([np.zeros(1), x])


def _from_inf(counts: Counts) -> Floats:
    return np.concatenate([[np.inf], counts.thresholds.astype(np.float64, copy=False)])


def _max_points(max_points: int | None) -> int | None:
    if max_points is None:
        return None
    try:
        most = index(max_points)
    except TypeError:
        raise TypeError(f"max_points: got {max_points!r}, need None or a whole number") from None
    if most < 3:
        raise ValueError(f"max_points: got {most}, need 3 or more")
    return most


def _lines(kind: type[_Curve], x: Floats, y: Floats, counts: Counts, most: int | None) -> _Curve:
    """Make a curve of straight lines, of at most so many points."""
    thresholds, lost = _from_inf(counts), 0.0
    if most is not None and len(x) > most:
        kept = _thin(x, np.abs(y - y[0]), most // 2)
        lost = _lost(_trapezoids(x, y), _trapezoids(x[kept], y[kept]), kept[1:] - 1)
        x, y, thresholds = x[kept], y[kept], thresholds[kept]
    curve = kind(x, y, thresholds)
    curve.area_lost = lost
    return curve


def _trapezoids(x: Floats, y: Floats) -> Floats:
    return np.asarray(np.diff(x) * (0.5 * (y[1:] + y[:-1])))


def _thin(x: Floats, y: Floats, cells: int) -> NDArray[np.intp]:
    """Return at most 2·cells of the points of a path on which x and y rise, each by at most 1.

    Cut the length s = x + y, at most 2, into equal cells, and keep the first and the last point of each. Between kept
    points there is then nothing, or a piece with Δx + Δy = Δs <= h = 2/cells inside of one cell. The path stays in the
    box Δx·Δy <= Δs²/4 of the piece, so all boxes have an area of at most Σ Δs²/4 <= h/4·Σ Δs <= h/2 = 1/cells. The
    area between a rising path and the straight line through its box is at most half of the box.

    With x = recall and y = ln(tp + fp), scaled to 1, the same cells bound the area in steps: precision changes by at most
    the change of ln(tp + fp), so a step that replaces others is off by at most Δx·Δln.
    """
    s = (x - x[0]) + (y - y[0])
    cell = np.minimum((s * (0.5 * cells)).astype(np.intp), cells - 1)
    return _ends_of_runs(cell)


def _lost(areas: Floats, kept_areas: Floats, ends: NDArray[np.intp]) -> float:
    """Return Σ |area of all segments of a piece − area of the one that replaces it|; a piece ends at the segment `ends`.

    Pieces on both sides of the curve do not make up for one another: so the bound holds for every part of it, too.
    """
    starts = np.r_[0, ends[:-1] + 1]
    return math.fsum(np.abs(np.add.reduceat(areas, starts) - kept_areas).tolist())
