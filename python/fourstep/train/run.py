"""A run that is on disk: its settings, its figures, and its model for new rows.

The pipeline is the one that was fitted for the training, code and tables (M10).
"""

from __future__ import annotations

import json
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fourstep.data import DataError, Inputs
from fourstep.train import checkpoint, folder
from fourstep.train.clock import Clock
from fourstep.train.config import Config, read_toml
from fourstep.train.errors import RunError
from fourstep.train.features import Features
from fourstep.train.model import build
from fourstep.train.trainer import predict

if TYPE_CHECKING:
    from fourstep.data.frame import FrameLike

__all__ = ["Run", "load_run"]


class Run:
    """A trained model with its pipeline.

    Attributes
    ----------
    folder : Path
    config : Config
    features : Features
        The pipeline, and what stands beside it.
    pipeline : Pipeline
    model : ClickModel or Committee
    metrics : dict
        What is in ``metrics.json``; empty for a run that is not finished.
    history : list of dict
        A line an epoch.
    stage : {"search", "refit", "done"}
        How far the training came; before "done" the model is the best so far.
    """

    def __init__(self, path: str | Path) -> None:
        self.folder = Path(path)
        saved = checkpoint.read(self.folder)
        self.stage = str(saved["stage"])
        if not saved["model"]:
            raise RunError(
                f"{self.folder}: no epoch of this run is finished;"
                f" go on with: fourstep train --out {quote(str(self.folder))} --resume"
            )
        self.config = Config(**read_toml(self.folder / folder.CONFIG))
        try:
            self.features = Features.from_state_dict(
                self.config, saved["pipeline"], saved.get("features", {})
            )
            self.pipeline = self.features.pipeline
            self.model = build(self.config, self.features.sizes, Clock())
            self.model.load_state_dict(saved["model"])
        except (DataError, KeyError, TypeError, ValueError) as error:
            raise RunError(f"{folder.checkpoint(self.folder)}: does not fit its config: {error}") from error
        self.history: list[dict[str, Any]] = checkpoint.unpack(saved["search"]["history"])
        self.metrics: dict[str, Any] = {}
        if (self.folder / folder.METRICS).exists():
            try:
                self.metrics = json.loads((self.folder / folder.METRICS).read_text(encoding="utf-8"))
            except (ValueError, RecursionError) as error:
                raise RunError(f"{self.folder / folder.METRICS}: is damaged: {error}") from None
            if not isinstance(self.metrics, dict) or not isinstance(self.metrics.get("test"), dict):
                raise RunError(f"{self.folder / folder.METRICS}: is damaged: it holds no figures of the test")

    def transform(self, frame: FrameLike) -> Inputs:
        """Return the inputs of new rows."""
        return self.features.transform(frame)

    def predict(self, frame: FrameLike) -> npt.NDArray[np.float64]:
        """Return the probability of the label for each row, at the neutral position where the run has one (M11).

        Parameters
        ----------
        frame : polars or pandas DataFrame, mapping of names to arrays, Frame or Dataset
            The columns that the run was trained on; others are ignored, and the label is not looked at.

        Returns
        -------
        (n,) float64

        Raises
        ------
        data.DataError
            Columns that are missing or of another kind, named; a number that is null or NaN, with its first row.

        Examples
        --------
        >>> import tempfile, fourstep as fs
        >>> folder = tempfile.mkdtemp()
        >>> config = fs.train.Config(data="simulated", rows=2000, epochs=1, out=folder, quiet=True, plots=False)
        >>> _ = fs.train.train(config)
        >>> run = fs.load_run(folder)
        >>> p = run.predict(fs.data.simulated(rows=500, seed=1))
        >>> p.shape, bool((p > 0).all() and (p < 1).all())
        ((500,), True)
        """
        return self.score(self.transform(frame))

    def score(self, inputs: Inputs) -> npt.NDArray[np.float64]:
        """Return the probability of the label for inputs that are transformed already."""
        return predict(self.model, inputs)

    def __repr__(self) -> str:
        """Say what it is, and how good."""
        test = self.metrics.get("test")
        good = f", test AUC {test['auc']:.4f}" if test else ""
        return f"Run({str(self.folder)!r}: {self.stage}, {self.model.parameter_count:,} parameters{good})"


def load_run(path: str | Path) -> Run:
    """Load a run from its folder.

    Raises
    ------
    RunError
        There is no run in it, or its files cannot be read.
    """
    return Run(path)
