"""Quotients at a threshold and the best threshold: against fractions, roots of eighty digits, and scikit-learn."""

from __future__ import annotations

import math
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourstep import metrics
from fourstep.metrics._counts import first_largest, product_error
from fourstep.metrics.thresholds import Confusion
from fourstep.reference import metrics as twin

Array = np.ndarray[Any, Any]

DIGITS = Context(prec=80)
CELL = st.one_of(st.integers(0, 4), st.integers(0, 2**61))


def matrix(tp: int, fp: int, fn: int, tn: int) -> Confusion:
    return Confusion(tp, fp, fn, tn, 0.5, (tp, fp, fn, tn))


def rounded_mcc(tp: int, fp: int, fn: int, tn: int) -> float:
    """MCC from eighty digits; nan where there is none."""
    square = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    if not square:
        return math.nan
    root = DIGITS.sqrt(DIGITS.create_decimal(square))
    return float(DIGITS.divide(DIGITS.create_decimal(tp * tn - fp * fn), root))


@given(CELL, CELL, CELL, CELL)
@settings(max_examples=500)
def test_mcc_is_rounded_once(tp: int, fp: int, fn: int, tn: int) -> None:
    want = rounded_mcc(tp, fp, fn, tn)
    np.testing.assert_equal(matrix(tp, fp, fn, tn).mcc, want)


def test_mcc_is_rounded_once_also_next_to_the_middle_of_two_floats() -> None:
    """Of so many, some have a root whose first 64 bits look like a tie."""
    rng = np.random.default_rng(0)
    for cells in rng.integers(1, 1000, (30_000, 4)).tolist():
        assert matrix(*cells).mcc == rounded_mcc(*cells)


def test_mcc_does_not_overflow() -> None:
    """Cells whose products pass 2^31, 2^63 and 2^64 many times over."""
    for n in (2**16, 2**20, 2**33, 2**60):
        assert matrix(n, 0, 0, n).mcc == 1.0
        assert matrix(0, n, n, 0).mcc == -1.0
        assert matrix(n, n, n, n).mcc == 0.0
        assert matrix(2 * n, n, 0, n).mcc == float(2 / Decimal(12).sqrt())
    y = np.tile([1, 0], 200_000)
    score = y.copy()
    score[:500] = 0
    got = metrics.mcc(y, score)
    c = got.counts
    assert got == rounded_mcc(c["tp"], c["fp"], c["fn"], c["tn"])
    assert 0.99 < got < 1.0


@given(CELL, CELL, CELL, CELL, st.one_of(st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.floats(0, 1e100)))
def test_fbeta_is_rounded_once(tp: int, fp: int, fn: int, tn: int, beta: float) -> None:
    square = Fraction(beta) ** 2
    whole = (1 + square) * tp + square * fn + fp
    got = matrix(tp, fp, fn, tn).fbeta(beta)
    np.testing.assert_equal(got, float((1 + square) * tp / whole) if whole else math.nan)


def test_fbeta_is_the_weighted_harmonic_mean() -> None:
    y, score = [0, 1, 1, 1, 0], [0.6, 0.5, 0.4, 0.9, 0.7]
    p, r = metrics.precision(y, score), metrics.recall(y, score)
    for beta in (0.5, 1.0, 2.0):
        want = (1 + beta**2) / (1 / p + beta**2 / r)
        assert metrics.fbeta(y, score, beta=beta) == pytest.approx(want, rel=1e-15)
    assert metrics.fbeta(y, score, beta=1) == metrics.f1(y, score)
    assert metrics.fbeta(y, score, beta=0) == p
    assert metrics.fbeta(y, score, beta=1e10) == pytest.approx(r, rel=1e-15)


def test_the_same_numbers_on_the_matrix_and_by_name() -> None:
    y, score = [0, 1, 1, 1, 0], [0.6, 0.5, 0.4, 0.9, 0.3]
    c = metrics.confusion(y, score)
    for name in ("tpr", "fpr", "specificity", "mcc", "precision", "recall", "f1"):
        got = getattr(metrics, name)(y, score)
        assert (got, got.name) == (getattr(c, name), name)
    assert metrics.tpr(y, score) == metrics.recall(y, score)
    assert metrics.specificity(y, score) + metrics.fpr(y, score) == 1.0


def test_the_matrix_says_which_axis_is_the_actual_class() -> None:
    lines = repr(metrics.confusion([0, 0, 1], [0.9, 0.6, 0.1])).splitlines()
    assert lines[0].split() == ["score", ">=", "0.5", "predicted", "0", "predicted", "1"]
    assert [line.split() for line in lines[1:]] == [["actual", "0", "0", "2"], ["actual", "1", "1", "0"]]


