"""Dropout as many sub-networks: which they are, and what their mean is (R5)."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from fourstep import nn, num_threads

Array = np.ndarray[Any, Any]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_masks_are_those_of_the_passes_that_follow(dtype: str, p: float) -> None:
    layer = nn.Dropout(p, seed=5)
    layer.forward(np.ones(7, dtype))
    masks = layer.masks((6, 50), steps=4)
    assert masks.shape == (4, 6, 50)
    assert masks.dtype == bool
    for mask in masks:
        assert ((layer.forward(np.ones((6, 50), dtype)) != 0) == mask).all()
    share = masks.mean()
    assert abs(share - (1 - p)) < 4 * (p * (1 - p) / masks.size) ** 0.5 + 1e-12


def test_each_step_is_another_sub_network_and_threads_do_not_matter() -> None:
    layer = nn.Dropout(0.5, seed=1)
    masks = layer.masks(64, steps=200)
    assert len({mask.tobytes() for mask in masks}) == 200
    with num_threads(1):
        assert (layer.masks(64, steps=200) == masks).all()
    assert layer.buffers["step"] == 0, "looking does not count"
    assert (nn.Dropout(0.5, seed=2).masks(64) != masks[:1]).any()
    pairs = np.corrcoef(masks.T.astype(float))
    np.fill_diagonal(pairs, 0)
    assert np.abs(pairs).max() < 5 / 200**0.5, "units are dropped independently"


def linear(p: float) -> nn.Module:
    rng = np.random.default_rng(0)
    return nn.Sequential(
        nn.Dropout(p, seed=1),
        nn.Linear(6, 5, dtype="float64", rng=rng),
        nn.Dropout(p, seed=2),
        nn.Linear(5, 1, dtype="float64", rng=rng),
    )


def test_the_mean_over_all_masks_is_what_evaluation_says_for_a_linear_net() -> None:
    """All 2⁶ sub-networks of one layer, each with its probability."""
    p, x = 0.3, np.random.default_rng(1).normal(size=(4, 6))
    layer = nn.Linear(6, 2, dtype="float64", seed=0)
    mean = np.zeros((4, 2))
    for kept in itertools.product([0, 1], repeat=6):
        probability = np.prod([1 - p if k else p for k in kept])
        mean += probability * layer.forward(x * np.array(kept) / (1 - p))
    np.testing.assert_allclose(mean, layer.forward(x), rtol=1e-12)


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_the_measured_mean_tends_to_it(p: float) -> None:
    model, x = linear(p), np.random.default_rng(1).normal(size=(8, 6))
    found = nn.mc_predict(model, x, k=4000)
    gap = np.abs(found.mean - model.eval().forward(x))
    assert (gap < 4 * found.std / 4000**0.5).all()


def test_it_does_not_where_the_network_is_not_linear() -> None:
    """Jensen: the mean of a convex function is above the function of the mean."""
    model = nn.Sequential(
        nn.Dropout(0.5, seed=1), nn.Linear(6, 1, bias=False, dtype="float64", seed=0), nn.ReLU()
    )
    x = np.random.default_rng(1).normal(size=(50, 6))
    found = nn.mc_predict(model, x, k=2000)
    gap = found.mean - model.eval().forward(x)
    assert (gap >= -4 * found.std / 2000**0.5).all()
    assert (gap > 5 * found.std / 2000**0.5).sum() > 25


def test_only_dropout_works_as_in_training_and_all_is_set_back() -> None:
    model = nn.Sequential(nn.BatchNorm(6, dtype="float64"), linear(0.5))
    x = np.random.default_rng(0).normal(size=(9, 6))
    model.forward(x)
    before = model.state_dict()
    found = nn.mc_predict(model, x, k=5, link=nn.functional.sigmoid)
    assert found.samples.shape == (5, 9, 1)
    assert ((found.samples > 0) & (found.samples < 1)).all()
    np.testing.assert_allclose(found.std, found.samples.std(0, ddof=1))
    assert len({sample.tobytes() for sample in found.samples}) == 5
    assert all((before[name] == value).all() for name, value in model.state_dict().items())
    assert all(module.training for _, module in model.modules())
    assert (nn.mc_predict(model.eval(), x, k=5, link=nn.functional.sigmoid).mean == found.mean).all()
    assert not any(module.training for _, module in model.modules())


def test_masks_take_a_shape_in_any_form() -> None:
    layer = nn.Dropout(0.5, seed=0)
    for shape in (np.int64(6), [6], (6,)):
        assert (layer.masks(shape) == layer.masks(6)).all()  # type: ignore[arg-type]
    assert layer.masks((), 2).shape == (2,)
    with pytest.raises(ValueError, match=r"shape\[1\]: got -1, need at least 0"):
        layer.masks((2, -1))


def test_what_is_refused() -> None:
    pair = nn.Sequential(nn.Dropout(0.5, seed=0), nn.LSTM(2, 3, seed=0))
    with pytest.raises(TypeError, match="model: forward made tuple, need an array"):
        nn.mc_predict(pair, np.ones((4, 1, 2), np.float32))
    model = nn.Sequential(nn.Linear(3, 1), nn.Dropout(0))
    with pytest.raises(ValueError, match="model: has no Dropout with p above 0"):
        nn.mc_predict(model, np.ones((1, 3), np.float32))
    with pytest.raises(ValueError, match="k: got 1, need at least 2"):
        nn.mc_predict(linear(0.5), np.ones((1, 6)), k=1)
    with pytest.raises(ValueError, match="steps: got 0"):
        nn.Dropout(0.5).masks(3, steps=0)
    broken = linear(0.5)
    with pytest.raises(ValueError, match="x: got shape"):
        nn.mc_predict(broken, np.ones((1, 7)))
    assert all(module.training for _, module in broken.modules())
    assert broken.children["0"].buffers["step"] == 0
