"""Adam.

m ← β₁·m + (1 − β₁)·g          m̂ = m / (1 − β₁^t)
v ← β₂·v + (1 − β₂)·g²         v̂ = v / (1 − β₂^t)
η = α · m̂ / (√v̂ + ε)          computed as (α/(1 − β₁^t))·m / (√v · 1/√(1 − β₂^t) + ε)

AMSGrad        V ← max(V, v), and V̂ in place of v̂; or V̂ ← max(V̂, v̂)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fourstep.exact_math import power
from fourstep.reference.base import Array, Optimizer, State, largest, root_of


class Adam(Optimizer):
    """Twin of `fourstep.optim.Adam`."""

    states: tuple[str, ...] = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float] = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        amsgrad_max: str = "raw",
        bias_correction: bool = True,
        eps_inside: bool = False,
        eps_hat: bool = False,
        eps_root: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(params, lr, weight_decay, **shared)
        self.beta1, self.beta2 = betas
        self.eps = eps
        self.where: dict[str, Any] = {"inside": eps_inside, "hat": eps_hat, "eps_root": eps_root}
        self.amsgrad = amsgrad
        self.amsgrad_max = amsgrad_max
        self.bias_correction = bias_correction

    def correction(self, beta: float) -> float:
        """Return 1 − β^t: the share of its weights that an average has seen."""
        return 1 - power(beta, self.t) if self.bias_correction else 1.0

    def moments(self, s: State, w: Array, g: Array) -> None:
        """Update m and v, and V."""
        s["exp_avg"][...] = self.beta1 * s["exp_avg"] + (1 - self.beta1) * g
        s["exp_avg_sq"][...] = self.beta2 * s["exp_avg_sq"] + (1 - self.beta2) * (g * g)
        if self.amsgrad:
            v = s["exp_avg_sq"]
            if self.amsgrad_max == "hat":
                v = v * (1 / self.correction(self.beta2))
            s["max_exp_avg_sq"][...] = largest(s["max_exp_avg_sq"], v)

    def direction(self, s: State, w: Array, g: Array) -> Array:
        """Return α·m̂/(√v̂ + ε)."""
        return self.lr / self.correction(self.beta1) * s["exp_avg"] / self.denominator(s)

    def denominator(self, s: State) -> Array:
        """Return √v̂ + ε, or √V̂ + ε."""
        if not self.amsgrad:
            return root_of(s["exp_avg_sq"], self.correction(self.beta2), self.eps, **self.where)
        corrected = self.amsgrad_max == "hat"
        left = 1.0 if corrected else self.correction(self.beta2)
        return root_of(s["max_exp_avg_sq"], left, self.eps, **self.where)


class AdamW(Adam):
    """Twin of `fourstep.optim.AdamW`: the decay is in step 4."""

    def __init__(
        self, params: dict[str, Array], *args: Any, weight_decay: float = 1e-2, **options: Any
    ) -> None:
        super().__init__(params, *args, **{"weight_decay": weight_decay, "decay": "decoupled", **options})
