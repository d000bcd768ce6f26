"""The table of metrics: each line is a metric with its twin. Every property test runs over all that it concerns.

The twin counts pairs one by one in fractions, so equality is of bits wherever the metric promises a single rounding.
"""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fourstep import metrics
from fourstep._runtime import override
from fourstep.reference import metrics as twin

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Case:
    """Rows: labels, scores (or probabilities), groups, and weights if there are any."""

    y: Array
    score: Array
    group: Array
    weight: Array | None = None

    def take(self, rows: Array) -> Case:
        return Case(*(None if x is None else x[rows] for x in (self.y, self.score, self.group, self.weight)))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Metric:
    """A metric, its twin, and what may be asked of it."""

    id: str
    ours: Callable[[Case], float]
    twin: Callable[[Case], float]
    #: It depends on the order of the scores alone.
    ranks: bool = False
    #: Its scores are probabilities.
    probabilities: bool = False
    #: It takes weights.
    weights: bool = True


def _plain(name: str, **options: Any) -> tuple[Callable[[Case], float], Callable[[Case], float]]:
    ours, theirs = getattr(metrics, name), getattr(twin, name)
    return (
        lambda c: ours(c.y, c.score, sample_weight=c.weight, **options),
        lambda c: theirs(c.y, c.score, sample_weight=c.weight, **options),
    )


def _grouped(**options: Any) -> tuple[Callable[[Case], float], Callable[[Case], float]]:
    return (
        lambda c: metrics.gauc(c.y, c.score, c.group, sample_weight=c.weight, **options),
        lambda c: twin.gauc(c.y, c.score, c.group, sample_weight=c.weight, **options),
    )


def _threshold(metric: str) -> tuple[Callable[[Case], float], Callable[[Case], float]]:
    return (
        lambda c: metrics.best_threshold(c.y, c.score, metric),  # type: ignore[arg-type]
        lambda c: twin.best_threshold(c.y, c.score, metric),
    )


METRICS = [
    Metric("auc", *_plain("auc"), ranks=True),
    Metric("gauc", *_grouped(), ranks=True),
    Metric("gauc_positives", *_grouped(group_weight="positives"), ranks=True),
    Metric("gauc_uniform", *_grouped(group_weight="uniform"), ranks=True),
    Metric("gauc_pairs", *_grouped(group_weight="pairs"), ranks=True),
    Metric("gauc_half", *_grouped(one_class="half", min_rows=0), ranks=True),
    Metric("gauc_large", *_grouped(min_rows=5), ranks=True),
    Metric("precision", *_plain("precision")),
    Metric("recall", *_plain("recall", threshold=-1.0)),
    Metric("f1", *_plain("f1")),
    Metric("fbeta", *_plain("fbeta", beta=0.3)),
    Metric("specificity", *_plain("specificity")),
    Metric("mcc", *_plain("mcc", threshold=0.25)),
    Metric("ks", *_plain("ks"), ranks=True),
    Metric("best_f1", *_threshold("f1"), weights=False),
    Metric("best_accuracy", *_threshold("accuracy"), weights=False),
    Metric("best_youden", *_threshold("youden"), weights=False),
    Metric("logloss", *_plain("logloss"), probabilities=True),
    Metric("logloss_logits", *_plain("logloss", from_logits=True)),
    Metric("brier", *_plain("brier"), probabilities=True),
    Metric("calibration_ratio", *_plain("calibration_ratio"), probabilities=True),
]


