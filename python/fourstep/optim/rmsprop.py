"""RMSProp: a window over squared gradients instead of all history (O14); centred, and with momentum, if asked for.

v ← α·v + (1 − α)·g²
ḡ ← α·ḡ + (1 − α)·g            centred only
a = √v + ε                     centred: v − ḡ² in place of v, not below 0
η = lr·g/a                     with momentum: b ← μ·b + g/a, η = lr·b
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Unpack

from fourstep.optim import checks
from fourstep.optim.base import Hyper, Optimizer
from fourstep.optim.checks import Check
from fourstep.optim.groups import ParamGroup
from fourstep.optim.options import Shared


class RMSProp(Optimizer):
    r"""RMSProp: the gradient over the root of its recent mean square.

    .. math::
        v_t = \alpha v_{t-1} + (1 - \alpha) g_t^2, \qquad w_{t+1} = w_t - lr \cdot \frac{g_t}{\sqrt{v_t} + \epsilon}

    with :math:`\alpha` = `alpha`, :math:`\epsilon` = `eps`.

    Parameters
    ----------
    params, lr, weight_decay, maximize, clip_value, clip_norm, groups
        See `Optimizer`.
    alpha : float
        α in [0, 1): the weight of the past.
    eps : float
        ε.
    momentum : float
        μ in [0, 1): b = μ·b + g/a, w −= lr·b.
    centered : bool
        Divide by the root of the variance v − ḡ², clamped at 0, instead of the mean square.
    eps_inside : bool
        ε inside the root.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w = np.array([1.0, -100.0])
    >>> opt = fs.optim.RMSProp([w], lr=0.1, alpha=0.9)
    >>> opt.step([2 * w])  # both move by about lr/√(1 − alpha), whatever their gradients
    >>> w.round(4).tolist()
    [0.6838, -99.6838]

    Notes
    -----
    State: ``square_avg``, ``grad_avg`` if centred, ``momentum_buffer`` with momentum. Hinton, Coursera lecture 6e (2012).
    Where others differ: Keras and optax put ε inside the root; Keras keeps lr inside
    the momentum buffer; torch does not clamp the variance, and under steady gradients turns to NaN.
    """

    states: ClassVar[tuple[str, ...]] = ("square_avg", "grad_avg", "momentum_buffer")
    _checks: ClassVar[dict[str, Check]] = {
        "alpha": checks.fraction,
        "eps": checks.non_negative,
        "momentum": checks.fraction,
        "centered": checks.flag,
        "eps_inside": checks.flag,
    }

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        eps_inside: bool = False,
        **shared: Unpack[Shared],
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "eps_inside": eps_inside,
        }
        super().__init__(params, defaults, **shared)

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        states = ["square_avg"]
        if group["centered"]:
            states.append("grad_avg")
        if group["momentum"] > 0:
            states.append("momentum_buffer")
        hyper = {key: group[key] for key in ("alpha", "eps", "momentum", "centered", "eps_inside")}
        return "rmsprop", tuple(states), hyper
