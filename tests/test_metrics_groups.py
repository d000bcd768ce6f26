"""Grouped AUC with weights of one's own and with an interval, its part in AUC, AUC by slice, ids of any package."""

from __future__ import annotations

import copy
import datetime
import importlib
import math
import pickle
from datetime import date
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourstep import _core, metrics
from fourstep.metrics import _resample
from fourstep.metrics._exact import weighted_mean
from fourstep.reference import metrics as twin

Array = np.ndarray[Any, Any]


def case(n: int = 1500, seed: int = 0) -> tuple[Array, Array, Array, Array]:
    """Labels, scores with ties, groups of which some have one class, and weights, some 0."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(np.int64)
    score = np.round(rng.normal(size=n) + 0.5 * y, 1).astype(np.float32)
    return y, score, rng.integers(-9, n // 9, n), rng.choice([0.0, 0.25, 1.0, 3.0, 7.5], n)


def optional(package: str) -> Any:
    """Return the package, or None where it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError:
        return None


# The mean of floats.


FLOATS = st.one_of(st.floats(0, 1e300), st.sampled_from([0.0, 5e-324, 1e-310, 2.0**-1022, 1.7e308]))


@given(st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=20))
def test_weighted_mean_is_rounded_once(pairs: list[tuple[float, float]]) -> None:
    total = sum(Fraction(w) for _, w in pairs)
    want = float(sum(Fraction(v) * Fraction(w) for v, w in pairs) / total) if total else None
    values, weights = (np.array(x) for x in zip(*pairs, strict=True))
    assert weighted_mean(values, weights) == want


# Weights of groups.


def test_given_weights_are_the_named_ones_where_they_are_equal() -> None:
    y, score, group, weight = case()
    for one_class in ("drop", "half"):
        options: dict[str, Any] = {"one_class": one_class, "per_group": True}
        each = metrics.gauc(y, score, group, **options).per_group
        assert each is not None
        for name in ("impressions", "positives", "uniform"):
            omega = (
                np.ones(len(each["auc"]))
                if name == "uniform"
                else each[{"impressions": "rows"}.get(name, name)]
            )
            got = metrics.gauc(y, score, group, group_weight=omega, **options)
            want = metrics.gauc(y, score, group, group_weight=name, **options)
            assert got == want
            assert got.counts == want.counts
            assert got.dropped == want.dropped
        with_rows = metrics.gauc(
            y, score, group, sample_weight=weight, group_weight=np.ones(len(omega)), **options
        )
        assert with_rows == metrics.gauc(
            y, score, group, sample_weight=weight, group_weight="uniform", **options
        )


def test_given_weights_are_exact_whatever_the_order_and_the_scale() -> None:
    y, score, group, _ = case()
    rng = np.random.default_rng(1)
    ids = np.unique(group)
    omega = rng.lognormal(size=len(ids), sigma=9)
    each = metrics.gauc(y, score, group, per_group=True).per_group
    assert each is not None
    kept = each["kept"]
    top = sum(
        Fraction(a) * Fraction(w)
        for a, w in zip(each["auc"][kept].tolist(), omega[kept].tolist(), strict=True)
    )
    want = float(top / sum(Fraction(w) for w in omega[kept].tolist()))
    got = metrics.gauc(y, score, group, group_weight=omega)
    assert got == want
    assert got.group_weight == "given weights"
    order = rng.permutation(len(y))
    assert metrics.gauc(y[order], score[order], group[order], group_weight=omega.tolist(), threads=1) == want
    assert metrics.gauc(y, score, group, group_weight=omega * 2.0**60) == want
    by_id = np.argsort(group, kind="stable")
    offsets = np.append(0, np.cumsum(np.unique(group, return_counts=True)[1]))
    assert metrics.gauc(y[by_id], score[by_id], offsets=offsets, group_weight=omega) == want


def test_given_weights_of_names_and_of_one_group() -> None:
    y, score = [1, 0, 1, 0, 1, 0], [0.9, 0.1, 0.2, 0.8, 0.5, 0.5]
    names = ["b", "b", "c", "c", "a", "a"]
    assert metrics.gauc(y, score, names, group_weight=[2, 1, 1]) == 0.5  # a: 0.5, b: 1, c: 0
    for omega in (0.1, 3.0, 1e-300):
        assert metrics.gauc([1, 0, 0, 1], [0.3, 0.2, 0.4, 0.1], [5] * 4, group_weight=[omega]) == 0.25


