"""The figures of a part of the data, as `metrics.json` holds them."""

from __future__ import annotations

from typing import Final, TypedDict

import numpy as np
import numpy.typing as npt

from fourstep import metrics

__all__ = ["Measures", "measure", "watched"]

WEIGHT: Final = "impressions"  # of a user in gAUC

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.uint8]
Groups = npt.NDArray[np.int64]


class Measures(TypedDict):
    """Figures of one part; gAUC is None where there is no user, or no user with both classes."""

    auc: float
    gauc: float | None
    gauc_weight: str | None
    groups_kept: int
    groups_dropped: int
    logloss: float
    f1: float
    threshold: float
    base_rate: float
    rows: int


def watched(y: Labels, p: Floats, groups: Groups | None) -> tuple[float, float, float | None]:
    """Loss, AUC and gAUC of an epoch."""
    return _logloss(y, p), float(metrics.auc(y, p)), _gauc(y, p, groups)[0]


def measure(y: Labels, p: Floats, groups: Groups | None, threshold: float) -> Measures:
    """Figures of scores against labels.

    Parameters
    ----------
    y : (n,) uint8
    p : (n,) float64
        Probabilities.
    groups : (n,) int64 or None
        The user of each row.
    threshold : float
        F1 takes rows with p >= threshold as positive. It comes from other rows than these: chosen here it would flatter.
    """
    gauc, kept, dropped = _gauc(y, p, groups)
    return {
        "auc": float(metrics.auc(y, p)),
        "gauc": gauc,
        "gauc_weight": None if groups is None else WEIGHT,
        "groups_kept": kept,
        "groups_dropped": dropped,
        "logloss": _logloss(y, p),
        "f1": float(metrics.f1(y, p, threshold=threshold)),
        "threshold": float(threshold),
        "base_rate": float(y.mean()),
        "rows": len(y),
    }


def _logloss(y: Labels, p: Floats) -> float:
    """Log loss with p kept off 0 and 1 by the machine epsilon, as scikit-learn does: one row cannot make it infinite."""
    return float(metrics.logloss(y, p, clip="eps"))


def _gauc(y: Labels, p: Floats, groups: Groups | None) -> tuple[float | None, int, int]:
    """GAUC, users kept, users dropped for having one class only."""
    if groups is None:
        return None, 0, 0
    score = metrics.gauc(y, p, groups, group_weight=WEIGHT, on_undefined=np.nan)
    return None if np.isnan(score) else float(score), score.groups_kept or 0, score.groups_dropped or 0
