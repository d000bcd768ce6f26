"""Exact AUC of the data in `clicks`, measured in sorts, against scikit-learn and other libraries, where they are there.

The answer is the exact one: pairs counted in integers, halves for ties, one division.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from clicks import KINDS, clicks, exact_auc
from harness import Array, Case, Ready, Rival, measure, module, once
from memory import extra_bytes
from sorts import sorts

#: Rows, and on how many threads.
SIZES = {10**3: (2,), 10**5: (2,), 10**6: (1, 2), 10**7: (1, 2)}
ROWS = 10**7
LARGE = 10**8
SMALL = 10**3

#: torchmetrics sums in float32.
_FLOAT32 = 1e-5
_FLOAT64 = 1e-12


def cases(small: bool = False) -> list[Case]:
    """Return every case; with `small`, of so few rows that only the answers mean anything."""
    rows = SMALL if small else ROWS
    sizes = {SMALL: (1, 2)} if small else SIZES
    usual = [_case("f32", n, threads) for n, several in sizes.items() for threads in several]
    others = [_case(kind, rows, 2) for kind in KINDS]
    wide = [_case("f32", rows, threads, "int64") for threads in (1, 2)]
    return [*usual, *wide, *others, _large(SMALL if small else LARGE, large=not small)]


def test_auc(benchmark: Any, case: Case, rival: Rival) -> None:
    """Time one rival of one case."""
    measure(benchmark, case, rival)


def _case(kind: str, rows: int, threads: int, label: str = "uint8") -> Case:
    name = kind if label == "uint8" else f"{kind}_{label}"
    size = np.dtype(label).itemsize + (8 if kind == "f64" else 4)
    rivals = tuple(_rivals(kind, rows, label))
    return Case(f"auc_{name}/{rows}/{threads}", rivals, threads, rows, size * rows)


def _rivals(kind: str, rows: int, label: str) -> Iterator[Rival]:
    def rival(name: str, setup: Any, tolerance: float = 0.0, needs: str | None = None) -> Rival:
        return Rival(
            name, partial(setup, kind, rows, label), partial(exact_auc, kind, rows), tolerance, needs
        )

    yield rival("fourstep", _ours)
    yield from sorts(rows)
    yield rival("numpy.argsort + numpy scan", _numpy, _FLOAT64)
    yield rival("numpy.argsort + numba scan", _numba, _FLOAT64, "numba")
    yield rival("scikit-learn", _sklearn, _FLOAT64, "sklearn")
    if kind != "f32":
        return
    yield rival("scikit-learn-intelex", _intelex, _FLOAT64, "sklearnex")
    yield rival("torchmetrics", _torchmetrics, _FLOAT32, "torchmetrics")
    yield rival("catboost", _catboost, _FLOAT64, "catboost")
    yield rival("polars-ds", _polars_ds, _FLOAT64, "polars_ds")


def _large(rows: int, *, large: bool) -> Case:
    """So many rows that they need a GB or two: run when asked. Says how much memory the call itself takes."""
    rivals = (
        Rival("fourstep", partial(_ours_and_memory, rows), partial(exact_auc, "f32", rows)),
        *sorts(rows, both=False),
    )
    return Case(f"auc_large_f32/{rows}/2", rivals, 2, rows, 5 * rows, large=large)


def _labelled(kind: str, rows: int, label: str) -> tuple[Array, Array]:
    y, score = clicks(kind, rows)
    return y.astype(label, copy=False), score


def _ours(kind: str, rows: int, label: str) -> Ready:
    y, score = _labelled(kind, rows, label)
    metrics = module("fourstep.metrics")
    return once(lambda: metrics.auc(y, score))


def _ours_and_memory(rows: int) -> Ready:
    print(f"  fourstep: {extra_bytes(rows, 2) / rows:.2f} bytes a row at the peak, beside labels and scores")
    return _ours("f32", rows, "uint8")


def _numpy(kind: str, rows: int, label: str) -> Ready:
    y, score = _labelled(kind, rows, label)

    def auc() -> float:
        """Mean rank of the positives, by one sort; ties by their mean rank."""
        order = np.argsort(score)
        ordered = score[order]
        ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), rows - 1)
        counts = np.diff(ends, prepend=-1)
        ranks = np.repeat(ends - (counts - 1) / 2 + 1, counts)
        n = int(y.sum())
        return float((ranks[y[order] == 1].sum() - n * (n + 1) / 2) / (n * (rows - n)))

    return once(auc)


def _numba(kind: str, rows: int, label: str) -> Ready:
    y, score = _labelled(kind, rows, label)

    @module("numba").njit  # type: ignore[untyped-decorator]
    def scan(order: Array, score: Array, y: Array) -> float:
        """Count pairs along the order, a run of equal scores at a time."""
        i, positives, below, twice = 0, 0, 0, 0
        while i < len(order):
            value, p, n = score[order[i]], 0, 0
            while i < len(order) and score[order[i]] == value:
                if y[order[i]] == 1:
                    p += 1
                else:
                    n += 1
                i += 1
            twice += p * (2 * below + n)
            positives += p
            below += n
        return twice / (2.0 * positives * below)

    return once(lambda: scan(np.argsort(score), score, y))


def _sklearn(kind: str, rows: int, label: str) -> Ready:
    y, score = _labelled(kind, rows, label)
    metrics = module("sklearn.metrics")
    return once(lambda: metrics.roc_auc_score(y, score))


def _intelex(kind: str, rows: int, label: str) -> Ready:
    y, score = _labelled(kind, rows, label)
    metrics = module("sklearnex.metrics")
    return once(lambda: metrics.roc_auc_score(y, score))


def _torchmetrics(kind: str, rows: int, label: str) -> Ready:
    """Its exact form, without thresholds."""
    torch, metrics = module("torch"), module("torchmetrics.functional.classification")
    y, score = (torch.from_numpy(x) for x in _labelled(kind, rows, label))
    target = y.long()
    return once(lambda: float(metrics.binary_auroc(score, target)))


def _catboost(kind: str, rows: int, label: str) -> Ready:
    y, score = _labelled(kind, rows, label)
    utils = module("catboost.utils")
    return once(lambda: utils.eval_metric(y, score, "AUC", thread_count=2)[0])


def _polars_ds(kind: str, rows: int, label: str) -> Ready:
    pl, pds = module("polars"), module("polars_ds")
    y, score = _labelled(kind, rows, label)
    frame = pl.DataFrame({"y": y, "score": score}).with_columns(pl.col("y").cast(pl.UInt32))
    return once(lambda: frame.select(pds.query_roc_auc("y", "score")).item())
