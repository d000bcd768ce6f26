"""Group ids of any kind as integers of the same order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fourstep.metrics._inputs import Array, column, is_none, ready

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def as_integers(groups: ArrayLike) -> tuple[Array, Array | None]:
    """Return ids as int64 or uint64, and what they stand for if they are not the ids themselves.

    Strings are numbered in ascending order, by hashing: nothing is sorted but the distinct ones.
    """
    array = column(groups, "groups")
    kind = array.dtype.kind
    if kind in "iub":
        return ready(array, np.uint64 if kind == "u" and array.dtype.itemsize == 8 else np.int64), None
    if kind in "OUST":
        return _numbered(array)
    if kind == "f":
        _refuse_nulls(np.isnan(array))
    raise TypeError(f"groups: got dtype {array.dtype}, need integers or strings")


def _numbered(array: Array) -> tuple[Array, Array | None]:
    values: list[Any] = array.tolist()
    distinct = dict.fromkeys(values)
    kinds = set(map(type, distinct))
    if kinds <= {str} or kinds <= {bytes}:
        names = sorted(distinct)
        number = dict(zip(names, range(len(names)), strict=True))
        codes = np.fromiter(map(number.__getitem__, values), np.int64, len(values))
        return codes, np.array(names, dtype=object)
    if kinds <= {int, bool}:
        try:
            return np.array(values, dtype=np.int64), None
        except OverflowError:
            return np.array(values, dtype=np.uint64), None
    # None, NaN and the nulls of other packages are all that does not equal itself, or is None.
    nulls = [value for value in distinct if value is None or not _equals_itself(value)]
    if nulls:
        null = np.fromiter(map(set(map(id, nulls)).__contains__, map(id, values)), np.bool_, len(values))
        _refuse_nulls(null | is_none(array) if array.dtype == object else null)
    found = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise TypeError(f"groups: got values of type {found}, need integers or strings, not a mix")


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
