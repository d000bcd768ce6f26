"""Batch normalisation, as the textbook writes it: the twin of ``rust/core/src/norm``, same bits.

    μ = Σx/n,  σ² = Σ(x − μ)²/n,  z = (x − μ)·a + β,  a = γ/√(σ² + ε),  y = activation(z)
    dβ = Σdz,  dγ = Σ dz·x̂,  dx = (dz − dβ/n − x̂·dγ/n)·a

A channel's values count by sample, then by place. Sums over them are in float64 and in a fixed order:

    block     2048 values, the last one what is left
    strand    a quarter of a block: its values 0..h, h..2h, …, with h = 8·⌈length/32⌉
    lane      value i of a strand is added to lane i mod 8 of that strand
    fold      the 4·8 lanes are halved until one is left; blocks are merged pairwise
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from fourstep.reference.precision import from_half, to_half

BLOCK = 2048
STRANDS = 4
LANES = 8

Array = np.ndarray[Any, Any]
Part = TypeVar("Part")
#: Number of values, mean, and sum of squares about it, of each channel.
Moments = tuple[float, Array, Array]


class BatchNorm:
    """Batch normalisation of arrays with channels along `axis`.

    Parameters
    ----------
    num_features : int
        C.
    eps, momentum : float
        ε, and the weight of the new value in the running statistics.
    axis : int
        Where the channels are.
    unbiased : bool
        Whether ``running_var`` follows the variance over n − 1.
    slope : float, optional
        Of what is below 0 behind the normalisation: 0 is ReLU, other numbers leaky ReLU, None neither.
    dtype : {"float32", "float64"}
        Of parameters and statistics. Input and output have it too, or are bfloat16 by their bits (uint16).

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
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        *,
        axis: int = 1,
        unbiased: bool = True,
        slope: float | None = None,
        dtype: str = "float32",
    ) -> None:
        self.eps, self.momentum, self.training = eps, momentum, True
        self.axis, self.unbiased, self.slope = axis, unbiased, slope
        self.weight, self.bias = np.ones(num_features, dtype), np.zeros(num_features, dtype)
        self.running_mean, self.running_var = np.zeros(num_features, dtype), np.ones(num_features, dtype)

    def forward(self, x: Array) -> Array:
        """Return y; in training, move the running statistics."""
        self.x, self.frozen = self._columns(x), not self.training
        if self.training:
            n, self.mean, squares = moments(self.x)
            self.invstd = 1 / np.sqrt(squares / n + self.eps)
            self.running_mean[...] = self._moved(self.running_mean, self.mean)
            self.running_var[...] = self._moved(self.running_var, squares / (n - 1 if self.unbiased else n))
        else:
            self.mean = self.running_mean.astype(np.float64)
            self.invstd = 1 / np.sqrt(self.running_var.astype(np.float64) + self.eps)
        z = self._line()
        return self._like(z if self.slope is None else np.where(z <= 0, self._below(z), z), x)

    def backward(self, dy: Array) -> tuple[Array, Array, Array]:
        """Return dx, dγ and dβ."""
        dz, dtype = self._columns(dy), self.weight.dtype
        if self.slope is not None:
            dz = np.where(self._line() <= 0, self._below(dz), dz)
        n, wide = float(len(dz)), dz.astype(np.float64)
        sum_dz = column_sums(wide)
        sum_dz_d = column_sums(wide * (self.x.astype(np.float64) - self.mean))
        dweight, dbias = (sum_dz_d * self.invstd).astype(dtype), sum_dz.astype(dtype)
        if self.frozen:
            return self._like(dz * self._slope(), dy), dweight, dbias
        mean_dz = (sum_dz / n).astype(dtype)
        k = (sum_dz_d * (self.invstd * self.invstd) / n).astype(dtype)
        dx: Array = ((dz - mean_dz) - self._centred() * k) * self._slope()
        return self._like(dx, dy), dweight, dbias

    def _columns(self, x: Array) -> Array:
        """Return the values as (positions, channels), in the dtype that is computed with."""
        columns = np.moveaxis(x, self.axis, -1).reshape(-1, self.weight.size)
        return from_half(columns) if x.dtype == np.uint16 else columns

    def _like(self, columns: Array, x: Array) -> Array:
        """Return columns in the shape and storage of x."""
        stored = to_half(columns) if x.dtype == np.uint16 else columns
        shape = np.moveaxis(x, self.axis, -1).shape
        return np.ascontiguousarray(np.moveaxis(stored.reshape(shape), -1, self.axis))

    def _line(self) -> Array:
        z: Array = self._centred() * self._slope() + self.bias
        return z

    def _below(self, values: Array) -> Array:
        """Return what the activation makes of values where z is at most 0; ReLU gives 0, not −0."""
        below: Array = values * values.dtype.type(self.slope) if self.slope else np.zeros_like(values)
        return below

    def _slope(self) -> Array:
        """Return a = γ/√(σ² + ε), rounded once."""
        slope: Array = (self.weight.astype(np.float64) * self.invstd).astype(self.weight.dtype)
        return slope

    def _centred(self) -> Array:
        """Return x − μ, μ in two parts: the nearest number of x's dtype, and the rest."""
        near = self.mean.astype(self.weight.dtype)
        rest = (self.mean - near.astype(np.float64)).astype(self.weight.dtype)
        centred: Array = (self.x - near) - rest
        return centred

    def _moved(self, old: Array, new: Array) -> Array:
        moved: Array = (1 - self.momentum) * old.astype(np.float64) + self.momentum * new
        return moved


def moments(x: Array) -> Moments:
    """Return the number of values, the mean of each column, and the sum of squares about it.

    A block is summed about its first value, so that nothing cancels: that value is one of those whose squares are summed.

    >>> n, mean, squares = moments(np.array([[1.0], [2.0], [6.0]]))
    >>> n, mean.tolist(), squares.tolist()
    (3.0, [3.0], [14.0])
    """

    def block(x: Array) -> Moments:
        x = x.astype(np.float64)
        n, d = float(len(x)), x - x[0]
        total = _block_sums(d)
        shift = total / n
        squares = _block_sums(d * d) - total * shift
        return n, x[0] + shift, np.where(squares < 0, 0, squares)

    return _tree([block(part) for part in _blocks(x)], merge)


def merge(a: Moments, b: Moments) -> Moments:
    """Return the moments of two sets of values together (Chan, Golub and LeVeque 1979).

    >>> ones = np.ones(1)
    >>> merge((2.0, ones, ones), (2.0, 3 * ones, ones))
    (4.0, array([2.]), array([6.]))
    """
    n, delta = a[0] + b[0], b[1] - a[1]
    share = b[0] / n
    return n, a[1] + delta * share, a[2] + b[2] + delta * delta * (a[0] * share)


def column_sums(x: Array) -> Array:
    """Return the sum of each column of a float64 matrix.

    >>> column_sums(np.ones((3000, 2))).tolist()
    [3000.0, 3000.0]
    """
    return _tree([_block_sums(part) for part in _blocks(x)], np.add)


def _blocks(x: Array) -> list[Array]:
    return [x[start : start + BLOCK] for start in range(0, max(len(x), 1), BLOCK)]


def _block_sums(x: Array) -> Array:
    strand = LANES * -(-len(x) // (STRANDS * LANES))
    lanes = np.zeros((STRANDS * LANES, x.shape[1]))
    for s in range(STRANDS):
        mine = x[s * strand : (s + 1) * strand]
        for start in range(0, len(mine), LANES):
            rows = mine[start : start + LANES]
            lanes[s * LANES : s * LANES + len(rows)] += rows
    width = STRANDS * LANES // 2
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
