"""RMSProp: a window over squared gradients instead of all history (O14); centred, and with momentum, if asked for.

v ← α·v + (1 − α)·g²
ḡ ← α·ḡ + (1 − α)·g            centred only
a = √v + ε                     centred: v − ḡ² in place of v, not below 0
η = lr·g/a                     with momentum: b ← μ·b + g/a, η = lr·b
                               lr_in_velocity: b ← μ·b + lr·g/a, η = b
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Unpack

from fourstep import steps
from fourstep.explain.moments import gain
from fourstep.explain.steps import Formulas, Symbol
from fourstep.optim import checks
from fourstep.optim.base import Hyper, Optimizer
from fourstep.optim.checks import Check
from fourstep.optim.four_steps import Leak, Triple
from fourstep.optim.groups import ParamGroup
from fourstep.optim.options import Shared


class RMSProp(Optimizer):
    r"""RMSProp: the gradient over the root of its recent mean square.

    .. math::
        v_t = \alpha v_{t-1} + (1 - \alpha) g_t^2, \qquad w_{t+1} = w_t - lr \cdot \frac{g_t}{\sqrt{v_t} + \epsilon}

    with :math:`\alpha` = `alpha`, :math:`\epsilon` = `eps`.

    Parameters
    ----------
    params, lr, weight_decay, maximize, clip_value, clip_norm, groups
        See `Optimizer`.
    alpha : float
        α in [0, 1): the weight of the past.
    eps : float
        ε.
    momentum : float
        μ in [0, 1): b = μ·b + g/a, w −= lr·b.
    centered : bool
        Divide by the root of the variance v − ḡ², clamped at 0, instead of the mean square.
    eps_inside : bool
        ε inside the root.
    lr_in_velocity : bool
        The rate inside the momentum buffer, as Keras and optax: b = μ·b + lr·g/a, w −= b. The same while it is constant.
    initial_accumulator_value : float
        v before the first step: 0; TensorFlow 1 and optax can start at 1.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w = np.array([1.0, -100.0])
    >>> opt = fs.optim.RMSProp([w], lr=0.1, alpha=0.9)
    >>> opt.step([2 * w])  # both move by about lr/√(1 − alpha), whatever their gradients
    >>> w.round(4).tolist()
    [0.6838, -99.6838]

    Notes
    -----
    State: ``square_avg``, ``grad_avg`` if centred, ``momentum_buffer`` with momentum. Hinton, Coursera lecture 6e (2012).
    Where others differ: Keras and optax put ε inside the root; Keras and optax keep lr inside
    the momentum buffer; torch does not clamp the variance, and under steady gradients turns to NaN.
    """

    states: ClassVar[tuple[str, ...]] = ("square_avg", "grad_avg", "momentum_buffer")
    _checks: ClassVar[dict[str, Check]] = {
        "alpha": checks.fraction,
        "eps": checks.non_negative,
        "momentum": checks.fraction,
        "centered": checks.flag,
        "eps_inside": checks.flag,
        "lr_in_velocity": checks.flag,
        "initial_accumulator_value": checks.non_negative,
    }

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        eps_inside: bool = False,
        lr_in_velocity: bool = False,
        initial_accumulator_value: float = 0.0,
        **shared: Unpack[Shared],
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "eps_inside": eps_inside,
            "lr_in_velocity": lr_in_velocity,
            "initial_accumulator_value": initial_accumulator_value,
        }
        super().__init__(params, defaults, **shared)

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        states = ["square_avg"]
        if group["centered"]:
            states.append("grad_avg")
        if group["momentum"] > 0:
            states.append("momentum_buffer")
        return "rmsprop", tuple(states), {key: group[key] for key in self._checks}

    def _start(self, group: ParamGroup, state: str) -> float:
        return float(group["initial_accumulator_value"]) if state == "square_avg" else 0.0

    def _formulas(self, group: ParamGroup, *, ahead: bool = True) -> Formulas:
        triple = super()._formulas(group)
        if triple.complete:
            return triple
        centered, moving = group["centered"], group["momentum"] > 0
        size = "max(V − ḡ², 0)" if centered else "V"
        root = f"√({size} + ε)" if group["eps_inside"] else f"√({size}) + ε" if centered else "√V + ε"
        inside = group["lr_in_velocity"]
        along = ("b ← μ·b + α·(g/a)", "η = b") if inside else ("b ← μ·b + g/a", "η = α·b")
        return replace(
            triple,
            moments=(*triple.moments, *(("ḡ ← β₂·ḡ + (1 − β₂)·g",) if centered else ())),
            direction=(f"a = {root}", *(along if moving else ("η = α·(g/a)",))),
            symbols={**triple.symbols, "μ": Symbol(group["momentum"], "momentum")},
            states={
                **triple.states,
                **({"ḡ": "grad_avg"} if centered else {}),
                **({"b": "momentum_buffer"} if moving else {}),
            },
            second=(*triple.second, "ḡ", "a"),
            windows=(*triple.windows, *(("μ",) if moving else ())),
            gain=None if centered else gain(group["momentum"], 1.0, unit="α"),
            complete=True,
        )

    def _four_steps(self, group: ParamGroup) -> Triple:
        leaks, more = [], []
        if group["centered"]:
            leaks.append(Leak("centred", "V − ḡ² divides, and its second state ḡ is neither φ nor ψ"))
            more.append("grad_avg")
        if group["momentum"] > 0:
            b = "b ← μ·b + α·g/√V, η = b" if group["lr_in_velocity"] else "b ← μ·b + g/√V, η = α·b"
            leaks.append(Leak("momentum", f"{b}: it comes after the division, so step 3 writes state"))
            more.append("momentum_buffer")
        start = group["initial_accumulator_value"]
        second = steps.ema_sq(group["alpha"], bias_correction=False, start=start)
        direction = steps.ratio(group["eps"], eps_inside=group["eps_inside"], lr_last=True)
        return Triple(steps.plain(), second, direction, tuple(leaks), tuple(more))
