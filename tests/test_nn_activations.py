"""Activations: what the notes say of them (A1–A6), their zones, and how they stand beside each other."""

from __future__ import annotations

import json
import math
import warnings
from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep import nn
from fourstep.nn import functional
from fourstep.nn._scalars import SCALARS
from fourstep.plot.zigzag import TARGET, unit_walk

Array = np.ndarray[Any, Any]

XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float64)
XOR_LABEL = np.array([[0], [1], [1], [0]], np.float64)
WIDE: dict[str, Any] = {"dtype": "float64"}


@pytest.fixture(scope="module")
def torch() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("torch", reason="torch is the oracle of this test and is not installed")


# A1: why there are activations.


def test_a1_stacked_linear_layers_are_one() -> None:
    first, second = nn.Linear(5, 7, seed=0, **WIDE), nn.Linear(7, 3, seed=1, **WIDE)
    one = nn.Linear(5, 3, **WIDE)
    one.params["weight"] = second.params["weight"] @ first.params["weight"]
    one.params["bias"] = second.params["weight"] @ first.params["bias"] + second.params["bias"]
    x = np.random.default_rng(0).normal(size=(20, 5))
    stacked = nn.Sequential(first, second).forward(x)
    np.testing.assert_allclose(stacked, one.forward(x), rtol=1e-12, atol=1e-12)
    bent = nn.Sequential(first, nn.Tanh(), second).forward(x)
    assert np.abs(bent - one.forward(x)).max() > 0.05


@pytest.mark.parametrize("activation", [None, "tanh", "relu", "leaky_relu", "gelu", "silu", "elu", "maxout"])
def test_a1_xor_needs_a_non_linearity(activation: str | None) -> None:
    """Without one the best loss is ln 2: no line parts the corners, and half is the best that can be said of each."""
    rng = np.random.default_rng(3)
    width = 8
    layers: list[nn.Module] = [nn.Linear(2, width, rng=rng, **WIDE), nn.Linear(width, 1, rng=rng, **WIDE)]
    if activation == "maxout":
        layers = [
            nn.Linear(2, 2 * width, rng=rng, **WIDE),
            nn.Maxout(2),
            nn.Linear(width, 1, rng=rng, **WIDE),
        ]
    elif activation is not None:
        layers[:1] = [nn.block(2, width, activation=activation, batch_norm=False, rng=rng, **WIDE)]
    model, loss = nn.Sequential(*layers), nn.BCEWithLogitsLoss()
    optimizer = fs.optim.Adam(arena := fs.Arena(model), lr=0.05)
    for _ in range(400):
        arena.zero_grad()
        value = loss.forward(model.forward(XOR), XOR_LABEL)
        model.backward(loss.backward())
        optimizer.step()
    if activation is None:
        assert value == pytest.approx(math.log(2), abs=1e-3)
    else:
        assert value < 0.1


# A3: inputs of one sign.


def test_a3_inputs_of_one_sign_give_each_row_of_dw_one_sign() -> None:
    """dW = dyᵀx: for one sample, a row is a multiple of x. Outputs of a sigmoid are all positive, those of tanh not."""
    rng = np.random.default_rng(0)
    for make, one_sign in ((nn.Sigmoid, True), (nn.Tanh, False)):
        layer = nn.Linear(50, 6, seed=1, **WIDE)
        layer.forward(make().forward(rng.normal(size=(1, 50))))
        layer.backward(rng.normal(size=(1, 6)))
        signs = np.sign(layer.grads["weight"])
        assert (signs == signs[:, :1]).all() == one_sign
        assert not (signs == signs[0, 0]).all(), "rows differ from each other"


def test_a3_weights_that_must_part_can_only_zigzag_when_inputs_are_positive() -> None:
    """Both weights rise or both fall in every single step; the same inputs, centred, get there sooner."""
    raw, centred = unit_walk(0.5), unit_walk(0.0)
    steps, free = np.diff(raw, axis=0), np.diff(centred, axis=0)
    assert (steps[:, 0] * steps[:, 1] > 0).all()
    assert (np.diff(np.sign(steps[:, 0])) != 0).mean() > 0.4, "up and down again"
    assert (free[:, 0] * free[:, 1] < 0).mean() > 0.4
    left, centred_left = (np.abs(walk[-1] - TARGET).max() for walk in (raw, centred))
    assert centred_left < left / 10
    pytest.importorskip("matplotlib")
    plane = fs.plot.zigzag().axes[0]
    assert [
        np.array_equal(line.get_xydata(), walk)
        for line, walk in zip(plane.get_lines(), (raw, centred), strict=False)
    ] == [True, True]


