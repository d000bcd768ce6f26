"""LAMB.

m, v as in Adam
u = (1/(1 − β₁^t))·m / (√v · 1/√(1 − β₂^t) + ε) + λ·w
η = (α·‖w‖/‖u‖)·u              the norms folded over fixed lanes; ratio 1 where one is 0 or not finite
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fourstep.exact_math import power
from fourstep.reference.base import Array, Optimizer, State
from fourstep.reference.lanes import sum_of_squares


class LAMB(Optimizer):
    """Twin of `fourstep.optim.LAMB`."""

    states = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float] = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        bias_correction: bool = True,
        adapt: bool = True,
        **shared: Any,
    ) -> None:
        super().__init__(params, lr, **shared)
        self.beta1, self.beta2 = betas
        self.eps = eps
        self.ratio_decay = weight_decay
        self.bias_correction = bias_correction
        self.adapt = adapt

    def moments(self, s: State, w: Array, g: Array) -> None:
        """Update m and v."""
        s["exp_avg"][...] = self.beta1 * s["exp_avg"] + (1 - self.beta1) * g
        s["exp_avg_sq"][...] = self.beta2 * s["exp_avg_sq"] + (1 - self.beta2) * (g * g)

    def direction(self, s: State, w: Array, g: Array) -> Array:
        """Return α·r·u."""
        of1 = 1 - power(self.beta1, self.t) if self.bias_correction else 1.0
        of2 = 1 - power(self.beta2, self.t) if self.bias_correction else 1.0
        u = 1 / of1 * s["exp_avg"] / (np.sqrt(s["exp_avg_sq"]) * (1 / math.sqrt(of2)) + self.eps)
        if w.dtype.type(self.ratio_decay) != 0:
            u = u + self.ratio_decay * w
        a, b = norm(w), norm(u)
        return self.lr * (a / b if self.adapt and usable(a, b) else 1.0) * u


def norm(x: Array) -> float:
    """Return ‖x‖ over fixed lanes."""
    return math.sqrt(sum_of_squares(x))


def usable(a: float, b: float) -> bool:
    """Tell whether a ratio of these norms means something."""
    return 0 < a < math.inf and 0 < b < math.inf
