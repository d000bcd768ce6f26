"""AUC and grouped AUC: what depends on the order of the scores alone."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from fourstep import _core
from fourstep._runtime import execution, limited
from fourstep.metrics import _interval, _partial, _resample
from fourstep.metrics._counts import Steps, steps
from fourstep.metrics._exact import weighted_mean
from fourstep.metrics._groups import as_integers, weights_of_groups
from fourstep.metrics._inputs import Array, Rows, choice, column, plain, ready, rows, same_length, whole
from fourstep.metrics._interval import CiMethod, IntervalOf
from fourstep.metrics._nan import NAN, Nan
from fourstep.metrics.score import (
    OnUndefined,
    Score,
    UndefinedMetricWarning,
    check_on_undefined,
    plural,
    undefined,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

GroupWeight: TypeAlias = Literal["impressions", "positives", "uniform", "pairs"]
OneClass: TypeAlias = Literal["drop", "half", "raise"]
#: What a result says of weights that it was handed.
GIVEN = "given weights"


def auc(
    y: ArrayLike,
    score: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: Any = None,
    max_fpr: float | None = None,
    min_tpr: float | None = None,
    ci: float | None = None,
    ci_method: CiMethod = "delong",
    nan: Nan = "raise",
    on_undefined: OnUndefined = "nan",
    threads: int | None = None,
) -> Score:
    """Area under the ROC curve: how often a positive scores above a negative, ties counting half.

    AUC = 1/(P·N) · Σ_{x in positives} (#{negatives below x} + ½·#{negatives equal to x})

    Pairs are counted in integers and divided once, so the result is the correctly rounded AUC, whatever the order of
    the rows and the number of threads. With weights a pair counts w_i·w_j.

    Parameters
    ----------
    y
        Labels, shape (n,): 0/1 or -1/+1 of any number type, or bool; or any two values, with `pos_label`.
    score
        Scores, shape (n,): float16/32/64, bfloat16 or integers. Probabilities, logits, anything that ranks; they are
        never transformed. Two scores tie if they are equal (-0.0 = 0.0); infinite ones are ordered.
    sample_weight
        Weights, shape (n,), finite and >= 0. A row of weight 0 does not exist.
    pos_label
        The label of the positives; None: 1, of labels 0/1 or -1/+1.
    max_fpr
        Count the part of the curve with FPR <= `max_fpr`, in (0, 1]: partial AUC, brought to the scale on which ½ is
        chance and 1 is perfect (McClish 1989): ½·(1 + (A − f²/2)/(f − f²/2)), A the area from FPR 0 to f.
    min_tpr
        Count the part with TPR >= `min_tpr`, in [0, 1), on the same scale: A is the area right of the curve, from
        TPR t to 1, and f is 1 − t. It is `max_fpr` = 1 − t of the other class, by falling scores. One of both.
    ci
        The level of a confidence interval, such as 0.95, for ``ci`` and ``se``: by DeLong's variance (1988), of rows that
        are independent. Two rows of each class are needed; for weights, parts of the curve, and rows of one user that
        go together there is `bootstrap`.
    ci_method
        ``"delong"``: AUC ± z·se, cut to [0, 1]; ``"logit"``: the same of ln(AUC/(1 − AUC)), which stays inside (0, 1) and
        is the better one close to 1. An AUC of exactly 0 or 1 has se 0: its interval says nothing, with a warning.
    nan
        What a NaN score does: ``"raise"``; ``"drop"`` leaves the row out; ``"lowest"`` ranks it below -inf.
    on_undefined
        The result where there is only one class: ``"nan"``, with a warning; ``"raise"``; or a number.
    threads
        At most this many threads, from 1 to 256; None: as many as elsewhere (`fourstep.num_threads`). The same bits.

    Returns
    -------
    Score
        A float with ``counts`` (rows, positives, negatives; pairs and tied_pairs without weights), ``tied`` (share of
        tied pairs), ``dropped`` (nan, weight_zero), and with `ci` ``ci`` and ``se`` (None, with a warning, for a single
        row of a class).

    Raises
    ------
    ValueError
        No rows, lengths or pandas indexes that differ, a label that is neither 0/1 nor -1/+1, a NaN score, a weight
        that is negative or not finite: with the first index and the count.
    TypeError
        Masked arrays, or values that are not numbers.

    Notes
    -----
    Source: the notes' M3 ("area under ROC = probability of a correct pair"); ties are ours to add, as they omit them.

    Where others differ: scikit-learn gets the same number by float sums; TorchRec and FBGEMM count ties by input
    order; torchmetrics puts values outside [0, 1] through a sigmoid, which makes ties; one class is 0.0, 0.5, 1.0,
    nan or an error, depending on the library. `max_fpr` is scikit-learn's; torchmetrics has it too, and neither has
    `min_tpr`; R's pROC does not bring partial areas to the scale of the whole unless asked.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75 (auc: 2 positives, 2 negatives)
    >>> fs.metrics.auc([0, 1, 1], [0.5, float("nan"), 0.7], nan="drop")
    1.0 (auc: 1 positive, 1 negative, 1 row with NaN dropped)
    >>> fs.metrics.auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], max_fpr=0.5)
    0.6666666666666666 (auc at fpr <= 0.5: 2 positives, 2 negatives)
    >>> fs.metrics.auc([0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], ci=0.95).ci
    (0.5809..., 1.0)
    """
    check_on_undefined(on_undefined)
    choice("nan", nan, NAN)
    part = _partial.region(max_fpr, min_tpr)
    between = _interval.method(ci_method)
    if ci is not None:
        level = _interval.level(ci)
        if part is not None or sample_weight is not None:
            other = "sample_weight" if part is None else "max_fpr" if max_fpr is not None else "min_tpr"
            raise TypeError(
                f"ci: DeLong's variance is that of the whole area without weights, and there is {other};"
                " bootstrap() gives an interval"
            )
    with limited(threads):
        data = rows(y, score, sample_weight, pos_label)
        if ci is not None:
            found, dropped = steps(data, nan)
            return auc_of(found, dropped, level, between, on_undefined, stacklevel=4)
        got = _core.metrics_auc(*data, nan, execution())
        value, positives, negatives, (_, tied, pairs), left = got
        if value is not None and part is not None:
            value = _partial.partial(data, nan, part)
    name = "auc" if part is None else part.name
    counts = {"rows": positives + negatives, "positives": positives, "negatives": negatives}
    if data.weight is None:
        counts |= {"pairs": pairs, "tied_pairs": tied}
    if value is None:
        value = undefined("auc", _one_class(positives, negatives), on_undefined)
    return Score(value, name, counts=counts, dropped=_dropped(left), tied=tied / pairs if pairs else None)


def auc_of(
    found: Steps,
    dropped: dict[str, int],
    level: float | None,
    between: IntervalOf,
    on_undefined: OnUndefined,
    *,
    stacklevel: int,
) -> Score:
    """Return AUC, with an interval if there is a level, from the steps of rows without weights."""
    assert found.sums is not None, "there are no weights"
    (won, _, _, tied), positives, negatives = found.sums, found.positives, found.negatives
    pairs, interval, se = positives * negatives, None, None
    if not pairs:
        value = undefined("auc", _one_class(positives, negatives), on_undefined, stacklevel=stacklevel)
    else:
        value = won / (2 * pairs)
        if level is not None:
            se = _interval.standard_error(found)
            interval = None if se is None else between(value, se, level)
            _warn_of_no_interval(se, stacklevel)
    counts = {"rows": positives + negatives, "positives": positives, "negatives": negatives}
    counts |= {"pairs": pairs, "tied_pairs": tied}
    share = tied / pairs if pairs else None
    return Score(value, "auc", counts=counts, dropped=dropped, tied=share, ci=interval, se=se)


def _warn_of_no_interval(se: float | None, stacklevel: int) -> None:
    if se:
        return
    why = "a single row of a class does not say how the class varies"
    if se is not None:
        why = "the classes do not overlap or all is tied, so its variance is 0, and the interval is a point"
    warnings.warn(f"auc has no interval to speak of: {why}", UndefinedMetricWarning, stacklevel=stacklevel)


def _one_class(positives: int, negatives: int) -> str:
    return f"it needs both classes, and there are {plural(positives, 'positive')} and {plural(negatives, 'negative')}"


def _dropped(left: tuple[int, int]) -> dict[str, int]:
    return {"nan": left[0], "weight_zero": left[1]}


def gauc(
    y: ArrayLike,
    score: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    offsets: ArrayLike | None = None,
    group_weight: GroupWeight | ArrayLike = "impressions",
    sample_weight: ArrayLike | None = None,
    one_class: OneClass = "drop",
    min_rows: int = 2,
    per_group: bool = False,
    ci: float | None = None,
    pos_label: Any = None,
    nan: Nan = "raise",
    on_undefined: OnUndefined = "nan",
    threads: int | None = None,
) -> Score:
    """Grouped AUC: the AUC inside each group (user, session …), averaged over the groups.

    gAUC = Σ_g ω_g·AUC_g / Σ_g ω_g

    Each AUC_g is rounded once, the sum is exact, and one division rounds it; weighted by pairs it is a quotient of
    integers. A single group has its AUC, bit for bit.

    Parameters
    ----------
    y, score, pos_label, nan, threads
        As for `auc`.
    groups
        Ids, shape (n,): integers or strings, in any order; pandas and polars categoricals and Arrow dictionaries are
        numbered by their categories.
    offsets
        Instead of `groups`, for rows that lie group by group: shape (G + 1,), from 0 to n; group g is rows
        ``offsets[g]:offsets[g + 1]``.
    group_weight
        ω_g: ``"impressions"`` (rows), ``"positives"``, ``"uniform"`` (1) or ``"pairs"`` (positives × negatives). With
        `sample_weight`, rows and positives are sums of weights and pairs their product. Or an array of shape (G,):
        one weight a group, finite and >= 0, in ascending order of ids (or of offsets), also for groups that do not
        take part. A pandas column of them, indexed by id, must be in that order.
    sample_weight
        Weights of rows, as for `auc`.
    one_class
        What a group without positives or without negatives does: ``"drop"``; ``"half"`` takes part with ½;
        ``"raise"``.
    min_rows
        Groups of fewer rows (that count) are dropped before `one_class` is looked at.
    per_group
        Whether the result carries every group's AUC.
    ci
        The level of a confidence interval, such as 0.95, for ``ci`` and ``se``: the groups that take part are drawn
        anew with replacement, 1,000 times; percentiles and standard deviation of the 1,000 results. The draws are
        fixed (a counter-based generator), so the same rows give the same interval.
    on_undefined
        The result where no group is left: ``"nan"``, with a warning; ``"raise"``; or a number.

    Returns
    -------
    Score
        A float with ``group_weight``, ``groups_kept``, ``groups_dropped``, ``counts`` (groups, groups_kept, and rows and
        positives of the groups kept), ``dropped`` (groups_one_class, groups_small, groups_empty, rows and positives in
        them, nan, weight_zero), ``tied``, with `per_group` the arrays of ``per_group``, ids ascending, and with `ci`
        ``ci`` and ``se`` (None, with a warning, for fewer than two groups: one does not say how groups vary).

    Raises
    ------
    ValueError, TypeError
        As for `auc`; a null id; offsets that do not run from 0 to n.

    Notes
    -----
    Source: the notes' M6 ("AUC by user, weighted by impressions or clicks"); impressions are also what the DIN paper
    (Zhou et al. 2018) weighs by.

    Where others differ: TorchRec's grouped AUC counts one-class groups as ½, most others drop them without a word;
    weights are 1, rows, positives or squares, depending on the library (``docs/metrics.md``).

    Examples
    --------
    >>> import fourstep as fs
    >>> y = [1, 0, 1, 0, 0, 1]
    >>> p = [0.9, 0.1, 0.2, 0.8, 0.3, 0.5]
    >>> user = [7, 7, 3, 3, 3, 9]
    >>> fs.metrics.gauc(y, p, user)
    0.4 (gauc by impressions: 2 groups kept, 1 dropped (1 small))
    >>> fs.metrics.gauc(y, p, user, group_weight="pairs")
    0.3333333333333333 (gauc by pairs: 2 groups kept, 1 dropped (1 small))
    >>> each = fs.metrics.gauc(y, p, user, per_group=True).per_group
    >>> dict(zip(each["group"].tolist(), each["auc"].tolist()))
    {3: 0.0, 7: 1.0, 9: nan}
    >>> fs.metrics.gauc(y, p, user, group_weight=[1, 3, 1])
    0.75 (gauc by given weights: 2 groups kept, 1 dropped (1 small))
    """
    return grouped(
        y,
        score,
        groups,
        offsets=offsets,
        group_weight=group_weight,
        sample_weight=sample_weight,
        one_class=one_class,
        min_rows=min_rows,
        per_group=per_group,
        ci=ci,
        pos_label=pos_label,
        nan=nan,
        on_undefined=on_undefined,
        threads=threads,
    )


def grouped(
    y: ArrayLike,
    score: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    offsets: ArrayLike | None = None,
    group_weight: GroupWeight | ArrayLike = "impressions",
    sample_weight: ArrayLike | None = None,
    one_class: OneClass = "drop",
    min_rows: int = 2,
    per_group: bool = False,
    ci: float | None = None,
    pos_label: Any = None,
    nan: Nan = "raise",
    on_undefined: OnUndefined = "nan",
    threads: int | None = None,
    replicates: int = _resample.REPLICATES,
    seed: int = 0,
) -> Score:
    """Do what `gauc` does, with the number of replicates of its interval and their seed."""
    check_on_undefined(on_undefined)
    if (groups is None) == (offsets is None):
        raise TypeError(
            f"groups, offsets: got {'both' if offsets is not None else 'neither'}, need one of them"
        )
    by_name = isinstance(group_weight, str) or np.ndim(group_weight) == 0
    if by_name:
        choice("group_weight", group_weight, ("impressions", "positives", "uniform", "pairs"))
    named = str(group_weight) if by_name else "uniform"
    choice("one_class", one_class, ("drop", "half", "raise"))
    choice("nan", nan, NAN)
    level = None if ci is None else _interval.level(ci)
    least = whole("min_rows", min_rows, 0, 2**63 - 1, "0 or more")
    with limited(threads):
        labels, scores, weights = rows(y, score, sample_weight, pos_label, extra=("groups", groups))
        names = None
        if groups is not None:
            ids, names = as_integers(groups)
            same_length(labels, ids, "groups")
        else:
            ids = _offsets(offsets)
        value, tallies, first, (_, tied, pairs), left, each = _core.metrics_gauc(
            labels,
            scores,
            ids,
            groups is None,
            weights,
            named,
            "drop" if one_class == "raise" else one_class,
            least,
            nan,
            per_group or one_class == "raise" or level is not None or not by_name,
            execution(),
        )
    kept, single, small, empty = tallies
    by_group = _per_group(each, names) if each is not None else None
    if one_class == "raise" and first is not None and by_group is not None:
        raise ValueError(
            f"groups: {plural(single[0], 'group')} of one class, the first is {plain(by_group['group'][first])!r};"
            " one_class='drop' leaves them out, one_class='half' counts them as 0.5"
        )
    total = sum(tally[0] for tally in tallies)
    omega = None
    if by_group is not None and not by_name:
        omega = weights_of_groups(group_weight, None if groups is None else by_group["group"], total)
        value = weighted_mean(by_group["auc"][by_group["kept"]], omega[by_group["kept"]])
        named = GIVEN
    interval, error, means = None, None, None
    if by_group is not None and level is not None:
        if omega is None:
            row_weights = _resample.row_weights(Rows(labels, scores, weights), nan)
            omega = _resample.weights_by_name(named, by_group, labels, row_weights, ids, groups is None)
        there = by_group["kept"] & (omega > 0)  # a group of weight 0 does not exist
        means = np.empty(0)
        if np.count_nonzero(there) > 1:
            means = _resample.means_over_groups(by_group["auc"][there], omega[there], replicates, seed)
            interval, error = _resample.percentiles(means, level)
        elif value is not None:
            warnings.warn(
                "gauc has no interval: fewer than two groups take part, so nothing tells how groups vary",
                UndefinedMetricWarning,
                stacklevel=3,
            )
    if value is None:
        why = f"of {plural(total, 'group')} none has both classes and enough rows"
        if kept[0]:
            why = f"each of the {plural(kept[0], 'group')} kept weighs 0 by {named}"
        value = undefined("gauc", why, on_undefined, stacklevel=4)
    return Score(
        value,
        "gauc",
        counts={"groups": total, "groups_kept": kept[0], "rows": kept[1], "positives": kept[2]},
        dropped={
            "groups_one_class": single[0],
            "groups_small": small[0],
            "groups_empty": empty[0],
            "rows": single[1] + small[1],
            "positives": single[2] + small[2],
            **_dropped(left),
        },
        tied=tied / pairs if pairs and weights is None else None,
        group_weight=named,
        groups_kept=kept[0],
        groups_dropped=total - kept[0],
        per_group=by_group if per_group else None,
        ci=interval,
        se=error,
        replicates=means,
    )


def _offsets(offsets: ArrayLike | None) -> NDArray[np.int64]:
    array = column(offsets if offsets is not None else (), "offsets")
    if len(array) == 0:
        raise ValueError(
            "offsets: got none, need whole numbers that start at 0 and end at the number of rows"
        )
    if array.dtype.kind not in "iu":
        raise TypeError(f"offsets: got dtype {array.dtype}, need integers")
    return ready(array, np.int64)


def _per_group(each: tuple[Any, ...], names: Array | None) -> dict[str, Array]:
    ids, auc, group_rows, positives, kept = each
    if ids is None:
        ids = np.arange(len(auc))
    return {
        "group": ids if names is None else names[ids],
        "auc": auc,
        "rows": group_rows.view(np.int64),
        "positives": positives.view(np.int64),
        "kept": kept,
    }
