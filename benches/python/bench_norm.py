"""Batch normalisation in training against torch in each layout, and with fused ReLU against torch's pair.

The answer is that of two passes in float64, after one call, within a tolerance that torch meets too. (That ours has the
bits of its twin is tested elsewhere; over these arrays the twin would take minutes.)

| id | what |
|---|---|
| `batch_norm_forward_f32` | y and the running statistics |
| `batch_norm_backward_f32` | dx, dγ and dβ from x, dy and the statistics of a forward pass that is not timed |
| `batch_norm_relu_f32` | forward and backward, with ReLU behind |

`out` in a rival's name: it writes into arrays that were there before, on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from bandwidth import limits
from harness import Array, Case, Ready, Rival, measure, module

THREADS = (1, 2)
TOLERANCE = 1e-4
EPS = 1e-5
MOMENTUM = 0.1
KINDS = ("forward", "backward", "relu")

Shape = tuple[int, ...]
Results = tuple[Any, ...]


@dataclass(frozen=True)
class Input:
    """What is normalised."""

    shape: Shape
    #: Whether channels lie side by side in memory.
    last: bool = False
    kinds: tuple[str, ...] = KINDS

    @property
    def id(self) -> str:
        """Shape, and `_last` for channels-last."""
        return "x".join(map(str, self.shape)) + "_last" * self.last


INPUTS = (
    Input((32, 64, 56, 56)),
    Input((32, 256, 28, 28)),
    Input((32, 512, 7, 7)),
    Input((64, 3, 224, 224)),
    Input((64, 64, 112, 112), kinds=("forward",)),
    Input((32, 64, 56, 56), last=True),
    Input((32, 256, 28, 28), last=True),
    Input((65536, 64)),
    Input((4096, 256)),
    Input((1024, 4096)),
    Input((256, 64)),
    Input((32, 64)),
    Input((128, 256)),
)
SMALL = (Input((32, 8)), Input((4, 3, 5, 6)), Input((4, 16, 5, 6), last=True))


def cases(small: bool = False) -> list[Case]:
    """Return every case; none before there is `fourstep.nn`."""
    if find_spec("fourstep.nn") is None:
        return []
    inputs = SMALL if small else INPUTS
    return [
        _case(one, kind, threads, small)
        for one in inputs
        for kind in KINDS
        if kind in one.kinds
        for threads in THREADS
    ]


def test_norm(benchmark: Any, case: Case, rival: Rival) -> None:
    measure(benchmark, case, rival)


#: Arrays that are read and written at least: forward reads x for the statistics and again; backward likewise x and dy.
_TRAFFIC = {"forward": (2, 1), "backward": (4, 1), "relu": (6, 2)}


def _case(one: Input, kind: str, threads: int, small: bool) -> Case:
    elements = int(np.prod(one.shape))
    reads, writes = _TRAFFIC[kind]
    expected = partial(_expected, one, kind)
    rivals = [
        Rival(name, partial(setup, one, kind), expected, TOLERANCE, needs=needs)
        for name, setup, needs in _rivals(kind, small)
    ]
    return Case(
        f"batch_norm_{kind}_f32/{one.id}/{threads}",
        tuple(rivals),
        threads,
        elements,
        4 * (reads + writes) * elements,
        limits(elements, 2, 1, threads, 1),
    )


Setup = Callable[[Input, str], Ready]


def _rivals(kind: str, small: bool) -> Iterator[tuple[str, Setup, str | None]]:
    yield "fourstep", partial(_ours, out=False), None
    yield "fourstep out=", partial(_ours, out=True), None
    yield "torch", _torch, "torch"
    if kind != "relu":
        yield "torch out=", _torch_out, "torch"
    # Compiling takes a minute a shape.
    if not small and kind != "backward":
        yield "torch.compile", _torch_compiled, "torch"


@lru_cache(maxsize=1)
def _data(one: Input) -> tuple[Array, Array]:
    """Return x, with a mean that is not 0, and dy, which is 0 where a rounding decides on which side of ReLU y is."""
    rng = np.random.default_rng(0)
    x, dy = rng.normal(3, 2, one.shape), rng.standard_normal(one.shape)
    mean = x.mean(axis=tuple(i for i in range(x.ndim) if i != 1), keepdims=True)
    dy[np.abs(x - mean) < 1e-3] = 0
    return _laid_out(x.astype(np.float32), one.last), _laid_out(dy.astype(np.float32), one.last)


def _laid_out(x: Array, last: bool) -> Array:
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1) if last else x


@lru_cache(maxsize=1)
def _expected(one: Input, kind: str) -> Results:
    """Return the answer, in two passes of float64, a channel at a time."""
    x, dy = _data(one)
    channels, n = x.shape[1], x.size // x.shape[1]
    y, dx = np.empty_like(x), np.empty_like(x)
    sums = np.empty((4, channels))
    for c in range(channels):
        wide, dz = x[:, c].astype(np.float64), dy[:, c].astype(np.float64)
        mean = wide.mean()
        var = ((wide - mean) ** 2).mean()
        hat = (wide - mean) / np.sqrt(var + EPS)
        if kind == "relu":
            dz = np.where(hat > 0, dz, 0)
        y[:, c] = hat
        dx[:, c] = (dz - dz.mean() - hat * (dz * hat).mean()) / np.sqrt(var + EPS)
        sums[:, c] = mean, var * n / (n - 1), (dz * hat).sum(), dz.sum()
    if kind == "forward":
        return y, MOMENTUM * sums[0], 1 - MOMENTUM + MOMENTUM * sums[1]
    return dx, sums[2], sums[3]


class _Last:
    """The last result of a call, which is the answer."""

    def __init__(self) -> None:
        self.value: Results = ()

    def ready(self, call: Callable[[], Results]) -> Ready:
        def keep() -> None:
            self.value = call()

        return Ready(keep, lambda: self.value)


class _First:
    """The first result of each kind: running statistics go on moving."""

    def __init__(self) -> None:
        self.value: Results = ()

    def __call__(self, y: Any, *running: Any) -> None:
        if not self.value:
            self.value = (y, *(r.copy() if isinstance(r, np.ndarray) else r.clone() for r in running))


def _ours(one: Input, kind: str, out: bool) -> Ready:
    x, dy = _data(one)
    activation = "relu" if kind == "relu" else None
    layer = module("fourstep.nn").BatchNorm(x.shape[1], eps=EPS, momentum=MOMENTUM, activation=activation)
    y_out, dx_out = (np.empty_like(x), np.empty_like(x)) if out else (None, None)
    first = _First()

    def forward() -> None:
        y = layer.forward(x, y_out)
        first(y, layer.buffers["running_mean"], layer.buffers["running_var"])

    if kind == "forward":
        return Ready(forward, lambda: first.value)
    layer.forward(x, y_out)
    kept = layer.kept()

    def backward() -> Results:
        if kind == "relu":
            layer.forward(x, y_out)
        else:
            layer.keep(kept)
        layer.zero_grad()
        return layer.backward(dy, dx_out), layer.grads["weight"], layer.grads["bias"]

    return _Last().ready(backward)


def _tensors(one: Input) -> tuple[Any, Any, Any]:
    """Return x, dy and torch's layer."""
    torch = module("torch")
    x, dy = (torch.from_numpy(array) for array in _data(one))
    kind = torch.nn.BatchNorm1d if x.ndim == 2 else torch.nn.BatchNorm2d
    return x, dy, kind(x.shape[1], eps=EPS, momentum=MOMENTUM)


