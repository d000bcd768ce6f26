"""RAdam.

m, v as Adam's                 ρ_∞ = 2/(1 − β₂) − 1          ρ_t = ρ_∞ − 2·t·β₂^t/(1 − β₂^t)
ρ_t > 5:   η = α · r_t · m̂ / (√v̂ + ε)       r_t² = (ρ_t − 4)·(ρ_t − 2)·ρ_∞ / ((ρ_∞ − 4)·(ρ_∞ − 2)·ρ_t)
else:      η = α · m̂
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fourstep.exact_math import power
from fourstep.reference.adam import Adam
from fourstep.reference.base import Array, State


class RAdam(Adam):
    """Twin of `fourstep.optim.RAdam`."""

    states = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float] = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        eps_hat: bool = True,
        **shared: Any,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, eps_hat=eps_hat, **shared)

    def direction(self, s: State, w: Array, g: Array) -> Array:
        """Return α·r_t·m̂/(√v̂ + ε), or α·m̂."""
        rate = rectification(self.beta2, self.t)
        if rate is None:
            return self.lr / self.correction(self.beta1) * s["exp_avg"]
        return self.lr * rate / self.correction(self.beta1) * s["exp_avg"] / self.denominator(s)


def rectification(beta: float, t: int) -> float | None:
    """Return r_t, or None while ρ_t <= 5."""
    past = power(beta, t)
    longest = 2 / (1 - beta) - 1
    length = longest - 2 * t * past / (1 - past)
    if length <= 5:
        return None

    def variance(rho: float) -> float:
        return (rho - 4) * (rho - 2) / rho

    return math.sqrt(variance(length) / variance(longest))