def test_given_weights_of_0() -> None:
    y, score, group = [1, 0, 1, 0], [0.9, 0.1, 0.2, 0.8], [1, 1, 2, 2]
    assert metrics.gauc(y, score, group, group_weight=[0, 1]) == 0.0
    with pytest.warns(
        metrics.UndefinedMetricWarning, match="each of the 2 groups kept weighs 0 by given weights"
    ):
        assert math.isnan(metrics.gauc(y, score, group, group_weight=[0, 0]))


@pytest.mark.parametrize(
    ("error", "message", "omega"),
    [
        (ValueError, "group_weight: got 3 weights, need 2, one a group in ascending order of ids", [1, 1, 1]),
        (
            ValueError,
            r"group_weight: got -1.0 at index 1 \(1 such of 2 groups\), need finite weights >= 0",
            [1, -1],
        ),
        (ValueError, r"group_weight: got NaN at index 0 \(2 such of 2 groups\)", [math.nan, math.inf]),
        (TypeError, "group_weight: got dtype <U1, need numbers", ["a", "b"]),
        (ValueError, r"group_weight: got shape \(2, 1\), need one dimension", [[1], [1]]),
        (ValueError, r"group_weight: got null at index 1 \(1 such of 2 rows\)", np.array([1, None], object)),
    ],
)
def test_given_weights_that_are_wrong(error: type[Exception], message: str, omega: Any) -> None:
    with pytest.raises(error, match=message):
        metrics.gauc([1, 0, 1, 0], [0.9, 0.1, 0.2, 0.8], [1, 1, 2, 2], group_weight=omega)


def test_given_weights_in_a_column_with_an_index() -> None:
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    y, score, group = [1, 0, 1, 0], [0.9, 0.1, 0.2, 0.8], ["b", "b", "a", "a"]
    frame = pd.DataFrame({"u": group, "w": [3.0, 3.0, 1.0, 1.0]})
    assert metrics.gauc(y, score, group, group_weight=frame.groupby("u").w.mean()) == 0.75
    assert metrics.gauc(y, score, group, group_weight=pd.Series([1.0, 3.0])) == 0.75
    with pytest.raises(ValueError, match="group_weight: its index has 'b' where the group is 'a'"):
        metrics.gauc(y, score, group, group_weight=pd.Series([3.0, 1.0], index=["b", "a"]))


# Ids.


@pytest.mark.parametrize(
    "ids", [["b", "a", "b", "c", "a", "c"], [7, -3, 7, 2**40, -3, 2**40]], ids=["names", "numbers"]
)
def test_categories_of_any_package(ids: list[Any]) -> None:
    y, score = [1, 0, 0, 1, 1, 0], [0.9, 0.1, 0.2, 0.8, 0.3, 0.8]
    want = metrics.gauc(y, score, ids, per_group=True).per_group
    assert want is not None
    columns: list[Any] = []
    if pd := optional("pandas"):
        columns += [pd.Series(ids).astype("category"), pd.Categorical(ids), pd.CategoricalIndex(ids)]
        columns += [pd.Categorical(ids, categories=sorted(set(ids), reverse=True))]
        columns += [
            pd.Series(pd.Categorical(ids, categories=[*set(ids), type(ids[0])(99)]))
        ]  # one that no row has
    if (pl := optional("polars")) and isinstance(ids[0], str):
        columns += [pl.Series(ids).cast(t) for t in (pl.Categorical, pl.Enum(["c", "d", "b", "a"]))]
        pl.Series(["zz", "a"]).cast(pl.Categorical)  # the codes of one column start where another's ended
        columns += [pl.Series(["q", *ids]).cast(pl.Categorical)[1:]]
    if pa := optional("pyarrow"):
        plain = pa.array(ids)
        columns += [plain, plain.dictionary_encode()]
        columns += [pa.chunked_array([plain[:2].dictionary_encode(), plain[2:].dictionary_encode()])]
        twice = pa.DictionaryArray.from_arrays(pa.array(range(6)), plain)  # names that the dictionary repeats
        columns += [twice]
    if not columns:
        pytest.skip("neither pandas, polars nor pyarrow is installed")
    for column in columns:
        got = metrics.gauc(y, score, column, per_group=True).per_group
        assert got is not None
        for name in want:
            assert got[name].tolist() == want[name].tolist(), (type(column), name)


