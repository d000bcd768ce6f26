"""Who leaves a basin that is not the lowest (O11): the same starts, the same noise, the same number of steps.

A start has escaped if at the end it is outside the wall of its `Trap`; it is lost if by then it is not finite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fourstep import optim
from fourstep.arena import Arena
from fourstep.functions.base import Array, Trap
from fourstep.trajectory import Choice, make, minimize


@dataclass(frozen=True, eq=False)
class Escape:
    """How many of the starts got out.

    Attributes
    ----------
    rate : float
        Share of the starts that ended outside the wall.
    escaped, stayed, lost : int
        Outside at the end, inside at the end, not finite at the end.
    first : ndarray of int, shape (starts,)
        The step after which each was outside for the first time; −1 if it never was. It may have come back.
    optimizer : str
    """

    rate: float
    escaped: int
    stayed: int
    lost: int
    first: Array
    optimizer: str

    def __float__(self) -> float:
        """Return the rate."""
        return self.rate

    def __repr__(self) -> str:
        """Return a line of counts."""
        return (
            f"Escape({self.optimizer}: {self.rate:.1%} of {len(self.first)}; "
            f"{self.escaped} escaped, {self.stayed} stayed, {self.lost} lost)"
        )


def escape_rate(
    f: Trap,
    optimizer: Choice,
    *,
    starts: Any = 400,
    steps: int = 500,
    noise: float = 0.0,
    seed: int = 0,
) -> Escape:
    """Measure how many starts inside a trap end outside it.

    Parameters
    ----------
    f : DoubleWell or RingedBasin
    optimizer : callable, str or (str, dict)
        See `fourstep.minimize`.
    starts : int or array_like, shape (n, 2)
        How many seeded starts inside the trap; or the starts themselves.
    steps : int
    noise : float
        Standard deviation of normal noise on every element of every gradient, as a small batch has it (D2). The same seed
        gives every optimizer the same noise, by step and start.
    seed : int
        Of the starts and of the noise.

    Returns
    -------
    Escape

    Raises
    ------
    TypeError
        f has no trap.
    ValueError
        A start outside the trap; an optimizer that ties the starts to each other (clip_norm, trust ratios).

    Examples
    --------
    >>> from fourstep import functions
    >>> basin = functions.RingedBasin()
    >>> functions.escape_rate(basin, ("SGD", {"lr": 0.3}), noise=0.5)
    Escape(SGD(lr=0.3): 9.0% of 400; 36 escaped, 364 stayed, 0 lost)
    """
    if not all(hasattr(f, name) for name in ("starts", "trapped")):
        raise TypeError(f"f: got {f!r}, need a function with a trap: DoubleWell or RingedBasin")
    points = f.starts(starts, seed) if isinstance(starts, int) else np.array(starts, np.float64)
    if points.ndim != 2 or points.shape[1:] != (2,) or not len(points):
        raise ValueError(f"starts: got shape {points.shape}, need (n, 2)")
    outside = np.flatnonzero(~f.trapped(points))
    if len(outside):
        raise ValueError(f"starts: {points[outside[0]]} of row {outside[0]} lies outside the trap")
    draw = np.random.default_rng([seed, 1])

    def noisy(x: Array) -> Array:
        g = f.gradient(x)
        return g + noise * draw.standard_normal(g.shape) if noise else g

    walk = minimize((f.value, noisy), points, _untied(optimizer), steps)
    _, name = make(optimizer, Arena({"x": points}))
    with np.errstate(all="ignore"):
        out = ~f.trapped(walk.points)
    finite = np.isfinite(walk.end).all(1)
    escaped = int((out[-1] & finite).sum())
    first = np.where(out.any(0), out.argmax(0), -1)
    lost = int((~finite).sum())
    return Escape(escaped / len(points), escaped, len(points) - escaped - lost, lost, first, name)


def _untied(choice: Choice) -> Choice:
    """Return the same choice, refused where one start would change the walk of another."""

    def made(arena: Arena) -> optim.Optimizer:
        optimizer, _ = make(choice, arena)
        if optimizer.per_parameter or optimizer.clip_norm is not None or optimizer.options.cautious is True:
            raise ValueError(
                f"optimizer: got {type(optimizer).__name__}, which ties the starts to each other"
            )
        return optimizer

    return made
