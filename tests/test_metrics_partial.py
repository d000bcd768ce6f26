"""Partial AUC: against its definition in fractions, against scikit-learn, and against itself with the classes swapped."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourstep import metrics

Array = np.ndarray[Any, Any]


def by_definition(y: Array, score: Array, weight: Array, f: Fraction) -> Fraction:
    """½·(1 + (A − f²/2)/(f − f²/2)), A by walking down the scores, every corner a fraction."""
    w = [Fraction(x) for x in weight.tolist()]
    positives = sum((v for v, label in zip(w, y, strict=True) if label), Fraction())
    negatives = sum((v for v, label in zip(w, y, strict=True) if not label), Fraction())
    corners = [(Fraction(), Fraction())]
    for t in sorted(set(score.tolist()), reverse=True):
        at = [(v, label) for v, label, s in zip(w, y, score.tolist(), strict=True) if s >= t]
        tp = sum((v for v, label in at if label), Fraction())
        fp = sum((v for v, label in at if not label), Fraction())
        corners.append((fp / negatives, tp / positives))
    area = Fraction()
    for (x0, y0), (x1, y1) in pairwise(corners):
        end = min(x1, f)
        if end > x0:
            top = y0 + (y1 - y0) * (end - x0) / (x1 - x0)
            area += (end - x0) * (y0 + top) / 2
    return (1 + (area - f * f / 2) / (f - f * f / 2)) / 2


ROWS = st.lists(
    st.tuples(st.booleans(), st.integers(-3, 3), st.sampled_from([0.5, 1.0, 3.0])), min_size=2, max_size=14
)
LIMITS = st.one_of(st.floats(0.001, 0.999), st.sampled_from([0.25, 0.5, 1 / 3, 0.75, 5e-324]))


@settings(deadline=None)
@given(ROWS, LIMITS, st.booleans())
def test_partial_is_the_definition_rounded_once(rows: list[Any], f: float, weighted: bool) -> None:
    y, score, weight = (np.array(x) for x in zip(*rows, strict=True))
    if not 0 < y.sum() < len(y):
        return
    w = weight if weighted else np.ones(len(y))
    given_weight = w if weighted else None
    low = metrics.auc(y, score, max_fpr=f, sample_weight=given_weight)
    assert float(low) == float(by_definition(y, score, w, Fraction(f)))
    high = metrics.auc(y, score, min_tpr=f, sample_weight=given_weight)
    assert float(high) == float(by_definition(~y, -score, w, 1 - Fraction(f)))


def case(n: int, seed: int, decimals: int) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.3
    return (
        y.astype(int),
        np.round(rng.normal(size=n) + y, decimals),
        rng.exponential(size=n) * (rng.random(n) < 0.9),
    )


@pytest.mark.parametrize("f", [1e-4, 0.01, 0.1, 0.5, 0.999, 1])
@pytest.mark.parametrize("decimals", [1, 9])
@pytest.mark.parametrize("weighted", [False, True])
def test_partial_against_scikit_learn(f: float, decimals: int, weighted: bool) -> None:
    sk = pytest.importorskip(
        "sklearn.metrics", reason="scikit-learn is the oracle of this test, and is not installed"
    )
    y, score, weight = case(3000, 1, decimals)
    w = weight if weighted else None
    want = sk.roc_auc_score(y, score, max_fpr=f, sample_weight=w)
    assert metrics.auc(y, score, max_fpr=f, sample_weight=w) == pytest.approx(want, abs=1e-12)
    other = sk.roc_auc_score(1 - y, -score, max_fpr=f, sample_weight=w)
    assert metrics.auc(y, score, min_tpr=1 - f, sample_weight=w) == pytest.approx(other, abs=1e-12)


def test_partial_of_all_is_auc_and_keeps_what_it_counts() -> None:
    y, score, _ = case(500, 2, 1)
    whole = metrics.auc(y, score)
    assert repr(metrics.auc(y, score, max_fpr=1)) == repr(metrics.auc(y, score, min_tpr=0)) == repr(whole)
    part = metrics.auc(y, score, max_fpr=0.1)
    assert part.counts == whole.counts
    assert part.tied == whole.tied
    assert repr(part).startswith(f"{float(part)!r} (auc at fpr <= 0.1: ")
    assert "(auc at tpr >= 0.9: " in repr(metrics.auc(y, score, min_tpr=0.9))


@pytest.mark.parametrize("part", [{"max_fpr": 0.3}, {"min_tpr": 0.6}])
def test_partial_of_the_best_the_worst_and_chance(part: dict[str, Any]) -> None:
    y = np.repeat([0, 1], 50)
    assert metrics.auc(y, np.arange(100), **part) == 1.0
    assert metrics.auc(y, np.zeros(100), **part) == 0.5
    assert metrics.auc(y, -np.arange(100), **part) < 0.5


@pytest.mark.parametrize("part", [{"max_fpr": 0.3}, {"min_tpr": 0.6}])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_partial_with_nan(part: dict[str, Any], dtype: type) -> None:
    y, score, weight = case(400, 3, 1)
    score = score.astype(dtype)
    score[:5] = -np.inf
    score[5:8] = 0.0
    score[8:10] = -0.0
    holes = score.copy()
    holes[::7] = np.nan
    there = ~np.isnan(holes)
    lowest = np.where(there, np.maximum(holes, -1e4), -2e4)  # -inf is -1e4 here, and NaN is below
    for w in (None, weight):
        left = metrics.auc(y, holes, sample_weight=w, nan="drop", **part)
        assert left == metrics.auc(
            y[there], holes[there], sample_weight=None if w is None else w[there], **part
        )
        assert left.dropped["nan"] == (~there if w is None else ~there & (w > 0)).sum()
        low = metrics.auc(y, holes, sample_weight=w, nan="lowest", **part)
        assert low == metrics.auc(y, lowest, sample_weight=w, **part)
    exists = np.where(there, weight, 0.0)
    assert metrics.auc(y, holes, sample_weight=exists, **part) == metrics.auc(
        y[there], holes[there], sample_weight=weight[there], **part
    ), "a NaN of weight 0 does not exist"
    with pytest.raises(ValueError, match="score: got NaN at index 0"):
        metrics.auc(y, holes, **part)


def test_partial_whatever_the_order_the_threads_and_the_size_of_weights() -> None:
    y, score, weight = case(5000, 4, 2)
    order = np.random.default_rng(0).permutation(len(y))
    parts: list[dict[str, Any]] = [{"max_fpr": 0.07}, {"min_tpr": 0.7}]
    for part in parts:
        want = metrics.auc(y, score, sample_weight=weight, **part)
        assert metrics.auc(y[order], score[order], sample_weight=weight[order], threads=1, **part) == want
        assert metrics.auc(y, score, sample_weight=weight * 2.0**-40, threads=3, **part) == want
        plain = metrics.auc(y, score, **part)
        assert metrics.auc(y, score, sample_weight=np.full(len(y), 7.0), **part) == plain
        # Whole weights whose products pass 2^63.
        assert metrics.auc(y, score, sample_weight=np.full(len(y), 2.0**40), **part) == plain


def test_partial_of_one_class() -> None:
    with pytest.warns(metrics.UndefinedMetricWarning, match="auc has no value and is nan"):
        assert math.isnan(metrics.auc([1, 1], [0.1, 0.2], max_fpr=0.5))
    assert metrics.auc([1, 1], [0.1, 0.2], max_fpr=0.5, on_undefined=0.25) == 0.25


@pytest.mark.parametrize(
    ("error", "message", "options"),
    [
        (ValueError, "max_fpr: got 0, need more than 0 and at most 1", {"max_fpr": 0}),
        (ValueError, "max_fpr: got 1.5, need more than 0", {"max_fpr": 1.5}),
        (ValueError, "max_fpr: got nan, need more than 0", {"max_fpr": math.nan}),
        (TypeError, "max_fpr: got '0.1', need a number", {"max_fpr": "0.1"}),
        (TypeError, "max_fpr: got True, need a number", {"max_fpr": True}),
        (ValueError, "min_tpr: got 1, need at least 0 and less than 1", {"min_tpr": 1}),
        (ValueError, "min_tpr: got -0.1, need at least 0", {"min_tpr": -0.1}),
        (TypeError, r"max_fpr, min_tpr: got 0.1 and 0.9, need one of them", {"max_fpr": 0.1, "min_tpr": 0.9}),
        (TypeError, "threads: got 1.5, need a whole number", {"threads": 1.5}),
        (ValueError, "threads: got 0, need a whole number from 1 to 256", {"threads": 0}),
    ],
)
def test_partial_bad_options(error: type[Exception], message: str, options: dict[str, Any]) -> None:
    with pytest.raises(error, match=message):
        metrics.auc([0, 1], [0.1, 0.2], **options)
