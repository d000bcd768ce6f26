"""The main job: data → split → pipeline → search → refit → test → baselines.

Three stages, each of which can be interrupted and gone on with: "search" trains on the training rows until
the validation rows say stop; "refit" trains anew on both for as many epochs; "done". What comes after the
training is short and done again from the start.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fourstep import metrics
from fourstep._runtime import runtime
from fourstep.data import Dataset, Inputs
from fourstep.data import memory as data_memory
from fourstep.data.errors import counted
from fourstep.train import checkpoint, folder, source
from fourstep.train.baseline import BASELINES, baseline
from fourstep.train.checkpoint import pack, unpack
from fourstep.train.clock import Clock
from fourstep.train.errors import Interrupted, RunError
from fourstep.train.features import Features
from fourstep.train.interrupt import Interrupt
from fourstep.train.measures import Measures, measure
from fourstep.train.search import Search
from fourstep.train.threads import limited
from fourstep.train.trainer import Trainer
from fourstep.train.transfer import Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from fourstep.train.config import Config
    from fourstep.train.progress import Progress

__all__ = ["Job", "Outcome"]

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a finished job has to show.

    Attributes
    ----------
    config : Config
        As it was settled.
    metrics : dict
        What is in ``metrics.json``.
    history : list of dict
        What is in ``history.jsonl``.
    best_epoch : int
    label, score : (n,) array
        The test rows.
    """

    config: Config
    metrics: dict[str, Any]
    history: list[dict[str, Any]]
    best_epoch: int
    label: npt.NDArray[np.uint8]
    score: Floats


