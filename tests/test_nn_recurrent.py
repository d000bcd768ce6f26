"""Recurrent layers: torch's results, the state between calls, and truncated back-propagation through time."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep import nn

Array = np.ndarray[Any, Any]

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu"}),
    ("RNN", {"bias": False}),
    ("LSTM", {}),
    ("LSTM", {"bias": False}),
]
each_kind = pytest.mark.parametrize(("kind", "options"), KINDS, ids=str)


@pytest.fixture(scope="module")
def torch() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("torch", reason="torch is the oracle of this test and is not installed")


def make(kind: str, layers: int = 2, dtype: str = "float64", **options: Any) -> Any:
    return getattr(nn, kind)(3, 4, layers, dtype=dtype, seed=0, **options)


def flat(state: Any) -> tuple[Array, ...]:
    """Return a state as a tuple of its arrays."""
    return state if isinstance(state, tuple) else (state,)


def outer(parts: list[Any]) -> Any:
    return tuple(parts) if len(parts) > 1 else parts[0]


@pytest.mark.parametrize("without", [0, 1])
@pytest.mark.parametrize("output", [False, True])
def test_a_gradient_of_h_or_c_that_is_none_is_zero(without: int, output: bool) -> None:
    def gradients(of_missing: Array | None) -> list[Array]:
        layer = make("LSTM")
        x = np.random.default_rng(0).normal(size=(4, 2, 3))
        y, state = layer.forward(x, state=tuple(np.ones((2, 2, 4)) for _ in "hc"))
        parts: list[Any] = [np.full_like(part, 0.5) for part in state]
        parts[without] = of_missing
        pair = (np.ones_like(y) if output else None, tuple(parts))
        dx = layer.backward(list(pair) if of_missing is None else pair)
        return [dx, *layer.dstate, *layer.grads.values()]

    for got, want in zip(gradients(None), gradients(np.zeros((2, 2, 4))), strict=True):
        assert want.any() and got.tobytes() == want.tobytes()


@each_kind
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 5e-5), ("float64", 1e-13)])
def test_torch_agrees(
    torch: Any,
    kind: str,
    options: dict[str, Any],
    batch_first: bool,
    layers: int,
    dtype: str,
    tolerance: float,
) -> None:
    layer = make(kind, layers, dtype, batch_first=batch_first, **options)
    theirs = getattr(torch.nn, kind)(
        3, 4, layers, batch_first=batch_first, dtype=getattr(torch, dtype), **options
    )
    assert list(layer.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict({name: torch.from_numpy(array) for name, array in layer.state_dict().items()})
    rng = np.random.default_rng(1)
    steps, rows = 6, 5
    x = rng.normal(size=(rows, steps, 3) if batch_first else (steps, rows, 3)).astype(dtype)
    count = 2 if kind == "LSTM" else 1
    state, dstate = ([rng.normal(size=(layers, rows, 4)).astype(dtype) for _ in range(count)] for _ in "ab")
    their_x = torch.from_numpy(x).clone().requires_grad_()
    their_state = [torch.from_numpy(part).clone().requires_grad_() for part in state]
    their_y, their_end = theirs(their_x, outer(their_state))
    y, end = layer.forward(x, state=outer(state))
    dy = rng.normal(size=y.shape).astype(dtype)
    total = (their_y * torch.from_numpy(dy)).sum()
    for part, gradient in zip(flat(their_end), dstate, strict=True):
        total = total + (part * torch.from_numpy(gradient)).sum()
    total.backward()
    dx = layer.backward((dy, outer(dstate)))
    pairs = [(y, their_y), (dx, their_x.grad)]
    pairs += list(zip(flat(end), flat(their_end), strict=True))
    pairs += [(got, want.grad) for got, want in zip(flat(layer.dstate), their_state, strict=True)]
    pairs += [(layer.grads[name], theirs.get_parameter(name).grad) for name in layer.grads]
    for got, want in pairs:
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want.detach().numpy(), atol=tolerance)


@each_kind
def test_finite_differences_of_output_and_state(kind: str, options: dict[str, Any]) -> None:
    x = np.random.default_rng(0).normal(size=(4, 2, 3))
    errors = nn.check_gradients(make(kind, **options), x)
    assert len(errors) == (9 if options.get("bias", True) else 5) and max(errors.values()) < 1e-8


@each_kind
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_state_carries_a_sequence_on(kind: str, options: dict[str, Any], batch_first: bool) -> None:
    layer = make(kind, batch_first=batch_first, **options)
    x = np.random.default_rng(0).normal(size=(7, 7, 3))
    whole, end = layer.forward(x)
    axis, state, parts = int(batch_first), None, []
    for piece in np.split(x, [2, 3], axis=axis):
        output, state = layer.forward(piece, state=state)
        parts.append(output)
    np.testing.assert_allclose(np.concatenate(parts, axis=axis), whole, rtol=1e-13, atol=1e-15)
    for got, want in zip(flat(state), flat(end), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-15)


@each_kind
def test_truncation_is_forward_and_backward_piece_by_piece(kind: str, options: dict[str, Any]) -> None:
    x = np.random.default_rng(0).normal(size=(7, 5, 3))
    dy = np.random.default_rng(1).normal(size=(7, 5, 4))
    truncated, pieces, full = make(kind, truncate=3, **options), make(kind, **options), make(kind, **options)
    for layer in (truncated, full):
        layer.forward(x)
    dx, dx_full = truncated.backward(dy), full.backward(dy)
    state, parts = None, []
    for start in (0, 3, 6):
        _, state = pieces.forward(x[start : start + 3], state=state)
        parts.append(pieces.backward(dy[start : start + 3]))
    np.testing.assert_allclose(dx, np.concatenate(parts), rtol=1e-12, atol=1e-14)
    for name, grad in truncated.grads.items():
        np.testing.assert_allclose(grad, pieces.grads[name], rtol=1e-12, atol=1e-14)
    assert np.abs(dx - dx_full).max() > 1e-4, "something was cut"
    np.testing.assert_array_equal(dx[-1], dx_full[-1])
    longer = make(kind, truncate=7, **options)
    longer.forward(x)
    np.testing.assert_array_equal(longer.backward(dy), dx_full)


@each_kind
def test_the_initial_state_gets_its_gradient_from_the_first_piece(kind: str, options: dict[str, Any]) -> None:
    x = np.random.default_rng(0).normal(size=(4, 5, 3))
    dy = np.random.default_rng(1).normal(size=(4, 5, 4))
    truncated, first = make(kind, truncate=2, **options), make(kind, **options)
    start = outer([np.full((2, 5, 4), 0.3) for _ in range(2 if kind == "LSTM" else 1)])
    truncated.forward(x, state=start)
    truncated.backward(dy)
    first.forward(x[:2], state=start)
    first.backward(dy[:2])
    for got, want in zip(flat(truncated.dstate), flat(first.dstate), strict=True):
        assert got.any()
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-15)
    truncated.forward(x)
    truncated.backward(dy)
    assert truncated.dstate is None, "no state was given"


def test_no_gradient_crosses_a_border() -> None:
    layer = make("LSTM", 1, truncate=2)
    layer.forward(np.ones((5, 1, 3)))
    dy = np.zeros((5, 1, 4))
    dy[3] = 1.0
    reached = layer.backward(dy).any(axis=(1, 2))
    assert reached.tolist() == [False, False, True, True, False]


def test_g4_the_way_along_c_keeps_a_gradient_that_an_rnn_loses() -> None:
    """Of the last state by the first input, 60 steps before: by f near 1 in the LSTM, by W_hh·f′ in the RNN."""
    reach = {}
    for kind in ("RNN", "LSTM"):
        layer = getattr(nn, kind)(3, 8, dtype="float64", seed=0)
        if kind == "LSTM":
            layer.params["bias_ih_l0"][8:16] = 5.0  # the gate f
        x = np.random.default_rng(0).normal(size=(60, 4, 3))
        _, state = layer.forward(x)
        dx = layer.backward((None, outer([np.ones_like(part) for part in flat(state)])))
        reach[kind] = np.abs(dx[0]).max() / np.abs(dx[-1]).max()
    assert reach["RNN"] < 1e-6 < 0.01 < reach["LSTM"]


def test_an_lstm_learns_to_remember_the_first_step() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(128, 8, 1)).astype(np.float32)
    label = (x[:, 0] > 0).astype(np.float32)
    model = nn.Sequential(
        {
            "lstm": nn.LSTM(1, 8, batch_first=True, rng=rng),
            "last": nn.LastState(),
            "out": nn.Linear(8, 1, rng=rng),
        }
    )
    loss, optimizer = nn.BCEWithLogitsLoss(), fs.optim.Adam(arena := fs.Arena(model), lr=0.03)
    for _ in range(120):
        arena.zero_grad()
        value = loss.forward(model.forward(x), label)
        model.backward(loss.backward())
        optimizer.step()
    assert value < 0.2


@each_kind
def test_what_does_not_fit_is_refused(kind: str, options: dict[str, Any]) -> None:
    layer = make(kind, **options)
    x = np.zeros((6, 5, 3))
    y, state = layer.forward(x)
    parts = flat(state)
    own = "state[0]" if len(parts) > 1 else "state"
    cases: list[tuple[Any, Any, type[Exception], str]] = [
        (x[0], None, ValueError, "x: got shape (5, 3), need (steps, rows, 3)"),
        (x[:0], None, ValueError, "x: got shape (0, 5, 3): no steps"),
        (
            x,
            outer([part[:, :-1] for part in parts]),
            ValueError,
            f"{own}: got shape (2, 4, 4), need (2, 5, 4)",
        ),
        (
            x,
            outer([part.astype(np.float32) for part in parts]),
            TypeError,
            f"{own}: got dtype float32, need float64",
        ),
    ]
    if kind == "LSTM":
        cases.append((x, parts[0], TypeError, "state: got ndarray, need (h, c), each of shape (2, 5, 4)"))
    for bad, bad_state, error, message in cases:
        with pytest.raises(error) as caught:
            layer.forward(bad, state=bad_state)
        assert str(caught.value).startswith(f"{kind}: {message}")
        with pytest.raises(RuntimeError, match="backward before forward"):
            layer.backward(y)
    if kind == "LSTM":
        with pytest.raises(TypeError, match=r"LSTM: state\[1\]: got NoneType"):
            layer.forward(x, state=(parts[0], None))
    layer.forward(x)
    for dy in ((None, None), (None, (None,) * len(parts)), None, (y[:-1], None), [y], (y, None, None)):
        with pytest.raises((TypeError, ValueError), match=f"{kind}: dy: got"):
            layer.backward(dy)
    assert not any(grad.any() for grad in layer.grads.values())
    layer.backward(y)
    for adapter in (nn.LastState(), nn.AllSteps()):
        with pytest.raises(TypeError, match=r"x: got ndarray, need the pair \(output, state\)"):
            adapter.forward(y)


@pytest.mark.parametrize("kind", ["RNN", "LSTM"])
def test_all_parameters_start_within_one_over_the_root_of_the_hidden_units(kind: str) -> None:
    layer = getattr(nn, kind)(7, 100, seed=0)
    for name, array in layer.params.items():
        assert 0.09 < np.abs(array).max() <= 0.1, name
        assert array.std() == pytest.approx(0.1 / 3**0.5, rel=0.1), name
