"""Rows of inputs that come as one array, or as several side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def count(data: Any, name: str = "data") -> int:
    """Return the number of rows of an array, or of several in a tuple, list or dict: the same in each."""
    lengths = {where: _length(part, where) for where, part in _parts(data, name)}
    if not lengths:
        raise ValueError(f"{name}: got no arrays, need at least one")
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{where} has {length}" for where, length in lengths.items())
        raise ValueError(f"{name}: the rows differ: {told}")
    return next(iter(lengths.values()))


def take(data: Any, rows: Any) -> Any:
    """Return some rows, in the form of `data`."""
    if isinstance(data, Mapping):
        return {key: take(part, rows) for key, part in data.items()}
    if isinstance(data, tuple | list):
        parts = [take(part, rows) for part in data]
        return type(data)(*parts) if hasattr(data, "_fields") else type(data)(parts)  # a named tuple, or not
    return data[rows]


def _parts(data: Any, name: str) -> list[tuple[str, Any]]:
    if isinstance(data, Mapping):
        return [pair for key, part in data.items() for pair in _parts(part, f"{name}[{key!r}]")]
    if isinstance(data, tuple | list):
        return [pair for i, part in enumerate(data) for pair in _parts(part, f"{name}[{i}]")]
    return [(name, data)]


def _length(part: Any, where: str) -> int:
    if not isinstance(part, np.ndarray):
        raise TypeError(f"{where}: got {type(part).__name__}, need a NumPy array")
    if not part.ndim:
        raise ValueError(f"{where}: got an array without dimensions, need rows")
    return len(part)
