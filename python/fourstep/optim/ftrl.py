"""FTRL-Proximal: the regularised leader in closed form, with exact zeros.

n' = n + g²                                       p = −lr_power
z ← z + g + s·w − (n'^p − n^p)/α · w              s: l2 shrinkage; it does not enter n
w ← (clip(z, ±λ₁) − z) / ((β + n'^p)/α + λ₂)      0 exactly where |z| <= λ₁
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Unpack

import numpy as np

from fourstep import steps
from fourstep.arena import Array
from fourstep.exact_math import pow
from fourstep.explain.steps import Formulas, Symbol
from fourstep.optim import checks
from fourstep.optim.base import Hyper, Optimizer
from fourstep.optim.checks import Check
from fourstep.optim.four_steps import Leak, Triple
from fourstep.optim.groups import ParamGroup
from fourstep.optim.options import Shared
from fourstep.optim.rows import RowRule


class FTRL(Optimizer):
    r"""FTRL-Proximal: for sparse models of click logs; l1 makes exact zeros.

    .. math::
        n_t &= n_{t-1} + g_t^2, \qquad
        z_t = z_{t-1} + g_t + s\, w_t - \frac{n_t^p - n_{t-1}^p}{\alpha}\, w_t, \\
        w_{t+1} &= \begin{cases} 0 & |z_t| \le \lambda_1 \\
        -\dfrac{z_t - \mathrm{sign}(z_t) \lambda_1}{(\beta + n_t^p)/\alpha + \lambda_2} & \text{else} \end{cases}

    with :math:`\alpha` = `lr`, :math:`p` = −`lr_power`, :math:`\lambda_1` = `l1`, :math:`\lambda_2` = `l2`,
    :math:`s` = `l2_shrinkage`, :math:`\beta` = `beta`, and :math:`n_0` = `initial_accumulator_value`.

    Parameters
    ----------
    params, maximize, clip_value, clip_norm, groups
        See `Optimizer`.
    lr : float or schedule
        α > 0: the formula divides by it. It has one α for all steps: w is solved for with the α of now, so under a
        schedule that falls to a hundredth so does all of w. Keep it constant; n lowers the rate already.
    lr_power : float
        −p, at most 0. −0.5 is the paper's square root; any other power is an exponential and a logarithm for each
        element. 0 is a constant rate.
    initial_accumulator_value : float
        n₀. With `beta` and `l2` it must not be 0 as well: a tiny first gradient would be divided by 0.
    l1 : float
        λ₁.
    l2 : float
        λ₂, in the scaling of `l2_form`.
    l2_shrinkage : float
        s, in the scaling of `l2_form`: a penalty on the current w, which adds to z and not to n.
    beta : float
        β; 1 in the paper.
    weight_decay : float
        As for all: λ·w is added to the gradient, and so to n as well. `l2` and `l2_shrinkage` are FTRL's own.
    l2_form : {"paper", "tensorflow"}
        The penalties are ½·λ₂·‖w‖² and ½·s·‖w‖², as in the paper, or without the ½, as in TensorFlow and Keras: there an
        equal number counts twice.
    initial_linear : {"weights", "zero"}
        z₀ such that the first solution is the w that it starts from, or 0, as TensorFlow and Keras have it: then w's
        first value is forgotten but for its share in the first step. Both are the same for w = 0, as in the paper.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w = np.zeros(2)
    >>> opt = fs.optim.FTRL([w], lr=0.1, l1=0.5)
    >>> for _ in range(10):
    ...     opt.step([w - [1.0, 0.04]])  # towards (1, 0.04); the pull of the second never reaches l1
    >>> w.round(4).tolist()
    [0.3974, 0.0]

    Notes
    -----
    State: ``accumulator`` (n), ``linear`` (z). The frame leaks: w is solved for, not moved. With a power other than −½,
    −1 and 0 the kernel's n^p is within 2 + |p·ln n| ulp of float64 of the true one; kernel and twin have equal bits.
    McMahan et al. 2013, *Ad click prediction: a view from the trenches*, algorithm 1. Where others differ: TensorFlow's
    and Keras's `l2` counts twice (``l2_form="tensorflow"``), and their β is folded in as β/(2·α), which comes to the
    same; a port that keeps the number halves or doubles the penalty.
    """

    states: ClassVar[tuple[str, ...]] = ("accumulator", "linear")
    starts_at_w: ClassVar[tuple[str, ...]] = ("linear",)
    refused: ClassVar[dict[str, str]] = {"cautious": "w is solved for, there is no step to leave out"}
    _checks: ClassVar[dict[str, Check]] = {
        "lr": checks.positive_rate,
        "lr_power": checks.non_positive,
        "initial_accumulator_value": checks.non_negative,
        "l1": checks.non_negative,
        "l2": checks.non_negative,
        "l2_shrinkage": checks.non_negative,
        "beta": checks.non_negative,
        "l2_form": checks.one_of("paper", "tensorflow"),
        "initial_linear": checks.one_of("weights", "zero"),
    }

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1e-3,
        lr_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1: float = 0.0,
        l2: float = 0.0,
        l2_shrinkage: float = 0.0,
        beta: float = 0.0,
        weight_decay: float = 0.0,
        *,
        l2_form: Literal["paper", "tensorflow"] = "paper",
        initial_linear: Literal["weights", "zero"] = "weights",
        **shared: Unpack[Shared],
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_power": lr_power,
            "initial_accumulator_value": initial_accumulator_value,
            "l1": l1,
            "l2": l2,
            "l2_shrinkage": l2_shrinkage,
            "beta": beta,
            "weight_decay": weight_decay,
            "l2_form": l2_form,
            "initial_linear": initial_linear,
        }
        super().__init__(params, defaults, **shared)

    def _check_together(self, values: Mapping[str, Any]) -> None:
        if values["decay"] != "l2" and values["weight_decay"] > 0:
            raise ValueError(
                f"decay: got {values['decay']!r}, need 'l2' for FTRL: w is solved for, and a decay of it would be "
                "forgotten; take l2 or l2_shrinkage"
            )
        divisors = ("initial_accumulator_value", "beta", "l2")
        if values["lr_power"] < 0 and not any(values[key] for key in divisors):
            raise ValueError(
                "initial_accumulator_value, beta and l2: got 0 for all of them, need one above 0: "
                "a first gradient whose square is 0 would be divided by 0"
            )

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        return "ftrl", self.states, self._hyper(group)

    def _formulas(self, group: ParamGroup, *, ahead: bool = True) -> Formulas:
        hyper = self._hyper(group)
        power = "√n" if hyper["power"] == 0.5 else "n^p"
        solved = "(min(max(z, −λ₁), λ₁) − z)/((β + b)/α + λ₂)"
        return Formulas(
            (
                f"a = {power}",
                "n ← n + g²",
                f"b = {power}",
                f"z ← z + g{' + s·w' if hyper['shrinkage'] else ''} − (b − a)/α·w",
            ),
            (f"η = {solved}",),
            ("w ← η",),
            symbols={
                "p": Symbol(hyper["power"], "−lr_power"),
                "s": Symbol(hyper["shrinkage"], "l2_shrinkage"),
                "λ₁": Symbol(hyper["l1"], "l1"),
                "λ₂": Symbol(hyper["l2"], "l2"),
                "β": Symbol(hyper["beta"], "beta"),
            },
            states={"n": "accumulator", "z": "linear"},
            leaks=tuple(map(str, self._four_steps(group).leaks)),
            moves=False,
        )

    def _four_steps(self, group: ParamGroup) -> Triple:
        leak = Leak(
            "solved for",
            "w is the minimum of a function that z and n hold, 0 exactly where |z| <= λ₁; step 4 takes it as it is",
        )
        return Triple(steps.plain(), steps.sum_sq(), steps.ratio(group["beta"]), (leak,), ("linear",))

    def row_rule(self, group: ParamGroup) -> RowRule:
        """Return the same rule: z and n of a row change with its gradient alone."""
        return RowRule(*self._rule(group))

    def _hyper(self, group: ParamGroup) -> Hyper:
        if group["lr"] == 0:
            raise ValueError(f"lr: got 0.0 at step {self.step_count}, need a number > 0: FTRL divides by it")
        twice = 2.0 if group["l2_form"] == "tensorflow" else 1.0
        return {
            "power": -group["lr_power"],
            "l1": group["l1"],
            "l2": twice * group["l2"],
            "shrinkage": twice * group["l2_shrinkage"],
            "beta": group["beta"],
        }

    def _start(self, group: ParamGroup, state: str) -> float:
        return float(group["initial_accumulator_value"]) if state == "accumulator" else 0.0

    def _start_at(self, group: ParamGroup, state: str, w: Array) -> Array | float:
        """z₀ = −w·((β + n₀^p)/α + λ₂) − sign(w)·λ₁: the solution of which is w."""
        if state == "accumulator" or group["initial_linear"] == "zero":
            return self._start(group, state)
        hyper = self._hyper(group)
        raised = pow(group["initial_accumulator_value"], hyper["power"])
        quadratic = (hyper["beta"] + raised) / group["lr"] + hyper["l2"]
        result: Array = np.sign(w) * -hyper["l1"] - w * quadratic
        return result
