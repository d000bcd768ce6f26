"""Which parameter gets which learning rate and decay.

By default four groups: embeddings, the linear term of the categories, weights, and those that never decay
(biases and batch normalisation: their size is not what overfits). A pattern of the configuration takes its
parameters out of these.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from fourstep.train.errors import ConfigError
from fourstep.train.schedule import schedule

if TYPE_CHECKING:
    from fourstep.train.config import Config

__all__ = ["decay_of", "groups"]


def decay_of(name: str, config: Config) -> float:
    """Return the default decay of a parameter of `fourstep.train.model.ClickModel`.

    Examples
    --------
    >>> from fourstep.train import Config
    >>> decay_of("hidden0.norm.weight", Config()), decay_of("bias", Config())
    (0.0, 0.0)
    """
    if name.startswith("embedding."):
        return config.embedding_decay
    if name.startswith("wide_fields."):
        return config.wide_decay
    return 0.0 if name.rpartition(".")[2] == "bias" or ".norm." in name else config.weight_decay


def groups(names: Iterable[str], config: Config, steps_per_epoch: int) -> list[dict[str, Any]]:
    """Make the groups of an optimizer: every name is in one of them.

    Raises
    ------
    ConfigError
        A pattern that matches no parameter, or two that match the same one.
    """
    left = list(names)
    taken: dict[str, str] = {}
    made: list[dict[str, Any]] = []
    for pattern, settings in config.groups.items():
        matched = [name for name in left if fnmatchcase(name, pattern)]
        for name in matched:
            if name in taken:
                raise ConfigError(f"groups: parameter {name} is in two: {taken[name]} and {pattern}")
            taken[name] = pattern
        if not matched:
            raise ConfigError(f"groups: {pattern} matches no parameter; there are {', '.join(left)}")
        for kind, members in _by_kind(matched, config):  # a key left out keeps its default
            lr = schedule(config, settings.get("lr", config.lr), steps_per_epoch)
            made.append({"params": members} | kind | settings | {"lr": lr})
    rest = [name for name in left if name not in taken]
    made += [{"params": members} | kind for kind, members in _by_kind(rest, config)]
    return made


def _by_kind(names: Iterable[str], config: Config) -> list[tuple[dict[str, Any], list[str]]]:
    """Return the parameters of each decay, those that step by rows apart."""
    kinds: dict[tuple[float, bool], list[str]] = {}
    for name in names:
        table = name.startswith(("embedding.", "wide_fields."))
        kinds.setdefault((decay_of(name, config), config.sparse and table), []).append(name)
    return [
        ({"weight_decay": decay} | ({"sparse": True} if sparse else {}), members)
        for (decay, sparse), members in kinds.items()
    ]
