"""How far the scores of the two classes lie apart.

    gap       s̄₊ − s̄₋
    spread    σ = √(π·σ₊² + (1 − π)·σ₋²),  π the share of the positives
    d         gap/σ

For normal scores of equal σ, AUC = Φ(d/√2): where the classes lie closer together, as good a model has a lower AUC.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.metrics._counts import Order
from fourstep.metrics._inputs import Array, Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class ClassGap(NamedTuple):
    """Mean score of each class, their difference, and that in standard deviations.

    Attributes
    ----------
    positives, negatives
        Mean score of the class.
    gap
        The first less the second.
    spread
        Pooled standard deviation of the scores within the classes: √(π·σ₊² + (1 − π)·σ₋²).
    standardised
        gap/spread; nan where all scores of a class are the same in both classes, so that the spread is 0.
    """

    positives: float
    negatives: float
    gap: float
    spread: float
    standardised: float

    def __str__(self) -> str:
        """Give the gap in both units."""
        return f"{self.gap:.6g} ({self.standardised:.4g} standard deviations)"


def class_gap(rows: Rows, share: float, ordered: Order | None = None) -> ClassGap | str:
    """Return the gap of rows without NaN that hold both classes; or why there is none. `share` is that of the positives.

    Scores are moved to [0, 1] first, unless they lie there: t = (s − lowest)/(highest − lowest). The means of t and of
    (t − t̄)² are of exact sums, so the order of the rows changes no bit.
    """
    classes = _classes(rows, ordered)
    lowest, highest = min(float(s.min()) for s, _ in classes), max(float(s.max()) for s, _ in classes)
    if lowest >= 0.0 and highest <= 1.0:
        lowest, highest = 0.0, 1.0
    width = highest - lowest
    if not math.isfinite(width):
        infinite = not (math.isfinite(lowest) and math.isfinite(highest))
        return "infinite scores have no mean" if infinite else "the scores span more than a float64 holds"
    moved = lowest != 0.0 or width != 1.0
    (mean, variance), (other, other_variance) = (
        _moments((s.astype(np.float64) - lowest) / (width or 1.0) if moved else s, weight)
        for s, weight in classes
    )
    gap = (mean - other) * width
    spread = math.sqrt(share * variance + (1.0 - share) * other_variance) * width
    standardised = gap / spread if spread else math.nan
    return ClassGap(lowest + mean * width, lowest + other * width, gap, spread, standardised)


def _classes(rows: Rows, ordered: Order | None) -> list[tuple[Array, Floats | None]]:
    """Return scores and weights of the positives and of the negatives."""
    if ordered is not None:
        return [(ordered.positives, None), (ordered.negatives, None)]
    masks = [rows.y == 1, rows.y == 0]
    return [(rows.score[of], None if rows.weight is None else rows.weight[of]) for of in masks]


def _moments(t: Array, weight: Floats | None) -> tuple[float, float]:
    """Return mean and variance of values in [0, 1], each rounded once."""
    t = t if t.dtype.kind == "f" else t.astype(np.float64)
    labels = np.zeros(len(t), np.uint8)
    mean = _core.metrics_loss(labels, t, weight, "prediction", 0.0, execution())[0]
    return mean, _core.metrics_loss(labels, t, weight, "spread", mean, execution())[0]
