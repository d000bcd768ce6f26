"""Rprop: a step size for each parameter, from the signs of its gradients alone.

p = sign(g·g₋₁)
s ← clamp(s·η⁺, s or s·η⁻ as p is 1, 0 or −1)
g ← 0 where p < 0                         the step after a turn is skipped
w ← w − s·sign(g)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Unpack

from fourstep import steps
from fourstep.explain.steps import Formulas, Symbol
from fourstep.optim import checks
from fourstep.optim.base import Hyper, Optimizer
from fourstep.optim.checks import Check
from fourstep.optim.four_steps import Leak, Triple
from fourstep.optim.groups import ParamGroup
from fourstep.optim.options import Shared


class Rprop(Optimizer):
    r"""Rprop: steps grow while the gradient keeps its sign, and shrink when it turns; for full batches.

    .. math::
        s_t = \mathrm{clamp}(s_{t-1} \cdot \{\eta^+, 1, \eta^-\}) \text{ as } g_t g_{t-1} \{>, =, <\} 0, \qquad
        w_{t+1} = w_t - s_t\, \mathrm{sign}(g_t)

    with :math:`(\eta^-, \eta^+)` = `etas`, the clamp = `step_sizes`, and :math:`s_0` = `lr`. Where the sign turned,
    :math:`g_t` counts as 0: that parameter stays, and the next step is no turn.

    Parameters
    ----------
    params, weight_decay, maximize, clip_value, clip_norm, groups
        See `Optimizer`.
    lr : float or schedule
        The first step size; it is not asked for again, so a schedule has no effect.
    etas : (float, float)
        η⁻ in (0, 1) and η⁺ above 1.
    step_sizes : (float, float)
        The smallest and the largest step.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w = np.array([1.0, -1e-3])
    >>> opt = fs.optim.Rprop([w], lr=0.1)
    >>> for _ in range(3):
    ...     opt.step([w * [1e-6, 1e6]])  # the size of the gradient does not count, its sign does
    >>> w.round(4).tolist(), opt.state_of("0")["step_size"].round(4).tolist()
    ([0.636, 0.049], [0.144, 0.05])

    Notes
    -----
    State: ``prev``, ``step_size``. The frame leaks: the state holds the step itself. Riedmiller and Braun 1993, in
    torch's form, without weight backtracking. Where others differ: torch multiplies the gradients before it takes the
    sign, so that in float32 a product of gradients near 1e-23 is 0, which is no turn; here the signs are multiplied.
    """

    states: ClassVar[tuple[str, ...]] = ("prev", "step_size")
    _checks: ClassVar[dict[str, Check]] = {
        "etas": checks.pair,
        "step_sizes": checks.pair,
    }

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        weight_decay: float = 0.0,
        **shared: Unpack[Shared],
    ) -> None:
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "weight_decay": weight_decay,
        }
        super().__init__(params, defaults, **shared)

    def _check_together(self, values: Mapping[str, Any]) -> None:
        shrink, grow = values["etas"]
        if not 0 < shrink < 1 < grow:
            raise ValueError(f"etas: got {values['etas']}, need 0 < etas[0] < 1 < etas[1]")
        least, most = values["step_sizes"]
        if least > most:
            raise ValueError(f"step_sizes: got {values['step_sizes']}, need the smaller one first")

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        return "rprop", self.states, {key: group[key] for key in ("etas", "step_sizes")}

    def _formulas(self, group: ParamGroup, *, ahead: bool = True) -> Formulas:
        (shrink, grow), (least, most) = group["etas"], group["step_sizes"]
        return Formulas(
            (
                "q = sign(g)·sign(p)",
                "f = 1 + max(q, 0)·(η_plus − 1) + max(−q, 0)·(η_minus − 1)",
                "s ← min(max(s·f, s_min), s_max)",
                "p ← (1 − max(−q, 0))·g",
            ),
            ("η = s·sign(p)",),
            symbols={
                "η_plus": Symbol(grow, "etas[1]"),
                "η_minus": Symbol(shrink, "etas[0]"),
                "s_min": Symbol(least, "step_sizes[0]"),
                "s_max": Symbol(most, "step_sizes[1]"),
            },
            states={"p": "prev", "s": "step_size"},
            second=("q", "f", "s"),
            leaks=tuple(map(str, self._four_steps(group).leaks)),
        )

    def _four_steps(self, group: ParamGroup) -> Triple:
        leak = Leak(
            "step size",
            "the state holds the step itself, which grows or shrinks by the signs of this gradient and the last; "
            "the step after a turn is skipped, and α is no more than the first size",
        )
        return Triple(steps.plain(), steps.none(), steps.sign(), (leak,), self.states)

    def _start(self, group: ParamGroup, state: str) -> float:
        return float(group["lr"]) if state == "step_size" else 0.0
