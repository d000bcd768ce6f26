"""Schedules: values by hand, the live torch schedulers where torch is installed, and what is refused."""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fourstep import schedules as s

EXAMPLES: list[s.Schedule] = [
    s.Constant(0.1),
    s.Step(0.1, step_size=7, gamma=0.5),
    s.MultiStep(0.1, milestones=[3, 9, 9, 20]),
    s.Exponential(0.1, gamma=0.97),
    s.Polynomial(0.1, total_iters=20, power=1.7, eta_min=0.01),
    s.Cosine(0.1, T_max=20, eta_min=0.01),
    s.CosineWarmRestarts(0.1, T_0=4, T_mult=2, eta_min=0.01),
    s.OneCycle(0.1, total_steps=40),
    s.InverseSqrt(0.1, timescale=10),
    s.Warmup(5, after=s.Cosine(0.1, T_max=20)),
    s.Warmup(5, after=s.Step(0.1, step_size=4), start_factor=0.25),
    s.Hold(s.OneCycle(0.1, total_steps=10, anneal_strategy="linear"), steps=9),
]
ids = [type(example).__name__ for example in EXAMPLES]

HALF = math.sqrt(0.5)  # cos(π/4)

# schedule, then {step: value worked out by hand}
BY_HAND: list[tuple[s.Schedule, dict[int, float]]] = [
    (s.Constant(0.3), {0: 0.3, 2**64 - 1: 0.3}),
    (s.Step(8.0, step_size=10, gamma=0.5), {0: 8, 9: 8, 10: 4, 39: 1, 2**64 - 1: 0}),
    (s.MultiStep(8.0, milestones=[30, 10, 30], gamma=0.5), {0: 8, 9: 8, 10: 4, 29: 4, 30: 1, 2**64 - 1: 1}),
    (s.MultiStep(8.0, milestones=[]), {0: 8, 100: 8}),
    (s.Exponential(1.0, gamma=0.5), {0: 1, 10: 2**-10, 2**64 - 1: 0}),
    (s.Exponential(1.0, gamma=0.0), {0: 1, 1: 0}),
    (s.Polynomial(4.0, total_iters=8), {0: 4, 2: 3, 8: 0, 9: 0, 2**64 - 1: 0}),
    (s.Polynomial(4.0, total_iters=4, power=0.5, eta_min=2.0), {0: 4, 3: 3, 4: 2, 5: 2}),
    (s.Cosine(1.0, T_max=4), {0: 1, 1: (1 + HALF) / 2, 2: 0.5, 3: (1 - HALF) / 2, 4: 0, 6: 0.5, 8: 1}),
    (s.Cosine(0.9, T_max=60, eta_min=0.1), {0: 0.9, 20: 0.7, 30: 0.5, 40: 0.3, 60: 0.1}),
    (s.Cosine(1.0, T_max=2), {2**64 - 2: 0, 2**64 - 1: 0.5}),
    (s.CosineWarmRestarts(1.0, T_0=4), {0: 1, 2: 0.5, 4: 1, 6: 0.5, 2**64 - 2: 0.5}),
    (s.CosineWarmRestarts(1.0, T_0=2, T_mult=3), {0: 1, 1: 0.5, 2: 1, 5: 0.5, 8: 1, 17: 0.5, 26: 1}),
    (
        s.OneCycle(1.0, total_steps=11, pct_start=5 / 11, div_factor=10, final_div_factor=10),
        {0: 0.1, 2: 0.55, 4: 1, 7: 0.505, 10: 0.01},
    ),
    (s.OneCycle(1.0, 11, 5 / 11, "linear", 10, 10), {0: 0.1, 1: 0.325, 4: 1, 7: 0.505, 10: 0.01}),
    (s.OneCycle(1.0, 12, 4 / 12, "linear", 10, 10, True), {0: 0.1, 1: 0.4, 3: 1, 4: 0.7, 6: 0.1, 11: 0.01}),
    (s.OneCycle(1.0, 1), {0: 1 / 25 / 1e4}),
    (s.OneCycle(1.0, 10, pct_start=0.1), {0: 1.0, 9: 1 / 25 / 1e4}),  # torch divides by zero at step 0
    (s.OneCycle(1.0, 10, pct_start=1.0), {0: 0.04, 9: 1.0}),
    (s.InverseSqrt(1.0), {0: 1, 3: 0.5, 99: 0.1, 2**64 - 1: 2**-32}),
    (s.InverseSqrt(1.0, timescale=4), {0: 1, 12: 0.5, 32: 1 / 3}),
    (s.Warmup(4, s.Constant(1.0)), {0: 0.2, 1: 0.4, 2: 0.6, 3: 0.8, 4: 1, 5: 1}),
    (s.Warmup(4, s.Exponential(1.0, 0.5), start_factor=0.5), {0: 0.5, 1: 0.625, 3: 0.875, 4: 1, 6: 0.25}),
    (s.Warmup(4, s.Constant(1.0), start_factor=0.0), {0: 0, 1: 0.25, 4: 1}),
    (s.Warmup(0, s.Exponential(1.0, 0.5)), {0: 1, 1: 0.5}),
    (s.Warmup(2, s.Warmup(1, s.Constant(1.0))), {0: 1 / 6, 1: 1 / 3, 2: 0.5, 3: 1}),
    (s.Hold(s.Cosine(1.0, T_max=4), steps=2), {0: 1, 2: 0.5, 3: 0.5, 2**64 - 1: 0.5}),
]


