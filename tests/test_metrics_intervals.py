"""Intervals of AUC: DeLong's variance and test, the bootstrap, and the comparison of scores of the same rows."""

from __future__ import annotations

import copy
import inspect
import json
import math
import pickle
import warnings
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import fourstep as fs
from fourstep import _core, metrics
from fourstep.metrics._exact import means_of_drawn

loose: Any = metrics  # for calls that type checkers refuse
Floats = NDArray[np.float64]


def placements(y: Any, s: Any) -> tuple[list[Fraction], list[Fraction]]:
    """From the definition: of each positive the share of negatives below, of each negative that of positives above."""

    def psi(p: float, n: float) -> Fraction:
        return Fraction(2 * (p > n) + (p == n), 2)

    p, n = [s[i] for i in range(len(y)) if y[i]], [s[i] for i in range(len(y)) if not y[i]]
    return (
        [sum((psi(a, b) for b in n), Fraction(0)) / len(n) for a in p],
        [sum((psi(a, b) for a in p), Fraction(0)) / len(p) for b in n],
    )


def cov(a: list[Fraction], b: list[Fraction]) -> Fraction:
    mean_a, mean_b = sum(a, Fraction(0)) / len(a), sum(b, Fraction(0)) / len(b)
    return sum(((x - mean_a) * (z - mean_b) for x, z in zip(a, b, strict=True)), Fraction(0)) / (len(a) - 1)


def covariance(y: Any, a: Any, b: Any) -> Fraction:
    (pa, na), (pb, nb) = placements(y, a), placements(y, b)
    return cov(pa, pb) / len(pa) + cov(na, nb) / len(na)


def case(n: int = 300, seed: int = 0, ties: bool = True) -> tuple[NDArray[np.int64], Floats, Floats]:
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(np.int64)
    a = rng.normal(size=n) + y
    b = a + rng.normal(size=n)
    return (y, a.round(1), b.round(1)) if ties else (y, a, b)


# DeLong.


@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3), st.integers(-3, 3)), min_size=4, max_size=40))
def test_variance_and_covariance_as_defined(data: list[tuple[bool, int, int]]) -> None:
    y, a, b = (np.array(column) for column in zip(*data, strict=True))
    if min(y.sum(), len(y) - y.sum()) < 2:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", metrics.UndefinedMetricWarning)  # a variance of 0
        score = metrics.auc(y, a, ci=0.9)
    assert score == metrics.auc(y, a)
    assert (score.counts, score.tied) == (metrics.auc(y, a).counts, metrics.auc(y, a).tied)
    variance = covariance(y, a, a)
    assert score.se == math.sqrt(variance), "rounded from the exact fraction"
    test = metrics.delong_test(y, a, b)
    exact = variance + covariance(y, b, b) - 2 * covariance(y, a, b)
    assert test.se == math.sqrt(exact)
    assert (test.a, test.b) == (metrics.auc(y, a), metrics.auc(y, b))


def test_intervals_cover() -> None:
    """Of normal scores the AUC is known: 90 % intervals hold it in about 90 of 100 draws, and tests reject 1 in 10."""
    truth = 0.5 * math.erfc(-1 / 2)  # Φ(Δ/√2), Δ = 1
    rng = np.random.default_rng(1)
    inside = {"delong": 0, "logit": 0}
    rejected = 0
    for _ in range(300):
        y = np.arange(200) < 60
        hidden = rng.normal(size=200)
        a = hidden + y
        for method in inside:
            ci = loose.auc(y, a, ci=0.9, ci_method=method).ci
            assert ci is not None
            inside[method] += ci[0] <= truth <= ci[1]
        u, v = (hidden + rng.normal(size=200) + y for _ in range(2))
        rejected += metrics.delong_test(y, u, v).p_value < 0.1
    assert all(252 <= count <= 288 for count in inside.values()), inside
    assert 15 <= rejected <= 47


