"""What every threshold counts: tp and fp at each distinct score, from the top down. The curves are quotients of these.

    counts      at each distinct score                              what draws a curve
    steps       at each distinct score of a positive                what needs the curve's area, corners or best point
    order       both classes sorted, and the steps                  what needs ranks of all rows too: bins, buckets

Without weights they are numbers of rows. With weights each class has its own unit, a power of two, in which its weights
are integers: rates (tp/P, fp/N) need no common unit, and what mixes the classes (precision, gain) shifts one of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import reduce
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.metrics._inputs import Array, Rows, whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Exact = TypeVar("_Exact", int, Fraction)
#: How many are below a value, and how many up to it.
SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")
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
            np.ldexp(tp, up) if up else tp,
            np.ldexp(fp, down) if down else fp,
            math.ldexp(self.positives, up),
            math.ldexp(self.negatives, down),
        )

    def weight(self, point: int) -> int:
        """Return the weight at or above a point, of both classes in one unit: exact. Above all points it is 0."""
        if point < 0:
            return 0
        return (int(self.tp[point]) << max(self.shift, 0)) + (int(self.fp[point]) << max(-self.shift, 0))


class Steps(NamedTuple):
    """Weight at and above each distinct score of a positive, falling; between two of them only negatives come.

    ``above`` is the negatives' weight above the score, ``fp`` with those that equal it; units as in `Counts`. Without
    weights ``sums`` has those of placements and their squares, and the tied pairs.
    """

    thresholds: Array
    tp: NDArray[np.uint64]
    above: NDArray[np.uint64]
    fp: NDArray[np.uint64]
    positives: int
    negatives: int
    shift: int
    sums: tuple[int, int, int, int] | None

    def counts(self) -> Counts:
        """Return the points at the scores of positives alone."""
        return Counts(self.thresholds, self.tp, self.fp, self.positives, self.negatives, self.shift)

    def corners(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Return (fp, tp) from (0, 0) to (N, P) where the ROC curve may bend."""
        fp, tp = np.zeros((2, 2 * len(self.tp) + 2), np.uint64)
        fp[1:-1:2], fp[2::2] = self.above, self.fp
        tp[2::2], tp[3:-1:2] = self.tp, self.tp[:-1]
        fp[-1], tp[-1] = self.negatives, self.positives
        return fp, tp


class Order(NamedTuple):
    """All scores, rising, and the steps: one sort for many questions. No weights, no NaN."""

    scores: Array
    steps: Steps

    def below(self, values: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Count the rows below each of some rising values, and the positives among them."""
        rows = np.searchsorted(self.scores, values, side="left")
        tp = np.concatenate([np.zeros(1, np.uint64), self.steps.tp])
        above = len(self.steps.tp) - np.searchsorted(self.steps.thresholds[::-1], values, side="left")
        return rows, self.steps.positives - tp[above].astype(np.intp)


def count(rows: Rows, *, corners: bool = False) -> Counts:
    """Count at each distinct score; with `corners` only where the ROC curve bends. NaN scores are an error."""
    y, score, weight = rows
    thresholds, tp, fp, positives, negatives = _core.metrics_roc(y, score, weight, corners, execution())
    # Weights below 2^-62 of the sum are integers of 0.
    lost = 0 if weight is None else int(np.count_nonzero((tp == 0) & (fp == 0)))
    shift = _shift(rows, positives, negatives)
    return Counts(thresholds[lost:], tp[lost:], fp[lost:], positives, negatives, shift)


def steps(rows: Rows, nan: str = "raise") -> tuple[Steps, dict[str, int]]:
    """Count at each distinct score of a positive; and who was left out."""
    *columns, positives, negatives, left, sums = _core.metrics_steps(*rows, nan, execution())
    lost = 0 if rows.weight is None else int(np.count_nonzero(columns[1] == 0))
    thresholds, tp, above, fp = (column[lost:] for column in columns)
    shift = _shift(_there(rows) if nan == "drop" else rows, positives, negatives)
    found = Steps(thresholds, tp, above, fp, positives, negatives, shift, sums)
    return found, {"nan": left[0], "weight_zero": left[1]}


def _there(rows: Rows) -> Rows:
    """Return the rows of weights whose score is a number: the unit of a class is that of those that count."""
    if rows.weight is None or rows.score.dtype.kind != "f":
        return rows
    there = ~np.isnan(rows.score)
    return Rows(rows.y[there], rows.score[there], rows.weight[there])


def order(rows: Rows) -> Order:
    """Sort all rows; they have no weights, and NaN scores are an error."""
    scores, found = _core.metrics_order(rows.y, rows.score, execution())
    return Order(scores, Steps(*found[:6], shift=0, sums=found[7]))


def _shift(rows: Rows, positives: int, negatives: int) -> int:
    if rows.weight is None:
        return 0
    return _unit(negatives, rows.weight[rows.y == 0]) - _unit(positives, rows.weight[rows.y == 1])


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
    return np.asarray(8 * _EPS * reduce(np.add, sizes))


def number_of_bins(bins: int) -> int:
    """Refuse what is no number of bins."""
    return whole("bins", bins, 1, 1_000_000)


def edges(counts: Counts, bins: int) -> Array:
    """Return the lowest value of each bin but the first, of bins of equal weight; equal values are in one bin.

    A value belongs where the middle of its rank falls: bin k has the values with
    k/bins <= (weight below + half of its own)/all < (k + 1)/bins. So n different values, n a multiple of `bins`, make
    bins of exactly n/bins; a value of much weight leaves fewer bins.
    """
    last = len(counts.thresholds) - 1
    all_of_it = counts.weight(last)

    def twice_the_middle(i: int) -> int:
        point = last - i  # they fall
        return 2 * all_of_it - counts.weight(point - 1) - counts.weight(point)

    return _edges(counts.thresholds[::-1], twice_the_middle, all_of_it, bins)


def edges_of_order(ordered: Order, bins: int) -> Array:
    """Return the edges of `edges` from sorted scores."""
    scores = ordered.scores

    def twice_the_middle(i: int) -> int:
        return sum(int(np.searchsorted(scores, scores[i], side)) for side in SIDES)

    return _edges(scores, twice_the_middle, len(scores), bins)


def _edges(values: Array, twice_the_middle: Callable[[int], int], all_of_it: int, bins: int) -> Array:
    """Return the edges among rising values, from twice the middle of the rank of the i-th."""

    def start(k: int) -> int:
        """Return the first value whose middle is at or above k/bins."""
        return _first(len(values), lambda i: twice_the_middle(i) * bins >= 2 * k * all_of_it)

    starts = {values[i] for i in map(start, range(1, bins)) if i < len(values)}
    return np.array(sorted(starts - {values[0]}), values.dtype)


def _first(n: int, holds: Callable[[int], bool]) -> int:
    """Return the first of 0..n-1 for which it holds, n if for none; once it holds, it holds for all above."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
