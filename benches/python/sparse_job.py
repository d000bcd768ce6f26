"""A training job whose vocabulary is far larger than a batch, with ``--sparse`` and without: time, and what it reaches.

python benches/python/sparse_job.py        # some seconds
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import numpy as np

import fourstep as fs

ROWS, USERS, ITEMS = 200_000, 1_000_000, 200_000


def log(path: Path) -> None:
    """Write a click log: half of its users and items from a long tail, half from anywhere."""
    rng = np.random.default_rng(0)
    users, items = rng.zipf(1.2, ROWS) % USERS, rng.zipf(1.2, ROWS) % ITEMS
    half = ROWS // 2
    users[:half], items[:half] = rng.integers(0, USERS, half), rng.integers(0, ITEMS, half)
    chance = 1 / (1 + np.exp(-np.sin(items * 0.37) - np.sin(users * 0.11)))
    clicks = (rng.random(ROWS) < chance).astype(int)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["click", "user", "item"])
        writer.writerows((c, f"u{u}", f"i{i}") for c, u, i in zip(clicks, users, items, strict=True))


def main() -> None:
    """Train both and print a line for each."""
    with tempfile.TemporaryDirectory() as folder:
        log(Path(folder) / "log.csv")
        for sparse in (False, True):
            config = fs.train.Config(
                data=f"{folder}/log.csv",
                label="click",
                categorical=("user", "item"),
                split="random",
                min_count=1,
                history=False,
                epochs=2,
                refit=False,
                baseline=False,
                plots=False,
                quiet=True,
                threads=1,
                sparse=sparse,
                out=f"{folder}/{sparse}",
            )
            found = fs.train.train(config).metrics
            seconds, test = found["seconds"], found["test"]
            print(
                f"sparse {sparse!s:5}  {found['parameters']:,} parameters  optimizer {seconds['optimizer']:.2f} s  "
                f"embeddings {seconds['embedding']:.2f} s  in all {seconds['total']:.2f} s  "
                f"AUC {test['auc']:.4f}  log loss {test['logloss']:.4f}"
            )


if __name__ == "__main__":
    main()
