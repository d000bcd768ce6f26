"""What the kernels make of a few elements: the same rule on copies, so that the real step is not touched.

Most rules are elementwise and give the same bits in any layout: what a copy of an element does is what the element does.
Where a step needs something of a whole parameter, the copy is of the whole parameter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.arena import Array

#: Options that are not for a copy: what is kept beside w, and how state is stored.
_OFF = {"ema_decay": 0.0, "zero_grad": False, "track": False, "stochastic_rounding": False}


class Probed(NamedTuple):
    """Steps 1 to 4 of some elements: g_t, the state after step 3, η_t, w_{t+1}."""

    g: Array
    state: list[Array]
    eta: Array
    w: Array


def probe(
    rule: str,
    hyper: dict[str, Any],
    w: Array,
    g: Array,
    state: Sequence[Array],
    coefficient: float,
    options: Mapping[str, Any],
) -> Probed:
    """Take one step on copies of some elements.

    Parameters
    ----------
    rule, hyper, options
        As the kernels take them.
    w, g : ndarray, shape (n,)
        Parameters and gradients, as they are before step 1.
    state : sequence of ndarray, shape (n,)
        In the order of the rule, in the dtype of w.
    coefficient : float
        That of clipping by norm.
    """
    moved, after = w.copy(), [s.copy() for s in state]
    seen = np.empty_like(w), np.empty_like(w)
    buffer = "the probe", moved, np.ascontiguousarray(g), after, None, None
    which = list(range(len(after)))
    _core.probe(buffer, (rule, hyper, which, []), coefficient, {**options, **_OFF}, seen, execution())
    return Probed(seen[0], after, seen[1], moved)
