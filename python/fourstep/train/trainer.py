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
from fourstep.train.groups import groups, penalised
from fourstep.train.kinds import KINDS, SPARSE
from fourstep.train.model import Batch, ClickModel, Committee, build
from fourstep.train.schedule import schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from fourstep.data import Inputs
    from fourstep.train.clock import Clock
    from fourstep.train.config import Config
    from fourstep.train.features import Sizes
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


def batch(inputs: Inputs, rows: Rows, *, in_place: bool = False) -> Batch:
    """Return what a model takes of some rows; with `in_place` the position too."""
    position = inputs.position[rows] if in_place and inputs.position is not None else None
    bags = [bag.take(rows) for bag in inputs.bags.values()]
    return Batch(inputs.fields[rows], inputs.dense[rows], bags, position)


def predict(
    model: ClickModel | Committee, inputs: Inputs, rows: Rows | None = None, *, in_place: bool = False
) -> Floats:
    """Return the probability of each row, by the model in eval mode: the mean of all members.

    With `in_place` each row is scored at its position, else at the neutral one.
    """
    model.eval()
    rows = np.arange(len(inputs)) if rows is None else rows
    p = np.zeros(len(rows), np.float64)
    for start in range(0, len(rows), EVALUATED):
        part = rows[start : start + EVALUATED]
        x = batch(inputs, part, in_place=in_place)
        for member in model.members:
            p[start : start + len(part)] += nn.functional.sigmoid(member.forward(x).astype(np.float64))
    return p / len(model.members)


class Trainer:
    """Trains a `ClickModel`, or a committee of them, on some rows.

    Parameters
    ----------
    config : Config
    inputs : Inputs
        Of all rows of the data.
    sizes : Sizes
        Of the inputs.
    label : (n,) uint8
    rows : (m,) int64
        The rows to train on.
    clock : Clock
    """

    def __init__(
        self,
        config: Config,
        inputs: Inputs,
        sizes: Sizes,
        label: npt.NDArray[np.uint8],
        rows: Rows,
        clock: Clock,
    ) -> None:
        self.config, self.inputs, self.rows, self.clock = config, inputs, rows, clock
        self.label = label.astype(np.float32)
        self.model = build(config, sizes, clock)
        self.model.start_at(float(label[rows].mean()))
        if inputs.position is not None:
            self.model.average_over(inputs.position[rows])
        self.arena = Arena(self.model)
        self.steps = sum(1 for _ in batches(len(rows), config.batch_size, shuffle=False))
        self.schedule = schedule(config, config.lr, self.steps)
        self.optimizer = optimizer(self.arena, config, self.steps)
        self.loss = nn.BCEWithLogitsLoss()
        self.l1 = [
            (group, nn.regularise.L1(config.l1, params=names))
            for group in self.optimizer.param_groups
            if (names := [name for name in group["names"] if penalised(name)]) and config.l1
        ]
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

    @property
    def done(self) -> int:
        """Steps of the run so far."""
        return self.epoch * self.steps + self.step

    def run_epoch(
        self,
        stop: Callable[[], bool],
        progress: Progress,
        epochs: int,
        glance: Callable[[], None] | None = None,
    ) -> bool:
        """Train to the end of the epoch, or until `stop` says so between two steps; tell whether the end was reached.

        `glance` is called after every ``eval_steps`` steps but at the end of the epoch, where all is measured anyway.
        """
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
            every = self.config.eval_steps
            if glance is not None and every and self.done % every == 0 and self.step < self.steps:
                self.epoch_seconds += self.clock.total - before
                glance()
                self.model.train()
                before = self.clock.total
            if self.step < self.steps and stop():
                break
        self.epoch_seconds += self.clock.total - before
        return self.step == self.steps

    def _step(self, rows: Rows) -> float:
        model, clock = self.model, self.clock
        x, target = batch(self.inputs, rows, in_place=True), self.label[rows]
        clock.lap("data")
        self.arena.zero_grad()
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                value = sum(self._learn(member, x, target) for member in model.members)
            clock.lap("other")
            rates = [group["lr"] for group, _ in self.l1]
            self.optimizer.step(rows=model.take_row_grads() or None)
            for (group, l1), lr in zip(self.l1, rates, strict=True):
                if group["trainable"]:
                    l1.prox(self.arena, lr)
        except ValueError as error:
            if "finite" not in str(error):
                raise
            raise RunError(
                f"the training diverged in epoch {self.epoch + 1}, step {self.step + 1} ({error});"
                " lower --lr, or limit the gradients by --clip-norm"
            ) from error
        clock.lap("optimizer")
        return value / len(model.members)

    def _learn(self, member: ClickModel, x: Batch, target: npt.NDArray[np.float32]) -> float:
        """Add to the gradients of one member; return its loss."""
        value = float(self.loss.forward(member.forward(x), target))
        member.backward(self.loss.backward())
        return value

    def close_epoch(self) -> tuple[float, float]:
        """Go to the next epoch; return mean loss and seconds of the one that ended."""
        mean, seconds = self.loss_sum / len(self.rows), self.epoch_seconds
        self.epoch, self.step, self.loss_sum, self.epoch_seconds = self.epoch + 1, 0, 0.0, 0.0
        return mean, seconds

    def predict(self, rows: Rows, *, in_place: bool = False) -> Floats:
        """Return the probability of each of the given rows; with `in_place` at its position."""
        with self.clock.all_as("evaluation"):
            return predict(self.model, self.inputs, rows, in_place=in_place)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next step depends on."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "steps": self.steps,
            "loss_sum": self.loss_sum,
            "epoch_seconds": self.epoch_seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.step = int(state["epoch"]), int(state["step"])
        self.loss_sum, self.epoch_seconds = float(state["loss_sum"]), float(state["epoch_seconds"])
