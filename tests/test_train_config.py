"""Settings: what they may hold, where they come from, and that the TOML written is the TOML read."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fourstep.train import Config, ConfigError, toml
from fourstep.train.config import checked, options, parse_toml, read_toml
from fourstep.train.groups import decay_of, groups
from fourstep.train.options import Choice, Names, Number, Sizes, Switch, Text, Whole
from fourstep.train.schedule import FLOOR, schedule

NAMES = [
    "embedding.weight",
    "hidden0.linear.weight",
    "hidden0.norm.weight",
    "hidden0.norm.bias",
    "output.weight",
]
NAMES += ["wide_fields.weight", "wide_dense.weight", "bias"]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.floats(allow_nan=False) | st.integers(-(2**63), 2**63 - 1)
values = texts | st.booleans() | numbers | st.lists(texts | numbers, max_size=4)


# ---- TOML


@given(st.dictionaries(texts, values, max_size=6), texts)
def test_toml_reads_back_as_it_was_written(entries: dict[str, Any], title: str) -> None:
    written = toml.table(entries, title=f"groups.{toml.key(title)}")
    assert tomllib.loads(written) == {"groups": {title: entries}}


def test_toml_keeps_the_kind_of_a_number() -> None:
    read = tomllib.loads(toml.table({"a": 1.0, "b": 1, "c": 1e-300, "d": 1e22, "e": -0.0}))
    assert [type(value) for value in read.values()] == [float, int, float, float, float]
    assert str(read["e"]) == "-0.0"


@pytest.mark.parametrize("value", [None, {"a": 1}, object(), "\ud800"])
def test_toml_refuses_what_it_has_no_value_for(value: Any) -> None:
    with pytest.raises(TypeError, match="TOML has no value"):
        toml.value(value)


# ---- kinds


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Number(above=0), ["1", "1e-3", "0.5"], ["0", "-1", "nan", "inf", "x", ""]),
        (Number(least=0, below=1), ["0", "0.99"], ["1", "-0.1", "nan"]),
        (Whole(1, 5), ["1", "5"], ["0", "6", "2.0", "x", ""]),
        (Choice(("a", "b")), ["a"], ["c", "A", ""]),
        (Sizes(), ["64,32", "8", "none", ""], ["0", "-1", "a", "8,,8"]),
        (Names(), ["a,b", "a", "", " a , b "], ["a,a", "a,,b", "a,\udcff"]),
        (Text(), ["a b", "é", ""], ["a\nb", "a\0", "\udcff"]),
    ],
)
def test_a_kind_reads_what_it_says_it_needs(kind: Any, good: list[str], bad: list[str]) -> None:
    for text in good:
        assert kind.read(kind.parse(text)) == kind.parse(text)
    for text in bad:
        with pytest.raises(ValueError, match="^a |^one of"):
            kind.parse(text)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Number(), "1"),
        (Number(), True),
        (Whole(), 1.0),
        (Whole(), True),
        (Switch(), 1),
        (Switch(), "true"),
        (Text(), 1),
        (Text(), "two\nlines"),
        (Sizes(), 64),
        (Sizes(), [1.5]),
        (Names(), "abc"),
        (Names(), [1]),
    ],
)
def test_a_kind_does_not_guess_at_other_types(kind: Any, value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        kind.read(value)


# ---- the configuration


def test_every_setting_goes_through_toml_and_back(tmp_path: Path) -> None:
    changed = Config(
        data='a "quoted" \\ path.csv',
        label="y",
        categorical=("a", "b,c"),
        hidden=(),
        lr=0.1,
        history=False,
        seed=7,
        groups={"embedding*": {"lr": 0.5, "trainable": False}, 'od"d': {"weight_decay": 0.0}},
    )
    path = tmp_path / "config.toml"
    path.write_text(changed.to_toml({"a": 3, "b,c": 4}))
    assert Config(**read_toml(path)) == changed
    assert tomllib.loads(path.read_text())["cardinality"] == {"a": 3, "b,c": 4}


def test_every_field_of_the_configuration_is_a_setting_with_help() -> None:
    fields = {field.name for field in dataclasses.fields(Config)}
    assert fields == {*options(), "groups"}
    assert all(option.help and option.section for option in options().values())
    assert set(parse_toml(Config().to_toml(), "x")) == set(options())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "run.toml: unknown key epoch; did you mean epochs?"),
        ("zzzz = 3", "run.toml: unknown key zzzz"),
        ("lr = 0.0", "run.toml: lr needs a finite number > 0, got 0.0"),
        ("epochs = 2.5", "run.toml: epochs needs a whole number >= 1 and <= 1000000, got 2.5"),
        ('hidden = "64"', "run.toml: hidden needs a list of whole numbers >= 1, got '64'"),
        ('optimizer = "muon"', "run.toml: optimizer needs one of adam, adamw, amsgrad"),
        ("groups = 3", "run.toml: groups needs a table of patterns, got 3"),
        ("[groups]\na = 1", "run.toml: groups.a needs a table, got 1"),
        ('[groups."a*"]\nlearning = 1', 'run.toml: groups."a*": unknown key learning'),
        (
            '[groups."a*"]\nweight_deca = 1',
            'groups."a*": unknown key weight_deca; did you mean weight_decay?',
        ),
        ('[groups."a*"]\nlr = -1', 'run.toml: groups."a*".lr needs a finite number > 0, got -1'),
        ("lr = ", "run.toml: not TOML"),
    ],
)
def test_a_wrong_toml_is_an_error_that_names_the_key(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_toml(text, "run.toml")
    assert str(error.value).startswith(message) or message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_toml_that_is_missing_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: No such file"):
        read_toml(tmp_path / "none.toml")
    path = tmp_path / "bytes.toml"
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not TOML"):
        read_toml(path)


def test_a_key_may_be_written_with_dashes() -> None:
    assert parse_toml("batch-size = 7", "x") == {"batch_size": 7}


def test_flags_are_named_in_their_errors() -> None:
    with pytest.raises(ConfigError, match="--lr needs a finite number > 0, got abc"):
        checked("lr", "abc", "--lr", text=True)


# ---- groups of parameters


def test_nothing_decays_that_should_not() -> None:
    config = Config(weight_decay=1.0, embedding_decay=2.0, wide_decay=3.0)
    assert {name: decay_of(name, config) for name in NAMES} == {
        "embedding.weight": 2.0,
        "hidden0.linear.weight": 1.0,
        "hidden0.norm.weight": 0.0,
        "hidden0.norm.bias": 0.0,
        "output.weight": 1.0,
        "wide_fields.weight": 3.0,
        "wide_dense.weight": 1.0,
        "bias": 0.0,
    }


def test_a_pattern_takes_its_parameters_and_the_rest_keep_theirs() -> None:
    config = Config(groups={"hidden*": {"lr": 0.5}, "bias": {"trainable": False, "weight_decay": 0.25}})
    made = groups(NAMES, config, steps_per_epoch=10)
    assert sorted(name for group in made for name in group["params"]) == sorted(NAMES)
    of = {name: group for group in made for name in group["params"]}
    assert of["hidden0.linear.weight"]["weight_decay"] == config.weight_decay
    assert of["hidden0.norm.weight"]["weight_decay"] == 0.0
    peak = round(config.warmup * config.epochs * 10)
    assert of["hidden0.norm.weight"]["lr"](peak) == 0.5
    assert of["bias"]["trainable"] is False
    assert of["bias"]["weight_decay"] == 0.25
    assert "lr" not in of["output.weight"]


def test_a_pattern_that_matches_nothing_or_too_much() -> None:
    with pytest.raises(
        ConfigError, match=r"groups: hiden\* matches no parameter; there are embedding\.weight"
    ):
        groups(NAMES, Config(groups={"hiden*": {}}), 1)
    with pytest.raises(ConfigError, match=r"parameter hidden0\.norm\.bias is in two: hidden\* and \*\.bias"):
        groups(NAMES, Config(groups={"hidden*": {}, "*.bias": {}}), 1)


# ---- the schedule


@pytest.mark.parametrize("name", ["cosine", "linear"])
def test_the_rate_rises_over_the_warmup_falls_over_the_horizon_and_stays(name: str) -> None:
    made = schedule(Config(schedule=name, horizon=4, epochs=9, warmup=0.25), lr=1.0, steps_per_epoch=10)
    rates = [made(step) for step in range(100)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[10] == max(rates) == 1.0
    assert rates[10:41] == sorted(rates[10:41], reverse=True)
    assert set(rates[40:]) == {FLOOR}


def test_the_horizon_is_the_epochs_where_none_is_said() -> None:
    said, unsaid = (schedule(Config(epochs=4, horizon=h), 1.0, 10) for h in (4, 0))
    assert said == unsaid


def test_a_constant_schedule_without_warmup_is_constant() -> None:
    made = schedule(Config(schedule="constant", warmup=0.0), 0.5, 10)
    assert {made(step) for step in range(200)} == {0.5}


def test_the_names_of_the_flag_are_those_of_the_kinds() -> None:
    from fourstep.train import config, kinds

    assert tuple(kinds.KINDS) == config.OPTIMIZERS
    assert set(config.SPARSE) == set(kinds.SPARSE)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sparse": True, "state_dtype": "int8"}, "state_dtype needs to be float32 with sparse, got int8"),
        ({"sparse": True, "optimizer": "lion"}, "sparse needs one of the optimizers adam, adagrad"),
    ],
)
def test_settings_that_do_not_go_together(settings: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config(**settings)
