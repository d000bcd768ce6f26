"""Several optimizers on one contour, with equal budgets (the notes' SGD against SGD-M)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fourstep.plot.look import GRID, INK, LINES, figure, style
from fourstep.trajectory import Choice, Trajectory, minimize

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Points a side of the contour.
_FINE = 201


def trajectories(
    f: Any,
    optimizers: Mapping[str, Choice | Trajectory] | Sequence[Choice | Trajectory],
    *,
    x0: Any = None,
    steps: int = 100,
    bounds: tuple[tuple[float, float], tuple[float, float]] | None = None,
) -> Figure:
    """Draw the walks of several optimizers from one start, with as many steps each: the contour, and the loss by step.

    Parameters
    ----------
    f : one of `fourstep.functions`
        Of two variables, with `bounds`, `start` and `minimum`.
    optimizers : dict of str, or sequence
        As `fourstep.minimize` takes them, or walks that it made; the keys of a dict are their labels.
    x0 : (float, float), optional
        Where all start; by default the function's own start.
    steps : int
        The budget of each: gradients taken.
    bounds : ((left, right), (bottom, top)), optional
        What the contour shows; by default the function's own window.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    ValueError
        Walks of different lengths or starts: a picture of unequal budgets would say nothing.

    Examples
    --------
    >>> from fourstep import functions
    >>> sgd, momentum = ("SGD", {"lr": 0.07}), ("SGD", {"lr": 0.07, "momentum": 0.5})
    >>> drawn = trajectories(functions.Ravine(), {"SGD": sgd, "SGD-M": momentum}, steps=30)
    >>> [line.get_label() for line in drawn.axes[0].get_lines()][:3:2]  # between them, their ends
    ['SGD', 'SGD-M']
    """
    start = f.start if x0 is None else x0
    named = optimizers.items() if isinstance(optimizers, Mapping) else [(None, each) for each in optimizers]
    walks: dict[str, Trajectory] = {}
    for label, each in named:
        walk = each if isinstance(each, Trajectory) else minimize(f, start, each, steps)
        walks[_unused(label or walk.optimizer, walks)] = walk
    _check_equal(walks)
    with style():
        made = figure(2)
        contour_axes, loss_axes = made.subplots(1, 2)
        contour(f, contour_axes, bounds=bounds)
        for (label, walk), colour in zip(walks.items(), _colours(len(walks)), strict=True):
            points = walk.points
            contour_axes.plot(
                points[:, 0],
                points[:, 1],
                color=colour,
                linewidth=1.4,
                marker="o",
                markersize=2.5,
                label=label,
            )
            contour_axes.plot(*points[-1], color=colour, marker="o", markersize=6, markeredgecolor="white")
            loss_axes.plot(walk.losses - _least(f, walks), color=colour, label=label)
        contour_axes.plot(*next(iter(walks.values())).points[0], color=INK, marker="s", markersize=6)
        contour_axes.plot(*f.minimum, color=INK, marker="*", markersize=11)
        contour_axes.set_title(f"{f}: {len(next(iter(walks.values())))} steps each")
        loss_axes.set_title("loss above the least")
        loss_axes.set_xlabel("step")
        loss_axes.set_yscale("log")
        loss_axes.legend()
        made.canvas.draw()
    return made


def contour(f: Any, axes: Axes, *, bounds: Any = None) -> None:
    """Draw lines of equal value, closer together near the minimum."""
    (left, right), (bottom, top) = f.bounds if bounds is None else bounds
    x, y = np.meshgrid(np.linspace(left, right, _FINE), np.linspace(bottom, top, _FINE))
    z = np.asarray(f.value(np.stack([x, y], -1)))
    levels = z.min() + (z.max() - z.min()) * np.linspace(0, 1, 25)[1:] ** 3
    lines: Any = {"colors": [GRID], "linewidths": 1, "linestyles": "solid"}
    axes.contour(x, y, z, levels=levels, zorder=0, **lines)
    axes.contourf(x, y, z, levels=[z.min(), *levels], cmap="Blues_r", alpha=0.35, zorder=-1)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.grid(visible=False)


def _least(f: Any, walks: Mapping[str, Trajectory]) -> float:
    """Return the value at the minimum; not above any loss that was reached."""
    reached = [walk.losses[np.isfinite(walk.losses)].min() for walk in walks.values()]
    return float(min(f.value(np.asarray(f.minimum, float)), *reached))


def _unused(label: str, used: Mapping[str, Any]) -> str:
    """Return a label, with a number where it is used already."""
    others = itertools.chain([label], (f"{label} ({n})" for n in itertools.count(2)))
    return next(other for other in others if other not in used)


def _check_equal(walks: Mapping[str, Trajectory]) -> None:
    if not walks:
        raise ValueError("optimizers: got none, need at least one")
    first = next(iter(walks.values()))
    if first.points.shape[1:] != (2,):
        raise ValueError(
            f"trajectories: got points of shape {first.points.shape[1:]}, need (2,): a plane is drawn"
        )
    for label, walk in walks.items():
        if len(walk) != len(first):
            raise ValueError(f"{label}: got {len(walk)} steps, need {len(first)}, the budget of the others")
        if (walk.points[0] != first.points[0]).any():
            raise ValueError(
                f"{label}: got the start {walk.points[0]}, need {first.points[0]}, as the others"
            )


def _colours(n: int) -> list[str]:
    return [LINES[i % len(LINES)] for i in range(n)]
