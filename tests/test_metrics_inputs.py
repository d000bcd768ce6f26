"""What the metrics read, what they refuse, and in which words."""

from __future__ import annotations

import contextlib
import copy
import importlib
import json
import math
import pickle
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from fourstep import metrics
from fourstep.metrics._nan import Nan

Array = np.ndarray[Any, Any]

Y = np.array([0, 0, 1, 1, 0, 1, 0, 1, 0, 0])
SCORE = np.array([0.125, 0.5, 0.5, 0.75, 0.25, 0.375, 0.875, 1.0, 0.0, 0.625])
AUC = metrics.auc(Y, SCORE)

#: Every metric that reads labels and scores.
ALL: dict[str, Callable[..., Any]] = {
    "auc": metrics.auc,
    "gauc": lambda y, score, **options: metrics.gauc(y, score, np.zeros(len(y), int), **options),
    "roc_curve": metrics.roc_curve,
    "pr_curve": metrics.pr_curve,
    "det_curve": metrics.det_curve,
    "gain_curve": metrics.gain_curve,
    "threshold_curve": metrics.threshold_curve,
    "average_precision": metrics.average_precision,
    "ks": metrics.ks,
    "confusion": metrics.confusion,
    "precision": metrics.precision,
    "recall": metrics.recall,
    "f1": metrics.f1,
    "tpr": metrics.tpr,
    "fpr": metrics.fpr,
    "specificity": metrics.specificity,
    "fbeta": lambda y, score, **options: metrics.fbeta(y, score, beta=2.0, **options),
    "mcc": metrics.mcc,
    "best_threshold": metrics.best_threshold,
    "logloss": metrics.logloss,
    "brier": metrics.brier,
    "calibration_ratio": metrics.calibration_ratio,
    "ne": metrics.ne,
    "ne of sampled negatives": lambda y, p, **options: metrics.ne(
        y, p, negative_sampling_rate=0.25, **options
    ),
    "ece": metrics.ece,
    "ece by width": lambda y, p, **options: metrics.ece(y, p, strategy="width", **options),
    "calibration_curve": metrics.calibration_curve,
    "bucket_error": lambda y, p, **options: metrics.bucket_error(y, p, max_relative_error=0.9, **options),
}
UNWEIGHTED = {"best_threshold", "bucket_error"}
PROBABILITIES = ("logloss", "brier", "calibration", "ne", "ece", "bucket_error")
#: What the scores are called there.
NAMES = {name: "p" if name.startswith(PROBABILITIES) else "score" for name in ALL}

each = pytest.mark.parametrize("name", ALL)


# What they read.


LABELS: dict[str, Any] = {
    **{str(np.dtype(t)): Y.astype(t) for t in "bhilBHILqQefd?"},
    "big-endian": Y.astype(">i4"),
    "big-endian float": Y.astype(">f8"),
    "-1/+1": np.where(Y == 1, 1, -1),
    "-1/+1 float": np.where(Y == 1, 1.0, -1.0).astype(np.float32),
    "-0.0": np.where(Y == 1, 1.0, -0.0),
    "list": Y.tolist(),
    "list of bool": (Y == 1).tolist(),
    "strided": np.repeat(Y, 3)[::3],
    "reversed": Y[::-1].copy()[::-1],
}


@pytest.mark.parametrize("kind", LABELS)
@each
def test_labels_of_any_kind(name: str, kind: str) -> None:
    assert repr(ALL[name](LABELS[kind], SCORE)) == repr(ALL[name](Y, SCORE))


def misaligned(x: Array) -> Array:
    raw = np.zeros(x.nbytes + 1, np.uint8)
    raw[1:] = x.view(np.uint8)
    return raw[1:].view(x.dtype)


SCORES: dict[str, Any] = {
    **{str(np.dtype(t)): SCORE.astype(t) for t in "efd"},
    "big-endian": SCORE.astype(">f4"),
    "list": SCORE.tolist(),
    "strided": np.repeat(SCORE.astype(np.float32), 5)[::5],
    "reversed": SCORE[::-1].copy()[::-1],
    "misaligned": misaligned(SCORE),
    "column": np.stack([SCORE, SCORE], axis=1)[:, 1],
}


