"""The next step of one element, taken on copies: nothing is written."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any, NoReturn

import numpy as np

from fourstep.arena import Array
from fourstep.explain.numbers import StepExplanation
from fourstep.explain.triples import refuse_functions
from fourstep.optim.base import Optimizer
from fourstep.optim.probe import Probed
from fourstep.optim.stepper import Buffers, Clips, Groups
from fourstep.reference import lanes
from fourstep.tracing.coordinates import Index, chosen
from fourstep.tracing.watch import HOOKS, Trace, _Look


class _Done(Exception):  # noqa: N818 - no error
    """All is seen."""


class _Preview(Trace):
    """A trace of a step that does not take place: the kernels are called on copies alone."""

    def _call(self, buffers: Buffers, groups: Groups, clips: Clips, options: dict[str, Any]) -> NoReturn:
        norms = [self._norm(buffers, clip, options) for clip in clips]
        eps = float(options["clip_eps"])
        coefficients = [
            min(1.0, clip[0] / (norm + eps)) if norm + eps else 1.0
            for clip, norm in zip(clips, norms, strict=True)
        ]
        self._note(list(self._looks(buffers, groups, options)), clips, norms, coefficients, options)
        raise _Done

    def _norm(self, buffers: Buffers, clip: Any, options: dict[str, Any]) -> float:
        """As the kernels take it: by parameter, then pairwise."""
        squares = []
        for buffer, start, stop, *_ in clip[1]:
            g = buffers[buffer][2].reshape(-1)[start:stop]
            if options["skip_nonfinite"] == "element":
                g = np.where(np.isfinite(g), g, g.dtype.type(0))
            squares.append(lanes.sum_of_squares(g))
        norm = math.sqrt(lanes.pairwise(squares)) / float(options["grad_scale"])
        if not math.isfinite(norm):
            raise FloatingPointError(f"the gradient's norm is {norm}, so nothing would be updated")
        return norm

    def _after(self, look: _Look, seen: Probed) -> list[Array]:
        assert self._pending is not None
        self._pending.values["w_next"][look.at] = seen.w[look.pick]
        return [state[look.pick] for state in seen.state]


def preview(opt: Optimizer, name: str, index: Index, grads: Any = None) -> StepExplanation:
    """Return the next step of one element in numbers.

    Raises
    ------
    ValueError
        No such element, or its group is frozen.
    """
    refuse_functions(opt)
    if name not in opt._layout.names:
        raise ValueError(f"name: no parameter is called {name!r}; there are {', '.join(opt._layout.names)}")
    (coordinate,) = chosen(opt, [name], [index])
    group = opt.param_groups[coordinate.group]
    if group.raw("sparse"):
        raise ValueError(
            f"{name}: is a sparse table, whose rows step by step_rows or step(rows=), not by step()"
        )
    if not group.raw("trainable"):
        raise ValueError(f"{name}: its group is frozen (trainable=False), so it takes no step")
    seen = _Preview(opt, [coordinate], every=1, max_bytes=1 << 20)
    with opt._alone():
        gradients = opt._layout.gradients(grads, opt._frozen())
        attached: dict[str, Any] = {key: vars(opt).pop(key) for key in HOOKS if key in vars(opt)}
        try:
            with seen:
                with suppress(_Done):
                    opt._step(gradients)
                moment = seen._pending
        finally:
            vars(opt).update(attached)
    assert moment is not None
    return seen._explain(moment, 0)
