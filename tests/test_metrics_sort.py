"""What the metrics are built on: orders of integers, exact products, edges of bins."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fourstep.metrics import _counts
from fourstep.metrics._exact import dot, in_units
from fourstep.metrics._inputs import Rows
from fourstep.metrics._sort import lexsort, numbered

SIGNED = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3) | st.integers(-70_000, 70_000)


@given(st.lists(st.tuples(SIGNED, SIGNED, st.integers(0, 2**64 - 1)), min_size=1, max_size=40))
def test_orders_are_those_of_numpy(rows: list[tuple[int, int, int]]) -> None:
    a, b, c = zip(*rows, strict=True)
    columns = (np.array(a, np.int64), np.array(b, np.int64) % 3, np.array(c, np.uint64), np.array(a) > 0)
    for chosen in (columns, columns[:1], columns[1:2], columns[2:3], columns[3:], columns[::-1]):
        assert lexsort(*chosen).tolist() == np.lexsort(chosen).tolist()
    for column in columns:
        distinct, place = np.unique(column, return_inverse=True)
        got = numbered(column)
        assert (got[0].tolist(), got[1].tolist()) == (distinct.tolist(), place.tolist())


@given(
    st.lists(
        st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1)), max_size=30
    )
)  # fmt: skip
def test_products_are_exact(pairs: list[tuple[int, int]]) -> None:
    a, b = (np.array(x, np.int64) for x in (zip(*pairs, strict=True) if pairs else ([], [])))
    assert dot(a, b) == sum(x * y for x, y in pairs)


def test_products_of_many_of_the_largest() -> None:
    n, largest = 2**20 + 3, 2**63 - 1
    assert dot(np.full(n, largest), np.full(n, largest)) == n * largest**2


@given(st.lists(st.floats(0, 1e300) | st.floats(0, 1e-300), min_size=1, max_size=20).filter(any))
def test_weights_in_units(weights: list[float]) -> None:
    whole, s = in_units(np.array(weights))
    total = sum(whole.tolist())
    assert 2**60 <= total < 2**62
    for q, w in zip(whole.tolist(), weights, strict=True):
        assert abs(q - Fraction(w) * Fraction(2) ** s) <= Fraction(1, 2)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "u8"])
@given(data=st.data())
def test_edges_from_counts_are_those_from_the_order(dtype: str, data: st.DataObject) -> None:
    values: Any = st.integers(0, 6) if dtype == "u8" else st.integers(-3, 3)
    score = np.array(data.draw(st.lists(values, min_size=1, max_size=40))).astype(dtype)
    y = np.array(data.draw(st.lists(st.integers(0, 1), min_size=len(score), max_size=len(score))), np.uint8)
    bins = data.draw(st.integers(1, 12))
    want = _counts.edges_of_order(_counts.order(Rows(y, score, None)), bins)
    weighted = Rows(y, score, np.full(len(y), 0.75))
    for rows in (Rows(y, score, None), weighted):
        got = _counts.edges(_counts.count(rows), bins)
        assert (got.tolist(), got.dtype) == (want.tolist(), score.dtype)
