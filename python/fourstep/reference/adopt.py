"""ADOPT.

first step       v ← g², and nothing else
then             m ← β₁·m + (1 − β₁)·clip(g / max(√v, ε), ±c)        c = (t − 1)^¼, t counted from 1
                 v ← β₂·v + (1 − β₂)·g²
                 η = α·m
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fourstep.exact_math import pow
from fourstep.reference.base import Array, Optimizer, State, clamp


class ADOPT(Optimizer):
    """Twin of `fourstep.optim.ADOPT`."""

    states = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float] = 1e-3,
        betas: tuple[float, float] = (0.9, 0.9999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        clip: bool = True,
        **shared: Any,
    ) -> None:
        super().__init__(params, lr, weight_decay, **shared)
        self.beta1, self.beta2 = betas
        self.eps = eps
        self.clip = clip

    def moments(self, s: State, w: Array, g: Array) -> None:
        """Update m by the old v, then v."""
        if self.t == 1:
            s["exp_avg_sq"][...] = g * g
            return
        limit = pow(self.t - 1, 0.25) if self.clip else math.inf
        scaled = clamp(g / clamp(np.sqrt(s["exp_avg_sq"]), self.eps, math.inf), -limit, limit)
        s["exp_avg"][...] = self.beta1 * s["exp_avg"] + (1 - self.beta1) * scaled
        s["exp_avg_sq"][...] = self.beta2 * s["exp_avg_sq"] + (1 - self.beta2) * (g * g)

    def direction(self, s: State, w: Array, g: Array) -> Array:
        """Return α·m; 0 at the first step."""
        return np.zeros_like(w) if self.t == 1 else self.lr * s["exp_avg"]

    def update(self, w: Array, eta: Array, keep: float) -> Array:
        """Return keep·w − η; w at the first step."""
        return w if self.t == 1 else super().update(w, eta, keep)