@pytest.mark.parametrize(("schedule", "expected"), BY_HAND, ids=[repr(schedule) for schedule, _ in BY_HAND])
def test_values_by_hand(schedule: s.Schedule, expected: dict[int, float]) -> None:
    assert {step: schedule(step) for step in expected} == pytest.approx(expected, rel=1e-15, abs=1e-300)


def test_the_transformers_schedule() -> None:
    """Warmup and InverseSqrt: lr·min(update/n, √(n/update)), updates counted from 1 (Vaswani et al. 2017)."""
    n = 100
    schedule = s.Warmup(n - 1, s.InverseSqrt(0.5, timescale=n))
    for update in (1, 2, 50, 99, 100, 101, 400, 10_000):
        assert schedule(update - 1) == pytest.approx(0.5 * min(update / n, math.sqrt(n / update)), rel=1e-15)


@pytest.mark.parametrize("schedule", EXAMPLES, ids=ids)
def test_a_schedule_is_a_value(schedule: s.Schedule) -> None:
    """Equal to its copies, usable as a key, and none of pickle, dict and repr loses anything."""
    copies = [
        pickle.loads(pickle.dumps(schedule)),
        s.from_dict(schedule.to_dict()),
        eval(repr(schedule), vars(s)),
    ]
    assert copies == [schedule] * 3
    assert len({schedule, *copies}) == 1
    with pytest.raises(AttributeError):
        schedule.lr = 1.0  # type: ignore[attr-defined]


@pytest.mark.parametrize("schedule", EXAMPLES, ids=ids)
def test_the_dict_holds_plain_values_only(schedule: s.Schedule) -> None:
    def walk(value: Any) -> None:
        assert type(value) in (dict, list, str, int, float, bool, type(None))
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(inner)

    walk(schedule.to_dict())


def test_numpy_arguments_become_plain() -> None:
    schedule = s.MultiStep(np.float32(0.5), milestones=np.array([3, 1]), gamma=np.float64(0.1))  # type: ignore[arg-type]
    assert schedule == s.MultiStep(0.5, (1, 3))
    assert repr(schedule) == "MultiStep(lr=0.5, milestones=(1, 3), gamma=0.1)"
    assert s.Cosine(1, T_max=np.int64(2))(np.uint64(1)) == 0.5  # type: ignore[arg-type]


@given(st.sampled_from(EXAMPLES), st.integers(0, 2**64 - 1))
def test_any_step_gives_a_rate(schedule: s.Schedule, step: int) -> None:
    if isinstance(schedule, s.OneCycle):
        step %= schedule.total_steps
    rate = schedule(step)
    assert type(rate) is float
    assert 0 <= rate <= 0.1 * (1 + 1e-15)
    assert s.evaluate(schedule, step) == rate


