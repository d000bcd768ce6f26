"""The pipeline: fitted once, the same for every row, saved whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep import data


def small(**more: Any) -> data.Dataset:
    frame: dict[str, Any] = {
        "y": [0, 1, 1, 0, 1, 0],
        "c": ["b", "a", "b", None, "rare", "b"],
        "x": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        "k": [7.0] * 6,
    }
    return data.Dataset.from_frame(frame | more, data.Schema("y", categorical=["c"], numeric=["x", "k"]))


def test_fields_and_counts() -> None:
    pipeline = data.Pipeline(min_count=2).fit(small(c=["b", "a", "b", None, "a", "rare"]), np.arange(6))
    assert pipeline.cardinalities == {"c": 4}
    inputs = pipeline.transform(small(c=["a", "b", "rare", "new", None, "new"]))
    assert inputs.fields[:, 0].tolist() == [2, 3, 0, 0, 1, 0]
    assert inputs.fields.dtype == np.int64
    assert (inputs.unseen, inputs.rare, inputs.nulls) == ({"c": 2}, {"c": 1}, {"c": 1})
    assert repr(inputs) == "Inputs(6 rows, 1 fields, 2 dense; 2 unseen c; 1 rare c; 1 null c)"


def test_numbers_are_scaled_by_the_fitted_rows() -> None:
    dataset = small()
    inputs = data.Pipeline().fit(dataset, np.arange(4)).transform(dataset)
    assert inputs.dense.dtype == np.float32
    assert inputs.dense_names == ("x", "k")
    x = dataset["x"]
    np.testing.assert_allclose(inputs.dense[:, 0], (x - x[:4].mean()) / x[:4].std(), rtol=1e-6)
    assert not inputs.dense[:, 1].any()  # a column that never moves is 0, not NaN


def test_vocabulary_is_of_the_fitted_rows() -> None:
    pipeline = data.Pipeline(min_count=1).fit(small(), np.array([1, 3]))
    assert pipeline.cardinalities == {"c": 3}
    assert pipeline.transform(small()).unseen == {"c": 4}


@pytest.fixture(scope="module")
def log() -> data.Dataset:
    return data.simulated(rows=3000, seed=5)


@pytest.fixture(scope="module")
def fitted(log: data.Dataset) -> data.Pipeline:
    return data.Pipeline().fit(log, data.split(log).train)


def plain(state: Any) -> bool:
    if isinstance(state, dict):
        return all(key.isidentifier() or key.isdecimal() for key in state) and all(map(plain, state.values()))
    if isinstance(state, np.ndarray):
        return state.dtype.kind in "iuf"
    return isinstance(state, str | int | float)


def test_state_is_plain_and_brings_it_all_back(log: data.Dataset, fitted: data.Pipeline) -> None:
    state = fitted.state_dict()
    assert plain(state)
    again = data.Pipeline.from_state_dict(state)
    assert repr(again) == repr(fitted)
    assert again.fingerprint() == fitted.fingerprint()
    ours, theirs = fitted.transform(log), again.transform(log)
    assert ours.dense_names == theirs.dense_names
    assert ours.fields.tobytes() == theirs.fields.tobytes()
    assert ours.dense.tobytes() == theirs.dense.tobytes()
    with pytest.raises(data.DataError, match="pipeline state has format 2, this version reads 1"):
        data.Pipeline.from_state_dict(state | {"format": 2})


def test_state_without_user_time_or_history() -> None:
    dataset = small()
    pipeline = data.Pipeline().fit(dataset)
    again = data.Pipeline.from_state_dict(pipeline.state_dict())
    assert again.schema == dataset.schema
    assert again.history is None
    assert again.transform(dataset).dense.tobytes() == pipeline.transform(dataset).dense.tobytes()


def test_fingerprint_tells_fits_apart(log: data.Dataset, fitted: data.Pipeline) -> None:
    train = data.split(log).train
    same = data.Pipeline().fit(log, train)
    assert same.fingerprint() == fitted.fingerprint()
    assert len(fitted.fingerprint()) == 64
    others = [
        data.Pipeline().fit(log, train[1:]),
        data.Pipeline(smoothing=9.0).fit(log, train),
        data.Pipeline(min_count=3).fit(log, train),
        data.Pipeline().fit(log, train, history=False),
    ]
    assert len({pipeline.fingerprint() for pipeline in [fitted, *others]}) == 5


def test_scoring_is_the_same_code(log: data.Dataset, fitted: data.Pipeline) -> None:
    """Unlabelled frames of every kind give the bits that training saw (claim M10)."""
    expected = fitted.transform(log)
    frame = {name: log[name] for name in log.schema.columns if name != "click"}
    sources: list[Any] = [frame, data.as_frame(frame)]
    for library in ("polars", "pandas"):
        sources.append(pytest.importorskip(library).DataFrame(frame))
    for source in sources:
        inputs = fitted.transform(source)
        assert inputs.fields.tobytes() == expected.fields.tobytes()
        assert inputs.dense.tobytes() == expected.dense.tobytes()
    some = fitted.transform(log, np.array([5, 3]))
    assert np.array_equal(some.dense, expected.dense[[5, 3]])
    assert np.array_equal(some.fields, expected.fields[[5, 3]])


def test_history_can_be_off(log: data.Dataset) -> None:
    pipeline = data.Pipeline().fit(log, history=False)
    inputs = pipeline.transform(
        {name: log[name] for name in ("user", "item", "category", "device", "position", "price")}
    )
    assert inputs.dense_names == ("price",)


def test_differences_are_all_named(log: data.Dataset, fitted: data.Pipeline) -> None:
    frame = {name: log[name][:4] for name in log.schema.columns}
    with pytest.raises(
        data.DataError, match="no columns 'time', 'device', 'price'; the columns are 'click', 'user'"
    ):
        fitted.transform({name: frame[name] for name in ("click", "user", "item", "category", "position")})
    wrong = frame | {
        "price": frame["time"].astype("datetime64[s]"),
        "item": frame["time"].astype("datetime64[s]"),
    }
    with pytest.raises(
        data.DataError,
        match=r"column 'item' has the type datetime64.*; column 'price' has the type datetime64",
    ):
        fitted.transform(wrong)
    with pytest.raises(data.DataError, match="column 'time' is a date, and was a number when fitted"):
        fitted.transform(frame | {"time": frame["time"].astype("datetime64[s]")})
    with pytest.raises(data.DataError, match=r"column 'price': 1 row is null or NaN \(first: row 2\)"):
        fitted.transform(frame | {"price": np.array([1.0, np.nan, 1.0, 1.0])})
    schema = data.Schema("click", categorical=["item", "category", "device", "position"], numeric=["price"])
    anonymous = data.Dataset.from_frame(frame, schema)
    with pytest.raises(data.DataError, match="no columns 'user', 'time'"):
        fitted.transform(anonymous)


def test_a_new_user_has_no_past(log: data.Dataset, fitted: data.Pipeline) -> None:
    frame = {name: log[name][-1:] for name in log.schema.columns}
    inputs = fitted.transform(frame | {"user": np.array(["someone new"])})
    assert inputs.unseen["user"] == 1
    assert inputs.fields[0, 0] == 0
    values = dict(zip(inputs.dense_names, inputs.dense[0].tolist(), strict=True))
    assert values["user:rate"] == values["user*category:rate"] == 0.0
    assert values["category:rate"] != 0.0


def test_errors(log: data.Dataset) -> None:
    with pytest.raises(data.DataError, match="the pipeline is not fitted"):
        data.Pipeline().transform(log)
    with pytest.raises(data.DataError, match="no rows to fit"):
        data.Pipeline().fit(log, np.zeros(0, np.int64))
    with pytest.raises(IndexError, match="rows needs numbers from 0 to 2999, got -1 to 5"):
        data.Pipeline().fit(log, np.array([-1, 5]))
    with pytest.raises(TypeError, match="rows needs one dimension of whole numbers, got bool of shape"):
        data.Pipeline().fit(log, np.ones(3000, bool))
    with pytest.raises(data.DataError, match="nothing to learn from"):
        data.Pipeline().fit(data.Dataset.from_frame({"y": [0, 1]}, data.Schema("y")))
    frame = {"y": [0, 1, 1], "c": ["a"] * 3, "c:count": [0.0, 1.0, 2.0], "t": [1, 2, 3]}
    clash = data.Dataset.from_frame(frame, data.Schema("y", time="t", categorical=["c"], numeric=["c:count"]))
    with pytest.raises(data.DataError, match="numeric column 'c:count' has the name of a history column"):
        data.Pipeline().fit(clash)
    with pytest.raises(ValueError, match="smoothing must be a positive finite number, got 0"):
        data.Pipeline(smoothing=0)
    with pytest.raises(ValueError, match="min_count must be at least 1, got 0"):
        data.Pipeline(min_count=0)
    with pytest.raises(data.DataError, match="these rows were read without their label 'y'"):
        _ = data.Dataset.from_frame({"c": ["a"]}, data.Schema("y", categorical=["c"]), labelled=False).label


def _priced(price: list[float]) -> data.Dataset:
    n = len(price)
    frame = {"y": [0, 1] * (n // 2), "price": price}
    return data.Dataset.from_frame(frame, data.Schema("y", numeric=("price",)))


def test_the_pipeline_and_the_command_have_the_same_defaults() -> None:
    pipeline, config = data.Pipeline(), fs.train.Config()
    assert (pipeline.min_count, pipeline.smoothing) == (config.min_count, config.smoothing)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [1e300, 1e154, -1e308])
def test_whatever_is_too_large_is_one_error_and_no_warning(value: float) -> None:
    """The variance, the mean, the difference and the cast can each overflow."""
    with pytest.raises(data.DataError, match="column 'price'"):
        data.Pipeline().fit(_priced([1.0, value] * 4 + [-value, value]))
    pipeline = data.Pipeline().fit(_priced([1.0, 2.0]))
    with pytest.raises(data.DataError, match=r"column 'price' has 2 numbers too far.*first: row 2,"):
        pipeline.transform({"price": [1.0, value, 2.0, value]})
    constant = data.Pipeline().fit(_priced([value] * 4)) if abs(value) < 1e300 else None
    if constant is not None:
        assert constant.transform({"price": [value]}).dense.tolist() == [[0.0]]


def test_a_constant_column_is_not_blown_up() -> None:
    pipeline = data.Pipeline().fit(_priced([0.1] * 100))
    assert pipeline.transform({"price": [0.2]}).dense.tolist() == [[pytest.approx(0.1)]]


def test_numbers_too_large_to_standardise_or_for_float32_are_named() -> None:
    with pytest.raises(
        data.DataError, match=r"column 'price' has numbers too large to standardise \(largest: 1e\+300\)"
    ):
        data.Pipeline().fit(_priced([1.0, 1e300]))
    pipeline = data.Pipeline().fit(_priced([1.0, 2.0]))
    with pytest.raises(data.DataError, match=r"column 'price' has 1 number too far .*first: row 2, 1e\+300"):
        pipeline.transform({"price": [1.0, 1e300]})
