"""Batch, mini-batch and stochastic gradient descent: how many rows a step sees (D1).

"full"    all rows: batch gradient descent; the gradient is exact, and a step costs all of them
32        some rows: mini-batch gradient descent; the gradient is right on average, noisy by 1/√32
1         one row: SGD as the notes' section 5 has the word; at their end they call any random batch so, as
          everybody does
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from fourstep.data.minibatches import batches as rows_of
from fourstep.nn import _check, _rows

BatchSize = int | Literal["full"]


def batches(
    data: Any,
    size: BatchSize = 32,
    shuffle: bool = True,
    seed: int = 0,
    drop_last: bool = False,
    *,
    epoch: int = 0,
) -> Iterator[Any]:
    """Yield an epoch of batches, in the form of `data`.

    Parameters
    ----------
    data : ndarray, or tuple, list or dict of them (nested too)
        With the same number of rows in each.
    size : int or "full"
        Rows of a batch; the last may be shorter. "full" is all rows as one batch, in order and without a copy.
    shuffle : bool
        Whether the order is random.
    seed, epoch : int
        Together they fix the order: epoch 7 can be had without the six before it.
    drop_last : bool
        Leave out a last batch that is shorter.

    Yields
    ------
    What `data` is, of so many rows.

    Raises
    ------
    ValueError
        The rows differ, or there are none; a number out of range; `drop_last` would leave nothing.
    TypeError
        Something in `data` is no array.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> x, y = np.arange(5) * 10, np.arange(5)
    >>> [part.tolist() for part in nn.batches(x, 2, shuffle=False)]
    [[0, 10], [20, 30], [40]]
    >>> [len(part) for part, label in nn.batches((x, y), "full")]
    [5]
    >>> first, again = ([label.tolist() for _, label in nn.batches((x, y), 1, seed=3)] for _ in range(2))
    >>> first == again, sorted(first)
    (True, [[0], [1], [2], [3], [4]])

    Notes
    -----
    `fourstep.data.batches` yields row numbers instead, and can merge a last row that would stand alone, with which batch
    normalisation cannot train.
    """
    rows = _rows.count(data)
    if not rows:
        raise ValueError("data: got no rows, need at least one")
    if isinstance(size, str) and size != "full":
        raise ValueError(f"size: got {size!r}, need a whole number of at least 1, or 'full'")
    number = rows if size == "full" else _check.size("size", size)
    for name, value in (("seed", seed), ("epoch", epoch)):
        _check.size(name, value, least=0)
    if drop_last and number > rows:
        raise ValueError(f"size: got {number} with drop_last, which leaves nothing of {rows} rows")
    return _batches(data, rows, number, size == "full", shuffle, seed, epoch, drop_last)


def _batches(
    data: Any, rows: int, number: int, full: bool, shuffle: bool, seed: int, epoch: int, drop_last: bool
) -> Iterator[Any]:
    if full:
        yield data
        return
    order = rows_of(
        rows, number, seed=seed, epoch=epoch, shuffle=shuffle, drop_last=drop_last, merge_single=False
    )
    for chosen in order:
        yield _rows.take(data, chosen)
