"""Pictures (extra ``[plot]``: matplotlib): of a run, of walks over test functions, of learning rates, of the family.

Each function draws into an axis that it is given, or makes a figure. Nothing here opens a window.
"""

from __future__ import annotations

from fourstep.plot.family import lineage
from fourstep.plot.look import available, figure, style
from fourstep.plot.rates import effective_lr, late_signal
from fourstep.plot.run import curves, overview, roc, scores
from fourstep.plot.walks import trajectories

__all__ = [
    "available",
    "curves",
    "effective_lr",
    "figure",
    "late_signal",
    "lineage",
    "overview",
    "roc",
    "scores",
    "style",
    "trajectories",
]
