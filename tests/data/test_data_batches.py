"""Mini-batches: every row once, in an order that (seed, epoch) fixes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fourstep import data


@pytest.mark.parametrize("n", [0, 1, 2, 3, 9, 10, 11, 64])
@pytest.mark.parametrize("size", [1, 2, 3, 10, 100])
@pytest.mark.parametrize("merge", [False, True])
def test_every_row_once(n: int, size: int, merge: bool) -> None:
    parts = list(data.batches(n, size, seed=3, epoch=1, merge_single=merge))
    together = np.concatenate(parts) if parts else np.zeros(0, np.int64)
    assert together.dtype == np.int64
    assert np.array_equal(np.sort(together), np.arange(n))
    sizes = [len(part) for part in parts]
    assert all(length == size for length in sizes[:-2])
    if merge and size > 1 and n > 1:
        assert 1 not in sizes
    if not merge:
        assert len(parts) == -(-n // size)
    full = list(data.batches(n, size, drop_last=True))
    assert [len(part) for part in full] == [size] * (n // size)


def test_seed_and_epoch_fix_the_order() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return list(np.concatenate(list(data.batches(50, 7, seed=seed, epoch=epoch))))

    assert order(seed=1, epoch=2) == order(seed=1, epoch=2)
    orders = [order(seed=seed, epoch=epoch) for seed in (0, 1, 2) for epoch in (0, 1, 2)]
    assert len({tuple(one) for one in orders}) == 9
    assert np.concatenate(list(data.batches(50, 7, shuffle=False))).tolist() == list(range(50))


@pytest.mark.parametrize("bad", [{"n": -1}, {"batch_size": 0}, {"seed": -1}, {"epoch": -1}])
def test_out_of_range(bad: dict[str, int]) -> None:
    name = next(iter(bad))
    arguments: dict[str, Any] = {"n": 10, "batch_size": 2} | bad
    with pytest.raises(ValueError, match=f"{name} must be at least"):
        list(data.batches(**arguments))
