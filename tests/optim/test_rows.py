"""Steps of rows: equal to the twins bit for bit, to dense steps where they are the same, close to torch's SparseAdam."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep import reference
from fourstep._runtime import override
from fourstep.optim import NonFiniteWarning
from fourstep.state import StateError

SPARSE: list[dict[str, Any]] = [{"params": "table*", "sparse": True}, {"params": ...}]
ONLY: list[dict[str, Any]] = [{"params": ..., "sparse": True}]

RULES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.03}),
    ("SGD", {"lr": 0.03, "momentum": 0.9}),
    ("SGD", {"lr": 0.03, "momentum": 0.9, "momentum_form": "ema"}),
    ("SGD", {"lr": 0.03, "momentum": 0.9, "momentum_form": "lr_inside"}),
    ("SGD", {"lr": 0.03, "momentum": 0.9, "nesterov": True}),
    ("AdaGrad", {"lr": 0.1, "lr_decay": 0.01, "initial_accumulator_value": 0.1}),
    ("AdaGrad", {"lr": 0.1, "eps": 1e-3, "eps_inside": True}),
    ("RowwiseAdagrad", {"lr": 0.1, "lr_decay": 0.01, "initial_accumulator_value": 0.1}),
    ("FTRL", {"lr": 0.1, "l1": 0.01, "l2": 0.1}),
    ("FTRL", {"lr": 0.1, "l1": 0.01, "lr_power": -0.3}),
    ("LazyAdam", {"lr": 0.01, "betas": (0.8, 0.99)}),
    ("LazyAdam", {"lr": 0.01, "betas": (0.8, 0.99), "per_row_steps": True, "eps_hat": True, "eps": 1e-3}),
]
IDS = [
    f"{name}-{'-'.join(map(str, options.values()))}" if len(options) > 1 else name for name, options in RULES
]
SHARED: tuple[dict[str, Any], ...] = (
    {},
    {"weight_decay": 0.02, "maximize": True, "clip_value": 0.3, "grad_scale": 4.0, "cautious": "mask"},
    {
        "weight_decay": 0.02,
        "decay": "decoupled",
        "clip_norm": 0.5,
        "ema_decay": 0.9,
        "flush_subnormals": True,
    },
)

rules = pytest.mark.parametrize(("name", "options"), RULES, ids=IDS)


def make(name: str, params: Any, options: dict[str, Any], **more: Any) -> fs.optim.Optimizer:
    optimizer: fs.optim.Optimizer = getattr(fs.optim, name)(params, **{**options, **more})
    return optimizer


def twin_of(name: str, params: Any, options: dict[str, Any], tables: list[str], **more: Any) -> Any:
    return reference.ByRows(getattr(reference, name)(params, **{**options, **more}), tables)


def batch(noise: Any, seed: int, size: int, row: tuple[int, ...], dtype: Any, n: int = 25) -> Any:
    rng = np.random.default_rng(seed)
    kinds = (np.int64, np.int32, np.uint32, np.uint64, np.int16, np.uint8)
    rows = rng.integers(0, size, n).astype(kinds[seed % len(kinds)])
    if seed % 4 == 1:
        rows = np.unique(rows)  # each once, in order
    if seed % 4 == 3:
        rows = rows[:0]
    return rows, noise(1000 + seed, (len(rows), *row), dtype)


@rules
@pytest.mark.parametrize("shared", SHARED, ids=["plain", "step_1", "norm_and_step_4"])
@pytest.mark.parametrize("duplicates", ["sum", "in_order"])
def test_rows_step_as_their_twins(
    name: str,
    options: dict[str, Any],
    shared: dict[str, Any],
    duplicates: Any,
    dtype: Any,
    level: str,
    noise: Any,
    same_bits: Any,
) -> None:
    """Two tables of different dims, one of them flat, beside dense parameters; twelve steps on some threads."""
    shared = {
        key: value for key, value in shared.items() if name != "FTRL" or key not in ("cautious", "decay")
    }
    shapes = {"table": (13, 5), "w": (7, 3), "table1": (40,), "table2": (9, 2, 17), "b": (5,)}
    ours = {key: noise(i, shape, dtype) for i, (key, shape) in enumerate(shapes.items())}
    theirs = {key: value.copy() for key, value in ours.items()}
    tables = [key for key in shapes if key.startswith("table")]
    optimizer = make(name, ours, options, groups=SPARSE, **shared)
    twin = twin_of(name, theirs, options, tables, **shared)
    threads = {"baseline": 1, "v3": 3, "v4": 7}[level]
    for t in range(12):
        grads = {key: noise(100 * t + i, ours[key].shape, dtype) for i, key in enumerate(("w", "b"))}
        some = [key for i, key in enumerate(tables) if (t + i) % 3]
        rows = {
            key: batch(noise, t + i, shapes[key][0], shapes[key][1:], dtype) for i, key in enumerate(some)
        }
        with override(level=level, threads=threads, chunk=16, serial_below=0):
            if t % 5 == 4:
                key = some[0]
                optimizer.step_rows(key, *rows[key], duplicates=duplicates)
                twin.step(None, {key: rows[key]}, duplicates)
            else:
                optimizer.step(grads, rows=rows, duplicates=duplicates)
                twin.step(grads, rows, duplicates)
    assert optimizer.step_count == 12
    for key in shapes:
        assert same_bits(ours[key], theirs[key]), key
        state = optimizer.state_of(key)
        for what, value in state.items():
            if what == "row_steps":
                assert (value == twin.row_steps[key]).all()
            else:
                assert same_bits(value, twin.optimizer.state[key][what]), f"{what} of {key}"
        if "ema_decay" in shared:
            assert same_bits(np.asarray(optimizer.ema[key]), twin.optimizer.ema[key])


@rules
def test_an_arena_steps_like_its_arrays(
    name: str, options: dict[str, Any], dtype: Any, noise: Any, same_bits: Any
) -> None:
    shapes = {"table": (30, 3), "w": (5, 3), "table2": (11, 4), "b": (3,)}
    arrays = {key: noise(i, shape, dtype) for i, (key, shape) in enumerate(shapes.items())}
    arena = fs.Arena(arrays)
    flat = make(name, arena, options, groups=SPARSE, clip_norm=1.0)
    loose = make(name, arrays, options, groups=SPARSE, clip_norm=1.0)
    for t in range(6):
        grads = {key: noise(10 * t + i, shapes[key], dtype) for i, key in enumerate(("w", "b"))}
        rows = {key: batch(noise, t, shapes[key][0], shapes[key][1:], dtype) for key in ("table2", "table")}
        arena.zero_grad()
        arena.grad["table"][...] = np.nan  # is not read
        for key, grad in grads.items():
            arena.grad[key] = grad
        flat.step(rows=rows)
        loose.step(grads, rows=rows)
    for key in shapes:
        assert same_bits(np.asarray(arena[key]), arrays[key]), key


@pytest.mark.parametrize("name", ["SGD", "AdaGrad"])
def test_equal_to_a_dense_step_with_zeros_elsewhere(
    name: str, dtype: Any, level: str, noise: Any, same_bits: Any
) -> None:
    """Where a gradient of zero moves nothing, the two are one."""
    start = noise(0, (50, 6), dtype)
    sparse, dense = start.copy(), start.copy()
    a = make(name, {"w": sparse}, {"lr": 0.1}, groups=ONLY)
    b = make(name, {"w": dense}, {"lr": 0.1})
    for t in range(10):
        rows, grads = batch(noise, t, 50, (6,), dtype)
        full = np.zeros_like(start)
        np.add.at(full, rows.astype(np.int64), grads)
        with override(level=level, threads=3, chunk=16, serial_below=0):
            a.step_rows("w", rows, grads)
            b.step({"w": full})
    assert same_bits(sparse, dense)


def test_rowwise_of_one_column_is_adagrad(dtype: Any, noise: Any, same_bits: Any) -> None:
    start = noise(0, (50, 1), dtype)
    pair = [start.copy(), start.copy()]
    for w, name in zip(pair, ("AdaGrad", "RowwiseAdagrad"), strict=True):
        optimizer = make(name, {"w": w}, {"lr": 0.1}, groups=ONLY)
        for t in range(10):
            optimizer.step_rows("w", *batch(noise, t, 50, (1,), dtype))
    assert same_bits(*pair)


def test_rows_of_every_batch_step_like_adam(noise: Any, same_bits: Any) -> None:
    """Lazy and dense part only where a row is left out; with each row's own count, bias is corrected as for a new one."""
    start = noise(0, (8, 3), np.float32)
    lazy, dense = start.copy(), start.copy()
    a = make("LazyAdam", {"w": lazy}, {"lr": 0.1}, groups=ONLY)
    b = make("Adam", {"w": dense}, {"lr": 0.1})
    for t in range(5):
        g = noise(t, (8, 3), np.float32)
        a.step_rows("w", np.arange(8), g)
        b.step({"w": g})
    assert same_bits(lazy, dense)
    late = {"w": np.zeros((2, 1))}
    c = make("LazyAdam", late, {"lr": 0.1, "per_row_steps": True}, groups=ONLY)
    for row in (0, 0, 0, 1):
        c.step_rows("w", np.array([row]), np.ones((1, 1)))
    assert late["w"].ravel().round(6).tolist() == [-0.3, -0.1]
    assert c.state_of("w")["row_steps"].tolist() == [3, 1]


