"""Bagging, boosting, snapshots, averages of weights, and gradients that are accumulated."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep import nn

Array = np.ndarray[Any, Any]


def data(rows: int = 40, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    return x, (x @ [1.0, -2.0, 0.5] + rng.normal(size=rows) > 0)[:, None].astype(float)


def small(seed: int) -> nn.Module:
    hidden = nn.block(3, 4, activation="tanh", batch_norm=False, dtype="float64", seed=seed)
    return nn.Sequential({"hidden": hidden, "out": nn.Linear(4, 1, dtype="float64", seed=seed)})


# Accumulation.


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("size", [1, 7, 39, 40, 100])
def test_accumulated_gradients_are_those_of_one_large_batch(reduction: Any, size: int) -> None:
    x, target = data()
    model, loss = small(0), nn.BCEWithLogitsLoss(reduction=reduction)
    whole = loss.forward(model.forward(x), target)
    model.backward(loss.backward())
    at_once = {name: g.copy() for name, g in model.named_grads().items()}
    model.zero_grad()
    assert nn.accumulate(model, loss, x, target, size) == pytest.approx(whole, rel=1e-12)
    for name, g in model.named_grads().items():
        np.testing.assert_allclose(g, at_once[name], rtol=1e-10, atol=1e-14, err_msg=name)


def test_accumulation_adds_to_what_is_there_and_steps_as_one() -> None:
    x, target = data()
    ends = []
    for parts in (False, True):
        model, loss = small(0), nn.BCEWithLogitsLoss()
        arena = fs.Arena(model)
        optimizer = fs.optim.SGD(arena, lr=0.5, momentum=0.9)
        for _ in range(20):
            arena.zero_grad()
            if parts:
                nn.accumulate(model, loss, x, target, 16)
            else:
                loss.forward(model.forward(x), target)
                model.backward(loss.backward())
            optimizer.step()
        ends.append(arena.data.copy())
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-8, atol=1e-12)


def test_accumulation_refuses_batch_statistics_of_parts() -> None:
    x, target = data()
    model = nn.Sequential({"norm": nn.BatchNorm(3, dtype="float64"), "out": nn.Linear(3, 1, dtype="float64")})
    loss = nn.BCEWithLogitsLoss()
    with pytest.raises(
        ValueError, match="BatchNorm 'norm': its statistics would be those of 8 rows, not of the batch"
    ):
        nn.accumulate(model, loss, x, target, 8)
    assert model.children["norm"].buffers["num_batches_tracked"] == 0
    nn.accumulate(model, loss, x, target, 8, batch_statistics="of_parts")
    assert model.children["norm"].buffers["num_batches_tracked"] == 5
    nn.accumulate(model.eval(), loss, x, target, 8)
    with pytest.raises(ValueError, match="the rows differ"):
        nn.accumulate(model, loss, x, target[:-1], 8)
    with pytest.raises(ValueError, match="x: got no rows"):
        nn.accumulate(model, loss, x[:0], target[:0], 8)


# Averages of weights.


def test_swa_is_the_mean_and_torch_s() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch = pytest.importorskip("torch", reason="torch is the oracle of this test and is not installed")
    arena = fs.Arena({"w": np.zeros(5)})
    swa, layer = nn.SWA(arena), torch.nn.Linear(5, 1, bias=False, dtype=torch.float64)
    theirs, seen = torch.optim.swa_utils.AveragedModel(layer), []
    for seed in range(7):
        seen.append(np.random.default_rng(seed).normal(size=5))
        arena["w"] = seen[-1]
        layer.weight.data[...] = torch.from_numpy(seen[-1])
        swa.update()
        theirs.update_parameters(layer)
    np.testing.assert_allclose(swa.average["w"], np.mean(seen, axis=0), rtol=1e-12)
    np.testing.assert_allclose(swa.average["w"], theirs.module.weight.detach().numpy()[0], rtol=1e-12)


def test_swa_in_float32_keeps_the_digits_of_a_long_average() -> None:
    arena = fs.Arena({"w": np.full(1, 1, np.float32)})
    swa = nn.SWA(arena)
    for i in range(5000):
        arena["w"][0] = 1 if i % 2 else 1 + 2**-20
        swa.update()
    assert swa.average["w"][0] == np.float32(1 + 2**-21)


def test_swa_applies_gives_back_and_goes_on_from_its_state(tmp_path: Path) -> None:
    model = small(0)
    swa = nn.SWA(model)
    with pytest.raises(RuntimeError, match="no update yet"):
        swa.apply()
    swa.update()
    first = model.state_dict()
    for w in model.named_parameters().values():
        w += 2
    swa.update()
    last = model.state_dict()
    fs.Arena(model)  # its parameters are other arrays from here on
    with swa.applied():
        assert np.allclose(model.named_parameters()["out.bias"], first["out.bias"] + 1)
    assert all((w == last[name]).all() for name, w in model.named_parameters().items())
    fs.save(tmp_path / "swa.npz", swa.state_dict())
    resumed = nn.SWA(small(1))
    resumed.load_state_dict(fs.load(tmp_path / "swa.npz"))
    assert resumed.count == 2
    assert all((resumed.average[name] == value).all() for name, value in swa.average.items())
    with pytest.raises(ValueError, match=r"SWA.load_state_dict: .*'w' is missing"):
        nn.SWA({"w": np.ones(2)}).load_state_dict(swa.state_dict())
    swa.apply()
    assert np.allclose(model.named_parameters()["out.bias"], first["out.bias"] + 1)


def test_batch_norm_statistics_are_those_of_the_new_weights() -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    linear, norm = nn.Linear(3, 2, dtype="float64", seed=0), nn.BatchNorm(2, momentum=0.3, dtype="float64")
    model = nn.Sequential(linear, norm, nn.Dropout(0.5, seed=1))
    model.forward(x * 100)
    model.eval()
    assert nn.update_batch_norm(model, nn.batches(x, 20, shuffle=False)) == 3
    inner = x @ linear.params["weight"].T + linear.params["bias"]
    np.testing.assert_allclose(norm.buffers["running_mean"], inner.mean(0), rtol=1e-10)
    np.testing.assert_allclose(norm.buffers["running_var"], inner.var(0, ddof=1), rtol=1e-10)
    assert (norm.momentum, norm.training) == (0.3, False)
    assert model.children["2"].buffers["step"] == 1
    before = model.state_dict()
    with pytest.raises(ValueError, match="batches: got none"):
        nn.update_batch_norm(model, [])
    assert all((before[name] == value).all() for name, value in model.state_dict().items())
    with pytest.raises(ValueError, match="x: got shape"):
        nn.update_batch_norm(model, [x, x[:, :2]])
    assert all((before[name] == value).all() for name, value in model.state_dict().items())
    with pytest.raises(ValueError, match="model: has no BatchNorm"):
        nn.update_batch_norm(linear, [x])


def test_snapshots_average_outputs_and_leave_the_model_alone() -> None:
    x, _ = data()
    model = nn.Sequential({"net": small(0), "drop": nn.Dropout(0.5, seed=0)})
    snapshots, said = nn.Snapshots(model, link=nn.functional.sigmoid), []
    with pytest.raises(RuntimeError, match="predict before take"):
        snapshots.predict(x)
    for shift in range(3):
        for w in model.named_parameters().values():
            w += shift
        snapshots.take()
        said.append(nn.functional.sigmoid(model.eval().forward(x)))
        model.train()
    before = model.state_dict()
    np.testing.assert_allclose(snapshots.predict(x), np.mean(said, axis=0), rtol=1e-14)
    assert all((before[name] == value).all() for name, value in model.state_dict().items())
    assert all(module.training for _, module in model.modules())


# Bagging and boosting.


def by_adam(loss: nn.Loss, epochs: int) -> Any:
    def fit(model: nn.Module, x: Any, target: Any, seed: int) -> None:
        nn.fit(model, loss, x, target, optimizer=("Adam", {"lr": 0.05}), epochs=epochs, seed=seed)

    return fit


def test_bagging_draws_rows_with_replacement_and_averages() -> None:
    x, target = data()
    bag = nn.Bagging(small, members=4, seed=5).fit(x, target, by_adam(nn.BCEWithLogitsLoss(), 20))
    assert len(bag.models) == 4
    assert all(len(rows) == 40 and 15 < len(set(rows.tolist())) < 36 for rows in bag.rows)
    np.testing.assert_allclose(
        bag.predict(x), np.mean([m.forward(x) for m in bag.models], axis=0), rtol=1e-14
    )
    again = nn.Bagging(small, members=4, seed=5).fit(x, target, by_adam(nn.BCEWithLogitsLoss(), 20))
    assert again.predict(x).tobytes() == bag.predict(x).tobytes()
    other = nn.Bagging(small, members=4, seed=6).fit(x, target, by_adam(nn.BCEWithLogitsLoss(), 20))
    assert (other.predict(x) != bag.predict(x)).any()


def test_the_mean_of_members_is_no_worse_than_they_are_on_average() -> None:
    """Jensen: a convex loss of the mean is at most the mean of the losses."""
    x, target = data(200)
    bag = nn.Bagging(small, members=5).fit(x[:60], target[:60], by_adam(nn.BCEWithLogitsLoss(), 150))
    loss = nn.BCEWithLogitsLoss()
    alone = [loss.forward(said, target[60:]) for said in bag.predictions(x[60:])]
    assert loss.forward(bag.predict(x[60:]), target[60:]) < np.mean(alone)


def test_boosting_fits_each_stage_to_the_residuals_of_the_ones_before() -> None:
    x, target = data()
    seen: list[Array] = []

    def fit(model: nn.Module, x: Any, residual: Any, seed: int) -> None:
        seen.append(residual.copy())
        by_adam(nn.SquaredError(), 60)(model, x, residual, seed)

    boosted = nn.Boosting(small, nn.BCEWithLogitsLoss(), 6, shrinkage=0.5).fit(x, target, fit)
    np.testing.assert_allclose(seen[0], target - 0.5, rtol=1e-14)
    for m in range(1, 6):
        np.testing.assert_allclose(seen[m], target - nn.functional.sigmoid(boosted.predict(x, m)), atol=1e-12)
    assert boosted.losses == sorted(boosted.losses, reverse=True)
    assert boosted.losses[0] == pytest.approx(np.log(2))
    assert boosted.losses[-1] == pytest.approx(nn.BCEWithLogitsLoss().forward(boosted.predict(x), target))


def test_boosting_by_classes_takes_the_gradient_of_each_row() -> None:
    """The mean of a cross-entropy divides by rows, not by elements: the first residual is one-hot − 1/C."""
    x = np.random.default_rng(0).normal(size=(30, 3))
    target = np.arange(30) % 3
    seen: list[Array] = []

    def make(seed: int) -> nn.Module:
        return nn.Linear(3, 3, dtype="float64", seed=seed)

    def fit(model: nn.Module, x: Any, residual: Any, seed: int) -> None:
        seen.append(residual.copy())

    for weight in (None, [1.0, 2.0, 4.0]):
        nn.Boosting(make, nn.CrossEntropyLoss(weight=weight), 1).fit(x, target, fit)
        of_rows = np.ones(30) if weight is None else np.array(weight)[target]
        np.testing.assert_allclose(seen.pop(), of_rows[:, None] * (np.eye(3)[target] - 1 / 3), rtol=1e-14)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_squared_error_is_half_of_torch_s_and_has_its_gradient(reduction: Any) -> None:
    rng = np.random.default_rng(0)
    x, target = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    nn.check_gradients(nn.Identity(), x, target, loss=nn.SquaredError(reduction))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch = pytest.importorskip("torch", reason="torch is the oracle of this test and is not installed")
    theirs = (
        torch.nn.functional.mse_loss(torch.from_numpy(x), torch.from_numpy(target), reduction=reduction) / 2
    )
    assert nn.SquaredError(reduction).forward(x, target) == pytest.approx(float(theirs), rel=1e-13)


def test_boosted_lines_are_gradient_descent_towards_least_squares() -> None:
    """With the squared error and stages that are exact least squares, the residual shrinks by 1 − ν a stage."""
    x, _ = data()
    target = x @ [[1.0], [2.0], [3.0]]

    def exact(model: nn.Module, x: Any, residual: Any, seed: int) -> None:
        model.params["weight"] = np.linalg.lstsq(x, residual)[0].T

    def line(seed: int) -> nn.Module:
        return nn.Linear(3, 1, bias=False, dtype="float64", seed=seed)

    boosted = nn.Boosting(line, nn.SquaredError(), 4, shrinkage=0.25).fit(x, target, exact)
    for m in range(1, 5):
        np.testing.assert_allclose(boosted.predict(x, m), target * (1 - 0.75**m), rtol=1e-9)


def test_fit_is_the_loop_written_out_and_calls_after_each_step() -> None:
    x, target = data()
    ours, theirs, loss = small(0), small(0), nn.BCEWithLogitsLoss()
    calls = []
    losses = nn.fit(
        ours,
        loss,
        x,
        target,
        optimizer=("SGD", {"lr": 0.1}),
        epochs=3,
        batch_size=16,
        seed=2,
        after=lambda arena, optimizer: calls.append(optimizer.step_count),
    )
    arena = fs.Arena(theirs)
    optimizer = fs.optim.SGD(arena, lr=0.1)
    for epoch in range(3):
        for rows in fs.data.batches(40, 16, seed=2, epoch=epoch, merge_single=False):
            arena.zero_grad()
            loss.forward(theirs.forward(x[rows]), target[rows])
            theirs.backward(loss.backward())
            optimizer.step()
    for name, w in ours.named_parameters().items():
        assert w.tobytes() == theirs.named_parameters()[name].tobytes()
    assert calls == list(range(1, 10))
    assert len(losses) == 3
    assert not ours.training


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: nn.Bagging(small, 0), ValueError, "members: got 0, need at least 1"),
        (lambda: nn.Bagging(small).predict(np.ones((1, 3))), RuntimeError, "Bagging: predict before fit"),
        (lambda: nn.Boosting(small, nn.SquaredError(), 0), ValueError, "stages: got 0"),
        (lambda: nn.Boosting(small, nn.SquaredError(), shrinkage=0), ValueError, "shrinkage: got 0"),
        (
            lambda: nn.Boosting(small, nn.SquaredError("sum")),
            ValueError,
            "loss: got reduction='sum', need 'mean'",
        ),
        (
            lambda: nn.Boosting(small, nn.SquaredError()).predict(np.ones((1, 3))),
            RuntimeError,
            "Boosting: predict before fit",
        ),
        (
            lambda: nn.Bagging(small).fit(np.ones((0, 3)), np.ones((0, 1)), by_adam(nn.MSELoss(), 1)),
            ValueError,
            "x: got no rows",
        ),
        (
            lambda: nn.fit(small(0), nn.MSELoss("none"), np.ones((2, 3)), np.ones((2, 1))),
            ValueError,
            "loss: got reduction='none', need 'mean' or 'sum'",
        ),
        (
            lambda: nn.fit(small(0), nn.MSELoss(), np.ones((2, 3)), np.ones((2, 1)), epochs=-1),
            ValueError,
            "epochs: got -1, need at least 0",
        ),
        (
            lambda: nn.accumulate(small(0), nn.MSELoss("none"), np.ones((2, 3)), np.ones((2, 1)), 1),
            ValueError,
            "loss: got reduction='none'",
        ),
        (lambda: nn.SWA({}), ValueError, "params: got no arrays"),
        (lambda: nn.SWA({"w": np.ones(2, int)}), TypeError, "SWA: w: got dtype int64"),
        (
            lambda: nn.SquaredError().forward(np.ones(2), np.array([1, np.nan])),
            ValueError,
            "target: 1 values are not finite, the first is nan at index 1",
        ),
    ],
)
def test_what_is_refused(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_members_can_be_pickled() -> None:
    x, target = data()
    bag = nn.Bagging(small, members=2).fit(x, target, by_adam(nn.BCEWithLogitsLoss(), 2))
    assert pickle.loads(pickle.dumps(bag)).predict(x).tobytes() == bag.predict(x).tobytes()
