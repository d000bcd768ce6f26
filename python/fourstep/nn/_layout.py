"""How an array with a channel axis lies in memory, and how a kernel of (samples, channels, space) reads it in place."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from fourstep.nn._reuse import LEAST_BYTES, Reused
from fourstep.nn.module import Array

#: Samples, channels, and the places of a channel that lie side by side.
View = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Layout:
    """An order of axes in which arrays of one shape and dtype are C-contiguous."""

    #: Axes of the array, outermost in memory first; None = as they come.
    order: tuple[int, ...] | None
    view: View
    #: How many values a channel has.
    values: int
    #: Whether an array that fits is what a kernel takes.
    as_it_is: bool
    #: Whether memory of earlier results is worth looking for.
    large: bool

    def fits(self, x: Array) -> bool:
        """Whether `x` can be read in place."""
        ordered = x if self.order is None else x.transpose(self.order)
        flags = ordered.flags
        return flags.c_contiguous and flags.aligned

    def flat(self, *arrays: Array | None) -> tuple[Any, ...]:
        """Return contiguous views of arrays that fit, as the kernels take them; bfloat16 by its bits."""
        if self.as_it_is:
            return arrays
        return tuple(None if x is None else self._flat(x) for x in arrays)

    def _flat(self, x: Array) -> Array:
        ordered = x if self.order is None else x.transpose(self.order)
        return ordered if x.dtype.kind == "f" else ordered.view(np.uint16)

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[np.generic], reused: Reused | None) -> Array:
        """Return an array of `shape` that fits, with any contents; in memory that is used again, if that is given."""
        ordered = shape if self.order is None else tuple(shape[i] for i in self.order)
        array = np.empty(ordered, dtype) if reused is None else reused.empty(ordered, dtype)
        return array if self.order is None else array.transpose(np.argsort(self.order))

    def part(self, rows: int, total: int) -> View:
        """Return the view of `rows` of `total` samples."""
        samples, channels, space = self.view
        return samples * rows // total, channels, space


def layout_of(x: Array, axis: int) -> Layout:
    """Return the layout of `x`, whose channels lie along `axis`; where it has no known one, that of a C-contiguous copy.

    A channel's values keep their order, by sample, then by place, in all of them: as they come, channels last, channels
    second.
    """
    dims = tuple(range(x.ndim))
    rest = dims[:axis] + dims[axis + 1 :]
    orders = (dims, (*rest, axis), (*rest[:1], axis, *rest[1:]))
    order = next((o for o in orders if x.transpose(o).flags.c_contiguous), dims)
    at = order.index(axis)
    sizes = [x.shape[i] for i in order]
    samples, space = prod(sizes[:at]), prod(sizes[at + 1 :])
    as_it_is = order == dims and x.dtype.kind == "f"
    view, large = (samples, sizes[at], space), x.nbytes >= LEAST_BYTES
    return Layout(None if order == dims else order, view, samples * space, as_it_is, large)
