"""Watching an optimizer at work: `with fourstep.trace(opt, names, indices) as t`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import index as whole

from fourstep.optim.base import Optimizer
from fourstep.tracing.coordinates import Coordinate, Index, chosen
from fourstep.tracing.watch import Trace, watching

__all__ = ["Coordinate", "Trace", "trace", "watching"]


def trace(
    opt: Optimizer,
    names: str | Iterable[str] | None = None,
    indices: Iterable[Index] | Mapping[str, Iterable[Index]] | None = None,
    *,
    every: int = 1,
    max_bytes: int = 1 << 20,
) -> Trace:
    """Watch chosen coordinates of an optimizer inside a ``with`` block.

    Parameters
    ----------
    opt : Optimizer
        Of an arena, a list, a dict or groups.
    names : str or list of str, optional
        Parameters, or patterns of their names; by default all.
    indices : list of index, or dict of name to such a list, optional
        Elements: ``[(3, 5)]``, ``{"w1": [(0, 0), (3, 5)], "b1": [2]}``; by default every element of the parameters named.
    every : int
        Record steps 1, 1 + every, 1 + 2·every, …
    max_bytes : int
        The budget of the ring: when it is full, the oldest step is overwritten (`Trace.dropped` counts them).

    Returns
    -------
    Trace
        To be used in a ``with``; it can be read inside and after it.

    Raises
    ------
    ValueError
        A name that matches nothing, an index outside a parameter, a budget too small for one step.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w = np.array([1.0, -2.0])
    >>> opt = fs.optim.SGD([w], lr=0.1, momentum=0.9)
    >>> with fs.trace(opt, indices=[1]) as t:
    ...     for _ in range(3):
    ...         opt.step([2 * w])
    >>> print(t.table())
    step  element  w      g      m       η       w next
    1     0[1]     -2     -4     -4      -0.4    -1.6
    2     0[1]     -1.6   -3.2   -6.8    -0.68   -0.92
    3     0[1]     -0.92  -1.84  -7.96   -0.796  -0.124
    >>> t.to_numpy()["m"].ravel().round(6).tolist()
    [-4.0, -6.8, -7.96]

    Notes
    -----
    The step is not changed by a bit; without a trace nothing is attached to an optimizer. The kernels of rows, and steps
    that are Python functions, are not seen into: of those w alone is recorded, and tables show a dash for the rest.
    """
    if not isinstance(opt, Optimizer):
        raise TypeError(f"opt: got {type(opt).__name__}, need an optimizer of fourstep.optim")
    for name, value in (("every", every), ("max_bytes", max_bytes)):
        if isinstance(value, bool) or not hasattr(value, "__index__") or whole(value) < 1:
            raise ValueError(f"{name}: got {value!r}, need a whole number >= 1")
    return Trace(opt, list(chosen(opt, names, indices)), whole(every), whole(max_bytes))
