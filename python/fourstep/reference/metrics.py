"""The metrics as their definitions read: every pair looked at, every number a fraction. The oracle and the lesson.

    AUC         Σ over pairs of a positive and a negative: 1 if the positive is higher, ½ if equal; over all pairs
    gAUC        Σ_g ω_g·AUC_g / Σ_g ω_g
    confusion   tp, fp, fn, tn of score >= threshold
    F1          2·tp/(2·tp + fp + fn)
    MCC         (tp·tn − fp·fn)/√((tp + fp)·(tp + fn)·(tn + fp)·(tn + fn))
    KS          max over thresholds of |TPR − FPR|
    log loss    mean of −ln p over the positives and −ln(1 − p) over the negatives; of a logit z: ln(1 + e^∓z)

O(n²) where the compiled ones sort, and no rounding but the last, so that those can be compared bit for bit: exactly
without weights and with integer ones; other weights they round once.

>>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
0.75
"""

from __future__ import annotations

import math
from decimal import Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fourstep.reference import elementary

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def _weights(n: int, sample_weight: ArrayLike | None) -> NDArray[np.object_]:
    """Return the weights as fractions: exact."""
    w = np.ones(n) if sample_weight is None else np.asarray(sample_weight)
    return np.array([Fraction(x) for x in w.tolist()], dtype=object)


def pairs(
    y: ArrayLike, score: ArrayLike, sample_weight: ArrayLike | None = None
) -> tuple[Fraction, Fraction]:
    """Return the pairs that the positive wins (ties count half), and all pairs; a pair weighs w_i·w_j."""
    positive, value = np.asarray(y) == 1, np.asarray(score)
    w = _weights(len(value), sample_weight)
    above = value[positive][:, None] > value[~positive]
    equal = value[positive][:, None] == value[~positive]
    halves = (2 * above.astype(int) + equal).astype(object)
    won = (w[positive][:, None] * halves * w[~positive]).sum() * Fraction(1, 2)
    return won, Fraction(w[positive].sum() * w[~positive].sum())


