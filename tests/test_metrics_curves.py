"""Curves against their definition, point by point in fractions; against scikit-learn; and what `max_points` costs."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fourstep import metrics
from fourstep.reference import metrics as twin

Array = np.ndarray[Any, Any]
Cells = tuple[Fraction, Fraction, Fraction, Fraction]

SCORES = st.one_of(
    st.integers(-3, 3).map(float),
    st.floats(width=32, allow_nan=False),
    st.sampled_from([0.0, -0.0, math.inf, -math.inf, 1e-45, -1e-45, 3.4e38]),
)


@st.composite
def cases(draw: st.DrawFn, *, both: bool = True) -> tuple[Array, Array, Array]:
    """Labels, scores with ties, and small integer weights."""
    n = draw(st.integers(1, 30))
    y = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)), np.uint8)
    score = np.array(draw(st.lists(SCORES, min_size=n, max_size=n)), np.float32)
    weight = np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), np.float64)
    assume(y.any() and (weight * y).any())
    assume(not both or (not y.all() and (weight * (1 - y)).any()))
    return y, score, weight


def many(n: int, seed: int = 0, digits: int = 2) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(np.uint8)
    return y, np.round(rng.normal(size=n) + y, digits), rng.exponential(size=n) * (rng.random(n) < 0.9)


def cells(y: Array, score: Array, threshold: float, weight: Array | None) -> Cells:
    tp, fp, fn, tn = twin.confusion(y, score, threshold, weight)
    return tp, fp, fn, tn


def points(y: Array, score: Array, weight: Array | None) -> list[tuple[float, Cells]]:
    """The four cells at inf and at each distinct score."""
    exists = np.ones(len(y), bool) if weight is None else weight > 0
    distinct = sorted({float(s) + 0.0 for s in score[exists]}, reverse=True)
    total = twin.confusion(y, score, -math.inf, weight)
    start = (Fraction(0), Fraction(0), total.tp, total.fp)
    rest: list[tuple[float, Cells]] = [(t, cells(y, score, t, weight)) for t in distinct]
    return [(math.inf, start), *rest]


def roc(c: Cells) -> tuple[Fraction, Fraction]:
    tp, fp, fn, tn = c
    return fp / (fp + tn), tp / (tp + fn)


def pr(c: Cells) -> tuple[Fraction, Fraction]:
    tp, fp, fn, _ = c
    return (tp / (tp + fp) if tp + fp else Fraction(1)), tp / (tp + fn)


def det(c: Cells) -> tuple[Fraction, Fraction]:
    tp, fp, fn, tn = c
    return fp / (fp + tn), fn / (tp + fn)


def gain(c: Cells) -> tuple[Fraction, Fraction]:
    tp, fp, fn, tn = c
    return (tp + fp) / (tp + fp + fn + tn), tp / (tp + fn)


CURVES: dict[str, tuple[Callable[..., Any], Callable[[Cells], tuple[Fraction, Fraction]]]] = {
    "roc": (metrics.roc_curve, roc),
    "pr": (metrics.pr_curve, pr),
    "det": (metrics.det_curve, det),
    "gain": (metrics.gain_curve, gain),
}
each = pytest.mark.parametrize("name", CURVES)


def area(name: str, curve: Any) -> float:
    """In steps for precision and recall, in straight lines for the others."""
    if name == "pr":
        return math.fsum(np.diff(curve.recall) * curve.precision[1:])
    return float(np.trapezoid(curve[1], curve[0]))


# Against the definition.


@each
@given(case=cases())
@settings(max_examples=60, deadline=None)
def test_each_point_is_that_of_the_definition(name: str, case: tuple[Array, Array, Array]) -> None:
    y, score, weight = case
    ours, theirs = CURVES[name]
    for w, same in ((None, np.testing.assert_array_equal), (weight, close)):
        got = ours(y, score, sample_weight=w, drop_intermediate=False)
        want = [(*theirs(c), t) for t, c in points(y, score, w)]
        for column, expected in zip(got, zip(*want, strict=True), strict=True):
            same(column, np.array([float(x) for x in expected]))
        assert got.area_lost == 0.0


def close(a: Any, b: Any) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-15, atol=1e-15)


@each
@given(case=cases())
@settings(max_examples=60, deadline=None)
def test_what_is_dropped_lies_in_line(name: str, case: tuple[Array, Array, Array]) -> None:
    y, score, weight = case
    every = [
        CURVES[name][0](y, score, sample_weight=weight, drop_intermediate=drop) for drop in (False, True)
    ]
    assert len(every[1][0]) <= len(every[0][0])
    assert set(zip(*map(np.ndarray.tolist, every[1]), strict=True)) <= set(
        zip(*map(np.ndarray.tolist, every[0]), strict=True)
    )
    assert area(name, every[1]) == pytest.approx(area(name, every[0]), abs=1e-14)


def test_how_much_is_dropped() -> None:
    y, score = [0, 0, 0, 1, 1, 1, 0, 1], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    assert metrics.roc_curve(y, score).thresholds.tolist() == [math.inf, 0.8, 0.7, 0.4, 0.1]
    assert metrics.gain_curve(y, score).thresholds.tolist() == [math.inf, 0.8, 0.7, 0.4, 0.1]
    assert metrics.det_curve(y, score).thresholds.tolist() == [math.inf, 0.8, 0.7, 0.4, 0.1]
    assert metrics.pr_curve(y, score).thresholds.tolist() == [math.inf, 0.8, 0.7, 0.6, 0.5, 0.4, 0.1]
    tied = metrics.det_curve([0, 1, 0, 1], [0.1, 0.1, 0.2, 0.2])
    assert tied.thresholds.tolist() == [math.inf, 0.2, 0.1], "straight on these axes, not on others"
    assert metrics.roc_curve([0, 1, 0, 1], [0.1, 0.1, 0.2, 0.2]).thresholds.tolist() == [math.inf, 0.1]


@given(case=cases(both=False))
@settings(max_examples=60, deadline=None)
def test_average_precision_is_that_of_the_definition(case: tuple[Array, Array, Array]) -> None:
    y, score, weight = case
    for w in (None, weight):
        want, before = Fraction(0), Fraction(0)
        for _, c in points(y, score, w):
            precision, recall = pr(c)
            want, before = want + (recall - before) * precision, recall
        assert metrics.average_precision(y, score, sample_weight=w) == pytest.approx(float(want), rel=2e-15)
    shown = metrics.pr_curve(y, score)
    assert metrics.average_precision(y, score) == pytest.approx(area("pr", shown), rel=1e-14)


@given(case=cases())
@settings(max_examples=60, deadline=None)
def test_the_threshold_curve_is_the_confusion_at_each_threshold(case: tuple[Array, Array, Array]) -> None:
    y, score, weight = case
    for w, same in ((None, np.testing.assert_array_equal), (weight, close)):
        got = metrics.threshold_curve(y, score, sample_weight=w)
        if w is None:
            table = [metrics.confusion(y, score, t) for t in got.thresholds[1:]]
            for name in ("precision", "recall", "f1", "accuracy"):
                same(getattr(got, name)[1:], np.array([getattr(matrix, name) for matrix in table]))
        for i, (t, (tp, fp, fn, tn)) in enumerate(points(y, score, w)):
            assert got.thresholds[i] == t
            close(got.f1[i], float(2 * tp / (2 * tp + fp + fn)))
            close(got.accuracy[i], float((tp + tn) / (tp + fp + fn + tn)))
        assert math.isnan(got.precision[0])
        assert (got.recall[0], got.f1[0]) == (0.0, 0.0)


def test_the_best_of_the_threshold_curve() -> None:
    y, score, _ = many(2000)
    curve = metrics.threshold_curve(y, score)
    both: tuple[Literal["f1"], Literal["accuracy"]] = ("f1", "accuracy")
    for metric in both:
        best = metrics.best_threshold(y, score, metric)
        values = getattr(curve, metric)
        assert (best, best.value) == (curve.thresholds[np.argmax(values)], values.max())


def test_an_increasing_map_moves_f1_at_one_half_and_not_the_curves() -> None:
    y, score, _ = many(500)
    p = 1 / (1 + np.exp(-score))
    moved = p**3
    assert metrics.f1(y, p) != metrics.f1(y, moved)
    for ours, _ in CURVES.values():
        for a, b in zip(ours(y, p)[:2], ours(y, moved)[:2], strict=True):
            np.testing.assert_array_equal(a, b)
    assert metrics.average_precision(y, p) == metrics.average_precision(y, moved)


def test_the_area_under_the_gain_curve() -> None:
    y, score, _ = many(3000)
    share = y.mean()
    assert area("gain", metrics.gain_curve(y, score)) == pytest.approx(
        share / 2 + (1 - share) * metrics.auc(y, score), abs=1e-12
    )


# Points that are left out.


@each
@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_the_bound_on_the_area_lost(name: str, data: st.DataObject) -> None:
    seed, n = data.draw(st.integers(0, 99)), data.draw(st.integers(2, 3000))
    y, score, weight = many(n, seed, data.draw(st.integers(0, 3)))
    rising = data.draw(st.sampled_from([score, y + score / 1e6, -y + score / 1e6, np.zeros(n)]))
    w = weight if data.draw(st.booleans()) else None
    exists = np.ones(n) if w is None else w
    assume((exists * y).any() and (exists * (1 - y)).any())
    most = data.draw(st.integers(3, 60))
    options = {"sample_weight": w, "drop_intermediate": data.draw(st.booleans())}
    full = CURVES[name][0](y, rising, **options)
    thin = CURVES[name][0](y, rising, max_points=most, **options)
    assert len(thin[0]) <= most
    columns = [set(zip(*map(np.ndarray.tolist, curve), strict=True)) for curve in (full, thin)]
    assert columns[1] <= columns[0], "points of the curve"
    assert all(a[0] == b[0] and a[-1] == b[-1] for a, b in zip(full, thin, strict=True)), "with both ends"
    assert abs(area(name, thin) - area(name, full)) <= thin.area_lost + 1e-13
    assert thin.area_lost <= stated(name, rising, exists, most) + 1e-13
    if len(full[0]) <= most:
        assert (len(thin[0]), thin.area_lost) == (len(full[0]), 0.0)


def stated(name: str, score: Array, weight: Array, most: int) -> float:
    """The bound of the docstring."""
    if name != "pr":
        return 1 / (2 * (most // 2))
    first = weight[score == score[weight > 0].max()].sum()
    return math.log(weight.sum() / first) / ((most - 1) // 2)


def test_the_bound_is_not_empty() -> None:
    """A staircase, whose points are all corners, loses what the bound allows within a factor; a smooth one far less."""
    y, score = np.tile([1, 0], 5000), np.arange(10_000, 0, -1.0)
    for name, (ours, _) in CURVES.items():
        thin = ours(y, score, max_points=50)
        assert 40 <= len(thin[0]) <= 50, name
        assert 0.0 < thin.area_lost < 0.02, name


def test_a_thinned_curve_keeps_its_bound_when_copied() -> None:
    y, score, _ = many(1000)
    curve = metrics.roc_curve(y, score, max_points=20)
    assert curve.area_lost > 0
    for again in (copy.copy(curve), copy.deepcopy(curve), pickle.loads(pickle.dumps(curve))):
        assert (type(again), again.area_lost) == (metrics.RocCurve, curve.area_lost)
        np.testing.assert_array_equal(again.tpr, curve.tpr)


# Weights, orders, threads.


@each
def test_the_order_of_the_rows_does_not_matter(name: str) -> None:
    y, score, weight = many(4000)
    rng = np.random.default_rng(1)
    for w in (None, weight):
        want = CURVES[name][0](y, score, sample_weight=w, max_points=100)
        ap = metrics.average_precision(y, score, sample_weight=w)
        for order in (np.arange(4000)[::-1], np.argsort(score), rng.permutation(4000)):
            v = None if w is None else w[order]
            got = CURVES[name][0](y[order], score[order], sample_weight=v, max_points=100)
            for a, b in zip(got, want, strict=True):
                np.testing.assert_array_equal(a, b)
            assert got.area_lost == want.area_lost
            assert metrics.average_precision(y[order], score[order], sample_weight=v) == ap


def test_every_level_and_thread_count_gives_the_same_bits(on_every_path: Callable[[], Iterator[int]]) -> None:
    y, score, weight = many(3000)
    p = 1 / (1 + np.exp(-score))
    for w in (None, weight):

        def all_of_them(w: Array | None = w) -> list[bytes]:
            curves = [ours(y, p, sample_weight=w, max_points=99) for ours, _ in CURVES.values()]
            columns = [column for curve in curves for column in curve]
            columns += list(metrics.threshold_curve(y, p, sample_weight=w))
            columns += list(metrics.calibration_curve(y, p, sample_weight=w))
            numbers = [metrics.average_precision(y, p, sample_weight=w), metrics.ece(y, p, sample_weight=w)]
            numbers += [metrics.ne(y, p, negative_sampling_rate=0.1, sample_weight=w)]
            numbers += [
                metrics.psi(p, p[::2]),
                metrics.js(p, p[::2]),
                metrics.bucket_error(y, p, max_relative_error=0.3),
            ]
            return [column.tobytes() for column in columns] + [float(x).hex().encode() for x in numbers]

        want = all_of_them()
        for threads in on_every_path():
            assert all_of_them() == want, threads


@each
def test_weights_of_any_size(name: str) -> None:
    """Each class has its own unit inside: what mixes them has to find it."""
    y, score, weight = many(300)
    want = CURVES[name][0](y, score, sample_weight=weight)
    for power in (-900, -1, 1, 900):
        got = CURVES[name][0](y, score, sample_weight=weight * 2.0**power)
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(a, b)
    for rate in (1e-3, 1e9, 1e-250, 1e250):
        w = np.where(y == 1, weight, weight * rate)
        got = CURVES[name][0](y, score, sample_weight=w, drop_intermediate=False)
        expected = np.array([[float(x) for x in CURVES[name][1](c)] for _, c in points(y, score, w)])
        for i in (0, 1):
            np.testing.assert_allclose(got[i], expected[:, i], rtol=1e-13, atol=1e-15)


def test_weights_too_small_beside_the_others() -> None:
    far = metrics.pr_curve([1, 0], [2.0, 1.0], sample_weight=[1e-300, 1e300])
    assert far.precision.tolist() == [1.0, 1.0, 0.0]
    # Below 2^-62 of the weight of its class a row weighs 0 in integers: it does not exist.
    for y in ([1, 1, 0], [0, 0, 1]):
        for ours, _ in CURVES.values():
            got = ours(y, [3.0, 2.0, 1.0], sample_weight=[1e-30, 1.0, 1.0], drop_intermediate=False)
            assert got.thresholds.tolist() == [math.inf, 2.0, 1.0]


# Against scikit-learn.


@pytest.fixture(scope="module")
def sk() -> Any:
    return pytest.importorskip(
        "sklearn.metrics", reason="scikit-learn is an oracle here and is not installed"
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("digits", [0, 2, 12])
def test_scikit_learn_s_curves(sk: Any, digits: int, weighted: bool) -> None:
    y, score, weight = many(2000, digits=digits)
    w = weight if weighted else None
    assert metrics.average_precision(y, score, sample_weight=w) == pytest.approx(
        sk.average_precision_score(y, score, sample_weight=w), abs=1e-12
    )
    for drop in (False, True):
        ours = metrics.pr_curve(y, score, sample_weight=w, drop_intermediate=drop)
        theirs = sk.precision_recall_curve(y, score, sample_weight=w, drop_intermediate=drop)
        np.testing.assert_allclose(ours.precision[::-1], theirs[0], rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(ours.recall[::-1], theirs[1], rtol=1e-12, atol=1e-14)
        np.testing.assert_array_equal(ours.thresholds[:0:-1], theirs[2])
    fpr, fnr, thresholds = metrics.det_curve(y, score, sample_weight=w, drop_intermediate=False)
    first, last = np.flatnonzero(fpr == 0)[-1], np.flatnonzero(fnr == 0)[0]
    theirs = sk.det_curve(y, score, sample_weight=w)
    for ours_, theirs_ in zip((fpr, fnr, thresholds), theirs, strict=True):
        np.testing.assert_allclose(ours_[first : last + 1][::-1], theirs_, rtol=1e-9, atol=1e-12)


# What has no value, and bad input.


def test_one_class() -> None:
    for name, ours in (("ROC", metrics.roc_curve), ("DET", metrics.det_curve)):
        for label in (0, 1):
            with pytest.raises(
                ValueError, match=f"y: the {name} curve needs both classes, and .* class {label}"
            ):
                ours([label] * 2, [0.1, 0.2])
    for name, one in (
        ("precision-recall", metrics.pr_curve),
        ("gain", metrics.gain_curve),
        ("threshold", metrics.threshold_curve),
    ):
        with pytest.raises(
            ValueError, match=f"y: the {name} curve needs a positive, and all rows are of class 0"
        ):
            one([0, 0], [0.1, 0.2])
    assert metrics.gain_curve([1, 1], [0.1, 0.2]).gain.tolist() == [0.0, 1.0]
    assert metrics.pr_curve([1, 1], [0.1, 0.2]).precision.tolist() == [1.0, 1.0, 1.0]
    assert metrics.average_precision([1, 1], [0.1, 0.2]) == 1.0
    with pytest.warns(metrics.UndefinedMetricWarning, match="there is no positive") as caught:
        assert math.isnan(metrics.average_precision([0, 0], [0.1, 0.2]))
    assert caught[0].filename == __file__
    with pytest.raises(ValueError, match="average_precision has no value: there is no positive"):
        metrics.average_precision([0, 0], [0.1, 0.2], on_undefined="raise")
    assert metrics.average_precision([0, 0], [0.1, 0.2], on_undefined=0.0) == 0.0


def test_nan_scores_of_average_precision() -> None:
    y, score = [0, 1, 1, 0, 1], np.array([0.1, math.nan, 0.7, -math.inf, 0.05])
    with pytest.raises(ValueError, match=r"score: got NaN at index 1 \(1 such of 5 rows\)"):
        metrics.average_precision(y, score)
    dropped = metrics.average_precision(y, score, nan="drop")
    assert dropped == metrics.average_precision([0, 1, 0, 1], score[[0, 2, 3, 4]])
    assert dropped.dropped == {"nan": 1}
    lowest = metrics.average_precision(y, score, nan="lowest")
    assert lowest == metrics.average_precision(y, [3, 0, 4, 1, 2])
    assert metrics.average_precision(y, score, nan="drop", sample_weight=[1, 1, 1, 0, 1]).dropped == {
        "nan": 1,
        "weight_zero": 1,
    }
    with pytest.raises(ValueError, match=r"sample_weight: got -1 at index 2 \(1 such of 3 rows\)"):
        metrics.average_precision([0, 1, 1], [math.nan, 0.1, 0.2], nan="drop", sample_weight=[1, 1, -1])
    with pytest.raises(ValueError, match="score: all 2 rows are NaN or of weight 0"):
        metrics.average_precision([0, 1], [math.nan] * 2, nan="drop")


@each
def test_bad_options(name: str) -> None:
    for most, kind, message in (
        (2, ValueError, "max_points: got 2, need 3 or more"),
        (10.5, TypeError, "max_points: got 10.5, need None or a whole number"),
        ("all", TypeError, "max_points: got 'all', need None or a whole number"),
    ):
        with pytest.raises(kind, match=message):
            CURVES[name][0]([0, 1], [0.1, 0.2], max_points=most)
