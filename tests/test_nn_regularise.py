"""Penalties, limits of norms, clipping: against the formulas, the optimizers' own options, and torch."""

from __future__ import annotations

import warnings
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

import fourstep as fs
from fourstep import nn

Array = np.ndarray[Any, Any]

each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


@pytest.fixture(scope="module")
def torch() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("torch", reason="torch is the oracle of this test and is not installed")


def arena(dtype: str = "float64", seed: int = 0) -> fs.Arena:
    """Parameters with some zeros, and gradients."""
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(4, 5))
    w[1, 2] = 0
    made = fs.Arena({"out.weight": w.astype(dtype), "out.bias": rng.normal(size=4).astype(dtype)})
    for grad in made.grad.values():
        grad[...] = rng.normal(size=grad.shape)
    return made


# Penalties.


@pytest.mark.parametrize(("l1", "l2"), [(0.3, 0.0), (0.0, 0.7), (0.3, 0.7)])
def test_the_gradient_of_a_penalty_is_that_of_finite_differences(l1: float, l2: float) -> None:
    w = np.random.default_rng(0).normal(size=6)
    g = np.zeros(6)
    penalty = nn.regularise.ElasticNet(l1, l2)
    penalty.add_gradient(w, g)
    for i in range(6):
        up, down = w.copy(), w.copy()
        up[i] += 1e-6
        down[i] -= 1e-6
        assert g[i] == pytest.approx((penalty.value(up) - penalty.value(down)) / 2e-6, abs=1e-7)


@each_dtype
@pytest.mark.parametrize(("l1", "l2"), [(0.3, 0.0), (0.0, 0.7), (0.3, 0.7)])
def test_the_proximal_step_is_the_minimiser(dtype: str, l1: float, l2: float) -> None:
    """prox(v) minimises α·penalty(w) + ½·(w − v)²: held against a fine grid."""
    lr, before = 0.5, np.linspace(-1, 1, 41).astype(dtype)
    w = before.copy()
    nn.regularise.ElasticNet(l1, l2).prox(w, lr)
    grid = np.linspace(-1, 1, 20001)
    for found, v in zip(w, before, strict=True):
        cost = lr * (l1 * np.abs(grid) + l2 / 2 * grid**2) + (grid - v) ** 2 / 2
        assert found == pytest.approx(grid[cost.argmin()], abs=1e-4)
    assert not np.signbit(w[w == 0]).any()


def test_what_is_within_the_threshold_is_exactly_zero_and_nan_stays() -> None:
    w = np.array([0.1, -0.1, 0.0, -0.0, 0.2, np.nan])
    nn.regularise.L1(1.0).prox(w, 0.1)
    assert w[:4].tolist() == [0, 0, 0, 0]
    assert w[4] == pytest.approx(0.1)
    assert np.isnan(w[5])


def test_the_proximal_step_solves_the_lasso_that_scikit_learn_solves() -> None:
    linear_model = pytest.importorskip(
        "sklearn.linear_model", reason="scikit-learn is the oracle of this test"
    )
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 20))
    y = x[:, :3] @ [2.0, -3.0, 1.0] + rng.normal(scale=0.5, size=200)
    ours = fs.Arena({"w": np.zeros(20)})
    optimizer, l1 = fs.optim.SGD(ours, lr=0.3), nn.regularise.L1(0.1)
    for _ in range(400):
        ours.grad["w"] = x.T @ (x @ ours["w"] - y) / len(y)
        optimizer.step()
        l1.prox(ours, lr=0.3)
    theirs = linear_model.Lasso(alpha=0.1, fit_intercept=False, tol=1e-10).fit(x, y).coef_
    np.testing.assert_allclose(ours["w"], theirs, atol=1e-8)
    assert ours.nonzero()["w"] == np.count_nonzero(theirs) < 20


