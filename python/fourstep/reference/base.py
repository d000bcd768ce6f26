"""The four steps, in the order in which every optimizer takes them.

Hyper-parameters are Python floats: coefficients are computed from them in float64 and NumPy rounds each once, to the
dtype of the array that it meets. That is the whole of the arithmetic; there is no tolerance to hide in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fourstep.reference import lanes, precision
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
        decay: str = "l2",
        maximize: bool = False,
        clip_value: float | None = None,
        clip_norm: float | None = None,
        clip_eps: float = 1e-6,
        grad_scale: float = 1.0,
        skip_nonfinite: str | None = None,
        cautious: bool | str = False,
        ema_decay: float | None = None,
        zero_grad: bool = False,
        flush_subnormals: bool = False,
        copy_out: str | None = None,
        state_dtype: str | None = None,
        stochastic_rounding: bool = False,
        seed: int = 0,
    ) -> None:
        self.params = params
        self.schedule = lr
        self.weight_decay = weight_decay
        self.decay = decay
        self.maximize = maximize
        self.clip_value = clip_value
        self.clip_norm = clip_norm
        self.clip_eps = clip_eps
        self.grad_scale = grad_scale
        self.skip_nonfinite = skip_nonfinite
        self.cautious = cautious
        self.ema_decay = ema_decay
        self.zero_grad = zero_grad
        self.flush_subnormals = flush_subnormals
        self.copy_out = copy_out
        self.state_dtype = state_dtype
        self.stochastic_rounding = stochastic_rounding
        self.seed = seed
        self.t = 0  # steps taken
        self.state: dict[str, State] = {
            name: {key: np.zeros_like(w) for key in self.states} for name, w in params.items()
        }
        self.ema = {name: w.copy() for name, w in params.items()}
        self.copies = {name: precision.to_half(w) for name, w in params.items() if copy_out}

    def step(self, grads: Grads | Callable[[], tuple[Any, Grads]]) -> Any:
        """Take one step in place; with a closure, which returns (loss, grads), return its loss."""
        if callable(grads):
            loss, gradients = grads()
            self.step(gradients)
            return loss
        if self.skip_nonfinite == "step" and not all(np.isfinite(grads[name]).all() for name in self.params):
            return None
        self.begin()
        scale = self.scale(grads)
        with np.errstate(all="ignore"):
            for number, (name, w) in enumerate(self.params.items()):
                self.element_wise(w, grads[name], self.state[name], scale)
                self.store(number, name)
                self.after(number, name, w, grads[name])
        return None

    def element_wise(self, w: Array, raw: Array, s: State, scale: float) -> None:
        """Take the four steps of one array."""
        before = {key: value.copy() for key, value in s.items()}
        g = self.gradient(w, raw, scale)
        self.moments(s, w, g)
        leave = ~np.isfinite(raw) if self.skip_nonfinite == "element" else np.zeros(raw.shape, bool)
        eta = self.agreed(g, np.where(leave, w.dtype.type(0), self.direction(s, w, g)))
        new = self.update(w, eta, self.keep)
        for key, value in s.items():
            value[...] = np.where(leave, before[key], value)
        w[...] = np.where(leave, w, new)

    def agreed(self, g: Array, eta: Array) -> Array:
        """Return η, or of a cautious optimizer 0 where it would go against g, and more of it elsewhere."""
        if not self.cautious:
            return eta
        agrees = eta * g > 0
        boost = 1.0 if self.cautious == "mask" else g.size / (float(agrees.sum()) + 1.0)
        return np.where(agrees, boost * eta, eta.dtype.type(0))

    def store(self, number: int, name: str) -> None:
        """Store the state of an array: what `flush_subnormals` drops as 0, and in as few bits as are asked for."""
        for buffer, (key, value) in enumerate(self.state[name].items(), start=2):
            if self.flush_subnormals:
                value[np.abs(value) < precision.least(value.dtype, key in precision.SIGNED)] = 0
            stochastic = self.t > 0 and (self.stochastic_rounding or self.state_dtype == "int8")
            bits_of = precision.spread_bits if self.state_dtype == "int8" else precision.random_bits
            bits = bits_of(self.seed, self.t, number, buffer, value.size) if stochastic else None
            flat = value.reshape(-1)
            if self.state_dtype == "bfloat16":
                flat[...] = precision.from_half(precision.to_half(flat, bits))
            elif self.state_dtype == "int8":
                flat[...] = precision.from_bytes(
                    *precision.to_bytes(flat, key in precision.SIGNED, bits), key in precision.SIGNED
                )

    def after(self, number: int, name: str, w: Array, g: Array) -> None:
        """Average and copy the parameters, and zero the gradients."""
        if self.ema_decay is not None:
            self.ema[name][...] = self.ema_decay * self.ema[name] + (1 - self.ema_decay) * w
        if self.copy_out is not None:
            bits = precision.random_bits(self.seed, self.t, number, 1, w.size).reshape(w.shape)
            self.copies[name][...] = precision.to_half(w, bits if self.stochastic_rounding else None)
        if self.zero_grad:
            g[...] = 0

    @property
    def keep(self) -> float:
        """What w is multiplied by in step 4."""
        return {
            "l2": 1.0,
            "decoupled": 1 - self.lr * self.weight_decay,
            "independent": 1 - self.weight_decay,
        }[self.decay]

    def begin(self) -> None:
        """Count the step and look its learning rate up."""
        self.lr = evaluate(self.schedule, self.t)
        if self.t == 0:
            for number, name in enumerate(self.params):
                self.store(number, name)  # what it starts from
        self.t += 1

    # 1  gradient

    def scale(self, grads: Grads) -> float:
        """Return what gradients are multiplied by: ±1, or less to clip by norm."""
        sign = -1.0 if self.maximize else 1.0
        if self.clip_norm is None:
            return sign / self.grad_scale

        def squares(g: Array) -> float:
            skip = self.skip_nonfinite == "element"
            return lanes.sum_of_squares(np.where(np.isfinite(g), g, g.dtype.type(0)) if skip else g)

        norm = math.sqrt(lanes.pairwise([squares(grads[name]) for name in self.params])) / self.grad_scale
        return sign * min(self.clip_norm / (norm + self.clip_eps), 1.0) / self.grad_scale

    def gradient(self, w: Array, g: Array, scale: float) -> Array:
        """g ← clip(scale·g, ±c) + λ·w."""
        g = scale * g
        if self.clip_value is not None:
            c = w.dtype.type(self.clip_value)
            g = np.where(g > c, c, g)  # by comparison: NaN stays NaN
            g = np.where(g < -c, -c, g)
        if self.decay == "l2" and w.dtype.type(self.weight_decay) != 0:
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


def root_of(
    v: Array,
    correction: float,
    eps: float,
    *,
    inside: bool = False,
    hat: bool = False,
    eps_root: float = 0.0,
) -> Array:
    """Return √(v/c) with ε in its place: outside or `inside` the root, before (`hat`) or after the correction c.

    Where nothing is added inside, √(v/c) is √v · 1/√c.
    """
    if inside:
        eps_root += eps / correction if hat else eps
        eps = 0.0
    elif hat:
        eps /= math.sqrt(correction)
    if inside or eps_root > 0:
        root: Array = np.sqrt(v * (1 / correction) + eps_root)
    else:
        root = np.sqrt(v) * (1 / math.sqrt(correction))
    return root + eps


def largest(old: Array, new: Array) -> Array:
    """Return the larger of each two; NaN where the new one is."""
    return np.where(old >= new, old, new)


def sign(x: Array) -> Array:
    """Return −1, 0 or 1; NaN stays NaN."""
    one = x.dtype.type(1)
    return np.where(x > 0, one, np.where(x < 0, -one, x))


def clamp(x: Array, low: float, high: float) -> Array:
    """Return x limited to [low, high] by comparison: NaN stays NaN."""
    least, most = x.dtype.type(low), x.dtype.type(high)
    x = np.where(x < least, least, x)
    return np.where(x > most, most, x)
