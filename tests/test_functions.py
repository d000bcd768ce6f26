"""Test functions: gradients by central differences, minima, closed-form rates and bounds against runs of the kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep import functions
from fourstep.functions.quadratic import Method

Array = np.ndarray[Any, Any]

FUNCTIONS = [
    functions.Quadratic(),
    functions.Quadratic((0.5, 2.0, 30.0)),
    functions.Ravine(),
    functions.Saddle(),
    functions.Rosenbrock(),
    functions.Beale(),
    functions.DoubleWell(),
    functions.RingedBasin(),
]
OPTIONS: dict[Method, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {}),
    "heavy_ball": ("SGD", {"momentum": 0.9}),
    "ema": ("SGD", {"momentum": 0.9, "momentum_form": "ema"}),
    "nesterov": ("NAG", {"momentum": 0.9}),
    "notes": ("NAG", {"momentum": 0.9, "lookahead": "notes"}),
}


def momentum(method: Method) -> float:
    return 0.0 if method == "sgd" else 0.9


def points(f: Any, n: int = 50) -> Array:
    dim = len(f.start)
    bounds = (f.bounds * dim)[:dim]
    rng = np.random.default_rng(0)
    return np.stack([rng.uniform(low, high, n) for low, high in bounds], -1)


@pytest.mark.parametrize("f", FUNCTIONS, ids=str)
def test_the_gradient_is_that_of_the_value(f: Any) -> None:
    x, h = points(f), 1e-5
    moved = np.eye(x.shape[1]) * h
    differences = np.stack([(f.value(x + d) - f.value(x - d)) / (2 * h) for d in moved], -1)
    size = 1 + np.abs(differences)
    assert (np.abs(f.gradient(x) - differences) / size).max() < 1e-6


@pytest.mark.parametrize("f", FUNCTIONS, ids=str)
def test_the_minimum_is_one(f: Any) -> None:
    best = np.asarray(f.minimum, float)
    assert np.abs(f.gradient(best)).max() < 1e-12
    assert f.value(best) <= f.value(points(f, 10_000)).min()
    assert np.isclose(float(f(best)), float(f.value(best)))


@pytest.mark.parametrize("f", FUNCTIONS, ids=str)
def test_one_point_and_many_and_either_dtype(f: Any) -> None:
    x = points(f, 6).reshape(2, 3, -1)
    assert f.value(x).shape == (2, 3)
    assert f.gradient(x).shape == x.shape
    assert f.value(x[1, 2]) == f.value(x)[1, 2]
    single = x.astype(np.float32)
    assert f.gradient(single).dtype == np.float32
    assert f.value(single).dtype == np.float32


def test_functions_are_frozen_and_checked() -> None:
    with pytest.raises(AttributeError):
        functions.Ravine().steepness = 3.0  # type: ignore[misc]
    assert functions.Ravine(3) == functions.Ravine(3)
    with pytest.raises(ValueError, match=r"tilt: got 0.5, need 0 < tilt < 2/√27"):
        functions.DoubleWell(0.5)
    with pytest.raises(ValueError, match=r"curvatures: got \(1.0, 0.0\), need"):
        functions.Quadratic((1.0, 0.0))
    with pytest.raises(ValueError, match=r"x: got shape \(3,\), need a last axis of 2"):
        functions.Quadratic().value(np.ones(3))
    with pytest.raises(ValueError, match="method: got 'adam', need one of 'sgd'"):
        functions.stability("adam")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="momentum: got 1.0, need"):
        functions.stability("notes", 1.0)


# --- The quadratic: what theory says, and what the kernels do.


@pytest.mark.parametrize("method", OPTIONS)
@pytest.mark.parametrize("h", [0.05, 0.3, 0.9, 1.2])
def test_every_step_of_the_kernels_is_the_recurrence(method: Method, h: float) -> None:
    name, options = OPTIONS[method]
    curvature = 4.0
    bowl = functions.Quadratic((curvature,))
    walk = fs.minimize(bowl, [1.0], (name, {"lr": h / curvature, **options}), steps=60)
    x = walk.points[:, 0]
    trace, determinant = functions.recurrence(method, h, momentum(method))
    assert np.abs(x[2:] - (trace * x[1:-1] - determinant * x[:-2])).max() < 1e-14


@pytest.mark.parametrize("method", OPTIONS)
def test_the_measured_rate_is_the_closed_form(method: Method) -> None:
    name, options = OPTIONS[method]
    bowl = functions.Quadratic((1.0, 10.0))
    for lr in (0.01, 0.05, 0.1):
        walk = fs.minimize(bowl, bowl.start, (name, {"lr": lr, **options}), steps=800)
        predicted = bowl.rate(method, lr, momentum(method))
        assert walk.rate(bowl.minimum) == pytest.approx(predicted, abs=3e-3), lr
    assert bowl.rate("sgd", 0.05) == pytest.approx(1 - 0.05)


@pytest.mark.parametrize("method", OPTIONS)
def test_the_stability_bound_separates_walks_that_shrink_from_walks_that_grow(method: Method) -> None:
    name, options = OPTIONS[method]
    bowl = functions.Quadratic((2.0,))
    bound = bowl.stable_lr(method, momentum(method))
    for factor, stable in ((0.99, True), (1.01, False)):
        walk = fs.minimize(bowl, [1.0], (name, {"lr": factor * bound, **options}), steps=2000)
        assert bool(abs(walk.end[0]) < 1e-3) is stable
        assert (bowl.rate(method, factor * bound, momentum(method)) < 1) is stable


def test_looking_ahead_by_the_whole_of_m_is_stable_for_less_than_nesterovs() -> None:
    """O10: 1.27 against 1.36 at γ = 0.9."""
    assert round(functions.stability("notes", 0.9), 2) == 1.27
    assert round(functions.stability("nesterov", 0.9), 2) == 1.36
    bowl = functions.Quadratic((1.0,))
    ends = [
        fs.minimize(bowl, [1.0], (n, {"lr": 1.31, **o}), 500).end[0]
        for n, o in (OPTIONS["nesterov"], OPTIONS["notes"])
    ]
    assert abs(ends[0]) < 1e-3 < 1e3 < abs(ends[1])


def test_the_best_rates_are_the_best() -> None:
    bowl = functions.Quadratic((1.0, 50.0))
    for method in ("sgd", "heavy_ball"):
        lr, gamma, rate = bowl.best(method)
        assert bowl.rate(method, lr, gamma) == pytest.approx(rate, abs=1e-7)
        for factor in (0.97, 1.03):
            assert bowl.rate(method, lr * factor, gamma) > rate
    with pytest.raises(ValueError, match="need 'sgd' or 'heavy_ball'"):
        bowl.best("notes")  # type: ignore[arg-type]


# --- Escape (O11).


def escape(f: functions.Trap, name: str, noise: float, **options: Any) -> float:
    return float(functions.escape_rate(f, (name, options), noise=noise))


@pytest.mark.parametrize("f", [functions.DoubleWell(), functions.RingedBasin()], ids=str)
def test_starts_lie_in_the_trap_and_repeat(f: functions.Trap) -> None:
    starts = f.starts(300, seed=5)
    assert f.trapped(starts).all()
    assert (starts == f.starts(300, seed=5)).all()
    assert (starts != f.starts(300, seed=6)).any()
    assert not f.trapped(np.asarray(f.minimum))
    assert (f.value(starts) > f.value(np.asarray(f.minimum))).all()


def test_starts_side_by_side_walk_as_alone() -> None:
    basin = functions.RingedBasin()
    starts = basin.starts(5)
    for choice in (("SGD", {"lr": 0.1, "momentum": 0.9}), ("NAG", {"lr": 0.1}), ("Adam", {"lr": 0.05})):
        together = fs.minimize(basin, starts, choice, 50)
        for i, start in enumerate(starts):
            assert (fs.minimize(basin, start, choice, 50).points == together.points[:, i]).all()
    with pytest.raises(ValueError, match="which ties the starts to each other"):
        functions.escape_rate(basin, ("SGD", {"clip_norm": 1.0}))
    for made in (
        lambda a: fs.optim.SGD(a, clip_norm=1.0),
        lambda a: fs.optim.SGD(a, cautious=True),
        fs.optim.LAMB,
    ):
        with pytest.raises(ValueError, match="which ties the starts to each other"):
            functions.escape_rate(basin, made)
    with pytest.raises(ValueError, match=r"starts: \[2. 0.\] of row 1 lies outside the trap"):
        functions.escape_rate(basin, "SGD", starts=[[0, 0], [2, 0]])


def test_the_counts_add_up_and_a_lost_start_has_not_escaped() -> None:
    seen = functions.escape_rate(functions.RingedBasin(), ("SGD", {"lr": 0.5}), noise=0.5)
    assert seen.escaped + seen.stayed + seen.lost == 400 == len(seen.first)
    assert seen.lost > 0
    assert seen.rate == seen.escaped / 400
    assert (seen.first >= 0).sum() >= seen.escaped


def test_momentum_leaves_the_basin_and_looking_ahead_does_not_help_it() -> None:
    """What the measurement says of O11.

    Without noise nobody leaves the ringed basin. With noise, at one learning rate, momentum leaves where SGD does not;
    but at one *effective* rate α/(1 − γ) it has no such lead, and looking ahead leaves less often than the heavy ball
    does: it damps.
    """
    basin, well = functions.RingedBasin(), functions.DoubleWell()
    heavy, ahead = {"momentum": 0.9}, {"momentum": 0.9}
    for lr in (0.05, 0.1, 0.2):
        assert escape(basin, "SGD", 0.0, lr=lr) == 0
        assert escape(basin, "SGD", 0.0, lr=lr, **heavy) == 0
        assert escape(basin, "NAG", 0.0, lr=lr, **ahead) == 0
    for trap in (basin, well):
        sgd = escape(trap, "SGD", 0.5, lr=0.05)
        with_momentum = escape(trap, "SGD", 0.5, lr=0.05, **heavy)
        with_look_ahead = escape(trap, "NAG", 0.5, lr=0.05, **ahead)
        assert sgd < 0.05
        assert with_momentum > 0.7
        assert with_look_ahead < with_momentum - 0.1
    assert abs(escape(well, "SGD", 0.5, lr=0.02, **heavy) - escape(well, "SGD", 0.5, lr=0.2)) < 0.05


# --- minimize


def test_a_walk_is_what_the_loop_does() -> None:
    f = functions.Rosenbrock()
    walk = fs.minimize(f, f.start, lambda arena: fs.optim.Adam(arena, lr=0.05), 40)
    w = np.array(f.start)
    opt = fs.optim.Adam([w], lr=0.05)
    for t in range(40):
        assert (walk.points[t] == w).all()
        assert (walk.evaluated_at[t] == w).all()
        assert (walk.gradients[t] == f.gradient(w)).all()
        opt.step([f.gradient(w)])
    assert (walk.end == w).all()
    assert (walk.losses == f.value(walk.points)).all()
    assert len(walk) == 40
    assert walk.diverged is None


@pytest.mark.parametrize("choice", [("NAG", {"lr": 0.02}), ("NAG", {"lr": 0.02, "lookahead": "notes"})])
def test_nag_takes_its_gradient_where_the_momentum_leads(choice: Any) -> None:
    ravine = functions.Ravine()
    walk = fs.minimize(ravine, ravine.start, choice, 20)
    share = 1.0 if "lookahead" in choice[1] else 0.9
    moved = walk.points[1:-1] - walk.points[:-2]  # −α·m of the step before
    ahead = walk.points[1:-1] + share * moved
    assert np.abs(walk.evaluated_at[1:] - ahead).max() < 1e-13
    assert (walk.gradients == ravine.gradient(walk.evaluated_at)).all()


def test_nadam_of_the_notes_looks_ahead_too() -> None:
    ravine = functions.Ravine()
    walk = fs.minimize(ravine, ravine.start, ("Nadam", {"lr": 0.1, "lookahead": "notes"}), 20)
    assert (walk.evaluated_at[0] == walk.points[0]).all()
    assert (walk.evaluated_at[1:] != walk.points[1:-1]).any()


def test_the_points_of_a_schedule_free_walk_are_its_averages() -> None:
    ravine = functions.Ravine()
    walk = fs.minimize(ravine, ravine.start, ("SGDScheduleFree", {"lr": 0.05}), 30)
    w = np.array(ravine.start)
    opt = fs.optim.SGDScheduleFree([w], lr=0.05)
    for t in range(30):
        assert (walk.evaluated_at[t] == w).all()
        opt.step([ravine.gradient(w)])
    opt.eval()
    assert (walk.end == w).all()


def test_any_shape_and_dtype_and_a_pair_of_functions() -> None:
    start = np.ones((2, 3), np.float32)
    walk = fs.minimize((lambda x: (x**2).sum(), lambda x: 2 * x), start, "AdaGrad", 3)
    assert walk.points.shape == (4, 2, 3)
    assert walk.points.dtype == np.float32
    assert walk.losses.shape == (4,)
    assert (start == 1).all()  # the caller's array is not touched
    assert len(fs.minimize(functions.Ravine(), [1, 1], "SGD", 0)) == 0


def test_a_walk_that_diverges_is_a_result() -> None:
    walk = fs.minimize(functions.Ravine(), [1.0, 1.0], ("SGD", {"lr": 10.0}), 400)
    assert walk.diverged is not None
    assert 0 < walk.diverged < 400


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            (lambda x: x, [1.0], "SGD", 1),
            TypeError,
            "f: got .*, need one of fourstep.functions, an object with",
        ),
        (("ravine", [1.0], "SGD", 1), TypeError, "f: got 'ravine', need"),
        ((functions.Ravine(), 1.0, "SGD", 1), ValueError, "x0: got 1.0, need an array of finite numbers"),
        ((functions.Ravine(), [1.0, np.nan], "SGD", 1), ValueError, "x0: got .*, need an array of finite"),
        (
            (functions.Ravine(), [1.0, 1.0], ("Adam",), 1),
            TypeError,
            r"optimizer: got \('Adam',\), need a name",
        ),
        ((functions.Ravine(), [1.0, 1.0], {"Adam": {}}, 1), TypeError, "optimizer: got .*, need a name"),
    ],
)
def test_minimize_names_what_it_cannot_use(arguments: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        fs.minimize(*arguments)


def test_only_a_trap_has_an_escape_rate() -> None:
    with pytest.raises(TypeError, match="need a function with a trap"):
        functions.escape_rate(functions.Ravine(), "SGD")  # type: ignore[arg-type]


def test_what_minimize_refuses() -> None:
    f = functions.Ravine()
    with pytest.raises(ValueError, match="optimizer: got 'Adm', need one of ADOPT, .*NAG, SGD"):
        fs.minimize(f, f.start, "Adm", 1)
    with pytest.raises(ValueError, match="optimizer: got 'Optimizer'"):
        fs.minimize(f, f.start, "Optimizer", 1)
    with pytest.raises(TypeError, match="optimizer: made int, need an optimizer"):
        fs.minimize(f, f.start, lambda arena: 3, 1)  # type: ignore[arg-type, return-value]
    with pytest.raises(ValueError, match="steps: got -1, need a whole number >= 0"):
        fs.minimize(f, f.start, "SGD", -1)
    with pytest.raises(ValueError, match=r"f: its gradient has shape \(\), need \(2,\)"):
        fs.minimize((f.value, lambda x: 0.0), f.start, "SGD", 1)
    with pytest.raises(ValueError, match="rate: got a walk of 2 steps"):
        fs.minimize(f, f.start, "SGD", 2).rate()
