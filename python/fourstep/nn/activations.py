"""Activations as layers: sigmoid, tanh, ReLU. They keep their output, from which backward takes the derivative."""

from __future__ import annotations

import numpy as np

from fourstep.nn import _check, functional
from fourstep.nn.module import Array, Module


class _Activation(Module):
    """One function of each element, in the dtype of its input."""

    def forward(self, x: Array, out: Array | None = None) -> Array:
        """Return the activation of each element of x, of any shape."""
        self.drop(spent=False)
        x = _check.floats(self.label, "x", x)
        out = _check.output(self.label, out, x.shape, x.dtype, x)
        self._activate(x, out)
        self.keep(out)
        return out

    def backward(self, dy: Array, out: Array | None = None) -> Array:
        """Return dx = dy · the derivative at the x of the last forward."""
        y: Array = self.kept()
        dy = _check.like(self.label, "dy", dy, y.shape, y.dtype)
        out = _check.output(self.label, out, y.shape, y.dtype, y, dy)
        self._derivative(y, out)
        out *= dy
        self.drop()
        return out

    def _activate(self, x: Array, out: Array) -> None:
        raise NotImplementedError

    def _derivative(self, y: Array, out: Array) -> None:
        """Fill `out` with the derivative where the output is y."""
        raise NotImplementedError

    def __repr__(self) -> str:
        """Return the name."""
        return f"{type(self).__name__}()"


class Sigmoid(_Activation):
    """y = 1/(1 + e^−x), dx = dy·y·(1 − y).

    Saturates on both sides, and is not centred on zero: with inputs of one sign the weights of the next layer's unit all
    have gradients of one sign (A3).

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> layer = nn.Sigmoid()
    >>> layer.forward(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [0.0, 0.5, 1.0]
    >>> layer.backward(np.ones(3)).tolist()
    [0.0, 0.25, 0.0]
    """

    def _activate(self, x: Array, out: Array) -> None:
        functional.sigmoid(x, out=out)

    def _derivative(self, y: Array, out: Array) -> None:
        np.subtract(1, y, out=out)
        out *= y


class Tanh(_Activation):
    """y = tanh x, dx = dy·(1 − y²): centred on zero, still saturating (A4).

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> layer = nn.Tanh()
    >>> layer.forward(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [-1.0, 0.0, 1.0]
    >>> layer.backward(np.ones(3)).tolist()
    [0.0, 1.0, 0.0]
    """

    def _activate(self, x: Array, out: Array) -> None:
        functional.tanh(x, out=out)

    def _derivative(self, y: Array, out: Array) -> None:
        np.multiply(y, y, out=out)
        np.subtract(1, out, out=out)


class ReLU(_Activation):
    """y = max(x, 0), dx = dy where x > 0 and 0 elsewhere: one-sided and sparse (A5).

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> layer = nn.ReLU()
    >>> layer.forward(np.array([-1.0, 0.0, 2.0])).tolist()
    [0.0, 0.0, 2.0]
    >>> layer.backward(np.ones(3)).tolist()
    [0.0, 0.0, 1.0]
    """

    def _activate(self, x: Array, out: Array) -> None:
        functional.relu(x, out=out)

    def _derivative(self, y: Array, out: Array) -> None:
        np.greater(y, 0, out=out)
