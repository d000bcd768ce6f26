"""The activations as functions of one number, in the order of the notes (A2) and then the later ones.

Softmax and maxout take several numbers. Here is the smallest case: softmax of (x, 0), which is the sigmoid (A6), and
maxout of (x, −x), which is |x|.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from fourstep.nn import functional
from fourstep.nn.module import Array

Function: TypeAlias = Callable[[Array], Array]


@dataclass(frozen=True)
class Scalar:
    """An activation of one number: its formulas, itself, and its derivative."""

    name: str
    value: str
    derivative: str
    f: Function
    df: Function


def _beside(x: Array, other: Array) -> Array:
    return np.stack([x, other], axis=-1)


def _softmax(x: Array) -> Array:
    return functional.softmax(_beside(x, np.zeros_like(x)))[..., 0]


def _dsoftmax(x: Array) -> Array:
    both = functional.softmax(_beside(x, np.zeros_like(x)))
    return np.asarray(both[..., 0] * both[..., 1])


def _log_softmax(x: Array) -> Array:
    return functional.log_softmax(_beside(x, np.zeros_like(x)))[..., 0]


def _dlog_softmax(x: Array) -> Array:
    return functional.softmax(_beside(x, np.zeros_like(x)))[..., 1]


def _maxout(x: Array) -> Array:
    return functional.maxout(_beside(x, -x))[..., 0]


def _dmaxout(x: Array) -> Array:
    winners = functional.dmaxout(_beside(x, -x))
    return np.asarray(winners[..., 0] - winners[..., 1])


SCALARS = {
    scalar.name: scalar
    for scalar in (
        Scalar("sigmoid", "1/(1 + e^−x)", "σ(1 − σ)", functional.sigmoid, functional.dsigmoid),
        Scalar("tanh", "tanh x", "1 − tanh² x", functional.tanh, functional.dtanh),
        Scalar("relu", "max(x, 0)", "1 if x > 0, else 0", functional.relu, functional.drelu),
        Scalar(
            "leaky_relu",
            "max(0.01x, x)",
            "1 if x > 0, else 0.01",
            functional.leaky_relu,
            functional.dleaky_relu,
        ),
        Scalar("maxout", "max(x, −x)", "the winner's weight", _maxout, _dmaxout),
        Scalar("softmax", "e^x/(e^x + e^0)", "p(1 − p)", _softmax, _dsoftmax),
        Scalar("log_softmax", "x − ln(e^x + e^0)", "1 − p", _log_softmax, _dlog_softmax),
        Scalar("elu", "x if x > 0, else e^x − 1", "1 if x > 0, else e^x", functional.elu, functional.delu),
        Scalar("gelu", "x·Φ(x)", "Φ + xφ", functional.gelu, functional.dgelu),
        Scalar(
            "gelu_tanh",
            "x·σ(2√(2/π)(x + 0.044715x³))",
            "σ + xσ(1 − σ)u′",
            partial(functional.gelu, approximate="tanh"),
            partial(functional.dgelu, approximate="tanh"),
        ),
        Scalar("silu", "x·σ(x)", "σ + xσ(1 − σ)", functional.silu, functional.dsilu),
        Scalar("softplus", "ln(1 + e^x)", "σ(x)", functional.softplus, functional.dsoftplus),
    )
}


def scalar(name: str) -> Scalar:
    """Return an activation by its name."""
    if name not in SCALARS:
        raise ValueError(f"activation: got {name!r}, need one of {', '.join(SCALARS)}")
    return SCALARS[name]


def scalars(names: str | Iterable[str] | None) -> list[Scalar]:
    """Return activations by their names; a lone name is one, None stands for all."""
    if names is None:
        return list(SCALARS.values())
    return [scalar(name) for name in ([names] if isinstance(names, str) else names)]
