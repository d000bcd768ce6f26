"""What would be another walk elsewhere, and by how much: `Optimizer.explain_against`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fourstep._table import table
from fourstep.optim.dialects import entry
from fourstep.optim.dialects.traps import SEMANTICS, why

if TYPE_CHECKING:
    from fourstep.optim.base import Optimizer

Array = np.ndarray[Any, Any]

#: Gradients of each step, or a function of the parameters.
Gradients = Sequence[Any] | Array | Callable[[Array], Array]


@dataclass(frozen=True)
class Difference:
    """One field that differs: its value here and there, why, and what it alone does to the walk at each step."""

    field: str
    ours: Any
    theirs: Any
    trap: int | None
    why: str
    effect: tuple[float, ...]


@dataclass(frozen=True)
class Against:
    """An optimizer beside itself in another dialect.

    `effect` is, for each of `steps`, the relative difference of the total movement, Σ|Δ − Δ'| / max(Σ|Δ|, Σ|Δ'|), with
    all `fields` as they are there; `same_numbers` with the semantics of there and the numbers of here.
    """

    optimizer: str
    dialect: str
    other: str
    name: str
    steps: tuple[int, ...]
    fields: tuple[Difference, ...]
    effect: tuple[float, ...]
    same_numbers: tuple[float, ...]

    def __repr__(self) -> str:
        """Return a table: a line for each field, then all of them."""
        head = f"{self.optimizer} ({self.dialect}) against {self.other}: {self.name}"
        if not self.fields:
            return f"{head}\nno field differs"
        after = [f"step {step}" for step in self.steps]
        rows: list[tuple[object, ...]] = [
            (d.trap or "", d.field, d.ours, d.theirs, *self._shares(d.effect), d.why) for d in self.fields
        ]
        rows.append(
            ("", "all, with these numbers", "", "", *self._shares(self.same_numbers), "their semantics")
        )
        rows.append(("", "all", "", "", *self._shares(self.effect), "their semantics and defaults"))
        return f"{head}\n{table(('trap', 'field', self.dialect, self.other, *after, 'why'), rows)}"

    def _shares(self, effect: tuple[float, ...]) -> tuple[str, ...]:
        return tuple(map(_percent, effect)) or ("-",) * len(self.steps)


def against(
    optimizer: Optimizer,
    other: str,
    gradients: Gradients | None = None,
    *,
    steps: Sequence[int] | None = None,
    start: Array | None = None,
    group: int = 0,
) -> Against:
    """Compare; see `Optimizer.explain_against`."""
    kind = type(optimizer)
    spec, own = entry(kind, other), entry(kind, optimizer.dialect)
    here = _values(optimizer, group)
    mine = {**_defaults(kind, here), **own.values}
    theirs = {**_defaults(kind, here), **spec.values}
    there = {key: _carried(key, value, mine, theirs) for key, value in here.items()}
    changed = [key for key in here if not _same(here[key], there[key])]

    steps = tuple(steps) if steps is not None else _steps(gradients)
    walk = _Walk(kind, gradients, start, steps)
    base = walk.take(here)

    def effect(keys: Sequence[str]) -> tuple[float, ...]:
        return _relative(base, walk.take({**here, **{key: there[key] for key in keys}}))

    fields = tuple(
        Difference(key, here[key], there[key], *why(kind.__name__, key), effect([key])) for key in changed
    )
    semantics = [key for key in changed if key in SEMANTICS]
    return Against(
        kind.__name__,
        optimizer.dialect,
        other,
        "ours" if other == "torch" else spec.name,
        steps,
        fields,
        effect(changed),
        effect(semantics),
    )


def _values(optimizer: Optimizer, group: int) -> dict[str, Any]:
    """Return the hyper-parameters of a group, and what of the shared options changes the walk."""
    params = optimizer.param_groups[group]
    values = {key: params.raw(key) for key in params if key not in ("params", "names", "trainable", "sparse")}
    own_norm = values.pop("clip_norm")
    options = {
        key: getattr(optimizer.options, key) for key in ("clip_norm", "clip_eps", "grad_scale", "cautious")
    }
    return {**values, **options, **({} if own_norm is None else {"clip_norm": own_norm})}


def _defaults(kind: type, here: Mapping[str, Any]) -> dict[str, Any]:
    """Return what our class has where nothing is said."""
    made: Any = kind([np.zeros(1)], **_required(kind, here))
    return _values(made, 0)


def _required(kind: type, here: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that our class has no default for."""
    own = inspect.signature(kind).parameters.values()
    return {p.name: here[p.name] for p in own if p.default is p.empty and p.name in here}


