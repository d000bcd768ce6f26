"""ELU, SiLU, GELU and the slopes of what is made of e^x: the twin of the compiled ones, bit for bit.

float64 arrays in, float64 out, the same operations in the same order as ``rust/core/src/activations.rs``, which explains
them. GELU has a second, shorter form (``narrow=True``) for what was float32 and will be rounded to it.

>>> import numpy as np
>>> gelu(np.array([-1.0, 0.0, 1.0])).round(6)
array([-0.158655,  0.      ,  0.841345])
>>> dsilu(np.array([0.0]))
array([0.5])
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from fourstep.reference.elementary import _polynomial, exp, exp_in_two, expm1_below_0

Array: TypeAlias = NDArray[np.float64]

_TAIL_EVEN = [
    5.218861371318032e-11,
    -6.1348430372829e-10,
    4.675037336223615e-09,
    -3.748883218493272e-08,
    3.980005484940432e-07,
    -5.284882109247229e-06,
    7.098738471467706e-05,
    -0.0005966603252398049,
    -0.010163239351450195,
    -0.026933149443486584,
    0.01977790275297515,
    0.47230062107353654,
]
_TAIL_ODD = [
    1.6744865475199252e-10,
    -2.3940683791163312e-09,
    2.265330693263356e-08,
    -1.9346321412494853e-07,
    1.5367094414051357e-06,
    -8.291143284313024e-06,
    -7.875296623475581e-05,
    0.003444746144176749,
    0.020125305716086204,
    0.01786617396284666,
    -0.08689900355210652,
]
_NARROW_EVEN = [
    -1.865896652982038e-07,
    6.373213635336248e-06,
    -0.0001929531574723353,
    0.004040604612419793,
    0.08425477732799747,
    0.4504375876327011,
    0.978449992575887,
]
_NARROW_ODD = [
    -2.083764370557887e-06,
    3.226545980206082e-05,
    -3.4100565584458073e-06,
    -0.02368496791624286,
    -0.22022377268411175,
    -0.7391218354553597,
]
_FAR, _NARROW_END, _NARROW_FAR = 39.0, 14.5, 14.6
_DENSITY = 0.3989422804014327
_TANH_SCALE, _TANH_CUBE, _TANH_FAR = 1.5957691216057308, 0.044715, 40.0
_SIGMOID_FAR = 800.0


def dsigmoid(x: Array) -> Array:
    """σ′(x) = e/(1 + e)² with e = e^−|x|."""
    return _times_slope(1.0, x)


def dtanh(x: Array) -> Array:
    """tanh′(x) = 4σ′(2x)."""
    with np.errstate(over="ignore"):
        return _times_slope(4.0, 2.0 * np.asarray(x, np.float64))


def elu(x: Array) -> Array:
    """X above 0, e^x − 1 below: α = 1."""
    x = np.asarray(x, np.float64)
    return np.where(x >= 0.0, x, expm1_below_0(x))


def silu(x: Array) -> Array:
    """x·σ(x)."""
    return _times_sigmoid(np.maximum(x, -_SIGMOID_FAR), x)


def dsilu(x: Array) -> Array:
    """σ(x) + xσ′(x)."""
    value, slope = _sigmoid_and_slope(x)
    return value + np.clip(x, -_SIGMOID_FAR, _SIGMOID_FAR) * slope


def gelu(x: Array, *, narrow: bool = False) -> Array:
    """x·Φ(x)."""
    far = _NARROW_FAR if narrow else _FAR
    ratio, bell = _tail(x, narrow)
    below = np.clip(x, -far, far) * ratio * bell
    return np.where(x <= 0.0, below, x - below)


def dgelu(x: Array, *, narrow: bool = False) -> Array:
    """Φ(x) + xφ(x)."""
    far = _NARROW_FAR if narrow else _FAR
    ratio, bell = _tail(x, narrow)
    below = ratio * bell
    phi = np.where(x <= 0.0, below, 1.0 - below)
    return phi + np.clip(x, -far, far) * (_DENSITY * bell)


def gelu_tanh(x: Array) -> Array:
    """x·σ(u) with u = 2√(2/π)(x + 0.044715x³)."""
    near = np.clip(x, -_TANH_FAR, _TANH_FAR)
    logit = _TANH_SCALE * near * (1.0 + _TANH_CUBE * near * near)
    return _times_sigmoid(np.maximum(x, -_TANH_FAR), logit)


def dgelu_tanh(x: Array) -> Array:
    """σ(u) + xσ′(u)u′."""
    near = np.clip(x, -_TANH_FAR, _TANH_FAR)
    square = _TANH_CUBE * near * near
    value, slope = _sigmoid_and_slope(_TANH_SCALE * near * (1.0 + square))
    return value + near * slope * (_TANH_SCALE * (1.0 + 3.0 * square))


def _times_slope(c: float, x: Array) -> Array:
    """c·σ′(x)."""
    value, power = exp_in_two(-np.abs(x))
    one = 1.0 + value * power
    return c * value / (one * one) * power


def _times_sigmoid(x: Array, u: Array) -> Array:
    """x·σ(u) for an x with the sign of u: on the left x·e^u comes first."""
    value, power = exp_in_two(-np.abs(u))
    one = 1.0 + value * power
    right = u >= 0.0
    return np.where(right, x, x * value) / one * np.where(right, 1.0, power)


def _sigmoid_and_slope(x: Array) -> tuple[Array, Array]:
    """σ and σ′ by one division."""
    e = exp(-np.abs(x))
    above = 1.0 / (1.0 + e)
    below = e * above
    return np.where(x >= 0.0, above, below), above * below


def _tail(x: Array, narrow: bool) -> tuple[Array, Array]:
    """Φ(−|x|)/e^(−x²/2) = P(t)/(|x| + 1), and e^(−x²/2)."""
    far = _NARROW_FAR if narrow else _FAR
    size = np.minimum(np.abs(np.asarray(x, np.float64)), far)
    t = ((1.0 + 10.0 / (_NARROW_END if narrow else _FAR)) * size - 5.0) / (size + 5.0)
    if narrow:
        return _halves(t, _NARROW_EVEN, _NARROW_ODD) / (size + 5.0), exp(-0.5 * size * size)
    return _halves(t, _TAIL_EVEN, _TAIL_ODD) / (size + 1.0), _bell(size)


def _bell(x: Array) -> Array:
    """e^(−x²/2), by the exact square of x rounded to float32 and a series for the rest."""
    head = x.astype(np.float32).astype(np.float64)
    rest = -0.5 * ((x - head) * (x + head))
    return exp(-0.5 * head * head) * (1.0 + rest * (1.0 + rest * (0.5 + rest * (1.0 / 6.0))))


def _halves(t: Array, even: list[float], odd: list[float]) -> Array:
    """E(t²) + t·O(t²)."""
    z = t * t
    return _polynomial(z, even) + t * _polynomial(z, odd)