def test_the_two_forms_of_the_interval() -> None:
    y, a, _ = case()
    plain, logit = metrics.auc(y, a, ci=0.95), metrics.auc(y, a, ci=0.95, ci_method="logit")
    assert (plain.se, float(plain)) == (logit.se, float(logit))
    assert plain.ci is not None and logit.ci is not None and plain.se is not None
    z = 1.959963984540054
    assert plain.ci == pytest.approx((plain - z * plain.se, plain + z * plain.se), abs=1e-15)
    odds = [math.log(x / (1 - x)) for x in (logit.ci[0], float(logit), logit.ci[1])]
    assert odds[2] - odds[1] == pytest.approx(odds[1] - odds[0], rel=1e-12), "even on the scale of log odds"
    near_one = metrics.auc([0, 0, 0, 1, 0, 1, 1], [1, 2, 3, 4, 5, 6, 7], ci=0.95)
    assert near_one.ci is not None and near_one.ci[1] == 1.0, "cut"
    assert copy.copy(plain).ci == plain.ci and pickle.loads(pickle.dumps(plain)).se == plain.se


def test_the_same_for_any_order_type_threads_and_increasing_map() -> None:
    y, a, b = case(3000)
    want = metrics.delong_test(y, a, b)
    one = metrics.auc(y, a, ci=0.9)
    order = np.random.default_rng(5).permutation(len(y))
    for threads in (1, 2):
        got = metrics.delong_test(
            y[order] * 2 - 1, np.exp(a[order]), b[order].astype(np.float32), threads=threads
        )
        assert (got.z, got.p_value, got.ci) == (want.z, want.p_value, want.ci)
        again = metrics.auc(y[order], a[order], ci=0.9, threads=threads)
        assert (again.ci, again.se) == (one.ci, one.se)
    flipped = metrics.delong_test(y, b, a)
    assert (flipped.z, flipped.p_value) == (-want.z, want.p_value)
    negated = metrics.auc(y, -a, ci=0.9)
    assert negated.se == one.se, "the same spread, mirrored"


def test_rare_positives_are_looked_up_and_common_ones_sorted() -> None:
    """Both ways of the kernel, above the size where it looks up."""
    rng = np.random.default_rng(2)
    for share in (0.01, 0.5):
        y = rng.random(60_000) < share
        a = (rng.normal(size=60_000) + y).astype(np.float32)
        score = metrics.auc(y, a, ci=0.95)
        assert score == metrics.auc(y, a)
        v = _core.metrics_placements(y.view(np.uint8), a, "raise", (None, None, None, None))
        both = [v[y].astype(np.float64) / (2 * (~y).sum()), v[~y].astype(np.float64) / (2 * y.sum())]
        want = sum(x.var(ddof=1) / len(x) for x in both) ** 0.5
        assert score.se == pytest.approx(want, rel=1e-9)
        sorted_negatives, sorted_positives = np.sort(a[~y]), np.sort(a[y])
        below = np.searchsorted(sorted_negatives, a[y], "left") + np.searchsorted(
            sorted_negatives, a[y], "right"
        )
        np.testing.assert_array_equal(v[y], below)
        above = 2 * len(sorted_positives) - (
            np.searchsorted(sorted_positives, a[~y], "left")
            + np.searchsorted(sorted_positives, a[~y], "right")
        )
        np.testing.assert_array_equal(v[~y], above)


