"""Draw the pictures of these pages, but that of a run: `python docs/pictures.py` (needs 'fourstep[data,plot]')."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import fourstep as fs

HERE = Path(__file__).parent


def main() -> None:
    """Write ravine.png, effective_lr.png, lineage.png and metrics.png beside this file."""
    walks = {"SGD": ("SGD", {"lr": 0.07}), "SGD-M": ("SGD", {"lr": 0.07, "momentum": 0.5})}
    fs.plot.trajectories(fs.functions.Ravine(), walks, steps=40).savefig(HERE / "ravine.png", dpi=100)
    fs.plot.lineage().savefig(HERE / "lineage.png", dpi=70)
    fs.plot.effective_lr().savefig(HERE / "effective_lr.png", dpi=100)
    metrics()


def metrics() -> None:
    """Write metrics.png: clicks of users of different activity, and a model that knows half of what decides them."""
    rng = np.random.default_rng(0)
    n = 5000
    known, unknown = rng.normal(size=(2, n))
    y = rng.random(n) < 1 / (1 + np.exp(2 - known - unknown))
    p = 1 / (1 + np.exp(2 - known))
    user = (300 * rng.random(n) ** 3).astype(int)
    with fs.plot.style():
        made = fs.plot.figure(3, 2)
        axes = made.subplots(2, 3).ravel()
        fs.plot.roc(y, p, axes[0], label=f"AUC {fs.metrics.auc(y, p):.3f}")
        fs.plot.pr(y, p, axes[1], label=f"average precision {fs.metrics.average_precision(y, p):.3f}")
        fs.plot.thresholds(y, p, axes[2])
        fs.plot.scores(y, p, axes[3], log=True)
        fs.plot.calibration(y, p, axes[4])
        fs.plot.gauc_by_size(y, p, user, axes[5])
        made.savefig(HERE / "metrics.png", dpi=70)


if __name__ == "__main__":
    main()
