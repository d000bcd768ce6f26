"""Student's t: means of a few seeds have wider intervals than the normal distribution would give them.

P(|T| < t) with ν degrees of freedom, θ = arctan(t/√ν) (Abramowitz and Stegun 26.7.3, 26.7.4):

    ν even   sin θ · [1 + ½·cos²θ + (1·3)/(2·4)·cos⁴θ + … ]                 ν/2 terms
    ν odd    2/π · {θ + sin θ · [cos θ + ⅔·cos³θ + (2·4)/(3·5)·cos⁵θ + …]}    (ν − 1)/2 terms
"""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["interval", "quantile", "within"]


def within(t: float, freedom: int) -> float:
    """Return P(|T| < t), for t >= 0.

    Examples
    --------
    >>> within(1.0, 1), round(within(2.7764451051977987, 4), 12)
    (0.5, 0.95)
    """
    angle = math.atan(t / math.sqrt(freedom))
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for k in range(freedom // 2):
        total += term
        term *= math.cos(angle) ** 2 * ((2 * k + 2) / (2 * k + 3) if odd else (2 * k + 1) / (2 * k + 2))
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total


def quantile(level: float, freedom: int) -> float:
    """Return the t with P(|T| < t) = level, by bisection of its angle.

    Examples
    --------
    >>> round(quantile(0.95, 4), 6), round(quantile(0.95, 1000), 2)
    (2.776445, 1.96)
    """
    low, high = 0.0, math.pi / 2
    for _ in range(200):
        middle = (low + high) / 2
        if within(math.sqrt(freedom) * math.tan(middle), freedom) < level:
            low = middle
        else:
            high = middle
    return math.sqrt(freedom) * math.tan((low + high) / 2)


def interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float | None]:
    """Return the mean, and half of its interval: t·s/√n; None for a single value.

    Examples
    --------
    >>> mean, half = interval([1.0, 2.0, 3.0])
    >>> mean, round(half, 3)
    (2.0, 2.484)
    """
    n = len(values)
    mean = math.fsum(values) / n
    if n < 2:
        return mean, None
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    return mean, quantile(level, n - 1) * spread / math.sqrt(n)
