"""AUC of each slice of the rows: by day, by position, by country."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fourstep import _core
from fourstep._runtime import execution, limited
from fourstep._table import table
from fourstep.metrics._groups import as_integers
from fourstep.metrics._inputs import Array, Rows, choice, column, refuse, rows, same_length
from fourstep.metrics._nan import NAN, Nan
from fourstep.metrics.ranking import _dropped
from fourstep.metrics.score import Score

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class AucOfSlice(NamedTuple):
    """One line of the table; ``auc`` is nan where the slice has one class."""

    slice: Any
    auc: float
    rows: int
    positives: int


@dataclass(frozen=True, eq=False)
class AucBy:
    """AUC by slice: a table of arrays, one entry a slice, slices ascending; shown as one.

    Attributes
    ----------
    slice, auc, rows, positives
        Shape (G,): what the slice is, its AUC (nan where it has one class), its rows and positives that count.
    overall
        AUC of all rows, a `Score`.

    Examples
    --------
    >>> import fourstep as fs
    >>> by = fs.metrics.auc_by([1, 0, 1, 0], [0.9, 0.1, 0.3, 0.8], ["mon", "mon", "tue", "tue"])
    >>> len(by), [(line.slice, line.auc) for line in by], by.to_dict()["auc"]
    (2, [('mon', 1.0), ('tue', 0.0)], [1.0, 0.0])
    """

    slice: Array
    auc: NDArray[np.float64]
    rows: NDArray[np.int64]
    positives: NDArray[np.int64]
    overall: Score

    def __len__(self) -> int:
        """Count the slices."""
        return len(self.auc)

    def __iter__(self) -> Iterator[AucOfSlice]:
        """Give the lines, slices ascending."""
        return map(AucOfSlice._make, zip(*self.to_dict().values(), strict=True))

    def to_dict(self) -> dict[str, list[Any]]:
        """Return the columns as lists: what a data frame is made from."""
        return {name: getattr(self, name).tolist() for name in AucOfSlice._fields}

    def __repr__(self) -> str:
        """Show a line a slice, and one for all rows."""
        total = AucOfSlice("all", float(self.overall), int(self.rows.sum()), int(self.positives.sum()))
        names = [*self.slice.astype(str).tolist(), "all"]
        cells = [
            (
                name,
                "-" if math.isnan(line.auc) else f"{line.auc:.6f}",
                f"{line.rows:,}",
                f"{line.positives:,}",
            )
            for name, line in zip(names, [*self, total], strict=True)
        ]
        return table(("slice", "AUC", "rows", "positives"), cells)


def auc_by(
    y: ArrayLike,
    score: ArrayLike,
    slices: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: Any = None,
    nan: Nan = "raise",
    threads: int | None = None,
) -> AucBy:
    """AUC of each slice of the rows: time slices show decay, positions show what is left without position bias.

    AUC_s = 1/(P_s·N_s) · Σ over the pairs of slice s: 1 if the positive scores higher, ½ if equal

    Parameters
    ----------
    y, score, sample_weight, pos_label, nan, threads
        As for `auc`.
    slices
        Which slice a row is in, shape (n,): integers, strings or categories, as `groups` of `gauc`, or dates and times
        of NumPy, pandas or polars (as they are: round them to days or hours first).

    Returns
    -------
    AucBy
        A table: ``slice``, ``auc``, ``rows``, ``positives`` of each slice, and ``overall``. A slice of one class has the
        AUC nan and stays in the table.

    Raises
    ------
    ValueError, TypeError
        As for `auc`; a null slice.

    Notes
    -----
    Each AUC is correctly rounded. A mean of them is `gauc`, which says what it weighs by. Where others
    differ: a ``groupby`` with scikit-learn raises or warns at the first slice of one class.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> day = np.array(["2024-05-01", "2024-05-01", "2024-05-02", "2024-05-02", "2024-05-03"], "datetime64[D]")
    >>> fs.metrics.auc_by([1, 0, 1, 0, 1], [0.9, 0.1, 0.3, 0.3, 0.8], day)
    slice       AUC       rows  positives
    2024-05-01  1.000000  2     1
    2024-05-02  0.500000  2     1
    2024-05-03  -         1     1
    all         0.916667  5     3
    """
    choice("nan", nan, NAN)
    with limited(threads):
        labels, scores, weights = rows(y, score, sample_weight, pos_label, extra=("slices", slices))
        ids, names = _slices(slices)
        same_length(labels, ids, "slices")
        return _auc_by(Rows(labels, scores, weights), ids, names, nan)


def _auc_by(rows: Rows, ids: Array, names: Array | np.dtype[Any] | None, nan: Nan) -> AucBy:
    labels, scores, weights = rows
    value, positives, negatives, _, left = _core.metrics_auc(labels, scores, weights, nan, execution())
    _, _, _, _, _, each = _core.metrics_gauc(
        labels, scores, ids, False, weights, "uniform", "drop", 0, nan, True, execution()
    )
    assert each is not None
    numbers, auc, slice_rows, slice_positives, _ = each
    what: Array = np.asarray(numbers)
    if names is not None:
        what = what.view(names) if isinstance(names, np.dtype) else names[what]
    counts = {"rows": positives + negatives, "positives": positives, "negatives": negatives}
    overall = Score(math.nan if value is None else value, "auc", counts=counts, dropped=_dropped(left))
    return AucBy(what, auc, slice_rows.view(np.int64), slice_positives.view(np.int64), overall)


def _slices(slices: ArrayLike, name: str = "slices") -> tuple[Array, Array | np.dtype[Any] | None]:
    """Return ids, and their names, or the type of time that they are."""
    dtype = getattr(slices, "dtype", None)
    time = "date" in str(getattr(dtype, "name", dtype)).lower()  # NumPy, pandas and polars agree on that part
    if isinstance(slices, list | tuple) and slices and all(isinstance(day, date) for day in slices):
        slices, time = np.array(slices, "datetime64"), True
    elif getattr(dtype, "tz", None) is not None:
        slices = np.asarray(slices, "datetime64[ns]")  # of pandas: moments in UTC
    array = column(slices, name, "a slice for each row") if time else None
    if array is None or array.dtype.kind != "M":
        return as_integers(slices, name)
    native = array.astype(array.dtype.newbyteorder("="), order="C")
    refuse(name, np.isnat(native), "a slice for each row")
    return native.view(np.int64), native.dtype
