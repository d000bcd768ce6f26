"""Mini-batches: which rows, in which order (claim D1).

The order of an epoch is a function of (seed, epoch) alone, so a run that goes on at epoch 7 sees the rows
that it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

__all__ = ["batches"]


def batches(
    n: int,
    batch_size: int,
    *,
    seed: int = 0,
    epoch: int = 0,
    shuffle: bool = True,
    drop_last: bool = False,
    merge_single: bool = True,
) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the row numbers of one batch after the other.

    Parameters
    ----------
    n : int
        Number of rows.
    batch_size : int
        Rows of a batch; the last may be shorter.
    seed, epoch : int
        Together they fix the order.
    shuffle : bool
        False: in order.
    drop_last : bool
        Leave out a last batch that is shorter.
    merge_single : bool
        A last batch of one row joins the batch before, which is then one row longer: batch normalisation
        cannot train on a single row. (If one row is all there is, it comes alone.)

    Yields
    ------
    (b,) int64

    Raises
    ------
    ValueError
        A number out of range.

    Examples
    --------
    >>> [rows.tolist() for rows in batches(7, 3, shuffle=False)]
    [[0, 1, 2], [3, 4, 5, 6]]
    >>> [len(rows) for rows in batches(7, 3, shuffle=False, merge_single=False)]
    [3, 3, 1]
    >>> first, again = (np.concatenate(list(batches(7, 3, seed=1, epoch=2))) for _ in range(2))
    >>> bool((first == again).all())
    True
    """
    for name, value, least in (
        ("n", n, 0),
        ("batch_size", batch_size, 1),
        ("seed", seed, 0),
        ("epoch", epoch, 0),
    ):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    order = np.random.default_rng([seed, epoch]).permutation(n) if shuffle else np.arange(n, dtype=np.int64)
    return _cut(order, batch_size, drop_last, merge_single)


def _cut(
    order: npt.NDArray[np.int64], size: int, drop_last: bool, merge_single: bool
) -> Iterator[npt.NDArray[np.int64]]:
    starts = list(range(0, len(order), size))
    ends = [*starts[1:], len(order)] if starts else []
    if starts and drop_last and ends[-1] - starts[-1] < size:
        del starts[-1], ends[-1]
    elif merge_single and size > 1 and len(starts) > 1 and ends[-1] - starts[-1] == 1:
        del starts[-1], ends[-2]
    for start, end in zip(starts, ends, strict=True):
        yield order[start:end]
