"""Every kind of click model, with lists and a position, against its formula in float64; slopes against differences."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from fourstep import nn
from fourstep.data import Inputs
from fourstep.train import Config, ConfigError
from fourstep.train.blocks import ACTIVATIONS, INITS
from fourstep.train.clock import Clock
from fourstep.train.features import Sizes
from fourstep.train.model import Batch, ClickModel, Committee, build
from fourstep.train.trainer import predict

FIELDS, DENSE, ROWS = {"a": 4, "b": 5}, 3, 20
LISTS, POSITIONS, DIM = {"tags": 6}, 4, 2
SIZES = Sizes(FIELDS, DENSE, LISTS, POSITIONS)
SMALL: dict[str, Any] = {"hidden": (5, 3), "embedding_dim": DIM, "dropout": 0.0, "activation": "tanh"}
CONFIGS = {
    "mlp": Config(**SMALL),
    "deepfm": Config(model="deepfm", **SMALL),
    "fm": Config(model="fm", **SMALL),
    "lr": Config(model="lr", **SMALL),
    "deepfm, not wide": Config(model="deepfm", wide=False, batch_norm=False, **SMALL),
}


def example(seed: int = 0) -> tuple[Batch, Any]:
    rng = np.random.default_rng(seed)
    fields = np.stack([rng.integers(0, size, ROWS) for size in FIELDS.values()], axis=1)
    counts = rng.integers(0, 4, ROWS)  # some rows list nothing
    ids = rng.integers(0, LISTS["tags"], counts.sum())
    dense = rng.normal(size=(ROWS, DENSE)).astype(np.float32)
    bags = [(ids, np.cumsum(counts) - counts)]
    batch = Batch(fields, dense, bags, rng.integers(0, POSITIONS, ROWS))
    return batch, rng.integers(0, 2, ROWS).astype(np.float32)


def randomised(config: Config) -> ClickModel:
    model = build(config, SIZES, Clock())
    assert isinstance(model, ClickModel)
    rng = np.random.default_rng(1)
    for values in model.named_parameters().values():
        values[...] = rng.normal(0.3, 0.5, values.shape)
    return model


def mean_of(table: Any, bag: tuple[Any, Any]) -> Any:
    ids, starts = bag
    parts = np.split(ids, starts[1:])
    return np.stack([table[part].mean(0) if len(part) else np.zeros(table.shape[1]) for part in parts])


def by_formula(model: ClickModel, config: Config, x: Batch, place: Any) -> Any:
    """The module's docstring with loops over pairs; `place` is what the position adds."""
    w = {name: values.astype(np.float64) for name, values in model.named_parameters().items()}
    dense = x.dense.astype(np.float64)
    ids = x.fields + np.concatenate([[0], np.cumsum(list(FIELDS.values()))[:-1]])
    logit = w["bias"] + place(w)
    deep, pairs = config.model in ("mlp", "deepfm"), config.model in ("fm", "deepfm")
    vectors = []
    if deep or pairs:
        vectors = [w["embedding.weight"][ids[:, f]] for f in range(len(FIELDS))]
        vectors.append(mean_of(w["embedding_list0.weight"], x.bags[0]))
    h = np.concatenate([*vectors, dense], axis=1) if deep else dense
    if pairs:
        vectors += [dense[:, j, None] * w["embedding_numbers.weight"][j] for j in range(DENSE)]
        logit = logit + sum((a * b).sum(1) for a, b in itertools.combinations(vectors, 2))
    for k in range(len(config.hidden) if deep else 0):
        h = h @ w[f"hidden{k}.linear.weight"].T + w.get(f"hidden{k}.linear.bias", 0.0)
        if config.batch_norm:
            h = (h - h.mean(0)) / np.sqrt(h.var(0) + 1e-5)
            h = h * w[f"hidden{k}.norm.weight"] + w[f"hidden{k}.norm.bias"]
        h = np.tanh(h)
    logit = logit + (h @ w["output.weight"].T)[:, 0]
    if config.wide or not deep:
        logit = (
            logit
            + w["wide_fields.weight"][ids].sum((1, 2))
            + mean_of(w["wide_list0.weight"], x.bags[0])[:, 0]
        )
    if config.wide and deep:
        logit = logit + (dense @ w["wide_dense.weight"].T)[:, 0]
    return logit


@pytest.mark.parametrize("name", CONFIGS)
def test_forward_is_the_formula(name: str) -> None:
    model, config, (x, _) = randomised(CONFIGS[name]), CONFIGS[name], example()
    at_place = by_formula(model, config, x, lambda w: w["position.weight"][x.position, 0])
    np.testing.assert_allclose(model.forward(x), at_place, rtol=3e-5, atol=3e-5)


