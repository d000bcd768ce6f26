"""exp, log and their kin, and the activations of them: against 50 digits, and bit for bit against the twin in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from decimal import Context, Decimal, localcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from fourstep import _core
from fourstep._runtime import execution
from fourstep.nn import functional
from fourstep.reference import activations, elementary

Array = np.ndarray[Any, Any]

ROOT = Path(__file__).parents[1]
KERNELS = ROOT / "rust/core/src"
RNG = np.random.default_rng(0)
N = 1500

PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534")


def sigma(x: Decimal) -> Decimal:
    return 1 / (1 + (-x).exp())


def bell(x: Decimal) -> Decimal:
    return (-x * x / 2).exp() / (2 * PI).sqrt()


def normal(x: Decimal) -> Decimal:
    """The distribution by its series for small |x|, and its continued fraction for large ones, to some 50 digits."""
    size = abs(x)
    if size < 6:
        term, total, n = size, size, 0
        while term > total * Decimal("1e-60"):
            n += 1
            term *= size * size / (2 * n + 1)
            total += term
        tail = Decimal("0.5") - bell(size) * total
    else:
        fraction = size
        for n in range(200, 0, -1):
            fraction = size + n / fraction
        tail = bell(size) / fraction
    return tail if x < 0 else 1 - tail


def softplus(x: Decimal) -> Decimal:
    e = x.exp()
    return e - e * e / 2 if e < Decimal("1e-40") else (1 + e).ln()


def logit(x: Decimal) -> Decimal:
    return 2 * (2 / PI).sqrt() * (x + Decimal("0.044715") * x**3)


def dgelu_tanh(x: Decimal) -> Decimal:
    slope = 2 * (2 / PI).sqrt() * (1 + 3 * Decimal("0.044715") * x * x)
    return sigma(logit(x)) + x * sigma(logit(x)) * sigma(-logit(x)) * slope


class Row(NamedTuple):
    """A function, its value in `decimal`, and arguments."""

    name: str
    exact: Callable[[Decimal], Decimal]
    #: The declared error in ulps of the value: the largest of a million arguments, and a little. The heads of
    #: elementary.rs and activations.rs, docs/nn.md and the docstring of `gelu` quote it.
    ulps: float | Callable[[Decimal], Decimal]
    arguments: list[Array]
    #: Or in those of this number, where the value is smaller: slopes cross 0.
    floor: float = 0.0


TINY = RNG.choice([-1.0, 1.0], 100) * 10.0 ** RNG.uniform(-40, 0, 100)
NEAR, FAR = RNG.uniform(-6, 6, 300), RNG.uniform(-38.7, 12, 400)


def span(low: float, high: float, n: int = 200) -> Array:
    return RNG.uniform(low, high, n)


#: Where e^x has become subnormal, until 700·e^x is 0.
END = np.concatenate([span(-709.5, -708, 100), span(-753, -709, 300)])

TABLE = [
    Row(
        "exp",
        lambda x: x.exp(),
        1,
        [RNG.uniform(-1, 1, N), RNG.uniform(-708, 709.7, N), END],
    ),
    Row(
        "log",
        lambda x: x.ln(),
        1,
        [
            RNG.uniform(0.5, 2, N),
            1 + RNG.normal(size=N) * 10.0 ** RNG.uniform(-15, -1, N),
            10.0 ** RNG.uniform(-323, 308, N),
        ],
    ),
    Row(
        "log1p",
        lambda x: (1 + x).ln(),
        1,
        [RNG.uniform(-1, 1, N), -(10.0 ** RNG.uniform(-40, 0, N)), 10.0 ** RNG.uniform(-40, 300, N)],
    ),
    Row("softplus", softplus, 2, [span(-5, 5, N), span(-708, 50, N), END]),
    Row("sigmoid", sigma, 2.5, [span(-5, 5, N), span(-708, 50, N), END]),
    Row("dsigmoid", lambda x: sigma(x) * sigma(-x), 4.5, [NEAR, span(-708, 708), END, -END]),
    Row("dtanh", lambda x: 4 * sigma(2 * x) * sigma(-2 * x), 4.5, [NEAR, span(-354, 354), END / 2, -END / 2]),
    Row("elu", lambda x: x if x > 0 else x.exp() - 1, 1, [NEAR, TINY, span(-0.43, -0.36), span(-50, 0), END]),
    Row("silu", lambda x: x * sigma(x), 3.5, [NEAR, TINY, span(-708, 50), END]),
    Row("dsilu", lambda x: sigma(x) + x * sigma(x) * sigma(-x), 2.5, [NEAR, TINY, 4 * FAR, END], 1.0),
    Row("gelu", lambda x: x * normal(x), 6, [NEAR, TINY, FAR, span(-9, -7), span(-38.7, -37.5)]),
    Row("dgelu", lambda x: normal(x) + x * bell(x), 2.5, [NEAR, TINY, FAR], 1.0),
    Row(
        "gelu_tanh",
        lambda x: x * sigma(logit(x)),
        lambda x: 3 + 4 * abs(logit(x)),
        [NEAR, TINY, span(-21.7, 12)],
    ),
    Row("dgelu_tanh", dgelu_tanh, 2.5, [NEAR, TINY, FAR], 1.0),
]
NAMES = [row.name for row in TABLE]

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


def twin(name: str, x: Array, narrow: bool = False) -> Array:
    """Return the twin's values, in the form for float32 where there is one."""
    module: Any = elementary if hasattr(elementary, name) else activations
    shorter = {"narrow": True} if narrow and name in ("gelu", "dgelu") else {}
    result: Array = getattr(module, name)(x, **shorter)
    return result


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("row", TABLE, ids=NAMES)
def test_within_the_declared_error(row: Row, dtype: str) -> None:
    x = np.concatenate(row.arguments)
    if dtype == "float32":  # rounded once: half an ulp, and next to nothing
        x = x[(x > -110) & (x < 88)].astype(dtype)[::7]  # beyond, float32 holds 0 or infinity
        x = x[(x != 0) & (x != -1)]  # logarithms of 0
    got = compiled(row.name, x)
    with localcontext(Context(prec=150 if row.name in ("exp", "log", "log1p", "softplus") else 100)):
        for argument, value in zip(x.tolist(), got.tolist(), strict=True):
            want = row.exact(Decimal(argument))
            size = max(abs(float(want)), row.floor)
            ulp = math.ulp(size) if dtype == "float64" else float(np.spacing(np.float32(size)))
            allowed = row.ulps(Decimal(argument)) if callable(row.ulps) else Decimal(row.ulps)
            if dtype == "float32":
                allowed = Decimal("0.501")
            error = abs(Decimal(value) - want) / Decimal(ulp)
            assert error <= allowed, f"{row.name}({argument!r}) = {value!r}, want {want:.25}: {error:.3}"


