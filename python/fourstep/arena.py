"""Named arrays packed into one flat buffer: a step over a thousand parameters is one pass over one array.

    | w1 ............ | b1 . | w2 ............ |     data: parameters
    | w1 ............ | b1 . | w2 ............ |     grad: gradients, in the same places

Each array starts on a 64-byte boundary, so every view is aligned for any vector width. The gap before the next one starts
as zeros; a step runs over it, but no view, norm or state shows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fourstep._table import table
from fourstep.state import check_state

if TYPE_CHECKING:
    from fourstep.nn import Module

_ALIGNMENT = 64  # bytes: a cache line, and the widest vector
_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))

Array = np.ndarray[Any, Any]


class Views(Mapping[str, Array]):
    """Arrays by name, each a view of one flat buffer."""

    def __init__(self, views: dict[str, Array]) -> None:
        self._views = views

    def __getitem__(self, name: str) -> Array:
        """Return the view called `name`."""
        try:
            return self._views[name]
        except KeyError:
            raise KeyError(f"no parameter is called {name!r}; there are {', '.join(self._views)}") from None

    def __setitem__(self, name: str, value: Any) -> None:
        """Copy `value` into the view called `name`."""
        view = self[name]
        value = np.asarray(value)
        if value.shape != view.shape:
            raise ValueError(f"{name}: got shape {value.shape}, need {view.shape}")
        view[...] = value

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._views)

    def __len__(self) -> int:
        """Count the names."""
        return len(self._views)


class Arena(Views):
    """Parameters and their gradients, packed into two flat buffers.

    Parameters
    ----------
    source : mapping of str to array, or Module
        Arrays of one dtype, float32 or float64, any shapes. They are copied into the arena. A module's parameters
        become views of the arena, and its gradients too: training through the module then works in the arena.

    Attributes
    ----------
    data, grad_data : ndarray, shape (size,)
        The flat buffers.
    grad : mapping of str to ndarray
        Gradients by name: views, to be filled in place.
    dtype : dtype
    size : int
        Elements of a flat buffer, gaps included.

    Raises
    ------
    TypeError
        A dtype that is neither float32 nor float64, or more than one.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> arena = fs.Arena({"w1": np.ones((2, 3), np.float32), "b1": np.zeros(3, np.float32)})
    >>> arena["w1"] *= 2  # a view: the flat buffer changes
    >>> float(arena.data.sum())
    12.0
    >>> arena.grad["b1"] = [1, 2, 3]
    >>> arena.zero_grad()
    >>> arena
    Arena of 2 parameters, 9 elements, float32
    name  shape   dtype    nonzero  group
    w1    (2, 3)  float32  6
    b1    (3,)    float32  0

    Notes
    -----
    Writing to a view from another thread while a step runs is a race, as with any NumPy array.
    """

    def __init__(self, source: Mapping[str, Any] | Module) -> None:
        if isinstance(source, Mapping):
            arrays = {name: np.asarray(value) for name, value in source.items()}
        elif hasattr(source, "named_parameters"):
            arrays = dict(source.named_parameters())
        else:
            raise TypeError(
                f"source: got {type(source).__name__}, need a mapping of names to arrays or a Module"
            )
        self.dtype = _one_dtype(arrays)
        per_line = _ALIGNMENT // self.dtype.itemsize
        self.slices: dict[str, slice] = {}
        start = 0
        for name, array in arrays.items():
            self.slices[name] = slice(start, start + array.size)
            start += -(-array.size // per_line) * per_line
        self.size = start
        self.data = aligned_zeros(start, self.dtype)
        self.grad_data = aligned_zeros(start, self.dtype)
        shapes = {name: array.shape for name, array in arrays.items()}
        super().__init__(self.views(self.data, shapes))
        self.grad = Views(self.views(self.grad_data, shapes))
        for name, array in arrays.items():
            self[name][...] = array
        if not isinstance(source, Mapping):
            for name in arrays:
                source.bind(name, self[name], self.grad[name])
        #: Group of each parameter, as the optimizer that uses the arena names it.
        self.groups: dict[str, str] = {}
        #: Tables that the optimizer steps by rows: their part of `grad` is not used.
        self.sparse: frozenset[str] = frozenset()
        #: Tables of layers that keep their gradients by rows: only a sparse group can train them.
        self.by_rows = frozenset() if isinstance(source, Mapping) else frozenset(_by_rows(source))

    def views(self, flat: Array, shapes: Mapping[str, tuple[int, ...]] | None = None) -> dict[str, Array]:
        """Return views of a flat buffer of the arena's size, one for each parameter."""
        shapes = shapes or {name: view.shape for name, view in self.items()}
        return {name: flat[where].reshape(shapes[name]) for name, where in self.slices.items()}

    def zero_grad(self) -> None:
        """Set every gradient to 0, but those of sparse tables, which are not used."""
        if not self.sparse:
            self.grad_data[...] = 0
            return
        for name, grad in self.grad.items():
            if name not in self.sparse:
                grad[...] = 0

    def nonzero(self) -> dict[str, int]:
        """Return by name how many elements are not 0: what an L1 penalty has left (R4)."""
        return {name: int(np.count_nonzero(view)) for name, view in self.items()}

    def state_dict(self) -> dict[str, Array]:
        """Return a copy of every parameter, by name."""
        return {name: view.copy() for name, view in self.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy the parameters in.

        Raises
        ------
        StateError
            Lists every missing or unexpected name, and every shape or dtype that differs; nothing is copied then.
        """
        check_state(dict(self), state, "Arena")
        for name, view in self.items():
            view[...] = state[name]

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle by name: views of a copied buffer would no longer be views of it."""
        return _rebuilt, (
            self.state_dict(),
            {name: grad.copy() for name, grad in self.grad.items()},
            dict(self.groups),
        )

    def __repr__(self) -> str:
        """Return a table: name, shape, dtype, elements that are not 0, group."""
        elements = sum(view.size for view in self.values())
        rows = [
            (name, view.shape, view.dtype, f"{count:,}", self.groups.get(name, ""))
            for (name, view), count in zip(self.items(), self.nonzero().values(), strict=True)
        ]
        head = f"Arena of {len(self)} parameters, {elements:,} elements, {self.dtype}"
        return f"{head}\n{table(('name', 'shape', 'dtype', 'nonzero', 'group'), rows)}"


def _by_rows(module: Module) -> list[str]:
    return module.sparse_parameters() if hasattr(module, "sparse_parameters") else []


def _rebuilt(arrays: dict[str, Array], grads: dict[str, Array], groups: dict[str, str]) -> Arena:
    arena = Arena(arrays)
    for name, grad in grads.items():
        arena.grad[name] = grad
    arena.groups = groups
    return arena


def aligned_zeros(size: int, dtype: np.dtype[Any]) -> Array:
    """Return zeros whose first element lies on a 64-byte boundary."""
    raw = np.zeros(size * dtype.itemsize + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size * dtype.itemsize].view(dtype)


def _one_dtype(arrays: Mapping[str, Array]) -> np.dtype[Any]:
    if not arrays:
        raise ValueError("source: got no arrays, need at least one")
    names = [name for name in arrays if not isinstance(name, str)]
    if names:
        raise TypeError(f"source: got the name {names[0]!r}, need strings")
    dtypes = {array.dtype: name for name, array in arrays.items()}
    wrong = {dtype: name for dtype, name in dtypes.items() if dtype not in _DTYPES}
    if wrong:
        dtype, name = next(iter(wrong.items()))
        raise TypeError(f"{name}: got dtype {dtype}, need float32 or float64")
    if len(dtypes) > 1:
        got = ", ".join(f"{dtype} ({name})" for dtype, name in dtypes.items())
        raise TypeError(f"an arena has one dtype: got {got}")
    return next(iter(dtypes))