def each(metrics_: list[Metric]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("metric", metrics_, ids=lambda m: m.id)


each_metric = each(METRICS)
each_weighted = each([m for m in METRICS if m.weights])
each_ranking = each([m for m in METRICS if m.ranks])


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Cases of one class are part of the table; their warning has a test of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", metrics.MetricWarning)
        yield


def bits(x: float) -> bytes:
    return b"nan" if math.isnan(x) else struct.pack("<d", x)


def rows(metric: Metric, n: int, seed: int = 0, *, share: float = 0.3, weighted: bool = False) -> Case:
    """Rows with many ties, some groups of one class, and rows of weight 0."""
    rng = np.random.default_rng(seed)
    score = np.round(rng.normal(size=n), 1).astype(np.float32)
    if metric.probabilities:
        score = (1 / (1 + np.exp(-score))).astype(np.float32)
    return Case(
        y=(rng.random(n) < share).astype(np.uint8),
        score=score,
        group=rng.integers(-3, max(2, n // 8), n),
        weight=rng.choice([0.0, 0.25, 1.0, 3.0, 7.5], n) if weighted else None,
    )


SCORES = st.one_of(
    st.integers(-3, 3).map(float),
    st.floats(width=32, allow_nan=False),
    st.sampled_from([0.0, -0.0, math.inf, -math.inf, 1e-45, -1e-45, 3.4e38]),
)
FINITE = st.one_of(st.integers(-3, 3).map(float), st.floats(-700, 700, width=32))
PROBABILITIES = st.one_of(st.sampled_from([0.0, 1.0, 0.5, 1e-45, 0.25]), st.floats(0, 1, width=32))


@st.composite
def cases(draw: st.DrawFn, metric: Metric, *, weighted: bool = False, both: bool = False) -> Case:
    """Adversarial rows: ties, infinities, both zeros, subnormal numbers."""
    n = draw(st.integers(1, 30))
    values = PROBABILITIES if metric.probabilities else FINITE if metric.id == "logloss_logits" else SCORES
    y = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)), np.uint8)
    if both or not metric.weights:
        assume(0 < y.sum() < n)
    score = np.array(draw(st.lists(values, min_size=n, max_size=n)), np.float32)
    group = np.array(draw(st.lists(st.integers(-2, 2), min_size=n, max_size=n)), np.int64)
    weight = None
    if weighted:
        weight = np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), np.float64)
        assume(weight.any())
    return Case(y, score, group, weight)


# Against the twin.


@each_metric
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_bits_of_the_twin(metric: Metric, data: st.DataObject) -> None:
    case = data.draw(cases(metric))
    assert bits(metric.ours(case)) == bits(metric.twin(case))


@each_weighted
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_integer_weights_give_the_bits_of_the_twin(metric: Metric, data: st.DataObject) -> None:
    case = data.draw(cases(metric, weighted=True))
    got, want = metric.ours(case), metric.twin(case)
    if metric.id == "gauc_pairs":  # each group's term is rounded once, where the twin's is not
        assert got == pytest.approx(want, rel=4e-16, nan_ok=True)
    else:
        assert bits(got) == bits(want)


@each_weighted
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_real_weights_are_close_to_the_twin(metric: Metric, data: st.DataObject) -> None:
    case = data.draw(cases(metric))
    weight = np.array(data.draw(st.lists(st.floats(1e-3, 1e3), min_size=len(case.y), max_size=len(case.y))))
    case = replace(case, weight=weight)
    # A weight is an integer of a unit of 2^-61 of the sum at most: the smallest one has the largest share of error.
    rel = 1e-14 + 2.0**-59 * float(weight.sum() / weight.min())
    assert metric.ours(case) == pytest.approx(metric.twin(case), rel=rel, nan_ok=True)


@pytest.mark.parametrize("drop", [False, True])
@given(data=st.data())
def test_the_roc_curve_is_the_twin_s(drop: bool, data: st.DataObject) -> None:
    case = data.draw(cases(METRICS[0], both=True))
    fpr, tpr, thresholds = metrics.roc_curve(case.y, case.score, drop_intermediate=drop)
    want = [np.array(x) for x in twin.roc_curve(case.y, case.score)]
    if drop:
        # What is left out lies in line: exactly the points where the slope does not change.
        points = [(0, 0), *(_counts(case, t) for t in want[2][1:])]
        keep = [
            i
            for i in range(len(points))
            if i in (0, len(points) - 1) or _bends(points[i - 1], points[i], points[i + 1])
        ]
        want = [x[keep] for x in want]
    np.testing.assert_array_equal(fpr, want[0])
    np.testing.assert_array_equal(tpr, want[1])
    np.testing.assert_array_equal(thresholds, want[2])


def _counts(case: Case, threshold: float) -> tuple[int, int]:
    fp, tp = ((case.score[case.y == label] >= threshold).sum() for label in (0, 1))
    return int(fp), int(tp)


