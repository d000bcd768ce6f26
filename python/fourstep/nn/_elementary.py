"""Functions of the compiled core of each element: the same bits on every machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fourstep import _core
from fourstep._runtime import execution
from fourstep.nn import _check
from fourstep.nn.module import Array


def floats(x: ArrayLike) -> Array:
    """Return x as an array of float32 or float64: other real numbers become float64."""
    _check.unmasked("x", x)
    x = np.asarray(x)
    if x.dtype in (np.float32, np.float64):
        return x
    if x.dtype.kind not in "biuf":
        raise TypeError(f"x: got dtype {x.dtype}, need real numbers")
    return x.astype(np.float64)


def elementary(name: _core.Function, x: ArrayLike, out: Array | None = None) -> Array:
    """Return a function of the compiled core of each element, in `out` if it is given, which may be x itself."""
    x = np.require(floats(x), requirements=["C", "A"])
    if out is not None and _ready(out, x):
        _core.elementary(name, x, out, execution())
        return out
    y = np.empty(x.shape, x.dtype)
    _core.elementary(name, x, y, execution())
    return y if out is None else np.asarray(np.positive(y, out=out))


def _ready(out: Array, x: Array) -> bool:
    """Whether the kernel can write to `out` while it reads x."""
    alike = type(out) is np.ndarray and (out.shape, out.dtype) == (x.shape, x.dtype)
    apart = x.size > 0 and not np.may_share_memory(
        out, x
    )  # empty arrays share nothing, and may still be one array
    return alike and out.flags.carray and apart
