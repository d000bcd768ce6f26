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

        #: Flat parameters, flat gradients and their parts, where they are an arena.
        self.arena: tuple[Any, Any, list[Any]] | None = None

    def step(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]], int]:
        flats, places = ([self.sum], [self.steps]), (self.starts, self.layouts)
        job: Any = ("adagrad", HYPER, self.params, flats, places, [], self.arena)
        return _core.step_packed(API, [job], execution())


class ArenaGroup(Group):
    """The same in an arena."""

    def __init__(self) -> None:
        super().__init__()
        data, grad = torch.ones(5), torch.ones(5)
        for p, begin in zip(self.params, (0, 3), strict=True):
            size = p.numel()
            p.data = data[begin : begin + size]
            p.grad = grad[begin : begin + size]
        self.arena = (data, grad, [p.grad for p in self.params])


def test_it_steps() -> None:
    group = Group()
    assert group.step() == ([], [], 0)
    assert [p.tolist() for p in group.params] == [[0.5] * 3, [0.5] * 2]
    assert group.sum.tolist() == [1.0] * 5
    assert group.steps.tolist() == [1.0] * 2


def test_an_arena_steps_as_one() -> None:
    group = ArenaGroup()
    assert group.step() == ([], [], 1)
    assert [p.tolist() for p in group.params] == [[0.5] * 3, [0.5] * 2]
    assert group.steps.tolist() == [1.0] * 2


def _arena(place: int, value: Any) -> Callable[[ArenaGroup], None]:
    def change(group: ArenaGroup) -> None:
        parts: list[Any] = list(group.arena or ())
        parts[place] = value
        group.arena = (parts[0], parts[1], parts[2])

    return change


def _count(group: ArenaGroup) -> None:
    group.steps[1] = 3.0


def _other_gradient(group: ArenaGroup) -> None:
    group.params[1].grad = torch.ones(2)


def _more_state(group: ArenaGroup) -> None:
    group.sum = torch.zeros(6)


#: What makes an arena no arena: its parameters step one by one, to the same numbers.
APART: dict[str, Callable[[ArenaGroup], None]] = {
    "flat parameters elsewhere": _arena(0, torch.ones(5)),
    "flat parameters too short": _arena(0, torch.ones(3)),
    "flat parameters with gaps": _arena(0, torch.ones(10)[::2]),
    "flat parameters of another dtype": _arena(0, torch.ones(5, dtype=torch.float64)),
    "flat gradients elsewhere": _arena(1, torch.ones(5)),
    "other gradients": _arena(2, [torch.ones(3), torch.ones(2)]),
    "too few gradients": _arena(2, []),
    "another gradient": _other_gradient,
    "more state": _more_state,
    "another count": _count,
}


@pytest.mark.parametrize("what", APART)
def test_what_is_no_arena_steps_one_by_one(what: str) -> None:
    group = ArenaGroup()
    APART[what](group)
    assert group.step() == ([], [], 0)
    assert [p.tolist() for p in group.params] == [[0.5] * 3, [0.5] * 2]


@pytest.mark.parametrize("what", ["state", "gradient"])
def test_an_arena_that_overlaps_is_refused(what: str) -> None:
    group = ArenaGroup()
    assert group.arena is not None
    data = group.arena[0]
    if what == "state":
        group.sum = data
    else:
        for p, begin in zip(group.params, (0, 3), strict=True):
            p.grad = data[begin : begin + p.numel()]
        group.arena = (data, data, [p.grad for p in group.params])
    with pytest.raises(ValueError, match="overlap in memory"):
        group.step()
    assert group.params[0].tolist() == [1.0] * 3


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
