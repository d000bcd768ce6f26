"""Rprop.

p = sign(g)·sign(g₋₁)
s ← clamp(s·η⁺, s or s·η⁻ as p is 1, 0 or −1)
g ← 0 where p < 0
η = s·sign(g)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fourstep.reference.base import Array, Optimizer, State, clamp, sign
from fourstep.schedules import evaluate


class Rprop(Optimizer):
    """Twin of `fourstep.optim.Rprop`."""

    states = ("prev", "step_size")

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float] = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        weight_decay: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(params, lr, weight_decay, **shared)
        self.etas = etas
        self.step_sizes = step_sizes
        for s in self.state.values():
            s["step_size"][...] = evaluate(lr, 0)

    def moments(self, s: State, w: Array, g: Array) -> None:
        """Update s and g₋₁."""
        turn = sign(g) * sign(s["prev"])
        shrink, grow = (w.dtype.type(eta) for eta in self.etas)
        factor = np.where(turn > 0, grow, np.where(turn < 0, shrink, turn + 1))
        s["step_size"][...] = clamp(s["step_size"] * factor, *self.step_sizes)
        s["prev"][...] = np.where(turn < 0, w.dtype.type(0), g)

    def direction(self, s: State, w: Array, g: Array) -> Array:
        """Return s·sign(g)."""
        return s["step_size"] * sign(s["prev"])
