"""State of fewer bits: bfloat16, and 8-bit blocks. The twin of ``coding.rs`` and ``random.rs``, same bits.

bfloat16   the upper half of a float32
8-bit      256 elements share an exponent E, that of the largest of them; an element is a small float below it: of both
           signs, sign, 4 bits of exponent and 3 of mantissa; without a sign, 5 bits of exponent and 3 of mantissa

A code is the upper 12 bits of a float32 less a constant of its block. What is cut off is rounded: to the nearest, or by
adding as many random bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

BLOCK = 256

#: Moments that have a sign: averages of gradients. The other moments are of squares or magnitudes.
SIGNED = frozenset({"exp_avg", "momentum_buffer", "grad_avg", "exp_avg_diff", "exp_avg_slow", "exp_avg_fast"})
_WORD = 2**64 - 1


def least(dtype: Any, first_moment: bool) -> Any:
    """Return the least magnitude that `flush_subnormals` keeps: the smallest normal number; 2^24 of it for first moments.

    >>> float(least(np.float32, True)) == 2.0**-102
    True
    """
    tiny = np.finfo(dtype).tiny
    return tiny * tiny.dtype.type(2**24) if first_moment else tiny


def to_half(x: Array, random: Array | None = None) -> Array:
    """Return x rounded to bfloat16, as uint16; `random`: 32-bit numbers, of which the upper half is added.

    >>> to_half(np.array([1.0, 1 + 1 / 256, 1 + 3 / 256], np.float32)).tolist()
    [16256, 16256, 16258]
    """
    with np.errstate(over="ignore"):
        bits = np.asarray(x).astype(np.float32, order="C").view(np.uint32)
    add = 0x7FFF + (bits >> 16 & 1) if random is None else random >> 16
    rounded = (bits + add.astype(np.uint32)) >> 16
    nan = (bits & 0x7FFFFFFF) > 0x7F800000
    return np.where(nan, bits >> 16 | 0x40, rounded).astype(np.uint16)


def from_half(x: Array) -> Array:
    """Return the float32 that bfloat16 are.

    >>> from_half(np.array([16256], np.uint16)).tolist()
    [1.0]
    """
    return (x.astype(np.uint32) << 16).view(np.float32)


def to_bytes(x: Array, signed: bool, random: Array | None = None) -> tuple[Array, Array]:
    """Return codes and the exponent of each block of a flat array; `random` adds its upper 20 bits.

    >>> codes, exponents = to_bytes(np.array([1.0, 0.5, 0.0], np.float32), signed=False)
    >>> from_bytes(codes, exponents, signed=False).tolist()
    [1.0, 0.5, 0.0]
    """
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    magnitude = bits & 0x7FFFFFFF
    starts = np.arange(0, x.size, BLOCK)
    largest = np.maximum.reduceat(magnitude, starts) if x.size else magnitude
    exponents = (largest >> 23).astype(np.uint8)
    add = np.uint32(1 << 19) if random is None else random >> 12
    top, base = _top_and_base(exponents, x.size, signed)
    upper = ((magnitude + add) >> 20).astype(np.int64) - base
    codes = np.where(magnitude == 0, 0, np.clip(upper, 0 if signed else 1, top))
    if signed:
        codes = codes | (bits >> 24 & 0x80)
    return codes.astype(np.uint8), exponents


def from_bytes(codes: Array, exponents: Array, signed: bool) -> Array:
    """Return the float32 that codes are."""
    top, base = _top_and_base(exponents, codes.size, signed)
    magnitude = codes.astype(np.int64) & top
    upper = magnitude + base
    bits = np.where((magnitude == 0) | (upper <= 0), 0, upper << 20).astype(np.uint32)
    sign = (codes.astype(np.uint32) & ~np.uint32(top) & 0xFF) << 24
    x: Array = (bits | sign).view(np.float32)
    x[np.repeat(exponents == 255, BLOCK)[: codes.size]] = np.nan
    return x


def _top_and_base(exponents: Array, size: int, signed: bool) -> tuple[int, Array]:
    top = 127 if signed else 255
    base = exponents.astype(np.int64) * 8 + 7 - top
    return top, np.repeat(base, BLOCK)[:size]


def random_bits(seed: int, step: int, parameter: int, buffer: int, size: int) -> Array:
    """Return one 32-bit number for each element of a buffer of a parameter at a step: independent ones, for bfloat16.

    An odd buffer has the numbers of the even one before it, with their halves exchanged.

    >>> random_bits(0, 1, 0, 2, 3).tolist()
    [3541788531, 981086391, 1083050046]
    """
    return _exchanged(_mix32(_points(seed, step, parameter, buffer, size)), buffer)


def spread_bits(seed: int, step: int, parameter: int, buffer: int, size: int) -> Array:
    """Return such numbers that are spread over the elements of a step and independent from step to step: for 8 bits.

    >>> spread_bits(0, 1, 0, 2, 3).tolist()
    [1765693550, 4144570839, 1431350044]
    """
    return _exchanged(_points(seed, step, parameter, buffer, size), buffer)


def _points(seed: int, step: int, parameter: int, buffer: int, size: int) -> Array:
    out = np.empty(size, np.uint32)
    for first in range(0, size, 2**32):
        key = _mix64(seed)
        for word in (step, parameter, buffer // 2, first >> 32):
            key = _mix64(key ^ word)
        index = np.arange(min(2**32, size - first), dtype=np.uint32)
        out[first : first + index.size] = index * np.uint32(0x9E3779B9) ^ np.uint32(key >> 32)
    return out


def _exchanged(bits: Array, buffer: int) -> Array:
    return bits << np.uint32(16) | bits >> np.uint32(16) if buffer % 2 else bits


def _mix64(x: int) -> int:
    x = x + 0x9E3779B97F4A7C15 & _WORD
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & _WORD
    x = (x ^ x >> 27) * 0x94D049BB133111EB & _WORD
    return x ^ x >> 31


def _mix32(x: Array) -> Array:
    x = (x ^ x >> np.uint32(16)) * np.uint32(0x7FEB352D)
    x = (x ^ x >> np.uint32(15)) * np.uint32(0x846CA68B)
    result: Array = x ^ x >> np.uint32(16)
    return result
