"""Instruction level, threads and version: what a call runs on, and how to change it.

None of it changes a bit of a result. The environment is read once, at first use:

``FOURSTEP_ISA``
    ``baseline``, ``v3`` (AVX2) or ``v4`` (AVX-512); unset: the best that the CPU has.
``FOURSTEP_NUM_THREADS``, else ``RAYON_NUM_THREADS``
    threads; unset: the CPUs that this process may use.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING

from fourstep import _core

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_THREADS = 256

#: (level, threads, chunk, serial_below) of calls in this context; None = the process's own.
_execution: ContextVar[_core.Exec] = ContextVar("fourstep_execution", default=(None, None, None, None))


@dataclass(frozen=True)
class Runtime:
    """What kernels run on in this process."""

    level: str
    level_reason: str
    levels: tuple[str, ...]
    threads: int
    threads_reason: str
    version: str

    def __str__(self) -> str:
        """A table of three lines."""
        return (
            f"fourstep {self.version}\n"
            f"level    {self.level} ({self.level_reason}; this CPU has {', '.join(self.levels)})\n"
            f"threads  {self.threads} ({self.threads_reason})"
        )


def runtime() -> Runtime:
    """Tell the instruction level, the number of threads, why, and the version.

    Raises
    ------
    RuntimeError
        ``FOURSTEP_ISA`` names a level that does not exist or that this CPU lacks.
    ValueError
        ``FOURSTEP_NUM_THREADS`` is not a whole number from 1 to 256.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.runtime().level in fs.runtime().levels
    True
    >>> print(fs.runtime())  # doctest: +SKIP
    fourstep 0.1.0
    level    v4 (the best that this CPU has; this CPU has baseline, v3, v4)
    threads  2 (the CPUs that this process may use)
    """
    level, why_level, levels, threads, why_threads, version = _core.runtime()
    here = _execution.get()[1]
    if here is not None:
        threads, why_threads = here, "fourstep.num_threads"
    return Runtime(level, why_level, tuple(levels), threads, why_threads, version)


def set_num_threads(n: int | None) -> None:
    """Use `n` threads in every later call of this process; ``None`` goes back to the default.

    Results do not depend on it, bit for bit. Small arrays stay on the caller's thread. The others are started at the
    first call that needs them, and stay awake for half a millisecond after each, giving way to whoever wants their core.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.set_num_threads(2)
    >>> fs.runtime().threads
    2
    >>> fs.set_num_threads(None)
    """
    _core.set_num_threads(0 if n is None else _checked("n", n))


@contextmanager
def num_threads(n: int) -> Iterator[None]:
    """Use `n` threads inside a ``with`` block, in this Python thread (or task) alone.

    Examples
    --------
    >>> import fourstep as fs
    >>> with fs.num_threads(1):
    ...     fs.runtime().threads
    1
    """
    level, _, chunk, serial_below = _execution.get()
    with _executing((level, _checked("n", n), chunk, serial_below)):
        yield


def limited(threads: int | None) -> AbstractContextManager[None]:
    """Return a block for the argument `threads` of a function: that many; None = as many as outside."""
    if threads is None:
        return nullcontext()
    level, _, chunk, serial_below = _execution.get()
    return _executing((level, _checked("threads", threads), chunk, serial_below))


def execution() -> _core.Exec:
    """Return what every call of the extension takes as its last argument."""
    return _execution.get()


@contextmanager
def override(
    *,
    level: str | None = None,
    threads: int | None = None,
    chunk: int | None = None,
    serial_below: int | None = None,
) -> Iterator[None]:
    """Run the calls of a block on a path of one's choice: for tests, so that short arrays reach every one."""
    with _executing((level, threads, chunk, serial_below)):
        yield


@contextmanager
def _executing(execution: _core.Exec) -> Iterator[None]:
    token = _execution.set(execution)
    try:
        yield
    finally:
        _execution.reset(token)


def _checked(name: str, n: int) -> int:
    try:
        if isinstance(n, bool):
            raise TypeError
        n = index(n)
    except TypeError:
        raise TypeError(f"{name}: got {n!r}, need a whole number from 1 to {_MAX_THREADS}") from None
    if not 1 <= n <= _MAX_THREADS:
        raise ValueError(f"{name}: got {n}, need a whole number from 1 to {_MAX_THREADS}")
    return n
