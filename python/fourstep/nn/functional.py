"""Activations and their derivatives as plain functions.

Each takes a float32 or float64 array (anything else becomes float64) and an ``out=`` array. None of them overflows, at
any finite or infinite input; NaN stays NaN. The exponential is NumPy's: the same bits on one machine with one NumPy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fourstep.nn.module import Array


def sigmoid(x: ArrayLike, out: Array | None = None) -> Array:
    """Return 1/(1 + e^−x).

    With e = e^−|x|, which lies in [0, 1], it is 1/(1 + e) for x >= 0 and e/(1 + e) below: small values keep all digits.

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.sigmoid([-1000.0, -40.0, 0.0, 40.0]).tolist()
    [0.0, 4.248354255291589e-18, 0.5, 1.0]
    """
    x, e = _exp_minus_abs(x)
    return np.asarray(np.divide(np.where(x < 0, e, e.dtype.type(1)), 1 + e, out=out))


def dsigmoid(x: ArrayLike, out: Array | None = None) -> Array:
    """Return the derivative of `sigmoid`, e/(1 + e)² with e = e^−|x|: at most ¼ (A3).

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.dsigmoid([0.0, 40.0]).tolist()
    [0.25, 4.248354255291589e-18]
    """
    _, e = _exp_minus_abs(x)
    one = 1 + e
    return np.asarray(np.divide(e, one * one, out=out))


def tanh(x: ArrayLike, out: Array | None = None) -> Array:
    """Return (e^x − e^−x)/(e^x + e^−x)."""
    return np.asarray(np.tanh(_floats(x), out=out))


def dtanh(x: ArrayLike, out: Array | None = None) -> Array:
    """Return the derivative of `tanh`, 4e/(1 + e)² with e = e^−2|x|: at most 1.

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.dtanh([0.0, 20.0]).tolist()
    [1.0, 1.6993417021166355e-17]
    """
    return np.asarray(np.multiply(dsigmoid(2 * _floats(x)), 4, out=out))


def relu(x: ArrayLike, out: Array | None = None) -> Array:
    """Return max(x, 0)."""
    return np.asarray(np.maximum(_floats(x), 0, out=out))


def drelu(x: ArrayLike, out: Array | None = None) -> Array:
    """Return the derivative of `relu`: 1 above 0, and 0 at and below it, as torch has it.

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.drelu([-1.0, 0.0, 2.0]).tolist()
    [0.0, 0.0, 1.0]
    """
    return np.asarray(np.heaviside(_floats(x), 0, out=out))


def softplus(x: ArrayLike, out: Array | None = None) -> Array:
    """Return ln(1 + e^x) as max(x, 0) + ln(1 + e^−|x|); its derivative is `sigmoid`.

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.softplus([-1000.0, 0.0, 1000.0]).tolist()
    [0.0, 0.6931471805599453, 1000.0]
    """
    x, e = _exp_minus_abs(x)
    return np.asarray(np.add(np.maximum(x, 0), np.log1p(e), out=out))


def _floats(x: ArrayLike) -> Array:
    x = np.asarray(x)
    return x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)


def _exp_minus_abs(x: ArrayLike) -> tuple[Array, Array]:
    """Return x as floats, and e^−|x|."""
    x = _floats(x)
    return x, np.exp(-np.abs(x))
