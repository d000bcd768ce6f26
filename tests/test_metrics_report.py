"""`evaluate`: every number of a report is that of the function of its name, bit for bit; and what it shows and writes."""

from __future__ import annotations

import io
import json
import math
import pickle
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fourstep as fs
from fourstep import metrics
from fourstep.nn import functional

Array = np.ndarray[Any, Any]


class Data:
    """Rows with ties, weights of 0, NaN scores, groups, positions and days."""

    def __init__(self, n: int = 600, dtype: Any = np.float32, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.y = (rng.random(n) < 0.3).astype(np.int64)
        self.score = np.round(np.clip(rng.normal(0.4 + 0.15 * self.y, 0.2), 0.01, 0.99), 2).astype(dtype)
        self.weight = rng.integers(0, 4, n) * rng.random(n)
        self.groups = rng.integers(0, 40, n)
        self.position = rng.integers(1, 6, n)
        self.day = np.datetime64("2024-05-01") + rng.integers(0, 3, n)
        self.expected = rng.random(400).astype(dtype)
        self.holes = self.score.copy()
        self.holes[rng.choice(n, 30, replace=False)] = np.nan


def same(got: Any, want: Any) -> None:
    """Equal bits, and equal counts; what was dropped is compared by itself."""
    assert type(got) is type(want)
    assert np.float64(got).tobytes() == np.float64(want).tobytes(), (got, want)
    if isinstance(want, metrics.Score):
        assert (got.name, got.counts, got.tied, got.ci, got.se) == (
            want.name,
            want.counts,
            want.tied,
            want.ci,
            want.se,
        )
        assert (got.group_weight, got.groups_kept, got.groups_dropped) == (
            want.group_weight,
            want.groups_kept,
            want.groups_dropped,
        )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("nan", ["raise", "drop"])
def test_every_number_is_that_of_its_function(dtype: Any, weighted: bool, nan: Any) -> None:
    data = Data(dtype=dtype)
    score = data.holes if nan == "drop" else data.score
    weight = data.weight if weighted else None
    report = metrics.evaluate(
        data.y,
        score,
        groups=data.groups,
        sample_weight=weight,
        position=data.position,
        time=data.day,
        expected=data.expected,
        threshold=0.45,
        clip="eps",
        nan=nan,
    )
    # What takes no NaN gets the rows without.
    there = ~np.isnan(score)
    y, s, w = data.y[there], score[there], None if weight is None else weight[there]
    ranked: dict[str, Any] = {"sample_weight": weight, "nan": nan}
    for name in ("auc", "average_precision", "ks"):
        want = getattr(metrics, name)(data.y, score, **ranked)
        same(getattr(report, name), want)
        assert getattr(report, name).dropped == want.dropped == report.dropped
    assert report.counts == {k: report.auc.counts[k] for k in ("rows", "positives", "negatives")}
    assert (report.dropped.get("weight_zero", 0) > 0) == weighted
    assert (report.dropped.get("nan", 0) > 0) == (nan == "drop")
    gauc = metrics.gauc(data.y, score, data.groups, **ranked)
    same(report.gauc, gauc)
    assert report.gauc is not None
    assert report.gauc.dropped == gauc.dropped
    assert report.decomposition == metrics.decompose(data.y, score, data.groups, **ranked)
    for got, slices in ((report.position, data.position), (report.time, data.day)):
        assert got is not None
        assert got.to_dict() == metrics.auc_by(data.y, score, slices, **ranked).to_dict()
        same(got.overall, report.auc.__class__(report.auc, "auc", counts=got.overall.counts))
    same(report.position_auc, metrics.gauc(data.y, score, data.position, **ranked))

    assert report.confusion == metrics.confusion(y, s, 0.45, w)
    for name in ("precision", "recall", "specificity", "f1", "mcc"):
        same(getattr(report, name), getattr(metrics, name)(y, s, 0.45, w))
    best = metrics.best_threshold(y, s, sample_weight=w)
    same(report.best_threshold, best)
    assert report.best_threshold is not None
    assert (report.best_threshold.value, report.best_threshold.confusion) == (best.value, best.confusion)
    for name in ("logloss", "ne"):
        same(getattr(report, name), getattr(metrics, name)(y, s, sample_weight=w, clip="eps"))
    for name in ("brier", "calibration_ratio", "ece"):
        same(getattr(report, name), getattr(metrics, name)(y, s, sample_weight=w))
    curve = metrics.calibration_curve(y, s, sample_weight=w)
    assert report.calibration is not None
    assert all(np.array_equal(a, b) for a, b in zip(report.calibration, curve, strict=True))
    if weighted:
        assert report.bucket_error is None
        assert "weights" in report.absent["bucket_error"]
        s = s[data.weight[there] > 0]
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            same(report.bucket_error, metrics.bucket_error(y, s))
    for name in ("psi", "js"):
        want = getattr(metrics, name)(data.expected, s)
        assert getattr(report, name) == want
        assert getattr(report, name).counts == want.counts
    share = Fraction(0) if w is None else sum(map(Fraction, w[y == 1]), Fraction(0)) / sum(map(Fraction, w))
    assert report.prevalence == (y.mean() if w is None else float(share))


@pytest.mark.parametrize("weighted", [False, True])
def test_logits(weighted: bool) -> None:
    data = Data()
    z = np.round(np.random.default_rng(3).normal(2.0 * data.y - 1.5, 1.5), 2).astype(np.float32)
    weight = data.weight if weighted else None
    report = metrics.evaluate(
        data.y, z, sample_weight=weight, from_logits=True, base_rate=0.2, negative_sampling_rate=0.5
    )
    same(report.logloss, metrics.logloss(data.y, z, from_logits=True, sample_weight=weight))
    same(
        report.ne,
        metrics.ne(
            data.y,
            z,
            base_rate=0.2,
            negative_sampling_rate=0.5,
            from_logits=True,
            sample_weight=weight,
        ),
    )
    p = functional.sigmoid(z.astype(np.float64))
    for name in ("brier", "calibration_ratio", "ece"):
        same(getattr(report, name), getattr(metrics, name)(data.y, p, sample_weight=weight))
    assert report.confusion == metrics.confusion(data.y, z, 0.0, weight), "half a probability is a logit of 0"
    at = metrics.evaluate(data.y, z, from_logits=True, threshold=0.75).confusion
    assert at is not None
    assert at.threshold == pytest.approx(math.log(3), rel=1e-15)
    assert metrics.evaluate(data.y, z, from_logits=True, threshold=1.0).confusion.tp == 0  # type: ignore[union-attr]
    assert metrics.evaluate(data.y, z, from_logits=True, threshold=0.0).confusion.fn == 0  # type: ignore[union-attr]
    with pytest.raises(ValueError, match=r"threshold: got 1.5 with from_logits=True, need a probability"):
        metrics.evaluate(data.y, z, from_logits=True, threshold=1.5)
    with pytest.raises(ValueError, match=r"clip: got 'eps' with from_logits=True"):
        metrics.evaluate(data.y, z, from_logits=True, clip="eps")


def test_groups_are_weighed_and_named_as_by_gauc() -> None:
    data = Data()
    names = np.array([f"user {g}" for g in data.groups], dtype=object)
    for weight in ("positives", "pairs", np.arange(40.0)):
        for groups in (data.groups, names):
            report = metrics.evaluate(
                data.y, data.score, groups=groups, group_weight=weight, one_class="half", min_rows=3, ci=0.9
            )
            want = metrics.gauc(
                data.y, data.score, groups, group_weight=weight, one_class="half", min_rows=3, ci=0.9
            )
            same(report.gauc, want)
            assert report.to_dict()["gauc_ci"] == list(want.ci or ())
    with pytest.raises(ValueError, match="the first is 'one'"):
        metrics.evaluate([0, 1, 1], [0.1, 0.2, 0.3], groups=["a", "a", "one"], one_class="raise", min_rows=0)
    few = metrics.evaluate([0, 1, 1], [0.1, 0.2, 0.3], groups=["a", "a", "one"])
    assert few.to_dict()["gauc_groups"] == {
        "weight": "impressions",
        "kept": 1,
        "dropped": 1,
        "groups_small": 1,
        "rows": 1,
        "positives": 1,
    }


@pytest.mark.filterwarnings("ignore:logloss is inf", "ignore:no value")
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_rows_changes_no_bit(data: st.DataObject) -> None:
    n = data.draw(st.integers(4, 30))
    y = np.array([0, 1, *data.draw(st.lists(st.integers(0, 1), min_size=n - 2, max_size=n - 2))])
    score = np.array(
        data.draw(st.lists(st.floats(-9, 9, width=32) | st.sampled_from([0.0, 1.5]), min_size=n, max_size=n)),
        np.float32,
    )
    weight = np.array(data.draw(st.lists(st.floats(0.25, 4), min_size=n, max_size=n)))
    order = np.array(data.draw(st.permutations(range(n))))
    for w in (None, weight):
        one = metrics.evaluate(y, score, sample_weight=w, groups=y * 0 + np.arange(n) % 3)
        two = metrics.evaluate(
            y[order],
            score[order],
            sample_weight=None if w is None else w[order],
            groups=(np.arange(n) % 3)[order],
        )
        left, right = (
            report.to_dict() | {"absent": sorted(report.absent), "warnings": len(report.warnings)}
            for report in (one, two)
        )  # reasons and warnings name an index
        assert repr(left) == repr(right)


@pytest.mark.filterwarnings("ignore:logloss is inf")
@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_the_gap_is_that_of_the_definition(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 25))
    y = np.array([0, 1, *data.draw(st.lists(st.integers(0, 1), min_size=n - 2, max_size=n - 2))])
    scale = data.draw(st.sampled_from([1.0, 1e-3, 1e6]))
    score = np.array(data.draw(st.lists(st.floats(-5, 5), min_size=n, max_size=n))) * scale
    weight = np.array(data.draw(st.lists(st.floats(0.25, 4), min_size=n, max_size=n)))
    for w in (None, weight):
        report = metrics.evaluate(y, score, sample_weight=w)
        gap = report.class_gap
        assert gap is not None
        v = [Fraction(1)] * n if w is None else list(map(Fraction, w))
        mean, variance, mass = {}, {}, {}
        for label in (0, 1):
            mine = [i for i in range(n) if y[i] == label]
            mass[label] = sum(v[i] for i in mine)
            mean[label] = sum(v[i] * Fraction(score[i]) for i in mine) / mass[label]
            variance[label] = sum(v[i] * (Fraction(score[i]) - mean[label]) ** 2 for i in mine) / mass[label]
        pooled = math.sqrt(float((mass[0] * variance[0] + mass[1] * variance[1]) / (mass[0] + mass[1])))
        width = float(np.ptp(score)) + 1.0 * (scale == 1.0)
        close = pytest.approx
        assert gap.positives == close(float(mean[1]), abs=1e-14 * (width + abs(score).max()))
        assert gap.negatives == close(float(mean[0]), abs=1e-14 * (width + abs(score).max()))
        assert gap.gap == close(float(mean[1] - mean[0]), abs=1e-14 * (width + abs(score).max()))
        assert gap.spread == close(pooled, rel=1e-6, abs=1e-7 * width)


