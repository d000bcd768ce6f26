"""Adamax.

m ← β₁·m + (1 − β₁)·g
u ← max(β₂·u, |g| + ε)         or ε outside
η = α/(1 − β₁^t) · m / u
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fourstep.exact_math import power
from fourstep.reference.base import Array, Optimizer, State, largest


class Adamax(Optimizer):
    """Twin of `fourstep.optim.Adamax`."""

    states = ("exp_avg", "exp_inf")

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float] = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        eps_inside: bool = True,
        bias_correction: bool = True,
        **shared: Any,
    ) -> None:
        super().__init__(params, lr, weight_decay, **shared)
        self.beta1, self.beta2 = betas
        self.eps = eps
        self.eps_inside = eps_inside
        self.bias_correction = bias_correction

    def moments(self, s: State, w: Array, g: Array) -> None:
        """Update m and u."""
        s["exp_avg"][...] = self.beta1 * s["exp_avg"] + (1 - self.beta1) * g
        size = np.abs(g) + self.eps if self.eps_inside else np.abs(g)
        s["exp_inf"][...] = largest(self.beta2 * s["exp_inf"], size)

    def direction(self, s: State, w: Array, g: Array) -> Array:
        """Return α·m̂/u."""
        correction = 1 - power(self.beta1, self.t) if self.bias_correction else 1.0
        u = s["exp_inf"] if self.eps_inside else s["exp_inf"] + self.eps
        return self.lr / correction * s["exp_avg"] / u
