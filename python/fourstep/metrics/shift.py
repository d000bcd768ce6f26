"""How far two distributions of one number are apart: of the classes' scores, or of then and now.

    KS     max_t |TPR(t) − FPR(t)|, the largest distance of the distribution functions
    PSI    Σ_b (a_b − e_b)·ln(a_b/e_b)
    JS     ½·Σ_b e_b·ln(e_b/m_b) + ½·Σ_b a_b·ln(a_b/m_b),  m = ½·(e + a)

PSI and JS compare shares of bins: e_b of what was expected, a_b of what came. The bins hold equal shares of `expected`.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.metrics._counts import (
    Steps,
    edges_of_order,
    number_of_bins,
    order,
    steps,
)
from fourstep.metrics._inputs import Array, Rows, choice, column, number, orderable, refuse, rows
from fourstep.metrics._nan import NAN, Nan, taken
from fourstep.metrics.score import MetricWarning, OnUndefined, Score, check_on_undefined, plural, undefined

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def ks(
    y: ArrayLike,
    score: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: Any = None,
    nan: Nan = "raise",
    on_undefined: OnUndefined = "nan",
) -> Score:
    """Kolmogorov-Smirnov distance of the positives' and the negatives' scores: max_t |TPR(t) − FPR(t)|.

    The largest |tp·N − fp·P| over the thresholds is found in integers, where ties move both counts at once, and divided
    by P·N: rounded once.

    Parameters
    ----------
    y, score, sample_weight, pos_label, nan, on_undefined
        As for `auc`.

    Returns
    -------
    Score
        A float in [0, 1] with ``counts`` (rows, positives, negatives) and ``dropped`` (nan, weight_zero). The threshold
        where it is reached, if the positives are the higher ones: ``best_threshold(y, score, "youden")``.

    Raises
    ------
    ValueError, TypeError
        As for `auc`.

    Notes
    -----
    Where others differ: credit-scoring code takes the largest TPR − FPR over deciles, which is smaller, and looks at one
    sign alone, which differs where the scores are upside down.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.ks([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.5 (ks: 2 positives, 2 negatives)
    """
    check_on_undefined(on_undefined)
    choice("nan", nan, NAN)
    data = rows(y, score, sample_weight, pos_label)
    found, dropped = steps(data, nan)
    return _ks(found, taken(data, nan), dropped, on_undefined)


def _ks(found: Steps, counts: dict[str, int], dropped: dict[str, int], on_undefined: OnUndefined) -> Score:
    positives, negatives = found.positives, found.negatives
    if positives and negatives:
        distance = _core.metrics_distance(found.tp, found.above, found.fp, positives, negatives)
        value = distance / (positives * negatives)
    else:
        value = undefined("ks", "it needs both classes, and there is only one", on_undefined, stacklevel=4)
    return Score(value, "ks", counts=counts, dropped=dropped)


def psi(
    expected: ArrayLike,
    actual: ArrayLike,
    bins: int = 10,
    *,
    smoothing: float = 0.5,
    nan: Literal["raise", "drop"] = "raise",
) -> Score:
    """Population stability index Σ_b (a_b − e_b)·ln(a_b/e_b) in nats: how far `actual` has moved from `expected`.

    Shares are those of k bins with `smoothing` rows more in each: e_b = (E_b + s)/(n + s·k), so that an empty bin is
    not infinite (s = ½ is the estimate from Jeffreys' prior).

    Parameters
    ----------
    expected, actual
        Numbers of any type that `auc` ranks, shapes (n,) and (m,): a score, or a feature, then and now.
    bins
        How many bins at most: of equal shares of `expected`, and equal values are always in one. They cover all numbers:
        what lies outside the range of `expected` is in the first or the last one.
    smoothing
        s, finite and >= 0. With 0 a bin that is empty on one side makes PSI infinite, with a warning.
    nan
        What a NaN does: ``"raise"``, or ``"drop"``, which counts it.

    Returns
    -------
    Score
        A float with ``counts`` (expected, actual: rows; bins) and ``dropped`` (nan).

    Raises
    ------
    ValueError, TypeError
        No rows, two dimensions, NaN, values that are not numbers: with the first index and the count. Fewer bins than 1.

    Notes
    -----
    Symmetric but for the bins; it is the sum of both Kullback-Leibler divergences. By chance alone it is about
    (k − 1)·(1/n + 1/m): customary limits (0.1, 0.25) mean little for small samples.

    Where others differ: bins of equal width in some, and 1e-4 or so in place of an empty share, without which they return
    inf; a share of 1e-4 for no row of 1e6 is no small change.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.psi(range(100), range(20, 120)).counts
    {'expected': 100, 'actual': 100, 'bins': 10}
    >>> f"{fs.metrics.psi(range(100), range(20, 120)):.4f}"
    '0.7830'
    >>> f"{fs.metrics.psi(range(100), range(100)):.4f}"
    '0.0000'
    """
    e, a, counts, dropped = _shares(expected, actual, bins, smoothing, nan)
    empty = int(np.count_nonzero((e == 0) != (a == 0)))
    if empty:
        warnings.warn(
            f"psi is inf: {plural(empty, 'bin')} empty on one side; smoothing > 0 makes them small instead",
            MetricWarning,
            stacklevel=2,
        )
        return Score(math.inf, "psi", counts=counts, dropped=dropped)
    both = e > 0
    e, a = e[both], a[both]
    return Score(math.fsum(((a - e) * _log(a / e)).tolist()), "psi", counts=counts, dropped=dropped)


def js(
    expected: ArrayLike,
    actual: ArrayLike,
    bins: int = 10,
    *,
    smoothing: float = 0.5,
    nan: Literal["raise", "drop"] = "raise",
) -> Score:
    """Jensen-Shannon divergence of two samples in nats: ½·KL(e‖m) + ½·KL(a‖m), m = ½·(e + a). From 0 to ln 2.

    Parameters
    ----------
    expected, actual, bins, smoothing, nan
        As for `psi`. It is finite without smoothing, too; the default is that of `psi`, so that both see the same shares.

    Returns
    -------
    Score
        As for `psi`.

    Raises
    ------
    ValueError, TypeError
        As for `psi`.

    Notes
    -----
    Where others differ: SciPy's ``jensenshannon`` is the square root of it; some count in bits (divide by ln 2).

    Examples
    --------
    >>> import fourstep as fs
    >>> f"{fs.metrics.js(range(100), range(20, 120)):.4f}"
    '0.0775'
    >>> f"{fs.metrics.js([0.0, 1.0], [2.0, 3.0], smoothing=0):.4f}"
    '0.2158'
    """
    e, a, counts, dropped = _shares(expected, actual, bins, smoothing, nan)
    m = 0.5 * (e + a)
    terms = [0.5 * x[x > 0] * _log(x[x > 0] / m[x > 0]) for x in (e, a)]
    value = max(math.fsum(np.concatenate(terms).tolist()), 0.0)
    return Score(value, "js", counts=counts, dropped=dropped)


def _log(x: NDArray[np.float64]) -> NDArray[np.float64]:
    out = np.empty_like(x)
    _core.elementary("log", x, out, execution())
    return out


def _shares(
    expected: ArrayLike, actual: ArrayLike, bins: int, smoothing: float, nan: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], dict[str, int], dict[str, int]]:
    """Return the smoothed share of each bin in both samples; and what was counted, and left out."""
    most = number_of_bins(bins)
    if not number(smoothing):
        raise TypeError(f"smoothing: got {smoothing!r}, need a number >= 0")
    if not 0.0 <= smoothing < math.inf:
        raise ValueError(f"smoothing: got {smoothing!r}, need a finite number >= 0")
    choice("nan", nan, ("raise", "drop"))
    then, dropped = _sample(expected, "expected", nan)
    now, also = _sample(actual, "actual", nan)
    zeros = np.zeros(len(then), np.uint8)
    starts = edges_of_order(order(Rows(zeros, then, None)), most)
    n = len(starts) + 1
    held = [
        np.bincount(np.searchsorted(starts, _like(x, starts), side="right"), minlength=n) for x in (then, now)
    ]
    e, a = ((x + float(smoothing)) / (x.sum() + float(smoothing) * n) for x in held)
    return e, a, {"expected": len(then), "actual": len(now), "bins": n}, {"nan": dropped + also}


def _like(x: Array, starts: Array) -> Array:
    """Return signed integers as unsigned ones or the reverse, for which NumPy would compare floats.

    What does not fit is clipped, which changes no bin: unsigned starts are above 0, as a lower value is in the first bin.
    """
    if x.dtype.kind + starts.dtype.kind == "iu":
        return np.maximum(x, 0).astype(np.uint64)
    if x.dtype.kind + starts.dtype.kind == "ui":
        return np.minimum(x, np.uint64(2**63 - 1)).astype(np.int64)
    return x


def _sample(x: ArrayLike, name: str, nan: str) -> tuple[Array, int]:
    """Return the numbers, and how many NaN were left out of them."""
    values = orderable(column(x, name), name)
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
    found = int(np.count_nonzero(missing))
    if nan == "raise":
        refuse(name, missing, "numbers; nan='drop' leaves them out", math.nan)
    if found == len(values):
        raise ValueError(f"{name}: got {'only NaN' if found else 'no rows'}, need at least one number")
    return values[~missing] if found else values, found
