"""Scalars of the step: core and twin, each by its own code, pinned to exact rationals."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fourstep import _core, exact_math

BETAS = (0.9, 0.99, 0.999, 0.9999, 0.5, 0.1)


@given(st.sampled_from(BETAS), st.integers(0, 2**64 - 1))
def test_core_and_twin_agree_to_the_bit(beta: float, t: int) -> None:
    assert _core.power(beta, t) == exact_math.power(beta, t)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("t", [0, 1, 2, 3, 10, 99, 1000, 5000])
def test_power_is_close_to_the_exact_rational(beta: float, t: int) -> None:
    exact = Fraction(beta) ** t
    for got in (_core.power(beta, t), exact_math.power(beta, t)):
        if exact < Fraction(1, 2**1000):
            assert got <= 2.0**-999
        else:
            assert abs(Fraction(got) - exact) <= exact * t * Fraction(1, 2**52)


@pytest.mark.parametrize("beta", [0.9, 0.999])
@pytest.mark.parametrize("t", [1, 2, 10, 1000])
def test_bias_corrections_against_the_exact_rational(beta: float, t: int) -> None:
    exact = 1 - Fraction(beta) ** t
    got = 1.0 - _core.power(beta, t)
    assert abs(Fraction(got) - exact) <= exact * Fraction(1, 10**12)


@given(st.floats(1e-3, 1e3), st.floats(-50, 50))
def test_real_powers_are_correctly_rounded(x: float, y: float) -> None:
    with localcontext(prec=60):
        want = float((Decimal(x).ln() * Decimal(y)).exp())
    assert _core.pow(x, y) == want
    assert exact_math.pow(x, y) == want


@pytest.mark.parametrize("t", [1, 2, 100, 10_000, 2**53])
def test_nadams_momentum(t: int) -> None:
    with localcontext(prec=60):
        decay = float((Decimal.from_float(0.96).ln() * Decimal(t * 0.004)).exp())
    mu = 0.9 * (1 - 0.5 * decay)
    assert _core.nadam_mu_product(0.9, 0.004, t, 0.25) == 0.25 * mu
