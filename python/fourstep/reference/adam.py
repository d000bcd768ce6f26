"""Adam.

m ← β₁·m + (1 − β₁)·g          m̂ = m / (1 − β₁^t)
v ← β₂·v + (1 − β₂)·g²         v̂ = v / (1 − β₂^t)
η = α · m̂ / (√v̂ + ε)          computed as (α/(1 − β₁^t))·m / (√v · 1/√(1 − β₂^t) + ε)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fourstep.exact_math import power
from fourstep.reference.base import Array, Optimizer, State


class Adam(Optimizer):
    """Twin of `fourstep.optim.Adam`."""

    states = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float] = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(params, lr, weight_decay, **shared)
        self.beta1, self.beta2 = betas
        self.eps = eps

    def moments(self, s: State, w: Array, g: Array) -> None:
        """Update m and v."""
        s["exp_avg"][...] = self.beta1 * s["exp_avg"] + (1 - self.beta1) * g
        s["exp_avg_sq"][...] = self.beta2 * s["exp_avg_sq"] + (1 - self.beta2) * (g * g)

    def direction(self, s: State, w: Array, g: Array) -> Array:
        """Return α·m̂/(√v̂ + ε)."""
        return self.lr / (1 - power(self.beta1, self.t)) * s["exp_avg"] / self.denominator(s)

    def denominator(self, s: State) -> Array:
        """Return √v̂ + ε."""
        result: Array = np.sqrt(s["exp_avg_sq"]) * (1 / math.sqrt(1 - power(self.beta2, self.t))) + self.eps
        return result
