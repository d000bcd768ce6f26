"""`check` finds each planted fault and is silent without one; what it counts is counted again pair by pair."""

from __future__ import annotations

import json
import math
import warnings
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourstep import metrics
from fourstep.metrics import checks
from fourstep.metrics._counts import Counts

Array = np.ndarray[Any, Any]


def good(n: int = 3000, seed: int = 0) -> tuple[Array, Array]:
    """Normal scores, one unit apart, one positive in four."""
    rng = np.random.default_rng(seed)
    y = (np.arange(n) % 4 == 0).astype(np.uint8)
    return y, rng.normal(size=n) + y


def oracle(y: Array, score: Array) -> tuple[int, int]:
    """Twice the pairs that a positive wins, ties once; and the tied pairs."""
    p, n = score[y == 1], score[y == 0]
    tied = int((p[:, None] == n).sum())
    return 2 * int((p[:, None] > n).sum()) + tied, tied


def quietly(*args: Any, **named: Any) -> metrics.Checks:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", metrics.MetricWarning)
        return metrics.check(*args, **named)


@pytest.mark.parametrize("seed", range(20))
def test_good_data_is_silent(seed: int) -> None:
    y, score = good(seed=seed)
    report = metrics.check(y, score, seed=seed)  # a warning would be an error here
    assert report.warned == ()
    assert report.auc == metrics.auc(y, score)
    assert report.auc.counts == metrics.auc(y, score).counts
    kept = np.random.default_rng(seed).random(len(y)) < 0.3
    assert metrics.check(y, score, kept=kept, map=np.arctan, constant=5).warned == ()


@pytest.mark.parametrize("seed", range(20))
def test_a_score_that_knows_nothing_has_no_dip(seed: int) -> None:
    """Half of the curve is below the diagonal then, by noise."""
    rng = np.random.default_rng(seed)
    y = rng.random(4000) < [0.5, 0.01][seed % 2]
    report = quietly(y, rng.normal(size=4000))
    assert report["diagonal"].status == "passed"
    assert report["diagonal"].values["depth"] > 0
    assert report["chance"].status == ("passed" if report.auc >= 0.5 else "warned")
    if report.auc < 0.5:
        assert "as by chance" in report["chance"].found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(-4, 4)), min_size=2, max_size=40), st.booleans())
def test_small_data_agrees_with_the_pairs(pairs: list[tuple[int, int]], single: bool) -> None:
    y, score = (np.array(x) for x in zip(*pairs, strict=True))
    if y.min() == y.max():
        return
    score = score.astype(np.float32 if single else np.int64)
    report = quietly(y, score)
    won, tied = oracle(y, score)
    every = int(y.sum() * (1 - y).sum())
    assert report["area"].status == report["ranks"].status == report["negation"].status == "passed"
    assert report["area"].values["all_pairs"] == report["area"].values["area"] == won / (2 * every)
    assert report["negation"].values["auc"] == (2 * every - won) / (2 * every)
    assert report.auc.counts["tied_pairs"] == tied
    assert (report["chance"].status == "warned") == (2 * won < 2 * every)


