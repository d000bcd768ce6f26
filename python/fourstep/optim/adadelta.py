"""AdaDelta: the root mean square of past updates stands where the learning rate would (O14).

v ← ρ·v + (1 − ρ)·g²
δ = √(u + ε) / √(v + ε) · g
u ← ρ·u + (1 − ρ)·δ²
η = α·δ
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Unpack

from fourstep import steps
from fourstep.explain.steps import Formulas
from fourstep.optim import checks
from fourstep.optim.base import Hyper, Optimizer
from fourstep.optim.checks import Check
from fourstep.optim.four_steps import Leak, Triple
from fourstep.optim.groups import ParamGroup
from fourstep.optim.options import Shared


class AdaDelta(Optimizer):
    r"""AdaDelta: steps in the unit of the parameters, sized by the past updates.

    .. math::
        v_t = \rho v_{t-1} + (1 - \rho) g_t^2, \qquad
        \delta_t = \frac{\sqrt{u_{t-1} + \epsilon}}{\sqrt{v_t + \epsilon}}\, g_t, \qquad
        u_t = \rho u_{t-1} + (1 - \rho) \delta_t^2, \qquad w_{t+1} = w_t - \alpha \delta_t

    with :math:`\alpha` = `lr`, :math:`\rho` = `rho`, :math:`\epsilon` = `eps`.

    Parameters
    ----------
    params, lr, weight_decay, maximize, clip_value, clip_norm, groups
        See `Optimizer`.
    rho : float
        ρ in [0, 1).
    eps : float
        ε, inside both roots; it also sets the size of the first step.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w = np.array([1.0])
    >>> opt = fs.optim.AdaDelta([w])
    >>> for _ in range(100):
    ...     opt.step([2 * w])
    >>> w.round(3).tolist()
    [0.651]

    Notes
    -----
    State: ``square_avg``, ``acc_delta``. The frame leaks here: u needs the direction. What the notes call AdaDelta, a
    window over g² alone, is `RMSProp`; AdaDelta's Delta is the update. Zeiler 2012, arXiv:1212.5701. Where others
    differ: Keras multiplies by lr = 0.001 and has rho = 0.95, so with its defaults hardly anything moves.
    """

    states: ClassVar[tuple[str, ...]] = ("square_avg", "acc_delta")
    _checks: ClassVar[dict[str, Check]] = {
        "rho": checks.fraction,
        "eps": checks.non_negative,
    }

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        **shared: Unpack[Shared],
    ) -> None:
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
        }
        super().__init__(params, defaults, **shared)

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        return "adadelta", ("square_avg", "acc_delta"), {"rho": group["rho"], "eps": group["eps"]}

    def _formulas(self, group: ParamGroup, *, ahead: bool = True) -> Formulas:
        triple = super()._formulas(group)
        return replace(
            triple,
            direction=("δ = √(U + ε)/√(V + ε)·g", "U ← β₂·U + (1 − β₂)·δ²", "η = α·δ"),
            states={**triple.states, "U": "acc_delta"},
            second=(*triple.second, "U"),
            gain=None,
            complete=True,
        )

    def _four_steps(self, group: ParamGroup) -> Triple:
        leak = Leak(
            "numerator",
            "δ = √(U + ε)·g/√(V + ε) with U the average of past δ²: U needs the direction before it can be updated, "
            "so step 3 writes state (O14)",
        )
        second = steps.ema_sq(group["rho"], bias_correction=False)
        direction = steps.ratio(group["eps"], eps_inside=True)
        return Triple(steps.plain(), second, direction, (leak,), ("acc_delta",))
