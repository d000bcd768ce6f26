"""One epoch of the MovieLens default, against the same model in torch: autograd, and Adam in its fused form.

    env -u OPENBLAS_CORETYPE python benches/python/epoch.py [--rounds N] [--threads N]     # some 20 seconds
    python benches/python/epoch.py --small                  # a few steps of a simulated log: whether it is right

Both get the same rows in the same order, the same initial weights, groups and rates. First they train an epoch without
dropout, and the losses of their steps must agree; then epochs with dropout are timed in turn. What counts is the ratio
of the medians, and the lines below it say where each one's time goes.
"""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from fourstep.data import batches, movielens, simulated, split
from fourstep.train import Config
from fourstep.train.clock import PARTS, Clock
from fourstep.train.features import Features
from fourstep.train.groups import groups
from fourstep.train.progress import Silent
from fourstep.train.threads import limited
from fourstep.train.trainer import Trainer

#: The losses of single steps, and their mean over the epoch, may differ by so much: rounding, grown by an epoch of Adam.
STEP, EPOCH = 1e-4, 1e-5


class Ours:
    """Trains an epoch as `fourstep train` does."""

    name = "fourstep"

    def __init__(self, config: Config, features: Features, inputs: Any, label: Any, rows: Any) -> None:
        self.clock = Clock()
        self.trainer = Trainer(config, inputs, features.sizes, label, rows, self.clock)

    def epoch(self) -> list[float]:
        """Train one epoch; return the loss of each step."""
        losses = Losses()
        self.clock.lap("evaluation")  # there is none here: it takes the time of the rival's turn
        self.trainer.run_epoch(lambda: False, losses, 1)
        self.trainer.close_epoch()
        return losses.of_steps

    @property
    def parts(self) -> dict[str, float]:
        """Seconds by part."""
        return {part: self.clock.seconds[part] for part in PARTS if part != "evaluation"}


class Losses(Silent):
    """Keeps the loss of each step, from the running mean that the trainer tells."""

    def __init__(self) -> None:
        self.of_steps: list[float] = []
        self.total, self.seen = 0.0, 0

    def step(self, epoch: str, loss: float, lr: float, rows: int) -> None:
        """Take note of one step."""
        total, self.seen = loss * (self.seen + rows), self.seen + rows
        self.of_steps.append((total - self.total) / rows)
        self.total = total


class Torch:
    """The same model, by the layers of torch: one table for all fields, as ours has it."""

    name = "torch"

    def __init__(self, torch: Any, ours: Ours, label: Any) -> None:
        self.torch, trainer = torch, ours.trainer
        self.config, self.rows, self.steps = trainer.config, trainer.rows, trainer.steps
        self.schedule = trainer.schedule
        model = trainer.model.members[0]
        sizes = [field.stop - field.start for field in model.embedding.slices]  # type: ignore[union-attr]
        self.offsets = torch.from_numpy(np.concatenate([[0], np.cumsum(sizes)[:-1]]))
        self.fields = torch.from_numpy(trainer.inputs.fields)
        self.dense = torch.from_numpy(trainer.inputs.dense)
        self.label = torch.from_numpy(label.astype(np.float32))
        self.model = _model(torch, trainer.model.state_dict(), self.config)
        self.parameters = dict(self.model.named_parameters())
        made = groups(list(self.parameters), self.config, trainer.steps)
        self.optimizer = torch.optim.Adam(
            [
                {
                    "params": [self.parameters[n] for n in group["params"]],
                    "weight_decay": group["weight_decay"],
                }
                for group in made
            ],
            lr=self.config.lr,
            fused=True,
        )
        self.epochs, self.done = 0, 0
        self.parts = dict.fromkeys(("data", "forward", "backward", "optimizer"), 0.0)

    def epoch(self) -> list[float]:
        """Train one epoch; return the loss of each step."""
        torch, model = self.torch, self.model.train()
        loss_of = torch.nn.BCEWithLogitsLoss()
        losses = []
        order = batches(len(self.rows), self.config.batch_size, seed=self.config.seed, epoch=self.epochs)
        last = perf_counter()

        def lap(part: str) -> None:
            nonlocal last
            now = perf_counter()
            self.parts[part] += now - last
            last = now

        for places in order:
            rows = torch.from_numpy(self.rows[places])
            fields, dense, target = self.fields[rows] + self.offsets, self.dense[rows], self.label[rows]
            lap("data")
            loss = loss_of(model(fields, dense), target)
            losses.append(loss.item())
            lap("forward")
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            lap("backward")
            for group in self.optimizer.param_groups:
                group["lr"] = self.schedule(self.done)
            self.optimizer.step()
            self.done += 1
            lap("optimizer")
        self.epochs += 1
        return losses


