"""What a test function is: a value, its gradient, and where to look."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

Array = np.ndarray[Any, Any]
Point = tuple[float, float]
Bounds = tuple[Point, Point]


@dataclass(frozen=True)
class Surface(ABC):
    """Base of the test functions of two variables: frozen, so that it can be shared and compared.

    Both methods take one point of shape (2,), or any array of points of shape (..., 2), and keep its dtype.
    """

    #: ((left, right), (bottom, top)): what a picture shows.
    bounds: ClassVar[Bounds]
    #: A start that shows what the function is for.
    start: ClassVar[Point]

    @property
    @abstractmethod
    def minimum(self) -> Point:
        """A point where the value is least; the docstring of the class says where there are several."""

    @abstractmethod
    def value(self, x: Array) -> Array:
        """Return f of each point, in the shape of the points without their last axis."""

    @abstractmethod
    def gradient(self, x: Array) -> Array:
        """Return ∇f of each point, in the shape of the points."""

    def __call__(self, x: Any) -> Array:
        """Return f of each point."""
        return self.value(np.asarray(x))

    def __str__(self) -> str:
        """Its name in a picture."""
        name = "".join(f" {c.lower()}" if c.isupper() else c for c in type(self).__name__)
        return name.strip()


@dataclass(frozen=True)
class Trap(Surface):
    """A test function with a local minimum that is not the least one, and a wall around it."""

    #: Share of the trap's width in which `starts` lie: not on the wall itself.
    _inner: ClassVar[float] = 0.9

    @abstractmethod
    def trapped(self, x: Array) -> Array:
        """Tell of each point whether it lies inside the wall."""

    @abstractmethod
    def starts(self, n: int, seed: int = 0) -> Array:
        """Return `n` points inside the wall, of shape (n, 2): the same ones for the same seed."""


def pair(a: Array, b: Array) -> Array:
    """Return points from their two coordinates."""
    return np.stack([a, b], axis=-1)
