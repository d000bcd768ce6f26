"""Adan.

d = g − g₋₁                    0 at the first step
m ← β₁·m + (1 − β₁)·g
u ← β₂·u + (1 − β₂)·d
v ← β₃·v + (1 − β₃)·(g + β₂·d)²
η = (α/(1 − β₁^t)·m + α·β₂/(1 − β₂^t)·u) / (√v · 1/√(1 − β₃^t) + ε)
w ← (w − η)/(2 − keep), which with keep = 1 − α·λ is (w − η)/(1 + α·λ); no_prox: keep·w − η
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fourstep.exact_math import power
from fourstep.reference.base import Array, Optimizer, State


class Adan(Optimizer):
    """Twin of `fourstep.optim.Adan`."""

    states = ("exp_avg", "exp_avg_diff", "exp_avg_sq", "neg_pre_grad")

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float] = 1e-3,
        betas: tuple[float, float, float] = (0.98, 0.92, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        no_prox: bool = False,
        **shared: Any,
    ) -> None:
        super().__init__(params, lr, weight_decay, **{"decay": "decoupled", **shared})
        self.beta1, self.beta2, self.beta3 = betas
        self.eps = eps
        self.no_prox = no_prox

    def moments(self, s: State, w: Array, g: Array) -> None:
        """Update m, u, v and −g₋₁."""
        difference = np.zeros_like(g) if self.t == 1 else g + s["neg_pre_grad"]
        ahead = g + self.beta2 * difference
        s["exp_avg"][...] = self.beta1 * s["exp_avg"] + (1 - self.beta1) * g
        s["exp_avg_diff"][...] = self.beta2 * s["exp_avg_diff"] + (1 - self.beta2) * difference
        s["exp_avg_sq"][...] = self.beta3 * s["exp_avg_sq"] + (1 - self.beta3) * (ahead * ahead)
        s["neg_pre_grad"][...] = -g

    def direction(self, s: State, w: Array, g: Array) -> Array:
        """Return α·(m̂ + β₂·û)/(√v̂ + ε)."""
        by_m = self.lr / (1 - power(self.beta1, self.t))
        by_u = self.lr * self.beta2 / (1 - power(self.beta2, self.t))
        root = 1 / math.sqrt(1 - power(self.beta3, self.t))
        numerator = by_m * s["exp_avg"] + by_u * s["exp_avg_diff"]
        return numerator / (np.sqrt(s["exp_avg_sq"]) * root + self.eps)

    def update(self, w: Array, eta: Array, keep: float) -> Array:
        """Return (w − η)/(2 − keep), in the dtype of w throughout."""
        if self.no_prox:
            return super().update(w, eta, keep)
        result: Array = (w - eta) / (w.dtype.type(2) - w.dtype.type(keep))
        return result
