"""What depth makes of activations and gradients: the product of factors of the chain rule, layer by layer (G1, G2).

    going forward   std of a layer's output
    going back      std of the gradient of that output,   ∂L/∂y_l = ∂L/∂y_n · Π_{k>l} W_k · f'_k

A factor below 1 a layer makes the gradient vanish, one above 1 makes it explode: 0.99ⁿ → 0. Initial values (Xavier, He)
and batch normalisation are there to keep it about 1 (G4).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fourstep._table import table
from fourstep.nn.losses import Loss
from fourstep.nn.module import Array, Module


@dataclass(frozen=True)
class LayerFlow:
    """One layer of a `Propagation`.

    Attributes
    ----------
    name, kind : str
        Its dotted name and its class.
    activation_std : float
        Standard deviation of all elements of its output.
    gradient_std : float
        Standard deviation about 0 of the gradient of its output: the root of the mean square.
    fault : str
        What is wrong; empty where nothing is.
    """

    name: str
    kind: str
    activation_std: float
    gradient_std: float
    fault: str


@dataclass(frozen=True)
class Propagation:
    """Activations and gradients by layer, from the input to the output; its ``repr`` is the table.

    Attributes
    ----------
    layers : list of LayerFlow
    factor : float
        By how much the gradient is multiplied a layer on its way from the output to the first layer: the geometric mean.
    """

    layers: list[LayerFlow]
    factor: float

    @property
    def warnings(self) -> list[str]:
        """A line for each layer where something vanishes or explodes."""
        return [f"{layer.name or layer.kind}: {layer.fault}" for layer in self.layers if layer.fault]

    def __iter__(self) -> Iterator[LayerFlow]:
        """Iterate over the layers."""
        return iter(self.layers)

    def __len__(self) -> int:
        """Count the layers."""
        return len(self.layers)

    def __repr__(self) -> str:
        """Return the table."""
        rows = [
            (f.name, f.kind, f"{f.activation_std:.3g}", f"{f.gradient_std:.3g}", f.fault) for f in self.layers
        ]
        found = f"{len(self.warnings)} warnings" if self.warnings else "no warnings"
        head = f"gradient × {self.factor:.3g} a layer from the last to the first; {found}"
        return f"{head}\n{table(('layer', 'kind', 'activation', 'gradient', 'warning'), rows)}"


def check_propagation(
    model: Module,
    x: Any,
    target: Any = None,
    *,
    loss: Loss | None = None,
    low: float = 1e-3,
    high: float = 1e3,
    seed: int = 0,
    show: bool = True,
) -> Propagation:
    """Run one batch forward and back, and say where activations or gradients vanish or explode.

    The gradient that goes in at the output is that of the loss, or, without one, random with standard deviation 1. The
    pass is made on a copy: nothing of the model changes, not its gradients, statistics, or dropout counters.

    Parameters
    ----------
    model : Module
    x : ndarray, or sequence of ndarray
        What its forward takes.
    target : ndarray, optional
        For the loss.
    loss : Loss, optional
    low, high : float
        An activation whose standard deviation is below `low` vanishes, above `high` it explodes. A gradient is held
        against the one at the output in the same way, as a ratio.
    seed : int
        Of the random gradient.
    show : bool
        Whether to print the table.

    Returns
    -------
    Propagation

    Raises
    ------
    ValueError
        `low` is not below `high`, or not above 0; whatever the layers refuse.

    Examples
    --------
    Twenty layers of sigmoids: each hands back at most a quarter of the gradient times the weights.

    >>> import numpy as np
    >>> from fourstep import nn
    >>> x = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)
    >>> def deep(activation, fill):
    ...     layers = [layer for i in range(20) for layer in (nn.Linear(32, 32, seed=i), activation())]
    ...     for i, layer in enumerate(layers[::2]):
    ...         fill(layer.params["weight"], seed=i)
    ...     return nn.Sequential(*layers)
    >>> flow = nn.check_propagation(deep(nn.Sigmoid, nn.init.xavier_normal), x, show=False)
    >>> flow.warnings[0], len(flow.warnings)
    ('0: the gradient vanishes (2.4e-13 of that at the output)', 31)
    >>> flow = nn.check_propagation(deep(nn.ReLU, nn.init.he_normal), x, show=False)
    >>> flow.warnings, f"{flow.factor:.2f}"
    ([], '0.96')
    """
    if not 0 < low < high:
        raise ValueError(f"low, high: got {low!r} and {high!r}, need 0 < low < high")
    if target is not None and loss is None:
        raise ValueError("target: given without a loss, need both or neither")
    copied = copy.deepcopy(model)
    copied.release()
    copied.zero_grad()
    outputs: dict[str, float] = {}
    gradients: dict[str, float] = {}
    for name, layer in copied.modules():
        if not layer.children:
            _watch(layer, name, outputs, gradients)
    with np.errstate(over="ignore", invalid="ignore"):  # what explodes is a result here
        y = copied.forward(x)
        y = y[0] if isinstance(y, tuple) else y  # of an output with its state, the output
        if loss is None:
            dy = np.random.default_rng(seed).normal(size=y.shape).astype(y.dtype)
        else:
            loss.forward(y, target)
            dy = loss.backward()
        copied.backward(dy)
    last = _size(dy)
    kinds = {name: type(layer).__name__ for name, layer in copied.modules()}
    layers = [
        LayerFlow(name, kinds[name], std, g := gradients.get(name, 0.0), _fault(std, g, last, low, high))
        for name, std in outputs.items()
    ]
    return _shown(Propagation(layers, _factor(layers, last)), show)


def _watch(layer: Module, name: str, outputs: dict[str, float], gradients: dict[str, float]) -> None:
    """Make a layer note the deviations of what it puts out, and of what comes back to it."""
    forward, backward = layer.forward, layer.backward

    def forward_noted(x: Any, out: Any = None) -> Any:
        y = forward(x, out=out)
        outputs[name] = float(np.std(_wide(y))) if _wide(y).size else 0.0
        return y

    def backward_noted(dy: Any, out: Any = None) -> Any:
        gradients[name] = _size(dy)
        return backward(dy, out=out)

    layer.forward, layer.backward = forward_noted, backward_noted  # type: ignore[method-assign]


def _wide(y: Any) -> Array:
    """Return an output or a gradient in float64; of several, the first that is there."""
    while isinstance(y, tuple):
        y = next(part for part in y if part is not None)
    return np.asarray(y, np.float64)


def _size(dy: Any) -> float:
    """Return the root of the mean square."""
    wide = _wide(dy)
    return float(np.sqrt(np.mean(wide * wide))) if wide.size else 0.0


def _fault(std: float, gradient: float, last: float, low: float, high: float) -> str:
    """Return what is wrong with a layer; the gradient first, as nothing is learned without it."""
    faults = []
    ratio = gradient / last if last else 0.0
    if not np.isfinite([std, gradient]).all():
        faults.append("not finite")
    else:
        if last and ratio < low:
            faults.append(f"the gradient vanishes ({ratio:.2g} of that at the output)")
        elif ratio > high:
            faults.append(f"the gradient explodes ({ratio:.2g} times that at the output)")
        if std < low:
            faults.append(f"the activation vanishes (std {std:.2g})")
        elif std > high:
            faults.append(f"the activation explodes (std {std:.2g})")
    return "; ".join(faults)


def _factor(layers: list[LayerFlow], last: float) -> float:
    if len(layers) < 2 or not last:
        return 1.0
    return float((layers[0].gradient_std / last) ** (1 / (len(layers) - 1)))


def _shown(result: Propagation, show: bool) -> Propagation:
    if show:
        print(result)
    return result
