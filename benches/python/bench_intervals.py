"""Intervals: DeLong's of AUC in sorts, and the bootstrap, a thousand times, of AUC by row and of gAUC by user.

DeLong's standard error must be that of the definition. A bootstrap draws: its value must be the metric's, its standard
error within 15 % of DeLong's (by rows) or of the formula of a mean over users. Those who call scikit-learn for each
replicate are timed for a few, and theirs must be within five standard errors of the metric.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from clicks import ROWS_A_USER, clicks, count_pairs, delong_error, exact_auc, tallies, users
from harness import Array, Case, Ready, Rival, measure, module, once
from sorts import sorts

ROWS = 10**7
BOOTSTRAP_ROWS = 10**6
SMALL = 10**4
REPLICATES = 1000
#: Of rows, that scikit-learn is called for; and users over whom it is called, once.
_SOME = 3
_SOME_USERS = 1000
_TOLERANCE = 1e-9


def cases(small: bool = False) -> list[Case]:
    """Return every case; with `small`, of so few rows that only the answers mean anything."""
    rows = SMALL if small else BOOTSTRAP_ROWS
    return [_delong(SMALL if small else ROWS), _by_row(rows), _by_user(rows)]


def test_intervals(benchmark: Any, case: Case, rival: Rival) -> None:
    """Time one rival of one case."""
    measure(benchmark, case, rival)


def _delong(rows: int) -> Case:
    def expected() -> tuple[float, float]:
        return exact_auc("f32", rows), delong_error("f32", rows)

    rivals = (
        Rival("fourstep", partial(_ours, rows), expected, _TOLERANCE),
        *sorts(rows),
        Rival("scipy mid-ranks", partial(_mid_ranks, rows), expected, _TOLERANCE, "scipy"),
    )
    return Case(f"auc_delong_f32/{rows}/2", rivals, 2, rows, 5 * rows)


def _ours(rows: int) -> Ready:
    y, score = clicks("f32", rows)
    metrics = module("fourstep.metrics")
    ready = once(lambda: metrics.auc(y, score, ci=0.95))
    return Ready(ready.call, lambda: (ready.answer(), ready.answer().se))


def _mid_ranks(rows: int) -> Ready:
    """The places of a class are its ranks among all less its ranks in itself (Sun and Xu 2014)."""
    y, score = clicks("f32", rows)
    rank = module("scipy.stats").rankdata

    def delong() -> tuple[float, float]:
        positive = y == 1
        among_all = rank(score)
        p, n = int(positive.sum()), int((~positive).sum())
        wins = (among_all[positive] - rank(score[positive])) / n
        losses = (among_all[~positive] - rank(score[~positive])) / p
        return float(wins.mean()), float(np.sqrt(wins.var(ddof=1) / p + losses.var(ddof=1) / n))

    return once(delong)


def _by_row(rows: int) -> Case:
    metric, error = partial(exact_auc, "f32", rows), partial(delong_error, "f32", rows)
    rivals = (
        Rival("fourstep", partial(_bootstrap, rows, metric, error), lambda: (True, True)),
        Rival(
            f"scikit-learn, {_SOME} of {REPLICATES:,} replicates",
            partial(_resampled, rows, metric, error),
            lambda: True,
            needs="sklearn",
            share=_SOME / REPLICATES,
        ),
    )
    return Case(f"bootstrap_auc/{rows}/2", rivals, 2, rows, 5 * rows)


Number = Callable[[], float]


def _bootstrap(rows: int, metric: Number, error: Number) -> Ready:
    y, score = clicks("f32", rows)
    m = module("fourstep.metrics")
    ready = once(lambda: m.bootstrap(m.auc, y, score, n=REPLICATES))
    return Ready(ready.call, lambda: _holds(ready.answer(), ready.answer().se, metric(), error()))


def _holds(value: float, se: float, metric: float, error: float) -> tuple[bool, bool]:
    """Say whether the value is the metric's, and the standard error close to the formula's."""
    return abs(value - metric) <= 1e-12, abs(se / error - 1) < 0.15


def _resampled(rows: int, metric: Number, error: Number) -> Ready:
    y, score = clicks("f32", rows)
    resample, auc = module("sklearn.utils").resample, module("sklearn.metrics").roc_auc_score
    ready = once(lambda: [auc(*resample(y, score, random_state=i)) for i in range(_SOME)])
    return Ready(ready.call, lambda: bool(np.abs(np.subtract(ready.answer(), metric())).max() < 5 * error()))


def _by_user(rows: int) -> Case:
    count = rows // ROWS_A_USER
    some = min(_SOME_USERS, count)

    def metric() -> float:
        return tallies("scattered", rows).gauc()

    def error() -> float:
        return tallies("scattered", rows).error()

    rivals = (
        Rival("fourstep", partial(_bootstrap_users, rows, metric, error), lambda: (True, True)),
        Rival("numpy, AUCs counted once", partial(_drawn, rows, metric, error), lambda: (True, True)),
        Rival(
            f"scikit-learn, {some:,} of {count:,} users, 1 of {REPLICATES:,} replicates",
            partial(_resampled_users, rows, some),
            lambda: True,
            needs="sklearn",
            share=some / count / REPLICATES,
        ),
    )
    return Case(f"bootstrap_gauc/{rows}/2", rivals, 2, rows, 13 * rows)


def _bootstrap_users(rows: int, metric: Number, error: Number) -> Ready:
    data = users("scattered", rows)
    m = module("fourstep.metrics")
    ready = once(lambda: m.bootstrap(m.gauc, data.y, data.score, data.ids, unit="group", n=REPLICATES))
    return Ready(ready.call, lambda: _holds(ready.answer(), ready.answer().se, metric(), error()))


def _drawn(rows: int, metric: Number, error: Number) -> Ready:
    """What the formula allows in NumPy: one sort for all AUCs, then means of users drawn."""
    data = users("scattered", rows)

    def bootstrap() -> Array:
        auc, weight = count_pairs(data).aucs()
        rng = np.random.default_rng(0)
        replicates = [float((auc * weight).sum() / weight.sum())]
        for _ in range(REPLICATES):
            drawn = rng.integers(0, len(auc), len(auc))
            w = weight[drawn]
            replicates.append(float((auc[drawn] * w).sum() / w.sum()))
        return np.array(replicates)

    ready = once(bootstrap)
    return Ready(
        ready.call, lambda: _holds(ready.answer()[0], ready.answer()[1:].std(ddof=1), metric(), error())
    )


def _resampled_users(rows: int, some: int) -> Ready:
    """Users drawn, their rows looked up, and one call of scikit-learn for each that has both classes."""
    data = users("scattered", rows)
    resample, roc_auc_score = module("sklearn.utils").resample, module("sklearn.metrics").roc_auc_score
    order = np.argsort(data.user, kind="stable")
    mine = np.split(order, data.offsets[1:-1])[:some]

    def replicate() -> float:
        total, weight = 0.0, 0
        for i in resample(range(some), random_state=0):
            y = data.y[mine[i]]
            if 0 < y.sum() < len(y):
                total += len(y) * roc_auc_score(y, data.score[mine[i]])
                weight += len(y)
        return total / weight

    ready = once(replicate)
    exact = tallies("scattered", rows).first(some)
    return Ready(ready.call, lambda: bool(abs(ready.answer() - exact.gauc()) < 5 * exact.error()))
