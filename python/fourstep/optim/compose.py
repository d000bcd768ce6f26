"""Your own optimizer from the four steps: any φ × ψ × direction, by the kernels of the named ones.

1  gradient     g_t = ∇f(w_t), clipped, negated, plus λ·w
2  moments      m_t = φ(g_1..g_t), V_t = ψ(g_1..g_t)
3  direction    η_t = α·m_t/√V_t, α·m_t or α·sign(m_t)
4  update       w_{t+1} = w_t − η_t
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Unpack

from fourstep import _core, steps
from fourstep.optim.base import Hyper, Optimizer
from fourstep.optim.checks import Check
from fourstep.optim.four_steps import Triple
from fourstep.optim.groups import ParamGroup
from fourstep.optim.options import Shared
from fourstep.optim.stepper import Gradients
from fourstep.optim.written import Written

#: A step, or a function of whole arrays in its place.
Part = Any

_OPTIONS = ("maximize", "unscale", "clip_norm", "clip_value", "l2")


class FourStep(Optimizer):
    r"""An optimizer of your own, put together from `fourstep.steps`.

    .. math::
        m_t = \varphi(g_1..g_t), \qquad V_t = \psi(g_1..g_t), \qquad
        \eta_t = \alpha \frac{m_t}{\sqrt{V_t}}, \qquad w_{t+1} = w_t - \eta_t

    It runs in the kernels of the named optimizers, which are names for such triples: the same bits, at the same speed.

    Parameters
    ----------
    params, groups and what else all optimizers share
        See `Optimizer`.
    lr : float or schedule
        α.
    first : step or function
        φ: `plain` (the default), `heavy_ball`, `ema`, `nesterov`, `nesterov_ema`.
    second : step or function
        ψ: `none` (the default), `sum_sq`, `ema_sq`, `max_sq`, `inf_norm`, `belief`, `yogi`.
    direction : step or function
        `along`, `ratio`, `rectified`, `sign`. By default `ratio` where there is a second moment, else `along`.
    gradient : list of steps or functions
        `maximize`, `unscale`, `clip_norm`, `clip_value`, `l2`, in the order in which the pass takes them; then functions.
    update : step or function
        `descend` (the default), `decoupled`, `independent`.

    A function is called with whole arrays: ``gradient(w, g, t) -> g``, ``first(m, g, t) -> m``,
    ``second(V, g, m, t) -> V``, ``direction(m, V, lr, t) -> η``, ``update(w, η, t) -> w``; m and V start at 0, and come
    into `direction` freed of that where they are corrected; t counts from 1. A step with a function in it is taken by
    NumPy: what is no function has the bits of the kernels, the whole is slower, and the first step says by how much
    (`SlowStep`).

    Raises
    ------
    TypeError, ValueError
        A step in another's place, or steps that do not go together.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> from fourstep import steps
    >>> arena = fs.Arena({"w": np.array([1.0, -100.0])})
    >>> opt = fs.FourStep(arena, first=steps.ema(0.9), second=steps.sum_sq(), direction=steps.ratio(eps=1e-8), lr=0.1)
    >>> arena.grad["w"] = 2 * arena["w"]
    >>> opt.step()  # Adam's momentum over AdaGrad's sum
    >>> arena["w"].round(4).tolist()
    [0.9, -99.9]
    >>> print(opt.as_four_steps())
    FourStep
      1  gradient   g = ∇f(w)
      2  first      m ← β₁·m + (1 − β₁)·g, m̂ = m/(1 − β₁^t)
         second     V ← V + g²
      3  direction  η = α·m̂/(√V + ε)
      4  update     w ← w − η
      α = 0.1, β₁ = 0.9, ε = 1e-08

    Notes
    -----
    State: what the steps keep, by torch's names; that of a function is ``m`` or ``v``.
    """

    states: ClassVar[tuple[str, ...]] = (
        "momentum_buffer",
        "exp_avg",
        "sum",
        "exp_avg_sq",
        "max_exp_avg_sq",
        "exp_inf",
        "exp_avg_var",
    )
    scalars: ClassVar[tuple[str, ...]] = ("mu_product",)
    _checks: ClassVar[dict[str, Check]]  # below: they need functions that come after

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1e-3,
        first: Part = None,
        second: Part = None,
        direction: Part = None,
        *,
        gradient: Sequence[Part] = (),
        update: Part = None,
        weight_decay: float | None = None,
        **shared: Unpack[Shared],
    ) -> None:
        second = steps.none() if second is None else second
        none = isinstance(second, steps.none)
        defaults = {
            "lr": lr,
            "first": steps.plain() if first is None else first,
            "second": second,
            "direction": (steps.along() if none else steps.ratio()) if direction is None else direction,
        }
        own = {} if weight_decay is None else {"weight_decay": weight_decay}
        given = {**own, **shared}
        options = _options(gradient, update)
        for name in options:
            if name in given:
                raise TypeError(f"{name}: got it twice, as a step and as an argument; need one of the two")
        given.update(options)
        defaults["weight_decay"] = given.pop("weight_decay", 0.0)
        #: Steps 1 and 4, where they are functions.
        self.gradient_functions = tuple(part for part in gradient if not isinstance(part, steps.Step))
        self.update_function = None if update is None or isinstance(update, steps.Step) else update
        self._written = Written(self)
        specs = [defaults, *(shared.get("groups") or ())]
        if any(
            not steps.is_step(spec.get(key, steps.plain())) for spec in specs for key in ("first", "second")
        ):
            self.states = (*type(self).states, "m", "v")  # type: ignore[misc]
        super().__init__(params, defaults, **given)  # type: ignore[arg-type]

    def _check_together(self, values: Mapping[str, Any]) -> None:
        first, second, direction = values["first"], values["second"], values["direction"]
        self._written.check(values)
        if isinstance(direction, steps.ratio | steps.rectified) and isinstance(second, steps.none):
            raise ValueError(f"direction: {direction.kind} divides by a second moment, and second is none()")
        divides = not steps.is_step(direction) or direction.divides
        if not divides and not isinstance(second, steps.none):
            raise ValueError(
                f"second: a direction of {direction!r} makes no use of it; need none(), or ratio() as direction"
            )
        if isinstance(second, steps.belief) and isinstance(first, steps.plain):
            raise ValueError("second: belief() is in a first moment, and first is plain(): g − g is 0 always")
        if isinstance(direction, steps.rectified) and not isinstance(second, steps.ema_sq):
            raise ValueError(f"direction: rectified() is for second=ema_sq(), got {second!r}")
        if isinstance(direction, steps.sign) and getattr(first, "lr_inside", False):
            raise ValueError(
                "direction: sign() drops the learning rate that heavy_ball(lr_inside=True) holds"
            )
        if isinstance(second, steps.inf_norm) and isinstance(direction, steps.ratio):
            other = [name for name in ("eps_inside", "eps_hat", "eps_root") if getattr(direction, name)]
            if other:
                raise ValueError(f"direction: {other[0]} is for a root, and inf_norm() has none")

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        first, second = group["first"], group["second"]
        carried = {
            "started": "momentum_buffer" in group.started,
            "mu_product": group.scalars.get("mu_product", 1.0),
        }
        hyper = {
            "first": (first.kind, {**first.arguments(), **carried}),
            "second": (second.kind, second.arguments()),
            "direction": (group["direction"].kind, group["direction"].arguments()),
        }
        return "four_step", (*first.states, *second.states), hyper

    def _start(self, group: ParamGroup, state: str) -> float:
        second = group["second"]
        own = isinstance(second, steps.Step) and state in second.states[:1]
        return float(second.start) if own else 0.0

    def _stepped(self, group: ParamGroup) -> None:
        first, before = group["first"], group.scalars.get("mu_product", 1.0)
        scheduled = isinstance(first, steps.nesterov_ema) and first.form == "schedule"
        group.scalars["mu_product"] = (
            _core.nadam_mu_product(first.beta, first.momentum_decay, group.steps, before)
            if scheduled
            else before
        )

    def _four_steps(self, group: ParamGroup) -> Triple:
        return Triple(group["first"], group["second"], group["direction"])

    def _step(self, gradients: Gradients, *, dense: bool = True) -> None:
        if dense and any(self._written.functions(self.param_groups[index]) for index in self._active()):
            self._written.step(gradients)
        else:
            super()._step(gradients, dense=dense)


def _options(gradient: Sequence[Part], update: Part) -> dict[str, Any]:
    """Return what the steps 1 and 4 are as options of the pass."""
    if isinstance(gradient, steps.Step) or not isinstance(gradient, Sequence):
        raise TypeError(f"gradient: got {gradient!r}, need a list of steps")
    options: dict[str, Any] = {}
    last = -1
    for part in gradient:
        if not isinstance(part, steps.Step):
            if not callable(part):
                raise TypeError(f"gradient: got {part!r}, need {', '.join(_OPTIONS)} or a function")
            last = len(_OPTIONS)
            continue
        if not isinstance(part, steps.GradientStep):
            raise TypeError(f"gradient: got {part!r}, need {', '.join(_OPTIONS)} or a function")
        place = _OPTIONS.index(part.kind)
        if place <= last:
            order = ", ".join((*_OPTIONS, "functions"))
            raise ValueError(f"gradient: {part.kind} is out of order; the pass takes {order}, each once")
        last = place
        options.update(part.options())
    if isinstance(update, steps.Step):
        if not isinstance(update, steps.UpdateStep):
            raise TypeError(f"update: got {update!r}, need descend, decoupled, independent or a function")
        if "weight_decay" in options and update.options():
            raise ValueError(f"update: got {update!r} beside l2() in gradient; need one kind of decay")
        options.update(update.options())
    elif update is not None and not callable(update):
        raise TypeError(f"update: got {update!r}, need a step or a function")
    return options


def _part(*kinds: type[steps.Step]) -> Check:
    """Accept a step of these kinds, the dict of one, or a function."""

    def check(name: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            value = steps.from_dict(value)
        if name == "direction" and isinstance(value, steps.plain):
            value = steps.along()
        if isinstance(value, kinds) or (callable(value) and not isinstance(value, steps.Step | type)):
            return value
        known = ", ".join(kind for kind, cls in steps.KINDS.items() if issubclass(cls, kinds))
        raise TypeError(f"{name}: got {value!r}, need a step ({known}) or a function")

    return check


FourStep._checks = {
    "first": _part(steps.FirstStep),
    "second": _part(steps.SecondStep),
    "direction": _part(steps.DirectionStep),
}
