"""What a dialect refuses, it refuses for a reason: these are the library's own walks, by a formula that is not ours."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep.optim.dialects import TABLES

Array = np.ndarray[Any, Any]
#: (t, w, g) -> w, with t from 1.
Update = Callable[[int, Array, Array], Array]

DUMPS = Path(__file__).parents[1] / "dumps"
sys.path.insert(0, str(DUMPS))
walks: Any = importlib.import_module("walks")
sys.path.remove(str(DUMPS))


def rprop(late: bool) -> Update:
    """Rprop; optax's takes the step that the gradient before asked for."""
    step, before, s = np.zeros(1), np.zeros(1), np.full(1, 0.01)

    def update(t: int, w: Array, g: Array) -> Array:
        nonlocal step, before, s
        turn = np.sign(g * before)
        s = np.clip(s * np.where(turn > 0, 1.2, np.where(turn < 0, 0.5, 1.0)), 1e-6, 50.0)
        g = np.where(turn < 0, 0.0, g)
        taken = np.where(turn < 0, 0.0, step) if late else s * np.sign(g)
        step, before = s * np.sign(g), g
        return np.asarray(w - taken)

    return update


def adan(weight: float) -> Update:
    """Adan; the authors' code weights the difference by b2, optax by 1 − b2."""
    m = u = v = last = np.zeros(1)

    def update(t: int, w: Array, g: Array) -> Array:
        nonlocal m, u, v, last
        d = g - last if t > 1 else 0 * g
        m = 0.98 * m + 0.02 * g
        u = 0.92 * u + 0.08 * d
        v = 0.99 * v + 0.01 * (g + weight * d) ** 2
        last = g
        mixed = m / (1 - 0.98**t) + weight * u / (1 - 0.92**t)
        return np.asarray(w - 0.01 * mixed / (np.sqrt(v / (1 - 0.99**t) + 1e-8) + 1e-8))

    return update


def lars(together: bool) -> Update:
    """LARS; optax divides by the norm of g + λ·w, the paper by the sum of their norms. lr inside the momentum."""
    m = np.zeros(1)

    def update(t: int, w: Array, g: Array) -> Array:
        nonlocal m
        lr, decay, norm = (1.0 if t <= 10 else 0.1), 0.1, np.linalg.norm
        below = norm(g + decay * w) if together else norm(g) + decay * norm(w)
        m = 0.9 * m + lr * 1e-3 * norm(w) / below * (g + decay * w)
        return np.asarray(w - m)

    return update


def lamb(before: bool) -> Update:
    """LAMB; Keras decays w before it takes the norms, and ours decays inside the ratio."""
    m = v = np.zeros(1)

    def update(t: int, w: Array, g: Array) -> Array:
        nonlocal m, v
        lr, decay = 0.01, 0.1
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        if before:
            w = (1 - lr * decay) * w
        u = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-3)
        u = u if before else u + decay * w
        return np.asarray(w - lr * np.linalg.norm(w) / np.linalg.norm(u) * u)

    return update


def yogi(start: float) -> Update:
    """Yogi; optax's m starts where v does."""
    m, v = np.full(1, start), np.full(1, 1e-6)

    def update(t: int, w: Array, g: Array) -> Array:
        nonlocal m, v
        m = 0.9 * m + 0.1 * g
        v = v - 0.001 * np.sign(v - g * g) * g * g
        return np.asarray(w - 0.01 * m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-3))

    return update


def take(make: Callable[[], Update]) -> Array:
    w = [part.copy() for part in walks.parts(walks.start())]
    updates = [make(), make()]

    def step(t: int, g: list[Array]) -> list[Array]:
        w[:] = [update(t + 1, a, b) for update, a, b in zip(updates, w, g, strict=True)]
        return w

    walk: Array = walks.walk(step)
    return walk


@pytest.mark.parametrize(
    ("name", "library", "case", "theirs", "ours", "message"),
    [
        ("LAMB", "keras", "lamb_decay", lambda: lamb(True), lambda: lamb(False), "decays before the norms"),
        ("Rprop", "optax", "rprop", lambda: rprop(True), lambda: rprop(False), "one gradient late"),
        ("Yogi", "optax", "yogi", lambda: yogi(1e-6), lambda: yogi(0.0), "m starts at 1e-6"),
        ("Adan", "optax", "adan", lambda: adan(0.08), lambda: adan(0.92), "by 1 − b2"),
        (
            "LARS",
            "optax",
            "lars_decay_drop",
            lambda: lars(True),
            lambda: lars(False),
            r"divides by ‖g \+ λ·w‖",
        ),
    ],
)
def test_the_library_does_something_else(
    name: str, library: str, case: str, theirs: Callable[[], Update], ours: Callable[[], Update], message: str
) -> None:
    with np.load(DUMPS / f"{library}.npz") as dump:
        want = dump[case]
    moved = np.abs(want - walks.start()).max()
    assert np.abs(take(theirs) - want).max() <= 1e-10
    assert np.abs(take(ours) - want).max() >= 1e-5 * moved
    with pytest.raises(ValueError, match=f"{name}: dialect '{library}': .*{message}"):
        getattr(fs.optim, name)([np.ones(2)], lr=0.1, weight_decay=0.1, dialect=library)


def test_every_reason_names_a_remedy() -> None:
    for dialect, table in TABLES.items():
        for name, reason in table.items():
            if isinstance(reason, str):
                assert "dialect=" in reason, (dialect, name)
