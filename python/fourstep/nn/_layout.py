"""How an array with a channel axis lies in memory, and how a kernel of (samples, channels, space) reads it in place."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from fourstep.nn._reuse import Reused
from fourstep.nn.module import Array

#: Samples, channels, and the places of a channel that lie side by side.
View = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Layout:
    """An order of axes in which arrays of one shape are C-contiguous."""

    #: Axes of the array, outermost in memory first; None = as they come.
    order: tuple[int, ...] | None
    view: View

    @property
    def values(self) -> int:
        """How many values a channel has."""
        return self.view[0] * self.view[2]

    def fits(self, x: Array) -> bool:
        """Whether `x` can be read in place."""
        ordered = x if self.order is None else x.transpose(self.order)
        flags = ordered.flags
        return flags.c_contiguous and flags.aligned

    def flat(self, x: Array) -> Array:
        """Return a contiguous view of an array that fits; bfloat16 by its bits."""
        ordered = x if self.order is None else x.transpose(self.order)
        return ordered if x.dtype.kind == "f" else ordered.view(np.uint16)

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[np.generic], reused: Reused) -> Array:
        """Return an array of `shape` that fits, with any contents."""
        if self.order is None:
            return reused.empty(shape, dtype)
        return reused.empty(tuple(shape[i] for i in self.order), dtype).transpose(np.argsort(self.order))

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
    return Layout(None if order == dims else order, (prod(sizes[:at]), sizes[at], prod(sizes[at + 1 :])))
