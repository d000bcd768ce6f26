"""Normalised entropy, calibration by bins and buckets: against their definitions in fractions, and scikit-learn."""

from __future__ import annotations

import math
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fourstep import metrics

Array = np.ndarray[Any, Any]

PROBABILITIES = st.one_of(st.sampled_from([0.0, 1.0, 0.5, 0.1, 0.3, 0.7, 1e-45]), st.floats(0, 1, width=32))
DIGITS = Context(prec=50)
STRATEGIES: tuple[Literal["quantile"], Literal["width"]] = ("quantile", "width")


@st.composite
def cases(draw: st.DrawFn) -> tuple[Array, Array, Array]:
    """Labels, probabilities with ties, and small integer weights."""
    n = draw(st.integers(1, 30))
    y = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)), np.uint8)
    p = np.array(draw(st.lists(PROBABILITIES, min_size=n, max_size=n)), np.float32)
    weight = np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), np.float64)
    assume(weight.any())
    return y, p, weight


def many(n: int, seed: int = 0) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    p = np.round(rng.beta(1, 6, n), 3)
    return (rng.random(n) < p).astype(np.uint8), p, rng.exponential(size=n) * (rng.random(n) < 0.9)


# Bins.


def quantile_bins(p: Array, weight: Array, bins: int) -> list[int]:
    """The bin of each row: where the middle of its rank falls."""
    every = Fraction(weight.sum())

    def weigh(rows: Array) -> Fraction:
        return Fraction(float(weight[rows].sum()))

    half = Fraction(1, 2)
    middle = [weigh(p < value) + half * weigh(p == value) for value in p.tolist()]
    return [min(math.floor(bins * m / every), bins - 1) for m in middle]


def brute_ece(y: Array, p: Array, weight: Array, bin_of: list[int]) -> Fraction:
    w = [Fraction(x) for x in weight]
    total = Fraction(0)
    for b in set(bin_of):
        mine = [i for i in range(len(y)) if bin_of[i] == b]
        total += abs(sum((w[i] * (int(y[i]) - Fraction(float(p[i]))) for i in mine), Fraction(0)))
    return total / sum(w)


@given(case=cases(), bins=st.integers(1, 12))
@settings(max_examples=150, deadline=None)
def test_ece_by_its_definition(case: tuple[Array, Array, Array], bins: int) -> None:
    y, p, weight = case
    for w, v in ((None, np.ones(len(y))), (weight, weight)):
        exists = v > 0
        quantiles = quantile_bins(p[exists], v[exists], bins)
        edges = (np.arange(1, bins) / bins).astype(np.float32)
        width = [int((x >= edges).sum()) for x in p[exists]]
        for strategy in STRATEGIES:
            bin_of = quantiles if strategy == "quantile" else width
            got = metrics.ece(y, p, bins, strategy=strategy, sample_weight=w)
            want = brute_ece(y[exists], p[exists], v[exists], bin_of)
            assert got == pytest.approx(float(want), abs=5e-16), strategy
            assert got.counts["bins"] == len(set(bin_of)), strategy


def test_bins_of_equal_rows_and_of_equal_predictions() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(1000)
    curve = metrics.calibration_curve(rng.random(1000) < p, p)
    assert curve.share.tolist() == [0.1] * 10
    assert np.all(np.diff(curve.predicted) > 0)
    rare = np.r_[np.full(950, 0.01), rng.random(50)]
    shares = metrics.calibration_curve(rng.random(1000) < rare, rare).share
    assert shares.max() >= 0.95, "equal predictions are one bin"
    assert shares.sum() == pytest.approx(1.0)
    assert metrics.ece([0, 1, 1, 1], [0.5] * 4).counts["bins"] == 1


def test_printed_edges_are_reached() -> None:
    for dtype in (np.float16, np.float32, np.float64):
        p = np.array([0.3, 0.7, 0.1, 0.9], dtype)
        curve = metrics.calibration_curve([0, 1, 0, 1], p, strategy="width")
        np.testing.assert_array_equal(curve.predicted, np.sort(p.astype(np.float64)))
    ends = metrics.calibration_curve([0, 1], [0.0, 1.0], strategy="width")
    assert (ends.predicted.tolist(), ends.observed.tolist()) == ([0.0, 1.0], [0.0, 1.0])


def test_a_calibrated_model_and_one_that_is_not() -> None:
    y, p, _ = many(100_000)
    assert metrics.ece(y, p) < 0.005
    assert metrics.ece(y, np.minimum(1.5 * p, 1)) > 0.05
    assert metrics.ece(y, y.astype(float)) == 0.0


