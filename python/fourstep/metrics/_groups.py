"""Group ids of any kind as integers of the same order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fourstep.metrics._inputs import Array, column, is_none, numbers, plain, ready, refuse

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

ID = "an id for each row"


def as_integers(groups: ArrayLike, name: str = "groups") -> tuple[Array, Array | None]:
    """Return ids as int64 or uint64, and what they stand for if they are not the ids themselves.

    Strings, and integers that no one type holds, are numbered in ascending order, by hashing: nothing is sorted but
    the distinct ones. Columns that hold codes for distinct values are numbered by those values alone.
    """
    coded = None if type(groups) is np.ndarray else _coded(groups)
    if coded is not None and len(coded.codes):
        ids, names = as_integers(coded.values, name)
        return ids[coded.codes], names
    array = column(groups, name, ID)
    if len(array) == 0:
        raise ValueError(f"{name}: got no ids, need one for each row")
    if array.dtype.kind == "f" and isinstance(groups, list | tuple):
        # NumPy makes floats of integers that no one type of its own holds: ids would merge.
        array = np.asarray(groups, dtype=object)
        if any(isinstance(value, float | np.floating) for value in groups):
            array = array.astype(np.float64)
    kind = array.dtype.kind
    if kind in "iub":
        return ready(array, np.uint64 if kind == "u" and array.dtype.itemsize == 8 else np.int64), None
    if kind in "OUST":
        return _numbered(array, name)
    if kind == "f":
        refuse(name, np.isnan(array), ID, "null or NaN")
    whole = kind == "f" and bool((array == np.floor(array)).all())
    hint = "; these are whole numbers: .astype(int)" if whole else ""
    raise TypeError(f"{name}: got dtype {array.dtype}, need integers or strings{hint}")


class _Coded(NamedTuple):
    """A column of categories: row i is ``values[codes[i]]``."""

    codes: Array
    values: Any


def _coded(groups: Any) -> _Coded | None:
    """Return a pandas or polars categorical, or an Arrow dictionary, as codes; None for all else and where nulls are."""
    package = type(groups).__module__.partition(".")[0]
    coded = None
    if package == "pandas":
        holder = getattr(groups, "cat", groups)  # a column has it; an index and an array are it
        if hasattr(holder, "codes") and hasattr(holder, "categories"):
            coded = _Coded(np.asarray(holder.codes), np.asarray(holder.categories))
    elif package == "polars" and str(getattr(groups, "dtype", "")).startswith(("Categorical", "Enum")):
        if groups.null_count() == 0:
            distinct = groups.unique()
            physical = distinct.to_physical().to_numpy()
            place = np.zeros(int(physical.max(initial=0)) + 1, np.intp)
            place[physical] = np.arange(len(physical))
            coded = _Coded(place[groups.to_physical().to_numpy()], distinct.to_list())
    elif package == "pyarrow" and str(getattr(groups, "type", "")).startswith("dictionary"):
        if hasattr(groups, "unify_dictionaries"):
            groups = groups.unify_dictionaries().combine_chunks()
        if hasattr(groups, "indices") and groups.null_count == 0 and groups.dictionary.null_count == 0:
            coded = _Coded(groups.indices.to_numpy(zero_copy_only=False), groups.dictionary.to_pylist())
    return None if coded is None or (coded.codes < 0).any() else coded


def weights_of_groups(group_weight: ArrayLike, ids: Array | None, groups: int) -> NDArray[np.float64]:
    """Check weights of groups, one a group in ascending order of ids (or of offsets).

    A pandas column that has an index of its own must have the ids there, in that order: it is not aligned by position.
    """
    array = numbers(column(group_weight, "group_weight"), "group_weight").astype(np.float64)
    if len(array) != groups:
        order = "offsets" if ids is None else "ids"
        raise ValueError(
            f"group_weight: got {len(array)} weights, need {groups}, one a group in ascending order of {order}"
        )
    index = None if type(group_weight) is np.ndarray else getattr(group_weight, "index", None)
    if ids is not None and hasattr(index, "equals") and type(index).__name__ != "RangeIndex":
        wrong = np.flatnonzero(np.asarray(np.asarray(index) != ids))
        if len(wrong):
            there, need = (plain(x[wrong[0]]) for x in (np.asarray(index), ids))
            raise ValueError(
                f"group_weight: its index has {there!r} where the group is {need!r}"
                f" ({len(wrong)} such of {groups} groups), need the ids in ascending order"
            )
    refuse("group_weight", ~((array >= 0) & np.isfinite(array)), "finite weights >= 0", array, of="groups")
    return array


def _numbered(array: Array, name: str) -> tuple[Array, Array | None]:
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
        refuse(name, null | is_none(array) if array.dtype == object else null, ID, "null or NaN")
    found = ", ".join(sorted(kind.__name__ for kind in kinds))
    mix = ", not a mix" if len(kinds) > 1 else ""
    raise TypeError(f"{name}: got values of type {found}, need integers or strings{mix}")


def _equals_itself(value: object) -> bool:
    try:
        return bool(value == value)
    except TypeError:  # pandas.NA
        return False
