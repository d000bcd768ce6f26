"""Nadam.

    μ_t = β₁·(1 − ½·0.96^(t·ψ))            Π_t = μ_1·…·μ_t
    η = (α·(1 − μ_t)/(1 − Π_t)·g + α·μ_{t+1}/(1 − Π_{t+1})·m) / (√v̂ + ε)
    simple: α·(1 − β₁)/(1 − β₁^t)·g + α·β₁/(1 − β₁^(t+1))·m

The notes' form, with a closure: g at w − α·m/(√V + ε) with the moments of the step before, then Adam (O16).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fourstep.exact_math import pow, power
from fourstep.reference.adam import Adam
from fourstep.reference.base import Array, Grads, State, root_of


class Nadam(Adam):
    """Twin of `fourstep.optim.Nadam`."""

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float] = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        *,
        form: str = "schedule",
        lookahead: str | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, **shared)
        self.form = form
        self.momentum_decay = momentum_decay
        self.lookahead = lookahead
        self.product = 1.0

    def mu(self, t: int) -> float:
        """Return μ_t."""
        return self.beta1 * (1 - 0.5 * pow(0.96, t * self.momentum_decay))

    def begin(self) -> None:
        """Count the step and its momentum."""
        super().begin()
        self.product *= self.mu(self.t)

    def direction(self, s: State, w: Array, g: Array) -> Array:
        """Return the direction that looks ahead."""
        if self.form == "simple":
            by_g = self.lr * (1 - self.beta1) / (1 - power(self.beta1, self.t))
            by_m = self.lr * self.beta1 / (1 - power(self.beta1, self.t + 1))
        else:
            mu, following = self.mu(self.t), self.mu(self.t + 1)
            by_g = self.lr * (1 - mu) / (1 - self.product)
            by_m = self.lr * following / (1 - self.product * following)
        return (by_g * g + by_m * s["exp_avg"]) / self.denominator(s)

    def step(self, grads: Grads | Callable[[], tuple[Any, Grads]]) -> Any:
        """Take one step; in the notes' form the closure is called at the look-ahead point."""
        if self.lookahead is None or not callable(grads):
            return super().step(grads)
        self.begin()
        here = {name: w.copy() for name, w in self.params.items()}
        with np.errstate(all="ignore"):
            if self.t > 1:
                for name, w in self.params.items():
                    s = self.state[name]
                    w -= self.lr * s["exp_avg"] / root_of(s["exp_avg_sq"], 1.0, self.eps, **self.where)
            loss, gradients = grads()
            scale = self.scale(gradients)
            for number, (name, w) in enumerate(self.params.items()):
                s = self.state[name]
                g = self.gradient(w, gradients[name], scale)
                self.moments(s, w, g)
                self.store(number, name)
                w[...] = self.keep * here[name] - Adam.direction(self, s, w, g)
                self.after(number, name, w, gradients[name])
        return loss