@pytest.mark.parametrize("kind", SCORES)
@each
def test_scores_of_any_kind(name: str, kind: str) -> None:
    np.testing.assert_equal(ALL[name](Y, SCORES[kind]), ALL[name](Y, SCORE))


@each
def test_inputs_are_only_read(name: str) -> None:
    y, score, weight = Y.copy(), SCORE.copy(), np.ones(len(Y))
    for x in (y, score, weight):
        x.flags.writeable = False
    weights = {} if name in UNWEIGHTED else {"sample_weight": weight}
    ALL[name](y, score, **weights)
    assert (y == Y).all()
    assert (score == SCORE).all()


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"])
def test_integer_scores_keep_their_order(kind: str) -> None:
    low = 0 if kind.startswith("u") else -4
    assert metrics.auc(Y, (8 * SCORE).astype(kind) + np.array(low, kind)) == AUC


def test_integers_beyond_float64_are_told_apart() -> None:
    for top in (np.array([2**62, 2**62 + 1], np.int64), np.array([2**64 - 2, 2**64 - 1], np.uint64)):
        assert metrics.auc([0, 1], top) == 1.0
        assert metrics.auc([1, 0], top) == 0.0
        assert metrics.confusion([0, 1], top, threshold=float(2**61)).tp == 1


def test_narrow_floats_tie_where_they_are_equal_and_only_there() -> None:
    ml_dtypes = pytest.importorskip(
        "ml_dtypes", reason="bfloat16 comes with ml_dtypes, which is not installed"
    )
    for dtype in (np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn):
        assert metrics.auc(Y, SCORE.astype(dtype)) == AUC
    fine = np.array([1.0, 1.0 + 2**-9])
    assert metrics.auc([0, 1], fine.astype(np.float16)) == 1.0
    assert metrics.auc([0, 1], fine.astype(ml_dtypes.bfloat16)) == 0.5


