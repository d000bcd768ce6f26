"""From the parts of `fourstep.steps` to formulas that can be worked out.

The parts say what they do; this puts their lines into an order in which each needs only what stands before it, and says
what their symbols are: state buffers, hyper-parameters, sizes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fourstep import steps
from fourstep.explain.moments import Gain, gain
from fourstep.explain.steps import Formulas, Symbol

if TYPE_CHECKING:
    from fourstep.optim.base import Optimizer
    from fourstep.optim.groups import ParamGroup

#: The symbols of a second moment's state buffers, in their order.
_STATES = {
    "sum_sq": ("V",),
    "ema_sq": ("V",),
    "max_sq": ("v", "V"),
    "inf_norm": ("u",),
    "belief": ("V",),
    "yogi": ("V",),
}
_SIZES = ("v", "V", "V̂", "u", "ρ_t", "ρ_inf", "r_t", "μ_t", "μ_{t+1}", "Π_t", "Π_{t+1}", "α")
_RECTIFIED = " where ρ_t > 5, else "


class UnexplainedError(ValueError):
    """A step that no formula can say."""


def formulas_of(
    first: Any,
    second: Any,
    direction: Any,
    *,
    states: Sequence[str],
    names: Mapping[str, str],
    t: int = 2,
    mu_product: float = 1.0,
) -> Formulas:
    """Return the formulas of φ × ψ × direction.

    Parameters
    ----------
    first, second, direction
        Parts of `fourstep.steps`.
    states : sequence of str
        The state buffers, those of φ before those of ψ.
    names : dict of str to str
        The argument that each symbol is.
    t : int
        The step that is explained: RAdam has another direction at first, and dampening is left out at t = 1.
    mu_product : float
        Nadam's Π_{t−1}.
    """
    symbols = {**first.values(), **second.values()}
    symbols.update({key: value for key, value in direction.values().items() if value or key not in symbols})
    if t == 1 and "d" in symbols:
        symbols["d"] = 0.0
    moments = [*_lines(first.formula()), *_lines(second.formula())]
    if "Π_t" in first.formula():
        symbols["Π_{t−1}"] = mu_product
        schedule = [line for line in moments if line.startswith("μ_t")]
        moments = [line for line in moments if line not in schedule and not line.startswith("Π_t")]
        place = next(i for i, line in enumerate(moments) if line.startswith("m̄"))
        moments[place:place] = [
            *schedule,
            schedule[0].replace("μ_t", "μ_{t+1}").replace("t·ψ", "(t + 1)·ψ"),
            "Π_t = Π_{t−1}·μ_t",
            "Π_{t+1} = Π_t·μ_{t+1}",
        ]
    text = direction.of(first, second)
    remarks = []
    if _RECTIFIED in text:
        ratio, plain = text.split(_RECTIFIED)
        beta = second.beta
        longest = 2 / (1 - beta) - 1
        seen = longest - 2 * t * beta**t / (1 - beta**t)
        moments += ["ρ_inf = 2/(1 − β₂) − 1", "ρ_t = ρ_inf − 2·t·β₂^t/(1 − β₂^t)"]
        if seen > 5:
            moments.append("r_t = √((ρ_t − 4)·(ρ_t − 2)·ρ_inf/((ρ_inf − 4)·(ρ_inf − 2)·ρ_t))")
            text = ratio
        else:
            text = f"η = {plain}"
        remarks.append(
            f"{ratio.removeprefix('η = ')} only where ρ_t > 5; in the first steps α·m̂: V has seen too little"
        )
    if "lr_decay" in text:
        symbols["lr_decay"] = direction.lr_decay
    if not first.states and not second.states:
        moments = []
    elif not first.states or not second.states:
        moments = [line for line in moments if line not in ("m = g", "V = 1")]
    moves = _lines(text)
    moves.sort(key=lambda line: line.startswith("η"))  # what η needs stands before it
    if len(moves) > 1 and any("α" in line for line in moments):
        moments.insert(0, moves.pop(0))
    holders = (*(("m",) if first.states else ()), *_held(second))
    return Formulas(
        tuple(moments),
        tuple(moves),
        symbols={key: Symbol(value, names.get(key, key)) for key, value in symbols.items()},
        states=dict(zip(holders, states, strict=True)),
        second=_SIZES,
        windows=tuple(
            key
            for part in (first, second)
            if hasattr(part, "window")
            for key in part.values()
            if key in "β₁β₂γ"
        ),
        gain=_gain(first, second, direction),
        leaks=tuple(remarks),
        rate="lr" if "lr_decay" in text else "α",
    )


def functions_of(optimizer: Optimizer) -> list[str]:
    """Return which of the four steps are functions of the user's."""
    written = ["gradient"] * bool(getattr(optimizer, "gradient_functions", ()))
    for group in optimizer.param_groups:
        four = optimizer._four_steps(group)
        written += [
            key for key in ("first", "second", "direction") if not isinstance(getattr(four, key), steps.Step)
        ]
    return written + ["update"] * (getattr(optimizer, "update_function", None) is not None)


