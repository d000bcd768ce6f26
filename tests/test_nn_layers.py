"""One table of layers drives the tests that every layer must pass; what only some can do stands below."""

from __future__ import annotations

import copy
import pickle
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep import nn, reference
from fourstep._runtime import override
from fourstep.nn import _check
from fourstep.reference import elementary

Array = np.ndarray[Any, Any]

DTYPES = ("float32", "float64")


def away_from_zero(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Random numbers that keep clear of ReLU's kink."""
    x = rng.normal(size=shape)
    return x + np.sign(x) * 0.1


@dataclass(frozen=True)
class Row:
    """A layer of the table."""

    name: str
    make: Callable[[str], nn.Module]  # dtype -> layer, the same one each time
    shape: tuple[int, ...]  # of one row of the input
    output: tuple[int, ...]  # of one row of the output
    indices: tuple[int, ...] = ()  # sizes of the fields, for a layer that takes indices
    rows: int = 0  # the least number of rows in training
    any_shape: bool = False  # elementwise: any shape and either dtype goes in
    any_dtype: bool = False  # no parameters: either dtype goes in
    need: str = "(rows, 4)"  # what is said of a wrong shape
    torch: str = ""  # the same layer there, as an expression of t = torch.nn and d = dtype

    def __str__(self) -> str:
        return self.name

    def inputs(self, rows: int, dtype: str, seed: int = 0) -> Array:
        rng = np.random.default_rng(seed)
        if self.indices:
            return np.stack([rng.integers(0, n, rows) for n in self.indices], axis=1).reshape(
                rows, *self.shape
            )
        return away_from_zero(rng, (rows, *self.shape)).astype(dtype)

    def gradients(self, rows: int, dtype: str) -> Array:
        return np.random.default_rng(99).normal(size=(rows, *self.output)).astype(dtype)


def recurrent(kind: str, last: bool, dtype: str, **options: Any) -> nn.Module:
    made: nn.Module = getattr(nn, kind)(4, 3, 2, batch_first=True, dtype=dtype, seed=1, **options)
    return nn.Sequential(made, nn.LastState() if last else nn.AllSteps())


def tree(dtype: str) -> nn.Module:
    rng = np.random.default_rng(5)
    block = nn.block(4, 6, activation="tanh", dropout=0.25, dtype=dtype, rng=rng)
    return nn.Sequential({"block": block, "out": nn.Linear(6, 3, dtype=dtype, rng=rng)})


class Halves(nn.Module):
    """The four columns of x as two inputs for a Concat."""

    def __init__(self, dtype: str) -> None:
        super().__init__()
        self.dtype = np.dtype(dtype)

    @property
    def row_for_row(self) -> bool:
        return False

    def forward(self, x: Array, out: Any = None) -> tuple[Array, Array]:
        self.drop(spent=False)
        _check.matrix(self.label, "x", x, 4, self.dtype)
        self.keep(())
        return x[:, :2], x[:, 2:]

    def backward(self, dy: tuple[Array, Array], out: Array | None = None) -> Array:
        self.kept()
        self.drop()
        return np.concatenate(dy, axis=1, out=out)


LAYERS = [
    Row("Linear", lambda d: nn.Linear(4, 3, dtype=d, seed=1), (4,), (3,), torch="t.Linear(4, 3, dtype=d)"),
    Row(
        "Linear without bias",
        lambda d: nn.Linear(4, 3, bias=False, dtype=d, seed=1),
        (4,),
        (3,),
        torch="t.Linear(4, 3, bias=False, dtype=d)",
    ),
    Row(
        "BatchNorm",
        lambda d: nn.BatchNorm(4, eps=1e-3, dtype=d),
        (4,),
        (4,),
        rows=2,
        torch="t.BatchNorm1d(4, eps=1e-3, dtype=d)",
    ),
    Row(
        "Embedding",
        lambda d: nn.Embedding(9, 3, dtype=d, seed=1),
        (),
        (3,),
        indices=(9,),
        torch="t.Embedding(9, 3, dtype=d)",
    ),
    Row(
        "Embedding of matrices",
        lambda d: nn.Embedding(9, 3, dtype=d, seed=1),
        (2,),
        (2, 3),
        indices=(9, 9),
        torch="t.Embedding(9, 3, dtype=d)",
    ),
    Row(
        "FieldEmbedding",
        lambda d: nn.FieldEmbedding([9, 1, 5], 3, dtype=d, seed=1),
        (3,),
        (9,),
        indices=(9, 1, 5),
    ),
    Row("Dropout", lambda d: nn.Dropout(0.4, seed=1), (5,), (5,), any_shape=True),
    Row("Dropout of nothing", lambda d: nn.Dropout(0, seed=1), (5,), (5,), any_shape=True),
    Row("Identity", lambda d: nn.Identity(), (5,), (5,), any_shape=True, torch="t.Identity()"),
    Row("Sigmoid", lambda d: nn.Sigmoid(), (5,), (5,), any_shape=True, torch="t.Sigmoid()"),
    Row("Tanh", lambda d: nn.Tanh(), (5,), (5,), any_shape=True, torch="t.Tanh()"),
    Row("ReLU", lambda d: nn.ReLU(), (5,), (5,), any_shape=True, torch="t.ReLU()"),
    Row("LeakyReLU", lambda d: nn.LeakyReLU(0.2), (5,), (5,), any_shape=True, torch="t.LeakyReLU(0.2)"),
    Row("ELU", lambda d: nn.ELU(0.7), (5,), (5,), any_shape=True, torch="t.ELU(0.7)"),
    Row("GELU", lambda d: nn.GELU(), (5,), (5,), any_shape=True, torch="t.GELU()"),
    Row("GELU, tanh", lambda d: nn.GELU("tanh"), (5,), (5,), any_shape=True, torch="t.GELU('tanh')"),
    Row("SiLU", lambda d: nn.SiLU(), (5,), (5,), any_shape=True, torch="t.SiLU()"),
    Row("Softplus", lambda d: nn.Softplus(), (5,), (5,), any_shape=True, torch="t.Softplus(threshold=99)"),
    Row("Softmax", lambda d: nn.Softmax(), (5,), (5,), any_shape=True, torch="t.Softmax(-1)"),
    Row(
        "Softmax along 1 of 3", lambda d: nn.Softmax(1), (4, 3), (4, 3), any_shape=True, torch="t.Softmax(1)"
    ),
    Row("LogSoftmax", lambda d: nn.LogSoftmax(), (5,), (5,), any_shape=True, torch="t.LogSoftmax(-1)"),
    Row("Maxout", lambda d: nn.Maxout(3), (6,), (2,), any_shape=True),
    Row(
        "LayerNorm",
        lambda d: nn.LayerNorm(4, dtype=d),
        (4,),
        (4,),
        need="(…, 4)",
        torch="t.LayerNorm(4, dtype=d)",
    ),
    Row(
        "LayerNorm over two, without bias",
        lambda d: nn.LayerNorm((2, 4), eps=0.1, bias=False, dtype=d),
        (3, 2, 4),
        (3, 2, 4),
        need="(…, 2, 4)",
        torch="t.LayerNorm((2, 4), eps=0.1, bias=False, dtype=d)",
    ),
    Row(
        "LayerNorm, not affine",
        lambda d: nn.LayerNorm(4, elementwise_affine=False, dtype=d),
        (4,),
        (4,),
        need="(…, 4)",
        torch="t.LayerNorm(4, elementwise_affine=False, dtype=d)",
    ),
    Row(
        "EmbeddingBag, mean",
        lambda d: nn.EmbeddingBag(9, 3, padding_idx=2, dtype=d, seed=1),
        (4,),
        (3,),
        indices=(9, 9, 3, 4),
        torch="t.EmbeddingBag(9, 3, padding_idx=2, dtype=d)",
    ),
    Row(
        "EmbeddingBag, sum",
        lambda d: nn.EmbeddingBag(9, 3, mode="sum", dtype=d, seed=1),
        (2,),
        (3,),
        indices=(9, 9),
        torch="t.EmbeddingBag(9, 3, mode='sum', dtype=d)",
    ),
    Row("FMInteraction", lambda d: nn.FMInteraction(2, 2), (4,), (1,), any_dtype=True),
    Row(
        "FMInteraction, not pooled",
        lambda d: nn.FMInteraction(2, 2, pooled=False),
        (4,),
        (2,),
        any_dtype=True,
    ),
    Row("RNN", lambda d: recurrent("RNN", False, d), (5, 4), (5, 3), need="(rows, steps, 4)"),
    Row(
        "RNN of ReLU, last state",
        lambda d: recurrent("RNN", True, d, nonlinearity="relu", bias=False),
        (5, 4),
        (3,),
        need="(rows, steps, 4)",
    ),
    Row("LSTM", lambda d: recurrent("LSTM", False, d), (5, 4), (5, 3), need="(rows, steps, 4)"),
    Row("LSTM, last state", lambda d: recurrent("LSTM", True, d), (5, 4), (3,), need="(rows, steps, 4)"),
    Row("Flatten", lambda d: nn.Flatten(), (2, 3), (6,), any_shape=True, torch="t.Flatten()"),
    Row("Residual", lambda d: nn.Residual(nn.Linear(4, 4, dtype=d, seed=1)), (4,), (4,)),
    Row(
        "Residual past a shortcut",
        lambda d: nn.Residual(nn.Linear(4, 3, dtype=d, seed=1), nn.Linear(4, 3, bias=False, dtype=d, seed=2)),
        (4,),
        (3,),
    ),
    Row("Sequential", tree, (4,), (3,), rows=2),
    Row(
        "Concat",
        lambda d: nn.Sequential(
            Halves(d), nn.Concat(nn.Linear(2, 3, dtype=d, seed=1), nn.Linear(2, 2, dtype=d, seed=2))
        ),
        (4,),
        (5,),
    ),
]

each_layer = pytest.mark.parametrize("row", LAYERS, ids=str)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


@pytest.fixture(scope="module")
def torch() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("torch", reason="torch is the oracle of this test and is not installed")


# The table.


def test_every_layer_is_in_the_table() -> None:
    public = {each for name in nn.__all__ if isinstance(each := getattr(nn, name), type)}
    layers = {each for each in public if issubclass(each, nn.Module)} - {nn.Module}
    assert layers <= {type(module) for row in LAYERS for _, module in row.make("float32").modules()}


@each_layer
@pytest.mark.parametrize("training", [True, False])
def test_finite_differences(row: Row, training: bool) -> None:
    layer = row.make("float64").train(training)
    errors = nn.check_gradients(layer, row.inputs(6, "float64"), tolerance=1e-6)
    assert set(errors) == set(layer.named_parameters()) | (set() if row.indices else {"x"})
    sensitive = copy.deepcopy(layer)
    assert errors == nn.check_gradients(sensitive, row.inputs(6, "float64")), "nothing was left changed"


@each_layer
@each_dtype
@pytest.mark.parametrize("rows", [0, 1, 2, 7])
def test_shapes_and_dtypes_at_any_number_of_rows(row: Row, dtype: str, rows: int) -> None:
    for training in (True, False):
        layer = row.make(dtype).train(training)
        x, dy = row.inputs(rows, dtype), row.gradients(rows, dtype)
        if training and rows < row.rows:
            with pytest.raises(ValueError, match=f"{rows} rows? in training, need at least {row.rows}"):
                layer.forward(x)
            continue
        y = layer.forward(x)
        assert (y.shape, y.dtype) == ((rows, *row.output), np.dtype(dtype))
        dx = layer.backward(dy)
        if row.indices:
            assert dx is None
        else:
            assert (dx.shape, dx.dtype) == (x.shape, np.dtype(dtype))


@each_layer
@each_dtype
def test_out_and_strides_change_no_bit(row: Row, dtype: str) -> None:
    x, dy = row.inputs(7, dtype), row.gradients(7, dtype)
    plain = row.make(dtype)
    y, dx = plain.forward(x), plain.backward(dy)
    for wide in (np.empty_like, lambda a: np.empty((*a.shape[:-1], a.shape[-1] + 3), a.dtype)[..., 1:-2]):
        layer = row.make(dtype)
        out = wide(y)
        assert layer.forward(x, out=out) is out
        assert out.tobytes() == y.tobytes()
        if dx is None:
            layer.backward(dy)
        else:
            dx_out = wide(dx)
            assert layer.backward(dy, out=dx_out) is dx_out
            assert dx_out.tobytes() == dx.tobytes()
    layer = row.make(dtype)
    apart = np.repeat(x, 2, axis=0)[::2]
    columns = np.repeat(dy, 2, axis=-1)[..., ::2]
    assert not columns.flags.c_contiguous
    for given in (apart, columns):
        given.flags.writeable = False
    assert layer.forward(apart).tobytes() == y.tobytes()
    again = layer.backward(columns)
    assert again is None or again.tobytes() == dx.tobytes()
    for name, grad in plain.named_grads().items():
        assert layer.named_grads()[name].tobytes() == grad.tobytes(), name


@each_layer
@each_dtype
def test_an_output_that_does_not_fit_is_refused(row: Row, dtype: str) -> None:
    layer, x = row.make(dtype), row.inputs(7, dtype)
    y = layer.forward(x)
    other = "float32" if dtype == "float64" else "float64"
    locked = np.empty_like(y)
    locked.flags.writeable = False
    for out, kind, message in [
        (np.empty((6, *row.output), dtype), ValueError, r"out: got shape \(6, "),
        (np.empty(y.shape, other), TypeError, f"out: got dtype {other}, need {dtype}"),
        (locked, ValueError, "out: got a read-only array"),
        ([], TypeError, "out: got list, need a NumPy array"),
    ]:
        with pytest.raises(kind, match=message):
            layer.forward(x, out=out)
    if row.shape == row.output and not row.indices:
        if row.name != "BatchNorm":  # which works in place
            with pytest.raises(ValueError, match="out: its memory overlaps"):
                layer.forward(x, out=x)
        layer.forward(x)
        dy = row.gradients(7, dtype)
        with pytest.raises(ValueError, match="out: its memory overlaps"):
            layer.backward(dy, out=dy)


@each_layer
@each_dtype
def test_an_input_that_does_not_fit_is_refused_by_name(row: Row, dtype: str) -> None:
    model = nn.Sequential({"inner": row.make(dtype)})
    other = "float32" if dtype == "float64" else "float64"
    x = row.inputs(7, dtype)
    label = r"\w+ 'inner(\.\w+)*': "
    cases: list[tuple[Any, type[Exception], str]] = [
        (x.tolist(), TypeError, "x: got list, need a NumPy array"),
        (np.ma.masked_array(x, mask=True), TypeError, "x: got a masked array, need a plain one"),
    ]
    if row.indices:
        cases.append((x.astype(float), TypeError, "x: got dtype float64, need a whole-number dtype"))
        cases.append((x - 1, ValueError, "x: got index -1 at row "))
        cases.append((x + 100, ValueError, r"x: got index 1\d\d at row 0, \w+ 0, need 0 to 8 \(\d+ indices"))
        cases.append((x.astype(np.uint64) + 2**63, ValueError, "x: got index 92233720368547758"))
    elif row.any_shape:
        cases.append((np.ones(3, np.int64), TypeError, "x: got dtype int64, need float32 or float64"))
        cases.append((np.ones(3, np.float16), TypeError, "x: got dtype float16, need float32 or float64"))
    else:
        swapped = x.dtype.newbyteorder()
        if not row.any_dtype:
            cases.append((x.astype(other), TypeError, f"x: got dtype {other}, need {dtype}"))
        cases.append((x.astype(swapped), TypeError, f"x: got dtype {swapped}"))
        for unfit in (x[..., :-1], x[..., None][..., 0, :], x[0]):
            if unfit.shape[-len(row.shape) :] != row.shape or "rows" in row.need:
                shape = re.escape(f"x: got shape {unfit.shape}, need {row.need}")
                cases.append((unfit, ValueError, shape))
    for bad, kind, message in cases:
        model.forward(x)
        with pytest.raises(kind, match=label + message):
            model.forward(bad)
        with pytest.raises(RuntimeError, match=label + "backward"):  # not by what an earlier forward kept
            model.backward(row.gradients(7, dtype))


@each_layer
@each_dtype
def test_a_gradient_that_does_not_fit_is_refused_and_nothing_added(row: Row, dtype: str) -> None:
    layer = row.make(dtype)
    layer.forward(row.inputs(7, dtype))
    dy = row.gradients(7, dtype)
    other = "float32" if dtype == "float64" else "float64"
    cases: list[tuple[Any, type[Exception], str]] = [
        (dy[:-1], ValueError, r"dy: got shape \(6, "),
        (dy.astype(other), TypeError, f"dy: got dtype {other}, need {dtype}"),
        (None, TypeError, "dy: got NoneType"),
    ]
    for bad, kind, message in cases:
        with pytest.raises(kind, match=message):
            layer.backward(bad)
    assert not any(grad.any() for grad in layer.named_grads().values())
    layer.backward(dy)


@each_layer
def test_backward_needs_a_forward_of_its_own(row: Row) -> None:
    model = nn.Sequential({"inner": row.make("float32")})
    dy = row.gradients(7, "float32")
    label = r"\w+ 'inner(\.\w+)*': "
    with pytest.raises(RuntimeError, match=label + "backward before forward"):
        model.backward(dy)
    model.forward(row.inputs(7, "float32"))
    model.backward(dy)
    with pytest.raises(
        RuntimeError, match=label + "backward twice: each backward needs a forward of its own"
    ):
        model.backward(dy)
    model.forward(row.inputs(7, "float32"))
    model.release()
    with pytest.raises(RuntimeError, match=label + "backward before forward"):
        model.backward(dy)


@each_layer
@each_dtype
def test_backward_adds_to_the_gradients_and_zero_grad_clears_them(row: Row, dtype: str) -> None:
    layer = row.make(dtype).eval()  # the same pass each time
    x, dy = row.inputs(7, dtype), row.gradients(7, dtype)
    layer.forward(x)
    layer.backward(dy)
    once = {name: grad.copy() for name, grad in layer.named_grads().items()}
    assert all(grad.any() for grad in once.values())
    layer.forward(x)
    layer.backward(dy)
    for name, grad in layer.named_grads().items():
        np.testing.assert_allclose(grad, 2 * once[name], rtol=1e-5, err_msg=name)
    layer.zero_grad()
    assert not any(grad.any() for grad in layer.named_grads().values())


@each_layer
@each_dtype
def test_the_same_seed_gives_the_same_run_and_state_carries_it_on(row: Row, dtype: str) -> None:
    def steps(layer: nn.Module, first: int, last: int) -> list[bytes]:
        return [layer.forward(row.inputs(7, dtype, seed=s)).tobytes() for s in range(first, last)]

    layer = row.make(dtype)
    want = steps(layer, 0, 6)
    assert steps(row.make(dtype), 0, 6) == want
    layer = row.make(dtype)
    steps(layer, 0, 3)
    resumed = row.make(dtype)
    for array in resumed.named_parameters().values():
        array.fill(0.5)
    resumed.load_state_dict(layer.state_dict())
    assert steps(resumed, 3, 6) == want[3:]
    assert steps(pickle.loads(pickle.dumps(layer)), 3, 6) == want[3:]


@pytest.mark.parametrize("row", [row for row in LAYERS if row.torch], ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-6), ("float64", 1e-12)])
def test_torch_agrees(torch: Any, row: Row, dtype: str, tolerance: float) -> None:
    layer = row.make(dtype)
    theirs = eval(row.torch, {"t": torch.nn, "d": getattr(torch, dtype)})
    theirs.load_state_dict({name: torch.from_numpy(array) for name, array in layer.state_dict().items()})
    x, dy = row.inputs(50, dtype), row.gradients(50, dtype)
    their_x = torch.from_numpy(x).clone()
    if not row.indices:
        their_x.requires_grad_()
    their_y = theirs(their_x)
    if their_y.requires_grad:
        their_y.backward(torch.from_numpy(dy))
    y, dx = layer.forward(x), layer.backward(dy)
    pairs = [(y, their_y), *((g, theirs.get_parameter(name).grad) for name, g in layer.named_grads().items())]
    if not row.indices:
        pairs.append((dx, their_x.grad))
    for got, want in pairs:
        want = want.detach().numpy()
        assert np.abs(got - want).max() <= tolerance * max(1.0, np.abs(want).max())
    assert list(layer.state_dict()) == list(theirs.state_dict())