@pytest.mark.parametrize("coalesce", [False, True])
def test_against_sparse_adam(coalesce: bool, dtype: Any, noise: Any) -> None:
    torch = pytest.importorskip("torch")
    start = noise(0, (60, 4), dtype)
    ours, theirs = start.copy(), torch.tensor(start, requires_grad=True)
    a = make("LazyAdam", {"w": ours}, {"lr": 0.01, "betas": (0.8, 0.99), "eps_hat": True}, groups=ONLY)
    b = torch.optim.SparseAdam([theirs], lr=0.01, betas=(0.8, 0.99))
    for t in range(20):
        rows, grads = batch(noise, 4 * t, 60, (4,), dtype)
        a.step_rows("w", rows, grads)
        index = torch.tensor(rows.astype(np.int64))[None]
        theirs.grad = torch.sparse_coo_tensor(index, torch.tensor(grads), start.shape, check_invariants=True)
        if coalesce:
            theirs.grad = theirs.grad.coalesce()
        b.step()
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=tolerance, atol=tolerance)


def test_a_plain_step_skips_tables_and_frozen_tables_stay(noise: Any) -> None:
    arena = fs.Arena({"table": np.ones((4, 2)), "frozen": np.ones((4, 2)), "w": np.ones(3)})
    groups: list[dict[str, Any]] = [
        {"params": "table", "sparse": True},
        {"params": "frozen", "sparse": True, "trainable": False},
        {"params": ...},
    ]
    optimizer = fs.optim.LazyAdam(arena, lr=0.1, groups=groups)
    arena.grad_data[...] = 1.0
    optimizer.step()
    assert (arena["table"] == 1).all()
    assert (arena["w"] < 1).all()
    assert optimizer.state_of("table") == {}
    pair = (np.array([1]), np.ones((1, 2)))
    optimizer.step(rows={"table": pair, "frozen": pair})
    assert (arena["frozen"] == 1).all()
    assert (arena["table"][1] < 1).all()
    assert [group.steps for group in optimizer.param_groups] == [1, 0, 2]
    assert optimizer.step_count == 2


