"""Losses, plain functions and initial values."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest

from fourstep import nn
from fourstep.nn import functional

Array = np.ndarray[Any, Any]

DTYPES = ("float32", "float64")

#: Each loss, predictions and targets of it for n elements.
LOSSES: list[tuple[Callable[..., nn.Loss], Callable[[int], tuple[Array, Array]]]] = [
    (nn.BCEWithLogitsLoss, lambda n: (3 * noise(n), np.random.default_rng(1).uniform(size=n))),
]
each_loss = pytest.mark.parametrize(("make", "data"), LOSSES, ids=lambda v: getattr(v, "__name__", ""))
each_reduction = pytest.mark.parametrize("reduction", ["mean", "sum"])


def noise(n: int) -> Array:
    return np.random.default_rng(0).normal(size=n)


@pytest.fixture(scope="module")
def torch() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("torch", reason="torch is the oracle of this test and is not installed")


# The table.


@each_loss
@each_reduction
@pytest.mark.parametrize("shape", [(7,), (7, 1), (2, 3)])
def test_the_gradient_is_that_of_finite_differences(
    make: Callable[..., nn.Loss],
    data: Callable[[int], tuple[Array, Array]],
    reduction: str,
    shape: tuple[int, ...],
) -> None:
    loss = make(reduction=reduction)
    prediction, target = (v.reshape(shape) for v in data(int(np.prod(shape))))
    loss.forward(prediction, target)
    gradient = loss.backward()
    assert (gradient.shape, gradient.dtype) == (prediction.shape, prediction.dtype)
    for at in np.ndindex(shape):
        ends = []
        for h in (1e-6, -1e-6):
            moved = prediction.copy()
            moved[at] += h
            ends.append(loss.forward(moved, target))
        assert gradient[at] == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-8)


@each_loss
@each_reduction
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-13)])
def test_torch_agrees(
    torch: Any,
    make: Callable[..., nn.Loss],
    data: Callable[[int], tuple[Array, Array]],
    reduction: str,
    dtype: str,
    tolerance: float,
) -> None:
    prediction, target = (v.astype(dtype) for v in data(50))
    theirs = torch.from_numpy(prediction).clone().requires_grad_()
    value = getattr(torch.nn, make.__name__)(reduction=reduction)(theirs, torch.from_numpy(target))
    value.backward()
    loss = make(reduction=reduction)
    assert loss.forward(prediction, target) == pytest.approx(value.item(), rel=tolerance)
    np.testing.assert_allclose(loss.backward(), theirs.grad.numpy(), rtol=20 * tolerance, atol=tolerance)


@each_loss
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_does_not_fit_is_refused(
    make: Callable[..., nn.Loss], data: Callable[[int], tuple[Array, Array]], dtype: str
) -> None:
    loss = make()
    prediction, target = (v.astype(dtype) for v in data(6))
    cases: list[tuple[Any, Any, type[Exception], str]] = [
        (prediction[:, None], target, ValueError, r"target: got shape \(6,\), need \(6, 1\)"),
        (prediction, target[:, None], ValueError, r"target: got shape \(6, 1\), need \(6,\)"),
        (prediction, target[:5], ValueError, r"target: got shape \(5,\)"),
        (prediction, target.astype(str), TypeError, "target: got dtype <U"),
        (prediction.tolist(), target, TypeError, "prediction: got list"),
        (prediction.astype(np.float16), target, TypeError, "prediction: got dtype float16"),
        (prediction[:0], target[:0], ValueError, r"prediction: got shape \(0,\): no elements have no mean"),
    ]
    for value in (np.nan, np.inf):
        broken = prediction.copy()
        broken[[2, 4]] = value
        cases.append(
            (
                broken,
                target,
                ValueError,
                f"prediction: 2 values are not finite, the first is {value} at index 2",
            )
        )
    for bad_prediction, bad_target, kind, message in cases:
        with pytest.raises(kind, match=f"{make.__name__}: {message}"):
            loss.forward(bad_prediction, bad_target)
        with pytest.raises(RuntimeError, match=f"{make.__name__}: backward before forward"):
            loss.backward()
    with pytest.raises(ValueError, match="reduction: got 'none'"):
        make(reduction="none")


@each_loss
def test_backward_needs_a_forward_of_its_own(
    make: Callable[..., nn.Loss], data: Callable[[int], tuple[Array, Array]]
) -> None:
    loss = make()
    loss.forward(*data(4))
    out = np.empty(4)
    assert loss.backward(out=out) is out
    with pytest.raises(RuntimeError, match="backward twice"):
        loss.backward()


@each_loss
def test_the_sum_over_nothing_is_nothing(
    make: Callable[..., nn.Loss], data: Callable[[int], tuple[Array, Array]]
) -> None:
    loss = make(reduction="sum")
    assert loss.forward(*data(0)) == 0.0
    assert loss.backward().shape == (0,)


# Binary cross-entropy.


@pytest.mark.parametrize("label", [-0.1, 1.5, np.nan, 2])
def test_a_label_outside_0_and_1_is_refused(label: float) -> None:
    target = np.array([0.0, 1.0, label, label])
    with pytest.raises(
        ValueError, match=r"target: 2 labels are outside \[0, 1\], the first is .* at index 2"
    ):
        nn.BCEWithLogitsLoss().forward(np.zeros(4), target)


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_logit_is_too_large(dtype: str) -> None:
    """Never log(0), never an overflow (N3), and no digit lost in the tails."""
    logits = np.array([-1e30, -1e4, -104, -37, -1, 0, 1, 37, 104, 1e4, 1e30], dtype)
    for label in (0, 1):
        for x in logits:
            loss = nn.BCEWithLogitsLoss()
            with np.errstate(over="raise", divide="raise", invalid="raise"):
                value = loss.forward(np.array([x]), np.array([label]))
                (gradient,) = loss.backward()
            with localcontext(prec=400):
                exact_x = Decimal(float(x))
                exact = (1 + (-abs(exact_x)).exp()).ln() + max(exact_x, Decimal(0)) - exact_x * label
                slope = 1 / (1 + (-exact_x).exp()) - label if x > -1e3 else Decimal(-label)
            tiny, eps = float(np.finfo(dtype).tiny), float(np.finfo(dtype).eps)
            assert value == pytest.approx(float(exact), rel=2 * eps, abs=tiny)
            assert gradient == pytest.approx(float(slope), abs=2 * eps)


def test_labels_of_any_kind_of_number_are_welcome() -> None:
    prediction = noise(4)
    values = {
        nn.BCEWithLogitsLoss().forward(prediction, np.array([0, 1, 1, 0]).astype(kind))
        for kind in (bool, np.uint8, np.int64, np.float32, np.float64)
    }
    assert len(values) == 1


# Plain functions.


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu", "softplus"])
def test_derivatives_are_those_of_finite_differences(name: str) -> None:
    x = np.array([-30, -5, -1, -0.1, 0.1, 1, 5, 30.0])
    function = getattr(functional, name)
    derivative = functional.sigmoid if name == "softplus" else getattr(functional, f"d{name}")
    difference = (function(x + 1e-6) - function(x - 1e-6)) / 2e-6
    np.testing.assert_allclose(derivative(x), difference, atol=1e-8)


@pytest.mark.parametrize("name", ["sigmoid", "dsigmoid", "tanh", "dtanh", "relu", "drelu", "softplus"])
def test_functions_keep_dtype_and_nan_and_take_out(name: str) -> None:
    function = getattr(functional, name)
    for dtype in DTYPES:
        x = np.array([-np.inf, -1e30, -1, 0, 1, 1e30, np.nan], dtype)
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            y = function(x)
        assert y.dtype == x.dtype
        assert np.isnan(y).tolist() == [False] * 6 + [True]
        out = np.empty_like(x)
        assert function(x, out=out) is out
        assert out.tobytes() == y.tobytes()
    assert function([1, 2]).dtype == np.float64


@pytest.mark.parametrize("name", ["sigmoid", "dsigmoid", "dtanh", "softplus"])
def test_tails_keep_all_digits(name: str) -> None:
    exact: dict[str, Callable[[Decimal], Decimal]] = {
        "sigmoid": lambda x: 1 / (1 + (-x).exp()),
        "dsigmoid": lambda x: (-x).exp() / (1 + (-x).exp()) ** 2,
        "dtanh": lambda x: 4 / (x.exp() + (-x).exp()) ** 2,
        "softplus": lambda x: (1 + x.exp()).ln(),
    }
    for x in (-300.0, -40.0, -1.0, 0.0, 0.5, 20.0, 300.0):
        with localcontext(prec=400):
            want = float(exact[name](Decimal(x)))
        assert getattr(functional, name)(x) == pytest.approx(want, rel=1e-15), x


def test_a3_the_derivative_of_sigmoid_is_at_most_a_quarter_and_that_of_tanh_at_most_one() -> None:
    x = np.linspace(-10, 10, 100_001)
    assert functional.dsigmoid(x).max() == 0.25 == functional.dsigmoid(0.0)
    assert functional.dtanh(x).max() == 1.0 == functional.dtanh(0.0)


# Initial values.


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "arguments", "std"),
    [
        ("xavier_uniform", {}, (2 / 500) ** 0.5),
        ("xavier_normal", {}, (2 / 500) ** 0.5),
        ("xavier_normal", {"gain": 5 / 3}, 5 / 3 * (2 / 500) ** 0.5),
        ("he_uniform", {}, (2 / 400) ** 0.5),
        ("he_normal", {}, (2 / 400) ** 0.5),
        ("he_normal", {"mode": "fan_out"}, (2 / 100) ** 0.5),
        ("he_normal", {"nonlinearity": "linear"}, (1 / 400) ** 0.5),
        ("he_uniform", {"a": 5**0.5}, (1 / 1200) ** 0.5),
        ("lecun_uniform", {}, (1 / 400) ** 0.5),
        ("lecun_normal", {}, (1 / 400) ** 0.5),
        ("normal", {"std": 0.3}, 0.3),
        ("uniform", {"low": -1.0}, 3**-0.5),
    ],
)
def test_deviations_are_those_of_the_formulas(
    dtype: str, name: str, arguments: dict[str, Any], std: float
) -> None:
    array = np.empty((100, 400), dtype)
    fill = getattr(nn.init, name)
    assert fill(array, seed=0, **arguments) is array
    assert array.std() == pytest.approx(std, rel=0.02)
    assert abs(array.mean()) < 0.02 * std
    if "uniform" in name:
        assert 0.99 < np.abs(array).max() / (std * 3**0.5) <= 1.0 + 1e-6
    again = fill(np.empty_like(array), rng=np.random.default_rng(0), **arguments)
    assert (again == array).all()
    assert (fill(np.empty_like(array), seed=1, **arguments) != array).any()


def test_torch_s_names_are_there() -> None:
    assert nn.init.kaiming_uniform is nn.init.he_uniform
    assert nn.init.kaiming_normal is nn.init.he_normal
    assert nn.init.msra_uniform is nn.init.he_uniform
    assert nn.init.msra_normal is nn.init.he_normal


def test_gains_are_those_of_torch(torch: Any) -> None:
    for name in ("linear", "sigmoid", "tanh", "relu", "leaky_relu"):
        assert nn.init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))
    assert nn.init.calculate_gain("leaky_relu", 0.3) == pytest.approx(
        torch.nn.init.calculate_gain("leaky_relu", 0.3)
    )


def test_initialisers_refuse_what_has_no_fans() -> None:
    with pytest.raises(ValueError, match=r"array: got shape \(3,\), need at least two dimensions"):
        nn.init.xavier_uniform(np.empty(3))
    with pytest.raises(ValueError, match="mode: got 'both'"):
        nn.init.he_normal(np.empty((3, 3)), mode="both")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="nonlinearity: got 'swish'"):
        nn.init.he_normal(np.empty((3, 3)), nonlinearity="swish")
