"""Pictures of metrics: ROC and PR with bands, thresholds, scores by label, calibration, gAUC by size, blends.

Bands come from the rates and the rows of each class, at no cost beside the curve: `Band` says which.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from fourstep import metrics
from fourstep.metrics._exact import weighted_mean
from fourstep.metrics._inputs import choice, refuse, rows
from fourstep.metrics._interval import level
from fourstep.plot.look import GRID, INK, LINES, REST, TRAIN, VALID, drawing, figure, owner, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

Floats: TypeAlias = npt.NDArray[np.float64]

#: "simultaneous": the whole curve lies in the band with this probability (Kolmogorov's region, by the inequality of
#: Dvoretzky, Kiefer, Wolfowitz and Massart). "pointwise": each point does, for its threshold (Wilson's intervals).
Band: TypeAlias = Literal["simultaneous", "pointwise"]
BANDS = ("simultaneous", "pointwise")


class _Region(NamedTuple):
    """Limits of both rates at each threshold: with this probability both are inside."""

    low_fpr: Floats
    high_fpr: Floats
    low_tpr: Floats
    high_tpr: Floats


def roc(
    y: ArrayLike,
    score: ArrayLike,
    axes: Axes | None = None,
    *,
    label: str = "",
    band: Band | None = "simultaneous",
    ci: float = 0.95,
    max_points: int | None = 1000,
) -> Figure:
    """Draw true positive rate over false positive rate, with the diagonal of a coin (M2) and a band.

    At a threshold TPR is in [TPR − d₊, TPR + d₊] and FPR in [FPR − d₋, FPR + d₋]; the band is what these boxes cover.

    Parameters
    ----------
    y, score
        As for `fourstep.metrics.roc_curve`.
    axes : matplotlib axes, optional
        Where to draw; by default in a new figure.
    label : str, optional
        What the legend says.
    band
        ``"simultaneous"``: the whole curve of the population is in it with probability `ci`: d = √(ln(2/α)/(2n)), n
        the rows of the class, 1 − α = √ci, as both classes must hold (Campbell 1994). ``"pointwise"``: the point of
        each threshold is in its box with probability `ci` (Wilson's interval for either rate at √ci); narrower,
        and no statement about the whole. None: no band.
    ci : float
        That probability, in (0, 1).
    max_points : int, optional
        At most so many points of the curve, as for `roc_curve`: a picture needs no more, whatever the rows.

    Returns
    -------
    matplotlib Figure

    Examples
    --------
    >>> drawn = roc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], label="AUC 0.75")
    >>> [line.get_label() for line in drawn.axes[0].get_lines()]
    ['AUC 0.75', 'a coin']
    """
    curve = metrics.roc_curve(y, score, max_points=max_points)
    region = None if band is None else _region(y, curve, band, ci)
    with drawing(axes) as on:
        if region is not None and band is not None:
            upper = np.stack([region.low_fpr, region.high_tpr])
            lower = np.stack([region.high_fpr, region.low_tpr])
            outline = np.hstack([[[0.0], [0.0]], upper, [[1.0], [1.0]], lower[:, ::-1]])
            on.fill(*outline, color=VALID, alpha=0.15, linewidth=0, label=_of_band(band, ci))
        else:
            on.fill_between(curve.fpr, curve.tpr, color=VALID, alpha=0.08, linewidth=0)
        draw_roc(on, curve, label)
        on.set(aspect="equal")
    return owner(on)


def draw_roc(on: Axes, curve: metrics.RocCurve, label: str = "") -> None:
    """Draw a curve that there is, and the diagonal."""
    on.plot(curve.fpr, curve.tpr, color=VALID, label=label or None)
    on.plot([0, 1], [0, 1], color=TRAIN, linewidth=1, linestyle="--", label="a coin")
    on.set(title="ROC", xlabel="false positive rate", ylabel="true positive rate")
    on.legend(loc="lower right")


def pr(
    y: ArrayLike,
    score: ArrayLike,
    axes: Axes | None = None,
    *,
    label: str = "",
    band: Band | None = "simultaneous",
    ci: float = 0.95,
    max_points: int | None = 1000,
) -> Figure:
    """Draw precision over recall in steps, with the share of positives, which a coin has, and a band.

    The band is that of `roc`: its boxes, by precision = π·TPR/(π·TPR + (1 − π)·FPR) at the share π of positives, which is
    taken as it is.

    Parameters
    ----------
    y, score, axes, label, band, ci, max_points
        As for `roc`; the curve is `fourstep.metrics.pr_curve`.

    Returns
    -------
    matplotlib Figure

    Examples
    --------
    >>> drawn = pr([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], band=None)
    >>> [line.get_label() for line in drawn.axes[0].get_lines()]
    ['precision', 'a coin: 0.5']
    """
    curve = metrics.pr_curve(y, score, max_points=max_points)
    region = None
    if band is not None:
        region = _region(y, metrics.roc_curve(y, score, max_points=max_points), band, ci)
    share = float(np.mean(_labels(y)))
    with drawing(axes) as on:
        if region is not None and band is not None:
            upper = np.stack([region.high_tpr, _precision(share, region.high_tpr, region.low_fpr, 1.0)])
            lower = np.stack([region.low_tpr, _precision(share, region.low_tpr, region.high_fpr, 0.0)])
            outline = np.hstack([[[0.0], [1.0]], upper, [[1.0], [share]], lower[:, ::-1], [[0.0], [0.0]]])
            on.fill(*outline, color=VALID, alpha=0.15, linewidth=0, label=_of_band(band, ci))
        draw_pr(on, curve, share, label)
    return owner(on)


def draw_pr(on: Axes, curve: metrics.PrCurve, share: float, label: str = "") -> None:
    """Draw a curve that there is, and the share of positives."""
    on.plot(curve.recall, curve.precision, color=VALID, drawstyle="steps-pre", label=label or "precision")
    on.axhline(share, color=TRAIN, linewidth=1, linestyle="--", label=f"a coin: {share:.3g}")
    on.set(title="precision and recall", xlabel="recall", ylabel="precision")
    on.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    on.legend()


def _of_band(band: str, ci: float) -> str:
    return f"{100 * ci:g} %, {'the whole curve' if band == 'simultaneous' else 'each point'}"


def _region(y: ArrayLike, curve: metrics.RocCurve, band: Band, ci: float) -> _Region:
    choice("band", band, BANDS)
    labels, each = _labels(y), math.sqrt(level(ci))  # of either class: they are independent
    positives = int(np.count_nonzero(labels))
    of_fpr = _limits(curve.fpr, len(labels) - positives, each, band)
    return _Region(*of_fpr, *_limits(curve.tpr, positives, each, band))


def _labels(y: ArrayLike) -> npt.NDArray[np.uint8]:
    return rows(y, y, None, None).y


def _limits(rate: Floats, n: int, coverage: float, band: str) -> tuple[Floats, Floats]:
    """Return both limits of rates among n rows."""
    if band == "simultaneous":
        d = math.sqrt(math.log(2 / (1 - coverage)) / (2 * n))
        return np.maximum(rate - d, 0.0), np.minimum(rate + d, 1.0)
    return _wilson(rate, np.full(len(rate), float(n)), coverage)


def _wilson(rate: Floats, n: Floats, coverage: float) -> tuple[Floats, Floats]:
    """Wilson's interval: the rates p that are within z·√(p·(1 − p)/n) of what was seen."""
    square = NormalDist().inv_cdf((1 + coverage) / 2) ** 2 / n
    middle = (rate + square / 2) / (1 + square)
    half = np.sqrt(square * (rate * (1 - rate) + square / 4)) / (1 + square)
    return np.clip(middle - half, 0.0, rate), np.clip(middle + half, rate, 1.0)


