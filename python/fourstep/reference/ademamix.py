"""AdEMAMix.

m₁ ← β₁·m₁ + (1 − β₁)·g
m₂ ← β₃·m₂ + (1 − β₃)·g
v  ← β₂·v  + (1 − β₂)·g²
η = (α/(1 − β₁^t)·m₁ + α·a·m₂) / (√v · 1/√(1 − β₂^t) + ε)

a grows as a·t/T; β₃ so that 1/ln β grows straight from 1/ln β₁ to 1/ln β₃.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fourstep.exact_math import exp, log, power
from fourstep.reference.base import Array, Optimizer, State


class AdEMAMix(Optimizer):
    """Twin of `fourstep.optim.AdEMAMix`."""

    states = ("exp_avg_fast", "exp_avg_slow", "exp_avg_sq")

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float] = 1e-3,
        betas: tuple[float, float, float] = (0.9, 0.999, 0.9999),
        alpha: float = 2.0,
        beta3_warmup: int | None = None,
        alpha_warmup: int | None = None,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(params, lr, weight_decay, **{"decay": "decoupled", **shared})
        self.beta1, self.beta2, self.last_beta3 = betas
        self.last_alpha = alpha
        self.beta3_warmup = beta3_warmup
        self.alpha_warmup = alpha_warmup
        self.eps = eps

    def begin(self) -> None:
        """Count the step and warm β₃ and a up."""
        super().begin()
        self.alpha = self.last_alpha
        if self.alpha_warmup:
            self.alpha = self.last_alpha * min(self.t / self.alpha_warmup, 1.0)
        self.beta3 = self.last_beta3
        if self.beta3_warmup and self.t < self.beta3_warmup and self.last_beta3 > 0:
            x = self.t / self.beta3_warmup
            start = (1.0 - x) / log(self.beta1) if self.beta1 > 0 else 0.0
            self.beta3 = min(exp(1.0 / (x / log(self.last_beta3) + start)), self.last_beta3)

    def moments(self, s: State, w: Array, g: Array) -> None:
        """Update m₁, m₂ and v."""
        s["exp_avg_fast"][...] = self.beta1 * s["exp_avg_fast"] + (1 - self.beta1) * g
        s["exp_avg_slow"][...] = self.beta3 * s["exp_avg_slow"] + (1 - self.beta3) * g
        s["exp_avg_sq"][...] = self.beta2 * s["exp_avg_sq"] + (1 - self.beta2) * (g * g)

    def direction(self, s: State, w: Array, g: Array) -> Array:
        """Return α·(m̂₁ + a·m₂)/(√v̂ + ε)."""
        by_fast = self.lr / (1 - power(self.beta1, self.t))
        root = 1 / math.sqrt(1 - power(self.beta2, self.t))
        numerator = by_fast * s["exp_avg_fast"] + self.lr * self.alpha * s["exp_avg_slow"]
        return numerator / (np.sqrt(s["exp_avg_sq"]) * root + self.eps)
