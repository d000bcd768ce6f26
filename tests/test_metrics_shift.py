"""KS, PSI and JS: against their definitions in fractions and fifty digits, and against SciPy."""

from __future__ import annotations

import math
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fourstep import metrics

Array = np.ndarray[Any, Any]

DIGITS = Context(prec=50)
SCORES = st.one_of(
    st.integers(-3, 3).map(float),
    st.floats(width=32, allow_nan=False),
    st.sampled_from([0.0, -0.0, math.inf, -math.inf, 1e-45]),
)


# KS.


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_ks_is_rounded_once(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 40))
    y = np.array(data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)), np.uint8)
    score = np.array(data.draw(st.lists(SCORES, min_size=n, max_size=n)), np.float32)
    weight = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), np.float64)
    for w, v in ((None, np.ones(n)), (weight, weight)):
        pos, neg = (Fraction((v * (y == label)).sum()) for label in (1, 0))
        if not pos or not neg:
            continue
        want = max(
            abs(
                Fraction((v * y * (score >= t)).sum()) / pos
                - Fraction((v * (1 - y) * (score >= t)).sum()) / neg
            )
            for t in score
        )
        got = metrics.ks(y, score, sample_weight=w)
        assert got == float(want)
        assert metrics.ks(1 - y, score, sample_weight=w) == float(want)


def test_scipy_s_ks() -> None:
    stats = pytest.importorskip("scipy.stats", reason="SciPy is an oracle here and is not installed")
    rng = np.random.default_rng(0)
    for digits in (0, 1, 12):
        y = rng.random(3000) < 0.3
        score = np.round(rng.normal(size=3000) + 0.5 * y, digits)
        want = stats.ks_2samp(score[y], score[~y]).statistic
        assert metrics.ks(y, score) == pytest.approx(want, abs=1e-14)


def test_ks_and_youden() -> None:
    rng = np.random.default_rng(1)
    y = rng.random(2000) < 0.3
    score = np.round(rng.normal(size=2000) + y, 1)
    assert metrics.ks(y, score) == pytest.approx(metrics.best_threshold(y, score, "youden").value, rel=1e-15)
    assert metrics.ks(y, -score) == metrics.ks(y, score), "either sign"
    assert metrics.ks([0, 1], [0.1, 0.2]) == 1.0
    assert metrics.ks([0, 1], [0.1, 0.1]) == 0.0


def test_ks_of_one_class_and_nan() -> None:
    with pytest.warns(
        metrics.UndefinedMetricWarning, match="ks has no value and is nan: it needs both"
    ) as caught:
        assert math.isnan(metrics.ks([1, 1], [0.1, 0.2]))
    assert caught[0].filename == __file__
    with pytest.raises(ValueError, match="ks has no value"):
        metrics.ks([0, 1], [0.1, 0.2], sample_weight=[1, 0], on_undefined="raise")
    y, score = [0, 1, 1, 0], [0.1, math.nan, 0.7, -math.inf]
    assert metrics.ks(y, score, nan="drop").dropped == {"nan": 1}
    assert metrics.ks(y, score, nan="lowest") == metrics.ks(y, [2, 0, 3, 1])
    with pytest.raises(ValueError, match='nan: got "keep"'):
        metrics.ks(y, score, nan="keep")  # type: ignore[arg-type]


# PSI and JS.


