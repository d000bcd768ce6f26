"""The notes' claims about metrics, M1 to M12, as tests; where a claim needs correcting, the correction."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from fourstep import metrics

Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def log() -> tuple[Array, Array, Array]:
    """Clicks of 200 users who differ in how much they click, and probabilities that know a part of it."""
    rng = np.random.default_rng(0)
    user = rng.integers(0, 200, 20_000)
    taste = rng.normal(size=200)[user]
    item = rng.normal(size=20_000)
    y = rng.random(20_000) < 1 / (1 + np.exp(2 - taste - item))
    p = 1 / (1 + np.exp(2 - taste - 0.5 * item - 0.5 * rng.normal(size=20_000)))
    return y.astype(np.uint8), p, user


def test_m1_rates_and_the_orientation_of_the_matrix(log: tuple[Array, Array, Array]) -> None:
    y, p, _ = log
    matrix = metrics.confusion(y, p, 0.3)
    assert matrix.tpr == matrix.tp / (matrix.tp + matrix.fn), "TPR = tp/(tp + fn), with the brackets"
    assert matrix.fpr == matrix.fp / (matrix.fp + matrix.tn)
    # The notes divide a cell by the sum of "its column": they have the actual class in columns, we have it in rows.
    notes = np.asarray(matrix).T
    columns = notes.sum(axis=0)
    assert (notes[1, 1] / columns[1], notes[1, 0] / columns[0]) == (matrix.tpr, matrix.fpr)
    assert "actual 0" in repr(matrix).splitlines()[1]


def test_m2_a_model_that_ranks_is_above_the_diagonal(log: tuple[Array, Array, Array]) -> None:
    y, p, _ = log
    fpr, tpr, _ = metrics.roc_curve(y, p)
    inside = (fpr > 0) & (fpr < 1)
    assert (tpr[inside] > fpr[inside]).all()
    assert metrics.auc(y, -p) < 0.5, "an inverted score is below"


@pytest.mark.parametrize("decimals", [1, 2, 15])
def test_m3_auc_is_the_area_and_the_probability_of_a_correct_pair(
    log: tuple[Array, Array, Array], decimals: int
) -> None:
    y, p, _ = (x[:3000] for x in log)
    p = np.round(p, decimals)
    auc = metrics.auc(y, p)
    curve = metrics.roc_curve(y, p)
    assert np.trapezoid(curve.tpr, curve.fpr) == pytest.approx(auc, abs=1e-14)
    positives, negatives = p[y == 1], p[y == 0]
    # The notes' Σ 1/P · #{neg below x}/N, and the half of the ties that they omit.
    below = (negatives < positives[:, None]).mean()
    tied = (negatives == positives[:, None]).mean()
    assert auc == pytest.approx(below + tied / 2, abs=1e-14)
    assert auc.tied == pytest.approx(tied, abs=1e-14)
    if decimals < 15:
        assert auc > below + 1e-4, "without ties it would be another number"


def test_m4_adding_a_constant_changes_nothing_unless_it_makes_ties(log: tuple[Array, Array, Array]) -> None:
    y, p, _ = log
    p = np.round(p * 2**20)
    auc = metrics.auc(y, p)
    for constant in (-1.0, 3.0, 2.0**30):
        assert metrics.auc(y, p + constant) == auc
    for increasing in (np.arctan, np.sqrt, lambda x: x**3, lambda x: -1 / (1 + x)):
        assert metrics.auc(y, increasing(p)) == auc
    rounded = metrics.auc(y, p + 2.0**72)
    assert rounded.tied is not None
    assert rounded.tied > 0.8
    assert rounded != auc, "a constant so large rounds scores to one another"


def test_m5_uniform_negative_sampling_is_safe_and_selective_sampling_is_not(
    log: tuple[Array, Array, Array],
) -> None:
    y, p, _ = log
    auc = metrics.auc(y, p)
    rng = np.random.default_rng(1)
    standard_error = 0.5 / math.sqrt(y.sum())
    uniform = (y == 1) | (rng.random(len(y)) < 0.2)
    assert abs(metrics.auc(y[uniform], p[uniform]) - auc) < 3 * standard_error
    # Negatives that are kept because the score is high: the sampling looks at what is measured.
    hard = (y == 1) | (rng.random(len(y)) < p)
    assert metrics.auc(y[hard], p[hard]) < auc - 5 * standard_error


def test_m6_auc_compares_users_and_gauc_does_not(log: tuple[Array, Array, Array]) -> None:
    y, p, user = log
    # Scoring each user by the share of clicks knows nothing of items: no user sees a better order.
    rate = np.bincount(user, y, 200) / np.bincount(user, minlength=200)
    assert metrics.auc(y, rate[user]) > 0.7
    assert metrics.gauc(y, rate[user], user) == 0.5
    for group_weight in ("impressions", "positives", "uniform", "pairs"):
        gauc = metrics.gauc(y, p, user, group_weight=group_weight)
        assert 0.5 < gauc < metrics.auc(y, p)
        assert gauc.group_weight == group_weight
    # A constant for each user moves AUC and not gAUC.
    shifted = np.round(p * 2**20) + 2.0**21 * (user % 7)
    assert metrics.gauc(y, shifted, user) == metrics.gauc(y, np.round(p * 2**20), user)
    assert metrics.auc(y, shifted) < metrics.auc(y, p) - 0.1


def test_m7_an_increasing_map_moves_f1_and_not_auc(log: tuple[Array, Array, Array]) -> None:
    y, p, _ = log
    p = np.round(p, 3)
    calmer = p**3
    assert metrics.auc(y, calmer) == metrics.auc(y, p)
    assert metrics.f1(y, calmer, 0.5) < metrics.f1(y, p, 0.5) - 0.1
    assert metrics.precision(y, calmer, 0.5) > metrics.precision(y, p, 0.5)
    best = metrics.best_threshold(y, p)
    assert metrics.best_threshold(y, calmer).value == best.value, "the best F1 stays, elsewhere"
    assert metrics.f1(y, p, float(best)) == best.value == best.confusion.f1


def test_m12_f1_is_the_harmonic_mean_in_each_of_its_forms(log: tuple[Array, Array, Array]) -> None:
    y, p, _ = log
    for threshold in (0.1, 0.3, 0.6):
        precision, recall = metrics.precision(y, p, threshold), metrics.recall(y, p, threshold)
        f1 = metrics.f1(y, p, threshold)
        assert 1 / f1 == pytest.approx((1 / precision + 1 / recall) / 2, rel=1e-15)
        assert f1 == pytest.approx(2 * precision * recall / (precision + recall), rel=1e-15)
