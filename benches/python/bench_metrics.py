"""AUC against scikit-learn, where `fourstep.metrics` is there.

Clicks as they come: 3 % positives, float32 scores with ties. Beside them data on which a sort or a table could be slow:

    rounded     to two decimals                 one_value   95 % of the scores are equal     constant    all are
    outliers    two positives far away          balanced    half are positives               f64         float64 scores

The answer is the exact one: pairs counted in integers, halves for ties, one division.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache, partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from harness import Array, Case, Ready, Rival, measure, module

ROWS = (10**6, 10**7)
SMALL = (10**3,)
KINDS = ("rounded", "one_value", "constant", "outliers", "balanced", "f64")
THREADS = (1, 2)


def cases(small: bool = False) -> list[Case]:
    """Return every case; none before there are metrics."""
    if find_spec("fourstep.metrics") is None:
        return []
    sizes = SMALL if small else ROWS
    usual = [_case("f32", rows, threads) for rows in sizes for threads in THREADS]
    return [*usual, *(_case(kind, sizes[-1], 2) for kind in KINDS)]


def test_metrics(benchmark: Any, case: Case, rival: Rival) -> None:
    measure(benchmark, case, rival)


def _case(kind: str, rows: int, threads: int) -> Case:
    expected = partial(_exact, kind, rows)
    rivals = (
        Rival("fourstep", partial(_ours, kind, rows), expected),
        Rival("numpy", partial(_numpy, kind, rows), expected, 1e-12),
        Rival("scikit-learn", partial(_sklearn, kind, rows), expected, 1e-12, needs="sklearn"),
    )
    return Case(f"auc_{kind}/{rows}/{threads}", rivals, threads, rows, 5 * rows)


@lru_cache(maxsize=1)
def _data(kind: str, rows: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    y = (rng.random(rows) < (0.5 if kind == "balanced" else 0.03)).astype(np.uint8)
    score = 1 / (1 + np.exp(3.6 - 0.9 * y - rng.standard_normal(rows)))
    if kind == "rounded":
        score = score.round(2)
    elif kind == "one_value":
        score[rng.random(rows) < 0.95] = 0.03
    elif kind == "constant":
        score[:] = 0.03
    elif kind == "outliers":
        score[np.flatnonzero(y)[:2]] = -1e30, 1e30
    return y, score if kind == "f64" else score.astype(np.float32)


@lru_cache(maxsize=1)
def _exact(kind: str, rows: int) -> float:
    """Return (pairs in order + half of the ties) / pairs."""
    y, score = _data(kind, rows)
    values, place = np.unique(score, return_inverse=True)
    positives = np.bincount(place[y == 1], minlength=len(values))
    negatives = np.bincount(place[y == 0], minlength=len(values))
    below = np.cumsum(negatives) - negatives
    twice = int((positives * (2 * below + negatives)).sum())
    return float(Fraction(twice, 2 * int(positives.sum()) * int(negatives.sum())))


def _ours(kind: str, rows: int) -> Ready:
    y, score = _data(kind, rows)
    metrics = module("fourstep.metrics")
    return _once(lambda: metrics.auc(y, score))


def _numpy(kind: str, rows: int) -> Ready:
    y, score = _data(kind, rows)

    def auc() -> float:
        """Mean rank of the positives, by one sort; ties by their mean rank."""
        order = np.argsort(score)
        ordered = score[order]
        ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), rows - 1)
        counts = np.diff(ends, prepend=-1)
        ranks = np.repeat(ends - (counts - 1) / 2 + 1, counts)
        n = int(y.sum())
        return float((ranks[y[order] == 1].sum() - n * (n + 1) / 2) / (n * (rows - n)))

    return _once(auc)


def _sklearn(kind: str, rows: int) -> Ready:
    y, score = _data(kind, rows)
    metrics = module("sklearn.metrics")
    return _once(lambda: metrics.roc_auc_score(y, score))


def _once(call: Any) -> Ready:
    """Keep the last result, which is the answer."""
    last: list[float] = [float("nan")]

    def keep() -> None:
        last[0] = call()

    return Ready(keep, lambda: last[0])
