"""From checked rows to the numbers that a model takes, fitted once.

    fields   the index of each categorical column (0 unseen or rare, 1 null, 2 and up the categories)
    dense    numeric columns as (x − mean) / std, and the history of every key (see `fourstep.data.history`)

Training, validation, test and scoring all go through `Pipeline.transform`: one code path, one set of fitted
tables (claim M10). The fitted rows themselves are the history table, so what is saved is small, and a row
sees only fitted rows that are strictly earlier than it is.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .column import Factor
from .dataset import Dataset
from .errors import DataError, counted
from .frame import Frame, FrameLike, as_frame, missing_columns
from .history import History, Keys
from .inputs import Inputs
from .schema import Schema
from .tags import tag_keys, tag_vocabulary
from .vocabulary import NULL, UNSEEN, Vocabulary, pack, unpack

__all__ = ["Pipeline"]

FORMAT = 1
Rows = npt.NDArray[np.int64]


class Pipeline:
    """Fitted vocabularies, scalers and history tables.

    Parameters
    ----------
    smoothing : float
        k of the smoothed rates: so many rows' worth of belief in the prior.
    min_count : int
        A category in fewer fitted rows than this shares index 0 with those that were not seen, which so gets something to
        learn. Its history is counted all the same.

    Examples
    --------
    >>> from fourstep import data
    >>> clicks = data.simulated(rows=2000, seed=1)
    >>> parts = data.split(clicks)
    >>> pipeline = data.Pipeline().fit(clicks, parts.train)
    >>> inputs = pipeline.transform(clicks, parts.test)
    >>> inputs.fields.shape == (len(parts.test), len(pipeline.cardinalities))
    True
    >>> same = data.Pipeline.from_state_dict(pipeline.state_dict())
    >>> same.fingerprint() == pipeline.fingerprint()
    True
    """

    schema: Schema
    vocabularies: dict[str, Vocabulary]
    history: History | None

    def __init__(self, *, smoothing: float = 10.0, min_count: int = 6) -> None:
        if not 0 < smoothing < float("inf"):
            raise ValueError(f"smoothing must be a positive finite number, got {smoothing}")
        if min_count < 1:
            raise ValueError(f"min_count must be at least 1, got {min_count}")
        self.smoothing, self.min_count = float(smoothing), int(min_count)

    # ---- fit

    def fit(self, dataset: Dataset, rows: Rows | None = None, *, history: bool = True) -> Pipeline:
        """Learn from the given rows and from no other.

        Parameters
        ----------
        dataset : Dataset
        rows : (m,) int64, optional
            All if not given.
        history : bool
            Whether to make history columns; without a time column there are none.

        Returns
        -------
        Pipeline
            Itself.

        Raises
        ------
        DataError
            No row to fit; no input for a model at all.
        """
        rows = _rows(rows, len(dataset))
        if not len(rows):
            raise DataError(f"{dataset.name}: no rows to fit")
        self.schema = dataset.schema
        self.time_kind: str = dataset.time_kind or ""
        self.vocabularies = {
            name: Vocabulary.fit(dataset.factors[name], rows, self.min_count) for name in self.schema.keys
        }
        self.tags = {name: tag_vocabulary(self.vocabularies[name].texts) for name in self.schema.tags}
        self._events: dict[str, Any] = {}
        self.history = None
        if history and dataset.time is not None:
            ids = {
                name: self.vocabularies[name].ids(dataset.factors[name])[rows] for name in self.schema.keys
            }
            self._remember(dataset.label[rows], dataset.time[rows], ids)
        self._scale(dataset, rows)
        if not self.dense_names and not self.schema.categorical:
            raise DataError(
                f"{dataset.name}: nothing to learn from: no categorical or numeric column and no history"
            )
        return self

    def _remember(self, label: npt.NDArray[Any], time: npt.NDArray[Any], ids: dict[str, Rows]) -> None:
        """Build the history from the fitted rows, which is also what is saved of it."""
        small = {str(j): ids[name].astype(np.int32) for j, name in enumerate(self.schema.keys)}
        self._events = {"label": label.astype(np.uint8), "time": time, "ids": small}
        keys: dict[str, Keys] = {}
        for name, index in ids.items():
            codes = (index - 2).astype(np.int32)  # null: index 1, code -1
            keys |= self._keys(name, Factor(codes, self.vocabularies[name].texts))
        self.history = History(label, time, keys, self.schema.user, self.smoothing)

    def _keys(self, name: str, factor: Factor) -> dict[str, Keys]:
        """The keys that one column gives: its category, and the tags that it lists."""
        keys = {name: Keys(self.vocabularies[name].ids(factor) - 1)}  # unseen is -1: no history; null has one
        if name in self.schema.tags:
            keys[f"{name}/tags"] = tag_keys(factor, self.tags[name])
        return keys

    def _scale(self, dataset: Dataset, rows: Rows) -> None:
        """Mean and standard deviation of what knows no label; rates are left alone."""
        columns = self._columns(dataset, rows)
        for name in self.schema.numeric:
            if self.history is not None and name in self.history.names:
                raise DataError(
                    f"{dataset.name}: numeric column {name!r} has the name of a history column; rename it"
                )
        self.dense_names = tuple(columns)
        self._mean, self._std = np.zeros(len(columns)), np.ones(len(columns))
        for j, (name, values) in enumerate(columns.items()):
            if not name.endswith(":rate") or name in self.schema.numeric:
                self._mean[j], self._std[j] = _moments(dataset.name, name, values)

    # ---- transform

    def transform(self, source: Dataset | FrameLike, rows: Rows | None = None) -> Inputs:
        """The inputs of any rows, labelled or not.

        Parameters
        ----------
        source : Dataset, Frame, mapping of arrays, polars or pandas DataFrame
            Of a frame the columns of the schema are read; the label need not be there.
        rows : (m,) int64, optional
            All if not given.

        Returns
        -------
        Inputs

        Raises
        ------
        DataError
            Columns that are missing (all are named), of another kind than when fitted, or with values that will not do.
        """
        if not hasattr(self, "schema"):
            raise DataError("the pipeline is not fitted: call fit(dataset, rows) first")
        dataset = source if isinstance(source, Dataset) else self.read(as_frame(source))
        self._compare(dataset)
        rows = _rows(rows, len(dataset))
        names = self.schema.categorical
        fields = np.empty((len(rows), len(names)), np.int64)
        unseen, rare, nulls = dict[str, int](), dict[str, int](), dict[str, int]()
        for j, name in enumerate(names):
            vocabulary = self.vocabularies[name]
            ids = vocabulary.ids(dataset.factors[name].take(rows))
            fields[:, j] = vocabulary.fields(ids)
            unseen[name], nulls[name] = int((ids == UNSEEN).sum()), int((ids == NULL).sum())
            rare[name] = int((fields[:, j] == UNSEEN).sum()) - unseen[name]
        columns = self._columns(dataset, rows)
        dense = np.empty((len(rows), len(self.dense_names)), np.float32)
        for j, name in enumerate(self.dense_names):
            with np.errstate(over="ignore"):
                dense[:, j] = (columns[name] - self._mean[j]) / self._std[j]
            far = np.flatnonzero(~np.isfinite(dense[:, j]))
            if len(far):
                first = int(rows[far[0]])
                raise DataError(
                    f"{dataset.name}: column {name!r} has {counted(len(far), 'number')} too far"
                    f" from those it was fitted on for float32 (first: row {first + 1:,}, {columns[name][far[0]]:g})"
                )
        return Inputs(fields, dense, names, self.dense_names, unseen, rare, nulls)

    def _columns(self, dataset: Dataset, rows: Rows) -> dict[str, npt.NDArray[np.float64]]:
        columns: dict[str, npt.NDArray[np.float64]] = {
            name: dataset.columns[name][rows] for name in self.schema.numeric
        }
        if self.history is not None:
            keys: dict[str, Keys] = {}
            for name in self.schema.keys:
                keys |= self._keys(name, dataset.factors[name].take(rows))
            columns |= self.history.columns(cast("npt.NDArray[Any]", dataset.time)[rows], keys)
        return columns

    def read(self, frame: Frame) -> Dataset:
        """Check unlabelled rows and give them their roles: of the user and the time only what is used."""
        remembers = self.history is not None
        user = self.schema.user if remembers or self.schema.user in self.schema.categorical else None
        needed = dataclasses.replace(self.schema, user=user, time=self.schema.time if remembers else None)
        return Dataset.from_frame(frame, needed, labelled=False)

    def _compare(self, dataset: Dataset) -> None:
        needed = list(self.schema.numeric) + list(self.schema.categorical)
        if self.history is not None:
            needed += [name for name in (self.schema.user, self.schema.time) if name is not None]
        there = [*dataset.columns, *dataset.factors]
        missing = [name for name in dict.fromkeys(needed) if name not in there]
        if missing:
            raise DataError(missing_columns(dataset.name, missing, there))
        kind = dataset.time_kind
        if self.history is not None and kind != self.time_kind:
            raise DataError(
                f"{dataset.name}: column {self.schema.time!r} is a {kind}, and was a {self.time_kind} when fitted"
            )

    # ---- what was fitted

    @property
    def cardinalities(self) -> dict[str, int]:
        """Number of indices of each field: its categories, and two."""
        return {name: self.vocabularies[name].size for name in self.schema.categorical}

    def state_dict(self) -> dict[str, Any]:
        """All that was fitted, as nested dicts of arrays, text and numbers, for `fourstep.save`."""
        schema = self.schema
        return {
            "format": FORMAT,
            "schema": {
                "label": schema.label,
                "user": schema.user or "",
                "time": schema.time or "",
                **{role: pack(getattr(schema, role)) for role in ("categorical", "numeric", "tags")},
            },
            "smoothing": self.smoothing,
            "min_count": self.min_count,
            "time_kind": self.time_kind,
            "vocabularies": {
                str(j): self.vocabularies[name].state_dict() for j, name in enumerate(schema.keys)
            },
            "mean": self._mean,
            "std": self._std,
            "events": self._events,
        }

    @staticmethod
    def from_state_dict(state: dict[str, Any]) -> Pipeline:
        """The inverse of `state_dict`; the tables are rebuilt from the saved rows.

        Raises
        ------
        DataError
            A state of another format.
        """
        if state.get("format") != FORMAT:
            raise DataError(f"pipeline state has format {state.get('format')!r}, this version reads {FORMAT}")
        self = Pipeline(smoothing=float(state["smoothing"]), min_count=int(state["min_count"]))
        saved = state["schema"]
        roles = {role: tuple(unpack(saved[role])) for role in ("categorical", "numeric", "tags")}
        self.schema = Schema(
            str(saved["label"]), str(saved["user"]) or None, str(saved["time"]) or None, **roles
        )
        self.time_kind = str(state["time_kind"])
        self.vocabularies = {
            name: Vocabulary.from_state_dict(state["vocabularies"][str(j)])
            for j, name in enumerate(self.schema.keys)
        }
        self.tags = {name: tag_vocabulary(self.vocabularies[name].texts) for name in self.schema.tags}
        self._mean, self._std = state["mean"], state["std"]
        self._events, self.history = {}, None
        if state["events"]:
            events = state["events"]
            ids = {name: events["ids"][str(j)].astype(np.int64) for j, name in enumerate(self.schema.keys)}
            self._remember(events["label"], events["time"], ids)
        self.dense_names = self.schema.numeric + (() if self.history is None else self.history.names)
        return self

    def fingerprint(self) -> str:
        """SHA-256 over the content of `state_dict`, in hexadecimal: equal for equal fits."""
        digest = hashlib.sha256()
        _feed(digest, self.state_dict())
        return digest.hexdigest()

    def __repr__(self) -> str:
        if not hasattr(self, "schema"):
            return "Pipeline(not fitted)"
        fields = ", ".join(f"{name} {size:,}" for name, size in self.cardinalities.items())
        return f"Pipeline(fields {fields or 'none'}; dense {', '.join(self.dense_names) or 'none'})"


def _moments(where: str, name: str, values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation; 1 for a column of one value, whose deviation is rounding noise."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = float(values.mean()), float(values.std())
    if not np.isfinite([mean, std]).all():
        largest = int(np.argmax(np.abs(values)))
        raise DataError(
            f"{where}: column {name!r} has numbers too large to standardise (largest: {values[largest]:g})"
        )
    return (mean, 1.0) if values.min() == values.max() else (mean, std or 1.0)


def _rows(rows: Rows | None, n: int) -> Rows:
    """Row numbers, checked."""
    if rows is None:
        return np.arange(n)
    rows = np.asarray(rows)
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise TypeError(f"rows needs one dimension of whole numbers, got {rows.dtype} of shape {rows.shape}")
    if len(rows) and not 0 <= rows.min() <= rows.max() < n:
        raise IndexError(f"rows needs numbers from 0 to {n - 1}, got {rows.min()} to {rows.max()}")
    return rows.astype(np.int64)


def _feed(digest: Any, value: Any) -> None:
    """Types, shapes and lengths go in beside the bytes, so that no two states read alike."""
    if isinstance(value, dict):
        digest.update(f"dict {len(value)}".encode())
        for key in sorted(value):
            _feed(digest, key)
            _feed(digest, value[key])
    elif isinstance(value, np.ndarray):
        digest.update(f"array {value.dtype.str} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    else:
        text = repr(value).encode("utf-8", "surrogatepass")
        digest.update(f"{type(value).__name__} {len(text)} ".encode() + text)
