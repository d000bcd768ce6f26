"""Means of floats without rounding but the last: the order of the terms cannot matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
