"""The click model: embeddings and numbers into a network, their pairs, and a linear term.

    v_i    = embedding of field i, mean embedding of a list's values, number_j · vector_j
    x      = [embeddings ; numbers]
    h_0    = x,   h_k = dropout(activation(batch_norm(W_k h_{k−1})))
    logit  = b  +  w·h_last  +  Σ_{i<j} ⟨v_i, v_j⟩  +  Σ_fields wide[field] + v·numbers  +  position[p]
                   network      pairs                  linear term                        position

    mlp      network, linear term          deepfm   network, pairs, linear term
    lr       linear term                   fm       pairs, linear term

The position is an input of the training alone (M11): a score takes the mean of its term over the training rows, so it
is the same wherever the row may come to stand, and the mean of the logits stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fourstep import nn
from fourstep.train.blocks import Block, Buffers, NumberEmbedding
from fourstep.train.errors import ConfigError

if TYPE_CHECKING:
    from fourstep.train.clock import Clock
    from fourstep.train.config import Config
    from fourstep.train.features import Sizes

__all__ = ["Batch", "ClickModel", "Committee", "build"]

F32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class Batch(NamedTuple):
    """What a model takes of some rows: fields, numbers, (ids, starts) of each list, and the position or None."""

    fields: Ints
    dense: F32
    bags: Sequence[tuple[Ints, Ints]] = ()
    position: Ints | None = None


def build(config: Config, sizes: Sizes, clock: Clock) -> ClickModel | Committee:
    """Make the model of a configuration: one, or several that differ by their seeds."""
    if config.ensemble > 1:
        return Committee(config, sizes, clock)
    return ClickModel(
        config,
        list(sizes.fields.values()),
        sizes.dense,
        clock,
        bags=list(sizes.bags.values()),
        positions=sizes.positions,
    )


class ClickModel(nn.Module):
    """Logits of rows from their fields and numbers.

    Parameters
    ----------
    config : Config
        Kind, sizes, dropout, and the seed of the weights.
    cardinalities : sequence of int
        Indices of each field.
    dense : int
        Numbers of a row.
    clock : Clock
        Is told where the time goes.
    bags : sequence of int
        Indices of each column that lists values.
    positions : int
        Indices of the position; 0 without one.
    """

    def __init__(
        self,
        config: Config,
        cardinalities: Sequence[int],
        dense: int,
        clock: Clock,
        *,
        bags: Sequence[int] = (),
        positions: int = 0,
    ) -> None:
        rng = np.random.default_rng(config.seed)
        self.clock, self.dense, self.fields, self.arrays = clock, dense, len(cardinalities), Buffers()
        self.deep = bool(config.hidden) and config.model in ("mlp", "deepfm")
        paired = config.model in ("fm", "deepfm")
        self.dim = dim = config.embedding_dim if self.deep or paired else 0
        self.width = (self.fields + len(bags)) * dim  # of all embeddings of a row
        self.ahead = dense * dim if paired else 0  # of the vectors of numbers, which come before them
        units = [self.width + dense, *config.hidden] if self.deep else [dense]
        if self.deep and not units[0]:
            raise ConfigError(
                "--embedding-dim 0 leaves the network without inputs: there are no numbers and no history"
            )
        vectors = self.fields + len(bags) + dense
        if paired and vectors < 2:
            raise ConfigError(f"--model {config.model} needs two inputs or more to pair, there is {vectors}")

        def table(sizes: Sequence[int], columns: int) -> nn.FieldEmbedding | None:
            made = sizes and columns
            return nn.FieldEmbedding(sizes, columns, sparse=config.sparse, rng=rng) if made else None

        def lists(columns: int) -> list[nn.EmbeddingBag]:
            options: dict[str, Any] = {"std": 0.01, "sparse": config.sparse, "rng": rng}
            return [nn.EmbeddingBag(size, columns, **options) for size in bags if columns]

        self.embedding, self.bags = table(cardinalities, dim), lists(dim)
        self.numbers = NumberEmbedding(dense, dim, rng=rng) if self.ahead else None
        self.pairs = nn.FMInteraction(vectors, dim) if paired else None
        self.hidden = [Block(a, b, config, rng, clock) for a, b in pairwise(units)]
        self.output = nn.Linear(units[-1], 1, bias=False, rng=rng) if units[-1] else None
        wide = config.wide or not self.deep
        self.wide_fields, self.wide_bags = table(cardinalities, int(wide)), lists(int(wide))
        self.wide_dense = nn.Linear(dense, 1, bias=False, rng=rng) if wide and self.deep and dense else None
        self.position = nn.FieldEmbedding([positions], 1, rng=rng) if positions else None
        for layer in (self.wide_fields, *self.wide_bags, self.wide_dense, self.position):
            if layer is not None:
                layer.params["weight"][...] = 0  # a category starts as no different from the others
        layers: dict[str, nn.Module | None] = {"embedding": self.embedding}
        layers |= {f"embedding_list{k}": bag for k, bag in enumerate(self.bags)}
        layers |= {"embedding_numbers": self.numbers, "pairs": self.pairs}
        layers |= {f"hidden{k}": block for k, block in enumerate(self.hidden)}
        layers |= {"output": self.output, "wide_fields": self.wide_fields}
        layers |= {f"wide_list{k}": bag for k, bag in enumerate(self.wide_bags)}
        layers |= {"wide_dense": self.wide_dense, "position": self.position}
        super().__init__({name: layer for name, layer in layers.items() if layer is not None})
        self.add_parameter("bias", np.zeros(1, np.float32))
        if positions:
            self.buffers["position_shares"] = np.zeros(positions, np.float32)

    @property
    def members(self) -> list[ClickModel]:
        """The model itself: a committee of one."""
        return [self]

    @property
    def parameter_count(self) -> int:
        """Numbers that are trained."""
        return sum(array.size for array in self.named_parameters().values())

    def start_at(self, rate: float) -> None:
        """Let the bias be the log-odds of a rate, which is then what an untrained model predicts, about."""
        self.params["bias"][...] = np.log(rate / (1 - rate))

    def average_over(self, position: Ints) -> None:
        """Take the shares of the positions, by which a score averages their terms."""
        shares = self.buffers["position_shares"]
        shares[...] = np.bincount(position, minlength=len(shares)) / len(position)

    def forward(self, x: tuple[Any, ...], out: Any = None) -> F32:
        """Return the logits.

        Parameters
        ----------
        x : Batch, or a tuple of its first parts
            (n, F) int64 and (n, D) float32, and whatever else the model has.

        Returns
        -------
        (n,) float32
        """
        fields, dense, bags, position = Batch(*x)
        rows, clock = len(fields), self.clock
        h = dense
        if self.width or self.pairs is not None:
            h = self._inputs(fields, dense, bags)
        logits = np.repeat(self.params["bias"], rows)
        if self.wide_fields is not None:
            logits += self.wide_fields.forward(fields, out=self.arrays.get("wide", rows, self.fields)).sum(
                axis=1
            )
        for layer, bag in zip(self.wide_bags, bags, strict=bool(self.wide_bags)):
            logits += layer.forward(bag)[:, 0]
        if self.position is not None:
            logits += self._position(position)
        clock.lap("embedding")
        if self.pairs is not None:
            logits += self.pairs.forward(h[:, : self.ahead + self.width])[:, 0]
            h = h[:, self.ahead :] if self.deep else dense
            clock.lap("pairs")
        for block in self.hidden:
            h = block.forward(h)
        if self.output is not None:
            logits += self.output.forward(h)[:, 0]
        if self.wide_dense is not None:
            logits += self.wide_dense.forward(dense)[:, 0]
        clock.lap("matrix_products")
        return logits

    def _inputs(self, fields: Ints, dense: F32, bags: Sequence[tuple[Ints, Ints]]) -> F32:
        """Return [vectors of numbers ; embeddings ; numbers], in an array that the next forward fills again."""
        start, end = self.ahead, self.ahead + self.width
        x = self.arrays.get("x", len(fields), end + self.dense)
        if self.numbers is not None:
            self.numbers.forward(dense, out=x[:, :start])
        if self.embedding is not None:
            self.embedding.forward(fields, out=x[:, start : start + self.fields * self.dim])
        for columns, layer, bag in zip(self._list_columns(start), self.bags, bags, strict=bool(self.bags)):
            layer.forward(bag, out=x[:, columns])
        x[:, end:] = dense
        return x

    def _list_columns(self, start: int) -> list[slice]:
        first = start + self.fields * self.dim
        return [slice(first + k * self.dim, first + (k + 1) * self.dim) for k in range(len(self.bags))]

    def _position(self, position: Ints | None) -> F32 | np.float32:
        """Return the term of the position, or where it is not given the mean of the term over the training rows."""
        if self.position is not None and position is not None:
            term: F32 = self.position.forward(position[:, None])[:, 0]
            return term
        weight = self.children["position"].params["weight"][:, 0]
        return np.float32(self.buffers["position_shares"].astype(np.float64) @ weight)

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
        if self.pairs is not None:
            of_pairs = self.pairs.backward(column, out=self.arrays.get("d", rows, self.ahead + self.width))
            if self.deep:
                of_pairs[:, self.ahead :] += d[:, : self.width]
            if self.numbers is not None:
                self.numbers.backward(of_pairs[:, : self.ahead])
            d = of_pairs[:, self.ahead :]
            clock.lap("pairs")
        if self.embedding is not None:
            self.embedding.backward(d[:, : self.fields * self.dim])
        for columns, layer in zip(self._list_columns(0), self.bags, strict=True):
            layer.backward(d[:, columns])
        if self.wide_fields is not None:
            spread = self.arrays.get("wide", rows, self.fields)
            spread[...] = column
            self.wide_fields.backward(spread)
        for layer in self.wide_bags:
            layer.backward(column)
        if self.position is not None:
            self.position.backward(column)
        clock.lap("embedding")


class Committee(nn.Module):
    """Several models of different seeds: each learns alone, and the probability is the mean of theirs.

    Seeds decide initial weights and dropout; all members see the same batches.

    Parameters
    ----------
    config : Config
        With `ensemble` members, whose seeds are ``seed``, ``seed + 1``, …
    sizes : Sizes
    clock : Clock
    """

    def __init__(self, config: Config, sizes: Sizes, clock: Clock) -> None:
        self.members: list[ClickModel] = []
        for k in range(config.ensemble):
            member = build(config.but(ensemble=1, seed=(config.seed + k) % 2**32), sizes, clock)
            self.members += member.members
        super().__init__({f"member{k}": member for k, member in enumerate(self.members)})
        self.width = self.members[0].width

    @property
    def parameter_count(self) -> int:
        """Numbers that are trained, in all members."""
        return sum(member.parameter_count for member in self.members)

    def start_at(self, rate: float) -> None:
        """Let every member begin at a rate."""
        for member in self.members:
            member.start_at(rate)

    def average_over(self, position: Ints) -> None:
        """Take the shares of the positions."""
        for member in self.members:
            member.average_over(position)

    def forward(self, x: tuple[Any, ...], out: Any = None) -> F32:
        """Return the log-odds of the mean probability."""
        p = np.mean([nn.functional.sigmoid(m.forward(x).astype(np.float64)) for m in self.members], axis=0)
        tiny = np.finfo(np.float64).tiny
        return np.asarray(np.log(np.maximum(p, tiny)) - np.log1p(-np.minimum(p, 1 - 2**-53)), np.float32)