def _precision(share: float, tpr: Floats, fpr: Floats, of_nothing: float) -> Floats:
    found, wrong = share * tpr, (1 - share) * fpr
    some = found + wrong > 0
    return np.asarray(np.where(some, found / np.where(some, found + wrong, 1.0), of_nothing))


def thresholds(
    y: ArrayLike, score: ArrayLike, axes: Axes | None = None, *, max_points: int | None = 1000
) -> Figure:
    """Draw precision, recall, F1 and accuracy over the threshold, and mark the best F1 (M7).

    Parameters
    ----------
    y, score
        As for `fourstep.metrics.threshold_curve`.
    axes : matplotlib axes, optional
        Where to draw; by default in a new figure.
    max_points : int, optional
        At most so many thresholds, 3 or more: every so many of them, and those of the best F1 and accuracy.

    Returns
    -------
    matplotlib Figure

    Examples
    --------
    >>> drawn = thresholds([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> [line.get_label() for line in drawn.axes[0].get_lines()]
    ['precision', 'recall', 'F1', 'accuracy', 'best F1: 0.8 at 0.35']
    """
    curve = metrics.threshold_curve(y, score)
    shown = np.flatnonzero(np.isfinite(curve.thresholds))
    if not len(shown):
        raise ValueError("score: all are infinite, need a finite one to draw")
    best = shown[int(np.argmax(curve.f1[shown]))]
    if max_points is not None and len(shown) > max_points:
        if max_points < 3:
            raise ValueError(f"max_points: got {max_points}, need 3 or more")
        every = np.linspace(0, len(shown) - 1, max(max_points - 2, 2)).astype(np.intp)
        peaks = [best, shown[int(np.argmax(curve.accuracy[shown]))]]
        shown = np.unique(np.concatenate([shown[every], peaks[: max_points - 2]]))
    with drawing(axes) as on:
        columns = {
            "precision": curve.precision,
            "recall": curve.recall,
            "F1": curve.f1,
            "accuracy": curve.accuracy,
        }
        for (name, values), colour in zip(columns.items(), LINES, strict=False):
            on.plot(curve.thresholds[shown], values[shown], color=colour, label=name)
        at = curve.thresholds[best]
        text = f"best F1: {curve.f1[best]:.3g} at {at:.3g}"
        on.axvline(at, color=INK, linewidth=1, linestyle="--", label=text)
        on.set(title="metrics by threshold", xlabel="threshold", ylim=(-0.02, 1.02))
        on.legend()
    return owner(on)


