"""AdaBelief.

m ← β₁·m + (1 − β₁)·g
s ← β₂·s + (1 − β₂)·(g − m)² + ε_root
η = α·m̂ / (√ŝ + ε)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fourstep.exact_math import power
from fourstep.reference.base import Array, Optimizer, State, root_of


class AdaBelief(Optimizer):
    """Twin of `fourstep.optim.AdaBelief`."""

    states = ("exp_avg", "exp_avg_var")

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float] = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-16,
        weight_decay: float = 0.0,
        *,
        eps_root: float = 1e-16,
        eps_hat: bool = False,
        bias_correction: bool = True,
        **shared: Any,
    ) -> None:
        super().__init__(params, lr, weight_decay, **shared)
        self.beta1, self.beta2 = betas
        self.eps = eps
        self.eps_root = eps_root
        self.eps_hat = eps_hat
        self.bias_correction = bias_correction

    def moments(self, s: State, w: Array, g: Array) -> None:
        """Update m and s."""
        m = s["exp_avg"]
        m[...] = self.beta1 * m + (1 - self.beta1) * g
        surprise = g - m
        new = self.beta2 * s["exp_avg_var"] + (1 - self.beta2) * (surprise * surprise) + self.eps_root
        s["exp_avg_var"][...] = new

    def direction(self, s: State, w: Array, g: Array) -> Array:
        """Return α·m̂/(√ŝ + ε)."""
        c1, c2 = ((1 - power(b, self.t)) if self.bias_correction else 1.0 for b in (self.beta1, self.beta2))
        return self.lr / c1 * s["exp_avg"] / root_of(s["exp_avg_var"], c2, self.eps, hat=self.eps_hat)
