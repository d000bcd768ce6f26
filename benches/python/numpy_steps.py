"""The NumPy rivals: each update twice, as one writes it first, and as one writes it for speed.

``naive(t, w, g, s)``
    the formula; every operation makes a new array.
``in_place(t, w, g, s, x, y)``
    the same operations into the arrays that are there, and two scratch arrays `x` and `y`.

`t` is the step, counted from 1; `s` is the state, a list of arrays that start at 0; `w` is updated in place.
Hyper-parameters are those of `cases.RULES`.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

LR = 1e-3
MOMENTUM = 0.9
RHO = 0.9
ALPHA = 0.99
BETA1, BETA2 = 0.9, 0.999
DECAY = 4e-3
WEIGHT_DECAY = 1e-2
EPS = {"adagrad": 1e-10, "adadelta": 1e-6, "rmsprop": 1e-8, "adam": 1e-8, "adamax": 1e-8, "nadam": 1e-8}


def sgd(t: int, w: Array, g: Array, s: list[Array]) -> None:
    """w ← w − lr·g."""
    w -= LR * g


def sgd_in_place(t: int, w: Array, g: Array, s: list[Array], x: Array, y: Array) -> None:
    """The same."""
    np.multiply(g, LR, out=x)
    w -= x


def momentum(t: int, w: Array, g: Array, s: list[Array]) -> None:
    """m ← γ·m + g, w ← w − lr·m."""
    s[0] = MOMENTUM * s[0] + g
    w -= LR * s[0]


def momentum_in_place(t: int, w: Array, g: Array, s: list[Array], x: Array, y: Array) -> None:
    """The same."""
    m = s[0]
    m *= MOMENTUM
    m += g
    np.multiply(m, LR, out=x)
    w -= x


def nag(t: int, w: Array, g: Array, s: list[Array]) -> None:
    """m ← γ·m + g, w ← w − lr·(g + γ·m)."""
    s[0] = MOMENTUM * s[0] + g
    w -= LR * (g + MOMENTUM * s[0])


def nag_in_place(t: int, w: Array, g: Array, s: list[Array], x: Array, y: Array) -> None:
    """The same."""
    m = s[0]
    m *= MOMENTUM
    m += g
    np.multiply(m, MOMENTUM, out=x)
    x += g
    x *= LR
    w -= x


def adagrad(t: int, w: Array, g: Array, s: list[Array]) -> None:
    """V ← V + g², w ← w − lr·g/(√V + ε)."""
    s[0] = s[0] + g * g
    w -= LR * g / (np.sqrt(s[0]) + EPS["adagrad"])


def adagrad_in_place(t: int, w: Array, g: Array, s: list[Array], x: Array, y: Array) -> None:
    """The same."""
    np.multiply(g, g, out=x)
    s[0] += x
    np.sqrt(s[0], out=x)
    x += EPS["adagrad"]
    np.multiply(g, LR, out=y)
    y /= x
    w -= y


def adadelta(t: int, w: Array, g: Array, s: list[Array]) -> None:
    """v ← ρ·v + (1 − ρ)·g², δ = √(u + ε)/√(v + ε)·g, u ← ρ·u + (1 − ρ)·δ², w ← w − lr·δ, lr = 1."""
    v, u = s
    v = RHO * v + (1 - RHO) * (g * g)
    delta = np.sqrt(u + EPS["adadelta"]) / np.sqrt(v + EPS["adadelta"]) * g
    s[:] = v, RHO * u + (1 - RHO) * (delta * delta)
    w -= delta


def adadelta_in_place(t: int, w: Array, g: Array, s: list[Array], x: Array, y: Array) -> None:
    """The same."""
    v, u = s
    np.multiply(g, g, out=x)
    x *= 1 - RHO
    v *= RHO
    v += x
    np.add(u, EPS["adadelta"], out=x)
    np.sqrt(x, out=x)
    np.add(v, EPS["adadelta"], out=y)
    np.sqrt(y, out=y)
    x /= y
    x *= g
    w -= x
    np.multiply(x, x, out=x)
    x *= 1 - RHO
    u *= RHO
    u += x


def rmsprop(t: int, w: Array, g: Array, s: list[Array]) -> None:
    """v ← α·v + (1 − α)·g², w ← w − lr·g/(√v + ε)."""
    s[0] = ALPHA * s[0] + (1 - ALPHA) * (g * g)
    w -= LR * g / (np.sqrt(s[0]) + EPS["rmsprop"])


def rmsprop_in_place(t: int, w: Array, g: Array, s: list[Array], x: Array, y: Array) -> None:
    """The same."""
    v = s[0]
    np.multiply(g, g, out=x)
    x *= 1 - ALPHA
    v *= ALPHA
    v += x
    np.sqrt(v, out=x)
    x += EPS["rmsprop"]
    np.divide(g, x, out=x)
    x *= LR
    w -= x


def adam(t: int, w: Array, g: Array, s: list[Array]) -> None:
    """m ← β₁·m + (1 − β₁)·g, v ← β₂·v + (1 − β₂)·g², w ← w − lr·m̂/(√v̂ + ε)."""
    _moments(g, s)
    m, v = s
    w -= LR / (1 - BETA1**t) * m / (np.sqrt(v) / sqrt(1 - BETA2**t) + EPS["adam"])


def adam_in_place(t: int, w: Array, g: Array, s: list[Array], x: Array, y: Array) -> None:
    """The same."""
    _moments_in_place(g, s, x)
    m, v = s
    np.sqrt(v, out=x)
    x *= 1 / sqrt(1 - BETA2**t)
    x += EPS["adam"]
    np.multiply(m, LR / (1 - BETA1**t), out=y)
    y /= x
    w -= y


def adamw(t: int, w: Array, g: Array, s: list[Array]) -> None:
    """w ← (1 − lr·λ)·w, then Adam."""
    w *= 1 - LR * WEIGHT_DECAY
    adam(t, w, g, s)


def adamw_in_place(t: int, w: Array, g: Array, s: list[Array], x: Array, y: Array) -> None:
    """The same."""
    w *= 1 - LR * WEIGHT_DECAY
    adam_in_place(t, w, g, s, x, y)


def adamax(t: int, w: Array, g: Array, s: list[Array]) -> None:
    """m ← β₁·m + (1 − β₁)·g, u ← max(β₂·u, |g| + ε), w ← w − lr·m̂/u."""
    m, u = s
    s[:] = BETA1 * m + (1 - BETA1) * g, np.maximum(BETA2 * u, np.abs(g) + EPS["adamax"])
    m, u = s
    w -= LR / (1 - BETA1**t) * m / u


def adamax_in_place(t: int, w: Array, g: Array, s: list[Array], x: Array, y: Array) -> None:
    """The same."""
    m, u = s
    np.multiply(g, 1 - BETA1, out=x)
    m *= BETA1
    m += x
    np.abs(g, out=x)
    x += EPS["adamax"]
    u *= BETA2
    np.maximum(u, x, out=u)
    np.multiply(m, LR / (1 - BETA1**t), out=y)
    y /= u
    w -= y


def radam(t: int, w: Array, g: Array, s: list[Array]) -> None:
    """Moments as Adam's, w ← w − lr·r·m̂/(√v̂ + ε), at first w − lr·m̂."""
    _moments(g, s)
    m, v = s
    rate = _rectification(t)
    if rate is None:
        w -= LR / (1 - BETA1**t) * m
    else:
        w -= rate * LR / (1 - BETA1**t) * sqrt(1 - BETA2**t) * m / (np.sqrt(v) + EPS["adam"])


