"""The training loop in full, for small models: what ensembles and experiments fit their members by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from fourstep.arena import Arena
from fourstep.nn import _check
from fourstep.nn.losses import Loss, scalar
from fourstep.nn.minibatches import batches
from fourstep.nn.module import Module
from fourstep.optim import Optimizer
from fourstep.trajectory import Choice, make


def fit(
    model: Module,
    loss: Loss,
    x: Any,
    target: Any,
    *,
    optimizer: Choice = "Adam",
    epochs: int = 100,
    batch_size: int | Literal["full"] = "full",
    seed: int = 0,
    after: Callable[[Arena, Optimizer], None] | None = None,
) -> list[float]:
    """Train a model, and leave it in ``eval()``.

    Parameters
    ----------
    model : Module
        Its parameters become views of an arena of this call.
    loss : Loss
        With ``reduction`` "mean" or "sum".
    x, target : ndarray, or tuples, lists or dicts of them
        Inputs and targets.
    optimizer : callable, str or (str, dict)
        See `fourstep.minimize`: ``"Adam"``, ``("SGD", {"lr": 0.1})``, or a function that makes one over an arena.
    epochs : int
    batch_size : int or "full"
    seed : int
        Of the order of the rows.
    after : callable, optional
        ``after(arena, optimizer)`` is called after each step: for `regularise.max_norm`, a proximal step, `SWA.update`.

    Returns
    -------
    list of float
        The mean loss of the steps of each epoch.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> x = np.random.default_rng(0).normal(size=(64, 2))
    >>> model = nn.Linear(2, 1, dtype="float64", seed=0)
    >>> losses = nn.fit(model, nn.BCEWithLogitsLoss(), x, x[:, :1] > 0, optimizer=("Adam", {"lr": 0.1}))
    >>> losses[-1] < 0.2 < losses[0]
    True
    """
    _check.size("epochs", epochs, least=0)
    scalar(loss)
    arena = Arena(model)
    made, _ = make(optimizer, arena)
    model.train()
    history = []
    for epoch in range(epochs):
        values = []
        for part, wanted in batches((x, target), batch_size, seed=seed, epoch=epoch):
            arena.zero_grad()
            values.append(loss.forward(model.forward(part), wanted))
            model.backward(loss.backward())
            made.step(rows=model.take_row_grads() or None)
            if after is not None:
                after(arena, made)
        history.append(sum(values) / len(values))
    model.eval()
    return history