def _bends(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]) -> bool:
    return (b[0] - a[0]) * (c[1] - b[1]) != (c[0] - b[0]) * (b[1] - a[1])


# The same bits on every path and in every order.

#: Around the edges of blocks (512), of the sort's limits (256, 16384) and of pieces (65536).
SIZES = [1, 2, 255, 257, 511, 513, 1025, 16_385, 65_535, 65_537]


@each_metric
def test_every_level_and_thread_count_gives_the_same_bits(
    metric: Metric, on_every_path: Callable[[], Iterator[int]]
) -> None:
    for n in SIZES:
        for weighted in (False, True) if metric.weights else (False,):
            case = rows(metric, n, n, weighted=weighted)
            one_class = case.y.all() or not case.y.any()
            if (weighted and not np.any(case.weight)) or (one_class and not metric.weights):
                continue
            with override(level="baseline", threads=1, serial_below=1 << 62):
                want = metric.ours(case)
            for threads in on_every_path():
                assert bits(metric.ours(case)) == bits(want), (
                    f"{n} rows, {threads} threads, weighted: {weighted}"
                )


@each_metric
@pytest.mark.parametrize("n", [50, 3000, 70_000])
def test_the_order_of_the_rows_does_not_matter(metric: Metric, n: int) -> None:
    case = rows(metric, n, weighted=metric.weights)
    want = metric.ours(case)
    rng = np.random.default_rng(1)
    for order in (np.arange(n)[::-1], np.argsort(case.score), np.argsort(case.group), rng.permutation(n)):
        assert bits(metric.ours(case.take(order))) == bits(want)


# Weights.


@each_weighted
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_weights_scale(metric: Metric, data: st.DataObject) -> None:
    case = data.draw(cases(metric, weighted=True))
    want = metric.ours(case)
    assert case.weight is not None
    for power in (-300, -1, 1, 400):
        scaled = replace(case, weight=case.weight * 2.0**power)
        assert bits(metric.ours(scaled)) == bits(want), f"times 2^{power}"
    assert metric.ours(replace(case, weight=case.weight * 0.3)) == pytest.approx(want, rel=1e-14, nan_ok=True)


@each_weighted
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_equal_weights_are_none_and_integers_repeat_rows(metric: Metric, data: st.DataObject) -> None:
    case = data.draw(cases(metric, weighted=True))
    close = metric.id == "gauc_pairs"

    def same(a: float, b: float) -> bool:
        return a == pytest.approx(b, rel=4e-16, nan_ok=True) if close else bits(a) == bits(b)

    plain = replace(case, weight=None)
    assert same(metric.ours(replace(case, weight=np.full(len(case.y), 0.3))), metric.ours(plain))
    assert case.weight is not None
    if metric.id not in ("gauc_uniform", "gauc_large", "gauc_half", "gauc", "gauc_positives", "gauc_pairs"):
        repeated = plain.take(np.repeat(np.arange(len(case.y)), case.weight.astype(int)))
        assert same(metric.ours(case), metric.ours(repeated))
    # Rows of weight 0 do not exist.
    exists = case.weight > 0
    assert same(metric.ours(case), metric.ours(case.take(exists)))


# What depends on order alone.


@each_ranking
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_increasing_maps_change_nothing(metric: Metric, data: st.DataObject) -> None:
    case = data.draw(cases(metric))
    levels, rank = np.unique(case.score, return_inverse=True)  # -0.0 and 0.0 are one level
    want = metric.ours(case)
    constant = replace(case, score=rank.astype(np.float64) + data.draw(st.integers(-(2**40), 2**40)))
    maps: list[Array] = [
        rank,
        rank.astype(np.uint64) + np.uint64(2**64 - 1 - len(levels)),
        np.exp(rank / 4).astype(np.float32),
        np.where(rank == 0, -np.inf, rank),
        np.ldexp(1.0, rank.astype(int) - 1074 if len(levels) < 50 else rank),
    ]
    assert bits(metric.ours(constant)) == bits(want), "a constant"
    for score in maps:
        assert bits(metric.ours(replace(case, score=score))) == bits(want), score.dtype