def test_categories_are_not_made_into_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are numbered through their codes: only the categories are looked at one by one."""
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    from fourstep.metrics import _groups

    seen: list[int] = []
    numbered = _groups._numbered

    def watched(array: Array, name: str) -> Any:
        seen.append(len(array))
        return numbered(array, name)

    monkeypatch.setattr(_groups, "_numbered", watched)
    metrics.gauc([1, 0] * 50, np.arange(100), pd.Categorical(["a", "a", "b", "b"] * 25))
    assert seen == [2]


def test_null_categories() -> None:
    message = r"groups: got null.* at index 1 \(1 such of 3 rows\), need an id for each row"
    ids = ["a", None, "b"]
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    pl = pytest.importorskip("polars", reason="polars is not installed")
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    nulls = [pd.Categorical(ids), pl.Series(ids).cast(pl.Categorical), pa.array(ids).dictionary_encode()]
    nulls += [pa.DictionaryArray.from_arrays(pa.array([0, 1, 2]), pa.array(ids))]
    for column in nulls:
        with pytest.raises(ValueError, match=message):
            metrics.gauc([1, 0, 1], [0.1, 0.2, 0.3], column)


# The interval.


def test_interval_is_the_bootstrap_over_groups() -> None:
    """Written out: the rows of the drawn groups, put together and averaged."""
    y, score, group, weight = case(400)
    for name in ("impressions", "positives", "uniform", "pairs"):
        for w in (None, weight):
            got = metrics.gauc(y, score, group, group_weight=name, sample_weight=w, ci=0.9)
            each = metrics.gauc(y, score, group, sample_weight=w, per_group=True).per_group
            assert each is not None
            kept = each["group"][each["kept"]]
            exact = []
            for replicate in range(40):
                drawn = kept[_core.metrics_draws(0, replicate, len(kept))]
                at = [np.flatnonzero(group == g) for g in drawn]
                rows = np.concatenate(at)
                ids = np.repeat(np.arange(len(at)), [len(x) for x in at])
                weights = None if w is None else w[rows]
                exact.append(
                    metrics.gauc(y[rows], score[rows], ids, group_weight=name, sample_weight=weights)
                )
            short = metrics.bootstrap(
                metrics.gauc,
                y,
                score,
                group,
                unit="group",
                group_weight=name,
                sample_weight=w,
                n=40,
                ci=0.9,
            )
            assert short.ci == pytest.approx(tuple(np.quantile(exact, [0.05, 0.95])), abs=1e-12)
            assert short.se == pytest.approx(np.std(exact, ddof=1), abs=1e-12)
            assert got.ci is not None and got.ci[0] < got < got.ci[1]


def test_interval_is_the_same_for_any_order_ids_offsets_and_threads() -> None:
    y, score, group, weight = case()
    order = np.random.default_rng(3).permutation(len(y))
    by_id = np.argsort(group, kind="stable")
    offsets = np.append(0, np.cumsum(np.unique(group, return_counts=True)[1]))
    for name in ("impressions", "pairs"):
        for w in (None, weight):
            options: dict[str, Any] = {"group_weight": name, "ci": 0.95}
            want = metrics.gauc(y, score, group, sample_weight=w, **options)
            moved = None if w is None else w[order]
            got = metrics.gauc(
                y[order], score[order], group[order], sample_weight=moved, threads=1, **options
            )
            assert (got.ci, got.se) == (want.ci, want.se)
            sorted_ = None if w is None else w[by_id]
            cut = metrics.gauc(y[by_id], score[by_id], offsets=offsets, sample_weight=sorted_, **options)
            assert (cut.ci, cut.se) == (want.ci, want.se)
            huge = None if w is None else w * 2.0**1000
            assert metrics.gauc(y, score, group, sample_weight=huge, **options).ci == want.ci


def test_interval_leaves_out_rows_of_nan() -> None:
    y, score, group, weight = case()
    holes = score.copy()
    holes[::5] = np.nan
    there = ~np.isnan(holes)
    got = metrics.gauc(y, holes, group, sample_weight=weight, nan="drop", ci=0.95)
    want = metrics.gauc(y[there], score[there], group[there], sample_weight=weight[there], ci=0.95)
    assert (got.ci, got.se) == (want.ci, want.se)


def test_interval_covers() -> None:
    """Groups of a known mean: 90 % intervals hold it in about 90 of 100 draws."""
    rng = np.random.default_rng(5)
    inside = 0
    for _ in range(100):
        values = rng.random(60)  # their mean is ½
        means = _resample.means_over_groups(values, np.ones(60), 1000, 0)
        interval, _ = _resample.percentiles(means, 0.9)
        inside += interval[0] <= 0.5 <= interval[1]
    assert 80 <= inside <= 98


def test_draws_are_even() -> None:
    drawn = np.concatenate([_core.metrics_draws(0, b, 7) for b in range(2000)])
    counts = np.bincount(drawn, minlength=7)
    assert len(counts) == 7
    assert ((counts - 2000) ** 2 / 2000).sum() < 22.5  # χ² of 6 degrees of freedom: 1 in 1,000


def test_interval_of_few_groups_and_bad_levels() -> None:
    y, score = [1, 0, 1, 0], [0.9, 0.1, 0.2, 0.8]
    with pytest.warns(
        metrics.UndefinedMetricWarning, match="gauc has no interval: fewer than two groups"
    ) as seen:
        one = metrics.gauc(y, score, [1] * 4, ci=0.95)
    assert seen[0].filename == __file__
    assert one.ci is None and one.se is None
    assert metrics.gauc(y, score, [1, 1, 2, 2]).ci is None
    with pytest.warns(metrics.UndefinedMetricWarning, match="gauc has no interval"):  # weight 0 is no group
        assert metrics.gauc(y, score, [1, 1, 2, 2], group_weight=[1, 0], ci=0.95).ci is None
    assert metrics.gauc([1, 1], [0.1, 0.2], [1, 2], ci=0.95, on_undefined=0.5) == 0.5
    two = metrics.gauc(y, score, [1, 1, 2, 2], ci=0.95)
    assert two.ci == (0.0, 1.0)
    assert repr(two) == "0.5 (gauc by impressions: 2 groups kept, interval 0 to 1)"
    assert pickle.loads(pickle.dumps(two)).ci == copy.copy(two).ci == two.ci
    for ci, error in (
        (0, ValueError),
        (1.0, ValueError),
        (95, ValueError),
        ("0.9", TypeError),
        (True, TypeError),
    ):
        with pytest.raises(error, match=f"ci: got {ci!r}, need a level"):
            metrics.gauc(y, score, [1, 1, 2, 2], ci=ci)  # type: ignore[arg-type]


# The parts of AUC.


ROWS = st.lists(
    st.tuples(st.booleans(), st.integers(-2, 2), st.integers(0, 3), st.sampled_from([0.0, 0.5, 1.0, 3.0])),
    min_size=1,
    max_size=16,
)


@pytest.mark.filterwarnings("ignore::fourstep.metrics.UndefinedMetricWarning")
@settings(deadline=None)
@given(ROWS, st.booleans())
def test_decompose_counts_every_pair(rows: list[Any], weighted: bool) -> None:
    y, score, group, weight = (np.array(x) for x in zip(*rows, strict=True))
    if weighted and not weight.any():
        return
    w = [Fraction(x) for x in (weight if weighted else np.ones(len(y))).tolist()]
    won, every = [Fraction(), Fraction()], [Fraction(), Fraction()]
    for i in np.flatnonzero(y):
        for j in np.flatnonzero(~y):
            where = int(group[i] == group[j])
            won[where] += w[i] * w[j] * Fraction(int(score[i] > score[j]) * 2 + int(score[i] == score[j]), 2)
            every[where] += w[i] * w[j]
    got = metrics.decompose(y, score, group, sample_weight=weight if weighted else None)

    def same(x: float, top: Fraction, bottom: Fraction) -> bool:
        return x == float(top / bottom) if bottom else math.isnan(x)

    assert same(got.auc, sum(won, Fraction()), sum(every, Fraction()))
    assert same(got.within, won[1], every[1])
    assert same(got.between, won[0], every[0])
    assert [got.pairs, got.within_pairs, got.between_pairs] == [
        float(x) for x in (sum(every), every[1], every[0])
    ]
    if got.pairs:
        assert got.within_share == float(every[1] / sum(every))
        assert got.between_share == float(every[0] / sum(every))


def test_decompose_agrees_with_auc_and_gauc() -> None:
    y, score, group, weight = case()
    order = np.random.default_rng(1).permutation(len(y))
    got = metrics.decompose(y, score, group)
    assert got.auc == metrics.auc(y, score)
    assert got.within == metrics.gauc(y, score, group, group_weight="pairs")
    assert isinstance(got.pairs, int)
    assert got == metrics.decompose(y[order], score[order], group[order], threads=1)
    heavy = metrics.decompose(y, score, group, sample_weight=weight * math.pi)
    assert heavy.auc == metrics.auc(y, score, sample_weight=weight * math.pi)
    assert heavy == metrics.decompose(
        y[order], score[order], group[order], sample_weight=weight[order] * math.pi
    )
    assert heavy.within == pytest.approx(
        metrics.gauc(y, score, group, group_weight="pairs", sample_weight=weight), abs=1e-12
    )
    mixed = heavy.within_share * heavy.within + heavy.between_share * heavy.between
    assert heavy.auc == pytest.approx(mixed, abs=1e-15)
    equal = metrics.decompose(y, score, group, sample_weight=np.full(len(y), 0.3))
    assert (equal.auc, equal.within, equal.between) == (got.auc, got.within, got.between)


def test_decompose_tells_what_users_do_not_see() -> None:
    """A score that knows each user's click rate and no more: all it gains is between users."""
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(200), 20)
    rate = rng.random(200)[user]
    got = metrics.decompose(rng.random(4000) < rate, rate, user)
    assert got.within == 0.5
    assert got.between > 0.75
    assert got.within_share < 0.01


