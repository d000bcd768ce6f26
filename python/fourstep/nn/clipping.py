"""Gradient clipping as plain functions, on arrays, mappings or an arena's gradients, in place (G4).

    by value    g ← min(max(g, −c), c)                          changes the direction
    by norm     g ← g·min(1, c/(‖g‖ + ε)), over all arrays       keeps it
    adaptive    g_i ← g_i·c·max(‖w_i‖, ε)/‖g_i‖ where ‖g_i‖ > c·max(‖w_i‖, ε), for every unit i

The first two are also ``clip_value`` and ``clip_norm`` of every optimizer, which does them inside its pass, without the
extra trip through memory: by norm, then by value, then it adds L2. These functions do one thing each.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fourstep.nn import _check, _named
from fourstep.nn._named import Selection, Target
from fourstep.nn.regularise import unit_norms


def clip_by_value(grads: Target, limit: float, *, params: Selection = None) -> int:
    """Limit every element to ±limit, in place.

    Parameters
    ----------
    grads : ndarray or mapping
        Such as ``arena.grad``. An arena or a module stands for its gradients.
    limit : float
        c, above 0.
    params : str or sequence of str, optional
        Which, by name or pattern; None: all.

    Returns
    -------
    int
        How many elements were outside.

    Raises
    ------
    ValueError
        `limit` is not a finite number above 0.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> g = np.array([0.5, -3.0])
    >>> nn.clip_by_value(g, 1.0), g.tolist()
    (1, [0.5, -1.0])
    """
    limit = _above_zero("limit", limit)
    outside = 0
    for g in _gradients(grads, params).values():
        c = g.dtype.type(limit)
        outside += int((np.abs(g) > c).sum())
        np.clip(g, -c, c, out=g)
    return outside


def clip_by_norm(grads: Target, max_norm: float, *, eps: float = 1e-6, params: Selection = None) -> float:
    """Scale all gradients by min(1, max_norm/(norm + eps)), in place; the norm is one over all arrays.

    Parameters
    ----------
    grads : ndarray or mapping
        Such as ``arena.grad``. An arena or a module stands for its gradients.
    max_norm : float
        c, above 0.
    eps : float
        What is added to the norm: 1e-6, as in torch and in our optimizers; 0 is exact.
    params : str or sequence of str, optional
        Which, by name or pattern; None: all.

    Returns
    -------
    float
        The norm before.

    Raises
    ------
    FloatingPointError
        The norm is not finite; nothing was scaled. The first such array is named.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> grads = {"w": np.array([3.0, 0.0]), "b": np.array([4.0])}
    >>> nn.clip_by_norm(grads, 1.0, eps=0), grads["b"].tolist()
    (5.0, [0.8])
    """
    limit, eps = _above_zero("max_norm", max_norm), _check.number("eps", eps, "0 or above")
    if not eps >= 0:
        raise ValueError(f"eps: got {eps!r}, need 0 or above")
    found = _gradients(grads, params)
    squares = {name: _square(g) for name, g in found.items()}
    for name, square in squares.items():
        if not math.isfinite(square):
            raise FloatingPointError(
                f"grads: {name}: the norm is {square}: a gradient is not finite; nothing was scaled"
            )
    norm = math.sqrt(math.fsum(squares.values()))
    scale = 1.0 if norm + eps == 0 else min(limit / (norm + eps), 1.0)
    if scale < 1:
        for g in found.values():
            g *= g.dtype.type(scale)
    return norm


def clip_adaptive(
    target: Target,
    grads: Any = None,
    *,
    clipping: float = 0.01,
    eps: float = 1e-3,
    params: Selection = None,
) -> int:
    """Limit the gradient of each unit to a share of its weights' norm, in place (AGC).

    A unit is a row of an (out, in, …) array; an array of one dimension or none (a bias, a scale) is one unit as a whole.

    Parameters
    ----------
    target : ndarray, mapping, Arena or Module
        The parameters.
    grads : ndarray or mapping, optional
        In the form of `target`; an arena and a module bring their own.
    clipping : float
        c: the largest ratio of norms. 0.01 to 0.16 in the paper, less for larger batches.
    eps : float
        The least norm that weights count with, so that those at 0 can move.
    params : str or sequence of str, optional
        Which, by name or pattern; None: all. The paper leaves the last layer out.

    Returns
    -------
    int
        How many units were scaled.

    Raises
    ------
    FloatingPointError
        The gradient of a unit is not finite: the parameter and the unit are named.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> w, g = np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[0.0, 1.0], [1e-6, 0.0]])
    >>> nn.clip_adaptive(w, g, clipping=0.01), g.tolist()
    (1, [[0.0, 0.05], [1e-06, 0.0]])

    References
    ----------
    Brock, De, Smith and Simonyan 2021, "High-Performance Large-Scale Image Recognition Without Normalization".
    """
    share, least = _above_zero("clipping", clipping), _above_zero("eps", eps)
    count = 0
    for name, w, g in _named.pairs(target, grads, params):
        norms = _norms(g)
        if not np.isfinite(norms).all():
            first = int(np.flatnonzero(~np.isfinite(norms))[0])
            raise FloatingPointError(f"grads: {name}: the gradient of unit {first} is not finite")
        limit = share * np.maximum(_norms(w), least)
        above = norms > limit
        count += int(above.sum())
        scale = np.divide(limit, norms, out=np.ones_like(norms), where=above)
        g *= scale.astype(g.dtype)
    return count


def _norms(a: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the norm of each unit, in a shape that broadcasts against `a`."""
    if a.ndim >= 2:
        return unit_norms(a)
    return np.full((1,) * a.ndim, np.sqrt(_square(a)))


def _gradients(grads: Any, params: Selection) -> dict[str, np.ndarray[Any, Any]]:
    """Return the gradients: of what has parameters too, those and not the parameters."""
    if hasattr(grads, "named_grads"):
        grads = grads.named_grads()
    elif hasattr(grads, "grad_data"):
        grads = grads.grad
    return _named.arrays("grads", grads, params)


def _square(g: np.ndarray[Any, Any]) -> float:
    wide = g.astype(np.float64)
    return float((wide * wide).sum())


def _above_zero(name: str, value: float) -> float:
    found = _check.number(name, value, "a finite number above 0")
    if not (found > 0 and math.isfinite(found)):
        raise ValueError(f"{name}: got {value!r}, need a finite number above 0")
    return found
