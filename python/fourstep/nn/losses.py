"""Losses: ``value = loss.forward(prediction, target)``, then ``dprediction = loss.backward()``.

binary        BCEWithLogitsLoss of logits, BCELoss of probabilities
classes       CrossEntropyLoss of logits
real numbers  MSELoss, L1Loss, HuberLoss
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from fourstep.nn import _check, functional
from fourstep.nn.module import Array

Reduction: TypeAlias = Literal["mean", "sum", "none"]

#: Soft labels may miss the total of 1 by this much, times the number of classes: rounding in float32.
_TOTAL = 1e-6


class Loss:
    """What every loss is: a number from predictions and targets, and its gradient by the predictions.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        Over all elements (of a cross-entropy of classes: over all rows). The sum is taken in float64. With ``"none"``
        forward returns the loss of each, and backward the gradient of their sum.
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction: got {reduction!r}, need 'mean', 'sum' or 'none'")
        self.reduction = reduction
        self._context: tuple[Array, Array, float] | None = None
        self._spent = False

    def forward(self, prediction: Array, target: Any) -> Any:
        """Return the loss: a float, or with the reduction ``"none"`` an array."""
        label = type(self).__name__
        self._context, self._spent = None, False
        prediction = _check.floats(label, "prediction", prediction)
        _check.unmasked(f"{label}: target", target)
        target = self._checked(label, prediction, np.asarray(target))
        if prediction.size == 0 and self.reduction == "mean":
            raise ValueError(f"{label}: prediction: got shape {prediction.shape}: no elements have no mean")
        self._check_prediction(label, prediction)
        terms, count = self._terms(prediction, target), 1.0
        if self.reduction == "mean":
            count = self._count(label, prediction, target)
        self._context = (prediction, target, count)
        return terms if self.reduction == "none" else float(terms.sum(dtype=np.float64)) / count

    def backward(self, out: Array | None = None) -> Array:
        """Return the gradient of the last forward by its prediction, in its shape and dtype."""
        label = type(self).__name__
        if self._context is None:
            fault = "twice: each backward needs a forward of its own" if self._spent else "before forward"
            raise RuntimeError(f"{label}: backward {fault}")
        prediction, target, count = self._context
        out = _check.output(label, out, prediction.shape, prediction.dtype, prediction, target)
        self._gradient(prediction, target, out)
        if self.reduction == "mean":
            out /= count
        self._context, self._spent = None, True
        return out

    def _checked(self, label: str, prediction: Array, target: Array) -> Array:
        """Return the target in the dtype of the prediction, if it has its shape and lies in the domain."""
        if target.dtype.kind not in "biuf":
            raise TypeError(f"{label}: target: got dtype {target.dtype}, need numbers")
        if target.shape != prediction.shape:
            raise ValueError(
                f"{label}: target: got shape {target.shape}, need {prediction.shape}, that of the prediction "
                "(broadcasting would pair every prediction with every target)"
            )
        self._check_domain(label, target)
        if target.dtype == prediction.dtype:
            return target
        with np.errstate(over="ignore"):
            converted = target.astype(prediction.dtype)
        _check.refuse(
            label, "target", target, ~np.isfinite(converted), f"values are too large for {prediction.dtype}"
        )
        return converted

    def _check_domain(self, label: str, target: Array) -> None:
        """Refuse a target outside the domain: here, one that is not finite."""
        _check.refuse(label, "target", target, ~np.isfinite(target), "values are not finite")

    def _check_prediction(self, label: str, prediction: Array) -> None:
        """Refuse a prediction outside the domain: here, one that is not finite."""
        _check.refuse(label, "prediction", prediction, ~np.isfinite(prediction), "values are not finite")

    def _count(self, label: str, prediction: Array, target: Array) -> float:
        """Return what the sum is divided by for the mean."""
        return prediction.size

    def _terms(self, prediction: Array, target: Array) -> Array:
        """Return the loss of each element, or of each row."""
        raise NotImplementedError

    def _gradient(self, prediction: Array, target: Array, out: Array) -> None:
        """Fill `out` with the derivative of the sum by each prediction."""
        raise NotImplementedError

    def _options(self) -> dict[str, Any]:
        """Return the arguments besides the reduction, for the name."""
        return {}

    def __repr__(self) -> str:
        """Return the arguments that it was made with."""
        options = {name: value for name, value in self._options().items() if value is not None and value != 0}
        arguments = ", ".join(
            f"{name}={value!r}" for name, value in (options | {"reduction": self.reduction}).items()
        )
        return f"{type(self).__name__}({arguments})"


