"""Writing a file whole or not at all.

`atomic_file` writes beside the target, forces the bytes to disk, and renames: a kill, a crash or a full disk
at any instant leaves the old file or the new one, never half of either.

    .model.npz.4711-5ad02f1c.tmp        written here, by process 4711, under a lock that dies with it
        │ fsync, rename, fsync of the folder
    model.npz

What a killed writer leaves is removed by the next one for the same target. The lock tells a dead writer from
a live one; a process number would not (they are used again, and every container has a process 1).
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

__all__ = ["atomic_file"]


@contextmanager
def atomic_file(path: str | os.PathLike[str], *, text: bool = False) -> Iterator[IO[Any]]:
    """A file to write, which takes the place of `path` when the `with` block ends, and vanishes if it fails.

    Bytes, or `text` in UTF-8. Behind a symbolic link the file that it points at is replaced. Permissions are
    those of the file replaced, else those of any new file (umask).

    Raises
    ------
    OSError
        Of the fitting kind (`FileNotFoundError` for a missing folder, ...), in one line that names `path`.
        What was there before is untouched.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> path = os.path.join(tempfile.mkdtemp(), "notes.txt")
    >>> with atomic_file(path, text=True) as file:
    ...     _ = file.write("whole")
    >>> Path(path).read_text()
    'whole'
    >>> with atomic_file(path, text=True) as file:
    ...     _ = file.write("ha" + str(1 / 0))
    Traceback (most recent call last):
    ZeroDivisionError: division by zero
    >>> Path(path).read_text(), os.listdir(os.path.dirname(path))
    ('whole', ['notes.txt'])
    """
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        mode = _mode(target)
        with suppress(OSError):  # a folder that cannot be listed can be written to
            _remove_stale(folder, name)
        with _create(temporary, text) as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, target)  # before the file is closed: closing drops the lock
    except BaseException as error:
        with suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.filename in (None, temporary, target):
            reason = f"not written, any earlier version is untouched: {error.strerror}"
            raise OSError(error.errno, reason, os.fspath(path)) from None
        raise
    with suppress(OSError):  # some file systems cannot; the rename was atomic all the same
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _mode(target: str) -> int | None:
    """The permissions of the file to be replaced. A device or a folder must not be replaced by a file."""
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), target)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is not a regular file", target)
    return stat.S_IMODE(mode)


def _create(path: str, text: bool) -> IO[Any]:
    while True:
        file = open(path, "x" if text else "xb", encoding="utf-8" if text else None)  # noqa: SIM115
        with suppress(OSError):  # a file system without locks: nobody's leftovers are removed there
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # another writer took it for stale between its creation and its lock: once more


def _remove_stale(folder: str, name: str) -> None:
    leftover = re.compile(rf"\.{re.escape(name)}\.\d+-[0-9a-f]{{8}}\.tmp")
    for other in os.listdir(folder):
        if leftover.fullmatch(other):
            other = os.path.join(folder, other)
            with suppress(OSError), open(other, "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # an error while its writer is alive
                if os.fstat(file.fileno()).st_nlink:  # else another took it, and the name may be a new file's
                    os.unlink(other)
