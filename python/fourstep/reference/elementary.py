"""exp, log, log1p, softplus and the logistic function by + − × ÷ alone: the twin of the compiled ones, bit for bit.

NumPy's own bits depend on the machine (it has a different exp for AVX-512). These do not: float64 arrays in, float64
out, the same operations in the same order as ``rust/core/src/elementary.rs``, which explains them.

>>> import numpy as np
>>> float(exp(np.array(1.0)) - np.e)
0.0
>>> sigmoid(np.array([-800.0, 0.0, 800.0]))
array([0. , 0.5, 1. ])
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

_LN2_HIGH = float.fromhex("0x1.62e42feep-1")
_LN2_LOW = 1.9082149292705877e-10
_LOG2_E = 1.4426950408889634
_ROOT_HALF_BITS = np.uint64(0x3FE6A09E667F3BCD)
_ONE_BITS = np.uint64(1023 << 52)
_SIGNIFICAND = np.uint64((1 << 52) - 1)
_52 = np.uint64(52)

_EXP_SERIES = [1.0 / math.factorial(n) for n in range(13, 1, -1)]
_LN_SERIES = [2.0 / n for n in range(21, 1, -2)]


def _polynomial(x: Array, coefficients: list[float]) -> Array:
    value = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        value = value * x + c
    return value


def exp(x: Array) -> Array:
    """e^x = 2^k · e^r with k = round(x / ln 2) and the Taylor series of e^r."""
    value, power = exp_in_two(x)
    with np.errstate(all="ignore"):
        return value * power


def exp_in_two(x: Array) -> tuple[Array, Array]:
    """e^x = value · power: a multiple of e^x keeps its digits where e^x is subnormal, if the power comes last."""
    with np.errstate(all="ignore"):
        x = np.where(x > 710.0, 710.0, np.asarray(x, np.float64))
        r, rest, half, other = _reduced(np.where(x < -760.0, -760.0, x))
        one = 1.0 + r
        lost = r - (one - 1.0)
        e_r = one + (lost + (r * r * _polynomial(r, _EXP_SERIES) + rest))
        return np.ldexp(e_r, half), np.ldexp(1.0, other)


def expm1_below_0(x: Array) -> Array:
    """e^x − 1 = 2^k(e^r − 1) + (2^k − 1) for x <= 0."""
    with np.errstate(all="ignore"):
        x = np.asarray(x, np.float64)
        r, rest, half, other = _reduced(np.where(x < -746.0, -746.0, np.where(x > 0.0, 0.0, x)))
        power = np.ldexp(np.ldexp(1.0, half), other)
        result: Array = (r + (r * r * _polynomial(r, _EXP_SERIES) + rest)) * power + (power - 1.0)
    return result


def _reduced(x: Array) -> tuple[Array, Array, NDArray[np.int32], NDArray[np.int32]]:
    """x = k·ln 2 + r + rest with |r| <= ½ ln 2; k in two halves, as 2^k may be subnormal."""
    k = np.rint(x * _LOG2_E)
    high, low = x - k * _LN2_HIGH, k * _LN2_LOW
    r = high - low
    whole = np.where(np.isnan(k), 0.0, k).astype(np.int32)
    half = whole >> 1
    return r, (high - r) - low, half, whole - half


def _ln_plus(u: Array, c: Array | float) -> Array:
    """ln u + c = e · ln 2 + 2 artanh((m − 1)/(m + 1)) + c with u = 2^e · m and m in [√½, √2)."""
    subnormal = u < np.finfo(np.float64).tiny
    u = np.where(subnormal, u * 2.0**54, u)
    bits = u.view(np.uint64) + (_ONE_BITS - _ROOT_HALF_BITS)
    m = ((bits & _SIGNIFICAND) + _ROOT_HALF_BITS).view(np.float64)
    e = (bits >> _52).astype(np.float64) - np.where(subnormal, 1077.0, 1023.0)
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    tail = z * _polynomial(z, _LN_SERIES)
    h = 0.5 * f * f
    return e * _LN2_HIGH - ((h - (s * (h + tail) + (e * _LN2_LOW + c))) - f)


def log(x: Array) -> Array:
    """Ln x; −inf at 0, NaN below."""
    x = np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        y = np.where(x == np.inf, x, _ln_plus(x, 0.0))
    y = np.where(x == 0.0, -np.inf, y)
    return np.where(x >= 0.0, y, np.nan)


def log1p(x: Array) -> Array:
    """Ln(1 + x) = ln u + c/u with u = 1 + x rounded and c = (1 + x) − u exactly."""
    x = np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        u = 1.0 + x
        c = np.where(x < 1.0, x - (u - 1.0), 1.0 - (u - x))
        y = np.where(x == np.inf, x, _ln_plus(u, c / u))
    y = np.where(x == -1.0, -np.inf, y)
    y = np.where(x == 0.0, x, y)
    return np.where(x >= -1.0, y, np.nan)


def softplus(x: Array) -> Array:
    """Ln(1 + e^x) = max(x, 0) + ln(1 + e^−|x|)."""
    return np.where(x > 0.0, x, 0.0) + log1p(exp(-np.abs(x)))


def sigmoid(x: Array) -> Array:
    """σ(x) = 1/(1 + e^−x) where x >= 0, e^x/(1 + e^x) elsewhere."""
    e = exp(-np.abs(x))
    return np.where(x >= 0.0, 1.0, e) / (1.0 + e)
