"""Yogi: the second moment moves towards g² by a step whose size depends on g² alone.

m ← β₁·m + (1 − β₁)·g
v ← v − (1 − β₂)·sign(v − g²)·g²
η = α · m / (√v + ε)
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


class Yogi(Optimizer):
    r"""Yogi: Adam whose effective rate cannot rise suddenly when gradients become small.

    .. math::
        m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad
        v_t = v_{t-1} - (1 - \beta_2)\,\operatorname{sign}(v_{t-1} - g_t^2)\, g_t^2, \qquad
        w_{t+1} = w_t - \alpha \frac{m_t}{\sqrt{v_t} + \epsilon}

    with :math:`\alpha` = `lr`, :math:`(\beta_1, \beta_2)` = `betas`, :math:`\epsilon` = `eps`.

    Parameters
    ----------
    params, lr, weight_decay, maximize, clip_value, clip_norm, groups
        See `Optimizer`.
    betas : (float, float)
        β₁ and β₂, each in [0, 1).
    eps : float
        ε.
    initial_accumulator_value : float
        v before the first step.
    bias_correction : bool
        Whether m and v are divided by 1 − β^t; the paper's are not.
    eps_inside, eps_hat, eps_root
        Where ε stands: see `Adam`.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w, a = np.zeros(1), np.zeros(1)
    >>> opt, adam = fs.optim.Yogi([w], betas=(0.9, 0.9)), fs.optim.Adam([a], betas=(0.9, 0.9))
    >>> for t in range(30):
    ...     for o in (opt, adam):
    ...         o.step([np.array([10.0 if t < 20 else 0.1])])  # large gradients, then small ones
    >>> [round(float(o.state_of("0")["exp_avg_sq"][0]), 1) for o in (opt, adam)]  # Yogi's v remembers
    [100.0, 30.6]

    Notes
    -----
    State: ``exp_avg``, ``exp_avg_sq``. Zaheer et al., NeurIPS 2018, algorithm 2. Where others differ: optax corrects both
    moments for their start, and starts m at `initial_accumulator_value` too.
    """

    states: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq")
    _checks: ClassVar[dict[str, Check]] = {
        "betas": checks.betas,
        "initial_accumulator_value": checks.non_negative,
        "bias_correction": checks.flag,
        **checks.EPSILON,
    }

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1e-2,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-3,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 1e-6,
        *,
        bias_correction: bool = False,
        eps_inside: bool = False,
        eps_hat: bool = False,
        eps_root: float = 0.0,
        **shared: Unpack[Shared],
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "bias_correction": bias_correction,
            "eps_inside": eps_inside,
            "eps_hat": eps_hat,
            "eps_root": eps_root,
        }
        super().__init__(params, defaults, **shared)

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        return "yogi", self.states, {key: group[key] for key in self._checks}

    def _start(self, group: ParamGroup, state: str) -> float:
        return float(group["initial_accumulator_value"]) if state == "exp_avg_sq" else 0.0

    def _four_steps(self, group: ParamGroup) -> Triple:
        (beta1, beta2), corrected = group["betas"], group["bias_correction"]
        return Triple(
            steps.ema(beta1, corrected),
            steps.yogi(beta2, corrected, group["initial_accumulator_value"]),
            steps.ratio(*(group[key] for key in checks.EPSILON)),
        )