class _Binary(Loss):
    """A loss of two classes: labels from 0 to 1, with a weight of the positive class and smoothing."""

    def __init__(
        self,
        *,
        pos_weight: ArrayLike | None = None,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        self.pos_weight = None if pos_weight is None else _weights("pos_weight", pos_weight)
        self.label_smoothing = _smoothing(label_smoothing)

    def _check_domain(self, label: str, target: Array) -> None:
        outside = ~((target >= 0) & (target <= 1))  # NaN is outside too
        _check.refuse(label, "target", target, outside, "labels are outside [0, 1]")

    def _checked(self, label: str, prediction: Array, target: Array) -> Array:
        target = super()._checked(label, prediction, target)
        if self.pos_weight is not None and self.pos_weight.shape not in ((), target.shape[-1:]):
            raise ValueError(
                f"{label}: pos_weight: got shape {self.pos_weight.shape}, need one number, or one for each of the "
                f"columns of the prediction, of shape {prediction.shape}"
            )
        if self.label_smoothing:
            half = target.dtype.type(self.label_smoothing / 2)
            target = target * target.dtype.type(1 - self.label_smoothing) + half
        return target

    def _weighted(self, target: Array) -> Array:
        """Return the positive class's share of each element: t times its weight."""
        return target if self.pos_weight is None else target * self.pos_weight.astype(target.dtype)

    def _options(self) -> dict[str, Any]:
        weight = None if self.pos_weight is None else self.pos_weight.tolist()
        return {"pos_weight": weight, "label_smoothing": self.label_smoothing}


class BCEWithLogitsLoss(_Binary):
    """Binary cross-entropy of logits: −w·t·ln σ(x) − (1 − t)·ln(1 − σ(x)), σ the sigmoid, w = `pos_weight` or 1.

    Computed as max(x, 0) − x·t + ln(1 + e^−|x|), which never takes the logarithm of 0 and never overflows (N3); its
    derivative is σ(x) − t. With w it is w·t·ln(1 + e^−x) + (1 − t)·ln(1 + e^x).

    Parameters
    ----------
    pos_weight : float or array_like of float, shape (columns,), optional
        w, above 0: negatives / positives makes the classes weigh the same. It moves what the model is calibrated to.
    label_smoothing : float
        s from 0 to 1: each label t becomes (1 − s)·t + s/2.
    reduction : {"mean", "sum", "none"}
        Over all elements. The sum is taken in float64; the mean divides by their number, whatever they weigh.

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
    Where others differ: torch's takes labels outside [0, 1] and returns what the formula gives, and has no smoothing.
    """

    def _terms(self, prediction: Array, target: Array) -> Array:
        if self.pos_weight is not None:
            terms = functional.softplus(-prediction) * self._weighted(target)
            terms += functional.softplus(prediction) * (1 - target)
            return np.asarray(terms)
        terms = functional.softplus(-np.abs(prediction))
        terms += np.maximum(prediction, 0) - prediction * target
        return terms

    def _gradient(self, prediction: Array, target: Array, out: Array) -> None:
        functional.sigmoid(prediction, out=out)
        weighted = self._weighted(target)
        if self.pos_weight is not None:
            out *= 1 - target + weighted
        out -= weighted


class BCELoss(_Binary):
    """Binary cross-entropy of probabilities: −w·t·ln p − (1 − t)·ln(1 − p), w = `pos_weight` or 1.

    The logarithm of 0 is guarded (N3): a logarithm below −100 counts as −100, so that a probability of exactly 0 for a
    positive costs 100 and not ∞. The gradient (p(1 − t) − w·t·(1 − p))/(p(1 − p)) has a denominator of at least 1e-12.
    Both guards are torch's. `guarded` is the number of elements that they touched in the last forward: a probability
    that got there has lost its digits, and `BCEWithLogitsLoss`, which needs no guard, is the better loss.

    Parameters
    ----------
    pos_weight, label_smoothing, reduction
        As for `BCEWithLogitsLoss`.
    guard : {"floor", "raise"}
        ``"raise"``: a probability that needs the guard is an error instead.

    Attributes
    ----------
    guarded : int
        Elements of the last forward with p(1 − p) below 1e-12: only there does a guard do anything.

    Raises
    ------
    ValueError
        A target or a prediction is outside [0, 1]; the shapes differ; with ``guard="raise"``, a loss that is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> loss = nn.BCELoss(reduction="none")
    >>> loss.forward(np.array([0.5, 1.0, 0.0]), np.array([1, 1, 1])).tolist()
    [0.6931471805599453, -0.0, 100.0]
    >>> loss.guarded
    2
    >>> nn.BCELoss(guard="raise").forward(np.array([0.5, 0.0]), np.array([1, 1]))
    Traceback (most recent call last):
    ValueError: BCELoss: prediction: 1 probabilities are 0 or 1 within 1e-12, the first is 0.0 at index 1
    """

    _LOWEST_LOG = -100.0
    _LEAST = 1e-12

    def __init__(
        self,
        *,
        pos_weight: ArrayLike | None = None,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
        guard: Literal["floor", "raise"] = "floor",
    ) -> None:
        super().__init__(pos_weight=pos_weight, label_smoothing=label_smoothing, reduction=reduction)
        if guard not in ("floor", "raise"):
            raise ValueError(f"guard: got {guard!r}, need 'floor' or 'raise'")
        self.guard = guard
        self.guarded = 0

    def _check_prediction(self, label: str, prediction: Array) -> None:
        outside = ~((prediction >= 0) & (prediction <= 1))
        _check.refuse(label, "prediction", prediction, outside, "probabilities are outside [0, 1]")
        near = prediction * (1 - prediction) < self._LEAST
        self.guarded = int(near.sum())
        if self.guard == "raise":
            _check.refuse(label, "prediction", prediction, near, "probabilities are 0 or 1 within 1e-12")

    def _terms(self, prediction: Array, target: Array) -> Array:
        with np.errstate(divide="ignore"):
            positive = np.maximum(functional.log(prediction), self._LOWEST_LOG)
            negative = np.maximum(functional.log1p(-prediction), self._LOWEST_LOG)
        return np.asarray(-(self._weighted(target) * positive + (1 - target) * negative))

    def _gradient(self, prediction: Array, target: Array, out: Array) -> None:
        np.multiply(prediction, 1 - target, out=out)
        out -= self._weighted(target) * (1 - prediction)
        out /= np.maximum(prediction * (1 - prediction), self._LEAST)

    def _options(self) -> dict[str, Any]:
        return super()._options() | {"guard": self.guard}


class CrossEntropyLoss(Loss):
    """Cross-entropy of classes from logits: −Σ_c w_c·q_c·ln p_c for each row, p = softmax(z), w = `weight` or 1.

    q is 1 for the class of the row, or a row of soft labels; smoothing makes (1 − s)·q + s/C of it. The logarithm is
    log-softmax: never of 0. The gradient of a row is p·Σ_c a_c − a with a = w·q.

    Parameters
    ----------
    weight : array_like of float, shape (C,), optional
        Of each class, at least 0.
    label_smoothing : float
        s, from 0 to 1.
    reduction : {"mean", "sum", "none"}
        Over all rows. The mean divides by Σ w of the rows' classes, or, with soft labels, by the number of rows, as torch
        has it.

    Raises
    ------
    ValueError
        The prediction is not (rows, C); a label is not one of 0 … C − 1; soft labels are negative or do not add up to 1;
        the mean of no row, or of rows that weigh nothing, is asked for.
    TypeError
        Class labels that are not whole numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> loss = nn.CrossEntropyLoss()
    >>> z = np.array([[0.0, 0.0], [1000.0, 0.0]])
    >>> loss.forward(z, np.array([1, 0]))
    0.34657359027997264
    >>> loss.backward().tolist()
    [[0.25, -0.25], [0.0, 0.0]]
    >>> loss.forward(z, np.array([[0.5, 0.5], [1.0, 0.0]]))
    0.34657359027997264
    >>> loss.forward(z, np.array([1, 2]))
    Traceback (most recent call last):
    ValueError: CrossEntropyLoss: target: 1 labels are not 0 to 1, the first is 2 at index 1

    Notes
    -----
    Where others differ: torch's takes soft labels that do not add up to 1, and skips rows with the label −100, which is
    an error here. With two classes it is `BCEWithLogitsLoss` of z₁ − z₀ (A6).
    """

    def __init__(
        self,
        *,
        weight: ArrayLike | None = None,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        self.weight = None if weight is None else _weights("weight", weight, zero=True)
        if self.weight is not None and self.weight.ndim != 1:
            raise ValueError(f"weight: got shape {self.weight.shape}, need (classes,)")
        self.label_smoothing = _smoothing(label_smoothing)

    def _checked(self, label: str, prediction: Array, target: Array) -> Array:
        """Return the target: class labels as int64, soft labels in the dtype of the prediction."""
        if prediction.ndim != 2 or prediction.shape[1] == 0:
            raise ValueError(f"{label}: prediction: got shape {prediction.shape}, need (rows, classes)")
        rows, classes = prediction.shape
        if self.weight is not None and len(self.weight) != classes:
            raise ValueError(
                f"{label}: weight: got {len(self.weight)} weights, need {classes}, one for each class"
            )
        if target.shape == prediction.shape:
            return super()._checked(label, prediction, target)
        if target.shape != (rows,):
            raise ValueError(
                f"{label}: target: got shape {target.shape}, need ({rows},), a class for each row, "
                f"or {prediction.shape}, soft labels"
            )
        if target.dtype.kind not in "biu":
            raise TypeError(
                f"{label}: target: got dtype {target.dtype}, need whole numbers: one class for each row"
            )
        outside = (target < 0) | (target >= classes)
        _check.refuse(label, "target", target, outside, f"labels are not 0 to {classes - 1}")
        return target.astype(np.int64)

    def _check_domain(self, label: str, target: Array) -> None:
        _check.refuse(label, "target", target, ~(target >= 0), "soft labels are not at least 0")
        totals = target.sum(axis=1, dtype=np.float64)
        off = ~(np.abs(totals - 1) <= _TOTAL * target.shape[1])
        _check.refuse(label, "target", totals, off, "rows of soft labels do not add up to 1")

    def _count(self, label: str, prediction: Array, target: Array) -> float:
        if self.weight is None or target.ndim == 2:
            return len(prediction)
        total = float(self.weight[target].sum())
        if total == 0:
            raise ValueError(
                f"{label}: weight: the classes of all {len(target)} rows weigh 0: they have no mean"
            )
        return total

    def _shares(self, prediction: Array, target: Array) -> Array:
        """Return a = w·q, of the shape of the prediction."""
        classes, kind = prediction.shape[1], prediction.dtype
        q = np.eye(classes, dtype=kind)[target] if target.ndim == 1 else target
        if self.label_smoothing:
            q = q * kind.type(1 - self.label_smoothing) + kind.type(self.label_smoothing / classes)
        return q if self.weight is None else q * self.weight.astype(kind)

    def _terms(self, prediction: Array, target: Array) -> Array:
        log = np.maximum(functional.log_softmax(prediction), np.finfo(prediction.dtype).min)  # 0·∞ is not 0
        log *= self._shares(prediction, target)
        return np.asarray(-log.sum(axis=1))

    def _gradient(self, prediction: Array, target: Array, out: Array) -> None:
        shares = self._shares(prediction, target)
        functional.softmax(prediction, out=out)
        out *= shares.sum(axis=1, keepdims=True)
        out -= shares

    def _options(self) -> dict[str, Any]:
        weight = None if self.weight is None else self.weight.tolist()
        return {"weight": weight, "label_smoothing": self.label_smoothing}


class MSELoss(Loss):
    """Squared error: (x − t)², with the derivative 2(x − t).

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        Over all elements.

    Raises
    ------
    ValueError
        The shapes differ; a prediction or a target is not finite; the mean of no element is asked for.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> loss = nn.MSELoss()
    >>> loss.forward(np.array([1.0, 3.0]), np.array([0.0, 5.0]))
    2.5
    >>> loss.backward().tolist()
    [1.0, -2.0]
    """

    def _terms(self, prediction: Array, target: Array) -> Array:
        return np.asarray(np.square(prediction - target))

    def _gradient(self, prediction: Array, target: Array, out: Array) -> None:
        np.subtract(prediction, target, out=out)
        out *= 2


class SquaredError(MSELoss):
    """Half of the squared error: ½·(x − t)², whose derivative is the residual itself. What boosting fits its stages by.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> loss = nn.SquaredError(reduction="sum")
    >>> loss.forward(np.array([1.0, 4.0]), np.array([1.0, 2.0])), loss.backward().tolist()
    (2.0, [0.0, 2.0])
    """

    def _terms(self, prediction: Array, target: Array) -> Array:
        return np.asarray(super()._terms(prediction, target) / 2)

    def _gradient(self, prediction: Array, target: Array, out: Array) -> None:
        np.subtract(prediction, target, out=out)


class L1Loss(Loss):
    """Absolute error: |x − t|, with the derivative sign(x − t), which is 0 where they are equal.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        Over all elements.

    Raises
    ------
    ValueError
        As `MSELoss`.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> loss = nn.L1Loss(reduction="sum")
    >>> loss.forward(np.array([1.0, 3.0, 4.0]), np.array([0.0, 5.0, 4.0]))
    3.0
    >>> loss.backward().tolist()
    [1.0, -1.0, 0.0]
    """

    def _terms(self, prediction: Array, target: Array) -> Array:
        return np.asarray(np.abs(prediction - target))

    def _gradient(self, prediction: Array, target: Array, out: Array) -> None:
        np.subtract(prediction, target, out=out)
        np.sign(out, out=out)


class HuberLoss(Loss):
    """½d² where |d| <= δ, and δ(|d| − ½δ) beyond, d = x − t: its derivative is d, cut off at ±δ.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        Over all elements.
    delta : float
        δ, above 0.

    Raises
    ------
    ValueError
        δ is not above 0; otherwise as `MSELoss`.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> loss = nn.HuberLoss(reduction="sum", delta=1.0)
    >>> loss.forward(np.array([0.5, 3.0]), np.zeros(2))
    2.625
    >>> loss.backward().tolist()
    [0.5, 1.0]

    Notes
    -----
    Where others differ: torch's SmoothL1Loss is this one divided by δ.
    """

    def __init__(self, reduction: Reduction = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        need = "a finite number above 0"
        self.delta = _check.number("delta", delta, need)
        if not 0 < self.delta < float("inf"):
            raise ValueError(f"delta: got {delta!r}, need {need}")

    def _terms(self, prediction: Array, target: Array) -> Array:
        size = np.abs(prediction - target)
        near = np.minimum(size, self.delta)
        return np.asarray(near * (size - 0.5 * near))

    def _gradient(self, prediction: Array, target: Array, out: Array) -> None:
        np.subtract(prediction, target, out=out)
        np.clip(out, -self.delta, self.delta, out=out)

    def _options(self) -> dict[str, Any]:
        return {"delta": self.delta}


def scalar(loss: Loss) -> None:
    """Refuse a loss of each element: a step needs one number."""
    if loss.reduction == "none":
        raise ValueError("loss: got reduction='none', need 'mean' or 'sum'")


def _weights(name: str, weights: ArrayLike, zero: bool = False) -> Array:
    """Return weights as finite float64 numbers above 0, or not below it."""
    found = np.asarray(weights)
    if found.dtype.kind not in "iuf":
        raise TypeError(f"{name}: got dtype {found.dtype}, need numbers")
    found = found.astype(np.float64)
    bad = ~(np.isfinite(found) & ((found >= 0) if zero else (found > 0)))
    if bad.any():
        need = "finite numbers of at least 0" if zero else "finite numbers above 0"
        raise ValueError(f"{name}: got {found[bad][0]}, need {need}")
    return found


def _smoothing(value: float) -> float:
    need = "a number from 0 to 1"
    found = _check.number("label_smoothing", value, need)
    if not 0 <= found <= 1:
        raise ValueError(f"label_smoothing: got {value!r}, need {need}")
    return found
