"""Optimizers that torch does not have: the bits of `fourstep.optim`, groups and state in torch's way."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
import pytest

import fourstep as fs

torch = pytest.importorskip("torch", reason="torch is not installed: fourstep.torch was not tested")
import fourstep.torch as ft  # noqa: E402
from fourstep.torch import beyond  # noqa: E402

CASES: list[tuple[str, dict[str, Any]]] = [
    ("AdaBelief", {"lr": 0.01}),
    ("AdaBelief", {"lr": 0.01, "weight_decay": 0.1, "decay": "independent"}),
    ("ADOPT", {"lr": 0.01}),
    ("AdEMAMix", {"lr": 0.01, "weight_decay": 0.1}),
    ("Adan", {"lr": 0.01, "weight_decay": 0.1}),
    ("FTRL", {"lr": 0.1, "l1": 0.01, "l2": 0.1}),
    ("FTRL", {"lr": 0.1, "lr_power": -0.7, "l2_form": "tensorflow"}),
    ("LAMB", {"lr": 0.01, "weight_decay": 0.1}),
    ("LARS", {"lr": 0.5, "weight_decay": 0.1, "dampening": 0.2}),
    ("Lion", {"lr": 0.01, "weight_decay": 0.1}),
    ("Signum", {"lr": 0.01}),
    ("Yogi", {"lr": 0.01, "weight_decay": 0.1}),
]
IDS = [f"{name}-{i}" for i, (name, _) in enumerate(CASES)]

pytestmark = pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)


def arrays(dtype: Any) -> list[Any]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(dtype) for shape in [(7, 5), (33,), (1,)]]


def gradients(step: int, like: list[Any]) -> list[Any]:
    rng = np.random.default_rng(step + 1)
    return [
        (rng.standard_normal(a.shape) * 2.0 ** -rng.integers(0, 9, a.shape)).astype(a.dtype) for a in like
    ]


def start(name: str, options: dict[str, Any], dtype: Any) -> tuple[list[Any], Any]:
    params = [torch.nn.Parameter(torch.from_numpy(a.copy())) for a in arrays(dtype)]
    return params, getattr(ft, name)(params, **options)


def go(params: list[Any], optimizer: Any, steps: range) -> None:
    for step in steps:
        for p, g in zip(params, gradients(step, [p.detach().numpy() for p in params]), strict=True):
            if p.grad is None:
                p.grad = torch.from_numpy(g)
            else:
                p.grad.copy_(torch.from_numpy(g))
        optimizer.step()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("arena", [False, True])
def test_bits(name: str, options: dict[str, Any], dtype: Any, arena: bool) -> None:
    params, ours = start(name, options, dtype)
    if arena:
        ft.arena(params)
    theirs_params = arrays(dtype)
    theirs = getattr(fs.optim, name)(theirs_params, **options)
    go(params, ours, range(6))
    for step in range(6):
        theirs.step(gradients(step, theirs_params))
    for p, a in zip(params, theirs_params, strict=True):
        assert np.array_equal(p.detach().numpy(), a)


def test_state_goes_on(name: str, options: dict[str, Any]) -> None:
    params, optimizer = start(name, options, np.float32)
    go(params, optimizer, range(4))
    again = [torch.nn.Parameter(p.detach().clone()) for p in params]
    other = getattr(ft, name)(again, **options)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))  # torch does not copy either
    go(params, optimizer, range(4, 8))
    go(again, other, range(4, 8))
    assert all(map(torch.equal, params, again))


def test_bfloat16_is_rounded_float32(name: str, options: dict[str, Any]) -> None:
    if name == "FTRL":  # its z starts as a multiple of w, here by a power of 2
        options = {"lr": 0.125, "initial_accumulator_value": 0.25}
    half = torch.nn.Parameter(torch.linspace(-1, 1, 33).bfloat16())
    full = torch.nn.Parameter(half.detach().float())
    half.grad = torch.linspace(1, -2, 33).bfloat16()
    full.grad = half.grad.float()
    getattr(ft, name)([half], **options).step()
    getattr(ft, name)([full], **options).step()
    assert torch.equal(half, full.detach().bfloat16())


def test_arguments(name: str, options: dict[str, Any]) -> None:
    cls = getattr(ft, name)
    own = list(inspect.signature(getattr(fs.optim, name)).parameters)
    assert list(inspect.signature(cls).parameters) == [p for p in own if p != "shared"] + [
        "decay",
        "maximize",
    ]
    p = torch.nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError, match=r"lr: got -1.0, need"):
        cls([p], lr=-1.0)
    with pytest.raises(TypeError, match="lr: got a schedule"):
        cls([p], lr=lambda step: 0.1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'nesterow'"):
        cls([p], nesterow=True)
    with pytest.raises(ValueError, match="weight_decay: got 2.0, need at most 1"):
        cls([p], weight_decay=2.0, decay="independent")
    optimizer = cls([{"params": [p], "lr": 0.5}], **options)
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert cls.__name__ in ft.__all__ and isinstance(optimizer, beyond.Beyond)


def test_schedulers(name: str, options: dict[str, Any]) -> None:
    params, optimizer = start(name, options, np.float32)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    before = optimizer.param_groups[0]["lr"]
    go(params, optimizer, range(1))
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == before / 2


def test_maximize_is_the_other_way(name: str, options: dict[str, Any]) -> None:
    walks = []
    for maximize in (False, True):
        params, optimizer = start(name, {**options, "maximize": maximize}, np.float64)
        for step in range(3):
            for p, g in zip(params, gradients(step, arrays(np.float64)), strict=True):
                p.grad = torch.from_numpy(-g if maximize else g)
            optimizer.step()
        walks.append(params)
    assert all(map(torch.equal, *walks))


def test_every_class_has_a_case(name: str, options: dict[str, Any]) -> None:
    classes = {cls.__name__ for cls in beyond.Beyond.__subclasses__()}
    assert classes == {case[0] for case in CASES}
