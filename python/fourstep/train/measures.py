"""The figures of a part of the data, as `metrics.json` holds them."""

from __future__ import annotations

from typing import Any, Final, TypedDict

import numpy as np
import numpy.typing as npt

from fourstep import metrics

__all__ = ["Measures", "calibration", "measure", "watched"]

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
    logloss: float | None
    f1: float
    threshold: float
    base_rate: float
    rows: int


def watched(y: Labels, p: Floats, groups: Groups | None) -> tuple[float, float, float | None]:
    """Loss, AUC and gAUC of an epoch."""
    return _logloss(y, p), float(metrics.auc(y, p)), _gauc(y, p, groups)[0]


def measure(
    y: Labels, p: Floats, groups: Groups | None, threshold: float, *, probability: bool = True
) -> Measures:
    """Figures of scores against labels.

    Parameters
    ----------
    y : (n,) uint8
    p : (n,) float64
        Scores; probabilities, unless `probability` is False: then there is no log loss.
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
        "logloss": _logloss(y, p) if probability else None,
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


def calibration(y: Labels, p: Floats, bins: int = 10) -> dict[str, Any]:
    """Compare probabilities with rates: overall, and in bins of equally many rows by p.

    Equal probabilities share a bin, so there may be fewer bins than asked for.

    Returns
    -------
    dict
        ``predicted`` and ``observed`` (means), ``ratio`` (predicted / observed), ``ece`` (Σ rows·|predicted −
        observed| / n over the bins), and ``bins``: rows, predicted, observed of each.

    Examples
    --------
    >>> found = calibration(np.array([0, 1, 1, 1], np.uint8), np.array([0.25, 0.25, 0.75, 0.75]), bins=2)
    >>> found["ratio"], found["ece"]
    (0.6666666666666666, 0.25)
    """
    order = np.argsort(p, kind="stable")
    y, p = y[order], p[order]
    cuts = np.linspace(0, len(p), bins + 1).round().astype(int)[1:-1]
    cuts = np.unique(np.searchsorted(p, p[cuts[cuts < len(p)]]))  # never between two equal probabilities
    parts = [part for part in np.split(np.arange(len(p)), cuts) if len(part)]
    rows = [
        {"rows": len(part), "predicted": float(p[part].mean()), "observed": float(y[part].mean())}
        for part in parts
    ]
    gap = sum(row["rows"] * abs(row["predicted"] - row["observed"]) for row in rows)
    predicted, observed = float(p.mean()), float(y.mean())
    return {
        "predicted": predicted,
        "observed": observed,
        "ratio": predicted / observed,
        "ece": gap / len(p),
        "bins": rows,
    }
