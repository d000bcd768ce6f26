"""Means of few values or of rows, whatever their order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def mean(values: NDArray[np.float64], weight: NDArray[np.float64] | None = None) -> float:
    """Return Σ w·v / Σ w of few values or of rows, whatever their order."""
    if weight is None:
        return math.fsum(values) / len(values)
    return math.fsum(values * weight) / math.fsum(weight)


def mean_of_defined(values: NDArray[np.float64], weight: NDArray[np.float64] | None = None) -> float:
    """Return the mean of what is not NaN; unweighted where that weighs nothing; NaN where there is nothing."""
    defined = ~np.isnan(values)
    values = values[defined]
    if len(values) == 0:
        return math.nan
    weight = weight[defined] if weight is not None else None
    return mean(values, weight if weight is not None and weight.any() else None)
