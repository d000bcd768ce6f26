"""Read CSV and Parquet.

With polars (extra ``[data]``) both; without it CSV alone, by Python's csv module, with the same result. Every CSV
field is read as text: which text is a number is decided by the column's role, so a zip code stays what it is.
"""

from __future__ import annotations

import codecs
import csv
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from . import memory
from .column import Column, from_texts
from .dataset import Dataset
from .errors import DataError
from .frame import Frame, check_names, from_polars, missing_columns
from .schema import Schema

__all__ = ["read", "read_frame"]

SEPARATORS = {".csv": ",", ".tsv": "\t"}
PARQUET = (".parquet", ".pq")


def read(
    path: str | Path,
    *,
    label: str,
    user: str | None = None,
    time: str | None = None,
    categorical: Sequence[str] = (),
    numeric: Sequence[str] = (),
    tags: Sequence[str] = (),
    bad_rows: Literal["error", "drop"] = "error",
) -> Dataset:
    """Read the columns that have a role from a CSV or Parquet file, and check every row.

    Parameters
    ----------
    path : str or Path
        ``.csv``, ``.tsv``, ``.parquet`` or ``.pq``. CSV: UTF-8, a header, RFC 4180 quoting; an empty field is null.
    label, user, time, categorical, numeric, tags
        See `Schema`.
    bad_rows : {"error", "drop"}
        What becomes of rows whose label is not 0 or 1, whose number is null, NaN, infinite or no number,
        whose user or time is null: an error, or left out and listed in ``dataset.report`` (claim N4).

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        One line that names the file, the column, the first bad row (counted from 1) and how many there are:
        also for a file that is missing, empty, unreadable, not UTF-8, of unknown kind or too large for the
        memory; a column that is missing or occurs twice; labels of one class only.

    Examples
    --------
    >>> import os, tempfile
    >>> from fourstep import data
    >>> path = os.path.join(tempfile.mkdtemp(), "clicks.csv")
    >>> with open(path, "w") as file:
    ...     _ = file.write("click,user,ts,ad,price\\n1,ann,1,x,0.5\\n0,bob,2,y,oops\\n0,ann,3,,0.1\\n")
    >>> roles = dict(label="click", user="user", time="ts", categorical=["ad"], numeric=["price"])
    >>> try:
    ...     data.read(path, **roles)
    ... except data.DataError as error:
    ...     print(str(error).replace(path, "clicks.csv"))
    clicks.csv: column 'price': 1 row is not a number (first: row 2, 'oops'); rows are counted from 1
    >>> clicks = data.read(path, **roles, bad_rows="drop")
    >>> len(clicks), clicks.report["rows_dropped"], clicks.report["nulls"]
    (2, 1, {'user': 0, 'ad': 1})
    """
    schema = Schema(label, user, time, categorical, numeric, tags)
    return Dataset.from_frame(read_frame(path, schema.columns), schema, name=str(path), bad_rows=bad_rows)


def read_frame(path: str | Path, columns: Sequence[str] | None = None) -> Frame:
    """Read columns without roles: a mapping of names to arrays.

    Parameters
    ----------
    path : str or Path
        As for `read`.
    columns : sequence of str, optional
        The columns to read, in this order; all if not given.

    Returns
    -------
    Frame
        ``frame[name]`` is an array. CSV columns are arrays of text, None where the field is empty; a `Pipeline` and
        `Dataset.from_frame` take them as they are, `numbers` reads them as numbers.

    Raises
    ------
    DataError
        As for `read`, as far as no role is needed.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "scores.csv")
    >>> with open(path, "w") as file:
    ...     _ = file.write("user,p\\nann,0.25\\nbob,0.75\\n")
    >>> frame = read_frame(path)
    >>> frame, frame["user"].tolist(), frame.numbers("p").tolist()
    (Frame(2 rows: user, p), ['ann', 'bob'], [0.25, 0.75])
    """
    path = Path(path)
    where = str(path)
    suffix = path.suffix.lower()
    if suffix not in SEPARATORS and suffix not in PARQUET:
        raise DataError(
            f"{where}: unknown suffix {path.suffix!r}; known are {', '.join((*SEPARATORS, *PARQUET))}"
        )
    try:
        size = path.stat().st_size
        with path.open("rb"):
            pass
    except OSError as error:
        raise DataError(f"{where}: {error.strerror}") from None
    if size == 0:
        raise DataError(f"{where}: the file is empty")
    reader = _read_parquet if suffix in PARQUET else _read_csv
    frame = reader(path, columns)
    if not frame.rows:
        raise DataError(f"{where}: no rows")
    return frame


