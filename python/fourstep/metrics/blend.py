"""Two models as one: pctr = a·new + (1 − a)·old, and what each a is worth (M10)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fourstep import _core, exact_math
from fourstep._runtime import execution, limited
from fourstep._table import table
from fourstep.metrics._groups import as_integers, weights_of_groups
from fourstep.metrics._inputs import (
    Array,
    Rows,
    choice,
    column,
    numbers,
    orderable,
    refuse,
    rows,
    same_index,
    same_length,
    such,
)
from fourstep.metrics._means import mean
from fourstep.metrics._nan import taken
from fourstep.metrics.losses import _entropy, _entropy_of, _logits, _rate
from fourstep.metrics.ranking import GroupWeight, OneClass, _one_class, gauc
from fourstep.metrics.score import MetricWarning, OnUndefined, Score, check_on_undefined, plural, undefined

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

METRICS = ("auc", "gauc", "ne")


class BlendPoint(NamedTuple):
    """A line of a `BlendSweep`: the share of the new model, and the metrics; None for those that were left out."""

    a: float
    auc: float
    gauc: float | None
    ne: float | None


@dataclass(frozen=True, eq=False)
class BlendSweep:
    """What each share of the new model is worth; shown as a table.

    Attributes
    ----------
    a
        Shares of the new model, shape (k,), as they were given.
    auc
        Of a·new + (1 − a)·old, shape (k,).
    gauc
        The same for grouped AUC; None without groups.
    ne
        The same for normalised entropy, of which less is better; None where a score is no probability.
    omitted
        Which metric was left out, and why.
    group_weight
        What a group weighs; None without groups.
    counts
        rows, positives, negatives.
    """

    a: NDArray[np.float64]
    auc: NDArray[np.float64]
    gauc: NDArray[np.float64] | None
    ne: NDArray[np.float64] | None
    omitted: dict[str, str]
    group_weight: str | None
    counts: dict[str, int]

    def __len__(self) -> int:
        """Count the shares."""
        return len(self.a)

    def __iter__(self) -> Iterator[BlendPoint]:
        """Give the lines."""
        none = [None] * len(self)
        columns = (none if x is None else x.tolist() for x in (self.a, self.auc, self.gauc, self.ne))
        return map(BlendPoint._make, zip(*columns, strict=True))

    def best(self, metric: str = "auc") -> BlendPoint:
        """Return the line with the highest "auc" or "gauc", or the lowest "ne"; of several, the smallest a.

        Raises
        ------
        ValueError, TypeError
            No such metric; it was left out; it has no value anywhere.
        """
        choice("metric", metric, METRICS)
        values = getattr(self, metric)
        if values is None:
            raise ValueError(f"metric: {metric} was left out: {self.omitted[metric]}")
        sign = -1.0 if metric == "ne" else 1.0
        there = [line for line in self if not math.isnan(getattr(line, metric))]
        if not there:
            raise ValueError(f"metric: {metric} has no value at any a")
        return max(there, key=lambda line: (sign * getattr(line, metric), -line.a))

    def to_dict(self) -> dict[str, list[float]]:
        """Return the columns that there are as lists: what a data frame is made from."""
        columns = {name: getattr(self, name) for name in ("a", *METRICS)}
        return {name: column.tolist() for name, column in columns.items() if column is not None}

    def __repr__(self) -> str:
        """Show a line an a, and where each metric is best."""
        columns = self.to_dict()
        names = {"a": "a", "auc": "AUC", "gauc": "gAUC", "ne": "NE"}
        cells = [
            [f"{a:g}", *("-" if math.isnan(x) else f"{x:.6f}" for x in rest)]
            for a, *rest in zip(*columns.values(), strict=True)
        ]
        lines = [table([names[name] for name in columns], cells)]
        found = [x for x in METRICS if x in columns and not np.isnan(columns[x]).all()]
        if found:
            lines.append("best: " + ", ".join(f"{names[x]} at a = {self.best(x).a:g}" for x in found))
        lines += [f"without {names[name]}: {why}" for name, why in self.omitted.items()]
        return "\n".join(lines)


def blend_sweep(
    new: ArrayLike,
    old: ArrayLike,
    y: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    grid: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    group_weight: GroupWeight | ArrayLike = "impressions",
    one_class: OneClass = "drop",
    min_rows: int = 2,
    base_rate: float | None = None,
    negative_sampling_rate: float = 1.0,
    pos_label: Any = None,
    on_undefined: OnUndefined = "nan",
    threads: int | None = None,
) -> BlendSweep:
    """AUC, gAUC and NE of a·new + (1 − a)·old for each a of a grid.

    A new model goes live with a small share of the score first; this tells which share is best on the rows at hand, and
    what a small one gains already.

    Scores are blended in float64: two products and a sum, each rounded. At a = 0 and a = 1 nothing is computed: the old
    and the new score stand as they are, so the metrics are those of `auc`, `gauc` and `ne`, bit for bit.

    Parameters
    ----------
    new, old
        Scores of two models for the same rows, shape (n,), finite. They should be on one scale: probabilities, or logits
        of both. NE needs probabilities: where a score is outside [0, 1] it is left out, and `BlendSweep.omitted` says
        why, with the first index.
    y, sample_weight, pos_label, threads
        As for `auc`.
    groups, group_weight, one_class, min_rows
        As for `gauc`; without `groups` there is no gAUC.
    grid
        Shares a, shape (k,), each in [0, 1]; None: 0, 0.1, … 1.
    base_rate, negative_sampling_rate
        As for `ne`, of the blended probability.
    on_undefined
        AUC with one class, gAUC with no group left, NE with one class and no `base_rate`: ``"nan"``, with a warning;
        ``"raise"``; or a number.

    Returns
    -------
    BlendSweep
        A table: ``a``, ``auc``, ``gauc``, ``ne``; `BlendSweep.best` finds the best line.

    Raises
    ------
    ValueError, TypeError
        As for `auc` and `gauc`; scores that are not finite; an empty grid, or an a outside [0, 1].

    Warns
    -----
    MetricWarning
        NE is infinite at some a: a probability of 0 for a positive or 1 for a negative. Only a = 0 and a = 1 have it,
        unless both models are certain and wrong.

    Notes
    -----
    Source: the notes' M10: pctr = a·new + (1 − a)·old with a small first, then growing. The best a of a sweep is
    chosen on these rows: its metrics are too good there, by little for one number.

    Where others differ: stacking fits weights on the log loss and needs no grid, but tells nothing of ranking.

    Examples
    --------
    >>> import fourstep as fs
    >>> y = [0, 1, 0, 1, 0, 1]
    >>> new, old = [0.1, 0.2, 0.3, 0.6, 0.2, 0.8], [0.2, 0.7, 0.1, 0.2, 0.4, 0.5]
    >>> sweep = fs.metrics.blend_sweep(new, old, y, ["a", "a", "b", "b", "c", "c"], grid=[0, 0.25, 0.5, 1])
    >>> sweep
    a     AUC       gAUC      NE
    0     0.833333  1.000000  0.841233
    0.25  0.888889  1.000000  0.744531
    0.5   1.000000  1.000000  0.694398
    1     0.833333  1.000000  0.728221
    best: AUC at a = 0.5, gAUC at a = 0, NE at a = 0.5
    >>> sweep.best("ne").a, sweep.to_dict()["a"]
    (0.5, [0.0, 0.25, 0.5, 1.0])
    """
    check_on_undefined(on_undefined)
    shares = _grid(grid)
    base = None if base_rate is None else _rate("base_rate", base_rate, below_one=True)
    sampled = _rate("negative_sampling_rate", negative_sampling_rate, below_one=False)
    with limited(threads):
        same_index({"new": new, "old": old, "y": y, "sample_weight": sample_weight, "groups": groups})
        of_new = rows(y, new, sample_weight, pos_label, name="new")
        before = orderable(column(old, "old"), "old")
        same_length(of_new.y, before, "old")
        ends = (of_new.score, before)
        wide = (_finite(of_new.score, "new"), _finite(before, "old"))
        omitted = {} if groups is not None else {"gauc": "there are no groups"}
        wrong = _no_probability(wide[0], "new") or _no_probability(wide[1], "old")
        if wrong is not None:
            omitted["ne"] = wrong
        sweep = _Sweep(of_new, base, sampled)
        coded = None
        if groups is not None:
            coded = _Groups.of(groups, group_weight, of_new.y)
            if one_class == "raise":  # here, where groups have their names
                _Groups(groups, "impressions").gauc(of_new, of_new.score, one_class, min_rows)
        aucs: list[float | None] = []
        gaucs, nes = [], []
        for a in shares.tolist():
            score = _blend(ends, wide, a)
            aucs.append(sweep.auc(score))
            if coded is not None:
                gaucs.append(coded.gauc(of_new, score, one_class, min_rows))
            if wrong is None:
                nes.append(sweep.ne(score, a))
    counts = sweep.counts
    p, n = counts["positives"], counts["negatives"]
    columns = {"auc": _column("auc", aucs, _one_class(p, n), on_undefined)}
    if gaucs:
        why = f"of {plural(gaucs[0].counts['groups'], 'group')} none takes part"
        columns["gauc"] = _column("gauc", gaucs, why, on_undefined)
    if nes:
        why = f"it needs both classes or a base_rate, and all rows are of class {int(p > 0)}"
        columns["ne"] = _column("ne", nes, why, on_undefined)
    if sweep.infinite and sweep.entropy:
        first, wrong_rows = sweep.infinite[0]
        warnings.warn(
            f"ne is inf at {len(sweep.infinite)} of {plural(len(nes), 'share')}, the first a = {first:g}:"
            f" {plural(wrong_rows, 'row')} certain and wrong",
            MetricWarning,
            stacklevel=2,
        )
    return BlendSweep(
        shares,
        columns["auc"],
        columns.get("gauc"),
        columns.get("ne"),
        omitted,
        gaucs[0].group_weight if gaucs else None,
        counts,
    )


def _column(
    name: str, values: Sequence[float | None], why: str, on_undefined: OnUndefined
) -> NDArray[np.float64]:
    """Return the values; without one at any a, as it depends on labels and weights alone, what stands for it."""
    found = np.array([math.nan if x is None else float(x) for x in values])
    if np.isnan(found).any():
        found[:] = undefined(name, why, on_undefined, stacklevel=4)
    return found


def _grid(grid: ArrayLike | None) -> NDArray[np.float64]:
    if grid is None:
        return np.arange(11) / 10
    shares = numbers(column(grid, "grid"), "grid").astype(np.float64)
    if not len(shares):
        raise ValueError("grid: got no shares, need at least one")
    refuse("grid", ~((shares >= 0) & (shares <= 1)), "shares in [0, 1]", shares, of="shares")
    return shares


def _finite(scores: Array, name: str) -> NDArray[np.float64]:
    """Return finite scores as float64."""
    refuse(name, ~np.isfinite(scores), "finite scores to blend", scores)
    return scores.astype(np.float64, copy=False)


def _no_probability(scores: NDArray[np.float64], name: str) -> str | None:
    """Say which score is outside [0, 1]."""
    wrong = np.flatnonzero((scores < 0) | (scores > 1))
    if not len(wrong):
        return None
    return f"{name} has {such(scores[wrong[0]], wrong[0], len(wrong), len(scores))}, no probability"


def _blend(ends: tuple[Array, Array], wide: tuple[Array, Array], a: float) -> Array:
    """Return a·new + (1 − a)·old, the new or the old score itself at the ends.

    Of probabilities it is one: a + (1 − a) rounds to 1, so nothing rounds above it.
    """
    if a in (0.0, 1.0):
        return ends[0] if a == 1.0 else ends[1]
    return np.asarray(a * wide[0] + (1.0 - a) * wide[1])


class _Sweep:
    """AUC and NE of one score after another, for labels and weights that were looked at once."""

    def __init__(self, rows: Rows, base_rate: float | None, sampled: float) -> None:
        self.y, _, self.weight = rows
        self.sampled = sampled
        self.counts = taken(rows)
        entropy = _entropy_of(self.y, self.weight, self.counts) if base_rate is None else _entropy(base_rate)
        self.entropy = entropy
        #: Shares at which NE is infinite, and how many rows make it so.
        self.infinite: list[tuple[float, int]] = []

    def auc(self, score: Array) -> float | None:
        return _core.metrics_auc(self.y, score, self.weight, "raise", execution())[0]

    def ne(self, score: Array, a: float) -> float | None:
        p = score if score.dtype.kind == "f" else score.astype(np.float64)
        loss = "log"
        if self.sampled != 1.0:
            p, loss = _logits(p, 0.0) + exact_math.log(self.sampled), "logits"
        found = mean(self.y, p, self.weight, loss)
        if found.infinite:
            self.infinite.append((a, found.infinite))
        return found.value / self.entropy if self.entropy else None


class _Groups(NamedTuple):
    """Ids as integers and weights as floats: `gauc` reads both where they are."""

    ids: ArrayLike
    group_weight: Any

    @classmethod
    def of(cls, groups: ArrayLike, group_weight: Any, y: Array) -> _Groups:
        ids, names = as_integers(groups)
        same_length(y, ids, "groups")
        if not isinstance(group_weight, str) and np.ndim(group_weight):
            distinct = np.unique(ids)
            named = distinct if names is None else names[distinct]
            group_weight = weights_of_groups(group_weight, named, len(distinct))
        return cls(ids, group_weight)

    def gauc(self, rows: Rows, score: Array, one_class: OneClass, min_rows: int) -> Score:
        return gauc(
            rows.y,
            score,
            self.ids,
            sample_weight=rows.weight,
            group_weight=self.group_weight,
            one_class=one_class,
            min_rows=min_rows,
            on_undefined=math.nan,
        )
