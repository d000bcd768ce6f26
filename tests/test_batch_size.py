"""Batch size against convergence and escape (D2, D3), and width against bias and variance (R1)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fourstep import functions, nn
from fourstep.functions.batch_size import _offsets, batch_noise

Array = np.ndarray[Any, Any]


def test_the_rows_are_a_function_and_their_noise_is_that_of_the_formula() -> None:
    c = _offsets(64, 3.0, seed=0)
    assert np.abs(c.mean(0)).max() < 1e-14
    np.testing.assert_allclose(c.std(0), 3.0)
    draw = np.random.default_rng(1)
    means = np.array([c[draw.permutation(64)[:8]].mean(0) for _ in range(4000)])
    np.testing.assert_allclose(means.std(0), batch_noise(3.0, 8, 64), rtol=0.05)


def test_a_full_batch_walks_as_the_function_itself() -> None:
    from fourstep import minimize

    f = functions.Ravine(25)
    (full,) = functions.convergence_by_batch_size(f, sizes=["full"], rows=50, steps=200)
    walk = minimize(f, f.start, ("SGD", {"lr": 0.02}), 200)
    assert isinstance(full, functions.Convergence)
    first = int(np.flatnonzero(walk.losses <= 0.2)[0])
    assert (full.steps, full.rows) == (first, 50 * first)
    assert full.floor == pytest.approx(walk.losses[-50:].mean(), rel=1e-6)
    assert full.seconds is not None and full.seconds > 0


def test_the_floor_is_in_inverse_proportion_to_the_batch() -> None:
    """On a quadratic SGD's floor is α·σ²·Σ 1/(2·(2 − α·λ_i)): σ² is that of the batch."""
    f = functions.Ravine(25)
    found = functions.convergence_by_batch_size(f, sizes=[1, 16], rows=4096, steps=20_000, target=1e-9)
    for size, result in zip(found.sizes, found, strict=True):
        assert isinstance(result, functions.Convergence)
        assert result.steps is None
        expected = 0.02 * 6.0**2 / size * sum(1 / (2 * (2 - 0.02 * curvature)) for curvature in (1, 25))
        assert result.floor == pytest.approx(expected, rel=0.25)
    assert "never" in repr(found)


@pytest.mark.parametrize("basin", [functions.DoubleWell(), functions.RingedBasin()], ids=str)
def test_smaller_batches_leave_a_basin_more_often_and_the_full_one_never(basin: functions.Trap) -> None:
    found = functions.escape_by_batch_size(
        basin, ("SGD", {"lr": 0.1}), sizes=[1, 4, "full"], starts=200, steps=400
    )
    rates = [float(result) for result in found if isinstance(result, functions.Escape)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 0.1
    assert rates[-1] == 0
    assert repr(found).splitlines()[0].split() == ["batch", "noise", "escaped", "stayed", "lost"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": [0]}, "sizes: got 0, need 'full' or 1 to 1024"),
        ({"sizes": ["all"]}, "sizes: got 'all'"),
        ({"sizes": [1025]}, "sizes: got 1025"),
        ({"rows": 1}, "rows, spread: got 1 and"),
        ({"steps": 0}, "steps: got 0"),
    ],
)
def test_what_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        functions.convergence_by_batch_size(functions.Ravine(25), **options)


@pytest.mark.parametrize("samples", ["bootstrap", "new"])
def test_the_error_is_bias_and_variance_and_they_move_apart_with_width(samples: Any) -> None:
    narrow, wide = nn.bias_variance([1, 10], refits=8, samples=samples)
    for found in (narrow, wide):
        assert found.error == pytest.approx(found.bias_squared + found.variance, rel=1e-9)
    assert narrow.bias_squared > 2 * wide.bias_squared
    assert wide.variance > 1.5 * narrow.variance
    assert wide.training_error < narrow.training_error


@pytest.mark.parametrize(("samples", "sets"), [("bootstrap", 1), ("new", 1 + 5)])
def test_bootstrap_samples_come_from_one_set_and_new_ones_from_their_own(samples: Any, sets: int) -> None:
    drawn: list[Array] = []

    def truth(x: Array) -> Array:
        drawn.append(x)
        return x

    nn.bias_variance([1], truth=truth, rows=20, refits=5, epochs=1, samples=samples)
    assert len({x.tobytes() for x in drawn if len(x) == 20}) == sets


def test_what_bias_variance_refuses() -> None:
    with pytest.raises(ValueError, match="refits: got 1, need at least 2"):
        nn.bias_variance(refits=1)
    with pytest.raises(ValueError, match="widths: got 0"):
        nn.bias_variance([0])
    with pytest.raises(ValueError, match="samples: got 'old'"):
        nn.bias_variance([1], samples="old")  # type: ignore[arg-type]