# Linear.


def test_linear_starts_within_one_over_the_root_of_its_inputs() -> None:
    layer = nn.Linear(100, 400, seed=0)
    for array in layer.params.values():
        assert 0.09 < np.abs(array).max() <= 0.1
        assert array.std() == pytest.approx(0.1 / 3**0.5, rel=0.05)
    wide = nn.Linear(100, 400, dtype="float64", seed=0)
    assert (wide.params["weight"].astype(np.float32) == layer.params["weight"]).all(), "rounded from float64"


@pytest.mark.parametrize("arguments", [(0, 3), (3, 0), (-1, 3)])
def test_linear_refuses_sizes_below_one(arguments: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"(in|out)_features: got -?\d, need at least 1"):
        nn.Linear(*arguments)


def test_arguments_of_the_wrong_kind_are_refused() -> None:
    for size in (1.5, True, np.ones(2)):
        with pytest.raises(TypeError, match="in_features: got .*, need a whole number of at least 1"):
            nn.Linear(size, 2)  # type: ignore[arg-type]
    for make in (lambda d: nn.Linear(2, 2, dtype=d), lambda d: nn.BatchNorm(2, dtype=d)):
        for dtype in ("float16", "int32", ">f4", "nonsense"):
            with pytest.raises(TypeError, match=f"dtype: got '{dtype}', need 'float32' or 'float64'"):
                make(dtype)
    with pytest.raises(ValueError, match="got both seed=1 and rng"):
        nn.Linear(2, 2, seed=1, rng=np.random.default_rng(0))
    makers: list[tuple[str, Any]] = [
        ("bias", partial(nn.Linear, 2, 3)),
        ("bias", partial(nn.LayerNorm, 3)),
        ("elementwise_affine", partial(nn.LayerNorm, 3)),
        ("bias", partial(nn.LSTM, 2, 3)),
        ("batch_first", partial(nn.RNN, 2, 3)),
    ]
    for name, made in makers:
        with pytest.raises(TypeError, match=f"{name}: got 'no', need True or False"):
            made(**{name: "no"})
    with pytest.raises(TypeError, match="rng: got RandomState"):
        nn.Linear(2, 2, rng=np.random.RandomState(0))  # type: ignore[arg-type]


