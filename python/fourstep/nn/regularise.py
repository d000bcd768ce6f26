"""Penalties on parameters, and limits to them (R2, R4, R7).

    L1            λ·Σ|w|                    sub-gradient λ·sign(w);  proximal step  w ← sign(w)·max(|w| − α·λ, 0)
    L2            ½·λ·Σw²                   gradient λ·w;            proximal step  w ← w/(1 + α·λ)
    elastic net   λ₁·Σ|w| + ½·λ₂·Σw²        both
    max-norm      ‖w_i‖ <= c for every unit i: its incoming weights are scaled back

L1 makes parameters exactly 0 by the proximal step alone: the sub-gradient makes them cross 0 for ever (R4). L2 and
decoupled decay need nothing of this file in training: they are ``weight_decay`` and ``decay`` of every optimizer, in the
same pass (`fourstep.optim`). `FTRL` has an L1 of its own, with a rate for each element.

Every function takes one array, arrays by name, an `Arena`, or a module, and ``params=``: a name, a pattern such as
``"*.weight"``, or several. Biases are rarely penalised.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fourstep.nn import _check, _named
from fourstep.nn._named import Selection, Target


class ElasticNet:
    """The penalty λ₁·Σ|w| + ½·λ₂·Σw² on some parameters.

    Parameters
    ----------
    l1, l2 : float
        λ₁ and λ₂, 0 or above.
    params : str or sequence of str, optional
        Which parameters, by name or pattern; None: all.

    Raises
    ------
    ValueError
        A number is negative or not finite; a pattern matches nothing.
    TypeError
        The target holds something other than float32 or float64 arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> w, g = np.array([3.0, -0.25, 0.0]), np.zeros(3)
    >>> penalty = nn.regularise.ElasticNet(l1=1.0, l2=0.5)
    >>> penalty.value(w)
    5.515625
    >>> penalty.add_gradient(w, g)
    >>> g.tolist()
    [2.5, -1.125, 0.0]
    >>> penalty.prox(w, lr=0.5)
    >>> w.tolist()
    [2.0, 0.0, 0.0]

    Notes
    -----
    The elastic net of scikit-learn writes λ₁ = alpha·l1_ratio and λ₂ = alpha·(1 − l1_ratio).

    References
    ----------
    Zou and Hastie 2005, "Regularization and variable selection via the elastic net"; Parikh and Boyd 2014, "Proximal
    algorithms", section 6.5.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, *, params: Selection = None) -> None:
        self.l1, self.l2 = _strength("l1", l1), _strength("l2", l2)
        self.params = params

    def value(self, target: Target) -> float:
        """Return the penalty: what to add to the loss."""
        total = 0.0
        for w in _named.arrays("target", target, self.params).values():
            wide = w.astype(np.float64)
            total += self.l1 * float(np.abs(wide).sum()) + self.l2 / 2 * float((wide * wide).sum())
        return total

    def add_gradient(self, target: Target, grads: Any = None) -> None:
        """Add λ₁·sign(w) + λ₂·w to the gradients, in place; sign(0) is 0.

        Parameters
        ----------
        target : ndarray, mapping, Arena or Module
        grads : ndarray or mapping, optional
            In the form of `target`; an arena and a module bring their own.
        """
        for _, w, g in _named.pairs(target, grads, self.params):
            if self.l1:
                g += w.dtype.type(self.l1) * np.sign(w)
            if self.l2:
                g += w.dtype.type(self.l2) * w

    def prox(self, target: Target, lr: float) -> None:
        """Take the proximal step w ← sign(w)·max(|w| − lr·λ₁, 0)/(1 + lr·λ₂), in place: after an optimizer's step.

        It is exact for SGD, whose step has the size `lr` in every element; an adaptive optimizer's have others, and the
        threshold is then one for all elements, as the decay of AdamW is.

        Parameters
        ----------
        target : ndarray, mapping, Arena or Module
        lr : float
            The learning rate of that step.
        """
        lr = _strength("lr", lr)
        for w in _named.arrays("target", target, self.params).values():
            size = np.maximum(np.abs(w) - w.dtype.type(lr * self.l1), 0)
            np.multiply(np.sign(w), size, out=w)
            w += 0  # −0 becomes 0
            if self.l2:
                w /= w.dtype.type(1 + lr * self.l2)

    def __repr__(self) -> str:
        """Return the arguments that it was made with."""
        which = "" if self.params is None else f", params={self.params!r}"
        return f"{type(self).__name__}(l1={self.l1}, l2={self.l2}{which})"


