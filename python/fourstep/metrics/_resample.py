"""The bootstrap over groups: how much a mean over groups would vary with other groups of the same kind.

    replicate b     Σ_j ω_{i_j}·AUC_{i_j} / Σ_j ω_{i_j}        i_1 … i_G drawn from 1 … G with replacement

The rows of a group stay together, so each group's pairs are counted once, before the first draw. Draws come from a
counter-based generator (Philox) whose key is the number of the replicate: no replicate depends on another one, nor on
who computes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fourstep.metrics._exact import sums
from fourstep.metrics._inputs import Array, Rows, number

if TYPE_CHECKING:
    from numpy.typing import NDArray

REPLICATES = 1000


def level(ci: float) -> float:
    """Check the level of an interval."""
    if not number(ci):
        raise TypeError(f"ci: got {ci!r}, need a level such as 0.95")
    if not 0 < ci < 1:
        raise ValueError(f"ci: got {ci!r}, need a level between 0 and 1, such as 0.95")
    return float(ci)


def groups(
    values: NDArray[np.float64], weights: NDArray[np.float64], level: float
) -> tuple[tuple[float, float] | None, float | None]:
    """Return the percentile interval and the standard deviation of the replicates; None for fewer than two groups.

    A group of weight 0 does not exist.
    """
    weights = weights / max(
        weights.max(initial=0.0), np.finfo(np.float64).tiny
    )  # sums of huge ones would overflow
    exists = weights > 0
    values, weights = values[exists], weights[exists]
    n = len(values)
    if n < 2:
        return None, None
    products = values * weights
    means = np.empty(REPLICATES)
    for b in range(REPLICATES):
        drawn = _draws(b, n)
        means[b] = products[drawn].sum() / weights[drawn].sum()
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return (float(low), float(high)), float(means.std(ddof=1))


def _draws(replicate: int, n: int) -> NDArray[np.uint64]:
    """Return n numbers below n < 2^32: 32 random bits each, times n, over 2^32; uneven by less than n/2^32."""
    raw = np.asarray(np.random.Philox(key=replicate).random_raw((n + 1) // 2), np.uint64)
    halves = np.concatenate([raw >> np.uint64(32), raw & np.uint64(2**32 - 1)])
    return (halves[:n] * np.uint64(n)) >> np.uint64(32)


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
        of_row = (
            np.repeat(np.arange(len(positive)), np.diff(ids))
            if offsets
            else np.unique(ids, return_inverse=True)[1]
        )
        positive = sums(of_row, weights * labels, len(positive))
        negative = sums(of_row, weights * (1 - labels), len(positive))
        largest = max(positive.max(), negative.max())
        positive, negative = positive / largest, negative / largest  # their products shall not overflow
    if name == "pairs":
        return positive * negative
    return positive if name == "positives" else positive + negative