# A6: softmax.


def test_a6_softmax_sums_to_one_and_its_ratios_are_those_of_exponentials() -> None:
    z = np.random.default_rng(0).normal(size=(6, 5)) * 3
    p = functional.softmax(z)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-15)
    np.testing.assert_allclose(p[:, :1] / p, np.exp(z[:, :1] - z), rtol=1e-13)
    np.testing.assert_allclose(functional.softmax(z.T, axis=0).T, p, rtol=1e-15)


def test_a6_a_shift_of_all_logits_changes_nothing() -> None:
    z = np.arange(-6.0, 6.0).reshape(3, 4)
    for function in (functional.softmax, functional.log_softmax, functional.dsoftmax):
        for shift in (-1000.0, 2.0**40):
            assert (function(z + shift) == function(z)).all(), "whole numbers, so the shift is exact"


def test_a6_large_logits_tend_to_one_hot_and_small_ones_to_equal_shares() -> None:
    z = np.array([0.5, 2.0, -1.0, 1.9])
    for scale, want in ((1e5, [0, 1, 0, 0]), (1e-9, [0.25] * 4)):
        np.testing.assert_allclose(functional.softmax(scale * z), want, atol=1e-8)
    entropies = [-(p * np.log(p)).sum() for p in (functional.softmax(s * z) for s in (0.5, 1, 2, 4))]
    assert (np.diff(entropies) < 0).all(), "the large becomes larger"


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_a6_the_jacobian_is_that_of_finite_differences(name: str) -> None:
    f, jacobian = getattr(functional, name), getattr(functional, f"d{name}")
    z = np.random.default_rng(1).normal(size=(3, 4))
    h = 1e-6
    columns = [(f(z + h * e) - f(z - h * e)) / (2 * h) for e in np.eye(4)]
    found = jacobian(z)
    np.testing.assert_allclose(found, np.stack(columns, axis=-1), atol=1e-9)
    if name == "softmax":
        np.testing.assert_allclose(found.sum(-1), 0, atol=1e-16)
        np.testing.assert_array_equal(found, np.swapaxes(found, -1, -2))
    layer = {"softmax": nn.Softmax, "log_softmax": nn.LogSoftmax}[name]()
    dy = np.random.default_rng(2).normal(size=z.shape)
    layer.forward(z)
    np.testing.assert_allclose(layer.backward(dy), np.einsum("ni,nij->nj", dy, found), atol=1e-15)


