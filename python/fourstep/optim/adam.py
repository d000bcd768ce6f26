"""Adam: both moments, with the bias of their start at zero taken out (O15).

m ← β₁·m + (1 − β₁)·g          m̂ = m / (1 − β₁^t)
v ← β₂·v + (1 − β₂)·g²         v̂ = v / (1 − β₂^t)
η = α · m̂ / (√v̂ + ε)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Unpack

from fourstep.optim import checks
from fourstep.optim.base import Hyper, Optimizer
from fourstep.optim.checks import Check
from fourstep.optim.groups import ParamGroup
from fourstep.optim.options import Shared


class Adam(Optimizer):
    r"""Adam: momentum over the root of the recent mean square.

    .. math::
        m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2, \qquad
        w_{t+1} = w_t - \alpha \cdot \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    with :math:`\alpha` = `lr`, :math:`(\beta_1, \beta_2)` = `betas`, :math:`\epsilon` = `eps`.

    Parameters
    ----------
    params, lr, weight_decay, maximize, clip_value, clip_norm, groups
        See `Optimizer`.
    betas : (float, float)
        β₁ and β₂, each in [0, 1).
    eps : float
        ε, outside the root.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w = np.array([1.0, -100.0])
    >>> opt = fs.optim.Adam([w], lr=0.1)
    >>> opt.step([2 * w])  # the first step is lr, whatever the gradients
    >>> w.round(4).tolist()
    [0.9, -99.9]

    Notes
    -----
    State: ``exp_avg``, ``exp_avg_sq``. Kingma and Ba, ICLR 2015, algorithm 1. Where others differ: Keras adds ε before
    the correction of v, which makes it 31.6 times larger in effect at the first step, and has ε = 1e-7; fastai's β₂ is
    0.99. The notes' Adam has no bias correction: its first step is (1 − β₁)/√(1 − β₂) = 3.16 times this one.
    """

    states: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq")
    _checks: ClassVar[dict[str, Check]] = {
        "betas": checks.betas,
        "eps": checks.non_negative,
    }

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        **shared: Unpack[Shared],
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
        }
        super().__init__(params, defaults, **shared)

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        return "adam", ("exp_avg", "exp_avg_sq"), {"betas": group["betas"], "eps": group["eps"]}
