"""Which elements are watched: one of one parameter each, by name and index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from operator import index as whole
from typing import Any

import numpy as np

from fourstep.arena import Array
from fourstep.optim.base import Optimizer

#: An index of an element: a whole number, or one for each axis.
Index = int | tuple[int, ...]


@dataclass(frozen=True)
class Coordinate:
    """One element of one parameter."""

    name: str
    index: tuple[int, ...]
    group: int
    buffer: int
    offset: int

    def __str__(self) -> str:
        """As one would write it."""
        return f"{self.name}[{', '.join(map(str, self.index))}]" if self.index else self.name


def chosen(opt: Optimizer, names: Any, indices: Any) -> Iterator[Coordinate]:
    params = opt._layout.params()
    for name in _matching(list(params), names, indices):
        array = params[name]
        group = next(i for i, g in enumerate(opt.param_groups) if name in g["names"])
        buffer, start, _ = opt._layout.where(name)
        if indices is None:
            wanted: Iterable[Any] = np.ndindex(array.shape)
        else:
            wanted = indices[name] if isinstance(indices, Mapping) else indices
        for each in dict.fromkeys(_index(name, array, w) for w in wanted):
            offset = start + (int(np.ravel_multi_index(each, array.shape)) if each else 0)
            yield Coordinate(name, each, group, buffer, offset)


def _matching(known: Sequence[str], names: Any, indices: Any) -> list[str]:
    if isinstance(indices, Mapping):
        unknown = [name for name in indices if name not in known]
        if unknown:
            raise ValueError(f"indices: no parameter is called {unknown[0]!r}; there are {', '.join(known)}")
        if names is None:
            return [name for name in known if name in indices]
    patterns = ["*"] if names is None else [names] if isinstance(names, str) else list(names)
    found: dict[str, None] = {}
    for pattern in patterns:
        matches = [pattern] if pattern in known else [name for name in known if fnmatchcase(name, pattern)]
        if not matches:
            raise ValueError(f"names: {pattern!r} matches no parameter; there are {', '.join(known)}")
        found.update(dict.fromkeys(matches))
    if isinstance(indices, Mapping):
        missing = [name for name in found if name not in indices]
        if missing:
            raise ValueError(f"indices: got none for {missing[0]!r}, which names asks for")
    return list(found)


def _index(name: str, array: Array, index: Any) -> tuple[int, ...]:
    """Return an index, checked, without negative numbers."""
    try:
        given = tuple(map(whole, index)) if isinstance(index, tuple | list) else (whole(index),)
    except TypeError:
        raise ValueError(f"{name}: got the index {index!r}, need whole numbers, one for each axis") from None
    if array.ndim == 0 and given in ((0,), ()):
        return ()
    fits = len(given) == array.ndim and all(-n <= i < n for i, n in zip(given, array.shape, strict=True))
    if not fits:
        raise ValueError(f"{name}: got the index {index!r}, need one inside the shape {array.shape}")
    return tuple(i % n for i, n in zip(given, array.shape, strict=True))
