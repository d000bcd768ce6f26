"""The click model: embeddings and numbers into a small network, and a linear term beside it.

    x      = [embedding of each field ; dense]
    h_0    = x,   h_k = dropout(relu(batch_norm(W_k h_{k−1})))
    logit  = b + w·h_last  +  Σ_fields wide[field] + v·dense

The linear term alone (no hidden layers, no embeddings) is logistic regression on one-hot fields.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fourstep import nn
from fourstep.train.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fourstep.train.clock import Clock
    from fourstep.train.config import Config

__all__ = ["Block", "ClickModel"]

F32 = npt.NDArray[np.float32]
Fields = npt.NDArray[np.int64]


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
    """Linear → BatchNorm → ReLU → Dropout; in front of a BatchNorm the Linear has no bias (A4)."""

    def __init__(
        self, inputs: int, units: int, config: Config, rng: np.random.Generator, clock: Clock
    ) -> None:
        self.inputs, self.units, self.clock, self.buffers_of = inputs, units, clock, Buffers()
        self.linear = nn.Linear(inputs, units, bias=not config.batch_norm, rng=rng)
        nn.init.he_normal(self.linear.params["weight"], rng=rng)
        self.norm = nn.BatchNorm(units) if config.batch_norm else None
        self.activation = nn.ReLU()
        self.dropout = nn.Dropout(config.dropout, rng=rng)
        super().__init__(
            _present(linear=self.linear, norm=self.norm, activation=self.activation, dropout=self.dropout)
        )

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


class ClickModel(nn.Module):
    """Logits of rows from their fields and numbers.

    Parameters
    ----------
    config : Config
        Sizes, dropout, and the seed of the weights.
    cardinalities : sequence of int
        Indices of each field.
    dense : int
        Numbers of a row.
    clock : Clock
        Is told where the time goes.
    """

    def __init__(self, config: Config, cardinalities: Sequence[int], dense: int, clock: Clock) -> None:
        rng = np.random.default_rng(config.seed)
        self.clock, self.dense, self.fields, self.arrays = clock, dense, len(cardinalities), Buffers()
        dim = config.embedding_dim if self.fields and config.hidden else 0
        self.width = self.fields * dim  # of all embeddings of a row
        sparse = config.sparse
        self.embedding = nn.FieldEmbedding(cardinalities, dim, sparse=sparse, rng=rng) if dim else None
        sizes = [self.width + dense, *config.hidden]
        if config.hidden and not sizes[0]:
            raise ConfigError(
                "--embedding-dim 0 leaves the network without inputs: there are no numbers and no history"
            )
        self.hidden = [Block(a, b, config, rng, clock) for a, b in pairwise(sizes)]
        self.output = nn.Linear(sizes[-1], 1, bias=False, rng=rng) if sizes[-1] else None
        wide = config.wide or not config.hidden
        self.wide_fields = (
            nn.FieldEmbedding(cardinalities, 1, sparse=sparse, rng=rng) if wide and self.fields else None
        )
        self.wide_dense = (
            nn.Linear(dense, 1, bias=False, rng=rng) if wide and config.hidden and dense else None
        )
        for layer in (self.wide_fields, self.wide_dense):
            if layer is not None:
                layer.params["weight"][...] = 0  # a category starts as no different from the others
        layers: dict[str, nn.Module | None] = {"embedding": self.embedding}
        layers |= {f"hidden{k}": block for k, block in enumerate(self.hidden)}
        layers |= {"output": self.output, "wide_fields": self.wide_fields, "wide_dense": self.wide_dense}
        super().__init__(_present(**layers))
        self.add_parameter("bias", np.zeros(1, np.float32))

    @property
    def parameter_count(self) -> int:
        """Numbers that are trained."""
        return sum(array.size for array in self.named_parameters().values())

    def start_at(self, rate: float) -> None:
        """Let the bias be the log-odds of a rate, which is then what an untrained model predicts, about."""
        self.params["bias"][...] = np.log(rate / (1 - rate))

    def forward(self, x: tuple[Fields, F32], out: Any = None) -> F32:
        """Return the logits.

        Parameters
        ----------
        x : tuple of (n, F) int64 and (n, D) float32
            Fields and numbers.

        Returns
        -------
        (n,) float32
        """
        fields, dense = x
        rows, clock = len(fields), self.clock
        h = dense
        if self.embedding is not None:
            h = self.arrays.get("x", rows, self.width + self.dense)
            self.embedding.forward(fields, out=h[:, : self.width])
            h[:, self.width :] = dense
        logits = np.repeat(self.params["bias"], rows)
        if self.wide_fields is not None:
            logits += self.wide_fields.forward(fields, out=self.arrays.get("wide", rows, self.fields)).sum(
                axis=1
            )
        clock.lap("embedding")
        for block in self.hidden:
            h = block.forward(h)
        if self.output is not None:
            logits += self.output.forward(h)[:, 0]
        if self.wide_dense is not None:
            logits += self.wide_dense.forward(dense)[:, 0]
        clock.lap("matrix_products")
        return logits

    def backward(self, dy: F32, out: Any = None) -> None:
        """Add to the gradients of all parameters; the inputs are data and get none.

        Parameters
        ----------
        dy : (n,) float32
            Gradient of the logits.
        """
        column, rows, clock = dy[:, None], len(dy), self.clock
        self.grads["bias"] += dy.sum()
        d = dy if self.output is None else self.output.backward(column)
        if self.wide_dense is not None:
            self.wide_dense.backward(column)
        clock.lap("matrix_products")
        for block in reversed(self.hidden):
            d = block.backward(d)
        if self.embedding is not None:
            self.embedding.backward(d[:, : self.width])
        if self.wide_fields is not None:
            spread = self.arrays.get("wide", rows, self.fields)
            spread[...] = column
            self.wide_fields.backward(spread)
        clock.lap("embedding")


def _present(**layers: nn.Module | None) -> dict[str, nn.Module]:
    """Leave out what a configuration does without."""
    return {name: layer for name, layer in layers.items() if layer is not None}
