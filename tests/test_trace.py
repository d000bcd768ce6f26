"""Traces: what is written down is what the kernels did; the walk is the same to the bit; nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep.explain.triples import UnexplainedError

Array = np.ndarray[Any, Any]
Noise = Callable[..., Array]
SameBits = Callable[[Array, Array], bool]
HOOKS = ("_begin", "_call", "_advance")


def arena_of(noise: Noise, dtype: Any = np.float32) -> fs.Arena:
    return fs.Arena({"w1": noise(1, (4, 5), dtype), "b1": noise(2, 5, dtype), "w2": noise(3, (5, 1), dtype)})


def walk(opt: fs.optim.Optimizer, arena: fs.Arena, noise: Noise, steps: int, first: int = 0) -> None:
    for t in range(first, first + steps):
        arena.grad_data[...] = 0
        for i, name in enumerate(arena):
            arena.grad[name] = noise(100 * t + i, arena[name].shape, arena.dtype)
        opt.step()


#: Rules whose step 4 is another than keep·w − η.
OWN_UPDATE = ("ftrl", "adan", "adopt")
#: Those that take weight decay into their step.
OWN_DECAY = ("LAMB", "SGDScheduleFree", "AdamWScheduleFree")


def keep(opt: fs.optim.Optimizer) -> Any:
    """What w is multiplied by in step 4."""
    group = opt.param_groups[0]
    lr, decay = group["lr"], group["weight_decay"]
    share = {"l2": 0.0, "decoupled": lr * decay, "independent": decay}[group["decay"]]
    return group["params"][0].dtype.type(1 if type(opt).__name__ in OWN_DECAY else 1 - share)


def bits_of(opt: fs.optim.Optimizer, arena: fs.Arena) -> list[Array]:
    states = [opt.state_of(name) for name in arena]
    return [arena.data, *(array for state in states for array in state.values())]


def test_the_walk_is_the_same_to_the_bit(rule: Any, dtype: Any, noise: Noise, same_bits: SameBits) -> None:
    shared = {"weight_decay": 0.01, "clip_norm": 0.5, "clip_value": 0.3}
    ends = []
    for watched in (False, True):
        arena = arena_of(noise, dtype)
        opt = rule.make(arena, **shared)
        if watched:
            with fs.trace(opt, every=2):
                walk(opt, arena, noise, 5)
            walk(opt, arena, noise, 2, first=5)
        else:
            walk(opt, arena, noise, 7)
        ends.append([a.copy() for a in bits_of(opt, arena)])
    assert all(same_bits(a, b) for a, b in zip(*ends, strict=True))


def test_what_is_written_down_is_what_happened(
    rule: Any, dtype: Any, noise: Noise, same_bits: SameBits
) -> None:
    """w, state and w_next are read from the arena; g, η are those of the probe: they must fit together to the bit."""
    arena = arena_of(noise, dtype)
    opt = rule.make(arena, weight_decay=0.01, clip_norm=0.5, clip_value=0.3, maximize=True)
    before, after, states, grads = [], [], [], []
    with fs.trace(opt, "w1") as t:
        for step in range(6):
            before.append(arena["w1"].ravel().copy())
            walk(opt, arena, noise, 1, first=step)
            grads.append(arena.grad["w1"].ravel().copy())
            after.append(arena["w1"].ravel().copy())
            states.append({key: value.ravel().copy() for key, value in opt.state_of("w1").items()})
    seen = t.to_numpy()
    assert seen.shape == (6, 20)
    assert seen["step"][:, 0].tolist() == [1, 2, 3, 4, 5, 6]
    assert seen["w"].dtype == dtype
    assert same_bits(seen["w"], np.array(before))
    assert same_bits(seen["at"], seen["w"])
    assert same_bits(seen["gradient"], np.array(grads))
    assert same_bits(seen["w_next"], np.array(after))
    if not rule.id.startswith(OWN_UPDATE):
        assert same_bits(keep(opt) * seen["w"] - seen["eta"], seen["w_next"])
    if not rule.id.startswith(("ftrl", "rprop", "adopt")):  # w itself; a step left out; no first step
        assert (seen["eta"] != 0).all()
    for key in states[0]:
        values = np.array([state[key] for state in states])
        found = [n for n in ("m", "V", key) if n in (seen.dtype.names or ()) and same_bits(seen[n], values)]
        assert found, key


PASSES: dict[str, dict[str, Any]] = {
    "scale": {"grad_scale": 3.0, "clip_norm": 0.5},
    "decoupled": {"weight_decay": 0.1, "decay": "decoupled", "maximize": True},
    "independent": {"weight_decay": 0.1, "decay": "independent"},
    "cautious": {"cautious": True, "clip_norm": 0.5},
    "mask": {"cautious": "mask"},
    "element": {"skip_nonfinite": "element", "clip_norm": 0.5},
    "error": {"skip_nonfinite": "error"},
    "average": {"ema_decay": 0.9, "zero_grad": True, "track": True},
    "flush": {"flush_subnormals": True},
    "copy": {"copy_out": "bfloat16", "stochastic_rounding": True, "seed": 3},
    "half": {"state_dtype": "bfloat16"},
    "rounded": {"state_dtype": "bfloat16", "stochastic_rounding": True},
    "byte": {"state_dtype": "int8"},
}


SOME: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.03, "momentum": 0.9},
    "NAG": {"lr": 0.03},
    "AdaDelta": {},
    "RMSProp": {"centered": True, "momentum": 0.9},
    "RAdam": {},
    "AdamW": {"weight_decay": 0.1},
}


@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize("options", PASSES.values(), ids=PASSES)
def test_whatever_the_pass_does_beside(name: str, options: Any, noise: Noise, same_bits: SameBits) -> None:
    """The walk has the same bits; w and w_next are the parameters; η leads from one to the other."""
    ends = []
    for watched in (False, True):
        arena = arena_of(noise)
        opt = getattr(fs.optim, name)(arena, **{**SOME[name], **options})
        if watched:
            indices: Any = {"w1": [(3, 2), (0, 0), (1, 4)], "b1": [1]}
            with fs.trace(opt, ["w1", "b1"], indices) as t:
                walk(opt, arena, noise, 4)
        else:
            walk(opt, arena, noise, 4)
        ends.append([a.copy() for a in bits_of(opt, arena)])
    assert all(same_bits(a, b) for a, b in zip(*ends, strict=True))
    seen = t.to_numpy()
    assert same_bits(seen["w"][1:], seen["w_next"][:-1])
    assert same_bits(seen["w_next"][-1], np.array([arena[c.name][c.index] for c in t.coordinates]))
    assert same_bits(keep(opt) * seen["w"] - seen["eta"], seen["w_next"])
    if "cautious" not in options:
        assert (seen["eta"] != 0).all()
    assert np.isfinite(seen["gradient"]).all()
    assert (seen["gradient"] != 0).all()


def test_elements_that_are_left_alone(noise: Noise) -> None:
    arena = arena_of(noise)
    opt = fs.optim.Adam(arena, skip_nonfinite="element", weight_decay=0.1, decay="decoupled")
    with fs.trace(opt, "b1", [0, 1]) as t:
        walk(opt, arena, noise, 1)
        arena.grad["b1"][0] = np.nan
        opt.step()
    row = t.to_numpy()[1]
    assert np.isnan(row["gradient"][0])
    assert row["eta"].tolist()[0] == 0
    assert row["w_next"][0] == row["w"][0]
    assert row["w_next"][1] != row["w"][1]
    assert row["m"][0] == t.to_numpy()[0]["m"][0]


def test_steps_that_are_skipped_are_not_recorded(noise: Noise) -> None:
    arena = arena_of(noise)
    opt = fs.optim.Adam(arena, skip_nonfinite="step")
    with fs.trace(opt, "b1", [0, 1]) as t:
        walk(opt, arena, noise, 1)
        arena.grad["b1"][0] = np.nan
        opt.step()
        walk(opt, arena, noise, 1)
    assert t.steps == [1, 2]


def test_g_is_the_gradient_after_step_one(noise: Noise) -> None:
    """Scaled to the norm, negated, clipped, plus decay: by the reference's step 1."""
    arena = arena_of(noise, np.float64)
    options: dict[str, Any] = {
        "lr": 0.1,
        "weight_decay": 0.02,
        "clip_norm": 0.5,
        "clip_value": 0.1,
        "maximize": True,
    }
    twin = fs.reference.SGD({name: array.copy() for name, array in arena.items()}, **options)
    opt = fs.optim.SGD(arena, **options)
    with fs.trace(opt) as t:
        walk(opt, arena, noise, 1)
    twin.begin()
    scale = twin.scale(dict(arena.grad))
    wanted = [twin.gradient(w, arena.grad[name], scale).ravel() for name, w in twin.params.items()]
    assert (t.to_numpy()["g"][0] == np.concatenate(wanted)).all()
    assert abs(scale) < 0.9


