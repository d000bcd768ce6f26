"""Sums over fixed virtual lanes: the twin of ``rust/core/src/lanes.rs``, same bits.

    blocks of 4096 elements; in a block element i is added to lane i mod 32, in index order;
    the 32 lanes are halved until one is left; the sums of the blocks are added pairwise in index order.

All in float64. The order depends on the length alone: not on threads, vector width or chunks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

LANES = 32
BLOCK = 4096

Array = np.ndarray[Any, Any]


def total(x: Array) -> float:
    """Return Σx.

    >>> total(np.arange(10_000, dtype=np.float64))
    49995000.0
    """
    blocks = [x[start : start + BLOCK] for start in range(0, x.size, BLOCK)]
    return pairwise([_block(block.astype(np.float64)) for block in blocks])


def sum_of_squares(x: Array) -> float:
    """Return Σx², squared in float64.

    >>> sum_of_squares(np.array([3.0, 4.0], np.float32))
    25.0
    """
    wide = x.reshape(-1).astype(np.float64)
    return total(wide * wide)


def pairwise(x: Sequence[float]) -> float:
    """Return Σx as a balanced tree that is halved at the largest power of two below the length."""
    if len(x) <= 1:
        return x[0] if x else 0.0
    half = 1 << (len(x) - 1).bit_length() - 1
    return pairwise(x[:half]) + pairwise(x[half:])


def _block(x: Array) -> float:
    lanes = np.zeros(LANES)
    for start in range(0, x.size, LANES):
        row = x[start : start + LANES]
        lanes[: row.size] += row
    width = LANES // 2
    while width:
        lanes[:width] += lanes[width : 2 * width]
        width //= 2
    return float(lanes[0])
