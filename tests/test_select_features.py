"""Which columns say nothing, say it twice, or say too little."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fourstep as fs

rng = np.random.default_rng(0)
Y = rng.integers(0, 2, 300)
COLUMNS = {
    "good": Y + rng.normal(size=300),
    "bad": -Y + rng.normal(size=300),
    "noise": rng.normal(size=300),
    "constant": np.full(300, 7),
    "rare": np.arange(300) == 5,
    "same": np.zeros(300, np.float32),
    "text": np.array(["a", "b", "c"] * 100),
}
COLUMNS["same"][:] = COLUMNS["text"] == "b"
COLUMNS["again"] = COLUMNS["same"].astype(np.int64)
COLUMNS["text again"] = COLUMNS["text"].astype(object)


def test_each_reason() -> None:
    found = fs.select_features(COLUMNS, Y, min_gap=0.05)
    assert found.kept == ["good", "bad", "text"]
    assert found.dropped["constant"] == "constant"
    assert found.dropped["rare"] == "rare: 1 row unlike the rest"
    assert found.dropped["again"] == "duplicate of same"
    assert found.dropped["text again"] == "duplicate of text"
    assert found.dropped["noise"].startswith("weak: AUC 0.")
    assert found.auc["good"] == float(fs.metrics.auc(Y, COLUMNS["good"])) > 0.7
    assert found.auc["bad"] < 0.3, "a column that ranks the wrong way round is as good"
    assert found.others["rare"] == 1
    assert "text" not in found.auc
    assert found.places.tolist() == [0, 1, 6]
    assert repr(found).startswith("3 of 9 features kept\nfeature")


def test_by_default_weak_ones_stay_and_labels_are_not_needed() -> None:
    assert "noise" in fs.select_features(COLUMNS, Y).kept
    found = fs.select_features(COLUMNS)
    assert found.auc == {}
    assert found.kept == ["good", "bad", "noise", "same", "text"]
    assert fs.select_features(COLUMNS, min_others=1).kept[3] == "rare"


def test_matrices_and_frames_give_the_same() -> None:
    matrix = np.stack([COLUMNS[name].astype(float) for name in ("good", "constant", "same", "again")], axis=1)
    found = fs.select_features(matrix, Y)
    assert found.kept == ["0", "2"]
    assert matrix[:, found.places].shape == (300, 2)
    assert fs.select_features(matrix, Y, names=["a", "b", "c", "d"]).dropped == {
        "b": "constant",
        "d": "duplicate of c",
    }
    for library in ("pandas", "polars"):
        frames = pytest.importorskip(library, reason=f"{library} is not installed")
        assert (
            fs.select_features(frames.DataFrame(COLUMNS), Y).dropped == fs.select_features(COLUMNS, Y).dropped
        )


def test_text_that_is_missing_is_a_value() -> None:
    mixed = np.array([None, "a", "b", None, 3], dtype=object)
    found = fs.select_features({"mixed": mixed, "none": np.array([None] * 5)})
    assert (found.kept, found.others) == (["mixed"], {"mixed": 3, "none": 0})


def test_large_whole_numbers_that_differ_are_no_duplicates() -> None:
    a = np.array([2**60, 2**60 + 1, 5])
    assert fs.select_features({"a": a, "b": a + np.array([0, 1, 0])}).kept == ["a", "b"]
    assert fs.select_features(
        {"a": np.array([0.0, 1.0, 1.0]), "b": np.array([-0.0, 1.0, 1.0])}, min_others=1
    ).kept == ["a"]


@pytest.mark.parametrize(
    ("x", "options", "kind", "message"),
    [
        (np.ones(3), {}, ValueError, r"x: got shape \(3,\), need \(rows, features\)"),
        ({}, {}, ValueError, "x: got no columns"),
        ({"a": np.ones(0)}, {}, ValueError, r"x: column 'a' has shape \(0,\)"),
        ({"a": np.ones(3), "b": np.ones(2)}, {}, ValueError, r"x: column 'b' has shape \(2,\), need \(3,\)"),
        ({"a": np.array([1, np.nan])}, {}, ValueError, "x: column 'a' has NaN, first at row 1"),
        ({"a": np.array([1j, 2])}, {}, TypeError, "x: column 'a' has dtype complex128"),
        (np.ones((2, 2)), {"names": ["a"]}, ValueError, "names: got 1 different ones, need 2"),
        (np.eye(3), {"y": [0, 1]}, ValueError, r"y: got shape \(2,\), need \(3,\)"),
        (np.eye(3), {"y": [1, 1, 1]}, ValueError, "y: got one class, need both"),
        ({"a": np.ones(3)}, {"names": ["b"]}, ValueError, "names: got names of columns that have their own"),
        (np.eye(3), {"min_others": -1}, ValueError, "min_others: got -1, need a whole number of at least 0"),
        (np.eye(3), {"min_gap": 0.6}, ValueError, "min_gap: got 0.6, need 0 to 0.5"),
    ],
)
def test_what_is_refused(x: Any, options: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        fs.select_features(x, **options)
