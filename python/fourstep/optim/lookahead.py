"""Optimizers that take their gradient at another point than w: step 1 of the frame, with a closure.

1  w_ahead = w − (a move along the moments)          the closure is called there
2  moments from its gradient                         weight decay too is taken there
3  w back to the bit, then the update along the new moments
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fourstep.arena import Array
from fourstep.optim.base import Hyper, Optimizer
from fourstep.optim.groups import ParamGroup
from fourstep.optim.stepper import Closure, Gradients, Job

#: (rule, state buffers, hyper-parameters) of a move without a gradient.
Move = tuple[str, tuple[str, ...], Hyper]


class LookAhead(Optimizer):
    """Base of NAG and Nadam: `step(closure)` evaluates the gradient at the look-ahead point."""

    def _looks_ahead(self, group: ParamGroup) -> bool:
        """Tell whether a closure is called at the look-ahead point, not at w."""
        return True

    def _needs_closure(self, group: ParamGroup) -> bool:
        """Tell whether this group has no form without a closure."""
        return bool(group["lookahead"] == "notes")

    def _moments(self, group: ParamGroup) -> Move:
        """Return the rule whose moments the look-ahead form has."""
        raise NotImplementedError

    def _ahead(self, group: ParamGroup) -> Move | None:
        """Return the move to the look-ahead point; None before there are moments."""
        raise NotImplementedError

    def _update(self, group: ParamGroup) -> Move:
        """Return the move that is the update."""
        raise NotImplementedError

    def _step(self, gradients: Gradients, *, dense: bool = True) -> None:
        for index in self._active():
            if self._needs_closure(self.param_groups[index]):
                raise TypeError(
                    "lookahead='notes' takes its gradient at the look-ahead point: call step(closure)"
                )
        super()._step(gradients, dense=dense)

    def _step_closure(self, closure: Closure) -> Any:
        active = self._begin()
        groups = [(index, self.param_groups[index]) for index in active]
        looking = {self._looks_ahead(group) for _, group in groups}
        if looking == {True, False}:
            raise ValueError(
                "lookahead: some groups look ahead and some do not; a closure is called at one point"
            )
        if looking != {True}:
            return super()._step_closure(closure)
        changed = self.options.changed()
        for option, value in (("cautious", None), ("track", None), ("skip_nonfinite", "element")):
            if option in changed and value in (None, changed[option]):
                raise ValueError(
                    f"{option}: not with a closure at the look-ahead point, whose update is a second pass; "
                    "call step() with gradients"
                )
        buffers = self._layout.buffers
        used = dict.fromkeys(buffer for index in active for buffer, *_ in self._merged[index])
        unread = {buffer: np.zeros_like(buffers[buffer]) for buffer in used}  # a move reads no gradient
        places = [
            (buffers[b].reshape(-1)[start:stop])
            for index in active
            for b, start, stop, *_ in self._merged[index]
        ]
        saved = [place.copy() for place in places]
        ahead = [(index, *move) for index, group in groups if (move := self._ahead(group)) is not None]
        try:
            self._move(ahead, unread)
            loss, gradients = self._layout.closure_result(closure(), self._frozen())
            # Of this call only the moments are kept: it sees the decay and the gradient of the look-ahead point.
            moments = [(index, *self._moments(group)) for index, group in groups]
            skipped = self._run(gradients, moments, step_4=False)
        finally:
            for place, values in zip(places, saved, strict=True):
                place[...] = values
        if not skipped:
            self._move([(index, *self._update(group)) for index, group in groups], unread, step_4=True)
            self._advance(active)
        return loss

    def _move(self, jobs: list[Job], unread: dict[int, Array], *, step_4: bool = False) -> None:
        """Move along the moments. The kernels want a gradient of the right shape."""
        if jobs:
            self._run(unread, jobs, step_1=False, step_4=step_4)
