"""Sparse embeddings: rows with their gradients in place of a gradient of the table, and training by them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep import nn


def pair(**options: Any) -> list[Any]:
    """The same model with a dense and with a sparse table."""
    made = []
    for sparse in (False, True):
        embedding = nn.FieldEmbedding([7, 40], 3, sparse=sparse, seed=0, dtype="float64", std=0.5)
        made.append(nn.Sequential(embedding, nn.Linear(6, 1, seed=1, dtype="float64"), **options))
    return made


def ids(seed: int, rows: int = 32) -> Any:
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, 7, rows), rng.integers(0, 40, rows)], axis=1)


def test_rows_add_up_to_the_dense_gradient() -> None:
    dense, sparse = pair()
    for seed in (0, 1):  # two passes before a step
        dy = np.random.default_rng(seed).normal(size=(32, 1))
        for model in (dense, sparse):
            model.forward(ids(seed))
            model.backward(dy)
    assert not sparse.named_grads()["0.weight"].any()
    assert sparse.sparse_parameters() == ["0.weight"]
    assert dense.sparse_parameters() == []
    assert dense.take_row_grads() == {}
    found = sparse.take_row_grads()
    assert list(found) == ["0.weight"]
    rows, grads = found["0.weight"]
    assert rows.shape == (128,)
    total = np.zeros((47, 3))
    np.add.at(total, rows, grads)
    np.testing.assert_allclose(total, dense.named_grads()["0.weight"], rtol=1e-12, atol=1e-12)
    assert sparse.take_row_grads() == {}


def test_zero_grad_forgets_rows_and_leaves_the_table_alone() -> None:
    _, model = pair()
    model.forward(ids(0))
    model.backward(np.ones((32, 1)))
    model.named_grads()["0.weight"][...] = 5.0
    model.zero_grad()
    assert model.take_row_grads() == {}
    assert (model.named_grads()["0.weight"] == 5.0).all()
    assert not model.named_grads()["1.weight"].any()


@pytest.mark.parametrize(("name", "options"), [("SGD", {"lr": 0.1}), ("AdaGrad", {"lr": 0.1})])
def test_training_by_rows_is_dense_training_where_they_are_one(name: str, options: dict[str, Any]) -> None:
    ends = []
    for model, sparse in zip(pair(), (False, True), strict=True):
        arena = fs.Arena(model)
        groups: list[dict[str, Any]] = [{"params": "0.weight", "sparse": sparse}, {"params": ...}]
        optimizer = getattr(fs.optim, name)(arena, groups=groups, clip_norm=0.5, **options)
        loss = nn.BCEWithLogitsLoss()
        for t in range(20):
            x, y = ids(t), np.random.default_rng(t).integers(0, 2, (32, 1)).astype(np.float64)
            arena.zero_grad()
            loss.forward(model.forward(x), y)
            model.backward(loss.backward())
            optimizer.step(rows=model.take_row_grads() or None)
        ends.append({key: np.array(value) for key, value in arena.items()})
    for key in ends[0]:
        np.testing.assert_allclose(ends[0][key], ends[1][key], rtol=1e-9, atol=1e-12)


def test_a_sparse_layer_in_a_dense_group_is_refused() -> None:
    _, model = pair()
    with pytest.raises(
        ValueError, match=r"0.weight is the table of a sparse layer, whose gradients come by rows: add"
    ):
        fs.optim.SGD(fs.Arena(model), lr=0.1)


def test_what_backward_keeps_is_its_own() -> None:
    layer = nn.Embedding(5, 2, sparse=True, seed=0)
    dy = np.ones((2, 2), np.float32)
    x = np.array([1, 4])
    layer.forward(x)
    layer.backward(dy)
    dy[...] = 9.0
    x[...] = 0
    rows, grads = layer.take_row_grads()["weight"]
    assert rows.tolist() == [1, 4]
    assert (grads == 1).all()


def test_check_gradients_sees_rows() -> None:
    _, model = pair()
    errors = nn.check_gradients(model, ids(3, 8))
    assert max(errors.values()) < 1e-8


def job(folder: Any, **settings: Any) -> fs.train.Config:
    chosen: dict[str, Any] = {
        "data": "simulated",
        "rows": 3000,
        "hidden": (8,),
        "embedding_dim": 4,
        "epochs": 2,
        "out": str(folder),
        "quiet": True,
        "plots": False,
        "baseline": False,
        "sparse": True,
    }
    return fs.train.Config(**{**chosen, **settings})


def test_a_job_trains_by_rows(tmp_path: Any) -> None:
    outcome = fs.train.train(job(tmp_path / "a", clip_norm=1.0))
    assert outcome.metrics["test"]["auc"] > 0.55
    run = fs.load_run(tmp_path / "a")
    assert run.predict(fs.data.simulated(rows=200, seed=9)).shape == (200,)
    again = fs.train.train(job(tmp_path / "b", clip_norm=1.0))
    assert again.metrics["test"] == outcome.metrics["test"]


@pytest.mark.parametrize("name", ["sgd", "adagrad"])
def test_a_job_by_rows_is_the_dense_job_where_they_are_one(tmp_path: Any, name: str) -> None:
    settings = {"optimizer": name, "embedding_decay": 0.0, "wide_decay": 0.0}
    results = [
        fs.train.train(job(tmp_path / str(sparse), sparse=sparse, **settings)).metrics["test"]["auc"]
        for sparse in (False, True)
    ]
    assert results[0] == pytest.approx(results[1], abs=1e-6)


def test_a_job_by_rows_takes_patterns(tmp_path: Any) -> None:
    groups = {"embedding*": {"lr": 0.003}, "wide_*": {"weight_decay": 0.0}}
    outcome = fs.train.train(job(tmp_path / "a", groups=groups, optimizer="momentum", lr=0.1, epochs=1))
    assert 0 < outcome.metrics["test"]["auc"] <= 1


def test_an_optimizer_that_moves_all_rows_is_refused() -> None:
    with pytest.raises(fs.train.ConfigError, match="sparse needs one of the optimizers adam, .* got nadam"):
        fs.train.Config(sparse=True, optimizer="nadam")