def test_what_is_written_of_the_errors_is_what_is_declared() -> None:
    exact = f"within {next(row.ulps for row in TABLE if row.name == 'gelu')} ulps"
    assert exact in str(functional.gelu.__doc__) and exact in (ROOT / "docs/nn.md").read_text("utf-8")


@pytest.mark.skipif(not KERNELS.exists(), reason="the sources of the kernels are not here")
def test_what_the_kernels_say_of_the_errors_is_what_is_declared() -> None:
    declared = {row.name: row.ulps for row in TABLE}
    activations, elementary = (
        " ".join((KERNELS / name).read_text("utf-8")[:4000].replace("//!", "").split())
        for name in ("activations.rs", "elementary.rs")
    )
    elu, silu, gelu, slope = (declared[name] for name in ("elu", "silu", "gelu", "dsigmoid"))
    assert f"ELU within {elu}, SiLU {silu}, GELU {gelu}, σ′ and tanh′ {slope}" in activations
    assert f"within {declared['dgelu']} ulps of 1" in activations
    exp, softplus, sigmoid = (declared[name] for name in ("exp", "softplus", "sigmoid"))
    assert f"within {exp} ulp, softplus {softplus}, the logistic function {sigmoid}" in elementary


@pytest.mark.parametrize("row", TABLE, ids=NAMES)
def test_the_bits_of_the_twin_on_every_path(
    row: Row,
    on_every_path: Callable[[], Iterator[int]],
    same_bits: Callable[[Array, Array], bool],
) -> None:
    name, scales = row.name, 10.0 ** RNG.uniform(-320, 300, 999)
    x = np.concatenate([SPECIAL, RNG.normal(size=999) * scales, *TABLE[0].arguments, *row.arguments])
    want = twin(name, x)
    with np.errstate(over="ignore", under="ignore"):
        narrow = x.astype(np.float32)
        want_narrow = twin(name, narrow.astype(np.float64), narrow=True).astype(np.float32)
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
        "dsigmoid": [(-math.inf, 0.0), (math.inf, 0.0), (0.0, 0.25)],
        "dtanh": [(-math.inf, 0.0), (1e308, 0.0), (0.0, 1.0)],
        "elu": [(-math.inf, -1.0), (-1e-300, -1e-300), (0.0, 0.0), (math.inf, math.inf)],
    }
    for name in ("silu", "gelu", "gelu_tanh"):
        table[name] = [(-math.inf, 0.0), (-1e308, 0.0), (0.0, 0.0), (math.inf, math.inf)]
        table[f"d{name}"] = [(-math.inf, 0.0), (0.0, 0.5), (math.inf, 1.0)]
    assert set(table) == set(NAMES)
    for name, rows in table.items():
        for x, want in rows:
            assert compiled(name, np.array([x])).tolist() == [want], f"{name}({x})"
        assert np.isnan(compiled(name, np.array([math.nan]))).all()
    for name in ("silu", "dsilu", "gelu", "dgelu", "gelu_tanh", "dgelu_tanh"):
        left = np.array([-math.inf, -1e30, -1000, -200], np.float32)
        assert compiled(name, left).tolist() == [0, 0, 0, 0], f"{name} in float32"
    assert compiled("dgelu", np.array([-15.0, 15.0], np.float32)).tolist() == [0, 1]
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
