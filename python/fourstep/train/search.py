"""Early stopping: which epoch was best, and whether to wait for a better one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fourstep.train.checkpoint import pack, unpack
from fourstep.train.measures import watched

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from fourstep.data import Dataset, Split
    from fourstep.train.trainer import Trainer

__all__ = ["Search"]


class Search:
    """The epochs on the training rows, watched on the validation rows.

    Attributes
    ----------
    trainer : Trainer
    history : list of dict
        A line an epoch.
    glances : list of dict
        A line for each of the moments that ``eval_steps`` asks for, and for the end of each epoch.
    best_epoch : int
        0 before the first.
    best : dict or None
        Weights of the best epoch.
    """

    def __init__(self, trainer: Trainer, dataset: Dataset, parts: Split) -> None:
        self.trainer, self.label, self.groups, self.parts = trainer, dataset.label, dataset.groups, parts
        self.history: list[dict[str, Any]] = []
        self.glances: list[dict[str, Any]] = []
        self.best_epoch, self.best = 0, dict[str, Any]()

    def over(self, epochs: int) -> bool:
        """Whether there is nothing more to train."""
        return self.trainer.epoch >= epochs or self.waited >= self.trainer.config.patience

    @property
    def waited(self) -> int:
        """Epochs since the best one."""
        return self.trainer.epoch - self.best_epoch

    @property
    def monitor(self) -> str:
        """What early stopping looks at."""
        return "valid_gauc" if self.history and self.history[0]["valid_gauc"] is not None else "valid_auc"

    def watch(self) -> dict[str, Any]:
        """Evaluate the epoch that just ended, keep its weights if it is the best, and return its line."""
        trainer, clock = self.trainer, self.trainer.clock
        lr = trainer.lr_before
        mean, seconds = trainer.close_epoch()
        before = clock.seconds["evaluation"]
        with clock.all_as("evaluation"):
            train, valid = (self._figures(rows) for rows in (self.parts.train, self.parts.valid))
        line: dict[str, Any] = {"epoch": trainer.epoch, "step_loss": mean}
        for name, of_train, of_valid in zip(("loss", "auc", "gauc"), train, valid, strict=True):
            line[f"train_{name}"], line[f"valid_{name}"] = of_train, of_valid
            # the gap is how much worse the validation rows are: above 0 whatever the figure (R3)
            known = of_train is not None and of_valid is not None
            line[f"gap_{name}"] = (of_valid - of_train) * (1 if name == "loss" else -1) if known else None
        line |= {
            "lr": lr,
            "examples_per_second": len(trainer.rows) / max(seconds, 1e-9),
            "train_seconds": seconds,
            "eval_seconds": clock.seconds["evaluation"] - before,
        }
        self.history.append(line)
        if trainer.config.eval_steps:
            self._note(line["valid_loss"], line["valid_auc"], line["valid_gauc"])
        if not self.best_epoch or line[self.monitor] > self.history[self.best_epoch - 1][self.monitor]:
            self.best_epoch, self.best = trainer.epoch, trainer.model.state_dict()
        return line

    def glance(self) -> None:
        """Measure the validation rows in the midst of an epoch."""
        with self.trainer.clock.all_as("evaluation"):
            self._note(*self._figures(self.parts.valid))

    def _note(self, loss: float, auc: float, gauc: float | None) -> None:
        trainer = self.trainer
        seconds = sum(line["train_seconds"] for line in self.history) + trainer.epoch_seconds
        line = {"step": trainer.done, "seconds": seconds}
        self.glances.append(line | {"valid_loss": loss, "valid_auc": auc, "valid_gauc": gauc})

    def _figures(self, rows: npt.NDArray[np.int64]) -> tuple[Any, ...]:
        groups = None if self.groups is None else self.groups[rows]
        return watched(self.label[rows], self.trainer.predict(rows), groups)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next epoch depends on."""
        return {
            "trainer": self.trainer.state_dict(),
            "history": pack(self.history),
            "glances": pack(self.glances),
            "best_epoch": self.best_epoch,
            "best": self.best,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.trainer.load_state_dict(state["trainer"])
        self.history, self.glances = unpack(state["history"]), unpack(state.get("glances", "[]"))
        self.best_epoch, self.best = int(state["best_epoch"]), dict(state["best"])
