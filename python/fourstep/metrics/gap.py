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
from fourstep.metrics._inputs import Rows

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


def class_gap(rows: Rows) -> ClassGap | str:
    """Return the gap of rows without NaN that hold both classes; or why there is none.

    Scores are moved to [0, 1] first, unless they lie there: t = (s − lowest)/(highest − lowest). The means of t and of
    (t − t̄)² are of exact sums, so the order of the rows changes no bit.
    """
    score = rows.score.astype(np.float64, copy=False)
    lowest, highest = float(score.min()), float(score.max())
    if lowest >= 0.0 and highest <= 1.0:
        lowest, highest = 0.0, 1.0
    width = highest - lowest
    if not math.isfinite(width):
        infinite = not (math.isfinite(lowest) and math.isfinite(highest))
        return "infinite scores have no mean" if infinite else "the scores span more than a float64 holds"
    t = score if width == 1.0 and lowest == 0.0 else (score - lowest) / (width or 1.0)
    share = _mean(rows.y.astype(np.float64), rows.weight)
    (mean, variance), (other, other_variance) = (
        _moments(t[of_class], None if rows.weight is None else rows.weight[of_class])
        for of_class in (rows.y == 1, rows.y == 0)
    )
    gap = (mean - other) * width
    spread = math.sqrt(share * variance + (1.0 - share) * other_variance) * width
    standardised = gap / spread if spread else math.nan
    return ClassGap(lowest + mean * width, lowest + other * width, gap, spread, standardised)


def _moments(t: Floats, weight: Floats | None) -> tuple[float, float]:
    mean = _mean(t, weight)
    return mean, _mean((t - mean) ** 2, weight)


def _mean(values: Floats, weight: Floats | None) -> float:
    """Return the weighted mean of values in [0, 1], rounded once."""
    return _core.metrics_loss(
        np.zeros(len(values), np.uint8), values, weight, "prediction", 0.0, execution()
    )[0]
