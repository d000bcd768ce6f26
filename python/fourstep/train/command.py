"""`fourstep train`: start a run, or go on with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fourstep import plot
from fourstep._runtime import runtime
from fourstep.train import checkpoint, folder, source
from fourstep.train.config import Config, parse_toml, read_toml
from fourstep.train.errors import ConfigError, Interrupted
from fourstep.train.job import Job, Outcome
from fourstep.train.progress import Progress, make

__all__ = ["resume", "train"]

_FREE = ("out", "quiet", "plots")  # change nothing that is computed


def train(config: Config, progress: Progress | None = None) -> Outcome:
    """Train a model as configured; its folder then holds everything.

    Parameters
    ----------
    config : Config
    progress : Progress, optional
        By default a bar on a terminal, lines elsewhere.

    Returns
    -------
    Outcome

    Raises
    ------
    ConfigError, RunError, data.DataError
        What is wrong with the settings, the folder or the data.
    Interrupted
        Ctrl-C; `resume` goes on.

    Examples
    --------
    >>> import tempfile, fourstep as fs
    >>> folder = tempfile.mkdtemp()
    >>> config = fs.train.Config(data="simulated", rows=2000, epochs=1, out=folder, quiet=True, plots=False)
    >>> outcome = fs.train.train(config)
    >>> fs.load_run(folder).metrics["test"]["rows"] == outcome.metrics["test"]["rows"]
    True
    """
    progress = progress or make(config.quiet)
    runtime()  # a wrong FOURSTEP_ISA is an error before anything is loaded
    config, why = source.resolve(config)
    named = bool(config.out)
    config = config.but(
        out=config.out or str(folder.claim(config.data)), horizon=config.horizon or config.epochs
    )
    folder.check_new(Path(config.out))
    progress.say(f"using   {why}")
    return _finish(Job(config, progress), progress, keep=named and Path(config.out).is_dir())


def resume(out: str | Path, given: dict[str, Any] | None = None, progress: Progress | None = None) -> Outcome:
    """Go on with the run in a folder.

    Parameters
    ----------
    out : str or Path
    given : dict, optional
        Settings that were said again, which must be those of the run; `epochs` may be more.
    progress : Progress, optional

    Raises
    ------
    ConfigError
        A setting that contradicts the run's own: both values are named.
    RunError
        The folder holds no run, or the data have changed.
    Interrupted
        Ctrl-C again.
    """
    out = Path(out)
    saved = checkpoint.read(out)
    own = Config(**parse_toml(str(saved["config"]), str(folder.checkpoint(out))))
    if (out / folder.CONFIG).exists():
        _settle(own, read_toml(out / folder.CONFIG), f"{out / folder.CONFIG}: ", out)
    config = _settle(own, given or {}, "--", out).but(out=str(out))
    progress = progress or make(config.quiet)
    progress.say(f"using   the run in {out}, which was at stage {saved['stage']}")
    return _finish(Job(config, progress, saved), progress)


def _settle(own: Config, given: dict[str, Any], where: str, out: Path) -> Config:
    """Take over what may change, and refuse what contradicts the run; `where` goes before the name of a setting."""
    for name, value in given.items():
        before = getattr(own, name)
        if name in _FREE or value == before:
            continue
        shown = name.replace("_", "-") if where == "--" else name
        if name != "epochs":
            raise ConfigError(
                f"{where}{shown} {_show(value)}: the run in {out} has {_show(before)};"
                " leave it as it is, or start a new run"
            )
        if value < before:
            raise ConfigError(
                f"{where}epochs {value}: the run in {out} has {before}; with --resume it can only grow"
            )
    return own.but(**given)


def _show(value: object) -> str:
    return ",".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)


def _finish(job: Job, progress: Progress, *, keep: bool = True) -> Outcome:
    try:
        outcome = job.run()
    except KeyboardInterrupt:
        if (not job.made and job.saved is None) or not folder.checkpoint(job.out).exists():
            _abandon(job, keep)
            raise
        raise job.interrupted("at once; the last checkpoint counts") from None
    except Exception as error:
        if not isinstance(error, Interrupted):
            _abandon(job, keep)
        raise
    if job.config.plots:
        try:
            _draw(outcome, job.out, progress)
        except KeyboardInterrupt:
            raise job.interrupted("in the pictures; the model is done") from None
    return outcome


def _abandon(job: Job, keep: bool) -> None:
    """Leave nothing of a new run of which no epoch was finished: there is nothing to go on from."""
    if job.saved is None and not job.finished_epochs:
        folder.abandon(job.out, job.made, keep=keep)


def _draw(outcome: Outcome, out: Path, progress: Progress) -> None:
    if not plot.available():
        progress.say("no pictures: they need matplotlib: pip install 'fourstep[plot]'")
        return
    from fourstep.train.pictures import draw

    draw(outcome, out)
