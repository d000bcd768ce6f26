"""Calibration by bins: how far the mean prediction of a bin is from the share of positives in it.

    ECE             Σ_b W_b/W · |ȳ_b − p̄_b|          bins of equal weight, or of equal width
    bucket error    Σ_b n_b·|ȳ_b/p̄_b − 1| / Σ_b n_b   buckets that grow until the rate in them is known well enough

Equal predictions share a bin. Means of bins are of exact sums, each rounded once; buckets add up in the order of the
predictions: no order of rows changes a bit.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from fourstep import _core
from fourstep.metrics._counts import Order, count, edges, edges_of_order, number_of_bins, order
from fourstep.metrics._exact import in_units
from fourstep.metrics._inputs import Array, Rows, choice, number, rows
from fourstep.metrics._means import mean, mean_of
from fourstep.metrics._nan import taken
from fourstep.metrics._sort import lexsort
from fourstep.metrics.score import OnUndefined, Score, check_on_undefined, undefined

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

BINS = ("quantile", "width")
#: Of buckets.
MAX_SPAN, MAX_RELATIVE_ERROR = 0.01, 0.05


class CalibrationCurve(NamedTuple):
    """Bins of rising predictions that have rows: mean prediction, share of positives, and share of all rows."""

    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    share: NDArray[np.float64]


def calibration_curve(
    y: ArrayLike,
    p: ArrayLike,
    bins: int = 10,
    *,
    strategy: Literal["quantile", "width"] = "quantile",
    sample_weight: ArrayLike | None = None,
    pos_label: Any = None,
) -> CalibrationCurve:
    """Calibration curve (reliability diagram): the share of positives against the mean prediction, bin by bin.

    Parameters
    ----------
    y, p, sample_weight, pos_label
        As for `logloss`, probabilities alone.
    bins
        How many bins at most; 1 or more.
    strategy
        ``"quantile"``: bins of equal weight. A prediction belongs where the middle of its rank falls, so equal ones
        are always in one bin, and one of much weight leaves fewer bins. ``"width"``: k/bins <= p < (k + 1)/bins, and
        1 is in the last one; k/bins is rounded to the type of `p`, as for `confusion`.

    Returns
    -------
    CalibrationCurve
        ``predicted`` = p̄_b, ``observed`` = ȳ_b and ``share`` = W_b/W of float64, a value for each bin that has rows.

    Raises
    ------
    ValueError, TypeError
        As for `logloss`; fewer bins than 1.

    Notes
    -----
    Where others differ: scikit-learn's quantiles are interpolated and may cut between equal ranks, and its bins of equal
    width hold their upper edge. Bins of equal width say little where probabilities are small: all are in the first one.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.calibration_curve([0, 1, 0, 1], [0.125, 0.25, 0.5, 0.75], bins=2).predicted
    array([0.1875, 0.625 ])
    """
    return _curve(_probabilities(y, p, sample_weight, pos_label), p, number_of_bins(bins), strategy)


def ece(
    y: ArrayLike,
    p: ArrayLike,
    bins: int = 10,
    *,
    strategy: Literal["quantile", "width"] = "quantile",
    sample_weight: ArrayLike | None = None,
    pos_label: Any = None,
) -> Score:
    """Expected calibration error Σ_b W_b/W · |ȳ_b − p̄_b|, over bins of the predictions.

    Parameters
    ----------
    y, p, bins, strategy, sample_weight, pos_label
        As for `calibration_curve`.

    Returns
    -------
    Score
        A float with ``counts`` (rows, positives, negatives, and bins that have rows).

    Raises
    ------
    ValueError, TypeError
        As for `calibration_curve`.

    Notes
    -----
    Source: Naeini, Cooper and Hauskrecht 2015 (equal width); Nixon et al. 2019 (equal mass). It is above 0 for a
    perfect model, too: by chance, and the more so the more bins there are.

    Where others differ: 15 bins of equal width in most, and of the most probable class's probability instead of the
    positives' (torchmetrics' multi-class form), which for rare positives measures something else.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.ece([0, 1, 0, 1], [0.125, 0.25, 0.5, 0.75], bins=2)
    0.21875 (ece: 2 positives, 2 negatives)
    """
    got = _probabilities(y, p, sample_weight, pos_label)
    return _ece(got, _curve(got, p, number_of_bins(bins), strategy))


def _ece(rows: Rows, curve: CalibrationCurve) -> Score:
    gaps = curve.share * np.abs(curve.observed - curve.predicted)
    return Score(math.fsum(gaps.tolist()), "ece", counts=taken(rows) | {"bins": len(gaps)})


def bucket_error(
    y: ArrayLike,
    p: ArrayLike,
    *,
    max_span: float = MAX_SPAN,
    max_relative_error: float = MAX_RELATIVE_ERROR,
    pos_label: Any = None,
    on_undefined: OnUndefined = "nan",
) -> Score:
    """Bucket error: the relative calibration error |ȳ/p̄ − 1|, averaged over the rows of buckets that can tell.

    A bucket starts at the lowest prediction that is left, and takes one distinct prediction after the other, until the
    relative error to expect of its rate by chance, √((1 − p̄)/(p̄·n)), is below `max_relative_error`: then it counts, n
    times. If the predictions span more than `max_span` before that, its rows are left out, and a new bucket starts with
    the prediction that was too far.

    Parameters
    ----------
    y, p, pos_label
        As for `logloss`, probabilities alone. There are no weights: the error by chance is one of counts.
    max_span
        Largest difference of predictions in a bucket, a number > 0.
    max_relative_error
        When a bucket is large enough, a number > 0.
    on_undefined
        The result where no bucket gets large enough: ``"nan"``, with a warning; ``"raise"``; or a number.

    Returns
    -------
    Score
        A float with ``counts`` (rows, positives, negatives of all rows; buckets) and ``dropped`` (rows in no bucket).

    Raises
    ------
    ValueError, TypeError
        As for `logloss`; a `max_span` or `max_relative_error` that is not above 0.

    Notes
    -----
    The idea and both defaults are those of PaddlePaddle's click-model metrics, which round predictions to 1e-6 first, and
    return 0 where no bucket is large enough.

    Examples
    --------
    >>> import fourstep as fs
    >>> y, p = [1] * 300 + [0] * 700, [0.25] * 1000
    >>> fs.metrics.bucket_error(y, p, max_relative_error=0.1)
    0.2 (bucket_error: 300 positives, 700 negatives)
    """
    check_on_undefined(on_undefined)
    span, bound = _positive("max_span", max_span), _positive("max_relative_error", max_relative_error)
    got = _probabilities(y, p, None, pos_label)
    return _bucket_error(order(got), span, bound, on_undefined)


def _bucket_error(ordered: Order, span: float, bound: float, on_undefined: OnUndefined) -> Score:
    scores, (thresholds, tp, *_) = ordered
    errors, sizes = _core.metrics_buckets(scores, thresholds, tp, span, bound)
    counted = int(sizes.sum())
    if counted:
        value = math.fsum((sizes * errors).tolist()) / counted
    else:
        value = undefined("bucket_error", "no bucket has enough rows", on_undefined, stacklevel=4)
    positives, negatives = ordered.steps.positives, ordered.steps.negatives
    counts = {"rows": len(scores), "positives": positives, "negatives": negatives, "buckets": len(sizes)}
    return Score(value, "bucket_error", counts=counts, dropped={"rows": len(scores) - counted})


def _probabilities(y: ArrayLike, p: ArrayLike, sample_weight: ArrayLike | None, pos_label: Any) -> Rows:
    got = rows(y, p, sample_weight, pos_label, name="p", real=True)
    _mean(got, got.score)  # refuses what is outside [0, 1]
    return got


def _mean(rows: Rows, values: Array) -> float:
    """Return the weighted mean of values in [0, 1], rounded once."""
    return mean(rows.y, values, rows.weight).value


def _positive(name: str, value: float) -> float:
    if not number(value):
        raise TypeError(f"{name}: got {value!r}, need a number > 0")
    if not 0.0 < value < math.inf:
        raise ValueError(f"{name}: got {value!r}, need a finite number > 0")
    return float(value)


def _curve(rows: Rows, p: ArrayLike, bins: int, strategy: str) -> CalibrationCurve:
    choice("strategy", strategy, BINS)
    if rows.weight is None:
        ordered = order(rows)
        starts = (
            edges_of_order(ordered, bins) if strategy == "quantile" else _width_edges(p, rows.score, bins)
        )
        return _binned_in_order(ordered, starts)
    starts = edges(count(rows), bins) if strategy == "quantile" else _width_edges(p, rows.score, bins)
    return _binned(rows, starts)


def _binned_in_order(ordered: Order, starts: Array) -> CalibrationCurve:
    """Do the same with sorted scores, where a bin is a piece of them."""
    scores, below = ordered.scores, ordered.below(starts)
    none = np.zeros(len(scores), np.uint8)  # labels that nobody reads
    rows, positives = (
        [0, *some.tolist(), n] for some, n in zip(below, (len(scores), ordered.steps.positives), strict=True)
    )
    table = []
    for (start, end), (found, found_end) in zip(pairwise(rows), pairwise(positives), strict=True):
        size = end - start
        if size:
            table.append(
                (mean_of(scores[start:end], none[:size]), (found_end - found) / size, size / len(scores))
            )
    return CalibrationCurve(*np.array(table).T)


def _binned(rows: Rows, starts: Array) -> CalibrationCurve:
    """Compare mean prediction and rate in bins that start at these predictions, and at 0; of rows with weights."""
    assert rows.weight is not None
    bin_of = np.searchsorted(starts, rows.score, side="right")
    by_bin = lexsort(bin_of)
    y, score, weight = rows.y[by_bin], rows.score[by_bin], rows.weight[by_bin]
    whole = in_units(weight)[0]
    total = int(whole.sum())
    limits = np.cumsum(np.bincount(bin_of, minlength=len(starts) + 1)).tolist()
    table = []
    for first, end in pairwise([0, *limits]):
        mine = slice(first, end)
        part = Rows(y[mine], score[mine], weight[mine])
        if weight[mine].any():
            observed = _mean(part, part.y.astype(np.float64))
            table.append((_mean(part, part.score), observed, int(whole[mine].sum()) / total))
    return CalibrationCurve(*np.array(table).T)


def _width_edges(p: ArrayLike, scores: Array, bins: int) -> Array:
    """Return 1/bins, 2/bins … in the type of the predictions, which a prediction as printed reaches."""
    exact = np.arange(1, bins) / bins
    dtype = np.asarray(p).dtype
    return exact.astype(dtype if dtype.kind in "fV" else np.float64).astype(scores.dtype)
