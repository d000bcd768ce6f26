"""The standard normal distribution, for GELU: NumPy has no error function.

    φ(x) = e^(−x²/2)/√(2π)
    Φ(x) = e^(−x²/2)·R(−x)  for x <= 0,    1 − Φ(−x) above

R(x) = e^(x²/2)·Φ(−x) falls slowly, about like 1/x, and (1 + 2x)·R(x) is smooth in t = (x − 5)/(x + 5), which maps
[0, ∞) to [−1, 1). The coefficients are those of its Chebyshev series, taken from its values at 60 Chebyshev points in
40 digits; the first one left out is below 1e-17. So the far tail keeps its digits as well.

What will be rounded to float32 needs half as many digits: a series of 15 terms over [0, 14.5], beyond which Φ(−x) is 0
there. It is written as a polynomial, in t = A − B/(x + 5), which maps that range to [−1, 1]. Its error is below 1e-12.
"""

from __future__ import annotations

import math
from collections.abc import Callable

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

#: The same of fewer terms, as powers of t, the highest first; and where float32 has no more digits of Φ.
_POWERS = (
    9.868415651171534e-08,
    -2.718028588375547e-09,
    -1.8788618395230874e-06,
    2.05687962782103e-06,
    2.7538025119336484e-05,
    -0.00010058781089599769,
    -0.00017024830386776918,
    0.0027008350576448407,
    -0.012338418782279802,
    0.03579827340505679,
    -0.07414368924425875,
    0.1100214030733326,
    -0.10310886334515697,
    0.012341399984975266,
    0.8504988396998807,
)
_NARROW_FAR = 14.5
_A, _B = 49 / 29, 390 / 29
_BLOCK = 16384


def by_blocks(f: Callable[[Array], Array], x: Array) -> Array:
    """Return f of each element in the dtype of x, a block in float64 at a time: what lies between stays in cache."""
    flat = np.ascontiguousarray(x).reshape(-1)
    y = np.empty_like(flat)
    for start in range(0, flat.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        y[part] = f(flat[part].astype(np.float64))
    return y.reshape(x.shape)


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
    """Return Φ of float64 numbers."""
    size = np.minimum(np.abs(x), FAR)
    return _from_tail(x, bell(size) * _series((size - _MIDDLE) / (size + _MIDDLE)) / (1 + 2 * size))


def narrow_distribution(x: Array) -> Array:
    """Return Φ of float32 numbers in float64, to 12 digits: their squares are exact, so one exponential does."""
    size = np.abs(x)
    np.minimum(size, _NARROW_FAR, out=size)
    tail = _polynomial(_A - _B / (size + 5))
    tail *= elementary("exp", -0.5 * size * size)
    size *= 2
    size += 1
    tail /= size
    return _from_tail(x, tail)


def _from_tail(x: Array, tail: Array) -> Array:
    """Return Φ(x) from Φ(−|x|)."""
    return np.asarray(np.where(x <= 0, tail, 1 - tail))


def _polynomial(t: Array) -> Array:
    """Return Σ a_n·t^n by Horner's rule, in one array."""
    y = t * _POWERS[0]
    for a in _POWERS[1:-1]:
        y += a
        y *= t
    y += _POWERS[-1]
    return y


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