def test_decompose_of_one_group_of_nan_and_of_one_class() -> None:
    one = metrics.decompose([1, 0, 1], [0.3, 0.2, 0.1], [4, 4, 4])
    assert (one.auc, one.within, one.within_share, one.between_share) == (0.5, 0.5, 1.0, 0.0)
    assert math.isnan(one.between)
    assert "between groups  -         0 %    0\n1 group, 1 with both classes" in repr(one)
    holes = np.array([0.3, math.nan, 0.2, 0.1])
    for w in (None, [1.0, 1.0, 1.0, 1.0]):
        dropped = metrics.decompose([1, 0, 0, 1], holes, [4, 4, 4, 5], sample_weight=w, nan="drop")
        assert (dropped.auc, dropped.within, dropped.between) == (0.5, 1.0, 0.0)
        assert dropped.dropped == {"nan": 1}
        assert "1 row with NaN dropped" in repr(dropped)
        low = metrics.decompose([1, 0, 0, 1], holes, [4, 4, 4, 5], sample_weight=w, nan="lowest")
        assert (low.auc, low.within, low.between) == (0.75, 1.0, 0.5)
    with pytest.warns(
        metrics.UndefinedMetricWarning, match="decompose has no value and is nan: it needs both"
    ) as seen:
        assert math.isnan(metrics.decompose([1, 1], [0.1, 0.2], [1, 2]).auc)
    assert seen[0].filename == __file__
    with pytest.raises(ValueError, match="decompose has no value"):
        metrics.decompose([1, 1], [0.1, 0.2], [1, 2], on_undefined="raise")
    with pytest.raises(ValueError, match="groups: got 1 rows, need 2"):
        metrics.decompose([1, 0], [0.1, 0.2], [1])
    with pytest.raises(ValueError, match=r"sample_weight: got -1 at index 1"):
        metrics.decompose([1, 0], [0.1, 0.2], [1, 1], sample_weight=[1, -1])


