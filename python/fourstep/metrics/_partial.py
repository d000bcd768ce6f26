"""Partial AUC: the area under one end of the ROC curve, on the scale of the whole.

    A = area between FPR 0 and f        from f²/2 (no better than chance) to f (perfect)
    partial AUC = ½·(1 + (A − f²/2)/(f − f²/2))

so that ½ is chance and 1 is perfect (McClish 1989). TPR >= t is the same question with the classes swapped and the
scores negated: the curve mirrored at the falling diagonal, with f = 1 − t.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from fourstep.metrics._counts import steps
from fourstep.metrics._inputs import Array, Rows, number


class Region(NamedTuple):
    """The part of the curve that counts: FPR <= `width`, or mirrored TPR >= 1 − `width`."""

    width: Fraction
    mirrored: bool
    name: str


def region(max_fpr: float | None, min_tpr: float | None) -> Region | None:
    """Check the arguments of `auc`; None is the whole curve."""
    if max_fpr is not None and min_tpr is not None:
        raise TypeError(f"max_fpr, min_tpr: got {max_fpr!r} and {min_tpr!r}, need one of them")
    if max_fpr is not None:
        f = _real("max_fpr", max_fpr)
        if not 0 < f <= 1:
            raise ValueError(f"max_fpr: got {max_fpr!r}, need more than 0 and at most 1")
        return None if f == 1 else Region(Fraction(f), False, f"auc at fpr <= {f:g}")
    if min_tpr is not None:
        t = _real("min_tpr", min_tpr)
        if not 0 <= t < 1:
            raise ValueError(f"min_tpr: got {min_tpr!r}, need at least 0 and less than 1")
        return None if t == 0 else Region(1 - Fraction(t), True, f"auc at tpr >= {t:g}")
    return None


def _real(name: str, value: float) -> float:
    if not number(value):
        raise TypeError(f"{name}: got {value!r}, need a number")
    return float(value)


def partial(rows: Rows, nan: str, part: Region) -> float:
    """Partial AUC of rows that have both classes."""
    found, _ = steps(rows, nan)
    positives, negatives = found.positives, found.negatives
    # Counts are below 2^63 (weights sum to less than 2^62), so differences have room for a sign.
    x, y = (counts.view(np.int64) for counts in found.corners())
    if part.mirrored:
        x, y = (positives - y)[::-1], (negatives - x)[::-1]
        positives, negatives = negatives, positives
    area = _twice_area(x, y, part.width * negatives) / (2 * positives * negatives)
    least = part.width**2 / 2
    return float((1 + (area - least) / (part.width - least)) / 2)


def _twice_area(x: Array, y: Array, limit: Fraction) -> Fraction:
    """Twice the area under the corners (x, y), from 0 to `limit`: exact."""
    last = int(np.searchsorted(x, int(limit), side="right")) - 1
    widths, heights = np.diff(x[: last + 1]), y[:last] + y[1 : last + 1]
    if 2 * int(x[-1]) * int(y[-1]) < 2**63:  # no sum of products is larger than this
        twice = Fraction(int(widths @ heights))
    else:
        twice = Fraction(sum(w * h for w, h in zip(widths.tolist(), heights.tolist(), strict=True)))
    rest = limit - int(x[last])
    if rest:
        here, there = int(y[last]), int(y[last + 1])
        slope = Fraction(there - here, int(x[last + 1]) - int(x[last]))
        twice += rest * (2 * here + slope * rest)
    return twice
