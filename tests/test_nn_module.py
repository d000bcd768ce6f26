"""Modules: names, state, binding to an arena, containers and their work arrays, the gradient check itself."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

import fourstep as fs
from fourstep import nn
from fourstep.state import StateError

Array = np.ndarray[Any, Any]


def click_model(dtype: str = "float32", seed: int = 0) -> nn.Sequential:
    """Two fields and two numbers, a hidden block with everything, a logit."""
    rng = np.random.default_rng(seed)
    fields = nn.FieldEmbedding([7, 5], 3, std=0.5, dtype=dtype, rng=rng)
    return nn.Sequential(
        {
            "inputs": nn.Concat({"fields": fields, "numbers": nn.Identity()}),
            "hidden": nn.block(8, 6, dropout=0.2, dtype=dtype, rng=rng),
            "out": nn.Linear(6, 1, dtype=dtype, rng=rng),
        }
    )


def clicks(rows: int, dtype: str = "float32", seed: int = 0) -> tuple[tuple[Array, Array], Array]:
    rng = np.random.default_rng(seed)
    ids = np.stack([rng.integers(0, 7, rows), rng.integers(0, 5, rows)], axis=1)
    numbers = rng.normal(size=(rows, 2)).astype(dtype)
    label = ((ids[:, 0] % 2 == 0) ^ (numbers[:, 0] > 0)).astype(np.uint8)[:, None]
    return (ids, numbers), label


NAMES = [
    "inputs.fields.weight",
    "hidden.linear.weight",
    "hidden.norm.weight",
    "hidden.norm.bias",
    "out.weight",
    "out.bias",
]


def test_parameters_gradients_and_buffers_have_dotted_names() -> None:
    model = click_model()
    assert list(model.named_parameters()) == list(model.named_grads()) == NAMES
    buffers = [f"hidden.norm.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")]
    assert list(model.named_buffers()) == [*buffers, "hidden.dropout.seed", "hidden.dropout.step"]
    assert set(model.state_dict()) == set(model.named_parameters()) | set(model.named_buffers())
    assert model.named_parameters()["out.bias"] is model.children["out"].params["bias"]


def test_assigning_to_a_parameter_copies_into_its_array() -> None:
    layer = nn.Linear(2, 2, seed=0)
    array = layer.params["bias"]
    layer.params["bias"] = np.array([1.0, 2.0])
    layer.params["bias"] += 1
    assert layer.params["bias"] is array
    assert array.tolist() == [2.0, 3.0]
    with pytest.raises(ValueError, match=r"bias: got shape \(\), need \(2,\)"):
        layer.params["bias"] = np.array(1.0)


def test_a_model_that_is_checked_as_a_whole() -> None:
    x, label = clicks(9, "float64")
    errors = nn.check_gradients(click_model("float64"), x, label, loss=nn.BCEWithLogitsLoss(), tolerance=1e-7)
    assert list(errors) == [*NAMES, "x[1]"]


# State.


def test_state_is_a_snapshot() -> None:
    model = click_model()
    state = model.state_dict()
    before = {name: array.copy() for name, array in state.items()}
    x, _ = clicks(8)
    model.forward(x)
    model.named_parameters()["out.bias"][...] = 9
    assert all((state[name] == before[name]).all() for name in state)
    assert (model.state_dict()["hidden.norm.running_mean"] != state["hidden.norm.running_mean"]).any()


def test_loading_lists_every_difference_and_changes_nothing() -> None:
    model = click_model()
    state: dict[str, Any] = click_model(seed=1).state_dict()
    del state["out.bias"]
    state["extra"] = np.zeros(1)
    state["out.weight"] = np.zeros((1, 5), np.float32)
    state["hidden.norm.weight"] = np.zeros(6)
    before = {name: array.tobytes() for name, array in model.state_dict().items()}
    with pytest.raises(StateError) as caught:
        model.load_state_dict(state)
    for part in (
        "Sequential.load_state_dict",
        "'out.bias' is missing",
        "'extra' is unexpected",
        "(1, 5)",
        "float64",
    ):
        assert part in str(caught.value)
    assert {name: array.tobytes() for name, array in model.state_dict().items()} == before


def test_a_tensor_is_told_how_to_become_an_array() -> None:
    class Tensor:
        def numpy(self) -> Array:
            return np.zeros((1, 6), np.float32)

    model = click_model()
    state: dict[str, Any] = {**model.state_dict(), "out.weight": Tensor(), "out.bias": 1.5}
    with pytest.raises(StateError) as caught:
        model.load_state_dict(state)
    assert str(caught.value).endswith(
        ": 'out.weight' is a Tensor, needs an array, which its .numpy() is; 'out.bias' is a float, needs an array"
    )


# Arena.


def test_an_arena_puts_views_behind_parameters_and_gradients() -> None:
    model = click_model()
    values = {name: array.copy() for name, array in model.named_parameters().items()}
    x, label = clicks(8)
    loss = nn.BCEWithLogitsLoss()
    twin = copy.deepcopy(model)
    arena = fs.Arena(model)
    for name, array in model.named_parameters().items():
        assert np.shares_memory(array, arena.data), name
        assert np.shares_memory(model.named_grads()[name], arena.grad_data), name
        assert (array == values[name]).all(), name
    for each in (model, twin):
        loss.forward(each.forward(x), label)
        each.backward(loss.backward())
    for name, grad in twin.named_grads().items():
        assert (arena.grad[name] == grad).all(), name
    model.load_state_dict(twin.state_dict())
    assert np.shares_memory(model.named_parameters()["out.weight"], arena.data)
    model.zero_grad()
    assert not arena.grad_data.any()


def test_bind_takes_over_the_values_and_refuses_what_does_not_fit() -> None:
    model = nn.Sequential(nn.Linear(2, 3, seed=0))
    weight = model.named_parameters()["0.weight"].copy()
    model.named_grads()["0.weight"][...] = 5
    param, grad = np.zeros((3, 2), np.float32), np.zeros((3, 2), np.float32)
    model.bind("0.weight", param, grad)
    assert model.children["0"].params["weight"] is param
    assert (param == weight).all()
    assert (grad == 5).all()
    with pytest.raises(KeyError, match=r"no parameter '0\.wait'; it has 0\.weight, 0\.bias"):
        model.bind("0.wait", param, grad)
    with pytest.raises(KeyError, match="no parameter"):
        model.bind("1.weight", param, grad)
    with pytest.raises(ValueError, match=r"param_view of '0\.weight': got shape \(2, 3\), need \(3, 2\)"):
        model.bind("0.weight", param.T, grad)
    with pytest.raises(TypeError, match=r"grad_view of '0\.weight': got dtype float64, need float32"):
        model.bind("0.weight", param, grad.astype(float))
    grad.flags.writeable = False
    with pytest.raises(ValueError, match=r"grad_view of .* read-only"):
        model.bind("0.weight", param, grad)


def train(model: nn.Module, steps: range, arena: fs.Arena, optimizer: Any) -> list[float]:
    loss, values = nn.BCEWithLogitsLoss(), []
    for step in steps:
        x, label = clicks(64 if step % 5 else 37, seed=step)
        arena.zero_grad()
        values.append(loss.forward(model.forward(x), label))
        model.backward(loss.backward())
        optimizer.step()
    return values


def test_a_model_learns_and_a_resumed_run_repeats_every_bit() -> None:
    model = click_model()
    arena = fs.Arena(model)
    optimizer = fs.optim.Adam(arena, lr=0.02)
    losses = train(model, range(150), arena, optimizer)
    assert np.mean(losses[-20:]) < 0.7 * np.mean(losses[:20])
    state, optimizer_state = model.state_dict(), optimizer.state_dict()
    want = train(model, range(150, 160), arena, optimizer)

    again = click_model(seed=5)
    arena = fs.Arena(again)
    optimizer = fs.optim.Adam(arena, lr=0.02)
    again.load_state_dict(state)
    optimizer.load_state_dict(optimizer_state)
    assert train(again, range(150, 160), arena, optimizer) == want


# Containers.


def test_work_arrays_change_no_bit_and_results_belong_to_the_caller() -> None:
    model, bare = click_model(), click_model()
    results, copies = [], []
    for step, rows in enumerate([16, 16, 5, 30, 16]):
        x, _ = clicks(rows, seed=step)
        y = model.forward(x)
        dx = model.backward(np.ones_like(y))
        bare.release()
        want_y = bare.forward(x)
        want_dx = bare.backward(np.ones_like(y))
        assert y.tobytes() == want_y.tobytes(), f"step {step}"
        assert dx[0] is None
        assert dx[1].tobytes() == want_dx[1].tobytes(), f"step {step}"
        results += [y, dx[1]]
        copies += [y.copy(), dx[1].copy()]
    assert all((a == b).all() for a, b in zip(results, copies, strict=True))


@pytest.mark.parametrize("last", [nn.Identity(), nn.Dropout(0.0, seed=0)], ids=["Identity", "Dropout(0)"])
def test_a_result_that_passes_through_is_not_a_work_array(last: nn.Module) -> None:
    model = nn.Sequential(nn.Identity(), nn.Linear(2, 2, seed=0), nn.ReLU(), last)
    x = np.ones((4, 2), np.float32)
    kept = []
    for scale in (1, 2, 3):
        y = model.forward(scale * x)
        kept.append((y, y.copy()))
        dx = model.backward(scale * x)
        kept.append((dx, dx.copy()))
    assert all((a == b).all() for a, b in kept)


def test_a_layer_that_returns_its_input_never_makes_it_a_work_array() -> None:
    class Same(nn.Module):
        def forward(self, x: Any, out: Array | None = None) -> Array:
            same: Array = x
            return same if out is None else np.add(x, 0, out=out)

        def backward(self, dy: Array, out: Any = None) -> Any:
            return dy if out is None else np.add(dy, 0, out=out)

    model = nn.Sequential(Same(), nn.Linear(2, 2, seed=0))
    first, second = np.full((3, 2), 1, np.float32), np.full((3, 2), 2, np.float32)
    model.forward(first)
    model.forward(second)
    assert (first == 1).all()


def test_train_and_eval_reach_every_layer() -> None:
    model = click_model()
    assert model.eval() is model
    assert not any(module.training for _, module in model.modules())
    x, _ = clicks(8)
    before = model.state_dict()
    assert (model.forward(x) == model.forward(x)).all()
    assert all((model.state_dict()[name] == value).all() for name, value in before.items())
    assert all(module.training for _, module in model.train().modules())


def test_evaluation_between_forward_and_backward_of_training_is_caught_by_shape() -> None:
    model = click_model()
    y = model.forward(clicks(8)[0])
    model.eval().forward(clicks(3)[0])
    with pytest.raises(ValueError, match=r"Linear 'out': dy: got shape \(8, 1\), need \(3, 1\)"):
        model.backward(np.ones_like(y))


def test_the_same_layer_in_two_places_is_refused() -> None:
    layer = nn.ReLU()
    with pytest.raises(ValueError, match=r"the same ReLU stands at '0' and at '1\.0'"):
        nn.Sequential(layer, nn.Sequential(layer))


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: nn.Sequential(), ValueError, "Sequential: got no layers"),
        (lambda: nn.Concat({}), ValueError, "Concat: got no layers"),
        (lambda: nn.Sequential(nn.ReLU(), cast("Any", 3)), TypeError, "layer '1': got int, need a Module"),
        (lambda: nn.Sequential({"a.b": nn.ReLU()}), ValueError, r"layer name 'a\.b', need one without a dot"),
        (lambda: nn.block(2, 2, activation="swish"), ValueError, "activation: got 'swish'"),
    ],
)
def test_containers_refuse_what_is_not_a_layer(make: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        make()


def test_concat_refuses_inputs_that_do_not_fit() -> None:
    layer = nn.Concat(nn.Identity(), nn.Identity())
    a, b = np.ones((3, 2)), np.ones((3, 4), np.float32)
    for x, kind, message in [
        ((a,), ValueError, "got 1 inputs, need 2 inputs"),
        (a, ValueError, "got one array, need 2 inputs"),
        ((a, a[:2]), ValueError, r"got inputs of \[3, 2\] rows"),
        ((a, 3), TypeError, r"x\[1\]: got int"),
        ((a, b), ValueError, r"layer '1' made shape \(3, 4\) of float32, need \(rows, columns\) of float64"),
        ((a, a[:, 0]), ValueError, r"layer '1' made shape \(3,\)"),
        ({"a": a, "b": a}, TypeError, "x: got dict, need a list or tuple of inputs"),
        (None, TypeError, "x: got NoneType, need a list or tuple"),
        ((a, []), TypeError, r"x\[1\]: got list, need a NumPy array"),
        ((a, np.array(1.0)), ValueError, r"x\[1\]: got an array without dimensions"),
    ]:
        with pytest.raises(kind, match=message):
            layer.forward(x)  # type: ignore[arg-type]
    sequences = nn.Concat(nn.LSTM(2, 3, dtype="float64", seed=0))
    with pytest.raises(TypeError, match=r"Concat: layer '0' made tuple, need an array of \(rows, columns\)"):
        sequences.forward([np.ones((4, 3, 2))])
    y = layer.forward((a, a))
    with pytest.raises(ValueError, match="out: got 1 arrays, need 2"):
        layer.backward(y, out=(None,))


def test_block_is_in_the_order_of_the_notes_and_has_no_bias_in_front_of_the_norm() -> None:
    kinds = [type(layer).__name__ for layer in nn.block(4, 3, dropout=0.5, seed=0).children.values()]
    assert kinds == ["Linear", "BatchNorm", "ReLU", "Dropout"]
    assert "linear.bias" not in nn.block(4, 3).named_parameters()
    assert "linear.bias" in nn.block(4, 3, batch_norm=False).named_parameters()
    assert list(nn.block(4, 3, activation="tanh", batch_norm=False).children) == ["linear", "activation"]


# The gradient check.


class Wrong(nn.Module):
    """y = w·x with a gradient that forgets a factor."""

    def __init__(self, dtype: str = "float64") -> None:
        super().__init__()
        self.add_parameter("weight", np.full(2, 3.0, dtype))

    def forward(self, x: Any, out: Array | None = None) -> Array:
        self.keep(x)
        y: Array = np.multiply(x, self.params["weight"], out=out)
        return y

    def backward(self, dy: Array, out: Any = None) -> Any:
        self.grads["weight"] += dy.sum(0)
        self.drop()
        return np.multiply(dy, self.params["weight"], out=out)


def test_a_wrong_gradient_is_found_and_everything_is_as_it_was() -> None:
    model = Wrong()
    model.grads["weight"][...] = 7
    with pytest.raises(nn.GradientError, match=r"weight\[[01]\]: backward says .* finite differences"):
        nn.check_gradients(model, np.random.default_rng(0).normal(size=(5, 2)))
    assert model.params["weight"].tolist() == [3.0, 3.0]
    assert model.grads["weight"].tolist() == [7.0, 7.0]


def test_the_gradient_check_takes_a_loss_of_each_element_and_refuses_what_it_would_not_use() -> None:
    x, target = np.random.default_rng(0).normal(size=(2, 5, 2))
    model = nn.Linear(2, 2, dtype="float64", seed=0)
    for reduction in ("mean", "sum", "none"):
        assert max(nn.check_gradients(model, x, target, loss=nn.MSELoss(reduction)).values()) < 1e-8
    with pytest.raises(ValueError, match="target: given without a loss"):
        nn.check_gradients(model, x, target)
    with pytest.raises(ValueError, match="target: given without a loss"):
        nn.check_propagation(model, x, target, show=False)
    with pytest.raises(TypeError, match=r"check_gradients: x\[0\]: got list, need a NumPy array"):
        nn.check_gradients(model, x.tolist())


def test_float32_is_refused_by_the_gradient_check() -> None:
    with pytest.raises(TypeError, match="check_gradients: weight: got dtype float32, need float64"):
        nn.check_gradients(Wrong("float32"), np.ones((5, 2)))
    with pytest.raises(TypeError, match="check_gradients: x: got dtype float32"):
        nn.check_gradients(Wrong(), np.ones((5, 2), np.float32))


def test_a_module_without_the_passes_says_so() -> None:
    with pytest.raises(NotImplementedError, match="Module does not define forward"):
        nn.Module().forward(np.ones(1))
    with pytest.raises(NotImplementedError, match="Module does not define backward"):
        nn.Module().backward(np.ones(1))


def test_assignment_loses_nothing_but_digits() -> None:
    layer = nn.Linear(2, 2, seed=0)
    before = layer.params["bias"].copy()
    table: list[tuple[Any, type[Exception], str]] = [
        (np.array([1j, 1.0]), TypeError, "bias: got dtype complex128, which float32 cannot hold"),
        (np.array(["a", "b"]), TypeError, "bias: got dtype <U1, which float32 cannot hold"),
        (
            np.array([0.0, 1e300]),
            ValueError,
            r"bias: got 1e\+300 at index \(1,\) \(1 such of 2\), which float32",
        ),
    ]
    for value, kind, message in table:
        with pytest.raises(kind, match=message):
            layer.params["bias"] = value
    assert np.array_equal(layer.params["bias"], before)
    for fine in ([1, 2], np.array([True, False]), np.array([0.1, np.inf])):
        layer.params["bias"] = np.asarray(fine)
        assert np.array_equal(layer.params["bias"], np.asarray(fine).astype(np.float32))
    dropout = nn.Dropout(0.5, seed=1)
    dropout.buffers["step"] = np.array(3)
    assert dropout.buffers["step"] == 3
    for step in (np.array(-1), np.array(0.5)):
        with pytest.raises((TypeError, ValueError), match="step: got .* uint64 cannot hold"):
            dropout.buffers["step"] = step


def test_only_add_parameter_makes_parameters() -> None:
    layer = nn.Linear(2, 2, seed=0)
    for arrays in (layer.params, layer.grads):
        with pytest.raises(KeyError, match="no parameter is called 'w'; there are weight, bias"):
            arrays["w"] = np.ones(1)
        assert list(arrays) == ["weight", "bias"]
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert np.array_equal(twin.params["weight"], layer.params["weight"])
        assert not np.shares_memory(twin.params["weight"], layer.params["weight"])
        with pytest.raises(KeyError, match="no parameter is called 'w'"):
            twin.params["w"] = np.ones(1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.BatchNorm(2, eps="x"), "eps: got 'x', need a finite number above 0"),  # type: ignore[arg-type]
        (lambda: nn.BatchNorm(2, momentum="x"), "momentum: got 'x', need 0 to 1, or None"),  # type: ignore[arg-type]
        (lambda: nn.Dropout("x"), "p: got 'x', need 0 to 1"),  # type: ignore[arg-type]
    ],
    ids=["eps", "momentum", "p"],
)
def test_numbers_that_are_none_are_refused_by_name(make: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make()


def test_a_refusal_in_the_backward_of_a_table_names_the_layer() -> None:
    model = nn.Sequential({"table": nn.Embedding(3, 2, dtype="float64", seed=0)})
    model.forward(np.array([0, 2]))
    model.children["table"].grads.rebind("weight", np.zeros((2, 3)).T)
    with pytest.raises(ValueError, match="Embedding 'table': "):
        model.backward(np.ones((2, 2)))
