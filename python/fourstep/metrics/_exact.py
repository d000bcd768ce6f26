"""Sums and means of floats without rounding but the last: the order of the terms cannot matter."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def weighted_mean(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float | None:
    """Σ w·v / Σ w, correctly rounded; None where the weights sum to 0.

    A float is an integer times a power of two, so both sums are integers, and their quotient is rounded once.

    >>> import numpy as np
    >>> weighted_mean(np.array([0.1, 0.1, 0.7]), np.array([3.0, 1e300, 0.0]))
    0.1
    """
    v, low_v = _integers(values)
    w, _ = _integers(weights)  # whose power of two is in both sums
    total = sum(w)
    if not total:
        return None
    top = sum(a * b for a, b in zip(v, w, strict=True))
    return (top << low_v) / total if low_v >= 0 else top / (total << -low_v)


def _integers(x: NDArray[np.float64]) -> tuple[list[int], int]:
    """Return integers q and an exponent e with x = q·2^e."""
    mantissa, exponent = np.frexp(x)
    least = int(exponent[mantissa != 0].min(initial=0))
    shifts = np.where(mantissa == 0, 0, exponent - least)
    whole = np.ldexp(mantissa, 53).astype(np.int64)
    return [q << s for q, s in zip(whole.tolist(), shifts.tolist(), strict=True)], least - 53


def sums(codes: NDArray[Any], weight: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    """Return Σ w >= 0 of each code, rounded once.

    A weight is cut into pieces of few bits, of which float64 adds as many as there are rows without rounding:

        w = Σ_{j >= 1} piece_j · 2^(e − b·j),    0 <= piece_j < 2^b integer,
        2^e > every weight,    b = 53 − bits of the number of rows

    Each code's pieces are added by `numpy.bincount`, the sums of pieces are joined as integers, and one division rounds.

    >>> import numpy as np
    >>> sums(np.array([0, 1, 0]), np.array([1.0, 0.5, 1e-30]), 2).tolist()
    [1.0, 0.5]
    """
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
