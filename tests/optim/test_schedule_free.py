"""Schedule-Free: y in training, x in evaluation, and a swap that cannot be forgotten silently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep import reference
from fourstep.state import StateError

NAMES = ("SGDScheduleFree", "AdamWScheduleFree")
name = pytest.mark.parametrize("name", NAMES)


def made(name: str, dtype: Any = np.float32, **options: Any) -> tuple[fs.Arena, Any]:
    rng = np.random.default_rng(3)
    arena = fs.Arena({"a": rng.normal(size=(3, 4)).astype(dtype), "b": rng.normal(size=7).astype(dtype)})
    return arena, getattr(fs.optim, name)(arena, lr=0.1, warmup_steps=3, **options)


def steps(arena: fs.Arena, optimizer: Any, noise: Any, first: int, last: int) -> None:
    for t in range(first, last):
        for i, key in enumerate(arena):
            arena.grad[key] = noise(10 * t + i, arena[key].shape, arena.dtype)
        optimizer.step()


@name
def test_eval_is_the_average_and_train_brings_the_bits_back(
    name: str, dtype: Any, noise: Any, same_bits: Any
) -> None:
    arena, optimizer = made(name, dtype)
    twin = getattr(reference, name)({key: arena[key].copy() for key in arena}, lr=0.1, warmup_steps=3)
    for t in range(9):
        grads = {key: noise(10 * t + i, arena[key].shape, dtype) for i, key in enumerate(arena)}
        for key, grad in grads.items():
            arena.grad[key] = grad
        optimizer.step()
        twin.step(grads)
        if t % 3 == 2:  # swaps between steps leave no trace
            optimizer.eval()
            for key in arena:
                assert same_bits(arena[key], twin.average(key))
                assert not np.array_equal(arena[key], twin.params[key])
                arena[key] = np.full(arena[key].shape, 7, dtype)  # whatever is written in evaluation
            optimizer.train()
        for key in arena:
            assert same_bits(arena[key], twin.params[key])


@name
def test_the_average_is_that_of_the_iterates(name: str) -> None:
    """x_t written out: with r = 0 and no warm-up the weights are equal, so x is the mean of z_1 … z_t."""
    w = np.array([1.0, -3.0])
    optimizer = getattr(fs.optim, name)([w], lr=0.1, weight_lr_power=0.0)
    iterates = []
    for _ in range(25):
        optimizer.step([2 * w])
        iterates.append(optimizer.state_of("0")["z"].copy())
    with optimizer.averaged():
        np.testing.assert_allclose(w, np.mean(iterates, axis=0), rtol=1e-12)


@name
def test_a_step_in_evaluation_is_refused(name: str, noise: Any) -> None:
    arena, optimizer = made(name)
    optimizer.eval()
    with pytest.raises(RuntimeError, match=rf"{name}: got a step in evaluation.*call train\(\) first"):
        optimizer.step()
    called = []
    with pytest.raises(RuntimeError, match="in evaluation"):
        optimizer.step(lambda: called.append(1))
    assert called == []
    assert optimizer.step_count == 0
    optimizer.train()
    steps(arena, optimizer, noise, 0, 1)
    with optimizer.averaged(), pytest.raises(RuntimeError, match="in evaluation"):
        optimizer.step()
    steps(arena, optimizer, noise, 1, 2)


@name
def test_averaged_leaves_the_mode_as_it_was_also_after_an_error(name: str, noise: Any) -> None:
    arena, optimizer = made(name)
    steps(arena, optimizer, noise, 0, 3)
    before = arena.state_dict()
    with pytest.raises(ZeroDivisionError), optimizer.averaged():
        1 / (0 if not optimizer.training else 1)
    assert optimizer.training
    assert all(np.array_equal(arena[key], before[key]) for key in arena)
    optimizer.eval()
    with optimizer.averaged():
        pass
    assert not optimizer.training
    optimizer.eval()
    optimizer.train()
    optimizer.train()
    assert all(np.array_equal(arena[key], before[key]) for key in arena)


@name
def test_repr_and_state_say_the_mode(name: str, noise: Any) -> None:
    arena, optimizer = made(name)
    assert "training: parameters hold y" in repr(optimizer)
    assert optimizer.state_dict()["mode"] == "train"
    steps(arena, optimizer, noise, 0, 1)
    optimizer.eval()
    assert "evaluation: parameters hold the average x" in repr(optimizer)
    assert optimizer.state_dict()["mode"] == "eval"


@name
@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("before", ["train", "eval"])
def test_a_run_saved_in_either_mode_goes_on_with_the_same_bits(
    name: str, mode: str, before: str, tmp_path: Path, noise: Any, same_bits: Any
) -> None:
    arena, optimizer = made(name)
    steps(arena, optimizer, noise, 0, 5)
    getattr(optimizer, mode)()
    fs.save(tmp_path / "run.npz", {"model": arena.state_dict(), "optimizer": optimizer.state_dict()})
    optimizer.train()
    steps(arena, optimizer, noise, 5, 9)

    again, fresh = made(name)
    steps(again, fresh, noise, 40, 42)  # another past
    getattr(fresh, before)()
    state = fs.load(tmp_path / "run.npz")
    again.load_state_dict(state["model"])
    fresh.load_state_dict(state["optimizer"])
    assert fresh.training == (mode == "train")
    if mode == "eval":
        with pytest.raises(RuntimeError, match="in evaluation"):
            fresh.step()
    fresh.train()
    steps(again, fresh, noise, 5, 9)
    for key in arena:
        assert same_bits(arena[key], again[key])


@name
def test_a_state_without_its_mode_is_refused(name: str, noise: Any) -> None:
    arena, optimizer = made(name)
    steps(arena, optimizer, noise, 0, 2)
    state = optimizer.state_dict()
    del state["mode"]
    optimizer.eval()
    with pytest.raises(StateError, match=rf"{name}: 'mode': got None, need 'train' or 'eval'"):
        optimizer.load_state_dict(state)
    assert not optimizer.training
    with pytest.raises(StateError, match=r"got 'list'"):
        optimizer.load_state_dict([])
    with pytest.raises(StateError, match=r"'groups' is missing"):
        optimizer.load_state_dict({"mode": "train"})
    assert not optimizer.training


@name
def test_frozen_groups_and_groups_that_never_moved_swap_too(name: str, noise: Any) -> None:
    groups = [{"params": "a"}, {"params": "b", "trainable": False}]
    arena, optimizer = made(name, groups=groups)
    never = arena["b"].copy()
    steps(arena, optimizer, noise, 0, 4)
    optimizer.param_groups[0]["trainable"] = False
    optimizer.param_groups[1]["trainable"] = True
    steps(arena, optimizer, noise, 4, 6)
    y = arena.state_dict()
    with optimizer.averaged():
        assert not np.array_equal(arena["a"], y["a"])
        assert not np.array_equal(arena["b"], y["b"])
    assert all(np.array_equal(arena[key], y[key]) for key in arena)
    assert not np.array_equal(arena["b"], never)


def test_it_needs_no_schedule() -> None:
    """A noisy quadratic: the average is several times closer to the minimum than y and z are."""
    rng = np.random.default_rng(0)
    w = np.full(200, 3.0)
    optimizer = fs.optim.SGDScheduleFree([w], lr=0.5)
    for _ in range(400):
        optimizer.step([w + rng.normal(size=200)])
    z = float(np.linalg.norm(optimizer.state_of("0")["z"]))
    with optimizer.averaged():
        assert np.linalg.norm(w) < z / 3
