"""Embeddings: rows of a trained table, by index, over the kernels in ``rust/core/src/layers/embedding.rs``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.nn import _check, init
from fourstep.nn.module import Array, Module


class _Table(Module):
    """One table of rows for one or more fields, each with a range of its own."""

    def __init__(
        self,
        sizes: Sequence[int],
        dim: int,
        std: float,
        dtype: str,
        rng: np.random.Generator,
        sparse: bool,
    ) -> None:
        super().__init__()
        self.embedding_dim = dim
        #: Whether backward leaves rows with their gradients, not a gradient of the whole table.
        self.sparse = sparse
        self._row_grads: list[tuple[Array, Array]] = []
        self.dtype = _check.float_dtype(dtype)
        self._sizes = list(sizes)
        self._width = len(self._sizes) * dim
        self.add_parameter("weight", np.empty((sum(sizes), dim), self.dtype))
        init.normal(self.params["weight"], 0.0, std, rng=rng)

    def _indices(self, x: Any) -> Array:
        """Return x as contiguous int64; the kernel checks the range."""
        if not isinstance(x, np.ndarray):
            raise TypeError(f"{self.label}: x: got {type(x).__name__}, need a NumPy array of whole numbers")
        _check.unmasked(f"{self.label}: x", x)
        if x.dtype.kind not in "iu":
            raise TypeError(f"{self.label}: x: got dtype {x.dtype}, need a whole-number dtype such as int64")
        if x.dtype.kind == "u" and x.size and int(x.max()) >= 2**63:
            raise ValueError(f"{self.label}: x: got index {x.max()}, need 0 to {max(self._sizes) - 1}")
        return np.asarray(x, np.int64, order="C")  # unlike ascontiguousarray, a single index stays one

    def _forward(self, ids: Array, shape: tuple[int, ...], out: Array | None) -> Array:
        """Return the rows that ids name in an output of that shape, and keep the ids."""
        out = _check.output(self.label, out, shape, self.dtype)
        y = out if out.ndim == 2 and _rows_are_runs(out) else _check.contiguous(out)
        self._look_up(ids, y.reshape(-1, self._width))
        if y is not out:
            out[...] = y
        self.keep(ids)
        return out

    def _backward(self, dy: Array, shape: tuple[int, ...], out: Any) -> None:
        """Add the gradient of an output of that shape to the table's."""
        ids: Array = self.kept()
        self._no_gradient(out)
        dy = _check.like(self.label, "dy", dy, shape, self.dtype)
        if not (dy.ndim == 2 and _rows_are_runs(dy)):
            dy = np.ascontiguousarray(dy).reshape(-1, self._width)
        self._add_gradient(dy, ids)
        self.drop()

    def _look_up(self, ids: Array, out: Array) -> None:
        try:
            _core.embedding_forward(self.params["weight"], ids, self._sizes, out, execution())
        except ValueError as error:
            raise ValueError(f"{self.label}: {error}") from None

    def _add_gradient(self, dy: Array, ids: Array) -> None:
        if self.sparse:
            starts = np.cumsum([0, *self._sizes[:-1]])
            rows = (ids.reshape(-1, len(starts)) + starts).reshape(-1)
            self._row_grads.append((rows, np.array(dy).reshape(-1, self.embedding_dim)))
            return
        try:
            _core.embedding_backward(dy, ids, self._sizes, self.grads["weight"], execution())
        except (RuntimeError, TypeError, ValueError) as error:
            raise type(error)(f"{self.label}: {error}") from None

    def sparse_parameters(self) -> list[str]:
        """Return the name of the table, if it is sparse."""
        return ["weight"] if self.sparse else []

    def take_row_grads(self) -> dict[str, tuple[Array, Array]]:
        """Return the rows of all backward passes since the last time, with their gradients."""
        named, self._row_grads = self._row_grads, []
        if len(named) > 1:
            rows, grads = zip(*named, strict=True)
            named = [(np.concatenate(rows), np.concatenate(grads))]
        return {"weight": named[0]} if named else {}

    def zero_grad(self) -> None:
        """Set the gradient to zero; of a sparse table, forget the rows."""
        if not self.sparse:
            super().zero_grad()
        self._row_grads = []

    def _no_gradient(self, out: Any) -> None:
        if out is not None:
            raise TypeError(
                f"{self.label}: out: got {type(out).__name__}, need None: indices have no gradient"
            )