def test_the_gap_of_normal_scores_gives_their_auc() -> None:
    rng = np.random.default_rng(5)
    y = np.arange(40_000) % 2
    report = metrics.evaluate(y, rng.normal(1.2 * y, 1.0))
    assert report.class_gap is not None
    promised = 0.5 * (1 + math.erf(report.class_gap.standardised / 2))  # Φ(d/√2)
    assert report.auc == pytest.approx(promised, abs=0.005)


def test_what_is_no_probability_is_absent_and_the_report_says_why() -> None:
    report = metrics.evaluate([0, 1, 1, 0], [0.1, 3.0, -2.0, 0.2])
    names = ("logloss", "ne", "brier", "calibration_ratio", "calibration", "ece", "bucket_error")
    assert [getattr(report, name) for name in names] == [None] * 7
    why = "scores outside [0, 1] are no probabilities: 3.0 at index 1 (2 such of 4 rows); logits need from_logits=True"
    assert {report.absent[name] for name in names} == {why}
    assert why in repr(report)
    assert "log loss" not in repr(report)
    dropped = metrics.evaluate([0, 1, 1, 0], [np.nan, 0.3, -2.0, 0.2], nan="drop")
    assert "-2.0 at index 2 (1 such of 4 rows)" in dropped.absent["brier"], "an index among all rows"
    classes = metrics.evaluate([0, 1, 1, 0], np.array([0, 1, 1, 0], np.int8))
    assert (classes.brier, classes.auc) == (0.0, 1.0), "predicted classes are probabilities of 0 and 1"


