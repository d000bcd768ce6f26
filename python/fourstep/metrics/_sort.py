"""Orders of integers by their digits: the last one first, each time without changing the order of equal ones.

NumPy sorts 16-bit integers stably in a few passes, wider ones by comparisons, which takes several times as long. Digits
above the span of the values, and digits that are all the same, are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BITS = 16


def lexsort(*columns: NDArray[Any]) -> NDArray[np.intp]:
    """Return the order that `numpy.lexsort` has: by the last column, equal ones by that before it, and so on.

    >>> import numpy as np
    >>> lexsort(np.array([5, 3, 4]), np.array([7, 7, -(2**40)])).tolist()
    [2, 1, 0]
    """
    order: NDArray[np.intp] | None = None
    for column in columns:
        for digit in _digits(column):
            step = np.argsort(digit if order is None else digit[order], kind="stable")
            order = step if order is None else order[step]
    return np.arange(len(columns[0])) if order is None else order


def numbered(ids: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the distinct values, rising, and the place of each value among them.

    >>> import numpy as np
    >>> distinct, place = numbered(np.array([9, -4, 9]))
    >>> distinct.tolist(), place.tolist()
    ([-4, 9], [1, 0, 1])
    """
    order = lexsort(ids)
    rising = ids[order]
    new = np.concatenate([[True], rising[1:] != rising[:-1]])
    place = np.empty(len(ids), np.intp)
    place[order] = np.cumsum(new) - 1
    return rising[new], place


def _digits(column: NDArray[Any]) -> list[NDArray[np.uint16]]:
    """Return the digits of value − least, the lowest first, that are not all the same."""
    if column.dtype.kind == "b" or column.dtype.itemsize < 8:
        column = column.astype(np.int64)
    least = int(column.min())
    above = column.view(np.uint64) - np.uint64(least % 2**64)
    span = int(column.max()) - least
    digits = [(above >> np.uint64(shift)).astype(np.uint16) for shift in range(0, span.bit_length(), BITS)]
    return [digit for digit in digits if (digit != digit[0]).any()]