@given(data=st.data())
def test_negated_scores_and_swapped_labels_give_the_complement(data: st.DataObject) -> None:
    case = data.draw(cases(METRICS[0], both=True))
    got = metrics.auc(case.y, case.score)
    counts = got.counts
    won = Fraction(float(got)).limit_denominator(2 * counts["pairs"])
    assert bits(metrics.auc(case.y, -case.score)) == bits(float(1 - won))
    assert bits(metrics.auc(1 - case.y, case.score)) == bits(float(1 - won))


# Large counts and adversarial orders, against a count by value.


def by_value(y: Array, score: Array) -> Fraction:
    _, value = np.unique(score, return_inverse=True)
    positives, negatives = np.bincount(value, y == 1).astype(int), np.bincount(value, y != 1).astype(int)
    below = np.concatenate([[0], np.cumsum(negatives)[:-1]])
    won = sum(
        int(p) * (2 * int(b) + int(n)) for p, b, n in zip(positives, below, negatives, strict=True) if p
    )
    return Fraction(won, 2 * int(positives.sum()) * int(negatives.sum()))


def orders(n: int) -> dict[str, Array]:
    rng = np.random.default_rng(n)
    noise = rng.normal(size=n)
    return {
        "noise": noise,
        "rounded": np.round(noise, 2),
        "sorted": np.sort(noise),
        "reversed": np.sort(noise)[::-1],
        "95 % one value": np.where(rng.random(n) < 0.95, 0.25, noise),
        "two values": (noise > 1).astype(float),
        "one value": np.full(n, -3.5),
        "far apart": np.where(np.arange(n) == n // 2, 1e300, noise * 1e-300),
        "powers of two": np.ldexp(1.0, rng.integers(-1074, 1023, n)),
        "integers": rng.integers(-(2**62), 2**62, n),
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("share", [0.03, 0.5, 0.99])
@pytest.mark.parametrize("n", [1000, 40_000, 140_000])
def test_adversarial_orders(n: int, share: float, dtype: Any) -> None:
    y = (np.random.default_rng(0).random(n) < share).astype(np.int64)
    for name, score in orders(n).items():
        with np.errstate(over="ignore", under="ignore"):
            score = score if score.dtype == np.int64 else score.astype(dtype)
        for threads in (1, 3):
            with override(threads=threads, serial_below=0):
                got = metrics.auc(y, score)
        assert bits(got) == bits(float(by_value(y, score))), name
        alone = metrics.gauc(y, score, np.full(n, 7))
        assert bits(alone) == bits(got), f"{name}: one group"


def test_more_pairs_than_32_bits_hold() -> None:
    n = 300_000
    rng = np.random.default_rng(0)
    y, score = rng.integers(0, 2, n), rng.integers(0, 1000, n)
    got = metrics.auc(y, score)
    assert got.counts["pairs"] == got.counts["positives"] * got.counts["negatives"] > 2**34
    assert bits(got) == bits(float(by_value(y, score)))


@pytest.mark.parametrize("run", [2**24 + 1, 2**31 + 1, 2**32 + 3, 2**50 + 1])
def test_runs_too_long_for_float32_and_int32_counters(run: int) -> None:
    """A weight stands for a run of equal rows: 2^24 stops float32 counters, 2^31 int32 ones, 2^50 products in int64."""
    y, score = np.array([1, 1, 0, 0]), np.array([2.0, 1.0, 1.0, 0.0])
    weight = np.array([run, 1, run, 3])
    won = 2 * run * (run + 3) + 1 * (run + 2 * 3)
    assert bits(metrics.auc(y, score, sample_weight=weight)) == bits(
        float(Fraction(won, 2 * (run + 1) * (run + 3)))
    )
    matrix = metrics.confusion(y, score, 1.5, weight)
    assert (matrix.tp, matrix.fp, matrix.fn, matrix.tn) == (run, 0, 1, run + 3)
    assert bits(matrix.tpr) == bits(float(Fraction(run, run + 1)))
    p = np.array([0.5, 0.5, 0.5, 0.5])
    assert metrics.logloss(y, p, sample_weight=weight) == math.log(2)


# Groups.


def test_ids_of_any_kind_group_alike() -> None:
    case = rows(METRICS[1], 500, 3)
    want = metrics.gauc(case.y, case.score, case.group)
    assert want.groups_kept is not None
    assert want.groups_kept > 20
    names = np.array([f"user {g:05d}" for g in case.group])
    wide = (case.group.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) ^ np.uint64(1 << 63)
    kinds: dict[str, Any] = {
        "int32": case.group.astype(np.int32),
        "int8": case.group.astype(np.int8),
        "hashed uint64": wide,
        "hashed int64": wide.view(np.int64),
        "fixed strings": names,
        "bytes": names.astype("S"),
        "objects": names.astype(object),
        "list": names.tolist(),
        "Python integers": case.group.tolist(),
        "objects of integers": case.group.astype(object),
        "large Python integers": [int(g) + 2**63 for g in case.group - case.group.min()],
        "strings of NumPy 2": names.astype(np.dtypes.StringDType()),
    }
    for kind, group in kinds.items():
        got = metrics.gauc(case.y, case.score, group)
        assert bits(got) == bits(want), kind
        assert (got.groups_kept, got.dropped) == (want.groups_kept, want.dropped), kind


def test_offsets_are_groups_that_lie_together() -> None:
    case = rows(METRICS[1], 500, 3)
    case = case.take(np.argsort(case.group, kind="stable"))
    starts = np.flatnonzero(np.diff(case.group, prepend=case.group[0] - 1))
    offsets = np.concatenate([starts, [len(case.y)]])
    for group_weight in ("impressions", "positives", "uniform", "pairs"):
        want = metrics.gauc(case.y, case.score, case.group, group_weight=group_weight)
        got = metrics.gauc(case.y, case.score, offsets=offsets, group_weight=group_weight)
        assert bits(got) == bits(want)
    with_empty = metrics.gauc(case.y, case.score, offsets=np.repeat(offsets, 2))
    assert bits(with_empty) == bits(metrics.gauc(case.y, case.score, case.group))
    assert with_empty.dropped["groups_empty"] == len(offsets)


def test_what_each_group_did() -> None:
    y = np.array([1, 0, 1, 0, 0, 1, 1, 1])
    score = np.array([0.9, 0.1, 0.2, 0.8, 0.2, 0.5, 0.5, 0.7])
    group = np.array(["g", "g", "c", "c", "c", "i", "i", "a"])
    got = metrics.gauc(y, score, group, per_group=True)
    assert got.per_group is not None
    assert got.per_group["group"].tolist() == ["a", "c", "g", "i"]
    np.testing.assert_array_equal(got.per_group["auc"], [np.nan, 0.25, 1.0, np.nan])
    assert got.per_group["rows"].tolist() == [1, 3, 2, 2]
    assert got.per_group["positives"].tolist() == [1, 1, 1, 2]
    assert got.per_group["kept"].tolist() == [False, True, True, False]
    assert got == (3 * 0.25 + 2 * 1.0) / 5
    assert (got.groups_kept, got.groups_dropped, got.group_weight) == (2, 2, "impressions")
    assert got.counts == {"groups": 4, "groups_kept": 2, "rows": 5, "positives": 2}
    assert got.dropped == {"groups_one_class": 1, "groups_small": 1, "rows": 3, "positives": 3}
    assert got.tied == 1 / 3
    assert repr(got) == (
        "0.55 (gauc by impressions: 2 groups kept, 2 dropped (1 one class, 1 small), 33.3 % of pairs tied)"
    )


def test_min_rows_comes_before_one_class() -> None:
    y, score, group = [1, 1, 0, 1], [0.1, 0.2, 0.3, 0.4], [1, 1, 2, 3]
    with pytest.raises(ValueError, match="groups: 1 group of one class, the first is 1; one_class='drop'"):
        metrics.gauc(y, score, group, one_class="raise")
    got = metrics.gauc(y, score, group, one_class="half", min_rows=0)
    assert (got, got.groups_kept) == (0.5, 3)
    got = metrics.gauc(y, score, group, one_class="half", min_rows=2)
    assert (got, got.groups_kept, got.dropped["groups_small"]) == (0.5, 1, 2)
    assert metrics.gauc([1, 0], [0.2, 0.1], [5, 5], one_class="raise") == 1.0


def test_one_group_says_that_it_is_the_auc() -> None:
    got = metrics.gauc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], ["ann"] * 4)
    assert repr(got) == "0.75 (gauc by impressions: 1 group kept, so this is its auc)"


