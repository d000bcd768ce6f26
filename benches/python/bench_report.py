"""All metrics of one set of rows from `evaluate`, against scikit-learn's functions, called one after the other.

Both sides give AUC, average precision, KS, the best F1 of any threshold, log loss, Brier score, and, at a threshold, the
confusion matrix, precision, recall, F1 and MCC: these are checked. Both make a calibration curve of ten quantile bins
besides, whose bins are not the same where scores are equal. What `evaluate` has and scikit-learn has not (ECE,
normalised entropy, …) is in its time.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np

from clicks import clicks, exact_auc
from harness import Array, Case, Ready, Rival, measure, module, once
from sorts import sorts

ROWS = 10**7
SMALL = 10**3
THRESHOLD = 0.1
BINS = 10

#: scikit-learn takes logarithms and squares in float32.
_FLOAT32 = 1e-5
_FLOAT64 = 1e-9


def cases(small: bool = False) -> list[Case]:
    """Return the case."""
    rows = SMALL if small else ROWS
    rivals = (
        Rival("fourstep", partial(_ours, rows), partial(_expected, rows), _FLOAT64),
        *sorts(rows),
        Rival(
            "scikit-learn, 10 calls", partial(_sklearn, rows), partial(_expected, rows), _FLOAT32, "sklearn"
        ),
    )
    return [Case(f"evaluate_f32/{rows}/2", rivals, 2, rows, 5 * rows)]


def test_report(benchmark: Any, case: Case, rival: Rival) -> None:
    """Time one rival of one case."""
    measure(benchmark, case, rival)


Answer = tuple[float, ...]


@lru_cache(maxsize=1)
def _expected(rows: int) -> Answer:
    """Compute it from the definitions, along the falling thresholds, in float64."""
    y, score = clicks("f32", rows)
    values, place = np.unique(-score, return_inverse=True)
    tp = np.cumsum(np.bincount(place[y == 1], minlength=len(values)))
    fp = np.cumsum(np.bincount(place[y == 0], minlength=len(values)))
    p, n = tp[-1], fp[-1]
    precision, recall = tp / (tp + fp), tp / p
    probability = score.astype(np.float64)
    right = np.where(y == 1, probability, 1 - probability)
    return (
        exact_auc("f32", rows),
        float((np.diff(recall, prepend=0) * precision).sum()),
        float(np.abs(recall - fp / n).max()),
        float((2 * tp / (tp + fp + p)).max()),
        float(-np.log(right).mean()),
        float(np.square(1 - right).mean()),
        *_at_threshold(y, score >= np.float32(THRESHOLD)),
    )


def _at_threshold(y: Array, predicted: Array) -> Answer:
    tp, fp = int((predicted & (y == 1)).sum()), int((predicted & (y == 0)).sum())
    fn, tn = int((y == 1).sum()) - tp, int((y == 0).sum()) - fp
    mcc = (tp * tn - fp * fn) / np.sqrt(float((tp + fp) * (tp + fn)) * float((tn + fp) * (tn + fn)))
    return tn, fp, fn, tp, tp / (tp + fp), tp / (tp + fn), 2 * tp / (2 * tp + fp + fn), float(mcc)


def _ours(rows: int) -> Ready:
    y, score = clicks("f32", rows)
    metrics = module("fourstep.metrics")
    ready = once(lambda: metrics.evaluate(y, score, threshold=THRESHOLD, bins=BINS))

    def answer() -> Answer:
        found = ready.answer()
        counts = found.confusion
        ranked = found.auc, found.average_precision, found.ks, found.best_threshold.value
        at_threshold = found.precision, found.recall, found.f1, found.mcc
        return (
            *ranked,
            found.logloss,
            found.brier,
            *(counts.tn, counts.fp, counts.fn, counts.tp),
            *at_threshold,
        )

    return Ready(ready.call, answer)


def _sklearn(rows: int) -> Ready:
    y, score = clicks("f32", rows)
    m, calibration = module("sklearn.metrics"), module("sklearn.calibration")

    def every() -> Answer:
        predicted = (score >= np.float32(THRESHOLD)).astype(np.uint8)
        fpr, tpr, _ = m.roc_curve(y, score)
        precision, recall, _ = m.precision_recall_curve(y, score)
        best = (2 * precision * recall / np.maximum(precision + recall, 1e-300)).max()
        calibration.calibration_curve(y, score, n_bins=BINS, strategy="quantile")
        at_threshold = m.precision_recall_fscore_support(y, predicted, average="binary")[:3]
        return (
            m.roc_auc_score(y, score),
            m.average_precision_score(y, score),
            np.abs(tpr - fpr).max(),
            best,
            m.log_loss(y, score),
            m.brier_score_loss(y, score),
            *m.confusion_matrix(y, predicted).ravel(),
            *at_threshold,
            m.matthews_corrcoef(y, predicted),
        )

    return once(every)