def test_one_class_is_said_once() -> None:
    with pytest.warns(metrics.UndefinedMetricWarning) as caught:
        report = metrics.evaluate([0, 0, 0], [0.1, 0.2, 0.6], groups=[1, 1, 2], position=[1, 1, 2])
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert "auc" in str(caught[0].message)
    assert "0 positives and 3 negatives" in str(caught[0].message)
    undefined = {"auc", "ks", "decomposition", "class_gap", "ne", "average_precision", "best_threshold"}
    undefined |= {"calibration_ratio", "gauc", "position_auc"}
    assert set(report.absent) == undefined | {"bucket_error"}
    for name in undefined - {"decomposition", "class_gap", "best_threshold"}:
        assert math.isnan(getattr(report, name)), name
    assert (report.best_threshold, report.class_gap) == (None, None)
    assert report.specificity == 2 / 3
    assert "recall is 0.0: there is no positive" in report.warnings
    assert json.loads(report.to_json())["auc"] is None
    assert math.isnan(report.to_dict()["auc"])
    with pytest.raises(ValueError, match="auc has no value"):
        metrics.evaluate([0, 0], [0.1, 0.2], on_undefined="raise")
    assert metrics.evaluate([0, 0], [0.1, 0.2], on_undefined=0.5).auc == 0.5
    ones = metrics.evaluate([1, 1], [0.1, 0.2], on_undefined=0.5, base_rate=0.5)
    assert ones.average_precision == 1.0
    assert ones.ne == metrics.ne([1, 1], [0.1, 0.2], base_rate=0.5)


