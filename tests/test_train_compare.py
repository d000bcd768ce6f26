"""`fourstep compare`: its runs, its arithmetic, going on, and what it refuses."""

from __future__ import annotations

import importlib
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import pytest

import fourstep as fs
from fourstep.cli import main
from fourstep.train import ConfigError, Interrupted
from fourstep.train.compare import COMPARISON, Comparison, compare, print_comparison
from fourstep.train.folder import checkpoint
from fourstep.train.student import interval, quantile, within

sys.path.insert(0, str(Path(__file__).parent))
runs: Any = importlib.import_module("train_runs")
sys.path.remove(str(Path(__file__).parent))

TINY = 'data = "simulated"\nrows = 800\nepochs = 2\nbatch_size = 128\nhidden = [4]\nembedding_dim = 2\nmin_count = 1\n'


def files(folder: Path, **more: str) -> list[str]:
    """Write a configuration for each keyword."""
    made = []
    for name, text in more.items():
        (folder / f"{name}.toml").write_text(TINY + text)
        made.append(str(folder / f"{name}.toml"))
    return made


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path, Comparison]:
    folder = tmp_path_factory.mktemp("compare")
    made = files(folder, plain='model = "lr"', deep="eval_steps = 1")
    return made, folder / "out", compare(made, 2, folder / "out", target=0.3)[0]


# ---- Student's t


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 9, 30, 201])
@pytest.mark.parametrize("level", [0.1, 0.5, 0.95, 0.999])
def test_quantiles_are_those_of_scipy(freedom: int, level: float) -> None:
    scipy: Any = pytest.importorskip("scipy.stats")
    assert quantile(level, freedom) == pytest.approx(scipy.t.ppf((1 + level) / 2, freedom), rel=1e-10)
    assert within(quantile(level, freedom), freedom) == pytest.approx(level, rel=1e-12)


@pytest.mark.parametrize(("freedom", "t"), [(1, 12.706205), (4, 2.776445), (9, 2.262157)])
def test_quantiles_are_those_of_the_tables(freedom: int, t: float) -> None:
    assert quantile(0.95, freedom) == pytest.approx(t, abs=1e-6)


def test_an_interval_is_t_s_over_root_n() -> None:
    values = [0.7, 0.72, 0.69, 0.75, 0.71]
    mean, half = interval(values)
    assert mean == pytest.approx(statistics.fmean(values), rel=1e-15)
    assert half == pytest.approx(2.776445 * statistics.stdev(values) / 5**0.5, rel=1e-6)
    assert interval([3.0]) == (3.0, None)
    assert interval([2.0, 2.0]) == (2.0, 0.0)


# ---- what it does


def test_every_run_is_a_run_of_its_own_configuration(both: tuple[list[str], Path, Comparison]) -> None:
    made, out, found = both
    assert found.names == ["plain", "deep"]
    for name, file in zip(found.names, made, strict=True):
        for k in range(2):
            run = fs.load_run(out / name / f"seed{k}")
            own = fs.train.config.read_toml(file) | {"seed": k}
            assert {key: getattr(run.config, key) for key in own} == own
            assert run.metrics["test"]["auc"] == found.values[name]["auc"][k]
            assert run.metrics["baseline"]["same_inputs"] is None


def test_differences_are_taken_seed_by_seed(both: tuple[list[str], Path, Comparison]) -> None:
    _, out, found = both
    told = json.loads((out / COMPARISON).read_text())
    assert told == json.loads(json.dumps(found.to_dict()))
    for figure in ("auc", "gauc", "logloss", "f1"):
        first, second = (told["configurations"][name][figure]["values"] for name in found.names)
        gaps = [b - a for a, b in zip(first, second, strict=True)]
        assert told["differences"]["deep"][figure]["mean"] == pytest.approx(statistics.fmean(gaps), abs=1e-15)
        low, high = told["differences"]["deep"][figure]["ci"]
        assert high - low == pytest.approx(
            2 * 12.706205 * statistics.stdev(gaps) / 2**0.5, rel=1e-6, abs=1e-15
        )


def test_the_target_is_found_at_its_first_step(both: tuple[list[str], Path, Comparison]) -> None:
    _, out, found = both
    for name, source in (("deep", "steps.jsonl"), ("plain", "history.jsonl")):
        for k in range(2):
            lines = [json.loads(line) for line in (out / name / f"seed{k}" / source).read_text().splitlines()]
            there = next(place for place, line in enumerate(lines, 1) if line["valid_gauc"] >= 0.3)
            steps = 5 if name == "plain" else 1  # a line an epoch, or a line a step
            assert found.values[name]["target_step"][k] == there * steps
            assert found.values[name]["target_seconds"][k] > 0  # type: ignore[operator]


