"""A checked table: every value in it is what its role needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .column import Column, Factor
from .errors import DataError
from .frame import Frame, FrameLike, as_frame, missing_columns
from .roles import Problem, TimeKind, as_label, as_number, as_time, describe, nulls
from .schema import Schema

__all__ = ["Dataset"]

LISTED = 5  # so many first rows are listed of each kind of bad row


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Rows of a table by role, checked.

    Make one with `from_frame`, `fourstep.data.read`, `fourstep.data.movielens` or `fourstep.data.simulated`.

    Attributes
    ----------
    name : str
        Where it came from.
    schema : Schema
        The roles.
    columns : dict of str to array
        The label (uint8), the time (int64, or float64; dates as seconds since 1970), the numeric columns
        (float64), and whatever else its maker knows (see `fourstep.data.simulated`). Categories are in
        `factors`; ``dataset[name]`` finds either.
    factors : dict of str to Factor
        The user and the categorical columns: codes into sorted texts, -1 for null.
    time_kind : {"number", "date", None}
        What the time column was.
    report : dict
        ``rows_read``, ``rows_dropped``, ``dropped`` (column -> what was wrong -> count and first rows),
        ``nulls`` (per category column).
    oracle : (n,) float64 or None
        The true probability of the label, where it is known.

    Examples
    --------
    >>> from fourstep import data
    >>> frame = {"click": [0, 1, 1], "ad": ["x", None, "y"], "price": [1.0, 2.0, 4.0]}
    >>> dataset = data.Dataset.from_frame(frame, data.Schema("click", categorical=["ad"], numeric=["price"]))
    >>> dataset
    Dataset(frame: 3 rows, 66.7% of click are 1; categorical ad; numeric price)
    >>> dataset["ad"].tolist(), dataset.report["nulls"]
    (['x', None, 'y'], {'ad': 1})
    """

    name: str
    schema: Schema
    columns: dict[str, npt.NDArray[Any]]
    factors: dict[str, Factor]
    rows: int
    time_kind: TimeKind | None = None
    report: dict[str, Any] = field(default_factory=dict)
    oracle: npt.NDArray[np.float64] | None = None

    @staticmethod
    def from_frame(
        source: FrameLike,
        schema: Schema,
        *,
        name: str | None = None,
        bad_rows: Literal["error", "drop"] = "error",
        labelled: bool = True,
    ) -> Dataset:
        """Check a frame and give its columns their roles.

        Parameters
        ----------
        source : mapping of arrays, polars or pandas DataFrame, or Frame
            Columns without a role are left out.
        schema : Schema
            The roles.
        name : str, optional
            For messages.
        bad_rows : {"error", "drop"}
            Rows with a value that will not do: an error, or left out, counted and listed in `report`.
        labelled : bool
            False for rows to be scored: the label need not be there and is not read.

        Raises
        ------
        DataError
            A missing column; bad rows; no rows; labels of one class only.
        """
        if bad_rows not in ("error", "drop"):
            raise DataError(f'bad_rows needs "error" or "drop", got {bad_rows!r}')
        frame = as_frame(source, name or "frame")
        where = name or frame.name
        wanted = [column for column in schema.columns if labelled or column != schema.label]
        missing = [column for column in wanted if column not in frame]
        if missing:
            raise DataError(missing_columns(where, missing, list(frame)))
        if not frame.rows:
            raise DataError(f"{where}: no rows")
        dataset, problems = _assign(frame, schema, where, labelled)
        if problems and bad_rows == "error":
            raise DataError(describe(where, problems))
        if problems:
            dataset = _drop(dataset, problems)
        if labelled:
            _check_classes(dataset)
        return dataset

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """The values of a column; of categories their texts, None where null."""
        return self.columns[name] if name in self.columns else self.factors[name].decode()

    @property
    def label(self) -> npt.NDArray[np.uint8]:
        """The label: 0 or 1.

        Raises
        ------
        DataError
            Rows that were read without one.
        """
        if self.schema.label not in self.columns:
            raise DataError(f"{self.name}: these rows were read without their label {self.schema.label!r}")
        return self.columns[self.schema.label]

    @property
    def time(self) -> npt.NDArray[Any] | None:
        """The time, int64 or float64; None if there is no such column."""
        return None if self.schema.time is None else self.columns[self.schema.time]

    @property
    def groups(self) -> npt.NDArray[np.int64] | None:
        """The user as a number, for grouped metrics; None if there is no such column."""
        return None if self.schema.user is None else self.factors[self.schema.user].codes.astype(np.int64)

    @property
    def oracle_auc(self) -> float | None:
        """AUC of the true probability: what no model exceeds but by luck. None where it is not known."""
        if self.oracle is None:
            return None
        from fourstep.metrics import auc

        return float(auc(self.label, self.oracle))

    def take(self, rows: npt.NDArray[np.int64]) -> Dataset:
        """The given rows, in the given order.

        Examples
        --------
        >>> from fourstep import data
        >>> dataset = data.simulated(rows=1000)
        >>> len(dataset.take(np.arange(10)))
        10
        """
        return Dataset(
            self.name,
            self.schema,
            {name: values[rows] for name, values in self.columns.items()},
            {name: factor.take(rows) for name, factor in self.factors.items()},
            len(rows),
            self.time_kind,
            self.report,
            None if self.oracle is None else self.oracle[rows],
        )

    def __repr__(self) -> str:
        schema = self.schema
        parts = [f"{self.rows:,} rows"]
        if schema.label in self.columns:
            parts[0] += f", {self.label.mean():.1%} of {schema.label} are 1" if self.rows else ""
        parts += [f"{role} {name}" for role, name in (("user", schema.user), ("time", schema.time)) if name]
        parts += [
            f"{role} {', '.join(names)}"
            for role, names in (("categorical", schema.categorical), ("numeric", schema.numeric))
            if names
        ]
        return f"Dataset({self.name}: {'; '.join(parts)})"