def test_where_there_is_no_interval() -> None:
    with pytest.warns(metrics.UndefinedMetricWarning, match="a single row of a class") as seen:
        score = metrics.auc([0, 1, 0], [0.1, 0.2, 0.3], ci=0.95)
    assert (score, score.ci, score.se) == (0.5, None, None)
    assert seen[0].filename == __file__
    with pytest.warns(metrics.UndefinedMetricWarning, match="its variance is 0"):
        score = metrics.auc([0, 1, 0, 1], [0.1, 0.8, 0.2, 0.9], ci=0.95)
    assert (score, score.ci, score.se) == (1.0, (1.0, 1.0), 0.0)
    with pytest.warns(metrics.UndefinedMetricWarning, match="auc has no value"):
        score = metrics.auc([0, 0], [0.1, 0.2], ci=0.95)
    assert math.isnan(score) and score.ci is None
    same = metrics.delong_test([0, 1, 0, 1], [1, 2, 3, 4], [2, 4, 6, 8])
    assert (same.difference, same.z, same.p_value) == (0.0, 0.0, 1.0)
    apart = metrics.delong_test([0, 1, 0, 1], [1, 2, 1, 2], [2, 1, 2, 1])
    assert (apart.difference, apart.z, apart.p_value) == (-1.0, -math.inf, 0.0)
    assert math.isnan(apart.correlation)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda y, a: loose.auc(y, a, ci=95), ValueError, "ci: got 95, need a level between 0 and 1"),
        (lambda y, a: loose.auc(y, a, ci=True), TypeError, "ci: got True, need a level"),
        (lambda y, a: loose.auc(y, a, ci=0.9, ci_method="wald"), ValueError, 'ci_method: got "wald"'),
        (lambda y, a: loose.auc(y, a, ci=0.9, max_fpr=0.1), TypeError, "ci: .*there is max_fpr; bootstrap"),
        (lambda y, a: loose.auc(y, a, ci=0.9, min_tpr=0.1), TypeError, "ci: .*there is min_tpr"),
        (lambda y, a: loose.auc(y, a, ci=0.9, sample_weight=a), TypeError, "ci: .*there is sample_weight"),
        (lambda y, a: loose.delong_test(y, a, a[1:]), ValueError, "b: got 3 rows, need 4"),
        (
            lambda y, a: loose.delong_test([0, 1, 1, 1], a, a),
            ValueError,
            "y: got 3 positives and 1 negatives",
        ),
        (lambda y, a: loose.delong_test(y, a, [1, 2, math.nan, 4]), ValueError, "b: got NaN at index 2"),
        (lambda y, a: loose.delong_test(y, a, a, ci=1), ValueError, "ci: got 1"),
        (lambda y, a: loose.bootstrap(loose.auc, y, a, n=1), ValueError, "n: got 1, need 2 to"),
        (lambda y, a: loose.bootstrap(loose.auc, y, a, seed=-1), ValueError, "seed: got -1"),
        (lambda y, a: loose.bootstrap(loose.auc, y, a, seed=0.5), TypeError, "seed: got 0.5"),
        (lambda y, a: loose.bootstrap(loose.auc, y, a, unit="user"), ValueError, 'unit: got "user"'),
        (lambda y, a: loose.bootstrap(loose.auc, y, a, unit="group"), TypeError, "groups: got none"),
        (lambda y, a: loose.bootstrap(loose.auc, y, a, y), TypeError, "groups: this metric has no such"),
        (lambda y, a: loose.bootstrap("auc", y, a), TypeError, "metric: got str"),
        (lambda y, a: loose.bootstrap(loose.auc, y, a[1:]), ValueError, "score: got 3 rows, need 4"),
        (lambda y, a: loose.bootstrap(loose.brier, y, [0, 1, 2, 0]), ValueError, "got 2"),
        (lambda y, a: loose.compare({"a": a}, y), ValueError, "scores: got 1 score, need two"),
        (lambda y, a: loose.compare([a, a], y), TypeError, "scores: got list"),
        (lambda y, a: loose.compare({"a": a, "b": a}, y, baseline="c"), ValueError, 'baseline: got "c"'),
        (lambda y, a: loose.compare({"a": a, "b": a[1:]}, y), ValueError, "b: got 3 rows, need 4"),
        (
            lambda y, a: loose.compare({"a": a, "b": [1, 2, math.nan, 4]}, y),
            ValueError,
            "b: got NaN at index 2",
        ),
    ],
)
def test_bad_input(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4])


# The bootstrap.


def test_replicates_by_row_are_those_of_rows_drawn_along_the_falling_scores() -> None:
    y, a, _ = case(400)
    got = metrics.bootstrap(metrics.auc, y, a, n=50, seed=3)
    falling = np.lexsort((y, a))[::-1]
    want = []
    for b in range(50):
        drawn = falling[_core.metrics_draws(3, b, 400)]
        want.append(float(metrics.auc(y[drawn], a[drawn])))
    assert got.replicates is not None
    assert got.replicates.tolist() == want
    assert got == metrics.auc(y, a)
    assert got.ci == tuple(np.quantile(want, [0.025, 0.975]))
    assert got.se == pytest.approx(np.std(want, ddof=1), rel=1e-12)


