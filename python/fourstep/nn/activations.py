"""Activations as layers, and `compare`, which puts them beside each other (A2–A6).

Sigmoid, tanh, ReLU, leaky ReLU and ELU keep their output, from which backward takes the derivative; GELU, SiLU and
softplus keep their input. Softmax and log-softmax work along an axis, maxout on the last one.
"""

from __future__ import annotations

import numpy as np

from fourstep.nn import _check, functional
from fourstep.nn._comparison import Comparison, compare
from fourstep.nn._zones import saturated, saturation_zones, zero_zones
from fourstep.nn.module import Array, Module

__all__ = [
    "ELU",
    "GELU",
    "Comparison",
    "LeakyReLU",
    "LogSoftmax",
    "Maxout",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "compare",
    "saturated",
    "saturation_zones",
    "zero_zones",
]


class _Activation(Module):
    """A function of its input, of one shape, in its dtype."""

    #: Whether backward starts from the input; otherwise from the output.
    _from_input = False

    def forward(self, x: Array, out: Array | None = None) -> Array:
        """Return the activation of x, of any shape."""
        self.drop(spent=False)
        x = _check.floats(self.label, "x", x)
        out = _check.output(self.label, out, x.shape, x.dtype, x)
        self._activate(x, out)
        self.keep(x if self._from_input else out)
        return out

    def backward(self, dy: Array, out: Array | None = None) -> Array:
        """Return dx = dy · the derivative at the x of the last forward."""
        kept: Array = self.kept()
        dy = _check.like(self.label, "dy", dy, kept.shape, kept.dtype)
        out = _check.output(self.label, out, kept.shape, kept.dtype, kept, dy)
        self._chain(kept, dy, out)
        self.drop()
        return out

    def _activate(self, x: Array, out: Array) -> None:
        raise NotImplementedError

    def _chain(self, kept: Array, dy: Array, out: Array) -> None:
        """Fill `out` with dx: for a function of each element, its derivative times dy."""
        self._derivative(kept, out)
        out *= dy

    def _derivative(self, kept: Array, out: Array) -> None:
        """Fill `out` with the derivative where the output (or the input, with `_from_input`) is `kept`."""
        raise NotImplementedError

    def _arguments(self) -> str:
        return ""

    def __repr__(self) -> str:
        """Return the arguments that it was made with."""
        return f"{type(self).__name__}({self._arguments()})"


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

    def _derivative(self, kept: Array, out: Array) -> None:
        np.subtract(1, kept, out=out)
        out *= kept


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

    def _derivative(self, kept: Array, out: Array) -> None:
        np.multiply(kept, kept, out=out)
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

    def _derivative(self, kept: Array, out: Array) -> None:
        np.greater(kept, 0, out=out)


