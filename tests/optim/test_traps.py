"""Where libraries that share a name differ in numbers: what is decided here, trap by trap (1-24)."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import fourstep as fs


def moved(name: str, gradients: Any, **options: Any) -> float:
    """How far one parameter moves, in float64."""
    w = np.zeros(1)
    optimizer = getattr(fs.optim, name)([w], **options)
    for g in gradients:
        optimizer.step([np.array([float(g)])])
    return float(-w[0])


def test_1_adam_adds_eps_after_the_correction() -> None:
    eps, g = 0.1, 2.0
    assert moved("Adam", [g], lr=1.0, eps=eps) == pytest.approx(g / (g + eps), rel=1e-12)
    keras = g / (g + eps / np.sqrt(1 - 0.999))
    assert moved("Adam", [g], lr=1.0, eps=eps) != pytest.approx(keras, rel=0.1)


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("SGD", {"lr": 1e-3, "momentum": 0.0, "dampening": 0.0, "nesterov": False}),
        ("AdaGrad", {"lr": 1e-2, "lr_decay": 0.0, "initial_accumulator_value": 0.0, "eps": 1e-10}),
        ("AdaDelta", {"lr": 1.0, "rho": 0.9, "eps": 1e-6}),
        ("RMSProp", {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "momentum": 0.0, "centered": False}),
        ("Adam", {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8}),
        ("Nadam", {"lr": 2e-3, "betas": (0.9, 0.999), "eps": 1e-8, "momentum_decay": 4e-3}),
    ],
)
def test_2_4_7_8_defaults_are_torchs(name: str, want: dict[str, Any]) -> None:
    got = {key: p.default for key, p in inspect.signature(getattr(fs.optim, name)).parameters.items()}
    assert {key: got[key] for key in want} == want
    assert got["weight_decay"] == 0.0


@pytest.mark.parametrize("name", ["RMSProp", "AdaGrad"])
def test_3_eps_stands_outside_the_root_unless_asked_for(name: str) -> None:
    eps, g = 0.1, 2.0
    v = g * g * (0.01 if name == "RMSProp" else 1.0)
    assert moved(name, [g], lr=1.0, eps=eps) == pytest.approx(g / (np.sqrt(v) + eps), rel=1e-12)
    inside = moved(name, [g], lr=1.0, eps=eps, eps_inside=True)
    assert inside == pytest.approx(g / np.sqrt(v + eps), rel=1e-12)


def test_5_rmsprop_momentum_is_over_the_normalised_step_and_lr_outside() -> None:
    drop = fs.schedules.Step(1.0, step_size=1, gamma=0.0)  # rate 1, then 0
    assert moved("RMSProp", [1.0], lr=drop, momentum=0.9) == moved(
        "RMSProp", [1.0, 1.0], lr=drop, momentum=0.9
    )


def test_6_centred_rmsprop_is_clamped_at_zero() -> None:
    w = np.zeros(4, np.float32)
    optimizer = fs.optim.RMSProp([w], centered=True, eps=1e-8)
    g = np.array([0.1, 0.3, 1.7, 3.0], np.float32)  # steady: v − ḡ² is rounding noise, and torch ends in NaN
    for _ in range(2000):
        optimizer.step([g])
    assert np.isfinite(w).all()
    state = optimizer.state_of("0")
    difference = state["square_avg"] - state["grad_avg"] ** 2
    assert (difference < 0).any(), "the trap was not sprung"


def test_8_adadelta_has_a_learning_rate_of_one() -> None:
    first = np.sqrt(1e-6) / np.sqrt(0.1 + 1e-6)
    assert moved("AdaDelta", [1.0]) == pytest.approx(first, rel=1e-12)


def test_9_nadam_has_dozats_schedule() -> None:
    g, mu = 1.0, [0.9 * (1 - 0.5 * 0.96 ** (t * 0.004)) for t in (1, 2)]
    by_g, by_m = (1 - mu[0]) / (1 - mu[0]), mu[1] / (1 - mu[0] * mu[1])
    assert moved("Nadam", [g], lr=1.0, eps=0.0) == pytest.approx(by_g * g + by_m * 0.1 * g, rel=1e-12)


def test_15_l2_is_l2_for_all(rule: Any) -> None:
    """λ·w is a gradient like any other: it goes through the moments."""
    if rule.name == "LARS":
        pytest.skip("its decay is inside the trust ratio, as its paper has it")
    a, b = np.full(3, 2.0), np.full(3, 2.0)
    with_decay, without = rule.make([a], weight_decay=0.25, decay="l2"), rule.make([b], weight_decay=0.0)
    for _ in range(2):  # ADOPT's first step moves nothing
        with_decay.step([np.zeros(3)])
        without.step([0.25 * b])
    assert np.array_equal(a, b)
    assert not np.array_equal(a, np.full(3, 2.0))


def test_a_rate_that_float32_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lr: got 1e\+39, need at most 3\.403e\+38, the largest float32"):
        fs.optim.SGD([np.ones(2)], lr=1e39)


def test_what_a_step_was_refused_for_is_counted() -> None:
    w = np.ones(2)
    optimizer = fs.optim.SGD({"w": w}, lr=0.1, skip_nonfinite="error")
    with pytest.raises(FloatingPointError, match="the gradient of w is nan"):
        optimizer.step({"w": np.array([np.nan, 1.0])})
    assert (optimizer.nonfinite.steps, optimizer.nonfinite.elements, optimizer.nonfinite.first) == (1, 1, "w")
    assert optimizer.last is not None and optimizer.last.skipped and w.tolist() == [1.0, 1.0]


def test_19_clipping_by_norm_has_torchs_formula() -> None:
    w = np.zeros(2)
    optimizer = fs.optim.SGD([w], lr=1.0, clip_norm=1.0)
    optimizer.step([np.array([3.0, 4.0])])
    np.testing.assert_allclose(-w, np.array([3.0, 4.0]) * (1.0 / (5.0 + 1e-6)), rtol=1e-12)


def test_19_a_norm_that_is_not_finite_is_an_error_and_nothing_moves() -> None:
    arena = fs.Arena({"a": np.ones(3, np.float32), "b": np.ones(5, np.float32)})
    optimizer = fs.optim.Adam(arena, clip_norm=1.0)
    arena.grad["b"] = [0, 0, np.nan, 0, 0]
    with pytest.raises(FloatingPointError, match=r"norm is NaN.*gradient of b is nan at \(2,\), 1 of its el"):
        optimizer.step()
    assert (arena["a"] == 1).all()
    assert (arena["b"] == 1).all()
    assert optimizer.step_count == 0


def test_22_zero_gradients_still_move_rows_that_have_momentum() -> None:
    """Dense Adam is not lazy."""
    w = np.zeros(1)
    optimizer = fs.optim.Adam([w], lr=1.0)
    optimizer.step([np.ones(1)])
    before = w.copy()
    optimizer.step([np.zeros(1)])
    assert w[0] != before[0]


def test_24_the_step_counter_is_64_bits_wide() -> None:
    w = np.zeros(1)
    optimizer = fs.optim.Adam([w])
    state = optimizer.state_dict()
    state["groups"][0]["step"] = 2**40
    state["step"] = 2**40
    optimizer.load_state_dict(state)
    optimizer.step([np.ones(1)])
    assert optimizer.step_count == 2**40 + 1
    assert optimizer.state_dict()["groups"][0]["step"] == 2**40 + 1


def test_a_maximiser_climbs(rule: Any) -> None:
    up, down = np.zeros(5), np.zeros(5)
    climber, faller = rule.make([up], maximize=True), rule.make([down])
    for _ in range(3):
        climber.step([np.linspace(-1, 1, 5)])
        faller.step([np.linspace(-1, 1, 5)])
    assert np.array_equal(up, -down)


def test_clip_value_limits_each_element() -> None:
    w = np.zeros(4)
    optimizer = fs.optim.SGD([w], lr=1.0, clip_value=0.5)
    optimizer.step([np.array([0.25, 3.0, -3.0, np.nan])])
    assert w[:3].tolist() == [-0.25, -0.5, 0.5]
    assert np.isnan(w[3])


def test_adagrads_rate_never_rises() -> None:
    """O13: it tends to 0 only if Σg² diverges."""
    w = np.zeros(1)
    optimizer = fs.optim.AdaGrad([w], lr=1.0)
    steps = []
    for g in [1.0, 0.5, 2.0, 0.0, 1.0]:
        before = w.copy()
        optimizer.step([np.array([g])])
        if g:
            steps.append(float((before - w)[0] / g))
    assert steps == sorted(steps, reverse=True)
    small = np.zeros(1)
    square_summable = fs.optim.AdaGrad([small], lr=1.0)
    for t in range(1, 2000):
        square_summable.step([np.array([1.0 / t])])
    assert 1 / float(np.sqrt(square_summable.state_of("0")["sum"][0])) > 0.7
