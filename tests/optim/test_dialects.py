"""Each dialect walks as its library does: golden walks of Keras, optax, TensorFlow, taken by the scripts in `dumps`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep.optim.dialects import DIALECTS, TABLES, Entry
from fourstep.state import StateError

Array = np.ndarray[Any, Any]

DUMPS = Path(__file__).parents[1] / "dumps"
sys.path.insert(0, str(DUMPS))
cases: Any = importlib.import_module("cases")
walks: Any = importlib.import_module("walks")
sys.path.remove(str(DUMPS))

LIBRARIES = {"keras": cases.KERAS, "optax": cases.OPTAX, "tensorflow": cases.TENSORFLOW}
SPOKEN = {"keras": "keras", "optax": "optax", "tensorflow": "keras"}
#: Walks of what a dialect refuses are another test's.
GOLDEN = [
    pytest.param(library, case, id=f"{library}-{case.id}")
    for library, table in LIBRARIES.items()
    for case in table
    if isinstance(TABLES[SPOKEN[library]][case.ours], Entry) and (library, case.id) != ("keras", "lamb_decay")
]


def golden(library: str, name: str) -> Array:
    with np.load(DUMPS / f"{library}.npz") as dump:
        assert int(dump["checksum"]) == walks.checksum(), (
            "NumPy generates other numbers than when the dumps were made"
        )
        walk: Array = dump[name]
    return walk


def make(name: str, w: Any, **options: Any) -> fs.optim.Optimizer:
    optimizer: fs.optim.Optimizer = getattr(fs.optim, name)(w, **options)
    return optimizer


def take(name: str, dtype: Any = np.float64, drop: bool = False, **options: Any) -> Array:
    """Take the walk with ours."""
    w = [part.astype(dtype) for part in walks.parts(walks.start())]
    optimizer = make(name, w, **options)
    lr = optimizer.param_groups[0]["lr"]

    def step(t: int, g: list[Array]) -> list[Array]:
        optimizer.param_groups[0]["lr"] = walks.rate(lr, drop, t)
        optimizer.step([part.astype(dtype) for part in g])
        return w

    walk: Array = walks.walk(step)
    return walk


@pytest.mark.parametrize(("library", "case"), GOLDEN)
def test_the_walk_of_the_library(library: str, case: Any, dtype: Any) -> None:
    """Given the same options by the same names.

    float64 within 1e-10, float32 within 2e-6 of the largest parameter: 20 roundings.
    """
    want = golden(library, case.id)
    ours = take(case.ours, dtype, case.drop, dialect=SPOKEN[library], **case.options, **case.beside)
    assert np.abs(want - walks.start()).max() > 1e-5, "nothing moves"
    assert np.abs(ours - want).max() <= (1e-10 if dtype is np.float64 else 2e-6 * np.abs(want).max())


@pytest.mark.parametrize(("library", "case"), GOLDEN)
def test_a_dialect_is_nothing_but_its_fields(library: str, case: Any) -> None:
    """Ours, told each field by name and no dialect, has the same bits; so has ours from the other's state."""
    w = [part.copy() for part in walks.parts(walks.start())]
    spoken = make(case.ours, w, dialect=SPOKEN[library], **case.options, **case.beside)
    group = spoken.param_groups[0]
    fields = {
        key: group.raw(key)
        for key in group.described()
        if key not in ("names", "trainable", "sparse", "clip_norm")
    }
    v = [part.copy() for part in walks.parts(walks.start())]
    told = make(case.ours, v, **spoken.options.changed(), **fields)
    u = [part.copy() for part in walks.parts(walks.start())]
    loaded = make(case.ours, u, dialect=SPOKEN[library], **case.options, **case.beside)
    loaded.load_state_dict(spoken.state_dict())
    for g in walks.gradients(5):
        for optimizer in (spoken, told, loaded):
            optimizer.step(walks.parts(g))
    assert all(np.array_equal(a, b) for a, b in zip(w, v, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(w, u, strict=True))


def test_every_optimizer_of_a_library_has_a_golden_walk() -> None:
    for library in ("keras", "optax"):
        there = {name for name, entry in TABLES[library].items() if isinstance(entry, Entry)}
        assert there <= {case.ours for case in LIBRARIES[library]}, library


@pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if dialect != "torch"])
def test_every_field_of_a_table_is_a_field_of_ours(dialect: str) -> None:
    for name, entry in TABLES[dialect].items():
        assert hasattr(fs.optim, name), name
        if isinstance(entry, Entry):
            required = dict.fromkeys(entry.required, 0.01)
            optimizer = make(name, [np.ones(2)], dialect=dialect, **required)
            group = optimizer.param_groups[0]
            for key, value in entry.values.items():
                here = group.raw(key) if key in group else getattr(optimizer.options, key)
                assert here == (0.01 if key in entry.required else value), (name, key)
            assert optimizer.dialect == dialect
            assert f"{name} ({dialect})" in repr(optimizer)
            for alias, field in entry.aliases.items():
                key = field.partition("[")[0]
                assert key in group or hasattr(optimizer.options, key), (name, alias)


