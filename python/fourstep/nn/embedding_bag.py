"""EmbeddingBag: the sum or the mean of several rows of a table, for features with several values in a cell."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from fourstep.nn import _check, init
from fourstep.nn.embedding import _Table
from fourstep.nn.module import Array


class EmbeddingBag(_Table):
    """Look up the rows of each bag, and add them up or take their mean: ``y[b] = Σ_i weight[i] (/ n_b)``, i in bag b.

    Bags come in one of two forms: a matrix with a bag in each row, filled up with `padding_idx`; or a pair
    (ids, offsets), all bags one after another and where each starts, as torch has it (inside a `Concat`, whose inputs
    have as many rows each, take the matrix). A bag without a value is zeros. Backward gives dy (/ n_b) to each row of the
    table that was looked up.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        Rows and columns of the table.
    mode : {"mean", "sum"}
        What becomes of a bag; n_b counts its values without padding.
    padding_idx : int, optional
        An index that stands for no value, in both forms: it is left out of sum and mean and gets no gradient. Its row is
        zeros at first.
    std : float
        Standard deviation of the normal initial values; 1 is torch's.
    sparse : bool
        Backward keeps rows and their gradients for ``optimizer.step(rows=layer.take_row_grads())``, as in `Embedding`.
    dtype : {"float32", "float64"}
        Of the table and the output.
    seed, rng : int, numpy.random.Generator
        Where the initial values come from; see `Linear`.

    Attributes
    ----------
    params["weight"] : ndarray, shape (num_embeddings, embedding_dim)

    Raises
    ------
    TypeError
        x does not hold whole numbers.
    ValueError
        An index is outside the table: the first one is named, with its place. Offsets do not start at 0, fall, or go
        beyond the ids. A mode that is not there; `padding_idx` outside the table.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> layer = nn.EmbeddingBag(4, 1, mode="mean", padding_idx=0, dtype="float64")
    >>> layer.params["weight"] = np.array([[0.0], [1.0], [10.0], [100.0]])
    >>> layer.forward(np.array([[1, 2, 0], [3, 0, 0], [0, 0, 0]])).tolist()
    [[5.5], [100.0], [0.0]]
    >>> layer.backward(np.array([[1.0], [1.0], [1.0]]))  # indices have no gradient
    >>> layer.grads["weight"].ravel().tolist()
    [0.0, 0.5, 0.5, 1.0]
    >>> layer.forward((np.array([1, 2, 3]), np.array([0, 2, 3]))).tolist()  # ids, and where each bag starts
    [[5.5], [100.0], [0.0]]

    Notes
    -----
    Where others differ: torch's has a mode "max" and weights of single values, and counts a negative `padding_idx` from
    the end.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        mode: Literal["mean", "sum"] = "mean",
        padding_idx: int | None = None,
        std: float = 1.0,
        sparse: bool = False,
        dtype: str = "float32",
        seed: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.num_embeddings = _check.size("num_embeddings", num_embeddings)
        dim = _check.size("embedding_dim", embedding_dim)
        if mode not in ("mean", "sum"):
            raise ValueError(f"mode: got {mode!r}, need 'mean' or 'sum'")
        self.mode = mode
        self.padding_idx = None if padding_idx is None else _check.size("padding_idx", padding_idx, 0)
        if self.padding_idx is not None and self.padding_idx >= self.num_embeddings:
            raise ValueError(f"padding_idx: got {padding_idx}, need 0 to {self.num_embeddings - 1}")
        super().__init__([self.num_embeddings], dim, std, dtype, init.generator(seed, rng), sparse)
        if self.padding_idx is not None:
            self.params["weight"][self.padding_idx] = 0

    @property
    def row_for_row(self) -> bool:
        """False: in the form (ids, offsets) there are as many rows in the output as offsets."""
        return False

    def forward(self, x: Any, out: Array | None = None) -> Array:
        """Return one row for each bag, of shape (bags, embedding_dim); x is a matrix, or (ids, offsets)."""
        self.drop(spent=False)
        ids, counts = self._bags(x)
        out = _check.output(self.label, out, (len(counts), self.embedding_dim), self.dtype)
        rows = np.empty((len(ids), self.embedding_dim), self.dtype)
        self._look_up(ids, rows)
        filled = counts > 0
        out[...] = 0
        if filled.any():
            starts = (np.cumsum(counts) - counts)[filled]
            out[filled] = np.add.reduceat(rows, starts, axis=0)
        if self.mode == "mean":
            out /= np.maximum(counts, 1).astype(self.dtype)[:, None]
        self.keep((ids, counts))
        return out

    def backward(self, dy: Array, out: None = None) -> None:
        """Add to the gradient of the table. There is no dx."""
        ids, counts = self.kept()
        self._no_gradient(out)
        dy = _check.like(self.label, "dy", dy, (len(counts), self.embedding_dim), self.dtype)
        if self.mode == "mean":
            dy = dy / np.maximum(counts, 1).astype(self.dtype)[:, None]
        self._add_gradient(np.repeat(dy, counts, axis=0), ids)
        self.drop()

    def _bags(self, x: Any) -> tuple[Array, Array]:
        """Return the ids of all bags without padding, one after another, and how many there are in each."""
        if isinstance(x, tuple):
            ids, bag, bags = self._from_offsets(x)
        else:
            ids = self._indices(x)
            if ids.ndim != 2:
                raise ValueError(
                    f"{self.label}: x: got shape {ids.shape}, need (bags, places), or (ids, offsets)"
                )
            bags = len(ids)
            bag = np.repeat(np.arange(bags), ids.shape[1])
        self._check_range(ids)
        ids = ids.reshape(-1)
        if self.padding_idx is not None:
            real = ids != self.padding_idx
            ids, bag = ids[real], bag[real]
        return ids, np.bincount(bag, minlength=bags)

    def _from_offsets(self, x: tuple[Any, ...]) -> tuple[Array, Array, int]:
        """Return ids, the bag of each, and the number of bags."""
        if len(x) != 2:
            raise ValueError(f"{self.label}: x: got {len(x)} arrays, need two: ids and offsets")
        ids, offsets = (self._indices(part) for part in x)
        for name, part in (("x[0]", ids), ("x[1]", offsets)):
            if part.ndim != 1:
                raise ValueError(f"{self.label}: {name}: got shape {part.shape}, need one dimension")
        ends = np.append(offsets, len(ids))
        if ends[0] != 0 or (np.diff(ends) < 0).any():
            first = 0 if ends[0] != 0 else int(np.argmax(np.diff(ends) < 0))
            raise ValueError(
                f"{self.label}: x[1]: got the offset {ends[first]} of bag {first}, need offsets that start at 0 and "
                f"never fall, up to {len(ids)}, the number of ids"
            )
        return ids, np.repeat(np.arange(len(offsets)), np.diff(ends)), len(offsets)

    def _check_range(self, ids: Array) -> None:
        outside = (ids < 0) | (ids >= self.num_embeddings)
        if outside.any():
            first = tuple(int(i) for i in np.argwhere(outside)[0])
            place = f"row {first[0]}, place {first[1]}" if len(first) == 2 else f"place {first[0]}"
            count = int(outside.sum())
            more = f" ({count} indices are out of range)" if count > 1 else ""
            raise ValueError(
                f"{self.label}: x: got index {ids[first]} at {place}, need 0 to {self.num_embeddings - 1}{more}"
            )

    def __repr__(self) -> str:
        """Return the arguments that it was made with."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"EmbeddingBag({self.num_embeddings}, {self.embedding_dim}, mode={self.mode!r}{padding})"
