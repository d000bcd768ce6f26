"""Sums of weights that do not depend on the order of rows, and means.

A weight is cut into pieces of few bits, of which float64 adds as many as there are rows without rounding:

    w = Σ_{j >= 1} piece_j · 2^(e − b·j),    0 <= piece_j < 2^b integer,
    2^e > every weight,    b = 53 − bits of the number of rows

Each class's pieces are added by `numpy.bincount`, the sums of pieces are joined as integers, and one division rounds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def sums(codes: NDArray[Any], weight: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    """Return Σ w of each code, rounded once."""
    bits = 53 - len(weight).bit_length()
    exponent = math.frexp(float(weight.max(initial=0.0)))[1]
    totals, shift, left = [0] * classes, 0, weight
    while left.any():
        shift += bits
        piece = np.floor(np.ldexp(left, shift - exponent))
        left = left - np.ldexp(piece, exponent - shift)
        added = np.bincount(codes, piece, classes)
        totals = [(total << bits) + int(more) for total, more in zip(totals, added.tolist(), strict=True)]
    up, down = 2 ** max(exponent - shift, 0), 2 ** max(shift - exponent, 0)
    return np.array([total * up / down for total in totals])


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