def scores(
    y: ArrayLike,
    score: ArrayLike,
    axes: Axes | None = None,
    *,
    threshold: float | None = None,
    log: bool = False,
    bins: int = 40,
) -> Figure:
    """Draw the distribution of the scores of each class.

    Parameters
    ----------
    y, score
        As for `fourstep.metrics.auc`; scores must be finite.
    axes : matplotlib axes, optional
        Where to draw; by default in a new figure.
    threshold : float, optional
        A line.
    log : bool
        Whether densities are on a logarithmic scale, which shows the tails.
    bins : int
        Of equal width, from the lowest score to the highest.

    Returns
    -------
    matplotlib Figure

    Examples
    --------
    >>> drawn = scores([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], log=True)
    >>> drawn.axes[0].get_yscale(), drawn.axes[0].get_legend_handles_labels()[1]
    ('log', ['label 0: 2 rows', 'label 1: 2 rows'])
    """
    labels, values, _ = rows(y, score, None, None)
    refuse("score", ~np.isfinite(values), "finite scores to draw", values)
    edges = np.histogram_bin_edges(values.astype(np.float64), bins)
    with drawing(axes) as on:
        for value, colour in ((0, TRAIN), (1, VALID)):
            of_class = values[labels == value]
            if len(of_class):
                on.hist(
                    of_class,
                    bins=list(edges),
                    density=True,
                    log=log,
                    color=colour,
                    alpha=0.55,
                    label=f"label {value}: {len(of_class):,} rows",
                )
        if threshold is not None:
            on.axvline(threshold, color=REST, linewidth=1, linestyle="--", label=f"threshold {threshold:.3f}")
        on.set_ylim(top=(5 if log else 1.3) * on.get_ylim()[1])  # room for the legend
        on.set(title="scores by label", xlabel="score", ylabel=f"density{', log scale' if log else ''}")
        on.legend()
    return owner(on)


def distributions(
    y: ArrayLike,
    score: ArrayLike,
    axes: Sequence[Axes] | None = None,
    *,
    threshold: float | None = None,
    bins: int = 40,
) -> Figure:
    """Draw the scores of each class twice: on a linear and on a logarithmic scale.

    Parameters
    ----------
    y, score, threshold, bins
        As for `scores`.
    axes : two matplotlib axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib Figure

    Examples
    --------
    >>> [axes.get_yscale() for axes in distributions([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).axes]
    ['linear', 'log']
    """
    with _panels(axes, ["linear", "logarithmic"]) as panels:
        for on, log in zip(panels, (False, True), strict=True):
            scores(y, score, on, threshold=threshold, log=log, bins=bins)
    return owner(panels[0])


