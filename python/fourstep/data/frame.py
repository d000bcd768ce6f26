"""Columns by name, from whatever holds them: a mapping of arrays, a polars or pandas frame, a file.

A frame knows no roles: `fourstep.data.Dataset.from_frame` gives them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .column import Column, from_numpy
from .errors import DataError
from .roles import Problem, as_label, as_number, describe

__all__ = ["Frame", "FrameLike", "as_frame"]

FrameLike: TypeAlias = "Frame | Mapping[str, npt.ArrayLike] | Any"  # Any: a polars or pandas DataFrame


class Frame(Mapping[str, npt.NDArray[Any]]):
    """A read-only mapping of column names to arrays of one length.

    ``frame["x"]`` is a plain array: numbers, bools, datetime64, or Python strings; null is NaN among numbers
    and None elsewhere. ``frame.column("x")`` is the column as it was read, which keeps 64-bit ids exact
    beside nulls.

    Examples
    --------
    >>> frame = as_frame({"user": ["ann", None], "click": [0, 1]})
    >>> frame
    Frame(2 rows: user, click)
    >>> frame["user"].tolist()
    ['ann', None]
    """

    def __init__(self, columns: Mapping[str, Column], name: str = "frame") -> None:
        lengths = {key: len(column) for key, column in columns.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"{name}: columns of unequal length: {lengths}")
        self._columns = dict(columns)
        self.name = name
        self.rows = next(iter(lengths.values()), 0)

    def column(self, name: str) -> Column:
        """The column as it was read."""
        return self._columns[name]

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """The column as finite float64; text is parsed.

        Raises
        ------
        DataError
            No such column, or rows that are null, NaN, infinite or no number.
        """
        values, problems = as_number(name, self._find(name))
        self._refuse(problems)
        return values

    def labels(self, name: str) -> npt.NDArray[np.uint8]:
        """The column as 0 and 1 (also spelt 0.0, 1.0, true, false).

        Raises
        ------
        DataError
            No such column, or rows that are anything else.
        """
        values, problems = as_label(name, self._find(name))
        self._refuse(problems)
        return values

    def groups(self, name: str) -> npt.NDArray[np.int64]:
        """The column as group numbers: equal values, equal numbers; null is -1."""
        return self._find(name).factor().codes.astype(np.int64)

    def _find(self, name: str) -> Column:
        if name not in self._columns:
            raise DataError(missing_columns(self.name, [name], list(self._columns)))
        return self._columns[name]

    def _refuse(self, problems: list[Problem]) -> None:
        if problems:
            raise DataError(describe(self.name, problems))

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self._columns[name].to_numpy()

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __repr__(self) -> str:
        return f"Frame({self.rows:,} rows: {', '.join(self._columns)})"


def as_frame(source: FrameLike, name: str = "frame") -> Frame:
    """A `Frame` from a mapping of arrays, a polars DataFrame or a pandas DataFrame.

    Raises
    ------
    DataError
        Anything else, columns of unequal length, of more than one dimension, or two of one name.
    """
    if isinstance(source, Frame):
        return source
    library = type(source).__module__.partition(".")[0]
    table: Any = source  # polars and pandas are not imported to ask what it is
    if library == "polars" and hasattr(table, "collect"):
        table = table.collect()
    if library == "polars" and hasattr(table, "get_columns"):
        return Frame({series.name: from_polars(series) for series in table.get_columns()}, name)
    if library == "pandas" and hasattr(table, "columns"):
        names = [str(key) for key in table.columns]
        check_names(names, name)
        return Frame({key: _from_pandas(table.iloc[:, i]) for i, key in enumerate(names)}, name)
    if isinstance(source, Mapping):
        return Frame({str(key): _named(str(key), values) for key, values in source.items()}, name)
    raise DataError(
        f"{name}: needs a mapping of arrays or a polars or pandas DataFrame, got {type(source).__name__}"
    )


def missing_columns(where: str, missing: list[str], there: list[str]) -> str:
    """The message on missing columns, with those that there are."""
    plural = "s" if len(missing) > 1 else ""
    return f"{where}: no column{plural} {', '.join(map(repr, missing))}; the columns are {', '.join(map(repr, there))}"


def check_names(names: list[str], where: str) -> None:
    """Refuse column names that occur twice."""
    twice = sorted({key for key in names if names.count(key) > 1})
    if twice:
        raise DataError(f"{where}: column {', '.join(map(repr, twice))} occurs more than once")


def _named(name: str, values: npt.ArrayLike) -> Column:
    try:
        return from_numpy(values)
    except ValueError as error:
        raise DataError(f"column {name!r}: {error}") from None


def _from_pandas(series: Any) -> Column:
    """Plain NumPy columns as they are, pandas' own types through objects."""
    if isinstance(series.dtype, np.dtype):
        return from_numpy(series.to_numpy())
    return from_numpy(series.to_numpy(dtype=object))


def from_polars(series: Any) -> Column:
    """A column from a polars Series."""
    import polars as pl

    kind, name = series.dtype, str(series.dtype)
    null = series.is_null().to_numpy()
    if kind == pl.Null:
        return Column("text", np.full(len(series), -1, np.int32), null, [], name)
    if kind == pl.Boolean:
        return Column("bool", series.fill_null(False).to_numpy(), null, [], name)
    if kind.is_decimal():
        series, kind = series.cast(pl.Float64), pl.Float64()
    if name in ("Int128", "UInt128"):
        series, kind = series.cast(pl.String), pl.String()
    if kind.is_integer():
        wide = pl.UInt64 if kind == pl.UInt64 else pl.Int64
        return Column("int", series.fill_null(0).cast(wide).to_numpy(), null, [], name)
    if kind.is_float():
        values = series.fill_null(float("nan")).cast(pl.Float64).to_numpy()
        return Column("float", values, np.isnan(values), [], name)
    if kind == pl.Date or kind == pl.Datetime:
        micro = series.cast(pl.Datetime("us")) if kind == pl.Date else series
        return Column("date", micro.dt.epoch("us").fill_null(0).to_numpy() / 1e6, null, [], name)
    if kind == pl.String or kind == pl.Categorical or kind == pl.Enum:
        return _polars_texts(series.cast(pl.String))
    if kind == pl.Object:
        return from_numpy(series.to_numpy())
    return Column("other", np.zeros(len(series)), null, [], name)


def _polars_texts(series: Any) -> Column:
    """Distinct texts and their codes; polars sorts by code point, as Python does."""
    import polars as pl

    texts = series.unique().drop_nulls().sort()
    texts = texts.filter(texts != "")
    table = pl.DataFrame({"text": texts, "code": np.arange(len(texts), dtype=np.int32)})
    found = pl.DataFrame({"text": series}).join(table, on="text", how="left", maintain_order="left")
    codes = found["code"].fill_null(-1).to_numpy()
    return Column("text", codes, codes < 0, texts.to_list(), "text")