@each_dtype
def test_l2_is_the_weight_decay_of_an_optimizer(dtype: str) -> None:
    ours, theirs = arena(dtype), arena(dtype)
    nn.regularise.L2(0.3, params="*weight").add_gradient(ours)
    fs.optim.SGD(ours, lr=0.1).step()
    groups: list[dict[str, Any]] = [{"params": "*weight", "weight_decay": 0.3}, {"params": ...}]
    fs.optim.SGD(theirs, lr=0.1, groups=groups).step()
    for name in ours:
        assert ours[name].tobytes() == theirs[name].tobytes(), name


def test_a_selection_leaves_the_rest_alone() -> None:
    ours, before = arena(), arena()
    penalty = nn.regularise.L1(0.5, params="out.bias")
    penalty.prox(ours, 1.0)
    assert (ours["out.weight"] == before["out.weight"]).all()
    assert (ours["out.bias"] != before["out.bias"]).all()
    assert penalty.value(before) == pytest.approx(0.5 * np.abs(before["out.bias"]).sum())
    with pytest.raises(
        ValueError, match=r"params: 'emb\*' matches no parameter; there are out.weight, out.bias"
    ):
        nn.regularise.L1(0.5, params=["out.bias", "emb*"]).prox(ours, 1.0)


def test_an_arena_counts_what_is_left() -> None:
    ours = arena()
    assert ours.nonzero() == {"out.weight": 19, "out.bias": 4}
    ours["out.bias"] = np.zeros(4)
    assert [line.split()[-1] for line in repr(ours).splitlines()[2:]] == ["19", "0"]


def test_a_module_stands_for_its_parameters() -> None:
    model = nn.Linear(5, 4, dtype="float64", seed=0)
    model.grads["weight"][...] = 1
    nn.regularise.L1(0.5).add_gradient(model)
    assert (model.grads["weight"] == 1 + 0.5 * np.sign(model.params["weight"])).all()
    nn.regularise.max_norm(model, 0.1)
    np.testing.assert_allclose(np.linalg.norm(model.params["weight"], axis=1), 0.1)


@each_dtype
@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3)])
def test_max_norm_is_torch_s_renorm(torch: Any, dtype: str, shape: tuple[int, ...]) -> None:
    w = np.random.default_rng(1).normal(size=shape).astype(dtype)
    w[2] *= 0.01
    limit = float(np.median([np.linalg.norm(row) for row in w]))
    theirs = torch.renorm(torch.from_numpy(w.copy()), 2, 0, limit).numpy()
    small = w[2].copy()
    scaled = nn.regularise.max_norm(w, limit)
    assert scaled == 3
    np.testing.assert_allclose(w, theirs, rtol=1e-6)
    assert w[2].tobytes() == small.tobytes()


def test_max_norm_of_what_has_no_units_or_is_not_finite() -> None:
    with pytest.raises(ValueError, match="no array has two dimensions"):
        nn.regularise.max_norm(np.ones(3), 1.0)
    w = np.ones((3, 2))
    w[1, 0] = np.inf
    with pytest.raises(ValueError, match="target: the weights of unit 1 are not finite"):
        nn.regularise.max_norm(w, 1.0)
    assert w[0].tolist() == [1, 1]


# Clipping.


@each_dtype
@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_clipping_by_value_is_the_optimizer_s(dtype: str, limit: float) -> None:
    ours, theirs = arena(dtype), arena(dtype)
    outside = sum(int((np.abs(g) > limit).sum()) for g in ours.grad.values())
    assert nn.clip_by_value(ours.grad, limit) == outside
    fs.optim.SGD(ours, lr=0.1).step()
    fs.optim.SGD(theirs, lr=0.1, clip_value=limit).step()
    assert ours.data.tobytes() == theirs.data.tobytes()


