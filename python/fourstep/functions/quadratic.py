"""A quadratic bowl, on which every momentum is solved in closed form (O9, O10).

f = ½·Σ λ_i·x_i². Along an axis of curvature λ, with h = α·λ, each method is x_{t+1} = T·x_t − D·x_{t−1}:

    method        T                  D             stable while h <
    sgd           1 − h              0             2
    heavy_ball    1 + γ − h          γ             2·(1 + γ)
    ema           1 + γ − (1 − γ)·h  γ             2·(1 + γ)/(1 − γ)
    nesterov      (1 + γ)·(1 − h)    γ·(1 − h)     2·(1 + γ)/(1 + 2γ)
    notes         1 + γ − 2h         γ − h         2·(1 + γ)/3

and shrinks by the largest root of z² − T·z + D a step. ``notes`` looks ahead by the whole of α·m, Nesterov by γ·α·m.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from fourstep.functions.base import Array, Bounds, Point

Method = Literal["sgd", "heavy_ball", "ema", "nesterov", "notes"]


@dataclass(frozen=True)
class Quadratic:
    r"""A bowl of any dimension: :math:`f = \tfrac12 \sum_i \lambda_i x_i^2`, least at 0.

    Parameters
    ----------
    curvatures : tuple of float
        λ, each > 0.

    Examples
    --------
    >>> from fourstep import functions
    >>> bowl = functions.Quadratic((1.0, 100.0))
    >>> bowl.stable_lr("sgd"), round(bowl.rate("sgd", lr=0.01), 4)
    (0.02, 0.99)
    >>> lr, momentum, rate = bowl.best("heavy_ball")  # ten times fewer steps than the best without momentum
    >>> round(lr, 4), round(momentum, 4), round(rate, 4), round(bowl.best("sgd")[2], 4)
    (0.0331, 0.6694, 0.8182, 0.9802)
    """

    curvatures: tuple[float, ...] = (1.0, 10.0)

    def __post_init__(self) -> None:
        """Check that it is a bowl."""
        values = tuple(float(c) for c in self.curvatures)
        if not values or not all(0 < c < math.inf for c in values):
            raise ValueError(f"curvatures: got {self.curvatures}, need one or more finite numbers > 0")
        object.__setattr__(self, "curvatures", values)

    @property
    def bounds(self) -> Bounds:
        """A window around the start."""
        return (-1.3, 1.3), (-1.3, 1.3)

    @property
    def start(self) -> tuple[float, ...]:
        """One along each axis."""
        return (1.0,) * len(self.curvatures)

    @property
    def minimum(self) -> tuple[float, ...]:
        """The origin."""
        return (0.0,) * len(self.curvatures)

    def value(self, x: Array) -> Array:
        """½·Σ λ_i·x_i²."""
        return np.asarray(0.5 * (self._of(x) * (x * x)).sum(-1))

    def gradient(self, x: Array) -> Array:
        """λ_i·x_i."""
        return np.asarray(self._of(x) * x)

    def _of(self, x: Array) -> Array:
        if x.shape[-1:] != (len(self.curvatures),):
            raise ValueError(f"x: got shape {x.shape}, need a last axis of {len(self.curvatures)}")
        return np.asarray(self.curvatures, x.dtype)

    def __call__(self, x: object) -> Array:
        """Return f of each point."""
        return self.value(np.asarray(x, float))

    def __str__(self) -> str:
        """Its name in a picture."""
        return "quadratic, λ = " + ", ".join(f"{c:g}" for c in self.curvatures)

    def rate(self, method: Method, lr: float, momentum: float = 0.0) -> float:
        """Return by how much the distance to the minimum is multiplied a step, in the long run: SGD's is max |1 − lr·λ|.

        1 or more is no way there.
        """
        return max(_radius(*recurrence(method, lr * c, momentum)) for c in self.curvatures)

    def stable_lr(self, method: Method, momentum: float = 0.0) -> float:
        """Return the learning rate from which on `method` diverges: SGD's is 2/λ_max."""
        return stability(method, momentum) / max(self.curvatures)

    def best(self, method: Literal["sgd", "heavy_ball"]) -> tuple[float, float, float]:
        """Return (lr, momentum, rate) of the fastest: (κ − 1)/(κ + 1) for SGD, the same of √κ for the heavy ball."""
        low, high = min(self.curvatures), max(self.curvatures)
        if method == "sgd":
            return 2 / (low + high), 0.0, (high - low) / (high + low)
        if method == "heavy_ball":
            a, b = math.sqrt(low), math.sqrt(high)
            rate = (b - a) / (b + a)
            return (2 / (a + b)) ** 2, rate**2, rate
        raise ValueError(
            f"method: got {method!r}, need 'sgd' or 'heavy_ball', whose best is known in closed form"
        )


def recurrence(method: Method, h: float, momentum: float = 0.0) -> Point:
    """Return (T, D) of x_{t+1} = T·x_t − D·x_{t−1}, where h = lr·λ.

    Examples
    --------
    >>> recurrence("heavy_ball", 0.5, 0.75)
    (1.25, 0.75)
    """
    y = _momentum(method, momentum)
    of: dict[str, Point] = {
        "sgd": (1 - h, 0.0),
        "heavy_ball": (1 + y - h, y),
        "ema": (1 + y - (1 - y) * h, y),
        "nesterov": ((1 + y) * (1 - h), y * (1 - h)),
        "notes": (1 + y - 2 * h, y - h),
    }
    return of[method]


def stability(method: Method, momentum: float = 0.0) -> float:
    """Return the lr·λ from which on `method` diverges.

    Examples
    --------
    >>> [round(stability(m, 0.9), 2) for m in ("sgd", "heavy_ball", "nesterov", "notes")]
    [2.0, 3.8, 1.36, 1.27]
    """
    y = _momentum(method, momentum)
    of = {
        "sgd": 2.0,
        "heavy_ball": 2 * (1 + y),
        "ema": 2 * (1 + y) / (1 - y),
        "nesterov": 2 * (1 + y) / (1 + 2 * y),
        "notes": 2 * (1 + y) / 3,
    }
    return of[method]


def _momentum(method: str, momentum: float) -> float:
    if method not in get_args(Method):
        raise ValueError(f"method: got {method!r}, need one of {', '.join(map(repr, get_args(Method)))}")
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum: got {momentum}, need 0 <= momentum < 1")
    return float(momentum)


def _radius(trace: float, determinant: float) -> float:
    """Return the largest |z| with z² − T·z + D = 0."""
    discriminant = trace * trace - 4 * determinant
    if discriminant < 0:
        return math.sqrt(determinant)
    return (abs(trace) + math.sqrt(discriminant)) / 2
