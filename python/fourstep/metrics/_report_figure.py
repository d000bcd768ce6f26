"""The figure of a `Report`, or of several: four panels each, of the functions of `fourstep.plot`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fourstep.metrics.report import Report

POINTS = 2000  # of a curve, at most


def draw(report: Report) -> Figure:
    """Draw ROC and precision-recall curve, calibration, and the scores of each class."""
    from fourstep import plot

    with plot.style():
        made = plot.figure(2, 2)
        _draw(report, made.subplots(2, 2).ravel())
        made.canvas.draw()
    return made


def draw_all(reports: Mapping[str, Report]) -> Figure:
    """Draw the panels of several scores of the same rows below each other, a row each; the titles say whose they are."""
    from fourstep import plot

    with plot.style():
        made = plot.figure(4, len(reports))
        for (name, report), axes in zip(
            reports.items(), made.subplots(len(reports), 4, squeeze=False), strict=True
        ):
            _draw(report, axes, f"{name}: ")
        made.canvas.draw()
    return made


def _draw(report: Report, panels: Iterable[Axes], whose: str = "") -> None:
    from fourstep import metrics, plot
    from fourstep.plot.evaluation import draw_calibration, draw_pr, draw_roc

    left, right, below, last = panels
    y, score, weight = report._rows
    roc = metrics.roc_curve(y, score, sample_weight=weight, max_points=POINTS)
    pr = metrics.pr_curve(y, score, sample_weight=weight, max_points=POINTS)
    draw_roc(left, roc)
    left.set_title(f"{whose}ROC: AUC {report.auc:.4f}")
    draw_pr(right, pr, float(report.prevalence))
    right.set_title(f"{whose}precision and recall: AP {report.average_precision:.4f}")
    if report.calibration is None or report.ece is None:
        below.set_title(f"{whose}no calibration: scores are no probabilities")
        below.axis("off")
    else:
        draw_calibration(below, report.calibration, None if weight is not None else len(y))
        below.set_title(f"{whose}calibration: ECE {report.ece:.4f}")
    there = np.isfinite(score) if score.dtype.kind == "f" else np.ones(len(score), bool)
    plot.scores(y[there], score[there].astype(np.float64), last)
    last.set_title(f"{whose}scores by label")
