"""The folder of a run: what it holds, and how it comes to be.

    config.toml             every choice, defaults too
    checkpoint.safetensors  all that is needed to go on, and to score (.npz where there is no safetensors)
    data.json               rows that were dropped, and why; values that are null, unseen or rare
    history.jsonl           a line an epoch
    steps.jsonl             a line every --eval-steps steps
    metrics.json            the figures
    *.png                   pictures

Each file is written whole or not at all.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from fourstep.state import atomic_file
from fourstep.train.errors import RunError

__all__ = [
    "CONFIG",
    "DATA",
    "HISTORY",
    "METRICS",
    "STEPS",
    "abandon",
    "checkpoint",
    "claim",
    "create",
    "json_text",
    "write",
]

ROOT = "runs"  # of folders that nobody named
CONFIG, DATA, HISTORY, METRICS = "config.toml", "data.json", "history.jsonl", "metrics.json"
STEPS = "steps.jsonl"


def checkpoint(path: Path) -> Path:
    """Name the checkpoint of the run in a folder: the one that is there, else safetensors where installed."""
    named = [path / f"checkpoint{suffix}" for suffix in (".safetensors", ".npz")]
    there = [each for each in named if each.exists()]
    if there:
        return there[0]
    return named[0] if importlib.util.find_spec("safetensors") is not None else named[1]


def claim(data: str, root: str = ROOT) -> Path:
    """Make a folder of a name that no other run has: of the data, the date and the time.

    Raises
    ------
    RunError
        It cannot be made.
    """
    first = Path(root) / f"{Path(data).stem}-{datetime.now():%Y%m%d-%H%M%S}"
    number, path = 1, first
    while True:
        try:
            path.mkdir(parents=True)
        except FileExistsError:  # another run that began in this second
            number += 1
            path = first.with_name(f"{first.name}-{number}")
        except OSError as error:
            raise RunError(f"--out {path}: {error.strerror}") from None
        else:
            return path


def abandon(path: Path, made: Iterable[str], *, keep: bool = False) -> None:
    """Remove the files that a run made and came to nothing with, and its folder if nothing else is in it.

    Files of another run that took the folder meanwhile are not ours; `keep` leaves a folder that was there before.
    """
    for name in made:
        (path / name).unlink(missing_ok=True)
    if keep:
        return
    with contextlib.suppress(OSError):
        path.rmdir()
        if path.parent == Path(ROOT):
            path.parent.rmdir()


def check_new(path: Path) -> None:
    """Refuse a path where something is already.

    Raises
    ------
    RunError
        A folder that is not empty, or a file.
    """
    if path.is_dir():
        if any(path.iterdir()):
            more = "; add --resume to go on with the run in it" if checkpoint(path).exists() else ""
            raise RunError(f"--out {path}: the folder is not empty{more}")
    elif path.exists():
        raise RunError(f"--out {path}: is not a folder")


def create(path: Path) -> None:
    """Make the folder.

    Raises
    ------
    RunError
        It cannot be made.
    """
    check_new(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"--out {path}: {error.strerror}") from None


def write(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with atomic_file(path, text=True) as file:
        file.write(text)


def json_text(value: Mapping[str, Any]) -> str:
    """Write JSON for people: indented, with a line break at the end."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def json_lines(values: Iterable[Mapping[str, Any]]) -> str:
    """Write one JSON object a line."""
    return "".join(json.dumps(value, allow_nan=False) + "\n" for value in values)
