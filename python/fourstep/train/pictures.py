"""The pictures that a run leaves in its folder."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from fourstep import plot
from fourstep.state import atomic_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fourstep.train.job import Outcome

__all__ = ["draw", "write_picture"]


def draw(outcome: Outcome, out: Path) -> list[Path]:
    """Draw loss, gAUC (AUC without a user), ROC, scores, and all four in one; return the files."""
    history, best, test = outcome.history, outcome.best_epoch, outcome.metrics["test"]
    figure = "gauc" if any(line["valid_gauc"] is not None for line in history) else "auc"
    made = {
        "overview": plot.overview(
            history, outcome.label, outcome.score, auc=test["auc"], best=best, threshold=test["threshold"]
        )
    }
    with plot.style():
        for name in ("loss", figure, "roc", "scores"):
            made[name] = plot.figure(1)
            axes = made[name].subplots()
            if name == "roc":
                plot.roc(outcome.label, outcome.score, axes, label=f"AUC {test['auc']:.4f}")
            elif name == "scores":
                plot.scores(outcome.label, outcome.score, axes, threshold=test["threshold"])
            else:
                title = {"loss": "log loss", "gauc": "gAUC", "auc": "AUC"}[name]
                plot.curves(history, name, axes, title=title, best=best)
        return [write_picture(drawn, out / f"{name}.png") for name, drawn in made.items()]


def write_picture(drawn: Figure, path: Path) -> Path:
    """Write a figure, in the format of the suffix, whole or not at all."""
    image = io.BytesIO()
    drawn.savefig(image, format=path.suffix[1:])
    with atomic_file(path) as file:
        file.write(image.getvalue())
    return path
