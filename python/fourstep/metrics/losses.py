"""What needs probabilities: log loss, Brier score, calibration."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.metrics._inputs import number, rows
from fourstep.metrics.score import MetricWarning, OnUndefined, Score, check_on_undefined, plural, undefined

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def logloss(
    y: ArrayLike,
    p: ArrayLike,
    *,
    from_logits: bool = False,
    sample_weight: ArrayLike | None = None,
    clip: float | Literal["eps"] | None = None,
    pos_label: Any = None,
) -> Score:
    """Log loss, the mean of −ln p over the positives and −ln(1 − p) over the negatives, in nats.

    From logits z: the mean of ln(1 + e^−z) and ln(1 + e^z), never by way of a probability.

    Each row's loss is computed in float64 by our own logarithm and rounded once, the sum is exact, and one division
    rounds it: the same bits on every machine, for every order of rows and number of threads.

    Parameters
    ----------
    y, pos_label
        As for `auc`.
    p
        Probabilities of the positive class in [0, 1], or logits with `from_logits`; shape (n,).
    from_logits
        Whether `p` holds logits. Never guessed.
    sample_weight
        Weights, as for `auc`: Σ w·loss / Σ w.
    clip
        How far from 0 and 1 probabilities are kept: None = not at all; a number; ``"eps"`` = the eps of the dtype of
        `p`, as scikit-learn does.

    Returns
    -------
    Score
        A float with ``counts`` (rows, positives, negatives; infinite = rows that are certain and wrong).

    Raises
    ------
    ValueError, TypeError
        As for `auc`; a probability outside [0, 1] or NaN; a NaN logit; a clip outside [0, 0.5), or with logits.

    Warns
    -----
    MetricWarning
        p is 0 for a positive or 1 for a negative: the loss is infinite, and this is said, not hidden by clipping.

    Notes
    -----
    Where others differ: scikit-learn clips at the eps of the dtype, Keras at 1e-7, torch's BCELoss at −ln p = 100,
    others at 1e-12 or 1e-15: a float32 probability that rounds to 1 costs 15.9, 16.1 or 100 there.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.logloss([0, 1], [0.25, 0.75])
    0.2876820724517809 (logloss: 1 positive, 1 negative)
    >>> fs.metrics.logloss([0, 1], [-40.0, 40.0], from_logits=True)
    4.248354255291589e-18 (logloss: 1 positive, 1 negative)
    """
    labels, values, weights = rows(y, p, sample_weight, pos_label, name="p", real=True)
    limit = 0.0
    if clip is not None:
        if from_logits:
            raise ValueError(f"clip: got {clip!r} with from_logits=True, which needs none")
        if number(clip):
            limit = float(clip)
        elif isinstance(clip, str) and clip == "eps":
            limit = _eps(p)
        else:
            limit = math.nan
        if not 0.0 <= limit < 0.5:
            raise (ValueError if number(clip) or isinstance(clip, str) else TypeError)(
                f"clip: got {clip!r}, need None, 'eps' or a number in [0, 0.5)"
            )
    loss = "logits" if from_logits else "log"
    mean, _, n, positives, infinite, first = _core.metrics_loss(
        labels, values, weights, loss, limit, execution()
    )
    if infinite:
        warnings.warn(
            f"logloss is inf: {plural(infinite, 'row')} certain and wrong, the first at index {first}; "
            "pass logits (from_logits=True), or clip='eps' as scikit-learn does",
            MetricWarning,
            stacklevel=2,
        )
    return Score(mean, "logloss", counts=_counts(n, positives) | ({"infinite": infinite} if infinite else {}))


def _eps(p: ArrayLike) -> float:
    dtype = np.asarray(p).dtype
    return float(np.finfo(dtype).eps) if dtype.kind == "f" else float(np.finfo(np.float64).eps)


def _counts(n: int, positives: int) -> dict[str, int]:
    return {"rows": n, "positives": positives, "negatives": n - positives}


def brier(
    y: ArrayLike,
    p: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: Any = None,
) -> Score:
    """Brier score, the mean of (p − y)².

    Parameters
    ----------
    y, p, sample_weight, pos_label
        As for `logloss`, probabilities alone.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.brier([0, 1], [0.25, 0.75])
    0.0625 (brier: 1 positive, 1 negative)
    """
    labels, values, weights = rows(y, p, sample_weight, pos_label, name="p", real=True)
    mean, _, n, positives, _, _ = _core.metrics_loss(labels, values, weights, "brier", 0.0, execution())
    return Score(mean, "brier", counts=_counts(n, positives))


def calibration_ratio(
    y: ArrayLike,
    p: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: Any = None,
    on_undefined: OnUndefined = "nan",
) -> Score:
    """Calibration ratio Σ p / Σ y: predicted over observed positives; above 1 the model promises too much.

    Parameters
    ----------
    y, p, sample_weight, pos_label
        As for `logloss`, probabilities alone.
    on_undefined
        The result where there is no positive: ``"nan"``, with a warning; ``"raise"``; or a number.

    Notes
    -----
    Where others differ: TorchRec has the same ratio; COPC (clicks over predicted clicks) is its inverse.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.calibration_ratio([0, 1, 0, 0], [0.25, 0.5, 0.5, 0.25])
    1.5 (calibration_ratio: 1 positive, 3 negatives)
    """
    check_on_undefined(on_undefined)
    labels, values, weights = rows(y, p, sample_weight, pos_label, name="p", real=True)
    _, ratio, n, positives, _, _ = _core.metrics_loss(labels, values, weights, "prediction", 0.0, execution())
    if ratio is None:
        ratio = undefined("calibration_ratio", "there is no positive", on_undefined)
    return Score(ratio, "calibration_ratio", counts=_counts(n, positives))
