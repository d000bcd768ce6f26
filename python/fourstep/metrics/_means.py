"""Means over rows: exact sums, each rounded once, of any number of losses in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.metrics._inputs import Array

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Mean(NamedTuple):
    """Of one loss: the mean over all rows, the sum over the weight of each class; and of which rows."""

    value: float
    over_positives: float | None
    over_negatives: float | None
    rows: int
    positives: int
    infinite: int
    first_infinite: int | None


def means(
    labels: NDArray[np.uint8],
    p: Array,
    weights: NDArray[np.float64] | None,
    *losses: str | tuple[str, float],
) -> list[Mean]:
    """Average each loss, such as "brier", or ("log", 1e-7) where it has a number, in one pass over the rows.

    What is no probability (no number, for "logits") is an error that names `p`.
    """
    named = [(loss, 0.0) if isinstance(loss, str) else loss for loss in losses]
    return [Mean(*found) for found in _core.metrics_losses(labels, p, weights, named, execution())]


def mean(
    labels: NDArray[np.uint8],
    p: Array,
    weights: NDArray[np.float64] | None,
    loss: str = "prediction",
    number: float = 0.0,
) -> Mean:
    """Average one loss."""
    return means(labels, p, weights, (loss, number))[0]


def mean_of(x: Array, labels: NDArray[np.uint8] | None = None) -> float:
    """Return the mean of numbers in [0, 1], rounded once: any order gives the same bits. No label counts."""
    labels = np.zeros(len(x), np.uint8) if labels is None else labels
    return mean(labels, np.ascontiguousarray(x), None).value
