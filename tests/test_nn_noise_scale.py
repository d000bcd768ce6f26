"""The gradient noise scale, against every batch that there is and against the covariance itself."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from fourstep import nn
from fourstep.nn.noise_scale import signal_and_noise

Array = np.ndarray[Any, Any]


def regression(rows: int = 6, seed: int = 0) -> tuple[nn.Module, Array, Array, Array]:
    """A linear model, its data, and the gradient of each row."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(rows, 3)), rng.normal(size=(rows, 1))
    model = nn.Linear(3, 1, dtype="float64", seed=1)
    residual = x @ model.params["weight"].T + model.params["bias"] - y
    return model, x, y, np.concatenate([residual * x, residual], axis=1)


def test_both_estimates_are_unbiased() -> None:
    """Over all 4³ batches of three rows of four, in exact arithmetic, with the first row as the small batch."""
    rows = [[Fraction(v) for v in row] for row in ((1, 2), (-3, 1), (0, 5), (2, -2))]

    def mean(batch: Any) -> list[Fraction]:
        return [sum(column, Fraction(0)) / len(batch) for column in zip(*batch, strict=True)]

    def square(g: list[Fraction]) -> Fraction:
        return sum((v * v for v in g), Fraction(0))

    full = mean(rows)
    covariance = sum((square([a - b for a, b in zip(r, full, strict=True)]) for r in rows), Fraction(0)) / 4
    found: list[Any] = []
    for batch in itertools.product(rows, repeat=3):
        signal = (3 * square(mean(batch)) - square(batch[0])) / 2
        noise = (square(batch[0]) - square(mean(batch))) / (1 - Fraction(1, 3))
        ours = signal_and_noise(float(square(batch[0])), float(square(mean(batch))), 1, 3)
        assert ours == pytest.approx((float(signal), float(noise)), abs=1e-12)
        found.append((signal, noise))
    assert sum(s for s, _ in found) / len(found) == square(full)
    assert sum(n for _, n in found) / len(found) == covariance


@pytest.mark.parametrize(("small", "big"), [(1, 2), (1, 16), (4, 32)])
def test_the_measured_scale_is_that_of_the_covariance(small: int, big: int) -> None:
    model, x, y, each = regression()
    signal = float((each.mean(0) ** 2).sum())
    noise = float(each.var(0).sum())
    found = nn.gradient_noise_scale(model, nn.SquaredError(), x, y, small=small, big=big, repeats=3000)
    assert abs(found.signal - signal) < 4 * found.signal_se
    assert abs(found.noise - noise) < 4 * found.noise_se
    assert found.noise_se < 0.1 * noise
    assert float(found) == found.scale == found.noise / found.signal


def test_identical_rows_have_no_noise_and_one_that_is_all_noise_no_scale() -> None:
    model, x, y, _ = regression()
    still = nn.gradient_noise_scale(model, nn.SquaredError(), x[[0] * 5], y[[0] * 5])
    assert abs(still.noise) < 1e-12 * still.signal
    model.params["weight"], model.params["bias"] = np.zeros((1, 3)), np.zeros(1)
    signs = np.array([[1.0], [-1.0]])
    lost = nn.gradient_noise_scale(
        model, nn.SquaredError(), np.zeros((2, 3)), signs, big=8, repeats=50, seed=1
    )
    assert abs(lost.signal) < 4 * lost.signal_se
    assert (lost.scale == np.inf) == (lost.signal <= 0)
    assert lost.noise == pytest.approx(1, abs=4 * lost.noise_se)


def test_nothing_of_the_model_changes_and_the_seed_fixes_the_result() -> None:
    model, x, y, _ = regression()
    model.grads["bias"][...] = 7
    first = nn.gradient_noise_scale(model, nn.SquaredError(), x, y, seed=3)
    assert repr(first) == repr(nn.gradient_noise_scale(model, nn.SquaredError(), x, y, seed=3))
    assert first.scale != nn.gradient_noise_scale(model, nn.SquaredError(), x, y, seed=4).scale
    assert model.grads["bias"].tolist() == [7]


def test_tables_that_keep_gradients_by_rows_count_too() -> None:
    ids, y = np.arange(12) % 5, np.random.default_rng(0).normal(size=(12, 1))
    found = [
        nn.gradient_noise_scale(
            nn.Sequential(
                nn.Embedding(5, 3, sparse=sparse, dtype="float64", seed=0),
                nn.Linear(3, 1, dtype="float64", seed=0),
            ),
            nn.SquaredError(),
            ids,
            y,
        ).scale
        for sparse in (True, False)
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"small": 0}, "small: got 0, need at least 1"),
        ({"small": 4, "big": 4}, "big: got 4, need at least 8"),
        ({"small": 4, "big": 10}, "big: got 10, need a multiple of small=4"),
        ({"repeats": 0}, "repeats: got 0"),
        ({"loss": nn.SquaredError("sum")}, "loss: got reduction='sum', need 'mean'"),
        ({"target": np.ones((3, 1))}, "the rows differ"),
        ({"x": np.ones((0, 3)), "target": np.ones((0, 1))}, "x: got no rows"),
        ({"model": nn.Tanh()}, "model: has no parameters"),
        (
            {"model": nn.Sequential(nn.BatchNorm(3, dtype="float64"))},
            "BatchNorm '0': the rows of a batch are not independent",
        ),
    ],
)
def test_what_is_refused(options: dict[str, Any], message: str) -> None:
    model, x, y, _ = regression()
    given: dict[str, Any] = {"model": model, "loss": nn.SquaredError(), "x": x, "target": y} | options
    with pytest.raises(ValueError, match=message):
        nn.gradient_noise_scale(**given)
