"""Schedule-Free SGD and AdamW.

n = g                                  AdamW: v ← β₂·v + (1 − β₂)·g², n = g/(√v + ε)
s = γ·n + d·y                          γ: the rate, warmed up; AdamW: · √(1 − β₂^t); d = γ·λ with decoupled decay
η = c·(y − z) + (1 − β·(1 − c))·s      the parameters hold y
z ← z − s                              c: the share of this step in the average x

eval:  x = y + (1 − 1/β)·(z − y)       train: y again
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fourstep.exact_math import pow, power
from fourstep.reference.base import Array, Optimizer, State


class SGDScheduleFree(Optimizer):
    """Twin of `fourstep.optim.SGDScheduleFree`."""

    states: tuple[str, ...] = ("z",)

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float] = 1.0,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
        **shared: Any,
    ) -> None:
        super().__init__(params, lr, weight_decay, **shared)
        self.beta = momentum
        self.warmup_steps = warmup_steps
        self.r = r
        self.weight_lr_power = weight_lr_power
        self.weight_sum = self.lr_max = 0.0
        for name, w in params.items():
            self.state[name]["z"][...] = w

    def correction(self) -> float:
        """Return what the rate is multiplied by."""
        return 1.0

    def begin(self) -> None:
        """Count the step; find its rate and its share in the average."""
        super().begin()
        warm = min(self.t / self.warmup_steps, 1.0) if self.warmup_steps else 1.0
        self.rate = self.lr * warm * self.correction()
        self.lr_max = max(self.lr_max, self.rate)
        weight = pow(float(self.t), self.r) * pow(self.lr_max, self.weight_lr_power)
        self.weight_sum += weight
        self.share = weight / self.weight_sum if self.weight_sum > 0 else 0.0

    @property
    def keep(self) -> float:
        """1: the decay is a part of the step."""
        return 1.0

    def scaled(self, s: State, g: Array) -> Array:
        """Return n."""
        return g

    def direction(self, s: State, w: Array, g: Array) -> Array:
        """Return η, and update z."""
        step = self.rate * self.scaled(s, g)
        decay = {"l2": 0.0, "decoupled": self.rate, "independent": 1.0}[self.decay] * self.weight_decay
        if w.dtype.type(decay) != 0:
            step = step + decay * w
        eta: Array = self.share * (w - s["z"]) + (1 - self.beta * (1 - self.share)) * step
        s["z"][...] = s["z"] - step
        return eta

    def average(self, name: str) -> Array:
        """Return x of a parameter."""
        y, z = self.params[name], self.state[name]["z"]
        result: Array = y + (1 - 1 / self.beta) * (z - y)
        return result


class AdamWScheduleFree(SGDScheduleFree):
    """Twin of `fourstep.optim.AdamWScheduleFree`."""

    states = ("z", "exp_avg_sq")

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float] = 2.5e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
        **shared: Any,
    ) -> None:
        shared = {"decay": "decoupled", **shared}
        super().__init__(params, lr, betas[0], weight_decay, warmup_steps, r, weight_lr_power, **shared)
        self.beta2 = betas[1]
        self.eps = eps

    def correction(self) -> float:
        """Return √(1 − β₂^t)."""
        return math.sqrt(1 - power(self.beta2, self.t))

    def moments(self, s: State, w: Array, g: Array) -> None:
        """Update v."""
        s["exp_avg_sq"][...] = self.beta2 * s["exp_avg_sq"] + (1 - self.beta2) * (g * g)

    def scaled(self, s: State, g: Array) -> Array:
        """Return g/(√v + ε)."""
        result: Array = g / (np.sqrt(s["exp_avg_sq"]) + self.eps)
        return result
