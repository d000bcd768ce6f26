"""How noisy the gradient of a batch is, measured from two batch sizes (D2).

A batch of B rows, drawn independently, has E‖G_B‖² = ‖G‖² + tr(Σ)/B, where G is the gradient of all rows and Σ the
covariance of the gradient of one. Two sizes are two equations:

    ‖G‖²  ≈ (B·‖G_B‖² − b·‖G_b‖²)/(B − b)              unbiased
    tr(Σ) ≈ (‖G_b‖² − ‖G_B‖²)/(1/b − 1/B)              unbiased
    noise scale = tr(Σ)/‖G‖²                            of the two means: as a ratio it is biased, less with more repeats

Batches far smaller than it: twice the rows nearly halve the steps. Far larger: they hardly save any. It grows during a
training, as ‖G‖ shrinks.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fourstep.nn import _check, _rows
from fourstep.nn.batch_norm import BatchNorm
from fourstep.nn.losses import Loss
from fourstep.nn.module import Array, Module


@dataclass(frozen=True)
class NoiseScale:
    """What `gradient_noise_scale` measured.

    Attributes
    ----------
    scale : float
        tr(Σ)/‖G‖², in rows; infinite where the estimate of ‖G‖² is not above 0, which happens close to a minimum: the
        gradient is then too small to be told from its noise.
    signal, noise : float
        The estimates of ‖G‖² and tr(Σ).
    signal_se, noise_se : float
        Their standard errors over the repeats; NaN for a single one.
    small, big, repeats : int
    """

    scale: float
    signal: float
    noise: float
    signal_se: float
    noise_se: float
    small: int
    big: int
    repeats: int

    def __float__(self) -> float:
        """Return the scale."""
        return self.scale

    def __repr__(self) -> str:
        """Return a line."""
        return (
            f"NoiseScale({self.scale:.4g} rows: noise {self.noise:.4g} ± {self.noise_se:.2g}, "
            f"signal {self.signal:.4g} ± {self.signal_se:.2g}; {self.repeats} × batches of {self.small} and {self.big})"
        )


def signal_and_noise(small_square: float, big_square: float, small: int, big: int) -> tuple[float, float]:
    """Return the estimates of ‖G‖² and tr(Σ) from ‖G_b‖² and ‖G_B‖².

    Examples
    --------
    >>> signal_and_noise(small_square=1 + 12 / 4, big_square=1 + 12 / 16, small=4, big=16)
    (1.0, 12.0)
    """
    signal = (big * big_square - small * small_square) / (big - small)
    noise = (small_square - big_square) / (1 / small - 1 / big)
    return signal, noise


def gradient_noise_scale(
    model: Module,
    loss: Loss,
    x: Any,
    target: Any,
    *,
    small: int = 1,
    big: int = 64,
    repeats: int = 20,
    seed: int = 0,
) -> NoiseScale:
    """Measure the gradient noise scale of a model where it is now.

    Each repeat draws `big` rows with replacement, runs them forward and back in parts of `small`, and compares the mean
    square norm of the parts with that of their mean. The passes are made on a copy: nothing of the model changes. What
    dropout adds to the noise is in it, unless the model is in ``eval()``; batch normalisation in training is refused, as
    its rows are not independent.

    Parameters
    ----------
    model : Module
    loss : Loss
        With ``reduction="mean"``.
    x, target : ndarray, or tuples, lists or dicts of them
        The rows to draw from.
    small, big : int
        b and B: `big` is a multiple of `small`, at least twice as large.
    repeats : int
        How many large batches.
    seed : int
        Of the rows.

    Returns
    -------
    NoiseScale

    Raises
    ------
    ValueError
        No rows; sizes that do not fit; a loss that is a sum; batch statistics.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(500, 3))
    >>> y = x @ [[1.0], [2.0], [3.0]] + rng.normal(size=(500, 1))
    >>> model = nn.Linear(3, 1, dtype="float64", seed=0)
    >>> far = nn.gradient_noise_scale(model, nn.SquaredError(), x, y)
    >>> _ = nn.fit(model, nn.SquaredError(), x, y, optimizer=("SGD", {"lr": 0.1}), epochs=20)
    >>> near = nn.gradient_noise_scale(model, nn.SquaredError(), x, y)
    >>> 1 < far.scale < 10 < near.scale
    True

    References
    ----------
    McCandlish, Kaplan, Amodei et al. 2018, "An Empirical Model of Large-Batch Training", appendix A.1.
    """
    small, repeats = _check.size("small", small), _check.size("repeats", repeats)
    big = _check.size("big", big, least=2 * small)
    if big % small:
        raise ValueError(f"big: got {big}, need a multiple of small={small}")
    if loss.reduction != "mean":
        raise ValueError(f"loss: got reduction={loss.reduction!r}, need 'mean'")
    rows = _rows.count((x, target), "x, target")
    if not rows:
        raise ValueError("x: got no rows, need at least one")
    if not model.named_parameters():
        raise ValueError("model: has no parameters, need at least one")
    _refuse_batch_statistics(model)
    copied = copy.deepcopy(model)
    draw = np.random.default_rng(seed)
    found = np.array(
        [
            signal_and_noise(
                *_squares(copied, loss, x, target, draw.integers(0, rows, big), small), small, big
            )
            for _ in range(repeats)
        ]
    )
    signal, noise = (float(v) for v in found.mean(axis=0))
    errors = found.std(axis=0, ddof=1) / math.sqrt(repeats) if repeats > 1 else (math.nan, math.nan)
    scale = noise / signal if signal > 0 else math.inf
    return NoiseScale(scale, signal, noise, float(errors[0]), float(errors[1]), small, big, repeats)


def _refuse_batch_statistics(model: Module) -> None:
    for _, layer in model.modules():
        if isinstance(layer, BatchNorm) and layer.training:
            raise ValueError(
                f"{layer.label}: the rows of a batch are not independent in training; call eval() first"
            )


def _squares(
    model: Module, loss: Loss, x: Any, target: Any, chosen: Array, small: int
) -> tuple[float, float]:
    """Return the mean of ‖G_b‖² over the parts of a batch, and ‖G_B‖²."""
    parts = [chosen[start : start + small] for start in range(0, len(chosen), small)]
    total: Array | None = None
    squares = 0.0
    for part in parts:
        model.zero_grad()
        loss.forward(model.forward(_rows.take(x, part)), _rows.take(target, part))
        model.backward(loss.backward())
        g = _flat(model)
        squares += float(g @ g)
        total = g if total is None else total + g
    assert total is not None, "there are at least two parts"
    mean = total / len(parts)
    return squares / len(parts), float(mean @ mean)


def _flat(model: Module) -> Array:
    """Return all gradients as one vector in float64, those that are kept by rows among them."""
    grads = {name: g.astype(np.float64) for name, g in model.named_grads().items()}
    for name, (rows, by_row) in model.take_row_grads().items():
        np.add.at(grads[name], rows, by_row)
    return np.concatenate([g.reshape(-1) for g in grads.values()])
