"""Pictures (extra ``[plot]``: matplotlib): of metrics, of a run, of walks, of learning rates, of the family, of
activations.

Each function draws into an axis that it is given, or makes a figure. Nothing here opens a window.
"""

from __future__ import annotations

from fourstep.plot.activation import activations
from fourstep.plot.evaluation import (
    blend_sweep,
    calibration,
    distributions,
    gauc_by_size,
    pr,
    roc,
    scores,
    thresholds,
)
from fourstep.plot.family import lineage
from fourstep.plot.look import available, figure, style
from fourstep.plot.normalisation import bn_before_after
from fourstep.plot.rates import effective_lr, late_signal
from fourstep.plot.run import curves, overview
from fourstep.plot.walks import trajectories
from fourstep.plot.zigzag import zigzag

__all__ = [
    "activations",
    "available",
    "blend_sweep",
    "bn_before_after",
    "calibration",
    "curves",
    "distributions",
    "effective_lr",
    "figure",
    "gauc_by_size",
    "late_signal",
    "lineage",
    "overview",
    "pr",
    "roc",
    "scores",
    "style",
    "thresholds",
    "trajectories",
    "zigzag",
]
