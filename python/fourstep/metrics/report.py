"""What `evaluate` returns: all metrics of one set of rows, as attributes, a table, plain numbers, JSON, a figure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from fourstep._table import table
from fourstep.metrics._inputs import Rows
from fourstep.metrics.calibration import CalibrationCurve
from fourstep.metrics.decomposition import Decomposition
from fourstep.metrics.gap import ClassGap
from fourstep.metrics.score import Score, plural
from fourstep.metrics.slices import AucBy
from fourstep.metrics.thresholds import Confusion, Threshold

if TYPE_CHECKING:
    import os

    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """All metrics of one set of rows; shown as a table, by rich where it prints.

    A metric that does not apply is None, one without a value nan, and ``absent`` says why.

    Attributes
    ----------
    counts
        rows, positives and negatives that take part.
    dropped
        Rows that do not, by reason (nan, weight_zero): the same for every metric.
    prevalence
        Share of the positives: of their weight, where there are weights.
    auc, average_precision, ks, best_threshold
        Of the order of the scores; ``auc.tied`` is the share of tied pairs, ``best_threshold`` is that of F1.
    class_gap
        Mean score of the positives less that of the negatives, also in pooled standard deviations.
    confusion, precision, recall, specificity, f1, mcc
        At the threshold.
    logloss, ne, brier, calibration_ratio, calibration, ece, bucket_error
        Of probabilities; ``calibration`` is the curve whose bins ``ece`` sums up.
    gauc, decomposition
        Of groups.
    position, position_auc
        AUC by position, and its mean over positions weighted by rows: what is left without position bias.
    time
        AUC by time slice.
    psi, js
        How far the scores have moved from the expected ones.
    absent
        Why a metric is None or nan, by its name.
    warnings
        What needs a second look.
    notes
        How to read the report.

    Examples
    --------
    >>> import fourstep as fs
    >>> report = fs.metrics.evaluate([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> report.auc, report.confusion.tp, report.to_dict()["ks"]
    (0.75 (auc: 2 positives, 2 negatives), 1, 0.5)
    """

    counts: dict[str, int]
    dropped: dict[str, int]
    prevalence: Score
    auc: Score
    average_precision: Score
    ks: Score
    best_threshold: Threshold | None
    class_gap: ClassGap | None
    confusion: Confusion | None
    precision: Score | None
    recall: Score | None
    specificity: Score | None
    f1: Score | None
    mcc: Score | None
    logloss: Score | None
    ne: Score | None
    brier: Score | None
    calibration_ratio: Score | None
    calibration: CalibrationCurve | None
    ece: Score | None
    bucket_error: Score | None
    gauc: Score | None
    decomposition: Decomposition | None
    position: AucBy | None
    position_auc: Score | None
    time: AucBy | None
    psi: Score | None
    js: Score | None
    absent: dict[str, str]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    _rows: Rows

    def lines(self) -> list[tuple[str, float, str]]:
        """Return the metrics that there are, as the table has them: name, value, and what there is to say."""
        there = {name: getattr(self, key) for key, name in _NAMES.items()}
        lines = [(name, float(value), _said(value)) for name, value in there.items() if value is not None]
        return [part for line in lines for part in self._with_parts(line)]

    def _with_parts(self, line: tuple[str, float, str]) -> Iterator[tuple[str, float, str]]:
        """Yield the line, and behind some what belongs there."""
        name, value, said = line
        at = f"at threshold {self.confusion.threshold:g}" if name == "F1" and self.confusion else said
        yield name, value, at
        if name == "KS" and self.class_gap is not None:
            gap = self.class_gap
            yield "class gap", gap.gap, f"{gap.standardised:.4g} standard deviations"
        if name == "gAUC" and self.decomposition is not None:
            parts = self.decomposition
            yield "AUC of pairs within groups", parts.within, f"{100 * parts.within_share:.4g} % of pairs"
            yield "AUC of pairs between groups", parts.between, f"{100 * parts.between_share:.4g} % of pairs"

    def _title(self) -> str:
        counts = ", ".join(plural(self.counts[name], name[:-1]) for name in ("positives", "negatives"))
        dropped = "".join(
            f"; {plural(n, 'row')} {'with NaN dropped' if reason == 'nan' else 'of weight 0'}"
            for reason, n in self.dropped.items()
        )
        return f"{plural(self.counts['rows'], 'row')}: {counts}{dropped}"

    def _remarks(self) -> list[str]:
        """Return what stands below the table, a line each."""
        why: dict[str, list[str]] = {}
        for name, reason in self.absent.items():
            why.setdefault(reason, []).append(name)
        absent = [f"no {', '.join(names)}: {reason}" for reason, names in why.items()]
        return [*(f"warning: {text}" for text in self.warnings), *absent, *self.notes]

    def _tables(self) -> list[str]:
        """Return what is a table of its own."""
        slices = [
            f"by {name}\n{value!r}"
            for name, value in (("position", self.position), ("time", self.time))
            if value is not None
        ]
        return [repr(each) for each in (self.confusion,) if each is not None] + slices

    def __repr__(self) -> str:
        """Show the metrics as a table, and what there is to say of them."""
        rows = [(name, shown(value), said) for name, value, said in self.lines()]
        parts = [f"{self._title()}\n{table(('metric', 'value', ''), rows)}", *self._tables()]
        return "\n\n".join([*parts, "\n".join(self._remarks())])

    def __rich__(self) -> Any:
        """Show the same by rich."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        made = Table(title=self._title(), title_justify="left", title_style="bold")
        for head, justify in (("metric", "left"), ("value", "right"), ("", "left")):
            made.add_column(head, justify=justify)  # type: ignore[arg-type]
        for name, value, said in self.lines():
            made.add_row(name, shown(value), said, style="bold" if name in ("AUC", "gAUC") else "")
        rest = [Text(f"\n{part}") for part in self._tables()]
        remarks = [
            Text(each, style="yellow" if each.startswith("warning") else "dim") for each in self._remarks()
        ]
        return Group(made, *rest, *remarks)

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, nested by attribute: None for what is absent, intervals as ``auc_ci`` and ``auc_se``."""
        made: dict[str, Any] = {}
        for name in (field.name for field in fields(self) if not field.name.startswith("_")):
            value = getattr(self, name)
            made[name] = _plain(value)
            if name == "gauc" and value is not None:
                made["gauc_groups"] = {
                    "weight": value.group_weight,
                    "kept": value.groups_kept,
                    "dropped": value.groups_dropped,
                    **value.dropped,
                }
            if isinstance(value, Score) and value.ci is not None:
                made[f"{name}_ci"], made[f"{name}_se"] = list(value.ci), value.se
            if isinstance(value, Score) and value.tied is not None:
                made[f"{name}_tied"] = value.tied
        return made

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return `to_dict` as JSON, which knows no NaN and no infinity: both are null.

        Parameters
        ----------
        path
            A file to write it to as well: whole, or not at all.
        """
        text = json.dumps(finite(self.to_dict()), indent=2, allow_nan=False) + "\n"
        if path is not None:
            from fourstep.atomic import atomic_file

            with atomic_file(path, text=True) as file:
                file.write(text)
        return text

    def plot(self) -> Figure:
        """Draw ROC and precision-recall curve, calibration (of probabilities), and the scores of each class.

        Raises
        ------
        ImportError
            There is no matplotlib (extra ``[plot]``).
        ValueError
            There is one class only.
        """
        from fourstep.metrics._report_figure import draw

        return draw(self)


#: The metrics of one number, in the order of the table.
_NAMES = {
    "prevalence": "prevalence",
    "auc": "AUC",
    "gauc": "gAUC",
    "position_auc": "gAUC by position",
    "average_precision": "average precision",
    "ks": "KS",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "specificity": "specificity",
    "mcc": "MCC",
    "best_threshold": "best threshold for F1",
    "logloss": "log loss",
    "ne": "normalised entropy",
    "brier": "Brier score",
    "calibration_ratio": "calibration ratio",
    "ece": "ECE",
    "bucket_error": "bucket error",
    "psi": "PSI",
    "js": "JS",
}


def _said(value: Score | Threshold) -> str:
    """Return what a line of the table says beside the value."""
    if isinstance(value, Threshold):
        return f"F1 {value.value:.6f}, the best on these rows, which flatters"
    said = []
    if value.ci is not None:
        said.append(f"{value.ci[0]:.6f} to {value.ci[1]:.6f}")
    if value.group_weight is not None:
        kept, dropped = value.groups_kept or 0, value.groups_dropped or 0
        said.append(f"by {value.group_weight}, {plural(kept, 'group')} kept, {dropped:,} dropped")
    if value.tied:
        said.append(f"{100 * value.tied:.3g} % of pairs tied")
    if value.name == "calibration_ratio":
        said.append("predicted / observed")
    return ", ".join(said)


def shown(value: float) -> str:
    """Write a figure, or a dash where there is none."""
    if math.isnan(value):
        return "-"
    return f"{value:.6f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.6g}"


def _plain(value: Any) -> Any:
    """Return numbers, lists and dicts of Python alone."""
    if isinstance(value, Threshold):
        return {"threshold": float(value), value.metric: value.value, **_cells(value.confusion)}
    if isinstance(value, Confusion):
        return {"threshold": value.threshold, **_cells(value)}
    if isinstance(value, float):
        return float(value)
    if isinstance(value, AucBy):
        slices = value.slice.astype(str).tolist() if value.slice.dtype.kind == "M" else value.slice.tolist()
        return value.to_dict() | {"slice": slices}
    if isinstance(value, Decomposition):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, ClassGap | CalibrationCurve):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, np.ndarray | tuple):
        return value.tolist() if isinstance(value, np.ndarray) else list(value)
    return dict(value) if isinstance(value, Mapping) else value


def _cells(matrix: Confusion) -> dict[str, float]:
    return {name: getattr(matrix, name) for name in ("tp", "fp", "fn", "tn")}


def finite(value: Any) -> Any:
    """Return the same with None for NaN and infinities, and text for what is no JSON."""
    if isinstance(value, Mapping):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [finite(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, int | str) else str(value)
