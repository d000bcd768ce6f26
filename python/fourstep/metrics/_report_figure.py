"""The figure of a `Report`: four panels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fourstep.metrics._inputs import Array
    from fourstep.metrics.report import Report

POINTS = 2000  # of a curve, at most


def draw(report: Report) -> Figure:
    """Draw ROC and precision-recall curve, calibration, and the scores of each class."""
    from fourstep import metrics, plot
    from fourstep.plot.look import TRAIN

    y, score, weight = report._rows
    roc = metrics.roc_curve(y, score, sample_weight=weight, max_points=POINTS)
    pr = metrics.pr_curve(y, score, sample_weight=weight, max_points=POINTS)
    with plot.style():
        made = plot.figure(2, 2)
        axes = made.subplots(2, 2)
        axes[0, 0].plot([0, 1], [0, 1], color=TRAIN, linewidth=1, linestyle="--", label="a coin")
        _line(
            axes[0, 0],
            roc.fpr,
            roc.tpr,
            f"ROC: AUC {report.auc:.4f}",
            "false positive rate",
            "true positive rate",
        )
        title = f"precision and recall: AP {report.average_precision:.4f}"
        _line(axes[0, 1], pr.recall, pr.precision, title, "recall", "precision", drawstyle="steps-pre")
        _calibration(axes[1, 0], report)
        there = np.isfinite(score) if score.dtype.kind == "f" else np.ones(len(score), bool)
        plot.scores(y[there], score[there].astype(np.float64), axes[1, 1])
        made.canvas.draw()
    return made


def _line(
    axes: Axes, x: Array, y: Array, title: str, x_label: str, y_label: str, drawstyle: str = "default"
) -> None:
    from fourstep.plot.look import VALID

    axes.plot(x, y, color=VALID, drawstyle=drawstyle)
    axes.set(xlabel=x_label, ylabel=y_label, title=title, ylim=(-0.02, 1.02))


def _calibration(axes: Axes, report: Report) -> None:
    from fourstep.plot.look import TRAIN, VALID

    if report.calibration is None or report.ece is None:
        axes.set_title("no calibration: scores are no probabilities")
        axes.axis("off")
        return
    predicted, observed, _ = report.calibration
    end = float(max(predicted.max(), observed.max()))
    axes.plot([0, end], [0, end], color=TRAIN, linewidth=1, linestyle="--")
    axes.plot(predicted, observed, color=VALID, marker="o", markersize=4)
    axes.set(
        xlabel="mean prediction of a bin",
        ylabel="share of positives",
        title=f"calibration: ECE {report.ece:.4f}",
    )
