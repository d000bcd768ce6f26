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

from fourstep.metrics._counts import Order
from fourstep.metrics._inputs import Array, Rows
from fourstep.metrics._means import mean, means

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
    ends = rows.score if ordered is None else ordered.scores[[0, -1]]
    lowest, highest = float(ends.min()), float(ends.max())
    if lowest >= 0.0 and highest <= 1.0:
        lowest, highest = 0.0, 1.0
    width = highest - lowest
    if not math.isfinite(width):
        infinite = not (math.isfinite(lowest) and math.isfinite(highest))
        return "infinite scores have no mean" if infinite else "the scores span more than a float64 holds"
    t = rows.score if rows.score.dtype.kind == "f" else rows.score.astype(np.float64)
    if lowest != 0.0 or width != 1.0:
        t = (t.astype(np.float64) - lowest) / (width or 1.0)
    (mean, other), (variance, other_variance) = _moments(rows.y, t, rows.weight)
    gap = (mean - other) * width
    spread = math.sqrt(share * variance + (1.0 - share) * other_variance) * width
    standardised = gap / spread if spread else math.nan
    return ClassGap(lowest + mean * width, lowest + other * width, gap, spread, standardised)


def _moments(
    y: NDArray[np.uint8], t: Array, weight: Floats | None
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the means of values in [0, 1], of positives and of negatives, and their variances, each rounded once."""
    if weight is not None:
        # A class by itself: its weights are integers of a unit of its own, however small they are beside the others.
        one, other = (_mean_and_variance(t[y == label], weight[y == label]) for label in (1, 0))
        return (one[0], other[0]), (one[1], other[1])
    of_both = [f"prediction of {name}" for name in ("positives", "negatives")]
    positives, negatives = means(y, t, None, *of_both)
    found = (positives.over_positives or 0.0, negatives.over_negatives or 0.0)
    of_both = [f"spread of {name}" for name in ("positives", "negatives")]
    positives, negatives = means(y, t, None, *zip(of_both, found, strict=True))
    return found, (positives.over_positives or 0.0, negatives.over_negatives or 0.0)


def _mean_and_variance(t: Array, weight: Floats) -> tuple[float, float]:
    labels = np.zeros(len(t), np.uint8)
    average = mean(labels, t, weight).value
    return average, mean(labels, t, weight, "spread", average).value