def test_normal_scores_have_the_auc_of_the_gap() -> None:
    """M8: a wider gap between the classes is a higher AUC, Φ(Δ/√(σ₊² + σ₋²))."""
    y = np.arange(200_000) % 5 == 0
    noise = np.random.default_rng(0).normal(size=len(y)) * np.where(y, 2.0, 0.5)
    aucs = []
    for gap in (0.3, 1.0, 3.0):
        score = noise + gap * y
        report = quietly(
            y, score, rates=()
        )  # a wide class beside a narrow one: the curve does dip, at the end
        assert report.warned == ("diagonal",)
        values = report["normal scores"].values
        p, n = score[y], score[~y]
        z = (p.mean() - n.mean()) / math.sqrt(p.var() + n.var())
        assert values["gap_over_spread"] == pytest.approx(z, rel=1e-12)
        assert values["normal_auc"] == pytest.approx(NormalDist().cdf(z), rel=1e-12)
        assert values["gap"] == pytest.approx(p.mean() - n.mean(), rel=1e-12)
        assert abs(values["difference"]) < 0.005
        aucs.append(values["normal_auc"])
    assert aucs == sorted(aucs)
    flat = metrics.check(y, np.ones(len(y)), rates=())["normal scores"]
    assert flat.status == "noted"
    assert "all scores are equal" in flat.found
    infinite = metrics.check([0, 1], [0.0, math.inf], rates=())["normal scores"]
    assert "infinite" in infinite.found


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_constant_that_rounds_scores_to_one_another_warns(dtype: type[np.floating[Any]]) -> None:
    y, score = good(400)
    score = score.astype(dtype)
    constant = 8 / float(np.finfo(dtype).eps)  # whose neighbours are 8 apart: every score is one of a few
    if dtype is np.float16:
        constant = 4096.0
    with pytest.warns(metrics.MetricWarning, match="check: constant: .* ties [0-9,]+ more of 30,000 pairs"):
        report = metrics.check(y, score, constant=constant)
    before, after = oracle(y, score), oracle(y, score + dtype(constant))
    assert report.warned == ("constant",)
    assert report["constant"].values["new_ties"] == after[1] - before[1] > 1000
    assert report["constant"].values["auc"] == after[0] / 60_000


def test_ties_of_the_default_constant_are_noted() -> None:
    y, score = good(400)
    report = metrics.check(y, (1e-9 * score).astype(np.float32))
    assert report["constant"].status == "noted"
    assert report["constant"].values["new_ties"] == report["constant"].values["pairs"] == 30_000


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


MAPS: dict[str, tuple[Any, str]] = {
    "sigmoid": (_sigmoid, r"map sigmoid: sigmoid\(score\) in float32 ties [0-9,]+ more of 1,687,500 pairs"),
    "square": (
        np.square,
        r"map square: square\(score\) in float32 is not increasing: it falls from the score -",
    ),
    "log": (np.log, r"map log: log\(score\) in float32 is NaN in [0-9,]+ rows, the first at index "),
    "negative": (np.negative, "is not increasing"),
    "position": (lambda x: np.arange(len(x)) + x, "is not increasing"),
    "noise": (lambda x: np.random.default_rng(0).permuted(x), "is not increasing"),
}


@pytest.mark.parametrize("name", MAPS)
def test_a_map_that_does_not_keep_the_order_warns(name: str) -> None:
    y, score = good()
    call, message = MAPS[name]
    with np.errstate(all="ignore"), pytest.warns(metrics.MetricWarning, match=message):
        report = metrics.check(y, (20 * score).astype(np.float32), map={name: call})
    assert report.warned == (f"map {name}",)


def test_a_map_that_parts_equal_scores_warns_even_where_auc_stays() -> None:
    with pytest.warns(
        metrics.MetricWarning, match=r"map: .* equal scores get different values \(the score 1.0; 1 such"
    ):
        report = metrics.check([0, 0, 1, 1], [1.0, 1.0, 2.0, 3.0], map=lambda x: x + 0.1 * np.arange(4) % 0.2)
    assert report["map"].values["auc"] == report.auc == 1.0


def test_a_map_of_the_score_alone_swaps_rows_of_one_class() -> None:
    """AUC is the same, and the map is not increasing all the same."""
    with pytest.warns(metrics.MetricWarning, match=r"it falls from the score 1.0 to the score 2.0 \(1 such"):
        report = metrics.check([0, 0, 1], [1.0, 2.0, 3.0], map=lambda x: np.where(x == 1, 2.5, x))
    assert report["map"].values == {"auc": 1.0, "new_ties": 0, "pairs": 2}


