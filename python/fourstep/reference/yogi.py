"""Yogi.

m ← β₁·m + (1 − β₁)·g
v ← v − (1 − β₂)·sign(v − g²)·g²
η = α·m / (√v + ε)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fourstep.reference.adam import Adam
from fourstep.reference.base import Array, State, sign


class Yogi(Adam):
    """Twin of `fourstep.optim.Yogi`."""

    states = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float] = 1e-2,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-3,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 1e-6,
        *,
        bias_correction: bool = False,
        **shared: Any,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, bias_correction=bias_correction, **shared)
        for state in self.state.values():
            state["exp_avg_sq"] += initial_accumulator_value

    def moments(self, s: State, w: Array, g: Array) -> None:
        """Update m and v."""
        s["exp_avg"][...] = self.beta1 * s["exp_avg"] + (1 - self.beta1) * g
        v, square = s["exp_avg_sq"], g * g
        v[...] = v - sign(v - square) * ((1 - self.beta2) * square)
