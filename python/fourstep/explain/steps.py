"""How a group steps, as formulas: what an optimizer says of itself, and what all of them share."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fourstep.explain.formula import Equation, Node, equation, expression
from fourstep.explain.moments import Gain, Window
from fourstep.optim.four_steps import four_steps

if TYPE_CHECKING:
    from fourstep.optim.base import Optimizer
    from fourstep.optim.groups import ParamGroup


@dataclass(frozen=True)
class Symbol:
    """A number in the formulas: what it is worth, and which argument it is."""

    value: float
    name: str


@dataclass(frozen=True)
class Formulas:
    """What an optimizer does in its steps 1 to 4, beside what all share.

    A line is an equation (`formula.equation`). One with ← changes what has its left side's name, one with = names a part.

    Attributes
    ----------
    moments, direction, update : tuple of str
        Steps 2, 3 and 4: the direction ends in η, the update in w.
    symbols : dict of str to `Symbol`
        Hyper-parameters, and numbers that a rule carries from step to step.
    states : dict of str to str
        The state buffer of each symbol: ``{"m": "exp_avg"}``.
    second : tuple of str
        Symbols of second moments and of what is made of them: sizes, where the others are directions.
    windows : tuple of str
        Symbols of weights of the past: 1/(1 − β) steps each.
    gain : Gain, optional
        What becomes of steady and of alternating gradients, where there is a closed form.
    point : str
        Where the gradient is taken.
    leaks : tuple of str
        A sentence for each place where the optimizer is outside the frame.
    rate : str
        The symbol of the learning rate.
    complete : bool
        Whether they are all that happens: a step is put into numbers only then.
    own_decay : bool
        Whether weight decay is in these formulas already.
    moves : bool
        Whether η is a move of w: else there is no effective rate and no share of momentum.
    """

    moments: tuple[str, ...]
    direction: tuple[str, ...]
    update: tuple[str, ...] = ("w ← w − η",)
    symbols: Mapping[str, Symbol] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)
    second: tuple[str, ...] = ()
    windows: tuple[str, ...] = ()
    gain: Gain | None = None
    point: str = "w"
    leaks: tuple[str, ...] = ()
    rate: str = "α"
    complete: bool = True
    own_decay: bool = False
    moves: bool = True

    def __post_init__(self) -> None:
        """Write symbols as formulas do: accents apart from their letters."""
        for name in ("symbols", "states"):
            object.__setattr__(self, name, {_apart(key): value for key, value in getattr(self, name).items()})
        for name in ("second", "windows"):
            object.__setattr__(self, name, tuple(map(_apart, getattr(self, name))))


def _apart(symbol: str) -> str:
    return unicodedata.normalize("NFD", symbol)


@dataclass(frozen=True)
class Line:
    """An equation of one of the four steps."""

    step: int
    equation: Equation


#: What the four steps are called.
TITLES = ("", "gradient", "moments", "direction", "update")


@dataclass(frozen=True)
class Steps:
    """The formulas of one group, its own and the shared ones, in the order in which they are taken."""

    lines: tuple[Line, ...]
    symbols: Mapping[str, Symbol]
    formulas: Formulas

    @property
    def point(self) -> Node:
        """Where the gradient is taken."""
        return expression(self.formulas.point)

    @property
    def windows(self) -> list[Window]:
        """The window of each weight of the past."""
        return [Window(symbol, self.symbols[symbol].value) for symbol in self.formulas.windows]

    def of(self, step: int) -> list[Equation]:
        """Return the equations of a step."""
        return [line.equation for line in self.lines if line.step == step]


_STEP_1 = ("maximize", "unscale", "clip_norm", "clip_value", "l2")

#: The argument that each symbol of steps 1 and 4 is.
_SHARED = {"N": "clip_norm", "C": "clip_value", "S": "grad_scale", "λ": "weight_decay"}


def steps_of(opt: Optimizer, group: ParamGroup, *, ahead: bool = True) -> Steps:
    """Return how a group steps next; with `ahead`, one that can look ahead does."""
    own = opt._formulas(group, ahead=ahead)
    four = four_steps(opt, group, opt._four_steps(group))
    parts = [part for part in four.gradient if not (own.own_decay and part.kind == "l2")]
    update, direction = own.update, own.direction
    if not own.own_decay:
        parts.append(four.update)
        if update == ("w ← w − η",):
            update = (four.update.formula(),)
    if opt.options.cautious:
        direction = (*direction, f"η ← {'k·' if opt.options.cautious is True else ''}max(sign(η·g), 0)·η")
    shared = {key: Symbol(value, _SHARED[key]) for part in parts for key, value in part.values().items()}
    symbols = {**shared, own.rate: Symbol(group["lr"], "lr"), **own.symbols}
    gradient = tuple(_told(part.formula(), opt.options.clip_eps) for part in parts if part.kind in _STEP_1)
    steps = (gradient, own.moments, direction, update)
    lines = tuple(Line(i, equation(text)) for i, texts in enumerate(steps, 1) for text in texts)
    shown = {s for line in lines for s in line.equation.right.symbols()} | expression(own.point).symbols()
    return Steps(lines, {key: value for key, value in symbols.items() if key in shown}, own)


def _told(formula: str, clip_eps: float) -> str:
    """Write the ε of clipping by norm as it is here: dialects differ in it."""
    if clip_eps == 1e-6:
        return formula
    return formula.replace("(‖g‖ + 1e-6)", f"(‖g‖ + {number(clip_eps)})" if clip_eps else "‖g‖")


def values_of(symbols: Mapping[str, Symbol]) -> dict[str, float]:
    """Return what each symbol is worth."""
    return {key: symbol.value for key, symbol in symbols.items()}


def number(value: Any) -> str:
    """Write a number in a formula: six digits, and the minus of the formulas."""
    return f"{float(value):.6g}".replace("-", "−")
