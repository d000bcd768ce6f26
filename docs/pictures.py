"""Draw the pictures of docs/minimize.md and docs/explain.md: `python docs/pictures.py` (needs 'fourstep[data,plot]')."""

from __future__ import annotations

from pathlib import Path

import fourstep as fs

HERE = Path(__file__).parent


def main() -> None:
    """Write ravine.png, effective_lr.png and lineage.png beside this file."""
    walks = {"SGD": ("SGD", {"lr": 0.07}), "SGD-M": ("SGD", {"lr": 0.07, "momentum": 0.5})}
    fs.plot.trajectories(fs.functions.Ravine(), walks, steps=40).savefig(HERE / "ravine.png", dpi=100)
    fs.plot.lineage().savefig(HERE / "lineage.png", dpi=70)
    fs.plot.effective_lr().savefig(HERE / "effective_lr.png", dpi=100)


if __name__ == "__main__":
    main()
