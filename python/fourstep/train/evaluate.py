"""`fourstep evaluate`: figures of anyone's scores. Nothing is trained."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from fourstep import metrics
from fourstep._table import table
from fourstep.data import DataError, read_frame
from fourstep.data.errors import counted
from fourstep.train.measures import calibration, measure
from fourstep.train.report import gauc_line, number, print_table

__all__ = ["evaluate", "print_evaluation"]


def evaluate(
    path: str | Path,
    *,
    label: str,
    score: str,
    groups: str | None = None,
    threshold: float | None = None,
) -> dict[str, Any]:
    """Measure the scores in a file.

    Parameters
    ----------
    path : str or Path
        CSV or Parquet.
    label, score, groups : str
        Columns. Scores outside [0, 1] are no probabilities: then there is no log loss and no calibration.
    threshold : float, optional
        Of F1; by default the one that is best on these very rows, which flatters.

    Returns
    -------
    dict
        The keys of a part of ``metrics.json``, ``threshold_from`` ("given" or "these rows"), ``certain_and_wrong``
        (rows whose score is 1 and label 0, or the other way round) and ``calibration``
        (see `fourstep.train.measures.calibration`; None where scores are no probabilities).

    Raises
    ------
    data.DataError
        A missing column; a label that is not 0 or 1, a score that is no finite number, a null group: with its
        first row and count; one class only.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "scores.csv")
    >>> with open(path, "w") as file:
    ...     _ = file.write("click,p\\n0,0.1\\n0,0.4\\n1,0.35\\n1,0.8\\n")
    >>> evaluate(path, label="click", score="p")["auc"]
    0.75
    """
    columns = list(dict.fromkeys(name for name in (label, score, groups) if name is not None))
    frame = read_frame(path, columns)
    y, p = frame.labels(label), frame.numbers(score)
    group = None if groups is None else frame.groups(groups)
    if group is not None and (group < 0).any():
        null = np.flatnonzero(group < 0)
        first, rows = int(null[0]) + 1, "1 row is" if len(null) == 1 else f"{len(null):,} rows are"
        raise DataError(
            f"{path}: column {groups!r}: {rows} null (first: row {first:,}); rows are counted from 1"
        )
    if y.min() == y.max():
        raise DataError(f"{path}: column {label!r} holds one class only: it is {y[0]} in all {len(y):,} rows")
    probability = bool(p.min() >= 0 and p.max() <= 1)
    cut = float(metrics.best_threshold(y, p, metric="f1")) if threshold is None else threshold
    figures: dict[str, Any] = dict(measure(y, p, group, cut, probability=probability))
    figures["threshold_from"] = "these rows" if threshold is None else "given"
    wrong = np.count_nonzero(np.where(y == 1, p, 1 - p) == 0) if probability else 0
    figures["certain_and_wrong"] = int(wrong)
    figures["calibration"] = calibration(y, p) if probability else None
    return figures


def print_evaluation(figures: dict[str, Any], stream: TextIO | None = None) -> None:
    """Print what `evaluate` found as tables."""
    stream = stream or sys.stdout
    row = [number(figures[key]) for key in ("auc", "gauc", "logloss", "f1")]
    print_table(f"{figures['rows']:,} rows", ("AUC", "gAUC", "log loss", "F1"), [row], stream)
    flatters = ", the best on these rows, which flatters" if figures["threshold_from"] == "these rows" else ""
    print(gauc_line(figures, "no --groups was given"), file=stream)
    if figures["certain_and_wrong"]:
        wrong = counted(figures["certain_and_wrong"], "row")
        print(
            f"log loss: {wrong} certain and wrong (p is 0 or 1): infinite but for the clip at ε", file=stream
        )
    print(
        f"F1 at threshold {figures['threshold']:.4f}{flatters}; base rate {figures['base_rate']:.4f}",
        file=stream,
    )
    found = figures["calibration"]
    if found is None:
        print("no log loss and no calibration: scores outside [0, 1] are no probabilities", file=stream)
        return
    print(
        f"calibration: predicted / observed {found['ratio']:.4f}, expected error {found['ece']:.4f}\n",
        file=stream,
    )
    rows = [
        [f"{each['rows']:,}", number(each["predicted"]), number(each["observed"])] for each in found["bins"]
    ]
    print(table(("rows", "predicted", "observed"), rows), file=stream)
