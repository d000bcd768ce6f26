"""Large results whose memory is used again once nobody holds them: the system need not find their pages anew."""

from __future__ import annotations

import sys
from math import prod

import numpy as np

from fourstep.nn.module import Array

#: Smaller results are as fast from the allocator.
LEAST_BYTES = 1 << 20
#: y and dx of one step, and the first one of the next.
_KEPT = 3


class Reused:
    """Arrays for results of one layer in training.

    A result is a view of a buffer that is kept; views of it keep it alive too. When the buffer has no other reference,
    nobody can see it any more, and the next result of its size takes its place: what the allocator would do, but for the
    pages. (An address that was taken out of an array by hand holds nothing, here as with the allocator.)

    A buffer is looked at only after it was taken off the list, which one thread alone can do: two that ask at once, or a
    signal handler in between, get different ones.

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
        if not _counts_references():
            return np.empty(shape, dtype)
        alone = object()
        for _ in range(len(self._buffers)):
            try:
                buffer = self._buffers.pop(0)
            except IndexError:
                break
            unseen = sys.getrefcount(buffer) == sys.getrefcount(alone)
            fits = buffer.size == size and buffer.dtype == dtype
            if unseen and fits:
                found: Array = buffer.reshape(shape)
                self._buffers.append(buffer)
                return found
            if fits:  # those of other sizes go
                self._buffers.append(buffer)
            del buffer
        fresh: Array = np.empty(size, dtype)
        found = fresh.reshape(shape)
        self._buffers.append(fresh)
        del self._buffers[:-_KEPT]
        return found

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
