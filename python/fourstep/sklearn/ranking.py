"""What depends on the order of the scores: AUC, the ROC and precision-recall curves, average precision.

    AUC = 1/(P·N) · Σ_{x in positives} (#{negatives below x} + ½·#{negatives equal to x})
    AP  = Σ_i (R_i − R_{i−1}) · P_i        thresholds falling; P precision, R recall at each

Pairs and the counts of the curves are the integers of the kernels of `fourstep.metrics`.
"""

from __future__ import annotations

import math
from itertools import combinations
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.metrics._exact import sums
from fourstep.metrics._inputs import ready
from fourstep.sklearn import _inputs as check
from fourstep.sklearn._inputs import AVERAGES, Array, InvalidParameterError
from fourstep.sklearn._means import mean
from fourstep.sklearn._targets import Target, default_pos_label, indicators, places, positives, target
from fourstep.sklearn._warnings import warn, warn_undefined

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Weight = NDArray[np.float64] | None


class Binary(Protocol):
    """A metric of bytes 0 and 1, scores and weights."""

    def __call__(self, labels: NDArray[np.uint8], scores: Array, weight: Weight, /) -> float:
        """Return its value."""


def roc_auc_score(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    average: str | None = "macro",
    sample_weight: ArrayLike | None = None,
    max_fpr: float | None = None,
    multi_class: str = "raise",
    labels: ArrayLike | None = None,
) -> float | NDArray[np.float64]:
    """Area under the ROC curve, as `sklearn.metrics.roc_auc_score`: binary, multilabel and multiclass.

    Parameters
    ----------
    y_true
        Labels, shape (n,), of which the greater of two is the positive one; or indicators, shape (n, k).
    y_score
        Scores, finite, shape (n,) or (n, k); rows of probabilities that add up to 1 in the multiclass case.
    average
        Of k labels: ``"macro"`` the mean; ``"weighted"`` by positives; ``"micro"`` all cells as one problem;
        ``"samples"`` the mean over rows, of indicators alone; None: an array of k.
    sample_weight
        Weights, shape (n,), finite and >= 0.
    max_fpr
        The area up to this false positive rate alone, standardised to ½ for chance and 1 for the best (McClish 1989).
    multi_class
        ``"ovr"`` each class against the rest; ``"ovo"`` the mean over pairs of classes (Hand and Till 2001), where
        ``"weighted"`` weighs by rows of the pair; ``"raise"`` refuses more than two classes.
    labels
        The classes of y_score's columns, ascending; None: those in y_true.

    Returns
    -------
    float or array of shape (k,)
        nan, with an `UndefinedMetricWarning`, where there is one class only.

    Raises
    ------
    ValueError
        Lengths or shapes that do not fit, NaN or infinite scores, negative weights, probabilities that do not add up
        to 1; `InvalidParameterError` for an argument that cannot be.

    Notes
    -----
    Where others differ: scikit-learn gets the same number by sums of floats; ``docs/sklearn.md`` has the rest.

    Examples
    --------
    >>> from fourstep.sklearn import roc_auc_score
    >>> roc_auc_score(["no", "no", "yes", "yes"], [0.1, 0.4, 0.35, 0.8])
    0.75
    >>> p = [[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.1, 0.3, 0.6], [0.4, 0.5, 0.1]]
    >>> roc_auc_score([0, 1, 2, 0], p, multi_class="ovr", average=None)
    array([1.        , 0.83333333, 1.        ])
    """
    check.array_like("y_true", y_true)
    check.array_like("y_score", y_score)
    check.array_like("sample_weight", sample_weight, none=True)
    check.array_like("labels", labels, none=True)
    check.option("average", average, AVERAGES)
    check.option("multi_class", multi_class, ("raise", "ovr", "ovo"))
    limit = _limit(max_fpr)
    of, scores = target(y_true, "y_true"), check.numbers(y_score, "y_score")
    check.same_rows(len(of.codes), scores, "y_score")
    weight = check.weights(sample_weight, len(of.codes))
    if of.kind == "multiclass" or (of.kind == "binary" and scores.ndim == 2 and scores.shape[1] > 2):
        if limit < 1.0:
            raise ValueError(f"max_fpr: got {max_fpr!r}, need None with more than two classes")
        return _multiclass(of, scores, weight, average, multi_class, labels)

    def area(y: NDArray[np.uint8], s: Array, w: Weight, /) -> float:
        return _auc(y, s, w) if limit == 1.0 else _partial_auc(y, s, w, limit)

    if of.kind == "binary":
        return area(of.codes, check.column(scores, "y_score"), weight)
    _multilabel_alone(of, scores)
    return _averaged(area, indicators(of), scores, average, weight, by_row=limit == 1.0)


