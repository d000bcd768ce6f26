"""Arena: views, alignment, state, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep.state import StateError


def test_views_are_aligned_and_apart(dtype: Any) -> None:
    shapes = [(3,), (), (2, 5), (0,), (64,), (1, 1, 1)]
    arena = fs.Arena({str(i): np.full(shape, i + 1, dtype) for i, shape in enumerate(shapes)})
    assert arena.data.ctypes.data % 64 == 0
    for name, shape in zip(arena, shapes, strict=True):
        view, grad = arena[name], arena.grad[name]
        assert view.shape == grad.shape == shape
        assert view.ctypes.data % 64 == 0
        assert view.flags.c_contiguous
        assert view.size == 0 or np.shares_memory(view, arena.data)
        assert (view == int(name) + 1).all()
        grad[...] = int(name)
    assert [float(arena.grad[name].sum()) for name in arena] == [0.0, 1.0, 20.0, 0.0, 4.0 * 64, 5.0]
    arena.zero_grad()
    assert not arena.grad_data.any()


def test_it_copies_and_leaves_the_source_alone() -> None:
    source = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    arena = fs.Arena({"w": source})
    arena["w"] *= 2
    assert np.array_equal(source, np.arange(6.0).reshape(2, 3))
    assert np.array_equal(arena["w"], 2 * source)


def test_len_iteration_and_repr() -> None:
    arena = fs.Arena({"w1": np.ones((2, 3), np.float32), "b1": np.zeros(3, np.float32)})
    assert len(arena) == 2
    assert list(arena) == ["w1", "b1"]
    fs.optim.SGD(arena, groups=[{"params": "b*"}, {"params": ...}])
    assert [line.split()[-1] for line in repr(arena).splitlines()[2:]] == ["1", "0"]


def test_assignment_checks_the_shape() -> None:
    arena = fs.Arena({"w": np.ones((2, 3))})
    arena["w"] = np.zeros((2, 3))
    with pytest.raises(ValueError, match=r"w: got shape \(3,\), need \(2, 3\)"):
        arena["w"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"w: got shape \(1,\), need \(2, 3\)"):
        arena.grad["w"] = [1.0]
    with pytest.raises(KeyError, match=r"no parameter is called 'v'; there are w"):
        arena["v"] = 0


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ({}, ValueError, "got no arrays"),
        ({"w": np.ones(3, np.int32)}, TypeError, "w: got dtype int32, need float32 or float64"),
        ({"w": np.ones(3, ">f8")}, TypeError, "w: got dtype >f8"),
        (
            {"w": np.ones(3), "b": np.ones(3, np.float32)},
            TypeError,
            r"one dtype: got float64 \(w\), float32 \(b\)",
        ),
        ([np.ones(3)], TypeError, "source: got list, need a mapping of names to arrays or a Module"),
    ],
)
def test_what_is_refused(source: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fs.Arena(source)


def test_state_round_trip_and_differences() -> None:
    arena = fs.Arena({"a": np.arange(3.0), "b": np.ones((2, 2))})
    state = arena.state_dict()
    arena["a"] = np.zeros(3)
    arena.load_state_dict(state)
    assert arena["a"].tolist() == [0.0, 1.0, 2.0]
    wrong = {"a": np.arange(4.0), "c": np.ones(1)}
    with pytest.raises(StateError) as caught:
        arena.load_state_dict(wrong)
    assert all(part in str(caught.value) for part in ("Arena", "a", "(4,)", "(3,)", "b", "c"))
    assert arena["a"].tolist() == [0.0, 1.0, 2.0]