# Embeddings.


@each_dtype
def test_the_gradient_of_an_embedding_is_that_of_add_at_on_any_number_of_threads(dtype: str) -> None:
    sizes, dim, rows = [50, 3, 1, 200], 9, 700
    rng = np.random.default_rng(0)
    x = np.stack([rng.integers(0, n, rows) for n in sizes], axis=1)
    dy = rng.normal(size=(rows, 4 * dim)).astype(dtype)
    want = np.zeros((sum(sizes), dim), dtype)
    np.add.at(want, (x + np.cumsum([0, *sizes[:-1]])).ravel(), dy.reshape(-1, dim))
    for threads in (1, 2, 3, 7):
        layer = nn.FieldEmbedding(sizes, dim, dtype=dtype, seed=0)
        with override(threads=threads, serial_below=0, chunk=64):
            y = layer.forward(x)
            layer.backward(dy)
        assert layer.grads["weight"].tobytes() == want.tobytes(), f"{threads} threads"
        for f, rows_of_field in enumerate(layer.slices):
            field = layer.params["weight"][rows_of_field]
            assert (y[:, f * dim : (f + 1) * dim] == field[x[:, f]]).all(), f"{threads} threads"


def test_an_index_outside_its_field_is_named_and_nothing_is_written() -> None:
    layer = nn.FieldEmbedding([5, 3], 2, seed=0)
    x = np.array([[4, 2], [0, 3], [5, 0]])
    out = np.full((3, 4), 7, np.float32)
    with pytest.raises(
        ValueError, match=r"got index 3 at row 1, field 1, need 0 to 2 \(2 indices are out of range\)"
    ):
        layer.forward(x, out=out)
    assert (out == 7).all()
    with pytest.raises(ValueError, match=r"x: got shape \(3, 1\), need \(rows, 2\)"):
        layer.forward(x[:, :1])