def _model(torch: Any, state: dict[str, Any], config: Config) -> Any:
    """Build the click model under our names, from our weights."""
    nn = torch.nn

    class Model(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(*state["embedding.weight"].shape)
            self.wide_fields = nn.Embedding(*state["wide_fields.weight"].shape)
            width = state["hidden0.linear.weight"].shape[1]
            self.dense = width - state["wide_dense.weight"].shape[1]
            for k, (inputs, units) in enumerate(pairwise([width, *config.hidden])):
                block = nn.Sequential()
                block.add_module("linear", nn.Linear(inputs, units, bias=False))
                block.add_module("norm", nn.BatchNorm1d(units))
                block.add_module("activation", nn.ReLU(inplace=True))
                block.add_module("dropout", nn.Dropout(config.dropout))
                self.add_module(f"hidden{k}", block)
            self.output = nn.Linear(config.hidden[-1], 1, bias=False)
            self.wide_dense = nn.Linear(width - self.dense, 1, bias=False)
            self.bias = nn.Parameter(torch.zeros(1))

        def forward(self, fields: Any, dense: Any) -> Any:
            h = torch.cat([self.embedding(fields).flatten(1), dense], 1)
            for k in range(len(config.hidden)):
                h = getattr(self, f"hidden{k}")(h)
            logits = self.output(h) + self.wide_dense(dense) + self.bias
            return logits[:, 0] + self.wide_fields(fields).sum((1, 2))

    model = Model()
    known = {name: torch.from_numpy(array.copy()) for name, array in state.items() if ".dropout." not in name}
    model.load_state_dict(known)
    return model


def check(ours: list[float], theirs: list[float]) -> None:
    """Refuse losses that do not agree: the times would be of two different things."""
    if len(ours) != len(theirs):
        raise AssertionError(f"{len(ours)} steps against {len(theirs)}")
    apart = np.abs(np.subtract(ours, theirs))
    mean = abs(float(np.mean(ours) - np.mean(theirs)))
    print(f"losses of {len(ours)} steps: apart by {apart.max():.1e} at most, their means by {mean:.1e}")
    if not (apart.max() < STEP and mean < EPOCH):
        raise AssertionError(
            f"step {int(apart.argmax()) + 1}: apart by {apart.max():.1e}, at most {STEP} is allowed"
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Check, time in turn, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=0, help="of both; 0: as each one likes")
    parser.add_argument("--small", action="store_true", help="few rows, whose times mean nothing")
    given = parser.parse_args(argv)
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # huge pages for torch: NumPy asks for them by itself
    torch: Any = importlib.import_module("torch")
    if given.threads:
        torch.set_num_threads(given.threads)
    dataset = simulated(4000, 0) if given.small else movielens()
    parts = split(dataset)
    config = Config(data="simulated" if given.small else "movielens", horizon=8, threads=given.threads)
    features = Features(config).fit(dataset, parts.train, config)
    inputs = features.transform(dataset)

    def pair(settings: Config) -> tuple[Ours, Torch]:
        ours = Ours(settings, features, inputs, dataset.label, parts.train)
        return ours, Torch(torch, ours, dataset.label)

    product = (
        config.batch_size * (len(inputs.field_names) * config.embedding_dim + inputs.dense.shape[1]) * 64
    )
    with limited(config.threads, product):
        plain = pair(config.but(dropout=0.0))
        check(plain[0].epoch(), plain[1].epoch())
        rivals: tuple[Any, ...] = pair(config)
        times: list[list[float]] = [[], []]
        for turn in range(given.rounds + 1):
            for place in (0, 1) if turn % 2 else (1, 0):
                start = perf_counter()
                rivals[place].epoch()
                if turn:  # the first epoch warms up
                    times[place].append(perf_counter() - start)
    steps = rivals[0].trainer.steps
    for rival, taken in zip(rivals, times, strict=True):
        whole = sum(rival.parts.values())
        by_size = sorted(rival.parts.items(), key=lambda item: -item[1])
        shares = ", ".join(
            f"{part.replace('_', ' ')} {100 * spent / whole:.0f} %" for part, spent in by_size if spent
        )
        middle = median(taken)
        print(
            f"{rival.name:9} {1e3 * middle:6.1f} ms an epoch, {1e6 * middle / steps:5.0f} µs a step: {shares}"
        )
    print(
        f"ratio {median(times[1]) / median(times[0]):.2f} (torch {torch.__version__}, {torch.get_num_threads()} threads)"
    )


if __name__ == "__main__":
    main()
