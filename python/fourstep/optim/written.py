"""Steps that are written in Python: the whole step is then taken by the twin, in NumPy.

A function sees whole arrays. What is not a function has the bits of the kernels; the rest is the user's. If a function
raises, parameters and state are back where they were.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fourstep import steps
from fourstep.arena import Array
from fourstep.optim.groups import ParamGroup
from fourstep.optim.stepper import Gradients, Job
from fourstep.reference import lanes
from fourstep.reference.four_step import FourStep as Twin
from fourstep.reference.four_step import states_of

if TYPE_CHECKING:
    from fourstep.optim.compose import FourStep

#: Elements over which the kernels are timed, to say how slow a function is.
_SAMPLE = 1 << 18

_REFUSED = ("copy_out", "track", "state_dtype", "stochastic_rounding")


class SlowStep(UserWarning):
    """A step of an optimizer is a Python function: it is taken by NumPy, not by the kernels."""


class Written:
    """Takes the steps of a `FourStep` that has functions in it."""

    def __init__(self, optimizer: FourStep) -> None:
        self.optimizer = optimizer
        self.warned = False

    def functions(self, values: Mapping[str, Any]) -> list[str]:
        """Return which of the four steps of a group are functions."""
        found = [key for key in ("first", "second", "direction") if not isinstance(values[key], steps.Step)]
        gradient = ["gradient"] if self.optimizer.gradient_functions else []
        return [*gradient, *found, *(["update"] if self.optimizer.update_function is not None else [])]

    def check(self, values: Mapping[str, Any]) -> None:
        """Raise where a function does not go with an option of the pass."""
        found = self.functions(values)
        refused = [name for name in _REFUSED if name in self.optimizer.options.changed()]
        if found and refused:
            raise ValueError(
                f"{refused[0]}: is of the kernels, and {found[0]} is a function that NumPy takes"
            )

    def step(self, gradients: Gradients) -> None:
        """Take one step of all groups."""
        o = self.optimizer
        start = time.perf_counter()
        active = o._begin()
        jobs: list[Job] = [(index, "four_step", (), {}) for index in active]
        named = dict(o._named(gradients, jobs))
        count = sum(int((~np.isfinite(g)).sum()) for g in named.values())
        bad = next((name for name, g in named.items() if not np.isfinite(g).all()), None)
        skipped = bool(count) and o.options.skip_nonfinite == "step"
        if count and o.options.skip_nonfinite == "error":
            raise FloatingPointError(
                f"skip_nonfinite: nothing was updated{o._first_not_finite(gradients, jobs)}"
            )
        scales = self._scales(active, named, gradients, jobs) if not skipped else {}
        if not skipped:
            self._step(active, named, scales)
        place = o._layout.names.index(bad) if bad is not None else None
        o._report(([], [], count, place, skipped, []), jobs, gradients)
        if not skipped:
            o._advance(active)
        elif o.options.zero_grad:
            for g in named.values():
                g[...] = 0
        if not self.warned:
            self.warned = True
            self._warn(active, time.perf_counter() - start)

    def _scales(
        self, active: Sequence[int], named: Mapping[str, Array], gradients: Gradients, jobs: Sequence[Job]
    ) -> dict[int, float]:
        """Return what the gradients of each group are multiplied by."""
        o = self.optimizer
        groups = {index: o.param_groups[index] for index in active}
        shared = {
            name for group in groups.values() if group.raw("clip_norm") is None for name in group["names"]
        }
        element = o.options.skip_nonfinite == "element"

        def clipped(limit: float | None, names: set[str]) -> float:
            if limit is None:
                return 1.0
            own = [named[name] for name in o._layout.names if name in names]
            clean = [np.where(np.isfinite(g), g, g.dtype.type(0)) if element else g for g in own]
            norm = math.sqrt(lanes.pairwise([lanes.sum_of_squares(g) for g in clean])) / o.grad_scale
            if not math.isfinite(norm):
                where = o._first_not_finite(gradients, jobs)
                raise FloatingPointError(
                    f"clip_norm: the gradient's norm is {norm}, so nothing was updated{where}"
                )
            return float(min(limit / (norm + o.options.clip_eps), 1.0))

        together = clipped(o.clip_norm, shared)
        return {
            index: (-1.0 if group.raw("maximize") else 1.0)
            * (
                together
                if group.raw("clip_norm") is None
                else clipped(group.raw("clip_norm"), set(group["names"]))
            )
            / o.grad_scale
            for index, group in groups.items()
        }

    def _step(self, active: Sequence[int], named: Mapping[str, Array], scales: Mapping[int, float]) -> None:
        o = self.optimizer
        twins = {index: self._twin(index, o.param_groups[index]) for index in active}
        touched = [*(w for twin in twins.values() for w in twin.params.values())]
        touched += [value for twin in twins.values() for s in twin.state.values() for value in s.values()]
        before = [array.copy() for array in touched]
        try:
            with np.errstate(all="ignore"):
                for index, twin in twins.items():
                    for name, w in twin.params.items():
                        twin.element_wise(w, named[name], twin.state[name], scales[index])
        except BaseException:
            for array, values in zip(touched, before, strict=True):
                array[...] = values
            raise
        for index, twin in twins.items():
            for number, (name, w) in enumerate(twin.params.items()):
                twin.store(number, name)
                twin.after(number, name, w, named[name])
            o.param_groups[index].started |= set(twin.states)

    def _twin(self, index: int, group: ParamGroup) -> Twin:
        """Return a twin over the same memory, about to take its step."""
        o = self.optimizer
        names = (*states_of(group["first"], "m"), *states_of(group["second"], "v"))
        o.allocate_for(index, names)
        o._fill(group, index, names)
        started = group.started
        twin = Twin(
            dict(zip(group["names"], group["params"], strict=True)),
            o._rates[index],
            group["first"],
            group["second"],
            group["direction"],
            gradient=o.gradient_functions,
            update=o.update_function,
            weight_decay=group.raw("weight_decay"),
            decay=group.raw("decay"),
            clip_value=group.raw("clip_value"),
            skip_nonfinite=o.options.skip_nonfinite,
            cautious=o.options.cautious,
            ema_decay=o.options.ema_decay,
            zero_grad=o.options.zero_grad,
            flush_subnormals=o.options.flush_subnormals,
        )
        twin.t = group.steps
        twin.product = group.scalars.get("mu_product", 1.0)
        group.started = started | set(names)
        twin.state = {name: {key: o.state_of(name)[key] for key in names} for name in group["names"]}
        group.started = started
        if o.options.ema_decay is not None:
            twin.ema = {name: o.ema[name] for name in group["names"]}
        twin.begin()
        twin.started = "momentum_buffer" in started
        return twin

    def _warn(self, active: Sequence[int], seconds: float) -> None:
        o = self.optimizer
        groups = [o.param_groups[index] for index in active]
        total = sum(array.size for group in groups for array in group["params"])
        found = dict.fromkeys(name for group in groups for name in self.functions(group))
        text = f"FourStep: {', '.join(found)}: a Python function, so NumPy takes these steps, not the kernels"
        if total:
            dtype = groups[0]["params"][0].dtype
            ratio = (seconds / total) / _kernel_seconds(type(o), groups[0], min(total, _SAMPLE), dtype)
            text += f"; this first one took {ratio:.1f} times as long, for {total:,} elements"
        warnings.warn(text, SlowStep, stacklevel=6)


def _kernel_seconds(kind: type[FourStep], group: ParamGroup, n: int, dtype: Any) -> float:
    """Return the time an element of the kernels' step, with a common step in the place of each function."""
    common = {"first": steps.ema(bias_correction=False), "second": steps.ema_sq(bias_correction=False)}
    chosen: dict[str, Any] = {
        key: group[key] if isinstance(group[key], steps.Step) else common[key] for key in ("first", "second")
    }
    w, g = np.ones(n, dtype), np.ones(n, dtype)
    optimizer = kind([w], lr=1e-3, **chosen)
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        optimizer.step([g])
        seconds.append(time.perf_counter() - start)
    return min(seconds) / n