@pytest.mark.parametrize("form", ["arena", "list", "dict", "torch"])
def test_every_form_of_parameters(form: str, noise: Noise) -> None:
    a, b = noise(1, (2, 3), np.float64), noise(2, 4, np.float64)
    ga, gb = noise(3, (2, 3), np.float64), noise(4, 4, np.float64)
    forms: dict[str, Any] = {
        "arena": fs.Arena({"a": a, "b": b}),
        "list": [a, b],
        "dict": {"a": a, "b": b},
        "torch": [{"params": [a]}, {"params": [b], "lr": 0.5}],
    }
    params = forms[form]
    opt = fs.optim.Adam(params, lr=0.1)
    names = list(opt._layout.params())
    with fs.trace(opt, names[1], [(3,)]) as t:
        if form == "arena":
            params.grad["a"], params.grad["b"] = ga, gb
            opt.step()
        else:
            opt.step({"list": [ga, gb], "dict": {"a": ga, "b": gb}, "torch": [[ga], [gb]]}[form])
    seen = t.to_numpy()[0, 0]
    assert seen["gradient"] == gb[3]
    assert seen["lr"] == (0.5 if form == "torch" else 0.1)
    assert seen["w_next"] == seen["w"] - seen["eta"]


def test_two_dtypes_and_a_scalar() -> None:
    a, b = np.array([0.1, 0.2], np.float32), np.array(0.3)
    opt = fs.optim.AdaGrad({"a": a, "b": b}, lr=0.1)
    with fs.trace(opt) as t:
        opt.step({"a": np.array([0.5, -0.5], np.float32), "b": np.array(2.0)})
    seen = t.to_numpy()[0]
    assert seen["w"].tolist() == [float(np.float32(0.1)), float(np.float32(0.2)), 0.3]
    assert seen["w_next"].tolist() == [*a.astype(float), float(b)]
    assert [str(c) for c in t.coordinates] == ["a[0]", "a[1]", "b"]


