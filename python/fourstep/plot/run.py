"""Pictures of a run: curves by epoch, ROC, scores by label, and the four of them in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fourstep import metrics
from fourstep.plot.look import REST, TRAIN, VALID, figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Labels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
History = Sequence[Mapping[str, Any]]


def curves(history: History, key: str, axes: Axes, *, title: str, best: int | None = None) -> None:
    """Draw a figure of training and validation rows by epoch; the gap between them is the overfit (R3).

    Parameters
    ----------
    history : sequence of dict
        Lines of ``history.jsonl``.
    key : str
        ``loss``, ``auc`` or ``gauc``.
    axes : matplotlib axes
    title : str
    best : int, optional
        The epoch to mark.
    """
    from matplotlib.ticker import MaxNLocator

    epochs = [line["epoch"] for line in history]
    for part, colour in (("train", TRAIN), ("valid", VALID)):
        values = [np.nan if line[f"{part}_{key}"] is None else line[f"{part}_{key}"] for line in history]
        axes.plot(
            epochs,
            values,
            color=colour,
            marker="o",
            markersize=4,
            label="training" if part == "train" else "validation",
        )
    if best is not None:
        axes.axvline(best, color=REST, linewidth=1, linestyle="--", label=f"best: epoch {best}")
    axes.set_title(title)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()


def roc(y: Labels, score: Floats, axes: Axes, *, label: str = "") -> None:
    """Draw true positive rate over false positive rate, with the diagonal of a coin (M2).

    Parameters
    ----------
    y : (n,) uint8
    score : (n,) float64
    axes : matplotlib axes
    label : str, optional
        What the legend says.
    """
    x, t, _ = metrics.roc_curve(y, score)
    axes.fill_between(x, t, color=VALID, alpha=0.08, linewidth=0)
    axes.plot(x, t, color=VALID, label=label or None)
    axes.plot([0, 1], [0, 1], color=TRAIN, linewidth=1, linestyle="--", label="a coin")
    axes.set_title("ROC")
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    axes.set_aspect("equal")
    axes.legend(loc="lower right")


def scores(y: Labels, score: Floats, axes: Axes, *, threshold: float | None = None) -> None:
    """Draw the distribution of the scores of each class.

    Parameters
    ----------
    y : (n,) uint8
    score : (n,) float64
    axes : matplotlib axes
    threshold : float, optional
        A line.
    """
    edges = np.linspace(score.min(), score.max() + 1e-9, 41)
    for value, colour in ((0, TRAIN), (1, VALID)):
        of_class = score[y == value]
        axes.hist(
            of_class,
            bins=list(edges),
            density=True,
            color=colour,
            alpha=0.55,
            label=f"label {value}: {len(of_class):,} rows",
        )
    if threshold is not None:
        axes.axvline(threshold, color=REST, linewidth=1, linestyle="--", label=f"threshold {threshold:.3f}")
    axes.set_ylim(top=1.3 * axes.get_ylim()[1])  # room for the legend
    axes.set_title("scores by label")
    axes.set_xlabel("score")
    axes.set_ylabel("density")
    axes.legend()


def overview(
    history: History,
    y: Labels,
    score: Floats,
    *,
    auc: float,
    best: int | None = None,
    threshold: float | None = None,
) -> Figure:
    """Draw a run in one picture: loss, gAUC (AUC where there is no user), ROC and scores.

    Examples
    --------
    >>> import numpy as np
    >>> line = {"epoch": 1, "train_loss": 0.6, "valid_loss": 0.61, "train_auc": 0.7, "valid_auc": 0.7}
    >>> history = [line | {"train_gauc": None, "valid_gauc": None}]
    >>> drawn = overview(history, np.array([0, 1], np.uint8), np.array([0.2, 0.7]), auc=1.0)
    >>> len(drawn.axes)
    4
    """
    with style():
        made = figure(2, 2)
        axes = made.subplots(2, 2)
        grouped = any(line["valid_gauc"] is not None for line in history)
        curves(history, "loss", axes[0, 0], title="log loss", best=best)
        curves(
            history, "gauc" if grouped else "auc", axes[0, 1], title="gAUC" if grouped else "AUC", best=best
        )
        roc(y, score, axes[1, 0], label=f"AUC {auc:.4f}")
        scores(y, score, axes[1, 1], threshold=threshold)
        made.canvas.draw()
    return made
