"""Scores as integers of the same order."""

from __future__ import annotations

import numpy as np

from fourstep.metrics._inputs import Array


def keys(scores: Array) -> Array:
    """Return integers that rank and tie as the scores do; −0.0 = 0.0, and NaN is below −inf.

    The bits of a positive float rise with it. Those of a negative one fall, so all but the sign are turned over.

    >>> import numpy as np
    >>> keys(np.array([0.0, -0.0, 1e-45, -1e-45], np.float32)).tolist()
    [0, 0, 1, -2]
    """
    if scores.dtype.kind != "f":
        return scores
    integer = np.int32 if scores.dtype == np.float32 else np.int64
    limits = np.iinfo(integer)
    bits = (scores + scores.dtype.type(0.0)).view(integer)
    key = bits ^ ((bits >> (limits.bits - 1)) & limits.max)
    key[np.isnan(scores)] = limits.min
    return np.asarray(key, np.int64)
