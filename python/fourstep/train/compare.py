"""`fourstep compare`: several configurations over the same seeds, in one table, and as differences from the first.

Seed s trains every configuration on the same rows, so differences are taken seed by seed: what a seed does to all of
them falls out, and the interval is of the difference alone. Intervals are of the mean over seeds, by Student's t; they
say how far another draw of seeds may lie, not how far other rows may.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any, TextIO

from fourstep.data.errors import counted
from fourstep.train import checkpoint, folder, source
from fourstep.train.command import resume, train
from fourstep.train.config import Config, options, read_toml
from fourstep.train.errors import ConfigError, Interrupted, RunError
from fourstep.train.progress import Progress, Silent
from fourstep.train.report import print_table
from fourstep.train.student import interval

__all__ = ["Comparison", "compare", "print_comparison"]

COMPARISON = "compare.json"
LEVEL = 0.95
#: Figure → its name in a table, and how many places it is shown with.
FIGURES = {"auc": ("AUC", 4), "gauc": ("gAUC", 4), "logloss": ("log loss", 4), "f1": ("F1", 4)}
FIGURES |= {"train_seconds": ("seconds of training", 2)}
TARGET = {"target_step": ("steps", 0), "target_seconds": ("seconds", 2)}


@dataclass(frozen=True)
class Comparison:
    """What every configuration came to with every seed.

    Attributes
    ----------
    names : list of str
        Of the configurations, the first of which the others are compared with.
    seeds : list of int
    rows : int
        Test rows.
    target : float or None
        The validation gAUC (AUC without a user) that was to be reached.
    values : dict
        name → figure → one value a seed; None where there is none.
    """

    names: list[str]
    seeds: list[int]
    rows: int
    target: float | None
    values: dict[str, dict[str, list[float | None]]] = field(repr=False)

    @property
    def figures(self) -> dict[str, tuple[str, int]]:
        """The figures of the table, with their names and places."""
        return FIGURES | (TARGET if self.target is not None else {})

    def mean(self, name: str, figure: str) -> tuple[float, float | None] | None:
        """Return mean and half of the interval over the seeds; None where a seed has no value."""
        return _mean(self.values[name][figure])

    def difference(self, name: str, figure: str) -> tuple[float, float | None] | None:
        """Return mean and half of the interval of the differences from the first configuration, seed by seed."""
        pairs = zip(self.values[name][figure], self.values[self.names[0]][figure], strict=True)
        return _mean([None if a is None or b is None else a - b for a, b in pairs])

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as what ``compare.json`` holds."""

        def told(found: tuple[float, float | None] | None) -> Any:
            if found is None:
                return None
            mean, half = found
            return {"mean": mean, "ci": None if half is None else [mean - half, mean + half]}

        return {
            "first": self.names[0],
            "seeds": self.seeds,
            "level": LEVEL,
            "test_rows": self.rows,
            "target_gauc": self.target,
            "configurations": {
                name: {
                    figure: {"values": self.values[name][figure], **(told(self.mean(name, figure)) or {})}
                    for figure in self.figures
                }
                for name in self.names
            },
            "differences": {
                name: {figure: told(self.difference(name, figure)) for figure in self.figures}
                for name in self.names[1:]
            },
        }


def compare(
    files: Sequence[str | Path],
    seeds: int = 5,
    out: str | Path = "",
    *,
    target: float | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress | None = None,
) -> tuple[Comparison, Path]:
    """Train each configuration with each seed; return the comparison, and its folder.

    Parameters
    ----------
    files : sequence of str or Path
        TOML files, named by their stems. Pictures and baselines are left out.
    seeds : int
        Seeds 0, 1, …, counted from the ``seed`` of each file.
    out : str or Path
        The folder: a run for each configuration and seed, and ``compare.json``. Runs that it holds already are gone on
        with, or taken as they are where they are done. By default a new one below ``runs/``.
    target : float, optional
        How many steps and seconds of training it takes until the validation gAUC (AUC without a user) is there; ask for
        ``eval_steps`` in the files to find it between two epochs.
    say : function
        Is told a line for each run.
    progress : Progress, optional

    Raises
    ------
    ConfigError
        Two files of one name, or whose test rows differ; and whatever is wrong with a file.
    RunError
        A folder that holds something else.
    Interrupted
        Ctrl-C; the same command with ``--out`` goes on.
    """
    names = [Path(file).stem for file in files]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ConfigError(f"{twice[0]}: two files have this name; the table could not tell them apart")
    configs = {}
    for name, file in zip(names, files, strict=True):
        settings = read_toml(file) | {"plots": False, "baseline": False, "quiet": True}
        try:
            configs[name] = source.resolve(Config(**settings))[0]
        except ConfigError as error:
            raise ConfigError(f"{file}: {error}") from None
    where = Path(out) if str(out) else folder.claim("compare")
    try:
        return _compare(configs, seeds, where, target, say, progress or Silent()), where
    except Interrupted as stopped:
        again = " ".join(quote(str(file)) for file in files)
        more = "" if target is None else f" --target-gauc {target:g}"
        raise Interrupted(
            f"interrupted {stopped}; go on with: fourstep compare {again} --seeds {seeds} --out {quote(str(where))}{more}"
        ) from None
    finally:
        for path in (*(where / name for name in names), where):  # those in which nothing came to be
            folder.abandon(path, ())