def test_replicates_by_group_are_those_of_whole_groups() -> None:
    y, a, _ = case(400)
    groups = np.random.default_rng(4).integers(0, 30, 400) * 7
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    by_auc = metrics.bootstrap(metrics.auc, y, a, groups, unit="group", n=30, seed=3)
    by_brier = metrics.bootstrap(metrics.brier, y, 1 / (1 + np.exp(-a)), groups, unit="group", n=30, seed=3)
    by_gauc = metrics.bootstrap(metrics.gauc, y, a, groups, unit="group", n=30, seed=3)
    by_mrr = metrics.bootstrap(metrics.mrr, y, a, groups, unit="group", n=30, seed=3)
    for got in (by_auc, by_brier, by_gauc, by_mrr):
        assert got.replicates is not None and len(got.replicates) == 30
    for b in range(30):
        chosen = [members[i] for i in _core.metrics_draws(3, b, len(members))]
        rows = np.concatenate(chosen)
        ids = np.repeat(np.arange(len(chosen)), [len(c) for c in chosen])
        assert by_auc.replicates[b] == metrics.auc(y[rows], a[rows])  # type: ignore[index]
        assert by_brier.replicates[b] == metrics.brier(y[rows], 1 / (1 + np.exp(-a[rows])))  # type: ignore[index]
        assert by_mrr.replicates[b] == metrics.mrr(y[rows], a[rows], ids)  # type: ignore[index]
    # Of gAUC only groups that take part are drawn.
    whole = metrics.gauc(y, a, groups, ci=0.95)
    again = metrics.bootstrap(metrics.gauc, y, a, groups, unit="group")
    assert (again.ci, again.se, float(again)) == (whole.ci, whole.se, float(whole))


def test_the_same_for_any_order_and_threads() -> None:
    y, a, _ = case(2000)
    groups = np.arange(2000) % 90
    order = np.random.default_rng(5).permutation(2000)
    for unit in ("row", "group"):
        want = metrics.bootstrap(metrics.auc, y, a, groups if unit == "group" else None, unit=unit, n=40)
        for threads in (1, 2):
            got = metrics.bootstrap(
                metrics.auc,
                y[order],
                a[order],
                groups[order] if unit == "group" else None,
                unit=unit,
                n=40,
                threads=threads,
            )
            assert got.replicates is not None and want.replicates is not None
            assert got.replicates.tobytes() == want.replicates.tobytes()
        other = metrics.bootstrap(
            metrics.auc, y, a, groups if unit == "group" else None, unit=unit, n=40, seed=1
        )
        assert other.replicates is not None and want.replicates is not None
        assert other.replicates.tolist() != want.replicates.tolist()


def test_bootstrap_agrees_with_delong() -> None:
    y, a, _ = case(2000, ties=False)
    assert metrics.bootstrap(metrics.auc, y, a).se == pytest.approx(metrics.auc(y, a, ci=0.95).se, rel=0.1)


def test_rows_that_go_together_vary_more() -> None:
    """Each row written down ten times as a group: rows alone promise √10 times too much."""
    y, a, _ = case(300)
    ten, groups = np.repeat(np.arange(300), 10), np.repeat(np.arange(300), 10)
    by_row = metrics.bootstrap(metrics.auc, y[ten], a[ten]).se
    by_group = metrics.bootstrap(metrics.auc, y[ten], a[ten], groups, unit="group").se
    honest = metrics.bootstrap(metrics.auc, y, a).se
    assert honest is not None
    assert by_group == pytest.approx(honest, rel=0.1)
    assert by_row == pytest.approx(honest / math.sqrt(10), rel=0.1)


def test_any_metric_weights_and_options_go_along() -> None:
    y, a, _ = case(200)
    p, w = 1 / (1 + np.exp(-a)), np.random.default_rng(6).random(200)
    got = metrics.bootstrap(metrics.logloss, y, p, n=20, sample_weight=w)
    drawn = [_core.metrics_draws(0, b, 200) for b in range(20)]
    assert got.replicates is not None
    assert got.replicates.tolist() == [metrics.logloss(y[d], p[d], sample_weight=w[d]) for d in drawn]
    weighted = metrics.bootstrap(metrics.auc, y, p, n=20, sample_weight=w)
    assert weighted == metrics.auc(y, p, sample_weight=w)
    assert weighted.replicates is not None
    assert weighted.replicates.tolist() == [metrics.auc(y[d], p[d], sample_weight=w[d]) for d in drawn]
    part = metrics.bootstrap(metrics.auc, y, p, n=20, max_fpr=0.3)
    assert part.replicates is not None
    assert part.replicates.tolist() == [metrics.auc(y[d], p[d], max_fpr=0.3) for d in drawn]

    def share(y: Any, score: Any) -> float:
        return float((y == (score > 0.5)).mean())

    mine = metrics.bootstrap(share, y, p, n=20)
    assert (mine.name, float(mine)) == ("share", share(y, p))
    assert mine.replicates is not None and mine.replicates.tolist() == [share(y[d], p[d]) for d in drawn]


