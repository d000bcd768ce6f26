"""Will it fit? Asked before a file is loaded.

    need = rows × (Σ_columns bytes(kind) + OVERHEAD)

An estimate, from above for usual data: the whole file is never read to make it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

__all__ = ["available", "check", "table_bytes"]

NUMBER = 48  # a number: as read, as float64, its mask, and room for a sort of it
TEXT = (
    120  # a text: its bytes and Python's header where it is distinct, its code, and room for a sort of them
)
INPUTS = 64  # what training makes of a column: its index, its history, its place in a split
# bytes of memory per byte of a CSV file: its fields are short, and the csv module makes an object of each
CSV_FACTOR = {"polars": 14, "csv": 20}


def table_bytes(rows: int, numbers: int, texts: int) -> int:
    """Memory to read and train on a table of so many columns.

    Examples
    --------
    >>> table_bytes(1_000_000, numbers=3, texts=2) / 1e9
    0.704
    """
    return rows * (numbers * NUMBER + texts * TEXT + (numbers + texts) * INPUTS)


def check(where: str, need: int, what: str) -> None:
    """Refuse with the estimate when there is less memory than `need`."""
    from .errors import DataError

    free = available()
    if free is not None and need > free:
        raise DataError(
            f"{where}: needs about {_size(need)} of memory ({what}), {_size(free)} is free;"
            " take fewer rows or fewer columns"
        )


def available() -> int | None:
    """Bytes that can still be used: the machine's, or the control group's where that is less; None if unknown."""
    known = [value for value in (_machine(), _group()) if value is not None]
    return min(known) if known else None


def _machine() -> int | None:
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _group(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int | None:
    """The tightest limit between this process's control group and the root, less what is in use (versions 1 and 2)."""
    rooms: list[int] = []
    with contextlib.suppress(OSError, ValueError):
        for line in own.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers in ("", "memory"):
                top = root / controllers
                folders = [top / path.lstrip("/")]
                folders += [folder for folder in folders[0].parents if folder.is_relative_to(top)]
                rooms += [room for folder in folders if (room := _room(folder)) is not None]
    return min(rooms, default=None)


GROUP_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def _room(folder: Path) -> int | None:
    for limit, usage, cache in GROUP_FILES:
        with contextlib.suppress(
            OSError, ValueError, KeyError
        ):  # no such file, "max", no such line: no limit here
            free = int((folder / limit).read_text()) - int((folder / usage).read_text())
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            return free + int(stat[cache])  # the page cache can be given back
    return None


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e8 else f"{count / 1e6:,.1f} MB"
