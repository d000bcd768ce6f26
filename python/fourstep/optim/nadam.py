"""Nadam: Adam that looks ahead (O16).

closure-free, Dozat's schedule    μ_t = β₁·(1 − ½·0.96^(t·ψ)), Π_t = μ_1·…·μ_t
                                  η = α·((1 − μ_t)/(1 − Π_t)·g + μ_{t+1}/(1 − Π_{t+1})·m) / (√v̂ + ε)
closure-free, simple              η = α·((1 − β₁)/(1 − β₁^t)·g + β₁/(1 − β₁^(t+1))·m) / (√v̂ + ε)
the notes', with a closure        g at w − α·m_{t−1}/(√V_{t−1} + ε), then Adam
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal, Unpack

from fourstep import _core, steps
from fourstep.explain.steps import Formulas
from fourstep.optim import checks
from fourstep.optim.checks import Check
from fourstep.optim.four_steps import Leak, Triple
from fourstep.optim.groups import ParamGroup
from fourstep.optim.lookahead import LookAhead, Move
from fourstep.optim.options import Shared

_STATES = ("exp_avg", "exp_avg_sq")


class Nadam(LookAhead):
    r"""Nadam: Adam with Nesterov's look-ahead.

    .. math::
        \mu_t = \beta_1 (1 - \tfrac12\, 0.96^{t\psi}), \qquad
        w_{t+1} = w_t - \alpha \frac{\frac{1 - \mu_t}{1 - \prod_{i \le t} \mu_i}\, g_t
        + \frac{\mu_{t+1}}{1 - \prod_{i \le t+1} \mu_i}\, m_t}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    with :math:`\alpha` = `lr`, :math:`(\beta_1, \beta_2)` = `betas`, :math:`\psi` = `momentum_decay`, and the moments
    :math:`m_t, v_t` of `Adam`.

    Parameters
    ----------
    params, lr, weight_decay, maximize, clip_value, clip_norm, groups
        See `Optimizer`.
    betas : (float, float)
        β₁ and β₂, each in [0, 1).
    eps : float
        ε, outside the root.
    momentum_decay : float
        ψ. 1 is Keras's schedule.
    form : {"schedule", "simple"}
        ``"schedule"``: the form above. ``"simple"``: without a schedule, as optax; `momentum_decay` does nothing then.
    eps_inside, eps_hat, eps_root
        Where ε stands: see `Adam`.
    lookahead : {None, "notes"}
        None: the form above, which needs no closure. ``"notes"``: `step(closure)` calls the closure at
        :math:`w_t - \alpha m_{t-1} / (\sqrt{V_{t-1}} + \epsilon)`, at w itself in the first step, then takes Adam's step
        with that gradient from w. The notes write V_t, which would need the gradient that it is to find.
    bias_correction : bool
        Only with ``lookahead="notes"``: whether that Adam's moments are corrected.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w = np.array([1.0, -100.0])
    >>> opt = fs.optim.Nadam([w], lr=0.1)
    >>> for _ in range(2):
    ...     opt.step([2 * w])
    >>> w.round(4).tolist()
    [0.82, -99.816]

    Notes
    -----
    State: ``exp_avg``, ``exp_avg_sq``, and for each group the product of the momenta. Dozat, ICLR workshop 2016. Where
    others differ: optax has no schedule (``form="simple"``); Keras has ψ = 1.
    """

    states: ClassVar[tuple[str, ...]] = _STATES
    scalars: ClassVar[tuple[str, ...]] = ("mu_product",)
    _checks: ClassVar[dict[str, Check]] = {
        "betas": checks.betas,
        "momentum_decay": checks.non_negative,
        "form": checks.one_of("schedule", "simple"),
        **checks.EPSILON,
        "lookahead": checks.one_of(None, "notes"),
        "bias_correction": checks.flag,
    }

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        *,
        form: Literal["schedule", "simple"] = "schedule",
        eps_inside: bool = False,
        eps_hat: bool = False,
        eps_root: float = 0.0,
        lookahead: Literal["notes"] | None = None,
        bias_correction: bool = True,
        **shared: Unpack[Shared],
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "form": form,
            "eps_inside": eps_inside,
            "eps_hat": eps_hat,
            "eps_root": eps_root,
            "lookahead": lookahead,
            "bias_correction": bias_correction,
        }
        super().__init__(params, defaults, **shared)

    def _check_together(self, values: Mapping[str, Any]) -> None:
        if values["lookahead"] is None and not values["bias_correction"]:
            raise ValueError("bias_correction: got False, need True without lookahead='notes'")

    def _looks_ahead(self, group: ParamGroup) -> bool:
        return bool(group["lookahead"] == "notes")

    def _rule(self, group: ParamGroup) -> Move:
        hyper = {key: group[key] for key in ("betas", "momentum_decay", "form", *checks.EPSILON)}
        return "nadam", _STATES, {**hyper, "mu_product": group.scalars.get("mu_product", 1.0)}

    def _adam(self, group: ParamGroup) -> dict[str, Any]:
        return {key: group[key] for key in ("betas", *checks.EPSILON)}

    def _stepped(self, group: ParamGroup) -> None:
        before = group.scalars.get("mu_product", 1.0)
        product = _core.nadam_mu_product(group["betas"][0], group["momentum_decay"], group.steps, before)
        group.scalars["mu_product"] = product

    def _moments(self, group: ParamGroup) -> Move:
        return (
            "adam",
            _STATES,
            {**self._adam(group), "bias_correction": group["bias_correction"], "amsgrad": False},
        )

    def _ahead(self, group: ParamGroup) -> Move | None:
        if not group.started:
            return None
        return "along_ratio", _STATES, {**self._adam(group), "corrected": False}

    def _update(self, group: ParamGroup) -> Move:
        return "along_ratio", _STATES, {**self._adam(group), "corrected": group["bias_correction"]}

    def _formulas(self, group: ParamGroup, *, ahead: bool = True) -> Formulas:
        looking = super()._formulas(group)
        return replace(looking, complete=True)  # its leak is a point, and a point can be written

    def _four_steps(self, group: ParamGroup) -> Triple:
        beta1, beta2 = group["betas"]
        direction = steps.ratio(*(group[key] for key in checks.EPSILON))
        if group["lookahead"] is None:
            first = steps.nesterov_ema(beta1, group["form"], group["momentum_decay"])
            return Triple(first, steps.ema_sq(beta2), direction)
        leak = Leak(
            "look-ahead",
            "step 1 takes the gradient at w − α·m/(√V + ε), by the moments of the step before: it needs a closure (O16)",
        )
        corrected = group["bias_correction"]
        m, v = steps.ema(beta1, corrected), steps.ema_sq(beta2, corrected)
        return Triple(m, v, direction, (leak,), (), "w − α·m/(√V + ε)")
