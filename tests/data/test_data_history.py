"""History: against a loop over all rows, and no label may travel back in time (claim M9)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourstep import data

SCHEMA = data.Schema("y", "u", "t", ("u", "c", "g"), tags=("g",))
GENRES = ["a", "b", "a|b", "b|c|a", None]
Row = tuple[int, int, int, int, int]  # label, user, time, category, genres


def dataset_of(rows: list[Row]) -> data.Dataset:
    columns: dict[str, Any] = {name: np.array([row[i] for row in rows]) for i, name in enumerate("yutc")}
    columns["g"] = np.array([GENRES[row[4]] for row in rows], object)
    return data.Dataset.from_frame(columns, SCHEMA)


rows_strategy = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 2), st.integers(0, 6), st.integers(0, 2), st.integers(0, 4)),
    min_size=6,
    max_size=40,
).map(lambda rows: [(0, 0, 3, 0, 0), (1, 1, 3, 1, 1), *rows])


def log_odds(clicks: int, rows: int, prior: float, k: float) -> float:
    rate = (clicks + k * prior) / (rows + k)
    return math.log(rate / (1 - rate)) - math.log(prior / (1 - prior))


def tally(rows: list[Row], past: list[int], **same: int) -> tuple[int, int]:
    """Clicks and rows among `past` of those that are the same."""
    chosen = [j for j in past if all(rows[j]["yutcg".index(key)] == value for key, value in same.items())]
    return sum(rows[j][0] for j in chosen), len(chosen)


def by_hand(rows: list[Row], fitted: list[int], k: float) -> dict[str, list[float]]:
    """The definitions of the module, one row at a time."""
    out: dict[str, list[float]] = {}
    tags = [set(GENRES[row[4]].split("|")) if GENRES[row[4]] else set[str]() for row in rows]  # type: ignore[union-attr]
    for i, (_, user, time, category, genres) in enumerate(rows):
        past = [j for j in fitted if rows[j][2] < time]

        clicks, count = tally(rows, past)
        prior = (clicks + 1) / (count + 2)
        clicks, count = tally(rows, past, u=user)
        own = (clicks + k * prior) / (count + k)
        made: dict[str, float] = {}
        for name, value in (("u", user), ("c", category), ("g", genres)):
            clicks, count = tally(rows, past, **{name: value})
            made[f"{name}:rate"], made[f"{name}:count"] = log_odds(clicks, count, prior, k), math.log1p(count)
        made["u*c:rate"] = log_odds(*tally(rows, past, u=user, c=category), own, k)
        for name, base, mine in (("g/tags:rate", prior, False), ("u*g/tags:rate", own, True)):
            total = 0.0
            for tag in tags[i]:
                chosen = [j for j in past if tag in tags[j] and (not mine or rows[j][1] == user)]
                total += log_odds(sum(rows[j][0] for j in chosen), len(chosen), base, k)
            made[name] = total / max(len(tags[i]), 1)
        for name, number in made.items():
            out.setdefault(name, []).append(number)
    return out


@settings(max_examples=50, deadline=None)
@given(rows_strategy, st.data())
def test_columns_are_the_definition(rows: list[Row], draw: st.DataObject) -> None:
    mask = draw.draw(st.lists(st.booleans(), min_size=len(rows) - 2, max_size=len(rows) - 2))
    fitted = [0, 1] + [i + 2 for i, chosen in enumerate(mask) if chosen]
    dataset = dataset_of(rows)
    pipeline = data.Pipeline(smoothing=3.0).fit(dataset, np.array(fitted))
    inputs = pipeline.transform(dataset)
    expected = by_hand(rows, fitted, 3.0)
    assert set(inputs.dense_names) <= set(expected)
    for name in set(expected) - set(inputs.dense_names):  # left out: no fitted row had a past
        assert np.abs(np.array(expected[name])[fitted]).max() < 1e-12
    for j, name in enumerate(inputs.dense_names):
        values = np.array(expected[name])
        if name.endswith(":count"):
            values = (values - values[fitted].mean()) / (values[fitted].std() or 1.0)
        np.testing.assert_allclose(inputs.dense[:, j], values, rtol=1e-5, atol=1e-6, err_msg=name)


@settings(max_examples=80, deadline=None)
@given(rows_strategy, st.data())
def test_a_label_reaches_only_later_rows(rows: list[Row], draw: st.DataObject) -> None:
    """Flip one fitted label: rows at its time or before keep every bit of their inputs, its own row too."""
    flipped = draw.draw(st.integers(2, len(rows) - 1))
    before = dataset_of(rows)
    label, user, time, category, genres = rows[flipped]
    after = dataset_of([*rows[:flipped], (1 - label, user, time, category, genres), *rows[flipped + 1 :]])
    fitted = np.array([i for i in range(len(rows)) if i % 4 or i in (0, 1, flipped)])
    ours, theirs = (data.Pipeline().fit(dataset, fitted).transform(dataset) for dataset in (before, after))
    assert ours.dense_names == theirs.dense_names
    early = np.array([row[2] <= time for row in rows])
    assert ours.dense[early].tobytes() == theirs.dense[early].tobytes()
    assert ours.fields.tobytes() == theirs.fields.tobytes()


def test_a_label_does_reach_later_rows() -> None:
    """The test above would pass if labels reached nothing."""
    rows: list[Row] = [(0, 0, 1, 0, 0), (1, 1, 1, 1, 1), (0, 0, 2, 0, 0), (1, 0, 3, 0, 0), (1, 0, 4, 0, 0)]
    flipped = [*rows[:2], (1, 0, 2, 0, 0), *rows[3:]]
    ours, theirs = (data.Pipeline().fit(d).transform(d).dense for d in map(dataset_of, (rows, flipped)))
    changed = (ours != theirs).any(axis=1)
    assert changed.tolist() == [False, False, False, True, True]


def test_rows_that_were_not_fitted_leave_no_trace() -> None:
    """Validation and test labels do not enter anything: fitted on the same rows, all inputs keep their bits."""
    log = data.simulated(rows=3000, seed=3)
    parts = data.split(log)
    other = log.take(np.arange(len(log)))
    outside = np.concatenate([parts.valid, parts.test])
    other.columns["click"][outside] ^= 1
    ours, theirs = (data.Pipeline().fit(d, parts.train) for d in (log, other))
    assert ours.fingerprint() == theirs.fingerprint()
    assert ours.transform(log).dense.tobytes() == theirs.transform(other).dense.tobytes()


def test_equal_times_are_not_earlier() -> None:
    rows: list[Row] = [(0, 0, 1, 0, 0), (1, 0, 1, 0, 0), (1, 0, 2, 0, 0), (0, 0, 2, 0, 0)]
    pipeline = data.Pipeline().fit(dataset_of(rows))
    inputs = pipeline.transform(dataset_of(rows))
    count = inputs.dense[:, inputs.dense_names.index("u:count")]
    assert count[0] == count[1] < count[2] == count[3]


@pytest.mark.parametrize("kind", ["int", "float", "date"])
def test_times_of_any_kind(kind: str) -> None:
    times = {
        "int": [2**60, 2**60 + 1, 2**60 + 2],
        "float": [0.1, 0.2, 0.3],
        "date": ["2020-01-01", "2020-01-02", "2020-01-03"],
    }
    frame = {"y": [0, 1, 1], "c": ["a", "a", "a"], "t": np.array(times[kind])}
    dataset = data.Dataset.from_frame(frame, data.Schema("y", time="t", categorical=["c"]))
    inputs = data.Pipeline().fit(dataset).transform(dataset)
    count = inputs.dense[:, inputs.dense_names.index("c:count")]
    assert count[0] < count[1] < count[2]
