"""The four steps of chosen coordinates, step by step, from the kernels.

    w, gradient     before the step          m, V, other state, w_next     after it
    g, eta          steps 1 and 3, from a probe of the same rule on copies of these elements

Nothing of it is there when no trace is: an optimizer is watched by three attributes that exist inside the `with` alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fourstep._table import table
from fourstep.arena import Array
from fourstep.explain.numbers import StepExplanation, substitute
from fourstep.explain.steps import Steps, steps_of
from fourstep.optim.base import Buffers, Clip, Groups, Hyper, Optimizer
from fourstep.optim.probe import Probed, clip_scale, probe
from fourstep.tracing.coordinates import Coordinate, Index

#: What a first and a second moment are called, where a rule has them.
FIRST = ("momentum_buffer", "exp_avg")
SECOND = ("sum", "square_avg", "exp_avg_sq", "exp_inf")

#: Methods of an optimizer that a trace stands before.
HOOKS = ("_begin", "_call", "_advance")

#: Rules of a move without a gradient: to the look-ahead point, and back from it.
_MOVES = "along_"


@dataclass(eq=False)
class Moment:
    """One step: a row of the ring.

    `values` has a field for each number and an element for each coordinate; `steps` has the formulas of each group as
    they were, without and with a look ahead; `counts` its t.
    """

    step: int
    values: Array
    steps: dict[int, tuple[Steps, Steps]] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    #: What clipping by norm needed, and whether a look ahead was taken.
    norm: float | None = None
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

    def _call(self, buffers: Buffers, groups: Groups, clip: Clip) -> float | None:
        if self._pending is None:
            return type(self.opt)._call(self.opt, buffers, groups, clip)
        looks = list(self._looks(buffers, groups))
        norm = self._run(buffers, groups, clip)
        if clip is not None:
            self._pending.norm = norm
        for look in looks:
            self._see(look, clip_scale(clip, norm))
        return norm

    def _run(self, buffers: Buffers, groups: Groups, clip: Clip) -> float | None:
        """Call the kernels."""
        return type(self.opt)._call(self.opt, buffers, groups, clip)

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

    def _looks(self, buffers: Buffers, groups: Groups) -> Iterator[_Look]:
        """Copy what each group is about to do to the coordinates in it."""
        places = {id(w): place for place, (_, w, _, _) in enumerate(buffers)}
        states = {id(array): name for name, of in self.opt._state.items() for array in of.values()}
        for buffer, chosen in self._by_buffer.items():
            place = places.get(id(self.opt._layout.buffers[buffer]))
            if place is None:
                continue
            _, w, g, every_state = buffers[place]
            for rule, hyper, columns, ranges in groups:
                inside = np.zeros(len(chosen), bool)
                for where, start, stop in ranges:
                    if where == place:
                        inside |= (self._offsets[chosen] >= start) & (self._offsets[chosen] < stop)
                if inside.any():
                    at = chosen[inside]
                    offsets = self._offsets[at]
                    arrays = [every_state[column].reshape(-1) for column in columns]
                    yield _Look(
                        at,
                        rule,
                        hyper,
                        w.reshape(-1)[offsets],
                        g.reshape(-1)[offsets],
                        [array[offsets] for array in arrays],
                        [states[id(every_state[column])] for column in columns],
                        [(array, offsets) for array in arrays],
                    )

    def _see(self, look: _Look, scale: float) -> None:
        """Write down what the step did, and by which formulas."""
        assert self._pending is not None
        values, moves = self._pending.values, look.rule.startswith(_MOVES)
        g = np.zeros_like(look.w) if moves else look.g
        seen = probe(look.rule, look.hyper, look.w, g, look.state, scale)
        values["eta"][look.at] = seen.eta
        values["lr"][look.at] = look.hyper["lr"]
        for name, before, after in zip(look.names, look.state, self._after(look, seen), strict=True):
            if not moves:
                values[f"{name}.before"][look.at] = before
            values[name][look.at] = after
        if moves:
            self._pending.ahead = True
            return
        values["at"][look.at] = look.w
        values["gradient"][look.at] = look.g
        values["g"][look.at] = seen.g
        for index in {self.coordinates[i].group for i in look.at} - set(self._pending.steps):
            group = self.opt.param_groups[index]
            self._pending.steps[index] = (
                steps_of(self.opt, group, ahead=False),
                steps_of(self.opt, group, ahead=True),
            )
            self._pending.counts[index] = group.steps + 1

    def _after(self, look: _Look, seen: Probed) -> list[Array]:
        """Return the state after the step."""
        return [array[offsets] for array, offsets in look.where]

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
        if coordinate.group not in moment.steps:
            raise ValueError(f"{coordinate.name}: its group was frozen at step {moment.step}")
        steps = moment.steps[coordinate.group][moment.ahead]
        row = {key: float(moment.values[key][place]) for key in self._dtype.names or ()}
        t = moment.counts[coordinate.group]
        before = {"w": row["w"], "g": row["gradient"], "t": float(t)}
        if moment.norm is not None:
            before["‖g‖"] = moment.norm
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
    """Coordinates of one group in one buffer, before a call; and where their state will be after it."""

    at: Array
    rule: str
    hyper: Hyper
    w: Array
    g: Array
    state: list[Array]
    names: list[str]
    where: list[tuple[Array, Array]]


def watching(opt: Optimizer) -> Trace | None:
    """Return the trace inside whose `with` an optimizer is, if there is one."""
    seen = getattr(vars(opt).get("_call"), "__self__", None)
    return seen if isinstance(seen, Trace) else None


def after_division(opt: Optimizer) -> bool:
    """Tell whether momentum comes after the division: then it is no first moment of the gradients."""
    return {"square_avg", "momentum_buffer"} <= set(opt.states)


def _number(value: Any) -> str:
    return f"{float(value):.6g}"
