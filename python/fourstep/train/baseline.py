"""Two logistic regressions on the same rows, by the same code: what the network has to beat.

    one_hot       the categorical fields alone
    same_inputs   the fields, the numbers and the history: all that the network sees

Both are the linear term of the model alone, trained to convergence with L2.
The settings were chosen by hand on validation rows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fourstep.train.clock import Clock
from fourstep.train.progress import Progress, Silent
from fourstep.train.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from fourstep.data import Inputs
    from fourstep.train.config import Config
    from fourstep.train.features import Sizes

__all__ = ["BASELINES", "baseline", "settings"]

BASELINES = ("one_hot", "same_inputs")


def settings(config: Config) -> Config:
    """Return the settings of logistic regression, with the data and the seed of a run."""
    return config.but(
        model="lr",
        hidden=(),
        embedding_dim=0,
        ensemble=1,
        init_from="",
        init_match=("*",),
        init_freeze=False,
        init_lr=0.0,
        wide=True,
        optimizer="adam",
        lr=0.02,
        schedule="cosine",
        warmup=0.0,
        horizon=0,
        epochs=12,
        batch_size=2048,
        weight_decay=0.0,
        wide_decay=2e-5,
        l1=0.0,
        l2=0.0,
        clip_norm=0.0,
        clip_value=0.0,
        groups={},
    )


def baseline(
    kind: str,
    config: Config,
    inputs: Inputs,
    sizes: Sizes,
    label: npt.NDArray[np.uint8],
    rows: npt.NDArray[np.int64],
    stop: Callable[[], bool],
    progress: Progress | None = None,
) -> Trainer | None:
    """Train one; return None if `stop` said so."""
    if kind == "one_hot":
        none = np.zeros((len(inputs), 0), np.float32)
        inputs = replace(inputs, dense=none, dense_names=())
        sizes = sizes.but(dense=0)
    made = settings(config)
    trainer = Trainer(made, inputs, sizes, label, rows, Clock())
    progress = progress or Silent()
    progress.stage(f"baseline {kind}", trainer.steps * made.epochs, 0)
    try:
        for _ in range(made.epochs):
            if not trainer.run_epoch(stop, progress, made.epochs) or stop():
                return None
            trainer.close_epoch()
    finally:
        progress.close()
    return trainer
