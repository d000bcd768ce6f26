"""AdaGrad.

V ← V + g²
η = α_t · g / (√V + ε)         α_t = α / (1 + (t − 1)·lr_decay)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fourstep.reference.base import Array, Optimizer, State, root


class AdaGrad(Optimizer):
    """Twin of `fourstep.optim.AdaGrad`."""

    states = ("sum",)

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float] = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        eps_inside: bool = False,
        **shared: Any,
    ) -> None:
        super().__init__(params, lr, weight_decay, **shared)
        self.lr_decay = lr_decay
        self.eps = eps
        self.eps_inside = eps_inside
        for state in self.state.values():
            state["sum"] += initial_accumulator_value

    def moments(self, s: State, w: Array, g: Array) -> None:
        """Add g² to V."""
        s["sum"] += g * g

    def direction(self, s: State, w: Array, g: Array) -> Array:
        """Return α_t·g/(√V + ε)."""
        lr = self.lr / (1 + (self.t - 1) * self.lr_decay)
        return lr * g / root(s["sum"], self.eps, self.eps_inside)
