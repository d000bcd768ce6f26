"""Running statistics that are exactly those of given batches: after averaging weights, or for a lagging average."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fourstep.nn.batch_norm import BatchNorm
from fourstep.nn.dropout import Dropout
from fourstep.nn.module import Array, Module
from fourstep.nn.moments import Moments


def recalibrate(model: Module, batches: Iterable[Any]) -> int:
    """Make the running statistics of every `BatchNorm` those of all values of these batches together ("precise BN").

    The moments of the batches are merged exactly (`Moments`), so batches of unequal size count by their values. A layer
    sees what the layers before it make of the batch, normalised by the whole batch, without ghosts; dropout is off. A
    batch with one value in each channel counts as well; having no variance, it is normalised by what was pooled so far,
    also in a layer without running statistics, which keeps nothing of it. Values that are not finite are refused, left
    out or let into the statistics, as each layer's `nonfinite` says. Modes are afterwards as they were.

    Parameters
    ----------
    model : Module
        A `BatchNorm`, or a model that has some.
    batches : iterable
        Of what ``model.forward`` takes; training rows, without labels.

    Returns
    -------
    int
        How many batches there were.

    Raises
    ------
    ValueError
        The model has no BatchNorm with running statistics; there is no batch, or a layer saw one value in each channel in
        all; the layer's dtype cannot hold the mean or variance. After any error the statistics are as before.

    See Also
    --------
    batch_moments, set_moments : its two halves, for several workers.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> model = nn.Sequential(nn.BatchNorm(1, dtype="float64"))
    >>> nn.recalibrate(model, [np.array([[1.0], [3.0]]), np.array([[5.0], [7.0], [9.0]])])
    2
    >>> layer = model.children["0"]
    >>> layer.buffers["running_mean"].tolist(), layer.buffers["running_var"].tolist()
    ([5.0], [10.0])
    """
    count, moments = _gathered(model, batches)
    set_moments(model, moments)
    for name, layer in _norms(model).items():
        if name in moments:
            layer.buffers["num_batches_tracked"][...] = count
    return count


def batch_moments(model: Module, batches: Iterable[Any]) -> dict[str, Moments]:
    """Return the moments of the input of every `BatchNorm` over these batches, by name: one worker's part.

    The model is afterwards as before. Merge the parts of all workers with `Moments.merge` and give them to `set_moments`.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> model = nn.Sequential(nn.BatchNorm(1, dtype="float64"))
    >>> a = nn.batch_moments(model, [np.array([[1.0], [3.0]])])
    >>> b = nn.batch_moments(model, [np.array([[5.0], [7.0], [9.0]])])
    >>> nn.set_moments(model, {name: a[name].merge(b[name]) for name in a})
    >>> model.children["0"].buffers["running_mean"].tolist()
    [5.0]
    """
    return _gathered(model, batches)[1]


def set_moments(model: Module, moments: Mapping[str, Moments]) -> None:
    """Make these moments the running statistics of the `BatchNorm` layers of these names.

    Raises
    ------
    KeyError
        No BatchNorm has such a name.
    ValueError
        Of another number of channels, or of too few values for a variance.
    """
    norms = _norms(model)
    for name, of in moments.items():
        if name not in norms:
            raise KeyError(
                f"moments: no BatchNorm is called {name!r}; there are {', '.join(map(repr, norms))}"
            )
        layer = norms[name]
        if of.mean.size != layer.num_features:
            raise ValueError(
                f"{layer.label}: moments: got {of.mean.size} channels, need {layer.num_features}"
            )
        if of.n < 2:
            raise ValueError(f"{layer.label}: moments: got {of.n} values in a channel, need at least 2")
        broken = np.flatnonzero(~np.isfinite(_held(layer, of)).all(axis=0))
        if broken.size and layer.nonfinite != "propagate":
            channel = int(broken[0])
            fault = "too large for its running statistics" if np.isfinite(of.mean[channel]) else "not finite"
            raise ValueError(
                f"{layer.label}: moments: the mean or variance is {fault}, first in channel {channel}"
            )
    for name, of in moments.items():
        buffers = norms[name].buffers
        buffers["running_mean"][...], buffers["running_var"][...] = _held(norms[name], of)


def _held(layer: BatchNorm, of: Moments) -> Array:
    """Return mean and variance as the running statistics of a layer hold them; what is too large is infinite."""
    with np.errstate(over="ignore"):
        rows: Array = np.stack([of.mean, of.var(unbiased=layer.running_var == "unbiased")])
        return rows.astype(layer.buffers["running_var"].dtype)


def _norms(model: Module) -> dict[str, BatchNorm]:
    found = {
        name: layer
        for name, layer in model.modules()
        if isinstance(layer, BatchNorm) and layer.track_running_stats
    }
    if not found:
        raise ValueError("model: has no BatchNorm with running statistics, need at least one")
    return found


def _gathered(model: Module, batches: Iterable[Any]) -> tuple[int, dict[str, Moments]]:
    """Return the number of batches, and the moments of what they make of every BatchNorm's input."""
    norms = _norms(model)
    buffers = {name: array.copy() for name, array in model.named_buffers().items()}
    pooling = [module for _, module in model.modules() if isinstance(module, BatchNorm)]
    skipped = [layer.skipped for layer in pooling]
    modes = [(module, module.training) for _, module in model.modules()]
    dropouts = [module for module, _ in modes if isinstance(module, Dropout)]
    count = 0
    try:
        model.train()
        for dropout in dropouts:
            dropout.training = False
        for layer in pooling:  # also those that keep nothing: a single row is normalised by it
            layer._pooled = Moments.none(layer.num_features)
        for x in batches:
            model.forward(x)
            count += 1
        if not count:
            raise ValueError("batches: got none, need at least one")
        found = {name: layer._pooled for name, layer in norms.items()}
        return count, {name: moments for name, moments in found.items() if moments is not None and moments.n}
    finally:
        for layer, before in zip(pooling, skipped, strict=True):
            layer._pooled, layer.skipped = None, before
        for name, array in model.named_buffers().items():
            array[...] = buffers[name]
        for module, mode in modes:
            module.training = mode
