"""ADOPT: Adam that divides by the v of the step before, and takes momentum after the division.

first step       v ← g², and nothing else
then             m ← β₁·m + (1 − β₁)·clip(g / max(√v, ε), ±c)        c = (t − 1)^¼, t counted from 1
                 v ← β₂·v + (1 − β₂)·g²
                 η = α·m
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


class ADOPT(Optimizer):
    r"""ADOPT: v does not see the gradient that it divides, so it converges for any β₂.

    .. math::
        m_t = \beta_1 m_{t-1} + (1 - \beta_1)\, \mathrm{clip}\!\left(
        \frac{g_t}{\max(\sqrt{v_{t-1}}, \epsilon)},\, \pm (t - 1)^{1/4}\right), \qquad
        w_{t+1} = w_t - \alpha m_t, \qquad v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2

    with :math:`\alpha` = `lr`, :math:`(\beta_1, \beta_2)` = `betas`, :math:`\epsilon` = `eps`. The first step only sets
    :math:`v_1 = g_1^2`: no parameter moves, not by decay either.

    Parameters
    ----------
    params, lr, weight_decay, maximize, clip_value, clip_norm, groups
        See `Optimizer`.
    betas : (float, float)
        β₁ and β₂, each in [0, 1).
    eps : float
        ε: the least divisor, not added to it.
    clip : bool
        Clip the divided gradient, as the paper's algorithm 2 does; False is its algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w = np.array([1.0, -100.0])
    >>> opt = fs.optim.ADOPT([w], lr=0.1)
    >>> opt.step([2 * w])
    >>> w.tolist()
    [1.0, -100.0]
    >>> opt.step([2 * w])
    >>> w.round(4).tolist()
    [0.99, -99.99]

    Notes
    -----
    State: ``exp_avg``, ``exp_avg_sq``. The frame leaks: φ is of g/√V, not of g. Taniguchi et al. 2024,
    arXiv:2411.02853. Where others differ: versions of the authors' code before the clipping, and after it, have other
    remedies for a first gradient near 0 (no clip; a floor under √v that decays).
    """

    states: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq")
    _checks: ClassVar[dict[str, Check]] = {
        "betas": checks.betas,
        "eps": checks.non_negative,
        "clip": checks.flag,
    }

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1e-3,
        betas: tuple[float, float] = (0.9, 0.9999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        clip: bool = True,
        **shared: Unpack[Shared],
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "clip": clip,
        }
        super().__init__(params, defaults, **shared)

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        return "adopt", self.states, {key: group[key] for key in ("betas", "eps", "clip")}

    def _formulas(self, group: ParamGroup, *, ahead: bool = True) -> Formulas:
        beta1, beta2 = group["betas"]
        first, limit = group.steps == 0, group["clip"]
        scaled = "g/max(√V, ε)"
        moments = (
            *(("c = (t − 1)^0.25",) if limit else ()),
            f"a = min(max({scaled}, −c), c)" if limit else f"a = {scaled}",
            "m ← β₁·m + (1 − β₁)·a",
            "V ← β₂·V + (1 − β₂)·g²",
        )
        return Formulas(
            ("V ← g²",) if first else moments,
            ("η = 0" if first else "η = α·m",),
            ("w ← w",) if first else ("w ← w − η",),
            symbols={
                "β₁": Symbol(beta1, "betas[0]"),
                "β₂": Symbol(beta2, "betas[1]"),
                "ε": Symbol(group["eps"], "eps"),
            },
            states={"m": "exp_avg", "V": "exp_avg_sq"},
            second=("V", "c"),
            windows=() if first else ("β₁", "β₂"),
            leaks=tuple(map(str, self._four_steps(group).leaks)),
        )

    def _four_steps(self, group: ParamGroup) -> Triple:
        beta1, beta2 = group["betas"]
        leak = Leak(
            "division inside φ",
            f"m averages g/max(√V, {group['eps']:g}), with the V of the step before: step 2 divides, not step 3; the "
            "first step only sets V",
        )
        first, second = steps.ema(beta1, bias_correction=False), steps.ema_sq(beta2, bias_correction=False)
        return Triple(first, second, steps.ratio(group["eps"]), (leak,))
