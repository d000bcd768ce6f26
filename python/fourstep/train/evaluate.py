"""`fourstep evaluate`: figures of anyone's scores. Nothing is trained."""

from __future__ import annotations

import importlib.util
import math
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from fourstep import metrics
from fourstep._table import table
from fourstep.data import DataError, read_frame
from fourstep.data.column import canonical
from fourstep.data.errors import counted
from fourstep.data.frame import Frame
from fourstep.metrics.report import Report, finite, shown
from fourstep.train.errors import ConfigError
from fourstep.train.measures import WEIGHT, Floats, Labels
from fourstep.train.report import gauc_line, number, print_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Evaluation", "evaluate", "measured", "print_evaluation"]

SHOWN = 5  # labels, in a message
MOST_SLICES = 1000  # of a time or position column: more are no slices


@dataclass(frozen=True)
class Evaluation:
    """Reports of the scores in a file, and what only the file can tell.

    Attributes
    ----------
    score, report
        The column, and its metrics.
    compare, other, paired
        The column it is compared with, its metrics, and intervals of the differences of AUC and gAUC (None for rows with
        weights, of which there is no DeLong interval).
    threshold_from
        "given" or "these rows".
    from_logits
        Whether scores are logits; then so is the threshold.
    certain_and_wrong
        Rows whose score is 1 and label 0, or the other way round.
    """

    score: str
    report: Report
    threshold_from: str
    certain_and_wrong: int
    from_logits: bool = False
    compare: str | None = None
    other: Report | None = None
    paired: metrics.Comparison | None = None

    def figures(self) -> dict[str, Any]:
        """Return what ``--json`` writes: no NaN and no infinity, None instead."""
        made = _figures(self.report) | {
            "threshold_from": self.threshold_from,
            "certain_and_wrong": self.certain_and_wrong,
            "calibration": _calibration(self.report),
            "report": self.report.to_dict(),
        }
        if self.other is not None:
            made["compare"] = {"score": self.compare, "report": self.other.to_dict()}
        if self.paired is not None:
            made["compare"]["paired"] = self.paired.to_dict()
        cleaned: dict[str, Any] = finite(made)
        return cleaned

    def plot(self) -> Figure:
        """Draw the report, and the one it is compared with below it."""
        if self.other is None or self.compare is None or self.compare == self.score:
            return self.report.plot()
        from fourstep.metrics._report_figure import draw_all

        return draw_all({self.score: self.report, self.compare: self.other})


def evaluate(path: str | Path, **columns: Any) -> dict[str, Any]:
    """Measure the scores in a file.

    Parameters
    ----------
    path : str or Path
        CSV or Parquet.
    label, score : str
        Columns. Scores outside [0, 1] are no probabilities: then there is no log loss and no calibration, unless they
        are logits.
    pos_label : str, optional
        The positive one of two labels that are neither 0 and 1 nor −1 and 1, as a text.
    from_logits : bool
        Whether scores are logits, also those that they are compared with.
    groups, weight, position, time, compare : str, optional
        Columns: the user; the weight of a row; its position in the list that was shown; its day (a date, or anything of
        few values; moments are cut to days); another model's scores.
    threshold : float, optional
        Of F1, a probability where scores are logits, and from 0 to 1 where all scores are; by default the one that is
        best on these very rows, which flatters.
    expected : str or Path, optional
        A file with the scores of another time, in a column of the same name, for PSI and JS.
    ci : float, optional
        Level of the intervals of AUC and gAUC; of differences 0.95 unless it is given.

    Returns
    -------
    dict
        The keys of a part of ``metrics.json``, ``threshold_from`` ("given" or "these rows"), ``certain_and_wrong``
        (rows whose score is 1 and label 0, or the other way round), ``calibration`` (None where scores are no
        probabilities), ``report`` (`fourstep.metrics.evaluate`) and with `compare` the same of the other scores.

    Raises
    ------
    data.DataError
        A missing column; labels other than 0 and 1, or −1 and 1, without `pos_label`, or a third one; a score that is
        no finite number, a null group or slice, a negative weight: with its first row and count; one class only.
    ConfigError
        A threshold outside [0, 1] of scores that lie in it.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "scores.csv")
    >>> with open(path, "w") as file:
    ...     _ = file.write("click,p\\n0,0.1\\n0,0.4\\n1,0.35\\n1,0.8\\n")
    >>> figures = evaluate(path, label="click", score="p")
    >>> figures["auc"], figures["report"]["ks"]
    (0.75, 0.5)
    """
    return measured(path, **columns).figures()


