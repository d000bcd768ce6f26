"""Residual: what a layer adds to its input."""

from __future__ import annotations

import numpy as np

from fourstep.nn import _check
from fourstep.nn.containers import _tree
from fourstep.nn.module import Array, Module


class Residual(Module):
    """Add the output of a layer to its input: y = x + body(x), or shortcut(x) + body(x).

    Backward adds what comes through both: dx = dy + body's. So a gradient reaches the input whatever the body does to
    it (G4).

    Parameters
    ----------
    body : Module
        What is learnt on top: from an array to one of the same shape, or of the shape that the shortcut makes.
    shortcut : Module, optional
        What x goes through on its way past the body, where the shapes differ: a `Linear`, say. Nothing by default.

    Raises
    ------
    ValueError
        The two outputs have different shapes or dtypes.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> layer = nn.Residual(nn.Linear(2, 2, dtype="float64"))
    >>> layer.children["body"].params["weight"] = np.array([[1.0, 0.0], [0.0, 0.0]])
    >>> layer.children["body"].params["bias"] = np.zeros(2)
    >>> layer.forward(np.array([[3.0, 5.0]])).tolist()
    [[6.0, 5.0]]
    >>> layer.backward(np.array([[1.0, 1.0]])).tolist()
    [[2.0, 1.0]]

    References
    ----------
    He, Zhang, Ren and Sun 2015, "Deep Residual Learning for Image Recognition".
    """

    def __init__(self, body: Module, shortcut: Module | None = None) -> None:
        super().__init__({"body": body} if shortcut is None else {"body": body, "shortcut": shortcut})

    def forward(self, x: Array, out: Array | None = None) -> Array:
        """Return the sum of both ways, of the shape that they make."""
        self.drop(spent=False)
        x = _check.floats(self.label, "x", x)
        added = self.children["body"].forward(x)
        shortcut = self.children.get("shortcut")
        past = x if shortcut is None else shortcut.forward(x)
        for array, way in ((added, "body"), (past, "shortcut")):
            if not isinstance(array, np.ndarray):
                raise TypeError(f"{self.label}: {way} made {type(array).__name__}, need an array")
        if (added.shape, added.dtype) != (past.shape, past.dtype):
            raise ValueError(
                f"{self.label}: body made shape {added.shape} of {added.dtype}, need {past.shape} of {past.dtype}, "
                f"{'that of x' if shortcut is None else 'what shortcut made'}"
            )
        out = _check.output(self.label, out, added.shape, added.dtype, x)
        np.add(past, added, out=out)
        self.keep((x.shape, added.shape, added.dtype))
        return out

    def backward(self, dy: Array, out: Array | None = None) -> Array:
        """Return dx, the sum of what comes back both ways."""
        shape, through, dtype = self.kept()
        dy = _check.like(self.label, "dy", dy, through, dtype)
        out = _check.output(self.label, out, shape, dtype, dy)
        added = self.children["body"].backward(dy)
        shortcut = self.children.get("shortcut")
        np.add(dy if shortcut is None else shortcut.backward(dy), added, out=out)
        self.drop()
        return out

    def __repr__(self) -> str:
        """Return the layers, one a line."""
        return _tree("Residual", self.children)
