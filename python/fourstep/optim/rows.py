"""Rows of tables: which groups step by rows, what a step of rows is given, and the call of the kernels.

A group with ``"sparse": True`` holds tables: arrays of which each row is a parameter of its own. A plain step leaves them
alone; ``step(rows={name: (rows, grads)})`` and ``step_rows(name, rows, grads)`` step the rows that are named, at the cost
of those rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.arena import Array
from fourstep.optim import checks
from fourstep.optim.report import Last, NonFiniteWarning

if TYPE_CHECKING:
    from fourstep.optim.stepper import Stepper

#: What becomes of a row that is named more than once: its gradients are summed, or it takes a step for each.
Duplicates = Literal["sum", "in_order"]

#: Rows and their gradients, by the name of the table.
Rows = Mapping[str, tuple[Any, Any]]


class RowRule(NamedTuple):
    """The rule by which rows step: what `_core.step_rows` calls it, and what it keeps."""

    name: str
    #: State buffers with an element for each parameter.
    states: tuple[str, ...]
    hyper: dict[str, Any]
    #: The state that has one value for each row, if there is one, and its dtype (None: the table's).
    per_row: str | None = None
    dtype: Any = None


@dataclass
class Table:
    """One table of a step: its rows, their gradients, and what is known of them."""

    name: str
    group: int
    array: Array
    rows: Array
    grads: Array
    duplicates: Duplicates
    rule: RowRule
    #: Whether somebody has to know the norm before the pass: Σg², and how many gradients are not finite.
    measured: bool = False
    squares: float = 0.0
    not_finite: int = 0
    #: Which norm clips it, and what its gradients are multiplied by then.
    clip: int | None = None
    coefficient: float = 1.0


def check_groups(optimizer: Stepper) -> None:
    """Raise where a sparse group and the optimizer, its options or its parameters do not go together."""
    groups = [group for group in optimizer.param_groups if group.raw("sparse")]
    for group in groups:
        optimizer.row_rule(group)
        for name, array in zip(group["names"], group["params"], strict=True):
            if array.ndim == 0:
                raise ValueError(f"sparse: {name} has no rows: got a 0-d array, need a table")
    if groups:
        check_options(optimizer)


def check_layers(optimizer: Stepper, by_rows: Set[str]) -> None:
    """Raise where a layer keeps its gradients by rows, and its table is not in a sparse group."""
    for group in optimizer.param_groups:
        for name in group["names"]:
            if name in by_rows and not group.raw("sparse"):
                raise ValueError(
                    f"{name} is the table of a sparse layer, whose gradients come by rows: "
                    f"add {{'params': {name!r}, 'sparse': True}} to groups"
                )


def check_options(optimizer: Stepper) -> None:
    """Refuse what is defined by all elements of a table, or kept in another form than by rows."""
    o = optimizer.options
    for name, refused, reason in (
        ("cautious", o.cautious is True, "its factor counts over the whole table ('mask' has none)"),
        ("copy_out", o.copy_out is not None, "copies are written by whole parameters"),
        ("state_dtype", o.state_dtype not in (None, "float32"), "state of rows is kept in full"),
    ):
        if refused:
            raise ValueError(f"{name}: got {getattr(o, name)!r}, which sparse tables cannot have: {reason}")


def tables_of(optimizer: Stepper, rows: Rows | None, duplicates: Duplicates) -> list[Table]:
    """Read the argument `rows` of a step; tables that are frozen are left out."""
    if rows is None:
        return []
    if not isinstance(rows, Mapping):
        raise TypeError(f"rows: got {type(rows).__name__}, need a dict of {{name: (rows, gradients)}}")
    checks.one_of("sum", "in_order")("duplicates", duplicates)
    check_options(optimizer)
    where = {name: i for i, group in enumerate(optimizer.param_groups) for name in group["names"]}
    found = []
    for name, pair in rows.items():
        if name not in where:
            raise KeyError(f"rows: no parameter is called {name!r}; there are {', '.join(where)}")
        group = optimizer.param_groups[where[name]]
        if not group.raw("sparse"):
            raise ValueError(f"rows: {name} is not sparse: a group with 'sparse': True steps by rows")
        if not (isinstance(pair, tuple | list) and len(pair) == 2):
            raise TypeError(f"rows: {name}: got {type(pair).__name__}, need a pair (rows, gradients)")
        if group.raw("trainable"):
            array = group["params"][group["names"].index(name)]
            rule = optimizer.row_rule(group)
            arrays = _read(name, *pair)
            found.append(Table(name, where[name], array, *arrays, duplicates, rule))
    return found


def _read(name: str, rows: Any, grads: Any) -> tuple[Array, Array]:
    for what, array in ((f"the rows of {name}", rows), (f"the gradient of rows of {name}", grads)):
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{what}: got {type(array).__name__}, need a NumPy array")
    return np.ascontiguousarray(rows), grads


def measure(optimizer: Stepper, tables: Sequence[Table], *, alone: bool) -> None:
    """Check all rows before anything is written, and find the norms that somebody asks for."""
    o = optimizer.options
    for table in tables:
        own = optimizer.param_groups[table.group].raw("clip_norm")
        clipped = own is not None or o.clip_norm is not None
        table.measured = clipped or o.track or o.skip_nonfinite in ("error", "step")
        if alone and not table.measured:
            continue  # the call that steps them checks them
        table.squares, table.not_finite = _core.rows_squares(
            (table.name, table.rows, table.grads),
            table.array,
            table.duplicates,
            table.measured,
            o.skip_nonfinite == "element",
            execution(),
        )


def first_not_finite(tables: Sequence[Table]) -> str | None:
    """Name the first gradient of a row that is not finite."""
    for table in tables:
        found = np.argwhere(~np.isfinite(table.grads))
        if len(found):
            place = tuple(found[0].tolist())
            row, value = table.rows[place[0]], table.grads[place]
            count = f"{len(found)} of its elements are not finite"
            return f"; the gradient of row {row} of {table.name} is {value} at {place}, {count}"
    return None


def run(optimizer: Stepper, tables: Sequence[Table]) -> None:
    """Step the rows of all tables: one call."""
    if not tables:
        return
    calls = []
    for table in tables:
        group = optimizer.param_groups[table.group]
        names, per_row = table.rule.states, table.rule.per_row
        every = names if per_row is None else (*names, per_row)
        optimizer.allocate_for(table.group, every, fill=True)
        state = optimizer.stored_of(table.name, every)
        lr = optimizer.rate_of(table.group)
        hyper = {
            "lr": lr,
            **optimizer.decays_of(group, lr),
            "maximize": group.raw("maximize"),
            "clip_value": group.raw("clip_value"),
            "coefficient": table.coefficient,
            "step": group.table_steps.get(table.name, 0) + 1,
            **table.rule.hyper,
        }
        average = None if optimizer.options.ema_decay is None else optimizer.ema[table.name]
        arrays = (
            table.array,
            [state[name] for name in names],
            None if per_row is None else state[per_row],
            average,
        )
        calls.append(((table.name, table.rows, table.grads), arrays, (table.rule.name, hyper)))
    options = optimizer.pass_options()
    counts = _core.step_rows(calls, tables[0].duplicates, options, execution())
    for table in tables:
        group = optimizer.param_groups[table.group]
        group.table_steps[table.name] = group.table_steps.get(table.name, 0) + 1
        group.started |= {*table.rule.states, *([table.rule.per_row] if table.rule.per_row else [])}
    _report(optimizer, tables, counts)


def _report(optimizer: Stepper, tables: Sequence[Table], counts: Sequence[int]) -> None:
    """Tell of gradients that are not finite, as a dense pass does."""
    count = sum(counts)
    if not count:
        return
    kind, before = type(optimizer).__name__, optimizer.last
    first = next(table.name for table, n in zip(tables, counts, strict=True) if n)
    known = before.nonfinite > 0
    optimizer.last = replace(
        before, nonfinite=before.nonfinite + count, first_nonfinite=before.first_nonfinite or first
    )
    if known:
        optimizer.nonfinite.elements += count
        return
    optimizer.nonfinite.add(optimizer.last)
    if optimizer.options.skip_nonfinite is None and optimizer.nonfinite.steps == 1:
        warnings.warn(
            f"{kind}: {count} elements of the gradient are not finite, first of {first}, at step "
            f"{before.step}; they were used (see skip_nonfinite)",
            NonFiniteWarning,
            stacklevel=5,
        )


def nothing_dense(optimizer: Stepper) -> None:
    """Begin the report of a step that has no dense part."""
    optimizer.last = Last(step=optimizer.step_count + 1)


def like(rule: RowRule, array: Array) -> dict[str, Array]:
    """Return an array of the shape and dtype of the state by row, without its memory; or nothing."""
    if rule.per_row is None:
        return {}
    dtype = array.dtype if rule.dtype is None else np.dtype(rule.dtype)
    return {rule.per_row: np.broadcast_to(np.zeros((), dtype), array.shape[:1])}