def _compare(
    configs: dict[str, Config],
    seeds: int,
    where: Path,
    target: float | None,
    say: Callable[[str], None],
    progress: Progress,
) -> Comparison:
    names = list(configs)
    values: dict[str, dict[str, list[float | None]]] = {name: {} for name in names}
    tested: dict[int, tuple[str, Any]] = {}
    for k in range(seeds):
        for name, config in configs.items():
            made = config.but(seed=(config.seed + k) % 2**32, out=str(where / name / f"seed{k}"))
            try:
                metrics = _metrics(made, progress)
            except Interrupted:
                raise Interrupted(f"in {name}, seed {k}") from None
            rows = (metrics["test"]["rows"], metrics["test"]["base_rate"])
            first = tested.setdefault(k, (name, rows))
            if first[1] != rows:
                raise ConfigError(
                    f"{name}: its {counted(rows[0], 'test row')} are not those of {first[0]}: no pairs to compare"
                )
            found = {key: metrics["test"][key] for key in ("auc", "gauc", "logloss", "f1")}
            found |= _training(Path(made.out), target)
            for figure, value in found.items():
                values[name].setdefault(figure, []).append(value)
            say(f"{name}, seed {k}: AUC {found['auc']:.4f}, log loss {found['logloss']:.4f}")
    made_of = Comparison(names, list(range(seeds)), tested[0][1][0], target, values)
    folder.write(where / COMPARISON, folder.json_text(made_of.to_dict()))
    return made_of


def _metrics(config: Config, progress: Progress) -> dict[str, Any]:
    """Return the figures of a run: of one that is there, or of one that is trained now."""
    out = Path(config.out)
    if not folder.checkpoint(out).exists():
        return train(config, progress).metrics
    settings = {name: getattr(config, name) for name in _said(config)}
    if not (out / folder.METRICS).exists():
        return resume(out, settings, progress).metrics
    own = Config(**read_toml(out / folder.CONFIG))
    for name, value in settings.items():
        if getattr(own, name) != value:
            raise ConfigError(f"{out}: holds a run with another {name}: {getattr(own, name)}, not {value}")
    try:
        metrics: dict[str, Any] = json.loads((out / folder.METRICS).read_text(encoding="utf-8"))
        metrics["test"]["rows"]
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{out / folder.METRICS}: is damaged: {error}") from None
    return metrics


def _said(config: Config) -> list[str]:
    """Return the settings that make a run what it is; a horizon of 0 was settled when it began."""
    free = {"out", "quiet", "plots"} | (set() if config.horizon else {"horizon"})
    return [name for name in (*options(), "groups") if name not in free]


def _training(out: Path, target: float | None) -> dict[str, float | None]:
    """Return seconds of the search's training, and when the target was reached."""
    lines = _lines(out / folder.HISTORY)
    found: dict[str, float | None] = {"train_seconds": sum(line["train_seconds"] for line in lines)}
    if target is None:
        return found
    glances = _lines(out / folder.STEPS) if (out / folder.STEPS).exists() else _epochs(out, lines)
    for line in glances:
        reached = line["valid_auc"] if line["valid_gauc"] is None else line["valid_gauc"]
        if reached >= target:
            return found | {"target_step": line["step"], "target_seconds": line["seconds"]}
    return found | {"target_step": None, "target_seconds": None}


def _epochs(out: Path, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the ends of the epochs in the form of ``steps.jsonl``."""
    trainer = checkpoint.read(out)["search"]["trainer"]
    steps = int(trainer["steps"])
    seconds = 0.0
    made = []
    for line in lines:
        seconds += line["train_seconds"]
        made.append(line | {"step": line["epoch"] * steps, "seconds": seconds})
    return made


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _mean(values: Sequence[float | None]) -> tuple[float, float | None] | None:
    known = [value for value in values if value is not None]
    return interval(known, LEVEL) if known and len(known) == len(values) else None


def print_comparison(found: Comparison, stream: TextIO | None = None) -> None:
    """Print two tables: means with their intervals, and differences from the first configuration with theirs."""
    stream = stream or sys.stdout
    seeds = counted(len(found.seeds), "seed")
    head = ["", *(title for title, _ in found.figures.values())]
    rows = [[name, *_cells(found, name, found.mean)] for name in found.names]
    several = len(found.seeds) > 1
    how = "mean ± half of the 95 % interval over" if several else "one value of"
    print_table(f"{found.rows:,} test rows; {how} {seeds}", head, rows, stream)
    if len(found.names) > 1:
        rows = [[name, *_cells(found, name, found.difference, "+")] for name in found.names[1:]]
        print_table(f"differences from {found.names[0]}, seed by seed", head, rows, stream)
    if found.target is not None:
        print(f"steps and seconds of training until the validation gAUC is {found.target:g}", file=stream)


def _cells(
    found: Comparison,
    name: str,
    of: Callable[[str, str], tuple[float, float | None] | None],
    sign: str = "",
) -> list[str]:
    cells = []
    for figure, (_, places) in found.figures.items():
        value = of(name, figure)
        if value is None:
            missed = found.values[name][figure].count(None)
            cells.append(f"not in {missed}" if figure in TARGET and missed else "-")
            continue
        mean, half = value
        cells.append(f"{mean:{sign}.{places}f}" + ("" if half is None else f" ± {half:.{places}f}"))
    return cells
