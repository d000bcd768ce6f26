"""The learning rate that a parameter really has: α/(√V + ε) (O4, O12, O13).

effective_lr    rows of an embedding of MovieLens: the rate against how often a row was updated
late_signal     a parameter whose gradients change late: AdaGrad has no rate left, RMSProp gets it back
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fourstep import optim
from fourstep.arena import Arena, Array
from fourstep.nn import functional
from fourstep.plot.look import INK, REST, TRAIN, VALID, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fourstep.data import Dataset


@dataclass(frozen=True, eq=False)
class RowRates:
    """Rates of the rows of an embedding that AdaGrad trained.

    Attributes
    ----------
    updates : ndarray of int, shape (rows,)
        Batches in which the row was.
    rates : ndarray, shape (rows,)
        α/(√V + ε) at the end, the median over the row.
    history : ndarray, shape (batches, 3)
        Of the most frequent row, of the median one, and of one that was updated once: the rate after each batch.
    shown : tuple of int
        Their rows.
    lr : float
    """

    updates: Array
    rates: Array
    history: Array
    shown: tuple[int, int, int]
    lr: float


def row_rates(
    dataset: Dataset | None = None,
    field: str = "movie",
    *,
    lr: float = 0.05,
    dim: int = 8,
    batch: int = 256,
    seed: int = 0,
) -> RowRates:
    """Train user and item embeddings once through the ratings in order of time, with AdaGrad, and read its rates.

    Parameters
    ----------
    dataset : Dataset, optional
        With a user; by default `fourstep.data.movielens()`.
    field : str
        The categorical column whose rows are read.
    lr : float
        α.
    dim, batch, seed : int
        Width of the embeddings, rows in a batch, seed of their start.

    Notes
    -----
    The model is σ(⟨u, v⟩) for a user's row u and an item's row v; the loss is the log loss of the batch, summed.
    """
    if dataset is None:
        from fourstep.data import movielens

        dataset = movielens()
    schema = dataset.schema
    if schema.user is None or field not in dataset.factors:
        raise ValueError(f"field: got {field!r}, need a user and one of {', '.join(dataset.factors)}")
    order = np.argsort(dataset[schema.time], kind="stable") if schema.time else np.arange(len(dataset))
    users, items = (dataset.factors[name].codes[order] for name in (schema.user, field))
    label = dataset.label[order].astype(np.float32)
    rng = np.random.default_rng(seed)
    sizes = {"user": int(users.max()) + 1, "item": int(items.max()) + 1}
    arena = Arena({k: rng.normal(0, 0.1, (n, dim)).astype(np.float32) for k, n in sizes.items()})
    opt = optim.AdaGrad(arena, lr=lr)

    updates = np.zeros(sizes["item"], np.int64)
    counts = np.zeros(sizes["item"], np.int64)
    batches = [slice(i, i + batch) for i in range(0, len(label), batch)]
    for part in batches:
        counts[np.unique(items[part])] += 1
    by_count = np.argsort(counts, kind="stable")
    seen = by_count[counts[by_count] > 0]
    shown = (int(seen[-1]), int(seen[len(seen) // 2]), int(seen[0]))
    history = np.empty((len(batches), 3))
    for step, part in enumerate(batches):
        u, v = users[part], items[part]
        p = functional.sigmoid((arena["user"][u] * arena["item"][v]).sum(1))
        error = (p - label[part])[:, None]
        arena.zero_grad()
        np.add.at(arena.grad["user"], u, error * arena["item"][v])
        np.add.at(arena.grad["item"], v, error * arena["user"][u])
        opt.step()
        updates[np.unique(v)] += 1
        total = opt.state_of("item")["sum"]
        history[step] = [_rate(total[row], opt) for row in shown]
    return RowRates(updates, _rate(opt.state_of("item")["sum"], opt), history, shown, lr)


def _rate(total: Array, opt: optim.Optimizer) -> Any:
    """α/(√V + ε), the median over the last axis; nan before the first gradient, where it is α/ε."""
    group = opt.param_groups[0]
    rate = group["lr"] / (np.sqrt(np.median(total, axis=-1).astype(np.float64)) + group["eps"])
    return np.where(total.any(-1), rate, np.nan)


def effective_lr(dataset: Dataset | None = None, field: str = "movie", **options: Any) -> Figure:
    """Draw AdaGrad's rate against the update count of the rows of an embedding (O12), and three rows over time (O13).

    Parameters
    ----------
    dataset, field, **options
        See `row_rates`; by default the movies of MovieLens.

    Returns
    -------
    matplotlib Figure

    Examples
    --------
    >>> drawn = effective_lr()  # doctest: +SKIP
    """
    rates = row_rates(dataset, field, **options)
    with style():
        made = figure(2)
        left, right = made.subplots(1, 2)
        on = rates.updates > 0
        left.plot(
            rates.updates[on], rates.rates[on], ".", color=VALID, alpha=0.25, markersize=4, rasterized=True
        )
        count = np.array([1.0, rates.updates.max()])
        middle = np.nanmedian(rates.rates[on] * np.sqrt(rates.updates[on]))
        left.plot(
            count, middle / np.sqrt(count), "--", color=REST, linewidth=1.2, label="slope −½: equal gradients"
        )
        left.set(xscale="log", yscale="log", xlabel=f"updates of a row of {field}", ylabel="α/(√V + ε)")
        left.set_title("rare rows learn more from each sample")
        left.legend()
        for row, line, colour in zip(rates.shown, rates.history.T, (INK, VALID, REST), strict=True):
            right.plot(line, color=colour, label=f"updates: {rates.updates[row]:,}")
        right.set(yscale="log", xlabel="batch")
        right.set_title("AdaGrad's rate never rises")
        right.legend()
        made.canvas.draw()
    return made


@dataclass(frozen=True, eq=False)
class LateSignal:
    """What two optimizers made of a signal that came late: w and rate by step."""

    w: dict[str, Array]
    rates: dict[str, Array]
    target: Array


def late(early: int = 2000, after: int = 300, *, lr: float = 0.02, seed: int = 0) -> LateSignal:
    """Walk a parameter under noise without a signal, then under a target that moved to 1.

    Parameters
    ----------
    early, after : int
        Steps before and after the move.
    lr : float
        α of AdaGrad and of RMSProp.
    seed : int
        Of the noise: the gradient is w − target + noise of standard deviation 1 before the move, of 0.05 after it.
    """
    rng = np.random.default_rng(seed)
    steps = early + after
    noise = rng.standard_normal(steps) * np.where(np.arange(steps) < early, 1.0, 0.05)
    target = np.where(np.arange(steps) < early, 0.0, 1.0)
    walks: dict[str, Array] = {}
    rates: dict[str, Array] = {}
    # Equal rates at the first step: RMSProp's V starts at (1 − α)·g² where AdaGrad's is g².
    alpha = 0.99
    w = {"AdaGrad": np.zeros(1), "RMSProp": np.zeros(1)}
    made: dict[str, optim.Optimizer] = {
        "AdaGrad": optim.AdaGrad([w["AdaGrad"]], lr=lr),
        "RMSProp": optim.RMSProp([w["RMSProp"]], lr=lr * (1 - alpha) ** 0.5, alpha=alpha),
    }
    for name, opt in made.items():
        walks[name], rates[name] = np.empty(steps), np.empty(steps)
        for t in range(steps):
            opt.step([w[name] - target[t] + noise[t]])
            walks[name][t] = w[name][0]
            (v,) = opt.state_of("0").values()
            rates[name][t] = opt.param_groups[0]["lr"] / np.sqrt(v[0])
    return LateSignal(walks, rates, target)


def late_signal(early: int = 2000, after: int = 300, *, lr: float = 0.02, seed: int = 0) -> Figure:
    """Draw AdaGrad, which stalls on a signal that comes late, and RMSProp, which recovers (O13).

    Parameters
    ----------
    early, after, lr, seed
        Steps of noise alone, steps with the signal, learning rate, seed; see `late`.

    Returns
    -------
    matplotlib Figure

    Examples
    --------
    >>> drawn = late_signal(early=50, after=20)
    >>> [line.get_label() for line in drawn.axes[0].get_lines()]
    ['target', 'AdaGrad', 'RMSProp']
    """
    seen = late(early, after, lr=lr, seed=seed)
    with style():
        made = figure(2)
        left, right = made.subplots(1, 2)
        left.plot(seen.target, color=TRAIN, linewidth=1.2, linestyle="--", label="target")
        for name, colour in (("AdaGrad", REST), ("RMSProp", VALID)):
            left.plot(seen.w[name], color=colour, label=name)
            right.plot(seen.rates[name], color=colour, label=name)
        left.set(xlabel="step", ylabel="w")
        left.set_title("the signal comes late")
        left.legend()
        right.set(xlabel="step", ylabel="α/√V", yscale="log")
        right.set_title("the rate that is left for it")
        right.legend()
        made.canvas.draw()
    return made
