"""What the size of a batch does, where everything else is known: a test function as the mean of N rows (D2, D3).

    f_i(x) = f(x) + c_i·x,   Σc_i = 0,   c_i normal with a given spread

The mean of all f_i is f; the gradient of B of them, drawn without replacement in each epoch, is ∇f plus noise of standard
deviation spread·√((N − B)/((N − 1)·B)) in each coordinate. Batches of one are the noisiest, and the full batch has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

import numpy as np

from fourstep._table import table
from fourstep.arena import Arena
from fourstep.data.minibatches import batches
from fourstep.functions.base import Array, Surface, Trap
from fourstep.functions.escape import Escape, escape_rate
from fourstep.trajectory import Choice, make

BatchSize = int | Literal["full"]


@dataclass(frozen=True)
class Convergence:
    """How one batch size converged.

    Attributes
    ----------
    size : int
        Rows of a batch.
    steps, rows, seconds : int, int, float; or None
        What it took to bring f to the target for good: it is no higher from there to the end, for the last quarter of
        the walk at least. None where it never came to stay.
    floor : float
        The mean of f over the last quarter of the walk: where noise holds it up.
    """

    size: int
    steps: int | None
    rows: int | None
    seconds: float | None
    floor: float


@dataclass(frozen=True)
class BatchSizes:
    """A row for each batch size; its ``repr`` is the table.

    Attributes
    ----------
    results : list of Convergence or of Escape
    sizes : list of int
    noise : list of float
        Standard deviation of the noise of each size, by coordinate.
    """

    results: list[Convergence] | list[Escape]
    sizes: list[int]
    noise: list[float]

    def __iter__(self) -> Iterator[Convergence | Escape]:
        """Iterate over the results."""
        return iter(self.results)

    def __getitem__(self, index: int) -> Convergence | Escape:
        """Return the result of one size."""
        return self.results[index]

    def __repr__(self) -> str:
        """Return the table."""
        rows = []
        heads: tuple[str, ...] = ()
        results: Sequence[Convergence | Escape] = self.results
        for size, noise, found in zip(self.sizes, self.noise, results, strict=True):
            if isinstance(found, Escape):
                heads = ("escaped", "stayed", "lost")
                cells = [f"{found.rate:.1%}", str(found.stayed), str(found.lost)]
            else:
                heads = ("steps to target", "rows", "seconds", "floor")
                cells = ["never", "", ""]
                if found.steps is not None:
                    cells = [f"{found.steps:,}", f"{found.rows:,}", f"{found.seconds:.4f}"]
                cells.append(f"{found.floor:.3g}")
            rows.append((f"{size:,}", f"{noise:.3g}", *cells))
        return table(("batch", "noise", *heads), rows)


def convergence_by_batch_size(
    f: Surface,
    optimizer: Choice = ("SGD", {"lr": 0.02}),
    *,
    sizes: Sequence[BatchSize] = (1, 32, "full"),
    rows: int = 1024,
    spread: float = 6.0,
    steps: int = 1000,
    target: float = 0.2,
    seed: int = 0,
) -> BatchSizes:
    """Walk with several batch sizes from one start, and measure steps, rows and seconds to a target (D3).

    Every row's gradient is computed, as a network would have to, so a larger batch costs more; what small batches
    cost beside that, the overhead of a step, is in the seconds too.

    Parameters
    ----------
    f : Surface
        One of `fourstep.functions`; walks begin at ``f.start``.
    optimizer : callable, str or (str, dict)
        See `fourstep.minimize`.
    sizes : sequence of int or "full"
    rows : int
        N.
    spread : float
        Standard deviation of the rows' gradients, by coordinate.
    steps : int
        Of each walk.
    target : float
        The value of f to come to.
    seed : int
        Of the rows and their order.

    Returns
    -------
    BatchSizes
        Of `Convergence`.

    Raises
    ------
    ValueError
        A size that is neither "full" nor from 1 to `rows`.

    Examples
    --------
    The full batch is right in every step and costs all rows; 32 rows need about as many steps, for a thirtieth of the
    rows; one row is held up by its noise, and never comes to stay.

    >>> from fourstep import functions
    >>> one, some, full = functions.convergence_by_batch_size(functions.Ravine(25))
    >>> one.steps, full.steps <= some.steps < 2 * full.steps, some.rows < full.rows / 15
    (None, True, True)
    >>> one.floor > 10 * some.floor > 10 * full.floor
    True
    """
    if steps < 1:
        raise ValueError(f"steps: got {steps!r}, need at least 1")
    offsets = _offsets(rows, spread, seed)
    numbers = [_size(size, rows) for size in sizes]
    results = [_walk(f, optimizer, offsets, number, steps, target, seed) for number in numbers]
    return BatchSizes(results, numbers, [batch_noise(spread, number, rows) for number in numbers])


def escape_by_batch_size(
    f: Trap,
    optimizer: Choice = ("SGD", {"lr": 0.3}),
    *,
    sizes: Sequence[BatchSize] = (1, 4, 16, "full"),
    rows: int = 1024,
    spread: float = 1.0,
    starts: int = 400,
    steps: int = 500,
    seed: int = 0,
) -> BatchSizes:
    """Count how many walks leave a basin that is not the lowest, by batch size (D2): noise is what helps them out.

    The noise of a batch is taken as normal, with the standard deviation that the batch size leaves; see `escape_rate`.

    Parameters
    ----------
    f : DoubleWell or RingedBasin
    optimizer, sizes, rows, spread, steps, seed
        See `convergence_by_batch_size`.
    starts : int
        Walks of each size.

    Returns
    -------
    BatchSizes
        Of `Escape`.

    Examples
    --------
    >>> from fourstep import functions
    >>> functions.escape_by_batch_size(functions.DoubleWell())
    batch  noise  escaped  stayed  lost
    1      1      73.2%    107     0
    4      0.499  40.8%    237     0
    16     0.248  1.2%     395     0
    1,024  0      0.0%     400     0
    """
    numbers = [_size(size, rows) for size in sizes]
    noise = [batch_noise(spread, number, rows) for number in numbers]
    found = [escape_rate(f, optimizer, starts=starts, steps=steps, noise=each, seed=seed) for each in noise]
    return BatchSizes(found, numbers, noise)


def batch_noise(spread: float, size: int, rows: int) -> float:
    """Return the standard deviation of the mean of `size` of `rows` values without replacement.

    Examples
    --------
    >>> [batch_noise(1.0, size, 101) for size in (1, 101)]
    [1.0, 0.0]
    """
    return float(spread * ((rows - size) / ((rows - 1) * size)) ** 0.5)


def _offsets(rows: int, spread: float, seed: int) -> Array:
    """Return c_i: with mean 0 and the given spread exactly, so that f is the mean of the rows."""
    if rows < 2 or spread < 0:
        raise ValueError(f"rows, spread: got {rows!r} and {spread!r}, need at least 2 and 0")
    c: Array = np.random.default_rng([seed, 2]).normal(size=(rows, 2))
    c -= c.mean(axis=0)
    c *= spread / c.std(axis=0)
    return c


def _size(size: BatchSize, rows: int) -> int:
    number = rows if size == "full" else size
    if isinstance(number, bool | str) or not 1 <= number <= rows:
        raise ValueError(f"sizes: got {size!r}, need 'full' or 1 to {rows}")
    return int(number)


def _walk(
    f: Surface, optimizer: Choice, offsets: Array, size: int, steps: int, target: float, seed: int
) -> Convergence:
    arena = Arena({"x": np.array(f.start, np.float64)})
    x, grad = arena["x"], arena.grad["x"]
    made, _ = make(optimizer, arena)
    order = _order(len(offsets), size, seed)
    values, clock = np.empty(steps), np.empty(steps)
    for step in range(steps):
        begin = perf_counter()
        chosen = next(order)
        # Each row's own gradient, all at the same point.
        each = f.gradient(np.broadcast_to(x, (len(chosen), 2))) + offsets[chosen]
        grad[...] = each.mean(axis=0)
        made.step()
        clock[step] = perf_counter() - begin
        values[step] = f.value(x)
    last = steps // 4 or 1
    floor = float(values[-last:].mean())
    above = np.flatnonzero(~(values <= target))  # NaN is above
    reached = int(above[-1]) + 2 if len(above) else 1
    if reached > steps + 1 - last:
        return Convergence(size, None, None, None, floor)
    return Convergence(size, reached, reached * size, float(clock[:reached].sum()), floor)


def _order(rows: int, size: int, seed: int) -> Iterator[Array]:
    """Yield the rows of one batch after another, epoch after epoch."""
    epoch = 0
    while True:
        yield from batches(rows, size, seed=seed, epoch=epoch, drop_last=True, merge_single=False)
        epoch += 1
