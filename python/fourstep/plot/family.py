"""Who comes from whom among the optimizers, and what each adds (O2): `fs.optim.compare()` as a picture."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from fourstep import optim
from fourstep.plot.look import INK, REST, TRAIN, VALID, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def lineage(comparison: Any = None) -> Figure:
    """Draw the optimizers from SGD to the right: under each name what it adds to the first that it comes from.

    Parameters
    ----------
    comparison : optional
        What `fourstep.optim.compare` returned; by default all of them.

    Returns
    -------
    matplotlib Figure

    Examples
    --------
    >>> drawn = lineage()
    >>> [text.get_text() for text in drawn.axes[0].texts if text.get_text()][:2]
    ['SGD', 'SGD-M']
    """
    found = optim.compare() if comparison is None else comparison
    depth: dict[str, int] = {}
    for row in found.rows:
        _depth(found, row.name, depth)
    place: dict[str, tuple[float, float]] = {}
    columns = [[row for row in found.rows if depth[row.name] == x] for x in range(max(depth.values()) + 1)]
    for column, rows in enumerate(columns):  # each beside what it comes from, where there is room
        rows.sort(key=lambda row: -max((place[parent][1] for parent in row.parents), default=0.0))
        place.update({row.name: (float(column), (len(rows) - 1) / 2 - y) for y, row in enumerate(rows)})
    tall = max(map(len, columns))
    with style():
        made = figure(2)
        made.set_size_inches(3.1 * len(columns), max(3.0, 0.95 * tall))
        axes = made.subplots()
        for step in found.lineage():
            (x, y), (to_x, to_y) = place[step.parent], place[step.child]
            first = found[step.child].parents[0] == step.parent
            line = {
                "arrowstyle": "->",
                "color": VALID if first else TRAIN,
                "linewidth": 1.3 if first else 0.9,
            }
            axes.annotate("", xy=(to_x - 0.04, to_y), xytext=(x + 0.62, y), arrowprops=line, zorder=0)
        behind: Any = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        for row in found.rows:
            axes.text(*place[row.name], row.name, color=INK, weight="bold", va="center", bbox=behind)
        for row in found.rows:
            x, y = place[row.name]
            adds = textwrap.fill(row.adds, 32, max_lines=3, placeholder=" …")
            axes.text(x, y - 0.15, adds, color=REST, fontsize=7, va="top", bbox=behind if adds else None)
        axes.set_xlim(-0.1, len(columns) - 0.1)
        axes.set_ylim(-(tall - 1) / 2 - 0.8, (tall - 1) / 2 + 0.5)
        axes.set_axis_off()
        axes.set_title("what each adds to the one before")
        made.canvas.draw()
    return made


def _depth(found: Any, name: str, depth: dict[str, int]) -> int:
    """Return the longest way from an optimizer that comes from none."""
    if name not in depth:
        parents = found[name].parents
        depth[name] = 1 + max((_depth(found, parent, depth) for parent in parents), default=-1)
    return depth[name]
