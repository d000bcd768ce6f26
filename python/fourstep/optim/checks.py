"""Ranges of hyper-parameters: each check returns the value, clean, or raises with name, what it got and what it needs."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import Any

#: (name, value) -> the value in its own type.
Check = Callable[[str, Any], Any]


def number(name: str, value: Any) -> float:
    """Accept any real number, also a 0-d array; not a bool, a string or NaN."""
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: got {value!r}, need a number")
    result = float(value)
    if math.isnan(result):
        raise ValueError(f"{name}: got nan, need a number")
    return result


#: The largest float32: what is larger is infinite where most steps are computed.
_LARGEST = (2.0 - 2.0**-23) * 2.0**127


def _at_most(name: str, result: float) -> float:
    if result > _LARGEST:
        raise ValueError(f"{name}: got {result}, need at most {_LARGEST:.4g}, the largest float32")
    return result


def non_negative(name: str, value: Any) -> float:
    """Accept a number >= 0 that float32 can hold."""
    result = number(name, value)
    if not 0 <= result < math.inf:
        raise ValueError(f"{name}: got {result}, need a finite number >= 0")
    return _at_most(name, result)


def positive_or_none(name: str, value: Any) -> float | None:
    """Accept None, or a finite number > 0."""
    if value is None:
        return None
    result = number(name, value)
    if not 0 < result < math.inf:
        raise ValueError(f"{name}: got {result}, need None or a finite number > 0")
    return _at_most(name, result)


def positive(name: str, value: Any) -> float:
    """Accept a finite number > 0."""
    result = number(name, value)
    if not 0 < result < math.inf:
        raise ValueError(f"{name}: got {result}, need a finite number > 0")
    return _at_most(name, result)


def non_positive(name: str, value: Any) -> float:
    """Accept a finite number <= 0."""
    result = number(name, value)
    if not -math.inf < result <= 0:
        raise ValueError(f"{name}: got {result}, need a finite number <= 0")
    return result


def count(name: str, value: Any) -> int:
    """Accept a whole number >= 0."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < 0:
        raise ValueError(f"{name}: got {value!r}, need a whole number >= 0")
    return int(value)


def count_or_none(name: str, value: Any) -> int | None:
    """Accept None, or a whole number >= 0."""
    return None if value is None else count(name, value)


def fraction_or_none(name: str, value: Any) -> float | None:
    """Accept None, or a number in [0, 1)."""
    return None if value is None else fraction(name, value)


def fraction(name: str, value: Any) -> float:
    """Accept a number in [0, 1): a weight of the past."""
    result = number(name, value)
    if not 0 <= result < 1:
        raise ValueError(f"{name}: got {result}, need 0 <= {name} < 1")
    return result


def up_to_one(name: str, value: Any) -> float:
    """Accept a number in [0, 1]."""
    result = number(name, value)
    if not 0 <= result <= 1:
        raise ValueError(f"{name}: got {result}, need 0 <= {name} <= 1")
    return result


def betas(name: str, value: Any) -> tuple[float, float]:
    """Accept a pair of numbers in [0, 1)."""
    try:
        first, second = value
    except (TypeError, ValueError):
        raise TypeError(f"{name}: got {value!r}, need a pair (beta1, beta2)") from None
    return fraction(f"{name}[0]", first), fraction(f"{name}[1]", second)


def three_betas(name: str, value: Any) -> tuple[float, float, float]:
    """Accept three numbers in [0, 1)."""
    try:
        first, second, third = value
    except (TypeError, ValueError):
        raise TypeError(f"{name}: got {value!r}, need three (beta1, beta2, beta3)") from None
    return fraction(f"{name}[0]", first), fraction(f"{name}[1]", second), fraction(f"{name}[2]", third)


def pair(name: str, value: Any) -> tuple[float, float]:
    """Accept a pair of finite numbers >= 0."""
    try:
        first, second = value
    except (TypeError, ValueError):
        raise TypeError(f"{name}: got {value!r}, need a pair of numbers") from None
    return non_negative(f"{name}[0]", first), non_negative(f"{name}[1]", second)


def flag(name: str, value: Any) -> bool:
    """Accept True or False."""
    if value is True or value is False:
        return value
    if type(value).__name__ == "bool":  # numpy's
        return bool(value)
    raise TypeError(f"{name}: got {value!r}, need True or False")


def one_of(*choices: Any) -> Check:
    """Accept one of `choices`."""

    def check(name: str, value: Any) -> Any:
        if value not in choices:
            raise ValueError(f"{name}: got {value!r}, need one of {', '.join(map(repr, choices))}")
        return value

    return check


def positive_rate(name: str, value: Any) -> Any:
    """Accept a finite number > 0, or a schedule: a function of the step."""
    return value if callable(value) else positive(name, value)


def learning_rate(name: str, value: Any) -> Any:
    """Accept a finite number >= 0, or a schedule: a function of the step."""
    return value if callable(value) else non_negative(name, value)


#: Where ε stands in a denominator: the fields that the Adam family shares.
EPSILON: dict[str, Check] = {
    "eps": non_negative,
    "eps_inside": flag,
    "eps_hat": flag,
    "eps_root": non_negative,
}
