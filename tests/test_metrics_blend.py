"""A sweep of blends against the metrics of each blend, one by one; its ends are the two models, bit for bit."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourstep import metrics

Array = np.ndarray[Any, Any]


def models(n: int = 4000, seed: int = 0) -> tuple[Array, Array, Array, Array, Array]:
    """Two models that know different halves of what decides a click; labels, users, weights."""
    rng = np.random.default_rng(seed)
    halves = rng.normal(size=(2, n))
    y = rng.random(n) < 1 / (1 + np.exp(1.5 - halves.sum(0)))
    new, old = 1 / (1 + np.exp(1.5 - halves))
    return new, old, y.astype(np.uint8), rng.integers(0, 300, n), rng.exponential(size=n)


def same(a: float, b: float) -> bool:
    return np.float64(a).tobytes() == np.float64(b).tobytes()


def test_each_line_is_the_metrics_of_that_blend() -> None:
    new, old, y, user, _ = models()
    sweep = metrics.blend_sweep(new, old, y, user)
    assert sweep.a.tolist() == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    for line in sweep:
        blend = line.a * new + (1 - line.a) * old
        if line.a in (0, 1):
            blend = (old, new)[int(line.a)]
        assert line.gauc is not None and line.ne is not None
        assert same(line.auc, metrics.auc(y, blend))
        assert same(line.gauc, metrics.gauc(y, blend, user))
        assert same(line.ne, metrics.ne(y, blend))
    assert len(sweep) == 11
    assert sweep.counts == {"rows": 4000, "positives": int(y.sum()), "negatives": int((1 - y).sum())}


def test_two_models_that_know_different_things_are_better_together() -> None:
    """M10."""
    new, old, y, user, _ = models()
    sweep = metrics.blend_sweep(new, old, y, user)
    for metric in ("auc", "gauc", "ne"):
        best = sweep.best(metric)
        assert 0 < best.a < 1
        values = getattr(sweep, metric)
        assert getattr(best, metric) == (values.min() if metric == "ne" else values.max())
    assert sweep.auc[1] > sweep.auc[0], "a little of the new model is better than none"


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_ends_are_both_models_bit_for_bit(dtype: type[np.floating[Any]], weighted: bool) -> None:
    new, old, y, user, weight = models()
    new, old = new.astype(dtype), old.astype(dtype)
    w = weight if weighted else None
    sweep = metrics.blend_sweep(new, old, y, user, grid=[1, 0], sample_weight=w, negative_sampling_rate=0.1)
    assert sweep.gauc is not None and sweep.ne is not None
    for i, score in enumerate((new, old)):
        assert same(sweep.auc[i], metrics.auc(y, score, sample_weight=w))
        assert same(sweep.gauc[i], metrics.gauc(y, score, user, sample_weight=w))
        assert same(sweep.ne[i], metrics.ne(y, score, sample_weight=w, negative_sampling_rate=0.1))


def test_integers_that_float64_would_round_keep_their_order_at_the_ends() -> None:
    new = np.array([2**60, 2**60 + 1, 2**60 + 2, 5])
    sweep = metrics.blend_sweep(new, [1, 2, 3, 4], [0, 1, 1, 0], grid=[0, 0.5, 1])
    assert sweep.auc.tolist() == [0.5, 0.75, 1.0]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)),
        min_size=2,
        max_size=30,
    ),
    st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
)
def test_small_data_agrees_with_the_pairs(rows: list[tuple[int, ...]], a: float) -> None:
    """Blends of eighths by quarters are exact, so ties are ties."""
    y, new, old, weight = (np.array(x) for x in zip(*rows, strict=True))
    if not (y * weight).any() or not ((1 - y) * weight).any():
        return
    sweep = metrics.blend_sweep((new + 1) / 8, (old + 1) / 8, y, grid=[a], sample_weight=weight)
    four = (4 * a * new + (4 - 4 * a) * old).astype(int)
    won = total = 0.0
    for i in np.flatnonzero(y == 1):
        for j in np.flatnonzero(y == 0):
            won += weight[i] * weight[j] * ((four[i] > four[j]) + 0.5 * (four[i] == four[j]))
            total += weight[i] * weight[j]
    assert sweep.auc[0] == pytest.approx(won / total, rel=1e-14)
    assert sweep.counts["rows"] == int((weight > 0).sum())
    assert sweep.counts["positives"] == int(((weight > 0) & (y == 1)).sum())


def test_any_order_of_rows_and_any_type_of_group_give_the_same_bits() -> None:
    new, old, y, user, weight = models(1000)
    first = metrics.blend_sweep(new, old, y, user, sample_weight=weight)
    order = np.random.default_rng(1).permutation(1000)
    names = np.array([f"user {u:03}" for u in user])
    again = metrics.blend_sweep(
        new[order], old[order], y[order], names[order], sample_weight=weight[order], threads=1
    )
    assert again.to_dict() == first.to_dict()


@pytest.mark.parametrize("how", ["impressions", "positives", "uniform", "pairs", "given"])
@pytest.mark.parametrize("one_class", ["drop", "half"])
def test_groups_weigh_and_drop_as_in_gauc(how: Any, one_class: Any) -> None:
    new, old, y, user, _ = models(600)
    names = np.array([f"user {u:03}" for u in user])
    weight: Any = np.arange(len(np.unique(user))) % 5 if how == "given" else how
    options: dict[str, Any] = {"group_weight": weight, "one_class": one_class, "min_rows": 3}
    sweep = metrics.blend_sweep(new, old, y, names, grid=[0.3, 1], **options)
    one = metrics.gauc(y, new, names, **options)
    assert sweep.gauc is not None
    assert same(sweep.gauc[1], one)
    assert sweep.group_weight == one.group_weight
    assert same(sweep.gauc[0], metrics.gauc(y, 0.3 * new + (1 - 0.3) * old, names, **options))


def test_scores_outside_0_and_1_have_no_ne_and_it_says_why() -> None:
    new, old, y, _, _ = models(100)
    old[7] = 1.5
    sweep = metrics.blend_sweep(new, old, y)
    assert sweep.ne is None and sweep.gauc is None
    assert sweep.omitted["ne"] == "old has 1.5 at index 7 (1 such of 100 rows), no probability"
    assert repr(sweep).splitlines()[-1] == f"without NE: {sweep.omitted['ne']}"
    with pytest.raises(ValueError, match="metric: ne was left out: old has 1.5 at index 7"):
        sweep.best("ne")
    with pytest.raises(ValueError, match="metric: gauc was left out: there are no groups"):
        sweep.best("gauc")
    assert sweep.to_dict().keys() == {"a", "auc"}
    assert next(iter(sweep)).ne is None


def test_of_equal_lines_the_smallest_share_of_the_new_model_is_best() -> None:
    sweep = metrics.blend_sweep([0.1, 0.9], [0.2, 0.8], [0, 1], grid=[1, 0.5, 0.7, 0.6])
    assert sweep.auc.tolist() == [1.0] * 4
    assert sweep.best().a == sweep.best("auc").a == 0.5
    assert sweep.best("ne").a == 1.0
    with pytest.raises(ValueError, match='metric: got "f1", need one of auc, gauc, ne'):
        sweep.best("f1")


def test_it_is_a_table_and_a_dictionary() -> None:
    new, old, y, user, _ = models(500)
    sweep = metrics.blend_sweep(new, old, y, user, grid=[0, 0.05, 1])
    lines = repr(sweep).splitlines()
    assert lines[0].split() == ["a", "AUC", "gAUC", "NE"]
    assert lines[2].split()[0] == "0.05"
    assert len(lines) == 5
    assert f"AUC at a = {sweep.best().a:g}" in lines[-1]
    assert json.loads(json.dumps(sweep.to_dict()))["ne"] == [line.ne for line in sweep]


def test_where_there_is_no_value_it_is_said_once() -> None:
    new, old, _, user, _ = models(50)
    y = np.ones(50, np.uint8)
    with pytest.warns(metrics.UndefinedMetricWarning) as said:
        sweep = metrics.blend_sweep(new, old, y, user)
    assert [str(w.message).split(" ")[0] for w in said] == ["auc", "gauc", "ne"]
    assert all(w.filename == __file__ for w in said)
    assert all(np.isnan(x).all() and len(x) == 11 for x in (sweep.auc, sweep.gauc, sweep.ne) if x is not None)
    assert repr(sweep).splitlines()[1].split() == ["0", "-", "-", "-"]
    with pytest.raises(ValueError, match="metric: auc has no value at any a"):
        sweep.best()
    assert metrics.blend_sweep(new, old, y, user, on_undefined=0.5).auc.tolist() == [0.5] * 11
    with pytest.raises(ValueError, match="auc has no value"):
        metrics.blend_sweep(new, old, y, on_undefined="raise")


def test_an_infinite_ne_is_said_once() -> None:
    with pytest.warns(
        metrics.MetricWarning, match="ne is inf at 1 of 11 shares, the first a = 1: 2 rows"
    ) as said:
        sweep = metrics.blend_sweep([0.0, 1.0, 0.5], [0.5, 0.5, 0.5], [1, 0, 1])
    assert len(said) == 1
    assert sweep.ne is not None
    assert np.isinf(sweep.ne).tolist() == [False] * 10 + [True]


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_blend_of_probabilities_is_a_probability(a: float, new: float, old: float) -> None:
    blend = a * new + (1 - a) * old
    assert 0 <= blend <= 1
    assert a * 1.0 + (1 - a) * 1.0 == 1.0


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"grid": []}, ValueError, "grid: got no shares"),
    (
        {"grid": [0, 1.1]},
        ValueError,
        r"grid: got 1.1 at index 1 \(1 such of 2 shares\), need shares in \[0, 1\]",
    ),
    ({"grid": [math.nan]}, ValueError, "grid: got NaN at index 0"),
    ({"grid": [[0.5]]}, ValueError, "grid: got shape"),
    ({"grid": ["a"]}, TypeError, "grid: got dtype"),
    ({"old": [0.1, 0.2]}, ValueError, "old: got 2 rows, need 4"),
    ({"new": [0.1, 0.2]}, ValueError, "new: got 2 rows, need 4"),
    ({"new": [0.1, math.nan, 0.3, 0.4]}, ValueError, "new: got NaN at index 1"),
    ({"old": [0.1, 0.2, math.inf, 0.4]}, ValueError, r"old: got inf at index 2 \(1 such of 4 rows\)"),
    ({"old": ["a", "b", "c", "d"]}, TypeError, "old: got dtype"),
    ({"y": [0, 1, 2, 1]}, ValueError, "y: got 2 at index 2"),
    ({"groups": [1, 2]}, ValueError, "groups: got 2 rows, need 4"),
    ({"groups": [1, 1, 2, 2], "group_weight": "clicks"}, ValueError, "group_weight"),
    ({"groups": [1, 1, 2, 2], "group_weight": [1]}, ValueError, "group_weight: got 1 weights, need 2"),
    ({"groups": [1, 1, 2, 2], "min_rows": -1}, ValueError, "min_rows"),
    ({"groups": [1, 1, 2, 2], "one_class": "no"}, ValueError, "one_class"),
    (
        {"groups": ["a", "b", "a", "b"], "one_class": "raise"},
        ValueError,
        "2 groups of one class, the first is 'a'",
    ),
    ({"base_rate": 1.0}, ValueError, "base_rate"),
    ({"negative_sampling_rate": 0}, ValueError, "negative_sampling_rate"),
    ({"sample_weight": [1, -1, 1, 1]}, ValueError, "sample_weight: got -1"),
    ({"on_undefined": "no"}, ValueError, "on_undefined"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD)
def test_bad_input(change: dict[str, Any], error: type[Exception], message: str) -> None:
    inputs: dict[str, Any] = {"new": [0.1, 0.4, 0.3, 0.8], "old": [0.2, 0.4, 0.3, 0.6], "y": [0, 1, 0, 1]}
    with pytest.raises(error, match=message):
        metrics.blend_sweep(**(inputs | change))


def test_pandas_columns_whose_indexes_differ_are_refused() -> None:
    pandas = pytest.importorskip("pandas")
    new = pandas.Series([0.1, 0.9], index=[1, 2])
    with pytest.raises(ValueError, match="old: its index differs from that of new"):
        metrics.blend_sweep(new, pandas.Series([0.1, 0.9]), [0, 1])
    by_name = pandas.Series([1.0, 3.0], index=["a", "b"])
    users = ["a", "a", "b", "b"]
    sweep = metrics.blend_sweep(
        [0.1, 0.9, 0.8, 0.2], [0.1] * 4, [0, 1, 0, 1], users, group_weight=by_name, grid=[1]
    )
    assert sweep.gauc is not None
    assert sweep.gauc[0] == 0.25