def measured(
    path: str | Path,
    *,
    label: str,
    score: str,
    pos_label: object = None,
    from_logits: bool = False,
    groups: str | None = None,
    weight: str | None = None,
    position: str | None = None,
    time: str | None = None,
    compare: str | None = None,
    threshold: float | None = None,
    expected: str | Path | None = None,
    ci: float | None = None,
) -> Evaluation:
    """Measure as `evaluate` does, and return the reports."""
    named = (label, score, groups, weight, position, time, compare)
    frame = read_frame(path, list(dict.fromkeys(name for name in named if name is not None)))
    y, p = _labels(frame, label, pos_label), frame.numbers(score)
    w = None if weight is None else _weights(frame, weight)
    _refuse_one_class(frame, label, y if w is None else y[w > 0])
    settings: dict[str, Any] = {
        "sample_weight": w,
        "groups": None if groups is None else _not_null(frame, groups, frame.groups(groups)),
        "position": None if position is None else _slices(frame, position),
        "time": None if time is None else _slices(frame, time),
        "group_weight": WEIGHT,
        "from_logits": from_logits,
        "ci": ci,
        "on_undefined": math.nan,  # what has no value is a dash, and the report says why
    }

    def report(p: Floats, expected: Floats | None = None) -> Report:
        cut = metrics.best_threshold(y, p, sample_weight=w) if threshold is None else threshold
        clip = "eps" if not from_logits and p.min() >= 0 and p.max() <= 1 else None
        return metrics.evaluate(y, p, threshold=cut, clip=clip, expected=expected, **settings)  # type: ignore[arg-type]

    then = None if expected is None else read_frame(expected, [score]).numbers(score)
    old = None if compare is None else frame.numbers(compare)
    given = {score: p} if compare is None or old is None else {score: p, compare: old}
    _check_threshold(threshold, from_logits, given)
    found = report(p, then)
    paired = None
    if compare is not None and old is not None and compare != score and w is None and min(np.bincount(y)) > 1:
        both = {compare: old, score: p}
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", metrics.UndefinedMetricWarning
            )  # an interval of gAUC that is none
            level = 0.95 if ci is None else ci
            paired = metrics.compare(both, y, settings["groups"], group_weight=WEIGHT, ci=level)
    return Evaluation(
        score=score,
        report=found,
        threshold_from="these rows" if threshold is None else "given",
        certain_and_wrong=0 if from_logits or found.logloss is None else _certain_and_wrong(y, p, w),
        from_logits=from_logits,
        compare=compare,
        other=None if old is None else report(old),
        paired=paired,
    )


def _check_threshold(threshold: float | None, from_logits: bool, scores: Mapping[str, Floats]) -> None:
    """Refuse a threshold that no probability can reach."""
    if threshold is None or 0 <= threshold <= 1:
        return
    if from_logits or all(p.min() >= 0 and p.max() <= 1 for p in scores.values()):
        columns = " and ".join(map(repr, scores))
        raise ConfigError(
            f"--threshold needs a number from 0 to 1, as the scores of {columns} are, got {threshold:g}"
        )


def _labels(frame: Frame, name: str, pos_label: object) -> Labels:
    """Return 0 and 1 from these, from −1 and 1, or from two labels of which one is positive."""
    column = frame.column(name)
    signed = (
        "-1" in map(canonical, column.texts) if column.kind == "text" else bool((column.values == -1).any())
    )
    if pos_label is None and not signed:
        try:
            return frame.labels(name)
        except DataError as error:
            raise DataError(f"{error}; of two other labels --pos-label says which is positive") from None
    factor = column.factor()
    codes, texts = _not_null(frame, name, factor.codes), np.asarray(factor.texts)
    positive = np.isin(texts, ["1", "+1"] if pos_label is None else [canonical(str(pos_label))])
    if pos_label is not None and not positive.any():
        more = ", ..." if len(texts) > SHOWN else ""
        raise DataError(
            f"{frame.name}: column {name!r}: no row is {str(pos_label)!r}; its labels are"
            f" {', '.join(map(repr, factor.texts[:SHOWN]))}{more}"
        )
    y: Labels = positive[codes].astype(np.uint8)
    others = np.flatnonzero(y == 0)
    if len(others):
        other = texts.tolist().index("-1") if pos_label is None else codes[others[0]]
        wrong = others[codes[others] != other]
        if len(wrong):
            raise DataError(
                f"{frame.name}: column {name!r}: {_are(len(wrong))} neither {texts[positive][0]} nor {texts[other]}"
                f" (first: row {wrong[0] + 1:,}, {texts[codes[wrong[0]]]}); rows are counted from 1"
            )
    return y


