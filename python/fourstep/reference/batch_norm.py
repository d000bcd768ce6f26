"""Batch normalisation, as the textbook writes it: the twin of ``rust/core/src/norm``, same bits.

    μ = Σx/n,  σ² = Σ(x − μ)²/n,  y = (x − μ)·a + β,  a = γ/√(σ² + ε)
    dβ = Σdy,  dγ = Σ dy·x̂,  dx = (dy − dβ/n − x̂·dγ/n)·a

Sums are in float64 and in a fixed order: a column is cut into blocks of 1024 values; in a block value i is added to lane
i mod 32; the lanes are halved until one is left; blocks are merged pairwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from fourstep.reference.lanes import LANES

ROWS = 1024

Array = np.ndarray[Any, Any]
Part = TypeVar("Part")
#: Number of values, mean, and sum of squares about it, of each column.
Moments = tuple[float, Array, Array]


class BatchNorm:
    """Batch normalisation of (N, C) arrays.

    Parameters
    ----------
    num_features : int
        C.
    eps, momentum : float
        ε, and the weight of the new value in the running statistics.
    dtype : {"float32", "float64"}
        Of parameters, statistics, input and output.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import reference
    >>> layer = reference.BatchNorm(1, dtype="float64")
    >>> layer.forward(np.array([[1.0], [3.0]])).round(4).tolist()
    [[-1.0], [1.0]]
    >>> dx, dweight, dbias = layer.backward(np.array([[1.0], [0.0]]))
    >>> dweight.round(4).tolist(), dbias.tolist()
    ([-1.0], [1.0])
    """

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, *, dtype: str = "float32"
    ) -> None:
        self.eps, self.momentum, self.training = eps, momentum, True
        self.weight, self.bias = np.ones(num_features, dtype), np.zeros(num_features, dtype)
        self.running_mean, self.running_var = np.zeros(num_features, dtype), np.ones(num_features, dtype)

    def forward(self, x: Array) -> Array:
        """Return y; in training, move the running statistics."""
        self.x, self.frozen = x, not self.training
        if self.training:
            n, self.mean, squares = moments(x)
            self.invstd = 1 / np.sqrt(squares / n + self.eps)
            self.running_mean[...] = self._moved(self.running_mean, self.mean)
            self.running_var[...] = self._moved(self.running_var, squares / (n - 1))
        else:
            self.mean = self.running_mean.astype(np.float64)
            self.invstd = 1 / np.sqrt(self.running_var.astype(np.float64) + self.eps)
        return self._centred() * self._slope() + self.bias

    def backward(self, dy: Array) -> tuple[Array, Array, Array]:
        """Return dx, dγ and dβ."""
        n, dtype = float(len(dy)), dy.dtype
        d = self.x.astype(np.float64) - self.mean
        sum_dy = column_sums(dy.astype(np.float64))
        sum_dy_d = column_sums(dy.astype(np.float64) * d)
        dweight, dbias = (sum_dy_d * self.invstd).astype(dtype), sum_dy.astype(dtype)
        if self.frozen:
            return dy * self._slope(), dweight, dbias
        mean_dy = (sum_dy / n).astype(dtype)
        k = (sum_dy_d * (self.invstd * self.invstd) / n).astype(dtype)
        dx: Array = ((dy - mean_dy) - self._centred() * k) * self._slope()
        return dx, dweight, dbias

    def _slope(self) -> Array:
        """Return a = γ/√(σ² + ε), rounded once."""
        slope: Array = (self.weight.astype(np.float64) * self.invstd).astype(self.weight.dtype)
        return slope

    def _centred(self) -> Array:
        """Return x − μ, μ in two parts: the nearest number of x's dtype, and the rest."""
        near = self.mean.astype(self.x.dtype)
        rest = (self.mean - near.astype(np.float64)).astype(self.x.dtype)
        centred: Array = (self.x - near) - rest
        return centred

    def _moved(self, old: Array, new: Array) -> Array:
        moved: Array = (1 - self.momentum) * old.astype(np.float64) + self.momentum * new
        return moved


def moments(x: Array) -> Moments:
    """Return the number of values, the mean of each column, and the sum of squares about it.

    >>> n, mean, squares = moments(np.array([[1.0], [2.0], [6.0]]))
    >>> n, mean.tolist(), squares.tolist()
    (3.0, [3.0], [14.0])
    """

    def block(x: Array) -> Moments:
        x = x.astype(np.float64)
        mean = x[0] + _block_sums(x - x[0]) / len(x)
        return float(len(x)), mean, _block_sums((x - mean) * (x - mean))

    def merge(a: Moments, b: Moments) -> Moments:
        n, delta = a[0] + b[0], b[1] - a[1]
        share = b[0] / n
        return n, a[1] + delta * share, a[2] + b[2] + delta * delta * (a[0] * share)

    return _tree([block(part) for part in _blocks(x)], merge)


def column_sums(x: Array) -> Array:
    """Return the sum of each column of a float64 matrix.

    >>> column_sums(np.ones((3000, 2))).tolist()
    [3000.0, 3000.0]
    """
    return _tree([_block_sums(part) for part in _blocks(x)], np.add)


def _blocks(x: Array) -> list[Array]:
    return [x[start : start + ROWS] for start in range(0, max(len(x), 1), ROWS)]


def _block_sums(x: Array) -> Array:
    lanes = np.zeros((LANES, x.shape[1]))
    for start in range(0, len(x), LANES):
        rows = x[start : start + LANES]
        lanes[: len(rows)] += rows
    width = LANES // 2
    while width:
        lanes[:width] += lanes[width : 2 * width]
        width //= 2
    first: Array = lanes[0]
    return first


def _tree(parts: list[Part], merge: Callable[[Part, Part], Part]) -> Part:
    """Return the parts merged as a balanced tree that is halved at the largest power of two below the length."""
    if len(parts) == 1:
        return parts[0]
    half = 1 << (len(parts) - 1).bit_length() - 1
    return merge(_tree(parts[:half], merge), _tree(parts[half:], merge))
