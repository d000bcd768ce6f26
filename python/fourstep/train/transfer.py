"""Beginning from another run: its parameters, whole or by name pattern (the pre-trained initialisation of the notes).

    tables of categories      row by row, by the text of the category: vocabularies need not agree
    everything else           by name; shapes and the inputs that they belong to must agree

A category that the other run does not know keeps the value that it began with.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fourstep.train.errors import ConfigError
from fourstep.train.groups import stem

if TYPE_CHECKING:
    from fourstep.train.config import Config
    from fourstep.train.features import Features
    from fourstep.train.model import ClickModel, Committee
    from fourstep.train.run import Run

__all__ = ["Source"]

#: Parameters whose rows or columns belong to the numbers of a row, in their order.
_OF_NUMBERS = ("embedding_numbers.", "wide_dense.")
#: Buffers that belong to the run, not to what was learned.
_OWN = ("seed", "step", "position_shares")


class Source:
    """A run to begin from, and what to take of it.

    Parameters
    ----------
    config : Config
        With `init_from` and `init_match`.

    Raises
    ------
    ConfigError
        There is no such run, or it cannot be read.
    """

    def __init__(self, config: Config) -> None:
        from fourstep.train.errors import RunError
        from fourstep.train.run import Run

        self.patterns = config.init_match
        try:
            self.run: Run = Run(Path(config.init_from))
        except RunError as error:
            raise ConfigError(f"--init-from {error}") from None
        self.state = self.run.model.state_dict()

    def fill(self, model: ClickModel | Committee, features: Features) -> dict[str, str]:
        """Copy what the patterns match; return by name how much of it was found.

        Raises
        ------
        ConfigError
            A pattern that matches no parameter; a parameter that the run has not, or with other inputs or shape.
        """
        mine = model.named_parameters() | _buffers(model)
        told: dict[str, str] = {}
        for pattern in self.patterns:
            matched = [
                name for name in mine if fnmatchcase(stem(name), pattern) or fnmatchcase(name, pattern)
            ]
            if not matched:
                known = ", ".join(model.named_parameters())
                raise ConfigError(f"--init-match {pattern}: matches no parameter; there are {known}")
            for name in matched:
                told[name] = self._copy(name, mine[name], model, features)
        return {name: found for name, found in told.items() if name in model.named_parameters()}

    def _copy(self, name: str, array: Any, model: ClickModel | Committee, features: Features) -> str:
        own = stem(name)
        theirs = self.state.get(name, self.state.get(own, self.state.get(f"member0.{own}")))
        if theirs is None:
            raise ConfigError(f"--init-match: the run in {self.run.folder} has no parameter {own}")
        fields = _fields(own, features)
        if fields is not None:
            return self._copy_rows(own, array, theirs, fields, features)
        self._check_inputs(own, model, features)
        if theirs.shape != array.shape:
            raise ConfigError(
                f"--init-match: {own} has the shape {theirs.shape} in {self.run.folder}, this model needs {array.shape}"
            )
        array[...] = theirs
        return "whole"

    def _copy_rows(self, own: str, array: Any, theirs: Any, fields: list[str], features: Features) -> str:
        """Copy a table of categories row by row."""
        if theirs.shape[1:] != array.shape[1:]:
            raise ConfigError(
                f"--init-match: {own} has {theirs.shape[1]} columns in {self.run.folder},"
                f" this model needs {array.shape[1]}"
            )
        there = _fields(own, self.run.features) or []
        starts, start = {}, 0
        for name in there:
            starts[name] = start
            start += self.run.features.sizes.indices[name]
        first = found = 0
        for name in fields:
            texts = features.texts(name)
            if name in starts:
                place = {text: index for index, text in enumerate(self.run.features.texts(name)) if index > 1}
                rows = [0, 1, *(place.get(text, -1) for text in texts[2:] if text is not None)]
                known = np.flatnonzero(np.array(rows) >= 0)
                array[first + known] = theirs[starts[name] + np.array(rows)[known]]
                found += len(known)
            first += len(texts)
        return f"{found:,} of {first:,} rows"

    def _check_inputs(self, own: str, model: ClickModel | Committee, features: Features) -> None:
        """Refuse weights of other inputs: their columns would mean something else."""
        deep = model.members[0].deep
        of_numbers = own.startswith(_OF_NUMBERS) or (own.startswith("output.") and not deep)
        first = own.startswith("hidden0.linear.weight")
        mine, theirs = features, self.run.features
        if (of_numbers or first) and mine.dense_names != theirs.dense_names:
            raise ConfigError(
                f"--init-match: {own} belongs to other numbers in {self.run.folder}:"
                f" {', '.join(theirs.dense_names) or 'none'}; here they are {', '.join(mine.dense_names) or 'none'}"
            )
        if first and [*mine.sizes.indices] != [*theirs.sizes.indices]:
            raise ConfigError(
                f"--init-match: {own} belongs to other fields in {self.run.folder}:"
                f" {', '.join(theirs.sizes.indices)}; here they are {', '.join(mine.sizes.indices)}"
            )


def _fields(own: str, features: Features) -> list[str] | None:
    """Return the columns whose categories are the rows of a table; None for what is no such table."""
    sizes = features.sizes
    if own in ("embedding.weight", "wide_fields.weight"):
        return list(sizes.fields)
    for k, name in enumerate(sizes.bags):
        if own in (f"embedding_list{k}.weight", f"wide_list{k}.weight"):
            return [name]
    if own == "position.weight":
        raise ConfigError(
            "--init-match: the term of the position cannot be taken from a run; name other patterns"
        )
    return None


def _buffers(model: ClickModel | Committee) -> dict[str, Any]:
    """Return the running statistics of the model, by name: they go with the layer that a pattern names."""
    found: dict[str, Any] = {}
    for name, module in model.modules():
        found |= {f"{name}.{own}": array for own, array in module.buffers.items() if own not in _OWN}
    return found