def test_nan_ranked_lowest_takes_part_in_what_only_ranks() -> None:
    y, score = [1, 0, 1, 0], [0.2, np.nan, 0.7, 0.1]
    report = metrics.evaluate(y, score, nan="lowest", groups=[1, 1, 1, 1], expected=[0.1, 0.2])
    for name in ("auc", "average_precision", "ks"):
        assert getattr(report, name) == getattr(metrics, name)(y, score, nan="lowest")
    assert report.gauc == report.auc == 1.0
    left = {"confusion", "f1", "best_threshold", "class_gap", "brier", "psi", "js"}
    assert left <= set(report.absent)
    assert all(getattr(report, name) is None for name in left)
    assert "1 row with NaN ranked lowest" in repr(report)
    plain = metrics.evaluate(y, [0.2, 0.15, 0.7, 0.1], nan="lowest")
    assert plain.confusion is not None, "without NaN the policy changes nothing"


@pytest.mark.parametrize("nan", ["raise", "drop", "lowest"])
def test_a_row_of_weight_zero_does_not_exist_whatever_its_score(nan: Any) -> None:
    data = Data(n=60)
    weight = np.where(np.arange(60) % 5 == 0, 0.0, data.weight + 0.5)
    score = np.where(weight == 0, np.nan, data.score).astype(np.float32)
    there = weight > 0
    options: dict[str, Any] = {"expected": data.expected, "nan": nan}
    slices: dict[str, Any] = {"groups": data.groups % 4, "position": data.position, "time": data.day}
    with_them = metrics.evaluate(data.y, score, sample_weight=weight, **slices, **options)
    without = metrics.evaluate(
        data.y[there],
        score[there],
        sample_weight=weight[there],
        **{name: ids[there] for name, ids in slices.items()},
        **options,
    )
    assert with_them.dropped == {"weight_zero": 12}
    left, right = with_them.to_dict(), without.to_dict()
    for made in (left, right):
        del made["dropped"], made["decomposition"]["dropped"], made["gauc_groups"]
    assert left == right