def test_closures_and_rows_that_come_from_them() -> None:
    params = {"table": np.ones((4, 2)), "w": np.ones(3)}
    optimizer = fs.optim.SGD(params, lr=0.5, groups=SPARSE)
    found: dict[str, Any] = {}

    def closure() -> Any:
        found["table"] = (np.array([2]), np.full((1, 2), 2.0))
        return 7.0, {"w": np.ones(3)}

    assert optimizer.step(closure, rows=lambda: found) == 7.0
    assert params["table"].tolist() == [[1, 1], [1, 1], [0, 0], [1, 1]]
    assert params["w"].tolist() == [0.5] * 3
    optimizer.step([None, np.ones(3)] if isinstance(params, list) else {"w": np.ones(3), "table": None})
    assert params["w"].tolist() == [0.0] * 3


def test_one_norm_with_the_dense_parameters() -> None:
    params = {"table": np.zeros((9, 2)), "w": np.zeros(1)}
    optimizer = fs.optim.SGD(params, lr=1.0, groups=SPARSE, clip_norm=1.0, track=True)
    rows = (np.array([5, 2, 5]), np.array([[1.0, 0.0], [0.0, 4.0], [2.0, 0.0]]))
    optimizer.step({"w": np.array([12.0])}, rows={"table": rows})
    assert optimizer.last.grad_norm == pytest.approx(13.0)  # 3, 4 and 12: the duplicates are one gradient
    assert optimizer.last.grad_norms == pytest.approx({"w": 12.0, "table": 5.0})
    assert params["table"][5] == pytest.approx([-3 / 13, 0])
    assert params["w"] == pytest.approx([-12 / 13])
    optimizer.step_rows("table", np.array([0]), np.array([[3.0, 4.0]]))
    assert params["table"][0] == pytest.approx([-0.6, -0.8])
    groups: list[dict[str, Any]] = [{"params": "table", "sparse": True, "clip_norm": 5.0}, {"params": ...}]
    own = fs.optim.SGD({"table": np.zeros((2, 1)), "w": np.zeros(1)}, lr=1.0, groups=groups)
    own.step({"w": np.array([100.0])}, rows={"table": (np.array([1]), np.array([[-10.0]]))})
    assert own.param_groups[0]["params"][0][1] == pytest.approx([5.0])
    assert own.param_groups[1]["params"][0] == pytest.approx([-100.0])


