"""Any φ × ψ × direction, by the parts of `fourstep.steps`; each may also be a function of whole arrays.

1  gradient     clipped, negated, plus λ·w; then each function g ← f(w, g, t)
2  moments      m ← φ(m, g), V ← ψ(V, g, m)              functions: m ← f(m, g, t), V ← f(V, g, m, t)
3  direction    α·m, α·m/√V, α·sign(m)                   function: η = f(m, V, α, t)
4  update       w ← keep·w − η                           function: w ← f(w, η, t)

m and V come into step 3 freed of their start at 0, where they are. α is multiplied where the named optimizers multiply
it: with the numerator's coefficients, or with the whole where g and m were mixed as g + γ·m, or with `lr_last`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fourstep import steps
from fourstep.exact_math import pow, power
from fourstep.reference.base import Array, Optimizer, State, largest, root_of, sign
from fourstep.reference.radam import rectification
from fourstep.steps import is_step

#: A step, or a function in its place.
Part = Any


class FourStep(Optimizer):
    """Twin of `fourstep.FourStep`."""

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float] = 1e-3,
        first: Part = None,
        second: Part = None,
        direction: Part = None,
        *,
        gradient: Sequence[Part] = (),
        update: Part = None,
        **shared: Any,
    ) -> None:
        self.first: Part = first or steps.plain()
        self.second: Part = second or steps.none()
        self.direct: Part = direction or (steps.ratio() if self.second != steps.none() else steps.along())
        self.updates: Part = update or steps.descend()
        self.functions = [part for part in gradient if not is_step(part)]
        self.states = (*states_of(self.first, "m"), *states_of(self.second, "v"))
        for part in (*gradient, self.updates):
            if isinstance(part, steps.GradientStep | steps.UpdateStep):
                shared.update(part.options())
        super().__init__(params, lr, **shared)
        self.started = False
        self.product = 1.0  # Π of Nadam's schedule
        for state in self.state.values():
            for key in states_of(self.second, "v")[:1]:
                state[key] += getattr(self.second, "start", 0.0)

    def begin(self) -> None:
        """Count the step and its momentum."""
        self.started = self.t > 0
        super().begin()
        if getattr(self.first, "form", None) == "schedule":
            self.product *= self.mu(self.t)

    def mu(self, t: int) -> float:
        """Return μ_t of Dozat's schedule."""
        beta: float = self.first.beta
        return beta * (1 - 0.5 * pow(0.96, t * self.first.momentum_decay))

    def correction(self, step: Part) -> float:
        """Return 1 − β^t, or 1."""
        return 1 - power(step.beta, self.t) if getattr(step, "bias_correction", False) else 1.0

    # 1  gradient

    def gradient(self, w: Array, g: Array, scale: float) -> Array:
        """Return g after all of step 1."""
        g = super().gradient(w, g, scale)
        for function in self.functions:
            g = returned("gradient", function(w, g, self.t), w)
        return g

    # 2  moments

    def moments(self, s: State, w: Array, g: Array) -> None:
        """Update m, then V."""
        for key, value in zip(states_of(self.first, "m"), self.after_first(s, g), strict=True):
            s[key][...] = value
        for key, value in zip(states_of(self.second, "v"), self.after_second(s, g), strict=True):
            s[key][...] = value

    def after_first(self, s: State, g: Array) -> list[Array]:
        """Return m after this gradient."""
        first = self.first
        old = s[states_of(first, "m")[0]] if states_of(first, "m") else g
        if not is_step(first):
            return [returned("first", first(old, g, self.t), g)]
        if isinstance(first, steps.plain):
            return []
        if isinstance(first, steps.ema | steps.nesterov_ema):
            return [first.beta * old + (1 - first.beta) * g]
        if getattr(first, "lr_inside", False):
            return [first.momentum * old + self.lr * g]
        dampening = first.dampening if isinstance(first, steps.heavy_ball) and self.started else 0.0
        return [first.momentum * old + (1 - dampening) * g]

    def after_second(self, s: State, g: Array) -> list[Array]:
        """Return V after this gradient; with a maximum, v and V."""
        second = self.second
        names = states_of(second, "v")
        old = s[names[0]] if names else g
        m = s[states_of(self.first, "m")[0]] if states_of(self.first, "m") else g
        if not is_step(second):
            return [returned("second", second(old, g, m, self.t), g)]
        if isinstance(second, steps.none):
            return []
        if isinstance(second, steps.sum_sq):
            return [old + g * g]
        if isinstance(second, steps.inf_norm):
            return [largest(second.beta * old, np.abs(g) + second.eps)]
        if isinstance(second, steps.yogi):
            return [old - sign(old - g * g) * ((1 - second.beta) * (g * g))]
        if isinstance(second, steps.belief):
            surprise = g - m
            return [second.beta * old + (1 - second.beta) * (surprise * surprise) + second.eps]
        v = second.beta * old + (1 - second.beta) * (g * g)
        if isinstance(second, steps.max_sq):
            compared = v * (1 / self.correction(second)) if second.over == "hat" else v
            return [v, largest(s[names[1]], compared)]
        return [v]

    # 3  direction

    def direction(self, s: State, w: Array, g: Array) -> Array:
        """Return η."""
        direct, lr = self.direct, self.lr
        if not is_step(direct):
            m, v = self.numerator(s, g, 1.0), self.corrected(s, g)
            return returned("direction", direct(m, v, lr, self.t), w)
        whole = isinstance(self.first, steps.nesterov)
        if isinstance(direct, steps.sign):
            return lr * sign(self.numerator(s, g, 1.0))
        if isinstance(direct, steps.rectified):
            rate = rectification(self.second.beta, self.t)
            lr, divide = (lr, False) if rate is None else (lr * rate, True)
        else:
            divide = direct.divides
        if isinstance(direct, steps.ratio):
            lr = lr / (1 + (self.t - 1) * direct.lr_decay)
            whole = whole or direct.lr_last
        if getattr(self.first, "lr_inside", False):
            lr, whole = 1.0, False
        eta = self.numerator(s, g, 1.0 if whole else lr)
        if divide:
            eta = eta / self.denominator(s)
        return lr * eta if whole else eta

    def numerator(self, s: State, g: Array, lr: float) -> Array:
        """Return lr·m, lr·m̂, or g and m mixed."""
        first = self.first
        if isinstance(first, steps.plain):
            return lr * g
        m = s[states_of(first, "m")[0]]
        if isinstance(first, steps.nesterov):
            return (self.lr if first.lr_inside else lr) * g + first.momentum * m
        if not isinstance(first, steps.nesterov_ema):
            return lr / self.correction(first) * m
        beta = first.beta
        if first.form == "simple":
            by_g = lr * (1 - beta) / (1 - power(beta, self.t))
            by_m = lr * beta / (1 - power(beta, self.t + 1))
        else:
            mu, following = self.mu(self.t), self.mu(self.t + 1)
            by_g = lr * (1 - mu) / (1 - self.product)
            by_m = lr * following / (1 - self.product * following)
        return by_g * g + by_m * m

    def divisor(self, s: State) -> tuple[Array, float]:
        """Return the state that divides, and its correction."""
        second = self.second
        v = s[states_of(second, "v")[-1]]
        return v, 1.0 if getattr(second, "over", None) == "hat" else self.correction(second)

    def denominator(self, s: State) -> Array:
        """Return √V with ε in its place."""
        direct = self.direct
        v, correction = self.divisor(s)
        if isinstance(self.second, steps.inf_norm):
            u: Array = v + direct.eps
            return u
        where = {"inside": direct.eps_inside, "hat": direct.eps_hat, "eps_root": direct.eps_root}
        return root_of(v, correction, direct.eps, **where)

    def corrected(self, s: State, g: Array) -> Array:
        """Return V freed of its start at 0, for a function."""
        if isinstance(self.second, steps.none):
            return np.ones_like(g)
        v, correction = self.divisor(s)
        return v * v if isinstance(self.second, steps.inf_norm) else v * (1 / correction)

    # 4  update

    def update(self, w: Array, eta: Array, keep: float) -> Array:
        """Return w after the step."""
        if is_step(self.updates):
            return super().update(w, eta, keep)
        return returned("update", self.updates(w, eta, self.t), w)


def states_of(part: Part, name: str) -> tuple[str, ...]:
    """Return the names of a part's state: that of a function has its letter."""
    return part.states if is_step(part) else (name,)


def returned(step: str, value: Any, like: Array) -> Array:
    """Return what a function gave, as an array of its arguments' dtype.

    Raises
    ------
    TypeError, ValueError
        It is no array, or has another shape.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{step}: the function returned {type(value).__name__}, need an array of numbers")
    if array.shape not in (like.shape, ()):
        raise ValueError(f"{step}: the function returned shape {array.shape}, need {like.shape}")
    return np.broadcast_to(array.astype(like.dtype, copy=False), like.shape)
