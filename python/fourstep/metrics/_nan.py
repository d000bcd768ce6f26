"""What a NaN score does, for metrics that count at distinct scores; and how many rows took part."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.metrics._inputs import Rows

Nan: TypeAlias = Literal["raise", "drop", "lowest"]
NAN = ("raise", "drop", "lowest")


def settle_nan(rows: Rows, nan: Nan) -> tuple[Rows, dict[str, int]]:
    """Leave rows with NaN out ("drop"), or rank them below all others ("lowest"); and count who is left out."""
    y, score, weight = rows
    exists = np.ones(len(y), bool) if weight is None else weight > 0
    dropped = {"nan": 0, "weight_zero": int(np.count_nonzero(~exists))}
    missing = np.isnan(score) if score.dtype.kind == "f" else np.zeros(len(y), bool)
    if nan == "raise" or not missing.any():
        return rows, dropped
    if nan == "lowest":
        rank = np.unique(score, return_inverse=True)[1].astype(np.int64)
        return Rows(y, np.where(missing, -1, rank), weight), dropped
    if weight is not None:  # a bad weight is named by its index among all rows
        _core.metrics_loss(y, np.zeros(len(y)), weight, "prediction", 0.0, execution())
    if not (exists & ~missing).any():
        raise ValueError(f"score: all {len(y)} rows are NaN or of weight 0")
    dropped["nan"] = int(np.count_nonzero(missing & exists))
    there = ~missing
    return Rows(y[there], score[there], None if weight is None else weight[there]), dropped


def taken(rows: Rows) -> dict[str, int]:
    """Return how many rows, positives and negatives count."""
    y = rows.y if rows.weight is None else rows.y[rows.weight > 0]
    positives = int(np.count_nonzero(y))
    return {"rows": len(y), "positives": positives, "negatives": len(y) - positives}
