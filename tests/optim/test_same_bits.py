"""Promise 1: kernel and twin give equal bits, whatever the level, threads, length, offset, layout or options.

A covering subset: the full product runs in Rust (`rules/tests.rs`) against `naive.rs`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep._runtime import override

STEPS = 24  # beyond every warm-up in the table
# Around one vector, around chunks of 16, and lengths that split over 7 threads.
LENGTHS = (0, 1, 2, 3, 15, 16, 17, 31, 33, 63, 64, 65, 129, 1003)
SHARED: tuple[dict[str, Any], ...] = (
    {},
    {"weight_decay": 0.02, "maximize": True, "clip_value": 0.3},
    {"clip_norm": 0.5},
)


@pytest.mark.parametrize("shared", SHARED, ids=["plain", "all_of_step_1", "clip_norm"])
def test_arrays(
    rule: Any, dtype: Any, level: str, shared: dict[str, Any], noise: Any, same_bits: Any
) -> None:
    special = "clip_norm" not in shared  # a norm that is not finite is an error
    shapes = {f"w{n}": (n,) for n in LENGTHS} | {"matrix": (3, 5), "scalar": ()}
    threads = {"baseline": 1, "v3": 3, "v4": 7}[level]
    ours = {name: noise(i, shape, dtype, special=special) for i, (name, shape) in enumerate(shapes.items())}
    theirs = {name: array.copy() for name, array in ours.items()}
    optimizer, twin = rule.make(ours, **shared), rule.twin(theirs, **shared)
    for t in range(STEPS):
        grads = {
            name: noise(1000 * t + i, a.shape, dtype, special=special)
            for i, (name, a) in enumerate(ours.items())
        }
        with override(level=level, threads=threads, chunk=16, serial_below=0):
            optimizer.step(grads)
        twin.step(grads)
    for name in ours:
        assert same_bits(ours[name], theirs[name]), name
        state = optimizer.state_of(name)
        assert tuple(sorted(state)) == tuple(sorted(rule.states))
        for key, value in state.items():
            assert same_bits(value, twin.state[name][key]), f"{key} of {name}"


@pytest.mark.parametrize("offset", [0, 1, 3])
def test_offsets_and_threads(
    rule: Any, dtype: Any, level: str, offset: int, noise: Any, same_bits: Any
) -> None:
    n = 259
    grads = [{"w": noise(t + 1, n + offset, dtype)[offset:]} for t in range(5)]
    theirs = noise(0, n + offset, dtype)[offset:]
    twin = rule.twin({"w": theirs})
    for grad in grads:
        twin.step(grad)
    for threads in (1, 2, 3, 7):
        base = noise(0, n + offset, dtype)
        before = base[:offset].copy()
        optimizer = rule.make({"w": base[offset:]})
        with override(level=level, threads=threads, chunk=16, serial_below=0):
            for grad in grads:
                optimizer.step(grad)
        assert same_bits(base[offset:], theirs), f"{threads} threads"
        assert same_bits(base[:offset], before), f"wrote in front of the array, {threads} threads"


def test_an_arena_steps_like_its_arrays(rule: Any, dtype: Any, noise: Any, same_bits: Any) -> None:
    shapes: dict[str, tuple[int, ...]] = {"a": (7, 3), "b": (5,), "c": (), "d": (0,), "e": (33,)}
    arrays = {name: noise(i, shape, dtype) for i, (name, shape) in enumerate(shapes.items())}
    arena = fs.Arena(arrays)
    groups = [{"params": ["b", "c"], "weight_decay": 0.0}, {"params": ..., "weight_decay": 0.1}]
    flat = rule.make(arena, groups=groups, clip_norm=1.0)
    loose = rule.make(arrays, groups=groups, clip_norm=1.0)
    for t in range(10):
        grads = {name: noise(10 * t + i, a.shape, dtype) for i, (name, a) in enumerate(arrays.items())}
        for name, grad in grads.items():
            arena.grad[name] = grad
        flat.step()
        loose.step(grads)
    for name in arrays:
        assert same_bits(np.asarray(arena[name]), arrays[name]), name


def test_gaps_of_an_arena_do_not_show(rule: Any, dtype: Any, noise: Any, same_bits: Any) -> None:
    """Whatever is in them: a step has the bits that it has without."""
    ends = []
    for junk in (0.0, 5.0, np.nan):
        arena = fs.Arena({"a": noise(0, 3, dtype), "b": noise(1, 5, dtype)})
        arena.grad_data[...] = arena.data[...] = junk
        arena["a"], arena["b"] = noise(0, 3, dtype), noise(1, 5, dtype)
        optimizer = rule.make(arena, weight_decay=0.1, clip_norm=1.0)
        for t in range(3):
            arena.grad["a"], arena.grad["b"] = noise(2 + t, 3, dtype), noise(9 + t, 5, dtype)
            optimizer.step()
        ends.append(arena.state_dict())
    for end in ends[1:]:
        assert same_bits(end["a"], ends[0]["a"])
        assert same_bits(end["b"], ends[0]["b"])


def test_fortran_shaped_views_of_a_matrix_are_refused_not_misread(dtype: Any) -> None:
    with pytest.raises(ValueError, match=r"w: got a strided array"):
        fs.optim.Adam({"w": np.zeros((3, 4), dtype).T})
