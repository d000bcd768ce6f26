"""Early stopping, and what it has in common with L2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fourstep as fs
from fourstep import nn


def walk(values: list[float], **options: Any) -> tuple[nn.EarlyStopping, int | None]:
    """Feed values until it stops; return it, and at which value that was."""
    stopping = nn.EarlyStopping(**options)
    for i, value in enumerate(values):
        if stopping.update(value, {"i": i}):
            return stopping, i
    return stopping, None


@pytest.mark.parametrize(
    ("values", "options", "stop", "best"),
    [
        ([3, 2, 1], {"patience": 1}, None, 2),
        ([1, 1], {"patience": 1}, 1, 0),  # no better is no better
        ([1, 2, 0.5, 2, 2], {"patience": 2}, 4, 2),  # a better one starts the wait anew
        ([1, 0.95, 0.9, 0.85], {"patience": 3, "min_delta": 0.2}, 3, 0),
        ([1, 0.9, 0.75, 0.7], {"patience": 3, "min_delta": 0.2}, None, 2),
        ([1, 2, 3, 2, 2], {"patience": 2, "mode": "max"}, 4, 2),
        ([np.inf, np.inf, 5], {"patience": 3}, None, 2),
        ([-np.inf, 1], {"patience": 1}, 1, 0),
    ],
)
def test_when_it_stops_and_what_was_best(
    values: list[float], options: dict[str, Any], stop: int | None, best: int
) -> None:
    stopping, at = walk(values, **options)
    assert at == stop
    assert (stopping.best_update, stopping.best, stopping.best_state) == (best, values[best], {"i": best})
    assert stopping.stopped == (stop is not None)


@given(
    st.lists(st.floats(-1, 1), min_size=1, max_size=30),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.1]),
    st.integers(0, 29),
)
def test_both_modes_mirror_each_other_and_state_carries_on(
    values: list[float], patience: int, min_delta: float, cut: int
) -> None:
    down, stop = walk(values, patience=patience, min_delta=min_delta)
    up, again = walk([-v for v in values], patience=patience, min_delta=min_delta, mode="max")
    assert (stop, down.best_update) == (again, up.best_update)
    first, resumed = nn.EarlyStopping(patience, min_delta), nn.EarlyStopping()
    whole = [first.update(v) for v in values[:cut]]
    resumed.load_state_dict(first.state_dict())
    whole += [resumed.update(v) for v in values[cut:]]
    assert (whole.index(True) if True in whole else None) == stop


def test_the_best_weights_come_back() -> None:
    model = nn.Linear(2, 1, seed=0)
    arena = fs.Arena(model)
    stopping = nn.EarlyStopping(patience=1)
    stopping.update(1.0, model)
    best = arena["weight"].copy()
    arena["weight"] += 1
    assert stopping.update(2.0, model)
    stopping.restore(model)
    assert arena["weight"].tobytes() == best.tobytes()
    arena["weight"] += 1
    assert stopping.best_state["weight"].tobytes() == best.tobytes(), "kept as a copy"


def test_state_survives_a_file(tmp_path: Path) -> None:
    stopping = nn.EarlyStopping(patience=3, mode="max")
    stopping.update(0.5, {"w": np.arange(3.0)})
    stopping.update(0.4)
    fs.save(tmp_path / "stop.npz", stopping.state_dict())
    resumed = nn.EarlyStopping()
    resumed.load_state_dict(fs.load(tmp_path / "stop.npz"))
    assert repr(resumed) == repr(stopping)
    assert resumed.best_state["w"].tolist() == [0, 1, 2]


def test_on_a_quadratic_it_acts_like_l2() -> None:
    """R7: after t steps from 0 with rate α, direction i has 1 − (1 − α·λ_i)^t of its optimum; L2 with 1/(α·t) leaves
    λ_i/(λ_i + 1/(α·t)). The two shrink alike: monotone in λ_i, and never further apart than 0.3 of the whole."""
    curvature, optimum = np.geomspace(1e-3, 1, 20), np.ones(20)
    for steps in (10, 100, 1000):
        arena = fs.Arena({"w": np.zeros(20)})
        optimizer = fs.optim.SGD(arena, lr=0.1)
        for _ in range(steps):
            arena.grad["w"] = curvature * (arena["w"] - optimum)
            optimizer.step()
        np.testing.assert_allclose(arena["w"], 1 - (1 - 0.1 * curvature) ** steps, rtol=1e-9)
        decayed = curvature / (curvature + 1 / (0.1 * steps))
        assert np.abs(arena["w"] - decayed).max() < 0.3
        weak = curvature * 0.1 * steps < 0.1  # where both leave almost nothing, they agree to first order
        np.testing.assert_allclose(arena["w"][weak], decayed[weak], rtol=0.1)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: nn.EarlyStopping(0), ValueError, "patience: got 0, need at least 1"),
        (lambda: nn.EarlyStopping(1.5), TypeError, "patience: got 1.5, need a whole number"),  # type: ignore[arg-type]
        (lambda: nn.EarlyStopping(min_delta=-1), ValueError, "min_delta: got -1"),
        (lambda: nn.EarlyStopping(mode="up"), ValueError, "mode: got 'up', need 'min' or 'max'"),  # type: ignore[arg-type]
        (lambda: nn.EarlyStopping().update(float("nan")), ValueError, "value: got nan in update 0"),
        (lambda: nn.EarlyStopping().update("1"), TypeError, "value: got '1'"),  # type: ignore[arg-type]
        (lambda: nn.EarlyStopping().restore(nn.ReLU()), RuntimeError, "restore: no state was kept"),
        (
            lambda: nn.EarlyStopping().load_state_dict({"x": 1}),
            ValueError,
            r"missing \['best'.* unknown \['x'\]",
        ),
    ],
)
def test_what_is_refused(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
