"""The four steps of every optimizer at memory speed, exact AUC and batch normalisation: the same bits everywhere.

>>> import numpy as np
>>> import fourstep as fs
>>> arena = fs.Arena({"w": np.array([3.0, -2.0])})
>>> optimizer = fs.optim.Adam(arena, lr=0.1)
>>> for _ in range(200):
...     arena.grad["w"][...] = 2 * arena["w"]  # the gradient of |w|^2
...     optimizer.step()
>>> bool(abs(arena["w"]).max() < 0.1)
True

Every name below is loaded at its first use; importing fourstep imports NumPy and nothing else.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as typing has it, which takes its time to load

if TYPE_CHECKING:
    from typing import Any

    from fourstep import (
        data,
        functions,
        metrics,
        nn,
        optim,
        plot,
        reference,
        schedules,
        sklearn,
        steps,
        train,
    )
    from fourstep._runtime import Runtime, num_threads, runtime, set_num_threads
    from fourstep.arena import Arena
    from fourstep.data.selection import select_features
    from fourstep.optim.compose import FourStep
    from fourstep.state import load, save
    from fourstep.tracing import Trace, trace
    from fourstep.train.run import Run, load_run
    from fourstep.trajectory import Trajectory, minimize

    __version__: str

_MODULES = (
    "data",
    "functions",
    "metrics",
    "nn",
    "optim",
    "plot",
    "reference",
    "schedules",
    "sklearn",
    "steps",
    "torch",
    "train",
)
_NAMES = {
    "Arena": "arena",
    "FourStep": "optim.compose",
    "Run": "train.run",
    "Runtime": "_runtime",
    "Trace": "tracing",
    "Trajectory": "trajectory",
    "load": "state",
    "load_run": "train.run",
    "minimize": "trajectory",
    "num_threads": "_runtime",
    "runtime": "_runtime",
    "save": "state",
    "select_features": "data.selection",
    "set_num_threads": "_runtime",
    "trace": "tracing",
}

__all__ = [
    "Arena",
    "FourStep",
    "Run",
    "Runtime",
    "Trace",
    "Trajectory",
    "data",
    "functions",
    "load",
    "load_run",
    "metrics",
    "minimize",
    "nn",
    "num_threads",
    "optim",
    "plot",
    "reference",
    "runtime",
    "save",
    "schedules",
    "select_features",
    "set_num_threads",
    "sklearn",
    "steps",
    "trace",
    "train",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _MODULES:  # torch too, which is not in __all__: it needs torch
        return import_module(f"fourstep.{name}")
    if name in _NAMES:
        value = getattr(import_module(f"fourstep.{_NAMES[name]}"), name)
    elif name == "__version__":
        value = import_module("fourstep._core").runtime()[5]
    else:
        raise AttributeError(f"module 'fourstep' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
