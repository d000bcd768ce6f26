"""Activations and their backward passes, of a million float32 numbers, against torch's kernels.

| id | what |
|---|---|
| `gelu_f32/1Mi` … | y of x |
| `gelu_backward_f32/1Mi` … | dx of x (or of y) and dy |

The answer is that of the formula in float64. Both sides write into arrays that are there: ours by ``out=``, torch by the
``out`` form of its kernel, without autograd. `gelu` is the exact one, by the error function.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from bandwidth import limits
from fourstep import nn
from harness import Array, Case, Ready, Rival, measure, module

THREADS = (1, 2)
ELEMENTS, SMALL = 1 << 20, 1 << 12
#: Of the largest result; torch's sigmoid, tanh and GELU are within some units of float32's last place.
TOLERANCE = 1e-6

_ERF = np.vectorize(math.erf, otypes=[np.float64])


def _sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1, e) / (1 + e))


def _normal(x: Array) -> Array:
    return np.asarray(0.5 * (1 + _ERF(x * 0.5**0.5)))


def _density(x: Array) -> Array:
    return np.asarray(np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi))


@dataclass(frozen=True)
class Activation:
    """Ours, the formulas, and what torch's kernel takes beside the arrays."""

    id: str
    ours: Callable[[], Any]
    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    torch: str
    arguments: tuple[Any, ...] = ()
    named: tuple[tuple[str, Any], ...] = ()
    #: The kernel of the backward pass, whether it starts from y, and what it takes.
    back: str = ""
    from_output: bool = False
    back_arguments: tuple[Any, ...] = ()


ACTIVATIONS = (
    Activation(
        "sigmoid",
        nn.Sigmoid,
        _sigmoid,
        lambda x: _sigmoid(x) * _sigmoid(-x),
        "sigmoid",
        back="sigmoid_backward",
        from_output=True,
    ),
    Activation(
        "tanh",
        nn.Tanh,
        np.tanh,
        lambda x: 1 - np.tanh(x) ** 2,
        "tanh",
        back="tanh_backward",
        from_output=True,
    ),
    Activation(
        "leaky_relu",
        nn.LeakyReLU,
        lambda x: np.maximum(0.01 * x, x),
        lambda x: np.where(x > 0, 1, 0.01),
        "leaky_relu",
        (0.01,),
        back="leaky_relu_backward",
        back_arguments=(0.01, False),
    ),
    Activation(
        "elu",
        nn.ELU,
        lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
        lambda x: np.exp(np.minimum(x, 0)),
        "elu",
        back="elu_backward",
    ),
    Activation(
        "gelu",
        nn.GELU,
        lambda x: x * _normal(x),
        lambda x: _normal(x) + x * _density(x),
        "gelu",
        named=(("approximate", "none"),),
        back="gelu_backward",
    ),
    Activation(
        "silu",
        nn.SiLU,
        lambda x: x * _sigmoid(x),
        lambda x: _sigmoid(x) * (1 + x * _sigmoid(-x)),
        "silu",
        back="silu_backward",
    ),
    Activation(
        "softplus",
        nn.Softplus,
        lambda x: np.logaddexp(0, x),
        _sigmoid,
        "softplus",
        back="softplus_backward",
        back_arguments=(1.0, 20.0),
    ),
)


def cases(small: bool = False) -> list[Case]:
    """Return every case."""
    n = SMALL if small else ELEMENTS
    return [
        _case(one, backward, n, threads)
        for one in ACTIVATIONS
        for backward in (False, True)
        for threads in THREADS
    ]


def test_activations(benchmark: Any, case: Case, rival: Rival) -> None:
    measure(benchmark, case, rival)


def _case(one: Activation, backward: bool, n: int, threads: int) -> Case:
    expected = partial(_expected, one, backward, n)
    rivals = (
        Rival("fourstep out=", partial(_ours, one, backward, n), expected, TOLERANCE),
        Rival("torch out=", partial(_torch, one, backward, n), expected, TOLERANCE, needs="torch"),
    )
    name = f"{one.id}{'_backward' * backward}_f32/{n >> 20 or n}{'Mi' * (n >= 1 << 20)}/{threads}"
    return Case(name, rivals, threads, n, (12 if backward else 8) * n, limits(n, 2, 1, threads, 1))


@lru_cache(maxsize=1)
def _data(n: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    return (2 * rng.standard_normal(n)).astype(np.float32), rng.standard_normal(n).astype(np.float32)


def _expected(one: Activation, backward: bool, n: int) -> Array:
    x, dy = (array.astype(np.float64) for array in _data(n))
    return one.slope(x) * dy if backward else one.value(x)


def _ours(one: Activation, backward: bool, n: int) -> Ready:
    """Backward is what the layer does with what its forward kept: a call of it alone would be refused."""
    x, dy = _data(n)
    layer, out = one.ours(), np.empty_like(x)
    if not backward:
        return Ready(lambda: layer.forward(x, out), lambda: out)
    layer.forward(x)
    kept = layer.kept()
    return Ready(lambda: layer._chain(kept, dy, out), lambda: out)


def _torch(one: Activation, backward: bool, n: int) -> Ready:
    torch = module("torch")
    x, dy = map(torch.from_numpy, _data(n))
    into, aten = torch.empty_like(x), torch.ops.aten
    if not backward:
        run = getattr(aten, one.torch).out
        return Ready(lambda: run(x, *one.arguments, **dict(one.named), out=into), lambda: into)
    run = getattr(aten, one.back).grad_input
    kept = getattr(torch, one.torch)(x) if one.from_output else x
    if one.id == "elu":
        return Ready(lambda: run(dy, 1.0, 1.0, 1.0, False, x, grad_input=into), lambda: into)
    return Ready(lambda: run(dy, kept, *one.back_arguments, **dict(one.named), grad_input=into), lambda: into)
