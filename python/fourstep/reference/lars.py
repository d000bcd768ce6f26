"""LARS.

r = c·‖w‖/(‖g‖ + λ·‖w‖ + ε)    the norms folded over fixed lanes; 1 where one is 0 or not finite
d = r·(g + λ·w)
m ← γ·m + (1 − d₀)·d           d₀ = 0 at the first step
η = α·m                        Nesterov: α·(d + γ·m); without momentum: α·d
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fourstep.reference.base import Array, State
from fourstep.reference.lamb import Ratio, norm, usable


class LARS(Ratio):
    """Twin of `fourstep.optim.LARS`."""

    states: tuple[str, ...] = ("momentum_buffer",)

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float] = 1.0,
        momentum: float = 0.9,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        trust_coefficient: float = 1e-3,
        eps: float = 1e-8,
        *,
        adapt: bool = True,
        **shared: Any,
    ) -> None:
        if momentum == 0:
            self.states = ()
        inside = shared.get("decay", "l2") == "l2"
        super().__init__(params, lr, 0.0 if inside else weight_decay, **shared)
        self.momentum = momentum
        self.dampening = dampening
        self.ratio_decay = weight_decay if inside else 0.0
        self.nesterov = nesterov
        self.trust_coefficient = trust_coefficient
        self.eps = eps
        self.adapt = adapt

    def scaled(self, w: Array, g: Array) -> Array:
        """Return d."""
        a, b = norm(w), norm(self.counted(g))
        trust = 1.0
        if self.adapt and usable(a, b):
            trust = self.trust_coefficient * a / (b + self.ratio_decay * a + self.eps)
        if w.dtype.type(self.ratio_decay) != 0:
            g = g + self.ratio_decay * w
        return trust * g

    def moments(self, s: State, w: Array, g: Array) -> None:
        """Update m."""
        if self.momentum == 0:
            return
        new = 1 if self.t == 1 else 1 - self.dampening
        s["momentum_buffer"][...] = self.momentum * s["momentum_buffer"] + new * self.scaled(w, g)

    def direction(self, s: State, w: Array, g: Array) -> Array:
        """Return α·d, α·m or α·(d + γ·m)."""
        if self.momentum == 0:
            return self.lr * self.scaled(w, g)
        if self.nesterov:
            return self.lr * (self.scaled(w, g) + self.momentum * s["momentum_buffer"])
        return self.lr * s["momentum_buffer"]
