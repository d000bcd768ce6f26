"""The functions on which optimizers are shown, in order of what they show.

ravine           ½·(x² + κ·y²)                                     oscillation across, slowness along (O6, O9)
saddle           ½·x² − ½·y² + ¼·y⁴                                 no gradient where there is a way down (O6)
Rosenbrock       (a − x)² + b·(y − x²)²                            a bent ravine
Beale            Σ_k (c_k − x + x·y^k)², c = 1.5, 2.25, 2.625      plains and steep walls
double well      ¼·(x² − 1)² + τ·x + ½·y²                          a local minimum behind a hill
ringed basin     h·(12·r² − 7.5·r⁴ + r⁶)/5.5, r² = x² + y²         a basin ringed by low hills (O11)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fourstep.functions.base import Array, Bounds, Point, Surface, Trap, pair


@dataclass(frozen=True)
class Ravine(Surface):
    r"""A long valley with steep walls: :math:`f = \tfrac12 (x^2 + \kappa y^2)`, least at (0, 0).

    Parameters
    ----------
    steepness : float
        κ: how many times more curved it is across than along.

    Examples
    --------
    >>> from fourstep import functions
    >>> float(functions.Ravine(25)([1, 1]))
    13.0
    """

    bounds: ClassVar[Bounds] = ((-11.0, 3.0), (-2.5, 2.5))
    start: ClassVar[Point] = (-10.0, 1.5)
    steepness: float = 25.0

    @property
    def minimum(self) -> Point:
        """The origin."""
        return 0.0, 0.0

    def value(self, x: Array) -> Array:
        """½·(x² + κ·y²)."""
        return np.asarray(0.5 * (x[..., 0] ** 2 + self.steepness * x[..., 1] ** 2))

    def gradient(self, x: Array) -> Array:
        """(x, κ·y)."""
        return pair(x[..., 0], self.steepness * x[..., 1])


@dataclass(frozen=True)
class Saddle(Surface):
    r"""A saddle with a way down on both sides: :math:`f = \tfrac12 x^2 - \tfrac12 y^2 + \tfrac14 y^4`.

    The saddle is at (0, 0); least at (0, 1) and (0, −1), where f = −¼. The start is off the ridge by a thousandth only.

    Examples
    --------
    >>> from fourstep import functions
    >>> functions.Saddle().gradient(np.array([0.0, 0.0])).tolist()
    [0.0, 0.0]
    """

    bounds: ClassVar[Bounds] = ((-1.2, 1.2), (-0.4, 1.5))
    start: ClassVar[Point] = (-1.0, 1e-3)

    @property
    def minimum(self) -> Point:
        """One of the two."""
        return 0.0, 1.0

    def value(self, x: Array) -> Array:
        """½·x² − ½·y² + ¼·y⁴."""
        a, b = x[..., 0], x[..., 1]
        return np.asarray(0.5 * (a * a - b * b) + 0.25 * (b * b) ** 2)

    def gradient(self, x: Array) -> Array:
        """(x, y³ − y)."""
        a, b = x[..., 0], x[..., 1]
        return pair(a, b * b * b - b)


@dataclass(frozen=True)
class Rosenbrock(Surface):
    r"""A bent ravine: :math:`f = (a - x)^2 + b\,(y - x^2)^2`, least at (a, a²).

    Parameters
    ----------
    a, b : float

    Notes
    -----
    Rosenbrock 1960, *The Computer Journal* 3(3).

    Examples
    --------
    >>> from fourstep import functions
    >>> float(functions.Rosenbrock()([-1.2, 1.0]).round(4))
    24.2
    """

    bounds: ClassVar[Bounds] = ((-2.0, 2.0), (-1.0, 3.0))
    start: ClassVar[Point] = (-1.2, 1.0)
    a: float = 1.0
    b: float = 100.0

    @property
    def minimum(self) -> Point:
        """(a, a²)."""
        return self.a, self.a**2

    def value(self, x: Array) -> Array:
        """(a − x)² + b·(y − x²)²."""
        u, v = x[..., 0], x[..., 1]
        return np.asarray((self.a - u) ** 2 + self.b * (v - u * u) ** 2)

    def gradient(self, x: Array) -> Array:
        """(−2·(a − x) − 4·b·x·(y − x²), 2·b·(y − x²))."""
        u, v = x[..., 0], x[..., 1]
        off = v - u * u
        return pair(-2 * (self.a - u) - 4 * self.b * u * off, 2 * self.b * off)


@dataclass(frozen=True)
class Beale(Surface):
    r"""Plains between steep walls: :math:`f = \sum_{k=1}^3 (c_k - x + x y^k)^2`, :math:`c = (1.5, 2.25, 2.625)`.

    Least at (3, ½), where f = 0.

    Notes
    -----
    Beale 1958, in Moré, Garbow and Hillstrom, *ACM TOMS* 7(1), 1981, number 5.

    Examples
    --------
    >>> from fourstep import functions
    >>> float(functions.Beale()([3.0, 0.5]))
    0.0
    """

    bounds: ClassVar[Bounds] = ((-4.5, 4.5), (-4.5, 4.5))
    start: ClassVar[Point] = (1.0, 1.5)
    _c: ClassVar[tuple[float, ...]] = (1.5, 2.25, 2.625)

    @property
    def minimum(self) -> Point:
        """(3, ½)."""
        return 3.0, 0.5

    def value(self, x: Array) -> Array:
        """Σ_k (c_k − x + x·y^k)²."""
        a, b = x[..., 0], x[..., 1]
        terms = [(c - a + a * b**k) ** 2 for k, c in enumerate(self._c, 1)]
        return np.asarray(terms[0] + terms[1] + terms[2])

    def gradient(self, x: Array) -> Array:
        """Σ_k 2·(c_k − x + x·y^k)·(y^k − 1, k·x·y^(k−1))."""
        a, b = x[..., 0], x[..., 1]
        da, db = np.zeros_like(a), np.zeros_like(a)
        for k, c in enumerate(self._c, 1):
            off = 2 * (c - a + a * b**k)
            da = da + off * (b**k - 1)
            db = db + off * (k * a * b ** (k - 1))
        return pair(da, db)


@dataclass(frozen=True)
class DoubleWell(Trap):
    r"""Two wells with a hill between: :math:`f = \tfrac14 (x^2 - 1)^2 + \tau x + \tfrac12 y^2`.

    With τ > 0 the left well is the deeper one, and the right one the trap.

    Parameters
    ----------
    tilt : float
        τ, 0 < τ < 2/√27 = 0.385; above that there is one well.

    Examples
    --------
    >>> from fourstep import functions
    >>> well = functions.DoubleWell()
    >>> well.minimum[0] < -1 < 0 < well.hill < 1
    True
    """

    bounds: ClassVar[Bounds] = ((-1.8, 1.8), (-1.2, 1.2))
    start: ClassVar[Point] = (0.6, 0.8)
    tilt: float = 0.1

    def __post_init__(self) -> None:
        """Check that there are two wells."""
        if not 0 < self.tilt < 2 / math.sqrt(27):
            raise ValueError(
                f"tilt: got {self.tilt}, need 0 < tilt < 2/√27 = 0.385, where there are two wells"
            )

    def _flat(self, k: int) -> float:
        """Return a root of x³ − x + τ: 0 the right well, 1 the hill, 2 the left well."""
        angle = math.acos(-self.tilt * math.sqrt(27) / 2) / 3
        return 2 / math.sqrt(3) * math.cos(angle - 2 * math.pi * k / 3)

    @property
    def minimum(self) -> Point:
        """The bottom of the left well."""
        return self._flat(2), 0.0

    @property
    def hill(self) -> float:
        """The x of the top between the wells."""
        return self._flat(1)

    def value(self, x: Array) -> Array:
        """¼·(x² − 1)² + τ·x + ½·y²."""
        a, b = x[..., 0], x[..., 1]
        return np.asarray(0.25 * (a * a - 1) ** 2 + self.tilt * a + 0.5 * b * b)

    def gradient(self, x: Array) -> Array:
        """(x³ − x + τ, y)."""
        a, b = x[..., 0], x[..., 1]
        return pair(a * a * a - a + self.tilt, b)

    def trapped(self, x: Array) -> Array:
        """Right of the hill."""
        return np.asarray(x[..., 0] > self.hill)

    def starts(self, n: int, seed: int = 0) -> Array:
        """Between the hill and as far right of the well as the hill is left of it, |y| < 1."""
        rng = np.random.default_rng(seed)
        well = self._flat(0)
        reach = self._inner * (well - self.hill)
        return pair(well + reach * rng.uniform(-1, 1, n), rng.uniform(-1, 1, n))


@dataclass(frozen=True)
class RingedBasin(Trap):
    r"""A basin ringed by hills, lower ground beyond (O11): :math:`f = h\,(12 r^2 - 7.5 r^4 + r^6) / 5.5`.

    :math:`r^2 = x^2 + y^2`. The basin's bottom is at (0, 0), where f = 0; the hills at r = 1, where f = h; the lowest
    ground is the circle r = 2, where f = −8·h/5.5.

    Parameters
    ----------
    height : float
        h: that of the hills over the basin.

    Examples
    --------
    >>> from fourstep import functions
    >>> basin = functions.RingedBasin(height=1.0)
    >>> basin([[0, 0], [0, 1], [2, 0]]).round(3).tolist()
    [0.0, 1.0, -1.455]
    """

    bounds: ClassVar[Bounds] = ((-2.5, 2.5), (-2.5, 2.5))
    start: ClassVar[Point] = (0.5, 0.3)
    height: float = 0.25

    @property
    def minimum(self) -> Point:
        """A point of the circle r = 2."""
        return 2.0, 0.0

    def value(self, x: Array) -> Array:
        """h·(12·r² − 7.5·r⁴ + r⁶)/5.5."""
        s = x[..., 0] ** 2 + x[..., 1] ** 2
        return np.asarray(self.height / 5.5 * (12 * s - 7.5 * s * s + s * s * s))

    def gradient(self, x: Array) -> Array:
        """6·h/5.5·(1 − r²)·(4 − r²)·(x, y)."""
        s = x[..., 0] ** 2 + x[..., 1] ** 2
        slope = 6 * self.height / 5.5 * (1 - s) * (4 - s)
        return np.asarray(slope[..., None] * x)

    def trapped(self, x: Array) -> Array:
        """Inside the ring."""
        return np.asarray(x[..., 0] ** 2 + x[..., 1] ** 2 < 1)

    def starts(self, n: int, seed: int = 0) -> Array:
        """Uniform in the disc r < 0.9."""
        rng = np.random.default_rng(seed)
        drawn = rng.uniform(-1, 1, (4 * n + 32, 2))  # of the square; π/4 of them lie in the disc
        return np.asarray(self._inner * drawn[(drawn**2).sum(1) < 1][:n])