def test_narrow_index_dtypes_are_welcome() -> None:
    layer = nn.FieldEmbedding([5, 3], 2, seed=0)
    x = np.array([[4, 2], [0, 1]])
    want = layer.forward(x)
    for dtype in ("int8", "uint8", "int32", "uint64", ">i4"):
        assert (layer.forward(x.astype(dtype)) == want).all(), dtype


def test_an_index_alone_has_a_row_and_a_gradient() -> None:
    layer = nn.Embedding(3, 2, dtype="float64", seed=0)
    assert layer.forward(np.array(2)).tolist() == layer.params["weight"][2].tolist()
    layer.backward(np.array([3.0, 4.0]))
    assert layer.grads["weight"].tolist() == [[0, 0], [0, 0], [3, 4]]


def test_indices_have_no_gradient_to_write() -> None:
    layer = nn.Embedding(3, 2, seed=0)
    layer.forward(np.array([1]))
    with pytest.raises(TypeError, match="indices have no gradient"):
        layer.backward(np.ones((1, 2), np.float32), out=np.empty(1))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Embedding(0, 2), "num_embeddings: got 0"),
        (lambda: nn.Embedding(3, 0), "embedding_dim: got 0"),
        (lambda: nn.FieldEmbedding([], 2), "num_embeddings: got no fields"),
        (lambda: nn.FieldEmbedding([3, 0], 2), r"num_embeddings\[1\]: got 0"),
    ],
)
def test_empty_tables_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