def test_a6_softmax_of_two_is_the_logistic() -> None:
    x = np.linspace(-700, 700, 1401)
    both = functional.softmax(np.stack([x, np.zeros_like(x)], axis=1))
    np.testing.assert_allclose(both[:, 0], functional.sigmoid(x), rtol=1e-14)
    logs = functional.log_softmax(np.stack([x, np.zeros_like(x)], axis=1))
    np.testing.assert_allclose(logs[:, 0], -functional.softplus(-x), rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_takes_any_row(dtype: str) -> None:
    largest = np.finfo(dtype).max
    rows = np.array([[largest, -largest], [-np.inf, 0], [np.nan, 0], [np.inf, 0], [-np.inf, -np.inf]], dtype)
    with np.errstate(all="raise", under="ignore"):
        p, log = functional.softmax(rows), functional.log_softmax(rows)
    assert p.dtype == log.dtype == dtype
    assert p[:2].tolist() == [[1, 0], [0, 1]]
    assert log[:2].tolist() == [[0, -np.inf], [-np.inf, 0]]
    assert np.isnan(p[2:]).all() and np.isnan(log[2:]).all()
    with pytest.raises(ValueError, match=r"axis: got 2, need an axis of x, of shape \(5, 2\)"):
        functional.softmax(rows, axis=2)
    with pytest.raises(ValueError, match=r"x: got shape \(3, 0\): no elements along axis 1"):
        functional.log_softmax(np.empty((3, 0)), axis=1)
    for layer in (nn.Softmax(axis=2), nn.LogSoftmax(axis=2)):
        with pytest.raises(ValueError, match=r"Softmax: axis: got 2, need an axis of x"):
            layer.forward(rows)
        with pytest.raises(ValueError, match=r"Softmax: axis: got 2, need an axis of x, of shape \(\)"):
            layer.forward(np.array(1.0))
    with pytest.raises(TypeError, match="axis: got 'rows', need a whole number"):
        nn.Softmax("rows")  # type: ignore[arg-type]


# Single functions.


@pytest.mark.parametrize("name", list(SCALARS))
def test_derivatives_are_those_of_finite_differences(name: str) -> None:
    scalar = SCALARS[name]
    x = np.array([-30, -5, -1, -0.1, 0.1, 1, 5, 30.0])
    difference = (scalar.f(x + 1e-6) - scalar.f(x - 1e-6)) / 2e-6
    np.testing.assert_allclose(scalar.df(x), difference, atol=2e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["leaky_relu", "elu", "gelu", "silu", "softplus"])
@pytest.mark.parametrize("prefix", ["", "d"])
def test_functions_overflow_nowhere_keep_nan_and_take_out(name: str, prefix: str, dtype: str) -> None:
    function = getattr(functional, prefix + name)
    options: list[dict[str, Any]] = [{}, {"approximate": "tanh"}] if name == "gelu" else [{}]
    largest = np.finfo(dtype).max
    x = np.array([-np.inf, -largest, -1e30, -200, -1, -0.0, 0, 1, 200, 1e30, largest, np.inf, np.nan], dtype)
    for option in options:
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            y = function(x, **option)
        assert y.dtype == dtype
        assert np.isnan(y).tolist() == [False] * 12 + [True]
        assert np.isfinite(y[1:-2]).all()
        assert y[1:-2] == pytest.approx(function(x[1:-2].astype(float), **option), rel=1e-6, abs=1e-37)
        out = np.empty_like(x)
        assert function(x, out=out, **option) is out
        assert out.tobytes() == y.tobytes()
    assert function([1, 2]).dtype == np.float64


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gelu", {}),
        ("gelu", {"approximate": "tanh"}),
        ("silu", {}),
        ("elu", {}),
        ("elu", {"alpha": 0.7}),
        ("elu", {"alpha": 1.5}),
        ("leaky_relu", {"negative_slope": 0.2}),
        ("softplus", {}),
    ],
)
def test_torch_agrees(torch: Any, name: str, options: dict[str, Any], dtype: str) -> None:
    x = np.linspace(-15, 15, 1000).astype(dtype)
    theirs = torch.from_numpy(x).clone().requires_grad_()
    y = getattr(torch.nn.functional, name)(theirs, **options)
    y.sum().backward()
    tolerance = 3e-6 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(getattr(functional, name)(x, **options), y.detach().numpy(), atol=tolerance)
    np.testing.assert_allclose(
        getattr(functional, f"d{name}")(x, **options), theirs.grad.numpy(), atol=tolerance
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: functional.leaky_relu(1.0, 1.5), r"negative_slope: got 1\.5"),
        (lambda: functional.elu(1.0, 0.0), r"alpha: got 0\.0"),
        (
            lambda: functional.gelu(1.0, "exact"),  # type: ignore[arg-type]
            "approximate: got 'exact', need 'none' or 'tanh'",
        ),
        (lambda: functional.maxout(np.ones(5), 2), r"x: got shape \(5,\), need a last axis"),
        (lambda: functional.maxout(np.ones(4), 0), "pieces: got 0, need at least 1"),
        (
            lambda: functional.softmax(np.ones((2, 2)), 2),
            r"axis: got 2, need an axis of x, of shape \(2, 2\)",
        ),
        (lambda: nn.LeakyReLU(-0.1), r"negative_slope: got -0\.1"),
        (lambda: nn.ELU(math.inf), "alpha: got inf"),
        (lambda: nn.GELU("exact"), "approximate: got 'exact'"),  # type: ignore[arg-type]
        (lambda: nn.Maxout(1), "pieces: got 1, need at least 2"),
        (lambda: nn.Maxout(2).forward(np.ones((2, 5))), r"Maxout: x: got shape \(2, 5\), need a last axis"),
        (lambda: nn.activations.compare(["swish"]), "activation: got 'swish', need one of sigmoid, tanh"),
        (lambda: nn.activations.saturated("tanh", 1.0, share=0), "share: got 0"),
    ],
)
def test_arguments_out_of_range_are_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: functional.sigmoid(np.array([1j])), "x: got dtype complex128, need real numbers"),
        (lambda: functional.gelu("1.5"), "x: got dtype <U3, need real numbers"),
        (lambda: functional.relu(np.ma.masked_array([1.0], [True])), "x: got a masked array"),
        (lambda: functional.softmax(np.ones((2, 2)), 0.5), r"axis: got 0\.5, need a whole number"),  # type: ignore[arg-type]
        (lambda: nn.activations.compare(share="a"), "share: got 'a', need a number above 0 and at most 1"),  # type: ignore[arg-type]
        (lambda: nn.activations.saturated("tanh", 1.0, share=True), "share: got True, need a number"),
        (lambda: nn.Softmax(True), "axis: got True, need a whole number"),
    ],
)
def test_what_is_no_real_number_is_refused(call: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()
    assert nn.Softmax(np.int64(0)).axis == 0  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_slope_of_0_is_relu_at_every_input(dtype: str) -> None:
    """1e-60 is 0 in float32, and 0·∞ would be NaN."""
    x = np.array([-np.inf, -2.0, 0.0, 3.0, np.inf, np.nan], dtype)
    for slope in (0.0, 1e-60) if dtype == "float32" else (0.0,):
        with np.errstate(all="raise", under="ignore"):
            assert functional.leaky_relu(x, slope)[:-1].tolist() == [0, 0, 0, 3, math.inf]
        assert np.isnan(functional.leaky_relu(x, slope)[-1])
    assert functional.leaky_relu(x, 0.0, out=x) is x and x[0] == 0


def test_what_is_refused_leaves_out_as_it_was() -> None:
    x = np.array([-1.0, 2.0])
    calls: list[Any] = [
        lambda: functional.elu(x, alpha=-1, out=x),
        lambda: functional.delu(x, alpha=-1, out=x),
        lambda: functional.leaky_relu(x, negative_slope=2, out=x),
        lambda: functional.dleaky_relu(x, negative_slope=2, out=x),
        lambda: functional.gelu(x, approximate="exact", out=x),  # type: ignore[arg-type]
        lambda: functional.softmax(x, axis=1, out=x),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="alpha|negative_slope|approximate|axis"):
            call()
        assert x.tolist() == [-1.0, 2.0]


def test_of_equal_pieces_the_first_gets_the_gradient() -> None:
    layer = nn.Maxout(3)
    layer.forward(np.array([[2.0, 5.0, 5.0, 1.0, 1.0, 1.0]]))
    assert layer.backward(np.array([[7.0, 9.0]])).tolist() == [[0, 7, 0, 9, 0, 0]]


# Zones and the comparison.


@pytest.mark.parametrize("share", [0.01, 0.1])
@pytest.mark.parametrize("name", list(SCALARS))
def test_zones_are_where_the_derivative_is_small(name: str, share: float) -> None:
    x = np.linspace(-20, 20, 4001) + 1e-4
    zones = nn.activations.saturation_zones(name, share)
    inside = np.zeros(x.shape, bool)
    for low, high in zones:
        inside |= (x > low) & (x < high)
    slope = np.abs(SCALARS[name].df(x))
    limit = share * nn.activations.compare([name])[name].largest_derivative
    np.testing.assert_array_equal(inside, slope < limit)
    np.testing.assert_array_equal(inside, nn.activations.saturated(name, x, share))


def test_zones_that_a_formula_gives() -> None:
    """σ′ = s/4 where e/(1 + e)² = s/4; 1 − tanh² = s where x = artanh √(1 − s)."""
    share = 0.05
    (_, low), (high, _) = nn.activations.saturation_zones("sigmoid", share)
    end = 2 * math.acosh(share**-0.5)
    assert (low, high) == pytest.approx((-end, end), rel=1e-9)
    (_, low), (high, _) = nn.activations.saturation_zones("tanh", share)
    end = math.atanh((1 - share) ** 0.5)
    assert (low, high) == pytest.approx((-end, end), rel=1e-9)
    ((low, high),) = nn.activations.saturation_zones("softplus", share)
    assert low == -math.inf and high == pytest.approx(math.log(share / (1 - share)), rel=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zones_of_exact_zeros(dtype: str) -> None:
    assert nn.activations.zero_zones("relu", dtype) == [(-math.inf, 0.0)]
    assert nn.activations.zero_zones("leaky_relu", dtype) == []
    smallest = float(np.finfo(dtype).smallest_subnormal)
    (_, low), (high, _) = nn.activations.zero_zones("sigmoid", dtype)
    end = -math.log(smallest / 2) if dtype == "float32" else -math.log(smallest)
    assert (-low, high) == pytest.approx((end, end), rel=2e-3)


def test_the_table_of_the_notes() -> None:
    found = nn.activations.compare()
    assert [row.name for row in found][:6] == ["sigmoid", "tanh", "relu", "leaky_relu", "maxout", "softmax"]
    z = np.random.default_rng(0).normal(size=1_000_000)
    for row in found:
        scalar = SCALARS[row.name]
        saturated = np.abs(scalar.df(z)) < found.share * row.largest_derivative
        assert row.saturated_share == pytest.approx(saturated.mean(), abs=2e-3)
        assert row.zero_share == pytest.approx((scalar.f(z) == 0).mean(), abs=2e-3)
        assert row.zero_derivative_share == pytest.approx((scalar.df(z) == 0).mean(), abs=2e-3)
        assert row.mean == pytest.approx(scalar.f(z).mean(), abs=5e-3)
    assert found["sigmoid"].largest_derivative == 0.25 and found["tanh"].largest_derivative == 1.0
    assert found["gelu"].largest_derivative == pytest.approx(float(functional.dgelu(2**0.5)), rel=1e-12), (
        "φ′(x)·… is 0 at √2"
    )
    assert found["relu"].mean == pytest.approx(1 / math.sqrt(2 * math.pi), rel=1e-7)
    assert {row.name for row in found if row.zero_centred} == {"tanh"}
    assert {row.name for row in found if row.zero_share > 0.4} == {"relu"}
    assert {row.name for row in found if not row.one_sided} == {
        "sigmoid",
        "tanh",
        "leaky_relu",
        "maxout",
        "softmax",
    }
    assert found["relu"].active == ((0.0, math.inf),)
    lines = repr(found).splitlines()
    assert len(lines) == 1 + len(SCALARS) and lines[0].startswith("activation")
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["rows"][2]["active"] == [[0.0, None]]
    assert [row.name for row in nn.activations.compare("relu")] == ["relu"]
    with pytest.raises(KeyError, match="no activation is called 'swish'"):
        found["swish"]


def test_the_picture_shades_the_zones() -> None:
    pytest.importorskip("matplotlib")
    drawn = fs.plot.activations(["tanh", "leaky_relu"], limits=(-4, 4))
    tanh, leaky = drawn.axes
    by_table = nn.activations.compare(["tanh", "leaky_relu"], share=0.1).plot()
    assert [len(axes.patches) for axes in by_table.axes] == [2, 1]
    assert np.array_equal(tanh.get_lines()[1].get_ydata(), functional.tanh(np.linspace(-4, 4, 1201)))
    assert [len(axes.patches) for axes in (tanh, leaky)] == [2, 0]
    assert len(fs.plot.activations("relu").axes) == 1
    with pytest.raises(ValueError, match="names: got none"):
        fs.plot.activations([])
    with pytest.raises(ValueError, match="limits: got"):
        fs.plot.activations(limits=(1, 1))


def test_the_slope_of_elu_keeps_its_digits() -> None:
    x = np.array([-30.0, -16.0, -1.0, 0.5], np.float32)
    for alpha in (1.0, 0.7):
        layer = nn.ELU(alpha)
        layer.forward(x)
        want = np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0).astype(np.float64)))
        np.testing.assert_allclose(layer.backward(np.ones_like(x)), want, rtol=2e-7)


def test_alpha_fits_the_dtype() -> None:
    for function in (functional.elu, functional.delu):
        with pytest.raises(ValueError, match=r"^alpha: got 1e\+39, need a number that float32 can hold$"):
            function(np.ones(1, np.float32), alpha=1e39)
        assert function(np.ones(1), alpha=1e39) == 1


def test_far_left_torch_has_lost_the_digits_of_gelu() -> None:
    """What docs/nn.md says of x·½(1 + erf(x/√2)) in float32."""
    torch = pytest.importorskip("torch", reason="torch is what the page speaks of, and is not installed")
    x = np.array([-5.0, -6.0], np.float32)
    want = [v * 0.5 * math.erfc(-v / math.sqrt(2)) for v in x.tolist()]
    theirs = torch.nn.functional.gelu(torch.from_numpy(x)).tolist()
    assert round(abs(theirs[0] / want[0] - 1), 2) == 0.17
    assert theirs[1] == 0
    np.testing.assert_allclose(functional.gelu(x), want, rtol=1e-7)
