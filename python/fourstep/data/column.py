"""One column, whatever it came from.

A file or a frame stores one and the same column in many ways: ids as integers, as floats because one was
missing, as text. Every source is turned into a `Column` of one of few kinds, and all that follows (roles,
checks, categories) is written once for these.

A category is its *text*: the integer 31, the float 31.0 and the text "31" are one and the same category, so a
model fitted on a Parquet file scores a CSV file. A missing value, NaN and the empty text are null.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Column", "Factor", "from_numpy", "from_texts"]

Kind = Literal["bool", "int", "float", "date", "text", "other"]
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)


@dataclass(frozen=True, eq=False)
class Factor:
    """Categories: ``texts[codes[i]]`` is the category of row i, and code -1 is null.

    Attributes
    ----------
    codes : (n,) int32
        Index into `texts`.
    texts : list of str
        Distinct and sorted.
    """

    codes: npt.NDArray[np.int32]
    texts: list[str]

    def take(self, rows: npt.NDArray[np.int64]) -> Factor:
        """The same categories at other rows."""
        return Factor(self.codes[rows], self.texts)

    def decode(self) -> npt.NDArray[np.object_]:
        """The text of each row, None where it is null."""
        table: npt.NDArray[np.object_] = np.empty(len(self.texts) + 1, object)
        table[:-1] = self.texts  # the last is what index -1 finds: None
        return table[self.codes]


@dataclass(frozen=True, eq=False)
class Column:
    """Values of one kind and a mask of those that are missing.

    Attributes
    ----------
    kind : str
        What the values are.
    values : (n,) array
        bool; int64 or uint64; float64; for dates float64 seconds since 1970 (UTC); for text the codes of `texts`.
    null : (n,) bool
        Where the value is missing, is NaN, or is the empty text.
    texts : list of str
        The distinct texts of a text column.
    type_name : str
        What the source called it.
    """

    kind: Kind
    values: npt.NDArray[Any]
    null: npt.NDArray[np.bool_]
    texts: list[str]
    type_name: str

    def __len__(self) -> int:
        return len(self.null)

    def show(self, row: int) -> str:
        """The value of a row, for a message."""
        if self.null[row]:
            return "null"
        if self.kind == "text":
            text = repr(self.texts[self.values[row]])
            return text if len(text) <= 40 else text[:36] + "...'"
        return str(self.values[row])

    def factor(self) -> Factor:
        """The column as categories."""
        if self.kind == "text":
            return _merge(self.values, [canonical(text) for text in self.texts])
        codes = np.full(len(self), -1, np.int32)
        distinct, inverse = np.unique(self.values[~self.null], return_inverse=True)
        codes[~self.null] = inverse
        return _merge(codes, [_text(value) for value in distinct.tolist()])

    def to_numpy(self) -> npt.NDArray[Any]:
        """The plainest array that holds the values: nulls are NaN among numbers and None among texts."""
        if self.kind == "text":
            return Factor(np.where(self.null, -1, self.values).astype(np.int32), self.texts).decode()
        if self.kind == "date":
            micro = (
                np.rint(np.where(self.null, 0.0, self.values) * 1e6).astype(np.int64).view("datetime64[us]")
            )
            micro[self.null] = np.datetime64("NaT")
            return micro
        if self.null.any() and self.kind in ("int", "float"):
            return np.where(self.null, np.nan, self.values.astype(np.float64))
        if self.null.any() and self.kind == "bool":
            mixed = self.values.astype(object)
            mixed[self.null] = None
            return mixed
        return self.values


def canonical(text: str) -> str:
    """One spelling for one category: ``31.0`` is ``31``, ``True`` is ``true``.

    Examples
    --------
    >>> canonical("1995.0"), canonical("007"), canonical("True"), canonical("v1.0")
    ('1995', '007', 'true', 'v1.0')
    """
    head, point, tail = text.partition(".")
    if point and not tail.strip("0") and tail and head.removeprefix("-").isdecimal():
        return head
    return text.lower() if text in ("True", "TRUE", "False", "FALSE") else text


def _text(value: float) -> str:
    """The text of a number or bool; whole floats lose their point (above 2**53 they are no exact ids anyway)."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return canonical(str(value))


