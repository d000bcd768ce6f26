"""AUC of all rows as what happens inside the groups and what happens between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fourstep import _core
from fourstep._runtime import execution, limited
from fourstep._table import table
from fourstep.metrics._exact import dot, in_units
from fourstep.metrics._groups import as_integers
from fourstep.metrics._inputs import Array, Rows, choice, rows, same_length
from fourstep.metrics._nan import NAN, Nan
from fourstep.metrics._order import keys
from fourstep.metrics._sort import lexsort
from fourstep.metrics.ranking import _dropped, _one_class
from fourstep.metrics.score import OnUndefined, check_on_undefined, plural, undefined

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Decomposition:
    """AUC = a·within + (1 − a)·between; shown as a table.

    Attributes
    ----------
    auc
        Of all pairs.
    within, between
        Of the pairs inside one group, and of those across two; nan where there is none.
    within_share, between_share
        a, and 1 − a: the shares of the pairs.
    pairs, within_pairs, between_pairs
        How many; with sample weights Σ w_i·w_j, floats.
    groups, groups_with_pairs
        Groups, and those that have both classes.
    dropped
        Rows that did not take part, by reason; only reasons that occurred.
    """

    auc: float
    within: float
    between: float
    within_share: float
    between_share: float
    pairs: float
    within_pairs: float
    between_pairs: float
    groups: int
    groups_with_pairs: int
    dropped: dict[str, int]

    def __repr__(self) -> str:
        """Show a line for all pairs and one for each part, and how many groups there are."""
        lines = (
            ("all", self.auc, 1.0, self.pairs),
            ("within groups", self.within, self.within_share, self.within_pairs),
            ("between groups", self.between, self.between_share, self.between_pairs),
        )
        cells = [
            (name, "-" if math.isnan(auc) else f"{auc:.6f}", f"{100 * share:.4g} %", _count(n))
            for name, auc, share, n in lines
        ]
        notes = [f"{plural(self.groups, 'group')}, {self.groups_with_pairs:,} with both classes"]
        if "nan" in self.dropped:
            notes.append(f"{plural(self.dropped['nan'], 'row')} with NaN dropped")
        if "weight_zero" in self.dropped:
            notes.append(f"{plural(self.dropped['weight_zero'], 'row')} of weight 0")
        return table(("pairs", "AUC", "share", "number"), cells) + f"\n{', '.join(notes)}"


def _count(n: float) -> str:
    return f"{n:,}" if isinstance(n, int) else f"{n:.6g}"


class _Pairs(NamedTuple):
    """Twice the pairs that the positive wins, ties once; and all pairs."""

    won: int
    all: int

    def auc(self) -> float:
        """Return the quotient, rounded once."""
        return self.won / (2 * self.all) if self.all else math.nan


def decompose(
    y: ArrayLike,
    score: ArrayLike,
    groups: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: Any = None,
    nan: Nan = "raise",
    on_undefined: OnUndefined = "nan",
    threads: int | None = None,
) -> Decomposition:
    """AUC of all rows as a mean of two: of the pairs inside the groups and of the pairs between them.

    AUC = a·AUC_within + (1 − a)·AUC_between,    a = Σ_g P_g·N_g / (P·N)

    A model can raise its AUC by knowing which users click much, without ordering any user's rows better: that gain is
    in AUC_between, and no user sees it. The number of pairs between groups is the difference of two integers, and so
    are the pairs won there; each of the three AUCs is one division.

    Parameters
    ----------
    y, score, sample_weight, pos_label, nan, threads
        As for `auc`. With weights a pair counts w_i·w_j.
    groups
        Ids, shape (n,), as for `gauc`.
    on_undefined
        What ``auc`` is where there is only one class: ``"nan"``, with a warning; ``"raise"``; or a number.

    Returns
    -------
    Decomposition
        ``auc`` (that of `auc`, bit for bit), ``within`` (without sample weights that of ``gauc(group_weight="pairs")``),
        ``between``, their shares and numbers of pairs. A part without pairs is nan, and its share is 0.

    Raises
    ------
    ValueError, TypeError
        As for `auc`; a null id.

    Notes
    -----
    Where others differ: none of scikit-learn, torchmetrics, TorchRec has it. In most data with many users a is small,
    below a percent, so AUC is nearly AUC_between.

    Examples
    --------
    >>> import fourstep as fs
    >>> y = [1, 1, 0, 0, 0, 1]
    >>> p = [0.7, 0.8, 0.9, 0.1, 0.2, 0.15]
    >>> fs.metrics.decompose(y, p, ["ann", "ann", "ann", "bob", "bob", "bob"])
    pairs           AUC       share    number
    all             0.555556  100 %    9
    within groups   0.250000  44.44 %  4
    between groups  0.800000  55.56 %  5
    2 groups, 2 with both classes
    """
    check_on_undefined(on_undefined)
    choice("nan", nan, NAN)
    with limited(threads):
        data = rows(y, score, sample_weight, pos_label, extra=("groups", groups))
        labels, scores, weights = data
        ids, _ = as_integers(groups)
        same_length(labels, ids, "groups")
        got = _core.metrics_auc(labels, scores, weights, nan, execution())
        value, positives, negatives, (below, tied, pairs), left = got
        _, tallies, _, (within_below, within_tied, within_pairs), _, _ = _core.metrics_gauc(
            labels, scores, ids, False, weights, "uniform", "drop", 0, nan, False, execution()
        )
    unit = Fraction(1)
    if weights is None:
        every = _Pairs(2 * below + tied, pairs)
        within = _Pairs(2 * within_below + within_tied, within_pairs)
    else:
        every, within, unit = _weighted(data, ids, nan)
    if value is None:
        value = undefined("decompose", _one_class(positives, negatives), on_undefined)
    between = _Pairs(every.won - within.won, every.all - within.all)
    number = [x.all if weights is None else float(x.all * unit) for x in (every, within, between)]
    return Decomposition(
        auc=value,
        within=within.auc(),
        between=between.auc(),
        within_share=within.all / every.all if every.all else 0.0,
        between_share=between.all / every.all if every.all else 0.0,
        pairs=number[0],
        within_pairs=number[1],
        between_pairs=number[2],
        groups=sum(tally[0] for tally in tallies),
        groups_with_pairs=tallies[0][0],
        dropped={reason: n for reason, n in _dropped(left).items() if n},
    )


def _weighted(data: Rows, ids: Array, nan: str) -> tuple[_Pairs, _Pairs, Fraction]:
    """Return all pairs and those within groups, and the weight of one.

    Weights become integers as in the kernels, in a unit for each class: each is rounded by at most 2^−61 of their sum.
    """
    labels, scores, weights = data
    assert weights is not None
    counts = weights > 0
    if nan != "lowest" and scores.dtype.kind == "f":
        counts &= ~np.isnan(scores)
    if not counts.all():
        labels, scores, ids, weights = labels[counts], scores[counts], ids[counts], weights[counts]
    positive, key = labels == 1, keys(scores)
    whole = np.zeros(len(labels), np.int64)
    unit = Fraction(1)
    for cls in (positive, ~positive):
        if cls.any():
            whole[cls], power = in_units(weights[cls])
            unit /= Fraction(2) ** power
    by_key = lexsort(key)
    ids, key, positive, whole = (x[by_key] for x in (ids, key, positive, whole))
    every = _count_pairs(np.zeros(len(key), np.int64), key, positive, whole)
    by_group = lexsort(ids)  # in which equal ids stay in the order of their keys
    return every, _count_pairs(*(x[by_group] for x in (ids, key, positive, whole))), unit


def _count_pairs(group: Array, key: Array, positive: Array, whole: Array) -> _Pairs:
    """Count the pairs within groups, of rows sorted by group and key.

    Equal keys of a group are a block. Its positives win against the negatives of the blocks before, and tie with its own.
    """
    new_group = np.concatenate([[True], group[1:] != group[:-1]])
    block = np.flatnonzero(new_group | np.concatenate([[True], key[1:] != key[:-1]]))
    first = np.flatnonzero(new_group[block])
    p = np.add.reduceat(np.where(positive, whole, 0), block)
    n = np.add.reduceat(np.where(positive, 0, whole), block)
    before = np.cumsum(n) - n
    before -= np.repeat(before[first], np.diff(np.append(first, len(block))))
    some = p > 0  # sums are below 2^62, so twice one fits
    won = dot(p[some], (2 * before + n)[some])
    return _Pairs(won, dot(np.add.reduceat(p, first), np.add.reduceat(n, first)))