def radam_in_place(t: int, w: Array, g: Array, s: list[Array], x: Array, y: Array) -> None:
    """The same."""
    _moments_in_place(g, s, x)
    m, v = s
    rate = _rectification(t)
    if rate is None:
        np.multiply(m, LR / (1 - BETA1**t), out=y)
    else:
        np.sqrt(v, out=x)
        x += EPS["adam"]
        np.multiply(m, rate * LR / (1 - BETA1**t) * sqrt(1 - BETA2**t), out=y)
        y /= x
    w -= y


def nadam(t: int, w: Array, g: Array, s: list[Array]) -> None:
    """Moments as Adam's, w ← w − (a·g + b·m)/(√v̂ + ε), with a and b from Dozat's schedule."""
    _moments(g, s)
    m, v = s
    a, b = _nadam_weights(t)
    w -= (a * g + b * m) / (np.sqrt(v) / sqrt(1 - BETA2**t) + EPS["nadam"])


def nadam_in_place(t: int, w: Array, g: Array, s: list[Array], x: Array, y: Array) -> None:
    """The same."""
    _moments_in_place(g, s, x)
    m, v = s
    a, b = _nadam_weights(t)
    np.multiply(g, a, out=x)
    np.multiply(m, b, out=y)
    x += y
    np.sqrt(v, out=y)
    y *= 1 / sqrt(1 - BETA2**t)
    y += EPS["nadam"]
    x /= y
    w -= x


def _rectification(t: int) -> float | None:
    """Return r_t, or None while ρ_t <= 5."""
    most = 2 / (1 - BETA2) - 1
    rho = most - 2 * t * BETA2**t / (1 - BETA2**t)
    if rho <= 5:
        return None
    return sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho))


def _moments(g: Array, s: list[Array]) -> None:
    m, v = s
    s[:] = BETA1 * m + (1 - BETA1) * g, BETA2 * v + (1 - BETA2) * (g * g)


def _moments_in_place(g: Array, s: list[Array], x: Array) -> None:
    m, v = s
    np.multiply(g, 1 - BETA1, out=x)
    m *= BETA1
    m += x
    np.multiply(g, g, out=x)
    x *= 1 - BETA2
    v *= BETA2
    v += x


#: Products of Nadam's momenta, μ_1·…·μ_t, as far as they were asked for.
_products = [1.0]


def _nadam_weights(t: int) -> tuple[float, float]:
    """Return the weights of g and m, learning rate included."""
    while len(_products) <= t + 1:
        _products.append(_products[-1] * _mu(len(_products)))
    return LR * (1 - _mu(t)) / (1 - _products[t]), LR * _mu(t + 1) / (1 - _products[t + 1])


def _mu(t: int) -> float:
    decayed: float = 0.96 ** (t * DECAY)
    return BETA1 * (1 - 0.5 * decayed)