def test_optaxs_adadelta_without_a_rate_climbs() -> None:
    """So ours wants one in that dialect."""
    climbing = golden("optax", "adadelta_without_rate")
    ours = take("AdaDelta", lr=1.0, maximize=True)
    assert np.abs(ours - climbing).max() <= 1e-10
    with pytest.raises(
        TypeError, match=r"AdaDelta: lr \(learning_rate\): optax.adadelta has no default; give one"
    ):
        make("AdaDelta", [np.ones(2)], dialect="optax")


def test_torch_is_the_default_and_changes_nothing(rule: Any) -> None:
    a, b = rule.make([np.ones(3)]), rule.make([np.ones(3)], dialect="torch")
    assert a.dialect == b.dialect == "torch"
    assert repr(a) == repr(b)
    assert "(torch)" not in repr(a)


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("Adam", {"dialect": "tf"}, ValueError, r"dialect: got 'tf', need one of 'torch', 'keras', 'optax'"),
        (
            "Adam",
            {"learning_rate": 0.1},
            TypeError,
            r"got an unexpected argument 'learning_rate'; it is 'lr' here",
        ),
        (
            "Adam",
            {"b1": 0.9, "dialect": "keras"},
            TypeError,
            r"'keras': got an unexpected argument 'b1'; it is 'bet",
        ),
        ("Adam", {"beta1": 0.9, "dialect": "keras"}, TypeError, r"argument 'beta1'; do you mean 'beta_1'\?"),
        ("Adam", {"weight_deacy": 0.9}, TypeError, r"argument 'weight_deacy'; do you mean 'weight_decay'\?"),
        ("Adam", {"fused": True}, TypeError, r"argument 'fused'; every step is one fused pass"),
        (
            "Adam",
            {"learning_rate": 0.1, "lr": 0.1, "dialect": "keras"},
            TypeError,
            r"got 'learning_rate' and 'lr', which are one",
        ),
        (
            "Adam",
            {"betas": (0.9, 0.99), "beta_1": 0.1, "dialect": "keras"},
            TypeError,
            r"got 'betas' and 'beta_1', which are one",
        ),
        (
            "Adam",
            {"nesterov": True, "lr": 1, "dialect": "optax"},
            ValueError,
            r"nesterov: got True.*use Nadam",
        ),
        ("Adam", {"dialect": "optax"}, TypeError, r"lr \(learning_rate\): optax.adam has no default"),
        (
            "RAdam",
            {"weight_decay": 0.1, "lr": 1, "dialect": "optax"},
            ValueError,
            r"RAdam: dialect 'optax': weight_decay: optax.radam has none; say decay='l2'",
        ),
        (
            "LAMB",
            {"weight_decay": 0.1, "dialect": "keras"},
            ValueError,
            r"weight_decay: got 0.1, need 0.0 or None",
        ),
        ("SGD", {"clipnorm": 1.0, "dialect": "keras"}, ValueError, r"clipnorm: got 1.0.*use global_clipnorm"),
        ("SGD", {"use_ema": True, "dialect": "keras"}, ValueError, r"use_ema: got True.*use ema_decay"),
        (
            "NAG",
            {"dialect": "keras"},
            ValueError,
            r"it is SGD there; use SGD\(nesterov=True, dialect='keras'\)",
        ),
        ("AdaDelta", {"dialect": "notes"}, ValueError, r"use RMSProp\(dialect='notes'\)"),
        ("Nadam", {"dialect": "paper"}, ValueError, r"the nearest is dialect='torch'"),
    ],
)
def test_what_a_dialect_has_not_is_refused_by_name(
    name: str, options: dict[str, Any], error: Any, message: str
) -> None:
    with pytest.raises(error, match=message):
        make(name, [np.ones(2)], **options)