def _merge(codes: npt.NDArray[Any], texts: Sequence[str]) -> Factor:
    """Sort the texts, join equal ones, and send the empty text to null."""
    kept = sorted(set(texts) - {""})
    place = {text: index for index, text in enumerate(kept)}
    table = np.array([place.get(text, -1) for text in texts] + [-1], np.int32)  # codes of -1 find the last
    return Factor(table[codes], kept)


def from_texts(values: Sequence[str | None]) -> Column:
    """A text column from Python strings."""
    distinct = sorted({value for value in values if value})
    place: dict[str | None, int] = {text: index for index, text in enumerate(distinct)}
    place[None] = place[""] = -1
    codes = np.fromiter(map(place.__getitem__, values), np.int32, len(values))
    return Column("text", codes, codes < 0, distinct, "text")


def from_numpy(array: npt.ArrayLike) -> Column:
    """A column from anything that NumPy takes as a one-dimensional array.

    Raises
    ------
    ValueError
        More or fewer dimensions than one.
    """
    values = np.asarray(array)
    if values.ndim != 1:
        raise ValueError(f"a column needs one dimension, got shape {values.shape}")
    name, kind = str(values.dtype), values.dtype.kind
    some = np.zeros(len(values), bool)
    if kind == "b":
        return Column("bool", values, some, [], name)
    if kind in "iu":
        return Column("int", values.astype(np.uint64 if name == "uint64" else np.int64), some, [], name)
    if kind == "f":
        return Column("float", values.astype(np.float64), np.isnan(values), [], name)
    if kind == "M":
        null = np.isnat(values)
        micro = np.where(null, 0, values.astype("datetime64[us]").astype(np.int64))
        return Column("date", micro / 1e6, null, [], name)
    if kind in "UT":
        return from_texts(values.tolist())
    if kind == "O":
        return _from_objects(values.tolist())
    return Column("other", values, some, [], name)


def _is_null(value: object) -> bool:
    """None, NaN, and what pandas has for them; each of the last three differs from itself or cannot tell."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and math.isnan(value)


def _from_objects(values: list[Any]) -> Column:
    """An object array: its kind is that of its values; mixed values become text."""
    null = np.fromiter(map(_is_null, values), bool, len(values))
    present = [value for value, gone in zip(values, null, strict=True) if not gone]
    types = set(map(type, present))

    def filled(dtype: type[np.generic], parts: Iterable[Any]) -> npt.NDArray[Any]:
        out = np.zeros(len(values), dtype)
        out[~null] = np.array(list(parts), dtype)
        return out

    if types and all(issubclass(t, bool | np.bool_) for t in types):
        return Column("bool", filled(np.bool_, present), null, [], "bool")
    if types and all(issubclass(t, int | np.integer) and t is not bool for t in types):
        if all(-(2**63) <= int(value) < 2**63 for value in present):
            return Column("int", filled(np.int64, present), null, [], "int")
    elif types and all(
        issubclass(t, float | int | np.floating | np.integer) and t is not bool for t in types
    ):
        return Column("float", filled(np.float64, present), null, [], "float")
    if types and all(issubclass(t, dt.date) for t in types):
        return Column("date", filled(np.float64, map(seconds, present)), null, [], "date")
    if any(issubclass(t, list | tuple | dict | set | np.ndarray) for t in types):
        name = next(t.__name__ for t in types if issubclass(t, list | tuple | dict | set | np.ndarray))
        return Column("other", np.zeros(len(values)), null, [], name)
    return from_texts([None if gone else str(value) for value, gone in zip(values, null, strict=True)])


def seconds(moment: dt.date) -> float:
    """Seconds since 1970 of a date; one without a time zone is taken as UTC.

    Examples
    --------
    >>> seconds(dt.date(1970, 1, 2))
    86400.0
    """
    if not isinstance(moment, dt.datetime):
        moment = dt.datetime(moment.year, moment.month, moment.day)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return ((moment - EPOCH) // MICROSECOND) / 1e6
