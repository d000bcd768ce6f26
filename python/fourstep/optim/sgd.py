"""SGD, with momentum in three forms, and Nesterov's accelerated gradient.

SGD          η = α·g                                                     (O6)
torch        m ← γ·m + (1 − d)·g        η = α·m                          (O7, with lr outside)
lr_inside    m ← γ·m + α·g              η = m                            (O7)
ema          m ← β·m + (1 − β)·g        η = α·m                          (O8)
NAG          m ← γ·m + g at the look-ahead point, η = α·m                (O10)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal, Unpack

from fourstep import steps
from fourstep.explain.steps import Formulas
from fourstep.explain.triples import formulas_of
from fourstep.optim import checks
from fourstep.optim.base import Hyper, Optimizer
from fourstep.optim.checks import Check
from fourstep.optim.four_steps import Leak, Triple
from fourstep.optim.groups import ParamGroup
from fourstep.optim.lookahead import LookAhead, Move
from fourstep.optim.options import Shared
from fourstep.optim.rows import RowRule

Form = Literal["torch", "lr_inside", "ema"]


class SGD(Optimizer):
    r"""Stochastic gradient descent, with momentum if asked for.

    .. math::
        m_t = \gamma m_{t-1} + (1 - d)\, g_t, \qquad w_{t+1} = w_t - \alpha m_t

    with :math:`\alpha` = `lr`, :math:`\gamma` = `momentum`, :math:`d` = `dampening` (0 at the first step).

    Parameters
    ----------
    params, lr, weight_decay, maximize, clip_value, clip_norm, groups
        See `Optimizer`.
    momentum : float
        γ in [0, 1), or β₁ with ``momentum_form="ema"``. 0 = no momentum, no state.
    dampening : float
        d, only with ``momentum_form="torch"``.
    nesterov : bool
        Look ahead in the rewritten form, which needs no closure: η = α·(g + γ·m). Needs momentum and no dampening.
    momentum_form : {"torch", "lr_inside", "ema"}
        ``"torch"``: m = γ·m + g, w −= α·m. ``"lr_inside"``: m = γ·m + α·g, w −= m: the same while α is constant; after α
        drops it goes on at the old pace for some 1/(1−γ) steps. ``"ema"``: m = β·m + (1−β)·g from m = 0, w −= α·m: as if
        α were (1−β) times smaller.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w = np.array([1.0, -1.0])
    >>> opt = fs.optim.SGD([w], lr=0.1, momentum=0.9)
    >>> for _ in range(3):
    ...     opt.step([2 * w])  # the gradient of |w|^2
    >>> w.round(4).tolist()
    [0.062, -0.062]

    Notes
    -----
    State: ``momentum_buffer``. Where others differ: Keras keeps lr inside the buffer (``"lr_inside"``); burn
    dampens by 0.1 unless told otherwise, also at the first step, where torch does not.
    """

    states: ClassVar[tuple[str, ...]] = ("momentum_buffer",)
    _checks: ClassVar[dict[str, Check]] = {
        "momentum": checks.fraction,
        "dampening": checks.up_to_one,
        "nesterov": checks.flag,
        "momentum_form": checks.one_of("torch", "lr_inside", "ema"),
    }

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        momentum_form: Form = "torch",
        **shared: Unpack[Shared],
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "momentum_form": momentum_form,
        }
        super().__init__(params, defaults, **shared)

    def _check_together(self, values: Mapping[str, Any]) -> None:
        momentum, dampening, form = values["momentum"], values["dampening"], values["momentum_form"]
        if values["nesterov"] and (momentum == 0 or dampening != 0 or form == "ema"):
            raise ValueError(
                f"nesterov: needs momentum > 0, dampening 0 and momentum_form 'torch' or 'lr_inside'; got momentum "
                f"{momentum}, dampening {dampening}, momentum_form {form!r}"
            )
        if form != "torch" and dampening != 0:
            raise ValueError(f"momentum_form: {form!r} needs dampening 0; got dampening {dampening}")

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        if group["momentum"] == 0:
            return "sgd", (), {}
        form = group["momentum_form"]
        if group["nesterov"]:
            form = "nesterov_inside" if form == "lr_inside" else "nesterov"
        return momentum_rule(group, form, group["dampening"])

    def row_rule(self, group: ParamGroup) -> RowRule:
        """Return the same rule: a row's momentum is lost only when it is touched."""
        if group["dampening"] != 0:
            raise ValueError(
                f"dampening: got {group['dampening']}, need 0 for sparse tables: it is left out at the first step of a "
                "buffer, and rows have their first steps at different times"
            )
        name, states, hyper = self._rule(group)
        return RowRule(name, states, {**hyper, "first": False} if states else hyper)

    def _four_steps(self, group: ParamGroup) -> Triple:
        momentum, form = group["momentum"], group["momentum_form"]
        first: steps.FirstStep = steps.heavy_ball(momentum, group["dampening"], form == "lr_inside")
        if momentum == 0:
            first = steps.plain()
        elif group["nesterov"]:
            first = steps.nesterov(momentum, form == "lr_inside")
        elif form == "ema":
            first = steps.ema(momentum, bias_correction=False)
        return Triple(first, steps.none(), steps.along())


