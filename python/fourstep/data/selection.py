"""Fewer features: which columns say nothing, say it twice, or say too little (R2).

    constant      one value in all rows
    rare          all rows but a few have the same value
    duplicate     the same values as a column before it
    weak          |AUC − ½| of the column alone is below a bound

Choose on the training rows alone: a choice that has seen the labels of the test rows is leakage.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fourstep._table import table
from fourstep.metrics import auc

Array = np.ndarray[Any, Any]

__all__ = ["FeatureSelection", "select_features"]


@dataclass(frozen=True)
class FeatureSelection:
    """What `select_features` found; its ``repr`` is the table.

    Attributes
    ----------
    kept : list of str
        Names of the columns to keep, in their order.
    dropped : dict of str to str
        Why each of the others is not.
    auc : dict of str to float
        AUC of each numeric column alone as a score; empty without labels.
    others : dict of str to int
        Rows in which a column has another value than its most frequent one.
    places : ndarray of int
        Positions of the columns to keep: ``x[:, selection.places]``.
    """

    kept: list[str]
    dropped: dict[str, str]
    auc: dict[str, float]
    others: dict[str, int]
    places: Array

    def __repr__(self) -> str:
        """Return the table."""
        head = f"{len(self.kept)} of {len(self.kept) + len(self.dropped)} features kept"
        rows = [
            (name, n, f"{self.auc[name]:.3f}" if name in self.auc else "", self.dropped.get(name, "kept"))
            for name, n in self.others.items()
        ]
        return f"{head}\n{table(('feature', 'rows unlike the most frequent', 'AUC', ''), rows)}"


def select_features(
    x: Any,
    y: Any = None,
    *,
    names: Sequence[str] | None = None,
    min_others: int = 2,
    min_gap: float = 0.0,
) -> FeatureSelection:
    """Say which features to keep: not constant, not rare, not a duplicate, and not too weak alone.

    A feature that is weak alone may be strong beside another (XOR): `min_gap` is 0 by default, and only what has no
    information at all is dropped.

    Parameters
    ----------
    x : ndarray of shape (rows, features), mapping of str to array, or data frame
        Numbers, truth values or text; a missing text is a value of its own, a number must not be NaN.
    y : array_like of 0 and 1, optional
        Labels, for the AUC of each numeric column. Without it no column is weak.
    names : sequence of str, optional
        Of the columns of an array; "0", "1", … by default.
    min_others : int
        The least number of rows that have another value than the most frequent one; fewer is rare.
    min_gap : float
        The least |AUC − ½|, from 0 to ½.

    Returns
    -------
    FeatureSelection

    Raises
    ------
    ValueError
        No rows or columns; columns of different lengths; a NaN (the column and the row are named); labels of one class.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(0, 2, 200)
    >>> good, noise = y + rng.normal(size=200), rng.normal(size=200)
    >>> rare = np.zeros(200)
    >>> rare[7] = 1
    >>> columns = {"good": good, "noise": noise, "again": good.copy(), "one": np.ones(200), "rare": rare}
    >>> fs.select_features(columns, y, min_gap=0.1)
    1 of 5 features kept
    feature  rows unlike the most frequent  AUC
    good     199                            0.757  kept
    noise    199                            0.489  weak: AUC 0.489
    again    199                            0.757  duplicate of good
    one      0                              0.500  constant
    rare     1                              0.494  rare: 1 row unlike the rest
    """
    if isinstance(min_others, bool) or not isinstance(min_others, int) or min_others < 0:
        raise ValueError(f"min_others: got {min_others!r}, need a whole number of at least 0")
    columns = _columns(x, names)
    rows = len(next(iter(columns.values())))
    if not 0 <= min_gap <= 0.5:
        raise ValueError(f"min_gap: got {min_gap!r}, need 0 to 0.5")
    labels = None if y is None else np.asarray(y)
    if labels is not None and labels.shape != (rows,):
        raise ValueError(f"y: got shape {labels.shape}, need ({rows},)")
    if labels is not None and len(np.unique(labels)) < 2:
        raise ValueError("y: got one class, need both")
    others, alone, dropped = {}, {}, {}
    seen: dict[bytes, str] = {}
    for name, column in columns.items():
        others[name] = rows - _most_frequent(column)
        if labels is not None and column.dtype.kind in "biuf":
            alone[name] = float(auc(labels, column.astype(np.uint8) if column.dtype.kind == "b" else column))
        first = seen.setdefault(_fingerprint(column), name)
        fault = _fault(others[name], min_others, alone.get(name), min_gap)
        if others[name] == 0:
            dropped[name] = "constant"
        elif first != name:
            dropped[name] = f"duplicate of {first}"
        elif fault:
            dropped[name] = fault
    kept = [name for name in columns if name not in dropped]
    places = np.array([i for i, name in enumerate(columns) if name not in dropped], np.int64)
    return FeatureSelection(kept, dropped, alone, others, places)


def _most_frequent(column: Array) -> int:
    """Return in how many rows the most frequent value stands."""
    if column.dtype.kind == "O":  # values that may have no order
        return Counter(map(repr, column.tolist())).most_common(1)[0][1]
    return int(np.unique(column, return_counts=True)[1].max())


def _fault(others: int, min_others: int, alone: float | None, min_gap: float) -> str:
    if others < min_others:
        return f"rare: {others} row{'s' * (others != 1)} unlike the rest"
    if alone is not None and abs(alone - 0.5) < min_gap:
        return f"weak: AUC {alone:.3f}"
    return ""


def _columns(x: Any, names: Sequence[str] | None) -> dict[str, Array]:
    """Return checked columns by name."""
    found: Iterable[tuple[str, Any]]
    if names is not None and (isinstance(x, Mapping) or hasattr(x, "columns")):
        raise ValueError("names: got names of columns that have their own, need None")
    if isinstance(x, Mapping):
        found = x.items()
    elif hasattr(x, "columns"):
        found = ((str(name), x[name]) for name in x.columns)
    else:
        matrix = np.asarray(x)
        if matrix.ndim != 2:
            raise ValueError(f"x: got shape {matrix.shape}, need (rows, features)")
        names = [str(i) for i in range(matrix.shape[1])] if names is None else list(names)
        if len(names) != matrix.shape[1] or len(set(names)) != len(names):
            raise ValueError(f"names: got {len(set(names))} different ones, need {matrix.shape[1]}")
        found = zip(names, matrix.T, strict=True)
    columns = {name: np.asarray(column) for name, column in found}
    if not columns:
        raise ValueError("x: got no columns, need at least one")
    rows = len(next(iter(columns.values())))
    for name, column in columns.items():
        if column.shape != (rows,) or not rows:
            raise ValueError(f"x: column {name!r} has shape {column.shape}, need ({rows or 'rows'},)")
        if column.dtype.kind == "f" and np.isnan(column).any():
            raise ValueError(f"x: column {name!r} has NaN, first at row {int(np.isnan(column).argmax())}")
        if column.dtype.kind not in "biufUSO":
            raise TypeError(
                f"x: column {name!r} has dtype {column.dtype}, need numbers, truth values or text"
            )
    return columns


def _fingerprint(column: Array) -> bytes:
    """Return what two columns share if they have the same values, whatever their number types."""
    if column.dtype.kind in "biuf":
        exact = column.dtype.kind in "iu" and column.dtype.itemsize == 8
        wide = column if exact and (np.abs(column.astype(np.float64)) >= 2**53).any() else None
        data = (column.astype(np.float64) + 0.0 if wide is None else wide).tobytes()  # + 0: −0 is 0
    else:
        data = repr(column.tolist()).encode()
    return hashlib.sha256(data).digest()
