"""What batch normalisation does to a batch of eight, as the notes draw it (B2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fourstep.nn import BatchNorm
from fourstep.nn.module import Array
from fourstep.plot.look import figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def bn_before_after(
    x: Array | None = None, *, weight: float = 1.0, bias: float = 0.0, seed: int = 0
) -> Figure:
    """Draw the values of each unit over a small batch: as they come, normalised, and scaled and shifted.

    Left, z; in the middle, (z − μ)/√(σ² + ε), which has mean 0 and a deviation just below 1 in every unit; right,
    γ·that + β, which the next layer can choose.

    Parameters
    ----------
    x : ndarray, shape (rows, units), optional
        The batch. Left out: eight rows of three units with means and deviations of their own.
    weight, bias : float
        γ and β of every unit.
    seed : int
        Of the batch that is made up.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from fourstep import plot
    >>> fig = plot.bn_before_after(weight=0.5, bias=2)
    >>> [ax.get_title("left") for ax in fig.axes]
    ['before', 'normalised', 'scaled and shifted']
    """
    batch = _made_up(seed) if x is None else np.asarray(x, np.float64)
    units = batch.shape[1] if batch.ndim == 2 else 0
    if units == 0 or len(batch) < 2:
        raise ValueError(f"x: got shape {batch.shape}, need (rows, units), at least 2 rows and 1 unit")
    plain, affine = (BatchNorm(units, dtype="float64") for _ in range(2))
    affine.params["weight"][...] = weight
    affine.params["bias"][...] = bias
    parts = {
        "before": batch,
        "normalised": plain.forward(batch),
        "scaled and shifted": affine.forward(batch),
    }
    with style():
        fig = figure(3)
        for i, (title, values) in enumerate(parts.items()):
            _dots(fig.add_subplot(1, 3, i + 1), title, values)
        fig.canvas.draw()
    return fig


def _made_up(seed: int) -> Array:
    rng = np.random.default_rng(seed)
    made: Array = rng.normal(size=(8, 3)) * np.array([0.5, 1.0, 3.0]) + np.array([4.0, -1.0, 8.0])
    return made


def _dots(ax: Any, title: str, values: Array) -> None:
    """Draw a column of dots for each unit, with its mean and one deviation to both sides."""
    for unit, column in enumerate(values.T):
        dots = ax.plot(np.full(len(column), unit), column, "o", alpha=0.7)
        ax.errorbar(unit + 0.25, column.mean(), column.std(), fmt="_", color=dots[0].get_color(), capsize=3)
    ax.axhline(0, color="0.8", zorder=0)
    ax.set_title(title)
    ax.set_xticks(range(values.shape[1]), [f"unit {i}" for i in range(values.shape[1])])
