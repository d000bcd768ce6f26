"""Where an activation lets no gradient through: |f′| below a share of its maximum, and f′ exactly 0 (A3, A5).

A zone is an interval (low, high) of inputs, with ±∞ where it has no end. The ends are found on the function itself: its
test is read on a grid from −2000 to 2000, and each change is bisected. Outside the grid nothing changes any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from fourstep.nn import _check
from fourstep.nn._elementary import floats
from fourstep.nn._scalars import Function, scalar
from fourstep.nn.module import Array

Zone: TypeAlias = tuple[float, float]

_FAR = np.geomspace(51, 2000, 400)
_GRID = np.concatenate([-_FAR[::-1], np.linspace(-50, 50, 20_001), _FAR])
_HALVINGS = 60
_ROUNDING = 1e-14


def saturated(activation: str, x: ArrayLike, share: float = 0.01) -> Array:
    """Return where x is in a saturation zone: |f′(x)| < share · max |f′|.

    Parameters
    ----------
    activation : str
        One of the names in `compare`.
    x : array_like
        Inputs of the activation, of any shape.
    share : float
        Above 0 and at most 1.

    Returns
    -------
    ndarray of bool, of the shape of x

    Raises
    ------
    ValueError, TypeError
        There is no such activation; the share is out of range, or no number.

    Examples
    --------
    >>> from fourstep import nn
    >>> nn.activations.saturated("tanh", [-3.0, 0.0, 3.0]).tolist()
    [True, False, True]
    """
    df = scalar(activation).df
    return np.asarray(np.abs(df(floats(x))) < _share(share) * largest(df))


def saturation_zones(activation: str, share: float = 0.01) -> list[Zone]:
    """Return the zones where |f′(x)| < share · max |f′|, from left to right.

    Parameters
    ----------
    activation : str
        One of the names in `compare`.
    share : float
        Above 0 and at most 1.

    Raises
    ------
    ValueError, TypeError
        There is no such activation; the share is out of range, or no number.

    Examples
    --------
    >>> from fourstep import nn
    >>> (left, right) = nn.activations.saturation_zones("sigmoid")
    >>> left[0], round(left[1], 3), round(right[0], 3), right[1]
    (-inf, -5.986, 5.986, inf)
    >>> nn.activations.saturation_zones("leaky_relu")
    []
    """
    df = scalar(activation).df
    limit = _share(share) * largest(df)
    return zones(lambda x: np.abs(df(x)) < limit)


def zero_zones(activation: str, dtype: str = "float64") -> list[Zone]:
    """Return the zones where the derivative is exactly 0, as computed in a dtype.

    For ReLU that is the formula; elsewhere it is where the derivative is below the smallest number of the dtype. Layers
    that take the derivative from their output (sigmoid, tanh) reach 0 earlier, where the output rounds to its limit.

    Parameters
    ----------
    activation : str
        One of the names in `compare`.
    dtype : {"float32", "float64"}
        Of x.

    Raises
    ------
    ValueError, TypeError
        There is no such activation, or dtype.

    Examples
    --------
    >>> from fourstep import nn
    >>> nn.activations.zero_zones("relu")
    [(-inf, 0.0)]
    >>> [round(end) for zone in nn.activations.zero_zones("sigmoid", "float32") for end in zone if abs(end) < 1e9]
    [-104, 104]
    """
    df = scalar(activation).df
    kind = _check.float_dtype(dtype)
    return zones(lambda x: df(x.astype(kind)) == 0)


def largest(df: Function) -> float:
    """Return max |f′|: the largest on the grid, refined between its neighbours by thirds."""
    size = np.abs(df(_GRID))
    i = int(size.argmax())
    low, high = _GRID[max(i - 1, 0)], _GRID[min(i + 1, len(_GRID) - 1)]
    on_grid = best = float(size[i])
    for _ in range(_HALVINGS):
        thirds = np.array([low + (high - low) / 3, high - (high - low) / 3])
        left, right = np.abs(df(thirds))
        best = max(best, float(left), float(right))
        low, high = (thirds[0], high) if left < right else (low, thirds[1])
    return best if best > on_grid * (1 + _ROUNDING) else on_grid


def zones(test: Callable[[Array], Array]) -> list[Zone]:
    """Return the intervals where a test of x holds."""
    inside = np.concatenate([[False], test(_GRID), [False]])
    starts, ends = np.flatnonzero(inside[1:] & ~inside[:-1]), np.flatnonzero(inside[:-1] & ~inside[1:]) - 1
    last = len(_GRID) - 1
    return [
        (
            -np.inf if start == 0 else _bisected(test, _GRID[start], _GRID[start - 1]),
            np.inf if end == last else _bisected(test, _GRID[end], _GRID[end + 1]),
        )
        for start, end in zip(starts, ends, strict=True)
    ]


def _bisected(test: Callable[[Array], Array], holds: float, fails: float) -> float:
    """Return the end of a zone: the last number found where the test holds."""
    for _ in range(_HALVINGS):
        middle = (holds + fails) / 2
        if test(np.array([middle]))[0]:
            holds = middle
        else:
            fails = middle
    return float(holds)


def _share(share: float) -> float:
    need = "a number above 0 and at most 1"
    found = _check.number("share", share, need)
    if not 0 < found <= 1:
        raise ValueError(f"share: got {share!r}, need {need}")
    return found
