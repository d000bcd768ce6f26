"""The bootstrap of any metric: an interval from rows, or groups of rows, drawn anew with replacement."""

from __future__ import annotations

import inspect
import warnings
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from fourstep import _core
from fourstep._runtime import execution, limited
from fourstep.metrics import _interval, _resample
from fourstep.metrics._groups import as_integers
from fourstep.metrics._inputs import Array, choice, column, rows, same_index, same_length, whole
from fourstep.metrics._nan import NAN
from fourstep.metrics._order import keys
from fourstep.metrics._sort import lexsort, numbered
from fourstep.metrics.lists import hit_rate, list_weights, mrr, ndcg, precision_at, recall_at
from fourstep.metrics.ranking import auc, gauc, grouped
from fourstep.metrics.score import MetricWarning, Score, UndefinedMetricWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import ArrayLike, NDArray

Unit: TypeAlias = Literal["row", "group"]

#: Metrics that are means over groups.
LISTS = (ndcg, mrr, recall_at, precision_at, hit_rate)
#: Share of the replicates that may have no value without a warning.
MOST_MISSING = 0.01
#: Options of `auc` under which the replicates are counted without looking at a score again.
_COUNTED = {"pos_label", "nan", "on_undefined"}


def bootstrap(
    metric: Callable[..., float],
    y: ArrayLike,
    score: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    n: int = 1000,
    unit: Unit = "row",
    seed: int = 0,
    ci: float = 0.95,
    sample_weight: ArrayLike | None = None,
    threads: int | None = None,
    **options: Any,
) -> Score:
    """Return a metric with an interval: n times, as many rows (or groups) as there are are drawn with replacement.

    replicate b = metric(rows i_1 … i_m),    ci = its percentiles (1 ∓ level)/2,    se = its deviation

    Rows of one user are not independent: their AUC varies more than rows alone would let it. ``unit="group"`` draws whole
    groups, and is the honest one wherever rows come in groups; a few dozen groups are too few.

    Parameters
    ----------
    metric
        ``metric(y, score, **options)``, of this package or anybody's; `sample_weight` and `groups` are handed on where
        they are given (groups only to a metric that has such an argument).
    y, score, sample_weight
        Rows, shape (n_rows,). A row takes its weight along.
    groups
        Ids, as for `gauc`. Under ``unit="group"`` a group that is drawn twice is two groups.
    n
        Replicates, at least 2.
    unit
        What is drawn: ``"row"`` or ``"group"``.
    seed
        From 0 to 2^64 − 1. The same seed and rows give the same replicates on any machine and number of threads.
    ci
        Level of the interval, such as 0.95.
    threads
        As for `auc`.
    options
        Of the metric.

    Returns
    -------
    Score
        The metric of the rows as they are, with ``ci``, ``se`` and ``replicates`` (float64, in order). Replicates without
        a value (one class drawn) are left out and counted: ``dropped["replicates"]``.

    Raises
    ------
    ValueError, TypeError
        What the metric raises; `groups` missing, or with a metric that has no use for them.

    Warns
    -----
    UndefinedMetricWarning
        The metric has no value; or more than 1 % of the replicates have none, and the interval is of the others.

    Notes
    -----
    Cost: for `auc` the rows are sorted once, and a replicate draws and counts. For `gauc` and the metrics of lists
    (`ndcg`, `mrr`, `recall_at`, `precision_at`, `hit_rate`) by group each group is looked at once, and a replicate is a
    mean; a weight that `group_weight` gives to a group goes along with it. Other metrics are called n times. For `auc`
    by row the draws are numbered along the falling scores, so the order of the rows does not matter.

    Where others differ: SciPy's `bootstrap` and scikit-learn's `resample` draw from a sequential generator, and call the
    metric each time.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> rng = np.random.default_rng(0)
    >>> y = rng.random(500) < 0.3
    >>> p = rng.normal(size=500) + y
    >>> score = fs.metrics.bootstrap(fs.metrics.auc, y, p)
    >>> f"{score:.4f}", f"{score.se:.4f}", f"{fs.metrics.auc(y, p, ci=0.95).se:.4f}"
    ('0.7685', '0.0239', '0.0243')
    >>> user = rng.integers(0, 60, 500)
    >>> [round(x, 3) for x in fs.metrics.bootstrap(fs.metrics.gauc, y, p, user, unit="group").ci]
    [0.702, 0.811]
    """
    replicates, seed = whole("n", n, 2, 10**9), whole("seed", seed, 0, 2**64 - 1)
    level = _interval.level(ci)
    choice("unit", unit, ("row", "group"))
    if not callable(metric):
        raise TypeError(f"metric: got {type(metric).__name__}, need a function such as metrics.auc")
    if unit == "group" and groups is None:
        raise TypeError("groups: got none, need ids for unit='group'")
    takes_groups = "groups" in _arguments(metric)
    if groups is not None and unit == "row" and not takes_groups:
        raise TypeError("groups: this metric has no such argument; unit='group' draws by them")
    with limited(threads):
        if metric is gauc and unit == "group":
            return grouped(
                y,
                score,
                groups,
                sample_weight=sample_weight,
                ci=level,
                replicates=replicates,
                seed=seed,
                **options,
            )
        given: dict[str, Any] = {} if sample_weight is None else {"sample_weight": sample_weight}
        if groups is not None and takes_groups:
            given["groups"] = groups
        by_lists = metric in LISTS and unit == "group"
        with _for_the_caller():
            value = metric(y, score, **given, **options | ({"per_group": True} if by_lists else {}))
        if by_lists:
            assert isinstance(value, Score)
            weight, otherwise = options.get("group_weight", "uniform"), options.get("on_undefined", "nan")
            got = _lists(value, weight, replicates, seed, otherwise)
            value.per_group = value.per_group if options.get("per_group") else None
        elif metric is auc and sample_weight is None and options.keys() <= _COUNTED:
            got = _aucs(y, score, groups if unit == "group" else None, replicates, seed, **options)
        else:
            once = partial(metric, **options)
            drop_nan = options.get("nan") == "drop"
            got = _called(
                once, y, score, sample_weight, groups, takes_groups, unit, drop_nan, replicates, seed
            )
    return _with_interval(value, metric, got, level)


