"""Each optimizer that does not fit the frame against a loop of scalars in float64, written from its paper.

The loops share nothing with kernel or twin: plain Python numbers, one element at a time, `**` and `math`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import fourstep as fs

STEPS = 60
Numbers = list[float]
#: (w, gradients of each step, options) -> w after all steps.
Loop = Callable[..., Numbers]


def sign(x: float) -> float:
    return math.copysign(1.0, x) if x else 0.0


def each(one: Callable[..., float]) -> Loop:
    """Make a loop over elements of a loop over the steps of one element."""

    def loop(w: Sequence[float], gradients: Sequence[Sequence[float]], **options: Any) -> Numbers:
        return [one(x, [g[i] for g in gradients], **options) for i, x in enumerate(w)]

    return loop


@each
def signum(w: float, gs: Numbers, lr: float, momentum: float) -> float:
    m = 0.0
    for g in gs:
        m = momentum * m + (1 - momentum) * g
        w -= lr * sign(m)
    return w


@each
def lion(w: float, gs: Numbers, lr: float, betas: tuple[float, float]) -> float:
    m = 0.0
    for g in gs:
        update = sign(betas[0] * m + (1 - betas[0]) * g)
        w -= lr * update
        m = betas[1] * m + (1 - betas[1]) * g
    return w


@each
def rprop(
    w: float, gs: Numbers, lr: float, etas: tuple[float, float], step_sizes: tuple[float, float]
) -> float:
    step, before = lr, 0.0
    for g in gs:
        if g * before > 0:
            step = min(step * etas[1], step_sizes[1])
        elif g * before < 0:
            step = max(step * etas[0], step_sizes[0])
            g = 0.0
        step = min(max(step, step_sizes[0]), step_sizes[1])
        w -= sign(g) * step
        before = g
    return w


@each
def adan(w: float, gs: Numbers, lr: float, betas: tuple[float, float, float], eps: float) -> float:
    b1, b2, b3 = betas
    m = v = n = 0.0
    before = gs[0]
    for k, g in enumerate(gs, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * (g - before)
        n = b3 * n + (1 - b3) * (g + b2 * (g - before)) ** 2
        ahead = m / (1 - b1**k) + b2 * v / (1 - b2**k)
        w -= lr * ahead / (math.sqrt(n / (1 - b3**k)) + eps)
        before = g
    return w


@each
def adopt(
    w: float, gs: Numbers, lr: float, betas: tuple[float, float], eps: float, clip: bool = True
) -> float:
    m, v = 0.0, gs[0] ** 2
    for t, g in enumerate(gs[1:], 1):
        scaled = g / max(math.sqrt(v), eps)
        c = t**0.25 if clip else math.inf
        m = betas[0] * m + (1 - betas[0]) * max(-c, min(c, scaled))
        w -= lr * m
        v = betas[1] * v + (1 - betas[1]) * g**2
    return w


@each
def ademamix(
    w: float,
    gs: Numbers,
    lr: float,
    betas: tuple[float, float, float],
    alpha: float,
    eps: float,
    beta3_warmup: int | None = None,
    alpha_warmup: int | None = None,
) -> float:
    b1, b2, b3 = betas
    fast = slow = v = 0.0
    for t, g in enumerate(gs, 1):
        a = alpha if alpha_warmup is None else min(t * alpha / alpha_warmup, alpha)
        b = b3
        if beta3_warmup is not None:
            x = t / beta3_warmup
            between = (1 - x) * math.log(b3) + x * math.log(b1)
            if x < 1:
                b = min(math.exp(math.log(b1) * math.log(b3) / between), b3)
        fast = b1 * fast + (1 - b1) * g
        slow = b * slow + (1 - b) * g
        v = b2 * v + (1 - b2) * g**2
        w -= lr * (fast / (1 - b1**t) + a * slow) / (math.sqrt(v / (1 - b2**t)) + eps)
    return w


@each
def ftrl(
    w: float,
    gs: Numbers,
    lr: float,
    beta: float,
    l1: float,
    l2: float,
    initial_accumulator_value: float,
    lr_power: float = -0.5,
    l2_shrinkage: float = 0.0,
    l2_form: str = "paper",
    initial_linear: str = "zero",
) -> float:
    if l2_form == "tensorflow":
        l2, l2_shrinkage = 2 * l2, 2 * l2_shrinkage
    z, n = 0.0, initial_accumulator_value
    for g in gs:
        sigma = ((n + g**2) ** -lr_power - n**-lr_power) / lr
        z += g + l2_shrinkage * w - sigma * w
        n += g**2
        quadratic = (beta + n**-lr_power) / lr + l2
        w = 0.0 if abs(z) <= l1 else -(z - sign(z) * l1) / quadratic
    return w


def schedule_free(
    w: float,
    gs: Numbers,
    lr: float,
    beta: float,
    scale: Callable[[int, float], tuple[float, float]],
    warmup_steps: int,
    r: float,
    weight_lr_power: float,
) -> float:
    """With x written out; returns y."""
    x = z = y = w
    total = largest = 0.0
    for t, g in enumerate(gs, 1):
        correction, n = scale(t, g)
        rate = lr * correction * min(1.0, t / warmup_steps if warmup_steps else 1.0)
        largest = max(rate, largest)
        weight = t**r * largest**weight_lr_power
        total += weight
        z -= rate * n
        x += weight / total * (z - x)
        y = (1 - beta) * z + beta * x
    return y


@each
def schedule_free_sgd(
    w: float,
    gs: Numbers,
    lr: float,
    momentum: float,
    warmup_steps: int = 0,
    r: float = 0.0,
    weight_lr_power: float = 2.0,
) -> float:
    return schedule_free(w, gs, lr, momentum, lambda t, g: (1.0, g), warmup_steps, r, weight_lr_power)


@each
def schedule_free_adamw(
    w: float,
    gs: Numbers,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    warmup_steps: int = 0,
    r: float = 0.0,
    weight_lr_power: float = 2.0,
) -> float:
    v = 0.0

    def scale(t: int, g: float) -> tuple[float, float]:
        nonlocal v
        v = betas[1] * v + (1 - betas[1]) * g**2
        return math.sqrt(1 - betas[1] ** t), g / (math.sqrt(v) + eps)

    return schedule_free(w, gs, lr, betas[0], scale, warmup_steps, r, weight_lr_power)


def norm(x: Sequence[float]) -> float:
    return math.sqrt(math.fsum(v * v for v in x))


def lamb(
    w: Sequence[float],
    gradients: Sequence[Sequence[float]],
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> Numbers:
    w, n = list(w), len(w)
    m, v = [0.0] * n, [0.0] * n
    for t, g in enumerate(gradients, 1):
        m = [betas[0] * a + (1 - betas[0]) * b for a, b in zip(m, g, strict=True)]
        v = [betas[1] * a + (1 - betas[1]) * b**2 for a, b in zip(v, g, strict=True)]
        ratio = [
            a / (1 - betas[0] ** t) / (math.sqrt(b / (1 - betas[1] ** t)) + eps)
            for a, b in zip(m, v, strict=True)
        ]
        u = [a + weight_decay * b for a, b in zip(ratio, w, strict=True)]
        trust = norm(w) / norm(u)
        w = [a - lr * trust * b for a, b in zip(w, u, strict=True)]
    return w


def lars(
    w: Sequence[float],
    gradients: Sequence[Sequence[float]],
    lr: float,
    momentum: float,
    weight_decay: float,
    trust_coefficient: float,
    eps: float = 0.0,
    nesterov: bool = False,
) -> Numbers:
    w, v = list(w), [0.0] * len(w)
    for g in gradients:
        rate = trust_coefficient * norm(w) / (norm(g) + weight_decay * norm(w) + eps)
        d = [rate * (a + weight_decay * b) for a, b in zip(g, w, strict=True)]
        v = [momentum * a + b for a, b in zip(v, d, strict=True)]
        step = [a + momentum * b for a, b in zip(d, v, strict=True)] if nesterov else v
        w = [a - lr * b for a, b in zip(w, step, strict=True)]
    return w


_FTRL = {"lr": 0.1, "beta": 1.0, "l1": 0.3, "l2": 0.5, "initial_accumulator_value": 0.1}
_MIX = {"lr": 1e-2, "betas": (0.9, 0.999, 0.9999), "alpha": 5.0, "eps": 1e-8}
CASES: list[tuple[str, Loop, dict[str, Any]]] = [
    ("Signum", signum, {"lr": 1e-2, "momentum": 0.9}),
    ("Lion", lion, {"lr": 1e-2, "betas": (0.9, 0.99)}),
    ("Rprop", rprop, {"lr": 1e-2, "etas": (0.5, 1.2), "step_sizes": (1e-6, 0.05)}),
    ("Adan", adan, {"lr": 1e-2, "betas": (0.98, 0.92, 0.99), "eps": 1e-8}),
    ("ADOPT", adopt, {"lr": 1e-2, "betas": (0.9, 0.9999), "eps": 1e-6}),
    ("ADOPT", adopt, {"lr": 1e-2, "betas": (0.9, 0.99), "eps": 0.5, "clip": False}),
    ("AdEMAMix", ademamix, _MIX),
    ("AdEMAMix", ademamix, {**_MIX, "beta3_warmup": 40, "alpha_warmup": 50}),
    ("FTRL", ftrl, {**_FTRL, "initial_linear": "zero"}),
    ("FTRL", ftrl, {**_FTRL, "l2_shrinkage": 0.1, "l2_form": "tensorflow", "initial_linear": "zero"}),
    ("FTRL", ftrl, {**_FTRL, "lr_power": -0.7, "initial_linear": "zero"}),
    ("FTRL", ftrl, {**_FTRL, "lr_power": 0.0, "initial_linear": "zero"}),
    ("SGDScheduleFree", schedule_free_sgd, {"lr": 0.1, "momentum": 0.9}),
    ("SGDScheduleFree", schedule_free_sgd, {"lr": 0.1, "momentum": 0.5, "warmup_steps": 10, "r": 0.5}),
    ("AdamWScheduleFree", schedule_free_adamw, {"lr": 1e-2, "betas": (0.9, 0.99), "eps": 1e-8}),
    (
        "AdamWScheduleFree",
        schedule_free_adamw,
        {"lr": 1e-2, "betas": (0.9, 0.99), "eps": 1e-8, "warmup_steps": 7, "weight_lr_power": 1.0},
    ),
    ("LAMB", lamb, {"lr": 1e-2, "betas": (0.9, 0.999), "eps": 1e-6, "weight_decay": 0.1}),
    ("LARS", lars, {"lr": 0.5, "momentum": 0.9, "weight_decay": 0.1, "trust_coefficient": 0.02}),
    (
        "LARS",
        lars,
        {"lr": 0.5, "momentum": 0.9, "weight_decay": 0.0, "trust_coefficient": 0.02, "nesterov": True},
    ),
]


@pytest.mark.parametrize(("name", "loop", "options"), CASES, ids=[f"{c[0]}{i}" for i, c in enumerate(CASES)])
def test_the_walk_is_the_papers(name: str, loop: Loop, options: dict[str, Any], noise: Any) -> None:
    start = noise(5, 11, np.float64)
    gradients = np.stack([noise(50 + t, 11, np.float64) for t in range(STEPS)])
    w = start.copy()
    extra = {"eps": 0.0} if name == "LARS" else {}
    optimizer = getattr(fs.optim, name)([w], **options, **extra)
    for g in gradients:
        optimizer.step([g])
    want = np.array(loop(start.tolist(), gradients.tolist(), **options))
    assert np.abs(want - start).max() > 1e-3, "nothing moved"
    np.testing.assert_allclose(w, want, rtol=1e-9, atol=1e-12)


def test_ademamix_without_its_slow_average_is_adam(noise: Any) -> None:
    a, b = np.ones(9), np.ones(9)
    mix, adam = fs.optim.AdEMAMix([a], lr=0.1, alpha=0.0), fs.optim.Adam([b], lr=0.1)
    for t in range(20):
        g = noise(t, 9, np.float64)
        mix.step([g])
        adam.step([g])
    assert np.array_equal(a, b)


def test_adan_under_a_steady_gradient_sees_no_difference() -> None:
    w = np.ones(3)
    optimizer = fs.optim.Adan([w], lr=0.1, eps=0.0)
    for _ in range(5):
        optimizer.step([np.array([2.0, -1e-3, 1e3])])
    assert (optimizer.state_of("0")["exp_avg_diff"] == 0).all()
    np.testing.assert_allclose(w, [0.5, 1.5, 0.5], rtol=1e-12)


def test_adopts_first_step_only_sets_v() -> None:
    w = np.ones(3)
    optimizer = fs.optim.ADOPT([w], lr=0.1)
    optimizer.step([np.array([3.0, 0.0, -2.0])])
    assert w.tolist() == [1.0, 1.0, 1.0]
    assert optimizer.state_of("0")["exp_avg"].tolist() == [0.0, 0.0, 0.0]
    assert optimizer.state_of("0")["exp_avg_sq"].tolist() == [9.0, 0.0, 4.0]


def test_adopts_clip_holds_a_jump() -> None:
    """A gradient of 1e6 after one of 1e-3: 1e9 standard deviations, clipped to (t − 1)^¼ = 1."""
    w = np.zeros(1)
    optimizer = fs.optim.ADOPT([w], lr=1.0, betas=(0.0, 0.9999))
    optimizer.step([np.array([1e-3])])
    optimizer.step([np.array([1e6])])
    assert w[0] == -1.0


@pytest.mark.parametrize("betas", [(0.0, 0.999, 0.9999), (0.9, 0.999, 0.0), (0.9, 0.999, 0.5)])
def test_the_warm_up_of_beta3_stays_in_range(betas: tuple[float, float, float]) -> None:
    from fourstep.optim.ademamix import warmed_beta

    values = [warmed_beta(t, betas[0], betas[2], 10) for t in range(1, 12)]
    assert all(0 <= value <= betas[2] for value in values)
    assert values[9:] == [betas[2], betas[2]]


def test_the_leak_of_each_is_named(rule: Any, dtype: Any) -> None:
    """An optimizer that is no triple says why, and what state it has beside that of its steps."""
    optimizer = rule.make([np.zeros(2, dtype)])
    four = optimizer.as_four_steps()
    if rule.name in {name for name, *_ in CASES}:
        assert four.fits == (rule.name == "Signum")
        assert len(four.states) == len(rule.states)
    assert str(four).startswith(rule.name)


def test_lion_rests_where_there_is_nothing(dtype: Any) -> None:
    """Trap 17: sign(0) = 0, so padding and frozen rows do not drift."""
    w = np.array([1.0, -2.0, 0.0], dtype)
    optimizer = fs.optim.Lion([w], lr=0.1)
    for _ in range(50):
        optimizer.step([np.zeros(3, dtype)])
    assert w.tolist() == [1.0, -2.0, 0.0]


@pytest.mark.parametrize("shared", [{}, {"maximize": True}], ids=["plain", "maximize"])
def test_rprop_is_torchs(shared: dict[str, Any], dtype: Any, noise: Any) -> None:
    torch = pytest.importorskip(
        "torch", reason="torch is not installed: Rprop was tested against the paper only"
    )
    start = noise(1, 101, dtype)
    theirs, ours = torch.tensor(start), start.copy()
    options: dict[str, Any] = {"lr": 0.02, "etas": (0.4, 1.3), "step_sizes": (1e-5, 0.3)}
    optimizer = fs.optim.Rprop([ours], **options, **shared)
    other = torch.optim.Rprop([theirs], **options, **shared)
    for t in range(100):
        g = noise(100 + t, 101, dtype)
        theirs.grad = torch.tensor(g)
        other.step()
        optimizer.step([g])
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-12 if dtype == np.float64 else 2e-6)
    for key in ("prev", "step_size"):
        np.testing.assert_allclose(
            optimizer.state_of("0")[key], other.state[theirs][key].numpy(), rtol=0, atol=1e-6
        )


def test_rprop_sees_a_turn_of_tiny_gradients() -> None:
    """Their product is 0 in float32; the product of their signs is not."""
    w = np.zeros(1, np.float32)
    optimizer = fs.optim.Rprop([w], lr=0.1)
    for g in (1e-30, -1e-30):
        optimizer.step([np.array([g], np.float32)])
    assert w[0] == np.float32(-0.1)
    assert optimizer.state_of("0")["step_size"][0] == np.float32(0.05)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("Lion", {"betas": (0.9, 1.0)}, r"betas\[1\]: got 1.0, need 0 <= "),
        ("Adan", {"betas": (0.9, 0.9)}, r"betas: got \(0.9, 0.9\), need three"),
        ("AdEMAMix", {"alpha_warmup": 1.5}, r"alpha_warmup: got 1.5, need a whole number"),
        ("AdEMAMix", {"alpha": -1.0}, r"alpha: got -1.0"),
        ("ADOPT", {"clip": 1}, r"clip: got 1, need True or False"),
        ("Rprop", {"etas": (1.5, 1.2)}, r"etas: got \(1.5, 1.2\), need 0 < etas\[0\] < 1 < etas\[1\]"),
        ("Rprop", {"step_sizes": (1.0, 0.1)}, r"step_sizes: got \(1.0, 0.1\), need the smaller one first"),
        ("LAMB", {"eps": -1.0}, r"eps: got -1.0"),
        ("LARS", {"nesterov": True, "dampening": 0.5}, r"nesterov: got momentum=0.9 and dampening=0.5"),
        ("LARS", {"trust_coefficient": 0.0}, r"trust_coefficient: got 0.0, need a finite number > 0"),
        ("FTRL", {"lr": 0.0}, r"lr: got 0.0, need a finite number > 0"),
        ("FTRL", {"lr_power": 0.5}, r"lr_power: got 0.5, need a finite number <= 0"),
        ("FTRL", {"l2_form": "keras"}, r"l2_form: got 'keras', need one of 'paper', 'tensorflow'"),
        ("FTRL", {"initial_accumulator_value": 0.0}, r"initial_accumulator_value, beta and l2: got 0"),
        ("SGDScheduleFree", {"momentum": 0.0}, r"momentum: got 0.0, need 0 < momentum < 1"),
        ("AdamWScheduleFree", {"betas": (0.0, 0.9)}, r"betas\[0\]: got 0.0, need 0 < betas\[0\] < 1"),
        ("AdamWScheduleFree", {"warmup_steps": -1}, r"warmup_steps: got -1, need a whole number"),
    ],
)
def test_out_of_range(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        getattr(fs.optim, name)([np.ones(2)], **options)