def test_nothing_below_the_line() -> None:
    cases: list[tuple[str, list[int], dict[str, Any], str]] = [
        ("tpr", [0, 0], {}, "there is no positive"),
        ("fpr", [1, 1], {}, "there is no negative"),
        ("specificity", [1, 1], {}, "there is no negative"),
        ("mcc", [0, 0], {}, "there is one actual or one predicted class only"),
        ("mcc", [0, 1], {}, "there is one actual or one predicted class only"),
        ("fbeta", [0, 0], {"beta": 2.0}, "there is neither a positive nor a predicted one"),
        ("fbeta", [0, 1], {"beta": 0}, "no row is predicted positive"),
    ]
    for name, y, options, why in cases:
        metric = getattr(metrics, name)
        with pytest.warns(
            metrics.UndefinedMetricWarning, match=f"{name} has no value and is 0.0: {why}"
        ) as caught:
            assert metric(y, [0.1, 0.2], **options) == 0.0
        assert caught[0].filename == __file__
        assert metric(y, [0.1, 0.2], **options, zero_division=1.0) == 1.0


# The best threshold.


@pytest.mark.parametrize("metric", ["mcc", "fbeta", "f1", "accuracy", "youden"])
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_every_threshold_is_tried(metric: str, data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 25))
    values = st.one_of(st.integers(-3, 3).map(float), st.floats(width=32, allow_nan=False), st.just(math.inf))
    y = np.array(data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)), np.uint8)
    y[:2] = 0, 1
    score = np.array(data.draw(st.lists(values, min_size=n, max_size=n)), np.float32)
    beta = data.draw(st.sampled_from([0.0, 0.5, 1.0, 2.0, 1e9])) if metric == "fbeta" else None

    def value(t: float) -> Fraction:
        tp, fp, fn, tn = twin.confusion(y, score, t)
        if metric == "mcc":
            part, square = tp * tn - fp * fn, (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
            return part * abs(part) / square if square else Fraction(0)
        if metric == "fbeta":
            b = Fraction(beta or 0.0) ** 2
            whole = (1 + b) * tp + b * fn + fp
            return (1 + b) * tp / whole if whole else Fraction(0)
        if metric == "f1":
            return 2 * tp / (2 * tp + fp + fn)
        return (tp + tn) / n if metric == "accuracy" else tp / (tp + fn) - fp / (fp + tn)

    thresholds = [math.inf, *sorted({float(s) + 0.0 for s in score}, reverse=True)]
    want = max(thresholds, key=value)  # the first of equals, which is the highest
    got = metrics.best_threshold(y, score, metric, beta=beta)  # type: ignore[arg-type]
    assert (got, got.metric) == (want, metric)
    exact = float(value(want))
    if metric == "mcc":
        assert math.copysign(got.value**2, got.value) == pytest.approx(exact, rel=1e-15)
    else:
        assert got.value == pytest.approx(exact, rel=1e-15)
    assert got.confusion.tp == int(((score >= want) & (y == 1)).sum())


@pytest.mark.parametrize("metric", ["mcc", "fbeta", "f1", "accuracy", "youden"])
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_row_of_weight_three_is_three_rows(metric: str, data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 20))
    y = np.array([0, 1, *data.draw(st.lists(st.integers(0, 1), min_size=n - 2, max_size=n - 2))], np.uint8)
    values = st.one_of(st.integers(-3, 3).map(float), st.just(math.inf))
    score = np.array(data.draw(st.lists(values, min_size=n, max_size=n)))
    weight = np.array([1, 1, *data.draw(st.lists(st.integers(0, 3), min_size=n - 2, max_size=n - 2))])
    weight[y == 0] *= data.draw(st.sampled_from([1, 64]))  # each class has a unit of its own
    beta = 2.0 if metric == "fbeta" else None
    want = metrics.best_threshold(np.repeat(y, weight), np.repeat(score, weight), metric, beta=beta)  # type: ignore[arg-type]
    for scale in (1.0, 2.0**-40, 2.0**700):
        got = metrics.best_threshold(y, score, metric, beta=beta, sample_weight=weight * scale)  # type: ignore[arg-type]
        assert (got, got.value) == (want, want.value)
        assert np.array_equal(np.asarray(got.confusion), np.asarray(want.confusion) * scale)


