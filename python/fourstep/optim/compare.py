"""The optimizers beside each other (O2): what each takes for the four steps, and what it adds to the one before.

The table and the lineage are read off the triples, `Optimizer.as_four_steps`; only who comes from whom is written here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fourstep import optim
from fourstep._table import table
from fourstep.optim.four_steps import FourSteps


class _Entry(NamedTuple):
    """An optimizer by its label: class, options, and the labels of those that it comes from."""

    label: str
    name: str
    options: dict[str, Any]
    parents: tuple[str, ...]


#: The line of the notes first (O2), then the rest of the family.
_LINE = (
    _Entry("SGD", "SGD", {}, ()),
    _Entry("SGD-M", "SGD", {"momentum": 0.9}, ("SGD",)),
    _Entry("NAG", "NAG", {}, ("SGD-M",)),
    _Entry("AdaGrad", "AdaGrad", {}, ("SGD",)),
    _Entry("AdaDelta", "AdaDelta", {}, ("RMSProp",)),
    _Entry("RMSProp", "RMSProp", {}, ("AdaGrad",)),
    _Entry("Adam", "Adam", {}, ("SGD-M", "RMSProp")),
    _Entry("Nadam", "Nadam", {}, ("Adam", "NAG")),
    _Entry("SGDW", "SGDW", {"momentum": 0.9}, ("SGD-M",)),
    _Entry("AdamW", "AdamW", {}, ("Adam",)),
    _Entry("AMSGrad", "Adam", {"amsgrad": True}, ("Adam",)),
    _Entry("Adamax", "Adamax", {}, ("Adam",)),
    _Entry("RAdam", "RAdam", {}, ("Adam",)),
    _Entry("AdaBelief", "AdaBelief", {}, ("Adam",)),
    _Entry("Yogi", "Yogi", {}, ("Adam",)),
    _Entry("Signum", "Signum", {}, ("SGD-M",)),
    _Entry("Lion", "Lion", {}, ("Signum",)),
    _Entry("Rprop", "Rprop", {}, ("SGD",)),
    _Entry("LARS", "LARS", {"momentum": 0.9}, ("SGD-M",)),
    _Entry("LAMB", "LAMB", {}, ("Adam", "LARS")),
    _Entry("Adan", "Adan", {}, ("Adam", "NAG")),
    _Entry("ADOPT", "ADOPT", {}, ("Adam",)),
    _Entry("AdEMAMix", "AdEMAMix", {}, ("Adam",)),
    _Entry("FTRL", "FTRL", {}, ("AdaGrad",)),
    _Entry("SGDScheduleFree", "SGDScheduleFree", {}, ("SGD",)),
    _Entry("AdamWScheduleFree", "AdamWScheduleFree", {}, ("SGDScheduleFree",)),
)


@dataclass(frozen=True)
class Row:
    """One optimizer of the comparison."""

    name: str
    four_steps: FourSteps
    #: Bytes of state for each parameter.
    state_bytes: int
    parents: tuple[str, ...]
    #: What it changes of its first parent.
    adds: str

    def cells(self) -> tuple[str, ...]:
        """Return the row as text: point of the gradient, φ, ψ, direction, update, bytes of state, leaks."""
        four = self.four_steps
        formulas = four.formulas()
        return (
            self.name,
            four.point,
            four.first.brief(),
            four.second.brief(),
            formulas["direction"].removeprefix("η = "),
            formulas["update"].removeprefix("w ← "),
            str(self.state_bytes),
            ", ".join(leak.name for leak in four.leaks),
        )


class Step(NamedTuple):
    """One line of descent."""

    parent: str
    child: str
    #: The formulas that are the child's alone.
    adds: str


class Comparison:
    """What `compare` returns: a table that prints itself, its `rows`, and the `lineage`."""

    _HEAD = ("optimizer", "gradient at", "φ", "ψ", "η", "w", "state bytes", "leak")

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows

    def __iter__(self) -> Iterator[Row]:
        """Iterate over the rows."""
        return iter(self.rows)

    def __getitem__(self, name: str) -> Row:
        """Return the row of an optimizer."""
        found = next((row for row in self.rows if row.name == name), None)
        if found is None:
            raise KeyError(
                f"no optimizer is called {name!r}; there are {', '.join(r.name for r in self.rows)}"
            )
        return found

    def lineage(self) -> list[Step]:
        """Return who comes from whom, and what that adds: (parent, child, adds)."""
        return [
            Step(parent, row.name, _added(self[parent].four_steps, row.four_steps))
            for row in self.rows
            for parent in row.parents
        ]

    def __repr__(self) -> str:
        """Return the table, and below it the lineage."""
        lines = [f"{step.parent} → {step.child}: {step.adds}" for step in self.lineage()]
        return "\n".join([table(self._HEAD, [row.cells() for row in self.rows]), "", *lines])


def compare(dtype: Any = np.float32) -> Comparison:
    """Compare the optimizers step by step, with their defaults.

    Parameters
    ----------
    dtype : dtype
        Of the parameters: for the bytes of state.

    Returns
    -------
    Comparison
        It prints as a table; `rows`, and `lineage()` as (parent, child, what is added).

    Examples
    --------
    >>> import fourstep as fs
    >>> found = fs.optim.compare()
    >>> [(row.name, row.state_bytes) for row in found.rows[:8]]  # doctest: +NORMALIZE_WHITESPACE
    [('SGD', 0), ('SGD-M', 4), ('NAG', 4), ('AdaGrad', 4), ('AdaDelta', 8), ('RMSProp', 4), ('Adam', 8),
     ('Nadam', 8)]
    >>> for step in found.lineage()[:4]:
    ...     print(f"{step.parent} → {step.child}: {step.adds}")
    SGD → SGD-M: m ← γ·m + g
    SGD-M → NAG: ∇f(w − α·γ·m); m ← γ·m + g, then g + γ·m
    SGD → AdaGrad: V ← V + g²; η = α·g/(√V + ε)
    RMSProp → AdaDelta: α·g/√(V + ε); leak: numerator
    """
    four = {entry.label: _four_steps(entry) for entry in _LINE}
    return Comparison(
        [
            Row(
                entry.label,
                four[entry.label],
                four[entry.label].state_bytes(dtype),
                entry.parents,
                _added(four[entry.parents[0]], four[entry.label]) if entry.parents else "",
            )
            for entry in _LINE
        ]
    )


def _four_steps(entry: _Entry) -> FourSteps:
    optimizer: optim.Optimizer = getattr(optim, entry.name)([np.zeros(1, np.float32)], **entry.options)
    return optimizer.as_four_steps()


def _added(parent: FourSteps, child: FourSteps) -> str:
    """Return the formulas of a child that its parent does not have, and its leaks."""
    before, after = parent.formulas(), child.formulas()
    added = [f"∇f({child.point})"] if child.point not in ("w", parent.point) else []
    added += [after[key] for key in ("first", "second") if after[key] != before[key]]
    kinds = [getattr(four.direction, "kind", None) for four in (parent, child)]
    if kinds[0] != kinds[1]:
        added.append(after["direction"])
    elif before["direction"] != after["direction"] and not added:
        added.append(after["direction"].removeprefix("η = "))
    if after["update"] != before["update"]:
        added.append(after["update"])
    added += [f"leak: {leak.name}" for leak in child.leaks if leak not in parent.leaks]
    return "; ".join(added)