def test_replicates_of_one_class_are_counted() -> None:
    with pytest.warns(
        metrics.UndefinedMetricWarning, match="of 200 replicates have no value, and the"
    ) as warned:
        got = metrics.bootstrap(metrics.auc, [0, 0, 0, 1], [1, 2, 3, 4], n=200)
    assert warned[0].filename == __file__
    assert got.replicates is not None and 20 < got.dropped["replicates"] == 200 - len(got.replicates) < 120
    assert "replicates without a value" in repr(got)
    half = metrics.bootstrap(metrics.auc, [0, 0, 0, 1], [1, 2, 3, 4], n=200, on_undefined=0.5)
    assert half.replicates is not None and (half.replicates == 0.5).sum() == got.dropped["replicates"]
    with pytest.raises(ValueError, match="in a replicate"):
        metrics.bootstrap(metrics.auc, [0, 0, 0, 1], [1, 2, 3, 4], n=200, on_undefined="raise")
    with pytest.warns(metrics.UndefinedMetricWarning) as seen:
        none = metrics.bootstrap(metrics.auc, [1, 1], [1, 2], n=10)
    assert none.ci is None and "10 of 10 replicates have no value, so there is no" in str(seen[-1].message)
    assert "auc has no value and is nan" in str(seen[0].message)
    assert [warning.filename for warning in seen] == [__file__] * 2, "the line that asked"


def test_a_few_replicates_without_a_value_are_counted_without_a_warning() -> None:
    y, score = np.arange(300) % 60 == 0, np.arange(300.0)  # none of five positives drawn: e^-5 = 0.7 %
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = metrics.bootstrap(metrics.auc, y, score, n=2000, seed=1)
    assert 0 < got.dropped["replicates"] <= 20


def test_a_certain_and_wrong_row_is_said_once_with_the_line_that_asked() -> None:
    with pytest.warns(metrics.MetricWarning) as seen:
        got = metrics.bootstrap(metrics.logloss, [1, 0, 1], [0.0, 0.5, 0.5], n=20)
    assert got == got.se == math.inf and got.ci is not None
    assert got.replicates is not None and got.ci == (got.replicates.min(), math.inf)
    assert [warning.filename for warning in seen] == [__file__]
    assert "the first at index 0" in str(seen[0].message), "an index among the rows as they were given"


LISTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ndcg": (metrics.ndcg, {"k": 3}),
    "ndcg of all ranks": (metrics.ndcg, {"gain": "exponential"}),
    "mrr": (metrics.mrr, {}),
    "recall": (metrics.recall_at, {"k": 2}),
    "precision": (metrics.precision_at, {"k": 2, "no_relevant": "zero"}),
    "hit rate": (metrics.hit_rate, {"k": 1, "group_weight": "impressions"}),
    "by positives": (metrics.mrr, {"k": 4, "group_weight": "positives"}),
    "NaN left out": (metrics.recall_at, {"k": 2, "nan": "drop"}),
    "NaN lowest": (metrics.ndcg, {"nan": "lowest", "no_relevant": "zero"}),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_are_looked_at_once_with_the_numbers_of_a_call_for_each_replicate(name: str) -> None:
    metric, options = LISTS[name]
    y, a, _ = case(300)
    groups = np.random.default_rng(9).integers(0, 40, 300) * 3 - 20
    if "nan" in options:
        a = np.where((np.arange(300) % 7 == 0) | (groups == groups[5]), np.nan, a)  # one group is gone
    nan = {"nan": options["nan"]} if "nan" in options else {}
    called = partial(metric, **{key: value for key, value in options.items() if key != "nan"})
    slow = loose.bootstrap(called, y, a, groups, unit="group", n=60, seed=5, **nan)
    fast = loose.bootstrap(metric, y, a, groups, unit="group", n=60, seed=5, **options)
    assert fast.replicates.tolist() == slow.replicates.tolist()
    assert (float(fast), fast.ci, fast.se, fast.dropped) == (float(slow), slow.ci, slow.se, slow.dropped)
    assert repr(fast) == repr(slow) and fast.per_group is None
    kept = loose.bootstrap(metric, y, a, groups, unit="group", n=2, per_group=True, **options).per_group
    assert len(kept["group"]) == len(np.unique(groups))


