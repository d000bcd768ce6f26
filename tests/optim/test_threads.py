"""Two Python threads that step the same parameters: the second gets a clear error, not a race."""

from __future__ import annotations

import contextlib
import signal
import threading
import time

import numpy as np
import pytest

import fourstep as fs


def test_one_optimizer_at_a_time() -> None:
    arena = fs.Arena({"w": np.ones(3)})
    optimizer = fs.optim.Adam(arena)

    def closure() -> float:
        with pytest.raises(
            RuntimeError, match="a step of this optimizer is under way, here or in another thread"
        ):
            optimizer.step()
        return 1.0

    assert optimizer.step(closure) == 1.0


def test_two_optimizers_over_one_arena_do_not_race() -> None:
    """Each step either happens whole or is refused: the sum of what happened is exact."""
    arena = fs.Arena({"w": np.zeros(1 << 20, np.float32)})
    arena.grad_data[...] = 1
    done = [0, 0]
    errors: list[str] = []

    def work(i: int) -> None:
        optimizer = fs.optim.SGD(arena, lr=1.0)
        for _ in range(40):
            try:
                optimizer.step()
                done[i] += 1
            except RuntimeError as error:
                errors.append(str(error))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all(error.startswith("the arena: its memory is in use") for error in errors)
    assert sum(done) + len(errors) == 80
    assert (arena["w"] == -sum(done)).all()


def test_of_two_threads_in_one_arena_one_is_refused() -> None:
    arena = fs.Arena({"w": np.zeros(1 << 24, np.float32)})
    errors: list[str] = []
    deadline = time.monotonic() + 60

    def work() -> None:
        optimizer = fs.optim.SGD(arena, lr=1.0)
        while not errors and time.monotonic() < deadline:
            try:
                optimizer.step()
            except RuntimeError as error:
                errors.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert errors
    assert errors[0].startswith("the arena: its memory is in use, by another argument")


def test_a_contextual_thread_count_stays_in_its_thread() -> None:
    default = fs.runtime().threads
    inside: list[int] = []
    with fs.num_threads(default + 1):
        thread = threading.Thread(target=lambda: inside.append(fs.runtime().threads))
        thread.start()
        thread.join(60)
        assert fs.runtime().threads == default + 1
    assert inside == [default]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timer")
def test_ctrl_c_at_any_moment_leaves_the_optimizer_free() -> None:
    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    optimizer = fs.optim.Adam([np.ones(10)])
    gradient = [np.ones(10)]
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for i in range(400):
            with contextlib.suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, 1e-4 + i * 1e-7)
                while True:
                    optimizer.step(gradient)
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)
    optimizer.step(gradient)