def test_infinite_loss_is_said_with_its_index_among_all_rows() -> None:
    y, p = [0, 0, 1, 1], [np.nan, 0.5, 0.0, 1.0]
    with pytest.warns(metrics.MetricWarning, match="1 row certain and wrong, the first at index 2") as caught:
        report = metrics.evaluate(y, p, nan="drop")
    assert [each.filename for each in caught] == [__file__]
    assert report.logloss == math.inf
    assert any("logloss is inf" in text for text in report.warnings)
    assert json.loads(report.to_json())["logloss"] is None
    assert metrics.evaluate(y, p, nan="drop", clip=0.01).logloss == metrics.logloss(y[1:], p[1:], clip=0.01)


def test_warnings_and_notes() -> None:
    report = metrics.evaluate([1, 0, 1, 0], [0.1, 0.2, 0.3, 0.4])
    assert any("AUC is below 0.5" in text for text in report.warnings)
    assert "precision is 0.0: no row is predicted positive" in report.warnings
    assert "AUC does not compare across tasks" in report.notes[0]
    for text in (*report.warnings, *report.notes):
        assert text in repr(report)
    weighted = metrics.evaluate([1, 0], [0.9, 0.2], sample_weight=[1, 2], expected=[0.1, 0.9])
    assert "psi and js count rows: weights are not in them" in weighted.notes
    assert metrics.evaluate([0, 1], [0.2, 0.7]).warnings == ()


def test_infinite_scores_rank_and_have_no_gap() -> None:
    report = metrics.evaluate([0, 1, 1], [-np.inf, 2.0, np.inf])
    assert report.auc == 1.0
    assert report.class_gap is None
    assert report.absent["class_gap"] == "infinite scores have no mean"
    far = metrics.evaluate([0, 1], [-1.7e308, 1.7e308])
    assert "more than a float64 holds" in far.absent["class_gap"]
    flat = metrics.evaluate([0, 1], [3, 3]).class_gap
    assert flat is not None
    assert (flat.positives, flat.gap, flat.spread) == (3.0, 0.0, 0.0)
    assert math.isnan(flat.standardised)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"y": [0, 1, 2]}, ValueError, r"y: got 2 at index 2"),
        ({"y": []}, ValueError, "y: got no rows"),
        ({"score": [0.1, 0.2]}, ValueError, "score: got 2 rows, need 3"),
        ({"score": [0.1, np.nan, 0.3]}, ValueError, "score: got NaN at index 1"),
        ({"score": [np.nan] * 3, "nan": "drop"}, ValueError, "none is left"),
        ({"score": [[0.1, 0.9]] * 3}, ValueError, "need one dimension"),
        ({"sample_weight": [1, -1, 1]}, ValueError, "sample_weight: got -1 at index 1"),
        ({"sample_weight": [0, 0, 0]}, ValueError, "sample_weight: all 3 weights are 0"),
        ({"sample_weight": [1, 1]}, ValueError, "sample_weight: got 2 rows"),
        ({"groups": [1, 2]}, ValueError, "groups: got 2 rows"),
        ({"groups": [1.5, 2, 3]}, TypeError, "groups: got"),
        ({"position": [1, 2]}, ValueError, "position: got 2 rows"),
        ({"position": ["a", None, "b"]}, ValueError, "position: got null"),
        ({"time": [1]}, ValueError, "time: got 1 rows"),
        (
            {"time": np.array(["2024-01-01", "NaT", "2024-01-01"], "datetime64[D]")},
            ValueError,
            "time: got null",
        ),
        ({"expected": [np.nan, 0.5]}, ValueError, "expected: got NaN at index 0"),
        ({"threshold": "x"}, TypeError, "threshold: got 'x'"),
        ({"threshold": np.nan}, ValueError, "threshold: got nan"),
        ({"bins": 0}, ValueError, "bins: got 0"),
        ({"clip": 0.7}, ValueError, "clip: got 0.7"),
        ({"base_rate": 1.0}, ValueError, "base_rate: got 1.0"),
        ({"negative_sampling_rate": 0}, ValueError, "negative_sampling_rate: got 0"),
        ({"ci": 2}, ValueError, "ci: got 2"),
        ({"nan": "no"}, ValueError, "nan: got"),
        ({"on_undefined": "no"}, ValueError, "on_undefined: got 'no'"),
        ({"groups": [1, 1, 1], "one_class": "no"}, ValueError, "one_class: got"),
    ],
)
def test_bad_input(change: dict[str, Any], error: type[Exception], said: str) -> None:
    given: dict[str, Any] = {"y": [0, 1, 1], "score": [0.1, 0.2, 0.3]} | change
    y, score = given.pop("y"), given.pop("score")
    with pytest.raises(error, match=said):
        metrics.evaluate(y, score, **given)


