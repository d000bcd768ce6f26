"""Batch normalisation against its twin (equal bits), exact sums, torch and the notes' claims."""

from __future__ import annotations

import copy
import math
import re
import sys
import threading
import time
import tracemalloc
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
from fourstep.nn._reuse import Reused

Array = np.ndarray[Any, Any]

DTYPES = ("float32", "float64")
LEVELS = fs.runtime().levels
# Around lanes (8), strands, tiles (16 and 64 columns), short planes (16) and blocks (2048 values).
SHAPES = [
    (2, 1),
    (3, 7),
    (33, 16),
    (65, 33),
    (127, 5),
    (2049, 3),
    (4101, 70),
    (2, 3, 2),
    (50, 3, 7, 7),
    (3, 2, 5, 4, 60),
    (1, 2, 64, 80),
]


@pytest.fixture(scope="module")
def torch() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("torch", reason="torch is the oracle of this test and is not installed")


def batch(shape: tuple[int, ...], dtype: str, mean: float = 3.0, seed: int = 0) -> Array:
    return (np.random.default_rng(seed).normal(size=shape) * 2 + mean).astype(dtype)


def pair(channels: int, dtype: str, **options: Any) -> tuple[nn.BatchNorm, reference.BatchNorm]:
    """A layer and its twin, with the same random parameters and running statistics."""
    theirs = dict(options)
    activation = theirs.pop("activation", None)
    slope = {None: None, "relu": 0.0, "leaky_relu": 0.01}[activation]
    layer = nn.BatchNorm(channels, dtype=dtype, **options)
    own = "float32" if dtype == "bfloat16" else dtype
    twin = reference.BatchNorm(channels, dtype=own, slope=slope, **theirs)
    rng = np.random.default_rng(9)
    values = [rng.normal(size=channels) for _ in range(3)] + [rng.uniform(0.5, 2, channels)]
    twins = [twin.weight, twin.bias, twin.running_mean, twin.running_var]
    mine = [layer.params["weight"], layer.params["bias"], *list(layer.buffers.values())[:2]]
    for value, a, b in zip(values, mine, twins, strict=True):
        a[...] = b[...] = value
    return layer, twin


def assert_same_bits(got: Array, want: Array, what: str) -> None:
    assert got.dtype == want.dtype, what
    assert got.tobytes() == want.tobytes(), what


