"""The walk that every library takes for the dumps: start, gradients, rates. NumPy alone, so that each can import it.

256 coordinates in two arrays, gradients of 10^-6 to 10^-1, 20 steps; with `drop`, a rate ten times smaller from step 10.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

N, STEPS, SPLIT, DROP = 256, 20, 200, 10
#: The steps after which the parameters are kept.
KEPT = (1, 10, 20)


def start() -> Array:
    """Return the parameters, of both signs, none near 0; exact in float32."""
    rng = np.random.default_rng(5)
    w = rng.uniform(0.25, 1.0, N) * np.where(rng.random(N) < 0.5, -1.0, 1.0)
    return w.astype(np.float32).astype(np.float64)


def gradients(steps: int = STEPS) -> Array:
    """Return a gradient for each step: each coordinate has its size, a direction that it mostly keeps, and noise."""
    rng = np.random.default_rng(6)
    size = 10.0 ** rng.permutation(np.linspace(-6, -1, N))
    direction = np.where(rng.random(N) < 0.5, -1.0, 1.0)
    g = size * (direction + 0.5 * (rng.random((steps, N)) + rng.random((steps, N)) - 1) * 2)
    return g.astype(np.float32).astype(np.float64)


def checksum() -> int:
    """Return a number that changes if what is generated here ever does."""
    return zlib.crc32(start().tobytes() + gradients().tobytes())


def rate(lr: float, drop: bool, step: int) -> float:
    """Return the learning rate of a step, counted from 0."""
    return lr / 10 if drop and step >= DROP else lr


def parts(x: Array) -> list[Array]:
    """Return the two arrays that a vector of 256 stands for."""
    return [x[..., :SPLIT], x[..., SPLIT:]]


#: Two arrays and (step, two gradients) -> two arrays.
Step = Callable[[int, Sequence[Array]], Sequence[Any]]


def walk(step: Step) -> Array:
    """Return the parameters after the steps of `KEPT`."""
    kept = []
    for t, g in enumerate(gradients()):
        w = step(t, parts(g))
        if t + 1 in KEPT:
            kept.append(np.concatenate([np.asarray(part, np.float64) for part in w]))
    return np.stack(kept)


def write(path: Any, walks: Mapping[str, Array], versions: Mapping[str, str]) -> None:
    """Write walks with the versions of what took them."""
    about = np.array([f"{name} {version}" for name, version in versions.items()])
    np.savez_compressed(path, checksum=np.uint32(checksum()), versions=about, **walks)  # type: ignore[arg-type]
