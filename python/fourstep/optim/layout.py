"""Where parameters lie: one flat buffer of an arena, or one buffer for each array of a list or dict.

The kernels see buffers and ranges in them; users see names. A layout translates, and takes gradients in the form in
which the parameters came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from fourstep.arena import Arena, Array, aligned_zeros

#: (buffer, start, stop), in elements.
Range = tuple[int, int, int]

_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


class Layout(Protocol):
    """What the optimizer asks of either kind."""

    names: list[str]
    buffer_names: list[str]
    buffers: list[Array]

    def params(self) -> dict[str, Array]:
        """Return the arrays of the user, by name."""

    def where(self, name: str) -> Range:
        """Return the range of a parameter."""

    def ranges(self, names: Sequence[str]) -> list[Range]:
        """Return the fewest ranges that cover these parameters and no other."""

    def names_in(self, buffer: int) -> list[str]:
        """Return the parameters that lie in a buffer, in order."""

    def zeros(self, buffer: int) -> Array:
        """Return a state buffer beside a buffer of parameters."""

    def gradients(
        self, grads: Any, frozen: Set[str] = frozenset(), sparse: Set[str] = frozenset()
    ) -> dict[int, Array]:
        """Return the gradient of each buffer; a frozen parameter needs none, and a sparse one has none."""

    def closure_result(
        self, result: Any, frozen: Set[str] = frozenset(), sparse: Set[str] = frozenset()
    ) -> tuple[Any, dict[int, Array]]:
        """Return loss and gradients of a closure's result."""


class ArenaLayout:
    """One buffer; adjacent parameters of a group are one range, the gaps between them included."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.names = list(arena)
        self.buffer_names = ["the arena"]
        self.buffers = [arena.data]
        starts = [arena.slices[name].start for name in self.names]
        self._padded = dict(zip(self.names, zip(starts, [*starts[1:], arena.size], strict=True), strict=True))

    def params(self) -> dict[str, Array]:
        """Return the views."""
        return dict(self.arena)

    def where(self, name: str) -> Range:
        """Return the range of a parameter, without the gap behind it."""
        where = self.arena.slices[name]
        return 0, where.start, where.stop

    def ranges(self, names: Sequence[str]) -> list[Range]:
        """Return the ranges, gaps included: their gradients are 0 and so stay their parameters."""
        ranges: list[Range] = []
        for name in names:
            start, stop = self._padded[name]
            if ranges and ranges[-1][2] == start:
                ranges[-1] = (0, ranges[-1][1], stop)
            else:
                ranges.append((0, start, stop))
        return ranges

    def names_in(self, buffer: int) -> list[str]:
        """Return all names."""
        return self.names

    def zeros(self, buffer: int) -> Array:
        """Return an aligned flat buffer."""
        return aligned_zeros(self.arena.size, self.arena.dtype)

    def gradients(
        self, grads: Any, frozen: Set[str] = frozenset(), sparse: Set[str] = frozenset()
    ) -> dict[int, Array]:
        """Return the arena's own."""
        if grads is not None:
            raise TypeError("step() of an arena takes no gradients: they are in arena.grad")
        return {0: self.arena.grad_data}

    def closure_result(
        self, result: Any, frozen: Set[str] = frozenset(), sparse: Set[str] = frozenset()
    ) -> tuple[Any, dict[int, Array]]:
        """Take the result as the loss."""
        return result, {0: self.arena.grad_data}


@dataclass
class ArraysLayout:
    """One buffer an array.

    `form` is the form in which they came, with a name in place of each array: a dict, a list, or a list of such.
    """

    names: list[str]
    buffers: list[Array]
    form: Any

    def __post_init__(self) -> None:
        self.buffer_names = self.names
        self._index = {name: index for index, name in enumerate(self.names)}
        for name, array in zip(self.names, self.buffers, strict=True):
            if not isinstance(name, str):
                raise TypeError(f"params: got the name {name!r}, need strings")
            _check_parameter(name, array)

    def params(self) -> dict[str, Array]:
        """Return the arrays."""
        return dict(zip(self.names, self.buffers, strict=True))

    def where(self, name: str) -> Range:
        """Return the whole buffer."""
        index = self._index[name]
        return index, 0, self.buffers[index].size

    def ranges(self, names: Sequence[str]) -> list[Range]:
        """Return the whole buffers."""
        return [self.where(name) for name in names]

    def names_in(self, buffer: int) -> list[str]:
        """Return the one name."""
        return [self.names[buffer]]

    def zeros(self, buffer: int) -> Array:
        """Return zeros of the same shape."""
        return np.zeros_like(self.buffers[buffer])

    def gradients(
        self, grads: Any, frozen: Set[str] = frozenset(), sparse: Set[str] = frozenset()
    ) -> dict[int, Array]:
        """Return the gradients by buffer. A sparse parameter may be left out of a dict, and is None in a list."""
        if grads is None and sparse >= set(self.names):
            return {}
        if grads is None:
            raise TypeError(f"step() needs the gradients: {_wanted(self.form)}")
        found: dict[str, Array] = {}
        _collect(self.form, grads, "gradients", found, sparse)
        for name in sparse:
            if found[name] is not None:
                raise ValueError(
                    f"the gradient of {name}: got {type(found[name]).__name__}, need None: it is sparse, and steps by "
                    "rows (rows=)"
                )
        return {
            index: _as_gradient(name, found[name], self.buffers[index])
            for name, index in self._index.items()
            if not (found[name] is None and (name in frozen or name in sparse))
        }

    def closure_result(
        self, result: Any, frozen: Set[str] = frozenset(), sparse: Set[str] = frozenset()
    ) -> tuple[Any, dict[int, Array]]:
        """Take the result as ``(loss, gradients)``."""
        if not (isinstance(result, tuple) and len(result) == 2):
            raise TypeError("without an arena, a closure returns (loss, gradients)")
        loss, grads = result
        return loss, self.gradients(grads, frozen, sparse)


