"""Frames from memory: one category is one category, whatever holds it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fourstep import data
from fourstep.data.column import from_numpy

CATEGORIES: list[tuple[str, Any, list[str | None]]] = [
    ("ints", np.array([31, 7, 31]), ["31", "7", "31"]),
    ("small ints", np.array([3, 1, 3], np.int8), ["3", "1", "3"]),
    ("large ids", np.array([2**64 - 1, 0, 5], np.uint64), ["18446744073709551615", "0", "5"]),
    ("floats with a gap", np.array([1995.0, np.nan, 1.5]), ["1995", None, "1.5"]),
    ("bools", np.array([True, False, True]), ["true", "false", "true"]),
    ("texts", np.array(["b", "", "a"]), ["b", None, "a"]),
    ("objects", np.array(["b", None, "a"], object), ["b", None, "a"]),
    ("ints with a gap", np.array([31, None, 7], object), ["31", None, "7"]),
    ("exact ids with a gap", np.array([2**62 + 1, None, 7], object), [str(2**62 + 1), None, "7"]),
    ("mixed", np.array(["31", 31, 31.0], object), ["31", "31", "31"]),
    ("whole floats as text", np.array(["1995.0", "1995", "1995.50"]), ["1995", "1995", "1995.50"]),
    ("leading zeros", np.array(["007", "7", "0.0"]), ["007", "7", "0"]),
    ("bools as text", np.array(["True", "true", "TRUE"]), ["true", "true", "true"]),
    ("strings of NumPy 2", np.array(["b", "a", "b"], np.dtypes.StringDType()), ["b", "a", "b"]),
]


@pytest.mark.parametrize(
    ("array", "texts"), [case[1:] for case in CATEGORIES], ids=[case[0] for case in CATEGORIES]
)
def test_a_category_is_its_text(array: Any, texts: list[str | None]) -> None:
    factor = from_numpy(array).factor()
    assert factor.decode().tolist() == texts
    assert factor.texts == sorted({text for text in texts if text is not None})
    assert (factor.codes == -1).tolist() == [text is None for text in texts]


TABLE: dict[str, Any] = {
    "y": [True, False, True],
    "u": ["a", "b", None],
    "i": [2**62 + 1, None, 3],
    "f": [0.5, 2.0, None],
    "t": [dt.datetime(1970, 1, 1, 0, 0, 1), dt.datetime(1970, 1, 2), None],
}


def as_polars() -> Any:
    return pytest.importorskip("polars").DataFrame(TABLE)


def as_lazy() -> Any:
    return as_polars().lazy()


def as_pandas() -> Any:
    pd = pytest.importorskip("pandas")
    return pd.DataFrame({**TABLE, "i": pd.array(TABLE["i"], dtype="Int64")})


def as_pandas_extension() -> Any:
    pd = pytest.importorskip("pandas")
    frame = as_pandas()
    return frame.assign(u=frame["u"].astype("category"), t=pd.to_datetime(frame["t"]).dt.tz_localize("UTC"))


def as_dict() -> Any:
    return {name: np.array(values, object) for name, values in TABLE.items()}


@pytest.mark.parametrize("make", [as_polars, as_lazy, as_pandas, as_pandas_extension, as_dict])
def test_all_sources_give_the_same_columns(make: Callable[[], Any]) -> None:
    frame = data.as_frame(make())
    assert list(frame) == list(TABLE)
    assert frame.labels("y").tolist() == [1, 0, 1]
    assert frame.column("u").factor().decode().tolist() == ["a", "b", None]
    assert frame.column("i").factor().decode().tolist() == [str(2**62 + 1), None, "3"]
    assert frame.column("f").factor().decode().tolist() == ["0.5", "2", None]
    assert frame.column("t").kind == "date"
    assert frame.column("t").values[:2].tolist() == [1.0, 86400.0]
    assert frame.column("t").null.tolist() == [False, False, True]
    assert frame["t"][:2].tolist() == TABLE["t"][:2]
    assert np.isnat(frame["t"][2])


def test_numbers_of_datetime64() -> None:
    column = from_numpy(np.array(["1970-01-02", "NaT"], "datetime64[ns]"))
    assert column.values.tolist() == [86400.0, 0.0]
    assert column.null.tolist() == [False, True]


def test_bad_frames() -> None:
    with pytest.raises(data.DataError, match=r"unequal length: {'a': 1, 'b': 2}"):
        data.as_frame({"a": [1], "b": [1, 2]})
    with pytest.raises(data.DataError, match=r"column 'a': a column needs one dimension, got shape \(1, 1\)"):
        data.as_frame({"a": [[1]]})
    with pytest.raises(
        data.DataError, match="needs a mapping of arrays or a polars or pandas DataFrame, got int"
    ):
        data.as_frame(3)
    pd = pytest.importorskip("pandas")
    with pytest.raises(data.DataError, match="column 'a' occurs more than once"):
        data.as_frame(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(data.DataError, match="no rows"):
        data.Dataset.from_frame({"y": np.zeros(0)}, data.Schema("y"))


def test_bad_rows_from_memory_are_found_too() -> None:
    frame = {"y": np.array([0, 1, 5]), "x": np.array([1.0, np.nan, np.inf])}
    with pytest.raises(data.DataError) as caught:
        data.Dataset.from_frame(frame, data.Schema("y", numeric=["x"]), name="mine")
    assert str(caught.value) == (
        "mine: column 'y': 1 row is not 0 or 1 (first: row 3, 5); column 'x': 1 row is null or NaN (first: row 2);"
        " column 'x': 1 row is infinite (first: row 3, inf); rows are counted from 1"
    )


def test_huge_unsigned_times() -> None:
    frame = {"y": [0, 1], "t": np.array([1, 2**63], np.uint64)}
    with pytest.raises(data.DataError, match=r"column 't': 1 row is beyond 64 bits \(first: row 2"):
        data.Dataset.from_frame(frame, data.Schema("y", time="t"))


def test_take_and_names() -> None:
    dataset = data.Dataset.from_frame(
        {"y": [0, 1, 1], "c": ["b", None, "a"], "t": [3, 2, 1]}, data.Schema("y", None, "t", ("c",))
    )
    part = dataset.take(np.array([2, 0]))
    assert part.label.tolist() == [1, 0]
    assert part["c"].tolist() == ["a", "b"]
    assert part["t"].tolist() == [1, 3]
    assert len(part) == 2
    assert dataset.groups is None
    assert dataset.oracle_auc is None