@pytest.mark.parametrize(
    ("name", "options"),
    [("NAG", {}), ("NAG", {"lookahead": "notes"}), ("Nadam", {"lookahead": "notes"})],
)
def test_looking_ahead(name: str, options: dict[str, Any], same_bits: SameBits) -> None:
    f = fs.functions.Rosenbrock()
    ends = []
    for watched in (False, True):
        arena = fs.Arena({"x": np.array(f.start)})
        opt = getattr(fs.optim, name)(arena, lr=1e-3, weight_decay=0.01, **options)
        at: list[Array] = []
        gradients: list[Array] = []

        def closure(arena: fs.Arena = arena, at: Any = at, gradients: Any = gradients) -> float:
            at.append(arena["x"].copy())
            gradients.append(f.gradient(arena["x"]))
            arena.grad["x"] = gradients[-1]
            return float(f.value(arena["x"]))

        t = fs.trace(opt)
        if watched:
            with t:
                for _ in range(10):
                    opt.step(closure)
            seen = t.to_numpy()
            assert same_bits(seen["at"], np.array(at))
            assert (seen["at"][1:] != seen["w"][1:]).all()
            assert same_bits(seen["gradient"], np.array(gradients))
            assert same_bits(seen["g"], seen["gradient"] + 0.01 * seen["at"])
            assert same_bits(seen["w"][1:], seen["w_next"][:-1])
            assert same_bits(seen["w"] - seen["eta"], seen["w_next"])
            assert same_bits(seen["m"][-1], next(iter(opt.state_of("x").values())))
        else:
            for _ in range(10):
                opt.step(closure)
        ends.append(arena["x"].copy())
    assert same_bits(*ends)


