"""Promise 5: a run that is saved, loaded into a fresh optimizer and continued has the bits of one that never stopped."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep.state import StateError


def made(rule: Any, dtype: Any, noise: Any) -> tuple[fs.Arena, fs.optim.Optimizer]:
    arena = fs.Arena({"a": noise(0, (3, 4), dtype), "b": noise(1, 5, dtype)})
    schedule = fs.schedules.Warmup(5, fs.schedules.Cosine(0.1, T_max=40))
    groups = [{"params": "b", "weight_decay": 0.0, "lr": 0.05}, {"params": ..., "weight_decay": 0.1}]
    return arena, rule.make(arena, lr=schedule, groups=groups, clip_norm=2.0)


def steps(arena: fs.Arena, optimizer: fs.optim.Optimizer, noise: Any, first: int, last: int) -> None:
    for t in range(first, last):
        for i, name in enumerate(arena):
            arena.grad[name] = noise(100 + 2 * t + i, arena[name].shape, arena.dtype)
        optimizer.step()


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_resumed_run_has_the_same_bits(
    rule: Any, dtype: Any, suffix: str, tmp_path: Path, noise: Any, same_bits: Any
) -> None:
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    arena, optimizer = made(rule, dtype, noise)
    steps(arena, optimizer, noise, 0, 7)
    path = tmp_path / f"checkpoint{suffix}"
    fs.save(path, {"model": arena.state_dict(), "optimizer": optimizer.state_dict(), "step": 7})
    steps(arena, optimizer, noise, 7, 20)

    again, fresh = made(rule, dtype, noise)
    steps(again, fresh, noise, 50, 53)  # a different past
    loaded = fs.load(path)
    again.load_state_dict(loaded["model"])
    fresh.load_state_dict(loaded["optimizer"])
    assert fresh.step_count == loaded["step"] == 7
    steps(again, fresh, noise, 7, 20)
    for name in arena:
        assert same_bits(arena[name], again[name])
        for key, value in optimizer.state_of(name).items():
            assert same_bits(value, fresh.state_of(name)[key])
    assert repr(fresh) == repr(optimizer)


def test_state_is_named_shaped_and_typed_like_torchs(rule: Any, dtype: Any) -> None:
    w = np.ones((2, 3), dtype)
    optimizer = rule.make({"w": w})
    optimizer.step({"w": np.ones((2, 3), dtype)})
    state = optimizer.state_dict()
    assert set(state["state"]["w"]) == set(rule.states)
    assert all(a.shape == (2, 3) and a.dtype == dtype for a in state["state"]["w"].values())
    assert state["optimizer"] == type(optimizer).__name__
    assert state["step"] == 1


def adam(**shapes: Any) -> fs.optim.Adam:
    return fs.optim.Adam({name: np.ones(shape) for name, shape in shapes.items()})


def stepped(optimizer: fs.optim.Adam) -> dict[str, Any]:
    names = optimizer.param_groups[0]["names"]
    arrays = optimizer.param_groups[0]["params"]
    optimizer.step({name: np.ones(array.shape) for name, array in zip(names, arrays, strict=True)})
    return optimizer.state_dict()


def test_every_difference_is_listed_and_nothing_changes() -> None:
    state = stepped(adam(a=(3,), b=(2, 2), c=(1,)))
    other = adam(a=(3,), b=(2, 2), d=(1,))
    before = stepped(other)
    with pytest.raises(StateError, match=r"missing parameter 'd'; unexpected parameter 'c'"):
        other.load_state_dict(state)

    shapes = adam(a=(4,), b=(2,), c=(1,))
    untouched = stepped(shapes)
    with pytest.raises(StateError) as caught:
        shapes.load_state_dict(state)
    for part in ("a.exp_avg", "b.exp_avg_sq", "(4,)", "(3,)", "(2, 2)"):
        assert part in str(caught.value)
    for optimizer, old in ((other, before), (shapes, untouched)):
        now = optimizer.state_dict()
        assert now["step"] == old["step"] == 1
        for name, arrays in old["state"].items():
            for key, value in arrays.items():
                assert np.array_equal(now["state"][name][key], value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.update(optimizer="SGD"), r"Adam: got the state of SGD"),
        (lambda s: s.update(format=3), r"got state of format 3, need format 2"),
        (lambda s: s.pop("groups"), r"not the state of an optimizer: 'groups' is missing"),
        (lambda s: s.pop("options"), r"'options' is missing"),
        (lambda s: s.update(extra=1), r"'extra' is unexpected"),
        (lambda s: s.update(state=[]), r"'state' is a list, needs to be a dict"),
        (lambda s: s.update(groups=None), r"'groups' needs to be a list of dicts"),
        (lambda s: s.update(step=-1), r"step: got -1, need a whole number"),
        (lambda s: s.update(step=None), r"step: got None"),
        (lambda s: s["options"].update(clip_norm=-1), r"clip_norm: got -1.0"),
        (lambda s: s["state"].clear(), r"'a.exp_avg' is missing; 'a.exp_avg_sq' is missing"),
        (lambda s: s["state"].pop("a"), r"'a.exp_avg' is missing"),
        (lambda s: s["state"]["a"].pop("exp_avg_sq"), r"'a.exp_avg_sq' is missing"),
        (lambda s: s["state"]["a"].update(bogus=np.ones(3)), r"'a.bogus' is unexpected"),
        (lambda s: s["state"].update(z={}), r"'z' is unexpected"),
        (lambda s: s["groups"][0].pop("betas"), r"group 0: 'betas' is missing"),
        (lambda s: s["groups"][0].pop("lr"), r"group 0: 'lr' is missing"),
        (lambda s: s["groups"][0].pop("names"), r"'groups' needs to be a list of dicts with 'names'"),
        (lambda s: s["groups"][0].update(momentum=0.9), r"group 0: 'momentum' is unexpected"),
        (lambda s: s["groups"][0].update(step=1.5), r"group 0: step: got 1.5"),
        (lambda s: s["groups"][0].update(step=-1), r"group 0: step: got -1"),
        (lambda s: s["groups"][0].update(started=["sum"]), r"group 0: started: got \['sum'\]"),
        (lambda s: s["groups"][0].update(scalars={"a": "x"}), r"group 0: scalars: got"),
        (lambda s: s["groups"][0].update(scalars={"a": 1.0}), r"group 0: scalars: got \['a'\], need \[\]"),
        (lambda s: (s.update(step=-1), s["state"].clear()), r"step: got -1.*'a.exp_avg' is missing"),
        (lambda s: s["state"]["a"].update(exp_avg=np.ones(3, np.float32)), r"a\.exp_avg.*float32.*float64"),
        (lambda s: s["groups"][0].update(lr=-1.0), r"lr: got -1.0"),
        (lambda s: s["groups"][0].update(names=["a", "b"]), r"unexpected parameter 'b'"),
    ],
)
def test_wrong_state(change: Any, message: str) -> None:
    optimizer = adam(a=(3,))
    state = stepped(optimizer)
    before = optimizer.state_dict()
    change(state)
    with pytest.raises(StateError, match=message):
        optimizer.load_state_dict(state)
    np.testing.assert_equal(optimizer.state_dict(), before)


def test_hyper_parameters_that_a_state_brings_along_are_told() -> None:
    saved = fs.optim.Adam([np.ones(2)], lr=0.5).state_dict()
    other = fs.optim.Adam([np.ones(2)], dialect="keras", clip_norm=0.5, amsgrad=False)
    with pytest.warns(fs.optim.HyperParameterWarning) as told:
        other.load_state_dict(saved)
    message = str(told[0].message)
    for line in ("dialect: 'keras' becomes 'torch'", "clip_norm: 0.5 becomes None", "eps of group 0: 1e-07"):
        assert line in message
    assert "lr" not in message.replace("lr_", "")
    assert other.param_groups[0]["lr"] == 0.5


def test_swapped_names_do_not_load_silently() -> None:
    """By position they would fit; by name they are told apart."""
    state = stepped(adam(a=(3,), b=(3,)))
    with pytest.raises(StateError, match=r"group 0: got the order"):
        adam(b=(3,), a=(3,)).load_state_dict(state)


def test_a_function_as_schedule_stays_the_users() -> None:
    def mine(step: int) -> float:
        return 0.1 / (1 + step)

    w = {"w": np.ones(2)}
    optimizer = fs.optim.SGD(w, lr=mine)
    optimizer.step({"w": np.ones(2)})
    state = optimizer.state_dict()
    again = fs.optim.SGD({"w": np.ones(2)}, lr=mine)
    again.load_state_dict(state)
    assert again.param_groups[0]["lr"] == 0.05
    with pytest.raises(StateError, match=r"lr was the function .*mine.*make the optimizer with it"):
        fs.optim.SGD({"w": np.ones(2)}, lr=0.1).load_state_dict(state)


def test_a_plateau_remembers_in_the_object_that_is_shown_metrics() -> None:
    def run() -> tuple[fs.schedules.ReduceOnPlateau, fs.optim.SGD]:
        plateau = fs.schedules.ReduceOnPlateau(1.0, patience=0, factor=0.5)
        return plateau, fs.optim.SGD({"w": np.ones(2)}, lr=plateau)

    plateau, optimizer = run()
    for metric in (1.0, 2.0, 3.0):
        plateau.observe(metric)
    assert optimizer.param_groups[0]["lr"] == 0.25
    state = optimizer.state_dict()
    again, fresh = run()
    fresh.load_state_dict(state)
    assert fresh.param_groups[0]["lr"] == 0.25
    again.observe(4.0)
    assert fresh.param_groups[0]["lr"] == 0.125


def test_a_plateau_inside_a_warm_up_remembers_too() -> None:
    def run() -> tuple[fs.schedules.ReduceOnPlateau, fs.optim.SGD]:
        plateau = fs.schedules.ReduceOnPlateau(1.0, patience=0, factor=0.5)
        return plateau, fs.optim.SGD({"w": np.ones(2)}, lr=fs.schedules.Warmup(2, plateau))

    plateau, optimizer = run()
    optimizer.step_count = 5
    plateau.observe(1.0)
    plateau.observe(2.0)
    again, fresh = run()
    fresh.load_state_dict(optimizer.state_dict())
    assert fresh.param_groups[0]["lr"] == 0.5
    again.observe(3.0)
    assert fresh.param_groups[0]["lr"] == 0.25
    other = fs.optim.SGD({"w": np.ones(2)}, lr=fs.schedules.ReduceOnPlateau(1.0, patience=3))
    with pytest.raises(StateError, match=r"lr: got Warmup.*need ReduceOnPlateau.*which is shown metrics"):
        other.load_state_dict(optimizer.state_dict())


def test_a_schedule_around_a_function_is_the_users_as_well() -> None:
    lr = fs.schedules.Warmup(2, lambda step: 0.1)
    optimizer = fs.optim.SGD({"w": np.ones(2)}, lr=lr)
    again = fs.optim.SGD({"w": np.ones(2)}, lr=lr)
    again.load_state_dict(optimizer.state_dict())
    with pytest.raises(StateError, match="make the optimizer with it first"):
        fs.optim.SGD({"w": np.ones(2)}, lr=fs.schedules.Constant(7.0)).load_state_dict(optimizer.state_dict())


def test_a_copied_arena_is_an_arena() -> None:
    arena = fs.Arena({"w": np.ones(3), "b": np.zeros(2)})
    arena.grad["w"] = np.ones(3)
    for other in (copy.deepcopy(arena), copy.copy(arena), pickle.loads(pickle.dumps(arena))):
        fs.optim.SGD(other, lr=1.0).step()
        assert other["w"].tolist() == [0.0, 0.0, 0.0]
        assert np.shares_memory(other["w"], other.data)
    assert arena["w"].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
def test_an_optimizer_is_not_copied_and_says_how(how: Any) -> None:
    with pytest.raises(TypeError, match=r"SGD: an optimizer is not copied or pickled.*state_dict\(\)"):
        how(fs.optim.SGD({"w": np.ones(2)}))
