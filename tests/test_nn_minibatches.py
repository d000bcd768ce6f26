"""Batches: every row once, in an order that seed and epoch fix."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import fourstep as fs
from fourstep import nn

Array = np.ndarray[Any, Any]


@pytest.mark.parametrize("size", ["full", 1, 3, 10, 32])
@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_has_every_row_once(size: Any, shuffle: bool) -> None:
    x, y = np.arange(20.0).reshape(10, 2), np.arange(10)
    found = list(nn.batches((x, y), size, shuffle=shuffle, seed=1))
    number = 10 if size == "full" else min(size, 10)
    assert [len(part) for part, _ in found] == [number] * (10 // number) + [10 % number] * bool(10 % number)
    rows = np.concatenate([label for _, label in found])
    assert sorted(rows.tolist()) == list(range(10))
    for part, label in found:
        assert (part[:, 0] == 2 * label).all()
    if not shuffle or size == "full":
        assert rows.tolist() == list(range(10))


def test_full_is_the_data_itself() -> None:
    x = np.arange(5)
    (whole,) = nn.batches(x, "full")
    assert whole is x


def test_the_order_is_a_function_of_seed_and_epoch_and_that_of_the_rows() -> None:
    x = np.arange(50)

    def order(**options: Any) -> list[int]:
        return [int(i) for part in nn.batches(x, 8, **options) for i in part]

    assert order(seed=1, epoch=3) == order(seed=1, epoch=3)
    assert order(seed=1, epoch=3) != order(seed=1, epoch=4)
    assert order(seed=1, epoch=3) != order(seed=2, epoch=3)
    rows = fs.data.batches(50, 8, seed=1, epoch=3, merge_single=False)
    assert order(seed=1, epoch=3) == [int(i) for part in rows for i in part]


def test_arguments_go_by_place_too() -> None:
    x = np.arange(7)
    by_place, by_name = (
        nn.batches(x, 3, True, 5, True),
        nn.batches(x, 3, shuffle=True, seed=5, drop_last=True),
    )
    assert [part.tolist() for part in by_place] == [part.tolist() for part in by_name]


class Both(NamedTuple):
    ids: Array
    numbers: Array


def test_a_named_tuple_stays_one() -> None:
    first, _ = nn.batches(Both(np.arange(3), np.ones((3, 2))), 2, shuffle=False)
    assert first.ids.tolist() == [0, 1] and first.numbers.shape == (2, 2)


def test_drop_last_and_nested_data() -> None:
    x = {"ids": np.arange(7), "more": [np.arange(7.0), np.ones((7, 2))]}
    found = list(nn.batches(x, 3, shuffle=False, drop_last=True))
    assert [part["ids"].tolist() for part in found] == [[0, 1, 2], [3, 4, 5]]
    assert found[1]["more"][1].shape == (3, 2)


@pytest.mark.parametrize(
    ("data", "options", "kind", "message"),
    [
        (
            (np.ones(3), np.ones(2)),
            {},
            ValueError,
            r"data: the rows differ: data\[0\] has 3, data\[1\] has 2",
        ),
        ({"a": np.ones(3), "b": [1, 2, 3]}, {}, TypeError, r"data\['b'\]\[0\]: got int, need a NumPy array"),
        (np.ones(()), {}, ValueError, "data: got an array without dimensions"),
        (np.ones(0), {}, ValueError, "data: got no rows"),
        ((), {}, ValueError, "data: got no arrays"),
        (np.ones(3), {"size": 0}, ValueError, "size: got 0, need at least 1"),
        (
            np.ones(3),
            {"size": "half"},
            ValueError,
            "size: got 'half', need a whole number of at least 1, or 'full'",
        ),
        (
            np.ones(3),
            {"size": 4, "drop_last": True},
            ValueError,
            "size: got 4 with drop_last, which leaves nothing",
        ),
        (np.ones(3), {"seed": -1}, ValueError, "seed: got -1"),
        (np.ones(3), {"epoch": 0.5}, TypeError, "epoch: got 0.5"),
    ],
)
def test_what_is_refused_at_the_call(
    data: Any, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        nn.batches(data, **options)
