"""What layers refuse, and in which words: the layer, the argument, what it got, what it needs."""

from __future__ import annotations

from collections.abc import Sequence
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
    number = whole(name, value, f"a whole number of at least {least}")
    if number < least:
        raise ValueError(f"{name}: got {number}, need at least {least}")
    return number


def whole(name: str, value: int, need: str = "a whole number") -> int:
    """Return a whole number as an int, of either sign; a truth value is none."""
    try:
        if not isinstance(value, bool):
            return index(value)
    except TypeError:
        pass
    raise TypeError(f"{name}: got {value!r}, need {need}")


def shape(name: str, value: int | Sequence[int], least: int = 0) -> tuple[int, ...]:
    """Return sizes as a tuple; one number stands for one dimension."""
    sizes = value if isinstance(value, Sequence) else [value]
    return tuple(
        size(f"{name}[{i}]" if isinstance(value, Sequence) else name, n, least) for i, n in enumerate(sizes)
    )


def number(name: str, value: Any, need: str) -> float:
    """Return a real number as a float; its range is the caller's to check."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name}: got {value!r}, need {need}")
    return float(value)


def flag(name: str, value: Any) -> bool:
    """Return True or False; nothing else stands for them."""
    if not isinstance(value, bool | np.bool):
        raise TypeError(f"{name}: got {value!r}, need True or False")
    return bool(value)


def floats(label: str, name: str, x: Any, dtype: np.dtype[Any] | None = None) -> Array:
    """Return `x` if it is an array of `dtype`, or of either float dtype when that is None."""
    if not isinstance(x, np.ndarray):
        raise TypeError(f"{label}: {name}: got {type(x).__name__}, need a NumPy array")
    unmasked(f"{label}: {name}", x)
    wanted = FLOATS if dtype is None else (dtype,)
    if x.dtype not in wanted:
        raise TypeError(f"{label}: {name}: got dtype {x.dtype}, need {' or '.join(str(d) for d in wanted)}")
    return x


def unmasked(what: str, x: Any) -> None:
    """Refuse an array whose masked elements would be read as if they were there."""
    if type(x) is not np.ndarray and isinstance(x, np.ma.MaskedArray):
        raise TypeError(
            f"{what}: got a masked array, need a plain one: .filled(value) says what stands in the gaps"
        )


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
    spread(label, found)
    if any(overlap(found, read) for read in reads):
        raise ValueError(f"{label}: out: its memory overlaps an array that is still read, need another one")
    return found


def overlap(a: Array, b: Array) -> bool:
    """Whether two arrays have an element in common."""
    return np.may_share_memory(a, b) and np.shares_memory(a, b)


def spread(label: str, out: Array) -> None:
    """Refuse an `out` whose own elements may overlap: the step of an axis must pass all that the smaller ones span."""
    if out.flags.forc or not out.size:
        return
    span = out.itemsize
    for step, length in sorted((abs(s), n) for s, n in zip(out.strides, out.shape, strict=True) if n > 1):
        if step < span:
            raise ValueError(
                f"{label}: out: its elements may overlap each other (shape {out.shape}, strides {out.strides}), "
                "need a place for each"
            )
        span += step * (length - 1)


def passed_on(label: str, x: Array, shape: tuple[int, ...], out: Any) -> Array:
    """Return x in a shape: a view where it can be one, or `out` with its values."""
    if out is None:
        return x.reshape(shape)
    found = output(label, out, shape, x.dtype, x)
    np.copyto(found, x.reshape(shape))
    return found


def refuse(label: str, name: str, values: Array, where: Array, fault: str) -> None:
    """Raise an error that counts the values with a fault, and names the first, if there is one."""
    if where.any():
        first = tuple(int(i) for i in np.argwhere(where)[0])
        at = first[0] if len(first) == 1 else first
        raise ValueError(
            f"{label}: {name}: {int(where.sum())} {fault}, the first is {values[first]} at index {at}"
        )


def contiguous(out: Array) -> Array:
    """Return `out`, or a C-contiguous array of its shape to be copied into it."""
    return out if out.flags.c_contiguous and out.flags.aligned else np.empty(out.shape, out.dtype)
