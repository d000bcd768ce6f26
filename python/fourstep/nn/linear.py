"""Linear: y = x·Wᵀ + b."""

from __future__ import annotations

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.nn import _check, init
from fourstep.nn.module import Array, Module


class Linear(Module):
    """Multiply by a matrix and add a bias: ``y = x @ weight.T + bias``.

    Backward: ``dx = dy @ weight``, ``grads["weight"] += dy.T @ x``, ``grads["bias"] += dy.sum(0)``. The matrix products
    are BLAS's: the same bits again on one machine with one NumPy. The sum is our own kernel's, in float64.

    Leave the bias out in front of a `BatchNorm`: the batch's mean takes it away again, and its gradient is 0 (A4).

    Parameters
    ----------
    in_features, out_features : int
        Columns of x and of y.
    bias : bool
        Whether there is a bias.
    dtype : {"float32", "float64"}
        Of parameters, input and output.
    seed : int, optional
        Of the initial values; without it, and without `rng`, they are different in each run.
    rng : numpy.random.Generator, optional
        Draws the initial values instead; a generator that several layers share goes on from one to the next.

    Attributes
    ----------
    params["weight"] : ndarray, shape (out_features, in_features)
    params["bias"] : ndarray, shape (out_features,)
        Both uniform in ±1/√in_features at first. `fourstep.nn.init` has others.

    Raises
    ------
    TypeError, ValueError
        x is not a (rows, in_features) array of the layer's dtype; `out` does not fit or overlaps x.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> layer = nn.Linear(3, 2, dtype="float64", seed=0)
    >>> layer.params["weight"] = np.array([[1.0, 0.0, -1.0], [0.5, 0.5, 0.5]])
    >>> layer.params["bias"] = np.array([0.0, 10.0])
    >>> layer.forward(np.array([[1.0, 2.0, 3.0]])).tolist()
    [[-2.0, 13.0]]
    >>> layer.backward(np.array([[1.0, 2.0]])).tolist()
    [[2.0, 1.0, 0.0]]
    >>> layer.grads["weight"].tolist()
    [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]]

    Notes
    -----
    Where others differ: Keras stores the matrix transposed, (in, out). Names, shapes and initial values here are torch's.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: str = "float32",
        seed: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_features = _check.size("in_features", in_features)
        self.out_features = _check.size("out_features", out_features)
        self.dtype = _check.float_dtype(dtype)
        rng = init.generator(seed, rng)
        bound = 1 / self.in_features**0.5
        self.add_parameter("weight", np.empty((self.out_features, self.in_features), self.dtype))
        init.uniform(self.params["weight"], -bound, bound, rng=rng)
        if _check.flag("bias", bias):
            self.add_parameter("bias", np.empty(self.out_features, self.dtype))
            init.uniform(self.params["bias"], -bound, bound, rng=rng)
        self._product: Array | None = None

    def forward(self, x: Array, out: Array | None = None) -> Array:
        """Return ``x @ weight.T + bias``, of shape (rows, out_features)."""
        self.drop(spent=False)
        x = _check.matrix(self.label, "x", x, self.in_features, self.dtype)
        out = _check.output(self.label, out, (len(x), self.out_features), self.dtype, x)
        np.matmul(x, self.params["weight"].T, out=out)
        if "bias" in self.params:
            out += self.params["bias"]
        self.keep(x)
        return out

    def backward(self, dy: Array, out: Array | None = None) -> Array:
        """Add to the gradients of weight and bias, and return dx, of shape (rows, in_features)."""
        x: Array = self.kept()
        dy = _check.like(self.label, "dy", dy, (len(x), self.out_features), self.dtype)
        out = _check.output(self.label, out, x.shape, self.dtype, x, dy)
        if self._product is None:
            self._product = np.empty_like(self.params["weight"])
        np.matmul(dy.T, x, out=self._product)
        self.grads["weight"] += self._product
        if "bias" in self.params:
            _core.add_column_sums(np.ascontiguousarray(dy), self.grads["bias"], execution())
        np.matmul(dy, self.params["weight"], out=out)
        self.drop()
        return out

    def _release(self) -> None:
        self._product = None

    def __repr__(self) -> str:
        """Return the arguments that it was made with."""
        return f"Linear({self.in_features}, {self.out_features}, bias={'bias' in self.params})"