class SGDW(SGD):
    r"""SGD whose decay of the weights is decoupled from its momentum (Loshchilov and Hutter, ICLR 2019).

    .. math::
        m_t = \gamma m_{t-1} + (1 - d)\, g_t, \qquad w_{t+1} = (1 - \alpha \lambda)\, w_t - \alpha m_t

    with :math:`\lambda` = `weight_decay`, and the rest as in `SGD`. It is ``SGD(decay="decoupled")`` with another
    default.

    Parameters
    ----------
    params, lr, momentum, dampening, weight_decay, nesterov, and what else `SGD` takes
        See `SGD`.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w = np.array([1.0, -1.0])
    >>> opt = fs.optim.SGDW([w], lr=0.1, momentum=0.9, weight_decay=0.5)
    >>> opt.step([np.array([1.0, 0.0])])
    >>> w.round(4).tolist()
    [0.85, -0.95]

    Notes
    -----
    Without momentum it is `SGD` with L2, but for rounding: only with momentum, or under clipping, do the two part.
    """

    _decay: ClassVar[str] = "decoupled"

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 1e-2,
        nesterov: bool = False,
        *,
        momentum_form: Form = "torch",
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(
            params, lr, momentum, dampening, weight_decay, nesterov, momentum_form=momentum_form, **shared
        )


def momentum_rule(group: ParamGroup, form: str, dampening: float = 0.0) -> tuple[str, tuple[str, ...], Hyper]:
    """Return the rule of a group that has momentum."""
    first = "momentum_buffer" not in group.started
    hyper = {"momentum": group["momentum"], "dampening": dampening, "form": form, "first": first}
    return "momentum", ("momentum_buffer",), hyper


class NAG(LookAhead):
    r"""Nesterov's accelerated gradient: look where the momentum leads, take the gradient there (O10).

    .. math::
        g_t = \nabla f(w_t - \alpha \gamma m_{t-1}), \qquad m_t = \gamma m_{t-1} + g_t, \qquad w_{t+1} = w_t - \alpha m_t

    `step(closure)` does that: the closure is called with the parameters at the look-ahead point, then they are put back
    and updated. `step()` with gradients is the rewritten form, which stores the look-ahead point itself and needs no
    closure: :math:`w \leftarrow w - \alpha (g + \gamma m)`; it is ``SGD(nesterov=True)``. While `lr` is constant the two
    are the same walk: the rewritten parameters are :math:`w_t - \alpha\gamma m_t`. Stay with one of the two in a run.

    Parameters
    ----------
    params, lr, weight_decay, maximize, clip_value, clip_norm, groups
        See `Optimizer`.
    momentum : float
        γ in (0, 1).
    lookahead : {"nesterov", "notes"}
        How far: by α·γ·m, or, as the notes write it, by the whole of α·m. The second is not Nesterov's: on a quadratic
        with γ = 0.9 it is stable up to lr·λ = 1.27 only, Nesterov's up to 1.36. It needs a closure.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> arena = fs.Arena({"w": np.array([1.0, -1.0])})
    >>> opt = fs.optim.NAG(arena, lr=0.1, momentum=0.9)
    >>> def closure():
    ...     arena.grad["w"] = 2 * arena["w"]
    ...     return float((arena["w"] ** 2).sum())
    >>> [round(opt.step(closure), 4) for _ in range(3)]
    [2.0, 0.7688, 0.0989]

    Notes
    -----
    State: ``momentum_buffer``. The loss that a closure returns is that of the look-ahead point. If the closure raises,
    the parameters are back where they were. With `weight_decay` the penalty's gradient is taken at the look-ahead point
    too, as it belongs to f.
    """

    states: ClassVar[tuple[str, ...]] = ("momentum_buffer",)
    _checks: ClassVar[dict[str, Check]] = {
        "momentum": checks.fraction,
        "lookahead": checks.one_of("nesterov", "notes"),
    }

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        lookahead: Literal["nesterov", "notes"] = "nesterov",
        **shared: Unpack[Shared],
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "lookahead": lookahead,
        }
        super().__init__(params, defaults, **shared)

    def _check_together(self, values: Mapping[str, Any]) -> None:
        if values["momentum"] == 0:
            raise ValueError(
                "momentum: got 0.0, need 0 < momentum < 1: without momentum there is nothing to look along"
            )

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        return momentum_rule(group, "nesterov")

    def _moments(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        return momentum_rule(group, "torch")

    def _ahead(self, group: ParamGroup) -> Move | None:
        if "momentum_buffer" not in group.started:
            return None
        share = 1.0 if group["lookahead"] == "notes" else group["momentum"]
        return "along_momentum", ("momentum_buffer",), {"share": share}

    def _update(self, group: ParamGroup) -> Move:
        return "along_momentum", ("momentum_buffer",), {"share": 1.0}

    def _formulas(self, group: ParamGroup, *, ahead: bool = True) -> Formulas:
        if not ahead:
            return super()._formulas(group)
        # With a closure it is the heavy ball, by the gradient of another point.
        ball = formulas_of(
            steps.heavy_ball(group["momentum"]),
            steps.none(),
            steps.along(),
            states=("momentum_buffer",),
            names={"γ": "momentum"},
        )
        four = self._four_steps(group)
        leaks = [str(leak) for leak in four.leaks] or [
            f"look-ahead: step(closure) takes the gradient at {four.point}; step() is the rewritten form, "
            "η = α·(g + γ·m), whose w is that point (O10)"
        ]
        return replace(ball, point=four.point, leaks=tuple(leaks))

    def _four_steps(self, group: ParamGroup) -> Triple:
        momentum = group["momentum"]
        if group["lookahead"] == "nesterov":
            return Triple(steps.nesterov(momentum), steps.none(), steps.along(), (), (), "w − α·γ·m")
        leak = Leak(
            "look-ahead",
            "step 1 takes the gradient at w − α·m, which has no form without a closure that is the same walk (O10)",
        )
        return Triple(steps.heavy_ball(momentum), steps.none(), steps.along(), (leak,), (), "w − α·m")
