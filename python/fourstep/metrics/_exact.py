"""Sums and means of floats without rounding but the last: the order of the terms cannot matter."""

from __future__ import annotations

import math
from collections.abc import Callable
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
    products, w, power = _terms(values, weights)
    return _quotient(sum(products), sum(w), power)


def means_of_drawn(
    values: NDArray[np.float64], weights: NDArray[np.float64]
) -> Callable[[NDArray[np.int64]], float | None]:
    """Return what gives `weighted_mean` of as many values as there are, drawn with replacement.

    The terms of both sums are cut into digits of few bits once. Of a draw the digits of each place are summed, times how
    often each value was drawn, in float64 without rounding, and these sums are joined as integers:

        Σ_drawn t = Σ_k 2^(b·k) · Σ_j drawn_j · digit_jk,    b = 53 − bits of the number of values

    >>> import numpy as np
    >>> mean = means_of_drawn(np.array([0.1, 0.7]), np.array([3.0, 1.0]))
    >>> mean(np.array([1, 1])), mean(np.array([0, 1])) == weighted_mean(np.array([0.1, 0.7]), np.array([3.0, 1.0]))
    (0.7, True)
    """
    products, whole, power = _terms(values, weights)
    n = len(values)
    bits = 53 - n.bit_length()
    top, below = (_digits(x, bits) for x in (products, whole))

    def mean(drawn: NDArray[np.int64]) -> float | None:
        times = np.bincount(drawn, minlength=n).astype(np.float64)
        return _quotient(_joined(top @ times, bits), _joined(below @ times, bits), power)

    return mean


def _terms(values: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[list[int], list[int], int]:
    """Return w·v and w as integers, and the power of two of the quotient."""
    v, power = _integers(values)
    w, _ = _integers(weights)  # whose power of two is in both
    return [a * b for a, b in zip(v, w, strict=True)], w, power


def _quotient(top: int, total: int, power: int) -> float | None:
    if not total:
        return None
    return (top << power) / total if power >= 0 else top / (total << -power)


def _digits(x: list[int], bits: int) -> NDArray[np.float64]:
    """Return the digits of integers >= 0 in base 2^bits, a row for each place, the lowest first."""
    n, places = len(x), []
    while any(x):
        places.append([each & ((1 << bits) - 1) for each in x])
        x = [each >> bits for each in x]
    return np.array(places, np.float64).reshape(-1, n)


def _joined(sums: NDArray[np.float64], bits: int) -> int:
    return sum(int(each) << bits * place for place, each in enumerate(sums.tolist()))


def _integers(x: NDArray[np.float64]) -> tuple[list[int], int]:
    """Return integers q and an exponent e with x = q·2^e."""
    mantissa, exponent = np.frexp(x)
    least = int(exponent[mantissa != 0].min(initial=0))
    shifts = np.where(mantissa == 0, 0, exponent - least)
    whole = np.ldexp(mantissa, 53).astype(np.int64)
    return [q << s for q, s in zip(whole.tolist(), shifts.tolist(), strict=True)], least - 53


def in_units(weights: NDArray[np.float64]) -> tuple[NDArray[np.int64], int]:
    """Return round(w·2^s) and s, such that they sum to about 2^61, and to less than 2^62: the unit of the kernels.

    A first s brings the largest weight near 2^61; the sum in that unit tells by how much to lower it.
    """
    s = 62 - math.frexp(float(weights.max()))[1]
    rough = _scaled(weights, s)
    # The sum may need more than 64 bits, so halves are added.
    total = (int((rough >> 32).sum()) << 32) + int((rough & (2**32 - 1)).sum())
    s += 61 - total.bit_length()
    return _scaled(weights, s), s


def _scaled(weights: NDArray[np.float64], s: int) -> NDArray[np.int64]:
    return np.rint(np.ldexp(weights, s)).astype(np.int64)


def dot(a: NDArray[np.int64], b: NDArray[np.int64]) -> int:
    """Return Σ a·b of integers >= 0: in parts of 21 bits, whose products of 2^20 rows sum to less than 2^63.

    >>> import numpy as np
    >>> dot(np.array([2**62, 3]), np.array([2**62, 5])) == 2**124 + 15
    True
    """
    total = 0
    for start in range(0, len(a), 2**20):
        parts = [[(x[start : start + 2**20] >> shift) & 0x1FFFFF for shift in (0, 21, 42)] for x in (a, b)]
        for i, left in enumerate(parts[0]):
            for j, right in enumerate(parts[1]):
                total += int(np.dot(left, right)) << 21 * (i + j)
    return total


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
