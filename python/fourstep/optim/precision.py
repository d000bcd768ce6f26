"""State of fewer bits: which state can have them, its buffers, and what is in them.

The kernels decode a block, compute in float32 and encode it again (`fourstep.reference.precision` is the twin).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fourstep.arena import Array
from fourstep.optim.layout import Layout
from fourstep.reference import precision

SIGNED = precision.SIGNED
#: Moments that are averages, sums or maxima of squares or magnitudes.
NON_NEGATIVE = frozenset(
    {"exp_avg_sq", "max_exp_avg_sq", "exp_avg_var", "exp_inf", "square_avg", "acc_delta", "sum"}
)


class Coded(NamedTuple):
    """8-bit blocks, as the kernels take them."""

    codes: Array
    exponents: Array
    signed: bool


#: A state buffer: float32 or float64, uint16 that are bfloat16, or 8-bit blocks.
Buffer = Array | Coded


def check(kind: str, states: tuple[str, ...], layout: Layout, dtype: str | None) -> None:
    """Raise where state cannot have this precision."""
    if dtype in (None, "float32") and (dtype is None or all(b.dtype == np.float32 for b in layout.buffers)):
        return
    wide = [
        name for name, b in zip(layout.buffer_names, layout.buffers, strict=True) if b.dtype != np.float32
    ]
    if wide:
        raise ValueError(
            f"state_dtype: got {dtype!r}, but {wide[0]} is float64, whose state is float64 always (None)"
        )
    if dtype == "int8":
        other = [name for name in states if name not in SIGNED | NON_NEGATIVE]
        if other:
            raise ValueError(
                f"state_dtype: 'int8' is for moments; {other[0]!r} of {kind} is none (use 'bfloat16' or 'float32')"
            )


def zeros(layout: Layout, buffer: int, state: str, dtype: str | None) -> Buffer:
    """Return a state buffer that holds zeros."""
    full = layout.buffers[buffer]
    if dtype == "bfloat16":
        return np.zeros(full.shape, np.uint16)
    if dtype == "int8":
        blocks = full.size // precision.BLOCK + len(layout.names_in(buffer)) + 1
        return Coded(np.zeros(full.shape, np.uint8), np.zeros(blocks, np.uint8), state in SIGNED)
    return layout.zeros(buffer)


def first_block(start: int, place: int) -> int:
    """Return the first 8-bit block of the parameter that is number `place` of its buffer and begins at `start`.

    Blocks are not shared by parameters, so there are more of them than ``size / 256``: at most one more a parameter.
    """
    return start // precision.BLOCK + place


def fill(buffer: Buffer, start: int, stop: int, block: int, value: Array | float) -> None:
    """Set a range to one value, or to as many as it has elements."""
    if isinstance(buffer, Coded):
        values = np.broadcast_to(np.asarray(value, np.float32), stop - start)
        codes, exponents = precision.to_bytes(values, buffer.signed)
        buffer.codes.reshape(-1)[start:stop] = codes
        buffer.exponents[block : block + exponents.size] = exponents
    elif buffer.dtype == np.uint16:
        buffer.reshape(-1)[start:stop] = precision.to_half(np.asarray(value, np.float32))
    else:
        buffer.reshape(-1)[start:stop] = value


def stored(
    name: str, buffer: Buffer, where: tuple[int, int], block: int, shape: tuple[int, ...]
) -> dict[str, Array]:
    """Return what there is of a range, by name: views."""
    start, stop = where
    if not isinstance(buffer, Coded):
        return {name: buffer.reshape(-1)[start:stop].reshape(shape)}
    blocks = -(-(stop - start) // precision.BLOCK)
    return {
        name: buffer.codes.reshape(-1)[start:stop].reshape(shape),
        f"{name}_exponents": buffer.exponents[block : block + blocks],
    }


def decoded(name: str, parts: dict[str, Array], signed: bool) -> Array:
    """Return the numbers that `stored` returned: the view itself where it is in full, else a float32 copy."""
    array = parts[name]
    if array.dtype == np.uint16:
        return precision.from_half(array)
    if array.dtype == np.uint8:
        flat = precision.from_bytes(array.reshape(-1), parts[f"{name}_exponents"], signed)
        return flat.reshape(array.shape)
    return array


def like(name: str, array: Array, dtype: str | None) -> dict[str, Array]:
    """Return arrays of the shapes and dtypes that `stored` would return, without their memory."""

    def ghost(kind: Any, shape: tuple[int, ...]) -> Array:
        return np.broadcast_to(np.zeros((), kind), shape)

    if dtype == "bfloat16":
        return {name: ghost(np.uint16, array.shape)}
    if dtype == "int8":
        blocks = -(-array.size // precision.BLOCK)
        return {name: ghost(np.uint8, array.shape), f"{name}_exponents": ghost(np.uint8, (blocks,))}
    return {name: ghost(array.dtype, array.shape)}
