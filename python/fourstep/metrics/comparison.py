"""Scores of the same rows side by side: AUC and gAUC of each, and intervals of the differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fourstep._runtime import limited
from fourstep._table import table
from fourstep.metrics import _interval, _resample
from fourstep.metrics._inputs import Rows, choice, rows
from fourstep.metrics._nan import NAN, Nan
from fourstep.metrics.delong import Pairs
from fourstep.metrics.ranking import GroupWeight, OneClass, grouped
from fourstep.metrics.score import Score, plural

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Difference(NamedTuple):
    """How a score differs from the baseline: value, standard error, interval, and p (of DeLong's test; nan for gAUC)."""

    value: float
    se: float
    ci: tuple[float, float]
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """AUC and gAUC of several scores; shown as a table.

    Attributes
    ----------
    baseline
        The name that the others are compared with.
    auc, gauc
        `Score` by name, each with its own ``ci``; `gauc` is empty where there are no groups.
    auc_difference, gauc_difference
        By name, the baseline left out: `Difference` ``(value, se, ci, p_value)`` of paired draws.
    level
        Of the intervals.
    """

    baseline: str
    auc: dict[str, Score]
    auc_difference: dict[str, Difference]
    gauc: dict[str, Score]
    gauc_difference: dict[str, Difference]
    level: float

    def __repr__(self) -> str:
        """Show a line for each score and metric."""
        cells = []
        for metric, scores, differences in (
            ("AUC", self.auc, self.auc_difference),
            ("gAUC", self.gauc, self.gauc_difference),
        ):
            for name, score in scores.items():
                more = differences.get(name)
                change = (
                    ("", "", "") if more is None else (f"{more.value:+.6f}", _range(more.ci, "+"), _p(more))
                )
                cells.append((metric, name, f"{score:.6f}", _range(score.ci, ""), *change))
        head = ("", "score", "value", f"{self.level:.4g} interval", f"less {self.baseline}", "interval", "p")
        counts = next(iter(self.auc.values())).counts
        notes = [plural(counts["rows"], "row"), plural(counts["positives"], "positive")]
        for score in list(self.gauc.values())[:1]:
            notes.append(f"{plural(score.groups_kept or 0, 'group')} kept, {score.groups_dropped:,} dropped")
        return f"{table(head, cells)}\n{', '.join(notes)}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers: ``{metric: {name: {value, se, low, high, difference…}}}``."""
        out: dict[str, Any] = {"baseline": self.baseline, "level": self.level}
        for metric in ("auc", "gauc"):
            scores: dict[str, Score] = getattr(self, metric)
            differences: dict[str, Difference] = getattr(self, f"{metric}_difference")
            out[metric] = {name: _of_score(score) for name, score in scores.items()}
            for name, (value, se, ci, p) in differences.items():
                out[metric][name]["difference"] = {
                    "value": value, "se": se, "low": ci[0], "high": ci[1], "p_value": p
                }  # fmt: skip
        return out


def _of_score(score: Score) -> dict[str, Any]:
    low, high = score.ci or (None, None)
    return {"value": float(score), "se": score.se, "low": low, "high": high}


def _range(ci: tuple[float, float] | None, sign: str) -> str:
    return "-" if ci is None else f"{ci[0]:{sign}.6f} to {ci[1]:{sign}.6f}"


def _p(difference: Difference) -> str:
    return "" if np.isnan(difference.p_value) else f"{difference.p_value:.3g}"


def compare(
    scores: Mapping[str, ArrayLike],
    y: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    baseline: str | None = None,
    ci: float = 0.95,
    group_weight: GroupWeight | ArrayLike = "impressions",
    one_class: OneClass = "drop",
    min_rows: int = 2,
    n: int = 1000,
    seed: int = 0,
    pos_label: Any = None,
    nan: Nan = "raise",
    threads: int | None = None,
) -> Comparison:
    """Compare scores of the same rows: AUC by DeLong's paired variance, gAUC by drawing the same groups for all.

    Two models of one data set share most of their error, so the interval of the difference is much narrower than those of
    the scores suggest: overlapping intervals say nothing.

    Parameters
    ----------
    scores
        ``{"old": s1, "new": s2, …}``, each of shape (n,); two or more.
    y, pos_label, threads
        As for `auc`.
    groups
        Ids, as for `gauc`: adds gAUC.
    baseline
        The name to compare with; None: the first.
    ci
        Level of all intervals.
    group_weight, one_class, min_rows
        As for `gauc`.
    n, seed
        Replicates of the bootstrap over groups, and its seed (`bootstrap`).
    nan
        ``"raise"``; ``"drop"`` leaves out rows where any score is NaN; ``"lowest"``.

    Returns
    -------
    Comparison
        ``auc``, ``gauc``, ``auc_difference``, ``gauc_difference``; a table when shown.

    Raises
    ------
    ValueError, TypeError
        As for `auc` and `delong_test`; a name that is not there.

    Notes
    -----
    DeLong's test takes rows as independent. Where rows come in groups, trust the gAUC line, whose groups are drawn
    whole; an interval of AUC by groups is ``bootstrap(auc, …, unit="group")``.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> rng = np.random.default_rng(0)
    >>> y = rng.random(4000) < 0.2
    >>> user = rng.integers(0, 300, 4000)
    >>> old = rng.normal(size=4000) + y
    >>> fs.metrics.compare({"old": old, "new": old + 0.3 * rng.normal(size=4000) + 0.1 * y}, y, user)
          score  value     0.95 interval         less old   interval                p
    AUC   old    0.760402  0.742464 to 0.778340
    AUC   new    0.774745  0.757146 to 0.792344  +0.014344  +0.008548 to +0.020139  1.23e-06
    gAUC  old    0.759639  0.736325 to 0.780273
    gAUC  new    0.773799  0.752737 to 0.793477  +0.014160  +0.006377 to +0.021553
    4,000 rows, 833 positives, 281 groups kept, 19 dropped
    """
    level = _interval.level(ci)
    choice("nan", nan, NAN)
    names = _names(scores, baseline)
    with limited(threads):
        first = rows(y, scores[names[0]], None, pos_label, name=names[0], extra=("groups", groups))
        columns = [first] + [rows(y, scores[name], None, pos_label, name=name) for name in names[1:]]
        pairs = Pairs(columns, names, nan)
        aucs = {name: pairs.auc(i, level) for i, name in enumerate(names)}
        base = names.index(baseline if baseline is not None else names[0])
        differences = {}
        for i, name in enumerate(names):
            if i != base:
                test = pairs.test(base, i, level)
                differences[name] = Difference(test.difference, test.se, test.ci, test.p_value)
        gaucs: dict[str, Score] = {}
        more: dict[str, Difference] = {}
        if groups is not None:
            if pairs.dropped:
                # A row that is NaN in one score is left out of all; its group stays in the list of groups.
                missing = np.logical_or.reduce([_missing(c) for c in columns])
                columns = [_without(c, missing) for c in columns]
            for name, column in zip(names, columns, strict=True):
                gaucs[name] = grouped(
                    column.y, column.score, groups, group_weight=group_weight, one_class=one_class,
                    min_rows=min_rows, ci=level, nan=nan, replicates=n, seed=seed,
                )  # fmt: skip
            more = {
                name: difference
                for name in names
                if name != names[base] and (difference := _paired(gaucs[names[base]], gaucs[name], level))
            }
    return Comparison(names[base], aucs, differences, gaucs, more, level)


def _names(scores: Mapping[str, ArrayLike], baseline: str | None) -> list[str]:
    if not isinstance(scores, Mapping):
        raise TypeError(f'scores: got {type(scores).__name__}, need a dict such as {{"old": s1, "new": s2}}')
    names = list(scores)
    if len(names) < 2:
        raise ValueError(f"scores: got {plural(len(names), 'score')}, need two or more to compare")
    if baseline is not None and baseline not in scores:
        raise ValueError(f'baseline: got "{baseline}", need one of {", ".join(map(str, names))}')
    return names


def _missing(column: Rows) -> NDArray[np.bool_]:
    if column.score.dtype.kind != "f":
        return np.zeros(len(column.score), np.bool_)
    return np.isnan(column.score)


def _without(column: Rows, missing: NDArray[np.bool_]) -> Rows:
    score = column.score
    if (
        score.dtype.kind != "f"
    ):  # NaN needs a float, which holds the ranks of integers that it would not hold themselves
        score = np.unique(score, return_inverse=True)[1].astype(np.float64)
    return Rows(column.y, np.where(missing, np.array(np.nan, score.dtype), score), None)


def _paired(base: Score, other: Score, level: float) -> Difference | None:
    """Return the difference of two gAUCs whose replicates drew the same groups; None where there is no replicate."""
    if base.replicates is None or other.replicates is None or not len(base.replicates):
        return None
    ci, se = _resample.percentiles(other.replicates - base.replicates, level)
    return Difference(float(other) - float(base), se, ci, float("nan"))