def calibration(
    y: ArrayLike,
    p: ArrayLike,
    axes: Axes | None = None,
    *,
    bins: int = 10,
    strategy: Literal["quantile", "width"] = "quantile",
    ci: float = 0.95,
) -> Figure:
    """Draw the share of positives over the mean prediction of each bin, with its interval and its rows.

    Parameters
    ----------
    y, p, bins, strategy
        As for `fourstep.metrics.calibration_curve`.
    axes : matplotlib axes, optional
        Where to draw; by default in a new figure. The rows of the bins are bars on an axis of their own.
    ci : float
        Level of the interval of each bin: Wilson's, of its share alone.

    Returns
    -------
    matplotlib Figure

    Examples
    --------
    >>> drawn = calibration([0, 1, 0, 1], [0.125, 0.25, 0.5, 0.75], bins=2)
    >>> drawn.axes[0].get_lines()[0].get_xydata().tolist()
    [[0.1875, 0.5], [0.625, 0.5]]
    """
    curve = metrics.calibration_curve(y, p, bins, strategy=strategy)
    with drawing(axes) as on:
        draw_calibration(on, curve, len(_labels(y)), level(ci))
    return owner(on)


def draw_calibration(
    on: Axes, curve: metrics.CalibrationCurve, rows: int | None, coverage: float = 0.95
) -> None:
    """Draw a curve that there is; of rows with weights (None) there is neither an interval nor a count."""
    top, label, errors = curve.observed, "bins", None
    if rows is not None:
        held = np.rint(curve.share * rows)
        low, top = _wilson(curve.observed, held, coverage)
        label, errors = f"bins, {100 * coverage:g} % each", [curve.observed - low, top - curve.observed]
    span = 1.05 * max(float(curve.predicted.max()), float(top.max()))
    if rows is not None:
        _bars(on, curve.predicted, held, 0.02 * span, "rows of a bin")
    on.errorbar(
        curve.predicted,
        curve.observed,
        yerr=errors,
        color=VALID,
        marker="o",
        markersize=4,
        elinewidth=1,
        label=label,
    )
    on.plot([0, span], [0, span], color=TRAIN, linewidth=1, linestyle="--", label="calibrated")
    on.set(title="calibration", xlabel="mean prediction", ylabel="share of positives")
    on.set(xlim=(0, span), ylim=(0, span))
    on.legend(loc="upper left")


def _bars(on: Axes, x: Floats, heights: Floats, width: Any, label: str) -> None:
    """Draw bars behind all else, in the lower third, with a scale at the right."""
    behind = on.twinx()
    behind.bar(x, heights, width=width, color=GRID, edgecolor=TRAIN, linewidth=0.5)
    behind.set_ylim(0, 3 * float(heights.max()))
    behind.set_ylabel(label)
    behind.grid(visible=False)
    on.set_zorder(behind.get_zorder() + 1)
    on.patch.set_visible(False)


