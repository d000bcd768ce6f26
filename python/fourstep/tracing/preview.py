"""The next step of one element, taken on copies: nothing is written."""

from __future__ import annotations

import math
from typing import Any

from fourstep.arena import Array
from fourstep.explain.numbers import StepExplanation
from fourstep.optim.base import Buffers, Clip, Groups, Optimizer
from fourstep.optim.probe import Probed
from fourstep.reference import lanes
from fourstep.tracing.coordinates import Index, chosen
from fourstep.tracing.watch import HOOKS, Trace, _Look


class _Preview(Trace):
    """A trace of a step that does not take place: the kernels are called on copies alone."""

    def _run(self, buffers: Buffers, groups: Groups, clip: Clip) -> float | None:
        if clip is None:
            return None
        sums = [lanes.sum_of_squares(buffers[b][2].reshape(-1)[start:stop]) for b, start, stop in clip[1]]
        norm = math.sqrt(lanes.pairwise(sums))
        if not math.isfinite(norm):
            raise FloatingPointError(f"clip_norm: the gradient's norm is {norm}, so nothing would be updated")
        return norm

    def _after(self, look: _Look, seen: Probed) -> list[Array]:
        assert self._pending is not None
        self._pending.values["w_next"][look.at] = seen.w
        return seen.state

    def _advance(self, active: Any) -> None:
        """Take no step."""


def preview(opt: Optimizer, name: str, index: Index, grads: Any = None) -> StepExplanation:
    """Return the next step of one element in numbers.

    Raises
    ------
    ValueError
        No such element, or its group is frozen.
    """
    if name not in opt._layout.names:
        raise ValueError(f"name: no parameter is called {name!r}; there are {', '.join(opt._layout.names)}")
    (coordinate,) = chosen(opt, [name], [index])
    if not opt.param_groups[coordinate.group].raw("trainable"):
        raise ValueError(f"{name}: its group is frozen (trainable=False), so it takes no step")
    seen = _Preview(opt, [coordinate], every=1, max_bytes=1 << 20)
    started = [set(group.started) for group in opt.param_groups]
    with opt._alone():
        gradients = opt._layout.gradients(grads, opt._frozen())
        attached: dict[str, Any] = {key: vars(opt).pop(key) for key in HOOKS if key in vars(opt)}
        try:
            with seen:
                opt._step(gradients)
                moment = seen._pending
        finally:
            vars(opt).update(attached)
            for group, before in zip(opt.param_groups, started, strict=True):
                group.started = before
    assert moment is not None
    return seen._explain(moment, 0)
