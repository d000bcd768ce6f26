"""The interaction layer of factorisation machines: all pairs of fields at the price of one sum."""

from __future__ import annotations

import numpy as np

from fourstep.nn import _check
from fourstep.nn.module import Array, Module


class FMInteraction(Module):
    """Add up the products of all pairs of fields: y = Σ_{i<j} ⟨v_i, v_j⟩ = ½ Σ_d [(Σ_i v_id)² − Σ_i v_id²].

    v_i is the row of field i, as `FieldEmbedding` puts them side by side. Backward is dv_i = dy·(Σ_j v_j − v_i).
    With ``pooled=False`` the sum over d is left out: the bi-interaction of a neural factorisation machine.

    Parameters
    ----------
    num_fields, embedding_dim : int
        Rows that lie side by side, and numbers in each: x has num_fields·embedding_dim columns.
    pooled : bool
        Whether y is one number; otherwise embedding_dim numbers.

    Raises
    ------
    TypeError, ValueError
        x is not a (rows, num_fields·embedding_dim) array of float32 or float64; `out` does not fit or overlaps x.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> layer = nn.FMInteraction(3, 2)
    >>> layer.forward(np.array([[1.0, 0.0, 2.0, 1.0, 0.0, 3.0]])).tolist()  # 2 + 0 + 3
    [[5.0]]
    >>> layer.backward(np.array([[1.0]])).tolist()
    [[2.0, 4.0, 1.0, 3.0, 3.0, 1.0]]

    References
    ----------
    Rendle 2010, "Factorization Machines"; He and Chua 2017, "Neural Factorization Machines for Sparse Predictive
    Analytics".
    """

    def __init__(self, num_fields: int, embedding_dim: int, *, pooled: bool = True) -> None:
        super().__init__()
        self.num_fields = _check.size("num_fields", num_fields, 2)
        self.embedding_dim = _check.size("embedding_dim", embedding_dim)
        self.pooled = pooled

    def forward(self, x: Array, out: Array | None = None) -> Array:
        """Return the interactions, of shape (rows, 1), or (rows, embedding_dim) where they are not pooled."""
        self.drop(spent=False)
        x = _check.floats(self.label, "x", x)
        x = _check.matrix(self.label, "x", x, self.num_fields * self.embedding_dim, x.dtype)
        out = _check.output(self.label, out, (len(x), 1 if self.pooled else self.embedding_dim), x.dtype, x)
        fields = np.ascontiguousarray(x).reshape(len(x), self.num_fields, self.embedding_dim)
        total = fields.sum(axis=1)
        pairs = 0.5 * (total * total - np.square(fields).sum(axis=1))
        out[...] = pairs.sum(axis=1, keepdims=True) if self.pooled else pairs
        self.keep((x, total))
        return out

    def backward(self, dy: Array, out: Array | None = None) -> Array:
        """Return dx, of the shape of x."""
        x, total = self.kept()
        width = 1 if self.pooled else self.embedding_dim
        dy = _check.like(self.label, "dy", dy, (len(x), width), x.dtype)
        out = _check.output(self.label, out, x.shape, x.dtype, x, dy)
        np.subtract(np.tile(total, self.num_fields), x, out=out)
        out *= dy if self.pooled else np.tile(dy, self.num_fields)
        self.drop()
        return out

    def __repr__(self) -> str:
        """Return the arguments that it was made with."""
        return f"FMInteraction({self.num_fields}, {self.embedding_dim}, pooled={self.pooled})"
