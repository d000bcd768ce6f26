"""Exact metrics of binary classifiers: integer counts, one division, the same bits for any order and thread count.

>>> import fourstep as fs
>>> fs.metrics.auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
0.75 (auc: 2 positives, 2 negatives)
>>> y, p = [0, 1, 0, 1, 1, 1], [0.1, 0.4, 0.9, 0.3, 0.2, 0.7]
>>> fs.metrics.gauc(y, p, groups=["ann", "ann", "bob", "bob", "cy", "cy"])
0.5 (gauc by impressions: 2 groups kept, 1 dropped (1 one class))

A metric is a `Score`: a float that also says what it counted and what it left out. ``docs/metrics.md`` has the
definitions, and where other libraries differ.
"""

from __future__ import annotations

from fourstep.metrics import feval
from fourstep.metrics.blend import BlendPoint, BlendSweep, blend_sweep
from fourstep.metrics.bootstrap import bootstrap
from fourstep.metrics.calibration import CalibrationCurve, bucket_error, calibration_curve, ece
from fourstep.metrics.checks import Check, Checks, check
from fourstep.metrics.comparison import Comparison, Difference, compare
from fourstep.metrics.curves import (
    DetCurve,
    GainCurve,
    PrCurve,
    RocCurve,
    ThresholdCurve,
    average_precision,
    det_curve,
    gain_curve,
    pr_curve,
    roc_curve,
    threshold_curve,
)
from fourstep.metrics.decomposition import Decomposition, decompose
from fourstep.metrics.delong import DelongTest, delong_test
from fourstep.metrics.evaluation import evaluate
from fourstep.metrics.gap import ClassGap
from fourstep.metrics.lists import hit_rate, mrr, ndcg, precision_at, recall_at
from fourstep.metrics.losses import brier, calibration_ratio, logloss, ne
from fourstep.metrics.ranking import auc, gauc
from fourstep.metrics.report import Report
from fourstep.metrics.score import MetricWarning, Score, UndefinedMetricWarning
from fourstep.metrics.shift import js, ks, psi
from fourstep.metrics.slices import AucBy, auc_by
from fourstep.metrics.thresholds import (
    Confusion,
    Threshold,
    best_threshold,
    confusion,
    f1,
    fbeta,
    fpr,
    mcc,
    precision,
    recall,
    specificity,
    tpr,
)

__all__ = [
    "AucBy",
    "BlendPoint",
    "BlendSweep",
    "CalibrationCurve",
    "Check",
    "Checks",
    "ClassGap",
    "Comparison",
    "Confusion",
    "Decomposition",
    "DelongTest",
    "DetCurve",
    "Difference",
    "GainCurve",
    "MetricWarning",
    "PrCurve",
    "Report",
    "RocCurve",
    "Score",
    "Threshold",
    "ThresholdCurve",
    "UndefinedMetricWarning",
    "auc",
    "auc_by",
    "average_precision",
    "best_threshold",
    "blend_sweep",
    "bootstrap",
    "brier",
    "bucket_error",
    "calibration_curve",
    "calibration_ratio",
    "check",
    "compare",
    "confusion",
    "decompose",
    "delong_test",
    "det_curve",
    "ece",
    "evaluate",
    "f1",
    "fbeta",
    "feval",
    "fpr",
    "gain_curve",
    "gauc",
    "hit_rate",
    "js",
    "ks",
    "logloss",
    "mcc",
    "mrr",
    "ndcg",
    "ne",
    "pr_curve",
    "precision",
    "precision_at",
    "psi",
    "recall",
    "recall_at",
    "roc_curve",
    "specificity",
    "threshold_curve",
    "tpr",
]
