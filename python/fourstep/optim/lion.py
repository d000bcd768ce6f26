"""Lion: steps of one size along the sign of a mix of momentum and gradient.

c = β₁·m + (1 − β₁)·g
η = α·sign(c)                  sign(0) = 0
m ← β₂·m + (1 − β₂)·g
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Unpack

from fourstep import steps
from fourstep.explain.moments import Gain
from fourstep.explain.steps import Formulas, Symbol
from fourstep.optim import checks
from fourstep.optim.base import Hyper, Optimizer
from fourstep.optim.checks import Check
from fourstep.optim.four_steps import Leak, Triple
from fourstep.optim.groups import ParamGroup
from fourstep.optim.options import Shared


class Lion(Optimizer):
    r"""Lion: every parameter moves by the learning rate; one moment, and the gradient counts more in the step than in it.

    .. math::
        c_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad
        w_{t+1} = w_t - \alpha\, \mathrm{sign}(c_t), \qquad
        m_t = \beta_2 m_{t-1} + (1 - \beta_2) g_t

    with :math:`\alpha` = `lr`, :math:`(\beta_1, \beta_2)` = `betas`.

    Parameters
    ----------
    params, lr, weight_decay, maximize, clip_value, clip_norm, groups
        See `Optimizer`. The authors take a rate 3 to 10 times smaller, and a decay as much larger, than for AdamW.
    betas : (float, float)
        β₁ and β₂, each in [0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w = np.array([1.0, -100.0, 5.0])
    >>> opt = fs.optim.Lion([w], lr=0.1)
    >>> opt.step([np.array([2.0, -1e-6, 0.0])])  # sign(0) = 0: the last stays
    >>> w.round(4).tolist()
    [0.9, -99.9, 5.0]

    Notes
    -----
    State: ``exp_avg``. The frame leaks: the direction needs the moment of the step before. Chen et al. 2023,
    arXiv:2302.06675, algorithm 2. Where others differ: DeepSpeed's kernel copies the sign bit, so that a
    sum of 0 moves by lr, and padding and frozen rows drift.
    """

    states: ClassVar[tuple[str, ...]] = ("exp_avg",)
    _decay: ClassVar[str] = "decoupled"
    _checks: ClassVar[dict[str, Check]] = {
        "betas": checks.betas,
    }

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        **shared: Unpack[Shared],
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "weight_decay": weight_decay,
        }
        super().__init__(params, defaults, **shared)

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        return "lion", ("exp_avg",), {"betas": group["betas"]}

    def _formulas(self, group: ParamGroup, *, ahead: bool = True) -> Formulas:
        beta1, beta2 = group["betas"]
        return Formulas(
            (),
            ("c = β₁·m + (1 − β₁)·g", "η = α·sign(c)", "m ← β₂·m + (1 − β₂)·g"),
            symbols={"β₁": Symbol(beta1, "betas[0]"), "β₂": Symbol(beta2, "betas[1]")},
            states={"m": "exp_avg"},
            windows=("β₁", "β₂"),
            gain=Gain(1.0, 1.0, "α"),
            leaks=tuple(map(str, self._four_steps(group).leaks)),
        )

    def _four_steps(self, group: ParamGroup) -> Triple:
        beta1, beta2 = group["betas"]
        leak = Leak(
            "two memories",
            f"the step takes m with β₁, the state keeps it with β₂ = {beta2:g}: the direction needs the m of the step "
            "before, so step 3 writes state",
        )
        return Triple(steps.ema(beta1, bias_correction=False), steps.none(), steps.sign(), (leak,))
