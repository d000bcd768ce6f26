"""What needs probabilities: log loss and its normalised form, Brier score, calibration."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fourstep import _core, exact_math
from fourstep._runtime import execution
from fourstep.metrics._inputs import Array, number, rows
from fourstep.metrics._means import Mean, mean
from fourstep.metrics.score import MetricWarning, OnUndefined, Score, check_on_undefined, plural, undefined

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


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
    limit = _limit(p, clip, from_logits)
    loss = "logits" if from_logits else "log"
    value, _, _, n, positives, infinite, first = mean(labels, values, weights, loss, limit)
    if infinite:
        warnings.warn(
            f"logloss is inf: {plural(infinite, 'row')} certain and wrong, the first at index {first}; "
            "pass logits (from_logits=True), or clip='eps' as scikit-learn does",
            MetricWarning,
            stacklevel=2,
        )
    return Score(
        value, "logloss", counts=_counts(n, positives) | ({"infinite": infinite} if infinite else {})
    )


def _limit(p: ArrayLike, clip: Any, from_logits: bool) -> float:
    """Return how far from 0 and 1 probabilities are kept."""
    if clip is None:
        return 0.0
    if from_logits:
        raise ValueError(f"clip: got {clip!r} with from_logits=True, which needs none")
    limit = math.nan
    if number(clip):
        limit = float(clip)
    elif isinstance(clip, str) and clip == "eps":
        limit = _eps(p)
    if not 0.0 <= limit < 0.5:
        raise (ValueError if number(clip) or isinstance(clip, str) else TypeError)(
            f"clip: got {clip!r}, need None, 'eps' or a number in [0, 0.5)"
        )
    return limit


def _eps(p: ArrayLike) -> float:
    dtype = np.asarray(p).dtype
    return float(np.finfo(dtype).eps) if dtype.kind == "f" else float(np.finfo(np.float64).eps)


def _counts(n: int, positives: int) -> dict[str, int]:
    return {"rows": n, "positives": positives, "negatives": n - positives}


def ne(
    y: ArrayLike,
    p: ArrayLike,
    *,
    base_rate: float | None = None,
    negative_sampling_rate: float = 1.0,
    from_logits: bool = False,
    sample_weight: ArrayLike | None = None,
    clip: float | Literal["eps"] | None = None,
    pos_label: Any = None,
    on_undefined: OnUndefined = "nan",
) -> Score:
    """Normalised entropy: the log loss over the entropy of the base rate b. Below 1 the model knows more than b.

    NE = logloss(y, p') / (−b·ln b − (1 − b)·ln(1 − b)),   p' = p/(p + (1 − p)/w)

    w is the share of negatives that the model was trained on: what it learned is a rate among the rows that were kept,
    and p' is that rate among all of them. In logits: z' = z + ln w, which is how it is computed.

    Parameters
    ----------
    y, pos_label
        As for `auc`. Rows as they are served: if negatives are missing in them too, weigh each by 1/w.
    p
        Probabilities in [0, 1], or logits with `from_logits`; shape (n,).
    base_rate
        b, in (0, 1): the rate that the model is measured against, such as that of the training days. None: the rate of
        the positives in `y`, with their weights.
    negative_sampling_rate
        w in (0, 1]; 1 leaves p as it is.
    from_logits, sample_weight, clip
        As for `logloss`; `clip` is applied to p, before the correction.
    on_undefined
        The result where b is None and there is one class only, so that its entropy is 0: ``"nan"``, with a warning;
        ``"raise"``; or a number.

    Returns
    -------
    Score
        A float with ``counts`` as of `logloss`.

    Raises
    ------
    ValueError, TypeError
        As for `logloss`; a base rate outside (0, 1); a sampling rate outside (0, 1].

    Warns
    -----
    MetricWarning
        As for `logloss`, where the loss is infinite.

    Notes
    -----
    Source: He et al. 2014, "Practical lessons from predicting clicks on ads at Facebook", for NE and for the correction.
    The unit of the logarithm cancels. 1 − NE is the relative information gain.

    Where others differ: TorchRec and torcheval add 1e-12 here and there and clip; with a base rate of one's own,
    some divide by the loss of predicting b for these rows, which is the entropy only where b is their rate.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.ne([0, 0, 0, 1], [0.25, 0.25, 0.25, 0.25])
    1.0 (ne: 1 positive, 3 negatives)
    >>> f"{fs.metrics.ne([0, 0, 0, 1], [0.5, 0.5, 0.5, 0.5], negative_sampling_rate=1 / 3):.6f}"
    '1.000000'
    """
    check_on_undefined(on_undefined)
    base = None if base_rate is None else _rate("base_rate", base_rate, below_one=True)
    kept = _rate("negative_sampling_rate", negative_sampling_rate, below_one=False)
    labels, values, weights = rows(y, p, sample_weight, pos_label, name="p", real=True)
    limit = _limit(p, clip, from_logits)
    if kept != 1.0:
        if not from_logits:
            # Outside [0, 1] is an error here, before a logarithm makes NaN of it.
            mean(labels, values, weights)
            values, limit = _logits(values, limit), 0.0
        values = np.add(values, exact_math.log(kept), dtype=np.float64)
    loss = "logits" if from_logits or kept != 1.0 else "log"
    loss_of_rows, _, _, n, positives, infinite, first = mean(labels, values, weights, loss, limit)
    entropy = _entropy(base) if base is not None else _entropy_of(labels, weights, _counts(n, positives))
    if entropy == 0.0:
        why = f"it needs both classes or a base_rate, and all rows are of class {int(positives > 0)}"
        value = undefined("ne", why, on_undefined)
    else:
        value = loss_of_rows / entropy
        if infinite:
            warnings.warn(
                f"ne is inf: {plural(infinite, 'row')} certain and wrong, the first at index {first}; "
                "pass logits (from_logits=True), or clip='eps' as scikit-learn does",
                MetricWarning,
                stacklevel=2,
            )
    return Score(value, "ne", counts=_counts(n, positives) | ({"infinite": infinite} if infinite else {}))


def _rate(name: str, value: float, *, below_one: bool) -> float:
    need = "a number in (0, 1)" if below_one else "a number in (0, 1]"
    if not number(value):
        raise TypeError(f"{name}: got {value!r}, need {need}")
    if not 0.0 < value <= 1.0 or (below_one and value == 1.0):
        raise ValueError(f"{name}: got {value!r}, need {need}")
    return float(value)


def _logits(p: Array, limit: float) -> Array:
    """Return ln p − ln(1 − p) of probabilities kept `limit` away from 0 and 1; ±inf at 0 and 1."""
    p = p.astype(np.float64)
    if limit > 0.0:
        p = np.clip(p, limit, 1.0 - limit)
    log_p, log_rest = np.empty_like(p), np.empty_like(p)
    _core.elementary("log", p, log_p, execution())
    _core.elementary("log1p", -p, log_rest, execution())
    return np.asarray(log_p - log_rest)


def _entropy(rate: float, rest: float | None = None) -> float:
    """Return −b·ln b − c·ln c, c = 1 − b; the logarithm of the larger one from the smaller one."""
    b, c = sorted((rate, 1.0 - rate if rest is None else rest))
    if b == 0.0:
        return 0.0
    log = np.empty(1)
    _core.elementary("log1p", np.array([-b]), log, execution())
    return -b * exact_math.log(b) - c * float(log[0])


def _entropy_of(
    labels: NDArray[np.uint8], weights: NDArray[np.float64] | None, counts: dict[str, int]
) -> float:
    """Return the entropy of the share of positives and that of negatives, each rounded once."""
    swapped = counts | {"positives": counts["negatives"]}
    return _entropy(_share(labels, weights, counts), _share(1 - labels, weights, swapped))


def _share(labels: NDArray[np.uint8], weights: NDArray[np.float64] | None, counts: dict[str, int]) -> float:
    """Return the share of the positives, or of their weight."""
    if weights is None:
        return counts["positives"] / counts["rows"]
    return mean(labels, labels.astype(np.float64), weights).value


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
    found = mean(labels, values, weights, "brier")
    return Score(found.value, "brier", counts=_counts(found.rows, found.positives))


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
    return _calibration_ratio(mean(labels, values, weights), on_undefined)


def _calibration_ratio(predicted: Mean, on_undefined: OnUndefined) -> Score:
    ratio = predicted.over_positives
    if ratio is None:
        ratio = undefined("calibration_ratio", "there is no positive", on_undefined, stacklevel=4)
    return Score(ratio, "calibration_ratio", counts=_counts(predicted.rows, predicted.positives))
