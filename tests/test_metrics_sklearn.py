"""The same numbers as scikit-learn, where both define them alike."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from fourstep import metrics

Array = np.ndarray[Any, Any]

sk = pytest.importorskip(
    "sklearn.metrics", reason="scikit-learn is the oracle of this file and is not installed"
)

CASES = ["noise", "ties", "rare", "two values", "narrow"]


def case(kind: str, n: int = 2000) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(len(kind))
    y = rng.random(n) < (0.01 if kind == "rare" else 0.4)
    p = 1 / (1 + np.exp(-rng.normal(size=n) - y))
    if kind == "ties":
        p = np.clip(np.round(p, 1), 0.1, 0.9)
    if kind == "two values":
        p = np.where(p > 0.6, 0.75, 0.25)
    if kind == "narrow":
        p = p.astype(np.float32)
    return y.astype(np.int64), p, rng.exponential(size=n) * (rng.random(n) < 0.9)


@pytest.fixture(params=CASES)
def rows(request: pytest.FixtureRequest) -> tuple[Array, Array, Array]:
    return case(request.param)


@pytest.mark.parametrize("weighted", [False, True])
def test_auc(rows: tuple[Array, Array, Array], weighted: bool) -> None:
    y, p, weight = rows
    w = weight if weighted else None
    assert metrics.auc(y, p, sample_weight=w) == pytest.approx(
        sk.roc_auc_score(y, p, sample_weight=w), abs=1e-12
    )
    assert metrics.auc(y, np.log(p), sample_weight=w) == pytest.approx(
        sk.roc_auc_score(y, np.log(p), sample_weight=w), abs=1e-12
    )


def test_gauc(rows: tuple[Array, Array, Array]) -> None:
    y, p, weight = rows
    group = np.random.default_rng(0).integers(0, 60, len(y))
    for w in (None, weight):
        exists = np.ones(len(y), bool) if w is None else w > 0
        values, sizes = [], []
        for g in range(60):
            mine = (group == g) & exists
            if len(set(y[mine])) == 2:
                v = None if w is None else w[mine]
                values.append(sk.roc_auc_score(y[mine], p[mine], sample_weight=v))
                sizes.append(mine.sum() if v is None else v.sum())
        got = metrics.gauc(y, p, group, sample_weight=w)
        assert got == pytest.approx(np.average(values, weights=sizes), abs=1e-12)
        assert got.groups_kept == len(values)


@pytest.mark.parametrize("weighted", [False, True])
def test_roc_curve(rows: tuple[Array, Array, Array], weighted: bool) -> None:
    y, p, weight = rows
    w = weight if weighted else None
    got = metrics.roc_curve(y, p, sample_weight=w, drop_intermediate=False)
    want = sk.roc_curve(y, p, sample_weight=w, drop_intermediate=False)
    for ours, theirs in zip(got, want, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
    corners = metrics.roc_curve(y, p, sample_weight=w)
    assert len(corners.fpr) <= len(sk.roc_curve(y, p, sample_weight=w)[0])
    assert np.trapezoid(corners.tpr, corners.fpr) == pytest.approx(np.trapezoid(want[1], want[0]), abs=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("threshold", [0.25, 0.5, 0.6, 2.0])
def test_counts_at_a_threshold(rows: tuple[Array, Array, Array], threshold: float, weighted: bool) -> None:
    y, p, weight = rows
    w = weight if weighted else None
    predicted = p >= threshold
    matrix = metrics.confusion(y, p, threshold, w)
    np.testing.assert_allclose(
        np.asarray(matrix), sk.confusion_matrix(y, predicted, sample_weight=w), rtol=1e-12
    )
    for name in ("precision", "recall", "f1"):
        ours = getattr(metrics, name)(y, p, threshold, w, zero_division=0.0)
        theirs = getattr(sk, f"{name}_score")(y, predicted, sample_weight=w, zero_division=0.0)
        assert ours == pytest.approx(theirs, abs=1e-12), name
    if not weighted:
        assert matrix.accuracy == sk.accuracy_score(y, predicted)


@pytest.mark.parametrize("weighted", [False, True])
def test_losses(rows: tuple[Array, Array, Array], weighted: bool) -> None:
    y, p, weight = rows
    w = weight if weighted else None
    wide = p.astype(np.float64)  # in float32 scikit-learn computes in float32
    assert metrics.logloss(y, p, sample_weight=w) == pytest.approx(
        sk.log_loss(y, wide, sample_weight=w), rel=1e-12
    )
    logit = np.log(wide / (1 - wide))
    assert metrics.logloss(y, logit, from_logits=True, sample_weight=w) == pytest.approx(
        sk.log_loss(y, wide, sample_weight=w), rel=1e-12
    )
    assert metrics.brier(y, p, sample_weight=w) == pytest.approx(
        sk.brier_score_loss(y, wide, sample_weight=w), rel=1e-12
    )


def test_clipping_is_theirs_on_demand() -> None:
    y, p = np.array([1, 0, 1]), np.array([0.0, 1.0, 0.25])
    assert metrics.logloss(y, p, clip="eps") == pytest.approx(sk.log_loss(y, p), rel=1e-12)
    narrow = p.astype(np.float32)
    assert metrics.logloss(y, narrow, clip="eps") == pytest.approx(sk.log_loss(y, narrow), rel=1e-6)


def test_warnings_are_theirs_where_theirs_are_ours() -> None:
    y, p = [0, 0], [0.1, 0.2]
    with pytest.warns(metrics.UndefinedMetricWarning):
        ours = metrics.auc(y, p)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isnan(ours) == np.isnan(sk.roc_auc_score(y, p))
        assert metrics.recall(y, p) == sk.recall_score(y, np.array(p) >= 0.5)
