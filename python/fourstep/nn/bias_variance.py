"""Bias and variance against the width of a network (R1).

    E(f(x) − t(x))² = (E f(x) − t(x))² + Var f(x)
                       bias²             variance             over refits to bootstrap samples of the rows

The notes' "overfitting is low bias and high variance", as a table: bias falls with the width, variance rises. Very wide
networks that are trained long can have less variance again; the table says what there is, and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fourstep._table import table
from fourstep.nn import _check
from fourstep.nn.activations import Tanh
from fourstep.nn.containers import Sequential
from fourstep.nn.fitting import fit
from fourstep.nn.linear import Linear
from fourstep.nn.losses import SquaredError
from fourstep.nn.module import Array, Module


@dataclass(frozen=True)
class WidthFit:
    """One width of a `BiasVariance`: means over the test points.

    Attributes
    ----------
    width : int
    bias_squared, variance : float
    error : float
        Mean squared distance of the refits from the truth: the sum of the two.
    training_error : float
        Mean squared distance of each refit from the noisy targets that it was fitted to.
    """

    width: int
    bias_squared: float
    variance: float
    error: float
    training_error: float


@dataclass(frozen=True)
class BiasVariance:
    """A row for each width; its ``repr`` is the table."""

    rows: list[WidthFit]

    def __iter__(self) -> Iterator[WidthFit]:
        """Iterate over the widths."""
        return iter(self.rows)

    def __getitem__(self, index: int) -> WidthFit:
        """Return one width."""
        return self.rows[index]

    def __repr__(self) -> str:
        """Return the table."""
        cells = [
            (r.width, *(f"{v:.4f}" for v in (r.bias_squared, r.variance, r.error, r.training_error)))
            for r in self.rows
        ]
        return table(("width", "bias²", "variance", "error", "training error"), cells)


def wave(x: Array) -> Array:
    """Return sin(2·x): one and a quarter waves between −2 and 2."""
    y: Array = np.sin(2 * x)
    return y


def bias_variance(
    widths: Sequence[int] = (1, 3, 10, 30),
    *,
    truth: Callable[[Array], Array] = wave,
    rows: int = 20,
    noise: float = 0.5,
    refits: int = 20,
    epochs: int = 1000,
    lr: float = 0.03,
    samples: Literal["bootstrap", "new"] = "bootstrap",
    seed: int = 0,
) -> BiasVariance:
    """Fit networks of one hidden layer to samples of noisy rows, and split their error.

    Inputs are uniform in [−2, 2]; targets are truth(x) plus normal noise; the test points are 200 on a grid, without
    noise. Every refit has another sample and other initial values.

    Parameters
    ----------
    widths : sequence of int
        Hidden units.
    truth : callable
        Of an array of shape (n, 1).
    rows, noise : int, float
        Training rows, and the standard deviation of their noise.
    refits, epochs, lr : int, int, float
        Refits of a width; steps of Adam over all rows; its learning rate.
    samples : {"bootstrap", "new"}
        What a refit is fitted to: rows drawn with replacement from one set, which is all that there is of real data, and
        leaves what is odd about that set in the bias; or a new set each time, which is what the formula means.
    seed : int

    Returns
    -------
    BiasVariance

    Examples
    --------
    >>> from fourstep import nn
    >>> narrow, wide = nn.bias_variance([1, 10], refits=6)
    >>> narrow.bias_squared > wide.bias_squared, narrow.variance < wide.variance
    (True, True)

    References
    ----------
    Geman, Bienenstock and Doursat 1992, "Neural networks and the bias/variance dilemma".
    """
    _check.size("rows", rows, least=2)
    _check.size("refits", refits, least=2)
    if samples not in ("bootstrap", "new"):
        raise ValueError(f"samples: got {samples!r}, need 'bootstrap' or 'new'")
    draw = np.random.default_rng(seed)
    points = np.linspace(-2, 2, 200)[:, None]
    x, y = _drawn(truth, rows, noise, draw)
    sets = []
    for _ in range(refits):
        chosen = draw.integers(0, rows, rows)
        sets.append((x[chosen], y[chosen]) if samples == "bootstrap" else _drawn(truth, rows, noise, draw))
    return BiasVariance(
        [_fitted(_check.size("widths", w), sets, points, truth(points), epochs, lr, seed) for w in widths]
    )


def _drawn(
    truth: Callable[[Array], Array], rows: int, noise: float, draw: np.random.Generator
) -> tuple[Array, Array]:
    x = draw.uniform(-2, 2, (rows, 1))
    return x, truth(x) + noise * draw.normal(size=(rows, 1))


def _fitted(
    width: int, sets: list[tuple[Array, Array]], points: Array, true: Array, epochs: int, lr: float, seed: int
) -> WidthFit:
    """Fit one network to each set, and split the error at the points."""
    said, training = [], []
    for i, (x, y) in enumerate(sets):
        model = _network(width, seed + i)
        fit(model, SquaredError(), x, y, optimizer=("Adam", {"lr": lr}), epochs=epochs)
        said.append(model.forward(points))
        training.append(((model.forward(x) - y) ** 2).mean())
    gap = np.stack(said) - true
    bias, variance = float((gap.mean(axis=0) ** 2).mean()), float(gap.var(axis=0).mean())
    return WidthFit(width, bias, variance, float((gap**2).mean()), float(np.mean(training)))


def _network(width: int, seed: int) -> Module:
    rng = np.random.default_rng(seed)
    first = Linear(1, width, dtype="float64", rng=rng)
    return Sequential(first, Tanh(), Linear(width, 1, dtype="float64", rng=rng))