def _torch(one: Input, kind: str) -> Ready:
    return _through_torch(one, kind, lambda f: f)


def _torch_compiled(one: Input, kind: str) -> Ready:
    return _through_torch(one, kind, module("torch").compile)


def _through_torch(one: Input, kind: str, compiled: Callable[[Any], Any]) -> Ready:
    torch = module("torch")
    x, dy, layer = _tensors(one)
    first = _First()
    if kind == "forward":
        run = compiled(layer)

        def forward() -> None:
            with torch.no_grad():
                first(run(x), layer.running_mean, layer.running_var)

        return Ready(forward, lambda: first.value)
    if kind == "backward":
        mean, invstd = _saved(x)
        none = (None, None)

        def backward() -> Results:
            found: Results = torch.ops.aten.native_batch_norm_backward(
                dy, x, layer.weight.detach(), *none, mean, invstd, True, EPS, [True, True, True]
            )
            return found

        return _Last().ready(backward)
    x.requires_grad_()
    run = compiled(lambda x: torch.relu(layer(x)))

    def both() -> Results:
        found: Results = torch.autograd.grad(run(x), (x, layer.weight, layer.bias), dy)
        return found

    return _Last().ready(both)


def _saved(x: Any) -> tuple[Any, Any]:
    """Return what torch's forward saves for its backward."""
    torch = module("torch")
    return tuple(torch.native_batch_norm(x, None, None, None, None, True, MOMENTUM, EPS)[1:])


def _torch_out(one: Input, kind: str) -> Ready:
    torch = module("torch")
    x, dy, layer = _tensors(one)
    into, channels = torch.empty_like(x), x.shape[1]
    small = [torch.empty(channels) for _ in range(2)]
    weight, bias = layer.weight.detach(), layer.bias.detach()
    first = _First()
    if kind == "forward":

        def forward() -> None:
            running = (layer.running_mean, layer.running_var)
            torch.native_batch_norm(
                x, weight, bias, *running, True, MOMENTUM, EPS, out=(into, small[0], small[1])
            )
            first(into, *running)

        return Ready(forward, lambda: first.value)
    mean, invstd = _saved(x)
    none = (None, None)

    def backward() -> Results:
        found: Results = torch.ops.aten.native_batch_norm_backward.out(
            dy,
            x,
            weight,
            *none,
            mean,
            invstd,
            True,
            EPS,
            [True, True, True],
            out0=into,
            out1=small[0],
            out2=small[1],
        )
        return found

    return _Last().ready(backward)
