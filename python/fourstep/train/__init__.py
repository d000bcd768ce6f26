"""Training a click model, end to end: what `fourstep train`, `compare`, `score` and `evaluate` do.

    data → split → pipeline → search (early stopping) → refit → test → baselines → report

Each name is loaded at its first use: the command reads its flags without NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fourstep.train.command import resume, train
    from fourstep.train.compare import Comparison, compare
    from fourstep.train.config import Config
    from fourstep.train.errors import ConfigError, Interrupted, RunError
    from fourstep.train.evaluate import evaluate
    from fourstep.train.job import Outcome
    from fourstep.train.run import Run, load_run
    from fourstep.train.score import score

_NAMES = {
    "Comparison": "compare",
    "Config": "config",
    "ConfigError": "errors",
    "Interrupted": "errors",
    "Outcome": "job",
    "Run": "run",
    "RunError": "errors",
    "compare": "compare",
    "evaluate": "evaluate",
    "load_run": "run",
    "resume": "command",
    "score": "score",
    "train": "command",
}

__all__ = [
    "Comparison",
    "Config",
    "ConfigError",
    "Interrupted",
    "Outcome",
    "Run",
    "RunError",
    "compare",
    "evaluate",
    "load_run",
    "resume",
    "score",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'fourstep.train' has no attribute {name!r}")
    value = getattr(import_module(f"fourstep.train.{_NAMES[name]}"), name)
    globals()[name] = value
    return value
