"""The forms of momentum, and where Nesterov's gradient is taken (O7-O10, traps 12-14)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep import reference

Array = np.ndarray[Any, Any]


def walk(form: str, lr: Any, steps: int, momentum: float = 0.9) -> list[float]:
    w = np.zeros(1)
    optimizer = fs.optim.SGD([w], lr=lr, momentum=momentum, momentum_form=form)  # type: ignore[arg-type]
    path = []
    for _ in range(steps):
        optimizer.step([np.ones(1)])
        path.append(float(w[0]))
    return path


def test_torch_and_lr_inside_are_the_same_walk_at_a_constant_rate() -> None:
    np.testing.assert_allclose(walk("torch", 0.1, 50), walk("lr_inside", 0.1, 50), rtol=1e-12)


def test_after_a_drop_of_lr_the_two_forms_part() -> None:
    drop = fs.schedules.Step(1.0, step_size=100, gamma=0.1)
    outside, inside = walk("torch", drop, 110), walk("lr_inside", drop, 110)
    moved = [abs(path[109] - path[99]) for path in (outside, inside)]
    # m is at its limit 1/(1 − γ) = 10. Outside, ten steps of 0.1·10. Inside, m decays from 10 to 1 as 0.9^k.
    assert moved[0] == pytest.approx(10 * 0.1 * 10, rel=1e-3)
    assert moved[1] == pytest.approx(sum(1 + 9 * 0.9**k for k in range(1, 11)), rel=1e-3)
    assert moved[1] / moved[0] > 5


def test_ema_is_the_first_form_with_a_smaller_rate() -> None:
    np.testing.assert_allclose(walk("ema", 0.1, 50), walk("torch", 0.1 * (1 - 0.9), 50), rtol=1e-12)


def test_dampening_is_ignored_at_the_first_step() -> None:
    w = np.zeros(1)
    optimizer = fs.optim.SGD([w], lr=1.0, momentum=0.5, dampening=0.25)
    optimizer.step([np.ones(1)])
    assert w[0] == -1.0
    optimizer.step([np.ones(1)])
    assert w[0] == -1.0 - (0.5 * 1.0 + 0.75)


def test_gains_along_steady_and_alternating_directions() -> None:
    """O9: 1/(1 − γ) and 1/(1 + γ)."""
    w = np.zeros(2)
    optimizer = fs.optim.SGD([w], lr=1.0, momentum=0.9)
    for t in range(400):
        before = w.copy()
        optimizer.step([np.array([1.0, (-1.0) ** t])])
    np.testing.assert_allclose(np.abs(w - before), [1 / (1 - 0.9), 1 / (1 + 0.9)], rtol=1e-10)


def quadratic(arena: fs.Arena, curvature: Array) -> Any:
    def closure() -> float:
        arena.grad["w"] = curvature * arena["w"]
        return float((curvature * arena["w"] ** 2).sum() / 2)

    return closure


def test_look_ahead_by_closure_equals_the_rewritten_form() -> None:
    """The rewritten parameters are the look-ahead points w_t − α·γ·m_t."""
    curvature, lr, gamma = np.array([1.0, 0.1, 3.0]), 0.1, 0.9
    arena = fs.Arena({"w": np.array([1.0, -2.0, 0.5])})
    looking = fs.optim.NAG(arena, lr=lr, momentum=gamma, weight_decay=0.01)
    rewritten = arena["w"].copy()
    rule = fs.optim.NAG([rewritten], lr=lr, momentum=gamma, weight_decay=0.01)
    for _ in range(60):
        looking.step(quadratic(arena, curvature))
        rule.step([curvature * rewritten])
        ahead = arena["w"] - lr * gamma * looking.state_of("w")["momentum_buffer"]
        np.testing.assert_allclose(ahead, rewritten, rtol=1e-10, atol=1e-14)


def test_nag_is_torch_style_nesterov(noise: Any, same_bits: Any) -> None:
    a, b = noise(0, 33, np.float32), noise(0, 33, np.float32)
    nag, sgd = fs.optim.NAG([a], lr=0.1), fs.optim.SGD([b], lr=0.1, momentum=0.9, nesterov=True)
    for t in range(20):
        g = noise(t + 1, 33, np.float32)
        nag.step([g])
        sgd.step([g])
    assert same_bits(a, b)


@pytest.mark.parametrize(
    ("lookahead", "stable", "unstable"), [("nesterov", 1.35, 1.37), ("notes", 1.26, 1.28)]
)
def test_the_notes_look_ahead_is_stable_for_less(lookahead: Any, stable: float, unstable: float) -> None:
    """O10: with γ = 0.9 on a quadratic, up to lr·λ = 1.27 against 1.36."""

    def end(lr: float) -> float:
        arena = fs.Arena({"w": np.ones(1)})
        optimizer = fs.optim.NAG(arena, lr=lr, momentum=0.9, lookahead=lookahead)
        for _ in range(3000):
            optimizer.step(quadratic(arena, np.ones(1)))
        return float(abs(arena["w"][0]))

    assert end(stable) < 1e-3
    assert end(unstable) > 1e3


@pytest.mark.parametrize("name", ["NAG", "Nadam"])
def test_the_notes_form_needs_a_closure(name: str) -> None:
    w = np.ones(3)
    optimizer = getattr(fs.optim, name)([w], lookahead="notes")
    with pytest.raises(TypeError, match="call step\\(closure\\)"):
        optimizer.step([np.ones(3)])
    assert (w == 1).all()


LOOKING = [("NAG", "nesterov"), ("NAG", "notes"), ("Nadam", "notes")]


@pytest.mark.parametrize(("name", "lookahead"), LOOKING)
@pytest.mark.parametrize(
    "shared", [{}, {"weight_decay": 0.1, "clip_norm": 0.5, "maximize": True}], ids=["plain", "all"]
)
def test_look_ahead_has_the_twins_bits(
    name: str, lookahead: str, dtype: Any, shared: dict[str, Any], noise: Any, same_bits: Any
) -> None:
    curvature = noise(3, 41, dtype) ** 2 + dtype(0.1)
    ours, theirs = {"w": noise(1, 41, dtype)}, {"w": noise(1, 41, dtype)}
    more = {"bias_correction": dtype is np.float64} if name == "Nadam" else {}
    optimizer = getattr(fs.optim, name)(ours, lr=0.1, lookahead=lookahead, **more, **shared)
    twin = getattr(reference, name)(theirs, lr=0.1, lookahead=lookahead, **more, **shared)
    for _ in range(20):
        losses = [
            opt.step(lambda w=w: (float((curvature * w["w"] ** 2).sum()), {"w": curvature * w["w"]}))
            for opt, w in ((optimizer, ours), (twin, theirs))
        ]
        assert losses[0] == losses[1]
        assert same_bits(ours["w"], theirs["w"])


@pytest.mark.parametrize(("name", "lookahead"), LOOKING)
def test_a_closure_that_raises_leaves_the_parameters(name: str, lookahead: str, same_bits: Any) -> None:
    arena = fs.Arena({"w": np.linspace(-1, 1, 7)})
    optimizer = getattr(fs.optim, name)(arena, lr=0.1, lookahead=lookahead)
    optimizer.step(quadratic(arena, np.ones(7)))
    before, steps = arena["w"].copy(), optimizer.step_count

    def broken() -> float:
        assert not np.array_equal(arena["w"], before), "the closure is called at the look-ahead point"
        raise ZeroDivisionError("in the closure")

    with pytest.raises(ZeroDivisionError, match="in the closure"):
        optimizer.step(broken)
    assert same_bits(arena["w"], before)
    assert optimizer.step_count == steps
    optimizer.step(quadratic(arena, np.ones(7)))  # and it goes on


def test_nadam_of_the_notes_does_not_look_ahead_at_the_first_step() -> None:
    """O16: V_{t−1} is not there yet."""
    arena = fs.Arena({"w": np.ones(2)})
    optimizer = fs.optim.Nadam(arena, lr=0.1, lookahead="notes")
    seen = []

    def closure() -> float:
        seen.append(arena["w"].copy())
        arena.grad["w"] = arena["w"]
        return 0.0

    optimizer.step(closure)
    first = arena["w"].copy()
    optimizer.step(closure)
    assert (seen[0] == 1).all()
    state = 0.1 * 1.0, 0.001 * 1.0  # m and V after g = 1
    np.testing.assert_allclose(seen[1], first - 0.1 * state[0] / (np.sqrt(state[1]) + 1e-8), rtol=1e-12)


def test_a_plain_closure_is_called_at_w(rule: Any) -> None:
    if rule.name == "NAG":
        pytest.skip("NAG looks ahead")
    arena = fs.Arena({"w": np.ones(3)})
    optimizer = rule.make(arena)
    for _ in range(3):
        before = arena["w"].copy()

        def closure(before: Array = before) -> str:
            assert np.array_equal(arena["w"], before)
            arena.grad["w"] = 1.0 * before
            return "the loss"

        assert optimizer.step(closure) == "the loss"
        if not (rule.name == "ADOPT" and optimizer.step_count == 1):  # which moves nothing
            assert not np.array_equal(arena["w"], before)
