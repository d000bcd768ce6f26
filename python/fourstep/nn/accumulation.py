"""Gradient accumulation: the gradient of a batch that does not fit, from parts that do.

∇L = Σ_parts (rows of the part / rows) · ∇L_part        for a loss that is a mean over rows
"""

from __future__ import annotations

from typing import Any, Literal

from fourstep.nn import _check, _rows
from fourstep.nn.batch_norm import BatchNorm
from fourstep.nn.losses import Loss, scalar
from fourstep.nn.module import Module


def accumulate(
    model: Module,
    loss: Loss,
    x: Any,
    target: Any,
    size: int,
    *,
    batch_statistics: Literal["refuse", "of_parts"] = "refuse",
) -> float:
    """Run a batch forward and back in parts of `size` rows; the gradients are those of one large batch.

    They are added to what is there, as backward does: call ``zero_grad()`` before, and the optimizer once after. The sums
    are taken in another order than in one pass, so the last bits differ. A mean over rows is assumed, or a sum: a mean
    that weights its rows otherwise (class weights) is not made of its parts' means in this way; use
    ``reduction="sum"`` there.

    Parameters
    ----------
    model : Module
    loss : Loss
        With ``reduction`` "mean" or "sum".
    x, target : ndarray, or tuples, lists or dicts of them
        Inputs and targets of all rows.
    size : int
        Rows of a part; the last may be shorter.
    batch_statistics : {"refuse", "of_parts"}
        What to do where a `BatchNorm` in training would see the parts and not the batch, which is another result.
        Dropout draws a mask for each part: other masks than for the batch, of the same distribution.

    Returns
    -------
    float
        The loss of the batch.

    Raises
    ------
    ValueError
        No rows; x and target differ in rows; batch statistics, unless they are asked for.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> rng = np.random.default_rng(0)
    >>> x, target = rng.normal(size=(10, 3)), rng.integers(0, 2, (10, 1))
    >>> model, loss = nn.Linear(3, 1, dtype="float64", seed=0), nn.BCEWithLogitsLoss()
    >>> whole = loss.forward(model.forward(x), target)
    >>> _ = model.backward(loss.backward())
    >>> at_once = model.grads["weight"].copy()
    >>> model.zero_grad()
    >>> parts = nn.accumulate(model, loss, x, target, size=4)
    >>> bool(np.isclose(parts, whole)), bool(np.allclose(model.grads["weight"], at_once))
    (True, True)
    """
    size = _check.size("size", size)
    scalar(loss)
    rows = _rows.count((x, target), "x, target")
    if not rows:
        raise ValueError("x: got no rows, need at least one")
    if batch_statistics not in ("refuse", "of_parts"):
        raise ValueError(f"batch_statistics: got {batch_statistics!r}, need 'refuse' or 'of_parts'")
    if batch_statistics == "refuse" and rows > size:
        for _, layer in model.modules():
            if isinstance(layer, BatchNorm) and layer.training:
                raise ValueError(
                    f"{layer.label}: its statistics would be those of {size} rows, not of the batch of {rows}: "
                    "another result. batch_statistics='of_parts' accepts it; after eval() they are fixed"
                )
    total = 0.0
    for start in range(0, rows, size):
        part = slice(start, min(start + size, rows))
        share = 1.0 if loss.reduction == "sum" else (part.stop - part.start) / rows
        total += share * loss.forward(model.forward(_rows.take(x, part)), _rows.take(target, part))
        dy = loss.backward()
        dy *= dy.dtype.type(share)
        model.backward(dy)
    return total