# What has no value.


def test_one_class_is_undefined() -> None:
    cases: list[tuple[str, Callable[..., float]]] = [
        ("auc", partial(metrics.auc, [1, 1], [0.1, 0.2])),
        ("auc", partial(metrics.auc, [0, 1], [0.1, 0.2], sample_weight=[1, 0])),
        ("auc", partial(metrics.auc, [0, 1], [0.1, np.nan], nan="drop")),
        ("gauc", partial(metrics.gauc, [1, 0], [0.1, 0.2], [1, 2])),
        ("gauc", partial(metrics.gauc, [1, 1], [0.1, 0.2], [1, 1], one_class="half", group_weight="pairs")),
        ("calibration_ratio", partial(metrics.calibration_ratio, [0, 0], [0.1, 0.2])),
    ]
    for name, metric in cases:
        with pytest.warns(metrics.UndefinedMetricWarning, match=f"{name} has no value and is nan"):
            assert math.isnan(metric())
        with pytest.raises(ValueError, match=f"{name} has no value"):
            metric(on_undefined="raise")
        assert metric(on_undefined=0.5) == 0.5


def test_the_warning_points_at_the_caller() -> None:
    for metric in (metrics.auc, metrics.calibration_ratio, metrics.precision, metrics.recall, metrics.f1):
        with pytest.warns(metrics.UndefinedMetricWarning) as caught:
            metric([0, 0], [0.1, 0.2])
        assert caught[0].filename == __file__


