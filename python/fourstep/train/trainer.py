"""One model, one optimizer, one set of rows: a step, an epoch, a prediction, and all of its state.

The order of the rows is a function of (seed, epoch), and what dropout drops is one of (seed, step). So the
state is the weights, the buffers, the optimizer, the place in the run and two sums: going on from it gives
the bits of a run that never stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fourstep import nn, optim
from fourstep.arena import Arena
from fourstep.data import batches
from fourstep.train.errors import ConfigError, RunError
from fourstep.train.groups import groups
from fourstep.train.kinds import KINDS, SPARSE
from fourstep.train.model import ClickModel
from fourstep.train.schedule import schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from fourstep.data import Inputs
    from fourstep.train.clock import Clock
    from fourstep.train.config import Config
    from fourstep.train.progress import Progress

__all__ = ["Trainer", "optimizer", "predict"]

EVALUATED = 8192  # rows of a batch without gradients

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


def optimizer(arena: Arena, config: Config, steps_per_epoch: int) -> optim.Optimizer:
    """Make the optimizer that the configuration names, with its groups, schedule and clipping."""
    kinds = SPARSE if config.sparse else KINDS
    try:
        return kinds[config.optimizer](
            arena,
            lr=schedule(config, config.lr, steps_per_epoch),
            groups=groups(arena, config, steps_per_epoch),
            clip_norm=config.clip_norm or None,
            clip_value=config.clip_value or None,
            state_dtype=config.state_dtype,
            # To the nearest, a slow average would not move.
            stochastic_rounding=config.state_dtype == "bfloat16",
            seed=config.seed,
        )
    except ValueError as refusal:
        raise ConfigError(str(refusal)) from None


def predict(model: ClickModel, inputs: Inputs, rows: Rows | None = None) -> Floats:
    """Return the probability of each row, by the model in eval mode."""
    model.eval()
    rows = np.arange(len(inputs)) if rows is None else rows
    p = np.empty(len(rows), np.float64)
    for start in range(0, len(rows), EVALUATED):
        part = rows[start : start + EVALUATED]
        logits = model.forward((inputs.fields[part], inputs.dense[part]))
        p[start : start + len(part)] = nn.functional.sigmoid(logits.astype(np.float64))
    return p


class Trainer:
    """Trains a `ClickModel` on some rows.

    Parameters
    ----------
    config : Config
    inputs : Inputs
        Of all rows of the data.
    cardinalities : sequence of int
        Indices of each field.
    label : (n,) uint8
    rows : (m,) int64
        The rows to train on.
    clock : Clock
    """

    def __init__(
        self,
        config: Config,
        inputs: Inputs,
        cardinalities: dict[str, int],
        label: npt.NDArray[np.uint8],
        rows: Rows,
        clock: Clock,
    ) -> None:
        self.config, self.inputs, self.rows, self.clock = config, inputs, rows, clock
        self.label = label.astype(np.float32)
        self.model = ClickModel(config, list(cardinalities.values()), inputs.dense.shape[1], clock)
        self.model.start_at(float(label[rows].mean()))
        self.arena = Arena(self.model)
        self.steps = sum(1 for _ in batches(len(rows), config.batch_size, shuffle=False))
        self.schedule = schedule(config, config.lr, self.steps)
        self.optimizer = optimizer(self.arena, config, self.steps)
        self.loss = nn.BCEWithLogitsLoss()
        #: Whole epochs done; steps, summed loss and seconds of the one that is under way.
        self.epoch, self.step = 0, 0
        self.loss_sum, self.epoch_seconds = 0.0, 0.0

    def lr_at(self, step: int) -> float:
        """Learning rate of a step of the run, in the groups that have none of their own."""
        return self.schedule(step)

    @property
    def lr_before(self) -> float:
        """Learning rate of the last step."""
        return self.lr_at(self.optimizer.step_count - 1)

    def run_epoch(self, stop: Callable[[], bool], progress: Progress, epochs: int) -> bool:
        """Train to the end of the epoch, or until `stop` says so between two steps; tell whether the end was reached."""
        self.model.train()
        order = batches(len(self.rows), self.config.batch_size, seed=self.config.seed, epoch=self.epoch)
        shown = f"{self.epoch + 1}/{epochs}"
        seen = 0
        self.clock.lap("other")
        before = self.clock.total
        for number, places in enumerate(order):
            seen += len(places)
            if number < self.step:
                continue
            value = self._step(self.rows[places])
            self.loss_sum += value * len(places)
            self.step += 1
            progress.step(shown, self.loss_sum / seen, self.lr_before, len(places))
            self.clock.lap("other")
            if self.step < self.steps and stop():
                break
        self.epoch_seconds += self.clock.total - before
        return self.step == self.steps

    def _step(self, rows: Rows) -> float:
        model, inputs, clock = self.model, self.inputs, self.clock
        fields, dense, target = inputs.fields[rows], inputs.dense[rows], self.label[rows]
        clock.lap("data")
        self.arena.zero_grad()
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                value = float(self.loss.forward(model.forward((fields, dense)), target))
                model.backward(self.loss.backward())
            clock.lap("other")
            self.optimizer.step(rows=model.take_row_grads() or None)
        except ValueError as error:
            if "finite" not in str(error):
                raise
            raise RunError(
                f"the training diverged in epoch {self.epoch + 1}, step {self.step + 1} ({error});"
                " lower --lr, or limit the gradients by --clip-norm"
            ) from error
        clock.lap("optimizer")
        return value

    def close_epoch(self) -> tuple[float, float]:
        """Go to the next epoch; return mean loss and seconds of the one that ended."""
        mean, seconds = self.loss_sum / len(self.rows), self.epoch_seconds
        self.epoch, self.step, self.loss_sum, self.epoch_seconds = self.epoch + 1, 0, 0.0, 0.0
        return mean, seconds

    def predict(self, rows: Rows) -> Floats:
        """Return the probability of each of the given rows."""
        with self.clock.all_as("evaluation"):
            return predict(self.model, self.inputs, rows)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next step depends on."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "loss_sum": self.loss_sum,
            "epoch_seconds": self.epoch_seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.step = int(state["epoch"]), int(state["step"])
        self.loss_sum, self.epoch_seconds = float(state["loss_sum"]), float(state["epoch_seconds"])
