"""AdaDelta.

v ← ρ·v + (1 − ρ)·g²
δ = √(u + ε) / √(v + ε) · g
u ← ρ·u + (1 − ρ)·δ²           the frame leaks: u needs the direction
η = α·δ
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fourstep.reference.base import Array, Optimizer, State


class AdaDelta(Optimizer):
    """Twin of `fourstep.optim.AdaDelta`."""

    states = ("square_avg", "acc_delta")

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float] = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(params, lr, weight_decay, **shared)
        self.rho = rho
        self.eps = eps

    def moments(self, s: State, w: Array, g: Array) -> None:
        """Update v."""
        s["square_avg"][...] = self.rho * s["square_avg"] + (1 - self.rho) * (g * g)

    def direction(self, s: State, w: Array, g: Array) -> Array:
        """Return α·δ, and update u."""
        delta = np.sqrt(s["acc_delta"] + self.eps) / np.sqrt(s["square_avg"] + self.eps) * g
        s["acc_delta"][...] = self.rho * s["acc_delta"] + (1 - self.rho) * (delta * delta)
        return self.lr * delta
