"""Metrics of ranked lists: each group (query, user, request) is a list, sorted by falling score.

    DCG@k        Σ_{i <= k} gain_i / log₂(1 + i)        NDCG@k = DCG@k / the largest DCG@k that any order has
    RR@k         1 / rank of the first relevant row, 0 where that is above k       MRR = its mean
    recall@k     relevant rows among the first k / relevant rows
    precision@k  relevant rows among the first k / k
    hit@k        1 if one of the first k is relevant, else 0

Rows of equal score have no order, so a list is worth its expected value over all orders of them, each as likely. All
five have closed forms (`_ties`), so nothing is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from operator import index
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np

from fourstep._runtime import limited
from fourstep.metrics import _ties
from fourstep.metrics._exact import weighted_mean
from fourstep.metrics._groups import as_integers, weights_of_groups
from fourstep.metrics._inputs import (
    Array,
    choice,
    column,
    numbers,
    plain,
    refuse,
    rows,
    same_index,
    same_length,
)
from fourstep.metrics._nan import NAN, NO_NAN, Nan
from fourstep.metrics._order import keys
from fourstep.metrics._sort import numbered
from fourstep.metrics.ranking import GIVEN
from fourstep.metrics.score import OnUndefined, Score, check_on_undefined, plural, undefined

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats: TypeAlias = NDArray[np.float64]

ListWeight: TypeAlias = Literal["uniform", "impressions", "positives"]
NoRelevant: TypeAlias = Literal["drop", "zero", "raise"]
Gain: TypeAlias = Literal["linear", "exponential"]


def ndcg(
    y: ArrayLike,
    score: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    k: int | None = None,
    gain: Gain = "linear",
    group_weight: ListWeight | ArrayLike = "uniform",
    no_relevant: NoRelevant = "drop",
    per_group: bool = False,
    nan: Nan = "raise",
    on_undefined: OnUndefined = "nan",
    threads: int | None = None,
) -> Score:
    """Normalised discounted cumulative gain, averaged over the groups.

    DCG = Σ_{i <= k} gain_i/log₂(1 + i) over the ranks i = 1, 2 … by falling score; NDCG = DCG/(DCG of the best order)

    Rows of equal score get the mean of their gains: the expected DCG over all orders of them.

    Parameters
    ----------
    y
        How relevant a row is, shape (n,): bool, integer or float grades, finite and >= 0.
    score, nan, threads
        As for `auc`.
    groups
        Ids of the lists, shape (n,), as for `gauc`; None: all rows are one list.
    k
        Look at the first `k` ranks, 1 or more; None: at all.
    gain
        ``"linear"``: the grade; ``"exponential"``: 2^grade − 1, of whole grades up to 1023.
    group_weight
        What a list weighs in the mean: ``"uniform"`` (1), ``"impressions"`` (its rows), ``"positives"`` (its rows with a
        gain) or an array, one weight a group in ascending order of ids, as for `gauc`.
    no_relevant
        What a list does in which no row has a gain: ``"drop"`` leaves it out, counted; ``"zero"`` counts it as 0;
        ``"raise"``.
    per_group
        Whether the result carries every list's value.
    on_undefined
        The result where no list is left: ``"nan"``, with a warning; ``"raise"``; or a number.

    Returns
    -------
    Score
        A float with ``group_weight``, ``groups_kept``, ``groups_dropped``, ``counts`` (groups, groups_kept, and rows and
        positives of the lists kept), ``dropped`` (groups_no_relevant, groups_empty, rows, nan), and with `per_group`
        the arrays ``group``, ``value``, ``rows``, ``positives``, ``kept``, ids ascending.

    Raises
    ------
    ValueError, TypeError
        As for `gauc`; a negative grade, or one that is not finite.

    Notes
    -----
    Source: Järvelin and Kekäläinen 2002; ties as McSherry and Najork 2008.

    Each term of a sum is rounded once, the rest is integer work, and logarithms are our own: neither the order of the
    rows nor the machine can matter. The mean over lists is exact and rounded once.

    Where others differ: scikit-learn's `ndcg_score` has the same gain and the same ties (``ignore_ties=False``), takes
    lists of one length, as rows of a matrix, and counts those without relevant rows as 0. LightGBM and XGBoost take
    2^grade − 1 and count them as 1. Most others break ties by the order of the input.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.ndcg([3, 0, 1, 0, 2], [0.9, 0.8, 0.3, 0.4, 0.6], ["a", "a", "a", "b", "b"])
    0.9819702166583267 (ndcg by uniform: 2 groups kept)
    >>> fs.metrics.ndcg([1, 0], [0.5, 0.5], k=1)
    0.5 (ndcg@1 by uniform: 1 group kept)
    """
    choice("gain", gain, ("linear", "exponential"))
    k = None if k is None else _first(k)
    with limited(threads):
        gains = _gains(y, gain)
        data = _Input(gains, score, groups, named={"y": y, "score": score, "groups": groups})
        return _mean(
            _name("ndcg", k),
            data,
            lambda lists: _ties.ndcg(lists, k),
            _Options(group_weight, no_relevant, per_group, nan, on_undefined),
        )


def mrr(
    y: ArrayLike,
    score: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    k: int | None = None,
    group_weight: ListWeight | ArrayLike = "uniform",
    no_relevant: NoRelevant = "drop",
    per_group: bool = False,
    pos_label: Any = None,
    nan: Nan = "raise",
    on_undefined: OnUndefined = "nan",
    threads: int | None = None,
) -> Score:
    """Mean reciprocal rank: the mean over the groups of 1/(rank of the first relevant row).

    RR = 1/rank, and 0 where the rank is above `k`; of rows of equal score, its expected value over all orders.

    Parameters
    ----------
    y, pos_label
        Labels, as for `auc`: a positive is relevant.
    score, groups, k, group_weight, no_relevant, per_group, nan, on_undefined, threads
        As for `ndcg`.

    Returns
    -------
    Score
        As `ndcg`.

    Raises
    ------
    ValueError, TypeError
        As for `gauc`.

    Notes
    -----
    Where others differ: the usual code breaks ties by the order of the input, so equal scores for all rows give 1 where
    the positive comes first; here they give (1 + ½ + … + 1/n)/n.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.mrr([0, 1, 1, 0, 0], [0.9, 0.8, 0.7, 0.6, 0.7], [1, 1, 2, 2, 2])
    0.625 (mrr by uniform: 2 groups kept)
    """
    k = None if k is None else _first(k)
    with limited(threads):
        return _mean(
            _name("mrr", k),
            _binary(y, score, groups, pos_label),
            lambda lists: _ties.reciprocal_rank(lists, k),
            _Options(group_weight, no_relevant, per_group, nan, on_undefined),
        )


def recall_at(
    y: ArrayLike,
    score: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    k: int,
    group_weight: ListWeight | ArrayLike = "uniform",
    no_relevant: NoRelevant = "drop",
    per_group: bool = False,
    pos_label: Any = None,
    nan: Nan = "raise",
    on_undefined: OnUndefined = "nan",
    threads: int | None = None,
) -> Score:
    """Recall at k, averaged over the groups: relevant rows among the first k, over all relevant rows of the group.

    Of m rows of equal score, r of them relevant, of which q fit into the first k, r·q/m count: the expected value.

    Parameters
    ----------
    y, pos_label
        Labels, as for `auc`: a positive is relevant.
    score, groups, group_weight, no_relevant, per_group, nan, on_undefined, threads
        As for `ndcg`.
    k
        How many ranks, 1 or more.

    Returns
    -------
    Score
        As `ndcg`.

    Raises
    ------
    ValueError, TypeError
        As for `gauc`.

    Notes
    -----
    Where others differ: some divide by min(k, relevant rows), so that 1 can be reached; here it is the whole.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.recall_at([1, 0, 1, 0, 1], [0.9, 0.8, 0.7, 0.6, 0.7], [1, 1, 1, 2, 2], k=1)
    0.75 (recall@1 by uniform: 2 groups kept)
    """
    k = _first(k)
    with limited(threads):
        return _mean(
            _name("recall", k),
            _binary(y, score, groups, pos_label),
            lambda lists: _ties.recall(lists, k),
            _Options(group_weight, no_relevant, per_group, nan, on_undefined),
        )


def precision_at(
    y: ArrayLike,
    score: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    k: int,
    group_weight: ListWeight | ArrayLike = "uniform",
    no_relevant: NoRelevant = "drop",
    per_group: bool = False,
    pos_label: Any = None,
    nan: Nan = "raise",
    on_undefined: OnUndefined = "nan",
    threads: int | None = None,
) -> Score:
    """Precision at k, averaged over the groups: relevant rows among the first k, over k.

    Of m rows of equal score, r of them relevant, of which q fit into the first k, r·q/m count: the expected value.

    Parameters
    ----------
    y, pos_label
        Labels, as for `auc`: a positive is relevant.
    score, groups, group_weight, no_relevant, per_group, nan, on_undefined, threads
        As for `ndcg`. Groups without relevant rows have a precision, 0: ``no_relevant="zero"`` counts it.
    k
        How many ranks, 1 or more. A group of fewer rows is divided by k all the same.

    Returns
    -------
    Score
        As `ndcg`.

    Raises
    ------
    ValueError, TypeError
        As for `gauc`.

    Notes
    -----
    Where others differ: trec_eval also divides by k; some divide by min(k, rows).

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.precision_at([1, 0, 1, 0, 1], [0.9, 0.8, 0.7, 0.6, 0.7], [1, 1, 1, 2, 2], k=2)
    0.5 (precision@2 by uniform: 2 groups kept)
    """
    k = _first(k)
    with limited(threads):
        return _mean(
            _name("precision", k),
            _binary(y, score, groups, pos_label),
            lambda lists: _ties.precision(lists, k),
            _Options(group_weight, no_relevant, per_group, nan, on_undefined),
        )


def hit_rate(
    y: ArrayLike,
    score: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    k: int,
    group_weight: ListWeight | ArrayLike = "uniform",
    no_relevant: NoRelevant = "drop",
    per_group: bool = False,
    pos_label: Any = None,
    nan: Nan = "raise",
    on_undefined: OnUndefined = "nan",
    threads: int | None = None,
) -> Score:
    """Hit rate at k: the share of the groups that have a relevant row among the first k.

    Of m rows of equal score, r of them relevant, q of which fit into the first k, the first k hold a relevant one with
    the probability 1 − Π_{i < q} (m − r − i)/(m − i).

    Parameters
    ----------
    y, pos_label
        Labels, as for `auc`: a positive is relevant.
    score, groups, group_weight, no_relevant, per_group, nan, on_undefined, threads
        As for `ndcg`.
    k
        How many ranks, 1 or more.

    Returns
    -------
    Score
        As `ndcg`.

    Raises
    ------
    ValueError, TypeError
        As for `gauc`.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.hit_rate([1, 0, 1, 0, 1], [0.9, 0.8, 0.7, 0.6, 0.6], [1, 1, 1, 2, 2], k=1)
    0.75 (hit rate@1 by uniform: 2 groups kept)
    """
    k = _first(k)
    with limited(threads):
        return _mean(
            _name("hit rate", k),
            _binary(y, score, groups, pos_label),
            lambda lists: _ties.hit(lists, k),
            _Options(group_weight, no_relevant, per_group, nan, on_undefined),
        )


# What goes in.


class _Input(NamedTuple):
    """Gains of rows (for labels 0 and 1), what ranks them, and which list they are in."""

    gain: Floats
    score: ArrayLike
    groups: ArrayLike | None
    named: dict[str, Any]


class _Options(NamedTuple):
    group_weight: Any
    no_relevant: NoRelevant
    per_group: bool
    nan: Nan
    on_undefined: OnUndefined


def _name(name: str, k: int | None) -> str:
    return name if k is None else f"{name}@{k}"


def _first(k: int) -> int:
    try:
        first = index(k)
    except TypeError:
        raise TypeError(f"k: got {k!r}, need a whole number") from None
    if isinstance(k, bool) or first < 1:
        raise ValueError(f"k: got {k!r}, need 1 or more")
    return min(first, 2**62)


def _gains(y: ArrayLike, gain: Gain) -> Floats:
    grades = numbers(column(y, "y"), "y")
    if len(grades) == 0:
        raise ValueError("y: got no rows, need at least one")
    gains = grades.astype(np.float64)
    refuse("y", ~(np.isfinite(gains) & (gains >= 0)), "finite grades >= 0", gains)
    if gain == "exponential":
        wrong = (gains != np.rint(gains)) | (gains > 1023)
        refuse("y", wrong, 'whole grades up to 1023 for gain="exponential"', gains)
        gains = np.ldexp(1.0, gains.astype(np.int32)) - 1.0
    return gains


def _binary(y: ArrayLike, score: ArrayLike, groups: ArrayLike | None, pos_label: Any) -> _Input:
    data = rows(y, score, None, pos_label, extra=("groups", groups))
    return _Input(data.y.astype(np.float64), data.score, groups, {})


def _mean(name: str, data: _Input, value: Callable[[_ties.Lists], Floats], options: _Options) -> Score:
    """Mean of a value of lists. Called by the metric itself: a warning is for who called that."""
    group_weight, no_relevant, per_group, nan, on_undefined = options
    check_on_undefined(on_undefined)
    choice("nan", nan, NAN)
    choice("no_relevant", no_relevant, ("drop", "zero", "raise"))
    by_name = isinstance(group_weight, str) or np.ndim(group_weight) == 0
    if by_name:
        choice("group_weight", group_weight, ("uniform", "impressions", "positives"))
    gain, ranks, code, ids, missing = _checked(data, nan)
    lists = _ties.in_order(gain, ranks, code)
    every = len(ids)
    there = np.flatnonzero(np.bincount(code, minlength=every))
    relevant = np.zeros(every, np.int64)
    size = np.zeros(every, np.int64)
    relevant[there], size[there] = lists.relevant, lists.size
    without = (relevant == 0) & (size > 0)
    if no_relevant == "raise" and without.any():
        raise ValueError(
            f"groups: {plural(int(without.sum()), 'group')} with no relevant row, the first is"
            f" {plain(ids[np.flatnonzero(without)[0]])!r}; no_relevant='drop' leaves them out, no_relevant='zero' counts"
            " them as 0"
        )
    kept = (size > 0) if no_relevant == "zero" else relevant > 0
    values = np.full(every, np.nan)
    values[there] = value(lists)
    values[~kept] = np.nan
    each = {"group": ids, "value": values, "rows": size, "positives": relevant, "kept": kept}
    weights = list_weights(group_weight, each)
    result = weighted_mean(values[kept], weights[kept])
    if result is None:
        why = f"of {plural(every, 'group')} none has a relevant row"
        if kept.any():
            why = f"each of the {plural(int(kept.sum()), 'group')} kept weighs 0 by {group_weight if by_name else GIVEN}"
        result = undefined(name, why, on_undefined, stacklevel=4)
    out = ~kept
    return Score(
        result,
        name,
        counts={
            "groups": every,
            "groups_kept": int(kept.sum()),
            "rows": int(size[kept].sum()),
            "positives": int(relevant[kept].sum()),
        },
        dropped={
            "groups_no_relevant": int((out & (size > 0)).sum()),
            "groups_empty": int((size == 0).sum()),
            "rows": int(size[out].sum()),
            "nan": missing,
        },
        group_weight=group_weight if by_name else GIVEN,
        groups_kept=int(kept.sum()),
        groups_dropped=int(out.sum()),
        per_group=each if per_group else None,
    )


def _checked(data: _Input, nan: Nan) -> tuple[Floats, Array, NDArray[np.int64], Array, int]:
    """Return gains, keys of the scores and numbers of the lists, of rows that count; the ids; how many do not."""
    same_index(data.named)
    gain = data.gain
    score = rows(np.zeros(len(gain), np.uint8), data.score, None, None).score
    if data.groups is None:
        ids, code = np.zeros(1, np.int64), np.zeros(len(gain), np.int64)
    else:
        integers, names = as_integers(data.groups)
        same_length(gain, integers, "groups")
        ids, code = numbered(integers)
        ids = ids if names is None else names[ids]
    missing = np.isnan(score) if score.dtype.kind == "f" else np.zeros(len(gain), np.bool_)
    if nan == "lowest" or not missing.any():
        return gain, keys(score), code, ids, 0
    if nan == "raise":
        refuse("score", missing, NO_NAN, math.nan)
    if missing.all():
        raise ValueError(f"score: all {len(gain)} rows are NaN")
    stays = ~missing
    return gain[stays], keys(score[stays]), code[stays], ids, int(missing.sum())


def list_weights(group_weight: Any, each: dict[str, Array]) -> Floats:
    """Return what each list weighs, from the arrays of ``per_group``."""
    ids = each["group"]
    if not (isinstance(group_weight, str) or np.ndim(group_weight) == 0):
        return weights_of_groups(group_weight, ids, len(ids))
    if group_weight == "uniform":
        return np.ones(len(ids))
    return each["rows" if group_weight == "impressions" else "positives"].astype(np.float64)
