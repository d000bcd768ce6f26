"""The figure of a `Report`: four panels, of the functions of `fourstep.plot`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fourstep.metrics.report import Report

POINTS = 2000  # of a curve, at most


def draw(report: Report) -> Figure:
    """Draw ROC and precision-recall curve, calibration, and the scores of each class."""
    from fourstep import metrics, plot
    from fourstep.plot.evaluation import draw_calibration, draw_pr, draw_roc

    y, score, weight = report._rows
    roc = metrics.roc_curve(y, score, sample_weight=weight, max_points=POINTS)
    pr = metrics.pr_curve(y, score, sample_weight=weight, max_points=POINTS)
    with plot.style():
        made = plot.figure(2, 2)
        (left, right), (below, last) = made.subplots(2, 2)
        draw_roc(left, roc)
        left.set_title(f"ROC: AUC {report.auc:.4f}")
        draw_pr(right, pr, float(report.prevalence))
        right.set_title(f"precision and recall: AP {report.average_precision:.4f}")
        if report.calibration is None or report.ece is None:
            below.set_title("no calibration: scores are no probabilities")
            below.axis("off")
        else:
            draw_calibration(below, report.calibration, None if weight is not None else len(y))
            below.set_title(f"calibration: ECE {report.ece:.4f}")
        there = np.isfinite(score) if score.dtype.kind == "f" else np.ones(len(score), bool)
        plot.scores(y[there], score[there].astype(np.float64), last)
        made.canvas.draw()
    return made
