"""Batch normalisation of (N, C) arrays in training, forward and backward, against torch, where `fourstep.nn` is there.

Forward writes y and the running statistics. Backward comes after its forward, as it does in training: the case is both
of them. The answer is the twin's, `fourstep.reference`; torch's fold differs, so it is held to a tolerance.
"""

from __future__ import annotations

from functools import lru_cache, partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from bandwidth import limits
from harness import Array, Case, Ready, Rival, measure, module

SHAPES = ((256, 64), (4096, 256), (65536, 128), (1024, 4096))
SMALL = ((32, 8),)
THREADS = (1, 2)
TOLERANCE = 1e-4  # float32 sums over 65536 rows
EPS = 1e-5
MOMENTUM = 0.1

Shape = tuple[int, int]


def cases(small: bool = False) -> list[Case]:
    """Return every case; none before there is `fourstep.nn`."""
    if find_spec("fourstep.nn") is None:
        return []
    shapes = SMALL if small else SHAPES
    return [
        _case(shape, threads, backward)
        for shape in shapes
        for backward in (False, True)
        for threads in THREADS
    ]


def test_norm(benchmark: Any, case: Case, rival: Rival) -> None:
    measure(benchmark, case, rival)


def _case(shape: Shape, threads: int, backward: bool) -> Case:
    elements = shape[0] * shape[1]
    reads, writes = (3, 2) if backward else (1, 1)  # x to y; then x and dy to dx
    expected = partial(_twin, shape, backward)
    rivals = (
        Rival("fourstep", partial(_ours, shape, backward, False), expected),
        Rival("fourstep out=", partial(_ours, shape, backward, True), expected),
        Rival("numpy", partial(_numpy, shape, backward), expected, TOLERANCE),
        Rival("torch", partial(_torch, shape, backward), expected, TOLERANCE, needs="torch"),
    )
    what = "forward_backward" if backward else "forward"
    return Case(
        f"batch_norm_{what}_f32/{shape[0]}x{shape[1]}/{threads}",
        rivals,
        threads,
        elements,
        4 * (reads + writes) * elements,
        limits(elements, reads, writes, threads, 1),
    )


@lru_cache(maxsize=1)
def _data(shape: Shape) -> tuple[Array, Array]:
    """Return x, with a mean that is not 0, and dy."""
    rng = np.random.default_rng(0)
    return rng.normal(3, 2, shape).astype(np.float32), rng.standard_normal(shape).astype(np.float32)


@lru_cache(maxsize=1)
def _twin(shape: Shape, backward: bool) -> tuple[Array, ...]:
    x, dy = _data(shape)
    layer = module("fourstep.reference").BatchNorm(shape[1], eps=EPS, momentum=MOMENTUM)
    y = layer.forward(x)
    return layer.backward(dy) if backward else (y, layer.running_mean, layer.running_var)


class _Last:
    """The last result of a call, which is the answer."""

    def __init__(self) -> None:
        self.value: tuple[Any, ...] = ()

    def ready(self, call: Any) -> Ready:
        def keep() -> None:
            self.value = call()

        return Ready(keep, lambda: self.value)


def _ours(shape: Shape, backward: bool, out: bool) -> Ready:
    x, dy = _data(shape)
    layer = module("fourstep.nn").BatchNorm(shape[1], eps=EPS, momentum=MOMENTUM)
    y_out, dx_out = (np.empty_like(x), np.empty_like(x)) if out else (None, None)

    def forward() -> tuple[Array, ...]:
        y = layer.forward(x, y_out)
        return y, layer.buffers["running_mean"], layer.buffers["running_var"]

    def both() -> tuple[Array, ...]:
        layer.zero_grad()
        layer.forward(x, y_out)
        dx = layer.backward(dy, dx_out)
        return dx, layer.grads["weight"], layer.grads["bias"]

    return _Last().ready(both if backward else forward)


def _numpy(shape: Shape, backward: bool) -> Ready:
    x, dy = _data(shape)
    n, channels = shape
    gamma, beta = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    running_mean, running_var = np.zeros(channels, np.float32), np.ones(channels, np.float32)

    def normalised() -> tuple[Array, Array]:
        mean, var = x.mean(0), x.var(0)
        running_mean[...] = (1 - MOMENTUM) * running_mean + MOMENTUM * mean
        running_var[...] = (1 - MOMENTUM) * running_var + MOMENTUM * var * (n / (n - 1))
        invstd = 1 / np.sqrt(var + EPS)
        return (x - mean) * invstd, invstd

    def forward() -> tuple[Array, ...]:
        hat, _ = normalised()
        return hat * gamma + beta, running_mean, running_var

    def both() -> tuple[Array, ...]:
        hat, invstd = normalised()
        _ = hat * gamma + beta
        dgamma, dbeta = (dy * hat).sum(0), dy.sum(0)
        return (dy - dbeta / n - hat * (dgamma / n)) * (gamma * invstd), dgamma, dbeta

    return _Last().ready(both if backward else forward)


def _torch(shape: Shape, backward: bool) -> Ready:
    torch = module("torch")
    x, dy = (torch.tensor(array) for array in _data(shape))
    layer = torch.nn.BatchNorm1d(shape[1], eps=EPS, momentum=MOMENTUM)

    def forward() -> tuple[Any, ...]:
        with torch.no_grad():
            return layer(x), layer.running_mean, layer.running_var

    def both() -> tuple[Any, ...]:
        result: tuple[Any, ...] = torch.autograd.grad(layer(x), (x, layer.weight, layer.bias), dy)
        return result

    if backward:
        x.requires_grad_()
    return _Last().ready(both if backward else forward)