def test_columns_of_pandas() -> None:
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pd.DataFrame({"y": Y, "p": SCORE, "w": np.ones(len(Y)), "u": ["a", "b"] * (len(Y) // 2)})
    frame.index = frame.index + 100
    assert metrics.auc(frame.y, frame.p, sample_weight=frame.w) == AUC
    want = metrics.gauc(Y, SCORE, frame.u.tolist())
    assert metrics.gauc(frame.y, frame.p, frame.u) == want
    assert metrics.gauc(frame.y, frame.p, frame.u.astype("category")) == want
    assert metrics.auc(frame.y, SCORE) == AUC, "an array has no index"
    other = frame.reset_index(drop=True)
    for inputs in ((frame.y, other.p), (other.y, frame.p)):
        with pytest.raises(ValueError, match=r"score: its index differs from that of y; align them, or pass"):
            metrics.auc(*inputs)
    with pytest.raises(ValueError, match="sample_weight: its index differs"):
        metrics.auc(frame.y, frame.p, sample_weight=other.w)
    with pytest.raises(ValueError, match="groups: its index differs"):
        metrics.gauc(frame.y, SCORE, other.u)
    with pytest.raises(ValueError, match=r"groups: got null.* at index 1 \(1 such of 3 rows\), need an id"):
        metrics.gauc([1, 0, 1], [0.1, 0.2, 0.3], pd.Series(["a", None, "b"]))


def test_columns_of_polars() -> None:
    pl = pytest.importorskip("polars", reason="polars is not installed")
    frame = pl.DataFrame({"y": Y, "p": SCORE, "u": ["a", "b"] * (len(Y) // 2)})
    assert metrics.auc(frame["y"], frame["p"]) == AUC
    want = metrics.gauc(Y, SCORE, frame["u"].to_list())
    assert metrics.gauc(frame["y"], frame["p"], frame["u"]) == want
    assert metrics.gauc(frame["y"], frame["p"], frame["u"].cast(pl.Categorical)) == want


def _null_columns() -> dict[str, Callable[[list[Any]], Any]]:
    """Return what makes a column with nulls, by package."""
    made: dict[str, Callable[[list[Any]], Any]] = {"list": list}
    with contextlib.suppress(ImportError):
        made["polars"] = importlib.import_module("polars").Series
    with contextlib.suppress(ImportError):
        pa = importlib.import_module("pyarrow")
        made |= {"Arrow": pa.array, "Arrow chunks": lambda values: pa.chunked_array([values[:1], values[1:]])}
    with contextlib.suppress(ImportError):
        pd = importlib.import_module("pandas")
        made |= {
            "pandas": lambda values: pd.Series(values).convert_dtypes(),
            "pandas array": pd.array,
            "pandas.NA": lambda values: [pd.NA if value is None else value for value in values],
        }
    return made


NULLS = _null_columns()


@pytest.mark.parametrize("kind", NULLS)
def test_nulls_are_called_nulls(kind: str) -> None:
    """No policy takes them: what NumPy makes of them, NaN, is a number that somebody computed."""
    make, y, p = NULLS[kind], [1, 0, 1, 0], [0.5, 0.25, 0.75, 0.125]
    holes: dict[str, Any] = {"numbers": [0.5, None, 0.25, None], "labels": [1, None, 0, None]}
    message = r"got null at index 1 \(2 such of 4 rows\), need a value in each row"
    policies: tuple[Nan, ...] = ("raise", "drop", "lowest")
    for nan in policies:
        with pytest.raises(ValueError, match=f"score: {message}"):
            metrics.auc(y, make(holes["numbers"]), nan=nan)
    for pos_label in (None, 1):
        with pytest.raises(ValueError, match=f"y: {message}"):
            metrics.auc(make(holes["labels"]), p, pos_label=pos_label)
    with pytest.raises(ValueError, match=f"y: {message}"):
        metrics.auc(make(["a", None, "a", None]), p, pos_label="a")
    with pytest.raises(ValueError, match=f"sample_weight: {message}"):
        metrics.logloss(y, p, sample_weight=make(holes["numbers"]))
    with pytest.raises(ValueError, match=f"expected: {message}"):
        metrics.psi(make(holes["numbers"]), p, nan="drop")
    for ids in ([7, None, 7, None], ["a", None, "b", None]):
        with pytest.raises(
            ValueError, match=r"groups: got null.* at index 1 \(2 such of 4 rows\), need an id for"
        ):
            metrics.gauc(y, p, make(ids))


def test_columns_without_nulls_are_read_as_they_are() -> None:
    for make in NULLS.values():
        assert metrics.auc(make(Y.tolist()), make(SCORE.tolist())) == AUC


def test_tensors_of_torch() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch = pytest.importorskip("torch", reason="torch is not installed")
    assert metrics.auc(torch.tensor(Y), torch.tensor(SCORE)) == AUC
    with pytest.raises(TypeError, match="score: got Tensor, which NumPy cannot read: .*requires grad"):
        metrics.auc(Y, torch.tensor(SCORE, requires_grad=True))


@each
def test_two_labels_of_any_kind(name: str) -> None:
    want = repr(ALL[name](Y, SCORE))
    words = np.where(Y == 1, "click", "no")
    for y, label in (
        (words, "click"),
        (words.tolist(), "click"),
        (words.astype(object), "click"),
        (1 - Y, 0),
        (Y == 0, False),
        (np.where(Y == 1, 7, 3), 7),
        (np.where(Y == 1, 0.5, 0.25), 0.5),
        (np.where(Y == 1, 1, 2), 1),
        (np.where(Y == 1, True, False), True),
    ):
        assert repr(ALL[name](y, SCORE, pos_label=label)) == want


@pytest.mark.parametrize(
    "groups",
    [
        [2**70, 2**70, 5, 5],
        [-1, -1, 2**64 - 1, 2**64 - 1],
        [2**64 - 1, 2**64 - 1, 2**64 - 2, 2**64 - 2],
        np.array([np.int64(1), np.int64(1), np.int64(0), np.int64(0)], dtype=object),
        np.array([np.str_("b"), np.str_("b"), np.str_("a"), np.str_("a")], dtype=object),
    ],
    ids=["huge", "signed and unsigned", "unsigned", "int64 objects", "str_ objects"],
)
def test_ids_of_any_size_and_wrapping(groups: Any) -> None:
    got = metrics.gauc([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.3], groups, per_group=True)
    assert got == 0.5 and got.per_group is not None
    assert got.per_group["group"].tolist() == sorted(set(groups))


def test_numbers_of_numpy_where_a_number_is_asked_for() -> None:
    half: Any = np.float32(0.5)
    one: Any = np.int64(1)
    quarter: Any = np.float32(0.25)
    assert metrics.auc([1, 1], [0.1, 0.2], on_undefined=half) == 0.5
    assert metrics.precision([1, 1], [0.1, 0.2], zero_division=one) == 1.0
    assert metrics.logloss([0, 1], [0.0, 1.0], clip=quarter) == metrics.logloss([0, 1], [0.25, 0.75])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16"])
def test_a_threshold_compares_as_numpy_compares_it(dtype: str) -> None:
    kind = getattr(pytest.importorskip("ml_dtypes"), dtype, dtype)
    score = np.arange(-1, 101).astype(np.float64) / 100
    score = score.astype(kind)
    for threshold in (0.1, 0.3, 0.7, 1e-9, 70000.0, -math.inf, math.inf):
        with np.errstate(over="ignore"):
            want = int((score >= np.asarray(threshold).astype(kind)).sum())
        got = metrics.confusion(np.ones(len(score)), score, threshold)
        assert (got.tp, got.threshold) == (want, threshold)
    assert metrics.confusion([1, 1], np.array([0.1, 0.7], np.float16), 0.1).tp == 2


def test_the_best_of_large_integers_reproduces_itself() -> None:
    for score in ([2**53 - 1, 2**53 + 3, 2**60 + 1], [5, 2**60 + 127, 2**60 + 385], [0, 2**63, 2**64 - 1]):
        best = metrics.best_threshold([0, 1, 1], np.array(score, np.uint64))
        assert best.value == 1.0
        again = metrics.confusion([0, 1, 1], np.array(score, np.uint64), float(best))
        assert np.array_equal(again, best.confusion)


# What they refuse.


BAD: dict[str, tuple[type[Exception], str, tuple[Any, Any], dict[str, Any]]] = {
    "empty": (ValueError, "y: got no rows, need at least one", ([], []), {}),
    "longer": (ValueError, "{p}: got 3 rows, need 2, as many as y", ([0, 1], [0.1, 0.2, 0.3]), {}),
    "shorter": (ValueError, "{p}: got 1 rows, need 2, as many as y", ([0, 1], [0.1]), {}),
    "two dimensions": (
        ValueError,
        r"{p}: got shape \(2, 2\), need one dimension; for the second class take {p}\[:, 1\]",
        ([0, 1], [[0.1, 0.9], [0.2, 0.8]]),
        {},
    ),
    "a column": (ValueError, r"{p}: got shape \(2, 1\), need one dimension", ([0, 1], [[0.1], [0.2]]), {}),
    "a number": (ValueError, r"y: got shape \(\), need one dimension", (1, [0.1]), {}),
    "label 2": (
        ValueError,
        r"y: got 2 at index 2 \(2 such of 4 rows\), need labels 0/1 or -1/\+1",
        ([0, 1, 2, 3], [0.1, 0.2, 0.3, 0.4]),
        {},
    ),
    "label 0.5": (ValueError, r"y: got 0.5 at index 1 \(1 such of 2 rows\)", ([0.0, 0.5], [0.1, 0.2]), {}),
    "label NaN": (
        ValueError,
        r"y: got NaN at index 1 \(1 such of 2 rows\)",
        ([0.0, math.nan], [0.1, 0.2]),
        {},
    ),
    "label null": (ValueError, r"y: got null at index 1 \(1 such of 2 rows\)", ([0, None], [0.1, 0.2]), {}),
    "label 200": (ValueError, "y: got 200 at index 0", (np.array([200, 1], np.uint8), [0.1, 0.2]), {}),
    "labels -1, 0, 1": (
        ValueError,
        r"y: got -1 at index 2 and 0 at index 0, need labels 0/1 or -1/\+1",
        ([0, 1, -1], [0.1, 0.2, 0.3]),
        {},
    ),
    "words": (TypeError, "y: got dtype .*, need labels .*pos_label=", (["a", "b"], [0.1, 0.2]), {}),
    "complex labels": (TypeError, "y: got dtype complex128", ([0j, 1j], [0.1, 0.2]), {}),
    "three words": (
        ValueError,
        r"y: got 'c' at index 2 \(1 such of 3 rows\) beside 'b' and pos_label='a', need two labels",
        (["a", "b", "c"], [0.1, 0.2, 0.3]),
        {"pos_label": "a"},
    ),
    "no such word": (
        ValueError,
        "pos_label: got 'x', which no label is: y has 'a' and 'b'",
        (["a", "b"], [0.1, 0.2]),
        {"pos_label": "x"},
    ),
    "None": (TypeError, "{p}: got None, need a value in each row", ([0, 1], None), {}),
    "words as scores": (TypeError, "{p}: got dtype .*, need numbers", ([0, 1], ["a", "b"]), {}),
    "complex scores": (TypeError, "{p}: got dtype complex128, need numbers", ([0, 1], [1j, 2j]), {}),
    "wide floats": (TypeError, "{p}: got dtype .*128", ([0, 1], np.array([0.1, 0.2], np.longdouble)), {}),
    "null scores": (ValueError, r"{p}: got null at index 1 \(1 such of 2 rows\)", ([0, 1], [0.1, None]), {}),
    "masked": (
        TypeError,
        "{p}: got a masked array",
        ([0, 1], np.ma.masked_array([0.1, 0.2], [True, False])),
        {},
    ),
    "masked labels": (TypeError, "y: got a masked array", (np.ma.masked_array([0, 1]), [0.1, 0.2]), {}),
    "ragged": (TypeError, "{p}: got list, which NumPy cannot read", ([0, 1], [[0.1], [0.2, 0.3]]), {}),
    "NaN": (
        ValueError,
        r"{p}: got NaN at index 1 \(2 such of 3 rows\)",
        ([0, 1, 1], [0.1, math.nan, math.nan]),
        {},
    ),
    "weights too few": (
        ValueError,
        "sample_weight: got 1 rows, need 2",
        ([0, 1], [0.1, 0.2]),
        {"sample_weight": [1]},
    ),
    "weights of 2-D": (
        ValueError,
        r"sample_weight: got shape \(2, 1\)",
        ([0, 1], [0.1, 0.2]),
        {"sample_weight": [[1], [2]]},
    ),
    "negative weight": (
        ValueError,
        r"sample_weight: got -1 at index 1 \(1 such of 2 rows\), need finite weights >= 0",
        ([0, 1], [0.1, 0.2]),
        {"sample_weight": [1, -1]},
    ),
    "NaN weight": (
        ValueError,
        r"sample_weight: got NaN at index 0 \(1 such of 2 rows\)",
        ([0, 1], [0.1, 0.2]),
        {"sample_weight": [math.nan, 1]},
    ),
    "infinite weight": (
        ValueError,
        r"sample_weight: got inf at index 1",
        ([0, 1], [0.1, 0.2]),
        {"sample_weight": [1, math.inf]},
    ),
    "no weight": (
        ValueError,
        "sample_weight: all 2 weights are 0",
        ([0, 1], [0.1, 0.2]),
        {"sample_weight": [0, 0]},
    ),
    "words as weights": (
        TypeError,
        "sample_weight: got dtype .*, need numbers",
        ([0, 1], [0.1, 0.2]),
        {"sample_weight": ["a", "b"]},
    ),
}


def _applies(name: str, case: str) -> bool:
    """Tell whether a metric takes weights where the case has some, and groups can be made for the case."""
    if name == "gauc" and case == "a number":
        return False
    return name not in UNWEIGHTED or "sample_weight" not in BAD[case][3]


@pytest.mark.parametrize(("name", "case"), [(n, c) for n in ALL for c in BAD if _applies(n, c)])
def test_bad_input(name: str, case: str) -> None:
    kind, message, (y, score), options = BAD[case]
    with pytest.raises(kind, match="^" + message.replace("{p}", NAMES[name])):
        ALL[name](y, score, **options)


OPTIONS: list[tuple[str, type[Exception], str, tuple[Any, ...], dict[str, Any]]] = [
    ("auc", ValueError, "nan: got \"keep\", need one of raise, drop, lowest", (Y, SCORE), {"nan": "keep"}),
    ("auc", ValueError, "on_undefined: got 'no', need 'nan', 'raise' or a number", (Y, SCORE), {"on_undefined": "no"}),
    ("auc", TypeError, "nan: got NoneType, need one of raise, drop, lowest", (Y, SCORE), {"nan": None}),
    ("auc", ValueError, "on_undefined: got None", (Y, SCORE), {"on_undefined": None}),
    ("auc", ValueError, "score: all 2 rows are NaN or of weight 0", ([0, 1], [math.nan] * 2), {"nan": "drop"}),
    ("gauc", TypeError, "groups, offsets: got neither, need one of them", (Y, SCORE), {}),
    ("gauc", TypeError, "groups, offsets: got both", (Y, SCORE, Y), {"offsets": [0, 10]}),
    ("gauc", ValueError, "groups: got 3 rows, need 10", (Y, SCORE, [1, 2, 3]), {}),
    ("gauc", ValueError, r"groups: got shape \(10, 1\)", (Y, SCORE, Y[:, None]), {}),
    ("gauc", TypeError, "groups: got dtype float64, need integers or strings", (Y, SCORE, SCORE), {}),
    (
        "gauc",
        ValueError,
        r"groups: got null or NaN at index 1 \(2 such of 3 rows\), need an id for each row",
        ([0, 1, 0], [0.1, 0.2, 0.3], [1.0, math.nan, math.nan]),
        {},
    ),
    (
        "gauc",
        ValueError,
        r"groups: got null or NaN at index 1 \(2 such of 3 rows\)",
        ([0, 1, 0], [0.1, 0.2, 0.3], ["a", None, math.nan]),
        {},
    ),
    ("gauc", TypeError, "groups: got values of type int, str", ([0, 1], [0.1, 0.2], np.array([1, "a"], object)), {}),
    ("gauc", TypeError, "groups: got values of type object, need integers or strings$", ([0], [0.1], [object()]), {}),
    ("gauc", TypeError, "group_weight: got int, need one of imp", (Y, SCORE, Y), {"group_weight": 2}),
    ("gauc", TypeError, "one_class: got int, need one of drop, half, raise", (Y, SCORE, Y), {"one_class": 0}),
    ("gauc", ValueError, "offsets: got none, need whole numbers", (Y, SCORE), {"offsets": []}),
    ("best_threshold", TypeError, "metric: got NoneType, need one of f1", (Y, SCORE, None), {}),
    ("best_threshold", ValueError, "score: the best threshold is 9007199254740993, and no float64 lies between",
     ([0, 1], [2**53, 2**53 + 1]), {}),
    ("logloss", ValueError, "clip: got 'x', need None, 'eps' or a number", (Y, SCORE), {"clip": "x"}),
    ("logloss", TypeError, r"clip: got \[0.1\], need None", (Y, SCORE), {"clip": [0.1]}),
    ("gauc", TypeError, "groups: got a masked array", (Y, SCORE, np.ma.masked_array(Y)), {}),
    ("gauc", TypeError, "groups: got dtype datetime64", ([0], [0.1], np.array(["2020"], "M8[s]")), {}),
    ("gauc", ValueError, 'group_weight: got "rows", need one of impressions, ', (Y, SCORE, Y), {"group_weight": "rows"}),
    ("gauc", ValueError, 'one_class: got "keep", need one of drop, half', (Y, SCORE, Y), {"one_class": "keep"}),
    ("gauc", ValueError, "min_rows: got -1, need 0 or more", (Y, SCORE, Y), {"min_rows": -1}),
    ("gauc", TypeError, "min_rows: got 2.5, need a whole number", (Y, SCORE, Y), {"min_rows": 2.5}),
    ("gauc", ValueError, "offsets: got 1 at index 0, need .* start at 0", (Y, SCORE), {"offsets": [1, 10]}),
    ("gauc", ValueError, "offsets: got 9 at index 1, need .* end at 10", (Y, SCORE), {"offsets": [0, 9]}),
    ("gauc", ValueError, "offsets: got 2 at index 2, need .* never fall", (Y, SCORE), {"offsets": [0, 3, 2, 10]}),
    ("gauc", ValueError, "offsets: got none", (Y, SCORE), {"offsets": np.zeros(0, int)}),
    ("gauc", TypeError, "offsets: got dtype float64, need integers", (Y, SCORE), {"offsets": [0.0, 10.0]}),
    ("confusion", ValueError, "threshold: got nan, need a number", (Y, SCORE, math.nan), {}),
    ("confusion", TypeError, "threshold: got 'high', need a number", (Y, SCORE, "high"), {}),
    ("precision", ValueError, "zero_division: got 'no', need 'warn' or a number", (Y, SCORE), {"zero_division": "no"}),
    ("best_threshold", ValueError, 'metric: got "auc", need one of f1, accuracy, mcc, youden', (Y, SCORE, "auc"), {}),
    ("logloss", ValueError, r"p: got 1.5 at index 1 \(2 such of 3 rows\), need probabilities in \[0, 1\]; logits need "
     "from_logits=True", ([0, 1, 1], [0.5, 1.5, -2.0]), {}),
    ("logloss", ValueError, "p: got NaN at index 0 .*, need logits", ([0, 1], [math.nan, 0.0]), {"from_logits": True}),
    ("logloss", ValueError, r"clip: got 0.5, need None, 'eps' or a number in \[0, 0.5\)", (Y, SCORE), {"clip": 0.5}),
    ("logloss", ValueError, "clip: got 'eps' with from_logits=True", (Y, SCORE), {"clip": "eps", "from_logits": True}),
    ("brier", ValueError, "p: got -0.5 at index 0", ([0, 1], [-0.5, 0.5]), {}),
    ("calibration_ratio", ValueError, "p: got inf at index 1", ([0, 1], [0.5, math.inf]), {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kind", "message", "inputs", "options"), OPTIONS, ids=lambda v: str(v)[:30])
def test_bad_option(
    name: str, kind: type[Exception], message: str, inputs: tuple[Any, ...], options: dict[str, Any]
) -> None:
    with pytest.raises(kind, match=message):
        getattr(metrics, name)(*inputs, **options)


def test_the_first_of_many_bad_values_is_named_on_every_path(
    on_every_path: Callable[[], Iterator[int]],
) -> None:
    n = 200_000
    y, score = np.arange(n) % 2, np.zeros(n)
    score[[150_001, 70_001, 199_999]] = np.nan
    y[[180_000, 66_000]] = 5
    weight = np.ones(n)
    weight[[67_000, 190_000]] = -2
    for _ in on_every_path():
        with pytest.raises(ValueError, match=r"score: got NaN at index 70001 \(3 such of 200000 rows\)"):
            metrics.auc(np.zeros(n, int), score)
        with pytest.raises(ValueError, match=r"y: got 5 at index 66000 \(2 such of 200000 rows\)"):
            metrics.auc(y, score)
        with pytest.raises(
            ValueError, match=r"sample_weight: got -2 at index 67000 \(2 such of 200000 rows\)"
        ):
            metrics.auc(np.zeros(n, int), np.zeros(n), sample_weight=weight)


# What they return.


def test_a_score_is_a_float() -> None:
    assert isinstance(AUC, float)
    value = 17.5 / 24
    assert (AUC * 2, AUC + 0, f"{AUC:.2f}", str(AUC), round(AUC, 1)) == (
        2 * value,
        value,
        "0.73",
        repr(value),
        0.7,
    )
    assert json.loads(json.dumps({"auc": AUC})) == {"auc": value}
    assert type(AUC * 2) is float
    assert np.asarray([AUC, AUC]).dtype == np.float64
    assert hash(AUC) == hash(value)
    assert repr(AUC) == f"{value!r} (auc: 4 positives, 6 negatives, 4.17 % of pairs tied)"
    assert AUC.counts == {"rows": 10, "positives": 4, "negatives": 6, "pairs": 24, "tied_pairs": 1}


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_scores_and_thresholds_survive_pickle_and_copy(copied: Callable[[Any], Any]) -> None:
    score = metrics.gauc(Y, SCORE, ["a", "b"] * 5, per_group=True)
    assert score.per_group is not None
    again = copied(score)
    assert (again, repr(again), again.counts, again.dropped) == (
        score,
        repr(score),
        score.counts,
        score.dropped,
    )
    assert again.per_group.keys() == score.per_group.keys()
    threshold = metrics.best_threshold(Y, SCORE)
    again = copied(threshold)
    assert (again, again.metric, again.value, again.confusion) == (
        threshold,
        "f1",
        threshold.value,
        threshold.confusion,
    )


def test_the_matrix_says_which_axis_is_which() -> None:
    matrix = metrics.confusion(Y, SCORE, 0.5)
    lines = repr(matrix).splitlines()
    assert lines[0].split() == ["score", ">=", "0.5", "predicted", "0", "predicted", "1"]
    assert lines[1].split() == ["actual", "0", str(matrix.tn), str(matrix.fp)]
    assert lines[2].split() == ["actual", "1", str(matrix.fn), str(matrix.tp)]
    np.testing.assert_array_equal(np.asarray(matrix), [[matrix.tn, matrix.fp], [matrix.fn, matrix.tp]])
    assert np.asarray(matrix, dtype=np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="np.asarray makes a copy"):
        np.array(matrix, copy=False)
    weighted = metrics.confusion(Y, SCORE, 0.5, np.full(10, 0.5))
    assert (weighted.tp, weighted.fp, weighted.precision) == (matrix.tp / 2, matrix.fp / 2, matrix.precision)


def test_a_threshold_is_rounded_to_the_type_of_the_scores() -> None:
    for t in (0.1, 0.3, 0.7):
        score = np.array([t], np.float32)
        assert metrics.confusion([1], score, t).tp == int(score[0] >= t) == 1
        assert metrics.confusion([1], np.nextafter(score, np.float32(0)), t).tp == 0
    assert [metrics.confusion([1], [x], 0.5).tp for x in (0, 1)] == [0, 1], "predicted classes as scores"
    assert [metrics.confusion([1], [-1], t).tp for t in (-1.5, -1.0, -0.5)] == [1, 1, 0]
    assert metrics.confusion([1, 1], [math.inf, 0.0], math.inf).tp == 1
    assert metrics.confusion([1, 1], [-0.0, 0.0], 0.0).tp == 2


def test_empty_ids_and_torch_bfloat16() -> None:
    for call in (
        lambda: metrics.gauc([0, 1], [0.1, 0.2], []),
        lambda: metrics.decompose([0, 1], [0.1, 0.2], []),
        lambda: metrics.ndcg([0, 1], [0.1, 0.2], []),
    ):
        with pytest.raises(ValueError, match="groups: got no ids, need one for each row"):
            call()
    with pytest.raises(TypeError, match=r"whole numbers: \.astype\(int\)"):
        metrics.gauc([0, 1], [0.1, 0.2], np.array([1.0, 1.0]))
    torch = pytest.importorskip("torch", reason="torch is not installed: its bfloat16 was not tested")
    score = torch.tensor([0.1, 0.4, 0.35, 0.8]).bfloat16()
    assert metrics.auc([0, 0, 1, 1], score) == 0.75