def _check_parameter(name: str, array: Any) -> None:
    if not isinstance(array, np.ndarray):
        raise TypeError(
            f"{name}: got {type(array).__name__}, need a NumPy array (for tensors, np.asarray gives a view)"
        )
    if array.dtype not in _DTYPES:
        raise TypeError(f"{name}: got dtype {array.dtype}, need native-endian float32 or float64")
    flags = array.flags
    for ok, what, remedy in (
        (flags.c_contiguous, "a strided array", "a C-contiguous one (np.ascontiguousarray)"),
        (flags.aligned, "a misaligned array", "an aligned one (a copy is)"),
        (flags.writeable, "a read-only array", "a writeable one"),
    ):
        if not ok:
            raise ValueError(f"{name}: got {what}, need {remedy}")


def _as_gradient(name: str, grad: Any, array: Array) -> Array:
    if grad is None:
        raise ValueError(f"the gradient of {name} is missing (None); freeze its group with trainable=False")
    if isinstance(grad, np.generic):  # what NumPy makes of a 0-d array
        grad = np.asarray(grad)
    if not isinstance(grad, np.ndarray):
        raise TypeError(f"the gradient of {name}: got {type(grad).__name__}, need a NumPy array")
    if grad.shape != array.shape:
        raise ValueError(f"the gradient of {name}: got shape {grad.shape}, need {array.shape}")
    if grad.dtype != array.dtype:
        raise TypeError(f"the gradient of {name}: got dtype {grad.dtype}, need {array.dtype}")
    return grad


def _wanted(form: Any) -> str:
    if isinstance(form, dict):
        return f"a dict with the keys {', '.join(form)}"
    if form and not isinstance(form[0], str):
        return f"a list of {len(form)}, one of each group: " + "; ".join(_wanted(part) for part in form)
    return f"a list of {len(form)} arrays"


def _collect(form: Any, grads: Any, what: str, found: dict[str, Any], optional: Set[str]) -> None:
    """Walk `grads` along `form`, which it must match, into `found`; an optional key of a dict may be missing."""
    if isinstance(form, str):
        found[form] = grads
    elif isinstance(form, dict):
        if not isinstance(grads, Mapping):
            raise TypeError(f"{what}: got {type(grads).__name__}, need {_wanted(form)}")
        grads = {key: None for key in form if key in optional} | dict(grads)
        missing = [key for key in form if key not in grads]
        unknown = [key for key in grads if key not in form]
        if missing or unknown:
            raise KeyError(f"{what}: missing {missing}, unknown {unknown}; need {_wanted(form)}")
        for key, part in form.items():
            _collect(part, grads[key], what, found, optional)
    else:
        if isinstance(grads, np.ndarray | Mapping | str) or not isinstance(grads, Sequence):
            raise TypeError(f"{what}: got {type(grads).__name__}, need {_wanted(form)}")
        if len(grads) != len(form):
            raise ValueError(f"{what}: got {len(grads)} of them, need {_wanted(form)}")
        for part, grad in zip(form, grads, strict=True):
            _collect(part, grad, what, found, optional)


def layout_of(params: Any) -> tuple[Layout, list[dict[str, Any]] | None]:
    """Return the layout of any form of parameters, and the groups that came with it, if they did."""
    if isinstance(params, Arena):
        return ArenaLayout(params), None
    if isinstance(params, Mapping):
        arrays = dict(params)
        return ArraysLayout(list(arrays), list(arrays.values()), {name: name for name in arrays}), None
    if isinstance(params, np.ndarray | str) or not hasattr(params, "__iter__"):
        raise TypeError(
            f"params: got {type(params).__name__}, need an Arena, or a list or dict of arrays, or of groups"
        )
    params = list(params)
    if not params:
        raise ValueError("params: got an empty list, need at least one array or group")
    if all(isinstance(part, Mapping) and "params" in part for part in params):
        return _grouped(params)
    names = [str(index) for index in range(len(params))]
    return ArraysLayout(names, params, names), None


def _grouped(parts: Sequence[Mapping[str, Any]]) -> tuple[Layout, list[dict[str, Any]]]:
    """Lay out torch-style groups: arrays are named by their place, counted over all groups, or by their keys."""
    names: list[str] = []
    arrays: list[Array] = []
    form: list[Any] = []
    groups: list[dict[str, Any]] = []
    for part in parts:
        params = part["params"]
        if isinstance(params, Mapping):
            own = list(params)
            form.append({name: name for name in own})
            arrays += params.values()
        else:
            values = [params] if isinstance(params, np.ndarray) else list(params)
            own = [str(len(names) + index) for index in range(len(values))]
            form.append(own)
            arrays += values
        twice = set(own) & set(names)
        if twice:
            raise ValueError(f"parameter {min(twice)!r} is in two groups; need exactly one")
        names += own
        groups.append({**part, "params": own})
    return ArraysLayout(names, arrays, form), groups
