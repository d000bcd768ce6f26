"""What a run leaves on disk to go on from, and to score with: one file, written whole or not at all.

digest        SHA-256 of all the rest
stage         "search", "refit" or "done"
config        the text of config.toml
fingerprint   SHA-256 of the fitted pipeline of the search: other data give another
origin        SHA-256 of the weights of the run that it began from, or ""
pipeline      vocabularies, scalers and history of `model`
features      lists of values, positions and what is left out, beside the pipeline
model         the best weights so far; at the end the final ones
search        the trainer, the best epoch, the history, what was measured between epochs
refit         the trainer, or None
valid         figures of the best epoch on the validation rows, or None
seconds       time by part
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from fourstep.state import StateError, load, save
from fourstep.train.errors import RunError
from fourstep.train.folder import checkpoint

__all__ = ["FORMAT", "digest", "pack", "read", "unpack", "write"]

FORMAT = 1


def write(folder: Path, state: dict[str, Any]) -> None:
    """Write the checkpoint of a run."""
    save(checkpoint(folder), {"format": FORMAT, "digest": digest(state)} | state)


def read(folder: Path) -> dict[str, Any]:
    """Read the checkpoint of a run.

    Raises
    ------
    RunError
        There is none, it cannot be read, or it is of another format.
    """
    path = checkpoint(folder)
    if not folder.is_dir():
        raise RunError(f"{folder}: there is no such folder")
    try:
        state = load(path)
    except FileNotFoundError:
        raise RunError(f"{folder}: holds no run (there is no {path.name} in it)") from None
    except OSError as error:
        raise RunError(f"{path}: {error.strerror}") from None
    except ModuleNotFoundError as error:  # written where safetensors was installed, read where it is not
        raise RunError(f"{path}: {error}") from None
    except StateError as error:
        raise RunError(f"{error}") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        found = state.get("format") if isinstance(state, dict) else None
        raise RunError(f"{path}: a checkpoint of format {found!r}, this version reads {FORMAT}")
    if state.pop("digest", None) != digest({key: value for key, value in state.items() if key != "format"}):
        raise RunError(f"{path}: is damaged: its contents are not those that were written")
    return state


def digest(state: Any) -> str:
    """Hash every name, type and byte: safetensors has no checksums."""
    found = hashlib.sha256()

    def add(node: Any) -> None:
        if isinstance(node, dict):
            for key in sorted(node):
                found.update(f"{key}:".encode())
                add(node[key])
        elif isinstance(node, np.ndarray):
            found.update(f"{node.dtype.str}{node.shape}".encode())
            found.update(np.ascontiguousarray(node).tobytes())
        elif isinstance(node, list | tuple):
            for each in node:
                add(each)
        else:
            found.update(f"{type(node).__name__} {node!r};".encode())

    add(state)
    return found.hexdigest()


def pack(value: Any) -> str:
    """Write lists and dicts of plain values as JSON text; floats read back as the same floats."""
    return json.dumps(value)


def unpack(text: Any) -> Any:
    """Read what `pack` wrote."""
    return json.loads(str(text))
