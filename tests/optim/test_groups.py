"""Groups: which parameter is where, live hyper-parameters, frozen groups, the forms in which parameters come."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fourstep as fs


def arena() -> fs.Arena:
    names = ("emb.weight", "fc.weight", "fc.bias", "bn.weight", "bn.bias")
    made = fs.Arena({name: np.ones(3) for name in names})
    for name in names:
        made.grad[name] = np.ones(3)
    return made


def test_patterns_lists_and_the_rest() -> None:
    groups: list[dict[str, Any]] = [
        {"params": ["*.bias", "bn.*"], "lr": 0.1},
        {"params": "emb.weight"},
        {"params": ...},
    ]
    optimizer = fs.optim.SGD(arena(), lr=1.0, groups=groups)
    assert [group["names"] for group in optimizer.param_groups] == [
        ["fc.bias", "bn.weight", "bn.bias"],
        ["emb.weight"],
        ["fc.weight"],
    ]
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 1.0, 1.0]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([{"params": "*.bias"}], r"parameter 'emb.weight' is in no group.*takes the rest"),
        ([{"params": "*"}, {"params": "*.bias"}], r"parameter 'fc.bias' is in group 0 and in group 1"),
        (
            [{"params": "*.bais"}, {"params": ...}],
            r"group 0: '\*\.bais' matches no parameter; there are emb\.weight",
        ),
        ([{"params": ...}, {"params": ...}], r"groups 0 and 1 both take the rest"),
        ([{"lr": 0.1}], r"group 0 has no 'params'"),
        ([{"params": [np.ones(3)]}], r"group 0: 'params' got array"),
        ([{"params": None}], r"group 0: 'params' got None, need a name, a pattern"),
        ([5], r"groups: got \[5\], need a list of dicts"),
        ({"params": ...}, r"groups: got \{'params': Ellipsis\}, need a list of dicts"),
        ([], r"parameter 'emb.weight' is in no group"),
    ],
)
def test_wrong_groups(groups: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        fs.optim.Adam(arena(), groups=groups)


def test_each_group_steps_by_its_own_hyper_parameters() -> None:
    here = arena()
    groups = [{"params": "*.bias", "lr": 0.5, "weight_decay": 1.0}, {"params": ..., "trainable": False}]
    fs.optim.SGD(here, lr=0.1, groups=groups).step()
    assert (here["fc.bias"] == 1 - 0.5 * (1 + 1)).all()
    assert (here["fc.weight"] == 1).all()


def test_mixed_rules_in_one_call() -> None:
    """Momentum in one group and none in the other: different kernels and different state."""
    here = arena()
    groups: list[dict[str, Any]] = [{"params": "fc.*", "momentum": 0.9}, {"params": ...}]
    optimizer = fs.optim.SGD(here, lr=0.1, groups=groups)
    for _ in range(2):
        optimizer.step()
    assert set(optimizer.state_of("fc.bias")) == {"momentum_buffer"}
    assert optimizer.state_of("bn.bias") == {}
    np.testing.assert_allclose(here["fc.bias"], 1 - 0.1 * (1 + 1.9))
    np.testing.assert_allclose(here["bn.bias"], 1 - 0.1 * 2)


def test_groups_are_live() -> None:
    w = np.zeros(1)
    optimizer = fs.optim.SGD([w], lr=1.0)
    optimizer.step([np.ones(1)])
    optimizer.param_groups[0]["lr"] = 0.25
    optimizer.step([np.ones(1)])
    assert w[0] == -1.25


@pytest.mark.parametrize(
    ("key", "value", "error", "message"),
    [
        ("lr", -0.1, ValueError, r"lr: got -0.1, need a finite number >= 0"),
        ("lr", float("nan"), ValueError, r"lr: got nan"),
        ("lr", float("inf"), ValueError, r"lr: got inf"),
        ("lr", "fast", TypeError, r"lr: got 'fast', need a number"),
        ("betas", (0.9, 1.0), ValueError, r"betas\[1\]: got 1.0"),
        ("betas", 0.9, TypeError, r"betas: got 0.9, need a pair"),
        ("eps", -1e-8, ValueError, r"eps: got -1e-08"),
        ("weight_decay", True, TypeError, r"weight_decay: got True, need a number"),
        ("clip_value", 0.0, ValueError, r"clip_value: got 0.0, need None or a finite number > 0"),
        ("trainable", 1, TypeError, r"trainable: got 1, need True or False"),
        ("learning_rate", 0.1, KeyError, r"no hyper-parameter is called 'learning_rate'; there are lr"),
        ("params", [], KeyError, r"'params' of a group is fixed"),
    ],
)
def test_a_value_out_of_range_is_refused_there_and_then(
    key: str, value: Any, error: Any, message: str
) -> None:
    optimizer = fs.optim.Adam([np.ones(2)])
    before = dict(optimizer.param_groups[0].described())
    with pytest.raises(error, match=message):
        optimizer.param_groups[0][key] = value
    assert dict(optimizer.param_groups[0].described()) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nesterov": True}, r"nesterov: needs momentum > 0"),
        ({"nesterov": True, "momentum": 0.9, "dampening": 0.1}, r"nesterov: needs momentum > 0"),
        ({"nesterov": True, "momentum": 0.9, "momentum_form": "ema"}, r"nesterov: needs momentum > 0"),
        (
            {"momentum": 0.9, "momentum_form": "lr_inside", "dampening": 0.5},
            r"momentum_form: 'lr_inside' needs",
        ),
        ({"momentum": 0.9, "momentum_form": "keras"}, r"momentum_form: got 'keras', need one of 'torch'"),
        ({"momentum": 1.0}, r"momentum: got 1.0, need 0 <= momentum < 1"),
    ],
)
def test_hyper_parameters_that_do_not_go_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fs.optim.SGD([np.ones(2)], **options)


def test_a_frozen_group_does_not_age() -> None:
    """Thawed, it takes the step that it would have taken first: its bias corrections start at step 1."""
    fresh, thawed = np.zeros(2), np.zeros(2)
    other = np.zeros(2)
    optimizer = fs.optim.Adam([{"params": [other]}, {"params": [thawed], "trainable": False}], lr=0.1)
    for _ in range(5):
        optimizer.step([[np.ones(2)], [np.ones(2)]])
    assert (thawed == 0).all()
    optimizer.param_groups[1]["trainable"] = True
    optimizer.step([[np.ones(2)], [np.ones(2)]])
    single = fs.optim.Adam([fresh], lr=0.1)
    single.step([np.ones(2)])
    assert np.array_equal(thawed, fresh)
    assert optimizer.step_count == 6


def test_schedules_follow_the_step() -> None:
    w = np.zeros(1)
    optimizer = fs.optim.SGD([w], lr=lambda step: 1.0 / 2**step)
    seen = []
    for _ in range(3):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step([np.ones(1)])
    assert seen == [1.0, 0.5, 0.25]
    optimizer.step_count = 0  # resume = set the step
    assert optimizer.param_groups[0]["lr"] == 1.0
    optimizer.param_groups[0]["lr"] = 0.125
    optimizer.step([np.ones(1)])
    assert optimizer.param_groups[0].schedule is None
    assert w[0] == -(1.75 + 0.125)


def test_a_schedule_that_leaves_its_range_is_named_with_the_step() -> None:
    w = np.zeros(1)

    def diving(step: int) -> float:
        return 0.1 - 0.1 * step

    optimizer = fs.optim.SGD([w], lr=diving)
    for _ in range(2):
        optimizer.step([np.ones(1)])
    with pytest.raises(ValueError, match=r"diving.*step 2"):
        optimizer.step([np.ones(1)])
    assert w[0] == -0.1


FORMS: list[tuple[str, Any, Any]] = [
    ("list", lambda a, b: [a, b], lambda g: [g, g]),
    ("tuple", lambda a, b: (a, b), lambda g: (g, g)),
    ("dict", lambda a, b: {"a": a, "b": b}, lambda g: {"b": g, "a": g}),
    ("groups of lists", lambda a, b: [{"params": [a]}, {"params": [b]}], lambda g: [[g], [g]]),
    ("groups of arrays", lambda a, b: [{"params": a}, {"params": b}], lambda g: [[g], [g]]),
    (
        "groups of dicts",
        lambda a, b: [{"params": {"x": a}}, {"params": {"y": b}}],
        lambda g: [{"x": g}, {"y": g}],
    ),
]


@pytest.mark.parametrize(("form", "params", "grads"), FORMS, ids=[form for form, *_ in FORMS])
def test_forms(form: str, params: Any, grads: Any) -> None:
    a, b = np.zeros(3), np.zeros(3)
    fs.optim.SGD(params(a, b), lr=1.0).step(grads(np.ones(3)))
    assert (a == -1).all()
    assert (b == -1).all()


G = np.ones(3)


@pytest.mark.parametrize(
    ("params", "grads", "error", "message"),
    [
        ([np.ones(3)], None, TypeError, r"step\(\) needs the gradients: a list of 1 arrays"),
        ([np.ones(3)], [G, G], ValueError, r"got 2 of them, need a list of 1 arrays"),
        ([np.ones(3)], G, TypeError, r"got ndarray, need a list"),
        ({"w": np.ones(3)}, {"v": G}, KeyError, r"missing \['w'\], unknown \['v'\]"),
        ({"w": np.ones(3)}, [G], TypeError, r"got list, need a dict with the keys w"),
        ({"w": np.ones(3)}, {"w": None}, ValueError, r"the gradient of w is missing \(None\)"),
        (
            {"w": np.ones(3)},
            {"w": np.ones(4)},
            ValueError,
            r"the gradient of w: got shape \(4,\), need \(3,\)",
        ),
        ({"w": np.ones(3)}, {"w": np.ones(3, np.float32)}, TypeError, r"gradient of w: got dtype float32"),
        ({"w": np.ones(3)}, {"w": [1, 1, 1]}, TypeError, r"the gradient of w: got list"),
        ({"w": np.ones(3)}, {"w": np.ones(6)[::2]}, ValueError, r"the gradient of w: got an array of shape"),
        ([{"params": [np.ones(3)]}], [G], TypeError, r"got ndarray, need a list of 1 arrays"),
    ],
)
def test_wrong_gradients(params: Any, grads: Any, error: Any, message: str) -> None:
    optimizer = fs.optim.Adam(params)
    with pytest.raises(error, match=message):
        optimizer.step(grads)
    for group in optimizer.param_groups:
        assert all((w == 1).all() for w in group["params"])
    assert optimizer.step_count == 0


def read_only() -> Any:
    w = np.ones(3)
    w.flags.writeable = False
    return w


def misaligned() -> Any:
    return np.zeros(25, np.uint8)[1:].view(np.float64)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ([np.ones(3, np.int64)], TypeError, r"0: got dtype int64, need native-endian float32 or float64"),
        ([np.ones(3, np.float16)], TypeError, r"0: got dtype float16"),
        ([np.ones(3, ">f4")], TypeError, r"0: got dtype >f4, need native-endian"),
        ([np.ones(6)[::2]], ValueError, r"0: got a strided array"),
        ([np.ones(3)[::-1]], ValueError, r"0: got a strided array"),
        ({"w": read_only()}, ValueError, r"w: got a read-only array"),
        ({"w": misaligned()}, ValueError, r"w: got a misaligned array"),
        ({"w": [1.0]}, TypeError, r"w: got list, need a NumPy array"),
        (np.ones(3), TypeError, r"params: got ndarray, need an Arena, or a list or dict"),
        ([], ValueError, r"params: got an empty list"),
        (3, TypeError, r"params: got int"),
    ],
)
def test_wrong_parameters(params: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        fs.optim.SGD(params)


def test_overlapping_memory_is_refused_and_nothing_moves() -> None:
    base = np.ones(10)
    optimizer = fs.optim.SGD([base[:6], base[4:]], lr=1.0)
    with pytest.raises(RuntimeError, match=r"1: its memory is in use, by another argument"):
        optimizer.step([np.ones(6), np.ones(6)])
    assert (base == 1).all()
    own = np.ones(3)
    with pytest.raises(RuntimeError, match=r"the gradient of 0: its memory is in use"):
        fs.optim.SGD([own], lr=1.0).step([own])
    assert (own == 1).all()


def test_read_only_gradients_are_fine() -> None:
    w = np.ones(3)
    fs.optim.SGD([w], lr=1.0).step([read_only()])
    assert (w == 0).all()


def test_two_dtypes_in_one_step() -> None:
    a, b = np.ones(3, np.float32), np.ones(3)
    fs.optim.Adam([a, b], lr=0.1, clip_norm=10.0).step([np.ones(3, np.float32), np.ones(3)])
    np.testing.assert_allclose(a, 0.9, rtol=1e-6)
    np.testing.assert_allclose(b, 0.9, rtol=1e-6)


def test_repr_says_what_each_group_holds() -> None:
    optimizer = fs.optim.SGD(arena(), lr=0.1, groups=[{"params": "*.bias", "lr": 0.5}, {"params": ...}])
    text = repr(optimizer)
    assert text.startswith("SGD: 5 parameters, step 0")
    lines = text.splitlines()
    assert lines[1].split()[:4] == ["group", "parameters", "elements", "lr"]
    assert lines[2].split()[:5] == ["0", "fc.bias,", "bn.bias", "6", "0.5"]
    assert "emb.weight, fc.weight, bn.weight" in lines[3]


def test_a_frozen_parameter_needs_no_gradient() -> None:
    w, b = np.ones(2), np.ones(2)
    optimizer = fs.optim.SGD([{"params": [w]}, {"params": [b], "trainable": False}], lr=1.0)
    optimizer.step([[np.ones(2)], [None]])
    assert w.tolist() == [0.0, 0.0]
    assert b.tolist() == [1.0, 1.0]


def test_the_gradient_of_a_0_d_parameter_may_be_a_numpy_scalar() -> None:
    w = np.array(3.0)
    fs.optim.SGD([w], lr=0.5).step([2 * w])
    assert float(w) == 0.0


def test_an_exact_name_wins_over_a_pattern() -> None:
    optimizer = fs.optim.SGD(
        {"w[0]": np.ones(1), "w0": np.ones(1)}, groups=[{"params": "w[0]"}, {"params": ...}]
    )
    assert optimizer.param_groups[0]["names"] == ["w[0]"]


def test_several_hyper_parameters_change_together_or_not_at_all() -> None:
    group = fs.optim.SGD([np.ones(1)]).param_groups[0]
    group.update(nesterov=True, momentum=0.9)
    with pytest.raises(ValueError, match="momentum"):
        group.update(lr=7.0, momentum=2.0)
    assert group["lr"] == 1e-3


def test_there_are_no_more_and_no_fewer_groups_later() -> None:
    optimizer = fs.optim.SGD([np.ones(1)])
    with pytest.raises(AttributeError):
        optimizer.param_groups.append({})  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        optimizer.param_groups = ()  # type: ignore[misc]


def test_names_are_strings() -> None:
    with pytest.raises(TypeError, match=r"params: got the name 1, need strings"):
        fs.optim.SGD({1: np.ones(1)})
