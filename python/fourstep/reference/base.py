"""The four steps, in the order in which every optimizer takes them.

Hyper-parameters are Python floats: coefficients are computed from them in float64 and NumPy rounds each once, to the
dtype of the array that it meets. That is the whole of the arithmetic; there is no tolerance to hide in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fourstep.reference import lanes
from fourstep.schedules import evaluate

Array = np.ndarray[Any, Any]
State = dict[str, Array]
Grads = Mapping[str, Array]


class Optimizer:
    """Base of the twins: a subclass writes `moments` and `direction`."""

    #: Names of the state arrays, as the kernels have them.
    states: tuple[str, ...] = ()

    def __init__(
        self,
        params: dict[str, Array],
        lr: float | Callable[[int], float],
        weight_decay: float = 0.0,
        maximize: bool = False,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        self.params = params
        self.schedule = lr
        self.weight_decay = weight_decay
        self.maximize = maximize
        self.clip_value = clip_value
        self.clip_norm = clip_norm
        self.t = 0  # steps taken
        self.state: dict[str, State] = {
            name: {key: np.zeros_like(w) for key in self.states} for name, w in params.items()
        }

    def step(self, grads: Grads | Callable[[], tuple[Any, Grads]]) -> Any:
        """Take one step in place; with a closure, which returns (loss, grads), return its loss."""
        if callable(grads):
            loss, gradients = grads()
            self.step(gradients)
            return loss
        self.begin()
        scale = self.scale(grads)
        with np.errstate(all="ignore"):
            for name, w in self.params.items():
                g = self.gradient(w, grads[name], scale)
                self.moments(self.state[name], w, g)
                eta = self.direction(self.state[name], w, g)
                w[...] = self.update(w, eta, 1.0)
        return None

    def begin(self) -> None:
        """Count the step and look its learning rate up."""
        self.lr = evaluate(self.schedule, self.t)
        self.t += 1

    # 1  gradient

    def scale(self, grads: Grads) -> float:
        """Return what gradients are multiplied by: ±1, or less to clip by norm."""
        sign = -1.0 if self.maximize else 1.0
        if self.clip_norm is None:
            return sign
        norm = math.sqrt(lanes.pairwise([lanes.sum_of_squares(grads[name]) for name in self.params]))
        return sign * min(self.clip_norm / (norm + 1e-6), 1.0)

    def gradient(self, w: Array, g: Array, scale: float) -> Array:
        """g ← clip(scale·g, ±c) + λ·w."""
        g = scale * g
        if self.clip_value is not None:
            c = w.dtype.type(self.clip_value)
            g = np.where(g > c, c, g)  # by comparison: NaN stays NaN
            g = np.where(g < -c, -c, g)
        if w.dtype.type(self.weight_decay) != 0:
            g = g + self.weight_decay * w
        return g

    # 2  moments

    def moments(self, s: State, w: Array, g: Array) -> None:
        """Update m and V."""

    # 3  direction

    def direction(self, s: State, w: Array, g: Array) -> Array:
        """Return η."""
        raise NotImplementedError

    # 4  update

    def update(self, w: Array, eta: Array, keep: float) -> Array:
        """w ← keep·w − η; `keep` is 1, or less with decoupled decay."""
        return keep * w - eta


def root(v: Array, eps: float, inside: bool) -> Array:
    """Return √v + ε, or √(v + ε)."""
    result: Array = np.sqrt(v + eps) if inside else np.sqrt(v) + eps
    return result


def sign(x: Array) -> Array:
    """Return 1 above zero, −1 below, and x itself at ±0 and NaN."""
    one = x.dtype.type(1)
    result: Array = np.where(x > 0, one, np.where(x < 0, -one, x))
    return result


def clamp(x: Array, low: float, high: float) -> Array:
    """Return x limited to [low, high] by comparison: NaN stays NaN."""
    least, most = x.dtype.type(low), x.dtype.type(high)
    x = np.where(x < least, least, x)
    result: Array = np.where(x > most, most, x)
    return result