@pytest.mark.parametrize("weighted", [False, True])
def test_the_order_of_the_rows_does_not_matter(weighted: bool) -> None:
    y, p, weight = many(3000)
    rng = np.random.default_rng(1)
    for order in (np.arange(3000)[::-1], np.argsort(p), rng.permutation(3000)):
        w, v = (weight, weight[order]) if weighted else (None, None)
        for strategy in STRATEGIES:
            assert metrics.ece(y, p, strategy=strategy, sample_weight=w) == metrics.ece(
                y[order],
                p[order],
                strategy=strategy,
                sample_weight=v,
            )
        assert metrics.bucket_error(y, p, max_relative_error=0.3) == metrics.bucket_error(
            y[order], p[order], max_relative_error=0.3
        )
        for rate in (1.0, 0.1):
            assert metrics.ne(y, p, negative_sampling_rate=rate, clip=1e-9, sample_weight=w) == metrics.ne(
                y[order], p[order], negative_sampling_rate=rate, clip=1e-9, sample_weight=v
            )


@given(case=cases())
@settings(max_examples=60, deadline=None)
def test_integer_weights_are_repeated_rows(case: tuple[Array, Array, Array]) -> None:
    y, p, weight = case
    again = np.repeat(np.arange(len(y)), weight.astype(int))
    for strategy in STRATEGIES:
        want = metrics.calibration_curve(y[again], p[again], strategy=strategy)
        for times in (1.0, 2.0**-700, 2.0**700):
            got = metrics.calibration_curve(y, p, strategy=strategy, sample_weight=weight * times)
            for a, b in zip(got, want, strict=True):
                np.testing.assert_array_equal(a, b)


def test_scikit_learn_s_calibration_curve() -> None:
    calibration = pytest.importorskip(
        "sklearn.calibration", reason="scikit-learn is an oracle here and is missing"
    )
    rng = np.random.default_rng(0)
    p = rng.random(5000)
    y = (rng.random(5000) < p).astype(int)
    for ours in STRATEGIES:
        theirs = "uniform" if ours == "width" else "quantile"
        observed, predicted = calibration.calibration_curve(y, p, n_bins=10, strategy=theirs)
        got = metrics.calibration_curve(y, p, strategy=ours)
        np.testing.assert_allclose(got.observed, observed, rtol=1e-12)
        np.testing.assert_allclose(got.predicted, predicted, rtol=1e-12)


# Buckets.


def brute_buckets(y: Array, p: Array, span: float, bound: float) -> tuple[float, int, int]:
    """Bucket error, rows in buckets, and buckets: row by row as the docstring says."""
    distinct = sorted(set(p.tolist()))
    top, rows, buckets, start, mine = 0.0, 0, 0, None, np.zeros(len(p), bool)
    for value in distinct:
        if start is None or value - start > span:
            start, mine = value, np.zeros(len(p), bool)
        mine |= p == value
        mean, n = p[mine].mean(), int(mine.sum())
        if mean > 0 and math.sqrt(max(1 - mean, 0.0) / (mean * n)) < bound:
            top += n * abs(y[mine].mean() / mean - 1)
            rows, buckets, start = rows + n, buckets + 1, None
    return (top / rows if rows else math.nan), rows, buckets


@pytest.mark.parametrize("seed", range(6))
def test_bucket_error_by_its_definition(seed: int) -> None:
    y, p, _ = many(4000, seed)
    for span, bound in ((0.01, 0.05), (0.01, 0.2), (0.1, 0.05), (1e-9, 0.5), (1.0, 0.1)):
        want, rows, buckets = brute_buckets(y, p, span, bound)
        got = metrics.bucket_error(y, p, max_span=span, max_relative_error=bound, on_undefined=-1.0)
        assert got == (pytest.approx(want, rel=1e-12) if rows else -1.0)
        assert (got.counts["buckets"], got.dropped.get("rows", 0)) == (buckets, len(y) - rows)


def test_where_no_bucket_is_large_enough() -> None:
    y, p = [0, 1], [0.1, 0.2]
    with pytest.warns(
        metrics.UndefinedMetricWarning, match="bucket_error has no value and is nan: no bucket"
    ) as caught:
        got = metrics.bucket_error(y, p)
    assert caught[0].filename == __file__
    assert math.isnan(got)
    assert got.dropped == {"rows": 2}
    with pytest.raises(ValueError, match="bucket_error has no value"):
        metrics.bucket_error(y, p, on_undefined="raise")
    assert metrics.bucket_error([1, 0], [1.0, 1.0]) == 0.5, "certain rows need no others"
    assert metrics.bucket_error([0, 0], [0.0, 0.0], on_undefined=0.0) == 0.0