@each_dtype
@pytest.mark.parametrize("limit", [0.5, 100.0])
@pytest.mark.parametrize("eps", [0.0, 1e-6])
def test_clipping_by_norm_is_the_optimizer_s_and_torch_s(
    torch: Any, dtype: str, limit: float, eps: float
) -> None:
    ours, theirs = arena(dtype), arena(dtype)
    directions = {name: g.copy() for name, g in ours.grad.items()}
    norm = nn.clip_by_norm(ours, limit, eps=eps)
    assert norm == pytest.approx(
        np.sqrt(sum((g.astype(float) ** 2).sum() for g in directions.values())), rel=1e-12
    )
    if eps:
        tensors = [torch.zeros(g.shape) for g in directions.values()]
        for tensor, g in zip(tensors, directions.values(), strict=True):
            tensor.grad = torch.from_numpy(g.astype(np.float32))
        torch.nn.utils.clip_grad_norm_(tensors, limit)
        for tensor, name in zip(tensors, directions, strict=True):
            np.testing.assert_allclose(ours.grad[name], tensor.grad.numpy(), rtol=1e-5)
    fs.optim.SGD(ours, lr=0.1).step()
    fs.optim.SGD(theirs, lr=0.1, clip_norm=limit, clip_eps=eps).step()
    np.testing.assert_allclose(ours.data, theirs.data, rtol=1e-7 if dtype == "float32" else 1e-15)


def test_the_default_eps_is_torch_s() -> None:
    ours, theirs = np.array([3.0, 4.0]), np.array([3.0, 4.0])
    nn.clip_by_norm(ours, 1.0)
    nn.clip_by_norm(theirs, 1.0, eps=1e-6)
    assert ours.tobytes() == theirs.tobytes()


def test_by_value_changes_the_direction_and_by_norm_does_not() -> None:
    """G4."""
    g = np.array([3.0, 1.0])
    by_value, by_norm = g.copy(), g.copy()
    nn.clip_by_value(by_value, 1.0)
    nn.clip_by_norm(by_norm, 1.0, eps=0)
    assert by_norm[0] / by_norm[1] == pytest.approx(3)
    assert np.linalg.norm(by_norm) == pytest.approx(1)
    assert by_value.tolist() == [1, 1]


def test_clipping_by_norm_of_nothing_and_of_what_is_not_finite() -> None:
    zero = np.zeros(3)
    assert nn.clip_by_norm(zero, 1.0, eps=0) == 0
    assert zero.tolist() == [0, 0, 0]
    grads = {"a": np.array([5.0]), "b": np.array([np.nan])}
    with pytest.raises(FloatingPointError, match="grads: b: the norm is nan: a gradient is not finite"):
        nn.clip_by_norm(grads, 1.0)
    assert grads["a"].tolist() == [5]


@each_dtype
@pytest.mark.parametrize("clipping", [0.01, 0.5, 100.0])
def test_adaptive_clipping_unit_by_unit(dtype: str, clipping: float) -> None:
    ours, before = arena(dtype), arena(dtype)
    scaled = nn.clip_adaptive(ours, clipping=clipping)
    expected = 0
    for name, w in before.items():
        rows = zip(np.atleast_2d(w), np.atleast_2d(before.grad[name]), strict=True)  # a bias is one unit
        units = [(np.ravel(a).astype(float), np.ravel(b).astype(float)) for a, b in rows]
        for i, (unit, gradient) in enumerate(units):
            most = clipping * max(float(np.linalg.norm(unit)), 1e-3)
            size = np.linalg.norm(gradient)
            expected += int(size > most)
            wanted = gradient * min(1.0, most / size)
            np.testing.assert_allclose(np.atleast_2d(ours.grad[name])[i], wanted, rtol=1e-6)
    assert scaled == expected
    assert ours.data.tobytes() == before.data.tobytes()


def test_adaptive_clipping_of_a_single_number() -> None:
    w, g = np.array(2.0), np.array(5.0)
    assert nn.clip_adaptive({"w": w}, {"w": g}, clipping=0.5) == 1
    assert float(g) == 1.0


