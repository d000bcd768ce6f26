"""The parts of an optimizer: what each of the four steps can be. `FourStep` puts them together.

    1  gradient     maximize, unscale, clip_norm, clip_value, l2           what happens to g before anything else
    2  first        plain, heavy_ball, ema, nesterov, nesterov_ema            m_t = φ(g_1..g_t)
       second       none, sum_sq, ema_sq, max_sq, inf_norm, belief, yogi      V_t = ψ(g_1..g_t)
    3  direction    along, ratio, rectified, sign                   η_t from m_t and V_t
    4  update       descend, decoupled, independent                 w_{t+1} from w_t and η_t

Each is a small frozen object with its hyper-parameters; `formula()`, `latex()` and `values()` say what it does.

>>> from fourstep import steps
>>> steps.ema(0.9)
ema(beta=0.9)
>>> print(steps.ema(0.9).formula())
m ← β₁·m + (1 − β₁)·g, m̂ = m/(1 − β₁^t)
>>> steps.ema(0.9).values(), round(steps.ema(0.9).window)
({'β₁': 0.9}, 10)
>>> steps.ema(1.5)
Traceback (most recent call last):
    ...
ValueError: ema: beta: got 1.5, need 0 <= beta < 1
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fourstep.steps.base import Step, is_step
from fourstep.steps.direction import Along, DirectionStep, Ratio, Rectified, Sign
from fourstep.steps.first import Ema, FirstStep, HeavyBall, Nesterov, NesterovEma, Plain
from fourstep.steps.gradient import L2, ClipNorm, ClipValue, GradientStep, Maximize, Unscale
from fourstep.steps.second import Belief, EmaSq, InfNorm, MaxSq, NoSecond, SecondStep, SumSq, YogiSq
from fourstep.steps.update import Decoupled, Descend, Independent, UpdateStep

__all__ = [
    "KINDS",
    "DirectionStep",
    "FirstStep",
    "GradientStep",
    "SecondStep",
    "Step",
    "UpdateStep",
    "along",
    "belief",
    "clip_norm",
    "clip_value",
    "decoupled",
    "descend",
    "ema",
    "ema_sq",
    "from_dict",
    "heavy_ball",
    "independent",
    "inf_norm",
    "is_step",
    "l2",
    "max_sq",
    "maximize",
    "nesterov",
    "nesterov_ema",
    "none",
    "plain",
    "ratio",
    "rectified",
    "sign",
    "sum_sq",
    "unscale",
    "yogi",
]

maximize, unscale, clip_norm, clip_value, l2 = Maximize, Unscale, ClipNorm, ClipValue, L2
plain, heavy_ball, ema, nesterov, nesterov_ema = Plain, HeavyBall, Ema, Nesterov, NesterovEma
none, sum_sq, ema_sq, max_sq = NoSecond, SumSq, EmaSq, MaxSq
inf_norm, belief, yogi = InfNorm, Belief, YogiSq
along, ratio, rectified, sign = Along, Ratio, Rectified, Sign
descend, decoupled, independent = Descend, Decoupled, Independent

#: The steps by name.
KINDS: dict[str, type[Any]] = {
    kind.kind: kind
    for kind in (
        *(maximize, unscale, clip_norm, clip_value, l2),
        *(plain, heavy_ball, ema, nesterov, nesterov_ema),
        *(none, sum_sq, ema_sq, max_sq, inf_norm, belief, yogi),
        *(along, ratio, rectified, sign),
        *(descend, decoupled, independent),
    )
}


def from_dict(plain: Mapping[str, Any]) -> Any:
    """Return the step that `to_dict` wrote down; arguments with a default may be left out.

    >>> from_dict({"step": "ema", "beta": 0.5})
    ema(beta=0.5)
    """
    kind = KINDS.get(str(plain.get("step")))
    if kind is None:
        raise ValueError(f"no step {plain.get('step')!r}; there are {', '.join(KINDS)}")
    try:
        return kind(**{name: value for name, value in plain.items() if name != "step"})
    except TypeError as error:
        raise ValueError(f"{kind.kind}: {error}") from None