class Embedding(_Table):
    """Look up rows of a table: ``y[...] = weight[x[...]]``.

    Backward adds each row of dy to the gradient of the table row that it came from, in the order of the rows: the same
    bits on any number of threads.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        Rows and columns of the table.
    std : float
        Standard deviation of the normal initial values; 1 is torch's.
    sparse : bool
        Backward does not touch the gradient of the table: it keeps the rows and their gradients for the optimizer,
        ``optimizer.step(rows=layer.take_row_grads())``, which steps those rows alone (`Optimizer.step_rows`).
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
        An index is outside the table: the first one is named, with its row.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> layer = nn.Embedding(3, 2, dtype="float64")
    >>> layer.params["weight"] = np.array([[0.0, 1.0], [10.0, 11.0], [20.0, 21.0]])
    >>> layer.forward(np.array([2, 0, 2])).tolist()
    [[20.0, 21.0], [0.0, 1.0], [20.0, 21.0]]
    >>> layer.backward(np.array([[1.0, 1.0], [5.0, 5.0], [2.0, 2.0]]))  # indices have no gradient
    >>> layer.grads["weight"].tolist()
    [[5.0, 5.0], [0.0, 0.0], [3.0, 3.0]]
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        std: float = 1.0,
        sparse: bool = False,
        dtype: str = "float32",
        seed: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.num_embeddings = _check.size("num_embeddings", num_embeddings)
        dim = _check.size("embedding_dim", embedding_dim)
        super().__init__([self.num_embeddings], dim, std, dtype, init.generator(seed, rng), sparse)

    def forward(self, x: Array, out: Array | None = None) -> Array:
        """Return the rows that x names, of shape (*x.shape, embedding_dim)."""
        self.drop(spent=False)
        ids = self._indices(x)
        return self._forward(ids, (*ids.shape, self.embedding_dim), out)

    def backward(self, dy: Array, out: None = None) -> None:
        """Add to the gradient of the table. There is no dx."""
        self._backward(dy, (*self.kept().shape, self.embedding_dim), out)

    def __repr__(self) -> str:
        """Return the arguments that it was made with."""
        return f"Embedding({self.num_embeddings}, {self.embedding_dim})"


class FieldEmbedding(_Table):
    """Embed several categorical fields at once: ``y[r] = weight[x[r, 0]] ‖ weight[n₀ + x[r, 1]] ‖ …``.

    Field f has `num_embeddings[f]` rows of the one table, after those of the fields before it; `slices[f]` are they. One
    look-up and one gradient call serve all fields, and so does one optimizer state.

    Parameters
    ----------
    num_embeddings : sequence of int
        How many values each field has.
    embedding_dim : int
        Columns of the table: numbers for one value.
    std : float
        Standard deviation of the normal initial values: small, so that a model starts near what its other inputs say.
    sparse : bool
        Backward keeps rows and their gradients, as in `Embedding`.
    dtype : {"float32", "float64"}
        Of the table and the output.
    seed, rng : int, numpy.random.Generator
        Where the initial values come from; see `Linear`.

    Attributes
    ----------
    params["weight"] : ndarray, shape (sum(num_embeddings), embedding_dim)
    slices : list of slice
        The rows of each field.

    Raises
    ------
    TypeError
        x does not hold whole numbers.
    ValueError
        x is not (rows, fields); an index is outside its field: the first one is named, with row and field.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> layer = nn.FieldEmbedding([2, 3], 1, dtype="float64")
    >>> layer.params["weight"] = np.array([[0.0], [1.0], [10.0], [11.0], [12.0]])
    >>> layer.forward(np.array([[1, 0], [1, 2]])).tolist()
    [[1.0, 10.0], [1.0, 12.0]]
    >>> layer.backward(np.array([[1.0, 2.0], [3.0, 4.0]]))
    >>> layer.grads["weight"].ravel().tolist()
    [0.0, 4.0, 2.0, 0.0, 4.0]
    >>> layer.forward(np.array([[1, 0], [2, 0]]))
    Traceback (most recent call last):
    ValueError: FieldEmbedding: x: got index 2 at row 1, field 0, need 0 to 1
    """

    def __init__(
        self,
        num_embeddings: Sequence[int],
        embedding_dim: int,
        *,
        std: float = 0.01,
        sparse: bool = False,
        dtype: str = "float32",
        seed: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.num_embeddings = [_check.size(f"num_embeddings[{f}]", n) for f, n in enumerate(num_embeddings)]
        if not self.num_embeddings:
            raise ValueError("num_embeddings: got no fields, need at least one")
        dim = _check.size("embedding_dim", embedding_dim)
        super().__init__(self.num_embeddings, dim, std, dtype, init.generator(seed, rng), sparse)
        ends = np.cumsum(self.num_embeddings).tolist()
        self.slices = [slice(end - n, end) for end, n in zip(ends, self.num_embeddings, strict=True)]

    def forward(self, x: Array, out: Array | None = None) -> Array:
        """Return the rows that x, of shape (rows, fields), names: (rows, fields · embedding_dim)."""
        self.drop(spent=False)
        ids = self._indices(x)
        fields = len(self.num_embeddings)
        if ids.ndim != 2 or ids.shape[1] != fields:
            raise ValueError(f"{self.label}: x: got shape {ids.shape}, need (rows, {fields})")
        return self._forward(ids, (len(ids), self._width), out)

    def backward(self, dy: Array, out: None = None) -> None:
        """Add to the gradient of the table. There is no dx."""
        self._backward(dy, (len(self.kept()), self._width), out)

    def __repr__(self) -> str:
        """Return the arguments that it was made with."""
        return f"FieldEmbedding({self.num_embeddings}, {self.embedding_dim})"


def _rows_are_runs(x: Array) -> bool:
    """Whether the elements of each row lie side by side: rows may lie apart, as in a slice of columns."""
    return bool(x.flags.aligned) and (x.shape[1] <= 1 or x.strides[1] == x.itemsize)