# EmbeddingBag.


@pytest.mark.parametrize("mode", ["sum", "mean"])
@pytest.mark.parametrize("padding", [None, 2])
@pytest.mark.parametrize("sparse", [False, True])
def test_bags_by_offsets_are_those_of_torch(torch: Any, mode: Any, padding: int | None, sparse: bool) -> None:
    rng = np.random.default_rng(0)
    counts = np.array([0, 3, 1, 0, 5, 2, 0])
    ids, offsets = rng.integers(0, 9, counts.sum()), np.cumsum(counts) - counts
    layer = nn.EmbeddingBag(9, 3, mode=mode, padding_idx=padding, sparse=sparse, dtype="float64", seed=1)
    layer.params["weight"][...] = rng.normal(size=(9, 3))
    theirs = torch.nn.EmbeddingBag(9, 3, mode=mode, padding_idx=padding, dtype=torch.float64)
    theirs.load_state_dict({name: torch.from_numpy(array) for name, array in layer.state_dict().items()})
    their_y = theirs(torch.from_numpy(ids), torch.from_numpy(offsets))
    dy = rng.normal(size=(7, 3))
    their_y.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(
        layer.forward((ids, offsets)), their_y.detach().numpy(), rtol=1e-14, atol=1e-15
    )
    layer.backward(dy)
    grad = layer.grads["weight"].copy()
    if sparse:
        assert not grad.any()
        assert layer.sparse_parameters() == ["weight"]
        rows, by_row = layer.take_row_grads()["weight"]
        assert padding not in rows
        np.add.at(grad, rows, by_row)
    np.testing.assert_allclose(grad, theirs.weight.grad.numpy(), rtol=1e-13, atol=1e-15)
    errors = nn.check_gradients(layer, (ids, offsets))
    assert list(errors) == ["weight"] and errors["weight"] < 1e-8


