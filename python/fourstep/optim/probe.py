"""What the kernels make of a few elements: the same rule on copies, so that the real step is not touched.

Rules are elementwise and give the same bits in any layout: what a copy of an element does is what the element does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.arena import Array


class Probed(NamedTuple):
    """Steps 1 to 4 of some elements: g_t, the state after step 3, η_t, w_{t+1}."""

    g: Array
    state: list[Array]
    eta: Array
    w: Array


def probe(
    rule: str, hyper: dict[str, Any], w: Array, g: Array, state: Sequence[Array], scale: float = 1.0
) -> Probed:
    """Take one step on copies of some elements.

    Parameters
    ----------
    rule, hyper
        As the kernels take them.
    w, g : ndarray, shape (n,)
        Parameters and gradients, as they are before step 1.
    state : sequence of ndarray, shape (n,)
        In the order of the rule.
    scale : float
        The coefficient of clipping by norm.
    """
    gradient = step_one(w, g, hyper, scale)
    plain = {**hyper, "weight_decay": 0.0, "maximize": False, "clip_value": None}
    moved, after = np.zeros_like(w), [s.copy() for s in state]
    group = (rule, plain, list(range(len(after))), [(0, 0, w.size)])
    _core.step([("w", moved, gradient, after)], [group], None, execution())
    with np.errstate(all="ignore"):
        eta = w.dtype.type(0) - moved
        return Probed(gradient, after, eta, w - eta)


def step_one(w: Array, g: Array, hyper: dict[str, Any], scale: float = 1.0) -> Array:
    """Return g_t = clip(scale·g, ±c) + λ·w, as `rule::Gradient` does."""
    with np.errstate(all="ignore"):
        x = w.dtype.type(-scale if hyper["maximize"] else scale) * g
        if hyper["clip_value"] is not None:
            c = w.dtype.type(hyper["clip_value"])
            x = np.where(x > c, c, x)
            x = np.where(x < -c, -c, x)
        decay = w.dtype.type(hyper["weight_decay"])
        return np.asarray(x if decay == 0 else x + decay * w)


def clip_scale(clip: tuple[float, Any] | None, norm: float | None) -> float:
    """Return the coefficient of clipping by norm."""
    return 1.0 if clip is None or norm is None else min(clip[0] / (norm + 1e-6), 1.0)
