"""What a benchmark is: a case, its rivals, a checked answer first, then all rivals in turn in one process.

Rounds are interleaved: each round times every rival once, so that whatever else the machine does falls on all of them
alike. Times are medians over the rounds. What counts is the ratio of two medians of one run.
"""

from __future__ import annotations

import gc
import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median, quantiles
from time import perf_counter, sleep
from typing import Any

import numpy as np

import fourstep as fs

Array = np.ndarray[Any, Any]

#: Seconds of rest before each sample: idle OpenMP threads spin for some milliseconds before they sleep, and until then
#: they take a core from the rival that comes next.
_SETTLE = 0.02

#: Seconds of a call above which what is in cache when it starts does not matter.
_LONG = 0.25

#: Seconds of a call above which a rival has its turn in every `_SELDOM`-th round only.
_SLOW = 2.0
_SELDOM = 5


@dataclass(frozen=True)
class Ready:
    """A rival that is set up: what is timed, and what it came to."""

    call: Callable[[], object]
    answer: Callable[[], Any]
    #: Puts right, untimed, what a call spoils: torch's foreach NAG adds the momentum to the gradients it was given.
    reset: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class Rival:
    """One way to do the work of a case."""

    name: str
    setup: Callable[[], Ready]
    #: The answer after `Case.calls` calls: an array, a number, or a tuple of them.
    expected: Callable[[], Any]
    #: Largest difference over the largest magnitude of each result; 0 = equal.
    tolerance: float = 0.0
    #: Modules that may be missing, with spaces between them.
    needs: str | None = None
    #: Bytes that one call moves, where they are not the case's.
    bytes: int | None = None
    #: The part of the case's work that a call does, where all of it would take hours: times are extrapolated from it.
    #: The rival's name says so.
    share: float = 1.0

    @property
    def missing(self) -> str | None:
        """Why this rival cannot run here; None if it can."""
        missing = [name for name in (self.needs or "").split() if find_spec(name) is None]
        return f"{', '.join(missing)} not installed: {self.name} is skipped" if missing else None


@dataclass(frozen=True)
class Case:
    """The same work for several rivals; ours is the first of them."""

    id: str
    rivals: tuple[Rival, ...]
    threads: int
    #: What a time is divided by: parameters, rows.
    elements: int
    #: Bytes that one call must move at least.
    bytes: int
    #: What the memory allows (`bandwidth.limits`): the best of these is what GB/s are a share of.
    limits: tuple[Rival, ...] = ()
    #: Calls before the answer is checked.
    calls: int = 1
    #: Whether it takes GBs of memory, and so runs only when asked.
    large: bool = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Give this case's number of threads to everybody who takes one. NumPy's own loops have one thread."""
        if find_spec("torch") is not None:
            module("torch").set_num_threads(self.threads)
        with fs.num_threads(self.threads):
            yield


def once(call: Callable[[], Any]) -> Ready:
    """Set up a call whose last result is the answer."""
    last: list[Any] = [float("nan")]

    def keep() -> None:
        last[0] = call()

    return Ready(keep, lambda: last[0])


class WrongAnswerError(AssertionError):
    """A rival does not compute what the case is about: its time would mean nothing."""


def module(name: str) -> Any:
    """Import a rival's library, at its best.

    NumPy asks the kernel for huge pages, torch only when told to: without them its steps would be slower by the cost
    of small pages, which is not what is compared here. polars settles its threads when it is imported.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    os.environ.setdefault("POLARS_MAX_THREADS", "2")
    return importlib.import_module(name)


def checked(case: Case, rival: Rival) -> Ready:
    """Set a rival up, call it `case.calls` times, and check its answer."""
    ready = rival.setup()
    for _ in range(case.calls):
        ready.reset()
        ready.call()
    got, want = _arrays(ready.answer()), _arrays(rival.expected())
    if len(got) != len(want):
        raise WrongAnswerError(f"{case.id}, {rival.name}: got {len(got)} results, need {len(want)}")
    for i, (x, y) in enumerate(zip(got, want, strict=True)):
        _compare(f"{case.id}, {rival.name}, result {i}", x, y, rival.tolerance)
    return ready


