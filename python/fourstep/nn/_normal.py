"""The standard normal distribution, for GELU: NumPy has no error function.

    φ(x) = e^(−x²/2)/√(2π)
    Φ(x) = e^(−x²/2)·R(−x)  for x <= 0,    1 − Φ(−x) above

R(x) = e^(x²/2)·Φ(−x) falls slowly, about like 1/x, and (1 + 2x)·R(x) is smooth in t = (x − 5)/(x + 5), which maps
[0, ∞) to [−1, 1). The coefficients are those of its Chebyshev series, taken from its values at 60 Chebyshev points in
40 digits; the first one left out is below 1e-17. So the far tail keeps its digits as well.
"""

from __future__ import annotations

import math

import numpy as np

from fourstep.nn._elementary import elementary
from fourstep.nn.module import Array

_MIDDLE = 5.0
_SERIES = (
    0.7681926193803801,
    0.08965860286732752,
    -0.09716796458748396,
    0.05286673510283755,
    -0.020644868408320347,
    0.00618617186370881,
    -0.0014177562191435087,
    0.00023214934246683033,
    -2.0421856389885825e-05,
    -1.3227167712039977e-06,
    6.83530392723164e-07,
    -5.877541016894433e-08,
    -1.155388670769958e-08,
    2.81043182735621e-09,
    1.1456473507904821e-10,
    -9.628683998568975e-11,
    1.4612590097237543e-12,
    3.2407908943954395e-12,
    -1.4807141411029586e-13,
    -1.168690684173421e-13,
    6.543133814810702e-15,
    4.615225242833406e-15,
    -2.0914359662913348e-16,
    -1.9676170123032256e-16,
)
#: Beyond it e^(−x²/2) is 0 in float64.
FAR = 39.0
_BLOCK = 4096


def bell(x: Array) -> Array:
    """Return e^(−x²/2) of float64 numbers.

    The square of x rounded to float32 is exact, and the rest of the exponent is small: no digit is lost far out.
    """
    near = np.clip(x, -FAR, FAR)
    head = near.astype(np.float32).astype(np.float64)
    tail = (near - head) * (near + head)
    return np.asarray(elementary("exp", -0.5 * head * head) * elementary("exp", -0.5 * tail))


def density(x: Array) -> Array:
    """Return φ of float64 numbers."""
    return bell(x) / math.sqrt(2 * math.pi)


def distribution(x: Array) -> Array:
    """Return Φ of float64 numbers, a block at a time: what lies between stays in cache."""
    flat = np.ascontiguousarray(x).reshape(-1)
    y = np.empty_like(flat)
    for start in range(0, flat.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        y[part] = _distribution(flat[part])
    return y.reshape(x.shape)


def _distribution(x: Array) -> Array:
    size = np.minimum(np.abs(x), FAR)
    below = bell(size) * _series((size - _MIDDLE) / (size + _MIDDLE)) / (1 + 2 * size)
    return np.asarray(np.where(x <= 0, below, 1 - below))


def _series(t: Array) -> Array:
    """Return Σ c_n·T_n(t) by Clenshaw's recurrence, b_n = c_n + 2t·b_{n+1} − b_{n+2}, in three arrays."""
    double = 2 * t
    after, here, before = np.zeros_like(t), np.full_like(t, _SERIES[-1]), np.empty_like(t)
    for c in _SERIES[-2:0:-1]:
        np.subtract(c, after, out=before)
        np.multiply(double, here, out=after)
        before += after
        after, here, before = here, before, after
    return np.asarray((_SERIES[0] - after) + t * here)
