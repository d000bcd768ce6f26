"""How pictures look, and an empty one that needs no display."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: One colour a meaning, in every picture.
INK, TRAIN, VALID, REST, GRID = "#22303c", "#8a9ba8", "#0b6e99", "#d1495b", "#e3e8ec"
#: Colours of lines that mean nothing but themselves.
LINES = ("#d1495b", "#0b6e99", "#e8a33d", "#3d8c5c", "#7a5195", "#22303c", "#8a9ba8", "#b5651d")

_STYLE: dict[str, Any] = {
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": "#b8c4cc",
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "savefig.dpi": 150,
}


def available() -> bool:
    """Tell whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def style() -> Any:
    """Return a context in which pictures look alike.

    Raises
    ------
    ImportError
        There is no matplotlib.
    """
    if not available():
        raise ImportError("pictures need matplotlib: pip install 'fourstep[plot]'")
    import matplotlib as mpl

    settings: Any = _STYLE
    return mpl.rc_context(settings)


def figure(columns: int, rows: int = 1) -> Figure:
    """Make an empty figure that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(5.2 * columns, 3.8 * rows), layout="constrained")
    FigureCanvasAgg(made)
    return made


@contextmanager
def drawing(axes: Axes | None) -> Iterator[Axes]:
    """Give the axis, or one of a new figure, in the look of all pictures; a new figure is laid out at the end."""
    with style():
        on = figure(1).subplots() if axes is None else axes
        yield on
        if axes is None:
            owner(on).canvas.draw()


def owner(axes: Axes) -> Figure:
    """Return the figure that an axis is in."""
    return cast("Figure", axes.figure)
