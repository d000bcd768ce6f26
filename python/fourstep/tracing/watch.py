"""The four steps of chosen coordinates, step by step, from the kernels.

    w, gradient     before the step          m, V, other state, w_next     after it
    g, eta          steps 1 and 3, from a probe of the same rule on copies of these elements

Nothing of it is there when no trace is: an optimizer is watched by three attributes that exist inside the `with` alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from fourstep.arena import Array
from fourstep.explain.steps import steps_of
from fourstep.optim import precision
from fourstep.optim.base import Hyper, Optimizer
from fourstep.optim.probe import Probed, probe
from fourstep.optim.stepper import Buffers, Clips, Groups, Report
from fourstep.tracing.record import Moment, Record

#: Methods of an optimizer that a trace stands before.
HOOKS = ("_begin", "_call", "_advance")

#: Rules of a move without a gradient: to the look-ahead point, and back from it.
_MOVES = "along_"


class Trace(Record):
    """Made by `fourstep.trace`."""

    # In and out.

    def __enter__(self) -> Trace:
        """Start watching."""
        if watching(self.opt) is not None:
            raise RuntimeError(f"trace: this {type(self.opt).__name__} is watched already, by another trace")
        watched: Any = vars(self.opt)
        watched["_begin"], watched["_call"], watched["_advance"] = self._begin, self._call, self._advance
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; what was seen stays."""
        watched = vars(self.opt)
        for name in HOOKS:
            watched.pop(name, None)
        self._pending = None

    # The three places of a step where it looks.

    def _begin(self) -> list[int]:
        self._pending = None
        active = type(self.opt)._begin(self.opt)
        if self.opt.step_count % self.every == 0:
            values = np.full(len(self.coordinates), np.nan, self._dtype)
            values["w"] = self._gather(self.opt._layout.buffers)
            self._pending = Moment(self.opt.step_count + 1, values)
        return active

    def _call(self, buffers: Buffers, groups: Groups, clips: Clips, options: dict[str, Any]) -> Report:
        if self._pending is None:
            return type(self.opt)._call(self.opt, buffers, groups, clips, options)
        looks = list(self._looks(buffers, groups, options))
        report = type(self.opt)._call(self.opt, buffers, groups, clips, options)
        if not report[4]:
            self._note(looks, clips, report[0], report[1], options)
        return report

    def _note(
        self,
        looks: Sequence[_Look],
        clips: Clips,
        norms: Sequence[float],
        coefficients: Sequence[float],
        options: dict[str, Any],
    ) -> None:
        """Write down what each group did."""
        scaled = {job: i for i, clip in enumerate(clips) for job in clip[2]}
        for look in looks:
            found = scaled.get(look.job)
            self._see(look, 1.0 if found is None else coefficients[found], options)
            if found is not None and self._pending is not None:
                self._pending.norms[look.group] = norms[found]

    def _advance(self, active: Sequence[int]) -> None:
        type(self.opt)._advance(self.opt, active)
        if self._pending is not None:
            self._pending.values["w_next"] = self._gather(self.opt._layout.buffers)
            self.dropped += len(self._ring) == self._ring.maxlen
            self._ring.append(self._pending)
            self._pending = None

    # How it looks.

    def _gather(self, arrays: Sequence[Array]) -> Array:
        found = np.empty(len(self.coordinates), self._dtype["w"])
        for buffer, chosen in self._by_buffer.items():
            found[chosen] = arrays[buffer].reshape(-1)[self._offsets[chosen]]
        return found

    def _looks(self, buffers: Buffers, groups: Groups, options: dict[str, Any]) -> Iterator[_Look]:
        """Copy what each group is about to do to the coordinates in it."""
        opt = self.opt
        places = {id(buffer[1]): place for place, buffer in enumerate(buffers)}
        names = {id(array): name for name, of in opt._state.items() for array in of.values()}
        jobs = {r[:2]: job for job, group in enumerate(groups) for r in group[3]}  # by where a range begins
        begins: dict[int, list[int]] = {}
        for where, start in sorted(jobs):
            begins.setdefault(where, []).append(start)
        together: dict[tuple[int, int, str], list[int]] = {}
        coupled = opt.per_parameter or options["cautious"] == "rescaled"
        for i, c in enumerate(self.coordinates):
            place = places.get(id(opt._layout.buffers[c.buffer]), -1)
            if place not in begins:
                continue
            begin = begins[place][bisect_right(begins[place], c.offset) - 1]
            job = jobs[place, begin]
            if any(r[0] == place and r[1] <= c.offset < r[2] for r in groups[job][3]):
                low = opt.options.state_dtype in ("bfloat16", "int8")
                key = (place, job, c.name if coupled or low else "")
                together.setdefault(key, []).append(i)
        for (place, job, name), chosen in together.items():
            rule, hyper, columns, _ = groups[job]
            _, w, g, every_state, *_ = buffers[place]
            states = [every_state[column] for column in columns]
            at = np.array(chosen)
            offsets = self._offsets[at]
            chosen_from: Any = slice(*opt._own_ranges[name][1:3]) if name else offsets
            kept = [names[id(state)] for state in states]
            yield _Look(
                at,
                self.coordinates[chosen[0]].group,
                job,
                rule,
                hyper,
                w.reshape(-1)[chosen_from].copy(),
                g.reshape(-1)[chosen_from].copy(),
                [self._read(name, state, key, chosen_from) for key, state in zip(kept, states, strict=True)],
                kept,
                offsets - chosen_from.start if name else np.arange(len(at)),
                [(state, offsets) for state in states],
            )

    def _read(self, parameter: str, buffer: Any, key: str, where: Any) -> Array:
        """Return a copy of state: of chosen elements, or of a whole parameter, decoded."""
        if not parameter:
            return np.asarray(buffer.reshape(-1)[where])
        start, stop, _, block = self.opt._own_ranges[parameter][1:]
        parts = precision.stored(key, buffer, (start, stop), block, (stop - start,))
        return precision.decoded(key, parts, key in precision.SIGNED).copy()

    def _see(self, look: _Look, coefficient: float, options: dict[str, Any]) -> None:
        """Write down what the step did, and by which formulas."""
        assert self._pending is not None
        pending, pick = self._pending, look.pick
        values, moves = pending.values, look.rule.startswith(_MOVES)
        seen = probe(look.rule, look.hyper, look.w, look.g, look.state, coefficient, options)
        values["eta"][look.at] = seen.eta[pick]
        values["lr"][look.at] = look.hyper["lr"]
        for name, before, after in zip(look.names, look.state, self._after(look, seen), strict=True):
            if not moves:
                values[f"{name}.before"][look.at] = before[pick]
            values[name][look.at] = after
        if moves:
            pending.ahead = True
            return
        values["at"][look.at] = look.w[pick]
        values["gradient"][look.at] = look.g[pick]
        values["g"][look.at] = seen.g[pick]
        group = self.opt.param_groups[look.group]
        found = self.opt._over_array(group, look.w, seen.g, seen.state) if self.opt.per_parameter else {}
        if options["cautious"] == "rescaled":
            found["k"] = look.w.size / (float((seen.eta * seen.g > 0).sum()) + 1.0)
        if found:
            pending.of_array.update(dict.fromkeys(look.at.tolist(), found))
        if look.group not in pending.counts:
            with suppress(
                NotImplementedError
            ):  # it does not say how it steps; it can be watched all the same
                pending.steps[look.group] = (
                    steps_of(self.opt, group, ahead=False),
                    steps_of(self.opt, group, ahead=True),
                )
            pending.counts[look.group] = group.steps + 1

    def _after(self, look: _Look, seen: Probed) -> list[Array]:
        """Return the state after the step: as it is stored, or in fewer bits as it was before it was stored."""
        if self.opt.options.state_dtype in ("bfloat16", "int8"):
            return [state[look.pick] for state in seen.state]
        return [array.reshape(-1)[offsets] for array, offsets in look.where]


@dataclass(frozen=True, eq=False)
class _Look:
    """Coordinates of one group in one buffer before a call: their elements, or the parameter that they are in.

    `pick` are the coordinates among the elements; `where` is their state after the call.
    """

    at: Array
    group: int
    job: int
    rule: str
    hyper: Hyper
    w: Array
    g: Array
    state: list[Array]
    names: list[str]
    pick: Array
    where: list[tuple[Any, Array]]


def watching(opt: Optimizer) -> Trace | None:
    """Return the trace inside whose `with` an optimizer is, if there is one."""
    seen = getattr(vars(opt).get("_call"), "__self__", None)
    return seen if isinstance(seen, Trace) else None