def test_increasing_maps_of_your_own_pass() -> None:
    y, score = good()
    maps: dict[str, Any] = {"exp": np.exp, "cube": lambda x: x**3 + x, "half": lambda x: x / 2}
    report = metrics.check(y, score, map=maps)
    assert [line.name for line in report if line.name.startswith("map")] == [
        "map exp",
        "map cube",
        "map half",
    ]
    assert metrics.check(y, score, map=np.exp)["map exp"].status == "passed"
    with pytest.raises(ValueError, match="read-only"):
        metrics.check(y, score, map=lambda x: x.sort())


def test_an_inverted_score_warns_twice() -> None:
    y, score = good()
    with pytest.warns(metrics.MetricWarning) as said:
        report = metrics.check(y, -score)
    assert report.warned == ("chance", "diagonal")
    assert len(said) == 2
    assert all(warning.filename == __file__ for warning in said)
    assert f"the other way round it is {1 - report.auc:.6f}" in report["chance"].found.lower()
    assert report["diagonal"].values["fpr_range"] == (0.0, 1.0)


def test_a_part_of_the_curve_below_the_diagonal_warns_and_is_found() -> None:
    """The highest scores are negatives all, as a broken feature makes them; AUC alone looks well."""
    y, score = good(20_000)
    broken = np.flatnonzero(y == 0)[:1500]  # a tenth of the negatives
    score[broken] += 100
    with pytest.warns(metrics.MetricWarning, match=r"TPR < FPR for FPR 0 to 0\.1[0-9]+, by up to 0\.1"):
        report = metrics.check(y, score)
    assert report.auc > 0.6
    values = report["diagonal"].values
    assert values["depth"] == pytest.approx(0.1)
    assert values["fpr"] == pytest.approx(0.1)
    assert values["dips"] == 1
    fpr, tpr, _ = metrics.roc_curve(y, score)
    end = values["fpr_range"][1]
    assert np.interp(end, fpr, tpr) == pytest.approx(end, abs=1e-3), "the curve crosses the diagonal there"
    assert report.warned == ("diagonal",)


def test_the_crossing_is_where_the_lines_meet() -> None:
    """Three scores, so three segments: (0, 0), (½, ¼), (¾, 1), (1, 1); the second crosses x = y at 0.625."""
    y = np.repeat([0, 1, 0, 1, 0], [400, 200, 200, 600, 200])
    score = np.repeat([2, 2, 1, 1, 0], [400, 200, 200, 600, 200])
    values = quietly(y, score)["diagonal"].values
    assert (values["depth"], values["fpr"], values["fpr_range"]) == (0.25, 0.5, (0.0, 0.625))


def test_two_dips_are_counted() -> None:
    y, score = good(20_000)
    score[np.flatnonzero(y == 0)[:1000]] += 100
    score[np.flatnonzero(y == 1)[:1000]] -= 100
    with pytest.warns(metrics.MetricWarning, match="1 other dip"):
        report = metrics.check(y, score)
    assert report["diagonal"].values["dips"] == 2


def test_one_odd_row_is_no_dip() -> None:
    """The highest score is a negative, and the lowest a positive: with 1 positive in 1000 that is 30 of its σ."""
    rng = np.random.default_rng(0)
    y = np.arange(20_000) % 1000 == 0
    score = rng.normal(size=len(y)) + 2 * y
    score[1], score[0] = 50, -50
    report = metrics.check(y, score)
    assert report["diagonal"].status == "passed"
    assert report["diagonal"].values["depth"] > 0


def test_a_sample_that_looks_at_the_score_warns() -> None:
    """M5: uniform sampling of the negatives is safe, any other is not."""
    y, score = good(20_000)
    rng = np.random.default_rng(1)
    hard = rng.random(len(y)) < _sigmoid(score)
    with pytest.warns(
        metrics.MetricWarning, match="negatives kept: .* does not hold .*; no uniform sample is so far off"
    ):
        report = metrics.check(y, score, kept=hard)
    assert report.warned == ("negatives kept",)
    line = report["negatives kept"].values
    sample = (y == 1) | hard
    assert line["auc"] == metrics.auc(y[sample], score[sample]), "positives count whether kept or not"
    assert line["negatives"] == int((hard & (y == 0)).sum())