def test_given_weights_of_lists_go_with_the_lists_that_are_drawn() -> None:
    y, a, _ = case(200)
    groups, weight = np.arange(200) % 20, np.random.default_rng(2).random(20)
    got = metrics.bootstrap(metrics.mrr, y, a, groups, unit="group", n=20, group_weight=weight)
    each = metrics.mrr(y, a, groups, per_group=True).per_group
    assert each is not None and got.replicates is not None
    for b, replicate in enumerate(got.replicates):
        drawn = [i for i in _core.metrics_draws(0, b, 20) if each["kept"][i]]
        top = sum(Fraction(float(weight[i])) * Fraction(float(each["value"][i])) for i in drawn)
        assert replicate == float(top / sum(Fraction(float(weight[i])) for i in drawn))


def test_lists_without_a_value_in_a_replicate() -> None:
    y, score, groups = [1, 0, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6], [1, 1, 2, 2, 3, 3]
    with pytest.warns(metrics.UndefinedMetricWarning, match="replicates have no value, and the interval"):
        got = metrics.bootstrap(metrics.mrr, y, score, groups, unit="group", n=100)
    assert got.replicates is not None
    assert got.dropped["replicates"] == 100 - len(got.replicates) > 10
    zero = metrics.bootstrap(metrics.mrr, y, score, groups, unit="group", n=100, on_undefined=0.25)
    assert zero.replicates is not None and (zero.replicates == 0.25).sum() == got.dropped["replicates"]
    with pytest.raises(ValueError, match="mrr has no value in a replicate: no list that was drawn counts"):
        metrics.bootstrap(metrics.mrr, y, score, groups, unit="group", n=100, on_undefined="raise")


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1e300)), min_size=1, max_size=9),
    st.integers(0, 2**32),
)
def test_means_of_drawn_values_are_correctly_rounded(pairs: list[tuple[float, float]], seed: int) -> None:
    values, weights = np.array(pairs).T
    drawn = np.random.default_rng(seed).integers(0, len(pairs), len(pairs))
    total = sum(Fraction(pairs[i][1]) for i in drawn)
    top = sum(Fraction(pairs[i][1]) * Fraction(pairs[i][0]) for i in drawn)
    assert means_of_drawn(values, weights)(drawn) == (float(top / total) if total else None)


def test_nan_scores() -> None:
    y, a, _ = case(300)
    groups = np.arange(300) % 25
    holes = a.copy()
    holes[::7] = np.nan
    stays = ~np.isnan(holes)
    for unit, ids in (("row", None), ("group", groups)):
        got = loose.bootstrap(metrics.auc, y, holes, ids, unit=unit, n=20, nan="drop")
        there = None if ids is None else ids[stays]
        want = loose.bootstrap(metrics.auc, y[stays], a[stays], there, unit=unit, n=20)
        assert got.replicates is not None and want.replicates is not None
        assert got.replicates.tolist() == want.replicates.tolist()
        low = loose.bootstrap(metrics.auc, y, holes, ids, unit=unit, n=20, nan="lowest")
        filled = loose.bootstrap(metrics.auc, y, np.where(stays, a, -99.0), ids, unit=unit, n=20)
        assert low.replicates is not None and filled.replicates is not None
        assert low.replicates.tolist() == filled.replicates.tolist()
    test = metrics.delong_test(y, holes, a, nan="drop")
    assert test.z == metrics.delong_test(y[stays], a[stays], a[stays]).z == 0.0
    assert test.a.dropped == {"nan": int((~stays).sum())}
    both = metrics.compare({"a": holes, "b": a}, y, groups, nan="drop", n=50)
    alone = metrics.compare({"a": a[stays], "b": a[stays]}, y[stays], groups[stays], n=50)
    assert both.gauc == alone.gauc and both.auc == alone.auc


# The comparison.


