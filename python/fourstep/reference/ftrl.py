"""FTRL-Proximal.

n' = n + g²
z ← z + (g + s·w − (n'^p − n^p)/α · w)
w ← (clip(z, ±λ₁) − z) / (n'^p/α + (β/α + λ₂))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fourstep.exact_math import pow
from fourstep.reference.base import Array, Optimizer, State, clamp
from fourstep.reference.elementary import exp, log
from fourstep.schedules import evaluate


class FTRL(Optimizer):
    """Twin of `fourstep.optim.FTRL`."""

    states = ("accumulator", "linear")

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float] = 1e-3,
        lr_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1: float = 0.0,
        l2: float = 0.0,
        l2_shrinkage: float = 0.0,
        beta: float = 0.0,
        weight_decay: float = 0.0,
        *,
        l2_form: str = "paper",
        initial_linear: str = "weights",
        **shared: Any,
    ) -> None:
        super().__init__(params, lr, weight_decay, **shared)
        twice = 2.0 if l2_form == "tensorflow" else 1.0
        self.power = -lr_power
        self.l1, self.l2, self.shrinkage, self.beta = l1, twice * l2, twice * l2_shrinkage, beta
        self.initial_accumulator_value = initial_accumulator_value
        self.initial_linear = initial_linear

    def begin(self) -> None:
        """Count the step; before the first, set n₀ and z₀."""
        if self.t == 0:
            lr, n = evaluate(self.schedule, 0), self.initial_accumulator_value
            for name, w in self.params.items():
                self.state[name]["accumulator"][...] = n
                if self.initial_linear == "weights":
                    quadratic = (self.beta + pow(n, self.power)) / lr + self.l2
                    with np.errstate(all="ignore"):
                        self.state[name]["linear"][...] = np.sign(w) * -self.l1 - w * quadratic
        super().begin()

    def raised(self, n: Array) -> Array:
        """n^p: a root, or e^(p·ln n) in float64."""
        if self.power == 0.5:
            return np.sqrt(n)
        if self.power == 0:
            return np.ones_like(n)
        return exp(self.power * log(n)).astype(n.dtype)

    def moments(self, s: State, w: Array, g: Array) -> None:
        """Update n and z."""
        n = s["accumulator"] + g * g
        sigma = (self.raised(n) - self.raised(s["accumulator"])) * (1 / self.lr)
        if self.shrinkage != 0:
            g = g + self.shrinkage * w
        s["accumulator"][...] = n
        s["linear"][...] = s["linear"] + (g - sigma * w)

    def direction(self, s: State, w: Array, g: Array) -> Array:
        """Return the new w: the frame leaks."""
        n, z = s["accumulator"], s["linear"]
        quadratic = self.raised(n) * (1 / self.lr) + (self.beta / self.lr + self.l2)
        solved = (clamp(z, -self.l1, self.l1) - z) / quadratic
        return np.where(quadratic == 0, w, solved)  # no gradient yet, and nothing in place of one: w stays

    def update(self, w: Array, eta: Array, keep: float) -> Array:
        """Take it."""
        return eta