def test_indexes_that_differ_are_refused() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed: its columns were not tested")
    y = pandas.Series([0, 1, 1], index=[0, 1, 2])
    with pytest.raises(ValueError, match="position: its index differs from that of y"):
        metrics.evaluate(y, [0.1, 0.2, 0.3], position=pandas.Series([1, 1, 1], index=[2, 1, 0]))
    frame = pandas.DataFrame(
        {"y": [0, 1, 1, 0], "p": [0.1, 0.4, 0.3, 0.35], "day": ["mon", "mon", "tue", "tue"]}
    )
    report = metrics.evaluate(frame.y, frame.p, time=frame.day)
    assert report.time is not None
    assert report.time.to_dict()["slice"] == ["mon", "tue"]


# What it shows and writes.


def full() -> metrics.Report:
    data = Data()
    return metrics.evaluate(
        data.y,
        data.holes,
        nan="drop",
        groups=data.groups,
        position=data.position,
        time=data.day,
        expected=data.expected,
        sample_weight=data.weight,
        ci=0.95,
    )


def plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(type(key) is str and plain(each) for key, each in value.items())
    return all(map(plain, value)) if type(value) is list else type(value) in (int, float, str, type(None))


def test_to_dict_is_of_plain_numbers_and_json_of_the_same() -> None:
    report = full()
    made = report.to_dict()
    assert plain(made)
    assert not [name for name in made if name.startswith("_")]
    assert json.loads(report.to_json()) == made
    assert made["time"]["slice"] == ["2024-05-01", "2024-05-02", "2024-05-03"]
    assert made["confusion"]["tp"] == report.confusion.tp  # type: ignore[union-attr]
    assert made["dropped"] == report.dropped
    assert made["best_threshold"]["f1"] == report.best_threshold.value  # type: ignore[union-attr]
    one_day = metrics.evaluate([0, 1, 1], [0.1, 0.2, 0.3], time=[1, 1, 2])
    assert json.loads(one_day.to_json())["time"]["auc"] == [1.0, None]


def test_json_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.json"
    report = full()
    text = report.to_json(path)
    assert path.read_text() == text == report.to_json()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "no space")))
    with pytest.raises(OSError, match="no space"):
        metrics.evaluate([0, 1], [0.1, 0.2]).to_json(path)
    assert path.read_text() == text
    assert [each.name for each in tmp_path.iterdir()] == ["report.json"]


def test_the_table_has_every_number() -> None:
    report = full()
    text = repr(report)
    assert str(report) == text
    for name in (
        "auc",
        "gauc",
        "position_auc",
        "average_precision",
        "ks",
        "f1",
        "mcc",
        "logloss",
        "ne",
        "psi",
    ):
        assert f"{float(getattr(report, name)):.6f}" in text, name
    assert f"{report.class_gap.gap:.6f}" in text  # type: ignore[union-attr]
    assert "rows with NaN dropped" in text
    assert "rows of weight 0" in text
    for heading in ("by position", "by time", "actual 1", "within groups", "at threshold 0.5"):
        assert heading in text


def test_rich_prints_the_same_figures() -> None:
    console = pytest.importorskip("rich.console", reason="rich is not installed: its table was not tested")
    report = full()
    stream = io.StringIO()
    console.Console(file=stream, width=200).print(report)
    text = stream.getvalue()
    for name, value, _ in report.lines():
        assert name in text
        assert f"{value:.4f}"[:5] in text
    assert "warning" in text or not report.warnings
    assert report.notes[0][:40] in text


