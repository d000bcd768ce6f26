"""A lock that is refused, not waited for, and that a forked child finds open."""

from __future__ import annotations

import os
from threading import Lock


class Busy:
    """Held during a step. A fork copies a lock that another thread holds, and with it nobody who would release it."""

    def __init__(self) -> None:
        self._lock, self._process = Lock(), os.getpid()

    def alone(self, owner: object) -> Lock:
        """Return the lock, for ``with``; refuse it when it is held.

        ``with`` on the lock itself is the one way to take it that Ctrl-C cannot come into: between a call of
        `acquire` and the ``try`` behind it an interrupt would leave it held for ever. So two threads that ask at the
        same moment may both be let through here, and one then waits for the other.
        """
        if self._process != os.getpid():
            self._lock, self._process = Lock(), os.getpid()
        if self._lock.locked():
            raise RuntimeError(
                f"{type(owner).__name__}: a step of this optimizer is under way, here or in another thread"
            )
        return self._lock
