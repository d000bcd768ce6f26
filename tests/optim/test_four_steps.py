"""Compose your own: a named optimizer and its triple are the same bits, and every combination has those of its twin."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep import reference, steps
from fourstep._runtime import override
from fourstep.optim import SlowStep
from fourstep.state import StateError

Array = np.ndarray[Any, Any]

SHARED: dict[str, Any] = {
    "weight_decay": 0.02,
    "maximize": True,
    "clip_value": 0.3,
    "clip_norm": 5.0,
    "grad_scale": 2.0,
}


#: The one leak of those that always have one.
LEAKS = {
    "AdaDelta": "numerator",
    "Lion": "two memories",
    "Adan": "difference",
    "ADOPT": "division inside φ",
    "AdEMAMix": "second φ",
    "LAMB": "trust ratio",
    "LARS": "trust ratio",
    "Rprop": "step size",
    "FTRL": "solved for",
    "SGDScheduleFree": "three points",
    "AdamWScheduleFree": "three points",
}


def both(ours: Any, theirs: Any, w: Array, v: Array, noise: Any, steps: int = 30) -> None:
    for t in range(steps):
        g = noise(t + 1, w.shape, w.dtype)
        ours.step([g])
        theirs.step([g])


# Named optimizers are names for triples.


@pytest.mark.parametrize("shared", [{}, SHARED, {"weight_decay": 0.1, "decay": "decoupled"}])
def test_a_named_optimizer_has_the_bits_of_its_triple(
    rule: Any, dtype: Any, shared: dict[str, Any], noise: Any, same_bits: Any
) -> None:
    if not rule.make([np.ones(1)]).as_four_steps().fits:
        return  # its leak is tested below
    a, b = noise(0, 259, dtype), noise(0, 259, dtype)
    named = rule.make([a], **shared)
    four = named.as_four_steps()
    triple = fs.FourStep([b], **four.arguments())
    both(named, triple, a, b, noise)
    assert four.fits
    assert same_bits(a, b)
    mine, theirs = triple.state_of("0"), named.state_of("0")
    assert len(mine) == len(theirs) == len(four.states)
    for key, other in zip(mine.values(), theirs.values(), strict=True):
        assert same_bits(key, other)


@pytest.mark.parametrize("name", ["AdaDelta", "Lion", "Adan", "AdEMAMix", "LAMB"])
def test_a_leak_is_no_pretence(name: str, noise: Any, same_bits: Any) -> None:
    """The triple of an optimizer that leaks is another walk."""
    a, b = noise(0, 33, np.float64), noise(0, 33, np.float64)
    named = getattr(fs.optim, name)([a], lr=0.1)
    both(named, fs.FourStep([b], **named.as_four_steps().arguments()), a, b, noise)
    assert not np.allclose(a, b, rtol=1e-6)


def test_what_leaks_says_so_by_name(rule: Any) -> None:
    four = rule.make([np.ones(3)]).as_four_steps()
    leaks = {leak.name for leak in four.leaks}
    options = rule.options
    want = {LEAKS[rule.name]} if rule.name in LEAKS else set()
    if rule.name == "RMSProp":
        want |= {"centred"} if options.get("centered") else set()
        want |= {"momentum"} if options.get("momentum") else set()
    assert leaks == want
    assert all(f"leak: {leak.name}: " in str(four) for leak in four.leaks)
    assert four.state_bytes(np.float32) == 4 * len(rule.states)


def test_a_look_ahead_that_needs_a_closure_is_a_leak() -> None:
    for name in ("NAG", "Nadam"):
        four = getattr(fs.optim, name)([np.ones(3)], lookahead="notes").as_four_steps()
        assert [leak.name for leak in four.leaks] == ["look-ahead"]
        assert four.point.startswith("w − α·m")


def test_options_are_steps_1_and_4() -> None:
    opt = fs.optim.SGD([np.ones(3)], lr=0.1, clip_value=0.5, clip_norm=2.0, weight_decay=0.1, maximize=True)
    four = opt.as_four_steps()
    assert four.gradient == (
        steps.maximize(),
        steps.clip_norm(2.0),
        steps.clip_value(0.5),
        steps.l2(0.1),
    )
    assert four.update == steps.descend()
    decoupled = fs.optim.AdamW([np.ones(3)]).as_four_steps()
    assert decoupled.gradient == ()
    assert decoupled.update == steps.decoupled(1e-2)
    assert "w ← (1 − α·λ)·w − η" in str(decoupled)


# The notes' own formulas (O5, O14, O15), as loops in float64 written from them.


def walk(optimizer: Any, w: Array, gradients: Array) -> Array:
    for g in gradients:
        optimizer.step([g])
    return w


def test_the_notes_adagrad_has_eps_inside(noise: Any) -> None:
    gradients, w, v = noise(1, (20, 9), np.float64), np.ones(9), np.zeros(9)
    opt = fs.FourStep([w], lr=0.1, second=steps.sum_sq(), direction=steps.ratio(1e-3, eps_inside=True))
    walk(opt, w, gradients)
    want = np.ones(9)
    for g in gradients:
        v += g**2
        want -= 0.1 / np.sqrt(v + 1e-3) * g
    np.testing.assert_allclose(w, want, rtol=1e-13)


def test_the_notes_adadelta_is_our_rmsprop(noise: Any, same_bits: Any) -> None:
    gradients, w, v = noise(1, (20, 9), np.float64), np.ones(9), np.zeros(9)
    second = steps.ema_sq(0.9, bias_correction=False)
    opt = fs.FourStep([w], lr=0.1, second=second, direction=steps.ratio(1e-8, lr_last=True))
    walk(opt, w, gradients)
    want = np.ones(9)
    for g in gradients:
        v = 0.9 * v + 0.1 * g**2
        want -= 0.1 * g / (np.sqrt(v) + 1e-8)
    np.testing.assert_allclose(w, want, rtol=1e-13)
    named = np.ones(9)
    walk(fs.optim.RMSProp([named], lr=0.1, alpha=0.9), named, gradients)
    assert same_bits(named, w)


def test_the_notes_adam_has_no_correction(noise: Any, same_bits: Any) -> None:
    gradients, w = noise(1, (20, 9), np.float64), np.ones(9)
    parts: dict[str, Any] = {"first": steps.ema(0.9, False), "second": steps.ema_sq(0.999, False)}
    walk(fs.FourStep([w], lr=0.1, **parts), w, gradients)
    want, m, v = np.ones(9), np.zeros(9), np.zeros(9)
    for g in gradients:
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g**2
        want -= 0.1 * m / (np.sqrt(v) + 1e-8)
    np.testing.assert_allclose(w, want, rtol=1e-12)
    named = np.ones(9)
    walk(fs.optim.Adam([named], lr=0.1, bias_correction=False), named, gradients)
    assert same_bits(named, w)


def test_the_first_uncorrected_step_is_316_times_too_long() -> None:
    """O15: (1 − β₁)/√(1 − β₂)."""
    w = np.zeros(1)
    fs.optim.Adam([w], lr=1.0, eps=0.0, bias_correction=False).step([np.array([2.0])])
    assert -w[0] == pytest.approx(0.1 / np.sqrt(0.001), rel=1e-12)


# The papers, as loops in float64 written from them.


def test_yogi_is_the_papers(noise: Any) -> None:
    gradients, w = noise(3, (50, 33), np.float64), np.ones(33)
    walk(fs.optim.Yogi([w], lr=0.1, betas=(0.9, 0.99), eps=1e-3), w, gradients)
    for i in range(33):
        x, m, v = 1.0, 0.0, 1e-6
        for g in gradients[:, i]:
            m = 0.9 * m + 0.1 * g
            v = v - (1 - 0.99) * np.sign(v - g * g) * g * g
            x = x - 0.1 * m / (np.sqrt(v) + 1e-3)
        assert w[i] == pytest.approx(x, rel=1e-12)


def test_adabelief_is_the_papers(noise: Any) -> None:
    gradients, w = noise(4, (50, 33), np.float64), np.ones(33)
    walk(fs.optim.AdaBelief([w], lr=0.1, betas=(0.9, 0.99), eps=1e-6, eps_root=1e-6), w, gradients)
    for i in range(33):
        x, m, s = 1.0, 0.0, 0.0
        for t, g in enumerate(gradients[:, i], start=1):
            m = 0.9 * m + (1 - 0.9) * g
            s = 0.99 * s + (1 - 0.99) * (g - m) ** 2 + 1e-6
            x -= 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(s / (1 - 0.99**t)) + 1e-6)
        assert w[i] == pytest.approx(x, rel=1e-10)


def test_optaxs_amsgrad_compares_what_is_corrected(noise: Any) -> None:
    gradients, w = noise(5, (50, 33), np.float64), np.ones(33)
    walk(fs.optim.Adam([w], lr=0.1, amsgrad=True, amsgrad_max="hat"), w, gradients)
    for i in range(33):
        x, m, v, largest = 1.0, 0.0, 0.0, 0.0
        for t, g in enumerate(gradients[:, i], start=1):
            m = 0.9 * m + (1 - 0.9) * g
            v = 0.999 * v + (1 - 0.999) * g * g
            largest = max(largest, v / (1 - 0.999**t))
            x -= 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(largest) + 1e-8)
        assert w[i] == pytest.approx(x, rel=1e-10)


def test_keras_epsilon_hat(noise: Any) -> None:
    gradients, w = noise(6, (50, 33), np.float64), np.ones(33)
    walk(fs.optim.Adam([w], lr=0.1, eps=1e-3, eps_hat=True), w, gradients)
    for i in range(33):
        x, m, v = 1.0, 0.0, 0.0
        for t, g in enumerate(gradients[:, i], start=1):
            m += (g - m) * (1 - 0.9)
            v += (g * g - v) * (1 - 0.999)
            x -= m * 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) / (np.sqrt(v) + 1e-3)
        assert w[i] == pytest.approx(x, rel=1e-10)


# Every combination has the bits of its twin.

FIRSTS = [
    steps.plain(),
    steps.heavy_ball(0.9, 0.1),
    steps.heavy_ball(0.8, lr_inside=True),
    steps.ema(0.9),
    steps.ema(0.9, bias_correction=False),
    steps.nesterov(0.9),
    steps.nesterov(0.8, lr_inside=True),
    steps.nesterov_ema(0.9),
    steps.nesterov_ema(0.9, "simple"),
]
SECONDS = [
    steps.none(),
    steps.sum_sq(0.1),
    steps.ema_sq(0.99),
    steps.ema_sq(0.99, bias_correction=False, start=1.0),
    steps.max_sq(0.99),
    steps.max_sq(0.99, over="hat"),
    steps.inf_norm(0.99, 1e-3),
    steps.belief(0.99, eps=1e-8),
    steps.yogi(0.99),
]
WITHOUT = [steps.along(), steps.sign()]
OVER = [steps.ratio(1e-3), steps.ratio(1e-3, eps_inside=True, lr_decay=0.1), steps.ratio(1e-3, lr_last=True)]


def combinations() -> list[tuple[Any, Any, Any]]:
    found = []
    for first, second in itertools.product(FIRSTS, SECONDS):
        directions: list[Any] = OVER if second != steps.none() else WITHOUT
        if isinstance(second, steps.inf_norm):
            directions = [steps.ratio(1e-3), steps.ratio(0.0)]
        if second == steps.ema_sq(0.99):
            directions = [*directions, steps.ratio(eps_hat=True, eps_root=1e-4), steps.rectified(1e-4)]
        for direction in directions:
            no_belief = isinstance(second, steps.belief) and first == steps.plain()
            no_sign = direction == steps.sign() and getattr(first, "lr_inside", False)
            if not no_belief and not no_sign:
                found.append((first, second, direction))
    return found


@pytest.mark.parametrize("parts", combinations(), ids=str)
def test_any_triple_has_the_bits_of_its_twin(
    parts: tuple[Any, Any, Any], dtype: Any, noise: Any, same_bits: Any
) -> None:
    shapes = {"a": (3, 5), "b": (), "c": (0,), "d": (131,)}
    ours = {name: noise(i, shape, dtype, special=True) for i, (name, shape) in enumerate(shapes.items())}
    theirs = {name: array.copy() for name, array in ours.items()}
    gradient = [steps.clip_value(0.3), steps.l2(0.01)]
    optimizer = fs.FourStep(ours, 0.03, *parts, gradient=gradient)
    twin = reference.FourStep(theirs, 0.03, *parts, gradient=gradient)
    levels = fs.runtime().levels
    for t in range(12):
        grads = {
            name: noise(50 * t + i, a.shape, dtype, special=True) for i, (name, a) in enumerate(ours.items())
        }
        with override(level=levels[t % len(levels)], threads=1 + t % 3, chunk=16, serial_below=0):
            optimizer.step(grads)
        twin.step(grads)
    for name in ours:
        assert same_bits(ours[name], theirs[name])
        state = optimizer.state_of(name)
        assert set(state) == set(twin.states)
        for key, value in state.items():
            assert same_bits(value, twin.state[name][key]), key


def test_groups_may_have_other_steps(noise: Any, same_bits: Any) -> None:
    a, b = {"w": noise(0, 9, np.float32), "bias": noise(1, 9, np.float32)}, noise(1, 9, np.float32)
    groups: list[dict[str, Any]] = [{"params": "bias", "first": steps.plain(), "lr": 0.5}, {"params": ...}]
    opt = fs.FourStep(a, lr=0.1, first=steps.ema(), groups=groups)
    sgd = fs.optim.SGD([b], lr=0.5)
    for t in range(5):
        g = noise(t, 9, np.float32)
        opt.step({"w": g, "bias": g})
        sgd.step([g])
    assert same_bits(a["bias"], b)
    assert list(opt.state_of("w")) == ["exp_avg"]
    assert opt.state_of("bias") == {}


def test_a_composed_optimizer_resumes_with_the_same_bits(tmp_path: Path, noise: Any, same_bits: Any) -> None:
    def made(seed: int) -> tuple[dict[str, Array], Any]:
        w = {"w": noise(seed, 33, np.float32)}
        parts: dict[str, Any] = {
            "first": steps.nesterov_ema(),
            "second": steps.yogi(0.99),
            "direction": steps.ratio(1e-3),
        }
        return w, fs.FourStep(w, lr=fs.schedules.Cosine(0.1, T_max=20), **parts)

    w, opt = made(0)
    for t in range(5):
        opt.step({"w": noise(t, 33, np.float32)})
    fs.save(tmp_path / "run.npz", {"w": w["w"], "opt": opt.state_dict()})
    again, fresh = made(1)
    loaded = fs.load(tmp_path / "run.npz")
    again["w"][...] = loaded["w"]
    fresh.load_state_dict(loaded["opt"])
    for t in range(5, 10):
        opt.step({"w": noise(t, 33, np.float32)})
        fresh.step({"w": noise(t, 33, np.float32)})
    assert same_bits(w["w"], again["w"])
    assert fresh.param_groups[0]["first"] == steps.nesterov_ema()


# What does not go together is refused, by name.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first": steps.ema_sq()}, r"first: got ema_sq\(beta=0.999\), need a step \(plain, heavy_ball, ema"),
        ({"first": steps.ema}, r"first: got <class .*, need a step"),
        ({"second": 3}, r"second: got 3, need a step \(none, sum_sq"),
        (
            {"direction": steps.ratio()},
            r"direction: ratio divides by a second moment, and second is none\(\)",
        ),
        (
            {"second": steps.sum_sq(), "direction": steps.along()},
            r"second: a direction of along\(\) makes no use of it",
        ),
        ({"second": steps.belief()}, r"second: belief\(\) is in a first moment, and first is plain\(\)"),
        (
            {"second": steps.sum_sq(), "direction": steps.rectified()},
            r"direction: rectified\(\) is for second=ema_sq\(\)",
        ),
        (
            {"first": steps.heavy_ball(lr_inside=True), "direction": steps.sign()},
            r"direction: sign\(\) drops the learning rate",
        ),
        (
            {"second": steps.inf_norm(), "direction": steps.ratio(eps_root=1e-3)},
            r"direction: eps_root is for a root, and inf_norm\(\) has none",
        ),
        (
            {"gradient": [steps.l2(0.1), steps.clip_value(1.0)]},
            r"gradient: clip_value is out of order; the pass takes maximize, unscale, clip_norm, clip_value, l2, f",
        ),
        ({"gradient": [steps.l2(0.1), steps.l2(0.1)]}, r"gradient: l2 is out of order"),
        ({"gradient": [steps.ema()]}, r"gradient: got ema\(beta=0.9\), need maximize"),
        ({"gradient": steps.l2(0.1)}, r"gradient: got l2\(weight_decay=0.1\), need a list of steps"),
        ({"gradient": [3]}, r"gradient: got 3, need maximize"),
        ({"update": steps.ema()}, r"update: got ema\(beta=0.9\), need descend, decoupled"),
        ({"update": 3}, r"update: got 3, need a step or a function"),
        (
            {"gradient": [steps.l2(0.1)], "update": steps.decoupled(0.1)},
            r"update: got decoupled\(weight_decay=0.1\) beside l2\(\)",
        ),
        ({"gradient": [steps.l2(0.1)], "weight_decay": 0.1}, r"weight_decay: got it twice"),
        (
            {"first": lambda m, g, t: g, "copy_out": "bfloat16"},
            r"copy_out: is of the kernels, and first is a function",
        ),
    ],
)
def test_wrong_steps(options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        fs.FourStep([np.ones(3)], **options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: steps.ema(1.0), r"ema: beta: got 1.0, need 0 <= beta < 1"),
        (lambda: steps.from_dict({"step": "ema", "beta": "a"}), r"ema: beta: got 'a', need a number"),
        (lambda: steps.ratio(-1.0), r"ratio: eps: got -1.0, need a finite number >= 0"),
        (
            lambda: steps.from_dict({"step": "max_sq", "over": "both"}),
            r"max_sq: over: got 'both', need one of 'raw', 'hat'",
        ),
        (lambda: steps.heavy_ball(0.9, 0.1, True), r"heavy_ball: lr_inside needs dampening 0, got 0.1"),
        (lambda: steps.clip_norm(0.0), r"clip_norm: limit: got 0.0, need a finite number > 0"),
        (lambda: steps.from_dict({"step": "emma"}), r"no step 'emma'; there are maximize"),
        (
            lambda: steps.from_dict({"step": "ema", "gamma": 0.9}),
            r"ema: .*unexpected keyword argument 'gamma'",
        ),
    ],
)
def test_wrong_hyper_parameters(make: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_every_step_tells_what_it_does() -> None:
    for kind in steps.KINDS.values():
        required = {"limit": 0.5, "scale": 2.0, "weight_decay": 0.1}
        names = [name for name in required if name in kind.__dataclass_fields__]
        step = kind(**{name: required[name] for name in names})
        assert step.formula()
        assert re.search(r"\\|=", step.latex())
        assert steps.from_dict(step.to_dict()) == step
        assert eval(repr(step), vars(steps)) == step
        assert all(symbol.strip("_0r") in step.formula() for symbol in step.values()), step


@pytest.mark.parametrize("module", ["steps", "optim", "reference", "optim.compose", "optim.compare"])
def test_modules_can_be_imported_in_any_order(module: str) -> None:
    """Steps need the checks of `optim`, and optimizers need the steps."""
    code = f"import fourstep.{module}; from fourstep import steps, optim, reference, FourStep; steps.ema(0.5)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# Steps of the user's own.


def test_a_function_for_any_step_has_the_right_bits_for_the_rest(noise: Any, same_bits: Any) -> None:
    """Each function below is what a step does; so the bits are those of the kernels."""

    def first(m: Array, g: Array, t: int) -> Array:
        return 0.9 * m + (1 - 0.9) * g

    def second(v: Array, g: Array, m: Array, t: int) -> Array:
        return 0.99 * v + (1 - 0.99) * (g * g)

    def direction(m: Array, v: Array, lr: float, t: int) -> Array:
        return lr * m / (np.sqrt(v) + 1e-3)

    def update(w: Array, eta: Array, t: int) -> Array:
        return w - eta

    def gradient(w: Array, g: Array, t: int) -> Array:
        return g + 0.02 * w

    parts: dict[str, Any] = {
        "first": steps.ema(0.9, False),
        "second": steps.ema_sq(0.99, False),
        "direction": steps.ratio(1e-3),
    }
    want = noise(0, (9, 31), np.float32)
    kernels = fs.FourStep([want], lr=0.1, gradient=[steps.clip_norm(1.0), steps.l2(0.02)], **parts)
    for t in range(8):
        kernels.step([noise(t + 1, (9, 31), np.float32)])
    changes: tuple[dict[str, Any], ...] = (
        {"first": first},
        {"second": second},
        {"direction": direction},
        {"update": update},
        {"gradient": [steps.clip_norm(1.0), gradient]},
        {"first": first, "second": second, "direction": direction, "update": update},
    )
    for changed in changes:
        w = noise(0, (9, 31), np.float32)
        own: dict[str, Any] = {"gradient": [steps.clip_norm(1.0), steps.l2(0.02)], **parts, **changed}
        opt = fs.FourStep([w], lr=0.1, **own)
        with pytest.warns(SlowStep, match=r"Python function.*took \d+\.\d times as long, for 279 elements"):
            opt.step([noise(1, (9, 31), np.float32)])
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # it warns once
            for t in range(1, 8):
                opt.step([noise(t + 1, (9, 31), np.float32)])
        assert same_bits(w, want), list(changed)
        assert opt.step_count == 8
        names = {"m" if "first" in changed else "exp_avg", "v" if "second" in changed else "exp_avg_sq"}
        assert set(opt.state_of("0")) == names
        assert "(…)" in str(opt.as_four_steps())


@pytest.mark.filterwarnings("ignore::fourstep.optim.SlowStep")
def test_a_function_that_raises_or_returns_nonsense_leaves_everything(same_bits: Any) -> None:
    calls = 0

    def second(v: Array, g: Array, m: Array, t: int) -> Any:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise ZeroDivisionError("in the function")
        return v + g * g

    w = {"a": np.ones(3), "b": np.ones(4)}
    opt = fs.FourStep(w, lr=0.1, second=second)
    opt.step({"a": np.ones(3), "b": np.ones(4)})
    before = {name: array.copy() for name, array in w.items()}
    state = opt.state_of("a")["v"].copy()
    with pytest.raises(ZeroDivisionError, match="in the function"):
        opt.step({"a": np.ones(3), "b": np.ones(4)})
    assert opt.step_count == 1
    assert all(same_bits(w[name], before[name]) for name in w)
    assert same_bits(opt.state_of("a")["v"], state)

    bad = fs.FourStep([np.ones(3)], first=lambda m, g, t: g[:2])
    with pytest.raises(ValueError, match=r"first: the function returned shape \(2,\), need \(3,\)"):
        bad.step([np.ones(3)])
    bad = fs.FourStep([np.ones(3)], update=lambda w, eta, t: "w")
    with pytest.raises(TypeError, match=r"update: the function returned str, need an array of numbers"):
        bad.step([np.ones(3)])


@pytest.mark.filterwarnings("ignore::fourstep.optim.SlowStep")
def test_a_function_goes_with_the_options_of_the_pass(noise: Any, same_bits: Any) -> None:
    options: dict[str, Any] = {"ema_decay": 0.9, "cautious": "mask", "grad_scale": 2.0, "zero_grad": True}
    arenas = [fs.Arena({"a": noise(0, 5, np.float32), "b": noise(1, 7, np.float32)}) for _ in range(2)]
    groups: list[dict[str, Any]] = [
        {"params": "a", "clip_norm": 0.5},
        {"params": ..., "weight_decay": 0.1, "decay": "decoupled"},
    ]
    kernels = fs.FourStep(arenas[0], first=steps.ema(), groups=groups, **options)

    def update(w: Array, eta: Array, t: int) -> Array:
        return w - eta

    written = fs.FourStep(
        arenas[1], first=steps.ema(), groups=[groups[0], {"params": ...}], update=update, **options
    )
    for t in range(5):
        for arena in arenas:
            arena.grad["a"], arena.grad["b"] = noise(t, 5, np.float32), noise(9 + t, 7, np.float32)
        kernels.step()
        written.step()
        assert not arenas[1].grad["b"].any()
    assert same_bits(arenas[0]["a"], arenas[1]["a"])
    assert same_bits(kernels.ema["a"], written.ema["a"])


@pytest.mark.filterwarnings("ignore::fourstep.optim.SlowStep")
def test_gradients_that_are_not_finite_meet_the_same_rules_there() -> None:
    def first(m: Array, g: Array, t: int) -> Array:
        return m + g

    bad = [np.array([1.0, np.nan])]
    w = np.ones(2)
    opt = fs.FourStep([w], first=first, skip_nonfinite="error")
    with pytest.raises(FloatingPointError, match=r"nothing was updated; the gradient of 0 is nan at \(1,\)"):
        opt.step(bad)
    opt = fs.FourStep([w], first=first, skip_nonfinite="step")
    opt.step(bad)
    assert (w == 1).all()
    assert opt.step_count == 0
    assert opt.last.skipped
    opt = fs.FourStep([w], first=first, clip_norm=1.0)
    with pytest.raises(FloatingPointError, match=r"clip_norm: the gradient's norm is nan"):
        opt.step(bad)
    opt = fs.FourStep([w], lr=1.0, first=first, skip_nonfinite="element")
    opt.step(bad)
    assert w.tolist() == [0.0, 1.0]


@pytest.mark.filterwarnings("ignore::fourstep.optim.SlowStep")
def test_a_function_is_not_saved_but_found_again() -> None:
    def mine(m: Array, g: Array, t: int) -> Array:
        return 0.5 * m + g

    opt = fs.FourStep([np.ones(2)], first=mine)
    opt.step([np.ones(2)])
    state = opt.state_dict()
    again = fs.FourStep([np.ones(2)], first=mine)
    again.load_state_dict(state)
    assert again.state_of("0")["m"].tolist() == [1.0, 1.0]
    with pytest.raises(StateError, match=r"first was the function .*mine, which cannot be saved"):
        fs.FourStep([np.ones(2)], first=steps.ema()).load_state_dict(state)


# The comparison (O2).


def test_compare_is_the_notes_line_and_the_family() -> None:
    found = fs.optim.compare()
    names = [row.name for row in found.rows]
    assert names[:8] == ["SGD", "SGD-M", "NAG", "AdaGrad", "AdaDelta", "RMSProp", "Adam", "Nadam"]
    assert all(row.state_bytes == 4 * len(row.four_steps.states) for row in found)
    wide = fs.optim.compare(np.float64)
    assert [row.state_bytes for row in wide] == [2 * row.state_bytes for row in found]
    assert found["AMSGrad"].state_bytes == 12
    with pytest.raises(KeyError, match="no optimizer is called 'Adum'; there are SGD"):
        found["Adum"]


def test_the_lineage_says_what_each_adds() -> None:
    found = fs.optim.compare()
    adds = {(step.parent, step.child): step.adds for step in found.lineage()}
    assert all(adds.values()), "whoever has a parent differs from it"
    assert adds["Adam", "AdamW"] == "w ← (1 − α·λ)·w − η"
    assert adds["Adam", "AMSGrad"].startswith("v ← β₂·v + (1 − β₂)·g², V ← max(V, v)")
    assert adds["AdaGrad", "RMSProp"] == "V ← β₂·V + (1 − β₂)·g²"
    assert {parent for parent, child in adds if child == "Adam"} == {"SGD-M", "RMSProp"}
    names = {row.name for row in found}
    assert {name for pair in adds for name in pair} == names
    assert repr(found).count("→") == len(adds)


def test_every_named_optimizer_is_compared_or_says_why_not() -> None:
    classes = {
        value
        for value in vars(fs.optim).values()
        if isinstance(value, type) and issubclass(value, fs.optim.Optimizer)
    }
    own = {cls for cls in classes if "_four_steps" in vars(cls) or "_decay" in vars(cls)} - {
        fs.optim.Optimizer
    }
    compared = {row.four_steps.name for row in fs.optim.compare()}
    compared |= {"FourStep", "LazyAdam", "RowwiseAdagrad"}  # yours; Adam and AdaGrad by rows
    assert {cls.__name__ for cls in own} <= compared