def test_intervals_of_uniform_samples_hold_auc_as_often_as_they_say() -> None:
    y, score = good(400)
    held = [metrics.check(y, score, rates=[0.2], seed=seed)["negatives at rate 0.2"] for seed in range(200)]
    assert sum(line.values["within"] for line in held) >= 185, "95 % and more, as positives are the same"
    assert {line.status for line in held} <= {"passed", "noted"}
    narrow = [metrics.check(y, score, rates=[0.2], seed=seed, ci=0.2) for seed in range(50)]
    assert any(line["negatives at rate 0.2"].status == "noted" for line in narrow)


def test_the_interval_is_that_of_delong() -> None:
    """V of a positive: the share of negatives that it wins against; S: their variance. Written out pair by pair."""
    y, score = good(300)
    score = np.round(score, 1)
    mine = np.arange(300) % 2 == 0
    line = metrics.check(y, score, kept=mine, ci=0.9)["negatives kept"].values
    p, n = score[y == 1], score[(y == 0) & mine]
    wins = (p[:, None] > n) + 0.5 * (p[:, None] == n)
    error = math.sqrt(wins.mean(1).var(ddof=1) / len(p) + wins.mean(0).var(ddof=1) / len(n))
    z = NormalDist().inv_cdf(0.95)
    assert line["auc"] == pytest.approx(wins.mean(), abs=1e-15)
    assert line["ci"] == pytest.approx((wins.mean() - z * error, wins.mean() + z * error), abs=1e-12)


