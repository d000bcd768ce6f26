"""All metrics of one set of rows, from one check of the input."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal

from fourstep._runtime import limited
from fourstep.metrics import _evaluate as compute
from fourstep.metrics import losses
from fourstep.metrics._counts import Order, number_of_bins
from fourstep.metrics._inputs import choice
from fourstep.metrics._interval import level
from fourstep.metrics._nan import NAN, Nan, taken
from fourstep.metrics.gap import class_gap
from fourstep.metrics.ranking import GroupWeight, OneClass, _one_class
from fourstep.metrics.report import Report
from fourstep.metrics.score import (
    MetricWarning,
    OnUndefined,
    UndefinedMetricWarning,
    check_on_undefined,
    plural,
)
from fourstep.metrics.shift import js, psi

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

TASKS = (
    "AUC does not compare across tasks: where the classes lie closer, as clicks do beside purchases, a model that is as"
    " good has a lower one"
)
_PROBABILITIES = ("logloss", "ne", "brier", "calibration_ratio", "calibration", "ece", "bucket_error")
_AT_THRESHOLD = (
    "confusion",
    "precision",
    "recall",
    "specificity",
    "f1",
    "mcc",
    "best_threshold",
    "class_gap",
)


def evaluate(
    y: ArrayLike,
    score: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    group_weight: GroupWeight | ArrayLike = "impressions",
    one_class: OneClass = "drop",
    min_rows: int = 2,
    position: ArrayLike | None = None,
    time: ArrayLike | None = None,
    expected: ArrayLike | None = None,
    threshold: float = 0.5,
    bins: int = 10,
    from_logits: bool = False,
    clip: float | Literal["eps"] | None = None,
    base_rate: float | None = None,
    negative_sampling_rate: float = 1.0,
    ci: float | None = None,
    pos_label: Any = None,
    nan: Nan = "raise",
    on_undefined: OnUndefined = "nan",
    threads: int | None = None,
) -> Report:
    """Compute all metrics of one set of rows: input checked once, and the same rows left out for every metric.

    Each number is that of the function of its name, bit for bit.

    Parameters
    ----------
    y, score, sample_weight, pos_label, nan, threads
        As for `auc`. With ``nan="lowest"`` a NaN takes part in what only ranks; what needs its value is absent.
    groups, group_weight, one_class, min_rows
        As for `gauc`: ids, shape (n,), for ``gauc`` and ``decomposition``.
    position, time
        Slices for ``position`` and ``time``, shape (n,), as for `auc_by`: positions in the list that was shown; days.
    expected
        Scores of another time, shape (m,), from which ``psi`` and ``js`` measure how far `score` has moved. They count
        rows: there are no weights in them.
    threshold
        As for `confusion`; with `from_logits` a probability t, that is ln(t/(1 − t)) on the scale of the scores, but
        for what `best_threshold` returned, which is on that scale.
    bins
        Of ``calibration`` and ``ece``, at most.
    from_logits
        Whether scores are logits z. Losses come from z; what needs probabilities takes σ(z) in float64.
    clip, base_rate, negative_sampling_rate
        As for `logloss` and `ne`.
    ci
        Level of the intervals of ``auc`` (DeLong's; none with weights or a single row of a class, which ``notes`` says)
        and ``gauc``, such as 0.95.
    on_undefined
        What a metric is that has no value, as there is one class only or no group is left: ``"nan"``, with one warning
        for all of them; ``"raise"``; or a number.

    Returns
    -------
    Report
        Prints as a table; ``to_dict()``, ``to_json()``, ``plot()``.

    Raises
    ------
    ValueError, TypeError
        As the functions do.

    Warns
    -----
    UndefinedMetricWarning
        Metrics have no value, and `on_undefined` is ``"nan"``.
    MetricWarning
        A probability is 0 for a positive or 1 for a negative: the log loss is infinite.

    Notes
    -----
    Log loss and its kin need probabilities: where a score is outside [0, 1] they are absent, and never guessed. The
    bucket error has no weights, and is absent where there are some. A quotient of the confusion matrix with nothing below
    the line is 0.0, as by its own function, and is named among the ``warnings`` of the report.

    Examples
    --------
    >>> import fourstep as fs
    >>> user = ["ann", "ann", "ann", "bob", "bob", "bob"]
    >>> fs.metrics.evaluate([1, 0, 0, 1, 1, 0], [2.5, 0.5, -1.0, 0.0, -0.5, -2.0], groups=user, threshold=0.0)
    6 rows: 3 positives, 3 negatives
    metric                       value
    prevalence                   0.500000
    AUC                          0.777778
    gAUC                         1.000000   by impressions, 2 groups kept, 0 dropped
    AUC of pairs within groups   1.000000   44.44 % of pairs
    AUC of pairs between groups  0.600000   55.56 % of pairs
    average precision            0.805556
    KS                           0.666667
    class gap                    1.500000   1.273 standard deviations
    F1                           0.666667   at threshold 0
    precision                    0.666667
    recall                       0.666667
    specificity                  0.666667
    MCC                          0.333333
    best threshold for F1        -0.500000  F1 0.857143, the best on these rows, which flatters
    <BLANKLINE>
    score >= 0    predicted 0  predicted 1
    actual 0                2            1
    actual 1                1            2
    <BLANKLINE>
    no logloss, ne, brier, ...: scores outside [0, 1] are no probabilities: 2.5 at index 0 (4 such of 6 rows); ...
    AUC does not compare across tasks: ...
    """
    check_on_undefined(on_undefined)
    choice("nan", nan, NAN)
    base = None if base_rate is None else losses._rate("base_rate", base_rate, below_one=True)
    kept = losses._rate("negative_sampling_rate", negative_sampling_rate, below_one=False)
    limit, most = losses._limit(score, clip, from_logits), number_of_bins(bins)
    ci = None if ci is None else level(ci)
    # What has no value does not warn by itself: the draft does, once.
    quiet = math.nan if on_undefined == "nan" else on_undefined
    with limited(threads):
        others = {"groups": groups, "position": position, "time": time}
        data = compute.check(y, score, sample_weight, pos_label, nan, others)
        draft = _Draft(data)
        ordered = data.sort()
        draft.add(compute.by_order(data, ordered, draft.counts, ci, quiet))
        if ci is not None and draft.values["auc"].ci is None:
            draft.notes.append(
                "auc has no interval: DeLong's is for rows without weights, two of each class at least; bootstrap()"
                " has one"
            )
        if groups is not None:
            parts = compute.by_group(
                data,
                groups,
                nan,
                group_weight=group_weight,
                one_class=one_class,
                min_rows=min_rows,
                ci=ci,
                on_undefined=quiet,
            )
            draft.add(parts)
            if ci is not None and parts.gauc.ci is None:
                draft.notes.append("gauc has no interval: fewer than two groups take part")
        if position is not None:
            each, mean = compute.by_slice(data, position, "position", nan, quiet, mean=True)
            draft.values |= {"position": each, "position_auc": mean}
        if time is not None:
            draft.values["time"] = compute.by_slice(data, time, "time", nan, quiet, mean=False).each
        draft.at_threshold(ordered, *compute.cuts(threshold, score, data.rows.score, from_logits))
        p, why = compute.probabilities(data, ordered, from_logits)
        if p is None:
            draft.leave_out(_PROBABILITIES, why)
        else:
            draft.calibrated(
                compute.by_loss(data.rows, p, draft.counts, limit, from_logits, base, kept, quiet),
                compute.by_bin(data.rows, p, ordered, most),
            )
        if expected is not None:
            draft.moved(expected, nan)
    undefined = draft.undefined(base)
    if undefined and on_undefined == "nan":
        draft.warn(f"no value, and nan or None: {undefined}", UndefinedMetricWarning)
    return draft.report()


class _Draft:
    """A report in the making: values by attribute, reasons of what is absent, and what there is to say."""

    def __init__(self, data: compute.Checked) -> None:
        self.data = data
        self.counts = taken(data.rows)
        self.values: dict[str, Any] = dict.fromkeys(field.name for field in fields(Report))
        self.absent: dict[str, str] = {}
        self.warnings: list[str] = []
        self.notes = [TASKS]
        self.values["prevalence"] = compute.prevalence(data.rows, self.counts)
        self.unranked = (
            f"{plural(data.unranked, 'row')} with NaN ranked lowest, which has no place on the scale"
        )

    def add(self, part: Any) -> None:
        """Take over what has an attribute of its own."""
        self.values |= part._asdict()

    def leave_out(self, names: Iterable[str], why: str) -> None:
        self.absent |= dict.fromkeys(names, why)

    def warn(self, text: str, category: type[Warning]) -> None:
        """Warn the caller of `evaluate`."""
        warnings.warn(text, category, stacklevel=3)

    def at_threshold(self, ordered: Order | None, at: float, cut: float) -> None:
        """Take what a threshold says, and the gap between the classes."""
        if self.data.unranked:
            return self.leave_out(_AT_THRESHOLD, self.unranked)
        found = compute.by_threshold(self.data.rows, at, cut)
        self.warnings += [f"{name} is 0.0: {why}" for name, why in found.empty.items()]
        self.add(found)
        if self.counts["positives"] and self.counts["negatives"]:
            gap = class_gap(self.data.rows, float(self.values["prevalence"]), ordered)
            self.values["class_gap"] = None if isinstance(gap, str) else gap
            self.absent |= {"class_gap": gap} if isinstance(gap, str) else {}
        return None

    def calibrated(self, means: compute.ByLoss, bins: compute.ByBin) -> None:
        """Take what needs probabilities."""
        self.add(means)
        self.add(bins)
        if bins.bucket_error is None:
            self.absent["bucket_error"] = "it counts rows, and these have weights"
        elif math.isnan(bins.bucket_error):
            self.absent["bucket_error"] = "no bucket has enough rows"
        infinite, first = means.logloss.counts.get("infinite", 0), means.first_infinite
        if infinite and first is not None:
            first = first if self.data.place is None else int(self.data.place[first])
            self.warnings.append(
                f"logloss is inf: {plural(infinite, 'row')} certain and wrong, the first at index {first}; pass logits"
                " (from_logits=True), or clip='eps' as scikit-learn does"
            )
            warnings.warn(self.warnings[-1], MetricWarning, stacklevel=3)

    def moved(self, expected: ArrayLike, nan: Nan) -> None:
        """Compare the scores with those of another time."""
        if self.data.unranked:
            return self.leave_out(("psi", "js"), self.unranked)
        policy: Literal["raise", "drop"] = "drop" if nan == "drop" else "raise"
        for metric in (psi, js):
            self.values[metric.__name__] = metric(expected, self.data.rows.score, nan=policy)
        if self.data.rows.weight is not None:
            self.notes.append("psi and js count rows: weights are not in them")
        return None

    def undefined(self, base_rate: float | None) -> str:
        """Note which metrics have no value, as classes or groups are missing; and say it in one line."""
        positives, negatives = self.counts["positives"], self.counts["negatives"]
        names: list[str] = []
        if not positives or not negatives:
            names = ["auc", "ks", "decomposition", "class_gap", *(["ne"] if base_rate is None else [])]
        if not positives:
            names += ["average_precision", "best_threshold", "calibration_ratio"]
        asked = {"decomposition", "ne", "calibration_ratio"}
        names = [
            name
            for name in names
            if name not in self.absent and not (name in asked and self.values[name] is None)
        ]
        found = dict.fromkeys(names, _one_class(positives, negatives))
        ne = self.values["ne"]
        if "ne" not in found and ne is not None and math.isnan(ne):
            found["ne"] = "the weight of a class is next to nothing, so the base rate has no entropy"
        for name, slices in (("gauc", "group"), ("position_auc", "position")):
            mean = self.values[name]
            if mean is None or (mean.groups_kept and not math.isnan(mean)):
                continue
            found[name] = f"of {plural(mean.counts['groups'], slices)} none has both classes and enough rows"
            if mean.groups_kept:
                found[name] = f"each of the {plural(mean.groups_kept, slices)} kept weighs 0"
        self.absent |= found
        why: dict[str, list[str]] = {}
        for name, reason in found.items():
            why.setdefault(reason, []).append(name)
        return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in why.items())

    def report(self) -> Report:
        if self.values["auc"] < 0.5 and "auc" not in self.absent:
            self.warnings.append("AUC is below 0.5: is the label or the score upside down?")
        said = {"warnings": tuple(self.warnings), "notes": tuple(self.notes), "absent": self.absent}
        data = {"counts": self.counts, "dropped": self.data.dropped, "_rows": self.data.rows}
        known = {field.name for field in fields(Report)}
        return Report(**{name: value for name, value in (self.values | said | data).items() if name in known})
