"""SGD, with momentum in three forms, and NAG.

SGD          η = α·g
torch        m ← γ·m + (1 − d)·g        η = α·m              d = 0 at the first step
lr_inside    m ← γ·m + α·g              η = m                (O7)
ema          m ← β·m + (1 − β)·g        η = α·m              (O8)
NAG          m ← γ·m + g                η = α·(g + γ·m)      rewritten, or with a closure at the look-ahead point (O10)
             m ← γ·m + α·g              η = α·g + γ·m        rewritten, with lr inside
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fourstep.reference.base import Array, Grads, Optimizer, State


class SGD(Optimizer):
    """Twin of `fourstep.optim.SGD`."""

    states: tuple[str, ...] = ("momentum_buffer",)

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float] = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        momentum_form: str = "torch",
        **shared: Any,
    ) -> None:
        if momentum == 0:
            self.states = ()
        super().__init__(params, lr, weight_decay, **shared)
        self.momentum = momentum
        self.dampening = dampening
        self.nesterov = nesterov
        self.form = momentum_form

    def moments(self, s: State, w: Array, g: Array) -> None:
        """Update m."""
        if self.momentum == 0:
            return
        m = s["momentum_buffer"]
        if self.form == "lr_inside":
            new = self.lr
        elif self.form == "ema":
            new = 1 - self.momentum
        else:
            new = 1 if self.t == 1 else 1 - self.dampening
        m[...] = self.momentum * m + new * g

    def direction(self, s: State, w: Array, g: Array) -> Array:
        """Return α·g, α·m, m, α·(g + γ·m) or α·g + γ·m."""
        if self.momentum == 0:
            return self.lr * g
        m = s["momentum_buffer"]
        if self.nesterov and self.form == "lr_inside":
            return self.lr * g + self.momentum * m
        if self.nesterov:
            return self.lr * (g + self.momentum * m)
        return m if self.form == "lr_inside" else self.lr * m


class SGDW(SGD):
    """Twin of `fourstep.optim.SGDW`: the decay is in step 4."""

    def __init__(
        self, params: dict[str, Array], *args: Any, weight_decay: float = 1e-2, **options: Any
    ) -> None:
        super().__init__(params, *args, **{"weight_decay": weight_decay, "decay": "decoupled", **options})


class NAG(SGD):
    """Twin of `fourstep.optim.NAG`."""

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float] = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        lookahead: str = "nesterov",
        **shared: Any,
    ) -> None:
        super().__init__(params, lr, momentum, 0.0, weight_decay, nesterov=True, **shared)
        self.lookahead = lookahead

    def step(self, grads: Grads | Callable[[], tuple[Any, Grads]]) -> Any:
        """Take one step; with a closure, its gradient is taken at the look-ahead point."""
        if not callable(grads):
            return super().step(grads)
        self.begin()
        share = 1.0 if self.lookahead == "notes" else self.momentum
        here = {name: w.copy() for name, w in self.params.items()}
        with np.errstate(all="ignore"):
            if self.t > 1:
                for name, w in self.params.items():
                    w -= self.lr * share * self.state[name]["momentum_buffer"]
            loss, gradients = grads()
            scale = self.scale(gradients)
            for number, (name, w) in enumerate(self.params.items()):
                self.moments(self.state[name], w, self.gradient(w, gradients[name], scale))
                self.store(number, name)
                w[...] = self.keep * here[name] - self.lr * self.state[name]["momentum_buffer"]
                self.after(number, name, w, gradients[name])
        return loss
