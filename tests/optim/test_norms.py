"""LAMB and LARS: the norms are those of one parameter, wherever it lies, on any number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep import reference
from fourstep._runtime import override

SHAPES: dict[str, tuple[int, ...]] = {"a": (700, 30), "b": (5,), "c": (), "d": (0,), "e": (9001,), "f": (1,)}
OPTIONS: dict[str, dict[str, Any]] = {
    "LAMB": {"lr": 0.02, "weight_decay": 0.1},
    "LARS": {"lr": 0.5, "weight_decay": 0.1, "trust_coefficient": 0.02},
}
name = pytest.mark.parametrize("name", OPTIONS)


@name
def test_several_blocks_and_many_threads(
    name: str, dtype: Any, level: str, noise: Any, same_bits: Any
) -> None:
    start = {key: noise(i, shape, dtype) for i, (key, shape) in enumerate(SHAPES.items())}
    gradients = [
        {key: noise(100 * t + i, shape, dtype) for i, (key, shape) in enumerate(SHAPES.items())}
        for t in range(4)
    ]
    theirs = {key: w.copy() for key, w in start.items()}
    twin = getattr(reference, name)(theirs, **OPTIONS[name])
    for grads in gradients:
        twin.step(grads)
    for threads in (1, 2, 7):
        arena = fs.Arena(start)
        optimizer = getattr(fs.optim, name)(arena, **OPTIONS[name])
        for grads in gradients:
            for key, grad in grads.items():
                arena.grad[key] = grad
            with override(level=level, threads=threads, chunk=16, serial_below=0):
                optimizer.step()
        for key in start:
            assert same_bits(np.asarray(arena[key]), theirs[key]), key


@name
def test_the_step_does_not_depend_on_the_size_of_the_gradient(name: str) -> None:
    ends = []
    for scale in (1e-3, 1.0, 1e3):
        w = np.linspace(1, 2, 50)
        optimizer = getattr(fs.optim, name)([w], lr=0.1, eps=0.0)
        for t in range(5):
            optimizer.step([scale * np.cos(np.arange(50) + t)])
        ends.append(w)
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-9)
    np.testing.assert_allclose(ends[2], ends[1], rtol=1e-9)


def test_lamb_moves_each_array_by_lr_of_its_norm() -> None:
    arena = fs.Arena({"small": np.full(4, 0.01), "large": np.full(30, 100.0)})
    optimizer = fs.optim.LAMB(arena, lr=0.1)
    for _ in range(3):
        before = arena.state_dict()
        arena.grad["small"], arena.grad["large"] = np.cos(np.arange(4)), np.sin(np.arange(30))
        optimizer.step()
        for key in arena:
            moved = np.linalg.norm(arena[key] - before[key])
            assert moved == pytest.approx(0.1 * np.linalg.norm(before[key]), rel=1e-9)


@name
def test_an_array_of_zeros_can_leave_zero(name: str) -> None:
    """Its norm is 0 and the ratio 1: else it would stay there for ever."""
    w = np.zeros(3)
    getattr(fs.optim, name)([w], lr=0.1).step([np.ones(3)])
    assert (w < 0).all()


@name
def test_nan_stays_in_its_own_element(name: str) -> None:
    w = np.ones(5)
    optimizer = getattr(fs.optim, name)([w], lr=0.1)
    optimizer.step([np.array([1.0, np.nan, 1.0, 1.0, 1.0])])
    assert np.isnan(w).tolist() == [False, True, False, False, False]


@name
def test_without_adaptation_it_is_its_ancestor(name: str, noise: Any, same_bits: Any) -> None:
    a, b = noise(1, 40, np.float64), noise(1, 40, np.float64)
    ours = getattr(fs.optim, name)([a], lr=0.1, adapt=False)
    other = (
        fs.optim.Adam([b], lr=0.1, eps=1e-6) if name == "LAMB" else fs.optim.SGD([b], lr=0.1, momentum=0.9)
    )
    for t in range(10):
        ours.step([noise(5 + t, 40, np.float64)])
        other.step([noise(5 + t, 40, np.float64)])
    np.testing.assert_allclose(a, b, rtol=1e-12)


@name
def test_groups_may_leave_the_ratio_out(name: str) -> None:
    arena = fs.Arena({"w": np.full(4, 10.0), "bias": np.full(4, 10.0)})
    groups = [{"params": "bias", "adapt": False, "weight_decay": 0.0}, {"params": ...}]
    optimizer = getattr(fs.optim, name)(arena, lr=0.1, weight_decay=0.1, groups=groups)
    arena.grad["w"] = arena.grad["bias"] = np.ones(4)
    optimizer.step()
    assert not np.array_equal(arena["w"], arena["bias"])
    np.testing.assert_allclose(arena["bias"], 9.9, rtol=1e-5)
