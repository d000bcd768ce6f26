"""`fourstep.exact_math` against exact rationals, series in big integers, and known values."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fourstep import exact_math

BITS = 600  # of the fixed-point numbers below
ONE = 1 << BITS


def nearest(fixed: int) -> float:
    return float(Fraction(fixed, ONE))


def series(x: Fraction, step: int) -> int:
    """The terms x^k/k! for k = 0, step, 2·step, ..., with alternating sign if step is 2: exp or cos."""
    scaled = x.numerator * ONE // x.denominator
    total, term, k = 0, ONE, 0
    while term:
        total += term
        for _ in range(step):
            k += 1
            term = term * scaled // ONE // k
        term = -term if step == 2 else term
        if abs(term) <= 2:
            break
    return total


def arctan_inverse(n: int) -> int:
    total, term, k = 0, ONE // n, 1
    while term:
        total += term // k if k % 4 == 1 else -(term // k)
        term //= n * n
        k += 2
    return total


PI = Fraction(16 * arctan_inverse(5) - 4 * arctan_inverse(239), ONE)  # Machin's formula


@given(st.floats(-2, 2))
@example(math.nextafter(0.5, 1))  # where it is smallest
@example(math.nextafter(1.5, 1))
def test_cos_pi_is_correctly_rounded(x: float) -> None:
    if x % 0.5:  # the others are exact: below
        assert exact_math.cos_pi(x) == nearest(series(PI * Fraction(x), 2))


@given(st.floats(-20, 20))
def test_exp_is_correctly_rounded(x: float) -> None:
    value = series(Fraction(abs(x)), 1)
    assert exact_math.exp(x) == (nearest(value) if x >= 0 else float(Fraction(ONE, value)))


@given(st.floats(1e-300, 1e300))
def test_log_is_the_nearest_inverse_of_exp(x: float) -> None:
    """ln(x) lies between the midpoints around log(x), because exp of them, to 600 bits, encloses x."""
    y = exact_math.log(x)
    if y == 0:
        assert x == 1
        return
    shift = round(Fraction(y) / Fraction(0.6931471805599453))  # keeps the series short: x·2^-shift is near 1
    ln2 = 2 * Fraction(arctanh_third(), ONE)
    for neighbour, sign in ((math.nextafter(y, -math.inf), -1), (math.nextafter(y, math.inf), 1)):
        middle = (Fraction(y) + Fraction(neighbour)) / 2 - shift * ln2
        value = Fraction(series(abs(middle), 1), ONE)
        value = value if middle >= 0 else 1 / value
        assert (value - Fraction(x) / Fraction(2) ** shift) * sign > 0


def arctanh_third() -> int:
    total, term, k = 0, ONE // 3, 1
    while term:
        total += term // k
        term //= 9
        k += 2
    return total


@given(st.floats(1e-3, 1e3), st.integers(-60, 60))
def test_pow_of_a_whole_exponent_is_the_exact_power_rounded_once(x: float, n: int) -> None:
    assert exact_math.pow(x, n) == exact_math.pow(x, float(n)) == float(Fraction(x) ** n)


@given(st.integers(1, 2**26), st.sampled_from([(1, 2), (3, 2), (5, 4), (1, 8)]))
def test_pow_of_perfect_powers_is_exact_and_halfway_goes_to_even(
    root: int, exponent: tuple[int, int]
) -> None:
    p, q = exponent
    base = root**q
    if float(base) == base:
        assert exact_math.pow(float(base), p / q) == float(Fraction(root**p))


def test_a_tie_goes_to_the_even_neighbour() -> None:
    assert (
        exact_math.pow(134217727.0, 2) == 18014398241046528.0
    )  # exactly …527² = …529, between …528 and …530
    assert exact_math.pow(2.0, -1075) == 0.0  # halfway between 0 and the smallest subnormal
    assert exact_math.pow(2.0, -1074) == 5e-324


@given(st.floats(0.01, 1e3), st.floats(-3, 3))
def test_pow_lies_between_its_neighbours(x: float, y: float) -> None:
    """y is m/2^k: the answer's midpoints, raised to 2^k, enclose x^m. Checked for y rounded to 1/16."""
    y = round(y * 16) / 16
    if y == 0 or x == 1:
        return
    answer = exact_math.pow(x, y)
    exact = Fraction(x) ** int(y * 16)
    below = (Fraction(answer) + Fraction(math.nextafter(answer, 0))) / 2
    above = (Fraction(answer) + Fraction(math.nextafter(answer, math.inf))) / 2
    assert below**16 <= exact <= above**16


def test_nadams_momentum_schedule_has_known_bits() -> None:
    assert exact_math.pow(0.96, 0.004).hex() == "0x1.ffea9969757dbp-1"
    assert exact_math.pow(0.96, 4.0).hex() == float(Fraction(0.96) ** 4).hex()


def test_edges_follow_ieee() -> None:
    inf, nan = math.inf, math.nan
    assert exact_math.pow(0.0, 0.0) == exact_math.pow(nan, 0.0) == exact_math.pow(1.0, inf) == 1.0
    assert exact_math.pow(0.0, 2.0) == exact_math.pow(0.5, inf) == exact_math.exp(-inf) == 0.0
    assert exact_math.pow(0.0, -1.0) == exact_math.pow(10.0, 400) == exact_math.exp(1e300) == inf
    assert exact_math.pow(0.5, 2**64 - 1) == exact_math.exp(-1e300) == 0.0
    assert [exact_math.log(x) for x in (0.0, 1.0, inf)] == [-inf, 0.0, inf]
    for value in (exact_math.pow(nan, 2.0), exact_math.exp(nan), exact_math.log(nan), exact_math.cos_pi(inf)):
        assert math.isnan(value)
    with pytest.raises(ValueError, match=r"^pow: x must not be negative, got -1\.0$"):
        exact_math.pow(-1.0, 2.0)
    with pytest.raises(ValueError, match=r"^log: x must not be negative, got -1\.0$"):
        exact_math.log(-1.0)


def test_cos_pi_is_exact_where_the_cosine_is() -> None:
    assert [exact_math.cos_pi(x / 2) for x in range(-4, 5)] == [1, 0, -1, 0, 1, 0, -1, 0, 1]
    assert exact_math.cos_pi(1e300) == 1.0  # an even whole number


@given(st.sampled_from([0.9, 0.999, 0.5, 1.0000001, 1.0]), st.integers(0, 5000))
def test_power_multiplies_in_the_order_it_says(base: float, n: int) -> None:
    """Each product of two doubles is exact as a rational and rounded once: the machine has no say in it."""
    result, square = Fraction(1), Fraction(base)
    for bit in reversed(bin(n)[2:]):
        if bit == "1":
            result = Fraction(float(result * square))
        square = Fraction(float(square * square))
    assert exact_math.power(base, n) == float(result)
    exact = Fraction(base) ** n
    if exact > Fraction(2) ** -1000:  # above the subnormal numbers, where a rounding costs more
        assert abs(Fraction(exact_math.power(base, n)) / exact - 1) <= Fraction(n, 2**53)


def test_power_at_its_ends() -> None:
    assert exact_math.power(0.9, 0) == exact_math.power(1.0, 2**64 - 1) == 1.0
    assert exact_math.power(0.9, 2**64 - 1) == 0.0
    assert exact_math.power(2.0, 2000) == math.inf
    with pytest.raises(ValueError, match="power: n must not be negative, got -1"):
        exact_math.power(0.9, -1)
