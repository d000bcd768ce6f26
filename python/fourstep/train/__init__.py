"""Training a click model, end to end: what `fourstep train`, `fourstep score` and `fourstep evaluate` do.

    data → split → pipeline → search (early stopping) → refit → test → baselines → report
"""

from __future__ import annotations

from fourstep.train.command import resume, train
from fourstep.train.config import Config
from fourstep.train.errors import ConfigError, Interrupted, RunError
from fourstep.train.job import Outcome
from fourstep.train.run import Run, load_run

__all__ = ["Config", "ConfigError", "Interrupted", "Outcome", "Run", "RunError", "load_run", "resume", "train"]
