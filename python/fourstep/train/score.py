"""`fourstep score`: new rows through the saved pipeline and model, into a file with one column more."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fourstep.data import read_frame
from fourstep.data.reading import PARQUET, SEPARATORS, has_polars
from fourstep.state import atomic_file
from fourstep.train.errors import ConfigError
from fourstep.train.run import load_run

__all__ = ["score"]

Floats = npt.NDArray[np.float64]


def score(
    folder: str | Path,
    data: str | Path,
    out: str | Path,
    *,
    column: str = "p",
    say: Callable[[str], None] = lambda _: None,
) -> int:
    """Write the rows of a file with their probabilities; return how many there are.

    Parameters
    ----------
    folder : str or Path
        Of a run.
    data, out : str or Path
        CSV or Parquet. Without polars CSV only. The output keeps every column of the input, the label and the
        user too, so that `fourstep evaluate` can follow.
    column : str
        Name of the new column.
    say : function
        Is told, a line at a time, what is worth knowing: that the run is not finished, how many values are unseen.

    Raises
    ------
    RunError
        There is no run in the folder.
    ConfigError
        An unknown suffix, an output that is the input, or a column of that name that is there already.
    data.DataError
        What is wrong with the rows.
    OSError
        The output cannot be written; nothing is left of it.
    """
    data, out = Path(data), Path(out)
    kind = out.suffix.lower()
    if kind not in SEPARATORS and kind not in PARQUET:
        raise ConfigError(
            f"--out {out}: unknown suffix {out.suffix!r}; known are {', '.join((*SEPARATORS, *PARQUET))}"
        )
    if kind in PARQUET and not has_polars():
        raise ConfigError(
            f"--out {out}: Parquet needs polars: pip install 'fourstep[data]' (or give a CSV file)"
        )
    if out.exists() and data.exists() and out.samefile(data):
        raise ConfigError(f"--out {out}: is the input; give another file")
    run = load_run(folder)
    if run.stage != "done":
        say(f"note: the run in {folder} is not finished; scored by the best weights of its search so far")
    frame = read_frame(data)
    inputs = run.transform(frame)
    for what, counts in (("unseen", inputs.unseen), ("rare", inputs.rare), ("null", inputs.nulls)):
        names = [f"{count:,} {name}" for name, count in counts.items() if count]
        if names:
            say(f"{what} in {len(inputs):,} rows: {', '.join(names)}")
    p = run.score(inputs)
    content = _with_polars(data, kind, column, p) if has_polars() else _with_csv(data, kind, column, p)
    with atomic_file(out) as file:
        file.write(content)
    return len(p)


def _with_polars(data: Path, kind: str, column: str, p: Floats) -> bytes:
    import polars as pl

    separator = SEPARATORS.get(data.suffix.lower())
    if separator is None:
        table = pl.read_parquet(data, glob=False)
    else:
        try:
            table = pl.read_csv(
                data, separator=separator, infer_schema=False, glob=False
            )  # texts stay as they are
        except pl.exceptions.PolarsError:  # an unescaped quote: the csv module makes sense of it
            frame = read_frame(data)
            table = pl.DataFrame(
                {name: [None if v is None else str(v) for v in frame[name]] for name in frame}
            )
    _check_column(column, table.columns, data)
    table = table.with_columns(pl.Series(column, p))
    made = io.BytesIO()
    if kind in PARQUET:
        table.write_parquet(made)
    else:
        table.write_csv(made, separator=SEPARATORS[kind])
    return made.getvalue()


def _with_csv(data: Path, kind: str, column: str, p: Floats) -> bytes:
    made = io.StringIO(newline="")
    writer = csv.writer(made, delimiter=SEPARATORS[kind], lineterminator="\n")
    with data.open(encoding="utf-8-sig", newline="") as file:
        rows: Any = csv.reader(file, delimiter=SEPARATORS[data.suffix.lower()], strict=True)
        names = next(row for row in rows if row)
        _check_column(column, names, data)
        writer.writerow([*names, column])
        for row, value in zip(rows, p.tolist(), strict=True):
            writer.writerow([*row, *[""] * (len(names) - len(row)), repr(value)])
    return made.getvalue().encode()


def _check_column(column: str, names: list[str], data: Path) -> None:
    if column in names:
        raise ConfigError(f"--column {column}: {data} has a column of that name; give another")