def _arrays(answer: Any) -> list[Array]:
    """Return one array of every result; those of torch too."""
    results = answer if isinstance(answer, tuple) else (answer,)
    return [np.asarray(x.detach() if hasattr(x, "detach") else x) for x in results]


def _compare(what: str, got: Array, want: Array, tolerance: float) -> None:
    if got.shape != want.shape:
        raise WrongAnswerError(f"{what}: got shape {got.shape}, need {want.shape}")
    if tolerance == 0:
        wrong = np.count_nonzero(got != want)
        if wrong:
            raise WrongAnswerError(f"{what}: {wrong} of {want.size} elements differ, need equal ones")
        return
    difference = np.abs(np.subtract(got, want, dtype=np.float64)).max()
    allowed = tolerance * np.abs(want).max()
    if not difference <= allowed:
        raise WrongAnswerError(f"{what}: differs by {difference:.3g}, at most {allowed:.3g} is allowed")


def measure(benchmark: Any, case: Case, rival: Rival) -> None:
    """Check one rival's answer, then give it to pytest-benchmark's fixture."""
    with case.running():
        ready = checked(case, rival)
        benchmark.group = case.id
        benchmark.extra_info.update(
            rival=rival.name,
            threads=case.threads,
            elements=case.elements,
            bytes=rival.bytes or case.bytes,
            share=rival.share,
        )
        benchmark(ready.call)


@dataclass(frozen=True)
class Timing:
    """The times of one rival in one case, in seconds a call."""

    rival: Rival
    samples: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """The median."""
        return median(self.samples)

    @property
    def spread(self) -> float:
        """The distance of the quartiles over the median: how far to trust it."""
        if len(self.samples) < 2:
            return 0.0
        low, _, high = quantiles(self.samples, n=4, method="inclusive")
        return (high - low) / self.seconds


def time_in_turn(case: Case, *, rounds: int, least: float) -> list[Timing]:
    """Time all rivals that can run here, and the limits, in `rounds` interleaved rounds.

    In each round a rival rests, so that its predecessor's threads are asleep; is called once untimed, so that it finds
    its own data in cache; and then is called as often as fills `least` seconds. Each round starts with the next rival.
    One that takes seconds has its turn in the first round and every fifth after it.
    """
    rivals = [rival for rival in (*case.rivals, *case.limits) if rival.missing is None]
    with case.running():
        stopwatches = [Stopwatch(checked(case, rival), least) for rival in rivals]
        samples: list[list[float]] = [[] for _ in rivals]
        gc.collect()
        gc.disable()
        try:
            for turn in range(rounds):
                for i in range(len(rivals)):
                    place = (turn + i) % len(rivals)
                    if turn % _SELDOM == 0 or not stopwatches[place].slow:
                        samples[place].append(stopwatches[place].sample() / rivals[place].share)
        finally:
            gc.enable()
    return [Timing(rival, tuple(times)) for rival, times in zip(rivals, samples, strict=True)]


class Stopwatch:
    """Times one rival; a sample is the mean of as many calls as fill `least` seconds."""

    def __init__(self, ready: Ready, least: float) -> None:
        self.ready = ready
        self.count = 1
        self.warm = True
        while (took := self.sample() * self.count) < least:
            self.count = max(self.count + 1, int(1.2 * self.count * least / max(took, 1e-9)))
        self.warm = took / self.count < _LONG
        self.slow = took / self.count > _SLOW

    def sample(self) -> float:
        """Return seconds a call."""
        sleep(_SETTLE)
        self.ready.reset()
        call = self.ready.call
        if self.warm:
            call()
        start = perf_counter()
        for _ in range(self.count):
            call()
        return (perf_counter() - start) / self.count
