"""The unsafe room: whatever `fourstep.torch` might get wrong, the extension refuses before it writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: fourstep.torch was not tested")
from fourstep import _core  # noqa: E402
from fourstep._runtime import execution  # noqa: E402

API = torch.Tensor.__dlpack_c_exchange_api__
HYPER = {
    "lr": 0.5,
    "weight_decay": 0.0,
    "keep": 1.0,
    "maximize": False,
    "clip_value": None,
    "step": 1,
    "lr_decay": 0.0,
    "eps": 0.0,
    "eps_inside": False,
}


class Group:
    """Two parameters of AdaGrad, 3 and 2 elements, with flat state; a test spoils one thing."""

    def __init__(self) -> None:
        self.params: list[Any] = [torch.ones(3), torch.ones(2)]
        for p in self.params:
            p.grad = torch.ones_like(p)
        self.sum = torch.zeros(5)
        self.steps = torch.zeros(2)
        self.starts = np.array([0, 3], np.uint64)
        self.layouts = np.array(_core.layouts(API, self.params), np.uint64)

    def step(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        flats, places = ([self.sum], [self.steps]), (self.starts, self.layouts)
        return _core.step_packed(API, [("adagrad", HYPER, self.params, flats, places, [], None)], execution())


def test_it_steps() -> None:
    group = Group()
    assert group.step() == ([], [])
    assert [p.tolist() for p in group.params] == [[0.5] * 3, [0.5] * 2]
    assert group.sum.tolist() == [1.0] * 5
    assert group.steps.tolist() == [1.0] * 2


def _set(name: str, value: Any) -> Callable[[Group], None]:
    return lambda group: setattr(group, name, value)


def _grad(value: Any) -> Callable[[Group], None]:
    return lambda group: setattr(group.params[1], "grad", value)


def _share(group: Group) -> None:
    group.params[1].data = group.params[0].data[1:]


SPOILT: dict[str, tuple[Callable[[Group], None], str]] = {
    "beyond the state": (_set("starts", np.array([0, 4], np.uint64)), "got less than the parameter needs"),
    "far beyond": (_set("starts", np.array([0, 2**64 - 2], np.uint64)), "got less than the parameter needs"),
    "parts overlap": (_set("starts", np.array([0, 2], np.uint64)), "its parts overlap"),
    "parts swapped": (_set("starts", np.array([2, 0], np.uint64)), "its parts overlap"),
    "too few places": (_set("starts", np.array([0], np.uint64)), "another number of places"),
    "too few counters": (_set("steps", torch.zeros(1)), "fewer counters than parameters"),
    "state with gaps": (_set("sum", torch.zeros(10)[::2]), "got state with gaps"),
    "state of another dtype": (_set("sum", torch.zeros(5, dtype=torch.float64)), "another dtype"),
    "another layout": (_set("layouts", np.array([1, 1], np.uint64)), "another shape or order in memory"),
    "a gradient too short": (lambda group: group.params[1].grad.resize_(1), "another shape or order"),
    "a gradient without memory": (lambda group: group.params[1].grad.untyped_storage().resize_(0), "."),
    "a parameter without memory": (lambda group: group.params[1].untyped_storage().resize_(0), "."),
    "shared memory": (_share, "overlap in memory"),
    "no tensor": (lambda group: group.params.__setitem__(1, Nothing()), "."),
    "integers": (_set("steps", torch.zeros(2, dtype=torch.int64)), "need float32, float64 or bfloat16"),
    "half counters": (_set("steps", torch.zeros(2, dtype=torch.bfloat16)), "need a whole number"),
}


class Nothing:
    """Has a gradient, and is no tensor."""

    grad = 1


@pytest.mark.parametrize("what", SPOILT)
def test_refused_before_anything_is_written(what: str) -> None:
    group = Group()
    spoil, message = SPOILT[what]
    spoil(group)
    with pytest.raises((ValueError, RuntimeError, TypeError, BufferError), match=message):
        group.step()
    assert group.params[0].tolist() == [1.0] * 3
    assert not group.sum.any()
    assert not group.steps.any()


def test_another_capsule_is_refused() -> None:
    capsule = np.ones(3).__dlpack__()
    with pytest.raises((ValueError, RuntimeError, TypeError)):
        _core.layouts(capsule, [torch.ones(2)])


def test_layouts_tell_orders_apart() -> None:
    tensors = [torch.ones(2, 3), torch.ones(3, 2).t(), torch.ones(3, 2), torch.ones(6), torch.ones(2, 1, 3)]
    found = _core.layouts(API, tensors)
    assert len(set(found)) == len(found)
    assert _core.layouts(API, [torch.ones(4, 1, 2)]) == _core.layouts(
        API, [torch.ones(4, 5, 2)[:, :1].clone()]
    )
    with pytest.raises(ValueError, match="gaps or repeated elements"):
        _core.layouts(API, [torch.ones(4)[::2]])
