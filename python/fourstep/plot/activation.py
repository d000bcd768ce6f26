"""Activations and their derivatives, with the zones where no gradient passes (A2–A5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fourstep.nn import activations as nn_activations
from fourstep.nn._scalars import scalars
from fourstep.plot.look import GRID, INK, REST, VALID, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 4


def activations(
    names: str | Sequence[str] | None = None,
    *,
    share: float = 0.01,
    limits: tuple[float, float] = (-8.0, 8.0),
) -> Figure:
    """Draw each activation and its derivative in a field of its own; saturation zones are shaded.

    Parameters
    ----------
    names : str or sequence of str, optional
        Which ones; by default all that `fourstep.nn.activations.compare` has.
    share : float
        Shaded is where |f′| is below this share of its maximum.
    limits : (float, float)
        The inputs shown, from left to right.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    ValueError
        There is no such activation, none is named, or the limits are not in order.

    Examples
    --------
    >>> drawn = activations(["sigmoid", "tanh", "relu"])
    >>> [axes.get_title("left") for axes in drawn.axes]
    ['sigmoid', 'tanh', 'relu']
    """
    chosen = scalars(names)
    if not chosen:
        raise ValueError("names: got none, need at least one activation")
    low, high = limits
    if not low < high:
        raise ValueError(f"limits: got {limits}, need the left one below the right one")
    x = np.linspace(low, high, 1201)
    columns = min(_COLUMNS, len(chosen))
    rows = math.ceil(len(chosen) / columns)
    with style():
        made = figure(columns, rows)
        made.set_size_inches(3.0 * columns, 2.6 * rows)
        fields = made.subplots(rows, columns, squeeze=False, sharex=True).ravel()
        for axes, activation in zip(fields, chosen, strict=False):
            for left, right in nn_activations.saturation_zones(activation.name, share):
                if max(left, low) < min(right, high):
                    axes.axvspan(max(left, low), min(right, high), color=GRID, zorder=0, label="saturated")
            axes.axhline(0, color=INK, linewidth=0.6)
            axes.plot(x, activation.f(x), color=VALID, label="f")
            axes.plot(x, activation.df(x), color=REST, linewidth=1.4, label="f′")
            axes.set_title(activation.name)
            axes.set_xlim(low, high)
            both = np.concatenate([activation.f(x), activation.df(x)])
            axes.set_ylim(max(-2.0, both.min() - 0.2), min(3.0, both.max() + 0.2))
        for axes in fields[len(chosen) :]:
            axes.remove()
        handles = {
            label: h for axes in made.axes for h, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        made.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3)
        made.canvas.draw()
    return made
