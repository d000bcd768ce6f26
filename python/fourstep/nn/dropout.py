"""Dropout: a new random sub-network each step."""

from __future__ import annotations

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.nn import _check, init
from fourstep.nn.module import Array, Module


class Dropout(Module):
    """Zero each element with probability p in training, and scale the rest by 1/(1 − p).

    ``y = x·m``, where m is 0 or 1/(1 − p): the expectation of y is x, so evaluation passes x on as it is (R5). Backward
    multiplies by the same m. A mask is a function of (seed, step, position of the element), made anew where it is needed
    by Philox 4×32-10: no thread count changes it, and a run that is resumed from `state_dict` gets the masks that it
    would have had.

    Parameters
    ----------
    p : float
        The share to zero, from 0 to 1.
    seed : int, optional
        From 0 to 2^64 − 1. Layers of one model need different ones; without it, and without `rng`, it is drawn anew in
        each run.
    rng : numpy.random.Generator, optional
        Draws the seed instead: a generator that all layers share gives each its own.

    Attributes
    ----------
    buffers["seed"], buffers["step"] : ndarray of uint64, no dimensions
        Which mask is next: ``step`` counts the forward passes in training.

    Raises
    ------
    ValueError
        p is not a probability; `out` does not fit or overlaps x.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> layer = nn.Dropout(0.5, seed=3)
    >>> layer.forward(np.ones(8)).tolist()
    [2.0, 0.0, 2.0, 0.0, 2.0, 2.0, 2.0, 2.0]
    >>> layer.backward(np.ones(8)).tolist()
    [2.0, 0.0, 2.0, 0.0, 2.0, 2.0, 2.0, 2.0]
    >>> layer.eval().forward(np.ones(3)).tolist()
    [1.0, 1.0, 1.0]

    Notes
    -----
    Where others differ: torch draws all masks from one generator, so that a change in one place of a model changes the
    masks everywhere. In evaluation the result is x itself, as in torch: no copy.
    """

    def __init__(
        self, p: float = 0.5, *, seed: int | None = None, rng: np.random.Generator | None = None
    ) -> None:
        super().__init__()
        self.p = _check.number("p", p, "0 to 1")
        if not 0 <= self.p <= 1:
            raise ValueError(f"p: got {p!r}, need 0 to 1")
        if seed is None or rng is not None:
            seed = int(init.generator(seed, rng).integers(2**64, dtype=np.uint64))
        seed = _check.size("seed", seed, least=0)
        if seed >= 2**64:
            raise ValueError(f"seed: got {seed}, need 0 to 2^64 - 1")
        self.buffers["seed"] = np.array(seed, np.uint64)
        self.buffers["step"] = np.array(0, np.uint64)

    @property
    def passes_through(self) -> bool:
        """Whether forward returns x itself: in evaluation, and with p = 0."""
        return not self.training or self.p == 0

    def forward(self, x: Array, out: Array | None = None) -> Array:
        """Return x with the mask of this step, of any shape; x itself where nothing is dropped and `out` is None."""
        self.drop(spent=False)
        x = _check.floats(self.label, "x", x)
        if self.passes_through:
            y = x
            if out is not None:
                y = _check.output(self.label, out, x.shape, x.dtype, x)
                y[...] = x
            self.keep((x.shape, x.dtype, None))
            return y
        y = _check.output(self.label, out, x.shape, x.dtype, x)
        step = self.buffers["step"]
        self._mask(x, y, int(step))
        self.keep((x.shape, x.dtype, int(step)))
        step += np.uint64(1)
        return y

    def backward(self, dy: Array, out: Array | None = None) -> Array:
        """Return dx = dy·m, with the mask of the last forward."""
        shape, dtype, step = self.kept()
        dy = _check.like(self.label, "dy", dy, shape, dtype)
        if step is None and out is None:
            dx = dy
        else:
            dx = _check.output(self.label, out, shape, dtype, dy)
            if step is None:
                dx[...] = dy
            else:
                self._mask(dy, dx, step)
        self.drop()
        return dx

    def masks(self, shape: int | tuple[int, ...], steps: int = 1) -> Array:
        """Return which elements the next passes in training will keep: a different sub-network each step (R5).

        Nothing is counted: the passes come with these masks whether one has looked or not.

        Parameters
        ----------
        shape : int or tuple of int
            Of the input.
        steps : int
            How many passes.

        Returns
        -------
        ndarray of bool, shape (steps, *shape)
            True where the element is kept.

        Examples
        --------
        >>> import numpy as np
        >>> from fourstep import nn
        >>> layer = nn.Dropout(0.5, seed=3)
        >>> for mask in layer.masks(8, steps=4):
        ...     print("".join("■" if kept else "·" for kept in mask))
        ■·■·■■■■
        ·■·■■■·■
        ··■··■■·
        ·■■■■··■
        >>> bool((layer.masks(8)[0] == (layer.forward(np.ones(8)) > 0)).all())
        True
        """
        steps = _check.size("steps", steps)
        shape = _check.shape("shape", shape)
        ones = np.ones(shape)
        found: Array = np.empty((steps, *shape))
        first = int(self.buffers["step"])
        for i in range(steps):
            self._mask(ones, found[i, ...], first + i)
        kept: Array = found != 0
        return kept

    def _mask(self, x: Array, out: Array, step: int) -> None:
        to = _check.contiguous(out)
        _core.dropout(np.ascontiguousarray(x), to, self.p, int(self.buffers["seed"]), step, execution())
        if to is not out:
            out[...] = to

    def __repr__(self) -> str:
        """Return the arguments that it was made with."""
        return f"Dropout(p={self.p}, seed={int(self.buffers['seed'])})"
