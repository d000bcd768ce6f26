"""The click model against its formula in plain NumPy, and its gradient against finite differences."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from fourstep import nn
from fourstep.train import Config, ConfigError
from fourstep.train.blocks import Buffers
from fourstep.train.clock import Clock
from fourstep.train.model import ClickModel

SIZES, DENSE, ROWS = [5, 7], 3, 24
CONFIGS = {
    "default": Config(hidden=(6, 4), embedding_dim=3, dropout=0.0),
    "no batch norm": Config(hidden=(6,), embedding_dim=3, dropout=0.0, batch_norm=False),
    "no wide": Config(hidden=(6,), embedding_dim=3, dropout=0.0, wide=False),
    "no embedding": Config(hidden=(6,), embedding_dim=0, dropout=0.0),
    "linear": Config(hidden=()),
}


def example(seed: int = 0) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    fields = np.stack([rng.integers(0, size, ROWS) for size in SIZES], axis=1)
    return (
        fields,
        rng.normal(size=(ROWS, DENSE)).astype(np.float32),
        rng.integers(0, 2, ROWS).astype(np.float32),
    )


def randomised(config: Config) -> ClickModel:
    """A model none of whose parameters is at a special value."""
    model = ClickModel(config, SIZES, DENSE, Clock())
    rng = np.random.default_rng(1)
    for values in model.named_parameters().values():
        values[...] = rng.normal(0.5, 0.5, values.shape)
    return model


def by_formula(model: ClickModel, config: Config, fields: Any, dense: Any) -> Any:
    """The module's docstring, in float64, with the statistics of the batch."""
    w = {name: values.astype(np.float64) for name, values in model.named_parameters().items()}
    offsets = fields + np.concatenate([[0], np.cumsum(SIZES)[:-1]])
    h = dense.astype(np.float64)
    if "embedding.weight" in w:
        h = np.concatenate([w["embedding.weight"][offsets].reshape(ROWS, -1), h], axis=1)
    for k in range(len(config.hidden)):
        h = h @ w[f"hidden{k}.linear.weight"].T + w.get(f"hidden{k}.linear.bias", 0.0)
        if config.batch_norm:
            h = (h - h.mean(0)) / np.sqrt(h.var(0) + 1e-5)
            h = h * w[f"hidden{k}.norm.weight"] + w[f"hidden{k}.norm.bias"]
        h = np.maximum(h, 0)
    logits = w["bias"] + (h @ w["output.weight"].T)[:, 0]
    if "wide_fields.weight" in w:
        logits = logits + w["wide_fields.weight"][offsets].sum((1, 2))
    if "wide_dense.weight" in w:
        logits = logits + (dense @ w["wide_dense.weight"].T)[:, 0]
    return logits


@pytest.mark.parametrize("name", CONFIGS)
def test_forward_is_the_formula(name: str) -> None:
    model = randomised(CONFIGS[name])
    fields, dense, _ = example()
    expected = by_formula(model, CONFIGS[name], fields, dense)
    np.testing.assert_allclose(model.forward((fields, dense)), expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_backward_is_the_slope_of_the_formula(name: str) -> None:
    """Every parameter, each in one random direction, by central differences of the float64 formula."""
    config = CONFIGS[name]
    model = randomised(config)
    fields, dense, target = example()
    loss = nn.BCEWithLogitsLoss()
    loss.forward(model.forward((fields, dense)), target)
    model.backward(loss.backward())
    rng = np.random.default_rng(2)
    grads = {key: values.copy() for key, values in model.named_grads().items()}
    for key, values in model.named_parameters().items():
        direction = rng.choice([-1.0, 1.0], values.shape)
        slope = 0.0
        start = values.copy()
        for sign in (1, -1):
            values[...] = start + sign * 1e-3 * direction
            slope += sign * loss.forward(by_formula(model, config, fields, dense), target) / 2e-3
        values[...] = start
        assert slope == pytest.approx(float((grads[key] * direction).sum()), rel=2e-2, abs=3e-4), key


def test_the_same_seed_gives_the_same_weights_and_another_gives_others() -> None:
    first, again, other = (
        ClickModel(Config(seed=seed), SIZES, DENSE, Clock()).named_parameters() for seed in (1, 1, 2)
    )
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["embedding.weight"], other["embedding.weight"])


def test_no_two_layers_start_alike() -> None:
    model = ClickModel(Config(hidden=(8, 8, 8), embedding_dim=4), [8, 8], 0, Clock())
    weights = [model.hidden[k].linear.params["weight"] for k in range(3)]
    assert not any(np.array_equal(a, b) for a, b in itertools.combinations(weights, 2))
    seeds = {int(block.dropout.buffers["seed"]) for block in model.hidden}
    assert len(seeds) == 3


def test_an_untrained_linear_model_predicts_the_rate_that_it_was_told() -> None:
    model = ClickModel(Config(hidden=()), SIZES, 0, Clock())
    model.start_at(0.03)
    fields, dense, _ = example()
    p = nn.functional.sigmoid(model.forward((fields, dense[:, :0])))
    np.testing.assert_allclose(p, 0.03, rtol=1e-5)


def test_a_network_without_any_input_is_refused() -> None:
    with pytest.raises(ConfigError, match="--embedding-dim 0 leaves the network without inputs"):
        ClickModel(Config(embedding_dim=0), SIZES, 0, Clock())


def test_batches_of_any_size_share_arrays_and_not_answers() -> None:
    model = randomised(CONFIGS["default"])
    model.eval()
    fields, dense, _ = example()
    whole = model.forward((fields, dense))
    parts = [model.forward((fields[i : i + 7], dense[i : i + 7])) for i in range(0, ROWS, 7)]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-5, atol=1e-6)


def test_buffers_grow_and_are_used_again() -> None:
    buffers = Buffers()
    first = buffers.get("a", 4, 2)
    assert np.shares_memory(first, buffers.get("a", 3, 2))
    assert buffers.get("a", 9, 2).shape == (9, 2)
    assert not np.shares_memory(buffers.get("a", 9, 2), buffers.get("b", 9, 2))
