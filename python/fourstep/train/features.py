"""What a model sees of the rows: the pipeline's fields and numbers, lists of values, the position; less what is left out.

    fields    the categorical columns, but those that list several values
    bags      those: the ids of each row's values
    dense     numbers and history
    position  for the training alone: every score is given at the neutral position (M11)

All of it is fitted once and saved with the run, so that training and scoring see the same (M10).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fourstep.data import Dataset, Inputs, Pipeline
from fourstep.data.bags import make_bags, odd_rows, value_vocabulary
from fourstep.data.errors import DataError
from fourstep.data.frame import FrameLike, as_frame
from fourstep.data.selection import select_features
from fourstep.data.vocabulary import Vocabulary
from fourstep.train.checkpoint import digest, pack, unpack
from fourstep.train.config import AUTO
from fourstep.train.errors import ConfigError, nearest
from fourstep.train.options import Lists

if TYPE_CHECKING:
    from fourstep.train.config import Config

__all__ = ["Features", "Sizes"]

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sizes:
    """How large the inputs of a model are.

    Attributes
    ----------
    fields, bags : dict of str to int
        Indices of each field, and of each column that lists values.
    dense : int
        Numbers of a row.
    positions : int
        Indices of the position; 0 without one.
    """

    fields: dict[str, int]
    dense: int
    bags: dict[str, int]
    positions: int = 0

    @property
    def indices(self) -> dict[str, int]:
        """Indices of all columns of categories."""
        return self.fields | self.bags

    def but(self, **changes: Any) -> Sizes:
        """Return a copy with other values."""
        return replace(self, **changes)


class Features:
    """A fitted pipeline, and all beside it that a configuration asks for.

    Parameters
    ----------
    config : Config

    Attributes
    ----------
    pipeline : Pipeline
    lists : dict of str to Vocabulary
        The values of each column of ``multi``.
    positions : Vocabulary or None
    dropped : dict of str to str
        Why each input that is left out is.
    """

    def __init__(self, config: Config) -> None:
        self.pipeline = Pipeline(smoothing=config.smoothing, min_count=config.min_count)
        self.separators = dict(Lists.split(item) for item in config.multi)
        self.position = config.position
        self.lists: dict[str, Vocabulary] = {}
        self.positions: Vocabulary | None = None
        self.dropped: dict[str, str] = {}

    def fit(
        self, dataset: Dataset, rows: Rows, config: Config, dropped: dict[str, str] | None = None
    ) -> Features:
        """Learn from the given rows and from no other.

        Parameters
        ----------
        dataset : Dataset
        rows : (m,) int64
        config : Config
        dropped : dict of str to str, optional
            What to leave out, where it is settled already.

        Raises
        ------
        ConfigError
            A pattern of ``drop_features`` that matches no input; one that leaves none.
        DataError
            See `Pipeline.fit`.
        """
        pipeline = self.pipeline.fit(dataset, rows, history=config.history)
        for name, separator in self.separators.items():
            self.lists[name] = value_vocabulary(dataset.factors[name], separator, rows, config.min_count)
        if self.position:
            self.positions = Vocabulary.fit(dataset.factors[self.position], rows)
        self.dropped = {}
        if dropped is not None:
            self.dropped = dropped
        elif config.drop_features == (AUTO,):
            self.dropped = _odd(self.transform(dataset, rows))
        elif config.drop_features:
            self.dropped = _named(config.drop_features, [*pipeline.schema.categorical, *pipeline.dense_names])
        sizes = self.sizes
        if not (sizes.indices or sizes.dense):
            raise ConfigError(f"--drop-features {','.join(config.drop_features)}: leaves no input")
        return self

    def transform(self, source: Dataset | FrameLike, rows: Rows | None = None) -> Inputs:
        """Return the inputs of any rows, labelled or not; see `Pipeline.transform`."""
        dataset = source if isinstance(source, Dataset) else self.pipeline.read(as_frame(source))
        found = self.pipeline.transform(dataset, rows)
        rows = np.arange(len(dataset)) if rows is None else rows
        unseen, rare, bags = dict(found.unseen), dict(found.rare), {}
        for name, separator in self.separators.items():
            if name in self.dropped:
                continue
            factor = dataset.factors[name].take(rows)
            bags[name] = make_bags(factor, separator, self.lists[name])
            unseen[name], rare[name] = odd_rows(factor, separator, self.lists[name])
        fields = [name for name in found.field_names if self._is_field(name)]
        dense = [name for name in found.dense_names if name not in self.dropped]
        position = None
        if self.positions is not None and self.position in dataset.factors:
            factor = dataset.factors[self.position].take(rows)
            position = self.positions.fields(self.positions.ids(factor))
        return Inputs(
            _columns(found.fields, found.field_names, fields),
            _columns(found.dense, found.dense_names, dense),
            tuple(fields),
            tuple(dense),
            self._left(unseen),
            self._left(rare),
            self._left(found.nulls),
            bags,
            position,
        )

    @property
    def sizes(self) -> Sizes:
        """What a model for these inputs must take."""
        fields = self.pipeline.cardinalities
        return Sizes(
            {name: size for name, size in fields.items() if self._is_field(name)},
            sum(name not in self.dropped for name in self.pipeline.dense_names),
            {name: values.size for name, values in self.lists.items() if name not in self.dropped},
            0 if self.positions is None else self.positions.size,
        )

    @property
    def dense_names(self) -> tuple[str, ...]:
        """The numbers of a row."""
        return tuple(name for name in self.pipeline.dense_names if name not in self.dropped)

    def texts(self, name: str) -> list[str | None]:
        """Return what each index of a field or list means: None, None for unseen and null, then the categories."""
        known = self.lists.get(name) or self.pipeline.vocabularies[name]
        return [None, None, *(text for text, kept in zip(known.texts, known.kept, strict=True) if kept)]

    def _left(self, counts: dict[str, int]) -> dict[str, int]:
        return {name: count for name, count in counts.items() if name not in self.dropped}

    def _is_field(self, name: str) -> bool:
        return name not in self.separators and name not in self.dropped

    def state_dict(self) -> dict[str, Any]:
        """Return all that was fitted beside the pipeline, whose state is its own."""
        return {
            "lists": {str(j): self.lists[name].state_dict() for j, name in enumerate(self.separators)},
            "position": None if self.positions is None else self.positions.state_dict(),
            "dropped": pack(self.dropped),
        }

    @staticmethod
    def from_state_dict(config: Config, pipeline: dict[str, Any], state: dict[str, Any]) -> Features:
        """Return the inverse of both states; `config` is that of the run."""
        self = Features(config)
        self.pipeline = Pipeline.from_state_dict(pipeline)
        if state:
            self.lists = {
                name: Vocabulary.from_state_dict(state["lists"][str(j)])
                for j, name in enumerate(self.separators)
            }
            if state["position"] is not None:
                self.positions = Vocabulary.from_state_dict(state["position"])
            self.dropped = unpack(state["dropped"])
        return self

    def fingerprint(self) -> str:
        """SHA-256 over all that was fitted, in hexadecimal: the pipeline's own where nothing stands beside it."""
        own = self.pipeline.fingerprint()
        if not (self.lists or self.positions or self.dropped):
            return own
        return hashlib.sha256(f"{own} {digest(self.state_dict())}".encode()).hexdigest()


def _columns(values: npt.NDArray[Any], names: Sequence[str], kept: list[str]) -> npt.NDArray[Any]:
    if len(kept) == len(names):
        return values
    return np.ascontiguousarray(values[:, [names.index(name) for name in kept]])


def _odd(inputs: Inputs) -> dict[str, str]:
    """Return what `select_features` would leave out, and why; lists of values always stay."""
    columns: dict[str, Any] = {name: inputs.fields[:, j] for j, name in enumerate(inputs.field_names)}
    columns |= {name: inputs.dense[:, j] for j, name in enumerate(inputs.dense_names)}
    if not columns:
        raise DataError("drop_features: there is no field and no number to choose from")
    return select_features(columns).dropped


def _named(patterns: Sequence[str], names: list[str]) -> dict[str, str]:
    """Return the inputs that the patterns match."""
    found: dict[str, str] = {}
    for pattern in patterns:
        matched = [name for name in names if fnmatchcase(name, pattern)]
        if not matched:
            raise ConfigError(
                f"--drop-features {pattern}: matches no input{nearest(pattern, names)}; there are {', '.join(names)}"
            )
        found |= dict.fromkeys(matched, f"named by {pattern}")
    return found
