"""From a column to what its role needs, with every row that will not do.

Each function returns the array and a list of `Problem`: a mask of rows and what is wrong with them. Nothing
is dropped or repaired here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .column import Column, canonical, seconds
from .errors import DataError

__all__ = ["Problem", "as_label", "as_number", "as_time", "describe", "nulls"]

TimeKind = Literal["number", "date"]
LABELS = {"0": 0, "1": 1, "false": 0, "true": 1}


@dataclass(frozen=True, eq=False)
class Problem:
    """Rows of one column that will not do."""

    column: str
    what: str
    rows: npt.NDArray[np.int64]
    first: str

    @staticmethod
    def find(name: str, column: Column, what: str, mask: npt.NDArray[np.bool_]) -> list[Problem]:
        """One problem, or none when no row has it."""
        rows = np.flatnonzero(mask)
        if not len(rows):
            return []
        first = int(rows[0])
        return [Problem(name, what, rows, "" if column.null[first] else f", {column.show(first)}")]

    def __str__(self) -> str:
        rows = "1 row is" if len(self.rows) == 1 else f"{len(self.rows):,} rows are"
        return f"column {self.column!r}: {rows} {self.what} (first: row {self.rows[0] + 1:,}{self.first})"


def describe(where: str, problems: list[Problem]) -> str:
    """All problems in one line."""
    return f"{where}: {'; '.join(map(str, problems))}; rows are counted from 1"


def nulls(name: str, column: Column) -> list[Problem]:
    """Rows without a value."""
    return Problem.find(name, column, "null", column.null)


def as_label(name: str, column: Column) -> tuple[npt.NDArray[np.uint8], list[Problem]]:
    """0 or 1, also spelt 0.0, 1.0, true, false."""
    wrong_kind(name, column, "a label of 0 and 1", {"bool", "int", "float", "text"})
    if column.kind == "text":
        table = np.array([LABELS.get(canonical(text.strip().lower()), -1) for text in column.texts] + [-1])
        values = table[column.values]
    else:
        values = np.where(np.isin(column.values, (0, 1)), column.values, -1).astype(np.int64)
    bad = ~column.null & (values < 0)
    problems = nulls(name, column) + Problem.find(name, column, "not 0 or 1", bad)
    return np.where(values == 1, 1, 0).astype(np.uint8), problems


def as_number(name: str, column: Column) -> tuple[npt.NDArray[np.float64], list[Problem]]:
    """A finite number in every row."""
    wrong_kind(name, column, "a number", {"bool", "int", "float", "text"})
    values, bad = _numbers(column)
    missing = "null or NaN" if column.kind == "float" else "null"
    problems = Problem.find(name, column, missing, column.null)
    problems += Problem.find(name, column, "not a number", bad)
    problems += Problem.find(name, column, "NaN", ~column.null & ~bad & np.isnan(values))
    problems += Problem.find(name, column, "infinite", ~column.null & np.isinf(values))
    return values, problems


def as_time(name: str, column: Column) -> tuple[npt.NDArray[Any], TimeKind, list[Problem]]:
    """Times that can be compared: whole numbers as int64, other numbers and dates (seconds since 1970) as float64."""
    wrong_kind(name, column, "a time", {"int", "float", "date", "text"})
    problems = nulls(name, column)
    if column.kind == "date":
        return column.values, "date", problems
    values: npt.NDArray[Any] = column.values
    kind: TimeKind = "number"
    bad = np.zeros(len(column), bool)
    if column.kind == "int" and column.values.dtype == np.uint64:
        bad = column.values > np.uint64(2**63 - 1)
        values = column.values.astype(np.int64)
    elif column.kind == "text":
        values, bad, kind = _times(column)
        problems += Problem.find(name, column, "neither a number nor an ISO date", bad)
    if values.dtype.kind == "f":
        problems += Problem.find(name, column, "not finite", ~column.null & ~bad & ~np.isfinite(values))
    elif column.kind == "int":
        problems += Problem.find(name, column, "beyond 64 bits", bad)
    return values, kind, problems


def wrong_kind(name: str, column: Column, needed: str, kinds: set[str]) -> None:
    """Refuse a whole column whose type cannot play the role."""
    if column.kind not in kinds:
        raise DataError(f"column {name!r} has the type {column.type_name}, which cannot be {needed}")


def _spread(
    column: Column, parse: Callable[[str], float | int | None], dtype: type[np.generic]
) -> tuple[Any, Any]:
    """Parse each distinct text once; the rows whose text gives None are bad."""
    parsed = [parse(text) for text in column.texts]
    table = np.array([0 if value is None else value for value in parsed] + [0], dtype)
    failed = np.array([value is None for value in parsed] + [False], bool)
    return table[column.values], failed[column.values]


def _numbers(column: Column) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    if column.kind == "text":
        values, bad = _spread(column, _float, np.float64)
        return values, bad
    return column.values.astype(np.float64), np.zeros(len(column), bool)


def _times(column: Column) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_], TimeKind]:
    """Whole numbers, numbers, or dates: the first reading that fits every text, else the one that fits most."""
    readings: tuple[Callable[[str], float | int | None], ...] = (_int, _float, _iso)
    failures: dict[Callable[[str], float | int | None], int] = {}
    for parse in readings:
        failures[parse] = sum(parse(text) is None for text in column.texts)
        if not failures[parse]:
            break
    parse = min(failures, key=failures.__getitem__)
    values, bad = _spread(column, parse, np.int64 if parse is _int else np.float64)
    return values, bad, "date" if parse is _iso else "number"


def _float(text: str) -> float | None:
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _int(text: str) -> int | None:
    try:
        value = None if "_" in text else int(text)
    except ValueError:
        return None
    return value if value is not None and -(2**63) <= value < 2**63 else None


def _iso(text: str) -> float | None:
    try:
        return seconds(dt.datetime.fromisoformat(text.strip()))
    except (ValueError, OverflowError):
        return None