def test_it_pickles() -> None:
    report = full()
    again = pickle.loads(pickle.dumps(report))
    assert again.to_dict() == report.to_dict()


@pytest.mark.parametrize("score", ["holes", "logits", "infinite"])
def test_plot(score: str) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: the figure was not drawn")
    data = Data()
    scores = {
        "holes": data.holes,
        "logits": 4 * data.score - 2,
        "infinite": np.where(data.score > 0.8, np.inf, data.score),
    }[score]
    report = metrics.evaluate(data.y, scores, nan="drop", sample_weight=data.weight)
    drawn = report.plot()
    assert len(drawn.axes) == 4
    titles = [axes.get_title(loc="left") for axes in drawn.axes]
    assert titles[0] == f"ROC: AUC {report.auc:.4f}"
    assert titles[1].startswith("precision and recall")
    assert ("no calibration" in titles[2]) == (score != "holes")
    line: Any = drawn.axes[0].get_lines()[0]
    assert np.trapezoid(line.get_ydata(), line.get_xdata()) == pytest.approx(report.auc, abs=1e-9)


def test_the_panels_are_those_of_plot() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: the figure was not drawn")
    data = Data()
    drawn = metrics.evaluate(data.y, data.score).plot()
    panels = [
        fs.plot.roc(data.y, data.score, band=None, max_points=None),
        fs.plot.pr(data.y, data.score, band=None, max_points=None),
        fs.plot.calibration(data.y, data.score),
        fs.plot.scores(data.y, data.score),
    ]
    for mine, theirs in zip(drawn.axes, panels, strict=False):
        lines = [list(axes.get_lines()) for axes in (mine, theirs.axes[0])]
        legends: list[Any] = [axes.get_legend() for axes in (mine, theirs.axes[0])]
        texts = [[text.get_text() for text in legend.get_texts()] for legend in legends]
        assert texts[0] == texts[1]
        for a, b in zip(*lines, strict=True):
            assert np.array_equal(a.get_xydata(), b.get_xydata())
            assert a.get_color() == b.get_color()
        assert [p.get_height() for p in mine.patches] == [p.get_height() for p in theirs.axes[0].patches]  # type: ignore[attr-defined]
        assert mine.get_xlabel() == theirs.axes[0].get_xlabel()
    assert len(drawn.axes) == 5, "rows of the bins are on an axis of their own"


def test_threads_change_no_bit() -> None:
    data = Data(n=5000)
    left, right = (
        metrics.evaluate(data.y, data.score, groups=data.groups, threads=threads).to_dict()
        for threads in (1, 3)
    )
    assert left == right


def test_what_a_review_found() -> None:
    """Cases in which the report and the function parted."""
    y, p = [0, 1, 0, 1, 1, 0], [0.1, 0.5, 0.4, 0.9, 0.3, 0.4]
    with pytest.warns(metrics.UndefinedMetricWarning):
        tiny = metrics.evaluate([0, 1, 0], [0.1, 0.5, 0.2], sample_weight=[1, 1e-30, 1])
    assert tiny.ne is None or math.isnan(tiny.ne), "a class whose weight is next to nothing has no entropy"
    low = metrics.evaluate(y, [*p[:5], math.nan], nan="lowest", ci=0.9)
    assert low.auc.ci == metrics.auc(y, [*p[:5], math.nan], nan="lowest", ci=0.9).ci
    weighted = metrics.evaluate(y, p, sample_weight=np.ones(6), ci=0.9)
    assert weighted.auc.ci is None
    assert any(note.startswith("auc has no interval") for note in weighted.notes)
    one = metrics.evaluate([0, 0], [0.1, 0.2], on_undefined=0.0)
    assert not any("below 0.5" in text for text in one.warnings), "of a value that is none"
    rng = np.random.default_rng(0)
    clicked = rng.random(400) < 0.3
    holes = rng.random(400)
    holes[rng.random(400) < 0.4] = np.nan
    ones = metrics.average_precision(clicked, holes, sample_weight=np.ones(400), nan="drop")
    assert ones == metrics.average_precision(clicked, holes, nan="drop")
