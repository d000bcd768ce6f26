"""What a metric returns: a float that carries what it counted and what it left out."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, TypeAlias

from fourstep.metrics._inputs import number

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: What a metric is where it has no value: "nan" (with a warning), "raise", or a number.
OnUndefined: TypeAlias = "str | float"


class MetricWarning(UserWarning):
    """A metric has a value that needs a second look."""


class UndefinedMetricWarning(MetricWarning):
    """A metric has no value, as there is nothing to compare or to divide by."""


#: Why groups do not take part: each is a key of `Score.dropped` after "groups_".
_WHY = ("one_class", "no_relevant", "small", "empty")


class Score(float):
    """A float with a memory: it computes like a number and says, when shown, what it was made from.

    Attributes
    ----------
    name
        The metric.
    counts
        How many rows, positives, negatives, pairs … took part.
    dropped
        What did not take part, by reason; only reasons that occurred.
    tied
        Share of the pairs in which both scores are equal (AUC and gAUC).
    group_weight, groups_kept, groups_dropped
        Of grouped AUC: what a group weighs, and how many groups took part and did not.
    per_group
        Of ``gauc(per_group=True)``: arrays ``group``, ``auc``, ``rows``, ``positives``, ``kept``, one entry a group.
        Of the metrics of lists (`ndcg` …): ``value`` instead of ``auc``.
    ci, se
        Confidence interval (low, high) and standard error, where they were asked for.
    replicates
        Of `bootstrap` and ``gauc(ci=)``: the results of the rows or groups drawn anew.

    Examples
    --------
    >>> import fourstep as fs
    >>> score = fs.metrics.auc([0, 1, 1], [0.2, 0.2, 0.9])
    >>> score
    0.75 (auc: 2 positives, 1 negative, 50 % of pairs tied)
    >>> score * 2, f"{score:.3f}", score.counts["positives"]
    (1.5, '0.750', 2)
    """

    __slots__ = (
        "ci",
        "counts",
        "dropped",
        "group_weight",
        "groups_dropped",
        "groups_kept",
        "name",
        "per_group",
        "replicates",
        "se",
        "tied",
    )

    name: str
    counts: dict[str, int]
    dropped: dict[str, int]
    tied: float | None
    group_weight: str | None
    groups_kept: int | None
    groups_dropped: int | None
    per_group: dict[str, NDArray[Any]] | None
    ci: tuple[float, float] | None
    se: float | None
    replicates: NDArray[Any] | None

    def __new__(
        cls,
        value: float,
        name: str = "score",
        *,
        counts: dict[str, int] | None = None,
        dropped: dict[str, int] | None = None,
        tied: float | None = None,
        group_weight: str | None = None,
        groups_kept: int | None = None,
        groups_dropped: int | None = None,
        per_group: dict[str, NDArray[Any]] | None = None,
        ci: tuple[float, float] | None = None,
        se: float | None = None,
        replicates: NDArray[Any] | None = None,
    ) -> Score:
        """Make a score; metrics do this."""
        self = super().__new__(cls, value)
        self.name = name
        self.counts = counts or {}
        self.dropped = {reason: n for reason, n in (dropped or {}).items() if n}
        self.tied = tied
        self.group_weight = group_weight
        self.groups_kept = groups_kept
        self.groups_dropped = groups_dropped
        self.per_group = per_group
        self.ci = ci
        self.se = se
        self.replicates = replicates
        return self

    def __getnewargs_ex__(self) -> tuple[tuple[float, str], dict[str, Any]]:
        """Pickle and copy with everything."""
        rest = {slot: getattr(self, slot) for slot in self.__slots__ if slot != "name"}
        return (float(self), self.name), rest

    def __str__(self) -> str:
        """Give the number alone."""
        return float.__repr__(self)

    def __repr__(self) -> str:
        """Give the number and what it was made from."""
        details = self._details()
        return f"{float.__repr__(self)} ({self._title()}{': ' if details else ''}{', '.join(details)})"

    def _title(self) -> str:
        return self.name if self.group_weight is None else f"{self.name} by {self.group_weight}"

    def _details(self) -> list[str]:
        counts, dropped = self.counts, self.dropped
        details = []
        if self.groups_kept is not None:
            details.append(f"{plural(self.groups_kept, 'group')} kept")
            if self.groups_dropped:
                why = ((dropped.get(f"groups_{key}", 0), key) for key in _WHY)
                reasons = ", ".join(f"{n:,} {key.replace('_', ' ')}" for n, key in why if n)
                details.append(f"{self.groups_dropped:,} dropped ({reasons})")
            elif self.groups_kept == 1 and self.name == "gauc":
                details.append("so this is its auc")
        elif "negatives" in counts:
            details += [plural(counts["positives"], "positive"), plural(counts["negatives"], "negative")]
        elif "expected" in counts:
            details += [
                f"{counts['expected']:,} then, {counts['actual']:,} now",
                plural(counts["bins"], "bin"),
            ]
        elif "rows" in counts:
            details.append(plural(counts["rows"], "row"))
        if self.tied:
            details.append(f"{100 * self.tied:.3g} % of pairs tied")
        if self.ci is not None:
            details.append(f"interval {self.ci[0]:.6g} to {self.ci[1]:.6g}")
        if "replicates" in dropped:
            details.append(f"{plural(dropped['replicates'], 'replicate')} without a value")
        if "nan" in dropped:
            details.append(f"{plural(dropped['nan'], 'row')} with NaN dropped")
        if "weight_zero" in dropped:
            details.append(f"{plural(dropped['weight_zero'], 'row')} of weight 0")
        return details


def plural(n: int, what: str) -> str:
    """Return "1 row", "2 rows"."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def undefined(name: str, why: str, on_undefined: OnUndefined, stacklevel: int = 3) -> float:
    """Return what stands for a metric that has no value.

    The warning points at the caller of the metric, three frames up; `stacklevel` is for where it is more.
    """
    if on_undefined == "raise":
        raise ValueError(f"{name} has no value: {why}")
    if on_undefined == "nan":
        warnings.warn(f"{name} has no value and is nan: {why}", UndefinedMetricWarning, stacklevel=stacklevel)
        return float("nan")
    return float(on_undefined)


def check_on_undefined(value: OnUndefined) -> None:
    """Refuse what is not "nan", "raise" or a number."""
    if number(value) or (isinstance(value, str) and value in ("nan", "raise")):
        return
    raise ValueError(f"on_undefined: got {value!r}, need 'nan', 'raise' or a number")
