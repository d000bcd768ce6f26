"""The errors that a user of the command line can cause, as one line."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ConfigError", "Interrupted", "RunError", "nearest", "one_line"]


class ConfigError(ValueError):
    """A flag or a key of a configuration that is unknown, out of range, or contradicts another."""


class RunError(ValueError):
    """A run that cannot be started, read or gone on with."""


class Interrupted(Exception):  # noqa: N818
    """No error: Ctrl-C came and the run stopped between two steps; the message says how to go on."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Name the known word that is closest, to be put behind an error; empty if none is close.

    Examples
    --------
    >>> nearest("epoch", ["epochs", "lr"])
    '; did you mean epochs?'
    """
    found = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {found[0]}?" if found else ""


def one_line(error: Exception) -> str | None:
    """Say an error of the user's or of the machine's in one line; None for a fault of our own.

    A fault of our own is not for the user to mend: its traceback is wanted.
    """
    from fourstep.data import DataError
    from fourstep.state import StateError

    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        return f"{error.filename}: {reason}" if error.filename is not None else reason
    if isinstance(error, MemoryError):
        return "out of memory: take fewer rows, smaller embeddings or smaller batches"
    if isinstance(error, ConfigError | RunError | DataError | StateError) or "FOURSTEP_" in str(error):
        return " ".join(str(error).split())
    return None
