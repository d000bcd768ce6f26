"""Where the time goes: every moment of a run belongs to exactly one part.

    clock.lap("data")        the time since the lap before was spent on data

Laps, not pairs of start and stop: nothing falls between two parts, so the parts sum to the whole.
"""

from __future__ import annotations

from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PARTS", "Clock"]

#: What a run spends its time on.
PARTS = (
    *("data", "embedding", "pairs", "matrix_products", "batch_norm"),
    *("optimizer", "evaluation", "baseline", "other"),
)


class Clock:
    """Seconds by part.

    Examples
    --------
    >>> clock = Clock()
    >>> clock.lap("data")
    >>> with clock.all_as("evaluation"):  # whatever laps happen in here
    ...     clock.lap("matrix_products")
    >>> clock.seconds["evaluation"] > 0, clock.seconds["matrix_products"]
    (True, 0.0)
    """

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._last = perf_counter()
        self._whole: str | None = None

    def lap(self, part: str) -> None:
        """Count the time since the last lap as spent on `part`."""
        now = perf_counter()
        self.seconds[self._whole or part] += now - self._last
        self._last = now

    @contextmanager
    def all_as(self, part: str) -> Iterator[None]:
        """Count whatever happens in a ``with`` block as `part`; an outer block has the last word."""
        self.lap("other")
        before, self._whole = self._whole, self._whole or part
        try:
            yield
        finally:
            self.lap(part)
            self._whole = before

    @property
    def total(self) -> float:
        """Seconds of all parts."""
        return sum(self.seconds.values())
