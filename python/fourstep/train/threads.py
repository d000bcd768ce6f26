"""Threads of the kernels, and of the matrix products, which are BLAS's.

In small products a second thread gains little on an idle machine, and loses much on a busy one: the two wait
for each other. So BLAS gets one thread, unless the products of a step are large, or `--threads` says how many.
Without threadpoolctl (extra ``[data]``) BLAS does as it likes.
"""

from __future__ import annotations

import importlib.util
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from fourstep._runtime import num_threads, runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["blas_threads", "limited"]

SMALL = 1 << 26  # multiply-adds of a product, below which BLAS gets one thread


def blas_threads(threads: int, product: int) -> int:
    """Choose BLAS's threads for products of so many multiply-adds.

    Examples
    --------
    >>> blas_threads(0, 512 * 64 * 64), blas_threads(2, 512 * 64 * 64)
    (1, 2)
    """
    return threads or (1 if product < SMALL else runtime().threads)


@contextmanager
def limited(threads: int, product: int) -> Iterator[None]:
    """Run a ``with`` block on so many threads (0: as many as fit); `product` is the largest matrix product of a step."""
    with ExitStack() as stack:
        if threads:
            stack.enter_context(num_threads(threads))
        if importlib.util.find_spec("threadpoolctl") is not None:
            from threadpoolctl import threadpool_limits

            stack.enter_context(threadpool_limits(blas_threads(threads, product), user_api="blas"))
        yield
