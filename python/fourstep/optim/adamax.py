"""Adamax: Adam with the infinity norm in place of the root mean square.

m ← β₁·m + (1 − β₁)·g          m̂ = m / (1 − β₁^t)
u ← max(β₂·u, |g| + ε)
η = α · m̂ / u                  eps_inside=False: u ← max(β₂·u, |g|), η = α·m̂/(u + ε)
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


class Adamax(Optimizer):
    r"""Adamax: momentum over the largest recent gradient.

    .. math::
        m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad u_t = \max(\beta_2 u_{t-1}, |g_t| + \epsilon), \qquad
        w_{t+1} = w_t - \alpha \cdot \frac{m_t / (1 - \beta_1^t)}{u_t}

    with :math:`\alpha` = `lr`, :math:`(\beta_1, \beta_2)` = `betas`, :math:`\epsilon` = `eps`.

    Parameters
    ----------
    params, lr, weight_decay, maximize, clip_value, clip_norm, groups
        See `Optimizer`.
    betas : (float, float)
        β₁ and β₂, each in [0, 1).
    eps : float
        ε.
    eps_inside : bool
        ε inside the norm, as torch and optax; False: outside, u + ε, as Keras. The paper has none.
    bias_correction : bool
        Whether m is divided by 1 − β₁^t. u needs none: it starts at the first \|g\|.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w = np.array([1.0, -100.0])
    >>> opt = fs.optim.Adamax([w], lr=0.1)
    >>> for scale in (1, 100, 1):  # a burst holds the steps down for long
    ...     opt.step([scale * np.sign(w)])
    >>> w.round(4).tolist()
    [0.813, -99.813]

    Notes
    -----
    State: ``exp_avg``, ``exp_inf``. Kingma and Ba, ICLR 2015, algorithm 2. Where others differ: with torch's ε a
    gradient that was always 0 leaves its parameter where it is, with the paper's it divides 0 by 0.
    """

    states: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_inf")
    _checks: ClassVar[dict[str, Check]] = {
        "betas": checks.betas,
        "eps": checks.non_negative,
        "eps_inside": checks.flag,
        "bias_correction": checks.flag,
    }

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        eps_inside: bool = True,
        bias_correction: bool = True,
        **shared: Unpack[Shared],
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "eps_inside": eps_inside,
            "bias_correction": bias_correction,
        }
        super().__init__(params, defaults, **shared)

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        return "adamax", self.states, {key: group[key] for key in self._checks}

    def _four_steps(self, group: ParamGroup) -> Triple:
        (beta1, beta2), eps, inside = group["betas"], group["eps"], group["eps_inside"]
        return Triple(
            steps.ema(beta1, group["bias_correction"]),
            steps.inf_norm(beta2, eps if inside else 0.0),
            steps.ratio(0.0 if inside else eps),
        )
