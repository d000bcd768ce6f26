"""What an optimizer does, as its four steps: its triple, and where the frame leaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fourstep import steps

if TYPE_CHECKING:
    from fourstep.optim.base import Optimizer
    from fourstep.optim.groups import ParamGroup

#: A step, or a function in its place.
Part = Any


@dataclass(frozen=True)
class Leak:
    """A place where the frame of four steps is too narrow for an optimizer."""

    name: str
    sentence: str

    def __str__(self) -> str:
        """Return name and sentence."""
        return f"{self.name}: {self.sentence}"


@dataclass(frozen=True)
class Triple:
    """What an optimizer says of itself: φ, ψ, direction, leaks, the state beside that of the steps."""

    first: Part
    second: Part
    direction: Part
    leaks: tuple[Leak, ...] = ()
    #: State of the leaks, by name.
    more_states: tuple[str, ...] = ()
    #: Where the gradient is taken.
    point: str = "w"


@dataclass(frozen=True)
class FourSteps:
    """The four steps of one group of an optimizer.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> four = fs.optim.RMSProp([np.zeros(2)], weight_decay=0.1).as_four_steps()
    >>> print(four)
    RMSProp
      1  gradient   g = ∇f(w), g ← g + λ·w
      2  first      m = g
         second     V ← β₂·V + (1 − β₂)·g²
      3  direction  η = α·(g/(√V + ε))
      4  update     w ← w − η
      α = 0.01, λ = 0.1, β₂ = 0.99, ε = 1e-08
    >>> w = np.zeros(2)
    >>> opt = fs.FourStep([w], **four.arguments())  # the same bits as RMSProp
    """

    name: str
    gradient: tuple[Part, ...]
    first: Part
    second: Part
    direction: Part
    update: Part
    lr: float | Callable[[int], float]
    leaks: tuple[Leak, ...] = ()
    point: str = "w"
    #: Names of the state arrays.
    states: tuple[str, ...] = field(default=(), compare=False)

    @property
    def fits(self) -> bool:
        """Whether `FourStep` with these steps is the same optimizer: whether nothing leaks."""
        return not self.leaks

    def arguments(self) -> dict[str, Any]:
        """Return them as arguments of `FourStep`."""
        return {
            "lr": self.lr,
            "first": self.first,
            "second": self.second,
            "direction": self.direction,
            "gradient": list(self.gradient),
            "update": self.update,
        }

    def parts(self) -> list[tuple[str, Part]]:
        """Return every step with its place."""
        return [
            *(("gradient", part) for part in self.gradient),
            ("first", self.first),
            ("second", self.second),
            ("direction", self.direction),
            ("update", self.update),
        ]

    def formulas(self) -> dict[str, str]:
        """Return the formula of each step as text."""
        gradient = [f"g = ∇f({self.point})", *(_formula(part) for part in self.gradient)]
        return {
            "gradient": ", ".join(gradient),
            "first": _formula(self.first),
            "second": _formula(self.second),
            "direction": _formula(self.direction, self.first, self.second),
            "update": _formula(self.update),
        }

    def latex(self) -> dict[str, str]:
        """Return the formula of each step for LaTeX's math mode."""
        points = {"w": "w_t", "w − α·γ·m": r"w_t - \alpha \gamma m_{t-1}"}
        ahead = points.get(self.point, r"w_t - \alpha m_{t-1}")
        gradient = [rf"g_t = \nabla f({ahead})", *(_latex(part) for part in self.gradient)]
        return {
            "gradient": r", \quad ".join(gradient),
            "first": _latex(self.first),
            "second": _latex(self.second),
            "direction": _latex(self.direction, self.first, self.second),
            "update": _latex(self.update),
        }

    def values(self) -> dict[str, float]:
        """Return the numbers in the formulas by symbol; α is left out where it is a schedule."""
        rate = {} if callable(self.lr) else {"α": self.lr}
        steps_of = [part for _, part in self.parts() if isinstance(part, steps.Step)]
        return {**rate, **{key: value for part in steps_of for key, value in part.values().items()}}

    def windows(self) -> dict[str, float]:
        """Return 1/(1 − β) of each average: so many steps hold about 1 − 1/e of its weight (O3)."""
        found = {"first": self.first, "second": self.second}
        return {name: part.window for name, part in found.items() if hasattr(part, "window")}

    def state_bytes(self, dtype: Any = np.float32) -> int:
        """Return the bytes of state for each parameter."""
        return len(self.states) * int(np.dtype(dtype).itemsize)

    def __str__(self) -> str:
        """Return the four steps as lines of text, then the numbers, then the leaks."""
        heads = {
            "gradient": "1  gradient ",
            "first": "2  first    ",
            "second": "   second   ",
            "direction": "3  direction",
            "update": "4  update   ",
        }
        lines = [f"  {heads[key]}  {text}" for key, text in self.formulas().items()]
        values = ", ".join(f"{key} = {value:g}" for key, value in self.values().items())
        leaks = [f"  leak: {leak}" for leak in self.leaks]
        return "\n".join([self.name, *lines, *([f"  {values}"] if values else []), *leaks])


def four_steps(optimizer: Optimizer, group: ParamGroup, triple: Triple) -> FourSteps:
    """Return a triple with what the options say of steps 1 and 4."""
    own_norm = group.raw("clip_norm")
    norm = optimizer.clip_norm if own_norm is None else own_norm
    decay, weight_decay = group.raw("decay"), group.raw("weight_decay")
    gradient: list[Part] = []
    if group.raw("maximize"):
        gradient.append(steps.maximize())
    if optimizer.grad_scale != 1:
        gradient.append(steps.unscale(optimizer.grad_scale))
    if norm is not None:
        gradient.append(steps.clip_norm(norm))
    if group.raw("clip_value") is not None:
        gradient.append(steps.clip_value(group.raw("clip_value")))
    if weight_decay and decay == "l2":
        gradient.append(steps.l2(weight_decay))
    gradient += getattr(optimizer, "gradient_functions", ())
    update: Part = steps.descend()
    if weight_decay and decay != "l2":
        kind = steps.decoupled if decay == "decoupled" else steps.independent
        update = kind(weight_decay)
    update = getattr(optimizer, "update_function", None) or update
    parts = (part for part in (triple.first, triple.second) if isinstance(part, steps.Step))
    return FourSteps(
        type(optimizer).__name__,
        tuple(gradient),
        triple.first,
        triple.second,
        triple.direction,
        update,
        group.raw("lr"),
        triple.leaks,
        triple.point,
        (*(state for part in parts for state in part.states), *triple.more_states),
    )


def _formula(part: Part, *moments: Part) -> str:
    if not isinstance(part, steps.Step):
        return f"{_name(part)}(…)"
    return part.of(*moments) if isinstance(part, steps.DirectionStep) else part.formula()


def _latex(part: Part, *moments: Part) -> str:
    if not isinstance(part, steps.Step):
        return rf"\mathrm{{{_name(part)}}}(\ldots)".replace("_", r"\_")
    return part.of_latex(*moments) if isinstance(part, steps.DirectionStep) else part.latex()


def _name(function: Any) -> str:
    return getattr(function, "__name__", None) or type(function).__name__