# Normalised entropy.


def exact_ne(y: Array, p: Array, w: Array, base: Fraction | None, kept: float) -> Decimal:
    """NE to fifty digits."""
    top, total, positives = Decimal(0), Fraction(0), Fraction(0)
    for label, x, v in zip(y.tolist(), p.tolist(), w.tolist(), strict=True):
        q = Fraction(x)
        q = q / (q + (1 - q) / Fraction(kept))
        top -= DIGITS.multiply(decimal(Fraction(v)), DIGITS.ln(decimal(q if label else 1 - q)))
        total, positives = total + Fraction(v), positives + Fraction(v) * label
    b = positives / total if base is None else base
    entropy = -sum(DIGITS.multiply(decimal(x), DIGITS.ln(decimal(x))) for x in (b, 1 - b))
    return DIGITS.divide(DIGITS.divide(top, decimal(total)), entropy)


def decimal(x: Fraction) -> Decimal:
    return DIGITS.divide(Decimal(x.numerator), Decimal(x.denominator))


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_ne_to_fifty_digits(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 12))
    inside = st.one_of(st.floats(1e-6, 1 - 1e-6), st.sampled_from([1e-12, 0.5, 1 - 2.0**-53]))
    y = np.array(data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)), np.uint8)
    y[:2] = 0, 1
    p = np.array(data.draw(st.lists(inside, min_size=n, max_size=n)))
    w = np.array(data.draw(st.lists(st.integers(1, 5), min_size=n, max_size=n)), float)
    base = data.draw(st.sampled_from([None, 1e-9, 0.03, 0.5, 1 - 1e-9]))
    kept = data.draw(st.sampled_from([1.0, 0.5, 0.1, 1e-4]))
    got = metrics.ne(y, p, base_rate=base, negative_sampling_rate=kept, sample_weight=w)
    want = exact_ne(y, p, w, None if base is None else Fraction(base), kept)
    assert got == pytest.approx(float(want), rel=4e-15)


def test_ne_by_way_of_logloss() -> None:
    y, p, weight = many(2000)
    p = np.clip(p, 1e-3, 1 - 1e-3)
    for w in (None, weight):
        rate = np.average(y, weights=w)
        entropy = -rate * math.log(rate) - (1 - rate) * math.log(1 - rate)
        loss = metrics.logloss(y, p, sample_weight=w)
        assert metrics.ne(y, p, sample_weight=w) == pytest.approx(loss / entropy, rel=1e-13)
        logits = np.log(p / (1 - p))
        assert metrics.ne(y, logits, from_logits=True, sample_weight=w) == pytest.approx(
            loss / entropy, rel=1e-12
        )
        corrected = p / (p + (1 - p) / 0.1)
        want = metrics.logloss(y, corrected, sample_weight=w) / entropy
        for x, from_logits in ((p, False), (logits, True)):
            got = metrics.ne(y, x, negative_sampling_rate=0.1, from_logits=from_logits, sample_weight=w)
            assert got == pytest.approx(want, rel=1e-12)
    assert metrics.ne(y, np.full(2000, y.mean())) == pytest.approx(1.0, rel=1e-13)


def test_scikit_learn_s_log_loss_over_that_of_the_base_rate() -> None:
    sk = pytest.importorskip("sklearn.metrics", reason="scikit-learn is an oracle here and is not installed")
    y, p, weight = many(2000)
    for w in (None, weight):
        base = np.full(2000, np.average(y, weights=w))
        want = sk.log_loss(y, np.clip(p, 1e-9, 1), sample_weight=w) / sk.log_loss(y, base, sample_weight=w)
        assert metrics.ne(y, p, clip=1e-9, sample_weight=w) == pytest.approx(want, rel=1e-9)


def test_the_correction_recovers_a_model_of_sampled_negatives() -> None:
    """A model that is right about the rows that were kept is right about all rows once it is corrected."""
    rng = np.random.default_rng(0)
    p = rng.beta(1, 20, 200_000)
    y = rng.random(200_000) < p
    kept = 0.05
    among_kept = p / (p + kept * (1 - p))
    assert metrics.ne(y, among_kept, negative_sampling_rate=kept) == pytest.approx(
        metrics.ne(y, p), rel=1e-12
    )
    assert metrics.ne(y, among_kept) > 1.5 * metrics.ne(y, p)