def test_schedules_have_one_counter() -> None:
    asked: list[int] = []

    def lr(step: int) -> float:
        asked.append(step)
        return 1.0

    optimizer = fs.optim.SGD({"table": np.zeros((2, 1)), "w": np.zeros(1)}, lr=lr, groups=SPARSE)
    pair = (np.array([1]), np.ones((1, 1)))
    optimizer.step({"w": np.ones(1)}, rows={"table": pair})
    optimizer.step_rows("table", *pair)
    optimizer.step({"w": np.ones(1)})
    assert sorted(set(asked)) == [0, 1, 2]


def bad(
    rows: Any = (1, 2), grads: Any = None, dtype: Any = np.int64, grad_dtype: Any = np.float32
) -> tuple[Any, Any]:
    rows = np.array(rows, dtype)
    return rows, np.ones((len(rows), 2), grad_dtype) if grads is None else grads


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    (
        {"table": bad((1, 4, -3))},
        ValueError,
        r"the rows of table: got row 4 at position 1, need 0 to 3 \(2 rows",
    ),
    ({"table": bad((1, -1))}, ValueError, "the rows of table: got row -1 at position 1, need 0 to 3"),
    ({"table": bad((2**63,), dtype=np.uint64)}, ValueError, "got row 9223372036854775808 at position 0"),
    ({"other": bad((0,)), "table": bad((9,))}, ValueError, "the rows of table: got row 9 at position 0"),
    (
        {"table": bad(dtype=np.float64)},
        TypeError,
        "the rows of table: got dtype float64, need a whole-number",
    ),
    ({"table": bad(dtype=np.bool_)}, TypeError, "the rows of table: got dtype bool"),
    ({"table": bad(dtype=">i8")}, TypeError, "the rows of table: got dtype >i8"),
    (
        {"table": bad(grad_dtype=np.float64)},
        TypeError,
        "the gradient of rows of table: got dtype float64, need",
    ),
    (
        {"table": bad(grads=np.ones((3, 2), np.float32))},
        ValueError,
        r"got shape \[3, 2\], need \[2, 2\], a gradient for each row",
    ),
    ({"table": bad(grads=np.ones((2, 4), np.float32)[:, ::2])}, ValueError, "need a C-contiguous one"),
    ({"table": (np.zeros((1, 1), int), np.ones((1, 2), np.float32))}, ValueError, "need one dimension"),
    (
        {"table": ([1], np.ones((1, 2), np.float32))},
        TypeError,
        "the rows of table: got list, need a NumPy array",
    ),
    ({"table": np.ones(3)}, TypeError, "rows: table: got ndarray, need a pair"),
    ({"w": bad()}, ValueError, "rows: w is not sparse"),
    ({"nobody": bad()}, KeyError, "rows: no parameter is called 'nobody'"),
    ([bad()], TypeError, "rows: got list, need a dict"),  # type: ignore[list-item]
]


@pytest.mark.parametrize(("rows", "error", "message"), BAD, ids=[case[2][:40] for case in BAD])
@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_bad_input_changes_nothing(
    rows: Any, error: type[Exception], message: str, clip_norm: float | None
) -> None:
    shapes = {"table": (4, 2), "other": (4, 2), "w": (3,)}
    params = {key: np.ones(shape, np.float32) for key, shape in shapes.items()}
    groups: list[dict[str, Any]] = [{"params": ["table", "other"], "sparse": True}, {"params": ...}]
    optimizer = fs.optim.LazyAdam(params, lr=0.1, groups=groups, clip_norm=clip_norm)
    with pytest.raises(error, match=message):
        optimizer.step({"w": np.ones(3, np.float32)}, rows=rows)
    assert all((value == 1).all() for value in params.values())
    assert optimizer.step_count == 0
    assert all(not np.any(value) for key in params for value in optimizer.state_of(key).values())
    optimizer.step({"w": np.ones(3, np.float32)}, rows={"table": bad()})
    assert optimizer.step_count == 1


