"""Lion.

c = β₁·m + (1 − β₁)·g
η = α·sign(c)
m ← β₂·m + (1 − β₂)·g          the frame leaks: the direction needs the old m
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fourstep.reference.base import Array, Optimizer, State, sign


class Lion(Optimizer):
    """Twin of `fourstep.optim.Lion`."""

    states = ("exp_avg",)

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float] = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(params, lr, weight_decay, **{"decay": "decoupled", **shared})
        self.beta1, self.beta2 = betas

    def direction(self, s: State, w: Array, g: Array) -> Array:
        """Return α·sign(c), and update m."""
        mix = self.beta1 * s["exp_avg"] + (1 - self.beta1) * g
        s["exp_avg"][...] = self.beta2 * s["exp_avg"] + (1 - self.beta2) * g
        return self.lr * sign(mix)