def has_polars() -> bool:
    """Whether the extra is there."""
    return importlib.util.find_spec("polars") is not None


def _read_parquet(path: Path, columns: Sequence[str] | None) -> Frame:
    if not has_polars():
        raise DataError(f"{path}: Parquet needs polars: pip install 'fourstep[data]' (or give a CSV file)")
    import polars as pl

    def load() -> Frame:
        types = pl.read_parquet_schema(path)
        wanted = _wanted(path, list(types), columns)
        rows = pl.scan_parquet(path, glob=False).select(pl.len()).collect().item()
        numbers = sum(types[name].is_numeric() or types[name].is_temporal() for name in wanted)
        texts = len(wanted) - numbers
        memory.check(
            str(path), memory.table_bytes(rows, numbers, texts), f"{rows:,} rows of {len(wanted)} columns"
        )
        table = pl.read_parquet(path, columns=wanted, glob=False)
        return Frame({name: from_polars(table[name]) for name in wanted}, str(path))

    return _guard(path, "Parquet", load)


def _read_csv(path: Path, columns: Sequence[str] | None) -> Frame:
    separator = SEPARATORS[path.suffix.lower()]
    polars = has_polars()
    factor = memory.CSV_FACTOR["polars" if polars else "csv"]
    size = path.stat().st_size
    memory.check(str(path), size * factor, f"{factor} bytes for each of the file's {size / 1e6:,.1f} MB")
    _check_utf8(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        names = next((row for row in csv.reader(file, delimiter=separator) if row), [])
    check_names(names, str(path))
    wanted = _wanted(path, names, columns)
    load = _csv_polars if polars else _csv_python
    return _guard(path, "CSV", lambda: Frame(load(path, separator, names, wanted), str(path)))


def _csv_polars(path: Path, separator: str, names: list[str], wanted: list[str]) -> dict[str, Column]:
    import polars as pl

    try:
        table = pl.read_csv(path, separator=separator, columns=wanted, infer_schema=False, glob=False)
    except pl.exceptions.PolarsError:  # the slow reader finds the row, or makes sense of it
        return _csv_python(path, separator, names, wanted)
    return {name: from_polars(table[name]) for name in wanted}


def _csv_python(path: Path, separator: str, names: list[str], wanted: list[str]) -> dict[str, Column]:
    """The same by the csv module: a short row ends in nulls, a long one is an error."""
    places = [names.index(name) for name in wanted]
    values: list[list[str | None]] = [[] for _ in wanted]
    width = len(names)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, delimiter=separator, strict=True)
        next(row for row in rows if row)
        for number, row in enumerate(rows, 1):
            if len(row) > width:
                raise DataError(f"{path}: row {number:,} has {len(row)} fields, the header has {width}")
            for place, column in zip(places, values, strict=True):
                column.append(row[place] if place < len(row) else None)
    return {name: from_texts(column) for name, column in zip(wanted, values, strict=True)}


def _wanted(path: Path, names: list[str], columns: Sequence[str] | None) -> list[str]:
    """The columns to read; all that are missing are named in one error."""
    if columns is None:
        return names
    missing = [name for name in columns if name not in names]
    if missing:
        raise DataError(missing_columns(str(path), missing, names))
    return list(columns)


def _guard(path: Path, kind: str, load: Callable[[], Frame]) -> Frame:
    """Turn whatever a reader raises into one line."""
    try:
        return load()
    except DataError:
        raise
    except MemoryError:
        raise DataError(f"{path}: out of memory while reading") from None
    except BaseException as error:
        # polars panics on some damaged files, and PyO3 makes that no Exception
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise DataError(f"{path}: not readable as {kind}: {reason}") from error


def _check_utf8(path: Path) -> None:
    """Find the first byte that is not UTF-8 (readers differ in what they check)."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    with path.open("rb") as file:
        while True:
            block = file.read(1 << 20)
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                line += error.object[: error.start].count(b"\n")
                found = error.object[error.start : error.start + 1].hex()
                raise DataError(f"{path}: not UTF-8: byte 0x{found} in line {line:,} of the file") from None
            if not block:
                return
            line += block.count(b"\n")