def test_other_refusals() -> None:
    table = {"table": np.ones((4, 2), np.float32)}
    pair = (np.array([1]), np.ones((1, 2), np.float32))
    with pytest.raises(ValueError, match=r"sparse: Adam moves rows that no gradient touched"):
        fs.optim.Adam(table, groups=ONLY)
    with pytest.raises(ValueError, match="sparse: NAG moves rows"):
        fs.optim.NAG(table, groups=ONLY)
    with pytest.raises(ValueError, match=r"dampening: got 0.5, need 0 for sparse tables"):
        fs.optim.SGD(table, momentum=0.9, dampening=0.5, groups=ONLY)
    with pytest.raises(ValueError, match="sparse: s has no rows: got a 0-d array"):
        fs.optim.SGD({"s": np.array(1.0)}, groups=ONLY)
    for options, message in (
        ({"cautious": True}, "cautious: got True, which sparse tables cannot have"),
        ({"copy_out": "bfloat16"}, "copy_out: got 'bfloat16', which sparse tables cannot have"),
        ({"state_dtype": "bfloat16"}, "state_dtype: got 'bfloat16', which sparse tables cannot have"),
    ):
        with pytest.raises(ValueError, match=message):
            make("LazyAdam", table, options, groups=ONLY)
    optimizer = fs.optim.LazyAdam(table, groups=ONLY)
    with pytest.raises(KeyError, match="'sparse' of a group is fixed"):
        optimizer.param_groups[0]["sparse"] = False
    with pytest.raises(KeyError, match="'per_row_steps' of a group is fixed"):
        optimizer.param_groups[0].update(per_row_steps=True)
    with pytest.raises(ValueError, match="duplicates: got 'last', need one of 'sum', 'in_order'"):
        optimizer.step_rows("table", *pair, duplicates="last")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the gradient of table: got ndarray, need None: it is sparse"):
        optimizer.step({"table": np.ones((4, 2), np.float32)})
    optimizer.options.cautious = True
    with pytest.raises(ValueError, match="cautious: got True"):
        optimizer.step_rows("table", *pair)
    assert (table["table"] == 1).all()


def test_gradients_that_are_not_finite() -> None:
    def case(**options: Any) -> Any:
        params = {"table": np.ones((4, 2)), "w": np.ones(2)}
        return fs.optim.SGD(params, lr=1.0, groups=SPARSE, **options), params

    rows = {"table": (np.array([3, 0]), np.array([[1.0, np.nan], [np.inf, 1.0]]))}
    for guard in ("error", "step"):
        optimizer, params = case(skip_nonfinite=guard)
        if guard == "error":
            message = r"skip_nonfinite.* the gradient of row 3 of table is nan at \(0, 1\), 2 of its elements"
            with pytest.raises(FloatingPointError, match=message):
                optimizer.step({"w": np.ones(2)}, rows=rows)
        else:
            optimizer.step({"w": np.ones(2)}, rows=rows)
            assert optimizer.last.skipped
            assert optimizer.last.nonfinite == 2
            assert optimizer.last.first_nonfinite == "table"
        assert all((value == 1).all() for value in params.values())
        assert optimizer.step_count == 0
    optimizer, params = case(skip_nonfinite="element")
    optimizer.step({"w": np.ones(2)}, rows=rows)
    assert params["table"].tolist() == [[1, 0], [1, 1], [1, 1], [0, 1]]
    assert (optimizer.last.nonfinite, optimizer.nonfinite.elements) == (2, 2)
    optimizer, params = case()
    with pytest.warns(
        NonFiniteWarning, match="2 elements of the gradient are not finite, first of table, at step 1"
    ):
        optimizer.step({"w": np.ones(2)}, rows=rows)
    optimizer.step_rows("table", *rows["table"])
    assert (optimizer.nonfinite.steps, optimizer.nonfinite.elements) == (2, 4)


