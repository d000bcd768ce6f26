"""What a trace has written down, and how it is read: a table, an array, an explanation."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fourstep._table import table
from fourstep.arena import Array
from fourstep.explain.numbers import StepExplanation, substitute
from fourstep.explain.steps import Steps
from fourstep.explain.triples import functions_of
from fourstep.optim.base import Optimizer
from fourstep.tracing.coordinates import Coordinate, Index

#: What is known of a step only inside the kernels.
_STEP = ("g", "m", "V", "eta")

#: What a first and a second moment are called, where a rule has them.
FIRST = ("momentum_buffer", "exp_avg", "exp_avg_fast")
SECOND = ("sum", "accumulator", "square_avg", "exp_avg_sq", "exp_avg_var", "exp_inf")


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
    of_array: dict[int, dict[str, float]] = field(default_factory=dict)
    ahead: bool = False


class Record:
    """A ring of steps."""

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
                row[name] = self._field(moment.values, name)
        return out

    def _field(self, values: Array, name: str) -> Array:
        """Return numbers by name; m and V are whichever state buffer holds one."""
        if name not in ("m", "V"):
            return np.asarray(values[name])
        found = np.full(len(values), np.nan, self._dtype["w"])
        for state in FIRST if name == "m" else SECOND:
            own = state in self.opt.states and not (name == "m" and after_division(self.opt))
            found = np.where(np.isnan(found), values[state], found) if own else found
        return found

    def table(self, last: int | None = None) -> str:
        """Return a table of the steps, or of the last few of them: a line for each coordinate of each step."""
        if last is not None and last < 1:
            raise ValueError(f"last: got {last}, need None or a whole number >= 1")
        seen = self.to_numpy()
        seen = seen if last is None else seen[-last:]
        names = [n for n in seen.dtype.names or () if n not in ("step", "at", "gradient", "lr")]
        names = [n for n in names if n in ("w", "g", "eta", "w_next") or np.isfinite(seen[n]).any()]
        head = ["step", "element", *("η" if n == "eta" else "w next" if n == "w_next" else n for n in names)]
        hidden = self._hidden()
        rows = [
            (
                int(row[i]["step"]),
                str(c),
                *("–" if i in hidden and n in _STEP else _number(row[i][n]) for n in names),
            )
            for row in seen
            for i, c in enumerate(self.coordinates)
        ]
        return table(tuple(head), rows)

    def _hidden(self) -> set[int]:
        """Return the coordinates whose steps no trace sees into: rows of tables, and steps that are functions."""
        everything = bool(functions_of(self.opt))
        groups = self.opt.param_groups
        return {i for i, c in enumerate(self.coordinates) if everything or groups[c.group].raw("sparse")}

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
        before.update(moment.of_array.get(place, {}))
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


def after_division(opt: Optimizer) -> bool:
    """Tell whether momentum comes after the division: then it is no first moment of the gradients."""
    return {"square_avg", "momentum_buffer"} <= set(opt.states)


def _number(value: Any) -> str:
    return f"{float(value):.6g}"
