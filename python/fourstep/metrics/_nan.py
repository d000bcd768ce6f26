"""What a NaN score does, and how many rows took part."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from fourstep.metrics._inputs import Rows

Nan: TypeAlias = Literal["raise", "drop", "lowest"]
NAN = ("raise", "drop", "lowest")
#: What an error says where there are all three.
NO_NAN = "numbers; nan='drop' leaves such rows out, nan='lowest' ranks them below -inf"


def taken(rows: Rows, nan: Nan = "raise") -> dict[str, int]:
    """Return how many rows, positives and negatives count: not those of weight 0, nor those of NaN that are dropped."""
    y, score, weight = rows
    if nan == "drop" and score.dtype.kind == "f":
        there = ~np.isnan(score)
        y, weight = y[there], None if weight is None else weight[there]
    y = y if weight is None else y[weight > 0]
    positives = int(np.count_nonzero(y))
    return {"rows": len(y), "positives": positives, "negatives": len(y) - positives}
