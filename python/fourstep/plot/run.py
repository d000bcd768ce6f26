"""Pictures of a run: curves by epoch; and loss, gAUC, ROC and scores by label in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fourstep.plot.evaluation import roc, scores
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
        roc(y, score, axes[1, 0], label=f"AUC {auc:.4f}", band=None)
        scores(y, score, axes[1, 1], threshold=threshold)
        made.canvas.draw()
    return made
