"""The folder of a run: what it holds, and how it comes to be.

    config.toml             every choice, defaults too
    checkpoint.safetensors  all that is needed to go on, and to score (.npz where there is no safetensors)
    history.jsonl           a line an epoch
    metrics.json            the figures
    *.png                   pictures

Each file is written whole or not at all.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from fourstep.state import atomic_file
from fourstep.train.errors import RunError

__all__ = ["CONFIG", "HISTORY", "METRICS", "checkpoint", "create", "json_text", "new_name", "write"]

CONFIG, HISTORY, METRICS = "config.toml", "history.jsonl", "metrics.json"


def checkpoint(path: Path) -> Path:
    """Name the checkpoint of the run in a folder: the one that is there, else safetensors where installed."""
    named = [path / f"checkpoint{suffix}" for suffix in (".safetensors", ".npz")]
    there = [each for each in named if each.exists()]
    if there:
        return there[0]
    return named[0] if importlib.util.find_spec("safetensors") is not None else named[1]


def new_name(data: str, root: str = "runs") -> Path:
    """Name a folder that does not exist: of the data, the date and the time."""
    first = Path(root) / f"{Path(data).stem}-{datetime.now():%Y%m%d-%H%M%S}"
    number, path = 1, first
    while path.exists():
        number += 1
        path = first.with_name(f"{first.name}-{number}")
    return path


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
