"""Ctrl-C as a question that is asked between two steps, so that what is saved is whole."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interrupt"]


class Interrupt:
    """Within the ``with`` block the first Ctrl-C sets `requested`; a second one interrupts at once.

    Outside the main thread, where Python delivers no signals, it does nothing.

    Examples
    --------
    >>> import os, signal
    >>> with Interrupt() as interrupt:
    ...     os.kill(os.getpid(), signal.SIGINT)
    ...     interrupt.requested
    True
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: Any = None

    def __enter__(self) -> Interrupt:
        """Take over the signal."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
