"""What layers refuse, and in which words: the layer, the argument, what it got, what it needs."""

from __future__ import annotations

from numbers import Real
from operator import index
from typing import Any

import numpy as np

from fourstep.nn.module import Array

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def float_dtype(dtype: Any) -> np.dtype[Any]:
    """Return `dtype` as NumPy's, if it is float32 or float64."""
    for known in FLOATS:
        if dtype in (known.name, known, known.type):
            return known
    raise TypeError(f"dtype: got {dtype!r}, need 'float32' or 'float64'")


def size(name: str, value: int, least: int = 1) -> int:
    """Return a whole number that is at least `least`."""
    try:
        number = index(value)
    except TypeError:
        raise TypeError(f"{name}: got {value!r}, need a whole number of at least {least}") from None
    if number < least:
        raise ValueError(f"{name}: got {number}, need at least {least}")
    return number


def number(name: str, value: Any, need: str) -> float:
    """Return a real number as a float; its range is the caller's to check."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name}: got {value!r}, need {need}")
    return float(value)


def floats(label: str, name: str, x: Any, dtype: np.dtype[Any] | None = None) -> Array:
    """Return `x` if it is an array of `dtype`, or of either float dtype when that is None."""
    if not isinstance(x, np.ndarray):
        raise TypeError(f"{label}: {name}: got {type(x).__name__}, need a NumPy array")
    wanted = FLOATS if dtype is None else (dtype,)
    if x.dtype not in wanted:
        raise TypeError(f"{label}: {name}: got dtype {x.dtype}, need {' or '.join(str(d) for d in wanted)}")
    return x


def matrix(label: str, name: str, x: Any, width: int, dtype: np.dtype[Any]) -> Array:
    """Return `x` if it is a (rows, width) array of `dtype`."""
    found = floats(label, name, x, dtype)
    if found.ndim != 2 or found.shape[1] != width:
        raise ValueError(f"{label}: {name}: got shape {found.shape}, need (rows, {width})")
    return found


def like(label: str, name: str, x: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return `x` if it has the shape and dtype of something that went before."""
    found = floats(label, name, x, dtype)
    if found.shape != shape:
        raise ValueError(f"{label}: {name}: got shape {found.shape}, need {shape}")
    return found


def output(label: str, out: Any, shape: tuple[int, ...], dtype: np.dtype[Any], *reads: Array) -> Array:
    """Return `out` if it can take the result and overlaps nothing that is read; a new array when it is None."""
    if out is None:
        return np.empty(shape, dtype)
    found = like(label, "out", out, shape, dtype)
    if not found.flags.writeable:
        raise ValueError(f"{label}: out: got a read-only array, need a writeable one")
    if any(overlap(found, read) for read in reads):
        raise ValueError(f"{label}: out: its memory overlaps an array that is still read, need another one")
    return found


def overlap(a: Array, b: Array) -> bool:
    """Whether two arrays have an element in common."""
    return np.may_share_memory(a, b) and np.shares_memory(a, b)


def contiguous(out: Array) -> Array:
    """Return `out`, or a C-contiguous array of its shape to be copied into it."""
    return out if out.flags.c_contiguous and out.flags.aligned else np.empty(out.shape, out.dtype)
