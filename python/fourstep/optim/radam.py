"""RAdam: Adam that does not divide while v has seen too little to divide by.

m, v as Adam's                 ρ_∞ = 2/(1 − β₂) − 1          ρ_t = ρ_∞ − 2·t·β₂^t/(1 − β₂^t)
ρ_t > 5:   η = α · r_t · m̂ / (√v̂ + ε)       r_t² = (ρ_t − 4)·(ρ_t − 2)·ρ_∞ / ((ρ_∞ − 4)·(ρ_∞ − 2)·ρ_t)
else:      η = α · m̂
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


class RAdam(Optimizer):
    r"""RAdam: Adam with its first steps rectified, which stands in for a warm-up.

    .. math::
        \rho_t = \rho_\infty - \frac{2 t \beta_2^t}{1 - \beta_2^t}, \quad \rho_\infty = \frac{2}{1 - \beta_2} - 1, \quad
        r_t = \sqrt{\frac{(\rho_t - 4)(\rho_t - 2)\rho_\infty}{(\rho_\infty - 4)(\rho_\infty - 2)\rho_t}}, \quad
        w_{t+1} = w_t - \alpha r_t \frac{\hat m_t}{\sqrt{\hat v_t} + \epsilon}

    with :math:`\alpha` = `lr`, :math:`(\beta_1, \beta_2)` = `betas`, :math:`\epsilon` = `eps` and the moments of `Adam`;
    while :math:`\rho_t \le 5` the step is :math:`\alpha \hat m_t`.

    Parameters
    ----------
    params, lr, weight_decay, maximize, clip_value, clip_norm, groups
        See `Optimizer`.
    betas : (float, float)
        β₁ and β₂, each in [0, 1).
    eps : float
        ε.
    eps_inside, eps_hat, eps_root
        Where ε stands: see `Adam`. By default before the correction of v, as torch.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w = np.array([1.0, -1.0])
    >>> opt = fs.optim.RAdam([w], lr=0.1)
    >>> sizes = []
    >>> for _ in range(8):
    ...     before = w.copy()
    ...     opt.step([np.array([0.01, 1.0])])
    ...     sizes.append((before - w).round(4).tolist())
    >>> sizes[4], sizes[5]  # momentum as it is, five times; from then on divided, and held back by r_t
    ([0.001, 0.1], [0.0026, 0.0026])

    Notes
    -----
    State: ``exp_avg``, ``exp_avg_sq``. Liu et al., ICLR 2020. Where others differ: optax adds ε after the correction of v
    (``eps_hat=False``) and divides from ρ_t = 5 on, not above it.
    """

    states: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq")
    _checks: ClassVar[dict[str, Check]] = {"betas": checks.betas, **checks.EPSILON}

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        eps_inside: bool = False,
        eps_hat: bool = True,
        eps_root: float = 0.0,
        **shared: Unpack[Shared],
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "eps_inside": eps_inside,
            "eps_hat": eps_hat,
            "eps_root": eps_root,
        }
        super().__init__(params, defaults, **shared)

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        return "radam", self.states, {key: group[key] for key in self._checks}

    def _four_steps(self, group: ParamGroup) -> Triple:
        beta1, beta2 = group["betas"]
        direction = steps.rectified(*(group[key] for key in checks.EPSILON))
        return Triple(steps.ema(beta1), steps.ema_sq(beta2), direction)
