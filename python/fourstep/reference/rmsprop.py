"""RMSProp.

v ← α·v + (1 − α)·g²
ḡ ← α·ḡ + (1 − α)·g            centred only
a = √v + ε                     centred: v − ḡ² in place of v, not below 0
η = lr·g/a                     with momentum: b ← μ·b + g/a, η = lr·b
                               lr_in_velocity: b ← μ·b + lr·g/a, η = b
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fourstep.reference.base import Array, Optimizer, State, root


class RMSProp(Optimizer):
    """Twin of `fourstep.optim.RMSProp`."""

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float] = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        eps_inside: bool = False,
        lr_in_velocity: bool = False,
        initial_accumulator_value: float = 0.0,
        **shared: Any,
    ) -> None:
        more = {"grad_avg": centered, "momentum_buffer": momentum > 0}
        self.states = ("square_avg", *(name for name, has in more.items() if has))
        super().__init__(params, lr, weight_decay, **shared)
        self.alpha = alpha
        self.eps = eps
        self.momentum = momentum
        self.centered = centered
        self.eps_inside = eps_inside
        self.lr_in_velocity = lr_in_velocity
        for state in self.state.values():
            state["square_avg"] += initial_accumulator_value

    def moments(self, s: State, w: Array, g: Array) -> None:
        """Update v and ḡ."""
        s["square_avg"][...] = self.alpha * s["square_avg"] + (1 - self.alpha) * (g * g)
        if self.centered:
            s["grad_avg"][...] = self.alpha * s["grad_avg"] + (1 - self.alpha) * g

    def direction(self, s: State, w: Array, g: Array) -> Array:
        """Return lr·g/a or lr·b."""
        v = s["square_avg"]
        if self.centered:
            v = v - s["grad_avg"] * s["grad_avg"]
            v = np.where(v < 0, v.dtype.type(0), v)
        normalised = g / root(v, self.eps, self.eps_inside)
        if self.momentum == 0:
            return self.lr * normalised
        b = s["momentum_buffer"]
        if self.lr_in_velocity:
            b[...] = self.momentum * b + self.lr * normalised
            return b
        b[...] = self.momentum * b + normalised
        return self.lr * b
