"""Splits that a clock could have made (claim M9: leakage by time).

    user-time   test = rows from ⌊(1 − test)·n⌋ of each user's n rows, ordered by time;
                validation = the same cut of the m rows that are left, at ⌊(1 − valid)·m⌋
    time        the same two cuts of all rows together
    random      the same two cuts of a shuffled order

Rows of one time stay in file order. The shares are taken as the decimals they are written as, so 0.7·10 is 7.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt

from .dataset import Dataset
from .errors import DataError, counted

__all__ = ["Split", "split"]

How = Literal["user-time", "time", "random"]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of three parts that share no row and leave none out, each in file order.

    Attributes
    ----------
    train, valid, test : (m,) int64
    how : str
        What was done: it may differ from what was asked.
    reason : str
        Why.
    """

    train: Rows
    valid: Rows
    test: Rows
    how: How
    reason: str

    def __repr__(self) -> str:
        sizes = f"train {len(self.train):,}, valid {len(self.valid):,}, test {len(self.test):,}"
        return f"Split({sizes}; {self.how}: {self.reason})"


def split(
    dataset: Dataset, how: How = "user-time", *, test: float = 0.2, valid: float = 0.1, seed: int = 0
) -> Split:
    """Cut a data set into training, validation and test rows.

    Parameters
    ----------
    dataset : Dataset
    how : {"user-time", "time", "random"}
        Without a user column "user-time" falls back to "time", and says so. A random split must be asked for: it lets the
        model look into the future.
    test : float
        Share of the test rows.
    valid : float
        Share of the validation rows among the others.
    seed : int
        Of the random split.

    Returns
    -------
    Split

    Raises
    ------
    DataError
        No time column where one is needed; an empty part; a validation or test part of one class, whose AUC
        does not exist.
    ValueError
        An unknown `how`, a share not inside (0, 1).

    Examples
    --------
    >>> from fourstep import data
    >>> frame = {"y": [0, 1] * 10, "user": ["a"] * 20, "t": list(range(20))}
    >>> parts = data.split(data.Dataset.from_frame(frame, data.Schema("y", user="user", time="t")), valid=0.25)
    >>> parts
    Split(train 12, valid 4, test 4; user-time: the last rows of each user by time)
    >>> parts.test.tolist()
    [16, 17, 18, 19]
    """
    if how not in ("user-time", "time", "random"):
        raise ValueError(f'how needs "user-time", "time" or "random", got {how!r}')
    for name, share in (("test", test), ("valid", valid)):
        if not 1e-9 <= share < 1:
            raise ValueError(f"{name} needs a share from 1e-9 to below 1, got {share}")
    used, reason = _decide(dataset, how, seed)
    n = len(dataset)
    order = np.random.default_rng(seed).permutation(n) if used == "random" else np.arange(n)
    time = dataset.time if used != "random" else None
    group = dataset.groups if used == "user-time" else None
    rest, last = cut(order, time, group, test)
    train, middle = cut(rest, time, group, valid)
    parts = Split(np.sort(train), np.sort(middle), np.sort(last), used, reason)
    _check(dataset, parts)
    return parts


def cut(
    order: Rows, time: npt.NDArray[np.generic] | None, group: Rows | None, share: float
) -> tuple[Rows, Rows]:
    """The rows of each group before ⌊(1 − share)·n⌋ and from there on, by time, then by place in `order`."""
    if time is not None:
        keys = (time[order],) if group is None else (time[order], group[order])
        order = order[np.lexsort(keys)]  # stable: equal times stay as they were
    names = np.zeros(len(order), np.int64) if group is None else group[order]
    starts = np.flatnonzero(np.diff(names, prepend=names[:1] - 1))
    counts = np.diff(starts, append=len(order))
    keep = 1 - Fraction(str(share))
    sizes, which = np.unique(counts, return_inverse=True)
    exact = [int(size) * keep.numerator // keep.denominator for size in sizes]  # in integers of any size
    cuts = np.array(exact, np.int64)[which]
    late = np.arange(len(order)) - np.repeat(starts, counts) >= np.repeat(cuts, counts)
    return order[~late], order[late]


def _decide(dataset: Dataset, how: How, seed: int) -> tuple[How, str]:
    if how == "random":
        return "random", f"asked for, seed {seed}; the model sees rows later than those it is tested on"
    if dataset.schema.time is None:
        raise DataError(
            f'{dataset.name}: split "{how}" needs a time column and the schema names none (time=, --time);'
            ' or ask for split "random"'
        )
    if how == "user-time" and dataset.schema.user is None:
        return "time", "there is no user column, so the last rows of all by time"
    return how, "the last rows of each user by time" if how == "user-time" else "the last rows by time"


def _check(dataset: Dataset, parts: Split) -> None:
    for name in ("train", "valid", "test"):
        rows = getattr(parts, name)
        if not len(rows):
            raise DataError(
                f"{dataset.name}: split {parts.how!r} of {counted(len(dataset), 'row')} leaves the {name} part empty"
            )
        if dataset.schema.label in dataset.columns:
            label = dataset.label[rows]
            if label.min() == label.max():
                raise DataError(
                    f"{dataset.name}: split {parts.how!r} leaves one class only in the {name} part:"
                    f" the label is {label[0]} in its {counted(len(rows), 'row')}"
                )
