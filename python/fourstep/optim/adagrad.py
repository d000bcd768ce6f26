"""AdaGrad: parameters that were updated rarely learn more from each sample (O4, O12).

V ← V + g²
η = α_t · g / (√V + ε)         α_t = α / (1 + (t − 1)·lr_decay)
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
from fourstep.optim.rows import RowRule


class AdaGrad(Optimizer):
    r"""AdaGrad: the learning rate of each parameter shrinks with the sum of its squared gradients.

    .. math::
        V_t = V_{t-1} + g_t^2, \qquad
        w_{t+1} = w_t - \frac{\alpha}{1 + (t - 1)\,\lambda} \cdot \frac{g_t}{\sqrt{V_t} + \epsilon}

    with :math:`\alpha` = `lr`, :math:`\lambda` = `lr_decay`, :math:`\epsilon` = `eps`.

    Parameters
    ----------
    params, lr, weight_decay, maximize, clip_value, clip_norm, groups
        See `Optimizer`.
    lr_decay : float
        λ.
    initial_accumulator_value : float
        V before the first step.
    eps : float
        ε.
    eps_inside : bool
        ε inside the root, √(V + ε), as the notes write it (O5).

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w = np.array([1.0, 1.0])
    >>> opt = fs.optim.AdaGrad([w], lr=0.1)
    >>> for t in range(4):  # the second is seen once, and then moves as far as the first did at its first
    ...     opt.step([np.array([1.0, 1.0 if t == 3 else 0.0])])
    >>> w.round(4).tolist()
    [0.7216, 0.9]

    Notes
    -----
    State: ``sum``. The rate never rises; it tends to 0 only if Σg² diverges (O13). Duchi, Hazan and Singer, JMLR 2011.
    Where others differ: Keras starts at V = 0.1 with ε = 1e-7 inside the root and lr = 0.001; with each library's own
    defaults the same gradients make another walk.
    """

    states: ClassVar[tuple[str, ...]] = ("sum",)
    _checks: ClassVar[dict[str, Check]] = {
        "lr_decay": checks.non_negative,
        "eps": checks.non_negative,
        "eps_inside": checks.flag,
        "initial_accumulator_value": checks.non_negative,
    }

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        eps_inside: bool = False,
        **shared: Unpack[Shared],
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "eps": eps,
            "eps_inside": eps_inside,
        }
        super().__init__(params, defaults, **shared)

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        hyper = {key: group[key] for key in ("lr_decay", "eps", "eps_inside")}
        return "adagrad", ("sum",), hyper

    def row_rule(self, group: ParamGroup) -> RowRule:
        """Return the same rule, which leaves rows alone whose gradient is 0."""
        return RowRule(*self._rule(group))

    def _start(self, group: ParamGroup, state: str) -> float:
        return float(group["initial_accumulator_value"])

    def _four_steps(self, group: ParamGroup) -> Triple:
        second = steps.sum_sq(group["initial_accumulator_value"])
        direction = steps.ratio(group["eps"], eps_inside=group["eps_inside"], lr_decay=group["lr_decay"])
        return Triple(steps.plain(), second, direction)