def channels_last(x: Array) -> Array:
    """The same values, with channels side by side in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


def strided(x: Array) -> Array:
    """The same values, in no layout that a kernel reads, and read-only."""
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    wide[..., ::2] = x
    wide.flags.writeable = False
    return wide[..., ::2]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_every_path_gives_the_bits_of_the_twin(dtype: str, shape: tuple[int, ...], training: bool) -> None:
    x, dy = batch(shape, dtype), batch(shape, dtype, 0.1, seed=1)
    activation = (None, "relu", "leaky_relu")[(len(shape) + shape[0]) % 3]
    _, twin = pair(shape[1], dtype, activation=activation)
    twin.training = training
    want = {"y": twin.forward(x)}
    want["dx"], want["dweight"], want["dbias"] = twin.backward(dy)
    want |= {"running_mean": twin.running_mean, "running_var": twin.running_var}
    for level in LEVELS:
        for threads in (1, 2, 3, 7):
            layout = (np.ascontiguousarray, channels_last, strided)[(threads + len(level)) % 3]
            layer, _ = pair(shape[1], dtype, activation=activation)
            layer.train(training)
            with override(level=level, threads=threads, chunk=100, serial_below=0):
                y = layer.forward(layout(x))
                dx = layer.backward(dy)
            got = {"y": y, "dx": dx, "dweight": layer.grads["weight"], "dbias": layer.grads["bias"]}
            got |= {name: layer.buffers[name] for name in ("running_mean", "running_var")}
            for name, value in got.items():
                assert_same_bits(value, want[name], f"{name}, {layout.__name__}, {level}, {threads} threads")


@pytest.mark.parametrize("activation", [None, "relu", "leaky_relu"])
@pytest.mark.parametrize("training", [True, False])
def test_axis_and_layout_change_no_bit(activation: str | None, training: bool) -> None:
    x, dy = batch((6, 5, 7, 9), "float32"), batch((6, 5, 7, 9), "float32", 0.1, seed=1)
    results = []
    for axis in (1, -1, 2, -3):
        layer, _ = pair(5, "float32", activation=activation, axis=axis)
        layer.train(training)
        for layout in (np.ascontiguousarray, channels_last, strided):
            mine, my_dy = np.moveaxis(layout(x), 1, axis), np.moveaxis(layout(dy), 1, axis)
            layer.zero_grad()
            y = layer.forward(mine)
            dx = layer.backward(my_dy)
            outs = np.full(mine.shape, 7, np.float32), np.full(mine.shape, 7, np.float32)
            y_out = layer.forward(mine, outs[0])
            dx_out = layer.backward(my_dy, outs[1])
            assert y_out is outs[0] and dx_out is outs[1]
            assert (y_out == y).all() and (dx_out == dx).all()
            back = np.moveaxis(y, axis, 1), np.moveaxis(dx, axis, 1)
            results.append(b"".join(v.tobytes() for v in (*back, layer.grads["weight"], layer.grads["bias"])))
    assert len(set(results)) == 1


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("activation", [None, "relu"])
def test_bfloat16_is_computed_in_float32_and_stored_in_16_bits(
    training: bool, activation: str | None
) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="bfloat16 arrays come from ml_dtypes")
    shape = (40, 3, 8, 9)
    x, dy = (batch(shape, "float32", seed=i).astype(ml_dtypes.bfloat16) for i in (0, 1))
    for layout in (np.ascontiguousarray, channels_last, strided):
        layer, twin = pair(3, "bfloat16", activation=activation)
        layer.train(training)
        twin.training = training
        y, dx = layer.forward(layout(x)), layer.backward(layout(dy))
        assert y.dtype == dx.dtype == ml_dtypes.bfloat16
        assert layer.params["weight"].dtype == layer.buffers["running_var"].dtype == np.float32
        assert_same_bits(y.view(np.uint16), twin.forward(x.view(np.uint16)), "y")
        assert_same_bits(dx.view(np.uint16), twin.backward(dy.view(np.uint16))[0], "dx")


def test_in_place_gives_the_same_and_backward_says_why_it_cannot_follow() -> None:
    for training in (True, False):
        for layout in (np.ascontiguousarray, channels_last):
            x = layout(batch((6, 5, 7, 9), "float32"))
            layer, _ = pair(5, "float32", activation="relu")
            layer.train(training)
            want, mine = layer.forward(x), x.copy("K")
            assert layer.forward(mine, out=mine) is mine
            assert (mine == want).all()
            refused(
                RuntimeError,
                r"BatchNorm: backward after a forward in place \(out=x\)",
                lambda layer=layer, mine=mine: layer.backward(mine),  # type: ignore[misc]
            )
    # Without γ and activation, frozen statistics need no x.
    layer = nn.BatchNorm(5, affine=False).eval()
    x = batch((6, 5), "float32")
    layer.forward(x, out=x)
    np.testing.assert_allclose(layer.backward(np.ones_like(x)), 1, rtol=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(2, 70), st.integers(1, 40), st.integers(1, 3)),
        elements=st.floats(-(2.0**60), 2.0**60, width=32),
    ),
    st.sampled_from([None, "relu", "leaky_relu"]),
)
def test_any_finite_batch_gives_the_bits_of_the_twin(x: Array, activation: str | None) -> None:
    layer, twin = pair(x.shape[1], "float32", activation=activation)
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


OPTIONS: list[dict[str, Any]] = [
    {},
    {"affine": False},
    {"bias": False},
    {"activation": "relu"},
    {"activation": "leaky_relu", "negative_slope": 0.3},
    {"track_running_stats": False},
    {"convention": "keras", "axis": 1},
    {"ghost": 3},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(2, 3), (9, 4), (7, 3, 2), (3, 2, 4, 5)], ids=str)
def test_finite_differences(options: dict[str, Any], training: bool, shape: tuple[int, ...]) -> None:
    layer = nn.BatchNorm(shape[1], **{"eps": 1e-3, "dtype": "float64", **options}).train(training)
    if layer.track_running_stats:
        layer.buffers["running_mean"] = batch(shape[1:2], "float64")
        layer.buffers["running_var"] = batch(shape[1:2], "float64") ** 2
    if "bias" in layer.params:
        layer.params["bias"][...] = 0.3
    errors = nn.check_gradients(layer, batch(shape, "float64"), tolerance=1e-6)
    assert set(errors) == {"x", *layer.params}
    if len(shape) > 2:
        nn.check_gradients(layer, channels_last(batch(shape, "float64")), tolerance=1e-6)


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
    same = x.copy()
    refused(ValueError, message, lambda: model.forward(same, out=same))
    assert same.tobytes() == x.tobytes()


def test_the_index_of_what_is_not_finite_does_not_depend_on_the_layout() -> None:
    x = batch((4, 3, 5, 6), "float32")
    x[2, 0, 3, 1] = x[2, 1, 0, 5] = x[3, 0, 0, 0] = math.nan
    for layout in (np.ascontiguousarray, channels_last, strided):
        message = r"3 values are not finite, the first is nan at index \(2, 1, 0, 5\), channel 1"
        refused(ValueError, message, lambda layout=layout: nn.BatchNorm(3).forward(layout(x)))  # type: ignore[misc]
        last = np.moveaxis(layout(x), 1, -1)
        message = r"at index \(2, 0, 5, 1\), channel 1"
        refused(ValueError, message, lambda last=last: nn.BatchNorm(3, axis=-1).forward(last))  # type: ignore[misc]


def test_what_is_not_finite_can_be_left_out_or_let_through() -> None:
    x = batch((6, 2), "float32")
    bad = x.copy()
    bad[3, 1] = math.nan
    skipping, through = nn.BatchNorm(2, nonfinite="skip_update"), nn.BatchNorm(2, nonfinite="propagate")
    before = skipping.state_dict()
    for layer in (skipping, through):
        y = layer.forward(bad)
        assert np.isnan(y[:, 1]).all() and np.isfinite(y[:, 0]).all()
    assert all((before[name] == value).all() for name, value in skipping.state_dict().items())
    assert skipping.skipped == copy.deepcopy(skipping).skipped == 1
    assert np.isnan(through.buffers["running_mean"]).tolist() == [False, True]
    assert int(through.buffers["num_batches_tracked"]) == 1
    assert np.isnan(skipping.eval().forward(bad)[3, 1])
    ghosts = nn.BatchNorm(2, ghost=2)
    out = np.full_like(x, 7)
    refused(
        ValueError, "1 values are not finite, the first is nan at row 3", lambda: ghosts.forward(bad, out)
    )
    assert (out == 7).all() and int(ghosts.buffers["num_batches_tracked"]) == 0


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
    by_batch = nn.BatchNorm(3, track_running_stats=False).eval()
    empty = by_batch.forward(one[:0])
    assert empty.shape == by_batch.backward(empty).shape == (0, 3)
    refused(
        ValueError,
        "1 row in evaluation without running statistics, need at least 2",
        lambda: by_batch.forward(one),
    )


def test_broken_running_statistics_are_refused() -> None:
    x = np.ones((2, 3), np.float32)
    for name, value in [("running_mean", math.nan), ("running_var", -1.0), ("running_var", math.inf)]:
        layer = nn.BatchNorm(3).eval()
        layer.buffers[name][1] = value
        refused(ValueError, f"BatchNorm: {name}: channel 1 ", lambda layer=layer: layer.forward(x))  # type: ignore[misc]


def test_an_out_that_overlaps_itself_is_refused() -> None:
    x = batch((6, 4), "float32")
    strides = np.lib.stride_tricks.as_strided
    for steps in [(0, 4), (4, 0), (4, 4), (12, 4), (-4, 4), (12, 2)]:
        layer = nn.BatchNorm(4)
        out = strides(batch((9, 11), "float32").ravel()[50:], x.shape, steps)
        before = out.copy()
        for source in (x, out):
            with pytest.raises(ValueError, match="BatchNorm: out: its elements may overlap each other"):
                layer.forward(source, out)
        assert (out == before).all() and int(layer.buffers["num_batches_tracked"]) == 0
        layer.forward(x)
        with pytest.raises(ValueError, match="BatchNorm: out: its elements may overlap each other"):
            layer.backward(x, out)
    wide = np.zeros((12, 8), np.float32)
    want = nn.BatchNorm(4).forward(x)
    for out in (wide[::2, ::-2], wide[:5:-1, :4], np.zeros((4, 6), np.float32).T):
        assert (nn.BatchNorm(4).forward(x, out) == want).all()
    with pytest.raises(ValueError, match="Linear: out: its elements may overlap each other"):
        nn.Linear(4, 4, seed=0).forward(x, strides(np.zeros(99, np.float32), x.shape, (0, 4)))


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


@pytest.mark.parametrize(
    ("arguments", "kind", "pattern"),
    [
        (
            {"convention": "jax"},
            ValueError,
            "convention: got 'jax', need one of 'torch', 'keras', 'flax', 'onnx'",
        ),
        (
            {"activation": "tanh"},
            ValueError,
            "activation: got 'tanh', need one of None, 'relu', 'leaky_relu'",
        ),
        ({"nonfinite": True}, ValueError, "nonfinite: got True, need one of 'raise'"),
        ({"running_var": "both"}, ValueError, "running_var: got 'both', need one of 'unbiased', 'biased'"),
        ({"axis": 1.0}, TypeError, "axis: got 1.0, need a whole number"),
        ({"negative_slope": 2}, ValueError, "negative_slope: got 2, need a number from 0 to 1"),
        ({"affine": False, "bias": True}, ValueError, "bias: got True with affine=False, need γ"),
        ({"ghost": 1}, ValueError, "ghost: got 1, need at least 2"),
        ({"bias": "no"}, TypeError, "bias: got 'no', need True or False"),
        ({"affine": "no"}, TypeError, "affine: got 'no', need True or False"),
        ({"track_running_stats": 1}, TypeError, "track_running_stats: got 1, need True or False"),
        ({"renorm": 3}, TypeError, r"renorm: got 3, need \(r_max, d_max\)"),
        ({"renorm": (0.5, 1)}, ValueError, "renorm: got"),
        ({"renorm": (3, 5), "track_running_stats": False}, ValueError, "renorm: needs running statistics"),
        ({"dtype": "float16"}, TypeError, "dtype: got 'float16', need 'float32' or 'float64', or 'bfloat16'"),
    ],
)
def test_options_out_of_range_are_refused(
    arguments: dict[str, Any], kind: type[Exception], pattern: str
) -> None:
    refused(kind, pattern, lambda: nn.BatchNorm(3, **arguments))


def test_arrays_that_do_not_fit_are_refused_by_the_name_of_the_layer() -> None:
    model = nn.Sequential({"norm": nn.BatchNorm(3)})
    layer = model.children["norm"]
    x = batch((4, 3, 5), "float32")
    name = "BatchNorm 'norm': "
    for kind, pattern, call in [
        (ValueError, r"x: got shape \(4, 5\), need \(rows, 3\)", lambda: layer.forward(x[:, 0])),
        (
            ValueError,
            r"x: got shape \(5, 4, 3\), need 3 channels along axis 1",
            lambda: layer.forward(x.T.copy().transpose(0, 2, 1)),
        ),
        (ValueError, r"x: got shape \(3,\), need \(rows, 3\)", lambda: layer.forward(x[0, :, 0])),
        (TypeError, "x: got dtype float64, need float32", lambda: layer.forward(x.astype(np.float64))),
        (
            TypeError,
            "x: got dtype >f4, need float32, in native byte order",
            lambda: layer.forward(x.astype(">f4")),
        ),
        (TypeError, "x: got list, need a NumPy array", lambda: layer.forward([[1.0] * 3])),
        (TypeError, "out: got dtype float64, need float32", lambda: layer.forward(x, np.empty(x.shape))),
        (ValueError, r"out: got shape \(4, 3\), need \(4, 3, 5\)", lambda: layer.forward(x, x[:, :, 0])),
        (ValueError, "out: its memory overlaps", lambda: layer.forward(x, x[::-1])),
        (
            ValueError,
            r"x: got a batch of shape \(0, 3, 5\), 0 values in each channel, in training",
            lambda: layer.forward(x[:0]),
        ),
        (
            ValueError,
            r"x: .*1 value in each channel, in training, need at least 2.*drop_last",
            lambda: layer.forward(x[:1, :, :1]),
        ),
        (RuntimeError, "backward before forward", lambda: layer.backward(x)),
    ]:
        refused(kind, name + pattern, call)
    layer.forward(x)
    refused(
        ValueError, name + r"dy: got shape \(4, 3\), need \(4, 3, 5\)", lambda: layer.backward(x[:, :, 0])
    )
    refused(TypeError, name + "dy: got dtype float64, need float32", lambda: layer.backward(x.astype(float)))
    refused(ValueError, name + "out: its memory overlaps", lambda: layer.backward(x.copy(), x))
    layer.backward(x)
    refused(RuntimeError, name + "backward twice", lambda: layer.backward(x))
    refused(
        ValueError,
        "x: got shape .* need at least 4 axes",
        lambda: nn.BatchNorm(3, axis=3).forward(x),
    )


# Conventions.


@pytest.mark.parametrize(
    ("convention", "axis", "momentum", "eps", "weight", "unbiased"),
    [
        ("torch", 1, 0.1, 1e-5, 0.1, True),
        ("keras", -1, 0.99, 1e-3, 0.01, False),
        ("flax", -1, 0.99, 1e-5, 0.01, False),
        ("onnx", 1, 0.9, 1e-5, 0.1, False),
    ],
)
def test_a_convention_is_its_defaults_and_its_meaning_of_momentum(
    convention: str, axis: int, momentum: float, eps: float, weight: float, unbiased: bool
) -> None:
    layer = nn.BatchNorm(3, convention=convention, dtype="float64")
    assert (layer.axis, layer.momentum, layer.eps) == (axis, momentum, eps)
    x = batch((5, 3, 4) if axis == 1 else (5, 4, 3), "float64")
    over = (0, 2) if axis == 1 else (0, 1)
    y = layer.forward(x)
    shape = (1, 3, 1) if axis == 1 else (1, 1, 3)
    want = (x - x.mean(over).reshape(shape)) / np.sqrt(x.var(over).reshape(shape) + eps)
    np.testing.assert_allclose(y, want, rtol=1e-12, atol=1e-12)
    var = x.var(over, ddof=1 if unbiased else 0)
    np.testing.assert_allclose(layer.buffers["running_mean"], weight * x.mean(over), rtol=1e-12)
    np.testing.assert_allclose(layer.buffers["running_var"], 1 - weight + weight * var, rtol=1e-12)
    # An explicit momentum keeps the meaning of its convention.
    explicit = nn.BatchNorm(3, momentum=0.25, convention=convention, dtype="float64")
    explicit.forward(x)
    weight = 0.25 if convention == "torch" else 0.75
    np.testing.assert_allclose(explicit.buffers["running_mean"], weight * x.mean(over), rtol=1e-12)
    # No momentum: the plain average, in every convention.
    average = nn.BatchNorm(3, momentum=None, convention=convention, dtype="float64")
    for part in (x, x + 1, x * 2):
        average.forward(part)
    mean = np.mean([p.mean(over) for p in (x, x + 1, x * 2)], axis=0)
    np.testing.assert_allclose(average.buffers["running_mean"], mean, rtol=1e-12)


def test_without_running_statistics_evaluation_goes_by_the_batch() -> None:
    layer = nn.BatchNorm(3, track_running_stats=False, dtype="float64")
    assert list(layer.buffers) == []
    x, dy = batch((6, 3), "float64"), batch((6, 3), "float64", 0.0, seed=1)
    y, dx = layer.forward(x), layer.backward(dy)
    layer.eval()
    assert (layer.forward(x) == y).all() and (layer.backward(dy) == dx).all()


def test_constant_channels_are_reported() -> None:
    x = batch((6, 4), "float32")
    x[:, 1] = 1e7
    x[:, 3] = 0
    layer = nn.BatchNorm(4)
    layer.forward(x)
    assert layer.zero_variance.tolist() == [1, 3]
    layer.forward(batch((6, 4), "float32"))
    assert layer.zero_variance.tolist() == []


def test_nothing_large_is_allocated_with_out() -> None:
    x, dy = batch((8, 4, 64, 64), "float32"), batch((8, 4, 64, 64), "float32", seed=1)
    y, dx = np.empty_like(x), np.empty_like(x)
    layer = nn.BatchNorm(4, activation="relu")
    for array in (x, strided(x)):
        for _ in range(2):
            tracemalloc.start()
            layer.forward(array, y)
            layer.backward(dy, dx)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < x.nbytes / 20


def test_results_are_never_overwritten_while_somebody_holds_them() -> None:
    layer = nn.BatchNorm(4)
    rng = np.random.default_rng(0)
    held: list[tuple[Array, bytes]] = []
    for step in range(8):
        x = rng.normal(size=(16, 4, 80, 80)).astype(np.float32)
        y = layer.forward(x if step % 2 else channels_last(x))
        dx = layer.backward(x)
        # A part holds the whole.
        for kept in (y[0], dx[..., :1]) if step % 3 else (y, dx.ravel()[:5]):
            held.append((kept, kept.tobytes()))
        del x, y, dx, kept
        if step == 4:
            del held[:6]
        assert all(array.tobytes() == before for array, before in held)
    released = layer.forward(rng.normal(size=(16, 4, 80, 80)).astype(np.float32))
    dx = layer.backward(released)
    known = {array.__array_interface__["data"][0] for array in (released, dx)}
    del released, dx
    again = layer.forward(rng.normal(size=(16, 4, 80, 80)).astype(np.float32))
    assert again.__array_interface__["data"][0] in known
    layer.release()
    assert copy.deepcopy(layer).forward(again).tobytes() == layer.forward(again).tobytes()


# Statistics of many batches.


def test_recalibration_is_exact_whatever_the_batches_and_workers() -> None:
    x = batch((70, 3, 5), "float64", 1e6)
    whole = np.moveaxis(x, 1, -1).reshape(-1, 3)
    parts = [x[:7], x[7:40], x[40:41], x[41:]]
    layer = nn.BatchNorm(3, dtype="float64")
    assert layer.recalibrate(parts) == 4
    np.testing.assert_allclose(layer.buffers["running_mean"], whole.mean(0), rtol=1e-14)
    np.testing.assert_allclose(layer.buffers["running_var"], whole.var(0, ddof=1), rtol=1e-9)
    assert int(layer.buffers["num_batches_tracked"]) == 4
    biased = nn.BatchNorm(3, running_var="biased", dtype="float64")
    workers = [nn.batch_moments(biased, part) for part in (parts[:1], parts[1:3], parts[3:])]
    assert biased.buffers["running_mean"].tolist() == [0, 0, 0]
    nn.set_moments(biased, {"": workers[0][""].merge(workers[1][""], workers[2][""])})
    np.testing.assert_allclose(biased.buffers["running_mean"], whole.mean(0), rtol=1e-14)
    np.testing.assert_allclose(biased.buffers["running_var"], whole.var(0), rtol=1e-9)
    refused(KeyError, "no BatchNorm is called 'x'", lambda: nn.set_moments(biased, {"x": workers[0][""]}))
    refused(ValueError, "argument 0 is of 2 channels", lambda: workers[0][""].merge(nn.Moments.none(2)))


@pytest.mark.parametrize("nonfinite", ["raise", "skip_update", "propagate"])
@pytest.mark.parametrize("size", [1, 3])
def test_recalibration_counts_batches_of_a_single_row(size: int, nonfinite: str) -> None:
    x = batch((13, 4), "float32", 100.0)
    layer = nn.BatchNorm(4, nonfinite=nonfinite)
    parts = [x[i : i + size] for i in range(0, len(x), size)]
    assert layer.recalibrate(parts) == len(parts) and layer.training
    wide = x.astype(np.float64)
    np.testing.assert_allclose(layer.buffers["running_mean"], wide.mean(0), rtol=1e-7)
    np.testing.assert_allclose(layer.buffers["running_var"], wide.var(0, ddof=1), rtol=1e-6)
    before = layer.state_dict()
    refused(
        ValueError,
        "moments: got 1 values in a channel, need at least 2",
        lambda: layer.recalibrate(parts[-1:]),
    )
    refused(ValueError, "x: got a batch of 1 row in training, need at least 2", lambda: layer.forward(x[:1]))
    bad = np.full_like(x[:1], np.nan)
    if nonfinite == "skip_update":
        assert layer.recalibrate([*parts, bad]) == len(parts) + 1 and layer.skipped == 0
        assert (layer.buffers["running_mean"] == before["running_mean"]).all()
    elif nonfinite == "raise":
        refused(
            ValueError,
            "x: 4 values are not finite, the first is nan",
            lambda: layer.recalibrate([*parts, bad]),
        )
        assert all((layer.state_dict()[name] == array).all() for name, array in before.items())


def test_recalibration_takes_a_batch_as_a_whole_where_training_cuts_it_into_ghosts() -> None:
    x = batch((65, 3), "float64", 5.0)
    layers = [nn.BatchNorm(3, ghost=8, dtype="float64"), nn.BatchNorm(3, dtype="float64")]
    for layer in layers:
        assert nn.recalibrate(nn.Sequential(layer), [x]) == 1
    for name in ("running_mean", "running_var"):
        assert (layers[0].buffers[name] == layers[1].buffers[name]).all()
    refused(ValueError, "ghost: 65 samples in pieces of 8 leave 1 value", lambda: layers[0].forward(x))


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("rows", [1, 4])
def test_recalibration_lets_through_what_training_lets_through(value: float, rows: int) -> None:
    x = batch((12, 2), "float32")
    x[9, 1] = value
    layer = nn.BatchNorm(2, nonfinite="propagate")
    assert layer.recalibrate([x[:8], *(x[i : i + rows] for i in range(8, 12, rows))]) == 1 + 4 // rows
    wide = x[:, 0].astype(np.float64)
    np.testing.assert_allclose(layer.buffers["running_mean"][0], wide.mean(), rtol=1e-6)
    np.testing.assert_allclose(layer.buffers["running_var"][0], wide.var(ddof=1), rtol=1e-6)
    assert not np.isfinite(layer.buffers["running_mean"][1]) and np.isnan(layer.buffers["running_var"][1])
    nan = nn.Moments(3, np.array([0.0, math.nan]), np.ones(2))
    refused(
        ValueError,
        "the mean or variance is not finite, first in channel 1",
        lambda: nn.set_moments(nn.BatchNorm(2), {"": nan}),
    )


@pytest.mark.parametrize(("dtype", "large"), [("float32", 3e38), ("float64", 1e200)])
@pytest.mark.parametrize("size", [1, 2])
def test_recalibration_refuses_rows_whose_variance_is_too_large(dtype: str, large: float, size: int) -> None:
    x = np.array([[0, large]] * size + [[0, -large]] * size, dtype)
    layer = nn.BatchNorm(2, dtype=dtype)
    before = layer.state_dict()
    with pytest.raises(ValueError, match="mean or variance is too large for .*"):
        layer.recalibrate([x[:size], x[size:]])
    assert all((layer.state_dict()[name] == array).all() for name, array in before.items())


def test_the_variance_that_a_layer_would_hold_is_the_one_that_must_fit() -> None:
    of = nn.Moments(2, np.zeros(1), np.array([5e38]))  # 2.5e38 over n, 5e38 over n − 1
    nn.set_moments(nn.BatchNorm(1, running_var="biased"), {"": of})
    refused(ValueError, "too large", lambda: nn.set_moments(nn.BatchNorm(1), {"": of}))


def test_a_layer_without_running_statistics_lets_a_single_row_through_while_others_gather() -> None:
    x = batch((9, 3), "float64", 2.0)
    own = nn.BatchNorm(3, track_running_stats=False, dtype="float64")
    model = nn.Sequential(own, nn.BatchNorm(3, dtype="float64"))
    assert nn.recalibrate(model, [x[:8], x[8:]]) == 2
    seen = np.concatenate(
        [(rows - of.mean(0)) / np.sqrt(of.var(0) + 1e-5) for rows, of in [(x[:8], x[:8]), (x[8:], x)]]
    )
    np.testing.assert_allclose(model.children["1"].buffers["running_mean"], seen.mean(0), atol=1e-12)
    np.testing.assert_allclose(model.children["1"].buffers["running_var"], seen.var(0, ddof=1), rtol=1e-12)
    assert not own.buffers and own.skipped == 0
    refused(ValueError, "1 row in training, need at least 2", lambda: own.forward(x[:1]))


def test_a_single_row_reaches_later_layers_by_what_was_pooled_so_far() -> None:
    x = batch((9, 3), "float64", 2.0)
    model = nn.Sequential(nn.BatchNorm(3, dtype="float64"), nn.BatchNorm(3, ghost=4, dtype="float64"))
    assert nn.recalibrate(model, [x[:8], x[8:]]) == 2
    pieces = [(x[:8], x[:8]), (x[8:], x)]
    seen = np.concatenate([(rows - of.mean(0)) / np.sqrt(of.var(0) + 1e-5) for rows, of in pieces])
    np.testing.assert_allclose(model.children["1"].buffers["running_mean"], seen.mean(0), atol=1e-12)
    np.testing.assert_allclose(model.children["1"].buffers["running_var"], seen.var(0, ddof=1), rtol=1e-12)


def test_beta_is_there_beside_gamma_unless_it_is_left_out() -> None:
    for arguments, names, shown in [
        ({}, ["weight", "bias"], "affine=True)"),
        ({"bias": False}, ["weight"], "affine=True, bias=False)"),
        ({"affine": False}, [], "affine=False)"),
        ({"affine": False, "bias": False}, [], "affine=False)"),
    ]:
        layer = nn.BatchNorm(3, **arguments)  # type: ignore[arg-type]
        assert list(layer.params) == names and repr(layer).endswith(shown)
        assert repr(eval(repr(layer), {"BatchNorm": nn.BatchNorm})) == repr(layer)


def test_a_ghost_batch_is_a_batch_of_its_own() -> None:
    x, dy = batch((7, 3, 4), "float64"), batch((7, 3, 4), "float64", 0.0, seed=1)
    ghosts, plain = nn.BatchNorm(3, ghost=3, dtype="float64"), nn.BatchNorm(3, dtype="float64")
    y, dx = ghosts.forward(x), ghosts.backward(dy)
    for rows in (slice(0, 3), slice(3, 6), slice(6, 7)):
        assert (plain.forward(x[rows]) == y[rows]).all()
        assert (plain.backward(dy[rows]) == dx[rows]).all()
    for name, value in plain.state_dict().items():
        assert (ghosts.state_dict()[name] == value).all(), name
    np.testing.assert_allclose(ghosts.grads["weight"], plain.grads["weight"], rtol=1e-12)
    refused(
        ValueError,
        "ghost: 7 samples in pieces of 3 leave 1 value in each channel for the last one",
        lambda: ghosts.forward(x[:, :, 0]),
    )
    ghosts.eval().forward(x)
    ghosts.backward(dy)


def test_batch_renormalisation_is_the_running_statistics_within_its_limits() -> None:
    x = batch((50, 2), "float64")
    plain, none = (nn.BatchNorm(2, renorm=renorm, dtype="float64") for renorm in (None, (1.0, 0.0)))
    assert (plain.forward(x) == none.forward(x)).all()
    # Wide limits: what training computes is what evaluation will.
    free = nn.BatchNorm(2, renorm=(1e6, 1e6), momentum=0.0, dtype="float64")
    free.buffers["running_mean"], free.buffers["running_var"] = np.array([1.0, 5.0]), np.array([4.0, 0.5])
    free.params["weight"], free.params["bias"] = np.array([2.0, -1.0]), np.array([0.5, 3.0])
    y = free.forward(x)
    dx = free.backward(np.cos(x))
    np.testing.assert_allclose(free.eval().forward(x), y, rtol=1e-10)
    # r and d are constants in backward.
    mean, std = x.mean(0), np.sqrt(x.var(0) + 1e-5)
    run = np.sqrt(np.array([4.0, 0.5]) + 1e-5)
    r, d = std / run, (mean - np.array([1.0, 5.0])) / run
    hat = (x - mean) / std
    dhat = np.cos(x) * np.array([2.0, -1.0]) * r
    np.testing.assert_allclose(dx, (dhat - dhat.mean(0) - hat * (dhat * hat).mean(0)) / std, atol=1e-12)
    np.testing.assert_allclose(free.grads["weight"], (np.cos(x) * (hat * r + d)).sum(0), rtol=1e-10)
    np.testing.assert_allclose(free.grads["bias"], np.cos(x).sum(0), rtol=1e-10)


# Against torch, in the layouts of images.


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(5, 3, 7), (4, 3, 6, 5), (2, 3, 4, 3, 5)], ids=str)
def test_torch_agrees_on_images(torch: Any, shape: tuple[int, ...], training: bool) -> None:
    x, dy = batch(shape, "float32"), batch(shape, "float32", 0.1, seed=1)
    layer, _ = pair(3, "float32", activation="relu")
    layer.train(training)
    theirs = getattr(torch.nn, f"BatchNorm{len(shape) - 2}d")(3)
    theirs.load_state_dict({name: torch.from_numpy(array) for name, array in layer.state_dict().items()})
    theirs.train(training)
    their_x = torch.from_numpy(x).requires_grad_()
    their_y = torch.relu(theirs(their_x))
    their_y.backward(torch.from_numpy(dy))
    for layout in (np.ascontiguousarray, channels_last):
        copy, _ = pair(3, "float32", activation="relu")
        copy.train(training)
        np.testing.assert_allclose(copy.forward(layout(x)), their_y.detach().numpy(), atol=2e-6)
        np.testing.assert_allclose(copy.backward(layout(dy)), their_x.grad.numpy(), atol=3e-6)
        for name in ("weight", "bias"):
            np.testing.assert_allclose(copy.grads[name], getattr(theirs, name).grad.numpy(), rtol=1e-5)
        for name in ("running_mean", "running_var"):
            np.testing.assert_allclose(copy.buffers[name], getattr(theirs, name).numpy(), rtol=1e-6)


def test_results_that_somebody_holds_are_never_taken_again() -> None:
    """Large results use a buffer again; not one that another thread was given."""
    reused, wrong, size = Reused(), [], 1 << 20

    def work(mark: int) -> None:
        for _ in range(150):
            mine = reused.empty((size,), np.dtype(np.uint8))
            mine[:: 1 << 12] = mark
            time.sleep(0)
            if (mine[:: 1 << 12] != mark).any():
                wrong.append(mark)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(mark,)) for mark in range(1, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert not wrong


def test_evaluation_keeps_no_results() -> None:
    layer = nn.BatchNorm(64)
    x = np.ones((1 << 13, 64), np.float32)
    x[0] = 0
    layer.forward(x)
    assert layer._results._buffers, "in training they are used again"
    layer.eval().forward(x)
    assert not layer._results._buffers


def test_a_ghost_that_is_refused_leaves_all_as_it_was() -> None:
    layer = nn.BatchNorm(1, ghost=2)
    x = np.array([[0], [1], [-3e30], [3e30]], np.float32)
    state, copy = {name: array.copy() for name, array in layer.buffers.items()}, x.copy()
    for out in (None, x):
        with pytest.raises(ValueError, match="channel 0 are finite, but their mean or variance is too large"):
            layer.forward(x, out=out)
        assert (x == copy).all()
        assert all((layer.buffers[name] == array).all() for name, array in state.items())


def test_zero_variance_is_that_of_the_last_forward() -> None:
    layer = nn.BatchNorm(1, ghost=2, dtype="float64")
    layer.forward(np.array([[0.0], [1.0], [2.0], [2.0]]))
    assert layer.zero_variance.tolist() == [0], "a ghost was constant"
    layer.eval().forward(np.array([[5.0]]))
    assert layer.zero_variance.tolist() == []


def test_moments_that_a_layer_cannot_hold_are_refused() -> None:
    model = nn.Sequential(nn.BatchNorm(1))
    huge = nn.Moments(3, np.array([1e300]), np.array([1.0]))
    with pytest.raises(ValueError, match="moments: the mean or variance is too large"):
        nn.set_moments(model, {"0": huge})


@pytest.mark.parametrize("strided", [False, True])
def test_threads_share_a_layer_in_evaluation(strided: bool) -> None:
    rng = np.random.default_rng(0)
    batches = [rng.normal(i, 1, (100, 6, 30, 40)).astype(np.float32)[..., :: 1 + strided] for i in range(2)]
    layer = nn.BatchNorm(6).eval()
    want = [layer.forward(x) for x in batches]
    wrong: list[object] = []

    def run(x: Any, y: Any) -> None:
        try:
            wrong.extend(1 for _ in range(100) if not np.array_equal(layer.forward(x), y))
        except RuntimeError as error:
            wrong.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in zip(batches, want, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
