"""Adan: Nesterov's momentum without a look-ahead, from the difference of gradients.

d = g − g₋₁                    0 at the first step
m ← β₁·m + (1 − β₁)·g
u ← β₂·u + (1 − β₂)·d
v ← β₃·v + (1 − β₃)·(g + β₂·d)²
η = α · (m̂ + β₂·û) / (√v̂ + ε)                 each corrected for its start at zero
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Unpack

from fourstep import steps
from fourstep.explain.steps import Formulas, Symbol
from fourstep.optim import checks
from fourstep.optim.base import Hyper, Optimizer
from fourstep.optim.checks import Check
from fourstep.optim.four_steps import Leak, Triple
from fourstep.optim.groups import ParamGroup
from fourstep.optim.options import Shared


class Adan(Optimizer):
    r"""Adan: Adam whose gradient is looked ahead by how it changed since the last step.

    .. math::
        d_t &= g_t - g_{t-1}, \qquad m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad
        u_t = \beta_2 u_{t-1} + (1 - \beta_2) d_t, \\
        v_t &= \beta_3 v_{t-1} + (1 - \beta_3) (g_t + \beta_2 d_t)^2, \qquad
        w_{t+1} = w_t - \alpha
        \frac{\frac{m_t}{1 - \beta_1^t} + \beta_2 \frac{u_t}{1 - \beta_2^t}}{\sqrt{v_t / (1 - \beta_3^t)} + \epsilon}

    with :math:`\alpha` = `lr`, :math:`(\beta_1, \beta_2, \beta_3)` = `betas`, :math:`\epsilon` = `eps`, and
    :math:`d_1 = 0`.

    Parameters
    ----------
    params, lr, weight_decay, maximize, clip_value, clip_norm, groups
        See `Optimizer`.
    betas : (float, float, float)
        β₁, β₂ and β₃, each in [0, 1): the weights of the past, as in the authors' code. The paper's are 1 less them.
    eps : float
        ε, outside the root.
    no_prox : bool
        Decoupled decay as w·(1 − α·λ) − η, which is AdamW's, instead of the paper's proximal (w − η)/(1 + α·λ).

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w = np.array([1.0, -100.0])
    >>> opt = fs.optim.Adan([w], lr=0.1)
    >>> for _ in range(2):
    ...     opt.step([2 * w])
    >>> w.round(4).tolist()
    [0.8008, -99.8]

    Notes
    -----
    State: ``exp_avg``, ``exp_avg_diff``, ``exp_avg_sq``, ``neg_pre_grad`` (−g of the step before, as in the authors'
    code): four buffers, 44 bytes an element and step of float32. Xie et al. 2022, arXiv:2208.06677. Where others differ:
    implementations that start with g₀ = 0 instead of d₁ = 0 take another first step, and several after it.
    """

    states: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_diff", "exp_avg_sq", "neg_pre_grad")
    _decay: ClassVar[str] = "decoupled"
    _checks: ClassVar[dict[str, Check]] = {
        "betas": checks.three_betas,
        "eps": checks.non_negative,
        "no_prox": checks.flag,
    }

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1e-3,
        betas: tuple[float, float, float] = (0.98, 0.92, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        no_prox: bool = False,
        **shared: Unpack[Shared],
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "no_prox": no_prox,
        }
        super().__init__(params, defaults, **shared)

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        return "adan", self.states, {key: group[key] for key in ("betas", "eps", "no_prox")}

    def _formulas(self, group: ParamGroup, *, ahead: bool = True) -> Formulas:
        betas = {f"β{'₁₂₃'[i]}": Symbol(beta, f"betas[{i}]") for i, beta in enumerate(group["betas"])}
        shrink = {"l2": "", "decoupled": "/(1 + α·λ)", "independent": "/(1 + λ)"}[group["decay"]]
        within = bool(shrink and group["weight_decay"]) and not group["no_prox"]
        return Formulas(
            (
                "d = 0" if group.steps == 0 else "d = g + n",
                "m ← β₁·m + (1 − β₁)·g",
                "u ← β₂·u + (1 − β₂)·d",
                "V ← β₃·V + (1 − β₃)·(g + β₂·d)²",
                "n ← −g",
                "m̂ = m/(1 − β₁^t)",
                "û = u/(1 − β₂^t)",
                "V̂ = V/(1 − β₃^t)",
            ),
            ("η = α·(m̂ + β₂·û)/(√V̂ + ε)",),
            (f"w ← (w − η){shrink}" if within else "w ← w − η",),
            symbols={**betas, "ε": Symbol(group["eps"], "eps")},
            states={"m": "exp_avg", "u": "exp_avg_diff", "V": "exp_avg_sq", "n": "neg_pre_grad"},
            second=("V", "V̂"),
            windows=tuple(betas),
            leaks=tuple(map(str, self._four_steps(group).leaks)),
        )

    def _four_steps(self, group: ParamGroup) -> Triple:
        beta1, beta2, beta3 = group["betas"]
        leak = Leak(
            "difference",
            f"d = g − g₋₁ has an average u of its own, with β₂ = {beta2:g}: V is of g + β₂·d, and divides m̂ + β₂·û",
        )
        second, direction = steps.ema_sq(beta3), steps.ratio(group["eps"])
        return Triple(steps.ema(beta1), second, direction, (leak,), ("exp_avg_diff", "neg_pre_grad"))
