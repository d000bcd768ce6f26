"""Formulas are read, filled with numbers, worked out and put into LaTeX; windows and gains are those of the kernels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fourstep as fs
from fourstep.explain.formula import equation, expression
from fourstep.explain.moments import Window, gain

VALUES = {"α": 0.1, "β₁": 0.9, "m": -2.0, "g": -3.0, "v̂": 4.0, "ε": 0.5, "t": 2.0}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("β₁·m + (1 − β₁)·g", -2.1),
        ("m − g − 1", 0.0),
        ("m/g/2·3", 1.0),
        ("−α·g", 0.3),
        ("−g²", -9.0),
        ("(−g)²", 9.0),
        ("1 − β₁^t", 0.19),
        ("α·m/(√v̂ + ε)", -0.08),
        ("√(v̂ + ε)", math.sqrt(4.5)),
        ("max(β₁·g, |m| + ε)", 2.5),
        ("min(g, m, 1e-3)", -3.0),
        ("sign(m)·2 + sign(m − m)", -2.0),
        ("2^−1", 0.5),
    ],
)
def test_what_a_formula_is_worth(text: str, value: float) -> None:
    node = expression(text)
    assert node.value(VALUES | {"v\u0302": 4.0}) == pytest.approx(value, abs=1e-15)
    assert str(node) == str(expression(str(node)))


NUMBERS = st.floats(-100, 100).map(lambda x: round(x, 3))


@given(
    st.recursive(
        st.sampled_from(["m", "g", "2", "0.5"]),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from("+−·/"), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
            inner.map(lambda p: f"(−{p})"),
            inner.map(lambda p: f"{p}²"),
            inner.map(lambda p: f"|{p}|"),
        ),
        max_leaves=8,
    ),
    NUMBERS,
    NUMBERS,
)
def test_numbers_in_place_of_symbols_change_no_value(text: str, m: float, g: float) -> None:
    """What is shown, read again, is worth the same: brackets stand where negative numbers need them."""
    node = expression(text)
    shown = {name: f"{x!r}".replace("-", "−") for name, x in (("m", m), ("g", g))}
    a, b = node.value({"m": m, "g": g}), expression(node.filled(shown)).value({})
    assert a == b or (math.isnan(a) and math.isnan(b))


def test_what_is_no_formula() -> None:
    for text, message in {
        "m + + g": "need a number or a symbol before",
        "(m + g": "need '\\)'",
        "m g": "which goes wrong at 'g'",
        "max m": "need '\\('",
    }.items():
        with pytest.raises(ValueError, match=message):
            expression(text)
    with pytest.raises(ValueError, match="need a symbol, ← or ="):
        equation("m")
    with pytest.raises(KeyError):
        expression("m").value({})


@pytest.mark.parametrize(("beta", "share"), [(0.9, 0.651), (0.99, 0.634), (0.999, 0.632), (0.5, 0.75)])
def test_the_window_holds_about_two_thirds(beta: float, share: float) -> None:
    """O3: the last 1/(1 − β) gradients; counted from weights too."""
    window = Window("β", beta)
    assert round(window.share, 3) == share
    weights = (1 - beta) * beta ** np.arange(100_000)
    assert window.share == pytest.approx(weights[: round(window.steps)].sum(), abs=1e-9)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("SGD", {}, gain(0.0, 1.0)),
        ("SGD", {"momentum": 0.9}, gain(0.9, 1.0)),
        ("SGD", {"momentum": 0.9, "dampening": 0.4}, gain(0.9, 0.6)),
        ("SGD", {"momentum": 0.9, "momentum_form": "lr_inside"}, gain(0.9, 1.0)),
        ("SGD", {"momentum": 0.9, "momentum_form": "ema"}, gain(0.9, 1 - 0.9)),
        ("SGD", {"momentum": 0.9, "nesterov": True}, gain(0.9, 1.0, by_g=1.0, by_m=0.9)),
        ("RMSProp", {}, gain(0.0, 1.0, unit="α")),
        ("Adam", {}, gain(0.9, 1 - 0.9, unit="α")),
    ],
)
def test_gains_are_those_of_the_kernels(name: str, options: dict[str, Any], expected: Any) -> None:
    """O9: heavy ball 1/(1 − γ) and 1/(1 + γ), moving average 1 and (1 − β)/(1 + β)."""
    for flips, wanted in ((False, expected.steady), (True, expected.alternating)):
        w = np.zeros(1)
        opt = getattr(fs.optim, name)([w], lr=0.5, **options)
        size = 3.0
        for t in range(6000 if name == "Adam" else 1200):
            before = w[0]
            opt.step([np.array([-size if flips and t % 2 else size])])
        unit = 0.5 if expected.unit == "α" else 0.5 * size
        assert abs(w[0] - before) / unit == pytest.approx(wanted, rel=3e-3)
    if options == {"momentum": 0.9}:
        assert (expected.steady, expected.alternating) == pytest.approx((1 / (1 - 0.9), 1 / (1 + 0.9)))
    if options.get("momentum_form") == "ema":
        assert (expected.steady, expected.alternating) == pytest.approx((1, (1 - 0.9) / (1 + 0.9)))