def gauc_by_size(
    y: ArrayLike,
    score: ArrayLike,
    groups: ArrayLike,
    axes: Axes | None = None,
    *,
    ci: float = 0.95,
    min_rows: int = 2,
) -> Figure:
    """Draw gAUC by the rows of a group: of groups of 2 and 3 rows, of 4 to 7, of 8 to 15 … (M6).

    Parameters
    ----------
    y, score, groups, min_rows
        As for `fourstep.metrics.gauc`, weighted by impressions; groups of one class do not take part.
    axes : matplotlib axes, optional
        Where to draw; by default in a new figure. How many groups there are is bars on an axis of their own.
    ci : float
        Level of the interval of each point: ± z standard errors of a weighted mean over its groups, clipped to [0, 1];
        one group alone has none.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    ValueError
        No group has both classes.

    Examples
    --------
    >>> y, p = [1, 0, 1, 0, 0, 1, 1, 0], [0.9, 0.1, 0.2, 0.8, 0.3, 0.5, 0.6, 0.4]
    >>> drawn = gauc_by_size(y, p, [7, 7, 3, 3, 3, 9, 9, 9])
    >>> [line.get_label() for line in drawn.axes[0].get_lines()][-1]
    'all: 0.625'
    """
    whole = metrics.gauc(y, score, groups, per_group=True, min_rows=min_rows, on_undefined="raise")
    each = whole.per_group
    assert each is not None
    kept = each["kept"]
    auc, sizes = each["auc"][kept], each["rows"][kept].astype(np.float64)
    power = np.frexp(sizes)[1] - 1  # 2^power <= rows < 2^(power + 1)
    z = NormalDist().inv_cdf((1 + level(ci)) / 2)
    found = np.unique(power)
    parts = [(auc[power == size], sizes[power == size]) for size in found]
    means, errors = np.array([_mean_and_error(*part) for part in parts]).T
    below, above = means - np.maximum(means - z * errors, 0.0), np.minimum(means + z * errors, 1.0) - means
    counts = np.array([len(a) for a, _ in parts], np.float64)
    with drawing(axes) as on:
        on.set_xscale("log", base=2)
        start = np.exp2(found)
        _bars(on, start * math.sqrt(2), counts, 0.6 * start, "groups")
        on.errorbar(
            start * math.sqrt(2),
            means,
            yerr=[below, above],
            color=VALID,
            marker="o",
            markersize=4,
            elinewidth=1,
            label=f"by size, {100 * ci:g} % each",
        )
        on.axhline(float(whole), color=INK, linewidth=1, linestyle="--", label=f"all: {float(whole):.4g}")
        on.set(title="gAUC by rows of the group", xlabel="rows of a group", ylabel="gAUC")
        on.legend()
    return owner(on)


def _mean_and_error(values: Floats, weights: Floats) -> tuple[float, float]:
    """Return Σ w·v/Σ w and its standard error, √(n/(n − 1)·Σ w²·(v − mean)²)/Σ w; 0 for one value."""
    mean, n = weighted_mean(values, weights), len(values)
    assert mean is not None  # a group has rows
    if n == 1:
        return mean, 0.0
    squares = math.fsum((weights * weights * (values - mean) ** 2).tolist())
    return mean, math.sqrt(n / (n - 1) * squares) / float(weights.sum())


def blend_sweep(sweep: metrics.BlendSweep, axes: Axes | Sequence[Axes] | None = None) -> Figure:
    """Draw each metric of a blend over the share a of the new model, and mark its best (M10).

    Parameters
    ----------
    sweep : BlendSweep
        What `fourstep.metrics.blend_sweep` returned.
    axes : matplotlib axes, one for each panel, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib Figure
        A panel for each of AUC, gAUC and NE that there is.

    Raises
    ------
    ValueError
        Another number of axes than panels.

    Examples
    --------
    >>> y, new, old = [0, 1, 0, 1], [0.1, 0.3, 0.4, 0.9], [0.3, 0.6, 0.1, 0.2]
    >>> drawn = blend_sweep(metrics.blend_sweep(new, old, y))
    >>> [axes.get_title("left") for axes in drawn.axes]
    ['AUC', 'NE (less is better)']
    """
    titles = {"auc": "AUC", "gauc": "gAUC", "ne": "NE (less is better)"}
    there = [name for name in titles if getattr(sweep, name) is not None]
    order = np.argsort(sweep.a, kind="stable")
    with _panels(axes, there) as panels:
        for on, name in zip(panels, there, strict=True):
            values = getattr(sweep, name)
            on.plot(sweep.a[order], values[order], color=VALID, marker="o", markersize=4)
            if not np.isnan(values).all():
                best = sweep.best(name)
                text = f"best: a = {best.a:g}"
                on.plot([best.a], [getattr(best, name)], "o", color=REST, markersize=8, label=text)
                on.legend()
            on.set(title=titles[name], xlabel="a: share of the new model")
    return owner(panels[0])


@contextmanager
def _panels(given: Axes | Sequence[Axes] | None, of: Sequence[str]) -> Iterator[list[Axes]]:
    """Give an axis for each of these, those of a new figure unless some are given, in the look of all pictures."""
    with style():
        if given is None:
            panels = list(figure(len(of)).subplots(1, len(of), squeeze=False)[0])
        else:
            panels = list(np.ravel(np.asarray(given, object)))
        if len(panels) != len(of):
            raise ValueError(f"axes: got {len(panels)}, need {len(of)}: for {', '.join(of)}")
        yield panels
        if given is None:
            owner(panels[0]).canvas.draw()
