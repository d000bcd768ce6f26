"""Gradients against finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np

from fourstep.nn.losses import Loss
from fourstep.nn.module import Array, Module


class GradientError(ArithmeticError):
    """A gradient is not what finite differences say."""


def check_gradients(
    model: Module,
    x: Any,
    target: Any = None,
    *,
    loss: Loss | None = None,
    step: float = 1e-5,
    tolerance: float = 1e-6,
    entries: int = 40,
    seed: int = 0,
) -> dict[str, float]:
    """Compare what backward returns with central differences (L(w + h) − L(w − h))/2h, in float64.

    L is the loss, or, without one, Σ r·y with random r, over all arrays where the output is a tuple of them. Up to
    `entries` random elements of each parameter and each input are moved by h = step·max(1, |w|), one at a time. The
    error of an element is |backward − difference| / max(1, |difference|). Running statistics and random masks are set
    back before every forward, so all of them see the same ones; parameters, gradients and buffers are afterwards as
    they were.

    Parameters
    ----------
    model : Module
        Of float64: differences in float32 are noise.
    x : ndarray or sequence of ndarray
        What forward takes. Whole numbers are not moved.
    target : ndarray, optional
        For the loss.
    loss : Loss, optional
        Compare through it.
    step, tolerance : float
        h, and the largest error allowed.
    entries : int
        Elements of each array to compare at most.
    seed : int
        Of r and of the choice of elements.

    Returns
    -------
    dict of str to float
        The largest error of each parameter by name, and of the input as ``"x"`` (``"x[0]"``, … when there are several).

    Raises
    ------
    GradientError
        An error is above `tolerance`: names the array, the element, and both values.
    TypeError
        A parameter or an input is float32.

    Notes
    -----
    A kink within h of an input (ReLU at 0) is an error of the difference, not of the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> wide = dict(dtype="float64", seed=0)
    >>> model = nn.Sequential(nn.Linear(3, 4, **wide), nn.Tanh(), nn.Linear(4, 1, **wide))
    >>> x, target = np.random.default_rng(0).normal(size=(5, 3)), np.array([[0], [1], [1], [0], [1]])
    >>> errors = nn.check_gradients(model, x, target, loss=nn.BCEWithLogitsLoss())
    >>> list(errors), max(errors.values()) < 1e-9
    (['0.weight', '0.bias', '2.weight', '2.bias', 'x'], True)
    """
    if target is not None and loss is None:
        raise ValueError("check_gradients: target: given without a loss, need both or neither")
    rng = np.random.default_rng(seed)
    several = not isinstance(x, np.ndarray)
    for i, part in enumerate(x if several else []):
        if not isinstance(part, np.ndarray):
            raise TypeError(f"check_gradients: x[{i}]: got {type(part).__name__}, need a NumPy array")
    inputs = [part.copy() for part in x] if several else [x.copy()]
    moved = model.named_parameters()
    given = {f"x[{i}]" if several else "x": part for i, part in enumerate(inputs) if part.dtype.kind == "f"}
    for name, array in (moved | given).items():
        if array.dtype != np.float64:
            raise TypeError(f"check_gradients: {name}: got dtype {array.dtype}, need float64")

    before = model.state_dict()
    grads = {name: grad.copy() for name, grad in model.named_grads().items()}
    random: list[Any] = []

    def value() -> float:
        for name, buffer in model.named_buffers().items():
            buffer[...] = before[name]
        y = model.forward(tuple(inputs) if several else inputs[0])
        if loss is not None:
            # Of each element with the reduction "none", where backward gives the gradient of their sum.
            return float(np.sum(loss.forward(y, target)))
        if not random:
            random.append(_like(y, rng))
        return _inner(random[0], y)

    try:
        model.zero_grad()
        value()
        dx = model.backward(loss.backward() if loss is not None else random[0])
        found = {name: grad.copy() for name, grad in model.named_grads().items()}
        for name, (rows, by_row) in model.take_row_grads().items():
            np.add.at(found[name], rows, by_row)
        found |= (
            dict(zip((f"x[{i}]" for i in range(len(inputs))), dx or [None] * len(inputs), strict=True))
            if several
            else {"x": np.array(dx)}
        )
        errors = {}
        for name, array in (moved | given).items():
            chosen = rng.permutation(array.size)[:entries]
            errors[name] = max(
                (_error(name, array, i, found[name], value, step, tolerance) for i in chosen), default=0.0
            )
        return errors
    finally:
        for name, grad in model.named_grads().items():
            grad[...] = grads[name]
        for name, buffer in model.named_buffers().items():
            buffer[...] = before[name]
        model.release()


def _like(y: Any, rng: np.random.Generator) -> Any:
    """Return random numbers in the form of an output: of an array, or of a tuple of outputs."""
    return tuple(_like(part, rng) for part in y) if isinstance(y, tuple) else rng.normal(size=y.shape)


def _inner(r: Any, y: Any) -> float:
    """Return Σ r·y over all arrays of an output."""
    if isinstance(y, tuple):
        return sum(_inner(*both) for both in zip(r, y, strict=True))
    return float((r * y).sum())


def _error(
    name: str, array: Array, i: int, gradient: Array, value: Any, step: float, tolerance: float
) -> float:
    """Return the error of one element, and refuse one that is too large."""
    at = tuple(int(k) for k in np.unravel_index(i, array.shape))
    old = array[at]
    h = step * max(1.0, abs(float(old)))
    values = []
    try:
        for moved in (old + h, old - h):
            array[at] = moved
            values.append(value())
    finally:
        array[at] = old
    difference = (values[0] - values[1]) / float((old + h) - (old - h))
    analytic = float(gradient[at])
    error: float = abs(analytic - difference) / max(1.0, abs(difference))
    if not error <= tolerance:
        raise GradientError(
            f"check_gradients: {name}{list(at)}: backward says {analytic:.9g}, finite differences {difference:.9g}: "
            f"error {error:.2g}, allowed {tolerance:.2g}"
        )
    return error
