"""The layers of the click model that are its own: a hidden block on a clock, and vectors of numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fourstep import nn
from fourstep.nn import init

if TYPE_CHECKING:
    from fourstep.train.clock import Clock
    from fourstep.train.config import Config

__all__ = ["ACTIVATIONS", "INITS", "Block", "Buffers", "NumberEmbedding"]

F32 = npt.NDArray[np.float32]

#: What `--activation` names.
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
}


def _auto(weight: F32, activation: str, rng: np.random.Generator) -> None:
    """He where half of the units are off, Xavier where the activation is about linear (G4)."""
    fill = init.xavier_normal if activation in ("sigmoid", "tanh") else init.he_normal
    fill(weight, rng=rng)


#: What `--init` names: each fills a weight for an activation.
INITS: dict[str, Callable[[F32, str, np.random.Generator], object]] = {
    "auto": _auto,
    "he_normal": lambda w, _, rng: init.he_normal(w, rng=rng),
    "he_uniform": lambda w, _, rng: init.he_uniform(w, rng=rng),
    "xavier_normal": lambda w, _, rng: init.xavier_normal(w, rng=rng),
    "xavier_uniform": lambda w, _, rng: init.xavier_uniform(w, rng=rng),
    "lecun_normal": lambda w, _, rng: init.lecun_normal(w, rng=rng),
    "lecun_uniform": lambda w, _, rng: init.lecun_uniform(w, rng=rng),
    "orthogonal": lambda w, _, rng: init.orthogonal(w, rng=rng),
    "normal": lambda w, _, rng: init.normal(w, 0.0, 0.01, rng=rng),
    "zeros": lambda w, _, rng: init.zeros(w),
}


class Buffers:
    """Arrays that one step fills and the next one fills again, so that steps allocate nothing.

    Examples
    --------
    >>> buffers = Buffers()
    >>> first = buffers.get("x", 3, 2)
    >>> first.shape, np.shares_memory(first, buffers.get("x", 2, 2))
    ((3, 2), True)
    """

    def __init__(self) -> None:
        self._arrays: dict[str, F32] = {}

    def get(self, name: str, rows: int, columns: int) -> F32:
        """Return an array of that shape, with whatever was in it."""
        array = self._arrays.get(name)
        if array is None or len(array) < rows:
            array = self._arrays[name] = np.empty((rows, columns), np.float32)
        return array[:rows]


class Block(nn.Module):
    """Linear → BatchNorm → activation → Dropout; in front of a BatchNorm the Linear has no bias (A4)."""

    def __init__(
        self, inputs: int, units: int, config: Config, rng: np.random.Generator, clock: Clock
    ) -> None:
        self.inputs, self.units, self.clock, self.buffers_of = inputs, units, clock, Buffers()
        self.linear = nn.Linear(inputs, units, bias=not config.batch_norm, rng=rng)
        INITS[config.init](self.linear.params["weight"], config.activation, rng)
        self.norm = nn.BatchNorm(units) if config.batch_norm else None
        self.activation = ACTIVATIONS[config.activation]()
        self.dropout = nn.Dropout(config.dropout, rng=rng)
        layers: dict[str, nn.Module | None] = {"linear": self.linear, "norm": self.norm}
        layers |= {"activation": self.activation, "dropout": self.dropout}
        super().__init__({name: layer for name, layer in layers.items() if layer is not None})

    def forward(self, x: F32, out: F32 | None = None) -> F32:
        """Return h_k, in an array that the next forward fills again."""
        rows, clock = len(x), self.clock
        h = self.linear.forward(x, out=self._array("linear", rows))
        clock.lap("matrix_products")
        if self.norm is not None:
            h = self.norm.forward(h, out=self._array("norm", rows))
            clock.lap("batch_norm")
        h = self.activation.forward(h, out=self._array("activation", rows))
        if not self.dropout.passes_through:
            h = self.dropout.forward(h, out=self._array("dropout", rows))
        clock.lap("other")
        return h

    def backward(self, dy: F32, out: F32 | None = None) -> F32:
        """Return the gradient of h_{k−1}, in an array that the next backward fills again."""
        rows, clock = len(dy), self.clock
        d = dy
        if not self.dropout.passes_through:
            d = self.dropout.backward(d, out=self._array("d_dropout", rows))
        d = self.activation.backward(d, out=self._array("d_activation", rows))
        clock.lap("other")
        if self.norm is not None:
            d = self.norm.backward(d, out=self._array("d_norm", rows))
            clock.lap("batch_norm")
        d = self.linear.backward(d, out=self.buffers_of.get("d_linear", rows, self.inputs))
        clock.lap("matrix_products")
        return d

    def _array(self, name: str, rows: int) -> F32:
        return self.buffers_of.get(name, rows, self.units)


class NumberEmbedding(nn.Module):
    """A vector for each number, as long as it: y[r] = x[r, 0]·W[0] ‖ x[r, 1]·W[1] ‖ …

    What a factorisation machine makes of numbers (Rendle 2010): a category is the number 1 of its own column.

    Examples
    --------
    >>> layer = NumberEmbedding(2, 2, rng=np.random.default_rng(0))
    >>> layer.params["weight"][...] = [[1, 2], [3, 4]]
    >>> layer.forward(np.array([[10, 100]], np.float32)).tolist()
    [[10.0, 20.0, 300.0, 400.0]]
    >>> layer.backward(np.ones((1, 4), np.float32))
    >>> layer.grads["weight"].tolist()
    [[10.0, 10.0], [100.0, 100.0]]
    """

    def __init__(self, numbers: int, dim: int, *, rng: np.random.Generator, std: float = 0.01) -> None:
        super().__init__()
        self.numbers, self.dim = numbers, dim
        self.add_parameter("weight", np.empty((numbers, dim), np.float32))
        init.normal(self.params["weight"], 0.0, std, rng=rng)

    def forward(self, x: F32, out: F32 | None = None) -> F32:
        """Return the vectors side by side, of shape (rows, numbers · dim)."""
        y = np.empty((len(x), self.numbers * self.dim), np.float32) if out is None else out
        for j, vector in enumerate(self.params["weight"]):  # column by column: rows of `out` may lie apart
            np.multiply(x[:, j, None], vector, out=y[:, j * self.dim : (j + 1) * self.dim])
        self.keep(x)
        return y

    def backward(self, dy: F32, out: None = None) -> None:
        """Add to the gradient of the vectors; the numbers are data and get none."""
        x: F32 = self.kept()
        for j in range(self.numbers):
            self.grads["weight"][j] += x[:, j] @ dy[:, j * self.dim : (j + 1) * self.dim]
        self.drop()
