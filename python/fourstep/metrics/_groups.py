"""Group ids of any kind as integers of the same order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fourstep.metrics._inputs import Array, column, is_none, ready

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def as_integers(groups: ArrayLike) -> tuple[Array, Array | None]:
    """Return ids as int64 or uint64, and what they stand for if they are not the ids themselves.

    Strings, and integers that no one type holds, are numbered in ascending order, by hashing: nothing is sorted but
    the distinct ones.
    """
    array = column(groups, "groups")
    if array.dtype.kind == "f" and isinstance(groups, list | tuple):
        # NumPy makes floats of integers that no one type of its own holds: ids would merge.
        array = np.asarray(groups, dtype=object)
        if any(isinstance(value, float | np.floating) for value in groups):
            array = array.astype(np.float64)
    kind = array.dtype.kind
    if kind in "iub":
        return ready(array, np.uint64 if kind == "u" and array.dtype.itemsize == 8 else np.int64), None
    if kind in "OUST":
        return _numbered(array)
    if kind == "f":
        _refuse_nulls(np.isnan(array))
    raise TypeError(f"groups: got dtype {array.dtype}, need integers or strings")


def _numbered(array: Array) -> tuple[Array, Array | None]:
    values: list[Any] = [x.item() if isinstance(x, np.generic) else x for x in array.tolist()]
    distinct = dict.fromkeys(values)
    kinds = set(map(type, distinct))
    narrow: type[np.int64] | type[np.uint64] | None = None
    if kinds <= {int, bool}:
        least, most = min(distinct), max(distinct)
        narrow = np.int64 if least >= -(2**63) and most < 2**63 else None
        narrow = np.uint64 if narrow is None and least >= 0 and most < 2**64 else narrow
    if kinds <= {str} or kinds <= {bytes} or (kinds <= {int, bool} and narrow is None):
        names = sorted(distinct)
        number = dict(zip(names, range(len(names)), strict=True))
        codes = np.fromiter(map(number.__getitem__, values), np.int64, len(values))
        return codes, np.array(names, dtype=object)
    if narrow is not None:
        return np.array(values, dtype=narrow), None
    # None, NaN and the nulls of other packages are all that does not equal itself, or is None.
    nulls = [value for value in distinct if value is None or not _equals_itself(value)]
    if nulls:
        null = np.fromiter(map(set(map(id, nulls)).__contains__, map(id, values)), np.bool_, len(values))
        _refuse_nulls(null | is_none(array) if array.dtype == object else null)
    found = ", ".join(sorted(kind.__name__ for kind in kinds))
    mix = ", not a mix" if len(kinds) > 1 else ""
    raise TypeError(f"groups: got values of type {found}, need integers or strings{mix}")


def _equals_itself(value: object) -> bool:
    try:
        return bool(value == value)
    except TypeError:  # pandas.NA
        return False


def _refuse_nulls(null: Array) -> None:
    where = np.flatnonzero(null)
    if len(where):
        raise ValueError(
            f"groups: got null or NaN at index {where[0]} ({len(where)} such of {len(null)} rows),"
            " need an id for each row"
        )
