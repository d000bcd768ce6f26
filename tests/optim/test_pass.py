"""What is done inside the pass: each option gives the twin's bits, at every level, on any number of threads."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep import _core, reference
from fourstep._runtime import execution, override
from fourstep.reference import lanes

STEPS = 6
# Around a stage of 1024 elements, a block of 4096, and 8-bit blocks of 256.
SHAPES = {
    "a": (1023,),
    "b": (3, 5),
    "c": (),
    "d": (0,),
    "e": (4097,),
    "f": (256,),
    "g": (12_345,),
    "h": (1025,),
    "i": (4095,),
    "j": (7000,),
}

OPTIONS: dict[str, dict[str, Any]] = {
    "decoupled": {"weight_decay": 0.1, "decay": "decoupled"},
    "independent": {"weight_decay": 0.01, "decay": "independent"},
    "grad_scale": {"grad_scale": 3.0, "clip_norm": 0.7},
    "clip_eps": {"clip_norm": 0.7, "clip_eps": 0.5},
    "element": {"skip_nonfinite": "element"},
    "element_clip": {"skip_nonfinite": "element", "clip_norm": 0.5},
    "step": {"skip_nonfinite": "step"},
    "mask": {"cautious": "mask"},
    "cautious": {"cautious": True, "weight_decay": 0.1},
    "average": {"ema_decay": 0.9},
    "zero": {"zero_grad": True},
    "flush": {"flush_subnormals": True},
    "copy": {"copy_out": "bfloat16"},
    "copy_stochastic": {"copy_out": "bfloat16", "stochastic_rounding": True, "seed": 5},
    "track": {"track": True},
    "bfloat16": {"state_dtype": "bfloat16"},
    "bfloat16_stochastic": {"state_dtype": "bfloat16", "stochastic_rounding": True, "seed": 2**63},
    "int8": {"state_dtype": "int8", "seed": 7},
    "everything": {
        "weight_decay": 0.1,
        "decay": "decoupled",
        "maximize": True,
        "clip_value": 0.3,
        "clip_norm": 2.0,
        "grad_scale": 2.0,
        "skip_nonfinite": "element",
        "cautious": True,
        "ema_decay": 0.99,
        "zero_grad": True,
        "flush_subnormals": True,
        "copy_out": "bfloat16",
        "track": True,
    },
}


PATHS = (("list", 1, 1 << 14), ("arena", 1, 16), ("arena", 2, 4096), ("arena", 7, 16), ("list", 3, 16))


#: What a class refuses: an argument, with some of its values or with any. All else has to work.
REFUSED: dict[str, dict[str, set[Any]]] = {
    "FTRL": {"cautious": {"mask", True}, "decay": {"decoupled", "independent"}, "state_dtype": {"int8"}},
    "SGDScheduleFree": {"cautious": {"mask", True}, "state_dtype": {"bfloat16", "int8"}},
    "AdamWScheduleFree": {"cautious": {"mask", True}, "state_dtype": {"bfloat16", "int8"}},
    "Adan": {"state_dtype": {"int8"}},
    "Rprop": {"state_dtype": {"int8"}},
}


def refused(rule: Any, dtype: Any, options: dict[str, Any]) -> str | None:
    """Return the argument that the optimizer refuses."""
    if dtype is np.float64 and "state_dtype" in options:
        return "state_dtype"
    table = REFUSED.get(rule.name, {})
    return next((name for name, values in table.items() if options.get(name) in values), None)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_same_bits_as_the_twin(rule: Any, dtype: Any, options: Any, noise: Any, same_bits: Any) -> None:
    if argument := refused(rule, dtype, options):
        with pytest.raises(ValueError, match=rf"^{argument}: "):
            rule.make({"w": np.zeros(3, dtype)}, **options)
        return
    level = fs.runtime().levels[-1]
    special = "skip_nonfinite" in options
    ours = {name: noise(i, shape, dtype) for i, (name, shape) in enumerate(SHAPES.items())}
    theirs = {name: array.copy() for name, array in ours.items()}
    optimizer = rule.make(ours, **options)
    twin = rule.twin(theirs, **{key: value for key, value in options.items() if key != "track"})
    for t in range(STEPS):
        grads = {
            name: noise(
                100 * t + i,
                a.shape,
                dtype,
                special=special and (t % 2 == 0 or options["skip_nonfinite"] == "element"),
            )
            for i, (name, a) in enumerate(ours.items())
        }
        if "clip_norm" in options and dtype is np.float64:  # a norm is finite where its square is
            grads = {name: np.where(np.abs(g) > 1e100, dtype(np.nan), g) for name, g in grads.items()}
        copies = {name: g.copy() for name, g in grads.items()}
        with override(level=level, threads=3, chunk=16, serial_below=0):
            optimizer.step(grads)
        twin.step(copies)
        for name in ours:
            assert same_bits(grads[name], copies[name]), f"gradient of {name}"
    for name in ours:
        assert same_bits(ours[name], theirs[name]), name
        for key, value in optimizer.state_of(name).items():
            assert same_bits(value, twin.state[name][key]), f"{key} of {name}"
        if "ema_decay" in options:
            assert same_bits(optimizer.ema[name], twin.ema[name]), name
        if "copy_out" in options:
            assert np.array_equal(optimizer.copies[name], twin.copies[name]), name


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_levels_threads_and_an_arena_change_nothing(
    options: Any, level: str, noise: Any, same_bits: Any
) -> None:
    arrays = {name: noise(i, shape, np.float32) for i, (name, shape) in enumerate(SHAPES.items())}
    ends = []
    for layout, threads, chunk in (
        ("list", 1, 1 << 14),
        ("arena", 1, 16),
        ("arena", 2, 4096),
        ("arena", 7, 16),
        ("list", 3, 16),
    ):
        params: Any = (
            fs.Arena(arrays) if layout == "arena" else {name: a.copy() for name, a in arrays.items()}
        )
        optimizer = fs.optim.Adam(params, lr=0.01, **options)
        for t in range(4):
            grads = {
                name: noise(10 * t + i, a.shape, np.float32) for i, (name, a) in enumerate(arrays.items())
            }
            with override(level=level, threads=threads, chunk=chunk, serial_below=0):
                if layout == "arena":
                    for name, grad in grads.items():
                        params.grad[name] = grad
                    optimizer.step()
                else:
                    optimizer.step(grads)
        ends.append((params, optimizer))
    first, of_first = ends[0]
    for params, optimizer in ends[1:]:
        for name in arrays:
            assert same_bits(np.asarray(params[name]), first[name]), name
            stored, want = optimizer.stored_of(name), of_first.stored_of(name)
            assert all(np.array_equal(stored[key], want[key]) for key in want), name
            if optimizer.options.track:
                assert optimizer.last.update_norms[name] == of_first.last.update_norms[name]


def test_track_tells_the_norms(noise: Any, dtype: Any) -> None:
    w = {"a": noise(0, 9000, dtype), "b": noise(1, (3, 3), dtype)}
    before = {name: x.copy() for name, x in w.items()}
    g = {"a": noise(2, 9000, dtype), "b": noise(3, (3, 3), dtype)}
    g["b"][1, 1] = np.nan
    optimizer = fs.optim.SGD(w, lr=0.5, track=True, clip_norm=0.25, skip_nonfinite="element", grad_scale=2.0)
    optimizer.step(g)
    last = optimizer.last
    assert last.nonfinite == 1
    assert last.first_nonfinite == "b"
    want = math.sqrt(lanes.sum_of_squares(g["a"])) / 2
    assert last.grad_norms["a"] == want
    assert last.param_norms["a"] == math.sqrt(lanes.sum_of_squares(before["a"]))
    moved = w["a"].astype(np.float64) - before["a"].astype(np.float64)
    assert last.update_norms["a"] == math.sqrt(lanes.sum_of_squares(moved))
    assert last.update_ratio["a"] == last.update_norms["a"] / last.param_norms["a"]
    assert last.clip_coefficient == pytest.approx(
        0.25 / np.sqrt(want**2 + np.nansum((g["b"] / 2) ** 2)), rel=1e-6
    )


def test_a_group_is_clipped_by_its_own_norm(same_bits: Any) -> None:
    w = {"a": np.zeros(2), "b": np.zeros(2), "c": np.zeros(2)}
    groups: list[dict[str, Any]] = [{"params": "a", "clip_norm": 1.0}, {"params": ...}]
    optimizer = fs.optim.SGD(w, lr=1.0, groups=groups, clip_norm=10.0)
    optimizer.step({"a": np.array([3.0, 4.0]), "b": np.array([3.0, 4.0]), "c": np.array([6.0, 8.0])})
    assert w["a"] == pytest.approx([-0.6, -0.8])
    norm = math.sqrt(125.0)
    assert w["b"] == pytest.approx([-30 / norm, -40 / norm])
    assert w["c"] == pytest.approx([-60 / norm, -80 / norm])


def test_without_a_guard_nan_is_used_counted_and_told_once() -> None:
    w = {"a": np.ones(3), "b": np.ones(2)}
    optimizer = fs.optim.SGD(w, lr=0.1)
    bad = {"a": np.ones(3), "b": np.array([np.nan, np.inf])}
    with pytest.warns(fs.optim.NonFiniteWarning, match=r"2 elements .* not finite, first of b, at step 1"):
        optimizer.step(bad)
    optimizer.step(bad)
    assert np.isnan(w["b"][0])
    assert (optimizer.nonfinite.steps, optimizer.nonfinite.elements, optimizer.nonfinite.first) == (2, 4, "b")
    assert not optimizer.last.skipped


@pytest.mark.parametrize("zero", [False, True])
def test_a_bad_step_is_skipped_and_counted(zero: bool) -> None:
    w = {"a": np.ones(3)}
    optimizer = fs.optim.Adam(w, skip_nonfinite="step", zero_grad=zero)
    before = optimizer.state_dict()
    g = np.array([1.0, np.inf, 1.0])
    optimizer.step({"a": g})
    assert optimizer.last.skipped
    assert (optimizer.step_count, optimizer.nonfinite.skipped) == (0, 1)
    assert (w["a"] == 1).all()
    assert optimizer.state_dict() == before
    assert (g == 0).all() == zero


def test_a_bad_gradient_is_an_error_that_says_where() -> None:
    w = {"a": np.ones(3), "b": np.ones((2, 2))}
    optimizer = fs.optim.Adam(w, skip_nonfinite="error")
    g = {"a": np.ones(3), "b": np.array([[1, 1], [np.nan, 1]])}
    with pytest.raises(FloatingPointError, match=r"skip_nonfinite: .*the gradient of b is nan at \(1, 0\)"):
        optimizer.step(g)
    assert all((x == 1).all() for x in w.values())
    assert optimizer.step_count == 0


def test_finite_elements_whose_squares_are_not_pass_a_guard_without_clipping() -> None:
    w = {"a": np.ones(2)}
    fs.optim.SGD(w, lr=1e-200, skip_nonfinite="error").step({"a": np.array([1e200, 0.0])})
    assert w["a"].tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grad_scale": 0.0}, r"grad_scale: got 0.0, need a finite number > 0"),
        ({"clip_norm": 1.0, "clip_eps": -1.0}, r"clip_eps: got -1.0, need a finite number >= 0"),
        ({"ema_decay": 1.0}, r"ema_decay: got 1.0, need 0 <= ema_decay < 1"),
        ({"skip_nonfinite": "no"}, r"skip_nonfinite: got 'no', need one of None, 'error', 'step', 'element'"),
        ({"cautious": "x"}, r"cautious: got 'x', need one of True, False, 'mask'"),
        ({"state_dtype": "float16"}, r"state_dtype: got 'float16', need one of"),
        ({"stochastic_rounding": True}, r"stochastic_rounding: needs state_dtype='bfloat16' or copy_out"),
        ({"seed": -1}, r"seed: got -1, need a whole number"),
        ({"clip_nrom": 1.0}, r"Adam: got an unexpected argument 'clip_nrom'; do you mean 'clip_norm'\?"),
        ({"decay": "no"}, r"decay: got 'no', need one of 'l2', 'decoupled', 'independent'"),
        (
            {"weight_decay": 2.0, "decay": "independent"},
            r"weight_decay: got 2.0, need at most 1 with decay",
        ),
    ],
)
def test_wrong_options(options: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        fs.optim.Adam({"w": np.zeros(2, np.float32)}, **options)


def test_what_buffers_are_made_by_is_fixed() -> None:
    optimizer = fs.optim.Adam({"w": np.zeros(2, np.float32)}, state_dtype="bfloat16")
    with pytest.raises(
        ValueError, match=r"state_dtype is fixed when the optimizer is made: got 'int8', have 'bfloat16'"
    ):
        optimizer.options.state_dtype = "int8"
    with pytest.raises(AttributeError, match="no option is called 'trak'; do you mean 'track'"):
        optimizer.options.trak = True
    with pytest.raises(AttributeError, match="make it with ema_decay"):
        optimizer.ema["w"]
    with pytest.raises(AttributeError, match="make it with copy_out"):
        optimizer.copies["w"]


def test_float64_has_full_state() -> None:
    with pytest.raises(ValueError, match=r"state_dtype: got 'int8', but w is float64"):
        fs.optim.Adam({"w": np.zeros(2)}, state_dtype="int8")


@pytest.mark.parametrize("state_dtype", [None, "bfloat16", "int8"])
def test_a_run_goes_on_bit_for_bit(state_dtype: Any, noise: Any, tmp_path: Any, same_bits: Any) -> None:
    options = {"state_dtype": state_dtype, "ema_decay": 0.9, "stochastic_rounding": state_dtype == "bfloat16"}
    shapes = {"a": (700,), "b": (4, 4)}

    def walk(params: Any, optimizer: Any, steps: range) -> None:
        for t in steps:
            optimizer.step(
                {name: noise(10 * t + i, a.shape, np.float32) for i, (name, a) in enumerate(params.items())}
            )

    whole = {name: noise(i, shape, np.float32) for i, (name, shape) in enumerate(shapes.items())}
    start = {name: a.copy() for name, a in whole.items()}
    optimizer = fs.optim.Adam(whole, **options)
    walk(whole, optimizer, range(8))
    first = fs.optim.Adam(start, **options)
    walk(start, first, range(5))
    state = first.state_dict()
    fs.save(tmp_path / "state.npz", state)
    full = sum(
        a.nbytes for arrays in fs.optim.Adam(start).state_dict()["state"].values() for a in arrays.values()
    )
    stored = sum(a.nbytes for arrays in state["state"].values() for a in arrays.values())
    assert full == 0
    elements = sum(a.size for a in start.values())
    assert stored == {None: 8 * elements, "bfloat16": 4 * elements, "int8": 2 * (elements + 4)}[state_dtype]
    second = fs.optim.Adam(start, **options)
    second.load_state_dict(fs.load(tmp_path / "state.npz"))
    walk(start, second, range(5, 8))
    for name in whole:
        assert same_bits(start[name], whole[name])
        assert same_bits(second.ema[name], optimizer.ema[name])


def test_state_of_another_precision_is_refused() -> None:
    def make(dtype: Any) -> fs.optim.Adam:
        return fs.optim.Adam({"w": np.ones(3, np.float32)}, state_dtype=dtype)

    source = make("bfloat16")
    source.step({"w": np.ones(3, np.float32)})
    with pytest.raises(
        ValueError, match=r"state_dtype: got 'bfloat16', need None; make the optimizer with it"
    ):
        make(None).load_state_dict(source.state_dict())


def test_subnormal_state_becomes_zero_and_first_moments_before_that() -> None:
    g = np.array(
        [1e-20, 2.0**-101, 2.0**-99, 1.0, 0.0], np.float32
    )  # m is a quarter, v of the first subnormal
    ends = []
    for flush in (False, True):
        optimizer = fs.optim.Adam({"w": np.ones(5, np.float32)}, betas=(0.75, 0.999), flush_subnormals=flush)
        optimizer.step({"w": g})
        ends.append(optimizer.state_of("w"))
    plain, flushed = ends
    assert 0 < plain["exp_avg_sq"][0] < np.finfo(np.float32).tiny
    assert flushed["exp_avg_sq"][0] == 0
    assert plain["exp_avg"][1] == 2.0**-103
    assert flushed["exp_avg"].tolist() == [plain["exp_avg"][0], 0.0, 2.0**-101, 0.25, 0.0]
    small = fs.optim.AdaGrad({"w": np.ones(1, np.float32)}, flush_subnormals=True)
    small.step({"w": np.array([2.0**-55], np.float32)})
    assert (
        small.state_of("w")["sum"][0] == 2.0**-110
    )  # a second moment divides: it is kept while it is normal


@pytest.mark.parametrize("dtype_of_state", ["bfloat16", "int8"])
@pytest.mark.parametrize("threads", [1, 3])
def test_around_the_blocks_of_the_loop(dtype_of_state: str, threads: int, noise: Any, same_bits: Any) -> None:
    options: dict[str, Any] = {"state_dtype": dtype_of_state, "seed": 3}
    options |= {"stochastic_rounding": True} if dtype_of_state == "bfloat16" else {}
    sizes = {"a": 65_535, "b": 65_536, "c": 65_537, "d": 131_329}
    ours = {name: noise(n, n, np.float32) for name, n in sizes.items()}
    theirs = {name: array.copy() for name, array in ours.items()}
    optimizer, twin = fs.optim.Adam(ours, **options), reference.Adam(theirs, **options)
    for t in range(2):
        grads = {name: noise(100 + t, n, np.float32) for name, n in sizes.items()}
        with override(threads=threads, serial_below=0):
            optimizer.step(grads)
        twin.step({name: g.copy() for name, g in grads.items()})
    for name in sizes:
        assert same_bits(ours[name], theirs[name]), name
        for key, value in optimizer.state_of(name).items():
            assert same_bits(value, twin.state[name][key]), f"{key} of {name}"


def test_eight_bit_moments_stay_near_the_full_ones(noise: Any) -> None:
    """Their own bound: a code is within 1/8 of a moment, rounding is right on average."""
    n = 4096
    scale = np.geomspace(1e-3, 1, n).astype(np.float32)
    full, eight = {"w": np.zeros(n, np.float32)}, {"w": np.zeros(n, np.float32)}
    a, b = fs.optim.Adam(full, lr=1e-3), fs.optim.Adam(eight, lr=1e-3, state_dtype="int8")
    for t in range(300):
        g = {"w": scale * (noise(t, n, np.float32) + np.float32(0.1))}
        a.step(g)
        b.step(g)
    ratio = b.state_of("w")["exp_avg_sq"] / a.state_of("w")["exp_avg_sq"]
    assert abs(np.log(ratio).mean()) < 0.05
    assert np.log(ratio).std() < 0.35
    moved = np.abs(eight["w"] - full["w"]).mean() / np.abs(full["w"]).mean()
    assert moved < 0.05


@pytest.mark.parametrize(
    "options", [{}, {"weight_decay": 0.1, "maximize": True, "clip_value": 0.2}], ids=["plain", "all"]
)
def test_a_probe_shows_the_step_that_a_pass_takes(
    rule: Any, dtype: Any, options: Any, noise: Any, same_bits: Any
) -> None:
    """g_t and η of `_core.probe` are the twin's; w and the state after it are those of a step."""
    n = 67
    ours, theirs = {"w": noise(0, n, dtype)}, {"w": noise(0, n, dtype)}
    optimizer, twin = rule.make(ours, **options), rule.twin(theirs, **options)
    for t in range(3):
        g = noise(1 + t, n, dtype)
        group = optimizer.param_groups[0]
        optimizer._begin()
        name, states, hyper = optimizer._rule(group)
        shared = {"lr": group["lr"], **optimizer.decays_of(group, group["lr"], True), "step": t + 1}
        shared |= {key: group.raw(key) for key in ("maximize", "clip_value")}
        before = {key: value.copy() for key, value in optimizer.state_of("w").items()}
        w = ours["w"].copy()
        start = {key: np.full(n, optimizer._start_at(group, key, w), dtype) for key in states}
        state = [before.get(key, start[key]) for key in states]
        seen = np.empty(n, dtype), np.empty(n, dtype)
        columns = list(range(len(states)))
        spec: Any = (name, {**shared, **hyper}, columns, [])
        _core.probe(
            ("w", w, g, state, None, None), spec, 1.0, optimizer.pass_options(True, True), seen, execution()
        )
        optimizer.step({"w": g})
        assert same_bits(w, ours["w"])
        assert all(
            same_bits(value, optimizer.state_of("w")[key]) for key, value in zip(states, state, strict=True)
        )
        assert same_bits(seen[0], twin.gradient(theirs["w"], g, twin.scale({"w": g})))
        old = theirs["w"].copy()
        twin.step({"w": g})
        assert same_bits(twin.update(old, seen[1], twin.keep), w)


