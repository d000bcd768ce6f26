"""Steps of some rows of a table, by the twins of the optimizers.

rows   7 2 7 5        in the order of the table    2 5 7 7        summed    2 5 7
grads  a b c d                                     b d a c                  b d a+c

Then each row takes the four steps by itself. The norm, where one is asked for, is over the rows as they are stepped, side
by side, at the place of their table among the parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fourstep.reference import lanes
from fourstep.reference.adagrad import AdaGrad
from fourstep.reference.adam import Adam
from fourstep.reference.base import Array, Grads, Optimizer, State

#: Rows and their gradients, by table.
Rows = Mapping[str, tuple[Array, Array]]


def coalesced(rows: Array, grads: Array, duplicates: str = "sum") -> tuple[Array, Array]:
    """Return the rows in the order of the table with their gradients, summed in the order in which they were named.

    >>> coalesced(np.array([7, 2, 7]), np.array([1.0, 2.0, 4.0]))
    (array([2, 7]), array([2., 5.]))
    """
    order = np.argsort(rows, kind="stable")
    if duplicates == "in_order":
        return rows[order], grads[order]
    found = np.unique(rows)
    summed = np.empty((found.size, *grads.shape[1:]), grads.dtype)
    for i, row in enumerate(found):
        first, *others = grads[rows == row]
        summed[i] = first
        for g in others:
            summed[i] += g
    return found, summed


class LazyAdam(Adam):
    """Twin of `fourstep.optim.LazyAdam`."""

    def __init__(
        self, params: dict[str, Array], *args: Any, per_row_steps: bool = False, **options: Any
    ) -> None:
        super().__init__(params, *args, **options)
        self.per_row_steps = per_row_steps


class RowwiseAdagrad(AdaGrad):
    """Twin of `fourstep.optim.RowwiseAdagrad`."""

    def element_wise(self, w: Array, raw: Array, s: State, scale: float) -> None:
        """V ← V + mean(g²), one number for all of w; then η = α_t·g/(√V + ε)."""
        if s["sum"].shape == w.shape:
            super().element_wise(w, raw, s, scale)
            return
        g = self.gradient(w, raw, scale)
        leave = ~np.isfinite(raw) if self.skip_nonfinite == "element" else np.zeros(raw.shape, bool)
        zero = w.dtype.type(0)
        s["sum"] += w.dtype.type(lanes.sum_of_squares(np.where(leave, zero, g)) / g.size)
        eta = self.agreed(g, np.where(leave, zero, self.direction(s, w, g)))
        w[...] = np.where(leave, w, self.update(w, eta, self.keep))


class ByRows:
    """A twin some of whose parameters are tables, which step by rows.

    >>> table = np.zeros((4, 2))
    >>> twin = ByRows(LazyAdam({"table": table}, lr=0.1), ["table"])
    >>> twin.step(rows={"table": (np.array([2]), np.array([[1.0, -2.0]]))})
    >>> table.round(3).tolist()
    [[0.0, 0.0], [0.0, 0.0], [-0.1, 0.1], [0.0, 0.0]]
    """

    def __init__(self, optimizer: Optimizer, tables: Sequence[str]) -> None:
        self.optimizer = optimizer
        #: Steps of each table, and of what is none.
        self.steps = dict.fromkeys(tables, 0)
        self.dense_steps = 0
        self.row_steps = {name: np.zeros(len(optimizer.params[name]), np.int64) for name in tables}
        if isinstance(optimizer, RowwiseAdagrad):
            for name in tables:
                rows = len(optimizer.params[name])
                optimizer.state[name]["sum"] = optimizer.state[name]["sum"].reshape(rows, -1)[:, 0].copy()

    def step(self, grads: Grads | None = None, rows: Rows | None = None, duplicates: str = "sum") -> None:
        """Take one step of the parameters that are no tables, if there are gradients, and of rows of some tables."""
        o, dense = self.optimizer, dict(grads or {})
        named = {name: coalesced(*pair, duplicates) for name, pair in (rows or {}).items()}
        given = dense | {name: grad for name, (_, grad) in named.items()}
        if o.skip_nonfinite == "step" and not all(np.isfinite(g).all() for g in given.values()):
            return
        o.begin()
        everything, o.params = o.params, {name: w for name, w in o.params.items() if name in given}
        scale = o.scale(given)
        o.params = everything
        count = o.t
        self.dense_steps += bool(dense)
        with np.errstate(all="ignore"):
            for number, (name, w) in enumerate(o.params.items()):
                if name in dense:
                    o.t = self.dense_steps
                    o.element_wise(w, dense[name], o.state[name], scale)
                    o.store(number, name)
                    o.after(number, name, w, dense[name])
                elif name in named:
                    self._table(name, *named[name], scale)
                    o.store(number, name)
        o.t = count

    def _table(self, name: str, rows: Array, grads: Array, scale: float) -> None:
        o, w = self.optimizer, self.optimizer.params[name]
        self.steps[name] += 1
        o.t = self.steps[name]
        for row, g in zip(rows.tolist(), grads, strict=True):
            here = slice(row, row + 1)
            self.row_steps[name][row] += 1
            if isinstance(o, LazyAdam) and o.per_row_steps:
                o.t = int(self.row_steps[name][row])
            o.element_wise(
                w[here], g[None], {key: value[here] for key, value in o.state[name].items()}, scale
            )
            if o.ema_decay is not None:
                average = o.ema[name][here]
                average[...] = o.ema_decay * average + (1 - o.ema_decay) * w[here]
