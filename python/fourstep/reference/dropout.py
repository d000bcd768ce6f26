"""Dropout by a counter: the twin of ``rust/core/src/layers/dropout.rs``, same bits.

    y = x·m,  m = 0 where the element's random word is below p·2³², else 1/(1 − p)

The word of an element is a function of (seed, step, position): Philox 4×32 with ten rounds (Salmon et al. 2011).
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_SIDE = 32  # blocks that stand side by side in a group of elements


def dropout(x: Array, p: float, seed: int, step: int) -> Array:
    """Return x·m.

    Parameters
    ----------
    x : ndarray
        float32 or float64, any shape.
    p : float
        The probability of 0.
    seed, step : int
        Which mask, each from 0 to 2^64 − 1.

    Examples
    --------
    >>> dropout(np.ones(8), 0.5, seed=3, step=0).tolist()
    [2.0, 0.0, 2.0, 0.0, 2.0, 2.0, 2.0, 2.0]
    """
    scale = x.dtype.type(1 / (1 - p) if p < 1 else 0)
    dropped = words(x.size, seed, step) < round(p * 2**32)
    mask: Array = np.where(dropped, x.dtype.type(0), scale).reshape(x.shape)
    return x * mask


def words(n: int, seed: int, step: int) -> Array:
    """Return the random words of the first n elements.

    Element 32·w + j of a group of 128 is word w of block 32·group + j.
    """
    groups = -(-n // (4 * _SIDE))
    blocks = np.arange(groups * _SIDE, dtype=np.uint64)
    four = philox([blocks & _LOW, blocks >> _HALF, _part(step), _part(step >> 32)], [seed, seed >> 32])
    side_by_side = [np.broadcast_to(c, blocks.shape).reshape(groups, _SIDE) for c in four]
    return np.concatenate(side_by_side, axis=1).reshape(-1)[:n]


def philox(counter: list[Array], key: list[int]) -> list[Array]:
    """Return four words for each counter of four words, under a key of two.

    >>> zero = np.uint64(0)  # the known answer of the Random123 distribution
    >>> [f"{int(word):x}" for word in philox([zero] * 4, [0, 0])]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        a, b = _M0 * c0, _M1 * c2
        c0, c1, c2, c3 = (b >> _HALF) ^ c1 ^ _part(k0), b & _LOW, (a >> _HALF) ^ c3 ^ _part(k1), a & _LOW
        k0, k1 = k0 + _W0, k1 + _W1
    return [c0, c1, c2, c3]


def _part(x: int) -> Any:
    """Return the low 32 bits of x."""
    return np.uint64(x & 0xFFFFFFFF)
