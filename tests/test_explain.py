"""What an optimizer says of itself is what its kernels do: formulas, numbers, windows, gains, leaks."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep.explain.formula import equation
from fourstep.explain.numbers import StepExplanation

Array = np.ndarray[Any, Any]
Noise = Callable[..., Array]
SHARED = {"weight_decay": 0.01, "clip_norm": 0.5, "clip_value": 0.05, "maximize": True}


def arena_of(noise: Noise, dtype: Any = np.float64, shape: tuple[int, int] = (4, 6)) -> fs.Arena:
    return fs.Arena({"w1": noise(1, shape, dtype), "b1": noise(2, 5, dtype)})


def fill(arena: fs.Arena, noise: Noise, t: int) -> None:
    for i, name in enumerate(arena):
        arena.grad[name] = noise(100 * t + i, arena[name].shape, arena.dtype)


def walk(opt: fs.optim.Optimizer, arena: fs.Arena, noise: Noise, steps: int) -> None:
    for t in range(steps):
        fill(arena, noise, t)
        opt.step()


def step_of(opt: fs.optim.Optimizer, *args: Any, **kwargs: Any) -> StepExplanation:
    seen = opt.explain(*args, **kwargs)
    assert isinstance(seen, StepExplanation)
    return seen


@pytest.mark.parametrize("shared", [{}, SHARED], ids=["plain", "all of step 1"])
def test_the_formulas_say_what_the_kernels_do(rule: Any, dtype: Any, noise: Noise, shared: Any) -> None:
    """Each line, worked out in float64 from the kernels' numbers before it, gives the kernels' number after it."""
    arena = arena_of(noise, dtype, shape=(2, 4))
    opt = rule.make(arena, **shared)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    with fs.trace(opt, "w1") as t:
        walk(opt, arena, noise, 7)
    checked = set()
    for step in t.steps:
        for c in t.coordinates:
            for term in t.explain(step, c.name, c.index).terms:
                size = max(1e-3, *map(abs, numbers(term.filled)), abs(term.value)) if term.filled else 1.0
                assert abs(term.worked - term.value) <= tolerance * size, (term, step)
                checked |= {term.left} if term.exact else set()
    assert {"g", "η", "w"} <= checked
    assert len(checked) == 3 + len(rule.states)


def numbers(filled: str) -> list[float]:
    return [float(x.replace("−", "-")) for x in re.findall(r"\d+\.?\d*(?:e[−-]?\d+)?", filled)]


@pytest.mark.parametrize("lookahead", [("NAG", "nesterov"), ("NAG", "notes"), ("Nadam", "notes")])
def test_the_formulas_of_a_look_ahead(lookahead: tuple[str, Any]) -> None:
    f = fs.functions.Rosenbrock()
    arena = fs.Arena({"x": np.array(f.start)})
    opt = getattr(fs.optim, lookahead[0])(arena, lr=1e-3, weight_decay=0.1, lookahead=lookahead[1])

    def closure() -> None:
        arena.grad["x"] = f.gradient(arena["x"])

    with fs.trace(opt) as t:
        for _ in range(5):
            opt.step(closure)
    seen = t.to_numpy()
    for row, step in zip(seen, t.steps, strict=True):
        said = t.explain(step, "x", (1,))
        assert said.terms[0].formula.startswith("g = ∇f(w − α·")
        assert said.terms[0].value == row[1]["gradient"]
        for term in said.terms[1:]:
            assert term.worked == pytest.approx(term.value, rel=1e-12, abs=1e-12)
        decay = next(term for term in said.terms if "λ" in term.formula)
        assert decay.worked == pytest.approx(row[1]["gradient"] + 0.1 * row[1]["at"])


def test_a_preview_is_the_step_that_follows(rule: Any, dtype: Any, noise: Noise) -> None:
    """And changes nothing: not a bit of the parameters, of the state, of what the next step depends on."""
    arena = arena_of(noise, dtype)
    opt = rule.make(arena, **SHARED)
    for t in range(3):
        fill(arena, noise, t)
        before = opt.state_dict(), arena.data.copy()
        said = step_of(opt, name="w1", index=(3, 5))
        after = opt.state_dict(), arena.data.copy()
        assert str(before) == str(after)
        assert set(vars(opt)) & {"_begin", "_call", "_advance"} == set()
        with fs.trace(opt, "w1", [(3, 5)]) as t_:
            opt.step()
        real = t_.explain(t + 1, "w1", (3, 5))
        assert (said.step, said.element) == (t + 1, "w1[3, 5]") == (real.step, real.element)
        assert said.terms == real.terms
        assert said["w"] == float(arena["w1"][3, 5])
        last = said.terms[-1]
        assert last.left == "w"
        assert last.worked == pytest.approx(float(arena["w1"][3, 5]), rel=1e-5, abs=1e-6)


def test_a_preview_inside_a_trace_and_an_earlier_step(noise: Noise) -> None:
    arena = arena_of(noise)
    opt = fs.optim.Adam(arena)
    with fs.trace(opt, "b1") as t:
        walk(opt, arena, noise, 3)
        assert str(opt.explain(step=2, name="b1", index=4)) == str(t.explain(2, "b1", 4))
        assert step_of(opt, step=4, name="w1", index=(0, 0)).step == 4
        opt.step()
    assert t.steps == [1, 2, 3, 4]


def test_adams_terms(noise: Noise) -> None:
    arena = arena_of(noise)
    opt = fs.optim.Adam(arena, lr=0.01, betas=(0.8, 0.99))
    walk(opt, arena, noise, 4)
    m0, v0 = (float(opt.state_of("b1")[k][2]) for k in ("exp_avg", "exp_avg_sq"))
    g = float(arena.grad["b1"][2])
    said = step_of(opt, name="b1", index=2)
    m, v = 0.8 * m0 + (1 - 0.8) * g, 0.99 * v0 + (1 - 0.99) * g * g
    assert said["m"] == pytest.approx(m)
    assert said["V"] == pytest.approx(v)
    assert said["m\u0302"] == pytest.approx(m / (1 - 0.8**5))
    assert said["V\u0302"] == pytest.approx(v / (1 - 0.99**5))
    assert said.effective_lr == pytest.approx(0.01 / (math.sqrt(v / (1 - 0.99**5)) + 1e-8))
    assert said.share_of_momentum == pytest.approx(0.8 * m0 / m)
    opt.step()
    assert said["m"] == opt.state_of("b1")["exp_avg"][2]
    assert said["w"] == arena["b1"][2]


@pytest.mark.parametrize(
    ("name", "options", "share", "rate"),
    [
        ("SGD", {}, 0.0, 0.1),
        ("SGD", {"momentum": 0.9}, 0.9 / 1.9, 0.1),
        ("SGD", {"momentum": 0.9, "momentum_form": "lr_inside"}, 0.9 / 1.9, 1.0),
        ("SGD", {"momentum": 0.9, "nesterov": True}, 0.81 / 2.71, 0.1 * 1.9),
        ("RMSProp", {"alpha": 0.75}, 0.0, 0.1 / math.sqrt(4 * (1 - 0.75**2))),
        ("RMSProp", {"alpha": 0.75, "momentum": 0.5}, None, 0.1 / math.sqrt(4 * (1 - 0.75**2))),
        ("AdaGrad", {}, 0.0, 0.1 / math.sqrt(8)),
    ],
)
def test_effective_rate_and_share(name: str, options: Any, share: float | None, rate: float) -> None:
    """Of the second of two equal steps, g = 2."""
    w = np.zeros(1)
    opt = getattr(fs.optim, name)([w], lr=0.1, **options)
    opt.step([np.array([2.0])])
    said = step_of(opt, name="0", index=0, grads=[np.array([2.0])])
    assert said.effective_lr == pytest.approx(rate, rel=1e-6)
    if share is not None:
        assert said.share_of_momentum == pytest.approx(share)
    else:
        assert 0 < said.share_of_momentum < 0.5


def test_the_share_of_momentum_leaves_decay_out() -> None:
    for name in ("LAMB", "AdamWScheduleFree"):
        w = np.array([1.0, 2.0])
        opt = getattr(fs.optim, name)([w], lr=0.1, weight_decay=0.5)
        said = step_of(opt, name="0", index=0, grads=[np.array([1.0, -1.0])])
        assert said.share_of_momentum == 0, name  # the first step: no gradient came before
        assert said.effective_lr > 0
    lamb = fs.optim.LAMB([np.array([3.0, 4.0])], lr=0.1, eps=0.0)
    said = step_of(lamb, name="0", index=0, grads=[np.array([1.0, -1.0])])
    assert said["r"] == pytest.approx(5 / math.sqrt(2))
    assert said.effective_lr == pytest.approx(0.1 * 5 / math.sqrt(2))


def test_every_rule_explains_itself(rule: Any) -> None:
    opt = rule.make([np.ones(3)], **SHARED)
    said = opt.explain()
    text = said.text()
    assert repr(said) == text
    for title in ("1  gradient", "2  moments", "3  direction", "4  update"):
        assert title in text
    for line in (line.equation for _, steps in said.groups for line in steps.lines):
        assert str(line) in text
        assert equation(str(line)) == line
    latex = said.latex()
    assert latex.count(r"\begin{aligned}") == latex.count(r"\end{aligned}") == 1
    assert latex.count("{") == latex.count("}")
    assert not re.search(r"[·√←²₁₂β-ωΑ-Ω\u0300-\u036f]", latex), latex
    assert f"$$\n{latex}\n$$" in said.markdown()
    state = {symbol for _, steps in said.groups for symbol in steps.formulas.states.values()}
    assert state == set(rule.states)


def test_symbols_are_the_hyper_parameters_of_the_group() -> None:
    """Every argument that changes the step stands in its formulas, with its value, in each group."""
    groups: Any = [{"params": "a", "lr": 0.5, "weight_decay": 0.25}, {"params": ..., "betas": (0.5, 0.75)}]
    opt = fs.optim.Adam({"a": np.ones(1), "b": np.ones(1)}, lr=0.125, groups=groups)
    first, second = (steps.symbols for _, steps in opt.explain().groups)  # type: ignore[union-attr]
    assert {key: s.value for key, s in first.items()} == {
        "α": 0.5,
        "λ": 0.25,
        "β₁": 0.9,
        "β₂": 0.999,
        "ε": 1e-8,
    }
    assert {key: s.value for key, s in second.items()} == {"α": 0.125, "β₁": 0.5, "β₂": 0.75, "ε": 1e-8}
    assert {key: s.name for key, s in second.items()}["β₁"] == "betas[0]"


def test_a_schedule_and_a_change_of_mind_are_told_as_they_were(noise: Noise) -> None:
    arena = arena_of(noise)
    opt = fs.optim.SGD(arena, lr=fs.schedules.Step(0.5, step_size=1, gamma=0.5), momentum=0.9, dampening=0.5)
    with fs.trace(opt, "b1", [0]) as t:
        walk(opt, arena, noise, 2)
        opt.param_groups[0]["weight_decay"] = 0.1
        opt.param_groups[0]["momentum"] = 0.5
        opt.step()
    said = [t.explain(step, "b1", 0) for step in (1, 2, 3)]
    assert [s["α"] for s in said] == [0.5, 0.25, 0.125]
    assert [s["γ"] for s in said] == [0.9, 0.9, 0.5]
    assert ["λ" in str(s) for s in said] == [False, False, True]
    assert [s["d"] for s in said] == [0.0, 0.5, 0.5]  # no dampening at the first step


def test_where_the_frame_leaks_it_says_so() -> None:
    leaking: tuple[fs.optim.Optimizer, ...] = (
        fs.optim.AdaDelta([np.ones(1)]),
        fs.optim.NAG([np.ones(1)]),
        fs.optim.Nadam([np.ones(1)], lookahead="notes"),
        fs.optim.RMSProp([np.ones(1)], momentum=0.9),
    )
    for opt in leaking:
        assert "\nleak " in str(opt.explain())
    inside: tuple[fs.optim.Optimizer, ...] = (
        fs.optim.SGD([np.ones(1)], momentum=0.9),
        fs.optim.Adam([np.ones(1)]),
    )
    for opt in inside:
        assert "\nleak " not in str(opt.explain())


def test_windows_and_gains_are_printed() -> None:
    text = str(fs.optim.SGD([np.ones(1)], momentum=0.9).explain())
    assert "γ = 0.9: the last 10 steps have 65.1 % of the weight" in text
    assert "η → 10 of α·|g| while the gradient stays, 0.5263 while its sign changes" in text
    text = str(fs.optim.Adam([np.ones(1)]).explain())
    assert "β₂ = 0.999: the last 1000 steps have 63.2 % of the weight" in text
    assert "η → 1 of α while the gradient stays, 0.05263 while" in text


def test_what_explain_refuses(noise: Noise) -> None:
    arena = arena_of(noise)
    opt = fs.optim.Adam(arena, clip_norm=1.0, groups=[{"params": "b1", "trainable": False}, {"params": ...}])
    walk(opt, arena, noise, 2)
    for message, arguments in {
        "got a step or an index without a name": {"step": 1},
        "step: got 1, need 3, the next one; for an earlier one, `with fs.trace": {"step": 1, "name": "w1"},
        "name: no parameter is called 'w9'; there are w1, b1": {"name": "w9"},
        r"w1: got the index \(\), need one inside the shape \(4, 6\)": {"name": "w1"},
        "b1: its group is frozen": {"name": "b1", "index": 0},
    }.items():
        with pytest.raises(ValueError, match=message):
            opt.explain(**arguments)  # type: ignore[arg-type]
    with fs.trace(opt, {"w1"}, [(0, 0)], every=2) as t:
        with pytest.raises(
            ValueError, match="step: got 1, need one that this trace holds: none yet, every 2"
        ):
            opt.explain(step=1, name="w1", index=(0, 0))
        walk(opt, arena, noise, 1)
        with pytest.raises(ValueError, match=r"this trace does not watch w1\[0, 1\]"):
            t.explain(3, "w1", (0, 1))
    arena.grad["w1"][0, 0] = np.inf
    with pytest.raises(FloatingPointError, match="so nothing would be updated"):
        opt.explain(name="w1", index=(1, 1))
    with pytest.raises(TypeError, match="takes its gradient at the look-ahead point"):
        fs.optim.NAG(arena, lookahead="notes").explain(name="w1", index=(1, 1))


@pytest.mark.parametrize(
    "options",
    [
        {"grad_scale": 4.0, "clip_norm": 0.25},
        {"clip_norm": 0.25, "clip_eps": 0.0},
        {"clip_norm": 0.25, "clip_eps": 0.125},
        {"weight_decay": 0.1, "decay": "decoupled"},
        {"weight_decay": 0.1, "decay": "independent", "maximize": True},
        {"cautious": True},
        {"cautious": "mask"},
        {"groups": [{"params": "w1", "clip_norm": 0.125}, {"params": ...}], "clip_norm": 8.0},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["SGD", "AdaDelta", "RMSProp", "Adam", "Nadam"])
def test_what_the_pass_does_beside_is_in_the_formulas(name: str, options: Any, noise: Noise) -> None:
    """Worked out line by line, as above; and a preview says the same."""
    arena = arena_of(noise)
    opt = getattr(fs.optim, name)(arena, **options)
    with fs.trace(opt, "w1") as t:
        for step in range(1, 4):
            fill(arena, noise, step)
            said = step_of(opt, name="w1", index=(2, 3))
            opt.step()
            assert said.terms == t.explain(step, "w1", (2, 3)).terms
    for c in t.coordinates:
        for term in t.explain(3, c.name, c.index).terms:
            size = max(1e-3, *map(abs, numbers(term.filled)), abs(term.value)) if term.filled else 1.0
            assert abs(term.worked - term.value) <= 1e-12 * size, term


def test_state_of_fewer_bits_is_told_as_it_was_computed(noise: Noise) -> None:
    for dtype in ("bfloat16", "int8"):
        arena = arena_of(noise, np.float32)
        opt = fs.optim.Adam(arena, state_dtype=dtype)
        walk(opt, arena, noise, 3)
        fill(arena, noise, 4)
        said = step_of(opt, name="w1", index=(1, 1))
        before = opt.state_of("w1")["exp_avg"][1, 1]
        opt.step()
        assert said["w"] == arena["w1"][1, 1]
        m = next(term for term in said.terms if term.left == "m")
        assert m.filled.startswith(f"0.9·{before:.6g}".replace("-", "(−").replace("·(−", "·(−"))
        for term in said.terms:
            assert term.worked == pytest.approx(term.value, rel=1e-5, abs=1e-8)


def test_a_preview_counts_nothing(noise: Noise) -> None:
    arena = arena_of(noise)
    opt = fs.optim.Adam(arena, skip_nonfinite="element", ema_decay=0.9)
    fill(arena, noise, 0)
    arena.grad["w1"][0, 0] = np.nan
    said = step_of(opt, name="w1", index=(0, 0))
    assert said["w"] == arena["w1"][0, 0]
    assert said["η"] == 0
    assert opt.nonfinite.steps == 0
    assert all(not group.started for group in opt.param_groups)
