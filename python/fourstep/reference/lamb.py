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


class Ratio(Optimizer):
    """What LAMB and LARS share: elements that are skipped do not count in a norm."""

    def element_wise(self, w: Array, raw: Array, s: State, scale: float) -> None:
        """Take the four steps of one array."""
        self.skipped = ~np.isfinite(raw) if self.skip_nonfinite == "element" else np.zeros(raw.shape, bool)
        super().element_wise(w, raw, s, scale)

    def counted(self, x: Array) -> Array:
        """Return x with zeros where it is skipped."""
        return np.where(self.skipped, x.dtype.type(0), x)


class LAMB(Ratio):
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
        super().__init__(params, lr, weight_decay, **{"decay": "decoupled", **shared})
        self.beta1, self.beta2 = betas
        self.eps = eps
        self.ratio_decay = weight_decay if self.decay == "decoupled" else 0.0
        self.bias_correction = bias_correction
        self.adapt = adapt

    @property
    def keep(self) -> float:
        """1 where the decay stands inside the ratio."""
        return 1.0 if self.decay == "decoupled" else super().keep

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
        a, b = norm(w), norm(self.counted(u))
        return self.lr * (a / b if self.adapt and usable(a, b) else 1.0) * u


def norm(x: Array) -> float:
    """Return ‖x‖ over fixed lanes."""
    return math.sqrt(sum_of_squares(x))


def usable(a: float, b: float) -> bool:
    """Tell whether a ratio of these norms means something."""
    return 0 < a < math.inf and 0 < b < math.inf
