"""polars frames: `df.pipe` with a metric of their columns, whole and by day; columns are read where they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep.metrics._inputs import column, orderable
from fourstep.reference import metrics as reference

pl = pytest.importorskip("polars", reason="polars is not installed: its frames were not tested")


def frame(n: int = 600) -> Any:
    rng = np.random.default_rng(0)
    score = rng.integers(0, 40, n) / 40
    user = rng.integers(0, 25, n)
    return pl.DataFrame(
        {
            "day": rng.integers(0, 3, n),
            "user": user,
            "name": [f"user {u:02}" for u in user],
            "clicked": (rng.random(n) < score).astype(np.int64),
            "p": score.astype(np.float32),
        }
    )


def gauc(rows: Any, by: str = "user") -> fs.metrics.Score:
    return fs.metrics.gauc(rows["clicked"], rows["p"], rows[by])


@pytest.mark.parametrize("by", ["user", "name", "category"])
def test_pipe(by: str) -> None:
    df = frame().with_columns(category=pl.col("name").cast(pl.Categorical))
    want = reference.gauc(df["clicked"].to_numpy(), df["p"].to_numpy(), df["user"].to_numpy())
    assert df.pipe(gauc, by) == want
    assert 0.6 < want < 0.95


def test_by_day_in_two_ways() -> None:
    df = frame()
    want = {
        day: reference.gauc(
            *(df.filter(pl.col("day") == day)[c].to_numpy() for c in ("clicked", "p", "user"))
        )
        for day in range(3)
    }
    assert len(set(want.values())) == 3
    got = {day: float(rows.pipe(gauc)) for (day,), rows in df.partition_by("day", as_dict=True).items()}
    assert got == want
    table = df.group_by("day").map_groups(
        lambda rows: rows.select(pl.first("day"), gauc=float(rows.pipe(gauc)))
    )
    assert dict(table.iter_rows()) == want


def test_columns_are_read_where_they_are() -> None:
    df = frame()
    for name in ("clicked", "p", "user"):
        assert np.shares_memory(orderable(column(df[name], name), name), df[name].to_numpy())


def test_chunks_count_as_one_column() -> None:
    df = frame()
    cut = pl.concat([df[:100], df[100:]], rechunk=False)
    assert cut["p"].n_chunks() == 2
    assert cut.pipe(gauc) == df.pipe(gauc)


def test_nulls_are_refused() -> None:
    df = frame().with_columns(user=pl.when(pl.col("day") > 0).then(pl.col("user")))
    with pytest.raises(ValueError, match=r"groups: got null at index \d+"):
        df.pipe(gauc)