def test_quotients_with_nothing_below_the_line() -> None:
    for metric, y, why in (
        (metrics.precision, [0, 1], "no row is predicted positive"),
        (metrics.recall, [0, 0], "there is no positive"),
        (metrics.f1, [0, 0], "there is neither a positive nor a predicted one"),
    ):
        with pytest.warns(metrics.UndefinedMetricWarning, match=why):
            assert metric(y, [0.1, 0.2]) == 0.0
        assert metric(y, [0.1, 0.2], zero_division=1.0) == 1.0
        assert math.isnan(metric(y, [0.1, 0.2], zero_division=math.nan))
    assert metrics.f1([0, 1], [0.1, 0.2]) == 0.0, (
        "a positive that is not found is an F1 of 0, without a warning"
    )


def test_best_threshold_needs_what_its_metric_needs() -> None:
    with pytest.raises(ValueError, match="f1 has no value at any threshold, as there is no positive"):
        metrics.best_threshold([0, 0], [0.1, 0.2])
    with pytest.raises(ValueError, match="youden has no value at any threshold, as there is only one class"):
        metrics.best_threshold([1, 1], [0.1, 0.2], "youden")
    nothing = metrics.best_threshold([0, 0], [0.1, 0.2], "accuracy")
    assert (nothing, nothing.value, nothing.confusion.tn) == (math.inf, 1.0, 2)
    with pytest.raises(ValueError, match="all rows are of class 1"):
        metrics.roc_curve([1, 1], [0.1, 0.2])


# NaN.


def test_nan_scores() -> None:
    y, score = np.array([1, 0, 1, 0, 1]), np.array([np.nan, 0.5, 0.75, np.nan, 0.25], np.float32)
    number = ~np.isnan(score)
    dropped = metrics.auc(y, score, nan="drop")
    assert (dropped, dropped.dropped) == (metrics.auc(y[number], score[number]), {"nan": 2})
    lowest = metrics.auc(y, score, nan="lowest")
    assert (lowest, lowest.dropped) == (metrics.auc(y, np.where(number, score, -np.inf)), {})
    below = metrics.auc([1, 0], [np.nan, -np.inf], nan="lowest")
    assert below == 0.0, "below -inf, not tied with it"
    assert metrics.auc([1, 0, 0], [np.nan, -np.inf, np.nan], nan="lowest") == 0.25, "NaN ties with NaN"
    group = np.array([1, 1, 2, 2, 2])
    for order in (slice(None), slice(None, None, -1)):
        got = metrics.gauc(y[order], score[order], group[order], nan="drop", on_undefined=0.0)
        assert got.dropped["nan"] == 2
        assert got.dropped["groups_small"] == 1
        got = metrics.gauc(y[order], score[order], group[order], nan="lowest")
        assert got == (2 * 0.0 + 3 * 1.0) / 5