def _weights(frame: Frame, name: str) -> Floats:
    w = frame.numbers(name)
    negative = np.flatnonzero(w < 0)
    if len(negative):
        raise DataError(
            f"{frame.name}: column {name!r}: {_are(len(negative))} negative (first: row {negative[0] + 1:,},"
            f" {w[negative[0]]:g}); rows are counted from 1"
        )
    if not w.any():
        raise DataError(f"{frame.name}: column {name!r} is 0 in all {len(w):,} rows: none counts")
    return w


def _refuse_one_class(frame: Frame, label: str, y: Labels) -> None:
    if y.min() == y.max():
        raise DataError(
            f"{frame.name}: column {label!r} holds one class only: it is {y[0]} in all {len(y):,} rows"
        )


def _not_null(frame: Frame, name: str, codes: Any) -> Any:
    null = np.flatnonzero(codes < 0)
    if len(null):
        raise DataError(
            f"{frame.name}: column {name!r}: {_are(len(null))} null (first: row {null[0] + 1:,}); rows are counted"
            " from 1"
        )
    return codes


def _are(rows: int) -> str:
    return "1 row is" if rows == 1 else f"{rows:,} rows are"


def _slices(frame: Frame, name: str) -> Any:
    """Return whole numbers, days, or texts."""
    factor = frame.column(name).factor()
    codes, distinct = _not_null(frame, name, factor.codes), len(factor.texts)
    if frame.column(name).kind == "date":
        return frame[name].astype("datetime64[D]")
    days = _days(factor.texts)
    if days is not None:
        return days[codes]
    if distinct > MOST_SLICES:
        raise DataError(
            f"{frame.name}: column {name!r} has {distinct:,} values, need slices: at most {MOST_SLICES:,}; cut moments to"
            " days first"
        )
    texts = np.asarray(factor.texts)
    try:
        numbers = texts.astype(np.int64)
    except (ValueError, OverflowError):
        return texts[codes]
    return numbers[codes] if (numbers.astype(str) == texts).all() else texts[codes]  # 007 is no 7


def _days(texts: Sequence[str]) -> Any:
    """Return the days of moments, which a CSV file holds as texts; None for anything else. A day is the one written."""
    day = len("2024-05-01")
    if not all(len(text) > day and text[day] in "T " for text in texts):
        return None
    try:
        return np.asarray([text[:day] for text in texts]).astype("datetime64[D]")
    except ValueError:
        return None


def _certain_and_wrong(y: Labels, p: Floats, w: Floats | None) -> int:
    wrong = np.where(y == 1, p, 1 - p) == 0
    return int(np.count_nonzero(wrong if w is None else wrong & (w > 0)))


def _figures(report: Report) -> dict[str, Any]:
    """Return the keys of a part of ``metrics.json``."""
    gauc, f1, matrix = report.gauc, report.f1, report.confusion
    assert f1 is not None
    assert matrix is not None
    return {
        "auc": float(report.auc),
        "gauc": None if gauc is None or math.isnan(gauc) else float(gauc),
        "gauc_weight": None if gauc is None else WEIGHT,
        "groups_kept": 0 if gauc is None else gauc.groups_kept,
        "groups_dropped": 0 if gauc is None else gauc.groups_dropped,
        "logloss": None if report.logloss is None else float(report.logloss),
        "f1": float(f1),
        "threshold": matrix.threshold,
        "base_rate": float(report.prevalence),
        "rows": report.counts["rows"],
    }


