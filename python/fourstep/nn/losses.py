"""Losses: ``value = loss.forward(prediction, target)``, then ``dprediction = loss.backward()``."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from fourstep.nn import _check, functional
from fourstep.nn.module import Array


class Loss:
    """What every loss is: a number from predictions and targets of one shape, and the gradient of it.

    Parameters
    ----------
    reduction : {"mean", "sum"}
        Over all elements.
    """

    def __init__(self, reduction: Literal["mean", "sum"] = "mean") -> None:
        if reduction not in ("mean", "sum"):
            raise ValueError(f"reduction: got {reduction!r}, need 'mean' or 'sum'")
        self.reduction = reduction
        self._context: tuple[Array, Array] | None = None
        self._spent = False

    def forward(self, prediction: Array, target: Any) -> float:
        """Return the loss."""
        label = type(self).__name__
        self._context, self._spent = None, False
        prediction = _check.floats(label, "prediction", prediction)
        target = np.asarray(target)
        if target.dtype.kind not in "biuf":
            raise TypeError(f"{label}: target: got dtype {target.dtype}, need numbers")
        if target.shape != prediction.shape:
            raise ValueError(
                f"{label}: target: got shape {target.shape}, need {prediction.shape}, that of the prediction "
                "(broadcasting would pair every prediction with every target)"
            )
        if prediction.size == 0 and self.reduction == "mean":
            raise ValueError(f"{label}: prediction: got shape {prediction.shape}: no elements have no mean")
        if not (finite := np.isfinite(prediction)).all():
            count, first = _first(~finite)
            raise ValueError(
                f"{label}: prediction: {count} values are not finite, "
                f"the first is {prediction[first]} at index {_at(first)}"
            )
        self._check_target(label, target)
        target = target.astype(prediction.dtype, copy=False)
        total = float(self._terms(prediction, target).sum(dtype=np.float64))
        self._context = (prediction, target)
        return total / prediction.size if self.reduction == "mean" else total

    def backward(self, out: Array | None = None) -> Array:
        """Return the gradient of the last forward by its prediction, in its shape and dtype."""
        label = type(self).__name__
        if self._context is None:
            fault = "twice: each backward needs a forward of its own" if self._spent else "before forward"
            raise RuntimeError(f"{label}: backward {fault}")
        prediction, target = self._context
        out = _check.output(label, out, prediction.shape, prediction.dtype, prediction, target)
        self._gradient(prediction, target, out)
        if self.reduction == "mean":
            out /= prediction.size
        self._context, self._spent = None, True
        return out

    def _check_target(self, label: str, target: Array) -> None:
        """Refuse a target outside the domain."""
        raise NotImplementedError

    def _terms(self, prediction: Array, target: Array) -> Array:
        """Return the loss of each element."""
        raise NotImplementedError

    def _gradient(self, prediction: Array, target: Array, out: Array) -> None:
        """Fill `out` with the derivative of each element's loss by its prediction."""
        raise NotImplementedError

    def __repr__(self) -> str:
        """Return the arguments that it was made with."""
        return f"{type(self).__name__}(reduction={self.reduction!r})"


class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy of logits: −t·ln σ(x) − (1 − t)·ln(1 − σ(x)), σ the sigmoid.

    Computed as max(x, 0) − x·t + ln(1 + e^−|x|), which never takes the logarithm of 0 and never overflows (N3); its
    derivative is σ(x) − t.

    Parameters
    ----------
    reduction : {"mean", "sum"}
        Over all elements. The sum is taken in float64.

    Raises
    ------
    ValueError
        A target is outside [0, 1]; the shapes differ; a prediction is not finite; the mean of no element is asked for.
    RuntimeError
        Backward before forward, or twice.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> loss = nn.BCEWithLogitsLoss()
    >>> loss.forward(np.array([0.0, 1000.0, -1000.0]), np.array([1, 1, 0]))
    0.23104906018664842
    >>> loss.backward().tolist()
    [-0.16666666666666666, 0.0, 0.0]
    >>> loss.forward(np.zeros((2, 1)), np.array([0, 1]))
    Traceback (most recent call last):
    ValueError: BCEWithLogitsLoss: target: got shape (2,), need (2, 1), that of the prediction ...

    Notes
    -----
    Where others differ: torch's takes labels outside [0, 1] and returns what the formula gives.
    """

    def _check_target(self, label: str, target: Array) -> None:
        outside = ~((target >= 0) & (target <= 1))  # NaN is outside too
        if outside.any():
            count, first = _first(outside)
            raise ValueError(
                f"{label}: target: {count} labels are outside [0, 1], "
                f"the first is {target[first]} at index {_at(first)}"
            )

    def _terms(self, prediction: Array, target: Array) -> Array:
        terms = functional.softplus(-np.abs(prediction))
        terms += np.maximum(prediction, 0) - prediction * target
        return terms

    def _gradient(self, prediction: Array, target: Array, out: Array) -> None:
        functional.sigmoid(prediction, out=out)
        out -= target


def _first(where: Array) -> tuple[int, tuple[int, ...]]:
    """Return how many are true, and the index of the first."""
    return int(where.sum()), tuple(int(i) for i in np.argwhere(where)[0])


def _at(index: tuple[int, ...]) -> str:
    return str(index[0]) if len(index) == 1 else str(index)