class L1(ElasticNet):
    """The penalty λ·Σ|w|: with `prox`, a selector of features (R4).

    Parameters
    ----------
    strength : float
        λ.
    params : str or sequence of str, optional
        Which parameters; None: all.

    Examples
    --------
    Three of twenty inputs matter. The proximal step finds them; the sub-gradient leaves no exact zero.

    >>> import numpy as np
    >>> import fourstep as fs
    >>> from fourstep import nn
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 20))
    >>> y = x[:, :3] @ [2.0, -3.0, 1.0] + rng.normal(scale=0.1, size=200)
    >>> def fitted(how):
    ...     arena = fs.Arena({"w": np.full(20, 0.5)})
    ...     optimizer, l1 = fs.optim.SGD(arena, lr=0.1), nn.regularise.L1(0.1)
    ...     for _ in range(500):
    ...         arena.grad["w"] = x.T @ (x @ arena["w"] - y) / len(y)
    ...         if how == "sub-gradient":
    ...             l1.add_gradient(arena)
    ...         optimizer.step()
    ...         if how == "proximal":
    ...             l1.prox(arena, lr=0.1)
    ...     return arena
    >>> fitted("sub-gradient").nonzero(), fitted("proximal").nonzero()
    ({'w': 20}, {'w': 3})
    >>> fitted("proximal")
    Arena of 1 parameters, 20 elements, float64
    name  shape  dtype    nonzero  group
    w     (20,)  float64  3        0
    """

    def __init__(self, strength: float, *, params: Selection = None) -> None:
        super().__init__(l1=_strength("strength", strength), params=params)


class L2(ElasticNet):
    """The penalty ½·λ·Σw².

    ``weight_decay=λ`` of an optimizer adds the same gradient in its pass; ``decay="decoupled"`` takes it out of the
    moments.

    Parameters
    ----------
    strength : float
        λ.
    params : str or sequence of str, optional
        Which parameters; None: all.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> from fourstep import nn
    >>> ours, theirs = (fs.Arena({"w": np.array([1.0, -2.0])}) for _ in range(2))
    >>> nn.regularise.L2(0.5).add_gradient(ours)
    >>> fs.optim.SGD(ours, lr=0.1).step()
    >>> fs.optim.SGD(theirs, lr=0.1, weight_decay=0.5).step()
    >>> ours["w"].tolist() == theirs["w"].tolist()
    True
    """

    def __init__(self, strength: float, *, params: Selection = None) -> None:
        super().__init__(l2=_strength("strength", strength), params=params)


def max_norm(target: Target, limit: float, *, params: Selection = None) -> int:
    """Scale the incoming weights of each unit back to a norm of at most `limit`, in place: after an optimizer's step.

    A matrix is (out, in, …), so a unit is a row: w_i ← w_i·min(1, c/‖w_i‖). Arrays of one dimension (biases, scales)
    have no units and are left out.

    Parameters
    ----------
    target : ndarray, mapping, Arena or Module
    limit : float
        c, above 0; 3 to 4 is usual beside dropout.
    params : str or sequence of str, optional
        Which parameters; None: all.

    Returns
    -------
    int
        How many units were scaled.

    Raises
    ------
    ValueError
        No array has two dimensions; a weight is not finite (the parameter is named, nothing of it is scaled).

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> w = np.array([[3.0, 4.0], [0.3, 0.4]])
    >>> nn.regularise.max_norm(w, 2.5)
    1
    >>> w.tolist()
    [[1.5, 2.0], [0.3, 0.4]]

    Notes
    -----
    Where others differ: Keras' MaxNorm takes columns by default, as its matrices are (in, out), and adds 1e-7 to the
    norm.

    References
    ----------
    Srebro and Shraibman 2005; Srivastava et al. 2014, "Dropout", section 5.1.
    """
    if not _strength("limit", limit):
        raise ValueError(f"limit: got {limit!r}, need a finite number above 0")
    found = {n: w for n, w in _named.arrays("target", target, params).items() if w.ndim >= 2}
    if not found:
        raise ValueError("target: no array has two dimensions or more, (out, in, …)")
    count = 0
    for name, w in found.items():
        norms = unit_norms(w)
        if not np.isfinite(norms).all():
            first = int(np.flatnonzero(~np.isfinite(norms))[0])
            raise ValueError(f"target: {name}: the weights of unit {first} are not finite")
        above = norms.reshape(len(w)) > limit
        count += int(above.sum())
        w[above] *= (limit / norms[above]).astype(w.dtype)
    return count


def unit_norms(w: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the norm of each unit's incoming weights in float64, in a shape that broadcasts against w."""
    wide = w.astype(np.float64)
    norms: np.ndarray[Any, Any] = np.sqrt((wide * wide).sum(axis=tuple(range(1, w.ndim)), keepdims=True))
    return norms


def _strength(name: str, value: float) -> float:
    found = _check.number(name, value, "a finite number, 0 or above")
    if not (found >= 0 and math.isfinite(found)):
        raise ValueError(f"{name}: got {value!r}, need a finite number, 0 or above")
    return found