def refuse_functions(optimizer: Optimizer) -> None:
    """Raise where one of the four steps is a function of the user's.

    Raises
    ------
    UnexplainedError
        Names the step.
    """
    written = functions_of(optimizer)
    if written:
        raise UnexplainedError(
            f"explain: {written[0]} is a function of yours, which only you can explain; as_four_steps() has the rest"
        )


def of_group(optimizer: Optimizer, group: ParamGroup) -> Formulas:
    """Return the formulas of a group, from what it says of its four steps.

    Where it leaks, they are not `complete`: an optimizer that leaks adds what its triple does not say.

    Raises
    ------
    UnexplainedError
        One of its steps is a function of the user's.
    """
    refuse_functions(optimizer)
    four = optimizer._four_steps(group)
    parts = four.first, four.second, four.direction
    kept = [state for part in parts[:2] for state in part.states]
    own = optimizer._rule(group)[1]
    made = formulas_of(
        *parts,
        states=own[: len(kept)] if len(own) >= len(kept) else kept,
        names=_names(group, *parts),
        t=group.steps + 1,
        mu_product=group.scalars.get("mu_product", 1.0),
    )
    return replace(
        made, point=four.point, leaks=(*made.leaks, *map(str, four.leaks)), complete=not four.leaks
    )


#: The arguments that a symbol can be, in an optimizer that has them.
_ARGUMENTS = {
    "β₁": ("betas[0]", "momentum"),
    "β₂": ("betas[1]", "alpha", "rho"),
    "γ": ("momentum",),
    "d": ("dampening",),
    "ε": ("eps",),
    "ε_0": ("eps_root",),
    "ε_r": ("eps_root",),
    "ψ": ("momentum_decay",),
    "lr_decay": ("lr_decay",),
    "Π_{t−1}": ("Π_{t−1}",),
}


def _names(group: ParamGroup, first: Any, second: Any, direction: Any) -> dict[str, str]:
    """Return the argument of the optimizer that each symbol is, or the field of one of its steps."""
    found = {"Π_{t−1}": "μ_1·…·μ_{t−1}"}
    for symbol, arguments in _ARGUMENTS.items():
        known = [name for name in arguments if name.partition("[")[0] in group]
        if known:
            found[symbol] = known[0]
    for place, part in (("first", first), ("second", second), ("direction", direction)):
        for symbol, value in part.values().items():
            fields = [key for key, worth in part.arguments().items() if worth == value and worth is not True]
            if symbol not in found and fields:
                found[symbol] = f"{place}.{fields[0]}"
    return found


def _lines(text: str) -> list[str]:
    """Split formulas at the commas between them; what is no equation is left out."""
    parts = re.split(r", (?=\S+ (?:←|=) |then )", text)
    return [part for part in parts if re.match(r"\S+ (?:←|=) ", part)]


def _held(second: Any) -> tuple[str, ...]:
    if second.kind == "max_sq" and second.over == "hat" and second.bias_correction:
        return "v", "V̂"
    return _STATES.get(second.kind, ())


def _gain(first: Any, second: Any, direction: Any) -> Gain | None:
    """Return the gains in closed form, where there is one."""
    unit = "α" if direction.divides or direction.kind == "sign" else "α·|g|"
    if second.kind in ("sum_sq", "belief"):
        return None  # a rate that falls, a size that is none of the gradient's
    if direction.kind == "sign":
        return Gain(1.0, 1.0, unit)
    if first.kind == "plain":
        return gain(0.0, 1.0, unit=unit)
    if first.kind == "heavy_ball":
        return gain(first.momentum, 1 - first.dampening, unit=unit)
    if first.kind == "nesterov":
        return gain(first.momentum, 1.0, 1.0, first.momentum, unit=unit)
    beta = first.beta
    by_g, by_m = (1 - beta, beta) if first.kind == "nesterov_ema" else (0.0, 1.0)
    return gain(beta, 1 - beta, by_g, by_m, unit)