def _carried(key: str, value: Any, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Any:
    """Return a field as it is there: what was chosen here is passed on, a default or a semantics gives way to theirs."""
    chosen = key not in SEMANTICS and not _same(value, mine[key])
    return value if chosen else theirs[key]


def _same(a: Any, b: Any) -> bool:
    return bool(a is b or a == b)


def _steps(gradients: Gradients | None) -> tuple[int, ...]:
    """Return 1, 10, 100 as far as there are gradients, and the last."""
    count = 100 if gradients is None or callable(gradients) else len(gradients)
    return tuple(sorted({step for step in (1, 10, 100, count) if step <= count}))


class _Walk:
    """The same gradients for every optimizer."""

    def __init__(
        self, kind: type, gradients: Gradients | None, start: Array | None, steps: tuple[int, ...]
    ) -> None:
        if not steps or steps[0] < 1 or list(steps) != sorted(set(steps)):
            raise ValueError(f"steps: got {steps}, need counts from 1, each larger than the one before")
        self.kind, self.steps = kind, steps
        if gradients is None:
            gradients = example_gradients(steps[-1])
        self.gradient: Callable[[int, Array], Array]
        if callable(gradients):
            function = gradients
            if start is None:
                raise TypeError(
                    "start: got None, need the parameters from which a function's gradients are taken"
                )
            self.gradient = lambda t, w: np.asarray(function(w), np.float64)
        else:
            if steps[-1] > len(gradients):
                raise ValueError(
                    f"steps: got {steps[-1]}, need at most {len(gradients)}, the number of gradients"
                )
            rows = [np.asarray(g, np.float64).reshape(-1) for g in gradients]
            if not np.isfinite(rows).all():
                raise ValueError("gradients: got NaN or infinite numbers, of which no effect can be measured")
            self.gradient = lambda t, w: rows[t]
            start = example_start(rows[0].size) if start is None else start
        self.start = np.array(start, np.float64).reshape(-1)

    def take(self, values: Mapping[str, Any]) -> list[Array] | None:
        """Return the movement after each of the steps, or None where these fields do not go together."""
        w = self.start.copy()
        try:
            optimizer: Any = self.kind([w], **values)
        except ValueError:
            return None
        moved = []
        for t in range(self.steps[-1]):
            # A closure, so that what looks ahead does.
            optimizer.step(partial(self._closure, t, w))
            if t + 1 in self.steps:
                moved.append(w - self.start)
        return moved

    def _closure(self, t: int, w: Array) -> tuple[float, list[Array]]:
        return 0.0, [np.array(self.gradient(t, w)).reshape(w.shape)]


def example_gradients(steps: int = 100) -> Array:
    """Return gradients of 256 coordinates from 10⁻⁶ to 10⁻¹: each keeps its direction mostly, and has noise."""
    rng = np.random.default_rng(6)
    size = 10.0 ** np.linspace(-6, -1, 256)
    direction = np.where(rng.random(256) < 0.5, -1.0, 1.0)
    return np.asarray(size * (direction + rng.random((steps, 256)) - 0.5))


def example_start(size: int) -> Array:
    """Return parameters of both signs between 0.25 and 1."""
    rng = np.random.default_rng(5)
    return rng.uniform(0.25, 1.0, size) * np.where(rng.random(size) < 0.5, -1.0, 1.0)


def _relative(a: list[Array] | None, b: list[Array] | None) -> tuple[float, ...]:
    """Return Σ|Δ − Δ'| / max(Σ|Δ|, Σ|Δ'|) at each step."""
    if a is None or b is None:
        return ()
    pairs = [(np.abs(x - y).sum(), max(np.abs(x).sum(), np.abs(y).sum())) for x, y in zip(a, b, strict=True)]
    return tuple(float(apart / total) if total > 0 else 0.0 for apart, total in pairs)


def _percent(x: float) -> str:
    return "0" if x == 0 else "rounding" if x < 1e-12 else f"{100 * x:.3g} %"