def test_groups_and_frozen_ones(noise: Noise) -> None:
    arena = arena_of(noise)
    groups: Any = [{"params": "b1", "lr": 1.0}, {"params": "w2", "trainable": False}, {"params": ...}]
    opt = fs.optim.SGD(arena, lr=0.1, momentum=0.9, groups=groups)
    indices: Any = {"w1": [(0, 0)], "b1": [0], "w2": [(-1, 0)]}
    with fs.trace(opt, ["w1", "b1", "w2"], indices) as t:
        walk(opt, arena, noise, 2)
        opt.param_groups[1]["trainable"] = True
        walk(opt, arena, noise, 1, first=2)
    seen = t.to_numpy()
    assert [str(c) for c in t.coordinates] == ["w1[0, 0]", "b1[0]", "w2[4, 0]"]
    assert seen["lr"][0][:2].tolist() == [float(np.float32(0.1)), 1.0]
    frozen = seen[:2, 2]
    assert np.isnan(frozen["g"]).all()
    assert np.isnan(frozen["eta"]).all()
    assert (frozen["w"] == frozen["w_next"]).all()
    assert np.isfinite(seen[2, 2]["g"])
    assert seen[2, 2]["w_next"] == arena["w2"][4, 0]


def test_nothing_is_attached_when_off(noise: Noise) -> None:
    arena = arena_of(noise)
    opt = fs.optim.Adam(arena)
    before = dict(vars(opt))
    t = fs.trace(opt)
    assert vars(opt).keys() == before.keys()
    with t:
        assert set(vars(opt)) - set(before) == set(HOOKS)
    assert vars(opt).keys() == before.keys()
    for name in (*HOOKS, "step", "_step", "_run"):
        assert getattr(opt, name) == getattr(type(opt), name).__get__(opt)
    with pytest.raises(ZeroDivisionError), t:
        raise ZeroDivisionError
    assert vars(opt).keys() == before.keys()
    walk(opt, arena, noise, 1)
    assert len(t) == 0


def test_a_step_that_failed_is_not_recorded(noise: Noise) -> None:
    arena = arena_of(noise)
    opt = fs.optim.NAG(arena, clip_norm=1.0)
    with fs.trace(opt, "b1") as t:
        walk(opt, arena, noise, 1)
        arena.grad["b1"][0] = np.nan
        with pytest.raises(FloatingPointError):
            opt.step()
        with pytest.raises(ZeroDivisionError):
            opt.step(lambda: 1 / 0)
        walk(opt, arena, noise, 1, first=1)
    assert t.steps == [1, 2]
    assert np.isfinite(t.to_numpy()["g"]).all()


def test_the_ring_keeps_to_its_budget(noise: Noise) -> None:
    arena = arena_of(noise)
    opt = fs.optim.Adam(arena)
    one = fs.trace(opt, "b1")._row_bytes
    with fs.trace(opt, "b1", max_bytes=3 * one + 1) as t:
        walk(opt, arena, noise, 5)
    assert t.steps == [3, 4, 5]
    assert t.dropped == 2
    assert t.nbytes == 3 * one
    assert repr(t).endswith("3 steps (3 to 5) of 5 coordinates, 780 of 781 bytes, 2 more overwritten")
    with pytest.raises(
        ValueError, match="max_bytes: got 10, need at least 260 for one step of 5 coordinates"
    ):
        fs.trace(opt, "b1", max_bytes=10)


def test_every_so_many_steps(noise: Noise) -> None:
    arena = arena_of(noise)
    opt = fs.optim.SGD(arena, lr=0.1)
    with fs.trace(opt, "b1", [0], every=3) as t:
        walk(opt, arena, noise, 8)
    assert t.steps == [1, 4, 7]
    text = t.table(last=2).splitlines()
    assert len(text) == 3
    assert text[0].split() == ["step", "element", "w", "g", "η", "w", "next"]
    assert text[1].split()[:2] == ["4", "b1[0]"]