def _calibration(report: Report) -> dict[str, Any] | None:
    """Return predicted and observed means, overall and bin by bin: ``share`` is that of the rows or of their weight."""
    curve, ece, ratio = report.calibration, report.ece, report.calibration_ratio
    if curve is None or ece is None or ratio is None:
        return None
    lines = zip(*(x.tolist() for x in (curve.share, curve.predicted, curve.observed)), strict=True)
    return {
        "predicted": math.fsum((curve.share * curve.predicted).tolist()),
        "observed": float(report.prevalence),
        "ratio": float(ratio),
        "ece": float(ece),
        "bins": [dict(zip(("share", "predicted", "observed"), line, strict=True)) for line in lines],
    }


def print_evaluation(found: Evaluation, stream: TextIO | None = None) -> None:
    """Print what `measured` found: the report, or two side by side; and what the file tells beside it."""
    stream = stream or sys.stdout
    figures = found.figures()
    if found.other is not None:
        _print_side_by_side(found, stream)
    elif stream.isatty() and importlib.util.find_spec("rich") is not None:
        from rich.console import Console

        Console(file=stream).print(found.report)
    else:
        print(f"\n{found.report!r}", file=stream)
    print(f"\n{gauc_line(figures, 'no --groups was given')}", file=stream)
    if found.certain_and_wrong:
        wrong = counted(found.certain_and_wrong, "row")
        print(
            f"log loss: {wrong} certain and wrong (p is 0 or 1): infinite but for the clip at ε", file=stream
        )
    flatters = ", the best on these rows, which flatters" if found.threshold_from == "these rows" else ""
    at = f"{figures['threshold']:.4f}{' (a logit)' if found.from_logits else ''}"
    if found.other is not None and found.other.confusion is not None:
        at = f"{at} ({found.score}) and {found.other.confusion.threshold:.4f} ({found.compare})"
    print(f"F1 at threshold {at}{flatters}; base rate {figures['base_rate']:.4f}", file=stream)
    _print_calibration(figures["calibration"], stream)


def _print_calibration(found: dict[str, Any] | None, stream: TextIO) -> None:
    if found is None:
        print(
            "no log loss and no calibration: scores outside [0, 1] are no probabilities; logits need --from-logits",
            file=stream,
        )
        return
    print(
        f"calibration: predicted / observed {found['ratio']:.4f}, expected error {found['ece']:.4f}\n",
        file=stream,
    )
    rows = [
        [f"{each['share']:.2%}", number(each["predicted"]), number(each["observed"])]
        for each in found["bins"]
    ]
    print(table(("share", "predicted", "observed"), rows), file=stream)


def _print_side_by_side(found: Evaluation, stream: TextIO) -> None:
    """Print a line a metric: both values and their difference."""
    assert found.other is not None
    assert found.compare is not None
    first, second = map(_lines, (found.report, found.other))
    intervals = _intervals(found)
    rows = [
        [*_compared(name, first.get(name, math.nan), second.get(name, math.nan)), intervals.get(name, "")]
        for name in first | second
    ]
    head = (
        "metric",
        found.score,
        found.compare,
        "difference",
        f"{100 * found.paired.level:g} % interval" if found.paired and intervals else "",
    )
    print_table(f"{found.report.counts['rows']:,} rows", head, rows, stream)
    if not intervals:
        print("no intervals of the differences: they are for two scores of rows without weights", file=stream)
    for name, report in ((found.score, found.report), (found.compare, found.other)):
        for text in report.warnings:
            print(f"warning: {name}: {text}", file=stream)


def _intervals(found: Evaluation) -> dict[str, str]:
    """Return the intervals of the differences, by line of the table."""
    if found.paired is None:
        return {}
    each = {"AUC": found.paired.auc_difference, "gAUC": found.paired.gauc_difference}
    return {
        name: f"{of[found.score].ci[0]:+.6f} to {of[found.score].ci[1]:+.6f}"
        for name, of in each.items()
        if found.score in of
    }


def _lines(report: Report) -> dict[str, float]:
    """Return what can differ between two scores of the same rows: metrics, and AUC of each slice."""
    lines = {name: value for name, value, _ in report.lines() if name != "prevalence"}
    for kind, slices in (("position", report.position), ("time", report.time)):
        if slices is not None:
            lines |= {f"AUC, {kind} {line.slice}": line.auc for line in slices}
    return lines


def _compared(name: str, first: float, second: float) -> list[str]:
    """Make a line of the table."""
    return [name, shown(first), shown(second), shown(first - second)]
