"""What the settings of `fourstep train` do to a whole run: each on small data, each scored again from its folder."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep.data.bags import Bags
from fourstep.state import load
from fourstep.train import Config, ConfigError, RunError, source
from fourstep.train.folder import checkpoint
from fourstep.train.options import Lists

sys.path.insert(0, str(Path(__file__).parent))
runs: Any = importlib.import_module("train_runs")
sys.path.remove(str(Path(__file__).parent))
QUICK, Recorder = runs.QUICK, runs.Recorder
run, results, assert_same, interrupted = runs.run, runs.results, runs.assert_same, runs.interrupted

TINY: dict[str, Any] = {"rows": 1500, "epochs": 2, "hidden": (8,)}


def log_of(rows: int = 1500) -> fs.data.Dataset:
    return fs.data.simulated(rows, 0)


def tagged(path: Path, n: int = 900) -> dict[str, Any]:
    """A file in which a row is liked if it lists "good", at a place that lifts clicks too; return its settings."""
    rng = np.random.default_rng(0)
    tags = [sorted(rng.choice(["good", "b", "c", "d"], rng.integers(0, 4), replace=False)) for _ in range(n)]
    place = rng.integers(1, 5, n)
    z = np.array([3.0 * ("good" in listed) for listed in tags]) - 1.0 * place
    clicks = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)
    lines = [
        f"{y},u{rng.integers(9)},{t},{';'.join(listed)},{k},{rng.normal():.3f},1,x{t % 2},x{t % 2}"
        for t, (y, listed, k) in enumerate(zip(clicks, tags, place, strict=True))
    ]
    path.write_text("\n".join(["y,who,t,tags,slot,x,one,two,again", *lines]) + "\n")
    roles = {"label": "y", "user": "who", "time": "t", "numeric": ("x",)}
    return {"data": str(path), "multi": ("tags:;",), "history": False, "wide_decay": 0.0, **roles}


# ---- every choice, resumed and scored again


CHOICES: dict[str, dict[str, Any]] = {
    "deepfm": {"model": "deepfm"},
    "fm, l1": {"model": "fm", "l1": 0.01, "l2": 1e-3},
    "lr, position": {"model": "lr", "position": "position"},
    "ensemble": {"ensemble": 2},
    "lists": {"multi": ("category:c",), "drop_features": ("price", "user*")},
    "noise": {"shuffle_labels": True, "train_fraction": 0.5},
    "layers": {"activation": "gelu", "init": "orthogonal", "batch_norm": False, "dropout": 0.5},
    "rows of lists": {"multi": ("category:c",), "sparse": True, "model": "deepfm"},
}


@pytest.mark.parametrize("name", CHOICES)
def test_an_interrupted_run_ends_in_the_same_bits_and_is_scored_again(name: str, tmp_path: Path) -> None:
    choice = TINY | CHOICES[name]
    outcome = run(tmp_path / "whole", **choice)
    assert len(interrupted(tmp_path / "a", [3, 4], **choice)) == 2
    assert_same(results(tmp_path / "a"), results(tmp_path / "whole"))
    test = log_of().take(fs.data.split(log_of()).test)
    assert_same(fs.load_run(tmp_path / "a").predict(test), outcome.score)
    settings = fs.train.config.read_toml(tmp_path / "a" / "config.toml")
    assert all(settings[key] == value for key, value in CHOICES[name].items())


# ---- models, L1


def test_the_model_lr_is_the_baseline_of_the_same_settings(tmp_path: Path) -> None:
    from fourstep.train.baseline import settings

    base = settings(Config(**QUICK))
    same = {name: getattr(base, name) for name in ("lr", "warmup", "epochs", "batch_size", "wide_decay")}
    first = run(
        tmp_path / "a", **TINY | same, weight_decay=0.0, model="lr", baseline=True, patience=99, refit=False
    )
    last = run(tmp_path / "b", **TINY, baseline=True, refit=False)
    assert first.metrics["baseline"]["same_inputs"] == last.metrics["baseline"]["same_inputs"]
    assert first.metrics["parameters"] == sum(
        array.size for array in fs.load_run(tmp_path / "a").model.named_parameters().values()
    )
    assert not {"embedding.weight", "hidden0.linear.weight"} & set(first.metrics["nonzero"])


def test_l1_leaves_exact_zeros_but_in_what_is_frozen_and_what_never_decays(tmp_path: Path) -> None:
    frozen = {"wide_dense*": {"trainable": False}, "output*": {"lr": 1e-5}}
    dense = run(tmp_path / "a", **TINY, refit=False)
    sparse = run(tmp_path / "b", **TINY, l1=3.0, refit=False, groups=frozen)
    assert (
        dense.metrics["nonzero"]["embedding.weight"]
        == load(checkpoint(tmp_path / "a"))["model"]["embedding.weight"].size
    )
    left = sparse.metrics["nonzero"]
    assert left["embedding.weight"] < dense.metrics["nonzero"]["embedding.weight"] / 4
    assert left["hidden0.norm.weight"] == 8
    assert left["bias"] == 1
    weights = fs.load_run(tmp_path / "b").model.named_parameters()
    assert left == {name: int(np.count_nonzero(array)) for name, array in weights.items()}
    assert left["output.weight"] == 8, "its own rate is small, and so is its threshold"


def test_l2_is_on_top_of_each_decay() -> None:
    from fourstep.train.groups import decay_of

    config = Config(weight_decay=1.0, embedding_decay=2.0, wide_decay=3.0, l2=0.5)
    names = [
        "output.weight",
        "embedding_list0.weight",
        "member1.wide_fields.weight",
        "member0.bias",
        "position.weight",
    ]
    assert [decay_of(name, config) for name in names] == [1.5, 2.5, 3.5, 0.0, 0.0]


# ---- lists


def test_a_model_learns_from_the_values_of_a_list(tmp_path: Path) -> None:
    file = tagged(tmp_path / "f.csv")
    whole = run(tmp_path / "a", **file, epochs=6, hidden=(), lr=0.05)
    assert whole.metrics["test"]["auc"] > 0.75
    trained = fs.load_run(tmp_path / "a")
    frame = {"who": ["u1"] * 4, "t": [1, 2, 3, 4], "tags": ["good", "b;good", None, "new"], "x": [0.0] * 4}
    inputs = trained.transform(frame)
    assert inputs.fields.shape == (4, 0)
    assert (inputs.unseen, inputs.nulls["tags"]) == ({"tags": 1}, 1)
    ids, starts = inputs.bags["tags"].take(np.arange(4))
    texts = trained.features.texts("tags")
    assert [[texts[i] for i in part] for part in np.split(ids, starts[1:])] == [
        ["good"],
        ["b", "good"],
        [None],
        [None],
    ]
    p = trained.predict(frame)
    assert p[0] > p[1] > p[2]


def test_the_cardinality_of_a_list_is_of_its_values(tmp_path: Path) -> None:
    run(tmp_path / "a", **tagged(tmp_path / "f.csv"), epochs=1)
    assert "tags = 6" in (tmp_path / "a" / "config.toml").read_text()


def test_rows_of_bags_are_those_that_were_asked_for() -> None:
    bags = Bags(np.array([1, 0, 2, 1]), np.array([7, 8, 9]), np.array([2, 0, 1]))
    ids, starts = bags.take(np.array([3, 1, 0]))
    assert (ids.tolist(), starts.tolist()) == ([7, 8], [0, 0, 2])
    assert bags.rows_with(np.array([True, True, False])) == 1


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("genres:|", [("genres", "|")]),
        ("a:|,b:;", [("a", "|"), ("b", ";")]),
        ("a:,", [("a", ",")]),
        ("a:,,b:::", [("a", ","), ("b:", ":")]),
        ("a: ", [("a", " ")]),
        ("", []),
    ],
)
def test_a_list_is_written_with_its_separator(text: str, items: list[tuple[str, str]]) -> None:
    assert [Lists.split(item) for item in Lists().parse(text)] == items


@pytest.mark.parametrize("text", ["genres", ":|", "a:|,a:;", "a:|,b", ","])
def test_a_list_without_column_or_separator_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="COLUMN:SEPARATOR"):
        Lists().parse(text)


# ---- the position


def test_the_position_is_neutral_in_every_score(tmp_path: Path) -> None:
    """Scores need no position, do not change with it, and say no more than the relevance (M11)."""
    file = tagged(tmp_path / "f.csv") | {"position": "slot"}
    outcome = run(tmp_path / "a", **file, epochs=6, hidden=(), lr=0.05)
    term = fs.load_run(tmp_path / "a").model.named_parameters()["position.weight"][:, 0]
    assert np.all(np.diff(term[2:]) < 0), "a later place has fewer clicks"
    assert outcome.metrics["test_in_place"]["auc"] > outcome.metrics["test"]["auc"] + 0.004
    frame = {"who": ["u1"] * 2, "t": [1, 2], "tags": ["good"] * 2, "x": [0.0] * 2}
    p = fs.load_run(tmp_path / "a").predict(frame | {"slot": [1, 4]})
    assert p[0] == p[1]
    assert_same(p, fs.load_run(tmp_path / "a").predict(frame))


def test_the_position_is_no_category_beside(tmp_path: Path) -> None:
    run(tmp_path / "a", **TINY, position="position")
    trained = fs.load_run(tmp_path / "a")
    assert "position" not in trained.features.sizes.indices
    assert not [name for name in trained.features.dense_names if "position" in name]


# ---- fewer features


def test_features_are_dropped_by_name_and_pattern(tmp_path: Path) -> None:
    run(tmp_path / "a", **TINY, drop_features=("device", "user*"))
    sizes = fs.load_run(tmp_path / "a").features.sizes
    assert list(sizes.fields) == ["item", "category", "position"]
    found = json.loads((tmp_path / "a" / "data.json").read_text())["left_out"]
    assert found["device"] == "named by device"
    assert {"user", "user:rate", "user:count"} <= set(found)


def test_auto_drops_what_select_features_would_on_the_training_rows(tmp_path: Path) -> None:
    file = tagged(tmp_path / "f.csv") | {"categorical": ("one", "two", "again"), "drop_features": ("auto",)}
    run(tmp_path / "a", **file, epochs=1)
    found = json.loads((tmp_path / "a" / "data.json").read_text())["left_out"]
    assert found == {"one": "constant", "again": "duplicate of two"}
    assert list(fs.load_run(tmp_path / "a").features.sizes.indices) == ["two", "tags"]


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (("prise",), "--drop-features prise: matches no input; did you mean price.; there are user, item"),
        (("*",), r"--drop-features \*: leaves no input"),
    ],
)
def test_a_pattern_of_no_input_or_of_all_is_refused(
    patterns: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        run(tmp_path / "a", **TINY, drop_features=patterns)
    assert not (tmp_path / "a").exists()


# ---- fewer rows, noise


def test_a_smaller_share_of_the_rows_is_part_of_a_larger_one() -> None:
    log = log_of()
    parts = [source.cut(Config(train_fraction=share, min_count=1), log) for share in (0.1, 0.5, 1.0)]
    rows = [set(part.train.tolist()) for part in parts]
    assert rows[0] < rows[1] < rows[2]
    assert len(rows[1]) == round(len(rows[2]) / 2)
    assert all(np.array_equal(part.test, parts[0].test) for part in parts)
    assert all(np.array_equal(part.valid, parts[0].valid) for part in parts)


def test_a_share_of_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"--train-fraction 0\.0001: the labels of its 1 row are of one class"
    ):
        run(tmp_path / "a", **TINY, train_fraction=1e-4)
    assert not (tmp_path / "a").exists()


def test_shuffled_labels_are_those_of_the_training_rows_alone() -> None:
    log = log_of()
    parts = fs.data.split(log)
    mixed = source.shuffled(Config(shuffle_labels=True), log, parts.train)
    assert np.array_equal(mixed.label[parts.valid], log.label[parts.valid])
    assert np.array_equal(mixed.label[parts.test], log.label[parts.test])
    assert not np.array_equal(mixed.label[parts.train], log.label[parts.train])
    assert mixed.label[parts.train].sum() == log.label[parts.train].sum()
    assert source.shuffled(Config(), log, parts.train) is log


def test_noise_is_learned_by_heart_and_says_nothing_about_new_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from fourstep.train.report import report

    config = {
        "shuffle_labels": True,
        "batch_norm": False,
        "dropout": 0.0,
        "embedding_decay": 0.0,
        "patience": 99,
    }
    outcome = run(tmp_path / "a", **TINY | config | {"epochs": 12, "hidden": (64,)}, refit=False)
    assert outcome.metrics["train"]["auc"] > 0.7
    assert outcome.metrics["test"]["auc"] < 0.62
    report(outcome.metrics, "x")
    assert "labels of the training rows were permuted: AUC" in capsys.readouterr().out


# ---- an ensemble


def test_an_ensemble_is_the_mean_of_runs_of_its_seeds(tmp_path: Path) -> None:
    both = run(tmp_path / "both", **TINY, ensemble=2, seed=3, refit=False, patience=99)
    # A committee's members see the batches of its own seed; of the first member they are the run's.
    run(tmp_path / "one", **TINY, seed=3, refit=False, patience=99)
    weights = load(checkpoint(tmp_path / "both"))["search"]["trainer"]["model"]
    alone = load(checkpoint(tmp_path / "one"))["search"]["trainer"]["model"]
    for name, array in alone.items():
        assert np.array_equal(weights[f"member0.{name}"], array), name
    assert not np.array_equal(weights["member1.output.weight"], alone["output.weight"])
    trained = fs.load_run(tmp_path / "both")
    test = log_of().take(fs.data.split(fs.data.simulated(1500, 3)).test)
    assert trained.model.parameter_count == 2 * trained.model.members[0].parameter_count
    assert both.metrics["ensemble"] == 2
    assert len(trained.predict(test)) == len(test)


# ---- beginning from another run


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("first") / "run"
    run(folder, **TINY)
    return folder


def test_frozen_parameters_are_those_of_the_other_run(first: Path, tmp_path: Path) -> None:
    begun = {"init_from": str(first), "init_match": ("emb*", "hidden0*"), "init_freeze": True}
    recorder = Recorder()
    fs.train.train(
        Config(**QUICK | TINY | begun | {"out": str(tmp_path / "a"), "seed": 0, "lr": 0.03}), recorder
    )
    mine, theirs = (fs.load_run(path).model.state_dict() for path in (tmp_path / "a", first))
    assert_same(mine["embedding.weight"], theirs["embedding.weight"])
    assert_same(mine["hidden0.linear.weight"], theirs["hidden0.linear.weight"])
    assert not np.array_equal(mine["output.weight"], theirs["output.weight"])
    assert any("taken   embedding.weight: " in line for line in recorder.said)
    assert any("taken   hidden0.linear.weight: whole" in line for line in recorder.said)


def test_rows_of_tables_go_by_their_category(first: Path, tmp_path: Path) -> None:
    """Another vocabulary: rows move with their texts, and what the other run did not know stays as it began."""
    begun = {"init_from": str(first), "init_match": ("embedding.*",), "init_freeze": True}
    run(tmp_path / "a", **TINY | begun | {"min_count": 8, "drop_features": ("category",)}, refit=False)
    new, old = fs.load_run(tmp_path / "a"), fs.load_run(first)
    place = 0
    for name, size in new.features.sizes.fields.items():
        fields = [*old.features.sizes.fields]
        there = sum(old.features.sizes.fields[other] for other in fields[: fields.index(name)])
        for index, text in enumerate(new.features.texts(name)):
            if index > 1:
                row = there + old.features.texts(name).index(text)
                assert_same(
                    new.model.state_dict()["embedding.weight"][place + index],
                    old.model.state_dict()["embedding.weight"][row],
                )
        place += size
    assert place < len(old.model.state_dict()["embedding.weight"])


def test_an_own_rate_for_what_was_taken(first: Path, tmp_path: Path) -> None:
    begun = {"init_from": str(first), "init_match": ("embedding.*",), "refit": False, "epochs": 1}
    distances = []
    for lr in (1e-6, 0.0):
        run(tmp_path / f"{lr}", **TINY | begun | {"init_lr": lr})
        new, old = (
            fs.load_run(path).model.state_dict()["embedding.weight"] for path in (tmp_path / f"{lr}", first)
        )
        small = min(len(new), len(old))
        assert small > 50
        distances.append(float(np.median(np.abs(new[:12] - old[:12]))))
    assert distances[0] < 1e-4 < distances[1]


def test_a_begun_run_goes_on_to_the_same_bits_and_refuses_another_beginning(
    first: Path, tmp_path: Path
) -> None:
    shutil.copytree(first, tmp_path / "first")
    begun = TINY | {"init_from": str(tmp_path / "first"), "init_match": ("emb*",), "init_lr": 0.001}
    run(tmp_path / "whole", **begun)
    assert len(interrupted(tmp_path / "a", [2, 7], **begun)) == 2
    assert_same(results(tmp_path / "a"), results(tmp_path / "whole"))
    shutil.rmtree(tmp_path / "first")
    run(tmp_path / "first", **TINY | {"seed": 9})
    with pytest.raises(RunError, match="first is not what it was when the run began"):
        fs.train.resume(tmp_path / "a", progress=Recorder())


def test_every_member_of_an_ensemble_takes_the_same(first: Path, tmp_path: Path) -> None:
    run(
        tmp_path / "a",
        **TINY,
        init_from=str(first),
        init_match=("embedding.*",),
        init_freeze=True,
        ensemble=2,
    )
    weights = fs.load_run(tmp_path / "a").model.named_parameters()
    assert_same(weights["member0.embedding.weight"], weights["member1.embedding.weight"])
    assert not np.array_equal(weights["member0.output.weight"], weights["member1.output.weight"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"init_from": "/no/such"}, "--init-from /no/such: there is no such folder"),
        (
            {"init_match": ("embd*",)},
            r"--init-match embd\*: matches no parameter; there are bias, embedding\.weight",
        ),
        (
            {"hidden": (9,)},
            r"hidden0\.linear\.weight has the shape \(8, \d+\) in .*, this model needs \(9, \d+\)",
        ),
        ({"embedding_dim": 3, "init_match": ("emb*",)}, r"embedding\.weight has 4 columns in .* needs 3"),
        ({"hidden": (8, 4), "init_match": ("hidden1*",)}, r"has no parameter hidden1\.linear\.weight"),
        (
            {"history": False, "init_match": ("hidden0*",)},
            r"hidden0\.linear\.weight belongs to other numbers",
        ),
        ({"drop_features": ("item",), "init_match": ("hidden0*",)}, "belongs to other fields"),
        (
            {"groups": {"emb*": {"lr": 1.0}}, "init_match": ("emb*",), "init_lr": 0.1},
            "a pattern of init_match too",
        ),
    ],
)
def test_a_beginning_that_does_not_fit_is_refused(
    changes: dict[str, Any], message: str, first: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        run(tmp_path / "a", **TINY | {"init_from": str(first)} | changes)
    assert not (tmp_path / "a").exists()


# ---- between epochs


def test_looking_between_epochs_changes_nothing_else(tmp_path: Path) -> None:
    run(tmp_path / "a", **TINY)
    run(tmp_path / "b", **TINY, eval_steps=2)
    mine, theirs = results(tmp_path / "a"), results(tmp_path / "b")
    assert_same(mine[0]["model"], theirs[0]["model"])
    assert_same(mine[1], theirs[1])
    lines = [json.loads(line) for line in (tmp_path / "b" / "steps.jsonl").read_text().splitlines()]
    history = [json.loads(line) for line in (tmp_path / "b" / "history.jsonl").read_text().splitlines()]
    steps = theirs[0]["search"]["trainer"]["steps"]
    assert [line["step"] for line in lines] == [
        s for s in range(1, 2 * steps + 1) if s % 2 == 0 or s % steps == 0
    ]
    assert np.all(np.diff([line["seconds"] for line in lines]) > 0)
    assert lines[-1]["valid_gauc"] == history[-1]["valid_gauc"]
    assert lines[-1]["seconds"] == pytest.approx(sum(line["train_seconds"] for line in history))


def test_what_is_seen_between_epochs_survives_an_interrupt(tmp_path: Path) -> None:
    def seen(folder: Path) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (folder / "steps.jsonl").read_text().splitlines()]
        return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]

    run(tmp_path / "whole", **TINY, eval_steps=2)
    assert interrupted(tmp_path / "a", [3], **TINY, eval_steps=2)
    assert seen(tmp_path / "a") == seen(tmp_path / "whole")


# ---- what does not go together


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "fm", "embedding_dim": 0}, "embedding_dim needs to be >= 1 with model fm, got 0"),
        (
            {"model": "deepfm", "hidden": ()},
            "hidden needs a layer with model deepfm, got none; model fm has none",
        ),
        ({"model": "gbdt"}, "model needs one of mlp, deepfm, fm, lr, got 'gbdt'"),
        ({"sparse": True, "l1": 0.1}, "l1 needs to be 0 with sparse, got 0.1"),
        ({"init_freeze": True}, "init_freeze needs init_from, the run that the parameters come from"),
        ({"init_lr": 0.1}, "init_lr needs init_from"),
        ({"init_match": ("emb*",)}, "init_match needs init_from"),
        (
            {"init_from": "a", "init_lr": 0.1, "init_freeze": True},
            "init_lr needs to be 0 with init_freeze, got 0.1",
        ),
        ({"position": "a", "user": "a"}, "position a is the column of the user"),
        ({"position": "a", "multi": ("a:|",)}, "position a is among the columns of multi"),
        ({"multi": ("genres",)}, r"multi needs a list of COLUMN:SEPARATOR .*, got \('genres',\)"),
        ({"ensemble": 0}, "ensemble needs a whole number >= 1 and <= 100, got 0"),
        (
            {"train_fraction": 0.0},
            "train_fraction needs a finite number <= 1 and > 0|train_fraction needs a finite",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"position": "slot"},
            "--position slot: simulated has no such column of categories; there are user, item",
        ),
        (
            {"multi": ("categori:|",)},
            "--multi categori: simulated has no such column of categories; did you mean category.;",
        ),
    ],
)
def test_a_column_that_is_not_there_is_named(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        run(tmp_path / "a", **settings)
