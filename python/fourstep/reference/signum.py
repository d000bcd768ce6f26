"""Twin of Signum.

m ← γ·m + (1 − γ)·g
η = α·sign(m)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fourstep.reference.base import Array, Optimizer, State, sign


class Signum(Optimizer):
    """Twin of `fourstep.optim.Signum`."""

    states = ("momentum_buffer",)

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float] = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(params, lr, weight_decay, **{"decay": "decoupled", **shared})
        self.momentum = momentum

    def moments(self, s: State, w: Array, g: Array) -> None:
        """Update m."""
        s["momentum_buffer"][...] = self.momentum * s["momentum_buffer"] + (1 - self.momentum) * g

    def direction(self, s: State, w: Array, g: Array) -> Array:
        """Return α·sign(m)."""
        return self.lr * sign(s["momentum_buffer"])