def auc(y: ArrayLike, score: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """AUC, the share of pairs that the positive wins; nan where there is no pair."""
    won, every = pairs(y, score, sample_weight)
    return float(won / every) if every else math.nan


def gauc(
    y: ArrayLike,
    score: ArrayLike,
    groups: ArrayLike,
    *,
    group_weight: str = "impressions",
    sample_weight: ArrayLike | None = None,
    one_class: str = "drop",
    min_rows: int = 2,
) -> float:
    """gAUC = Σ ω·AUC / Σ ω over the groups; each AUC is rounded to a float, as it would be printed."""
    label, value, ids = np.asarray(y), np.asarray(score), np.asarray(groups)
    w = _weights(len(label), sample_weight)
    exists = w > 0
    top, bottom = Fraction(0), Fraction(0)
    for group in np.unique(ids):
        mine = (ids == group) & exists
        won, every = pairs(label[mine], value[mine], w[mine])
        if mine.sum() < min_rows or (not every and one_class == "drop"):
            continue
        impressions, positives = w[mine].sum(), w[mine & (label == 1)].sum()
        omega = {"impressions": impressions, "positives": positives, "uniform": 1, "pairs": every}[
            group_weight
        ]
        if group_weight == "pairs":
            top += won
        else:
            top += omega * Fraction(float(won / every) if every else 0.5)
        bottom += omega
    return float(top / bottom) if bottom else math.nan


class Confusion(NamedTuple):
    """Rows, or their weights, by actual and predicted class."""

    tp: Fraction
    fp: Fraction
    fn: Fraction
    tn: Fraction


def confusion(
    y: ArrayLike, score: ArrayLike, threshold: float = 0.5, sample_weight: ArrayLike | None = None
) -> Confusion:
    """Count the four cells; score >= threshold is a predicted positive."""
    actual, predicted = np.asarray(y) == 1, np.asarray(score) >= threshold
    w = _weights(len(actual), sample_weight)

    def weight(rows: NDArray[np.bool_]) -> Fraction:
        return Fraction(w[rows].sum())

    return Confusion(
        tp=weight(actual & predicted),
        fp=weight(~actual & predicted),
        fn=weight(actual & ~predicted),
        tn=weight(~actual & ~predicted),
    )


def precision(
    y: ArrayLike, score: ArrayLike, threshold: float = 0.5, sample_weight: ArrayLike | None = None
) -> float:
    """Precision = tp/(tp + fp)."""
    c = confusion(y, score, threshold, sample_weight)
    return float(c.tp / (c.tp + c.fp)) if c.tp + c.fp else 0.0


def recall(
    y: ArrayLike, score: ArrayLike, threshold: float = 0.5, sample_weight: ArrayLike | None = None
) -> float:
    """Recall = tp/(tp + fn)."""
    c = confusion(y, score, threshold, sample_weight)
    return float(c.tp / (c.tp + c.fn)) if c.tp + c.fn else 0.0


def f1(
    y: ArrayLike, score: ArrayLike, threshold: float = 0.5, sample_weight: ArrayLike | None = None
) -> float:
    """F1 = 2·tp/(2·tp + fp + fn), the harmonic mean of precision and recall."""
    c = confusion(y, score, threshold, sample_weight)
    return float(2 * c.tp / (2 * c.tp + c.fp + c.fn)) if c.tp + c.fp + c.fn else 0.0


def fbeta(
    y: ArrayLike,
    score: ArrayLike,
    threshold: float = 0.5,
    sample_weight: ArrayLike | None = None,
    *,
    beta: float,
) -> float:
    """F-beta = (1 + β²)·tp/((1 + β²)·tp + β²·fn + fp)."""
    c, b = confusion(y, score, threshold, sample_weight), Fraction(beta) ** 2
    whole = (1 + b) * c.tp + b * c.fn + c.fp
    return float((1 + b) * c.tp / whole) if whole else 0.0


def specificity(
    y: ArrayLike, score: ArrayLike, threshold: float = 0.5, sample_weight: ArrayLike | None = None
) -> float:
    """Specificity = tn/(fp + tn)."""
    c = confusion(y, score, threshold, sample_weight)
    return float(c.tn / (c.fp + c.tn)) if c.fp + c.tn else 0.0


def mcc(
    y: ArrayLike, score: ArrayLike, threshold: float = 0.5, sample_weight: ArrayLike | None = None
) -> float:
    """MCC = (tp·tn − fp·fn)/√(product of the four margins), with eighty digits in between."""
    tp, fp, fn, tn = confusion(y, score, threshold, sample_weight)
    square = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    if not square:
        return 0.0
    digits = Context(prec=80)
    part = (tp * tn - fp * fn) ** 2 / square
    root = digits.sqrt(digits.divide(Decimal(part.numerator), Decimal(part.denominator)))
    return math.copysign(float(root), tp * tn - fp * fn)


def ks(y: ArrayLike, score: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """KS = max over thresholds of |TPR − FPR|; nan where there is one class."""
    cells = [confusion(y, score, t, sample_weight) for t in _distinct(score)]
    if not all((c.tp + c.fn) * (c.fp + c.tn) for c in cells):
        return math.nan
    return float(max(abs(c.tp / (c.tp + c.fn) - c.fp / (c.fp + c.tn)) for c in cells))


def _distinct(score: ArrayLike) -> list[float]:
    """Return the distinct scores, falling; both zeros are 0.0."""
    return sorted({float(s) + 0.0 for s in np.asarray(score)}, reverse=True)


def roc_curve(y: ArrayLike, score: ArrayLike) -> tuple[list[float], list[float], list[float]]:
    """Return (fpr, tpr, thresholds): the origin, at inf, and a point for each distinct score."""
    thresholds = _distinct(score)
    cells = [confusion(y, score, t) for t in thresholds]
    fpr = [float(c.fp / (c.fp + c.tn)) for c in cells]
    tpr = [float(c.tp / (c.tp + c.fn)) for c in cells]
    return [0.0, *fpr], [0.0, *tpr], [math.inf, *thresholds]


def best_threshold(y: ArrayLike, score: ArrayLike, metric: str = "f1") -> float:
    """Return the highest of the best thresholds, trying each distinct score, and inf."""

    def value(t: float) -> Fraction:
        tp, fp, fn, tn = confusion(y, score, t)
        if metric == "f1":
            return 2 * tp / (2 * tp + fp + fn)
        if metric == "accuracy":
            return (tp + tn) / (tp + fp + fn + tn)
        return tp / (tp + fn) - fp / (fp + tn)

    return max([math.inf, *_distinct(score)], key=value)  # the first of equals


def _mean(terms: NDArray[np.float64], w: NDArray[np.object_]) -> float:
    exists = w > 0
    terms, w = terms[exists], w[exists]
    if np.isinf(terms).any():
        return math.inf
    return float(sum(w * [Fraction(x) for x in terms.tolist()]) / sum(w))


def logloss(
    y: ArrayLike, p: ArrayLike, *, from_logits: bool = False, sample_weight: ArrayLike | None = None
) -> float:
    """Log loss: each row's in float64, their exact mean, rounded once."""
    positive, value = np.asarray(y) == 1, np.asarray(p, np.float64)
    if from_logits:
        terms = elementary.softplus(np.where(positive, -value, value))
    else:
        terms = -np.where(positive, elementary.log(value), elementary.log1p(-value))
    return _mean(terms, _weights(len(positive), sample_weight))


def brier(y: ArrayLike, p: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Brier score, the mean of (p − y)²."""
    d = np.asarray(p, np.float64) - (np.asarray(y) == 1)
    return _mean(d * d, _weights(len(d), sample_weight))


def calibration_ratio(y: ArrayLike, p: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Return Σ p / Σ y."""
    positive = np.asarray(y) == 1
    w = _weights(len(positive), sample_weight)
    promised = sum(w * [Fraction(x) for x in np.asarray(p, np.float64).tolist()])
    observed = w[positive].sum()
    return float(promised / observed) if observed else math.nan