def _limit(max_fpr: Any) -> float:
    if max_fpr is None:
        return 1.0
    if not isinstance(max_fpr, Real) or not 0 < float(max_fpr) <= 1:
        raise InvalidParameterError(f"max_fpr: got {max_fpr!r}, need None or a number in (0, 1]")
    return float(max_fpr)


def _multilabel_alone(of: Target, scores: Array) -> None:
    if of.kind != "multilabel-indicator":
        raise ValueError(f"y_true: got {of.kind} labels, need binary ones or multilabel indicators")
    if scores.shape != of.codes.shape:
        raise ValueError(f"y_score: got shape {scores.shape}, need {of.codes.shape}, that of y_true")


def _auc(labels: NDArray[np.uint8], scores: Array, weight: Weight, /) -> float:
    value = _core.metrics_auc(labels, check.scores(scores), weight, "raise", execution())[0]
    return _one_class() if value is None else value


def _one_class() -> float:
    warn_undefined("ROC AUC is not defined and is nan: only one class is present in y_true")
    return math.nan


def _partial_auc(labels: NDArray[np.uint8], scores: Array, weight: Weight, most: float) -> float:
    """Return the area left of `most`, from its least to its greatest value put on [½, 1]."""
    _, tp, fp, p, n = _core.metrics_roc(labels, check.scores(scores), weight, True, execution())
    if p == 0 or n == 0:
        return _one_class()
    fpr, tpr = np.append(0.0, fp / n), np.append(0.0, tp / p)
    end = int(np.searchsorted(fpr, most, "right"))
    step = (most - fpr[end - 1]) / (fpr[end] - fpr[end - 1])
    height = tpr[end - 1] + step * (tpr[end] - tpr[end - 1])
    area = np.trapezoid(np.append(tpr[:end], height), np.append(fpr[:end], most))
    least = most * most / 2
    return float(0.5 * (1 + (area - least) / (most - least)))


def _averaged(
    metric: Binary,
    labels: NDArray[np.uint8],
    scores: Array,
    average: str | None,
    weight: Weight,
    *,
    by_row: bool = False,
) -> float | NDArray[np.float64]:
    """Return the metric of indicators, label by label or row by row, or its mean; `by_row`: rows are groups of AUC."""
    count = labels.shape[1]
    if average == "micro":
        return metric(
            labels.reshape(-1), scores.reshape(-1), None if weight is None else np.repeat(weight, count)
        )
    if average == "samples":
        each = (
            _auc_of_rows(labels, scores)
            if by_row
            else [metric(*row, None) for row in zip(labels, scores, strict=True)]
        )
        size = weight
    else:
        each = [metric(np.ascontiguousarray(labels[:, c]), scores[:, c], weight) for c in range(count)]
        size = None
    if average == "weighted":
        size = _positives(labels, weight)
        if not size.any():
            return 0.0
    values = np.asarray(each, np.float64)
    if average is None:
        return values
    if size is not None:
        values[size == 0] = 0.0
    return mean(values, size)


def _auc_of_rows(labels: NDArray[np.uint8], scores: Array) -> NDArray[np.float64]:
    """Return the AUC of each row, by the kernel of grouped AUC: a row is a group."""
    flat = check.scores(scores.reshape(-1))
    offsets = np.arange(0, flat.size + 1, labels.shape[1])
    each = _core.metrics_gauc(
        labels.reshape(-1), flat, offsets, True, None, "uniform", "drop", 0, "raise", True, execution()
    )[-1]
    values = each[1] if each is not None else np.empty(0)
    undefined = np.isnan(values)
    if undefined.any():
        warn_undefined(f"ROC AUC is not defined and is nan in {undefined.sum()} rows of one class")
    return values