# Properties.

arrays = hypothesis_numpy.arrays(np.float64, st.integers(1, 20), elements=st.floats(-1e3, 1e3))


@given(arrays, st.floats(1e-3, 1e3))
def test_clipping_twice_is_clipping_once(g: Array, limit: float) -> None:
    for clip in (nn.clip_by_value, lambda g, limit: nn.clip_by_norm(g, limit, eps=0)):
        once = g.copy()
        clip(once, limit)
        twice = once.copy()
        clip(twice, limit)
        np.testing.assert_allclose(twice, once, rtol=1e-14)
        assert (np.abs(once) <= np.abs(g)).all()
        assert (np.sign(once) * np.sign(g) >= 0).all()


@given(arrays, arrays, st.floats(0, 10), st.floats(0, 10))
def test_the_proximal_step_brings_no_two_points_further_apart(
    a: Array, b: Array, l1: float, l2: float
) -> None:
    n = min(len(a), len(b))
    a, b = a[:n].copy(), b[:n].copy()
    apart = np.linalg.norm(a - b)
    for w in (a, b):
        nn.regularise.ElasticNet(l1, l2).prox(w, 0.1)
    assert np.linalg.norm(a - b) <= apart * (1 + 1e-12) + 1e-9


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: nn.regularise.L1(-1), ValueError, "strength: got -1, need a finite number, 0 or above"),
        (lambda: nn.regularise.L2(np.inf), ValueError, "strength: got inf"),
        (lambda: nn.regularise.ElasticNet(l1=cast("Any", "x")), TypeError, "l1: got 'x'"),
        (lambda: nn.regularise.L1(1).prox(np.ones(2), -1), ValueError, "lr: got -1"),
        (
            lambda: nn.regularise.L1(1).value(cast("Any", [1.0])),
            TypeError,
            "target: got list, need an array, arrays by name",
        ),
        (lambda: nn.regularise.L1(1).value({"w": np.ones(2, int)}), TypeError, "target: w: got dtype int64"),
        (
            lambda: nn.regularise.L1(1, params="w").value(np.ones(2)),
            ValueError,
            "params: got 'w', but target is one",
        ),
        (
            lambda: nn.regularise.L1(1).add_gradient(np.ones(2)),
            TypeError,
            "grads: got None, need the gradients",
        ),
        (
            lambda: nn.regularise.L1(1).add_gradient({"w": np.ones(2)}, {"b": np.ones(2)}),
            ValueError,
            "grads: 'w' has no gradient; there are b",
        ),
        (
            lambda: nn.regularise.L1(1).add_gradient(np.ones(2), np.ones(3)),
            ValueError,
            r"grads: target: got shape \(3,\), need \(2,\)",
        ),
        (
            lambda: nn.regularise.max_norm(np.ones((2, 2)), 0),
            ValueError,
            "limit: got 0, need a finite number above 0",
        ),
        (lambda: nn.clip_by_value(np.ones(2), 0), ValueError, "limit: got 0, need a finite number above 0"),
        (lambda: nn.clip_by_norm(np.ones(2), np.nan), ValueError, "max_norm: got nan"),
        (lambda: nn.clip_by_norm(np.ones(2), 1, eps=-1), ValueError, "eps: got -1"),
        (lambda: nn.clip_adaptive(np.ones(2), np.ones(2), clipping=0), ValueError, "clipping: got 0"),
        (
            lambda: nn.clip_adaptive(np.ones((2, 2)), np.array([[1, 1], [np.inf, 1]])),
            FloatingPointError,
            "grads: target: the gradient of unit 1 is not finite",
        ),
    ],
)
def test_what_is_refused(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_read_only_arrays_are_refused() -> None:
    locked = np.ones(2)
    locked.flags.writeable = False
    with pytest.raises(ValueError, match="grads: grads: got a read-only array"):
        nn.clip_by_value(locked, 1.0)