@rules
def test_state_goes_on_bit_for_bit(
    name: str, options: dict[str, Any], tmp_path: Any, noise: Any, same_bits: Any
) -> None:
    def run(stop: int | None) -> Any:
        arena = fs.Arena({"table": noise(0, (20, 3), np.float32), "w": noise(1, (4,), np.float32)})
        optimizer = make(name, arena, options, groups=SPARSE, ema_decay=0.9)
        for t in range(8):
            if t == stop:
                fs.save(tmp_path / "state.npz", {"o": optimizer.state_dict(), "w": arena.state_dict()})
                saved = fs.load(tmp_path / "state.npz")
                arena = fs.Arena({"table": np.zeros((20, 3), np.float32), "w": np.zeros(4, np.float32)})
                arena.load_state_dict(saved["w"])
                optimizer = make(name, arena, {**options, "lr": 9.0}, groups=SPARSE, ema_decay=0.9)
                optimizer.load_state_dict(saved["o"])
            arena.grad["w"] = noise(10 + t, (4,), np.float32)
            optimizer.step(rows={"table": batch(noise, t, 20, (3,), np.float32)} if t % 3 else None)
        return arena, optimizer

    (a, one), (b, two) = run(None), run(4)
    assert same_bits(a["table"], b["table"])
    assert same_bits(a["w"], b["w"])
    for key, value in one.state_of("table").items():
        assert np.array_equal(value, two.state_of("table")[key]), key
    assert one.param_groups[0].table_steps == two.param_groups[0].table_steps == {"table": 5}


def test_state_of_another_kind_is_refused() -> None:
    table = {"table": np.ones((4, 2))}
    pair = (np.array([1]), np.ones((1, 2)))
    sparse = fs.optim.RowwiseAdagrad(table, groups=ONLY)
    sparse.step_rows("table", *pair)
    assert sparse.state_of("table")["sum"].shape == (4,)
    dense = fs.optim.RowwiseAdagrad(table)
    dense.step({"table": np.ones((4, 2))})
    with pytest.raises(StateError, match="sparse: got False, need True, which is fixed"):
        sparse.load_state_dict(dense.state_dict())
    with pytest.raises(StateError, match="sparse: got True, need False, which is fixed"):
        dense.load_state_dict(sparse.state_dict())
    lazy = fs.optim.LazyAdam(table, groups=ONLY, per_row_steps=True)
    lazy.step_rows("table", *pair)
    broken = lazy.state_dict()
    broken["state"]["table"]["row_steps"][2] = -1
    with pytest.raises(StateError, match="row_steps of table: got -1 at 2, need a count"):
        lazy.load_state_dict(broken)


def test_untouched_rows_are_not_read_or_written(dtype: Any) -> None:
    """What is in the other rows, in parameters or state, stays and does not show."""
    table = np.full((6, 3), np.nan, dtype)
    table[[1, 4]] = 1.0
    optimizer = fs.optim.LazyAdam({"table": table}, lr=0.1, weight_decay=0.1, clip_norm=1.0, groups=ONLY)
    optimizer.step_rows("table", np.array([4, 1]), np.ones((2, 3), dtype))
    assert np.isfinite(table[[1, 4]]).all()
    assert np.isnan(table[[0, 2, 3, 5]]).all()


def test_empty_shapes() -> None:
    params = {"none": np.zeros((0, 3)), "flat": np.zeros((3, 0)), "table": np.ones((3, 2))}
    for name in ("SGD", "LazyAdam", "RowwiseAdagrad"):
        optimizer = make(name, params, {"lr": 0.1}, groups=ONLY)
        empty = np.array([], np.int64)
        optimizer.step(
            rows={
                "none": (empty, np.zeros((0, 3))),
                "flat": (np.array([2, 2]), np.zeros((2, 0))),
                "table": (empty, np.zeros((0, 2))),
            }
        )
        assert (params["table"] == 1).all()
        with pytest.raises(ValueError, match="got row 0 at position 0 of a table without rows"):
            optimizer.step_rows("none", np.array([0]), np.zeros((1, 3)))


def test_a_read_only_or_shared_table_is_refused() -> None:
    table = np.ones((4, 2))
    optimizer = fs.optim.SGD({"table": table}, lr=0.1, groups=ONLY)
    with pytest.raises(RuntimeError, match="in use, by another argument"):
        optimizer.step_rows("table", np.array([1]), table[:1])
    table.flags.writeable = False
    with pytest.raises(ValueError, match="table: got a read-only array"):
        optimizer.step_rows("table", np.array([1]), np.ones((1, 2)))
    assert (table == 1).all()


def test_zero_grad_of_an_arena_leaves_tables_out() -> None:
    arena = fs.Arena({"table": np.ones((4, 2)), "w": np.ones(3)})
    fs.optim.SGD(arena, lr=0.1, groups=SPARSE)
    arena.grad_data[...] = 5.0
    arena.zero_grad()
    assert (arena.grad["table"] == 5).all()
    assert (arena.grad["w"] == 0).all()
