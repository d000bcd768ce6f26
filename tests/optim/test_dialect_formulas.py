"""The papers' and the notes' dialects, against their formulas written out once more, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep.optim.dialects.against import example_gradients, example_start

Array = np.ndarray[Any, Any]
#: (t from 1, w, g, memory that starts at 0) -> w.
Formula = Callable[[int, Array, Array, dict[str, Any]], Any]


def ema(s: dict[str, Any], key: str, beta: float, new: Array) -> Any:
    s[key] = beta * s.get(key, 0.0) + (1 - beta) * new
    return s[key]


def total(s: dict[str, Any], key: str, keep: float, new: Array) -> Any:
    s[key] = keep * s.get(key, 0.0) + new
    return s[key]


def adadelta(t: int, w: Array, g: Array, s: dict[str, Any]) -> Any:
    v, u = ema(s, "v", 0.95, g * g), s.get("u", 0.0)
    step = np.sqrt(u + 1e-6) / np.sqrt(v + 1e-6) * g
    ema(s, "u", 0.95, step * step)
    return w - step


def adamax(t: int, w: Array, g: Array, s: dict[str, Any]) -> Any:
    m = ema(s, "m", 0.9, g)
    s["u"] = np.maximum(0.999 * s.get("u", 0.0), np.abs(g) + 1e-8)
    return w - 0.002 / (1 - 0.9**t) * m / s["u"]


def adabelief(t: int, w: Array, g: Array, s: dict[str, Any]) -> Any:
    m = ema(s, "m", 0.9, g)
    s["s"] = 0.999 * s.get("s", 0.0) + 0.001 * (g - m) ** 2 + 1e-8
    return w - 1e-3 * m / (1 - 0.9**t) / (np.sqrt(s["s"] / (1 - 0.999**t)) + 1e-8)


def yogi(t: int, w: Array, g: Array, s: dict[str, Any]) -> Any:
    m, v = ema(s, "m", 0.9, g), s.get("v", 1e-6)
    s["v"] = v - 0.001 * np.sign(v - g * g) * g * g
    return w - 0.01 * m / (np.sqrt(s["v"]) + 1e-3)


def adam_hat(t: int, g: Array, s: dict[str, Any]) -> Any:
    m, v = ema(s, "m", 0.9, g), ema(s, "v", 0.999, g * g)
    return m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)


def lion(t: int, w: Array, g: Array, s: dict[str, Any]) -> Any:
    c = 0.9 * s.get("m", 0.0) + 0.1 * g
    ema(s, "m", 0.99, g)
    return w - 0.01 * (np.sign(c) + 0.1 * w)


def ftrl(t: int, w: Array, g: Array, s: dict[str, Any]) -> Any:
    n, z = s.get("n", 0.0), s.get("z", 0.0)
    s["n"] = n + g * g
    s["z"] = z + g - (np.sqrt(s["n"]) - np.sqrt(n)) / 0.1 * w
    sparse = np.sign(s["z"]) * np.maximum(np.abs(s["z"]) - 1e-3, 0.0)
    return -sparse / ((1.0 + np.sqrt(s["n"])) / 0.1 + 0.5)


FORMULAS: dict[tuple[str, str], tuple[dict[str, Any], Formula]] = {
    ("notes", "SGD"): ({"lr": 0.1, "momentum": 0.9}, lambda t, w, g, s: w - total(s, "m", 0.9, 0.1 * g)),
    ("notes", "AdaGrad"): (
        {"lr": 0.1, "eps": 1e-3},
        lambda t, w, g, s: w - 0.1 * g / np.sqrt(total(s, "v", 1.0, g * g) + 1e-3),
    ),
    ("notes", "RMSProp"): (
        {"lr": 0.1, "alpha": 0.9, "eps": 1e-3},
        lambda t, w, g, s: w - 0.1 * g / (np.sqrt(ema(s, "v", 0.9, g * g)) + 1e-3),
    ),
    ("notes", "Adam"): (
        {"lr": 0.1, "eps": 1e-3},
        lambda t, w, g, s: w - 0.1 * ema(s, "m", 0.9, g) / (np.sqrt(ema(s, "v", 0.999, g * g)) + 1e-3),
    ),
    ("paper", "SGD"): ({"lr": 0.1, "momentum": 0.9}, lambda t, w, g, s: w - total(s, "m", 0.9, 0.1 * g)),
    ("paper", "SGDW"): (
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3},
        lambda t, w, g, s: w - total(s, "m", 0.9, 0.1 * g) - 1e-3 * w,
    ),
    ("paper", "AdaGrad"): (
        {"lr": 0.1, "eps": 1e-3},
        lambda t, w, g, s: w - 0.1 * g / (np.sqrt(total(s, "v", 1.0, g * g)) + 1e-3),
    ),
    ("paper", "AdaDelta"): ({}, adadelta),
    ("paper", "RMSProp"): (
        {},
        lambda t, w, g, s: w - 1e-3 * g / (np.sqrt(ema(s, "v", 0.9, g * g)) + 1e-8),
    ),
    ("paper", "Adam"): ({}, lambda t, w, g, s: w - 1e-3 * adam_hat(t, g, s)),
    ("paper", "AdamW"): ({"weight_decay": 1e-3}, lambda t, w, g, s: w - 1e-3 * adam_hat(t, g, s) - 1e-3 * w),
    ("paper", "Adamax"): ({}, adamax),
    ("paper", "AdaBelief"): ({}, adabelief),
    ("paper", "Yogi"): ({}, yogi),
    ("paper", "Lion"): ({"lr": 0.01, "weight_decay": 0.1}, lion),
    ("paper", "FTRL"): ({"lr": 0.1, "l1": 1e-3, "l2": 0.5}, ftrl),
}


@pytest.mark.parametrize(("dialect", "name"), FORMULAS)
def test_the_walk_of_the_formula(dialect: str, name: str) -> None:
    options, formula = FORMULAS[dialect, name]
    ours = example_start(256)
    theirs, memory = ours.copy(), dict[str, Any]()
    optimizer = getattr(fs.optim, name)([ours], dialect=dialect, **options)
    for t, g in enumerate(example_gradients(20), start=1):
        optimizer.step([g])
        theirs = formula(t, theirs, g, memory)
    assert np.abs(ours - example_start(256)).max() > 1e-4
    assert np.abs(ours - theirs).max() <= 1e-10


@pytest.mark.parametrize("name", ["NAG", "Nadam"])
def test_the_notes_look_ahead_by_the_whole_step(name: str) -> None:
    """O10, O16: g at w − α·m/√V with the moments of the step before. On f = ½·Σ a·w²."""
    a = np.linspace(0.1, 1.0, 5)
    ours = np.ones(5)
    optimizer = getattr(fs.optim, name)([ours], lr=0.1, dialect="notes")
    w, m, v = np.ones(5), np.zeros(5), np.zeros(5)
    for _ in range(20):
        optimizer.step(lambda: (0.0, [a * ours]))
        if name == "NAG":
            m = 0.9 * m + a * (w - 0.1 * m)
            w = w - 0.1 * m
        else:
            g = a * (w - 0.1 * m / (np.sqrt(v) + 1e-8))
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            w = w - 0.1 * m / (np.sqrt(v) + 1e-8)
    assert np.abs(ours - w).max() <= 1e-10
    assert np.abs(ours - 1).max() > 0.1
