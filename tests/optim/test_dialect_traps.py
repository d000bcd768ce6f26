"""The traps are real: same name, same numbers, another walk. Sizes as `explain_against` measures them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep.optim.dialects.against import Against, example_gradients

Array = np.ndarray[Any, Any]


def against(name: str, other: str, *, steps: tuple[int, ...] = (1, 10, 100), **options: Any) -> Against:
    optimizer = getattr(fs.optim, name)([np.ones(2)], **options)
    compared: Against = optimizer.explain_against(other, steps=steps)
    return compared


def field(compared: Against, name: str) -> Any:
    (found,) = [difference for difference in compared.fields if difference.field == name]
    return found


#: A rate of 0.1 that drops tenfold after 10 steps.
DROP = fs.schedules.Step(0.1, step_size=10, gamma=0.1)


@pytest.mark.parametrize(
    ("trap", "name", "options", "other", "key", "step", "low", "high"),
    [
        (1, "Adam", {}, "keras", "eps_hat", 1, 0.01, 0.04),
        (1, "Adam", {"eps": 1e-3}, "keras", "eps_hat", 1, 0.6, 0.8),
        (2, "Adam", {}, "keras", "eps", 1, 1e-3, 0.05),
        (3, "RMSProp", {}, "keras", "eps_inside", 100, 0.3, 0.5),
        (3, "RMSProp", {"eps": 1e-3}, "keras", "eps_inside", 100, 0.6, 0.8),
        (3, "RMSProp", {"lr": 0.01}, "optax", "eps_inside", 100, 0.3, 0.5),
        (4, "RMSProp", {}, "keras", "alpha", 100, 0.3, 0.6),
        (5, "RMSProp", {"lr": DROP, "momentum": 0.9}, "keras", "lr_in_velocity", 20, 0.1, 0.6),
        (7, "AdaGrad", {}, "keras", "initial_accumulator_value", 10, 0.9, 0.98),
        (8, "AdaDelta", {}, "keras", "lr", 100, 0.998, 0.9991),
        (9, "Nadam", {}, "keras", "momentum_decay", 10, 0.02, 0.15),
        (9, "Nadam", {"lr": 0.01}, "optax", "form", 10, 0.2, 0.75),
        (10, "Adam", {"lr": 0.01, "amsgrad": True}, "optax", "amsgrad_max", 100, 0.05, 0.3),
        (11, "Adamax", {"eps": 1e-3}, "keras", "eps_inside", 100, 1e-4, 0.05),
        (12, "SGD", {"lr": DROP, "momentum": 0.9}, "keras", "momentum_form", 20, 0.3, 0.6),
        (15, "Adam", {"weight_decay": 0.01}, "keras", "decay", 10, 0.3, 1.0),
        (15, "SGD", {"momentum": 0.9, "weight_decay": 0.01}, "keras", "decay", 100, 0.1, 0.9),
        (16, "AdamW", {}, "keras", "weight_decay", 100, 1e-4, 0.05),
        (19, "SGD", {"clip_norm": 0.1}, "keras", "clip_eps", 10, 1e-7, 1e-4),
    ],
)
def test_a_trap_has_its_size(
    trap: int, name: str, options: dict[str, Any], other: str, key: str, step: int, low: float, high: float
) -> None:
    compared = against(name, other, steps=(step,), **options)
    difference = field(compared, key)
    assert difference.trap == trap
    assert low < difference.effect[0] < high


@pytest.mark.parametrize(
    ("name", "options", "key"),
    [
        ("SGD", {"momentum": 0.9, "lr": 0.1}, "momentum_form"),
        ("SGD", {"momentum": 0.9, "lr": 0.1, "nesterov": True}, "momentum_form"),
        ("RMSProp", {"momentum": 0.9}, "lr_in_velocity"),
    ],
)
def test_5_12_14_lr_inside_the_buffer_is_the_same_while_lr_is_constant(
    name: str, options: dict[str, Any], key: str
) -> None:
    assert field(against(name, "keras", **options), key).effect[2] < 1e-12


def test_8_the_formulas_of_adadelta_are_one() -> None:
    assert max(against("AdaDelta", "keras").same_numbers) < 1e-12


def test_12_after_a_drop_keras_goes_on_at_the_old_pace() -> None:
    """Over the ten steps after a tenfold drop it moves about ten times as far."""
    moved = {}
    for dialect in ("torch", "keras"):
        w = np.zeros(256)
        optimizer = fs.optim.SGD([w], lr=DROP, momentum=0.9, dialect=dialect)
        for t, g in enumerate(example_gradients(20)):
            if t == 10:
                before = w.copy()
            optimizer.step([g])
        moved[dialect] = np.abs(w - before).sum()
    assert 5 < moved["keras"] / moved["torch"] < 11


def test_13_dampening_is_ignored_at_the_first_step_of_torch_and_has_no_place_elsewhere() -> None:
    w = np.zeros(1)
    fs.optim.SGD([w], lr=1.0, momentum=0.9, dampening=0.5).step([np.ones(1)])
    assert w[0] == -1.0
    with pytest.raises(ValueError, match=r"SGD: dialect 'keras': dampening: it has none"):
        fs.optim.SGD([w], momentum=0.9, dampening=0.5, dialect="keras")


def test_17_lion_does_not_move_where_the_sum_is_zero() -> None:
    w = np.ones(2)
    fs.optim.Lion([w], lr=0.1).step([np.array([0.0, 1.0])])
    assert w.tolist() == [1.0, 0.9]


def test_18_tensorflows_l2_is_twice_the_papers() -> None:
    def end(l2: float, form: Any) -> Any:
        w = np.ones(3)
        optimizer = fs.optim.FTRL([w], lr=0.1, l2=l2, l2_form=form)
        for t in range(5):
            optimizer.step([np.array([0.5, -0.1, 0.01]) * (t + 1)])
        return w

    assert np.array_equal(end(0.3, "tensorflow"), end(0.6, "paper"))
    assert not np.allclose(end(0.3, "tensorflow"), end(0.3, "paper"), rtol=0.01)


def test_20_a_moving_average_by_lerp_differs_in_the_last_bits_only() -> None:
    """torch and Keras write m + (1 − β)·(g − m); we and optax β·m + (1 − β)·g."""
    beta = 0.9
    lerp, plain = np.zeros(256), np.zeros(256)
    for g in example_gradients(100):
        lerp += (1 - beta) * (g - lerp)
        plain = beta * plain + (1 - beta) * g
    assert not np.array_equal(lerp, plain)
    np.testing.assert_allclose(lerp, plain, rtol=1e-11, atol=0)


def test_nothing_differs_from_itself(rule: Any) -> None:
    """Where nothing but the rate is chosen."""
    made = getattr(fs.optim, rule.name)([np.ones(2)], lr=rule.options.get("lr", 0.1))
    compared = made.explain_against("torch", steps=(1, 3))
    assert compared.fields == ()
    assert "no field differs" in repr(compared)
    assert compared.effect == (0.0, 0.0)


def test_what_was_chosen_is_taken_along_and_the_optimizer_is_not_touched() -> None:
    w = np.ones(3)
    optimizer = fs.optim.Adam([w], lr=0.25, betas=(0.5, 0.9))
    optimizer.step([np.ones(3)])
    before, state = w.copy(), optimizer.state_dict()
    compared = optimizer.explain_against("keras")
    assert {d.field for d in compared.fields} == {"eps", "eps_hat", "decay", "clip_eps"}
    assert np.array_equal(w, before)
    assert np.array_equal(optimizer.state_dict()["state"]["0"]["exp_avg"], state["state"]["0"]["exp_avg"])
    assert optimizer.step_count == 1


def test_gradients_may_be_given() -> None:
    optimizer = fs.optim.RMSProp([np.ones(2)])
    tiny = optimizer.explain_against("keras", [np.full(4, 1e-6)] * 3)
    large = optimizer.explain_against("keras", np.full((3, 4), 1e3))
    assert tiny.steps == large.steps == (1, 3)
    assert field(tiny, "eps_inside").effect[0] > 0.5
    assert field(large, "eps_inside").effect[0] < 1e-6
    with pytest.raises(ValueError, match=r"steps: got 4, need at most 3, the number of gradients"):
        optimizer.explain_against("keras", [np.ones(4)] * 3, steps=[4])
    with pytest.raises(ValueError, match=r"steps: got \(3, 1\), need counts from 1"):
        optimizer.explain_against("keras", [np.ones(4)] * 3, steps=[3, 1])
    with pytest.raises(TypeError, match=r"start: got None, need the parameters"):
        optimizer.explain_against("keras", lambda w: w)


def test_gradients_may_be_a_function_of_the_parameters() -> None:
    """The only kind that can show a look-ahead."""
    nag = fs.optim.NAG([np.ones(2)], lr=0.1, momentum=0.9)
    compared = nag.explain_against("notes", lambda w: w, start=np.ones(3), steps=(1, 10))
    (difference,) = compared.fields
    assert (difference.field, difference.ours, difference.theirs) == ("lookahead", "nesterov", "notes")
    assert difference.effect[0] == 0.0
    assert difference.effect[1] > 0.01


def test_an_optimizer_that_the_other_has_not_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"NAG: dialect 'keras': it is SGD there"):
        fs.optim.NAG([np.ones(2)]).explain_against("keras")