def test_only_lr_goes_by_position_in_a_dialect() -> None:
    """Keras's second number of Adagrad is where the accumulator starts; ours is the decay of lr."""
    optimizer = fs.optim.AdaGrad([np.ones(2)], 0.5, dialect="keras")
    assert optimizer.param_groups[0]["lr"] == 0.5
    with pytest.raises(TypeError, match=r"got 3 arguments by position, need those after lr by name"):
        fs.optim.AdaGrad([np.ones(2)], 0.5, 0.1, dialect="keras")
    with pytest.raises(TypeError, match=r"AdaGrad: lr: got it twice"):
        fs.optim.AdaGrad([np.ones(2)], 0.5, learning_rate=0.1, dialect="keras")


def test_groups_speak_the_dialect_too() -> None:
    params = {"a": np.ones(2), "b": np.ones(3)}
    groups: list[dict[str, Any]] = [
        {"params": "a", "beta_2": 0.5, "learning_rate": 1.0},
        {"params": ..., "weight_decay": None},
    ]
    optimizer = fs.optim.Adam(params, 0.1, beta_1=0.8, groups=groups, dialect="keras")
    first, second = optimizer.param_groups
    assert (first["lr"], first["betas"], first["eps"]) == (1.0, (0.8, 0.5), 1e-7)
    assert (second["lr"], second["betas"], second["weight_decay"]) == (0.1, (0.8, 0.999), 0.0)
    listed = fs.optim.SGD([{"params": [np.ones(2)], "learning_rate": 0.5}], dialect="keras")
    assert listed.param_groups[0]["lr"] == 0.5
    assert listed.param_groups[0]["momentum_form"] == "lr_inside"


def test_a_configuration_of_keras_can_be_given_as_it_is() -> None:
    """What `get_config()` says, where nothing in it is refused."""
    config = {
        "learning_rate": 0.01,
        "weight_decay": None,
        "clipnorm": None,
        "global_clipnorm": 2.0,
        "clipvalue": None,
        "use_ema": False,
        "ema_momentum": 0.99,
        "ema_overwrite_frequency": None,
        "loss_scale_factor": None,
        "gradient_accumulation_steps": None,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-7,
        "amsgrad": False,
    }
    optimizer = make("Adam", [np.ones(2)], dialect="keras", **config)
    assert optimizer.clip_norm == 2.0
    assert optimizer.param_groups[0]["weight_decay"] == 0.0


def test_decay_is_a_number_to_optaxs_rmsprop_and_a_word_to_us() -> None:
    optimizer = make("RMSProp", [np.ones(2)], lr=0.1, decay=0.5, dialect="optax")
    assert optimizer.param_groups[0]["alpha"] == 0.5
    assert optimizer.param_groups[0]["decay"] == "l2"
    optimizer = make("RMSProp", [np.ones(2)], lr=0.1, decay="decoupled", weight_decay=0.1, dialect="optax")
    assert optimizer.param_groups[0]["decay"] == "decoupled"


def test_a_state_keeps_its_dialect() -> None:
    keras = fs.optim.Adam([np.ones(2)], dialect="keras")
    keras.step([np.ones(2)])
    torch = fs.optim.Adam([np.ones(2)])
    with pytest.warns(fs.optim.HyperParameterWarning, match="dialect: 'torch' becomes 'keras'"):
        torch.load_state_dict(keras.state_dict())
    assert torch.dialect == "keras"
    assert torch.param_groups[0]["eps"] == 1e-7
    assert torch.param_groups[0]["eps_hat"] is True
    wrong = {**keras.state_dict(), "dialect": "latin"}
    with pytest.raises(StateError, match=r"dialect: got 'latin', need one of torch, keras"):
        torch.load_state_dict(wrong)