def counted(expected: Array, actual: Array, bins: int) -> tuple[list[int], list[int]]:
    """Rows of each bin: a value is where the middle of its rank in `expected` falls, others with the next lower one."""
    bin_of: dict[float, int] = {}
    for value in np.unique(expected):
        twice = 2 * (expected < value).sum() + (expected == value).sum()
        bin_of[float(value)] = min(int(twice) * bins // (2 * len(expected)), bins - 1)

    def place(x: float) -> int:
        below = [v for v in bin_of if v <= x]
        return bin_of[max(below)] if below else bin_of[min(bin_of)]

    names = sorted(set(bin_of.values()))
    places = [[place(float(x)) for x in sample] for sample in (expected, actual)]
    return tuple([where.count(b) for b in names] for where in places)  # type: ignore[return-value]


def shares(rows: list[int], smoothing: float) -> list[Decimal]:
    s = Fraction(smoothing)
    whole = sum(rows) + s * len(rows)
    return [decimal((r + s) / whole) for r in rows]


def decimal(x: Fraction) -> Decimal:
    return DIGITS.divide(Decimal(x.numerator), Decimal(x.denominator))


def divergence(a: list[Decimal], b: list[Decimal]) -> Decimal:
    """KL(a‖b)."""
    return sum((x * DIGITS.ln(DIGITS.divide(x, y)) for x, y in zip(a, b, strict=True) if x), Decimal(0))


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_psi_and_js_by_their_definitions(data: st.DataObject) -> None:
    expected = np.array(data.draw(st.lists(SCORES, min_size=1, max_size=40)), np.float32)
    actual = np.array(data.draw(st.lists(SCORES, min_size=1, max_size=40)), np.float32)
    bins, smoothing = data.draw(st.integers(1, 12)), data.draw(st.sampled_from([0.0, 0.5, 1.0, 1e-4]))
    rows = counted(expected, actual, bins)
    e, a = (shares(r, smoothing) for r in rows)
    m = [(x + y) / 2 for x, y in zip(e, a, strict=True)]
    js = metrics.js(expected, actual, bins, smoothing=smoothing)
    assert js == pytest.approx(float((divergence(e, m) + divergence(a, m)) / 2), abs=1e-15)
    assert js.counts == {"expected": len(expected), "actual": len(actual), "bins": len(rows[0])}
    assume(all(a))
    psi = metrics.psi(expected, actual, bins, smoothing=smoothing)
    assert psi == pytest.approx(float(divergence(e, a) + divergence(a, e)), rel=1e-13, abs=1e-15)
    assert psi.counts == js.counts


def test_scipy_s_divergences() -> None:
    distance = pytest.importorskip(
        "scipy.spatial.distance", reason="SciPy is an oracle here and is not installed"
    )
    rng = np.random.default_rng(0)
    expected, actual = rng.normal(size=5000), rng.normal(0.3, 1.2, 4000)
    inner = np.sort(expected)[500::500]
    e, a = (
        np.bincount(np.searchsorted(inner, x, side="right"), minlength=10) / len(x)
        for x in (expected, actual)
    )
    assert math.sqrt(metrics.js(expected, actual, smoothing=0)) == pytest.approx(
        distance.jensenshannon(e, a), rel=1e-12
    )
    assert metrics.psi(expected, actual, smoothing=0) == pytest.approx(
        np.sum((a - e) * np.log(a / e)), rel=1e-12
    )


def test_known_values() -> None:
    one = range(100)
    for metric in (metrics.psi, metrics.js):
        assert metric(one, one) == 0.0
        assert metric(one, [5] * 10, bins=1) == 0.0
    far = range(1000, 1100)
    assert metrics.js([0, 0], [1, 1], smoothing=0) == 0.0, "one value makes one bin"
    assert metrics.js([0, 1], [0, 0], smoothing=0) == pytest.approx(
        0.5 * (0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(2)) + 0.5 * math.log(1 / 0.75), rel=1e-15
    )
    assert metrics.psi(one, far) > 1.0
    assert metrics.psi(range(0, 100, 10), range(5, 105, 10)) == 0.0


def test_js_is_at_most_ln_2() -> None:
    rng = np.random.default_rng(0)
    for shift in (0.0, 1.0, 100.0):
        got = metrics.js(rng.normal(size=1000), rng.normal(size=1000) + shift, bins=50, smoothing=0)
        assert 0.0 <= got <= math.log(2)


def test_an_empty_bin_is_finite_unless_asked() -> None:
    expected, actual = range(100), [95] * 50
    smooth = metrics.psi(expected, actual)
    assert math.isfinite(smooth)
    assert smooth > metrics.psi(expected, actual, smoothing=5.0) > 0.0
    with pytest.warns(
        metrics.MetricWarning, match="psi is inf: 9 bins empty on one side; smoothing > 0"
    ) as caught:
        assert metrics.psi(expected, actual, smoothing=0) == math.inf
    assert caught[0].filename == __file__
    assert metrics.js(expected, actual, smoothing=0) < math.log(2)


@pytest.mark.parametrize("metric", [metrics.psi, metrics.js])
def test_the_order_and_the_type_of_the_rows_do_not_matter(metric: Any) -> None:
    rng = np.random.default_rng(0)
    expected, actual = np.round(rng.normal(size=3000), 1), np.round(rng.normal(0.2, 1, 2000), 1)
    want = metric(expected, actual)
    assert want > 0
    assert metric(rng.permutation(expected), np.sort(actual)) == want
    assert metric(expected.tolist(), np.repeat(actual, 2)[::2]) == want
    tens = [np.rint(10 * x).astype(np.int64) for x in (expected, actual)]
    assert metric(*tens) == want
    assert metric(tens[0].astype(np.float16), tens[1].astype(np.int16)) == want
    assert metric(-np.exp(-expected), -np.exp(-actual)) == want, "an increasing map"


def test_integers_that_no_float_holds() -> None:
    low, high = 2**53, 2**53 + 1
    unsigned = np.array([low, high], np.uint64)
    for a, b in ((unsigned, unsigned.astype(np.int64)), (unsigned.astype(np.int64), unsigned)):
        assert metrics.psi(a, b, 2) == 0.0
    spread = np.array([2**63, 2**64 - 1], np.uint64)
    assert metrics.psi([-1, 5], spread, 2) == metrics.psi([-1, 5], [7, 8], 2) > 0.0
    assert metrics.psi(spread, [-1, 5], 2) == metrics.psi([1, 2], [0, 0], 2) > 0.0


@pytest.mark.parametrize("metric", [metrics.psi, metrics.js])
def test_nan(metric: Any) -> None:
    x = [0.1, math.nan, 0.3, math.nan]
    for name, samples in (("expected", (x, [0.1])), ("actual", ([0.1], x))):
        with pytest.raises(
            ValueError, match=rf"{name}: got NaN at index 1 \(2 such of 4 rows\), need numbers"
        ):
            metric(*samples)
        got = metric(*samples, nan="drop")
        assert got.dropped == {"nan": 2}
        assert got.counts[name] == 2
        with pytest.raises(ValueError, match="expected: got only NaN, need at least one number"):
            metric([math.nan], [0.1], nan="drop")


def test_the_rows_of_both_times_are_shown() -> None:
    assert repr(metrics.psi([0.1], [0.2] * 3)) == "0.0 (psi: 1 then, 3 now, 1 bin)"


@pytest.mark.parametrize("metric", [metrics.psi, metrics.js])
def test_bad_input(metric: Any) -> None:
    cases: list[tuple[type[Exception], str, tuple[Any, ...], dict[str, Any]]] = [
        (ValueError, "expected: got no rows", ([], [0.1]), {}),
        (ValueError, "actual: got no rows", ([0.1], []), {}),
        (ValueError, r"actual: got shape \(1, 2\), need one dimension", ([0.1], [[0.1, 0.2]]), {}),
        (TypeError, "expected: got dtype .*, need numbers", (["a"], [0.1]), {}),
        (ValueError, "actual: got null at index 1", ([0.1], np.array([0.1, None], object)), {}),
        (TypeError, "expected: got a masked array", (np.ma.masked_array([0.1]), [0.1]), {}),
        (ValueError, "bins: got 0, need 1 to", ([0.1], [0.1]), {"bins": 0}),
        (TypeError, "bins: got 'auto', need a whole number", ([0.1], [0.1]), {"bins": "auto"}),
        (ValueError, "smoothing: got -1, need a finite number >= 0", ([0.1], [0.1]), {"smoothing": -1}),
        (ValueError, "smoothing: got inf, need a finite", ([0.1], [0.1]), {"smoothing": math.inf}),
        (TypeError, "smoothing: got None, need a number", ([0.1], [0.1]), {"smoothing": None}),
        (ValueError, 'nan: got "lowest", need one of raise, drop', ([0.1], [0.1]), {"nan": "lowest"}),
    ]
    for kind, message, samples, options in cases:
        with pytest.raises(kind, match=message):
            metric(*samples, **options)