@pytest.mark.parametrize("schedule", EXAMPLES, ids=ids)
def test_a_step_is_a_whole_number_below_two_to_the_64(schedule: s.Schedule) -> None:
    name = type(schedule).__name__
    for bad in (-1, 2**64):
        with pytest.raises(ValueError, match=rf"^{name}: step must be from 0 to 2\^64 - 1, got {bad}$"):
            schedule(bad)
    for wrong in (1.0, "1", None):
        with pytest.raises(TypeError, match=f"^{name}: step must be a whole number, got "):
            schedule(wrong)  # type: ignore[arg-type]


any_: Any = s  # arguments of wrong types are the point here

REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: any_.Constant(-0.1), "Constant: lr must be a finite number >= 0, got -0.1"),
    (lambda: any_.Constant(math.nan), "Constant: lr must be a finite number >= 0, got nan"),
    (lambda: any_.Constant(math.inf), "Constant: lr must be a finite number >= 0, got inf"),
    (lambda: any_.Constant(10**400), "Constant: lr must be a finite number >= 0, got 1000"),
    (lambda: any_.Constant(True), "Constant: lr must be a finite number >= 0, got True"),
    (lambda: any_.Constant("0.1"), "Constant: lr must be a finite number >= 0, got '0.1'"),
    (lambda: any_.Step(0.1, step_size=0), "Step: step_size must be a whole number from 1 to 2^64 - 1, got 0"),
    (
        lambda: any_.Step(0.1, step_size=2.0),
        "Step: step_size must be a whole number from 1 to 2^64 - 1, got 2.0",
    ),
    (lambda: any_.Step(0.1, 1, gamma=-1), "Step: gamma must be a finite number >= 0, got -1"),
    (
        lambda: any_.MultiStep(0.1, [3, -1]),
        "MultiStep: milestones must be a sequence of whole numbers from 0 to 2^64 - 1, got [3",
    ),
    (
        lambda: any_.MultiStep(0.1, 3),
        "MultiStep: milestones must be a sequence of whole numbers from 0 to 2^64 - 1, got 3",
    ),
    (lambda: any_.Polynomial(0.1, 5, power=0), "Polynomial: power must be a finite number > 0, got 0"),
    (lambda: any_.Cosine(0.1, T_max=-5), "Cosine: T_max must be a whole number from 1 to 2^64 - 1, got -5"),
    (lambda: any_.Cosine(0.1, 5, eta_min=-1), "Cosine: eta_min must be a finite number >= 0, got -1"),
    (lambda: any_.CosineWarmRestarts(0.1, T_0=0), "CosineWarmRestarts: T_0 must be a whole number from 1"),
    (
        lambda: any_.OneCycle(0.1, 5, pct_start=1.5),
        "OneCycle: pct_start must be a number from 0 to 1, got 1.5",
    ),
    (
        lambda: any_.OneCycle(0.1, 5, anneal_strategy="x"),
        "OneCycle: anneal_strategy must be 'cos' or 'linear', got 'x'",
    ),
    (lambda: any_.OneCycle(0.1, 5, three_phase=1), "OneCycle: three_phase must be True or False, got 1"),
    (
        lambda: any_.Warmup(5, 0.1),
        "Warmup: after must be a schedule or another function of the step, got 0.1",
    ),
    (lambda: any_.Warmup(5, s.Constant(1), 2), "Warmup: start_factor must be a number from 0 to 1, got 2"),
    (lambda: any_.Hold(s.Constant(1), -1), "Hold: steps must be a whole number from 0 to 2^64 - 1, got -1"),
    (lambda: any_.ReduceOnPlateau(0.1, mode="up"), "ReduceOnPlateau: mode must be 'min' or 'max', got 'up'"),
    (
        lambda: any_.ReduceOnPlateau(0.1, factor=2),
        "ReduceOnPlateau: factor must be a number from 0 to 1, got 2",
    ),
    (
        lambda: any_.ReduceOnPlateau(0.1, patience=1.5),
        "ReduceOnPlateau: patience must be a whole number from 0",
    ),
    (
        lambda: any_.from_dict({"schedule": "Cosin"}),
        "no schedule 'Cosin'; there are Constant, Step, MultiStep,",
    ),
    (lambda: any_.from_dict({}), "no schedule None; there are Constant, Step, MultiStep,"),
    (lambda: any_.from_dict({"schedule": "Constant"}), "Constant: missing a required argument: 'lr'"),
    (
        lambda: any_.from_dict({"schedule": "Constant", "lr": 1, "x": 2}),
        "Constant: got an unexpected keyword argument 'x'",
    ),
    (
        lambda: any_.from_dict({"schedule": "Constant", "lr": -1}),
        "Constant: lr must be a finite number >= 0, got -1",
    ),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_wrong_arguments_are_refused_when_the_schedule_is_made(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        make()


def test_onecycle_ends_where_it_says() -> None:
    schedule = s.OneCycle(0.1, total_steps=10)
    with pytest.raises(ValueError, match=r"ends with step 9, got step 10; Hold\(schedule, 9\) goes on"):
        schedule(10)
    assert s.Hold(schedule, 9)(1000) == schedule(9)


class Broken:
    def __call__(self, step: int) -> float:
        return math.nan

    def __repr__(self) -> str:
        return "Broken()"


@pytest.mark.parametrize(
    ("lr", "message"),
    [
        (-0.5, "lr is -0.5 at step 7;"),
        (math.nan, "lr is nan at step 7;"),
        ("0.1", "lr is '0.1' at step 7;"),
        (True, "lr is True at step 7;"),
        (Broken(), r"Broken\(\) gave nan at step 7;"),
        (lambda step: -1.0, "<lambda> gave -1.0 at step 7;"),
        (lambda step: None, "<lambda> gave None at step 7;"),
        (lambda step: 10**400, "<lambda> gave 1000+ at step 7;"),
        (s.Warmup(9, Broken()), r"Warmup\(.*Broken\(\).*\) gave nan at step 7;"),
        (s.Exponential(1.0, gamma=1e300), r"Exponential\(lr=1.0, gamma=1e\+300\) gave inf at step 7;"),
    ],
)
def test_a_rate_that_is_none_names_the_schedule_and_the_step(lr: Any, message: str) -> None:
    """N2: a learning rate never turns NaN silently."""
    with pytest.raises(ValueError, match=f"{message} a learning rate must be a finite number >= 0$"):
        s.evaluate(lr, 7)


def test_evaluate_takes_numbers_and_functions() -> None:
    assert s.evaluate(0.1, 0) == s.evaluate(lambda step: 0.1, 0) == s.evaluate(np.float64(0.1), 0) == 0.1
    number: Any = np.float32(0.5)
    assert type(s.evaluate(number, 0)) is float
    assert type(s.evaluate(1, 0)) is float


def test_a_function_inside_a_schedule_has_no_dict() -> None:
    with pytest.raises(TypeError, match=r"^Warmup: after is a function, Broken\(\): no dict holds it$"):
        s.Warmup(3, Broken()).to_dict()


# --- Reduce on plateau


def rates(plateau: s.ReduceOnPlateau, metrics: list[float]) -> list[float]:
    return [plateau.observe(metric) for metric in metrics]


def test_plateau_waits_for_its_patience_then_drops() -> None:
    assert rates(s.ReduceOnPlateau(1.0, factor=0.5, patience=2), [3, 3, 3, 3, 3, 3, 3]) == [
        1,
        1,
        1,
        0.5,
        0.5,
        0.5,
        0.25,
    ]
    assert rates(s.ReduceOnPlateau(1.0, factor=0.5, patience=0), [3, 2, 2, 1, 1]) == [1, 1, 0.5, 0.5, 0.25]
    assert rates(s.ReduceOnPlateau(1.0, mode="max", factor=0.5, patience=0), [1, 2, 2, 1]) == [
        1,
        1,
        0.5,
        0.25,
    ]


@pytest.mark.parametrize(
    ("settings", "best", "too_little", "enough"),
    [
        ({"threshold": 0.1}, 10, 9.5, 8.9),
        ({"threshold": 1, "threshold_mode": "abs"}, 10, 9.5, 8.9),
        ({"threshold": 0.1, "mode": "max"}, 10, 10.5, 11.1),
        ({"threshold": 1, "threshold_mode": "abs", "mode": "max"}, 10, 10.5, 11.1),
        # a negative best: |best| counts, where torch's best·(1 ± threshold) asks for less than nothing
        ({"threshold": 0.1}, -10, -10.5, -11.1),
        ({"threshold": 0.1, "mode": "max"}, -10, -9.5, -8.9),
    ],
)
def test_plateau_thresholds(settings: dict[str, Any], best: float, too_little: float, enough: float) -> None:
    def make() -> s.ReduceOnPlateau:
        return s.ReduceOnPlateau(1.0, factor=0.5, patience=0, **settings)

    assert rates(make(), [best, too_little]) == [1.0, 0.5]
    assert rates(make(), [best, enough]) == [1.0, 1.0]


def test_plateau_cooldown_and_floor() -> None:
    plateau = s.ReduceOnPlateau(1.0, factor=0.5, patience=0, cooldown=2, min_lr=0.3)
    assert rates(plateau, [1, 1, 1, 1, 1, 1]) == [1, 0.5, 0.5, 0.5, 0.3, 0.3]
    assert (
        rates(s.ReduceOnPlateau(1e-8, factor=0.5, patience=0), [1, 1, 1]) == [1e-8] * 3
    )  # the drop is below eps


def test_plateau_takes_nan_for_no_improvement_and_warns() -> None:
    plateau = s.ReduceOnPlateau(1.0, factor=0.5, patience=1)
    plateau.observe(2.0)
    for expected in (1.0, 0.5):
        with pytest.warns(RuntimeWarning, match="^ReduceOnPlateau: the metric is NaN: no improvement$"):
            assert plateau.observe(math.nan) == expected
    assert plateau.best == 2.0


@given(st.lists(st.floats(-10, 10), max_size=30), st.integers(0, 30))
def test_plateau_goes_on_from_its_state(metrics: list[float], cut: int) -> None:
    def make() -> s.ReduceOnPlateau:
        return s.ReduceOnPlateau(1.0, factor=0.5, patience=1, cooldown=1)

    whole, first, second = make(), make(), make()
    expected = rates(whole, metrics)
    rates(first, metrics[:cut])
    second.load_state_dict(first.state_dict())
    third = s.from_dict(first.to_dict())
    assert isinstance(third, s.ReduceOnPlateau)
    assert first == second == third == pickle.loads(pickle.dumps(first))
    assert rates(second, metrics[cut:]) == rates(third, metrics[cut:]) == expected[cut:]


def test_plateau_refuses_a_wrong_state_whole() -> None:
    plateau = s.ReduceOnPlateau(1.0)
    good = plateau.state_dict()
    with pytest.raises(
        ValueError, match=r"the state must hold \['best', 'cooldown_counter', 'current', 'num_bad"
    ):
        plateau.load_state_dict({"best": 1.0})
    with pytest.raises(
        ValueError, match=r"num_bad_epochs must be a whole number from 0 to 2\^64 - 1, got -1"
    ):
        plateau.load_state_dict({**good, "best": 0.0, "num_bad_epochs": -1})
    with pytest.raises(ValueError, match="best must be a number other than NaN, got nan"):
        plateau.load_state_dict({**good, "best": math.nan})
    assert plateau.state_dict() == good


def test_plateau_is_a_schedule_that_ignores_the_step() -> None:
    plateau = s.ReduceOnPlateau(1.0, factor=0.5, patience=0)
    assert isinstance(plateau, s.Schedule)
    warm = s.Warmup(1, plateau)
    assert [warm(0), warm(1)] == [0.5, 1.0]
    rates(plateau, [1, 1])
    assert [warm(0), warm(1), s.evaluate(plateau, 123)] == [0.25, 0.5, 0.5]
    assert s.from_dict(warm.to_dict()) == warm


# --- torch, where it is installed


def by_torch(make: Callable[[Any, Any], Any], lr: float, steps: int) -> list[float]:
    """The rates that torch's scheduler gives updates 0, 1, 2, ..."""
    torch = pytest.importorskip("torch", reason="torch is not installed: no live comparison of schedules")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    values = []
    for _ in range(steps):
        values.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return values


TORCH: list[tuple[s.Schedule, Callable[[Any, Any], Any]]] = [
    (s.Step(0.1, 7, 0.3), lambda t, o: t.StepLR(o, 7, 0.3)),
    (s.MultiStep(0.1, [5, 11, 11, 30]), lambda t, o: t.MultiStepLR(o, [5, 11, 11, 30])),
    (s.Exponential(0.1, 0.93), lambda t, o: t.ExponentialLR(o, 0.93)),
    (s.Polynomial(0.1, 37, 2.5), lambda t, o: t.PolynomialLR(o, 37, 2.5)),
    (s.Cosine(0.1, 30, 0.02), lambda t, o: t.CosineAnnealingLR(o, 30, 0.02)),
    (s.CosineWarmRestarts(0.1, 5, 2, 0.02), lambda t, o: t.CosineAnnealingWarmRestarts(o, 5, 2, 0.02)),
    (s.CosineWarmRestarts(0.1, 9), lambda t, o: t.CosineAnnealingWarmRestarts(o, 9)),
    *(
        (
            any_.OneCycle(0.1, 61, pct, anneal, 20.0, 100.0, phases),
            lambda t, o, pct=pct, anneal=anneal, phases=phases: t.OneCycleLR(
                o, 0.1, 61, pct_start=pct, anneal_strategy=anneal, div_factor=20.0, final_div_factor=100.0,
                three_phase=phases, cycle_momentum=False,
            ),
        )
        for pct in (0.3, 0.45, 0.0)
        for anneal in ("cos", "linear")
        for phases in (False, True)
    ),
    (
        s.Warmup(10, s.Cosine(0.1, 40), start_factor=0.1),
        lambda t, o: t.SequentialLR(o, [t.LinearLR(o, 0.1, 1.0, 10), t.CosineAnnealingLR(o, 40)], [10]),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("ours", "make"), TORCH, ids=[repr(ours) for ours, _ in TORCH])
def test_values_are_torchs(ours: s.Schedule, make: Callable[[Any, Any], Any]) -> None:
    expected = by_torch(make, 0.1, 61)
    assert [ours(step) for step in range(61)] == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize("cooldown", [0, 3])
def test_plateau_is_torchs(mode: Any, threshold_mode: Any, cooldown: int) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: no live comparison of schedules")
    settings: dict[str, Any] = {
        "mode": mode,
        "factor": 0.7,
        "patience": 2,
        "threshold": 0.05,
        "threshold_mode": threshold_mode,
        "cooldown": cooldown,
        "min_lr": 0.01,
    }
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **settings)
    ours = s.ReduceOnPlateau(1.0, **settings)
    for metric in np.random.default_rng(0).uniform(0.5, 1.5, 200):
        theirs.step(metric)
        assert ours.observe(metric) == optimizer.param_groups[0]["lr"]
        assert (ours.best, ours.num_bad_epochs) == (theirs.best, theirs.num_bad_epochs)


def test_torch_never_sees_a_plateau_of_a_negative_metric() -> None:
    """The difference that the docs name. If this fails, torch has mended it and the sentence goes."""
    torch = pytest.importorskip("torch", reason="torch is not installed: no live comparison of schedules")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs, ours = (
        torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=3),
        s.ReduceOnPlateau(1.0, patience=3),
    )
    for _ in range(50):
        theirs.step(-1.0)
        ours.observe(-1.0)
    assert optimizer.param_groups[0]["lr"] == 1.0
    assert ours.current < 1e-7


def test_torchs_onecycle_divides_by_zero_where_ours_has_its_peak() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: no live comparison of schedules")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    with pytest.raises(ZeroDivisionError):
        torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=10, pct_start=0.1)
    assert s.OneCycle(1.0, total_steps=10, pct_start=0.1)(0) == 1.0