class Job:
    """One run, from its data to its figures.

    Parameters
    ----------
    config : Config
        With `data`, `out` and `horizon` settled.
    progress : Progress
    saved : dict, optional
        The checkpoint to go on from.
    """

    def __init__(self, config: Config, progress: Progress, saved: dict[str, Any] | None = None) -> None:
        self.config, self.progress, self.saved = config, progress, saved
        self.out = Path(config.out)
        self.finished_epochs = 0
        self.made: list[str] = []  # what this run wrote into its folder: that alone is its own to remove
        self.clock = Clock()
        if saved is not None:
            self.clock.seconds.update({part: float(seconds) for part, seconds in saved["seconds"].items()})

    def run(self) -> Outcome:
        """Do what is left to do.

        Raises
        ------
        Interrupted
            Ctrl-C between two steps; what was done is saved.
        KeyboardInterrupt
            Ctrl-C before the first step, or a second one: the last checkpoint counts.
        """
        self._prepare()
        with limited(self.config.threads, self._product()), Interrupt() as interrupt:
            try:
                self._begin()
                return self._stages(lambda: interrupt.requested)
            finally:
                self.progress.close()

    # ---- before the training

    def _prepare(self) -> None:
        """Load the data and fit the pipeline. Nothing is written yet."""
        config, clock = self.config, self.clock
        self.dataset = source.load(config)
        self.parts = source.cut(config, self.dataset)
        self.origin = Source(config) if config.init_from else None
        learned = source.shuffled(config, self.dataset, self.parts.train)
        self.features, self.inputs = self._fit(learned, self.parts.train)
        fingerprint = self.features.fingerprint()
        if self.saved is not None and self.saved["fingerprint"] != fingerprint:
            raise RunError(
                f"{self.out}: {config.data} is not what it was when the run began; start a new run"
            )
        origin = "" if self.origin is None else checkpoint.digest(self.origin.state)
        if self.saved is not None and str(self.saved.get("origin", "")) != origin:
            raise RunError(
                f"{self.out}: {config.init_from} is not what it was when the run began; start a new run"
            )
        self.fingerprint, self.origin_digest = fingerprint, origin
        odd = self.features.transform(self.dataset, np.concatenate([self.parts.valid, self.parts.test]))
        self.counted = {"unseen": odd.unseen, "rare": odd.rare, "null": self.inputs.nulls}
        clock.lap("data")
        trainer = self._trainer(self.inputs, self.features, learned, self.parts.train, clock)
        self.search = Search(trainer, learned, self.parts)
        self.refit: Trainer | None = None
        self.valid: Measures | None = None
        self.stage = "search"
        if self.saved is not None:
            self._restore(self.saved)
        self._describe()
        clock.lap("other")

    def _begin(self) -> None:
        """Make the folder, and in it all that it takes to go on from here."""
        if self.saved is None:
            folder.create(self.out)
            names = (folder.CONFIG, folder.DATA, folder.HISTORY, folder.STEPS, folder.METRICS)
            self.made = [folder.checkpoint(self.out).name, *names]
        elif self.stage != "done":
            (self.out / folder.METRICS).unlink(missing_ok=True)  # figures of weights that are about to change
        self.save()  # first: with it alone a run can go on, without it nothing can
        folder.write(self.out / folder.CONFIG, self.config.to_toml(self.features.sizes.indices))
        found = {"rows": len(self.dataset), "dropped": self.dataset.report["dropped"], "fields": self.counted}
        found["left_out"] = self.features.dropped
        folder.write(self.out / folder.DATA, folder.json_text(found))

    def _fit(
        self, dataset: Dataset, rows: Rows, dropped: dict[str, str] | None = None
    ) -> tuple[Features, Inputs]:
        features = Features(self.config).fit(dataset, rows, self.config, dropped)
        return features, features.transform(dataset)

    def _trainer(
        self, inputs: Inputs, features: Features, dataset: Dataset, rows: Rows, clock: Clock
    ) -> Trainer:
        config, sizes = self.config, features.sizes
        categories = sum(sizes.indices.values())
        table = categories * (config.embedding_dim + 1) * 4 * config.ensemble
        data_memory.check(
            config.data, 8 * table, f"embeddings of {categories:,} categories and their optimizer"
        )
        trainer = Trainer(config, inputs, sizes, dataset.label, rows, clock)
        self.taken = {} if self.origin is None else self.origin.fill(trainer.model, features)
        return trainer

    def _product(self) -> int:
        """Multiply-adds of the largest matrix product of a step."""
        hidden = self.config.hidden if self.search.trainer.model.members[0].deep else ()
        units = [self.search.trainer.model.width + self.inputs.dense.shape[1], *hidden, 1]
        return self.config.batch_size * max(int(a * b) for a, b in pairwise(units))

    def _describe(self) -> None:
        dataset, parts, say = self.dataset, self.parts, self.progress.say
        say(f"data    {dataset}")
        for column, kinds in dataset.report["dropped"].items():
            for what, found in kinds.items():
                first = ", ".join(map(str, found["first_rows"]))
                found_rows = counted(found["count"], "row")
                say(f"dropped {found_rows}: {column!r} is {what} (first: {first})")
        say(f"split   {parts!r}")
        if dataset.oracle_auc is not None:
            say(
                f"oracle  AUC {dataset.take(parts.test).oracle_auc:.4f} on the test rows:"
                " no model exceeds it but by luck"
            )
        if dataset.groups is not None and len(np.unique(dataset.groups)) == 1:
            say("gAUC    there is a single user: gAUC is AUC")
        rows = len(parts.valid) + len(parts.test)
        for what, counts in self.counted.items():
            names = [f"{count:,} {name}" for name, count in counts.items() if count]
            if names:
                where = f"{len(dataset):,} rows" if what == "null" else f"{rows:,} validation and test rows"
                say(f"fields  {what} in {where}: {', '.join(names)}")
        for name, why in self.features.dropped.items():
            say(f"without {name}: {why}")
        for name, how in self.taken.items():
            say(f"taken   {name}: {how}")
        say(f"model   {self.search.trainer.model.parameter_count:,} parameters")
        say(f"out     {self.out}")

    def _restore(self, saved: dict[str, Any]) -> None:
        self.search.load_state_dict(saved["search"])
        self.valid = unpack(saved["valid"])
        self.stage = str(saved["stage"])
        if not self.search.over(self.config.epochs):  # it may be that --epochs has grown
            self.stage = "search"
        if self.stage != "search" and self.config.refit:
            self._begin_refit()
            if saved["refit"] is not None and self.refit is not None:
                self.refit.load_state_dict(saved["refit"])

    # ---- the training

    def _stages(self, stop: Callable[[], bool]) -> Outcome:
        if self.stage == "search":
            self._search(stop)
            self.stage = "refit" if self.config.refit else "done"
            if self.config.refit:
                self._begin_refit()
            self.save()
        if self.stage == "refit":
            self._refit(stop)
            self.stage = "done"
            self.save()
        model = self._final()
        score = self._predict(model, self.parts.test)
        base = self._baselines(stop)
        return self._outcome(model, score, base)

    def _search(self, stop: Callable[[], bool]) -> None:
        config, search, progress = self.config, self.search, self.progress
        trainer = search.trainer
        progress.stage("epoch", trainer.steps * config.epochs, trainer.steps * trainer.epoch + trainer.step)
        while not search.over(config.epochs):
            if stop() or not trainer.run_epoch(stop, progress, config.epochs, search.glance):
                self.save()
                raise self.interrupted(
                    f"in epoch {trainer.epoch + 1}, after step {trainer.step} of {trainer.steps}"
                )
            line = search.watch()
            if search.best_epoch == trainer.epoch:
                self.valid = self._measure_valid()
            folder.write(self.out / folder.HISTORY, folder.json_lines(search.history))
            if config.eval_steps:
                folder.write(self.out / folder.STEPS, folder.json_lines(search.glances))
            self.save()
            self.finished_epochs += 1
            progress.say(_epoch_line(line, config.epochs, search.best_epoch == trainer.epoch))
        progress.close()
        progress.say(
            f"best    epoch {search.best_epoch} by {search.monitor.replace('valid_', 'validation ')}"
        )

    def _measure_valid(self) -> Measures:
        """Figures on the validation rows, and the threshold that is best there."""
        with self.clock.all_as("evaluation"):
            rows = self.parts.valid
            label, score = self.dataset.label[rows], self.search.trainer.predict(rows)
            return measure(label, score, self._groups(rows), _best_threshold(label, score))

    def _begin_refit(self) -> None:
        self.clock.lap("other")
        train, valid = self.parts.train, source.kept(self.config, self.parts.valid)
        rows = np.sort(np.concatenate([train, valid]))
        learned = source.shuffled(self.config, self.dataset, train, valid)
        self.final_features, self.final_inputs = self._fit(learned, rows, self.features.dropped)
        self.clock.lap("data")
        self.refit = self._trainer(self.final_inputs, self.final_features, learned, rows, self.clock)

    def _refit(self, stop: Callable[[], bool]) -> None:
        trainer, epochs, progress = self.refit, self.search.best_epoch, self.progress
        if trainer is None:
            raise RuntimeError("refit has not begun")
        progress.stage("refit", trainer.steps * epochs, trainer.steps * trainer.epoch + trainer.step)
        while trainer.epoch < epochs:
            if stop() or not trainer.run_epoch(stop, progress, epochs):
                self.save()
                raise self.interrupted(
                    f"in the refit's epoch {trainer.epoch + 1}, after step {trainer.step} of {trainer.steps}"
                )
            trainer.close_epoch()
            self.save()
        progress.close()
        progress.say(f"refit   {counted(epochs, 'epoch')} on training and validation rows")

    # ---- after the training

    def _final(self) -> Trainer:
        if self.refit is not None:
            return self.refit
        self.search.trainer.model.load_state_dict(self.search.best)
        return self.search.trainer

    def _predict(self, trainer: Trainer, rows: Rows) -> Floats:
        return trainer.predict(rows)

    def _groups(self, rows: Rows) -> Rows | None:
        return None if self.dataset.groups is None else self.dataset.groups[rows]

    def _baselines(self, stop: Callable[[], bool]) -> dict[str, Measures | None]:
        found: dict[str, Measures | None] = dict.fromkeys(BASELINES)
        if not self.config.baseline:
            return found
        final = self._final()
        sizes = (self.features if self.refit is None else self.final_features).sizes
        test, label = self.parts.test, self.dataset.label
        learned = final.label.astype(np.uint8)
        with self.clock.all_as("baseline"):
            for kind in BASELINES:
                if kind == "one_hot" and not sizes.indices:
                    continue  # there are no fields
                trainer = baseline(
                    kind, self.config, final.inputs, sizes, learned, final.rows, stop, self.progress
                )
                if trainer is None:
                    raise self.interrupted("in the baselines; the model is done")
                threshold = _best_threshold(learned[final.rows], trainer.predict(final.rows))
                found[kind] = measure(label[test], trainer.predict(test), self._groups(test), threshold)
        return found

    def _outcome(self, final: Trainer, score: Floats, base: dict[str, Measures | None]) -> Outcome:
        test, valid = self.parts.test, self.valid
        if valid is None:
            raise RuntimeError("no epoch was trained")
        label = self.dataset.label[test]
        with self.clock.all_as("evaluation"):
            figures = measure(label, score, self._groups(test), valid["threshold"])
            in_place = None
            if self.config.position:
                known = final.predict(test, in_place=True)
                in_place = measure(label, known, self._groups(test), valid["threshold"])
        self.clock.lap("other")
        seconds = {part: round(spent, 3) for part, spent in self.clock.seconds.items()}
        found = {
            "test": figures,
            "test_in_place": in_place,
            "valid": valid,
            "train": {name: self.search.history[-1][f"train_{name}"] for name in ("loss", "auc", "gauc")},
            "baseline": base,
            "seconds": seconds | {"total": round(self.clock.total, 3)},
            "parameters": final.model.parameter_count,
            "nonzero": final.arena.nonzero(),
            "train_rows": len(final.rows),
            "seed": self.config.seed,
            "model": self.config.model,
            "ensemble": self.config.ensemble,
            "shuffled_labels": self.config.shuffle_labels,
            "version": runtime().version,
        }
        folder.write(self.out / folder.METRICS, folder.json_text(found))
        return Outcome(self.config, found, self.search.history, self.search.best_epoch, label, score)

    def save(self) -> None:
        """Write the checkpoint."""
        done = self.stage == "done" and self.refit is not None
        features = self.final_features if done else self.features
        self.clock.lap("other")
        state = {
            "version": runtime().version,
            "stage": self.stage,
            "config": self.config.to_toml(),
            "fingerprint": self.fingerprint,
            "origin": self.origin_digest,
            "pipeline": features.pipeline.state_dict(),
            "features": features.state_dict(),
            "model": self.refit.model.state_dict() if done and self.refit is not None else self.search.best,
            "search": self.search.state_dict(),
            "refit": None if self.refit is None else self.refit.state_dict(),
            "valid": pack(self.valid),
            "seconds": dict(self.clock.seconds),
        }
        checkpoint.write(self.out, state)
        self.clock.lap("other")

    def interrupted(self, where: str) -> Interrupted:
        """Say where it stopped, and how to go on."""
        return Interrupted(
            f"interrupted {where}; go on with: fourstep train --out {quote(str(self.out))} --resume"
        )


def _best_threshold(label: npt.NDArray[np.uint8], score: Floats) -> float:
    return float(metrics.best_threshold(label, score, metric="f1"))


def _epoch_line(line: dict[str, Any], epochs: int, best: bool) -> str:
    gauc = "" if line["valid_gauc"] is None else f" gAUC {line['valid_gauc']:.4f}"
    return (
        f"epoch   {line['epoch']}/{epochs}  loss {line['train_loss']:.4f}  valid loss {line['valid_loss']:.4f}"
        f" AUC {line['valid_auc']:.4f}{gauc}  lr {line['lr']:.1e}  {line['examples_per_second']:,.0f} examples/s"
        + ("  best" if best else "")
    )