def _positives(labels: NDArray[np.uint8], weight: Weight) -> NDArray[np.float64]:
    if weight is None:
        return np.asarray(labels.sum(axis=0), np.float64)
    return np.array([sums(column, weight, 2)[1] for column in labels.T])


def _multiclass(
    of: Target, scores: Array, weight: Weight, average: str | None, multi_class: str, labels: ArrayLike | None
) -> float | NDArray[np.float64]:
    if multi_class == "raise":
        raise ValueError("multi_class: got 'raise' with more than two classes, need 'ovr' or 'ovo'")
    if scores.ndim != 2:
        raise ValueError(f"y_score: got shape {scores.shape}, need (n, classes) with more than two classes")
    if not np.allclose(scores.sum(axis=1), 1):
        raise ValueError(
            "y_score: got rows that do not add up to 1, need probabilities with more than two classes"
        )
    if average == "samples" or (average == "micro" and multi_class == "ovo"):
        raise ValueError(
            f"average: got {average!r}, which {multi_class} with more than two classes does not have"
        )
    if average is None and multi_class == "ovo":
        raise NotImplementedError("average: got None with multi_class='ovo', need 'macro' or 'weighted'")
    codes, count = _columns_of(of, scores, labels)
    if multi_class == "ovr":
        one_hot = (codes[:, None] == np.arange(count)).view(np.uint8)
        return _averaged(_auc, one_hot, scores, average, weight)
    if weight is not None:
        raise ValueError("sample_weight: got weights with multi_class='ovo', need None")
    return _one_vs_one(codes, scores, count, average == "weighted")


def _columns_of(of: Target, scores: Array, labels: ArrayLike | None) -> tuple[Array, int]:
    """Return the column of each row's class, and how many columns there are."""
    wanted = of.classes if labels is None else check.column(check.read(labels, "labels"), "labels")
    if labels is not None:
        names = wanted.tolist()
        if len(set(names)) != len(names):
            raise ValueError("labels: got a class twice, need each once")
        if sorted(names) != names:
            raise ValueError(f"labels: got {names}, need them ascending")
    if len(wanted) != scores.shape[1]:
        source = "y_true" if labels is None else "labels"
        raise ValueError(
            f"y_score: got {scores.shape[1]} columns, need {len(wanted)}, as many as classes in {source}"
        )
    if labels is None:
        return of.codes, len(wanted)
    place = places(of.classes, wanted)
    if (place < 0).any():
        missing = of.classes[place < 0].tolist()
        raise ValueError(
            f"y_true: got {missing[0]!r} ({len(missing)} such classes), which labels does not have"
        )
    return place[of.codes], len(wanted)


def _one_vs_one(codes: Array, scores: Array, count: int, by_rows: bool) -> float:
    """Return the mean, over pairs of classes, of the mean AUC by the one's column and by the other's."""
    rows = [np.flatnonzero(codes == c) for c in range(count)]
    values, sizes = [], []
    for a, b in combinations([c for c in range(count) if len(rows[c])], 2):
        is_a = np.repeat(np.array([1, 0], np.uint8), [len(rows[a]), len(rows[b])])
        both = np.concatenate([rows[a], rows[b]])
        values.append((_auc(is_a, scores[both, a], None) + _auc(1 - is_a, scores[both, b], None)) / 2)
        sizes.append(float(len(both)))
    if not values:
        return _one_class()
    return mean(np.array(values), np.array(sizes) if by_rows else None)


class Points(NamedTuple):
    """Counts at each threshold, thresholds falling: integers, of positives and of negatives each in a unit of weight."""

    thresholds: Array
    tp: Array
    fp: Array
    positives: int
    negatives: int
    unit_tp: float
    unit_fp: float

    def kept(self, where: NDArray[np.bool_]) -> Points:
        """Return some of the points."""
        return self._replace(thresholds=self.thresholds[where], tp=self.tp[where], fp=self.fp[where])


