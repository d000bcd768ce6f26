"""FTRL-Proximal: trap 18, one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fourstep as fs


def walk(w: Any, gradients: Any, **options: Any) -> tuple[Any, fs.optim.FTRL]:
    w = np.array(w, float)
    optimizer = fs.optim.FTRL([w], **options)
    for g in gradients:
        optimizer.step([np.full(w.shape, g)])
    return w, optimizer


def test_l1_makes_exact_zeros(dtype: Any, noise: Any) -> None:
    w = np.zeros(500, dtype)
    optimizer = fs.optim.FTRL([w], lr=0.1, l1=1.0)
    for t in range(30):
        optimizer.step([noise(t, 500, dtype)])
    z = optimizer.state_of("0")["linear"]
    assert np.array_equal(w == 0, np.abs(z) <= 1)
    assert 0 < (w == 0).sum() < 500
    assert not np.signbit(w[w == 0]).any()


def test_tensorflows_l2_counts_twice() -> None:
    paper, _ = walk([0.5], [1.0, -0.5, 2.0], lr=0.1, l2=0.6, l2_shrinkage=0.2)
    tensorflow, _ = walk([0.5], [1.0, -0.5, 2.0], lr=0.1, l2=0.3, l2_shrinkage=0.1, l2_form="tensorflow")
    assert paper == tensorflow
    same_number, _ = walk([0.5], [1.0, -0.5, 2.0], lr=0.1, l2=0.6, l2_shrinkage=0.2, l2_form="tensorflow")
    assert abs(same_number[0]) < abs(paper[0])


def test_shrinkage_does_not_enter_n() -> None:
    _, optimizer = walk([5.0], [1.0, 2.0], lr=0.1, l2_shrinkage=3.0, initial_accumulator_value=0.25)
    assert optimizer.state_of("0")["accumulator"].tolist() == [0.25 + 1.0 + 4.0]
    _, decayed = walk([5.0], [1.0, 2.0], lr=0.1, weight_decay=3.0, initial_accumulator_value=0.25)
    assert decayed.state_of("0")["accumulator"][0] > 100


@pytest.mark.parametrize(
    "options", [{}, {"l1": 0.3, "l2": 0.2, "beta": 1.0}, {"lr_power": -0.8}, {"lr_power": 0.0}]
)
def test_it_starts_from_the_weights(options: dict[str, Any], dtype: Any) -> None:
    w = np.array([0.0, 1.0, -2.5, 1e-3], dtype)
    before = w.copy()
    optimizer = fs.optim.FTRL([w], lr=0.1, **options)
    optimizer.step([np.zeros(4, dtype)])
    np.testing.assert_allclose(w, before, rtol=0, atol=4 * np.finfo(dtype).eps)
    assert w[0] == 0


def test_or_forgets_them_as_tensorflow_does() -> None:
    w, _ = walk([5.0], [0.0], lr=0.1, initial_linear="zero")
    assert w.tolist() == [0.0]


def test_without_penalties_it_is_adagrad(noise: Any) -> None:
    a, b = noise(0, 50, np.float64), noise(0, 50, np.float64)
    ftrl = fs.optim.FTRL([a], lr=0.1, beta=0.7, initial_accumulator_value=0.2)
    adagrad = fs.optim.AdaGrad([b], lr=0.1, eps=0.7, initial_accumulator_value=0.2)
    for t in range(40):
        g = noise(1 + t, 50, np.float64)
        ftrl.step([g])
        adagrad.step([g])
    np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("power", [0.1, 0.3, 0.7, 0.9, 2.0])
def test_the_general_power_is_close_to_the_true_one(power: float, noise: Any) -> None:
    """Seen through w = −g·α/n^p, its first value: 2 + |p·ln n| ulp are declared, and 2 are for the division."""
    from fourstep.exact_math import pow

    g = noise(3, 300, np.float64) * 8.0
    w = np.zeros(300)
    fs.optim.FTRL([w], lr=1.0, lr_power=-power, initial_accumulator_value=0.5).step([g])
    n = 0.5 + g * g
    want = np.array([-x / pow(float(y), power) for x, y in zip(g, n, strict=True)])
    ulps = np.abs(w - want) / np.spacing(np.abs(want))
    assert (ulps <= 4 + np.abs(power * np.log(n))).all(), ulps.max()


def test_half_as_a_power_is_the_root_to_a_rounding(noise: Any) -> None:
    a, b = np.zeros(100), np.zeros(100)
    root = fs.optim.FTRL([a], lr=0.1, lr_power=-0.5)
    power = fs.optim.FTRL([b], lr=0.1, lr_power=-0.5 * (1 + 2**-52))
    for t in range(20):
        root.step([noise(t, 100, np.float64)])
        power.step([noise(t, 100, np.float64)])
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


def test_a_schedule_that_reaches_zero_is_refused_before_anything_is_written() -> None:
    w = np.ones(2)
    optimizer = fs.optim.FTRL([w], lr=fs.schedules.Step(1.0, step_size=1, gamma=0.0))
    optimizer.step([np.ones(2)])
    before = w.copy()
    with pytest.raises(ValueError, match=r"lr: got 0.0 at step 1, need a number > 0: FTRL divides by it"):
        optimizer.step([np.ones(2)])
    assert np.array_equal(w, before)
    assert optimizer.step_count == 1


def test_rows_of_a_table_step_as_they_would_alone(noise: Any, same_bits: Any) -> None:
    """Only the rows that are named move, also those that are seen for the first time at a later step."""
    options: dict[str, Any] = {"lr": 0.1, "l1": 0.05, "beta": 1.0}
    table = noise(0, (6, 4), np.float32)
    alone = {f"{row}": table[row].copy() for row in range(6)}
    before = table.copy()
    optimizer = fs.optim.FTRL({"table": table}, groups=[{"params": ..., "sparse": True}], **options)
    each = {name: fs.optim.FTRL({name: w}, **options) for name, w in alone.items()}
    for t, rows in enumerate(([0, 3], [3], [5, 0], [3, 5])):
        grads = noise(10 + t, (len(rows), 4), np.float32)
        optimizer.step_rows("table", np.array(rows), grads)
        for row, g in zip(rows, grads, strict=True):
            each[f"{row}"].step({f"{row}": g})
    for row in (0, 3, 5):
        assert same_bits(table[row], alone[f"{row}"]), row
    for row in (1, 2, 4):
        assert same_bits(table[row], before[row]), row