class LeakyReLU(_Activation):
    """y = max(αx, x), dx = dy where x > 0 and α·dy elsewhere: no unit dies (A2).

    Parameters
    ----------
    negative_slope : float
        α, from 0 to 1.

    Raises
    ------
    ValueError
        α is outside. torch's takes any.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> layer = nn.LeakyReLU(0.1)
    >>> layer.forward(np.array([-1.0, 0.0, 2.0])).tolist()
    [-0.1, 0.0, 2.0]
    >>> layer.backward(np.ones(3)).tolist()
    [0.1, 0.1, 1.0]
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        need = "a number from 0 to 1"
        self.negative_slope = _check.number("negative_slope", negative_slope, need)
        if not 0 <= self.negative_slope <= 1:
            raise ValueError(f"negative_slope: got {negative_slope!r}, need {need}")

    def _activate(self, x: Array, out: Array) -> None:
        functional.leaky_relu(x, self.negative_slope, out=out)

    def _derivative(self, kept: Array, out: Array) -> None:
        functional.dleaky_relu(kept, self.negative_slope, out=out)

    def _arguments(self) -> str:
        return str(self.negative_slope)


class ELU(_Activation):
    """y = x above 0 and α(e^x − 1) below; dx = dy and αe^x·dy.

    Parameters
    ----------
    alpha : float
        α, above 0: what the output tends to on the left is −α.

    Raises
    ------
    ValueError
        α is not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> layer = nn.ELU()
    >>> layer.forward(np.array([-1000.0, 0.0, 2.0])).tolist()
    [-1.0, 0.0, 2.0]
    >>> layer.backward(np.ones(3)).tolist()
    [0.0, 1.0, 1.0]
    """

    _from_input = True  # y + α has lost the digits of αe^x

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        need = "a finite number above 0"
        self.alpha = _check.number("alpha", alpha, need)
        if not 0 < self.alpha < float("inf"):
            raise ValueError(f"alpha: got {alpha!r}, need {need}")

    def _activate(self, x: Array, out: Array) -> None:
        functional.elu(x, self.alpha, out=out)

    def _derivative(self, kept: Array, out: Array) -> None:
        functional.delu(kept, self.alpha, out=out)

    def _arguments(self) -> str:
        return str(self.alpha)


class GELU(_Activation):
    """y = x·Φ(x), Φ the normal distribution; with ``approximate="tanh"`` its tanh form (`functional.gelu`).

    Parameters
    ----------
    approximate : {"none", "tanh"}
        Which of the two. torch's names.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> layer = nn.GELU()
    >>> layer.forward(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [-0.0, 0.0, 1000.0]
    >>> layer.backward(np.ones(3)).tolist()
    [0.0, 0.5, 1.0]
    """

    _from_input = True

    def __init__(self, approximate: functional.Gelu = "none") -> None:
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ValueError(f"approximate: got {approximate!r}, need 'none' or 'tanh'")
        self.approximate = approximate

    def _activate(self, x: Array, out: Array) -> None:
        functional.gelu(x, self.approximate, out=out)

    def _derivative(self, kept: Array, out: Array) -> None:
        functional.dgelu(kept, self.approximate, out=out)

    def _arguments(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(_Activation):
    """y = x·σ(x), dx = dy·(σ(x) + xσ(x)(1 − σ(x))).

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> layer = nn.SiLU()
    >>> layer.forward(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [-0.0, 0.0, 1000.0]
    >>> layer.backward(np.ones(3)).tolist()
    [0.0, 0.5, 1.0]
    """

    _from_input = True

    def _activate(self, x: Array, out: Array) -> None:
        functional.silu(x, out=out)

    def _derivative(self, kept: Array, out: Array) -> None:
        functional.dsilu(kept, out=out)


class Softplus(_Activation):
    """y = ln(1 + e^x), dx = dy·σ(x): a smooth ReLU.

    Torch's takes x itself for it from 20 on, which is 2e-9 off; here no digit is lost.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> layer = nn.Softplus()
    >>> layer.forward(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [0.0, 0.6931471805599453, 1000.0]
    >>> layer.backward(np.ones(3)).tolist()
    [0.0, 0.5, 1.0]
    """

    _from_input = True

    def _activate(self, x: Array, out: Array) -> None:
        functional.softplus(x, out=out)

    def _derivative(self, kept: Array, out: Array) -> None:
        functional.dsoftplus(kept, out=out)


class _AlongAxis(_Activation):
    """An activation whose outputs share the numbers of an axis."""

    def __init__(self, axis: int = -1) -> None:
        super().__init__()
        self.axis = _check.whole("axis", axis)

    def forward(self, x: Array, out: Array | None = None) -> Array:
        """Return the activation of x along the axis."""
        try:
            return super().forward(x, out)
        except ValueError as error:
            text = str(error)
            raise ValueError(text if text.startswith(self.label) else f"{self.label}: {text}") from None

    def _arguments(self) -> str:
        return f"axis={self.axis}"


class Softmax(_AlongAxis):
    """p_j = e^z_j/Σ_k e^z_k along an axis (A6); dz_j = p_j·(dp_j − Σ_k dp_k·p_k).

    In front of a cross-entropy take `CrossEntropyLoss`, which does both at once and without the logarithm of 0.

    Parameters
    ----------
    axis : int
        Whose numbers share the total of 1; torch calls it dim.

    Raises
    ------
    ValueError
        x has no such axis, or no elements along it.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> layer = nn.Softmax()
    >>> layer.forward(np.array([[0.0, 0.0], [1000.0, 0.0]])).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    >>> layer.backward(np.array([[1.0, 0.0], [0.0, 1.0]])).tolist()
    [[0.25, -0.25], [0.0, 0.0]]
    """

    def _activate(self, x: Array, out: Array) -> None:
        functional.softmax(np.asarray(x, order="C"), self.axis, out=out)

    def _chain(self, kept: Array, dy: Array, out: Array) -> None:
        mean = np.multiply(kept, dy, order="C").sum(axis=self.axis, keepdims=True)
        np.subtract(dy, mean, out=out)
        out *= kept


class LogSoftmax(_AlongAxis):
    """y = ln softmax(z) along an axis; dz_j = dy_j − p_j·Σ_k dy_k.

    Parameters
    ----------
    axis : int
        Whose numbers share the total of 1; torch calls it dim.

    Raises
    ------
    ValueError
        x has no such axis, or no elements along it.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> layer = nn.LogSoftmax()
    >>> layer.forward(np.array([[1000.0, 0.0]])).tolist()
    [[0.0, -1000.0]]
    >>> layer.backward(np.array([[0.0, 1.0]])).tolist()
    [[-1.0, 1.0]]
    """

    def _activate(self, x: Array, out: Array) -> None:
        functional.log_softmax(np.asarray(x, order="C"), self.axis, out=out)

    def _chain(self, kept: Array, dy: Array, out: Array) -> None:
        total = np.ascontiguousarray(dy).sum(axis=self.axis, keepdims=True)
        functional.exp(kept, out=out)
        out *= -total
        out += dy


class Maxout(Module):
    """y = the largest of each `pieces` numbers side by side: max(w₁ᵀx + b₁, w₂ᵀx + b₂) behind a Linear (A2).

    ``Sequential(Linear(n, pieces * units), Maxout(pieces))`` is a layer of maxout units. Backward gives dy to the first
    of the largest, and 0 to the others.

    Parameters
    ----------
    pieces : int
        How many numbers compete, at least 2.

    Raises
    ------
    ValueError
        The last axis of x is no multiple of `pieces`.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> layer = nn.Maxout(2)
    >>> layer.forward(np.array([[1.0, 2.0, -4.0, -3.0]])).tolist()
    [[2.0, -3.0]]
    >>> layer.backward(np.array([[5.0, 7.0]])).tolist()
    [[0.0, 5.0, 0.0, 7.0]]
    """

    def __init__(self, pieces: int = 2) -> None:
        super().__init__()
        self.pieces = _check.size("pieces", pieces, 2)

    def forward(self, x: Array, out: Array | None = None) -> Array:
        """Return the largest of each group, of shape (…, columns/pieces)."""
        self.drop(spent=False)
        x = _check.floats(self.label, "x", x)
        if x.ndim == 0 or x.shape[-1] % self.pieces:
            raise ValueError(
                f"{self.label}: x: got shape {x.shape}, need a last axis that is a multiple of {self.pieces}"
            )
        shape = (*x.shape[:-1], x.shape[-1] // self.pieces)
        out = _check.output(self.label, out, shape, x.dtype, x)
        functional.maxout(x, self.pieces, out=out)
        self.keep((functional.dmaxout(x, self.pieces), shape))
        return out

    def backward(self, dy: Array, out: Array | None = None) -> Array:
        """Return dx: dy where the winners were, else 0."""
        winners, shape = self.kept()
        dy = _check.like(self.label, "dy", dy, shape, winners.dtype)
        out = _check.output(self.label, out, winners.shape, winners.dtype, dy)
        np.multiply(winners, np.repeat(dy, self.pieces, axis=-1), out=out)
        self.drop()
        return out

    def __repr__(self) -> str:
        """Return the arguments that it was made with."""
        return f"Maxout({self.pieces})"
