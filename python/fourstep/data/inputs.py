"""What a model takes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .bags import Bags

__all__ = ["Inputs"]


@dataclass(frozen=True, eq=False, repr=False)
class Inputs:
    """The numbers of some rows, and what was odd in them.

    Attributes
    ----------
    fields : (n, F) int64
        Index of each categorical column, below its cardinality: 0 unseen or rare, 1 null, 2 and up the categories.
    dense : (n, D) float32
        Numeric and history columns.
    field_names, dense_names : tuple of str
        What the columns are.
    unseen, rare, nulls : dict of str to int
        How many rows of each field have a category that was not there when fitted, or too rarely to be told
        apart, or none.
    bags : dict of str to Bags
        Columns that list several values, which are none of the fields.
    position : (n,) int64 or None
        Index of the position, where it is known: training looks at it, scoring does not.
    """

    fields: npt.NDArray[np.int64]
    dense: npt.NDArray[np.float32]
    field_names: tuple[str, ...]
    dense_names: tuple[str, ...]
    unseen: dict[str, int]
    rare: dict[str, int]
    nulls: dict[str, int]
    bags: dict[str, Bags] = field(default_factory=dict)
    position: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.fields)

    def __repr__(self) -> str:
        parts = [f"{len(self):,} rows, {len(self.field_names)} fields, {len(self.dense_names)} dense"]
        parts[0] += f", {len(self.bags)} lists" if self.bags else ""
        for what, counts in (("unseen", self.unseen), ("rare", self.rare), ("null", self.nulls)):
            parts += [f"{count:,} {what} {name}" for name, count in counts.items() if count]
        return f"Inputs({'; '.join(parts)})"
