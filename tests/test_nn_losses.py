"""Losses, plain functions and initial values."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import partial
from typing import Any

import numpy as np
import pytest

from fourstep import nn
from fourstep.nn import functional

Array = np.ndarray[Any, Any]

DTYPES = ("float32", "float64")


def noise(n: int) -> Array:
    return np.random.default_rng(0).normal(size=n)


def shares(n: int) -> Array:
    return np.random.default_rng(1).uniform(0.05, 0.95, size=n)


@dataclass(frozen=True)
class Row:
    """A loss of the table: how it is made, what it takes for n elements or rows, and what it is called in torch."""

    name: str
    make: Callable[..., nn.Loss]  # reduction= -> loss
    data: Callable[[int], tuple[Array, Array]]
    torch: str  # the same loss there, of t = torch, p = prediction, y = target and r = reduction
    by_row: bool = False  # classes: one loss for each row
    domain: str = "values are not finite"  # what is said of a NaN in the prediction

    def __str__(self) -> str:
        return self.name


def logits(n: int) -> tuple[Array, Array]:
    return 3 * noise(n), shares(n)


def probabilities(n: int) -> tuple[Array, Array]:
    return functional.sigmoid(noise(n)), shares(n)


def reals(n: int) -> tuple[Array, Array]:
    return 2 * noise(n), shares(n)


def classes(n: int) -> tuple[Array, Array]:
    return 3 * noise(4 * n).reshape(n, 4), np.random.default_rng(1).integers(0, 4, n)


def soft(n: int) -> tuple[Array, Array]:
    return 3 * noise(4 * n).reshape(n, 4), functional.softmax(shares(4 * n).reshape(n, 4))


WEIGHT = [0.5, 2.0, 0.0, 1.5]
F = "t.nn.functional."
LOSSES = [
    Row("logits", nn.BCEWithLogitsLoss, logits, F + "binary_cross_entropy_with_logits(p, y, reduction=r)"),
    Row(
        "logits, weighted",
        partial(nn.BCEWithLogitsLoss, pos_weight=2.5),
        logits,
        F + "binary_cross_entropy_with_logits(p, y, reduction=r, pos_weight=t.tensor(2.5, dtype=p.dtype))",
    ),
    Row(
        "logits, smoothed",
        partial(nn.BCEWithLogitsLoss, label_smoothing=0.2),
        logits,
        F + "binary_cross_entropy_with_logits(p, 0.8 * y + 0.1, reduction=r)",
    ),
    Row(
        "probabilities",
        nn.BCELoss,
        probabilities,
        F + "binary_cross_entropy(p, y, reduction=r)",
        domain=r"probabilities are outside \[0, 1\]",
    ),
    Row(
        "probabilities, weighted",
        partial(nn.BCELoss, pos_weight=0.3, label_smoothing=0.2),
        probabilities,
        F + "binary_cross_entropy_with_logits(t.logit(p), 0.8 * y + 0.1, reduction=r, "
        "pos_weight=t.tensor(0.3, dtype=p.dtype))",
        domain=r"probabilities are outside \[0, 1\]",
    ),
    Row("squares", nn.MSELoss, reals, F + "mse_loss(p, y, reduction=r)"),
    Row("half of squares", nn.SquaredError, reals, F + "mse_loss(p, y, reduction=r) / 2"),
    Row("absolute", nn.L1Loss, reals, F + "l1_loss(p, y, reduction=r)"),
    Row("Huber", partial(nn.HuberLoss, delta=0.7), reals, F + "huber_loss(p, y, reduction=r, delta=0.7)"),
    Row("classes", nn.CrossEntropyLoss, classes, F + "cross_entropy(p, y, reduction=r)", by_row=True),
    Row(
        "classes, weighted and smoothed",
        partial(nn.CrossEntropyLoss, weight=WEIGHT, label_smoothing=0.1),
        classes,
        F + f"cross_entropy(p, y, t.tensor({WEIGHT}, dtype=p.dtype), reduction=r, label_smoothing=0.1)",
        by_row=True,
    ),
    Row("soft classes", nn.CrossEntropyLoss, soft, F + "cross_entropy(p, y, reduction=r)", by_row=True),
    Row(
        "soft classes, weighted and smoothed",
        partial(nn.CrossEntropyLoss, weight=WEIGHT, label_smoothing=0.1),
        soft,
        F + f"cross_entropy(p, y, t.tensor({WEIGHT}, dtype=p.dtype), reduction=r, label_smoothing=0.1)",
        by_row=True,
    ),
]
each_loss = pytest.mark.parametrize("row", LOSSES, ids=str)
each_reduction = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])


def narrowed(row: Row, n: int, dtype: str) -> tuple[Array, Array]:
    """Return predictions and targets in a dtype; class labels stay whole numbers."""
    prediction, target = row.data(n)
    return prediction.astype(dtype), target.astype(dtype) if target.dtype.kind == "f" else target


@pytest.fixture(scope="module")
def torch() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("torch", reason="torch is the oracle of this test and is not installed")


# The table.


def test_every_loss_is_in_the_table() -> None:
    public = {each for name in nn.__all__ if isinstance(each := getattr(nn, name), type)}
    losses = {each for each in public if issubclass(each, nn.Loss)} - {nn.Loss}
    assert losses == {type(row.make()) for row in LOSSES}


@each_loss
@each_reduction
@pytest.mark.parametrize("shape", [(7,), (7, 1), (2, 3)])
def test_the_gradient_is_that_of_finite_differences(row: Row, reduction: str, shape: tuple[int, ...]) -> None:
    loss = row.make(reduction=reduction)
    prediction, target = row.data(int(np.prod(shape)))
    if not row.by_row:
        prediction, target = prediction.reshape(shape), target.reshape(shape)
    value = loss.forward(prediction, target)
    if reduction == "none":
        assert value.shape == (len(target),) if row.by_row else shape
        assert value.dtype == np.float64
    gradient = loss.backward()
    assert (gradient.shape, gradient.dtype) == (prediction.shape, prediction.dtype)
    for at in np.ndindex(prediction.shape):
        ends = []
        for h in (1e-6, -1e-6):
            moved = prediction.copy()
            moved[at] += h
            ends.append(np.sum(loss.forward(moved, target)))
        assert gradient[at] == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-8)


@each_loss
def test_the_reductions_are_sums_of_the_same_terms(row: Row) -> None:
    prediction, target = row.data(9)
    terms = row.make(reduction="none").forward(prediction, target)
    total = row.make(reduction="sum").forward(prediction, target)
    assert (terms >= 0).all() and terms.any()
    assert total == pytest.approx(terms.sum(), rel=1e-14)
    if "classes, weighted" not in row.name:
        mean = row.make(reduction="mean").forward(prediction, target)
        assert mean == pytest.approx(terms.mean(), rel=1e-14)


@each_loss
@each_reduction
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-6), ("float64", 1e-13)])
def test_torch_agrees(torch: Any, row: Row, reduction: str, dtype: str, tolerance: float) -> None:
    prediction, target = narrowed(row, 50, dtype)
    theirs = torch.from_numpy(prediction).clone().requires_grad_()
    given = {"t": torch, "p": theirs, "y": torch.from_numpy(target), "r": reduction}
    value = eval(row.torch, given)
    value.sum().backward()
    loss = row.make(reduction=reduction)
    np.testing.assert_allclose(
        loss.forward(prediction, target), value.detach().numpy(), rtol=20 * tolerance, atol=tolerance
    )
    np.testing.assert_allclose(loss.backward(), theirs.grad.numpy(), rtol=20 * tolerance, atol=tolerance)


@each_loss
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_does_not_fit_is_refused(row: Row, dtype: str) -> None:
    loss = row.make()
    label = type(loss).__name__
    prediction, target = narrowed(row, 6, dtype)
    cases: list[tuple[Any, Any, type[Exception], str]] = [
        (prediction, target[:5], ValueError, r"target: got shape \(5,"),
        (prediction, target[:, None], ValueError, r"target: got shape \(6, 1"),
        (prediction, target.astype(str), TypeError, "target: got dtype <U"),
        (prediction.tolist(), target, TypeError, "prediction: got list"),
        (np.ma.masked_array(prediction), target, TypeError, "prediction: got a masked array"),
        (prediction, np.ma.masked_array(target, mask=True), TypeError, "target: got a masked array"),
        (prediction.astype(np.float16), target, TypeError, "prediction: got dtype float16"),
        (prediction[:0], target[:0], ValueError, r"prediction: got shape \(0,.*\): no elements have no mean"),
    ]
    if row.by_row:
        cases.append(
            (prediction[:, 0], target, ValueError, r"prediction: got shape \(6,\), need \(rows, classes")
        )
    else:
        message = r"target: got shape \(6,\), need \(6, 1\)"
        cases.append((prediction[:, None], target, ValueError, message))
    for value in (np.nan, np.inf):
        broken = prediction.copy()
        broken.reshape(-1)[[2, 4]] = value
        at = r"\(0, 2\)" if row.by_row else "2"
        message = f"prediction: 2 {row.domain}, the first is {value} at index {at}"
        cases.append((broken, target, ValueError, message))
        if target.dtype.kind == "f":
            unfit = target.copy()
            unfit.reshape(-1)[3] = value
            cases.append((prediction, unfit, ValueError, "target: 1 "))
    for bad_prediction, bad_target, kind, message in cases:
        with pytest.raises(kind, match=f"{label}: {message}"):
            loss.forward(bad_prediction, bad_target)
        with pytest.raises(RuntimeError, match=f"{label}: backward before forward"):
            loss.backward()
    with pytest.raises(ValueError, match="reduction: got 'average'"):
        row.make(reduction="average")


@each_loss
def test_backward_needs_a_forward_of_its_own(row: Row) -> None:
    loss = row.make()
    prediction, target = row.data(4)
    loss.forward(prediction, target)
    out = np.empty_like(prediction)
    assert loss.backward(out=out) is out
    with pytest.raises(RuntimeError, match="backward twice"):
        loss.backward()


@each_loss
def test_the_sum_over_nothing_is_nothing(row: Row) -> None:
    prediction, target = row.data(0)
    loss = row.make(reduction="sum")
    assert loss.forward(prediction, target) == 0.0
    assert loss.backward().shape == prediction.shape
    assert row.make(reduction="none").forward(prediction, target).shape == (0,)


@each_loss
@pytest.mark.parametrize("dtype", DTYPES)
def test_strides_and_locks_change_no_bit(row: Row, dtype: str) -> None:
    prediction, target = narrowed(row, 6, dtype)
    loss = row.make()
    value, gradient = loss.forward(prediction, target), loss.backward()
    apart = [np.repeat(given, 2, axis=0)[::2] for given in (prediction, target)]
    for given in apart:
        given.flags.writeable = False
    assert loss.forward(*apart) == value
    wide = np.empty((*gradient.shape, 2), gradient.dtype)
    assert loss.backward(out=wide[..., 1]).tobytes() == gradient.tobytes()


@pytest.mark.parametrize("make", [nn.MSELoss, nn.SquaredError, nn.L1Loss, nn.HuberLoss])
def test_a_target_that_float32_cannot_hold_is_refused(make: Callable[[], nn.Loss]) -> None:
    with pytest.raises(
        ValueError, match=r"target: 1 values are too large for float32, the first is 1e\+300 at index 1"
    ):
        make().forward(np.zeros(2, np.float32), np.array([0.0, 1e300]))


@each_loss
def test_its_name_shows_how_it_was_made(row: Row) -> None:
    loss = row.make(reduction="sum")
    assert repr(eval(repr(loss), vars(nn))) == repr(loss)
    assert "reduction='sum'" in repr(loss)


# Classes.


def test_a6_two_classes_are_the_logistic() -> None:
    x = np.array([-1000.0, -3.0, -0.1, 0.0, 2.0, 40.0, 1000.0])
    label = np.array([0, 1, 0, 1, 1, 1, 0])
    two, one = nn.CrossEntropyLoss(), nn.BCEWithLogitsLoss()
    both = np.stack([np.full_like(x, 7.0), x + 7.0], axis=1)
    assert two.forward(both, label) == pytest.approx(one.forward(x, label), rel=1e-14)
    sure, logistic = nn.CrossEntropyLoss(), nn.BCEWithLogitsLoss()
    small = sure.forward(np.array([[0.0, 50.0]]), np.array([1]))
    assert small == pytest.approx(logistic.forward(np.array([50.0]), np.array([1])), rel=1e-14) and small > 0
    gradient = two.backward()
    np.testing.assert_allclose(gradient[:, 1], one.backward(), rtol=1e-13, atol=1e-17)
    np.testing.assert_allclose(gradient.sum(1), 0, atol=1e-16)


@pytest.mark.parametrize(
    ("target", "kind", "message"),
    [
        ([0, 3, -1], ValueError, "target: 2 labels are not 0 to 2, the first is 3 at index 1"),
        ([0.0, 1.0, 2.0], TypeError, "target: got dtype float64, need whole numbers"),
        (
            [[1.0, 0, 0], [0.5, 0.6, 0], [0, 1, 0]],
            ValueError,
            "target: 1 rows of soft labels do not add up to 1",
        ),
        (
            [[1.0, 0, 0], [0, 0, 1.00001], [0, 1, 0]],
            ValueError,
            "target: 1 rows of soft labels do not add up to 1",
        ),
        ([[1.0, 0, 0], [1.5, -0.5, 0], [0, 1, 0]], ValueError, "target: 1 soft labels are not at least 0"),
        (
            [[0, 1, 2]],
            ValueError,
            r"target: got shape \(1, 3\), need \(3,\), a class for each row, or \(3, 3\)",
        ),
    ],
)
def test_labels_of_no_class_are_refused(target: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        nn.CrossEntropyLoss().forward(np.zeros((3, 3)), np.array(target))


def test_soft_labels_may_be_rounded_to_float32() -> None:
    target = functional.softmax(noise(3000).reshape(3, 1000)).astype(np.float32)
    assert (target.sum(1, dtype=np.float64) != 1).any()
    assert nn.CrossEntropyLoss().forward(np.zeros((3, 1000)), target) == pytest.approx(np.log(1000), rel=1e-6)


def test_no_row_of_logits_is_too_large() -> None:
    for dtype in DTYPES:
        largest = np.finfo(dtype).max
        z = np.array([[largest, -largest, 0.0], [-largest, -largest, -largest]], dtype)
        loss = nn.CrossEntropyLoss(reduction="none")
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            terms = loss.forward(z, np.array([0, 1]))
            gradient = loss.backward()
        np.testing.assert_allclose(terms, [0, np.log(3)], rtol=1e-6)
        np.testing.assert_allclose(gradient[0], 0, atol=1e-30)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: nn.CrossEntropyLoss(weight=[1.0, -1.0]),
            r"weight: got -1\.0, need finite numbers of at least 0",
        ),
        (lambda: nn.CrossEntropyLoss(weight=2.0), r"weight: got shape \(\), need \(classes,\)"),
        (
            lambda: nn.CrossEntropyLoss(weight=[1.0, 1.0]).forward(np.zeros((2, 3)), np.array([0, 1])),
            "weight: got 2 weights, need 3",
        ),
        (
            lambda: nn.CrossEntropyLoss(weight=[1.0, 0.0]).forward(np.zeros((2, 2)), np.array([1, 1])),
            "weight: the classes of all 2 rows weigh 0",
        ),
        (lambda: nn.CrossEntropyLoss(label_smoothing=1.5), r"label_smoothing: got 1\.5"),
        (lambda: nn.BCEWithLogitsLoss(pos_weight=0.0), r"pos_weight: got 0\.0, need finite numbers above 0"),
        (
            lambda: nn.BCEWithLogitsLoss(pos_weight=[1.0, 2.0]).forward(np.zeros((2, 3)), np.zeros((2, 3))),
            r"pos_weight: got shape \(2,\), need one number, or one for each of the columns",
        ),
        (lambda: nn.HuberLoss(delta=0.0), r"delta: got 0\.0"),
        (lambda: nn.BCELoss(guard="clip"), "guard: got 'clip'"),  # type: ignore[arg-type]
    ],
)
def test_arguments_out_of_range_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


# Weights and guards.


def test_a_weight_of_the_positive_class_is_as_many_copies_of_it() -> None:
    prediction, label = 2 * noise(6), np.array([1, 0, 0, 1, 0, 1])
    copies = np.repeat(np.arange(6), np.where(label == 1, 3, 1))
    for loss, p in ((nn.BCEWithLogitsLoss, prediction), (nn.BCELoss, functional.sigmoid(prediction))):
        weighted = loss(pos_weight=3.0, reduction="sum").forward(p, label)
        assert weighted == pytest.approx(loss(reduction="sum").forward(p[copies], label[copies]), rel=1e-14)
    columns = np.stack([prediction, prediction], axis=1)
    labels = np.stack([label, label], axis=1)
    terms = nn.BCEWithLogitsLoss(pos_weight=[3.0, 1.0], reduction="none").forward(columns, labels)
    one = nn.BCEWithLogitsLoss(reduction="none").forward(prediction, label)
    np.testing.assert_allclose(terms[:, 0], np.where(label == 1, 3, 1) * one, rtol=1e-14)
    np.testing.assert_allclose(terms[:, 1], one, rtol=1e-14)


def test_n3_the_guard_of_probabilities(torch: Any) -> None:
    p, label = np.array([0.0, 1.0, 0.0, 1.0, 1e-20, 0.5]), np.array([1.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    loss = nn.BCELoss(reduction="none")
    with np.errstate(all="raise"):
        terms, guarded, gradient = loss.forward(p, label), loss.guarded, loss.backward()
    assert terms[:4].tolist() == [100, 100, 0, 0]
    assert guarded == 5
    theirs = torch.from_numpy(p).requires_grad_()
    value = torch.nn.functional.binary_cross_entropy(theirs, torch.from_numpy(label), reduction="none")
    value.sum().backward()
    np.testing.assert_allclose(terms, value.detach().numpy(), rtol=1e-14)
    np.testing.assert_allclose(gradient, theirs.grad.numpy(), rtol=1e-8)  # its 1e-12 is a float32
    with pytest.raises(
        ValueError, match=r"prediction: 5 probabilities are 0 or 1 within 1e-12, the first is 0\.0 at"
    ):
        nn.BCELoss(guard="raise").forward(p, label)
    inside = nn.BCELoss(guard="raise")
    inside.forward(np.array([1e-6, 0.5]), np.array([1, 0]))
    assert inside.guarded == 0


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
    with pytest.raises(TypeError, match="array: got list, need an array of floats"):
        nn.init.he_normal([[1.0]])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="mode: got 'both'"):
        nn.init.he_normal(np.empty((3, 3)), mode="both")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="nonlinearity: got 'swish'"):
        nn.init.he_normal(np.empty((3, 3)), nonlinearity="swish")
