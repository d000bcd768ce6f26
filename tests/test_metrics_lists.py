"""Metrics of ranked lists, against their definitions over every order of the tied rows, and against scikit-learn."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourstep import metrics
from fourstep.metrics import _ties

Array = np.ndarray[Any, Any]

METRICS: dict[str, Callable[..., metrics.Score]] = {
    "ndcg": metrics.ndcg,
    "mrr": metrics.mrr,
    "recall": metrics.recall_at,
    "precision": metrics.precision_at,
    "hit": metrics.hit_rate,
}
each = pytest.mark.parametrize("name", METRICS)


def of_order(name: str, grades: list[float], k: int) -> float | Fraction:
    """What a list is worth whose order is known: the textbook."""
    relevant = sum(g > 0 for g in grades)
    if name == "ndcg":

        def dcg(order: list[float]) -> float:
            return math.fsum(g / math.log2(rank + 1) for rank, g in enumerate(order[:k], 1))

        return dcg(grades) / dcg(sorted(grades, reverse=True))
    found = [rank for rank, g in enumerate(grades[:k], 1) if g > 0]
    if name == "mrr":
        return Fraction(1, found[0]) if found else Fraction()
    return {
        "recall": Fraction(len(found), relevant),
        "precision": Fraction(len(found), k),
        "hit": Fraction(int(bool(found))),
    }[name]


def by_orders(name: str, grades: list[float], score: list[float], k: int) -> float:
    """The mean over all orders of all rows in which no score rises: each as likely."""
    rows = range(len(grades))
    falling = [
        o for o in itertools.permutations(rows) if all(score[a] >= score[b] for a, b in itertools.pairwise(o))
    ]
    values = [Fraction(of_order(name, [grades[i] for i in order], k)) for order in falling]
    return float(sum(values, Fraction()) / len(values))


LIST = st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 1)), min_size=1, max_size=6)


@each
@settings(deadline=None, max_examples=60)
@given(st.lists(LIST, min_size=1, max_size=3), st.integers(1, 7))
def test_ties_are_worth_their_mean_over_all_orders(name: str, made: list[list[Any]], k: int) -> None:
    y, score = (np.array([row[i] for one in made for row in one]) for i in (0, 1))
    if name != "ndcg":
        y = np.minimum(y, 1)
    group = np.repeat(np.arange(len(made)), [len(one) for one in made])
    got = METRICS[name](y, score, group, k=k, no_relevant="zero", per_group=True).per_group
    assert got is not None
    for g, value in zip(got["group"], got["value"], strict=True):
        mine = group == g
        want = by_orders(name, y[mine].tolist(), score[mine].tolist(), k) if y[mine].any() else 0.0
        assert value == pytest.approx(want, rel=1e-14, abs=1e-15)


@pytest.mark.parametrize("seed", range(30))
def test_blocks_of_many_ties(seed: int) -> None:
    """Blocks too large to permute: probabilities by binomial coefficients."""
    rng = np.random.default_rng(seed)
    m, before, k = int(rng.integers(1, 120)), int(rng.integers(0, 5)), int(rng.integers(1, 60))
    r = int(rng.integers(1, m + 1))
    y = np.concatenate([np.zeros(before), np.arange(m) < r, np.zeros(3)])
    score = np.concatenate([np.full(before, 9.0), np.full(m, 5.0), np.full(3, 1.0)])
    inside = max(0, min(m, k - before))
    hit = 1 - Fraction(math.comb(m - r, inside), math.comb(m, inside))
    first = [Fraction(math.comb(m - j - 1, r - 1), math.comb(m, r)) for j in range(m - r + 1)]
    assert sum(first) == 1
    mrr = sum((p / (before + 1 + j) for j, p in enumerate(first) if before + 1 + j <= k), Fraction())
    wants = {"hit": hit, "mrr": mrr, "recall": Fraction(inside, m), "precision": Fraction(r * inside, m * k)}
    for name, want in wants.items():
        assert METRICS[name](y, score, k=k) == pytest.approx(float(want), rel=1e-13)
    assert metrics.recall_at(y, score, k=k) == float(wants["recall"]), "a quotient of integers"
    assert metrics.precision_at(y, score, k=k) == float(wants["precision"]), "a quotient of integers"


def test_a_block_of_a_million_ties() -> None:
    """All scores equal: the first of r relevant ones; no loop over the rows, no underflow that matters."""
    n = 1_000_000
    y = np.zeros(n, int)
    y[::1000] = 1
    one = np.zeros(n, int)
    one[5] = 1
    harmonic = math.fsum(1 / i for i in range(1, n + 1)) / n
    assert metrics.mrr(one, np.zeros(n)) == pytest.approx(harmonic, rel=1e-12)
    log_none = math.fsum(math.log1p(-1000 / (n - i)) for i in range(700))
    assert metrics.hit_rate(y, np.zeros(n), k=700) == pytest.approx(-math.expm1(log_none), rel=1e-12)
    assert metrics.recall_at(y, np.zeros(n), k=700) == 700 / n


@pytest.mark.parametrize("k", [None, 1, 3, 10, 50])
@pytest.mark.parametrize("decimals", [0, 1, 9])
@pytest.mark.parametrize("grades", [2, 5])
def test_ndcg_against_scikit_learn(k: int | None, decimals: int, grades: int) -> None:
    sk = pytest.importorskip(
        "sklearn.metrics", reason="scikit-learn is the oracle of this test, and is not installed"
    )
    rng = np.random.default_rng(decimals)
    y, score = rng.integers(0, grades, (60, 20)), np.round(rng.normal(size=(60, 20)), decimals)
    y[3] = 0
    group = np.repeat(np.arange(60), 20)
    got = metrics.ndcg(y.ravel(), score.ravel(), group, k=k, no_relevant="zero")
    assert got == pytest.approx(sk.ndcg_score(y, score, k=k), abs=1e-12)
    exponential = metrics.ndcg(y.ravel(), score.ravel(), group, k=k, no_relevant="zero", gain="exponential")
    assert exponential == pytest.approx(sk.ndcg_score(2**y - 1, score, k=k), abs=1e-12)
    fine = y + rng.random(y.shape)
    assert metrics.ndcg(fine.ravel(), score.ravel(), group, k=k) == pytest.approx(
        sk.ndcg_score(fine, score, k=k), abs=1e-12
    )


def case(n: int = 900, seed: int = 0) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    return (rng.random(n) < 0.2).astype(int), np.round(rng.normal(size=n), 1), rng.integers(0, n // 7, n)


@each
def test_the_same_bits_for_any_order_and_names(name: str) -> None:
    y, score, group = case()
    labels = y * np.random.default_rng(1).random(len(y)) if name == "ndcg" else y
    want = METRICS[name](labels, score, group, k=3)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(y))
        assert METRICS[name](labels[order], score[order], group[order], k=3, threads=1) == want
        assert METRICS[name](labels[order], score[order], -group[order], k=3) == want
        words = np.char.add("u", group[order].astype(str))
        assert METRICS[name](labels[order], np.exp(score[order]), words, k=3) == want


@each
def test_scores_of_any_kind(name: str) -> None:
    y, score, group = case(200)
    tens = np.rint(score * 10)
    want = METRICS[name](y, tens, group, k=2)
    for dtype in (np.int8, np.int64, np.float16, np.float32):
        assert METRICS[name](y, tens.astype(dtype), group, k=2) == want
    for top in (np.array([2**64 - 2, 2**64 - 1], np.uint64), np.array([-(2**63), 2**63 - 1])):
        assert METRICS[name]([0, 1], top, k=1) == 1.0
        assert METRICS[name]([1, 0], top, k=1) == 0.0
    assert METRICS[name]([0, 1, 0], [-0.0, 0.0, -math.inf], k=1) == 0.5


@each
def test_perfect_lists_are_1(name: str) -> None:
    """Bit for bit, also where gains tie and do not divide evenly."""
    y, _, group = case(seed=2)
    y[:] = np.maximum(y, np.arange(len(y)) % 2)
    group %= 9
    grades = y * np.random.default_rng(0).integers(1, 4, len(y)) / 10 if name == "ndcg" else y
    k = {"precision": 1}.get(name, 1000)
    assert METRICS[name](grades, grades, group, k=k) == 1.0
    assert METRICS[name](grades, -grades, group, k=1) < 1.0


def test_ties_of_equal_gains_are_1() -> None:
    """A mean of equal floats is that float, though neither their sum nor a third of it is one."""
    for n in range(1, 60):
        for grade in (0.1, 0.3, 0.7):
            y = np.concatenate([np.full(n, grade), np.zeros(5)])
            assert metrics.ndcg(y, y) == 1.0


def test_sums_are_exact_to_the_last_bit() -> None:
    rng = np.random.default_rng(0)
    terms = rng.random(100_000) / np.arange(1, 100_001)
    start = np.array([0, 1, 3, 50_000])
    want = [math.fsum(part) for part in np.split(terms, start[1:])]
    np.testing.assert_array_max_ulp(_ties._sums(terms, start), np.array(want), 1)
    terms[1:3] = 0.0
    assert _ties._sums(terms, start)[1] == 0.0


def test_ndcg_of_huge_and_tiny_grades() -> None:
    y, score, group = [1.5e308, 1.5e308, 0, 3e-308, 1e-308, 0], [3, 1, 2, 3, 1, 2], [0, 0, 0, 1, 1, 1]
    got = metrics.ndcg(y, score, group, per_group=True).per_group
    assert got is not None
    log3 = math.log2(3)
    assert got["value"][0] == pytest.approx(1.5 / (1 + 1 / log3))
    assert got["value"][1] == pytest.approx((3 + 1 / 2) / (3 + 1 / log3))
    assert metrics.ndcg([1023, 1023, 1], [3, 2, 1], gain="exponential") == 1.0


@each
def test_groups_without_a_relevant_row(name: str) -> None:
    y, score, group = [1, 0, 0, 0, 0, 1], [0.9, 0.1, 0.8, 0.2, 0.5, 0.4], ["a", "a", "b", "b", "c", "c"]
    options: dict[str, Any] = {"k": 1, "per_group": True}
    got = METRICS[name](y, score, group, **options)
    assert got == 0.5
    assert (got.groups_kept, got.groups_dropped) == (2, 1)
    assert got.dropped == {"groups_no_relevant": 1, "rows": 2}
    assert got.counts == {"groups": 3, "groups_kept": 2, "rows": 4, "positives": 2}
    assert repr(got).endswith("@1 by uniform: 2 groups kept, 1 dropped (1 no relevant))")
    assert got.per_group is not None
    np.testing.assert_equal(got.per_group["value"], [1.0, np.nan, 0.0])
    assert got.per_group["group"].tolist() == ["a", "b", "c"]
    assert got.per_group["kept"].tolist() == [True, False, True]
    zero = METRICS[name](y, score, group, no_relevant="zero", **options)
    assert zero == 1 / 3
    assert zero.groups_dropped == 0
    with pytest.raises(
        ValueError, match="groups: 1 group with no relevant row, the first is 'b'; no_relevant='drop'"
    ):
        METRICS[name](y, score, group, no_relevant="raise", **options)
    with pytest.warns(
        metrics.UndefinedMetricWarning, match="@1 has no value and is nan: of 1 group none has"
    ) as seen:
        assert math.isnan(METRICS[name]([0, 0], [0.1, 0.2], k=1))
    assert seen[0].filename == __file__
    assert METRICS[name]([0, 0], [0.1, 0.2], k=1, on_undefined=0.5) == 0.5


@each
def test_weights_of_groups(name: str) -> None:
    y, score, group = case()
    each_group = METRICS[name](y, score, group, k=2, per_group=True).per_group
    assert each_group is not None
    kept = each_group["kept"]
    values = [Fraction(v) for v in each_group["value"][kept].tolist()]
    given = np.random.default_rng(0).random(len(kept))
    for how, omega in (
        ("uniform", np.ones(len(kept))),
        ("impressions", each_group["rows"]),
        ("positives", each_group["positives"]),
        (given, given),
    ):
        w = [Fraction(x) for x in omega[kept].tolist()]
        want = float(sum(a * b for a, b in zip(values, w, strict=True)) / sum(w))
        assert METRICS[name](y, score, group, k=2, group_weight=how) == want
    with pytest.raises(ValueError, match="group_weight: got 1 weights, need"):
        METRICS[name](y, score, group, k=2, group_weight=[1.0])
    with pytest.warns(metrics.UndefinedMetricWarning, match="kept weighs 0 by given weights"):
        METRICS[name](y, score, group, k=2, group_weight=np.zeros(len(kept)))


@each
def test_nan_scores(name: str) -> None:
    y, score, group = [1, 0, 1, 0, 1], np.array([math.nan, 0.5, -math.inf, 0.1, math.nan]), [0, 0, 1, 1, 2]
    with pytest.raises(ValueError, match=r"score: got NaN at index 0 \(2 such of 5 rows\)"):
        METRICS[name](y, score, group, k=1)
    left = METRICS[name](y, score, group, k=1, nan="drop")
    assert left == 0.0
    assert left.dropped == {"groups_no_relevant": 1, "groups_empty": 1, "rows": 1, "nan": 2}
    assert METRICS[name](y, score, group, k=1, nan="lowest") == 1 / 3
    assert METRICS[name]([1, 0], [-math.inf, math.nan], k=1, nan="lowest") == 1.0
    with pytest.raises(ValueError, match="score: all 2 rows are NaN"):
        METRICS[name]([1, 0], [math.nan] * 2, k=1, nan="drop")


BAD: list[tuple[type[Exception], str, tuple[Any, ...], dict[str, Any]]] = [
    (ValueError, "k: got 0, need 1 or more", ([1], [0.1]), {"k": 0}),
    (ValueError, "k: got True, need 1 or more", ([1], [0.1]), {"k": True}),
    (TypeError, "k: got 1.5, need a whole number", ([1], [0.1]), {"k": 1.5}),
    (ValueError, "y: got no rows, need at least one", ([], []), {}),
    (ValueError, "score: got 2 rows, need 1, as many as y", ([1], [0.1, 0.2]), {}),
    (ValueError, "groups: got 2 rows, need 1, as many as y", ([1], [0.1], [1, 2]), {}),
    (ValueError, r"score: got shape \(1, 1\), need one dimension", ([1], [[0.1]]), {}),
    (
        ValueError,
        r"groups: got null or NaN at index 0 \(1 such of 2 rows\)",
        ([1, 0], [0.1, 0.2], [None, "a"]),
        {},
    ),
    (TypeError, "score: got dtype <U1, need numbers", ([1], ["a"]), {}),
    (
        ValueError,
        'group_weight: got "pairs", need one of uniform, imp',
        ([1], [0.1]),
        {"group_weight": "pairs"},
    ),
    (TypeError, "group_weight: got NoneType, need one of uniform", ([1], [0.1]), {"group_weight": None}),
    (
        ValueError,
        'no_relevant: got "one", need one of drop, zero, raise',
        ([1], [0.1]),
        {"no_relevant": "one"},
    ),
    (ValueError, 'nan: got "keep", need one of raise, drop, lowest', ([1], [0.1]), {"nan": "keep"}),
    (ValueError, "on_undefined: got 'no', need", ([1], [0.1]), {"on_undefined": "no"}),
    (ValueError, "threads: got 0, need a whole number", ([1], [0.1]), {"threads": 0}),
]


@pytest.mark.parametrize(("error", "message", "inputs", "options"), BAD, ids=lambda v: str(v)[:30])
@each
def test_bad_input(
    name: str, error: type[Exception], message: str, inputs: tuple[Any, ...], options: dict[str, Any]
) -> None:
    with pytest.raises(error, match="^" + message):
        METRICS[name](*inputs, **{"k": 1, **options})


@pytest.mark.parametrize(
    ("message", "y", "options"),
    [
        (r"y: got -1.0 at index 1 \(1 such of 2 rows\), need finite grades >= 0", [1, -1], {}),
        (r"y: got NaN at index 0 \(1 such of 2 rows\), need finite grades", [math.nan, 1], {}),
        (r"y: got 0.5 at index 0 \(1 such of 2 rows\), need whole grades", [0.5, 1], {"gain": "exponential"}),
        (r"y: got 1024.0 at index 1 \(1 such of 2 rows\), need whole", [0, 1024], {"gain": "exponential"}),
        (r'gain: got "square", need one of linear, exponential', [0, 1], {"gain": "square"}),
    ],
)
def test_bad_grades(message: str, y: list[float], options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="^" + message):
        metrics.ndcg(y, [0.1, 0.2], **options)


@each
def test_labels(name: str) -> None:
    if name == "ndcg":
        assert metrics.ndcg([True, False], [0.9, 0.1]) == 1.0
        return
    want = METRICS[name]([1, 0, 0, 1], [0.2, 0.2, 0.1, 0.3], k=2)
    assert METRICS[name]([1, -1, -1, 1], [0.2, 0.2, 0.1, 0.3], k=2) == want
    assert METRICS[name](["c", "n", "n", "c"], [0.2, 0.2, 0.1, 0.3], k=2, pos_label="c") == want
    with pytest.raises(ValueError, match="y: got 2 at index 0"):
        METRICS[name]([2, 0], [0.1, 0.2], k=1)


@each
def test_columns_of_pandas(name: str) -> None:
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    y, score, group = case(60)
    frame = pd.DataFrame({"y": y, "p": score, "u": group}, index=np.arange(60) + 7)
    want = METRICS[name](y, score, group, k=2)
    assert METRICS[name](frame.y, frame.p, frame.u.astype("category"), k=2) == want
    other = frame.reset_index(drop=True)
    with pytest.raises(ValueError, match="score: its index differs from that of y"):
        METRICS[name](frame.y, other.p, frame.u, k=2)
    with pytest.raises(ValueError, match="groups: its index differs from that of y"):
        METRICS[name](frame.y, frame.p, other.u, k=2)


def test_running_products() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 40, 30)
    place, of = _ties._steps(lengths)
    factor = rng.random(len(place))
    got = _ties._running_products(factor, place)
    for run in range(30):
        np.testing.assert_allclose(got[of == run], np.cumprod(factor[of == run]), rtol=1e-13)
