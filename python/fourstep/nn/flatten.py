"""Flatten: the dimensions of a row as one."""

from __future__ import annotations

import math

from fourstep.nn import _check
from fourstep.nn.module import Array, Module


class Flatten(Module):
    """Put all numbers of a row side by side, (rows, a, b, …) → (rows, a·b·…), and back again in backward.

    Without ``out=`` the result is a view where x lies row by row, and a copy where it does not.

    Raises
    ------
    TypeError, ValueError
        x is not an array of float32 or float64 with rows; `out` does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> layer = nn.Flatten()
    >>> layer.forward(np.ones((2, 3, 4))).shape
    (2, 12)
    >>> layer.backward(np.ones((2, 12))).shape
    (2, 3, 4)
    """

    @property
    def passes_through(self) -> bool:
        """True: there is nothing to compute."""
        return True

    def forward(self, x: Array, out: Array | None = None) -> Array:
        """Return x as (rows, everything else)."""
        self.drop(spent=False)
        x = _check.floats(self.label, "x", x)
        if x.ndim == 0:
            raise ValueError(f"{self.label}: x: got shape (), need rows")
        self.keep((x.shape, x.dtype))
        return _check.passed_on(self.label, x, (len(x), math.prod(x.shape[1:])), out)

    def backward(self, dy: Array, out: Array | None = None) -> Array:
        """Return dy in the shape of the last x."""
        shape, dtype = self.kept()
        dy = _check.like(self.label, "dy", dy, (shape[0], math.prod(shape[1:])), dtype)
        dx = _check.passed_on(self.label, dy, shape, out)
        self.drop()
        return dx

    def __repr__(self) -> str:
        """Return the name."""
        return "Flatten()"