@pytest.mark.parametrize("n", [1, 1024, 1025, 1500, 4095, 4096, 4097, 5120, 5121, 5500, 8191, 8193])
@pytest.mark.parametrize("threads", [1, 2])
def test_track_at_every_length_around_a_block(n: int, threads: int, noise: Any, dtype: Any) -> None:
    w = {"w": noise(0, n, dtype)}
    before, g = w["w"].copy(), noise(1, n, dtype)
    optimizer = fs.optim.SGD(w, lr=0.5, track=True)
    with override(threads=threads, chunk=16, serial_below=0):
        optimizer.step({"w": g})
    assert optimizer.last.grad_norms["w"] == math.sqrt(lanes.sum_of_squares(g))
    moved = w["w"].astype(np.float64) - before.astype(np.float64)
    assert optimizer.last.update_norms["w"] == math.sqrt(lanes.sum_of_squares(moved))


def test_the_gaps_of_an_arena_stay_zero(rule: Any, dtype: Any, noise: Any) -> None:
    arena = fs.Arena({"a": noise(0, 3, dtype), "b": noise(1, 5, dtype)})
    optimizer = rule.make(arena)
    for t in range(3):
        arena.grad["a"], arena.grad["b"] = noise(2 + t, 3, dtype), noise(9 + t, 5, dtype)
        optimizer.step()
    named = np.zeros(arena.size, bool)
    for where in arena.slices.values():
        named[where] = True
    assert (arena.data[~named] == 0).all()
