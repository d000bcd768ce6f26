"""LARS: SGD whose gradients are scaled, for each parameter array, to the size of the array.

r = c·‖w‖/(‖g‖ + λ·‖w‖ + ε)    over the array; 1 where a norm is 0 or not finite
d = r·(g + λ·w)
m ← γ·m + (1 − d₀)·d           d₀ = 0 at the first step
η = α·m                        Nesterov: α·(d + γ·m)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Unpack

import numpy as np

from fourstep import steps
from fourstep.arena import Array
from fourstep.explain.steps import Formulas, Symbol
from fourstep.optim import checks
from fourstep.optim.base import Hyper, Optimizer
from fourstep.optim.checks import Check
from fourstep.optim.four_steps import Leak, Triple
from fourstep.optim.groups import ParamGroup
from fourstep.optim.options import Shared


class LARS(Optimizer):
    r"""LARS: for large batches; every array's gradient is brought to the share `trust_coefficient` of its norm.

    .. math::
        d_t = c \frac{\lVert w_t \rVert}{\lVert g_t \rVert + \lambda \lVert w_t \rVert + \epsilon}
        (g_t + \lambda w_t), \qquad m_t = \gamma m_{t-1} + d_t, \qquad w_{t+1} = w_t - \alpha m_t

    with :math:`\alpha` = `lr`, :math:`\gamma` = `momentum`, :math:`c` = `trust_coefficient`,
    :math:`\lambda` = `weight_decay`, :math:`\epsilon` = `eps`. The norms are those of one parameter array; where one is 0
    or not finite, the factor is 1: so an array of zeros steps by α times the whole gradient.

    Parameters
    ----------
    params, lr, maximize, clip_value, clip_norm, groups
        See `Optimizer`.
    momentum : float
        γ in [0, 1).
    dampening : float
        The new gradient counts 1 less this; ignored at the first step, as in torch's SGD.
    weight_decay : float
        λ. With ``decay="l2"``, the default, it stands inside the factor, as above; ``"decoupled"`` and ``"independent"``
        are what they are for all.
    nesterov : bool
        Step by :math:`\alpha (d_t + \gamma m_t)`.
    trust_coefficient : float
        c.
    eps : float
        ε.
    adapt : bool
        False: the factor is 1, and the group steps as SGD does; often for biases and norms.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w = np.array([3.0, 4.0])
    >>> opt = fs.optim.LARS([w], lr=1.0, trust_coefficient=0.1)
    >>> opt.step([np.array([1000.0, 0.0])])  # a tenth of the norm of w, whatever the gradient's
    >>> w.round(4).tolist()
    [2.5, 4.0]

    Notes
    -----
    State: ``momentum_buffer``; none without momentum. The frame leaks: the factor needs the norms before the first
    element is written, so w and g are read twice. You et al. 2017, arXiv:1708.03888. Where others differ: the paper has
    the rate inside the momentum, and ε = 0; some implementations leave the factor out where λ is 0.
    """

    states: ClassVar[tuple[str, ...]] = ("momentum_buffer",)
    per_parameter: ClassVar[bool] = True
    _checks: ClassVar[dict[str, Check]] = {
        "momentum": checks.fraction,
        "dampening": checks.up_to_one,
        "nesterov": checks.flag,
        "trust_coefficient": checks.positive,
        "eps": checks.non_negative,
        "adapt": checks.flag,
    }

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1.0,
        momentum: float = 0.9,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        trust_coefficient: float = 1e-3,
        eps: float = 1e-8,
        *,
        adapt: bool = True,
        **shared: Unpack[Shared],
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "trust_coefficient": trust_coefficient,
            "eps": eps,
            "adapt": adapt,
        }
        super().__init__(params, defaults, **shared)

    def _check_together(self, values: Mapping[str, Any]) -> None:
        if values["nesterov"] and (values["momentum"] == 0 or values["dampening"] != 0):
            raise ValueError(
                f"nesterov: got momentum={values['momentum']} and dampening={values['dampening']}, "
                "need a momentum and no dampening"
            )

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        keys = ("momentum", "dampening", "nesterov", "trust_coefficient", "eps", "adapt")
        hyper = {
            **{key: group[key] for key in keys},
            "first": "momentum_buffer" not in group.started,
            "ratio_decay": 0.0,
        }
        if group["decay"] == "l2":
            hyper.update(ratio_decay=group["weight_decay"], weight_decay=0.0)
        return "lars", ("momentum_buffer",) if group["momentum"] > 0 else (), hyper

    def _formulas(self, group: ParamGroup, *, ahead: bool = True) -> Formulas:
        inside = group["decay"] == "l2" and group["weight_decay"] > 0
        keep, damped = group["momentum"], group["dampening"] > 0 and group.steps > 0
        direction = "η = α·(d + γ·m)" if group["nesterov"] else "η = α·m"
        moment = f"m ← γ·m + {'(1 − d₀)·d' if damped else 'd'}"
        return Formulas(
            (f"d = r·{'(g + λ·w)' if inside else 'g'}", *((moment,) if keep else ())),
            (direction if keep else "η = α·d",),
            symbols={
                "γ": Symbol(keep, "momentum"),
                "d₀": Symbol(group["dampening"], "dampening"),
                **({"λ": Symbol(group["weight_decay"], "weight_decay")} if inside else {}),
            },
            states={"m": "momentum_buffer"} if keep else {},
            windows=("γ",) if keep else (),
            leaks=tuple(map(str, self._four_steps(group).leaks)),
            own_decay=inside,
        )

    def _over_array(self, group: ParamGroup, w: Array, g: Array, state: Sequence[Array]) -> dict[str, float]:
        """Return r."""
        a, b = (float(np.linalg.norm(x.astype(np.float64))) for x in (w, g[np.isfinite(g)]))
        decay = group["weight_decay"] if group["decay"] == "l2" else 0.0
        usable = group["adapt"] and all(0 < size < np.inf for size in (a, b))
        return {"r": group["trust_coefficient"] * a / (b + decay * a + group["eps"]) if usable else 1.0}

    def _four_steps(self, group: ParamGroup) -> Triple:
        momentum = group["momentum"]
        first: steps.FirstStep = steps.heavy_ball(momentum, group["dampening"])
        if momentum == 0:
            first = steps.plain()
        elif group["nesterov"]:
            first = steps.nesterov(momentum)
        leak = Leak(
            "trust ratio",
            "g is multiplied by c·‖w‖/(‖g‖ + λ·‖w‖ + ε) over the array: both norms come before the first element",
        )
        return Triple(first, steps.none(), steps.along(), (leak,))
