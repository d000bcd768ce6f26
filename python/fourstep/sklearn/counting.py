"""What is counted: the confusion matrix, precision, recall, F-scores.

    precision = tp/(tp + fp)      recall = tp/(tp + fn)      F_β = (1 + β²)·tp / (β²·(tp + fn) + (tp + fp))

Two classes are counted as bytes, more by `numpy.bincount` of their numbers; weights are added exactly.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.metrics._exact import sums
from fourstep.sklearn import _inputs as check
from fourstep.sklearn._inputs import AVERAGES, Array
from fourstep.sklearn._means import mean_of_defined
from fourstep.sklearn._targets import joint, places
from fourstep.sklearn._warnings import warn, warn_undefined

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import ArrayLike, NDArray

    Weight = NDArray[np.float64] | None
    Prf = float | NDArray[np.float64]

_PRF = ("precision", "recall", "f-score")


def confusion_matrix(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    normalize: str | None = None,
) -> NDArray[Any]:
    """Rows by actual class (down) and predicted class (across), as `sklearn.metrics.confusion_matrix`.

    Parameters
    ----------
    y_true, y_pred
        Labels, shape (n,): integers, bools, whole floats, or strings.
    labels
        The classes and their order, shape (k,); rows of others are left out. None: all that occur, ascending.
    sample_weight
        Weights, shape (n,), finite and >= 0.
    normalize
        ``"true"``: each row over its sum; ``"pred"``: each column; ``"all"``: all over the total; None: counts.

    Returns
    -------
    array of shape (k, k)
        int64; float64 where weights are floats, or with `normalize`. 0 where a sum to divide by is 0.

    Raises
    ------
    ValueError
        Lengths that differ, no rows, labels of two types, multilabel or continuous input, labels of which none occurs
        in y_true, negative weights; `InvalidParameterError` for an argument that cannot be.

    Examples
    --------
    >>> from fourstep.sklearn import confusion_matrix
    >>> confusion_matrix(["cat", "ant", "cat", "bird"], ["ant", "ant", "cat", "cat"], labels=["ant", "bird", "cat"])
    array([[1, 0, 0],
           [0, 0, 1],
           [1, 0, 1]])
    """
    for name, x in (("y_true", y_true), ("y_pred", y_pred)):
        check.array_like(name, x)
    for name, y in (("labels", labels), ("sample_weight", sample_weight)):
        check.array_like(name, y, none=True)
    check.option("normalize", normalize, (None, "true", "pred", "all"))
    kind, true, pred, classes = joint(y_true, y_pred)
    if kind == "multilabel-indicator":
        raise ValueError(f"y_true, y_pred: got {kind} labels, need one column of classes")
    weight = check.weights(sample_weight, len(true))
    whole = sample_weight is None or check.read(sample_weight, "sample_weight").dtype.kind in "iub"
    size = len(classes)
    if labels is not None:
        wanted = check.read(labels, "labels").reshape(-1)
        if len(wanted) == 0:
            raise ValueError("labels: got none, need at least one")
        place, size = places(classes, wanted), len(wanted)
        true, pred = place[true], place[pred]
        if (true < 0).all():
            raise ValueError("labels: got none that is in y_true, need at least one")
        kept = (true >= 0) & (pred >= 0)
        true, pred, weight = true[kept], pred[kept], None if weight is None else weight[kept]
    cells = _matrix(true, pred, size, weight)
    matrix: NDArray[Any] = cells.astype(np.int64) if whole else cells
    if normalize is not None:
        whole_of = {
            "true": matrix.sum(1, keepdims=True),
            "pred": matrix.sum(0, keepdims=True),
            "all": matrix.sum(),
        }
        with np.errstate(invalid="ignore"):
            matrix = np.nan_to_num(matrix / whole_of[normalize])
    if matrix.shape == (1, 1):
        warn("there is one label in y_true and y_pred: labels= gives the matrix all that there can be")
    return matrix


def _matrix(true: Array, pred: Array, size: int, weight: Weight) -> NDArray[Any]:
    """Return cells, actual class down."""
    if size == 2 and len(true):
        return _two_by_two(true, pred, weight)
    cells = true.astype(np.intp, copy=False) * size + pred
    count = np.bincount(cells, minlength=size * size) if weight is None else sums(cells, weight, size * size)
    return count.reshape(size, size)


def _two_by_two(true: Array, pred: Array, weight: Weight) -> NDArray[Any]:
    true, pred = (np.ascontiguousarray(codes, np.uint8) for codes in (true, pred))
    if weight is not None:
        _, (tp, fp, fn, tn) = _core.metrics_confusion(true, pred.astype(np.float32), weight, 0.5, execution())
        return np.array([[tn, fp], [fn, tp]])
    both, actual, predicted = (np.count_nonzero(x.view(np.bool_)) for x in (true & pred, true, pred))
    return np.array(
        [[len(true) - actual - predicted + both, predicted - both], [actual - both, both]], dtype=np.int64
    )


class Counts(NamedTuple):
    """Sums of each label, or of each row: true positives, predicted positives, actual positives."""

    tp: Array
    predicted: Array
    actual: Array


def precision_recall_fscore_support(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    beta: float = 1.0,
    labels: ArrayLike | None = None,
    pos_label: float | bool | str | None = 1,
    average: str | None = None,
    warn_for: Collection[str] = _PRF,
    sample_weight: ArrayLike | None = None,
    zero_division: float | str = "warn",
) -> tuple[Prf, Prf, Prf, Array | None]:
    """Precision, recall, F-score and support, as `sklearn.metrics.precision_recall_fscore_support`.

    Parameters
    ----------
    y_true, y_pred, sample_weight
        As for `confusion_matrix`; also indicators, shape (n, k), as an array or a sparse matrix.
    beta
        How much recall counts beside precision, >= 0; inf: recall alone.
    labels
        The classes to take, in this order; None: all that occur. Of indicators: columns.
    pos_label
        The positive class with ``average="binary"``; ignored otherwise, with a warning if it is not 1.
    average
        None: arrays of one value a label. ``"binary"``: `pos_label` alone. ``"micro"``: from counts added over labels.
        ``"macro"``: the mean over labels. ``"weighted"``: by support. ``"samples"``: the mean over rows, of indicators.
    warn_for
        Which of ``"precision"``, ``"recall"``, ``"f-score"`` warn where they are not defined.
    zero_division
        Value where nothing is below the line: ``"warn"`` = 0 with an `UndefinedMetricWarning`; 0; 1; nan, which means
        leave out.

    Returns
    -------
    precision, recall, fscore, support
        Floats and None, or arrays of shape (k,).

    Raises
    ------
    ValueError
        As for `confusion_matrix`; ``average="binary"`` with other than two classes or a `pos_label` that is none of them.

    Examples
    --------
    >>> from fourstep.sklearn import precision_recall_fscore_support
    >>> precision_recall_fscore_support([0, 1, 2, 2], [0, 2, 2, 2], average="macro", zero_division=0)[:2]
    (0.5555555555555555, 0.6666666666666666)
    """
    for name, x in (("y_true", y_true), ("y_pred", y_pred)):
        check.array_like(name, x, sparse=True)
    for name, y in (("labels", labels), ("sample_weight", sample_weight)):
        check.array_like(name, y, none=True)
    check.at_least_zero("beta", beta)
    check.label("pos_label", pos_label)
    check.option("average", average, (*AVERAGES, "binary"))
    check.zero_division(zero_division)
    kind, true, pred, classes = joint(y_true, y_pred)
    weight = check.weights(sample_weight, len(true))
    wanted = _wanted(kind, classes, average, labels, pos_label)
    if kind == "multilabel-indicator":
        counts = _of_indicators(true, pred, wanted, weight, by_row=average == "samples")
    elif average == "samples":
        raise ValueError(f"average: got 'samples' with {kind} labels, need multilabel indicators")
    else:
        counts = _of_classes(true, pred, classes, wanted, weight)
    if average == "micro":
        counts = Counts(*(np.asarray(x.sum()).reshape(1) for x in counts))
    values = _quotients(counts, float(beta), average, warn_for, zero_division)
    if average is None:
        return *values, counts.actual
    size = {"weighted": counts.actual, "samples": weight}.get(average)
    precision, recall, fscore = (mean_of_defined(value, size) for value in values)
    return precision, recall, fscore, None


def _wanted(
    kind: str, classes: Array, average: str | None, labels: ArrayLike | None, pos_label: Any
) -> Array | None:
    """Return the labels to count, None for all."""
    if average == "binary":
        if kind != "binary":
            raise ValueError(
                f"average: got 'binary' with {kind} labels, need 'micro', 'macro', 'weighted' or None"
            )
        if len(classes) == 2 and pos_label not in classes.tolist():
            raise ValueError(f"pos_label: got {pos_label!r}, need one of {classes.tolist()}")
        return np.array([pos_label], dtype=object)
    if pos_label is not None and pos_label != 1:
        warn(
            f"pos_label={pos_label!r} counts with average='binary' alone; labels=[{pos_label!r}] takes one class"
        )
    return None if labels is None else check.column(check.read(labels, "labels"), "labels")


def _of_classes(true: Array, pred: Array, classes: Array, wanted: Array | None, weight: Weight) -> Counts:
    size = len(classes)
    if size == 2:
        cells = _two_by_two(true, pred, weight)
        counts = Counts(np.diagonal(cells), cells.sum(0), cells.sum(1))
    else:
        hit = true == pred

        def of(codes: Array, w: Weight) -> NDArray[Any]:
            return np.bincount(codes, minlength=size) if w is None else sums(codes, w, size)

        counts = Counts(
            of(true[hit], None if weight is None else weight[hit]), of(pred, weight), of(true, weight)
        )
    if wanted is None:
        return counts
    # A label that does not occur has counts of 0.
    known = {name: at for at, name in enumerate(classes.tolist())}
    place = np.array([known.get(name, size) for name in wanted.tolist()], dtype=np.intp)
    return Counts(*(np.append(x, x.dtype.type(0))[place] for x in counts))


def _of_indicators(true: Array, pred: Array, wanted: Array | None, weight: Weight, *, by_row: bool) -> Counts:
    true, pred = true != 0, pred != 0
    if wanted is not None:
        columns = true.shape[1]
        if wanted.dtype.kind not in "iu" or wanted.min(initial=0) < 0 or wanted.max(initial=0) >= columns:
            raise ValueError(f"labels: got {wanted.tolist()}, need column numbers from 0 to {columns - 1}")
        true, pred = true[:, wanted], pred[:, wanted]

    def of(cells: Array) -> NDArray[Any]:
        if by_row:
            return np.asarray(cells.sum(1) if weight is None else cells.sum(1) * weight)
        if weight is None:
            return np.asarray(cells.sum(0))
        return np.array(
            [sums(column.view(np.uint8), weight, 2)[1] for column in np.ascontiguousarray(cells.T)]
        )

    return Counts(of(true & pred), of(pred), of(true))


def _quotients(
    counts: Counts, beta: float, average: str | None, warn_for: Collection[str], zero_division: float | str
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    tp, predicted, actual = (np.asarray(x, np.float64) for x in counts)

    def over(part: Array, whole: Array, metric: str, missing: str) -> NDArray[np.float64]:
        empty = whole == 0
        quotient: NDArray[np.float64] = part / np.where(empty, 1.0, whole)
        if empty.any():
            quotient[empty] = 0.0 if zero_division == "warn" else float(zero_division)
            if zero_division == "warn" and metric in warn_for:
                _warn_empty(metric, missing, average, int(empty.sum()), len(empty))
        return quotient

    precision = over(tp, predicted, "precision", "predicted")
    recall = over(tp, actual, "recall", "true")
    if beta == 0:
        return precision, recall, precision
    if math.isinf(beta):
        return precision, recall, recall
    below = beta**2 * actual + predicted
    return precision, recall, over((1 + beta**2) * tp, below, "f-score", "true nor predicted")


def _warn_empty(metric: str, missing: str, average: str | None, count: int, of: int) -> None:
    inside, outside = ("labels", "rows") if average == "samples" else ("rows", "labels")
    where = "" if of == 1 else f" in {count} of {of} {outside}"
    warn_undefined(
        f"{metric.capitalize()} is ill-defined and set to 0.0{where}, for want of {missing} {inside};"
        " zero_division= chooses the value"
    )


def fbeta_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    beta: float,
    labels: ArrayLike | None = None,
    pos_label: float | bool | str | None = 1,
    average: str | None = "binary",
    sample_weight: ArrayLike | None = None,
    zero_division: float | str = "warn",
) -> Prf:
    """F_β = (1 + β²)·P·R/(β²·P + R), as `sklearn.metrics.fbeta_score`; arguments of `precision_recall_fscore_support`.

    Examples
    --------
    >>> from fourstep.sklearn import fbeta_score
    >>> round(fbeta_score([0, 1, 1, 1], [1, 1, 1, 0], beta=0.5), 6)
    0.666667
    """
    return precision_recall_fscore_support(
        y_true,
        y_pred,
        beta=beta,
        labels=labels,
        pos_label=pos_label,
        average=average,
        warn_for=("f-score",),
        sample_weight=sample_weight,
        zero_division=zero_division,
    )[2]


def f1_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    pos_label: float | bool | str | None = 1,
    average: str | None = "binary",
    sample_weight: ArrayLike | None = None,
    zero_division: float | str = "warn",
) -> Prf:
    """F1 = 2·P·R/(P + R), as `sklearn.metrics.f1_score`; arguments of `precision_recall_fscore_support`.

    Examples
    --------
    >>> from fourstep.sklearn import f1_score
    >>> f1_score(["spam", "ham", "spam"], ["spam", "spam", "spam"], pos_label="spam")
    0.8
    """
    return fbeta_score(
        y_true,
        y_pred,
        beta=1.0,
        labels=labels,
        pos_label=pos_label,
        average=average,
        sample_weight=sample_weight,
        zero_division=zero_division,
    )


def precision_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    pos_label: float | bool | str | None = 1,
    average: str | None = "binary",
    sample_weight: ArrayLike | None = None,
    zero_division: float | str = "warn",
) -> Prf:
    """Precision = tp/(tp + fp), as `sklearn.metrics.precision_score`; arguments of `precision_recall_fscore_support`.

    Examples
    --------
    >>> from fourstep.sklearn import precision_score
    >>> precision_score([0, 1, 2, 1], [0, 1, 1, 1], average=None, zero_division=0).round(3)
    array([1.   , 0.667, 0.   ])
    """
    return precision_recall_fscore_support(
        y_true,
        y_pred,
        labels=labels,
        pos_label=pos_label,
        average=average,
        warn_for=("precision",),
        sample_weight=sample_weight,
        zero_division=zero_division,
    )[0]


def recall_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    pos_label: float | bool | str | None = 1,
    average: str | None = "binary",
    sample_weight: ArrayLike | None = None,
    zero_division: float | str = "warn",
) -> Prf:
    """Recall = tp/(tp + fn), as `sklearn.metrics.recall_score`; arguments of `precision_recall_fscore_support`.

    Examples
    --------
    >>> from fourstep.sklearn import recall_score
    >>> recall_score([0, 1, 1, 1], [0, 1, 1, 0], sample_weight=[1, 1, 1, 2])
    0.5
    """
    return precision_recall_fscore_support(
        y_true,
        y_pred,
        labels=labels,
        pos_label=pos_label,
        average=average,
        warn_for=("recall",),
        sample_weight=sample_weight,
        zero_division=zero_division,
    )[1]