@pytest.mark.parametrize("name", ["mlp", "lr"])
def test_without_its_position_a_row_gets_the_mean_of_the_term_over_the_training_rows(name: str) -> None:
    model, config, (x, _) = randomised(CONFIGS[name]), CONFIGS[name], example()
    trained_at = np.array([0, 0, 0, 2, 3])
    model.average_over(trained_at)
    neutral = by_formula(model, config, x, lambda w: w["position.weight"][trained_at, 0].mean())
    np.testing.assert_allclose(model.forward(x._replace(position=None)), neutral, rtol=3e-5, atol=3e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_backward_is_the_slope_of_the_formula(name: str) -> None:
    """Every parameter, each in one random direction, by central differences of the float64 formula."""
    model, config, (x, target) = randomised(CONFIGS[name]), CONFIGS[name], example()

    def logits() -> Any:
        return by_formula(model, config, x, lambda w: w["position.weight"][x.position, 0])

    loss = nn.BCEWithLogitsLoss()
    loss.forward(model.forward(x), target)
    model.backward(loss.backward())
    rng = np.random.default_rng(2)
    grads = {key: values.copy() for key, values in model.named_grads().items()}
    for key, values in model.named_parameters().items():
        direction = rng.choice([-1.0, 1.0], values.shape)
        start, slope = values.copy(), 0.0
        for sign in (1, -1):
            values[...] = start + sign * 1e-3 * direction
            slope += sign * loss.forward(logits(), target) / 2e-3
        values[...] = start
        assert slope == pytest.approx(float((grads[key] * direction).sum()), rel=2e-2, abs=4e-4), key


def test_a_committee_says_the_mean_of_its_members_and_each_learns_alone() -> None:
    config = CONFIGS["deepfm"].but(ensemble=3, seed=5)
    committee, (x, _) = build(config, SIZES, Clock()), example()
    assert isinstance(committee, Committee)
    committee.eval()
    alone = [build(config.but(ensemble=1, seed=5 + k), SIZES, Clock()).eval().forward(x) for k in range(3)]
    p = np.mean([1 / (1 + np.exp(-logit.astype(np.float64))) for logit in alone], axis=0)
    np.testing.assert_allclose(nn.functional.sigmoid(committee.forward(x)), p, rtol=1e-6)
    assert committee.parameter_count == 3 * committee.members[0].parameter_count


def test_a_committee_predicts_what_its_members_predict_on_average() -> None:
    rng = np.random.default_rng(0)
    x, none = example()[0], dict[str, int]()
    inputs = Inputs(x.fields, x.dense, ("a", "b"), ("1", "2", "3"), none, none, none)
    plain = SIZES.but(bags={}, positions=0)
    committee = build(Config(**SMALL, ensemble=2), plain, Clock())
    rows = rng.permutation(ROWS)[:7]
    alone = [predict(member, inputs, rows) for member in committee.members]
    np.testing.assert_allclose(predict(committee, inputs, rows), np.mean(alone, axis=0), rtol=1e-15)
    assert not np.allclose(alone[0], alone[1], rtol=1e-3)


@pytest.mark.parametrize("init", INITS)
def test_every_init_fills_the_hidden_layers_in_its_own_way(init: str) -> None:
    weight = ClickModel(Config(init=init, hidden=(64,)), [4], 32, Clock()).hidden[0].linear.params["weight"]
    spread = {
        "zeros": 0.0,
        "normal": 0.01,
        "lecun": 64**-0.5,
        "xavier": (2 / 128) ** 0.5,
        "orthogonal": 64**-0.5,
    }
    kind = init.partition("_")[0]
    assert weight.std() == pytest.approx(spread.get(kind, (2 / 64) ** 0.5), rel=0.06)
    if init == "orthogonal":
        np.testing.assert_allclose(weight @ weight.T, np.eye(64), atol=1e-5)


def test_the_names_of_the_flags_are_those_of_the_layers() -> None:
    from fourstep.train import config

    assert tuple(ACTIVATIONS) == config.ACTIVATIONS
    assert tuple(INITS) == config.INITS


def test_auto_is_he_for_relu_and_xavier_for_tanh() -> None:
    def weight(**changes: Any) -> Any:
        return ClickModel(Config(hidden=(64,), **changes), [4], 32, Clock()).hidden[0].linear.params["weight"]

    assert np.array_equal(weight(), weight(init="he_normal"))
    assert np.array_equal(weight(activation="tanh"), weight(activation="tanh", init="xavier_normal"))


def test_pairs_of_a_single_input_are_refused() -> None:
    with pytest.raises(ConfigError, match="--model fm needs two inputs or more to pair, there is 1"):
        ClickModel(Config(model="fm"), [4], 0, Clock())
