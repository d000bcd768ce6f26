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

from fourstep.metrics.decomposition import Decomposition, decompose
from fourstep.metrics.lists import hit_rate, mrr, ndcg, precision_at, recall_at
from fourstep.metrics.losses import brier, calibration_ratio, logloss
from fourstep.metrics.ranking import RocCurve, auc, gauc, roc_curve
from fourstep.metrics.score import MetricWarning, Score, UndefinedMetricWarning
from fourstep.metrics.slices import AucBy, auc_by
from fourstep.metrics.thresholds import Confusion, Threshold, best_threshold, confusion, f1, precision, recall

__all__ = [
    "AucBy",
    "Confusion",
    "Decomposition",
    "MetricWarning",
    "RocCurve",
    "Score",
    "Threshold",
    "UndefinedMetricWarning",
    "auc",
    "auc_by",
    "best_threshold",
    "brier",
    "calibration_ratio",
    "confusion",
    "decompose",
    "f1",
    "gauc",
    "hit_rate",
    "logloss",
    "mrr",
    "ndcg",
    "precision",
    "precision_at",
    "recall",
    "recall_at",
    "roc_curve",
]
