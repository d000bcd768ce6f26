"""Powers, exponentials, logarithms and cosines whose bits do not depend on the machine.

C's `pow`, `exp` and `cos`, which Python's `**` and `math` call, may differ in the last bit from one C library
or processor to the next; a learning rate computed with them differs too, and then every weight. Here:

    power(b, n)       b · b · b ...         repeated squaring: IEEE multiplications in a fixed order
    pow(x, y)         exp(y · ln x)         |
    exp(x), log(x)                          |  80 digits of `decimal`, rounded once to the nearest double
    cos_pi(x)         cos(π · x)            |

The last four are correctly rounded: no double is nearer to the true value. `decimal` computes with integers:
equal everywhere, and slow (tens of microseconds). Answers are cached, as schedules ask the same again.
"""

from __future__ import annotations

import math
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from functools import lru_cache

__all__ = ["cos_pi", "exp", "log", "pow", "power"]

_DIGITS = Context(prec=80, traps=[])  # no traps: overflow is inf and underflow is 0, as in IEEE arithmetic
_PI = Decimal(
    "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211706798"
)
_NOISE = Decimal("1e-70")  # 80 digits, less those that ln and a large exponent cost


def power(base: float, n: int) -> float:
    """`base` to the whole number `n` >= 0, by repeated squaring from the lowest bit of `n` up.

    At most 2·log₂(n) multiplications in one fixed order: any language that follows it gets the same bits. The
    relative error may grow to n·2⁻⁵³; where that matters, and time does not, take `pow`.

    >>> power(0.5, 3), power(0.999, 0), power(2.0, 2000)
    (0.125, 1.0, inf)
    """
    if n < 0:
        raise ValueError(f"power: n must not be negative, got {n}")
    result = 1.0
    while True:
        if n & 1:
            result *= base
        n >>= 1
        if n == 0:
            return result
        base *= base


@lru_cache(maxsize=1024)
def pow(x: float, y: float) -> float:
    """`x` to the power `y`, correctly rounded, for `x` >= 0; `y` may also be an int of any size.

    >>> pow(0.96, 0.004), pow(2.0, 0.5), pow(0.0, 0.0), pow(10.0, 400)
    (0.9998367253526753, 1.4142135623730951, 1.0, inf)
    """
    if x < 0:
        raise ValueError(f"pow: x must not be negative, got {x!r}")
    if y == 0 or x == 1:
        return 1.0
    with localcontext(_DIGITS):
        return _nearest((Decimal(y) * _ln(x)).exp())


@lru_cache(maxsize=1024)
def exp(x: float) -> float:
    """e to the power `x`, correctly rounded.

    >>> exp(1.0), exp(-1000.0), exp(1000.0)
    (2.718281828459045, 0.0, inf)
    """
    with localcontext(_DIGITS):
        return _nearest(Decimal(x).exp())


def log(x: float) -> float:
    """The natural logarithm of `x` >= 0, correctly rounded.

    >>> log(10.0), log(0.0)
    (2.302585092994046, -inf)
    """
    if x < 0:
        raise ValueError(f"log: x must not be negative, got {x!r}")
    return float(_ln(x))


@lru_cache(maxsize=1024)
def cos_pi(x: float) -> float:
    """cos(π·x), correctly rounded: exactly 0 at ½, where `math.cos(math.pi / 2)` is 6e-17.

    >>> cos_pi(0.0), cos_pi(1 / 3), cos_pi(0.5), cos_pi(-1.0)
    (1.0, 0.5, 0.0, -1.0)
    """
    if not math.isfinite(x):
        return math.nan
    x = math.fmod(abs(x), 2.0)  # this line and the next two are exact: cosine is even, of period 2,
    x = min(x, 2.0 - x)  # symmetric around 1
    sign, x = (1, x) if x <= 0.5 else (-1, 1.0 - x)  # and antisymmetric around ½
    if x == 0.5:
        return 0.0
    with localcontext(_DIGITS):
        square = (_PI * Decimal(x)) ** 2
        total = term = Decimal(1)
        n = 0
        while abs(term) > _NOISE * Decimal("1e-20"):  # the sum may be as small as 1e-16
            n += 2
            term = -term * square / (n * (n - 1))
            total += term
        return sign * _nearest(total)


@lru_cache(maxsize=64)
def _ln(x: float) -> Decimal:
    with localcontext(_DIGITS):
        return Decimal(x).ln()


def _nearest(value: Decimal) -> float:
    """The double nearest to `value`; halfway between two (134217727.0² is), the even one, as IEEE rounds.

    The noise in `value` would push such a tie to one side. Nothing but a tie comes so close to one.
    """
    low, high = float(value * (1 - _NOISE)), float(value * (1 + _NOISE))
    return low if low == high or value.is_nan() else float((Fraction(low) + Fraction(high)) / 2)
