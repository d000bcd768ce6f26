"""Monte Carlo dropout: predictions by many sub-networks, their mean and their spread (R5).

    y_s = f(x; mask_s),  s = 1 … k        mean = Σy_s/k,   std = √(Σ(y_s − mean)²/(k − 1))

For a linear network the mean tends to what evaluation says, as E[mask] = 1. For any other it does not: evaluation, which
scales the units, is then an approximation to the mean over sub-networks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fourstep.nn import _check
from fourstep.nn.dropout import Dropout
from fourstep.nn.module import Array, Module, modes_kept


class MonteCarlo(NamedTuple):
    """What `mc_predict` returns.

    Attributes
    ----------
    mean, std : ndarray, shape of an output
        Over the sub-networks; std with k − 1.
    samples : ndarray, shape (k, …)
        What each of them said.
    """

    mean: Array
    std: Array
    samples: Array


def mc_predict(
    model: Module, x: Any, k: int = 50, *, link: Callable[[Array], Array] | None = None
) -> MonteCarlo:
    """Predict by `k` sub-networks: dropout as in training, everything else as in use.

    The masks are those that come next in training, and the counters are set back, so that the same call gives the same
    result, and a training goes on as if it had not been made.

    Parameters
    ----------
    model : Module
        With a `Dropout` that drops something.
    x : ndarray, or sequence of ndarray
        What its forward takes.
    k : int
        Sub-networks, at least 2.
    link : callable, optional
        What to average: ``nn.functional.sigmoid`` averages probabilities instead of logits.

    Returns
    -------
    MonteCarlo

    Raises
    ------
    ValueError
        No layer drops anything; fewer than two sub-networks.
    TypeError
        The output is not one array: behind a recurrent layer stands `LastState` or `AllSteps`.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> model = nn.Sequential(nn.Dropout(0.5, seed=0), nn.Linear(100, 1, dtype="float64", seed=0))
    >>> x = np.ones((1, 100))
    >>> found = nn.mc_predict(model, x, k=1000)
    >>> exact = model.eval().forward(x)  # the network is linear: the mean tends to this
    >>> bool(abs(found.mean - exact)[0, 0] < 3 * found.std[0, 0] / 1000**0.5)
    True

    References
    ----------
    Gal and Ghahramani 2016, "Dropout as a Bayesian Approximation: Representing Model Uncertainty in Deep Learning".
    """
    k = _check.size("k", k, least=2)
    drops = [layer for _, layer in model.modules() if isinstance(layer, Dropout) and layer.p > 0]
    if not drops:
        raise ValueError("model: has no Dropout with p above 0: all sub-networks are the same")
    steps = [layer.buffers["step"].copy() for layer in drops]
    samples = []
    try:
        with modes_kept(model):
            model.eval()
            for layer in drops:
                layer.training = True
            for _ in range(k):
                y = model.forward(x)
                if not isinstance(y, np.ndarray):
                    raise TypeError(f"model: forward made {type(y).__name__}, need an array")
                samples.append(
                    np.array(y if link is None else link(y))
                )  # our own: forward may write there again
    finally:
        for layer, step in zip(drops, steps, strict=True):
            layer.buffers["step"][...] = step
    found = np.stack(samples)
    return MonteCarlo(found.mean(axis=0), found.std(axis=0, ddof=1), found)
