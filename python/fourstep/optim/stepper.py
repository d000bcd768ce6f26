"""How a step is taken: groups become one call of the kernels, and its report becomes numbers by name."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.arena import Array
from fourstep.optim import precision
from fourstep.optim import rows as by_rows
from fourstep.optim.busy import Busy
from fourstep.optim.groups import ParamGroup
from fourstep.optim.holdings import Holdings, Range
from fourstep.optim.kind import Hyper
from fourstep.optim.layout import Layout
from fourstep.optim.report import Last, Nonfinite, NonFiniteWarning
from fourstep.schedules import evaluate

#: (group, rule, state buffers, hyper-parameters): what one group does in one call.
Job = tuple[int, str, tuple[str, ...], Hyper]

#: What the kernels take: (name, w, g, state, average, copy), (rule, hyper-parameters, which state, ranges), and of each
#: norm to clip by the largest, its parameters, the groups that it scales, and what is known of tables.
Buffers = list[tuple[str, Array, Array, list[precision.Buffer], Array | None, Array | None]]
Groups = list[tuple[str, Hyper, list[int], list[Range]]]
Clips = list[tuple[float, list[Range], list[int], list[tuple[int, float, int]]]]
Report = tuple[list[float], list[float], int, int | None, bool, list[list[list[float]]]]

#: Gradients by buffer.
Gradients = Mapping[int, Array]

#: What a closure returns: the loss over an arena, else (loss, gradients).
Closure = Callable[[], Any]


@dataclass(frozen=True)
class _Plan:
    """What the calls of the same rules over the same groups have in common: built once, not for each step."""

    used: tuple[int, ...]
    place: dict[int, int]
    #: (name, w, state, average, copy) of each buffer.
    buffers: list[tuple[str, Array, list[precision.Buffer], Array | None, Array | None]]
    #: Of each group, which of the state buffers, and its ranges.
    groups: list[tuple[list[int], list[Range]]]


class Stepper(Holdings):
    """Takes the steps of an optimizer."""

    step_count: int

    def __init__(self, layout: Layout, groups: Sequence[ParamGroup]) -> None:
        super().__init__(layout, groups)
        #: The tables that the step under way is given rows of.
        self._tables: list[by_rows.Table] = []
        #: Counters of gradients that were not finite.
        self.nonfinite = Nonfinite()
        self._last: Last | int = 0
        self._rates: dict[int, float] = {}
        self._plans: dict[Any, _Plan] = {}
        self._busy = Busy()

    @property
    def last(self) -> Last:
        """What the last step saw."""
        return Last(self._last) if isinstance(self._last, int) else self._last

    @last.setter
    def last(self, value: Last) -> None:
        self._last = value

    def _alone(self) -> Lock:
        return self._busy.alone(self)

    def _step_closure(self, closure: Closure) -> Any:
        loss, gradients = self._layout.closure_result(closure(), self._frozen(), self._sparse())
        self._step(gradients)
        return loss

    def _step(self, gradients: Gradients, *, dense: bool = True) -> None:
        active = self._begin()
        tables, jobs = self._tables, [(i, *self._rule(self.param_groups[i])) for i in active if dense]
        by_rows.measure(self, tables, alone=not jobs)
        if not self._run(gradients, jobs):
            by_rows.run(self, tables)
            self._advance([*(active if dense else []), *dict.fromkeys(table.group for table in tables)])

    def _begin(self) -> list[int]:
        """Return the groups that step, with the learning rate that each has throughout this step."""
        if self.step_count == 2**64 - 1:
            raise OverflowError(f"{type(self).__name__}: step_count is at its end, 2^64 - 1")
        active = self._active()
        rated = [*active, *(table.group for table in self._tables)]
        self._rates = {i: evaluate(self.param_groups[i].raw("lr"), self.step_count) for i in rated}
        return active

    def rate_of(self, index: int) -> float:
        """Return the learning rate that a group has in the step under way."""
        return self._rates[index]

    def _advance(self, active: Sequence[int]) -> None:
        for index in active:
            group = self.param_groups[index]
            group.steps += 1
            self._stepped(group)
        self.step_count += 1

    def _frozen(self) -> set[str]:
        return {name for group in self.param_groups if not group.raw("trainable") for name in group["names"]}

    def _sparse(self) -> set[str]:
        return {name for group in self.param_groups if group.raw("sparse") for name in group["names"]}

    def _active(self) -> list[int]:
        """Return the groups that a plain step is about."""
        return [
            i
            for i, group in enumerate(self.param_groups)
            if group.raw("trainable") and not group.raw("sparse") and group["names"]
        ]

    def _plan(self, jobs: Sequence[Job], step_4: bool) -> _Plan:
        """Return the plan of a call: ranges as few as can be, or one for each parameter where something is kept by it."""
        o = self.options
        by_parameter = (
            self.per_parameter
            or o.track
            or o.cautious
            or o.zero_grad
            or o.stochastic_rounding
            or o.state_dtype == "int8"
        )
        key = (bool(by_parameter), step_4, tuple((index, names) for index, _, names, _ in jobs))
        if key not in self._plans:
            self._plans[key] = self._planned(jobs, bool(by_parameter), step_4)
        return self._plans[key]

    def _planned(self, jobs: Sequence[Job], by_parameter: bool, step_4: bool) -> _Plan:
        states = list(dict.fromkeys(name for _, _, names, _ in jobs for name in names))
        ranges = [
            [self._own_ranges[name] for name in self.param_groups[index]["names"]]
            if by_parameter
            else self._merged[index]
            for index, *_ in jobs
        ]
        used = tuple(dict.fromkeys(buffer for own in ranges for buffer, *_ in own))
        for name in states:
            self._allocate(name, used)
        place = {buffer: i for i, buffer in enumerate(used)}
        buffers = [
            (
                self._layout.buffer_names[buffer],
                self._layout.buffers[buffer],
                [self._state[name][buffer] for name in states],
                self._averages[buffer] if self._averages and step_4 else None,
                self._copies[buffer] if self._copies and step_4 else None,
            )
            for buffer in used
        ]
        columns = [[states.index(name) for name in names] for _, _, names, _ in jobs]
        groups = [(own, _placed(r, place)) for own, r in zip(columns, ranges, strict=True)]
        return _Plan(used, place, buffers, groups)

    def _run(
        self,
        gradients: Gradients,
        jobs: Sequence[Job],
        *,
        step_1: bool = True,
        step_4: bool = True,
    ) -> bool:
        """Run a rule over each of some groups: one call. Return whether it was skipped.

        `step_1`: the gradients are new, to be clipped, counted and zeroed. `step_4`: the update is the last of this
        step, to be decayed, averaged and copied.
        """
        if not jobs and not any(table.measured for table in self._tables):
            by_rows.nothing_dense(self)
            return False
        plan = self._plan(jobs, step_4)
        groups: Groups = []
        for (index, rule, names, hyper), (columns, ranges) in zip(jobs, plan.groups, strict=True):
            group = self.param_groups[index]
            if not group.started.issuperset(names):
                self._fill(group, index, names)
            shared = {
                "lr": self._rates[index],
                **self.decays_of(group, self._rates[index], step_4),
                "maximize": group.raw("maximize"),
                "clip_value": group.raw("clip_value"),
                "step": group.steps + 1,
            }
            groups.append((rule, {**shared, **hyper}, columns, ranges))
        buffers: Buffers = [
            (name, w, gradients[buffer], state, average, copy)
            for buffer, (name, w, state, average, copy) in zip(plan.used, plan.buffers, strict=True)
        ]
        clips = self._clips(jobs, plan.place) if step_1 else []
        try:
            report = self._call(buffers, groups, clips, self.pass_options(step_1, step_4))
        except FloatingPointError as error:
            self._count_refused(gradients, jobs)
            raise FloatingPointError(f"{error}{self._first_not_finite(gradients, jobs)}") from None
        skipped = report[4]
        if not skipped:
            for index, _, names, _ in jobs:
                self.param_groups[index].started.update(names)
        if step_1:
            self._report(report, jobs, gradients)
        return skipped

    def _call(self, buffers: Buffers, groups: Groups, clips: Clips, options: dict[str, Any]) -> Report:
        """Call the kernels, once; `fourstep.trace` looks on here, and at `_begin` and `_advance`."""
        return _core.step(buffers, groups, clips, options, execution())

    def decays_of(self, group: ParamGroup, lr: float, step_4: bool = True) -> dict[str, float]:
        """Return λ of the penalty, and what w is multiplied by."""
        decay, weight_decay = group.raw("decay"), group.raw("weight_decay")
        if decay == "l2":
            return {"weight_decay": weight_decay, "keep": 1.0}
        share = lr * weight_decay if decay == "decoupled" else weight_decay
        return {"weight_decay": 0.0, "keep": 1.0 - share if step_4 else 1.0}

    def pass_options(self, step_1: bool = True, step_4: bool = True) -> dict[str, Any]:
        """Return the options of a pass, as the kernels take them."""
        o = self.options
        return {
            "grad_scale": o.grad_scale,
            "clip_eps": o.clip_eps,
            "skip_nonfinite": o.skip_nonfinite if step_1 else None,
            "cautious": {False: None, True: "rescaled", "mask": "mask"}[o.cautious],
            "ema_decay": o.ema_decay or 0.0,
            "flush_subnormals": o.flush_subnormals,
            "zero_grad": o.zero_grad and step_1,
            "track": o.track and step_1,
            "stochastic_rounding": o.stochastic_rounding,
            "seed": o.seed,
            "step": self.step_count + 1,
        }

    def _clips(self, jobs: Sequence[Job], place: Mapping[int, int]) -> Clips:
        """Return each norm that has to be known before the pass.

        Its limit, its parameters, the groups that it scales, and (place, Σg², how many are not finite) of its tables.
        """
        own = {i: self.param_groups[index].raw("clip_norm") for i, (index, *_) in enumerate(jobs)}
        limits = {t.name: self.param_groups[t.group].raw("clip_norm") for t in self._tables}
        shared = [i for i, limit in own.items() if limit is None]
        found = [(limit, [i], list[by_rows.Table]()) for i, limit in own.items() if limit is not None]
        for group in dict.fromkeys(t.group for t in self._tables if limits[t.name] is not None):
            tables = [t for t in self._tables if t.group == group]
            found.append((limits[tables[0].name], [], tables))
        tables = [t for t in self._tables if limits[t.name] is None]
        guarded = float("inf") if self.options.skip_nonfinite in ("error", "step") else None
        limit = self.options.clip_norm if self.options.clip_norm is not None else guarded
        if (shared or tables) and limit is not None:
            found.append((limit, shared, tables))
        clips: Clips = []
        for number, (limit, which, tables) in enumerate(found):
            names = {name for i in which for name in self.param_groups[jobs[i][0]]["names"]}
            by_name = {table.name: table for table in tables}
            counted = [name for name in self._layout.names if name in names or name in by_name]
            ranges = [self._own_ranges[name] for name in counted if name in names]
            known = [
                (i, by_name[name].squares, by_name[name].not_finite)
                for i, name in enumerate(counted)
                if name in by_name
            ]
            for clipped in tables:
                clipped.clip = number
            clips.append((limit, _placed(ranges, place), which, known))
        return clips

    def _report(self, report: tuple[Any, ...], jobs: Sequence[Job], gradients: Gradients) -> None:
        """Fill `last`, and tell of gradients that are not finite."""
        norms, coefficients, count, parameter, skipped, sums = report
        if not (norms or count or self.options.track or self._tables):
            self._last = self.step_count + 1  # nothing to tell
            return
        first = self._layout.names[parameter] if parameter is not None else None
        if count and not self.options.zero_grad:
            count, first = self._count_not_finite(gradients, jobs)
            if skipped:
                count += sum(table.not_finite for table in self._tables)
        if count and first is None:
            first = next((t.name for t in self._tables if t.not_finite), None)
        for t in self._tables:
            t.coefficient = 1.0 if t.clip is None or skipped else coefficients[t.clip]
        by_name = {
            name: total
            for (index, *_), totals in zip(jobs, sums, strict=False)
            for name, total in zip(self.param_groups[index]["names"], totals, strict=False)
        }
        grad_norm = norms[0] if len(norms) == 1 and len(jobs) == len(self._active()) else None
        rows = {table.name: table.squares for table in self._tables if self.options.track}
        if by_name or rows:
            squares = sum(total[0] for total in by_name.values()) + sum(rows.values())
            grad_norm = math.sqrt(squares) / self.options.grad_scale
        clipped = self.options.clip_norm is not None or any(
            self.param_groups[i].raw("clip_norm") for i, *_ in jobs
        )
        self.last = Last(
            step=self.step_count + 1,
            nonfinite=count,
            first_nonfinite=first,
            skipped=skipped,
            grad_norm=grad_norm,
            clip_coefficient=min(coefficients, default=None) if clipped else None,
            grad_norms={
                name: math.sqrt(square) / self.options.grad_scale
                for name, square in ({name: t[0] for name, t in by_name.items()} | rows).items()
            },
            param_norms={name: math.sqrt(t[1]) for name, t in by_name.items()},
            update_norms={name: math.sqrt(t[2]) for name, t in by_name.items()},
        )
        if not count:
            return
        self.nonfinite.add(self.last)
        if self.options.skip_nonfinite is None and self.nonfinite.steps == 1:
            warnings.warn(
                f"{type(self).__name__}: {count} elements of the gradient are not finite, first of {first}, at step "
                f"{self.last.step}; they were used (see skip_nonfinite)",
                NonFiniteWarning,
                stacklevel=4,
            )

    def _count_refused(self, gradients: Gradients, jobs: Sequence[Job]) -> None:
        """Count what a step was refused for."""
        count, first = self._count_not_finite(gradients, jobs)
        count += sum(table.not_finite for table in self._tables)
        if count:
            first = first or next((t.name for t in self._tables if t.not_finite), None)
            self.last = Last(self.step_count + 1, count, first, skipped=True)
            self.nonfinite.add(self.last)

    def _count_not_finite(self, gradients: Gradients, jobs: Sequence[Job]) -> tuple[int, str | None]:
        """Count by name: the gaps of an arena are nobody's."""
        counts = {
            name: count
            for name, grad in self._named(gradients, jobs)
            if (count := int((~np.isfinite(grad)).sum()))
        }
        return sum(counts.values()), next(iter(counts), None)

    def _named(self, gradients: Gradients, jobs: Sequence[Job]) -> Iterator[tuple[str, Array]]:
        for group in (self.param_groups[index] for index, *_ in jobs):
            for name, array in zip(group["names"], group["params"], strict=True):
                buffer, start, stop = self._layout.where(name)
                yield name, gradients[buffer].reshape(-1)[start:stop].reshape(array.shape)

    def _first_not_finite(self, gradients: Gradients, jobs: Sequence[Job]) -> str:
        for name, grad in self._named(gradients, jobs):
            found = np.argwhere(~np.isfinite(grad))
            if len(found):
                index = tuple(found[0].tolist())
                count = f"{len(found)} of its elements are not finite"
                return f"; the gradient of {name} is {grad[index]} at {index}, {count}"
        if (message := by_rows.first_not_finite(self._tables)) is not None:
            return message
        return "; each element is finite, the sum of their squares is not"


def _placed(ranges: Sequence[Range], place: Mapping[int, int]) -> list[Range]:
    """Return the ranges with their buffers as this call counts them."""
    return [
        (place[buffer], start, stop, parameter, block) for buffer, start, stop, parameter, block in ranges
    ]
