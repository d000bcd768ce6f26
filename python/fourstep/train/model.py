"""The click model: embeddings and numbers into a small network, and a linear term beside it.

    x      = [embedding of each field ; dense]
    h_0    = x,   h_k = dropout(relu(batch_norm(W_k h_{k−1})))
    logit  = b + w·h_last + Σ_fields wide[field] + v·dense

The linear term alone (no hidden layers, no embeddings) is logistic regression on one-hot fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fourstep import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fourstep.train.clock import Clock
    from fourstep.train.config import Config

__all__ = ["NULL", "UNSEEN", "Block", "ClickModel"]

F32 = npt.NDArray[np.float32]
Fields = npt.NDArray[np.int64]
Place = tuple[int, int, int]

UNSEEN, NULL = 0, 1  # indices that every field has: a category that was not (or too rarely) there in training; none


class Block(nn.Module):
    """Linear → BatchNorm → ReLU → Dropout; in front of a BatchNorm the Linear has no bias (A4)."""

    def __init__(self, units_in: int, units: int, config: Config, seed: int, clock: Clock) -> None:
        self.linear = nn.Linear(units_in, units, bias=not config.batch_norm, seed=seed)
        self.norm = nn.BatchNorm(units) if config.batch_norm else None
        self.activation = nn.ReLU()
        self.dropout = nn.Dropout(config.dropout, seed=seed)
        super().__init__(_present(linear=self.linear, norm=self.norm, activation=self.activation, dropout=self.dropout))
        self.clock = clock

    def forward(self, x: F32, out: F32 | None = None) -> F32:
        """Return h_k."""
        clock = self.clock
        h = self.linear.forward(x)
        clock.lap("matrix_products")
        if self.norm is not None:
            h = self.norm.forward(h)
            clock.lap("batch_norm")
        h = self.dropout.forward(self.activation.forward(h))
        clock.lap("other")
        return h

    def backward(self, dy: F32, out: F32 | None = None) -> F32:
        """Return the gradient of h_{k−1}."""
        clock = self.clock
        d = self.activation.backward(self.dropout.backward(dy))
        clock.lap("other")
        if self.norm is not None:
            d = self.norm.backward(d)
            clock.lap("batch_norm")
        d = self.linear.backward(d)
        clock.lap("matrix_products")
        return d


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
        seeds = iter(_seeds(config.seed, 4 + len(config.hidden)))
        self.config, self.clock, self.fields = config, clock, len(cardinalities)
        dim = config.embedding_dim if self.fields and config.hidden else 0
        self.width = self.fields * dim  # of all embeddings of a row
        self.embedding = nn.FieldEmbedding(cardinalities, dim, seed=next(seeds)) if dim else None
        self.hidden: list[Block] = []
        units = self.width + dense
        for size in config.hidden:
            self.hidden.append(Block(units, size, config, next(seeds), clock))
            units = size
        self.output = nn.Linear(units, 1, bias=False, seed=next(seeds)) if units else None
        wide = config.wide or not config.hidden
        self.wide_fields = nn.FieldEmbedding(cardinalities, 1, seed=next(seeds)) if wide and self.fields else None
        self.wide_dense = nn.Linear(dense, 1, bias=False, seed=next(seeds)) if config.wide and config.hidden and dense else None
        for layer in (self.wide_fields, self.wide_dense):
            if layer is not None:
                layer.params["weight"][...] = 0  # a category starts as no different from the others
        blocks = {f"hidden{k}": block for k, block in enumerate(self.hidden)}
        wide_layers = {"wide_fields": self.wide_fields, "wide_dense": self.wide_dense}
        super().__init__(_present(embedding=self.embedding, **blocks, output=self.output, **wide_layers))
        self.add_parameter("bias", np.zeros(1, np.float32))
        self._rng: np.random.Generator | None = None

    @property
    def parameters(self) -> int:
        """Numbers that are trained."""
        return sum(array.size for array in self.named_parameters().values())

    def at(self, place: Place) -> None:
        """Say which step comes: (seed, epoch, step). What dropout drops is a function of it."""
        if self.config.field_dropout:
            self._rng = np.random.default_rng([1, *place])
        for block in self.hidden:
            block.dropout.calls = place[1] * 1_000_003 + place[2]

    def forward(self, fields: Fields, dense: F32) -> F32:  # type: ignore[override]  # two inputs
        """Return the logits.

        Parameters
        ----------
        fields : (n, F) int64
        dense : (n, D) float32

        Returns
        -------
        (n,) float32
        """
        if self.training and self.config.field_dropout and self._rng is not None:
            fields = np.where(self._rng.random(fields.shape) < self.config.field_dropout, UNSEEN, fields)
        x = dense
        if self.embedding is not None:
            x = np.concatenate([self.embedding.forward(fields), dense], axis=1)
        wide = self.wide_fields.forward(fields).sum(axis=1) if self.wide_fields is not None else None
        self.clock.lap("embedding")
        h = x
        for block in self.hidden:
            h = block.forward(h)
        logits = np.repeat(self.params["bias"], len(fields))
        if self.output is not None:
            logits += self.output.forward(h)[:, 0]
        if self.wide_dense is not None:
            logits += self.wide_dense.forward(dense)[:, 0]
        self.clock.lap("matrix_products")
        if wide is not None:
            logits += wide
        return logits

    def backward(self, dy: F32) -> None:  # type: ignore[override]  # the inputs are data: they get no gradient
        """Add to the gradients of all parameters.

        Parameters
        ----------
        dy : (n,) float32
            Gradient of the logits.
        """
        column = dy[:, None]
        self.grads["bias"] += dy.sum()
        d = self.output.backward(column) if self.output is not None else column
        if self.wide_dense is not None:
            self.wide_dense.backward(column)
        self.clock.lap("matrix_products")
        for block in reversed(self.hidden):
            d = block.backward(d)
        if self.embedding is not None:
            self.embedding.backward(np.ascontiguousarray(d[:, : self.width]))
        if self.wide_fields is not None:
            self.wide_fields.backward(np.ascontiguousarray(np.broadcast_to(column, (len(dy), self.fields))))
        self.clock.lap("embedding")


def _seeds(seed: int, count: int) -> list[int]:
    """Make seeds that have nothing in common, one for each layer."""
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(count)]


def _present(**layers: nn.Module | None) -> dict[str, nn.Module]:
    """Leave out what a configuration does without."""
    return {name: layer for name, layer in layers.items() if layer is not None}
