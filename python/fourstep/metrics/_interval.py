"""Intervals: how far an AUC would be from the one measured, with other rows of the same kind (DeLong et al. 1988).

    var AUC        = S(v₊/2N)/P + S(v₋/2P)/N             v: placements, in halves; S: variance with n − 1
    cov(a, b)      = the same with the covariances of the placements by a and by b
    "delong"         AUC ± z·se, cut to [0, 1]
    "logit"          σ(λ ± z·se/(AUC·(1 − AUC))),        λ = ln(AUC/(1 − AUC))

Sums of placements are integers (Rust), and variances are fractions of them: exact up to the root.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from fourstep import _core, exact_math
from fourstep._runtime import execution
from fourstep.metrics._inputs import choice, number

if TYPE_CHECKING:
    from fourstep.metrics._counts import Steps

CiMethod: TypeAlias = Literal["delong", "logit"]
#: Of an AUC, its standard error and a level.
IntervalOf: TypeAlias = Callable[[float, float, float], tuple[float, float]]


def level(ci: float) -> float:
    """Check the level of an interval."""
    if not number(ci):
        raise TypeError(f"ci: got {ci!r}, need a level such as 0.95")
    if not 0 < ci < 1 or 1 + ci == 2:
        raise ValueError(f"ci: got {ci!r}, need a level between 0 and 1, such as 0.95")
    return float(ci)


def method(name: str) -> IntervalOf:
    """Return what makes an interval."""
    choice("ci_method", name, ("delong", "logit"))
    return _plain if name == "delong" else _logit


def covariance(v_a: int, v_b: int, positives: int, negatives: int, products: tuple[int, int]) -> Fraction:
    """Return the covariance of two AUCs of the same rows; of one with itself, its variance.

    `v_a`, `v_b` are the sums of placements, `products` those of their products over positives and over negatives.
    There must be two rows of each class.
    """
    p, n = positives, negatives
    of_positives = (products[0] - Fraction(v_a * v_b, p)) / ((p - 1) * p * 4 * n * n)
    of_negatives = (products[1] - Fraction(v_a * v_b, n)) / ((n - 1) * n * 4 * p * p)
    return of_positives + of_negatives


def spread(found: Steps, *, of_negatives: bool) -> Fraction:
    """Return the variance of the share of the other class that a row of one class wins against; of two rows at least."""
    assert found.sums is not None, "there are no weights"
    won, *squares, _ = found.sums
    rows, others = (found.positives, found.negatives)[:: -1 if of_negatives else 1]
    return (squares[of_negatives] - Fraction(won * won, rows)) / ((rows - 1) * 4 * others * others)


def standard_error(found: Steps) -> float | None:
    """Return that of AUC; None where a class has a single row."""
    p, n = found.positives, found.negatives
    if min(p, n) < 2:
        return None
    return root(spread(found, of_negatives=False) / p + spread(found, of_negatives=True) / n)


def root(variance: Fraction) -> float:
    """Return the standard error."""
    return math.sqrt(variance)


def quantile(level: float) -> float:
    """Return z, within which a normal number is with this probability."""
    return NormalDist().inv_cdf((1 + level) / 2)


def _plain(auc: float, se: float, level: float) -> tuple[float, float]:
    reach = quantile(level) * se
    return max(0.0, auc - reach), min(1.0, auc + reach)


def _logit(auc: float, se: float, level: float) -> tuple[float, float]:
    if not 0 < auc < 1:
        return auc, auc
    middle, reach = exact_math.log(auc / (1 - auc)), quantile(level) * se / (auc * (1 - auc))
    ends = np.empty(2)
    _core.elementary("sigmoid", np.array([middle - reach, middle + reach]), ends, execution())
    return float(ends[0]), float(ends[1])
