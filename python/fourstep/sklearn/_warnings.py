"""Warnings of scikit-learn's classes that point at the line that called the metric."""

from __future__ import annotations

import sys
import warnings
from functools import cache

_PACKAGE = __name__.rpartition(".")[0]


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn, as from the first frame outside this package."""
    depth = 1
    while sys._getframe(depth).f_globals.get("__name__", "").startswith(_PACKAGE):
        depth += 1
    warnings.warn(message, category, stacklevel=depth + 1)


def warn_undefined(message: str) -> None:
    """Warn that a metric has no value."""
    warn(message, undefined_class())


@cache
def undefined_class() -> type[Warning]:
    """Return scikit-learn's `UndefinedMetricWarning`, or where it cannot be imported our own."""
    try:
        from sklearn.exceptions import UndefinedMetricWarning as Theirs
    except ImportError:
        from fourstep.metrics.score import UndefinedMetricWarning as Ours

        return Ours
    category: type[Warning] = Theirs
    return category