def test_padded_rows_and_offsets_are_two_forms_of_the_same_bags() -> None:
    padded = np.array([[4, 0, 0], [0, 0, 0], [1, 2, 3], [0, 5, 5]])
    real = padded != 0
    ids, offsets = padded[real], np.cumsum(real.sum(1)) - real.sum(1)
    layer = nn.EmbeddingBag(6, 2, padding_idx=0, dtype="float64", seed=0)
    assert not layer.params["weight"][0].any(), "the row of the padding starts at zero"
    layer.params["weight"][0] = 1e9  # whatever it is, it is left out
    by_row, by_offset = layer.forward(padded), layer.forward((ids, offsets))
    assert by_row.tobytes() == by_offset.tobytes()
    np.testing.assert_allclose(by_row[2], layer.params["weight"][1:4].mean(0), rtol=1e-15)
    assert not by_row[1].any()


def test_training_bags_by_rows_is_dense_training() -> None:
    x = np.random.default_rng(0).integers(0, 30, (16, 4))
    label = (x.sum(1, keepdims=True) % 2).astype(np.float64)
    ends = []
    for sparse in (False, True):
        bag = nn.EmbeddingBag(30, 3, padding_idx=0, sparse=sparse, dtype="float64", seed=0)
        model = nn.Sequential({"bag": bag, "out": nn.Linear(3, 1, dtype="float64", seed=1)})
        groups: list[dict[str, Any]] = [{"params": "bag.weight", "sparse": sparse}, {"params": ...}]
        optimizer = fs.optim.AdaGrad(arena := fs.Arena(model), lr=0.1, groups=groups)
        loss = nn.BCEWithLogitsLoss()
        for _ in range(10):
            arena.zero_grad()
            loss.forward(model.forward(x), label)
            model.backward(loss.backward())
            optimizer.step(rows=model.take_row_grads() or None)
        assert not model.named_parameters()["bag.weight"][0].any(), "the padding learns nothing"
        ends.append(model.state_dict())
    for name, array in ends[0].items():
        np.testing.assert_allclose(ends[1][name], array, rtol=1e-10, atol=1e-13)


def test_a_model_of_bags_may_change_its_number_of_values_at_every_step() -> None:
    """As many ids as bags at first, then more: what a Sequential keeps between steps must not depend on it."""
    model = nn.Sequential(nn.EmbeddingBag(6, 2, seed=0), nn.Tanh(), nn.Linear(2, 1, seed=1))
    for counts in ([1, 1, 1], [2, 1, 1], [2, 5, 0, 1]):
        ids = np.arange(sum(counts)) % 6
        y = model.forward((ids, np.cumsum(counts) - counts))
        assert y.shape == (len(counts), 1)
        model.backward(np.ones_like(y))


@pytest.mark.parametrize(
    ("x", "kind", "message"),
    [
        (np.array([1, 2]), ValueError, r"x: got shape \(2,\), need \(bags, places\), or \(ids, offsets\)"),
        ((np.array([1, 9]), np.array([0])), ValueError, "x: got index 9 at place 1, need 0 to 5"),
        ((np.array([1, 2]), np.array([1])), ValueError, r"x\[1\]: got the offset 1 of bag 0, need offsets"),
        ((np.array([1, 2]), np.array([0, 2, 1])), ValueError, r"x\[1\]: got the offset 2 of bag 1"),
        ((np.array([1, 2]), np.array([0, 3])), ValueError, r"x\[1\]: got the offset 3 of bag 1"),
        ((np.array([[1, 2]]), np.array([0])), ValueError, r"x\[0\]: got shape \(1, 2\), need one dimension"),
        ((np.array([1]),), ValueError, "x: got 1 arrays, need two"),
        ((np.array([1.0]), np.array([0])), TypeError, "x: got dtype float64, need a whole-number dtype"),
    ],
)
def test_bags_that_do_not_fit_are_refused(x: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match="EmbeddingBag: " + message):
        nn.EmbeddingBag(6, 2, seed=0).forward(x)


# FMInteraction.


def test_the_interaction_is_the_sum_over_all_pairs() -> None:
    x = np.random.default_rng(0).normal(size=(5, 4 * 3))
    fields = x.reshape(5, 4, 3)
    pairs = sum(fields[:, i] * fields[:, j] for i in range(4) for j in range(i))
    np.testing.assert_allclose(nn.FMInteraction(4, 3, pooled=False).forward(x), pairs, rtol=1e-12, atol=1e-14)
    pooled = nn.FMInteraction(4, 3).forward(x)
    np.testing.assert_allclose(pooled, np.sum(pairs, axis=1, keepdims=True), rtol=1e-12, atol=1e-14)