# AUC by slice.


def test_auc_by_is_auc_of_each_slice() -> None:
    y, score, group, weight = case()
    for w in (None, weight):
        got = metrics.auc_by(y, score, group, sample_weight=w)
        assert got.slice.tolist() == np.unique(group).tolist()
        assert got.overall == metrics.auc(y, score, sample_weight=w)
        exists = np.ones(len(y), bool) if w is None else w > 0
        for line in got:
            mine = (group == line.slice) & exists
            want = twin.auc(y[mine], score[mine], None if w is None else w[mine])
            np.testing.assert_equal(line.auc, want)
            assert (line.rows, line.positives) == (mine.sum(), y[mine].sum())
        order = np.random.default_rng(1).permutation(len(y))
        moved = None if w is None else w[order]
        again = metrics.auc_by(y[order], score[order], group[order], sample_weight=moved, threads=1)
        np.testing.assert_equal(again.to_dict(), got.to_dict())


def test_auc_by_time() -> None:
    days = [datetime.date(2024, 5, d) for d in (2, 1, 2, 1)]
    y, score = [1, 0, 0, 1], [0.9, 0.4, 0.3, 0.1]
    times: list[Any] = [np.array(days, f"datetime64[{unit}]") for unit in ("D", "s", "ns")]
    times += [times[0].astype(">M8[D]"), np.repeat(times[1], 3)[::3]]
    if pd := optional("pandas"):
        times += [pd.Series(pd.to_datetime(days)), pd.to_datetime(days)]
    if pl := optional("polars"):
        times += [pl.Series(days), pl.Series(days).cast(pl.Datetime)]
    for when in times:
        got = metrics.auc_by(y, score, when)
        assert got.slice.astype("datetime64[D]").tolist() == sorted(set(days))
        assert got.auc.tolist() == [0.0, 1.0]
    assert "2024-05-01  0.000000  2     1" in repr(metrics.auc_by(y, score, times[0]))


