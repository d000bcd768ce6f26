"""The four steps of chosen coordinates, step by step, from the kernels.

    w, gradient     before the step          m, V, other state, w_next     after it
    g, eta          steps 1 and 3, from a probe of the same rule on copies of these elements

Nothing of it is there when no trace is: an optimizer is watched by three attributes that exist inside the `with` alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fourstep._table import table
from fourstep.arena import Array
from fourstep.explain.numbers import StepExplanation, substitute
from fourstep.explain.steps import Steps, steps_of
from fourstep.optim import precision
from fourstep.optim.base import Hyper, Optimizer
from fourstep.optim.probe import Probed, probe
from fourstep.optim.stepper import Buffers, Clips, Groups, Report
from fourstep.tracing.coordinates import Coordinate, Index

#: What a first and a second moment are called, where a rule has them.
FIRST = ("momentum_buffer", "exp_avg")
SECOND = ("sum", "square_avg", "exp_avg_sq", "exp_avg_var", "exp_inf")

#: Methods of an optimizer that a trace stands before.
HOOKS = ("_begin", "_call", "_advance")

#: Rules of a move without a gradient: to the look-ahead point, and back from it.
_MOVES = "along_"


@dataclass(eq=False)
class Moment:
    """One step: a row of the ring.

    `values` has a field for each number and an element for each coordinate. By group: `steps`, its formulas as they
    were, without and with a look ahead; `counts`, its t; `norms`, what clipping needed. By coordinate: `boosts`, what a
    cautious step was multiplied by.
    """

    step: int
    values: Array
    steps: dict[int, tuple[Steps, Steps]] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    norms: dict[int, float] = field(default_factory=dict)
    boosts: dict[int, float] = field(default_factory=dict)
    ahead: bool = False


class Trace:
    """Made by `fourstep.trace`."""

    def __init__(self, opt: Optimizer, coordinates: Sequence[Coordinate], every: int, max_bytes: int) -> None:
        self.opt = opt
        self.coordinates = tuple(coordinates)
        self.every = every
        self.max_bytes = max_bytes
        self._place = {(c.name, c.index): i for i, c in enumerate(self.coordinates)}
        dtype = np.result_type(*(array.dtype for array in opt._layout.buffers))
        fields = ["w", "at", "gradient", "g", "eta", "w_next", "lr"]
        fields += [key for state in opt.states for key in (f"{state}.before", state)]
        self._dtype = np.dtype([(field, dtype) for field in fields])
        self._row_bytes = self._dtype.itemsize * len(self.coordinates)
        capacity = max_bytes // max(self._row_bytes, 1)
        if capacity < 1:
            raise ValueError(
                f"max_bytes: got {max_bytes:,}, need at least {self._row_bytes:,} for one step of "
                f"{len(self.coordinates):,} coordinates; name fewer by names= and indices="
            )
        self._ring: deque[Moment] = deque(maxlen=capacity)
        #: Steps that were recorded, and overwritten since.
        self.dropped = 0
        self._pending: Moment | None = None
        self._by_buffer: dict[int, Array] = {}
        for buffer in sorted({c.buffer for c in self.coordinates}):
            chosen = [i for i, c in enumerate(self.coordinates) if c.buffer == buffer]
            self._by_buffer[buffer] = np.array(chosen)
        self._offsets = np.array([c.offset for c in self.coordinates])

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
        if options["cautious"] == "rescaled":
            boost = look.w.size / (float((seen.eta * seen.g > 0).sum()) + 1.0)
            pending.boosts.update(dict.fromkeys(look.at.tolist(), boost))
        if look.group not in pending.counts:
            group = self.opt.param_groups[look.group]
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

    # What was seen.

    def __len__(self) -> int:
        """Count the steps that are held."""
        return len(self._ring)

    @property
    def steps(self) -> list[int]:
        """The steps that are held, counted from 1 as t is."""
        return [moment.step for moment in self._ring]

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers that are held: never more than `max_bytes`."""
        return len(self._ring) * self._row_bytes

    def to_numpy(self) -> Array:
        """Return a structured array of shape (steps, coordinates).

        Fields: ``step``, ``w``, ``gradient`` as it came, ``at`` (where it was taken: w, or where the optimizer looked
        ahead), ``g``, ``m``, ``V``, other state by its name, ``eta``, ``w_next``, ``lr``. NaN where an optimizer has
        none, and where a group was frozen.
        """
        others = [name for name in self.opt.states if name not in (*FIRST, *SECOND)]
        if after_division(self.opt):
            others.append("momentum_buffer")
        names = ["w", "at", "gradient", "g", "m", "V", *others, "eta", "w_next", "lr"]
        kind = self._dtype["w"]
        fields = [("step", np.uint64), *((n, kind) for n in names)]
        out = np.empty((len(self._ring), len(self.coordinates)), fields)
        for row, moment in zip(out, self._ring, strict=True):
            row["step"] = moment.step
            for name in names:
                source = self._source(name)
                row[name] = np.nan if source is None else moment.values[source]
        return out

    def _source(self, name: str) -> str | None:
        """Return the field that holds m, V, or a number of that name."""
        if name not in ("m", "V"):
            return name
        kinds = FIRST if name == "m" else SECOND
        found = [state for state in self.opt.states if state in kinds]
        if name == "m" and after_division(self.opt):
            return None
        return found[0] if found else None

    def table(self, last: int | None = None) -> str:
        """Return a table of the steps, or of the last few of them: a line for each coordinate of each step."""
        if last is not None and last < 1:
            raise ValueError(f"last: got {last}, need None or a whole number >= 1")
        seen = self.to_numpy()
        seen = seen if last is None else seen[-last:]
        names = [n for n in seen.dtype.names or () if n not in ("step", "at", "gradient", "lr")]
        names = [n for n in names if n in ("w", "g", "eta", "w_next") or np.isfinite(seen[n]).any()]
        head = ["step", "element", *("η" if n == "eta" else "w next" if n == "w_next" else n for n in names)]
        rows = [
            (int(row[i]["step"]), str(c), *(_number(row[i][n]) for n in names))
            for row in seen
            for i, c in enumerate(self.coordinates)
        ]
        return table(tuple(head), rows)

    def explain(self, step: int, name: str, index: Index = ()) -> StepExplanation:
        """Return a step of one element, with its numbers in the formulas.

        Parameters
        ----------
        step : int
            One of `steps`.
        name, index
            One of the coordinates.

        Raises
        ------
        ValueError
            The step is not held, the element is not watched, or its group was frozen.
        """
        moment = next((m for m in self._ring if m.step == step), None)
        if moment is None:
            held = f"from {self.steps[0]} to {self.steps[-1]}" if self._ring else "none yet"
            raise ValueError(f"step: got {step}, need one that this trace holds: {held}, every {self.every}")
        key = (name, index if isinstance(index, tuple) else (index,))
        if key not in self._place:
            raise ValueError(
                f"this trace does not watch {name}{list(key[1])}; name it when you make the trace"
            )
        return self._explain(moment, self._place[key])

    def _explain(self, moment: Moment, place: int) -> StepExplanation:
        coordinate = self.coordinates[place]
        if coordinate.group not in moment.counts:
            raise ValueError(
                f"{coordinate.name}: no step of it was seen at step {moment.step}: it was frozen, or it is a sparse table"
            )
        steps = moment.steps.get(coordinate.group, (None, None))[moment.ahead]
        if steps is None or not steps.formulas.complete:
            kind = type(self.opt).__name__
            raise ValueError(
                f"{kind} has no formulas for all that it does; explain() without a name says what it has"
            )
        row = {key: float(moment.values[key][place]) for key in self._dtype.names or ()}
        t = moment.counts[coordinate.group]
        before = {"w": row["w"], "g": row["gradient"], "t": float(t)}
        if coordinate.group in moment.norms:
            before["‖g‖"] = moment.norms[coordinate.group]
        if place in moment.boosts:
            before["k"] = moment.boosts[place]
        after = {"g": row["g"], "η": row["eta"], "w": row["w_next"]}
        for symbol, state in steps.formulas.states.items():
            before[symbol], after[symbol] = row[f"{state}.before"], row[state]
        return substitute(
            steps, before, after, at=row["at"], head=(type(self.opt).__name__, str(coordinate), t)
        )

    def __repr__(self) -> str:
        """Return a line: of whom, how many, how large."""
        steps = self.steps
        span = f" ({steps[0]} to {steps[-1]})" if steps else ""
        gone = f", {self.dropped} more overwritten" if self.dropped else ""
        return (
            f"Trace of {type(self.opt).__name__}: {len(steps)} steps{span} of {len(self.coordinates)} coordinates, "
            f"{self.nbytes:,} of {self.max_bytes:,} bytes{gone}"
        )


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


def after_division(opt: Optimizer) -> bool:
    """Tell whether momentum comes after the division: then it is no first moment of the gradients."""
    return {"square_avg", "momentum_buffer"} <= set(opt.states)


def _number(value: Any) -> str:
    return f"{float(value):.6g}"
