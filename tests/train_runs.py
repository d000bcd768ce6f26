"""What the tests of whole runs share: a small run, its results without the clock, an interrupted run."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np

import fourstep as fs
from fourstep.state import load
from fourstep.train import Config, Interrupted, Outcome
from fourstep.train.folder import checkpoint
from fourstep.train.progress import Progress

QUICK: dict[str, Any] = {"data": "simulated", "rows": 3000, "epochs": 3, "batch_size": 256, "min_count": 1}
QUICK |= {
    "baseline": False,
    "plots": False,
    "quiet": True,
    "hidden": (16, 8),
    "embedding_dim": 4,
    "patience": 2,
}

CLOCK = {"examples_per_second", "train_seconds", "eval_seconds"}


class Recorder(Progress):
    """Keeps what is said, and after given numbers of steps presses Ctrl-C."""

    def __init__(self, *, after: int | None = None) -> None:
        self.said: list[str] = []
        self.stages: list[str] = []
        self.steps, self.after = 0, after

    def stage(self, title: str, steps: int, done: int) -> None:
        self.stages.append(title)

    def step(self, epoch: str, loss: float, lr: float, rows: int) -> None:
        assert np.isfinite(loss)
        self.steps += 1
        if self.steps == self.after:
            os.kill(os.getpid(), signal.SIGINT)

    def say(self, text: str) -> None:
        self.said.append(text)

    def close(self) -> None:
        pass


def run(folder: Path, **changes: Any) -> Outcome:
    return fs.train.train(Config(**(QUICK | {"out": str(folder)} | changes)), Recorder())


def results(folder: Path) -> tuple[Any, Any, Any]:
    """Weights and all other state, history and figures, without what the clock says."""
    state = load(checkpoint(folder))
    history = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    metrics = json.loads((folder / "metrics.json").read_text())
    del state["seconds"], state["digest"], metrics["seconds"], state["config"]
    for trainer in (state["search"]["trainer"], state["refit"]):
        if trainer is not None:
            del trainer["epoch_seconds"]
    del state["search"]["history"]
    return state, [{k: v for k, v in line.items() if k not in CLOCK} for line in history], metrics


def assert_same(a: Any, b: Any, where: str = "") -> None:
    """Equal to the last bit, types and dtypes too."""
    assert type(a) is type(b), where
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}/{i}")
    elif isinstance(a, np.ndarray):
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()), where
    else:
        assert a == b, where


def interrupted(folder: Path, after: list[int], **changes: Any) -> list[str]:
    """Run to the end, with a Ctrl-C after so many steps of each attempt; return the messages."""
    config = Config(**(QUICK | {"out": str(folder)} | changes))
    messages = []
    for attempt, steps in enumerate([*after, None]):
        recorder = Recorder(after=steps)
        try:
            if attempt == 0:
                fs.train.train(config, recorder)
            else:
                fs.train.resume(folder, progress=recorder)
        except Interrupted as message:
            messages.append(str(message))
    return messages