def test_momentum_after_the_division_is_not_called_m(noise: Noise) -> None:
    arena = arena_of(noise)
    opt = fs.optim.RMSProp(arena, momentum=0.9)
    with fs.trace(opt, "b1") as t:
        walk(opt, arena, noise, 1)
    seen = t.to_numpy()
    assert np.isnan(seen["m"]).all()
    assert (seen["momentum_buffer"][0] == opt.state_of("b1")["momentum_buffer"]).all()
    assert "momentum_buffer" in t.table()


def test_what_a_trace_refuses(noise: Noise) -> None:
    opt = fs.optim.SGD(arena_of(noise))
    for message, arguments in {
        "names: 'c\\*' matches no parameter; there are w1, b1, w2": ("c*",),
        "indices: no parameter is called 'c'; there are": (None, {"c": [0]}),
        "indices: got none for 'w1'": (["w1"], {"b1": [0]}),
        r"w1: got the index \(4, 0\), need one inside the shape \(4, 5\)": ("w1", [(4, 0)]),
        r"w1: got the index 1, need one inside": ("w1", [1]),
        r"b1: got the index 'a', need whole numbers": ("b1", ["a"]),
    }.items():
        with pytest.raises(ValueError, match=message):
            fs.trace(opt, *arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="every: got 0, need a whole number >= 1"):
        fs.trace(opt, every=0)
    with pytest.raises(TypeError, match="opt: got int, need an optimizer"):
        fs.trace(3)  # type: ignore[arg-type]
    with fs.trace(opt), pytest.raises(RuntimeError, match="this SGD is watched already"), fs.trace(opt):
        pass
    assert not set(vars(opt)) & set(HOOKS)
    t = fs.trace(opt)
    with pytest.raises(ValueError, match="last: got 0"):
        t.table(last=0)


def test_a_sparse_table_beside_dense_parameters(same_bits: SameBits) -> None:
    """Its w is written down, and that the kernels of dense steps did not touch it."""
    ends = []
    for watched in (False, True):
        table, w = np.ones((5, 2)), np.ones(3)
        groups: Any = [{"params": "table", "sparse": True}, {"params": ...}]
        opt = fs.optim.AdaGrad({"table": table, "w": w}, lr=0.1, clip_norm=0.5, groups=groups)
        indices: Any = {"table": [(3, 0), (4, 0)], "w": [1]}
        t = fs.trace(opt, indices=indices)

        def steps(opt: Any = opt) -> None:
            for k in range(3):
                rows = {"table": (np.array([3]), np.full((1, 2), 1.0 + k))}
                opt.step({"table": None, "w": np.ones(3)}, rows=rows)

        if watched:
            with t:
                steps()
        else:
            steps()
        ends.append(np.concatenate([table.ravel(), w]))
    assert same_bits(*ends)
    seen = t.to_numpy()
    assert np.isnan(seen["g"][:, :2]).all()
    assert (seen["w_next"][:, 0] < seen["w"][:, 0]).all()
    assert (seen["w_next"][:, 1] == 1).all()
    assert np.isfinite(seen["g"][:, 2]).all()
    with pytest.raises(
        ValueError, match="no step of it was seen at step 2: it was frozen, or it is a sparse table"
    ):
        t.explain(2, "table", (3, 0))
    assert t.explain(2, "w", 1)["‖g‖"] > np.sqrt(3)
    with pytest.raises(ValueError, match="is a sparse table, whose rows step by step_rows"):
        opt.explain(name="table", index=(3, 0))
    assert t.table(last=1).splitlines()[1].split()[4:6] == ["–", "–"]  # g and η: not seen, no NaN


def test_steps_that_are_functions_can_be_watched() -> None:
    w = np.ones(2)
    opt = fs.FourStep([w], lr=0.1, direction=lambda m, v, lr, t: lr * m)
    with fs.trace(opt) as t, pytest.warns(fs.optim.SlowStep):
        opt.step([w.copy()])
    assert t.to_numpy()["w_next"][0].tolist() == w.tolist()
    assert t.table().splitlines()[1].split()[3:5] == ["–", "–"]
    with pytest.raises(UnexplainedError, match="direction is a function of yours"):
        opt.explain(name="0", index=0, grads=[w.copy()])
    with pytest.raises(
        ValueError, match="explain: direction is a function of yours, which only you can explain"
    ):
        opt.explain()
