"""What needs probabilities: log loss and Brier score, of two classes or more.

    log loss = Σ_i w_i · −ln p_{i, y_i} / Σ w         Brier = Σ_i w_i · Σ_k (p_ik − [y_i = k])² / Σ w

The log loss of many classes is that of the kernel, over the probability that each row gave to its own class; the Brier
score is the sum of the kernel's over the columns. Both are exact sums of rounded terms.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.metrics._inputs import ready
from fourstep.metrics._means import mean
from fourstep.sklearn import _inputs as check
from fourstep.sklearn._inputs import Array, InvalidParameterError
from fourstep.sklearn._targets import Target, default_pos_label, indicators, places, positives, target
from fourstep.sklearn._warnings import warn

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Weight = NDArray[np.float64] | None


def log_loss(
    y_true: ArrayLike,
    y_proba: ArrayLike | None = None,
    *,
    normalize: bool = True,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    y_pred: ArrayLike | str = "deprecated",
) -> float:
    """Log loss in nats, as `sklearn.metrics.log_loss`: the mean of −ln p of each row's own class.

    Parameters
    ----------
    y_true
        Labels, shape (n,), or indicators, shape (n, k).
    y_proba
        Probabilities: of the greater of two classes, shape (n,); or of each class, shape (n, k), classes ascending.
        They are kept eps of their dtype away from 0 and 1.
    normalize
        Whether the mean is returned, or the sum.
    sample_weight
        Weights, shape (n,), finite and >= 0.
    labels
        All classes; needed where y_true does not have them all.
    y_pred
        The name of `y_proba` before scikit-learn 1.9: warns.

    Raises
    ------
    ValueError
        Probabilities outside [0, 1], NaN, one class only, classes that do not fit the columns or `labels`, lengths
        that differ, negative weights; `InvalidParameterError` for an argument that cannot be.

    Warns
    -----
    UserWarning
        Rows that do not add up to 1; labels that are not ascending.

    Notes
    -----
    Where others differ: scikit-learn computes float32 probabilities in float32, here they are widened first.
    `fourstep.metrics.logloss` does not clip, and takes logits.

    Examples
    --------
    >>> from fourstep.sklearn import log_loss
    >>> log_loss(["ham", "spam"], [0.25, 0.75])
    0.2876820724517809
    """
    check.array_like("y_true", y_true)
    check.flag("normalize", normalize)
    check.array_like("sample_weight", sample_weight, none=True)
    check.array_like("labels", labels, none=True)
    proba = _probabilities(_renamed(y_proba, y_pred))
    of = target(y_true, "y_true")
    check.same_rows(len(of.codes), proba, "y_proba")
    weight = check.weights(sample_weight, len(of.codes), flat=True)
    of, classes = _among(of, labels)
    _fits(classes, proba, labels)
    clip = float(np.finfo(proba.dtype).eps)
    if proba.ndim == 1 or proba.shape[1] == 1:
        loss = _mean("log", of.codes, proba.reshape(-1), weight, clip)
    elif of.kind == "multilabel-indicator":
        return _of_cells(indicators(of), proba, weight, clip, normalize)
    else:
        own = proba[np.arange(len(proba)), of.codes]
        loss = _mean("log", np.ones(len(own), np.uint8), own, weight, clip)
    return loss if normalize else loss * _total(weight, len(of.codes))


def _renamed(y_proba: Any, y_pred: Any) -> Any:
    if isinstance(y_pred, str) and y_pred == "deprecated":
        check.array_like("y_proba", y_proba, none=True)
        if y_proba is None:
            raise ValueError("y_proba: got None, need probabilities")
        return y_proba
    if y_proba is not None:
        raise ValueError("y_pred: got it beside y_proba, need y_proba alone")
    if isinstance(y_pred, str):
        raise InvalidParameterError(f"y_pred: got {y_pred!r}, need probabilities, as y_proba=")
    warn("y_pred was renamed y_proba in scikit-learn 1.9, and goes in 1.11", FutureWarning)
    return y_pred


def _probabilities(x: Any) -> Array:
    """Return floats in [0, 1]."""
    proba = check.numbers(x, "y_proba", bounded=True)
    if proba.dtype.kind != "f":
        proba = proba.astype(np.float64)
    if not (proba.min() >= 0 and proba.max() <= 1):
        check.finite(proba, "y_proba")
        wrong = np.argwhere((proba < 0) | (proba > 1))
        at = tuple(wrong[0].tolist())
        raise ValueError(
            f"y_proba: got {proba[at]} at index {at[0] if len(at) == 1 else at} ({len(wrong)} such of {proba.size}),"
            " need probabilities in [0, 1]"
        )
    return proba


def _among(of: Target, labels: ArrayLike | None) -> tuple[Target, Array]:
    """Return labels as codes in all classes, and these."""
    if of.kind not in ("binary", "multiclass", "multilabel-indicator"):
        raise ValueError(f"y_true: got {of.kind} labels, need classes")
    classes = of.classes
    if labels is not None:
        given = check.column(check.read(labels, "labels"), "labels")
        classes = np.unique(given)
        if not np.array_equal(classes, given):
            warn(
                f"labels: got {given.tolist()}; the columns of y_proba are taken in ascending order, {classes.tolist()}"
            )
        place = places(of.classes, classes)
        if (place < 0).any():
            missing = of.classes[place < 0].tolist()
            raise ValueError(f"y_true: got labels {missing[:10]} that are not in labels={given.tolist()}")
        if of.kind != "multilabel-indicator" and not np.array_equal(place, np.arange(len(place))):
            of = of._replace(codes=place.astype(np.uint8 if len(classes) <= 2 else np.intp)[of.codes])
    if len(classes) < 2:
        source = "y_true" if labels is None else "labels"
        raise ValueError(
            f"{source}: got one label, {classes.tolist()}, need two or more; labels= names them all"
        )
    return of, classes


def _fits(classes: Array, proba: Array, labels: ArrayLike | None) -> None:
    """Check that there is a column for each class, and warn if rows do not add up to 1."""
    columns = 2 if proba.ndim == 1 or proba.shape[1] == 1 else proba.shape[1]
    if proba.ndim == 2 and proba.shape[1] > 1:
        away = np.abs(proba.sum(axis=1) - 1) > 1e-8 + math.sqrt(np.finfo(proba.dtype).eps)
        if away.any():
            warn(
                f"y_proba: {int(away.sum())} rows do not add up to 1, the first at index {int(away.argmax())}"
            )
    if len(classes) != columns:
        source = "y_true; labels= names them all" if labels is None else "labels"
        raise ValueError(f"y_proba: got {columns} classes, need {len(classes)}, as many as in {source}")


def _mean(loss: str, labels: NDArray[np.uint8], p: Array, weight: Weight, clip: float = 0.0) -> float:
    labels, p = ready(labels, np.uint8), ready(p, np.float64 if p.dtype.itemsize == 8 else np.float32)
    return mean(labels, p, weight, loss, clip).value


def _total(weight: Weight, rows: int) -> float:
    """Return Σ w, rounded once."""
    if weight is None:
        return float(rows)
    ones = np.ones(rows, np.uint8)
    return _core.metrics_confusion(ones, ones.astype(np.float32), weight, 0.5, execution())[1][0]


def _of_cells(labels: NDArray[np.uint8], proba: Array, weight: Weight, clip: float, normalize: bool) -> float:
    """Return the log loss of indicators: each cell that is 1 is a class of its row."""
    row, column = np.nonzero(labels)
    each = None if weight is None else weight[row]
    if len(row) == 0 or (each is not None and not each.any()):
        return 0.0
    loss = _mean("log", np.ones(len(row), np.uint8), proba[row, column], each, clip) * _total(each, len(row))
    return loss / _total(weight, len(labels)) if normalize else loss


def brier_score_loss(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: float | bool | str | None = None,
    labels: ArrayLike | None = None,
    scale_by_half: bool | str = "auto",
) -> float:
    """Brier score, as `sklearn.metrics.brier_score_loss`: the mean squared distance of probabilities and labels.

    Parameters
    ----------
    y_true, y_proba, sample_weight, labels
        As for `log_loss`.
    pos_label
        The class whose probability a y_proba of shape (n,) is; None: 1 of labels 0/1 or -1/+1, else the greater number.
    scale_by_half
        Whether the sum over the classes is halved; ``"auto"``: for two classes, which makes it (p − y)².

    Raises
    ------
    ValueError
        As for `log_loss`; strings without `pos_label`.

    Examples
    --------
    >>> from fourstep.sklearn import brier_score_loss
    >>> brier_score_loss([0, 1], [0.25, 0.75])
    0.0625
    """
    check.array_like("y_true", y_true)
    check.array_like("y_proba", y_proba)
    check.array_like("sample_weight", sample_weight, none=True)
    check.array_like("labels", labels, none=True)
    check.label("pos_label", pos_label)
    if scale_by_half != "auto" or not isinstance(scale_by_half, str):
        check.flag("scale_by_half", scale_by_half)
    proba = _probabilities(y_proba)
    of = target(y_true, "y_true")
    check.same_rows(len(of.codes), proba, "y_proba")
    weight = check.weights(sample_weight, len(of.codes), flat=True)
    if proba.ndim == 1 or proba.shape[1] == 1:
        if of.kind != "binary":
            raise ValueError(
                f"y_true: got {of.kind} labels, need binary ones with one column of probabilities"
            )
        half = _mean("brier", positives(of, _positive(of, pos_label)), proba.reshape(-1), weight)
        return half if scale_by_half else 2 * half
    of, classes = _among(of, labels)
    _fits(classes, proba, labels)
    cells = indicators(of) if of.kind == "multilabel-indicator" else None
    columns = range(proba.shape[1])
    each = [
        _mean("brier", (of.codes == c).view(np.uint8) if cells is None else cells[:, c], proba[:, c], weight)
        for c in columns
    ]
    halved = proba.shape[1] == 2 if isinstance(scale_by_half, str) else scale_by_half
    return math.fsum(each) * (0.5 if halved else 1.0)


def _positive(of: Target, pos_label: Any) -> Any:
    if pos_label is not None:
        return pos_label
    try:
        return default_pos_label(of.classes)
    except ValueError:
        if of.classes.dtype.kind == "O":
            raise
        return of.classes.tolist()[-1]