def test_weighted_integers_that_no_float64_tells_apart() -> None:
    score = np.array([2**60, 2**60 + 1, 2**60 + 2, 5])
    with pytest.raises(ValueError, match="no float64 lies between"):
        metrics.best_threshold([0, 1, 1, 0], score, sample_weight=[1.0, 2.0, 1.0, 1.0])
    got = metrics.best_threshold([1, 1, 1, 0], score, sample_weight=[1.0, 2.0, 1.0, 1.0])
    assert (got, got.value) == (2.0**60, 1.0)


def test_floats_choose_and_integers_decide() -> None:
    """The largest of a·n − b·p, where nearly all of it cancels: floats alone would take the wrong one."""
    rng = np.random.default_rng(0)
    fooled = 0
    for _ in range(300):
        p, n = (int(x) for x in rng.integers(2**50, 2**60, 2))
        b = [int(x) for x in rng.integers(1, 2**55, 20)]
        a = [x * p // n + int(rng.integers(0, 3)) for x in b]

        def exact(i: int, terms: tuple[list[int], list[int], int, int] = (a, b, n, p)) -> int:
            return terms[0][i] * terms[2] - terms[1][i] * terms[3]

        up, down = np.array(a, np.float64) * float(n), np.array(b, np.float64) * float(p)
        want = max(range(20), key=exact)
        assert first_largest(up - down, product_error(up, down), exact) == want
        fooled += int(np.argmax(up - down)) != want
    assert fooled > 10


def test_upside_down_scores_are_best_not_used() -> None:
    y = np.r_[np.ones(1000), np.zeros(1000)].astype(np.uint8)
    got = metrics.best_threshold(y, np.arange(2000.0), "mcc")
    assert (got, got.value) == (math.inf, 0.0), "all thresholds are worse than to predict nothing"


def test_what_the_best_threshold_needs() -> None:
    for metric, label, why in (
        ("mcc", 0, "mcc has no value at any threshold, as there is only one class"),
        ("mcc", 1, "mcc has no value at any threshold, as there is only one class"),
        ("fbeta", 0, "fbeta has no value at any threshold, as there is no positive"),
    ):
        beta = 2.0 if metric == "fbeta" else None
        with pytest.raises(ValueError, match=why):
            metrics.best_threshold([label] * 2, [0.1, 0.2], metric, beta=beta)  # type: ignore[arg-type]
    with pytest.raises(
        TypeError, match="beta: got None with metric='fbeta'; fbeta needs a number, the others none"
    ):
        metrics.best_threshold([0, 1], [0.1, 0.2], "fbeta")
    with pytest.raises(TypeError, match="beta: got 2.0 with metric='f1'"):
        metrics.best_threshold([0, 1], [0.1, 0.2], "f1", beta=2.0)


def test_bad_beta() -> None:
    wrong: list[tuple[Any, type[Exception]]] = [
        *((beta, ValueError) for beta in (-1.0, math.nan, math.inf)),
        *((beta, TypeError) for beta in ("2", True, None)),
    ]
    for beta, kind in wrong:
        with pytest.raises(kind, match=r"beta: got .*, need a number in \[0, 1e100\]"):
            metrics.fbeta([0, 1], [0.1, 0.9], beta=beta)


# Against scikit-learn.


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("threshold", [0.25, 0.5, 0.9])
def test_scikit_learn_s_quotients(threshold: float, weighted: bool) -> None:
    sk = pytest.importorskip("sklearn.metrics", reason="scikit-learn is an oracle here and is not installed")
    rng = np.random.default_rng(0)
    y = (rng.random(3000) < 0.3).astype(np.int64)
    p = np.round(1 / (1 + np.exp(-rng.normal(size=3000) - y)), 2)
    w = rng.exponential(size=3000) * (rng.random(3000) < 0.9) if weighted else None
    predicted = p >= threshold
    assert metrics.mcc(y, p, threshold, w) == pytest.approx(
        sk.matthews_corrcoef(y, predicted, sample_weight=w), abs=1e-12
    )
    for beta in (0.5, 2.0):
        assert metrics.fbeta(y, p, threshold, w, beta=beta) == pytest.approx(
            sk.fbeta_score(y, predicted, beta=beta, sample_weight=w), abs=1e-12
        )
    assert metrics.specificity(y, p, threshold, w) == pytest.approx(
        sk.recall_score(y, predicted, pos_label=0, sample_weight=w), abs=1e-12
    )
    assert metrics.tpr(y, p, threshold, w) == pytest.approx(
        sk.recall_score(y, predicted, sample_weight=w), abs=1e-12
    )
