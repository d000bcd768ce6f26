"""What a run prints at its end: one table, and the lines that say what its columns mean."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from fourstep._table import table
from fourstep.data.errors import counted

__all__ = ["print_table", "report", "shares"]

_NAMES = {"one_hot": "logistic regression, fields alone", "same_inputs": "logistic regression, same inputs"}
_COLUMNS = ("", "AUC", "gAUC", "log loss", "F1")


def report(metrics: Mapping[str, Any], out: str, stream: TextIO | None = None) -> None:
    """Print the figures of a run.

    Parameters
    ----------
    metrics : dict
        What is in ``metrics.json``.
    out : str
        The folder of the run.
    stream : file, optional
        Standard output by default.
    """
    stream = stream or sys.stdout
    test = metrics["test"]
    rows = [_row("fourstep", test)]
    if metrics["test_in_place"] is not None:
        rows.append(_row("each row at its position", metrics["test_in_place"]))
    rows += [
        _row(_NAMES[kind], figures)
        for kind, figures in reversed(metrics["baseline"].items())
        if figures is not None
    ]
    print_table(counted(test["rows"], "test row"), _COLUMNS, rows, stream)
    lines = [
        gauc_line(test),
        f"F1 at threshold {test['threshold']:.4f}, the best on the validation rows; base rate {test['base_rate']:.4f}",
        f"trained on {metrics['train_rows']:,} rows; {metrics['parameters']:,} parameters; seed {metrics['seed']}",
        *_notes(metrics),
        f"{metrics['seconds']['total']:.1f} s: {shares(metrics['seconds'])}",
        f"all of it in {out}",
    ]
    print("\n".join(lines), file=stream, flush=True)


def _notes(metrics: Mapping[str, Any]) -> list[str]:
    """Say what is out of the ordinary."""
    notes = []
    if metrics["ensemble"] > 1:
        notes.append(f"an ensemble of {metrics['ensemble']} models: the mean of their probabilities")
    zeros = metrics["parameters"] - sum(metrics["nonzero"].values())
    if zeros > metrics["parameters"] / 100:
        notes.append(f"{zeros:,} of {metrics['parameters']:,} parameters are 0")
    if metrics["shuffled_labels"]:
        notes.append(
            f"labels of the training rows were permuted: AUC {metrics['train']['auc']:.4f} on them is noise by heart"
        )
    return notes


def gauc_line(figures: Mapping[str, Any], why: str = "there is no user column") -> str:
    """Say what gAUC is a mean over, or why there is none."""
    kept, dropped = figures["groups_kept"], figures["groups_dropped"]
    if figures["gauc_weight"] is None:
        return f"no gAUC: {why}"
    if figures["gauc"] is None:
        return f"no gAUC: none of the {counted(dropped, 'user')} has both classes"
    note = "; it is AUC: there is one user" if kept == 1 and not dropped else ""
    return (
        f"gAUC: mean over users weighted by {figures['gauc_weight']};"
        f" {kept:,} kept, {dropped:,} dropped (one class){note}"
    )


def shares(seconds: Mapping[str, float]) -> str:
    """Say which part took which share of the time, the largest first.

    Examples
    --------
    >>> shares({"data": 1.0, "batch_norm": 3.0, "other": 0.0, "total": 4.0})
    'batch norm 75 %, data 25 %'
    """
    parts = sorted(
        ((spent, part) for part, spent in seconds.items() if part != "total" and spent > 0), reverse=True
    )
    total = max(seconds["total"], 1e-9)
    return ", ".join(f"{part.replace('_', ' ')} {100 * spent / total:.0f} %" for spent, part in parts)


def number(value: float | None) -> str:
    """Write a figure, or a dash where there is none."""
    return "-" if value is None else f"{value:.4f}"


def _row(name: str, figures: Mapping[str, Any]) -> list[str]:
    return [name, *(number(figures[key]) for key in ("auc", "gauc", "logloss", "f1"))]


def print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], stream: TextIO) -> None:
    """Print a table, by rich where it is installed and the stream is a terminal."""
    if not (stream.isatty() and importlib.util.find_spec("rich") is not None):
        print(f"\n{title}\n{table(head, rows)}\n", file=stream)
        return
    from rich.console import Console
    from rich.table import Table

    made = Table(title=title, title_justify="left", title_style="bold")
    for column, name in enumerate(head):
        made.add_column(name, justify="right" if column else "left")
    for index, row in enumerate(rows):
        made.add_row(*row, style="bold" if index == 0 and len(rows) > 1 else "")
    Console(file=stream).print(made)
