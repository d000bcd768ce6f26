"""`fourstep score`: new rows through the saved pipeline and model, into a file with one column more."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fourstep.data import read_frame
from fourstep.data.errors import counted
from fourstep.data.reading import PARQUET, SEPARATORS, has_polars
from fourstep.state import atomic_file
from fourstep.train.errors import ConfigError
from fourstep.train.run import load_run

if TYPE_CHECKING:
    from fourstep.data.frame import Frame

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
    _check_column(column, list(frame), data)
    inputs = run.transform(frame)
    for what, counts in (("unseen", inputs.unseen), ("rare", inputs.rare), ("null", inputs.nulls)):
        names = [f"{count:,} {name}" for name, count in counts.items() if count]
        if names:
            say(f"{what} in {counted(len(inputs), 'row')}: {', '.join(names)}")
    p = run.score(inputs)
    plain = kind in SEPARATORS and data.suffix.lower() in SEPARATORS
    content = _csv_rows(frame, kind, column, p) if plain else _polars(data, out, frame, kind, column, p)
    with atomic_file(out) as file:
        file.write(content)
    return len(p)


def _csv_rows(frame: Frame, kind: str, column: str, p: Floats) -> bytes:
    """Texts as they were read, and one column more."""
    made = io.StringIO(newline="")
    writer = csv.writer(made, delimiter=SEPARATORS[kind], lineterminator="\n")
    writer.writerow([*frame, column])
    writer.writerows(zip(*(frame[name].tolist() for name in frame), map(repr, p.tolist()), strict=True))
    return made.getvalue().encode()


def _polars(data: Path, out: Path, frame: Frame, kind: str, column: str, p: Floats) -> bytes:
    """The same where the input or the output is Parquet, whose types stay as they are."""
    import polars as pl

    if data.suffix.lower() in PARQUET:
        table = pl.read_parquet(data, glob=False)  # of the frame's columns the types are not the file's
    else:
        table = pl.DataFrame({name: pl.Series(frame[name].tolist(), dtype=pl.String) for name in frame})
    table = table.with_columns(pl.Series(column, p))
    made = io.BytesIO()
    if kind in PARQUET:
        table.write_parquet(made)
        return made.getvalue()
    nested = [f"{n!r} ({t})" for n, t in table.schema.items() if t.is_nested() or t == pl.Binary]
    if nested:
        raise ConfigError(f"--out {out}: CSV has no place for column {', '.join(nested)}; write Parquet")
    table.write_csv(made, separator=SEPARATORS[kind])
    return made.getvalue()


def _check_column(column: str, names: list[str], data: Path) -> None:
    if column in names:
        raise ConfigError(f"--column {column}: {data} has a column of that name; give another")
