"""AdaBelief: divides by how far the gradient was from what the momentum expected.

m ← β₁·m + (1 − β₁)·g                       m̂ = m / (1 − β₁^t)
s ← β₂·s + (1 − β₂)·(g − m)² + ε_root       ŝ = s / (1 − β₂^t)
η = α · m̂ / (√ŝ + ε)
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


class AdaBelief(Optimizer):
    r"""AdaBelief: long steps where gradients agree with the momentum, short ones where they surprise it.

    .. math::
        m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad
        s_t = \beta_2 s_{t-1} + (1 - \beta_2)(g_t - m_t)^2 + \epsilon_r, \qquad
        w_{t+1} = w_t - \alpha \frac{m_t / (1 - \beta_1^t)}{\sqrt{s_t / (1 - \beta_2^t)} + \epsilon}

    with :math:`\alpha` = `lr`, :math:`(\beta_1, \beta_2)` = `betas`, :math:`\epsilon` = `eps`,
    :math:`\epsilon_r` = `eps_root`.

    Parameters
    ----------
    params, lr, weight_decay, maximize, clip_value, clip_norm, groups
        See `Optimizer`.
    betas : (float, float)
        β₁ and β₂, each in [0, 1).
    eps : float
        ε of the denominator.
    eps_root : float
        What s takes in at every step. The paper has one ε in both places.
    eps_hat : bool
        ε before s is corrected: see `Adam`.
    bias_correction : bool
        Whether m and s are divided by 1 − β^t.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w = np.zeros(2)
    >>> opt = fs.optim.AdaBelief([w], lr=0.01)
    >>> for t in range(100):
    ...     opt.step([np.array([1.0, 1.0 if t % 4 else -2.0])])  # steady; the same size, with surprises
    >>> w.round(3).tolist()
    [-3.328, -0.174]

    Notes
    -----
    State: ``exp_avg``, ``exp_avg_var``. Zhuang et al., NeurIPS 2020, algorithm 2.
    """

    states: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_var")
    _checks: ClassVar[dict[str, Check]] = {
        "betas": checks.betas,
        "eps": checks.non_negative,
        "eps_root": checks.non_negative,
        "eps_hat": checks.flag,
        "bias_correction": checks.flag,
    }

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-16,
        weight_decay: float = 0.0,
        *,
        eps_root: float = 1e-16,
        eps_hat: bool = False,
        bias_correction: bool = True,
        **shared: Unpack[Shared],
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "eps_root": eps_root,
            "eps_hat": eps_hat,
            "bias_correction": bias_correction,
        }
        super().__init__(params, defaults, **shared)

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        return "adabelief", self.states, {key: group[key] for key in self._checks}

    def _four_steps(self, group: ParamGroup) -> Triple:
        (beta1, beta2), corrected = group["betas"], group["bias_correction"]
        return Triple(
            steps.ema(beta1, corrected),
            steps.belief(beta2, corrected, group["eps_root"]),
            steps.ratio(group["eps"], eps_hat=group["eps_hat"]),
        )
