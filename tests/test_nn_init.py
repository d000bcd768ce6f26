"""Initial values that have a structure, and the check of what depth makes of them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from fourstep import nn

Array = np.ndarray[Any, Any]


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4), (4, 3, 5), (1, 7), (7, 1)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("gain", [1.0, 2**0.5])
def test_orthogonal_rows_or_columns(shape: tuple[int, ...], dtype: str, gain: float) -> None:
    array = np.empty(shape, dtype)
    assert nn.init.orthogonal(array, gain, seed=3) is array
    w = array.reshape(shape[0], -1).astype(np.float64)
    gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    tolerance = 1e-6 if dtype == "float32" else 1e-14
    np.testing.assert_allclose(gram, gain**2 * np.eye(len(gram)), atol=4 * tolerance)
    again = nn.init.orthogonal(np.empty(shape, dtype), gain, rng=np.random.default_rng(3))
    assert again.tobytes() == array.tobytes()
    if array.size > max(shape):
        assert (nn.init.orthogonal(np.empty(shape, dtype), gain, seed=4) != array).any()


def test_orthogonal_matrices_are_spread_over_both_signs() -> None:
    """Without the signs of R, the diagonal of Q would lean to one side."""
    diagonal = np.array([np.diag(nn.init.orthogonal(np.empty((3, 3)), seed=s)) for s in range(2000)])
    # Each entry has mean 0 and variance 1/3.
    assert np.abs(diagonal.mean(0)).max() < 4 * (1 / 3 / 2000) ** 0.5
    np.testing.assert_allclose(diagonal.var(0), 1 / 3, rtol=0.1)


def test_orthogonal_is_torch_s_of_the_same_numbers() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch = pytest.importorskip("torch", reason="torch is the oracle of this test and is not installed")
    drawn = np.random.default_rng(5).normal(size=(7, 4))

    class Drawn(np.random.Generator):
        def normal(self, *args: Any, **kwargs: Any) -> Any:
            return drawn

    ours = nn.init.orthogonal(np.empty((7, 4)), rng=Drawn(np.random.PCG64(0)))
    q, r = torch.linalg.qr(torch.from_numpy(drawn))
    np.testing.assert_allclose(ours, (q * torch.diag(r).sign()).numpy(), atol=1e-12)


def test_lecun_keeps_the_variance_of_a_linear_layer() -> None:
    x = np.random.default_rng(0).normal(size=(2000, 300))
    for fill in (nn.init.lecun_normal, nn.init.lecun_uniform):
        assert (x @ fill(np.empty((400, 300)), seed=1).T).var() == pytest.approx(1.0, rel=0.03)


def test_constants() -> None:
    assert nn.init.ones(np.empty(3)).tolist() == [1.0] * 3
    assert nn.init.zeros(np.empty(3)).tolist() == [0.0] * 3
    assert nn.init.constant(np.empty(3), -2.5).tolist() == [-2.5] * 3


def test_a_deviation_or_gain_of_zero_is_a_constant() -> None:
    assert nn.init.normal(np.empty(2), 3.0, 0.0).tolist() == [3.0, 3.0]
    assert nn.init.uniform(np.empty(2), 1.5, 1.5).tolist() == [1.5, 1.5]
    assert not nn.init.xavier_uniform(np.ones((2, 2)), 0.0).any()


def test_random_numbers_do_not_go_into_whole_ones() -> None:
    with pytest.raises(TypeError, match="array: got dtype int64, need an array of floats"):
        nn.init.normal(np.empty((3, 3), np.int64))
    with pytest.raises(TypeError, match="array: got dtype int32, need an array of floats"):
        nn.init.orthogonal(np.empty((3, 3), np.int32))
    with pytest.raises(TypeError, match="array: got dtype int64, need an array of floats"):
        nn.init.constant(np.empty(3, np.int64), 1.5)
    with pytest.raises(TypeError, match="array: got list"):
        nn.init.uniform([0.0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"array: got shape \(3,\), need at least two dimensions"):
        nn.init.orthogonal(np.empty(3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w: nn.init.normal(w, std=-1.0), r"std: got -1\.0, need a finite number, 0 or above"),
        (lambda w: nn.init.normal(w, float("nan")), "mean: got nan, need a finite number"),
        (lambda w: nn.init.uniform(w, 1.0, 0.0), r"low, high: got 1\.0 and 0\.0, need low <= high"),
        (lambda w: nn.init.xavier_normal(w, float("inf")), "gain: got inf"),
        (lambda w: nn.init.xavier_uniform(w, -1.0), r"gain: got -1\.0"),
        (lambda w: nn.init.orthogonal(w, float("nan")), "gain: got nan"),
        (lambda w: nn.init.he_normal(w, float("nan")), "param: got nan"),
        (lambda w: nn.init.zeros(np.broadcast_to(w, (2, 3, 3))), "array: got a read-only array"),
        (lambda w: nn.Embedding(3, 2, std=-1.0), r"std: got -1\.0"),
    ],
)
def test_numbers_that_fill_nothing_sensible_are_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(np.empty((3, 3)))


def deep(depth: int, scale: float, width: int = 64) -> nn.Module:
    """Linear layers of orthogonal matrices: every factor of the chain rule is exactly `scale`."""
    layers = [nn.Linear(width, width, bias=False, dtype="float64", seed=i) for i in range(depth)]
    for i, layer in enumerate(layers):
        nn.init.orthogonal(layer.params["weight"], scale, seed=i)
    return nn.Sequential(*layers)


@pytest.mark.parametrize("scale", [0.5, 0.99, 1.0, 2.0])
def test_the_measured_gradient_is_the_product_of_the_factors(scale: float) -> None:
    x = np.random.default_rng(0).normal(size=(64, 64))
    flow = nn.check_propagation(deep(20, scale), x, show=False)
    last = flow.layers[-1]
    for i, layer in enumerate(flow):
        assert layer.gradient_std == pytest.approx(last.gradient_std * scale ** (19 - i), rel=1e-9)
        assert layer.activation_std == pytest.approx(x.std() * scale ** (i + 1), rel=0.01)
    assert flow.factor == pytest.approx(scale, rel=1e-9)
    assert bool(flow.warnings) == (scale in (0.5, 2.0))


def test_what_vanishes_and_what_explodes_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    x = np.random.default_rng(0).normal(size=(64, 64))
    small = nn.check_propagation(deep(20, 0.5), x)
    assert small.warnings[0] == "0: the gradient vanishes (1.9e-06 of that at the output)"
    assert small.warnings[-1].startswith("19: the activation vanishes (std ")
    assert capsys.readouterr().out == f"{small}\n"
    large = nn.check_propagation(deep(20, 2.0), x, show=False)
    assert large.warnings[0] == "0: the gradient explodes (5.2e+05 times that at the output)"
    assert large.warnings[-1].startswith("19: the activation explodes (std ")
    assert capsys.readouterr().out == ""
    beyond = nn.check_propagation(deep(20, 1e20), x, show=False)
    assert "19: not finite" in beyond.warnings


def test_batch_norm_cures_bad_initial_values() -> None:
    """A remedy of the notes (G4): forward and back, whatever the scale of the weights."""
    x = np.random.default_rng(0).normal(size=(64, 64))

    def tower(norm: bool) -> nn.Module:
        rng = np.random.default_rng(1)
        layers: list[nn.Module] = []
        for _ in range(10):
            layers.append(nn.Linear(64, 64, dtype="float64", rng=rng))
            nn.init.normal(layers[-1].params["weight"], std=0.01, rng=rng)
            layers += [nn.BatchNorm(64, dtype="float64"), nn.Tanh()] if norm else [nn.Tanh()]
        return nn.Sequential(*layers)

    assert nn.check_propagation(tower(False), x, show=False).warnings
    assert nn.check_propagation(tower(True), x, show=False).warnings == []


def test_the_check_changes_nothing_of_the_model() -> None:
    model = nn.Sequential(nn.block(4, 8, dropout=0.5, seed=0), nn.Linear(8, 1, seed=1))
    x = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    model.forward(x)
    model.backward(np.ones((6, 1), np.float32))
    before = model.state_dict() | {f"grad.{name}": g.copy() for name, g in model.named_grads().items()}
    target = np.ones((6, 1))
    flow = nn.check_propagation(model, x, target, loss=nn.BCEWithLogitsLoss(), show=False)
    assert [layer.kind for layer in flow] == ["Linear", "BatchNorm", "ReLU", "Dropout", "Linear"]
    assert [layer.name for layer in flow][-2:] == ["0.dropout", "1"]
    after = model.state_dict() | {f"grad.{name}": g for name, g in model.named_grads().items()}
    assert all(before[name].tobytes() == after[name].tobytes() for name in before)
    with pytest.raises(RuntimeError, match="backward twice"):
        model.backward(np.ones((6, 1), np.float32))


@pytest.mark.parametrize("end", [nn.LastState, nn.AllSteps])
def test_what_comes_back_to_a_recurrent_layer_is_measured(end: Any) -> None:
    """Its gradient is a pair, half of which is not there."""
    model = nn.Sequential(nn.LSTM(2, 3, dtype="float64", seed=0), end())
    flow = nn.check_propagation(model, np.random.default_rng(0).normal(size=(4, 5, 2)), show=False)
    assert flow.warnings == []
    assert flow.layers[0].gradient_std > 0.1


def test_limits_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match=r"low, high: got 1.0 and 0.1, need 0 < low < high"):
        nn.check_propagation(deep(2, 1.0), np.ones((2, 64)), low=1.0, high=0.1)