def _points(labels: NDArray[np.uint8], scores: Array, weight: Weight) -> Points:
    thresholds, tp, fp, p, n = _core.metrics_roc(labels, check.scores(scores), weight, False, execution())
    unit_tp = unit_fp = 1.0
    if weight is not None:
        all_positive = np.ones(len(labels), np.float32)
        _, (of_p, of_n, _, _) = _core.metrics_confusion(labels, all_positive, weight, 0.5, execution())
        unit_tp, unit_fp = (of_p / p if p else 1.0), (of_n / n if n else 1.0)
    return Points(thresholds.astype(scores.dtype, copy=False), tp, fp, p, n, unit_tp, unit_fp)


def _curve(y_true: ArrayLike, y_score: ArrayLike, pos_label: Any, sample_weight: ArrayLike | None) -> Points:
    check.array_like("y_true", y_true)
    check.array_like("y_score", y_score)
    check.array_like("sample_weight", sample_weight, none=True)
    check.label("pos_label", pos_label)
    of = target(y_true, "y_true")
    if not (of.kind == "binary" or (of.kind == "multiclass" and pos_label is not None)):
        more = ", or pos_label= to make it binary" if of.kind == "multiclass" else ""
        raise ValueError(f"y_true: got {of.kind} labels, need binary ones{more}")
    scores = check.column(check.numbers(y_score, "y_score"), "y_score")
    check.same_rows(len(of.codes), scores, "y_score")
    weight = check.weights(sample_weight, len(of.codes))
    positive = positives(of, default_pos_label(of.classes) if pos_label is None else pos_label)
    return _points(positive, scores, weight)


