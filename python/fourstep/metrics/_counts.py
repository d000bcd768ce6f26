"""What every threshold counts: tp and fp at each distinct score, from the top down. The curves are quotients of these.

Without weights they are numbers of rows. With weights each class has its own unit, a power of two, in which its weights
are integers: rates (tp/P, fp/N) need no common unit, and what mixes the classes (precision, gain) shifts one of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from operator import index
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.metrics._inputs import Array, Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Exact = TypeVar("_Exact", int, Fraction)
_EPS = float(np.finfo(np.float64).eps)


class Counts(NamedTuple):
    """Weight at or above each distinct score, falling; tp·2^shift is in the unit of fp."""

    thresholds: Array
    tp: NDArray[np.uint64]
    fp: NDArray[np.uint64]
    positives: int
    negatives: int
    shift: int

    def common(self) -> tuple[NDArray[np.float64], NDArray[np.float64], float, float]:
        """Return tp, fp, positives and negatives in one unit, each rounded once; without weights as they are."""
        up, down = min(self.shift, 0), -max(self.shift, 0)
        tp, fp = self.tp.astype(np.float64), self.fp.astype(np.float64)
        return (
            np.ldexp(tp, up),
            np.ldexp(fp, down),
            math.ldexp(self.positives, up),
            math.ldexp(self.negatives, down),
        )

    def weight(self, point: int) -> int:
        """Return the weight at or above a point, of both classes in one unit: exact. Above all points it is 0."""
        if point < 0:
            return 0
        return (int(self.tp[point]) << max(self.shift, 0)) + (int(self.fp[point]) << max(-self.shift, 0))


def count(rows: Rows, *, corners: bool = False) -> Counts:
    """Count at each distinct score; with `corners` only where the ROC curve bends. NaN scores are an error."""
    y, score, weight = rows
    thresholds, tp, fp, positives, negatives = _core.metrics_roc(y, score, weight, corners, execution())
    shift = 0
    if weight is not None:
        shift = _unit(negatives, weight[y == 0]) - _unit(positives, weight[y == 1])
        lost = int(
            np.count_nonzero((tp == 0) & (fp == 0))
        )  # weights below 2^-62 of the sum are integers of 0
        thresholds, tp, fp = thresholds[lost:], tp[lost:], fp[lost:]
    return Counts(thresholds, tp, fp, positives, negatives, shift)


def _unit(total: int, weights: NDArray[np.float64]) -> int:
    """Return s of the unit 2^-s in which the weights of a class sum to `total`."""
    if total == 0:
        return 0
    top = int(np.frexp(weights.max())[1])
    return round(math.log2(total / float(np.ldexp(weights, -top).sum()))) - top


def first_largest(
    value: NDArray[np.float64], error: NDArray[np.float64], exact: Callable[[int], _Exact]
) -> int:
    """Return the first index of the largest exact value, from floats that are off by at most `error`."""
    near = np.flatnonzero(value + error >= np.max(value - error))
    return max(map(int, near), key=exact)


def product_error(*sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bound the rounding of a short formula whose terms have these sizes."""
    return np.asarray(8 * _EPS * np.sum(sizes, axis=0))


def number_of_bins(bins: int) -> int:
    """Refuse what is no number of bins."""
    try:
        n = index(bins)
    except TypeError:
        raise TypeError(f"bins: got {bins!r}, need a whole number") from None
    if not 1 <= n <= 1_000_000:
        raise ValueError(f"bins: got {n}, need 1 to 1000000")
    return n


def edges(counts: Counts, bins: int) -> Array:
    """Return the lowest value of each bin but the first, of bins of equal weight; equal values are in one bin.

    A value belongs where the middle of its rank falls: bin k has the values with
    k/bins <= (weight below + half of its own)/all < (k + 1)/bins. So n different values, n a multiple of `bins`, make
    bins of exactly n/bins; a value of much weight leaves fewer bins.
    """
    distinct = len(counts.thresholds)
    all_of_it = counts.weight(distinct - 1)

    def twice_the_middle(i: int) -> int:
        """Return it for the i-th value from below."""
        point = distinct - 1 - i
        return 2 * all_of_it - counts.weight(point - 1) - counts.weight(point)

    def start(k: int) -> int:
        return _first(distinct, lambda i: twice_the_middle(i) * bins >= 2 * k * all_of_it)

    starts = sorted({start(k) for k in range(1, bins)} - {0, distinct})
    return counts.thresholds[[distinct - 1 - i for i in starts]]


def _first(n: int, holds: Callable[[int], bool]) -> int:
    """Return the first of 0..n-1 for which it holds, n if for none; once it holds, it holds for all above."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