def test_a_factorisation_machine_learns_what_no_sum_of_fields_can() -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 2, (256, 2))
    label = (ids[:, :1] ^ ids[:, 1:]).astype(np.float32)
    values = []
    for interaction in (True, False):
        embedding = nn.FieldEmbedding([2, 2], 4, std=0.3, seed=0)
        top = nn.FMInteraction(2, 4) if interaction else nn.Linear(8, 1, seed=1)
        model, loss = nn.Sequential(embedding, top), nn.BCEWithLogitsLoss()
        optimizer = fs.optim.Adam(arena := fs.Arena(model), lr=0.05)
        for _ in range(150):
            arena.zero_grad()
            value = loss.forward(model.forward(ids), label)
            model.backward(loss.backward())
            optimizer.step()
        values.append(value)
    assert values[0] < 0.1 and values[1] > 0.6


# LayerNorm.


def test_a_row_is_normalised_by_itself_and_a_constant_one_becomes_its_bias() -> None:
    layer = nn.LayerNorm(50, dtype="float64")
    x = np.random.default_rng(0).normal(3, 7, size=(4, 50))
    y = layer.forward(x)
    np.testing.assert_allclose(y.mean(1), 0, atol=1e-15)
    variance = x.var(1)
    np.testing.assert_allclose(y.var(1), variance / (variance + 1e-5), rtol=1e-12)
    dx = layer.backward(np.random.default_rng(1).normal(size=x.shape))
    np.testing.assert_allclose(dx.sum(1), 0, atol=1e-14)
    np.testing.assert_allclose((dx * y).sum(1), 0, atol=1e-5)
    assert layer.forward(x[:1]).tobytes() == y[:1].tobytes(), "whatever the other rows are"
    narrow = nn.LayerNorm(50)
    narrow.params["bias"] = np.full(50, 0.1)
    assert (narrow.forward(np.full((2, 50), 0.3, np.float32)) == np.float32(0.1)).all()


def test_a_large_mean_costs_layer_norm_no_digits() -> None:
    """E x² − (E x)² has none left there."""
    x = np.random.default_rng(0).normal(1e4, 1, size=(3, 1000)).astype(np.float32)
    wide = x.astype(np.float64)
    want = (wide - wide.mean(1, keepdims=True)) / np.sqrt(wide.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(nn.LayerNorm(1000).forward(x), want, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.LayerNorm(()), "normalized_shape: got no dimensions"),
        (lambda: nn.LayerNorm((3, 0)), r"normalized_shape\[1\]: got 0"),
        (lambda: nn.LayerNorm(3, eps=0.0), r"eps: got 0\.0, need a finite number above 0"),
        (lambda: nn.EmbeddingBag(3, 2, mode="max"), "mode: got 'max'"),  # type: ignore[arg-type]
        (lambda: nn.EmbeddingBag(3, 2, padding_idx=3), "padding_idx: got 3, need 0 to 2"),
        (lambda: nn.EmbeddingBag(3, 2, padding_idx=-1), "padding_idx: got -1, need at least 0"),
        (lambda: nn.FMInteraction(1, 2), "num_fields: got 1, need at least 2"),
        (lambda: nn.LSTM(2, 0), "hidden_size: got 0"),
        (lambda: nn.LSTM(2, 3, truncate=0), "truncate: got 0"),
        (lambda: nn.RNN(2, 3, nonlinearity="relu6"), "nonlinearity: got 'relu6'"),  # type: ignore[arg-type]
        (lambda: nn.Flatten().forward(np.array(1.0)), r"Flatten: x: got shape \(\), need rows"),
        (
            lambda: nn.Residual(nn.Linear(2, 3, seed=0)).forward(np.ones((4, 2), np.float32)),
            r"Residual: body made shape \(4, 3\) of float32, need \(4, 2\) of float32, that of x",
        ),
    ],
)
def test_layers_that_cannot_be_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


# Residual.


def test_g4_a_residual_passes_the_gradient_on_whatever_its_body_does() -> None:
    """Thirty layers of sigmoid: a factor of at most ¼ each; past them, the gradient arrives whole."""
    x = np.random.default_rng(0).normal(size=(4, 6))
    norms = []
    for residual in (False, True):
        blocks = [
            nn.block(6, 6, activation="sigmoid", batch_norm=False, dtype="float64", seed=i) for i in range(30)
        ]
        model = nn.Sequential(*(nn.Residual(each) if residual else each for each in blocks))
        dy = np.ones_like(model.forward(x))
        norms.append(float(np.linalg.norm(model.backward(dy)) / np.linalg.norm(dy)))
    assert norms[0] < 1e-15 < 0.1 < norms[1]


# Dropout.


@each_dtype
@pytest.mark.parametrize("p", [0.1, 0.5, 1.0])
def test_masks_are_those_of_the_twin_on_every_path(dtype: str, p: float) -> None:
    x = np.random.default_rng(0).normal(size=(45, 23)).astype(dtype)
    seed = 2**64 - 5
    for level in fs.runtime().levels:
        for threads in (1, 2, 3, 7):
            layer = nn.Dropout(p, seed=seed)
            with override(level=level, threads=threads, chunk=64, serial_below=0):
                for step in range(3):
                    want = reference.dropout(x, p, seed, step)
                    assert layer.forward(x).tobytes() == want.tobytes(), (
                        f"{level}, {threads} threads, step {step}"
                    )
                    assert layer.backward(x).tobytes() == want.tobytes(), (
                        f"{level}, {threads} threads, step {step}"
                    )


