"""Layer normalisation: each row by its own mean and variance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.nn import _check
from fourstep.nn.module import Array, Module


class LayerNorm(Module):
    """Normalise each row by itself: y = (x − μ)·γ/√(σ² + ε) + β, μ and σ² over the last dimensions.

    Nothing depends on the other rows: any batch size, the same in training and in use. With x̂ the normalised row and
    g = dy·γ, backward is dx = (g − mean g − x̂·mean(g·x̂))/√(σ² + ε).

    Mean and variance are two-pass, in float64. A float32 row of equal values comes out as exactly β.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        The last dimensions of x, over which one mean and one variance are taken.
    eps : float
        ε, above 0.
    elementwise_affine : bool
        Whether there are γ and β.
    bias : bool
        Whether there is β beside γ.
    dtype : {"float32", "float64"}
        Of parameters, input and output.

    Attributes
    ----------
    params["weight"], params["bias"] : ndarray, shape normalized_shape
        γ and β; ones and zeros at first.

    Raises
    ------
    TypeError, ValueError
        x is not an array of the layer's dtype whose last dimensions are `normalized_shape`; `out` does not fit.
    RuntimeError
        Backward before forward, or twice.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> layer = nn.LayerNorm(2, dtype="float64")
    >>> layer.forward(np.array([[1.0, 3.0], [50.0, 50.0]])).round(4).tolist()
    [[-1.0, 1.0], [0.0, 0.0]]
    >>> layer.backward(np.array([[1.0, 1.0], [0.0, 0.0]])).round(4).tolist()
    [[0.0, 0.0], [0.0, 0.0]]

    Notes
    -----
    Where others differ: Keras' ε is 1e-3, Flax' is 1e-6; names, shapes and defaults here are torch's.

    References
    ----------
    Ba, Kiros and Hinton 2016, "Layer Normalization".
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: str = "float32",
    ) -> None:
        super().__init__()
        self.normalized_shape = _check.shape("normalized_shape", normalized_shape, least=1)
        if not self.normalized_shape:
            raise ValueError("normalized_shape: got no dimensions, need at least one")
        need = "a finite number above 0"
        self.eps = _check.number("eps", eps, need)
        if not (self.eps > 0 and math.isfinite(self.eps)):
            raise ValueError(f"eps: got {eps!r}, need {need}")
        self.dtype = _check.float_dtype(dtype)
        if _check.flag("elementwise_affine", elementwise_affine):
            self.add_parameter("weight", np.ones(self.normalized_shape, self.dtype))
            if _check.flag("bias", bias):
                self.add_parameter("bias", np.zeros(self.normalized_shape, self.dtype))

    def forward(self, x: Array, out: Array | None = None) -> Array:
        """Return the normalised rows, of the shape of x."""
        self.drop(spent=False)
        x = _check.floats(self.label, "x", x, self.dtype)
        dimensions = len(self.normalized_shape)
        if x.shape[-dimensions:] != self.normalized_shape:
            need = ", ".join(map(str, self.normalized_shape))
            raise ValueError(f"{self.label}: x: got shape {x.shape}, need (…, {need})")
        out = _check.output(self.label, out, x.shape, self.dtype, x)
        wide = np.ascontiguousarray(x).reshape(-1, math.prod(self.normalized_shape)).astype(np.float64)
        wide -= wide.mean(axis=1, keepdims=True)
        scale = 1 / np.sqrt(np.square(wide).mean(axis=1, keepdims=True) + self.eps)
        wide *= scale
        normal = wide.astype(self.dtype)
        y = normal.reshape(x.shape)
        if "weight" in self.params:
            y = y * self.params["weight"]
        if "bias" in self.params:
            y += self.params["bias"]
        out[...] = y
        self.keep((normal, scale, x.shape))
        return out

    def backward(self, dy: Array, out: Array | None = None) -> Array:
        """Add to the gradients of γ and β, and return dx, of the shape of x."""
        normal, scale, shape = self.kept()
        dy = _check.like(self.label, "dy", dy, shape, self.dtype)
        out = _check.output(self.label, out, shape, self.dtype, dy)
        rows = np.ascontiguousarray(dy).reshape(normal.shape)
        g = rows.astype(np.float64)
        if "weight" in self.params:
            self._add("weight", rows * normal)
            g *= self.params["weight"].reshape(-1)
        if "bias" in self.params:
            self._add("bias", rows)
        g -= g.mean(axis=1, keepdims=True) + normal * (g * normal).mean(axis=1, keepdims=True)
        g *= scale
        out[...] = g.reshape(shape)
        self.drop()
        return out

    def _add(self, name: str, rows: Array) -> None:
        _core.add_column_sums(rows, self.grads[name].reshape(-1), execution())

    def __repr__(self) -> str:
        """Return the arguments that it was made with."""
        affine, bias = "weight" in self.params, "bias" in self.params
        return f"LayerNorm({self.normalized_shape}, eps={self.eps}, elementwise_affine={affine}, bias={bias})"