def test_certain_and_wrong() -> None:
    for kept in (1.0, 0.1):
        with pytest.warns(
            metrics.MetricWarning, match="ne is inf: 1 row certain .*, the first at index 1"
        ) as caught:
            got = metrics.ne([0, 1, 1], [0.1, 0.0, 0.5], negative_sampling_rate=kept)
        assert caught[0].filename == __file__
        assert (got, got.counts["infinite"]) == (math.inf, 1)
        assert math.isfinite(metrics.ne([0, 1, 1], [0.1, 0.0, 0.5], negative_sampling_rate=kept, clip="eps"))
        assert metrics.ne([0, 1], [0.0, 1.0], negative_sampling_rate=kept) == 0.0


def test_one_class_has_no_entropy() -> None:
    for label in (0, 1):
        with pytest.warns(
            metrics.UndefinedMetricWarning, match=f"ne has no value .* of class {label}"
        ) as caught:
            assert math.isnan(metrics.ne([label] * 2, [0.1, 0.2]))
        assert caught[0].filename == __file__
        with pytest.raises(ValueError, match="ne has no value"):
            metrics.ne([label] * 2, [0.1, 0.2], on_undefined="raise")
        assert metrics.ne([label] * 2, [0.5, 0.5], base_rate=0.5) == pytest.approx(1.0, rel=1e-15)


BAD: list[tuple[str, type[Exception], str, dict[str, Any]]] = [
    ("ne", ValueError, r"base_rate: got 0.0, need a number in \(0, 1\)", {"base_rate": 0.0}),
    ("ne", ValueError, r"base_rate: got 1.0, need a number in \(0, 1\)", {"base_rate": 1.0}),
    ("ne", TypeError, r"base_rate: got '3 %', need a number in \(0, 1\)", {"base_rate": "3 %"}),
    (
        "ne",
        ValueError,
        r"negative_sampling_rate: got 0, need a number in \(0, 1\]",
        {"negative_sampling_rate": 0},
    ),
    ("ne", ValueError, r"negative_sampling_rate: got 10, need a number in", {"negative_sampling_rate": 10}),
    ("ne", ValueError, r"negative_sampling_rate: got nan, need", {"negative_sampling_rate": math.nan}),
    ("ne", ValueError, "clip: got 0.5, need None, 'eps' or a number", {"clip": 0.5}),
    ("ne", ValueError, "clip: got 'eps' with from_logits=True", {"clip": "eps", "from_logits": True}),
    ("ne", ValueError, "on_undefined: got 'no'", {"on_undefined": "no"}),
    ("ece", ValueError, "bins: got 0, need 1 to 1000000", {"bins": 0}),
    ("ece", TypeError, "bins: got 2.5, need a whole number", {"bins": 2.5}),
    ("ece", ValueError, 'strategy: got "uniform", need one of quantile, width', {"strategy": "uniform"}),
    ("bucket_error", ValueError, "max_span: got 0.0, need a finite number > 0", {"max_span": 0.0}),
    ("bucket_error", TypeError, "max_span: got None, need a number > 0", {"max_span": None}),
    ("bucket_error", ValueError, "max_relative_error: got nan, need", {"max_relative_error": math.nan}),
]


@pytest.mark.parametrize(("name", "kind", "message", "options"), BAD, ids=lambda v: str(v)[:40])
def test_bad_options(name: str, kind: type[Exception], message: str, options: dict[str, Any]) -> None:
    with pytest.raises(kind, match=message):
        getattr(metrics, name)([0, 1], [0.25, 0.75], **options)


@pytest.mark.parametrize("name", ["ne", "ece", "calibration_curve", "bucket_error"])
def test_probabilities_outside_are_errors(name: str) -> None:
    for p, message in (
        ([0.5, 1.5, -2.0], r"p: got 1.5 at index 1 \(2 such of 3 rows\), need probabilities in \[0, 1\]"),
        ([0.5, 0.5, math.nan], r"p: got NaN at index 2 \(1 such of 3 rows\), need probabilities"),
    ):
        options: list[dict[str, Any]] = [{}, {"negative_sampling_rate": 0.5}] if name == "ne" else [{}]
        for more in options:
            with pytest.raises(ValueError, match=message):
                getattr(metrics, name)([0, 1, 1], p, **more)
        if name != "bucket_error":
            outside = [i for i, x in enumerate(p) if not 0 <= x <= 1]
            weight = [0.0 if i in outside else 1.0 for i in range(3)]
            getattr(metrics, name)(
                [0, 1, 0], p, sample_weight=weight, **({"base_rate": 0.5} if name == "ne" else {})
            )
