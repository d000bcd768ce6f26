"""A lock that is refused, never waited for, and that a forked child finds open."""

from __future__ import annotations

import os
from threading import Lock


class Busy:
    """Held during a step. A fork copies a lock that another thread holds, and with it nobody who would release it."""

    def __init__(self) -> None:
        self._lock, self._process = Lock(), os.getpid()

    def acquire(self) -> bool:
        """Take it, if it is free."""
        if self._process != os.getpid():
            self._lock, self._process = Lock(), os.getpid()
        return self._lock.acquire(blocking=False)

    def release(self) -> None:
        """Give it back."""
        self._lock.release()
