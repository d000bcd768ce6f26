"""exp, log and their kin: against 50 digits, and bit for bit against the twin in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from decimal import Context, Decimal, localcontext
from typing import Any

import numpy as np
import pytest

from fourstep import _core
from fourstep._runtime import execution
from fourstep.reference import elementary

Array = np.ndarray[Any, Any]

RNG = np.random.default_rng(0)
N = 1500

#: Name, value in `decimal`, declared error in ulps, arguments.
TABLE: list[tuple[str, Callable[[Decimal], Decimal], float, list[Array]]] = [
    (
        "exp",
        lambda x: x.exp(),
        0.7,
        [RNG.uniform(-1, 1, N), RNG.uniform(-708, 709.7, N), RNG.uniform(-745, -708, 50)],
    ),
    (
        "log",
        lambda x: x.ln(),
        0.8,
        [
            RNG.uniform(0.5, 2, N),
            1 + RNG.normal(size=N) * 10.0 ** RNG.uniform(-15, -1, N),
            10.0 ** RNG.uniform(-323, 308, N),
        ],
    ),
    (
        "log1p",
        lambda x: (1 + x).ln(),
        0.8,
        [RNG.uniform(-1, 1, N), -(10.0 ** RNG.uniform(-40, 0, N)), 10.0 ** RNG.uniform(-40, 300, N)],
    ),
    ("softplus", lambda x: (1 + x.exp()).ln(), 1.5, [RNG.uniform(-5, 5, N), RNG.uniform(-200, 50, N)]),
    ("sigmoid", lambda x: 1 / (1 + (-x).exp()), 2.5, [RNG.uniform(-5, 5, N), RNG.uniform(-200, 50, N)]),
]
NAMES = [row[0] for row in TABLE]

SPECIAL = np.array(
    [
        0.0,
        -0.0,
        1.0,
        -1.0,
        math.inf,
        -math.inf,
        math.nan,
        5e-324,
        2.2e-308,
        710.0,
        -746.0,
        1e308,
        -2.0,
        0.5**0.5,
    ]
)


def compiled(name: str, x: Array) -> Array:
    out = np.empty_like(x)
    _core.elementary(name, x, out, execution())  # type: ignore[arg-type]
    return out


def twin(name: str, x: Array) -> Array:
    result: Array = getattr(elementary, name)(x)
    return result


@pytest.mark.parametrize(("name", "exact", "ulps", "arguments"), TABLE, ids=NAMES)
def test_within_the_declared_error(
    name: str, exact: Callable[[Decimal], Decimal], ulps: float, arguments: list[Array]
) -> None:
    x = np.concatenate(arguments)
    got = compiled(name, x)
    # 150 digits: 1 + e^-200 alone takes 87 of them.
    with localcontext(Context(prec=150)):
        for argument, value in zip(x.tolist(), got.tolist(), strict=True):
            want = exact(Decimal(argument))
            error = abs(Decimal(value) - want) / Decimal(math.ulp(float(want)))
            assert error <= Decimal(ulps), f"{name}({argument!r}) = {value!r}, want {want:.25}"


@pytest.mark.parametrize("name", NAMES)
def test_the_bits_of_the_twin_on_every_path(
    name: str,
    on_every_path: Callable[[], Iterator[int]],
    same_bits: Callable[[Array, Array], bool],
) -> None:
    x = np.concatenate([SPECIAL, RNG.normal(size=999) * 10.0 ** RNG.uniform(-320, 300, 999), *TABLE[0][3]])
    want = twin(name, x)
    with np.errstate(over="ignore", under="ignore"):
        narrow = x.astype(np.float32)
        want_narrow = twin(name, narrow.astype(np.float64)).astype(np.float32)
    for threads in on_every_path():
        assert same_bits(compiled(name, x), want), f"{threads} threads"
        assert same_bits(compiled(name, narrow), want_narrow), f"float32, {threads} threads"


def test_limits() -> None:
    table: dict[str, list[tuple[float, float]]] = {
        "exp": [(0.0, 1.0), (-math.inf, 0.0), (math.inf, math.inf), (1e308, math.inf), (1.0, math.e)],
        "log": [(1.0, 0.0), (0.0, -math.inf), (math.inf, math.inf), (math.e, 1.0)],
        "log1p": [(0.0, 0.0), (-1.0, -math.inf), (math.inf, math.inf), (5e-324, 5e-324)],
        "softplus": [
            (-700.0, math.exp(-700)),
            (-math.inf, 0.0),
            (math.inf, math.inf),
            (0.0, math.log(2)),
            (1e308, 1e308),
        ],
        "sigmoid": [(-math.inf, 0.0), (math.inf, 1.0), (0.0, 0.5)],
    }
    for name, rows in table.items():
        for x, want in rows:
            assert compiled(name, np.array([x])).tolist() == [want], f"{name}({x})"
        assert np.isnan(compiled(name, np.array([math.nan]))).all()
    assert np.isnan(compiled("log", np.array([-1.0, -5e-324]))).all()
    assert np.isnan(compiled("log1p", np.array([-1.0000001]))).all()


def test_refusals() -> None:
    x = np.zeros(3)
    with pytest.raises(
        ValueError, match='function: got "cos", need one of exp, log, log1p, softplus, sigmoid'
    ):
        compiled("cos", x)
    with pytest.raises(ValueError, match="out: got 2 elements, need 3, as many as x"):
        _core.elementary("exp", x, np.zeros(2), execution())
    with pytest.raises(TypeError, match="out: got dtype float32"):
        _core.elementary("exp", x, np.zeros(3, np.float32), execution())
    with pytest.raises(TypeError, match="x: need a NumPy array of float32 or float64"):
        _core.elementary("exp", np.zeros(3, int), x, execution())
    with pytest.raises(RuntimeError, match="out: its memory is in use"):
        _core.elementary("exp", x, x, execution())
