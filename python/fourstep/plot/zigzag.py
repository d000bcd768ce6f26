"""Why inputs of one sign make training zig-zag (A3): one unit with two weights that must part, raw against centred."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fourstep.nn import Linear, MSELoss
from fourstep.nn.module import Array
from fourstep.plot.look import INK, REST, VALID, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Where the weights should end: one up, one down.
TARGET = np.array([[1.0, -1.0]])


def unit_walk(shift: float, *, rows: int = 60, seed: int = 0) -> Array:
    """Train one linear unit, a sample at a time, from (0, 0) towards `TARGET`; return its weights, (rows + 1, 2).

    Inputs are uniform in ±½ around `shift`. The rate is the largest at which no step overshoots its own sample,
    1/(2·max |x|²).

    Examples
    --------
    >>> steps = np.diff(unit_walk(0.5), axis=0)
    >>> bool((steps[:, 0] * steps[:, 1] > 0).all())  # both weights rise, or both fall
    True
    """
    x = np.random.default_rng(seed).uniform(-0.5, 0.5, size=(rows, 2)) + shift
    rate = 0.5 / (x * x).sum(1).max()
    unit, loss = Linear(2, 1, bias=False, dtype="float64", seed=0), MSELoss()
    weight = unit.params["weight"]
    weight.fill(0)
    walk = [weight[0].copy()]
    for row in x:
        unit.zero_grad()
        loss.forward(unit.forward(row[None]), row[None] @ TARGET.T)
        unit.backward(loss.backward())
        weight -= rate * unit.grads["weight"]
        walk.append(weight[0].copy())
    return np.array(walk)


def zigzag(*, rows: int = 60, seed: int = 0) -> Figure:
    """Draw the walk of two weights that must part, with inputs from 0 to 1 and with the same inputs centred.

    With positive inputs both weights rise or both fall in every step (the row of dW has one sign), so the way down to the
    right can only be a zig-zag.

    Parameters
    ----------
    rows : int
        Steps, one sample each.
    seed : int
        Of the inputs.

    Returns
    -------
    matplotlib Figure

    Examples
    --------
    >>> drawn = zigzag(rows=20)
    >>> [line.get_label() for line in drawn.axes[0].get_lines()][:2]
    ['inputs from 0 to 1', 'the same, centred']
    """
    walks = {"inputs from 0 to 1": unit_walk(0.5, rows=rows, seed=seed)}
    walks["the same, centred"] = unit_walk(0.0, rows=rows, seed=seed)
    with style():
        made = figure(2)
        plane, distance = made.subplots(1, 2)
        for (label, walk), colour in zip(walks.items(), (REST, VALID), strict=True):
            plane.plot(*walk.T, color=colour, label=label, linewidth=1.2, marker="o", markersize=2.5)
            distance.semilogy(np.linalg.norm(walk - TARGET, axis=1), color=colour, label=label)
        plane.plot(
            *TARGET.T, color=INK, marker="*", markersize=12, linestyle="none", label="where they should end"
        )
        plane.set_xlabel("w₁")
        plane.set_ylabel("w₂")
        plane.set_title("two weights that must part")
        plane.legend()
        distance.set_xlabel("step")
        distance.set_title("distance left")
        made.canvas.draw()
    return made
