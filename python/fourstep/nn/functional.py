"""Activations and their derivatives as plain functions.

Each takes a float32 or float64 array (anything else becomes float64) and an ``out=`` array. None of them overflows, at
any finite or infinite input; NaN stays NaN. The exponential and the logarithm are our own
(``rust/core/src/elementary.rs``): the same bits on every machine. The hyperbolic tangent is NumPy's.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from fourstep import _core
from fourstep._runtime import execution
from fourstep.nn.module import Array

Function: TypeAlias = Literal["exp", "log1p", "sigmoid"]


def sigmoid(x: ArrayLike, out: Array | None = None) -> Array:
    """Return 1/(1 + e^−x).

    With e = e^−|x|, which lies in [0, 1], it is 1/(1 + e) for x >= 0 and e/(1 + e) below: small values keep all digits.
    Computed in float64 and rounded once.

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.sigmoid([-1000.0, -40.0, 0.0, 40.0]).tolist()
    [0.0, 4.248354255291589e-18, 0.5, 1.0]
    """
    return _elementary("sigmoid", x, out)


def dsigmoid(x: ArrayLike, out: Array | None = None) -> Array:
    """Return the derivative of `sigmoid`, e/(1 + e)² with e = e^−|x|: at most ¼ (A3).

    Examples
    --------
    >>> from fourstep.nn import functional as F
    >>> F.dsigmoid([0.0, 40.0]).tolist()
    [0.25, 4.248354255291589e-18]
    """
    e = _elementary("exp", -np.abs(_floats(x)))
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
    x = _floats(x)
    log = _elementary("log1p", _elementary("exp", -np.abs(x)))
    return np.asarray(np.add(np.maximum(x, 0), log, out=out))


def _floats(x: ArrayLike) -> Array:
    x = np.asarray(x)
    return x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)


def _elementary(name: Function, x: ArrayLike, out: Array | None = None) -> Array:
    """Return a function of the compiled core of each element, in `out` if it is given, which may be x itself."""
    x = np.require(_floats(x), requirements=["C", "A"])
    if out is not None and _ready(out, x):
        _core.elementary(name, x, out, execution())
        return out
    y = np.empty(x.shape, x.dtype)
    _core.elementary(name, x, y, execution())
    return y if out is None else np.asarray(np.positive(y, out=out))


def _ready(out: Array, x: Array) -> bool:
    """Whether the kernel can write to `out` while it reads x."""
    alike = type(out) is np.ndarray and (out.shape, out.dtype) == (x.shape, x.dtype)
    return alike and out.flags.carray and not np.may_share_memory(out, x)
