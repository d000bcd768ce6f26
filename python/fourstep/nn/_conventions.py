"""What libraries mean by the same arguments of a batch normalisation."""

from __future__ import annotations

from typing import NamedTuple


class Convention(NamedTuple):
    """The defaults of a library."""

    momentum: float
    #: Whether momentum is the weight of the old value.
    of_old: bool
    eps: float
    running_var: str
    axis: int


CONVENTIONS = {
    "torch": Convention(0.1, False, 1e-5, "unbiased", 1),
    "keras": Convention(0.99, True, 1e-3, "biased", -1),
    "flax": Convention(0.99, True, 1e-5, "biased", -1),
    "onnx": Convention(0.9, True, 1e-5, "biased", 1),
}
