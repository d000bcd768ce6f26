"""scikit-learn's classification metrics on these kernels: its names, signatures, warnings and types of error.

>>> from fourstep.sklearn import confusion_matrix, f1_score, log_loss, roc_auc_score
>>> y, p = [0, 1, 0, 1, 1], [0.2, 0.7, 0.6, 0.4, 0.9]
>>> roc_auc_score(y, p), round(log_loss(y, p), 6)
(0.8333333333333334, 0.503552)
>>> confusion_matrix(y, [0, 1, 1, 0, 1]), f1_score(y, [0, 1, 1, 0, 1])
(array([[1, 1],
       [1, 2]]), 0.6666666666666666)

scikit-learn itself is not needed. Where it is installed its `UndefinedMetricWarning` is the one that is given, else
`fourstep.metrics.UndefinedMetricWarning`. ``docs/sklearn.md`` lists every difference that remains.
"""

from __future__ import annotations

from fourstep.sklearn._inputs import InvalidParameterError
from fourstep.sklearn.counting import (
    confusion_matrix,
    f1_score,
    fbeta_score,
    precision_recall_fscore_support,
    precision_score,
    recall_score,
)
from fourstep.sklearn.losses import brier_score_loss, log_loss
from fourstep.sklearn.ranking import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

__all__ = [
    "InvalidParameterError",
    "average_precision_score",
    "brier_score_loss",
    "confusion_matrix",
    "f1_score",
    "fbeta_score",
    "log_loss",
    "precision_recall_curve",
    "precision_recall_fscore_support",
    "precision_score",
    "recall_score",
    "roc_auc_score",
    "roc_curve",
]