def test_auc_by_shows_what_has_no_value() -> None:
    got = metrics.auc_by([1, 1, 0], [0.1, math.nan, 0.2], ["top", "side", "top"], nan="drop")
    assert repr(got) == (
        "slice  AUC       rows  positives\nside   -         0     0\ntop    0.000000  2     1\nall    0.000000  2     1"
    )
    assert got.overall.dropped == {"nan": 1}
    assert len(got) == 2
    assert math.isnan(metrics.auc_by([1, 1], [0.1, 0.2], [1, 2]).overall)


@pytest.mark.parametrize(
    ("error", "message", "slices"),
    [
        (
            ValueError,
            r"slices: got null at index 1 \(1 such of 2 rows\)",
            np.array(["2024-01-01", "NaT"], "M8[D]"),
        ),
        (ValueError, r"slices: got null or NaN at index 0 \(1 such of 2 rows\)", [None, "a"]),
        (ValueError, "slices: got 3 rows, need 2", [1, 2, 3]),
        (TypeError, "slices: got dtype float64, need integers or strings", [0.5, 1.5]),
        (ValueError, r"slices: got shape \(2, 1\), need one dimension", np.zeros((2, 1), "M8[D]")),
    ],
)
def test_auc_by_refuses(error: type[Exception], message: str, slices: Any) -> None:
    with pytest.raises(error, match=message):
        metrics.auc_by([0, 1], [0.1, 0.2], slices)


@pytest.mark.parametrize("threads", [0, 257, -1])
def test_threads_are_checked_everywhere(threads: int) -> None:
    for metric in (metrics.gauc, metrics.decompose, metrics.auc_by):
        with pytest.raises(ValueError, match=f"threads: got {threads}, need a whole number from 1 to 256"):
            metric([0, 1], [0.1, 0.2], [1, 1], threads=threads)


def test_threads_hold_for_the_call_alone() -> None:
    import fourstep as fs

    before = fs.runtime().threads
    metrics.auc([0, 1], [0.1, 0.2], threads=7)
    assert fs.runtime().threads == before


def test_slices_of_dates_in_lists_and_of_moments_with_a_time_zone() -> None:
    y, p = [0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4]
    days: Any = [date(2024, 5, 1)] * 2 + [date(2024, 5, 2)] * 2
    got = metrics.auc_by(y, p, days)
    assert got.slice.tolist() == [days[0], days[2]]
    pandas = pytest.importorskip("pandas", reason="pandas is not installed: its time zones were not tested")
    moments = pandas.Series(pandas.to_datetime(["2024-05-01", "2024-05-01", "2024-05-02", "2024-05-02"]))
    got = metrics.auc_by(y, p, moments.dt.tz_localize("Europe/Paris"))
    assert got.slice.astype("datetime64[h]").astype(str).tolist() == ["2024-04-30T22", "2024-05-01T22"], "UTC"
    assert got.auc.tolist() == [1.0, 1.0]
