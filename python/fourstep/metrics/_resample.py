"""The bootstrap: how much a result would vary with other rows, or groups of rows, of the same kind.

    replicate b of n       the result of rows i_1 … i_m, drawn from 1 … m with replacement
    of a mean over groups  Σ_j ω_{i_j}·AUC_{i_j} / Σ_j ω_{i_j}

The rows of a group stay together, so each group's pairs are counted once, before the first draw. Draws are functions of
the seed, the number of the replicate and of the draw: no replicate depends on another one, nor on who computes it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fourstep import _core
from fourstep.metrics._exact import means_of_drawn, sums
from fourstep.metrics._inputs import Array, Rows
from fourstep.metrics._sort import numbered

if TYPE_CHECKING:
    from numpy.typing import NDArray

REPLICATES = 1000


def percentiles(replicates: NDArray[np.float64], level: float) -> tuple[tuple[float, float], float]:
    """Return the interval between percentiles of the replicates, and their standard deviation.

    Where some are infinite nothing lies between them and the next: the percentiles are replicates, the outer ones.
    """
    if not np.isfinite(replicates).all():
        low = np.quantile(replicates, (1 - level) / 2, method="lower")
        high = np.quantile(replicates, (1 + level) / 2, method="higher")
        return (float(low), float(high)), math.inf
    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    return (float(low), float(high)), float(replicates.std(ddof=1))


def means_over_groups(
    values: NDArray[np.float64], weights: NDArray[np.float64], n: int, seed: int
) -> NDArray[np.float64]:
    """Return n replicates of the weighted mean over groups, each correctly rounded; nan where no weight was drawn."""
    groups = len(weights)
    mean = means_of_drawn(values, weights)
    drawn = (mean(_core.metrics_draws(seed, b, groups)) for b in range(n))
    return np.array([math.nan if x is None else x for x in drawn])


def row_weights(rows: Rows, nan: str) -> NDArray[np.float64] | None:
    """Return the weights of rows, 0 for a row that does not count; None where there are none."""
    if rows.weight is None:
        return None
    weights = np.asarray(rows.weight / rows.weight.max(), np.float64)  # their sums cannot overflow
    if rows.score.dtype.kind == "f" and nan != "lowest":
        weights[np.isnan(rows.score)] = 0.0
    return weights


def weights_by_name(
    name: str,
    by_group: dict[str, Array],
    labels: Array,
    weights: NDArray[np.float64] | None,
    ids: Array,
    offsets: bool,
) -> NDArray[np.float64]:
    """Return ω of each group, as `gauc` weighs."""
    positive = by_group["positives"].astype(np.float64)
    negative = by_group["rows"] - positive
    if name == "uniform":
        return np.ones(len(positive))
    if weights is not None:
        of_row = np.repeat(np.arange(len(positive)), np.diff(ids)) if offsets else numbered(ids)[1]
        positive = sums(of_row, weights * labels, len(positive))
        negative = sums(of_row, weights * (1 - labels), len(positive))
        largest = max(positive.max(), negative.max())
        positive, negative = positive / largest, negative / largest  # their products shall not overflow
    if name == "pairs":
        return positive * negative
    return positive if name == "positives" else positive + negative
