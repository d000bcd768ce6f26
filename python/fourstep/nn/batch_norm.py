"""Batch normalisation of (N, C) arrays, over the kernels in ``rust/core/src/norm``."""

from __future__ import annotations

import math

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.nn import _check
from fourstep.nn.module import Array, Module


class BatchNorm(Module):
    """Normalise each channel over the rows of a batch, then scale and shift it (B2).

    In training, over the N rows of the batch::

        μ = Σx/N,  σ² = Σ(x − μ)²/N,  y = (x − μ)·γ/√(σ² + ε) + β
        running_mean ← (1 − momentum)·running_mean + momentum·μ
        running_var  ← (1 − momentum)·running_var  + momentum·σ²·N/(N − 1)

    In evaluation the running statistics stand for μ and σ². Backward goes through the statistics after a forward in
    training, and treats them as constants ("frozen") after one in evaluation.

    Statistics are two-pass, in float64 and in one fixed order: the same bits at every instruction level and thread count.
    A constant channel comes out as exactly β.

    Parameters
    ----------
    num_features : int
        C, the columns of x.
    eps : float
        ε, above 0.
    momentum : float or None
        Weight of the new value in the running statistics, from 0 to 1. None: the plain average over all batches.
    affine : bool
        Whether there are γ and β; without them they are 1 and 0.
    dtype : {"float32", "float64"}
        Of parameters, statistics, input and output.

    Attributes
    ----------
    params["weight"], params["bias"] : ndarray, shape (C,)
        γ and β.
    buffers["running_mean"], buffers["running_var"] : ndarray, shape (C,)
        What evaluation normalises by; 0 and 1 at first.
    buffers["num_batches_tracked"] : ndarray of int64, no dimensions
        Forward passes in training.

    Raises
    ------
    ValueError
        In training: a batch of no row or of one, and values that are not finite (channel and first row are named), before
        anything is written. In evaluation values that are not finite are found in the pass and refused after it.
    TypeError
        x is not a NumPy array of the layer's dtype.
    RuntimeError
        Backward before forward, or twice.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> layer = nn.BatchNorm(2, dtype="float64")
    >>> y = layer.forward(np.array([[1.0, 50.0], [3.0, 50.0]]))
    >>> y.round(4).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    >>> layer.buffers["running_mean"].tolist(), layer.buffers["running_var"].round(4).tolist()
    ([0.2, 5.0], [1.1, 0.9])
    >>> layer.eval().forward(np.array([[0.2, 5.0]])).tolist()
    [[0.0, 0.0]]

    Notes
    -----
    Where others differ (the conventions here are torch's): ``momentum`` is the weight of the *old* value in Keras, Flax
    and ONNX, so their 0.99 is 0.01 here; Keras' ε is 1e-3; Keras and Flax put the biased variance into
    ``running_var``; Flax computes E[x²] − E[x]² by default.

    References
    ----------
    Ioffe and Szegedy 2015, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
    Shift".
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        *,
        dtype: str = "float32",
    ) -> None:
        super().__init__()
        self.num_features = channels = _check.size("num_features", num_features)
        self.dtype = _check.float_dtype(dtype)
        need = "a finite number above 0"
        self.eps = _check.number("eps", eps, need)
        if not (self.eps > 0 and math.isfinite(self.eps)):
            raise ValueError(f"eps: got {eps!r}, need {need}")
        need = "0 to 1, or None for the plain average"
        self.momentum = None if momentum is None else _check.number("momentum", momentum, need)
        if self.momentum is not None and not 0 <= self.momentum <= 1:
            raise ValueError(f"momentum: got {momentum!r}, need {need}")
        self.affine = affine
        if affine:
            self.add_parameter("weight", np.ones(channels, self.dtype))
            self.add_parameter("bias", np.zeros(channels, self.dtype))
        self.buffers["running_mean"] = np.zeros(channels, self.dtype)
        self.buffers["running_var"] = np.ones(channels, self.dtype)
        self.buffers["num_batches_tracked"] = np.array(0, np.int64)
        self._statistics = (np.empty(channels), np.empty(channels))

    def forward(self, x: Array, out: Array | None = None) -> Array:
        """Return the normalised batch, of the shape of x: (rows, num_features)."""
        self.drop(spent=False)
        x = _check.matrix(self.label, "x", x, self.num_features, self.dtype)
        if self.training:
            self._check_rows(len(x))
        out = _check.output(self.label, out, x.shape, self.dtype, x)
        x, y = np.ascontiguousarray(x), _check.contiguous(out)
        count = self.buffers["num_batches_tracked"]
        momentum = 1 / (int(count) + 1) if self.momentum is None else self.momentum
        running = (
            self.buffers["running_mean"],
            self.buffers["running_var"],
            momentum if self.training else None,
        )
        affine = (self.params.get("weight"), self.params.get("bias"))
        try:
            _core.batch_norm_forward(x, y, affine, running, self._statistics, self.eps, execution())
        except ValueError as error:
            raise ValueError(f"{self.label}: {error}") from None
        if y is not out:
            out[...] = y
        if self.training:
            count += 1
        self.keep((x, not self.training))
        return out

    def backward(self, dy: Array, out: Array | None = None) -> Array:
        """Add to the gradients of γ and β, and return dx, of the shape of x."""
        x, frozen = self.kept()
        dy = _check.like(self.label, "dy", dy, x.shape, self.dtype)
        out = _check.output(self.label, out, x.shape, self.dtype, x, dy)
        dx = _check.contiguous(out)
        gradients = (self.grads.get("weight"), self.grads.get("bias"))
        inputs = (x, np.ascontiguousarray(dy))
        weight = self.params.get("weight")
        _core.batch_norm_backward(inputs, dx, weight, gradients, self._statistics, frozen, execution())
        if dx is not out:
            out[...] = dx
        self.drop()
        return out

    def _check_rows(self, rows: int) -> None:
        if rows == 0:
            raise ValueError(f"{self.label}: x: got a batch of 0 rows in training, need at least 2")
        if rows == 1:
            raise ValueError(
                f"{self.label}: x: got a batch of 1 row in training, need at least 2: one value has no variance. "
                "The usual cause is the last batch of an epoch: drop it (drop_last=True), or choose a batch size that "
                "does not leave a single row. To use the running statistics instead, call eval() first"
            )

    def __repr__(self) -> str:
        """Return the arguments that it was made with."""
        return (
            f"BatchNorm({self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine})"
        )
