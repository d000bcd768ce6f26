"""Number, mean and squares of values that are seen in parts: what merges exactly, where averages of averages do not."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from fourstep.nn.module import Array


class Moments(NamedTuple):
    """Of the values of each channel: how many, their mean, and Σ(x − mean)².

    Merging is that of Chan, Golub and LeVeque (1979)::

        δ = mean_b − mean_a,  n = n_a + n_b
        mean = mean_a + δ·n_b/n,  squares = squares_a + squares_b + δ²·n_a·n_b/n

    so parts of unequal size, of several workers, give the moments of all values together.

    Parameters
    ----------
    n : int
        Values in each channel.
    mean, squares : ndarray of float64, shape (C,)

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> a = nn.Moments(1, np.array([1.0]), np.array([0.0]))
    >>> b = nn.Moments(3, np.array([5.0]), np.array([8.0]))
    >>> both = a.merge(b)
    >>> both.n, both.mean.tolist(), both.squares.tolist()
    (4, [4.0], [20.0])
    >>> both.var().tolist(), both.var(unbiased=True).round(3).tolist()
    ([5.0], [6.667])
    """

    n: int
    mean: Array
    squares: Array

    @classmethod
    def none(cls, channels: int) -> Self:
        """Return those of no values."""
        return cls(0, np.zeros(channels), np.zeros(channels))

    def merge(self, *others: Moments) -> Moments:
        """Return the moments of all values together.

        Raises
        ------
        ValueError
            They have different numbers of channels.
        """
        merged: Moments = self
        for i, other in enumerate(others):
            if other.mean.shape != self.mean.shape:
                raise ValueError(
                    f"merge: argument {i} is of {other.mean.size} channels, need {self.mean.size} as the first one"
                )
            merged = merged._with(other)
        return merged

    def _with(self, other: Moments) -> Moments:
        if not self.n or not other.n:
            return other if other.n else self
        n = self.n + other.n
        share = other.n / n
        with np.errstate(over="ignore", invalid="ignore"):  # too large, or not finite: it shows in the result
            delta = other.mean - self.mean
            squares = self.squares + other.squares + delta * delta * (self.n * share)
            return Moments(n, self.mean + delta * share, squares)

    def var(self, unbiased: bool = False) -> Array:
        """Return the variance of each channel, over n or over n − 1."""
        var: Array = self.squares / (self.n - unbiased)
        return var
