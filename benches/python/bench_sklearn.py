"""scikit-learn's names from `fourstep.sklearn`, against scikit-learn: what has no sort in it. uint8 and int64 labels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from clicks import clicks
from harness import Array, Case, Ready, Rival, measure, module, once

ROWS = 10**7
SMALL = 10**3
LABELS = ("uint8", "int64")
THRESHOLD = 0.1

#: scikit-learn takes logarithms in float32.
_FLOAT32 = 1e-5
_FLOAT64 = 1e-12


def _f1(y: Array, predicted: Array) -> float:
    tp = int((y & predicted).sum())
    return 2 * tp / (int(y.sum()) + int(predicted.sum()))


def _confusion(y: Array, predicted: Array) -> Array:
    return np.bincount(2 * y.astype(np.int64) + predicted, minlength=4).reshape(2, 2)


def _log_loss(y: Array, p: Array) -> float:
    wide = p.astype(np.float64)
    return float(-np.log(np.where(y == 1, wide, 1 - wide)).mean())


#: Name, whether it takes classes (or probabilities), the definition, and how far scikit-learn may be from it.
_FUNCTIONS: tuple[tuple[str, bool, Callable[[Array, Array], Any], float], ...] = (
    ("f1_score", True, _f1, _FLOAT64),
    ("confusion_matrix", True, _confusion, 0.0),
    ("log_loss", False, _log_loss, _FLOAT32),
)


def cases(small: bool = False) -> list[Case]:
    """Return every case; with `small`, of so few rows that only the answers mean anything."""
    rows = SMALL if small else ROWS
    return [_case(*function, label, rows) for function in _FUNCTIONS for label in LABELS]


def test_sklearn(benchmark: Any, case: Case, rival: Rival) -> None:
    """Time one rival of one case."""
    measure(benchmark, case, rival)


def _case(
    name: str,
    classes: bool,
    definition: Callable[[Array, Array], Any],
    tolerance: float,
    label: str,
    rows: int,
) -> Case:
    def expected() -> Any:
        return definition(*_data(classes, label, rows))

    def rival(title: str, library: str, tolerance: float, needs: str | None = None) -> Rival:
        return Rival(title, partial(_call, library, name, classes, label, rows), expected, tolerance, needs)

    rivals = (
        rival("fourstep.sklearn", "fourstep.sklearn", min(tolerance, _FLOAT64)),
        rival("scikit-learn", "sklearn.metrics", tolerance, "sklearn"),
    )
    size = np.dtype(label).itemsize
    return Case(f"{name}_{label}/{rows}/2", rivals, 2, rows, (2 * size if classes else size + 4) * rows)


def _data(classes: bool, label: str, rows: int) -> tuple[Array, Array]:
    y, score = clicks("f32", rows)
    return y.astype(label), (score >= np.float32(THRESHOLD)).astype(label) if classes else score


def _call(library: str, name: str, classes: bool, label: str, rows: int) -> Ready:
    y, predicted = _data(classes, label, rows)
    metric = getattr(module(library), name)
    return once(lambda: metric(y, predicted))
