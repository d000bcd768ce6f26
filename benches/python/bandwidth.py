"""What memory allows, measured in the same rounds as what stands beside it.

Two ways to move memory; the faster one is the limit:

``memcpy``
    one array to another, 8 bytes an element of float32. Where the C library does not stream, the processor also reads
    the line that it is about to overwrite; that is not counted.
``loop r4w3``
    in place, as an update is: reads 4 arrays, writes 3 of them back (Adam: w, m, v; g is only read). The first written
    one takes the read-only ones in, the others change sign.

Each thread works on its own stretch of every array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

from harness import Array, Ready, Rival


def limits(elements: int, reads: int, writes: int, threads: int, calls: int) -> tuple[Rival, Rival]:
    """Return both, over float32 arrays of `elements`; the answer is checked after `calls` calls."""
    if reads - writes not in (0, 1):
        raise ValueError(f"reads: got {reads}, need writes ({writes}) or one more")

    def source() -> Array:
        return np.linspace(0.1, 1, elements, dtype=np.float32)

    def copy() -> Ready:
        a, b = source(), np.zeros(elements, np.float32)
        return Ready(_split(threads, elements, lambda part: np.copyto(b[part], a[part])), lambda: b)

    def loop() -> Ready:
        first, *others = (source() for _ in range(writes))
        read = source() if reads > writes else None

        def body(part: slice) -> None:
            if read is None:
                np.negative(first[part], out=first[part])
            else:
                np.add(first[part], read[part], out=first[part])
            for array in others:
                np.negative(array[part], out=array[part])

        return Ready(_split(threads, elements, body), lambda: first)

    def looped() -> Array:
        x = source()
        for _ in range(calls):
            x = x + source() if reads > writes else -x
        return x

    return (
        Rival("memcpy", copy, source, bytes=8 * elements),
        Rival(f"loop r{reads}w{writes}", loop, looped, bytes=4 * (reads + writes) * elements),
    )


def _split(threads: int, n: int, body: Callable[[slice], None]) -> Callable[[], None]:
    """Return a call of `body` on one stretch for each thread."""
    parts = list(_stretches(threads, n))
    if threads == 1:
        return lambda: body(parts[0])
    pool = _pool(threads - 1)

    def call() -> None:
        others = [pool.submit(body, part) for part in parts[1:]]
        body(parts[0])
        for other in others:
            other.result()

    return call


def _stretches(threads: int, n: int) -> Iterator[slice]:
    size = -(-n // threads)
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)