def test_a_row_of_weight_0_may_hold_anything() -> None:
    y, weight = [1, 0, 1, 0], [0.0, 1.0, 2.0, 1.0]
    bad, good = [math.nan, 0.5, 0.75, 0.25], [0.0, 0.5, 0.75, 0.25]
    for metric in (metrics.auc, metrics.confusion, metrics.logloss, metrics.brier, metrics.calibration_ratio):
        assert metric(y, bad, sample_weight=weight) == metric(y, good, sample_weight=weight)
    with pytest.raises(ValueError, match=r"score: got NaN at index 3 \(1 such of 4 rows\)"):
        metrics.auc(y, [math.nan, 0.5, 0.75, math.nan], sample_weight=weight)


# Log loss at the ends.


def test_certain_and_wrong_is_infinite_and_said() -> None:
    y, p = [1, 0, 1], [0.0, 1.0, 0.5]
    with pytest.warns(
        metrics.MetricWarning, match=r"2 rows certain and wrong, the first at index 0.*from_logits"
    ):
        got = metrics.logloss(y, p)
    assert (got, got.counts["infinite"]) == (math.inf, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metrics.logloss([1, 0], [1.0, 0.0]) == 0.0, "certain and right"
        assert metrics.logloss([1, 0], [math.inf, -math.inf], from_logits=True) == 0.0
        clipped = metrics.logloss(y, p, clip="eps")
        assert clipped == pytest.approx((2 * 52 * math.log(2) + math.log(2)) / 3)
        assert metrics.logloss(y, np.array(p, np.float32), clip="eps") == pytest.approx(
            47 * math.log(2) / 3, rel=1e-6
        )
        assert metrics.logloss(y, np.array(p, np.float16), clip="eps") == pytest.approx(
            21 * math.log(2) / 3, rel=1e-3
        )
        assert metrics.logloss(y, p, clip=0.25) == pytest.approx((4 * math.log(2) + math.log(2)) / 3)
        assert metrics.logloss(y, p, sample_weight=[0, 0, 1]) == math.log(2)
    with pytest.warns(metrics.MetricWarning, match="certain and wrong"):
        assert metrics.logloss([0], [math.inf], from_logits=True) == math.inf


def test_logits_lose_nothing_where_probabilities_saturate() -> None:
    z = np.array([20.0, 40.0, 300.0, 740.0])
    got = [metrics.logloss([1], [x], from_logits=True) for x in z]
    np.testing.assert_allclose(got, np.exp(-z), rtol=1e-8)
    got = [metrics.logloss([0], [x], from_logits=True) for x in z]
    np.testing.assert_array_equal(got, z + np.array([math.log1p(math.exp(-20)), 0, 0, 0]))


def test_a_heavy_row_that_does_not_count_changes_no_grouped_auc() -> None:
    y, score, group = [1, 0, 1, 0, 1, 1], [0.9, 0.1, 0.2, 0.8, math.nan, 0.5], [1, 1, 2, 2, 1, 3]
    weights = [1.0, 2.0, 3.0, 1.0]
    for how in ("impressions", "positives", "uniform", "pairs"):
        want, got = (
            metrics.gauc(
                y,
                score,
                group,
                sample_weight=[*weights, heavy, heavy],
                nan="drop",
                group_weight=how,
                min_rows=1,
            )
            for heavy in (1.0, 1e19)
        )
        assert 0 < want < 1 and got == want, how


def test_groups_that_weigh_nothing_are_named_as_the_reason() -> None:
    with pytest.raises(
        ValueError, match="gauc has no value: each of the 2 groups kept weighs 0 by positives"
    ):
        metrics.gauc(
            [0, 0],
            [0.1, 0.2],
            [1, 2],
            group_weight="positives",
            one_class="half",
            min_rows=1,
            on_undefined="raise",
        )
