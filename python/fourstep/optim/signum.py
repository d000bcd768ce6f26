"""Signum: steps of one size along the sign of the momentum.

m ← γ·m + (1 − γ)·g
η = α·sign(m)                  sign(0) = 0; γ = 0 is signSGD
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Unpack

from fourstep import steps
from fourstep.optim import checks
from fourstep.optim.base import Hyper, Optimizer
from fourstep.optim.checks import Check
from fourstep.optim.four_steps import Triple
from fourstep.optim.groups import ParamGroup
from fourstep.optim.options import Shared


class Signum(Optimizer):
    r"""Signum: every parameter moves by the learning rate, in the direction that its momentum has.

    .. math::
        m_t = \gamma m_{t-1} + (1 - \gamma) g_t, \qquad w_{t+1} = w_t - \alpha\, \mathrm{sign}(m_t)

    with :math:`\alpha` = `lr`, :math:`\gamma` = `momentum`.

    Parameters
    ----------
    params, lr, weight_decay, maximize, clip_value, clip_norm, groups
        See `Optimizer`.
    momentum : float
        γ in [0, 1); 0 is signSGD.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w = np.array([1.0, -100.0, 5.0])
    >>> opt = fs.optim.Signum([w], lr=0.1)
    >>> opt.step([np.array([2.0, -1e-6, 0.0])])
    >>> w.round(4).tolist()
    [0.9, -99.9, 5.0]

    Notes
    -----
    State: ``momentum_buffer``. It is the triple of an average, no second moment and the sign.
    Bernstein et al. 2018, arXiv:1802.04434.
    """

    states: ClassVar[tuple[str, ...]] = ("momentum_buffer",)
    _decay: ClassVar[str] = "decoupled"
    _checks: ClassVar[dict[str, Check]] = {
        "momentum": checks.fraction,
    }

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        **shared: Unpack[Shared],
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
        }
        super().__init__(params, defaults, **shared)

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        return "signum", ("momentum_buffer",), {"momentum": group["momentum"]}

    def _four_steps(self, group: ParamGroup) -> Triple:
        first = steps.ema(group["momentum"], bias_correction=False)
        return Triple(first, steps.none(), steps.sign())