def test_runs_that_are_done_are_not_trained_again(both: tuple[list[str], Path, Comparison]) -> None:
    made, out, found = both
    before = {path: path.stat().st_mtime_ns for path in out.rglob("checkpoint*")}
    again, _ = compare(made, 2, out, target=0.3)
    assert again.values == found.values
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("checkpoint*")}
    assert len(before) == 4


def test_an_interrupted_comparison_goes_on(both: tuple[list[str], Path, Comparison], tmp_path: Path) -> None:
    made, _, found = both
    with pytest.raises(Interrupted) as stopped:
        compare(made, 2, tmp_path / "out", target=0.3, progress=runs.Recorder(after=12))
    assert str(stopped.value) == (
        f"interrupted in plain, seed 0; go on with: fourstep compare {' '.join(made)} --seeds 2"
        f" --out {tmp_path / 'out'} --target-gauc 0.3"
    )
    again, _ = compare(made, 2, tmp_path / "out", target=0.3)
    assert [again.values[n]["auc"] for n in again.names] == [found.values[n]["auc"] for n in found.names]


def test_the_command_prints_both_tables(
    both: tuple[list[str], Path, Comparison], capsys: pytest.CaptureFixture[str]
) -> None:
    made, out, _ = both
    assert main(["compare", *made, "--seeds", "2", "--out", str(out), "--target-gauc", "0.999"]) == 0
    said = capsys.readouterr()
    for word in ("AUC", "log loss", "±", "over 2 seeds", "differences from plain", "not in 2", str(out)):
        assert word in said.out
    assert "deep, seed 1: AUC" in said.err
    assert main(["compare", made[0], "--seeds", "1", "--out", str(out), "--quiet"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "one value of 1 seed" in said.out
    assert "differences" not in said.out


def test_a_figure_that_a_seed_has_not_is_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    figures: dict[str, list[float | None]] = {
        key: [0.5, 0.75] for key in ["auc", "logloss", "f1", "train_seconds"]
    }
    found = Comparison(["a", "b"], [0, 1], 10, None, {n: figures | {"gauc": [None, 0.5]} for n in "ab"})
    assert found.mean("a", "gauc") is None
    assert found.difference("b", "gauc") is None
    print_comparison(found)
    line = capsys.readouterr().out.splitlines()[3].split("  ")
    assert [cell.strip() for cell in line if cell.strip()][1:3] == ["0.6250 ± 1.5883", "-"]


def test_the_files_of_the_documentation_are_configurations() -> None:
    made = sorted((Path(__file__).parents[1] / "docs" / "compare").glob("*.toml"))
    assert {"lr", "fm", "mlp", "deepfm", "ensemble", "bn", "no_bn"} <= {path.stem for path in made}
    for path in made:
        fs.train.Config(**fs.train.config.read_toml(path))


# ---- what it refuses


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["compare", *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("fourstep: error: ")
    assert said.err.count("\n") == 1
    return said.err.removeprefix("fourstep: error: ").strip()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('model = "gbm"', ": model needs one of mlp, deepfm, fm, lr, got 'gbm'"),
        ('optimizer = "adm"', ": optimizer needs one of adam, "),
        ('model = "fm"\nsparse = true\nl1 = 0.1', ": l1 needs to be 0 with sparse"),
        ('init_from = "/no/such"', "--init-from /no/such: there is no such folder"),
        ("modle = 1", ": unknown key modle; did you mean model?"),
        ("= 1", ": not TOML"),
    ],
)
def test_a_bad_file_is_one_line_and_leaves_nothing(
    text: str,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, *files(tmp_path, a=text))
    assert [path.name for path in tmp_path.iterdir()] == ["a.toml"]


def test_words_that_do_not_make_a_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "b").mkdir()
    one, two = files(tmp_path, a="")[0], files(tmp_path / "b", a="")[0]
    assert refused(capsys, "/no/such.toml") == "/no/such.toml: No such file or directory"
    assert refused(capsys, one, two).startswith("a: two files have this name")
    assert refused(capsys, one, "--seeds", "0").startswith("--seeds needs a whole number >= 1")
    assert refused(capsys, one, "--target-gauc", "2").startswith("--target-gauc needs a finite number")
    assert refused(capsys) == "the following arguments are required: FILE"


def test_other_test_rows_are_no_pairs(tmp_path: Path) -> None:
    made = files(tmp_path, a="", b="test_share = 0.3")
    with pytest.raises(ConfigError, match=r"b: its 2\d\d test rows are not those of a: no pairs to compare"):
        compare(made, 1, tmp_path / "out")


def test_a_file_that_changed_contradicts_the_runs_that_are_there(tmp_path: Path) -> None:
    made = files(tmp_path, a="patience = 1")
    compare(made, 1, tmp_path / "out")
    assert checkpoint(tmp_path / "out" / "a" / "seed0").exists()
    files(tmp_path, a="patience = 2")
    with pytest.raises(ConfigError, match="holds a run with another patience: 1, not 2"):
        compare(made, 1, tmp_path / "out")