def test_comparison_holds_what_its_parts_say() -> None:
    y, a, b = case(900)
    groups = np.random.default_rng(8).integers(0, 60, 900)
    got = metrics.compare({"old": a, "new": b, "same": a}, y, groups, n=200, ci=0.9)
    test = metrics.delong_test(y, a, b, ci=0.9)
    assert got.auc["old"] == test.a and got.auc["new"].ci == test.b.ci
    assert got.auc_difference["new"] == (test.difference, test.se, test.ci, test.p_value)
    assert got.auc_difference["same"].value == 0.0 and got.gauc_difference["same"].ci == (0.0, 0.0)
    each = {
        name: metrics.bootstrap(metrics.gauc, y, s, groups, unit="group", n=200, ci=0.9)
        for name, s in (("old", a), ("new", b))
    }
    assert got.gauc["new"].ci == each["new"].ci
    apart = each["new"].replicates - each["old"].replicates  # type: ignore[operator]
    assert got.gauc_difference["new"].ci == tuple(np.quantile(apart, [0.05, 0.95]))
    assert got.gauc_difference["new"].value == each["new"] - each["old"]
    turned = metrics.compare({"old": a, "new": b}, y, groups, baseline="new", n=200)
    assert turned.auc_difference["old"].value == -test.difference
    text = repr(got)
    assert "less old" in text and "0.9 interval" in text and "gAUC" in text
    assert json.loads(json.dumps(got.to_dict()))["auc"]["new"]["difference"]["value"] == test.difference
    without = metrics.compare({"old": a, "new": b}, y)
    assert without.gauc == {} and "gAUC" not in repr(without)


def test_labels_of_any_kind() -> None:
    y, a, b = case(200)
    words = np.where(y == 1, "buy", "look")
    got = metrics.compare({"a": a, "b": b}, words, pos_label="buy")
    assert got.auc == metrics.compare({"a": a, "b": b}, y).auc
    assert metrics.delong_test(words, a, b, pos_label="buy").z == metrics.delong_test(y, a, b).z
    assert metrics.bootstrap(metrics.auc, words, a, n=5, pos_label="buy") == metrics.auc(y, a)


def test_groups_of_dropped_rows_keep_their_weights() -> None:
    y, a, b = case(300)
    groups, holes = np.arange(300) % 5, b.copy()
    holes[groups == 2] = np.nan
    got = metrics.compare({"a": a, "b": holes}, y, groups, nan="drop", group_weight=[1, 2, 3, 4, 5], n=20)
    want = metrics.gauc(y, holes, groups, nan="drop", group_weight=[1, 2, 3, 4, 5])
    assert got.gauc["b"] == want and got.gauc["a"].groups_kept == 4
    whole = metrics.compare({"a": (a * 10).astype(int), "b": holes}, y, groups, nan="drop", n=20)
    there = groups != 2
    assert whole.gauc["a"] == metrics.gauc(y[there], a[there], groups[there])


def test_equal_weights_are_none_where_rows_are_dropped() -> None:
    y, a, _ = case(200)
    a[::6] = np.nan
    order = np.lexsort((y, a))[::-1]  # rows as the counted replicates number them
    order = order[~np.isnan(a[order])]
    counted = metrics.bootstrap(metrics.auc, y[order], a[order], n=20)
    y, a = np.append(y[order], [0, 1]), np.append(a[order], [np.nan, np.nan])
    called = metrics.bootstrap(metrics.auc, y, a, n=20, nan="drop", sample_weight=np.ones(len(y)))
    assert counted.replicates is not None and called.replicates is not None
    assert called.replicates.tolist() == counted.replicates.tolist()
    for level in (0.9999999999999999, 1.0):
        with pytest.raises(ValueError, match="ci: got"):
            metrics.auc(y, a, nan="drop", ci=level)


def test_the_level_of_an_interval_has_one_name() -> None:
    levelled = {"delong_test", "bootstrap", "compare", "check", "gauc", "auc", "evaluate"}
    levelled |= {"roc", "pr", "calibration", "gauc_by_size"}
    for module in (metrics, fs.plot):
        for name in module.__all__:
            made = getattr(module, name)
            if inspect.isfunction(made):
                arguments = inspect.signature(made).parameters
                assert "level" not in arguments, name
                assert ("ci" in arguments) == (name in levelled), name
