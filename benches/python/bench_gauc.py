"""Grouped AUC, weighted by impressions, of the users in `clicks`; against polars, and a loop over pandas' groups.

polars ranks inside each user and adds up, in one lazy expression, on two threads. The loop calls scikit-learn for each
user, of whom a few say how long all would take.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from clicks import ROWS_A_USER, USERS, tallies, users
from harness import Case, Ready, Rival, measure, module, once

ROWS = 10**7
SMALL = 10**3
#: Users over whom the loop runs.
_SOME = 1000
_TOLERANCE = 1e-12


def cases(small: bool = False) -> list[Case]:
    """Return every case; with `small`, of so few rows that only the answers mean anything."""
    return [_case(kind, SMALL if small else ROWS) for kind in USERS]


def test_gauc(benchmark: Any, case: Case, rival: Rival) -> None:
    """Time one rival of one case."""
    measure(benchmark, case, rival)


def _case(kind: str, rows: int) -> Case:
    bytes = 5 if kind == "grouped" else 13
    return Case(f"gauc_{kind}/{rows}/2", tuple(_rivals(kind, rows)), 2, rows, bytes * rows)


def _rivals(kind: str, rows: int) -> Iterator[Rival]:
    def expected() -> float:
        return tallies(kind, rows).gauc()

    if kind == "grouped":
        yield Rival("fourstep, offsets", partial(_offsets, kind, rows), expected, _TOLERANCE)
    yield Rival("fourstep", partial(_ours, kind, rows), expected, _TOLERANCE)
    yield Rival("polars", partial(_polars, kind, rows), expected, _TOLERANCE, "polars")
    if kind == "scattered":
        yield _loop(kind, rows)


def _ours(kind: str, rows: int) -> Ready:
    data = users(kind, rows)
    metrics = module("fourstep.metrics")
    return once(lambda: metrics.gauc(data.y, data.score, data.ids))


def _offsets(kind: str, rows: int) -> Ready:
    data = users(kind, rows)
    offsets = data.offsets
    metrics = module("fourstep.metrics")
    return once(lambda: metrics.gauc(data.y, data.score, offsets=offsets))


def _polars(kind: str, rows: int) -> Ready:
    """Mean rank of each user's positives, P and N, and the mean of the AUCs weighted by rows."""
    pl = module("polars")
    data = users(kind, rows)
    frame = pl.DataFrame({"y": data.y, "score": data.score, "user": data.ids})
    n, p, ranks = pl.col("n"), pl.col("p"), pl.col("ranks")
    auc = (ranks - p * (p + 1) / 2) / (p * (n - p))
    query = (
        frame.lazy()
        .group_by("user")
        .agg(
            n=pl.len().cast(pl.Int64),
            p=pl.col("y").sum().cast(pl.Int64),
            ranks=pl.col("score").rank("average").filter(pl.col("y") == 1).sum(),
        )
        .filter((p > 0) & (p < n))
        .select((auc * n).sum() / n.sum())
    )
    return once(lambda: query.collect().item())


def _loop(kind: str, rows: int) -> Rival:
    count = rows // ROWS_A_USER
    some = min(_SOME, count)
    return Rival(
        f"pandas + scikit-learn, {some:,} of {count:,} users",
        partial(_pandas, kind, rows, some),
        lambda: tallies(kind, rows).first(some).gauc(),
        _TOLERANCE,
        "pandas sklearn",
        share=some / count,
    )


def _pandas(kind: str, rows: int, some: int) -> Ready:
    pd, metrics = module("pandas"), module("sklearn.metrics")
    data = users(kind, rows)
    kept = data.user < some
    frame = pd.DataFrame({"y": data.y[kept], "score": data.score[kept], "user": data.ids[kept]})

    def gauc() -> float:
        total, weight = 0.0, 0
        for _, group in frame.groupby("user"):
            if group["y"].nunique() == 2:
                total += len(group) * metrics.roc_auc_score(group["y"], group["score"])
                weight += len(group)
        return total / weight

    return once(gauc)