def _assign(frame: Frame, schema: Schema, where: str, labelled: bool) -> tuple[Dataset, list[Problem]]:
    """Every column in its role, and every row that will not do. Columns of a wrong type are one error together."""
    columns: dict[str, npt.NDArray[Any]] = {}
    factors: dict[str, Factor] = {}
    problems: list[Problem] = []
    wrong: list[str] = []
    time_kind: TimeKind | None = None

    def attempt(read: Callable[[str, Column], tuple[Any, list[Problem]]], name: str) -> Any:
        try:
            values, found = read(name, frame.column(name))
        except DataError as error:
            wrong.append(str(error))
            return None
        problems.extend(found)
        return values

    def read_category(name: str, column: Column) -> tuple[Factor, list[Problem]]:
        if column.kind in ("other", "date"):
            raise DataError(f"column {name!r} has the type {column.type_name}, which cannot be a category")
        return column.factor(), nulls(name, column) if name == schema.user else []

    def read_time(name: str, column: Column) -> tuple[Any, list[Problem]]:
        nonlocal time_kind
        values, time_kind, found = as_time(name, column)
        return values, found

    if labelled:
        columns[schema.label] = attempt(as_label, schema.label)
    if schema.time is not None:
        columns[schema.time] = attempt(read_time, schema.time)
    for name in schema.keys:
        factors[name] = attempt(read_category, name)
    for name in schema.numeric:
        columns[name] = attempt(as_number, name)
    if wrong:
        raise DataError(f"{where}: {'; '.join(wrong)}")
    return _reported(
        Dataset(where, schema, columns, factors, frame.rows, time_kind), frame.rows, {}
    ), problems


def _drop(dataset: Dataset, problems: list[Problem]) -> Dataset:
    """Leave the bad rows out; say how many there were of each kind and which came first."""
    good = np.ones(len(dataset), bool)
    dropped: dict[str, dict[str, Any]] = {}
    for problem in problems:
        good[problem.rows] = False
        first = (problem.rows[:LISTED] + 1).tolist()
        dropped.setdefault(problem.column, {})[problem.what] = {
            "count": len(problem.rows),
            "first_rows": first,
        }
    if not good.any():
        raise DataError(f"{describe(dataset.name, problems)}; no row is left")
    return _reported(dataset.take(np.flatnonzero(good)), len(dataset), dropped)


def _reported(dataset: Dataset, rows_read: int, dropped: dict[str, dict[str, Any]]) -> Dataset:
    report = {
        "rows_read": rows_read,
        "rows_dropped": rows_read - len(dataset),
        "dropped": dropped,
        "nulls": {name: int((factor.codes < 0).sum()) for name, factor in dataset.factors.items()},
    }
    return replace(dataset, report=report)


def _check_classes(dataset: Dataset) -> None:
    low, high = int(dataset.label.min()), int(dataset.label.max())
    if low == high:
        raise DataError(
            f"{dataset.name}: column {dataset.schema.label!r} holds one class only:"
            f" it is {low} in all {len(dataset):,} rows"
        )
