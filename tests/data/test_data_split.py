"""Splits: against a loop over users, and at their edges."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourstep import data
from fourstep.data.splits import cut


def by_hand(users: list[int], times: list[int], share: str) -> tuple[set[int], set[int]]:
    """The definition: per user, sort by time, ties in file order, cut at ⌊keep·n⌋."""
    late: set[int] = set()
    for user in set(users):
        rows = sorted(
            (row for row in range(len(users)) if users[row] == user), key=lambda row: (times[row], row)
        )
        tenths = 10 - int(share[2:])
        late |= set(rows[tenths * len(rows) // 10 :])
    return set(range(len(users))) - late, late


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), max_size=60),
    st.sampled_from(["0.1", "0.2", "0.3", "0.7"]),
)
def test_cut_is_the_definition(rows: list[tuple[int, int]], share: str) -> None:
    users, times = [row[0] for row in rows], [row[1] for row in rows]
    early, late = cut(
        np.arange(len(rows)), np.array(times, np.int64), np.array(users, np.int64), float(share)
    )
    assert (set(early.tolist()), set(late.tolist())) == by_hand(users, times, share)


def table(n_by_user: list[int], **more: Any) -> data.Dataset:
    """Users with so many rows each, interleaved, the later rows first in the file."""
    users = np.concatenate([np.full(n, user) for user, n in enumerate(n_by_user)])
    times = np.concatenate([np.arange(n)[::-1] for n in n_by_user])
    order = np.random.default_rng(0).permutation(len(users))
    label = np.arange(len(users)) % 2
    frame = {"y": label, "u": users[order], "t": times[order]}
    return data.Dataset.from_frame(frame, data.Schema("y", **({"user": "u", "time": "t"} | more)))


def test_sizes_of_each_user() -> None:
    sizes = list(range(1, 41))
    dataset = table(sizes)
    parts = data.split(dataset)
    assert parts.how == "user-time"
    together = np.concatenate([parts.train, parts.valid, parts.test])
    assert np.array_equal(np.sort(together), np.arange(len(dataset)))
    users, time = dataset["u"].astype(int), dataset["t"]
    for user, n in enumerate(sizes):
        kept = math.floor(n * 8 / 10)
        counts = [int((users[rows] == user).sum()) for rows in (parts.train, parts.valid, parts.test)]
        assert counts == [kept * 9 // 10, kept - kept * 9 // 10, n - kept]
        train, valid, test = (
            time[rows[users[rows] == user]] for rows in (parts.train, parts.valid, parts.test)
        )
        assert max(train, default=-1) < min(valid, default=99)
        assert max([*train, *valid], default=-1) < min(test, default=99)


def test_ties_stay_in_file_order() -> None:
    frame = {"y": np.arange(20) % 2, "u": np.zeros(20), "t": np.zeros(20)}
    parts = data.split(data.Dataset.from_frame(frame, data.Schema("y", "u", "t")), valid=0.25)
    assert parts.train.tolist() == list(range(12))
    assert parts.valid.tolist() == list(range(12, 16))
    assert parts.test.tolist() == list(range(16, 20))


def test_time_is_one_cut() -> None:
    dataset = table([40, 40])
    parts = data.split(dataset, "time")
    time = dataset.time
    assert time is not None
    assert (
        time[parts.train].max()
        <= time[parts.valid].min()
        <= time[parts.valid].max()
        <= time[parts.test].min()
    )
    assert [len(rows) for rows in (parts.train, parts.valid, parts.test)] == [57, 7, 16]


def test_without_a_user_by_time_and_it_says_so() -> None:
    parts = data.split(table([40, 40], user=None), "user-time")
    assert parts.how == "time"
    assert "there is no user column" in parts.reason
    assert "there is no user column" in repr(parts)


def test_random_is_seeded_and_asked_for() -> None:
    dataset = table([50, 50], user=None, time=None)
    with pytest.raises(
        data.DataError, match=r'split "user-time" needs a time column .* or ask for split "random"'
    ):
        data.split(dataset)
    with pytest.raises(data.DataError, match='split "time" needs a time column'):
        data.split(dataset, "time")
    first, again, other = (data.split(dataset, "random", seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.test, again.test)
    assert not np.array_equal(first.test, other.test)
    assert [len(rows) for rows in (first.train, first.valid, first.test)] == [72, 8, 20]
    assert np.array_equal(first.test, np.sort(first.test))


def test_a_single_user_works() -> None:
    assert len(data.split(table([50])).test) == 10


def test_shares_are_decimals() -> None:
    """1 − 0.7 of 10 is 3, though 0.3·10 in binary is a little less."""
    early, late = cut(np.arange(10), None, None, 0.7)
    assert (len(early), len(late)) == (3, 7)
    early, late = cut(np.arange(1000), None, None, 0.007)
    assert (len(early), len(late)) == (993, 7)


def test_errors() -> None:
    with pytest.raises(data.DataError, match="leaves the train part empty"):
        data.split(table([1, 1, 1, 1]))
    with pytest.raises(data.DataError, match="of 5 rows leaves the train part empty"):
        data.split(table([5]), test=0.8)
    frame = {"y": [1, 0, 1, 0, 1, 0, 1, 0, 1, 1], "t": range(10)}
    dataset = data.Dataset.from_frame(frame, data.Schema("y", time="t"))
    with pytest.raises(data.DataError, match="one class only in the valid part: the label is 0 in its 1 row"):
        data.split(dataset)
    with pytest.raises(ValueError, match='how needs "user-time", "time" or "random", got \'time-user\''):
        data.split(dataset, "time-user")  # type: ignore[arg-type]
    for share in (0, 1, -0.1, math.nan):
        with pytest.raises(ValueError, match="test needs a share from 1e-9 to below 1"):
            data.split(dataset, test=share)


@pytest.mark.parametrize("share", [1 / 3, 0.1 + 0.2, 0.2, 0.123456789012345])
def test_shares_of_many_digits_cut_where_exact_arithmetic_does(share: float) -> None:
    log = data.simulated(rows=20_000)
    parts = data.split(log, "time", test=share, valid=share)
    keep = 1 - Fraction(str(share))
    rest = int(20_000 * keep)
    assert len(parts.test) == 20_000 - rest
    assert len(parts.train) == int(rest * keep)