def roc_curve(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    pos_label: float | bool | str | None = None,
    sample_weight: ArrayLike | None = None,
    drop_intermediate: bool = True,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """ROC curve, as `sklearn.metrics.roc_curve`: false and true positive rates, thresholds falling from inf.

    Parameters
    ----------
    y_true
        Labels, shape (n,): 0/1 or -1/+1, or any with `pos_label`, against which all others are negatives.
    y_score, sample_weight
        As for `roc_auc_score`, shape (n,).
    pos_label
        The label of the positives; None: 1.
    drop_intermediate
        Whether a point is left out whose two steps, from the point before and to the next, are the same.
        `fourstep.metrics.roc_curve` leaves out all points in line.

    Returns
    -------
    fpr, tpr, thresholds : arrays of float64
        A rate is nan, with an `UndefinedMetricWarning`, where its class does not occur.

    Examples
    --------
    >>> from fourstep.sklearn import roc_curve
    >>> roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    (array([0. , 0. , 0.5, 0.5, 1. ]), array([0. , 0.5, 0.5, 1. , 1. ]), array([ inf, 0.8 , 0.4 , 0.35, 0.1 ]))
    """
    check.flag("drop_intermediate", drop_intermediate)
    points = _curve(y_true, y_score, pos_label, sample_weight)
    if drop_intermediate and len(points.tp) > 2:
        # Differences of unsigned integers wrap around, and are equal where the true ones are.
        bends = [np.diff(np.diff(counts)) != 0 for counts in (points.tp, points.fp)]
        points = points.kept(np.concatenate([[True], bends[0] | bends[1], [True]]))
    rates = []
    for counts, whole, name in (
        (points.fp, points.negatives, "negatives"),
        (points.tp, points.positives, "positives"),
    ):
        if whole == 0:
            warn_undefined(f"there are no {name} in y_true: their rate is not defined and is nan")
        with np.errstate(invalid="ignore"):
            rate = np.append(0.0, counts / np.float64(whole))
        rates.append(rate if whole else np.full(len(rate), np.nan))
    return rates[0], rates[1], np.append(np.inf, points.thresholds.astype(np.float64))


def precision_recall_curve(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    pos_label: float | bool | str | None = None,
    sample_weight: ArrayLike | None = None,
    drop_intermediate: bool = False,
) -> tuple[NDArray[np.float64], NDArray[np.float64], Array]:
    """Precision and recall at each threshold, rising, as `sklearn.metrics.precision_recall_curve`.

    Parameters
    ----------
    y_true, y_score, pos_label, sample_weight
        As for `roc_curve`.
    drop_intermediate
        Whether a point is left out whose recall is that of the points before and after.

    Returns
    -------
    precision, recall : arrays of float64, shape (t + 1,)
        The last are 1 and 0, with no threshold. Without positives recall is 1, with a warning.
    thresholds : array of the dtype of y_score, shape (t,)

    Examples
    --------
    >>> from fourstep.sklearn import precision_recall_curve
    >>> precision, recall, thresholds = precision_recall_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> precision.round(3), recall, thresholds
    (array([0.5  , 0.667, 0.5  , 1.   , 1.   ]), array([1. , 1. , 0.5, 0.5, 0. ]), array([0.1 , 0.35, 0.4 , 0.8 ]))
    """
    check.flag("drop_intermediate", drop_intermediate)
    points = _curve(y_true, y_score, pos_label, sample_weight)
    if drop_intermediate and len(points.tp) > 2:
        step = np.diff(points.tp) != 0
        points = points.kept(np.concatenate([[True], step[:-1] | step[1:], [True]]))
    precision, recall = _precision(points), _recall(points)
    return np.append(precision[::-1], 1.0), np.append(recall[::-1], 0.0), points.thresholds[::-1]


def _precision(points: Points) -> NDArray[np.float64]:
    tp, fp = points.tp * points.unit_tp, points.fp * points.unit_fp
    return np.asarray(tp / (tp + fp), np.float64)


def _recall(points: Points) -> NDArray[np.float64]:
    if points.positives == 0:
        warn("there are no positives in y_true: recall is set to 1 at every threshold")
        return np.ones(len(points.tp))
    return np.asarray(points.tp / np.float64(points.positives), np.float64)


def average_precision_score(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    average: str | None = "macro",
    pos_label: float | bool | str = 1,
    sample_weight: ArrayLike | None = None,
) -> float | NDArray[np.float64]:
    """Average precision by steps, as `sklearn.metrics.average_precision_score`: Σ (R_i − R_{i−1})·P_i.

    Parameters
    ----------
    y_true, y_score, average, sample_weight
        As for `roc_auc_score`; classes of more than two are taken one against the rest, in ascending order.
    pos_label
        The label of the positives of binary labels; otherwise it has to be 1.

    Returns
    -------
    float or array of shape (k,)
        0, with a warning, where there is no positive.

    Examples
    --------
    >>> from fourstep.sklearn import average_precision_score
    >>> round(average_precision_score([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 6)
    0.833333
    """
    check.array_like("y_true", y_true)
    check.array_like("y_score", y_score)
    check.array_like("sample_weight", sample_weight, none=True)
    check.option("average", average, AVERAGES)
    check.label("pos_label", pos_label, none=False)
    of, scores = target(y_true, "y_true"), check.numbers(y_score, "y_score")
    check.same_rows(len(of.codes), scores, "y_score")
    weight = check.weights(sample_weight, len(of.codes))
    if of.kind == "binary":
        if len(of.classes) == 2 and pos_label not in of.classes.tolist():
            raise ValueError(f"pos_label: got {pos_label!r}, need one of {of.classes.tolist()}")
        return _average_precision(positives(of, pos_label), check.column(scores, "y_score"), weight)
    if pos_label != 1:
        raise ValueError(f"pos_label: got {pos_label!r} with {of.kind} labels, need 1")
    if of.kind == "multiclass":
        if scores.shape != (len(of.codes), len(of.classes)):
            raise ValueError(f"y_score: got shape {scores.shape}, need {(len(of.codes), len(of.classes))}")
        labels = (of.codes[:, None] == np.arange(len(of.classes))).view(np.uint8)
    else:
        _multilabel_alone(of, scores)
        labels = indicators(of)
    return _averaged(_average_precision, labels, scores, average, weight)


def _average_precision(labels: NDArray[np.uint8], scores: Array, weight: Weight, /) -> float:
    """Return the sum over the thresholds; the curve is the same for every order of rows, and so is its sum."""
    points = _points(ready(labels, np.uint8), scores, weight)
    recall = _recall(points)
    if points.positives == 0:
        return 0.0
    return float((np.diff(recall, prepend=0.0) * _precision(points)).sum())