def test_each_step_and_each_seed_has_a_mask_of_its_own() -> None:
    x = np.ones(1000)
    layer, other = nn.Dropout(0.5, seed=0), nn.Dropout(0.5, seed=1)
    masks = [layer.forward(x) > 0 for _ in range(4)] + [other.forward(x) > 0 for _ in range(4)]
    for i, a in enumerate(masks):
        for b in masks[:i]:
            assert abs((a == b).mean() - 0.5) < 0.08, "independent masks agree in half of the places"


def test_a_shared_generator_gives_each_layer_its_own_seed_and_the_same_in_each_run() -> None:
    def seeds() -> list[int]:
        rng = np.random.default_rng(3)
        return [int(nn.Dropout(0.5, rng=rng).buffers["seed"]) for _ in range(3)]

    assert seeds() == seeds()
    assert len(set(seeds())) == 3
    assert int(nn.Dropout(0.5).buffers["seed"]) != int(nn.Dropout(0.5).buffers["seed"])


def test_r5_the_mean_over_masks_is_the_output_of_evaluation_for_a_linear_net() -> None:
    model = nn.Sequential(
        nn.Linear(6, 8, dtype="float64", seed=0),
        nn.Dropout(0.3, seed=1),
        nn.Linear(8, 2, dtype="float64", seed=2),
    )
    x = np.random.default_rng(0).normal(size=(3, 6))
    n = 4000
    outputs = np.stack([model.forward(x) for _ in range(n)])
    want = model.eval().forward(x)
    deviation = outputs.std(0) / n**0.5
    assert (deviation > 0).all()
    assert (np.abs(outputs.mean(0) - want) < 4.5 * deviation).all()


def test_what_is_dropped_hides_no_nan() -> None:
    assert np.isnan(nn.Dropout(1.0, seed=0).forward(np.full(100, np.nan))).all()


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_p_is_a_probability(p: float) -> None:
    with pytest.raises(ValueError, match=re.escape(f"p: got {p}, need 0 to 1")):
        nn.Dropout(p)


def test_a_seed_has_64_bits() -> None:
    with pytest.raises(ValueError, match="seed: got -1"):
        nn.Dropout(seed=-1)
    with pytest.raises(ValueError, match=r"seed: got 18446744073709551616, need 0 to 2\^64 - 1"):
        nn.Dropout(seed=2**64)


# Activations.


@each_dtype
@pytest.mark.parametrize("make", [nn.Sigmoid, nn.Tanh, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.Softplus])
def test_activations_take_any_value_without_a_warning(make: Callable[[], nn.Module], dtype: str) -> None:
    x = np.array([-np.inf, -1e30, -100, -1e-40, -0.0, 0, 1e-40, 100, 1e30, np.inf], dtype)
    layer = make()
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        y = layer.forward(x)
    assert np.isfinite(y[1:-1]).all()
    assert (np.diff(y) >= 0).all()
    assert np.isnan(layer.forward(np.array([np.nan], dtype))).all()


@pytest.mark.parametrize(
    "row",
    [row for row in LAYERS if row.any_shape and "oftmax" not in row.name and row.shape == row.output],
    ids=str,
)
def test_numbers_of_any_shape_go_through_a_layer_of_each_element(row: Row) -> None:
    for shape in [(), (3,), (2, 3, 4), (2, 0)]:
        layer = row.make("float64")
        assert layer.forward(np.ones(shape)).shape == shape
        assert layer.backward(np.ones(shape)).shape == shape


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_has_the_bits_of_the_twin_wherever_it_writes(
    dtype: type, on_every_path: Callable[[], Iterator[int]]
) -> None:
    x: Array = np.concatenate([np.linspace(-40, 40, 995), [-np.inf, -0.0, 0.0, np.inf, np.nan]]).astype(dtype)
    want: Array = elementary.sigmoid(x.astype(np.float64)).astype(dtype)
    wide: Array = np.empty((1000, 2), dtype)
    for _ in on_every_path():
        own = x.copy()
        other = np.empty_like(x)
        for y in (
            nn.functional.sigmoid(x),
            nn.functional.sigmoid(x, out=other),
            nn.functional.sigmoid(own, out=own),
            nn.functional.sigmoid(x, out=wide[:, 1]),
            nn.functional.sigmoid(x[::-1])[::-1],
            nn.functional.sigmoid(x.reshape(50, 20).T).T.ravel(),
        ):
            np.testing.assert_array_equal(y, want)
    assert nn.functional.sigmoid(x, out=other) is other
    empty: Array = np.empty((0, 2), dtype)
    assert nn.functional.sigmoid(empty, out=empty) is empty
    for f, at_zero in (
        (nn.functional.sigmoid, 0.5),
        (nn.functional.dsigmoid, 0.25),
        (nn.functional.softplus, dtype(np.log(2.0))),
    ):
        assert f(dtype(0)).shape == () and f(dtype(0)).dtype == dtype and f(dtype(0)) == at_zero
        assert f(np.zeros((0, 3), dtype)).shape == (0, 3)
