"""Large results whose memory is used again once nobody holds them: the system need not find their pages anew."""

from __future__ import annotations

import sys
from math import prod

import numpy as np

from fourstep.nn.module import Array

#: Smaller arrays are as fast from the allocator.
_LEAST_BYTES = 1 << 20
#: y and dx of one step, and the first one of the next.
_KEPT = 3


class Reused:
    """Arrays for results of one layer.

    A result is a view of a buffer that is kept; views of it keep it alive too. When the buffer has no other reference,
    nobody can see it any more, and the next result of its size takes its place: what the allocator would do, but for the
    pages.

    Examples
    --------
    >>> import numpy as np
    >>> reused = Reused()
    >>> first = reused.empty((1 << 20,), np.dtype(np.uint8))
    >>> at = first.ctypes.data
    >>> second = reused.empty((1 << 20,), np.dtype(np.uint8))
    >>> second.ctypes.data == at  # `first` is still there
    False
    >>> del first
    >>> reused.empty((1 << 20,), np.dtype(np.uint8)).ctypes.data == at
    True
    """

    def __init__(self) -> None:
        self._buffers: list[Array] = []

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Array:
        """Return an array with any contents."""
        size = prod(shape)
        if size * dtype.itemsize < _LEAST_BYTES or not _counts_references():
            return np.empty(shape, dtype)
        unused = [object()]
        for i in range(len(self._buffers)):
            free = sys.getrefcount(self._buffers[i]) == sys.getrefcount(unused[0])
            if free and self._buffers[i].size == size and self._buffers[i].dtype == dtype:
                return self._buffers[i].reshape(shape)
        fresh: Array = np.empty(size, dtype)
        self._buffers = [*self._buffers[1 - _KEPT :], fresh]
        return fresh.reshape(shape)

    def clear(self) -> None:
        """Let go of all of them."""
        self._buffers.clear()

    def __deepcopy__(self, memo: object) -> Reused:
        """Return an empty one: buffers are nobody's state."""
        return Reused()

    def __reduce__(self) -> tuple[type[Reused], tuple[()]]:
        """Pickle without the buffers."""
        return Reused, ()


def _counts_references() -> bool:
    """Whether reference counts are exact: not without the global lock."""
    enabled = getattr(sys, "_is_gil_enabled", None)
    return sys.implementation.name == "cpython" and (enabled is None or bool(enabled()))