def test_a_wrong_count_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The definitions are counted apart: a fault in one of them shows."""
    y, score = good(400)
    right = checks._pairs
    monkeypatch.setattr(checks, "_pairs", lambda *rows: (right(*rows)[0] + 1, *right(*rows)[1:]))
    report = quietly(y, score)
    assert {"area", "negation"} <= set(report.warned)
    assert report["area"].found.startswith("the definitions differ, a fault of the software: area 0.7")
    monkeypatch.undo()
    monkeypatch.setattr(checks, "ALL_PAIRS", 10)
    report = metrics.check(y, score)
    assert report["area"].values["sampled_pairs"] == pytest.approx(report.auc, abs=0.01)
    monkeypatch.setattr(checks, "_some_pairs", lambda *_: float(report.auc) + 0.05)
    with pytest.warns(metrics.MetricWarning, match="area"):
        metrics.check(y, score)


def test_trapezoids_of_many_rows_do_not_overflow() -> None:
    top = 2**40
    steps = np.array([1, top - 1, top], np.uint64)
    counts = Counts(np.zeros(3), steps, steps[::-1].copy() * np.uint64(0) + steps, top, top, 0)
    assert checks._trapezoids(counts) == top * top, "a diagonal: half of all pairs"
    small = np.array([2**31 - 1], np.uint64)
    assert checks._trapezoids(Counts(np.zeros(1), small, small, 2**31 - 1, 2**31 - 1, 0)) == (2**31 - 1) ** 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8])
def test_any_order_of_rows_gives_the_same_report(dtype: type[np.generic]) -> None:
    y, score = good(2000)
    score = np.round(40 * score + 130).clip(0, 255).astype(dtype)
    kept = np.random.default_rng(0).random(2000) < 0.5
    first = quietly(y, score, kept=kept, constant=3.0, map=np.sqrt)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(2000)
        again = quietly(y[order], score[order], kept=kept[order], constant=3.0, map=np.sqrt, threads=seed + 1)
        assert again.to_dict() == first.to_dict()
    assert quietly(y, score, seed=1).to_dict() != quietly(y, score).to_dict()


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_integers_at_their_limits(dtype: type[np.integer[Any]]) -> None:
    limits = np.iinfo(dtype)
    score = np.array([limits.min, limits.max - 1, limits.max, limits.min + 1], dtype)
    report = metrics.check([0, 0, 1, 1], score)
    assert report.auc == 0.75
    assert report["negation"].status == report["ranks"].status == "passed"
    assert report["constant"].status == "noted", "integers plus 1.0 are float64, where these round"
    assert report["constant"].values["new_ties"] == 1 + (dtype is np.int64)


def test_nan_scores_are_an_error_or_dropped() -> None:
    y, score = good()
    holed, kept = score.copy(), np.arange(3000) % 2 == 0
    holed[5] = math.nan
    with pytest.raises(ValueError, match="score: got NaN at index 5"):
        metrics.check(y, holed)
    dropped = metrics.check(y, holed, nan="drop", kept=kept, map=np.exp)
    without = metrics.check(np.delete(y, 5), np.delete(score, 5), kept=np.delete(kept, 5), map=np.exp)
    assert dropped.auc.dropped == {"nan": 1}
    assert dropped.to_dict()["checks"] == without.to_dict()["checks"]
    with pytest.raises(ValueError, match="both classes, and all 1 rows that are left are of class 1"):
        metrics.check([0, 1], [math.nan, 1.0], nan="drop")


def test_the_report_is_a_table_and_a_dictionary() -> None:
    y, score = good()
    report = metrics.check(y, score)
    lines = repr(report).splitlines()
    assert lines[0].split() == ["check", "status", "found"]
    assert len(lines) == len(report) + 2
    assert "750 positives, 2,250 negatives" in lines[-1]
    again = json.loads(json.dumps(report.to_dict()))
    assert again["auc"] == report.auc
    assert again["checks"].keys() == {line.name for line in report}
    assert again["checks"]["diagonal"]["status"] == "passed"
    with pytest.raises(KeyError, match="'areas': the checks are area, normal scores"):
        report["areas"]
    tiny = metrics.check([0, 1], [0.0, 1.0])
    assert "too few rows for an interval" in tiny["negatives at rate 0.5"].found


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"y": [1, 1, 1, 1]}, ValueError, "y: check needs both classes, and all rows are of class 1"),
    ({"y": [0, 0, 0, 0]}, ValueError, "all rows are of class 0"),
    ({"y": [0, 1, 2, 1]}, ValueError, "y: got 2 at index 2"),
    ({"y": [0, 1, 1]}, ValueError, "score: got 4 rows, need 3"),
    ({"y": [], "score": []}, ValueError, "no rows"),
    ({"map": 3}, TypeError, "map: got int as 'map', need a function"),
    ({"map": {"x": np.exp, "z": "no"}}, TypeError, "map: got str as 'z'"),
    ({"map": lambda x: x[:2]}, ValueError, "map: map gives 2 values for 4 scores"),
    ({"map": lambda x: x[:, None]}, ValueError, "map: got shape"),
    ({"map": lambda x: None}, TypeError, "map: got None"),
    ({"constant": math.inf}, ValueError, "constant: got inf"),
    ({"constant": "1"}, TypeError, "constant: got '1'"),
    ({"rates": [0.5, 1.0]}, ValueError, "rates: got 1.0"),
    ({"rates": [True]}, TypeError, "rates: got True"),
    ({"ci": 95}, ValueError, "ci: got 95, need a level"),
    ({"seed": -1}, ValueError, "seed: got -1"),
    ({"seed": 0.5}, TypeError, "seed: got 0.5"),
    ({"nan": "lowest"}, ValueError, "nan: got"),
    ({"kept": [True, True]}, ValueError, "kept: got 2 rows, need 4"),
    ({"kept": [1, 1, 1, 1]}, TypeError, "kept: got dtype int64, need bool"),
    ({"kept": [False, False, True, True]}, ValueError, "kept: got no negative"),
    ({"threads": 0}, ValueError, "threads"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD)
def test_bad_input(change: dict[str, Any], error: type[Exception], message: str) -> None:
    inputs: dict[str, Any] = {"y": [0, 0, 1, 1], "score": [0.1, 0.4, 0.35, 0.8]} | change
    with pytest.raises(error, match=message):
        metrics.check(**inputs)
