"""Dataclasses that check their arguments: the annotation of a field says what it may hold.

    @dataclass(frozen=True)
    class Decay(Settings):
        rate: Share

`Decay(2)` raises `ValueError: Decay: rate must be a number from 0 to 1, got 2`. A check gets the value and
returns it in plain Python form (a NumPy number becomes a float), or raises ValueError with what it needs.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from inspect import signature
from numbers import Real
from typing import Annotated, Any, ClassVar, get_type_hints

__all__ = [
    "Amount",
    "Count",
    "Function",
    "Metric",
    "Milestones",
    "Positive",
    "Settings",
    "Share",
    "ShareOrNone",
    "Steps",
    "as_float",
    "one_of",
]


class Settings:
    """Base of the dataclasses whose annotated fields are checked when they are made."""

    _checks: ClassVar[dict[str, Callable[[Any], Any]]] = {}

    def __init_subclass__(cls) -> None:
        hints = get_type_hints(cls, include_extras=True)
        checked = {name: hint for name, hint in hints.items() if hasattr(hint, "__metadata__")}
        cls._checks = {name: hint.__metadata__[0] for name, hint in checked.items()}

    def __post_init__(self) -> None:
        for name in self._checks:
            value = self._checked(name, getattr(self, name))
            object.__setattr__(self, name, value)  # the class may be frozen

    def _checked(self, name: str, value: object) -> Any:
        try:
            return self._checks[name](value)
        except ValueError as need:
            raise ValueError(f"{type(self).__name__}: {name} must be {need}, got {value!r}") from None

    def to_dict(self) -> dict[str, Any]:
        """The class's name under "schedule", and the arguments as plain numbers, strings, lists and dicts."""
        plain: dict[str, Any] = {"schedule": type(self).__name__}
        for name in signature(type(self)).parameters:
            value = getattr(self, name)
            if isinstance(value, Settings):
                value = value.to_dict()
            elif callable(value):
                raise TypeError(f"{type(self).__name__}: {name} is a function, {value!r}: no dict holds it")
            plain[name] = list(value) if isinstance(value, tuple) else value
        return plain


def as_float(value: object) -> float:
    """`value` as a float; NaN where it is not a real number, or too large for a float."""
    try:
        return float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return math.nan


def _number(need: str, accept: Callable[[float], bool]) -> Callable[[object], float]:
    def check(value: object) -> float:
        number = as_float(value)
        if accept(number):  # never true of NaN
            return number
        raise ValueError(need)

    return check


def _whole(least: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        number = operator.index(value) if hasattr(value, "__index__") and not isinstance(value, bool) else -1
        if least <= number < 2**64:
            return number
        raise ValueError(f"a whole number from {least} to 2^64 - 1")

    return check


def _milestones(value: Any) -> tuple[int, ...]:
    try:
        return tuple(sorted(map(_whole(0), value)))
    except (TypeError, ValueError):
        raise ValueError("a sequence of whole numbers from 0 to 2^64 - 1") from None


def _function(value: Any) -> Any:
    if callable(value):
        return value
    raise ValueError("a schedule or another function of the step")


def _or_none(check: Callable[[object], float]) -> Callable[[object], float | None]:
    return lambda value: None if value is None else check(value)


def one_of(*choices: str | bool) -> Callable[[object], object]:
    """A check that the value is one of `choices`."""

    def check(value: object) -> object:
        if type(value) in (str, bool) and value in choices:
            return value
        raise ValueError(" or ".join(map(repr, choices)))

    return check


Amount = Annotated[float, _number("a finite number >= 0", lambda x: 0 <= x < math.inf)]
Positive = Annotated[float, _number("a finite number > 0", lambda x: 0 < x < math.inf)]
Metric = Annotated[float, _number("a number other than NaN", lambda x: x == x)]
_share = _number("a number from 0 to 1", lambda x: 0 <= x <= 1)
Share = Annotated[float, _share]
ShareOrNone = Annotated[float | None, _or_none(_share)]
Count = Annotated[int, _whole(0)]
Steps = Annotated[int, _whole(1)]
Milestones = Annotated[Sequence[int], _milestones]
Function = Annotated[Callable[[int], float], _function]