def _with_interval(value: float, metric: Any, got: NDArray[np.float64], level: float) -> Score:
    if not isinstance(value, Score):
        value = Score(value, getattr(metric, "__name__", "score"))
    defined = got[~np.isnan(got)]
    missing = len(got) - len(defined)
    interval, se = None, None
    if len(defined) > 1:
        interval, se = _resample.percentiles(defined, level)
    so = "so there is no interval" if interval is None else "and the interval is of the others"
    if interval is None or missing > MOST_MISSING * len(got):
        warnings.warn(
            f"bootstrap: {missing} of {len(got)} replicates have no value, {so}",
            UndefinedMetricWarning,
            stacklevel=3,
        )
    (number, name), rest = value.__getnewargs_ex__()
    rest |= {"ci": interval, "se": se, "replicates": defined}
    rest["dropped"] = rest["dropped"] | {"replicates": missing}
    return Score(number, name, **rest)


@contextmanager
def _for_the_caller() -> Iterator[None]:
    """Let what a metric warns of point at the line that called `bootstrap`."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        yield
    for warning in seen:
        warnings.warn(
            warning.message, warning.category, stacklevel=4
        )  # this, contextlib, bootstrap, its caller


def _lists(value: Score, group_weight: Any, n: int, seed: int, on_undefined: Any) -> NDArray[np.float64]:
    """Draw lists, of which each has a value or does not take part; nan, or what stands for it, where none does."""
    each = value.per_group
    assert each is not None
    there = each["rows"] > 0
    weights = np.where(each["kept"], list_weights(group_weight, each), 0.0)[there]
    got = _resample.means_over_groups(np.where(each["kept"], each["value"], 0.0)[there], weights, n, seed)
    return _instead(
        got, f"{value.name} has no value in a replicate: no list that was drawn counts", on_undefined
    )


def _instead(got: NDArray[np.float64], why: str, on_undefined: Any) -> NDArray[np.float64]:
    """Put what stands for a value where there is none."""
    missing = np.isnan(got)
    if missing.any() and on_undefined != "nan":
        if on_undefined == "raise":
            raise ValueError(why)
        got[missing] = on_undefined
    return got


def _aucs(
    y: ArrayLike,
    score: ArrayLike,
    groups: ArrayLike | None,
    n: int,
    seed: int,
    *,
    pos_label: Any = None,
    nan: str = "raise",
    on_undefined: Any = "nan",
) -> NDArray[np.float64]:
    """Count the replicates of AUC along the falling scores; nan where a class is missing."""
    choice("nan", nan, NAN)
    labels, scores, _ = rows(y, score, None, pos_label, extra=("groups", groups))
    if groups is None:
        got = _core.metrics_bootstrap(labels, scores, None, 0, nan, n, seed, execution())
    else:
        ids: Array = as_integers(groups)[0]
        same_length(labels, ids, "groups")
        if nan == "drop" and scores.dtype.kind == "f":
            stays = ~np.isnan(scores)
            labels, scores, ids = labels[stays], scores[stays], ids[stays]
        names, codes = numbered(ids)
        falling = lexsort(labels, keys(scores))[::-1]  # positives first among equals
        units = codes[falling].astype(np.uint32)
        got = _core.metrics_bootstrap(labels, scores, units, len(names), nan, n, seed, execution())
    return _instead(got, "auc has no value in a replicate: only one class was drawn", on_undefined)


def _called(
    metric: Callable[..., float],
    y: ArrayLike,
    score: ArrayLike,
    sample_weight: ArrayLike | None,
    groups: ArrayLike | None,
    takes_groups: bool,
    unit: str,
    drop_nan: bool,
    n: int,
    seed: int,
) -> NDArray[np.float64]:
    """Call a metric for each replicate. Rows of NaN that are dropped are not drawn."""
    same_index({"y": y, "score": score, "sample_weight": sample_weight, "groups": groups})
    labels = column(y, "y")
    columns = {"score": np.asarray(score)}
    if sample_weight is not None:
        columns["sample_weight"] = column(sample_weight, "sample_weight")
    if groups is not None:
        columns["groups"] = as_integers(groups)[0]
    for name, values in columns.items():
        same_length(labels, values, name)
    if drop_nan and columns["score"].dtype.kind == "f":
        there = ~np.isnan(columns["score"])
        labels, columns = labels[there], {name: values[there] for name, values in columns.items()}
    ids = columns.pop("groups", None)
    scores = columns.pop("score")
    members: list[Array] = []
    if unit == "group" and ids is not None:
        order = lexsort(ids)
        members = np.split(order, np.flatnonzero(np.diff(ids[order])) + 1)
    got = np.empty(n)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", MetricWarning
        )  # the whole has warned, and what is undefined is counted
        for b in range(n):
            drawn = _core.metrics_draws(seed, b, len(members) or len(labels))
            more = {}
            if unit == "group":
                chosen = [members[i] for i in drawn]
                drawn = np.concatenate(chosen)
                if takes_groups:
                    more["groups"] = np.repeat(np.arange(len(chosen)), [len(m) for m in chosen])
            elif takes_groups and ids is not None:
                more["groups"] = ids[drawn]
            more |= {name: values[drawn] for name, values in columns.items()}
            got[b] = metric(labels[drawn], scores[drawn], **more)
    return got


def _arguments(metric: Callable[..., float]) -> set[str]:
    try:
        return set(inspect.signature(metric).parameters)
    except (TypeError, ValueError):  # of a compiled function
        return set()
