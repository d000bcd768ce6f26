"""Batch normalisation against its twin (equal bits), exact sums, torch and the notes' claims."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fourstep as fs
from fourstep import nn, reference
from fourstep._runtime import override

Array = np.ndarray[Any, Any]

DTYPES = ("float32", "float64")
LEVELS = fs.runtime().levels
# Around lanes (32), tiles (32 columns) and blocks (1024 rows).
SHAPES = [(2, 1), (3, 7), (31, 32), (32, 33), (33, 64), (127, 5), (1024, 3), (1025, 40), (2 * 1024 + 5, 2)]


@pytest.fixture(scope="module")
def torch() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("torch", reason="torch is the oracle of this test and is not installed")


def batch(shape: tuple[int, ...], dtype: str, mean: float = 3.0, seed: int = 0) -> Array:
    return (np.random.default_rng(seed).normal(size=shape) * 2 + mean).astype(dtype)


def pair(channels: int, dtype: str) -> tuple[nn.BatchNorm, reference.BatchNorm]:
    """A layer and its twin, with the same random parameters and running statistics."""
    layer, twin = nn.BatchNorm(channels, dtype=dtype), reference.BatchNorm(channels, dtype=dtype)
    rng = np.random.default_rng(9)
    values = [rng.normal(size=channels) for _ in range(3)] + [rng.uniform(0.5, 2, channels)]
    theirs = [twin.weight, twin.bias, twin.running_mean, twin.running_var]
    mine = [layer.params["weight"], layer.params["bias"], *list(layer.buffers.values())[:2]]
    for value, a, b in zip(values, mine, theirs, strict=True):
        a[...] = b[...] = value
    return layer, twin


def assert_same_bits(got: Array, want: Array, what: str) -> None:
    assert got.dtype == want.dtype, what
    assert got.tobytes() == want.tobytes(), what


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_every_path_gives_the_bits_of_the_twin(dtype: str, shape: tuple[int, int], training: bool) -> None:
    x, dy = batch(shape, dtype), batch(shape, dtype, 0.1, seed=1)
    for level in LEVELS:
        for threads in (1, 2, 3, 7):
            layer, twin = pair(shape[1], dtype)
            layer.train(training)
            twin.training = training
            with override(level=level, threads=threads, chunk=100, serial_below=0):
                y = layer.forward(x)
                dx = layer.backward(dy)
            where = f"at {level} on {threads} threads"
            assert_same_bits(y, twin.forward(x), f"y {where}")
            want_dx, dweight, dbias = twin.backward(dy)
            assert_same_bits(dx, want_dx, f"dx {where}")
            assert_same_bits(layer.grads["weight"], dweight, f"dweight {where}")
            assert_same_bits(layer.grads["bias"], dbias, f"dbias {where}")
            assert_same_bits(layer.buffers["running_mean"], twin.running_mean, f"running_mean {where}")
            assert_same_bits(layer.buffers["running_var"], twin.running_var, f"running_var {where}")


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(2, 70), st.integers(1, 40)),
        elements=st.floats(-(2.0**60), 2.0**60, width=32),
    )
)
def test_any_finite_batch_gives_the_bits_of_the_twin(x: Array) -> None:
    layer, twin = pair(x.shape[1], "float32")
    assert_same_bits(layer.forward(x), twin.forward(x), "y")
    assert_same_bits(layer.backward(x), twin.backward(x)[0], "dx")


@pytest.mark.parametrize("n", [2, 33, 1025, 5000])
@pytest.mark.parametrize("mean", [0.0, 1e4, 1e6])
def test_statistics_are_exact_to_float64(n: int, mean: float) -> None:
    x = batch((n, 2), "float32", mean)
    layer = nn.BatchNorm(2, momentum=1.0, dtype="float64")
    layer.forward(x.astype(np.float64))
    for c in range(2):
        values = [float(v) for v in x[:, c]]
        want_mean = math.fsum(values) / n
        want_var = math.fsum((v - want_mean) ** 2 for v in values) / (n - 1)
        assert layer.buffers["running_mean"][c] == pytest.approx(want_mean, rel=4 * 2**-53, abs=1e-15)
        # The means of blocks are rounded to 2^-53 of themselves, and their differences are squared.
        bound = 1e-13 + 2**-53 * abs(want_mean) / math.sqrt(want_var)
        assert layer.buffers["running_var"][c] == pytest.approx(want_var, rel=bound)


@pytest.mark.parametrize("mean", [0.0, 1e4, 1e6])
def test_a_large_mean_costs_no_digits_in_float32(mean: float) -> None:
    x = batch((3000, 3), "float32", mean)
    wide = x.astype(np.float64)
    want = (wide - wide.mean(0)) / np.sqrt(wide.var(0) + 1e-5)
    error = np.abs(nn.BatchNorm(3).forward(x) - want).max()
    assert (
        error < 5e-7
    )  # two roundings of values below 5; E[x²] − E[x]² in float32 is off by 32 at a mean of 1e4


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [1e7, 0.1, -1e-30, 3e10])
def test_a_constant_channel_comes_out_as_its_bias(dtype: str, value: float) -> None:
    for n in (2, 33, 3000):
        layer, _ = pair(2, dtype)
        y = layer.forward(np.full((n, 2), value, dtype))
        assert (y == layer.params["bias"]).all()
        assert np.isfinite(layer.backward(y)).all()


# Against torch.


def torch_layer(torch: Any, layer: nn.BatchNorm, **arguments: Any) -> Any:
    theirs = torch.nn.BatchNorm1d(layer.num_features, dtype=getattr(torch, str(layer.dtype)), **arguments)
    theirs.load_state_dict({name: torch.from_numpy(array) for name, array in layer.state_dict().items()})
    return theirs


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-6), ("float64", 1e-12)])
@pytest.mark.parametrize("momentum", [0.1, None, 0.0, 1.0])
@pytest.mark.parametrize("eps", [1e-5, 1e-3])
def test_torch_agrees_over_several_batches(
    torch: Any, dtype: str, tolerance: float, momentum: float | None, eps: float
) -> None:
    layer, _ = pair(6, dtype)
    layer.momentum, layer.eps = momentum, eps
    theirs = torch_layer(torch, layer, momentum=momentum, eps=eps)
    for step, training in enumerate([True, True, False, True, False]):
        layer.train(training)
        theirs.train(training)
        x, dy = batch((65 + step, 6), dtype, seed=step), batch((65 + step, 6), dtype, 0.1, seed=50 + step)
        their_x = torch.from_numpy(x).requires_grad_()
        their_y = theirs(their_x)
        their_y.backward(torch.from_numpy(dy))
        y, dx = layer.forward(x), layer.backward(dy)
        for got, want, what in [
            (y, their_y, "y"),
            (dx, their_x.grad, "dx"),
            *((layer.grads[name], getattr(theirs, name).grad, name) for name in ("weight", "bias")),
            *((layer.buffers[name], getattr(theirs, name), name) for name in layer.buffers),
        ]:
            want = want.detach().numpy()
            bound = tolerance * max(1.0, np.abs(want).max())
            assert np.abs(got - want).max() <= bound, f"{what} at step {step}"
            assert got.dtype == want.dtype, what


def test_state_goes_to_torch_and_back_by_name(torch: Any) -> None:
    layer, _ = pair(4, "float32")
    layer.forward(batch((8, 4), "float32"))
    theirs = torch_layer(torch, layer)
    other = nn.BatchNorm(4)
    other.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    assert {k: v.tolist() for k, v in other.state_dict().items()} == {
        k: v.tolist() for k, v in layer.state_dict().items()
    }
    assert int(other.buffers["num_batches_tracked"]) == 1


# Claims of the notes.


def test_b3_the_variance_of_the_output_is_the_share_of_the_variance_in_variance_plus_eps() -> None:
    x = batch((500, 4), "float64") * [1e-3, 1e-2, 1, 100]
    y = nn.BatchNorm(4, affine=False, dtype="float64").forward(x)
    var = x.var(0)
    np.testing.assert_allclose(y.var(0), var / (var + 1e-5), rtol=1e-12)
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-13)
    assert y.var(0)[0] < 0.5  # not 1: ε is ten times this channel's variance


def test_b4_weight_and_bias_can_restore_the_input() -> None:
    x = batch((500, 4), "float64") * [0.01, 0.1, 1, 100]
    mean, std, root = x.mean(0), x.std(0), np.sqrt(x.var(0) + 1e-5)
    layer = nn.BatchNorm(4, dtype="float64")
    layer.params["bias"] = mean
    layer.params["weight"] = root
    np.testing.assert_allclose(layer.forward(x), x, rtol=1e-12, atol=1e-13)
    # With γ = σ, as the notes have it, what is left is (x − μ)·(1 − σ/√(σ² + ε)).
    layer.params["weight"] = std
    error = x - layer.forward(x)
    np.testing.assert_allclose(error, (x - mean) * (1 - std / root), rtol=1e-6, atol=1e-12)
    assert np.abs(error).max() > 1e-4


def test_b5_the_scale_of_the_weights_in_front_is_erased_and_their_gradient_is_orthogonal_to_them() -> None:
    x, dy = batch((256, 5), "float64", seed=2), batch((256, 3), "float64", 0.0, seed=3)
    outputs, gradients = [], []
    for a in (1.0, 10.0):
        linear = nn.Linear(5, 3, bias=False, dtype="float64", seed=0)
        linear.params["weight"] *= a
        model = nn.Sequential(linear, nn.BatchNorm(3, eps=1e-12, dtype="float64"))
        outputs.append(model.forward(x))
        model.backward(dy)
        gradients.append(linear.grads["weight"])
        along = (linear.params["weight"] * linear.grads["weight"]).sum(1)
        size = np.linalg.norm(linear.params["weight"], axis=1) * np.linalg.norm(
            linear.grads["weight"], axis=1
        )
        assert (np.abs(along) < 1e-8 * size).all()
    np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(gradients[1], gradients[0] / 10, rtol=1e-8, atol=1e-9)


def test_a4_a_bias_in_front_gets_no_gradient() -> None:
    model = nn.Sequential(nn.Linear(5, 3, dtype="float64", seed=0), nn.BatchNorm(3, dtype="float64"))
    x = batch((256, 5), "float64")
    y = model.forward(x)
    model.backward(batch(y.shape, "float64", seed=4))
    assert np.abs(model.named_grads()["0.bias"]).max() < 1e-12
    assert np.abs(model.named_grads()["0.weight"]).max() > 1e-2
    model.named_parameters()["0.bias"][...] += 5
    np.testing.assert_allclose(model.forward(x), y, atol=1e-12)


def test_the_gradient_by_the_input_has_no_mean_and_nothing_along_the_output() -> None:
    x, dy = batch((300, 4), "float64"), batch((300, 4), "float64", 1.0, seed=1)
    layer = nn.BatchNorm(4, affine=False, dtype="float64")
    normal = layer.forward(x)
    dx = layer.backward(dy)
    np.testing.assert_allclose(dx.sum(0), 0, atol=1e-11)
    # Exactly 0 but for ε: the rest is its share of Σ dy·x̂.
    var = x.var(0)
    left = (dy * normal).sum(0) / np.sqrt(var + 1e-5) * (1e-5 / (var + 1e-5))
    np.testing.assert_allclose((dx * normal).sum(0), left, atol=1e-11)


# Gradients.


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(2, 3), (9, 4)])
def test_finite_differences(affine: bool, training: bool, shape: tuple[int, int]) -> None:
    layer = nn.BatchNorm(shape[1], eps=1e-3, affine=affine, dtype="float64").train(training)
    layer.buffers["running_mean"] = batch(shape[1:], "float64")
    layer.buffers["running_var"] = batch(shape[1:], "float64") ** 2
    errors = nn.check_gradients(layer, batch(shape, "float64"), tolerance=1e-6)
    assert set(errors) == ({"weight", "bias", "x"} if affine else {"x"})


# What is refused.


def refused(kind: type[Exception], pattern: str, call: Callable[[], object]) -> None:
    with pytest.raises(kind, match=pattern):
        call()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_not_finite_is_refused_before_anything_is_written(value: float, dtype: str) -> None:
    model = nn.Sequential({"norm": nn.BatchNorm(3, dtype=dtype)})
    x = batch((1100, 3), dtype)
    x[1050, 2] = x[1060, 0] = value
    before = {name: array.tobytes() for name, array in model.state_dict().items()}
    out = np.full(x.shape, 7, dtype)
    name = {"nan": "nan", "inf": "inf", "-inf": "-inf"}[str(value)]
    message = re.escape(
        f"BatchNorm 'norm': x: 2 values are not finite, the first is {name} at row 1050, channel 2"
    )
    refused(ValueError, message, lambda: model.forward(x, out=out))
    assert {name: array.tobytes() for name, array in model.state_dict().items()} == before
    assert (out == 7).all()
    model.eval()
    refused(ValueError, message, lambda: model.forward(x))
    refused(RuntimeError, "BatchNorm 'norm': backward before forward", lambda: model.backward(x))


def test_statistics_that_overflow_are_refused() -> None:
    layer = nn.BatchNorm(2)
    x = np.array([[0, 1e20], [0, -1e20]], np.float32)
    refused(
        ValueError,
        "channel 1 are finite, but their mean or variance is too large for f32",
        lambda: layer.forward(x),
    )
    assert layer.buffers["running_var"].tolist() == [1.0, 1.0]


def test_one_row_in_training_names_the_last_batch_and_the_remedy() -> None:
    layer = nn.BatchNorm(3)
    one = np.ones((1, 3), np.float32)
    refused(
        ValueError,
        r"1 row in training, need at least 2.*last batch.*drop_last.*eval\(\)",
        lambda: layer.forward(one),
    )
    refused(ValueError, "0 rows in training", lambda: layer.forward(one[:0]))
    assert int(layer.buffers["num_batches_tracked"]) == 0
    layer.eval()
    assert layer.forward(one).shape == (1, 3)
    assert layer.forward(one[:0]).shape == (0, 3)


def test_broken_running_statistics_are_refused() -> None:
    x = np.ones((2, 3), np.float32)
    for name, value in [("running_mean", math.nan), ("running_var", -1.0), ("running_var", math.inf)]:
        layer = nn.BatchNorm(3).eval()
        layer.buffers[name][1] = value
        refused(ValueError, f"BatchNorm: {name}: channel 1 ", lambda layer=layer: layer.forward(x))  # type: ignore[misc]


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        ({"num_features": 0}, "num_features: got 0"),
        ({"num_features": 3, "eps": 0.0}, "eps: got 0.0"),
        ({"num_features": 3, "eps": math.nan}, "eps: got nan"),
        ({"num_features": 3, "momentum": 1.5}, "momentum: got 1.5"),
        ({"num_features": 3, "momentum": math.nan}, "momentum: got nan"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, Any], pattern: str) -> None:
    refused(ValueError, pattern, lambda: nn.BatchNorm(**arguments))
