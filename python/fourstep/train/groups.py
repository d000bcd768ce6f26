"""Which parameter gets which learning rate and decay.

By default four groups: embeddings, the linear term of the categories, weights, and those that never decay
(biases, batch normalisation and the term of the position: their size is not what overfits). A pattern of the
configuration takes its parameters out of these; so do those of ``init_match`` that are frozen or
have a rate of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from fourstep.train.errors import ConfigError
from fourstep.train.schedule import schedule

if TYPE_CHECKING:
    from fourstep.train.config import Config

__all__ = ["decay_of", "groups", "penalised", "stem"]


def stem(name: str) -> str:
    """Return a parameter's name without the member of a committee that it belongs to.

    Examples
    --------
    >>> stem("member3.embedding.weight"), stem("bias")
    ('embedding.weight', 'bias')
    """
    first, _, rest = name.partition(".")
    return rest if first.startswith("member") else name


def penalised(name: str) -> bool:
    """Whether a parameter decays, and L1 acts on it: all but biases, batch normalisation and the position."""
    return not (name.rpartition(".")[2] == "bias" or ".norm." in name or stem(name).startswith("position."))


def decay_of(name: str, config: Config) -> float:
    """Return the default decay of a parameter of `fourstep.train.model.ClickModel`.

    Examples
    --------
    >>> from fourstep.train import Config
    >>> decay_of("hidden0.norm.weight", Config()), decay_of("bias", Config())
    (0.0, 0.0)
    """
    if not penalised(name):
        return 0.0
    own = stem(name)
    if own.startswith("embedding"):
        return config.embedding_decay + config.l2
    if own.startswith(("wide_fields.", "wide_list")):
        return config.wide_decay + config.l2
    return config.weight_decay + config.l2


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
    apart = _taken(config)
    for pattern in apart:
        if pattern in config.groups:
            raise ConfigError(
                f"groups: {pattern} is a pattern of init_match too, which has settings of its own"
            )
    for pattern, settings in (config.groups | apart).items():
        matched = [name for name in left if fnmatchcase(stem(name), pattern) or fnmatchcase(name, pattern)]
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


def _taken(config: Config) -> dict[str, dict[str, Any]]:
    """Return the groups of the parameters that come from another run, if they are to be treated apart."""
    if config.init_freeze:
        return {pattern: {"trainable": False} for pattern in config.init_match}
    return {pattern: {"lr": config.init_lr} for pattern in config.init_match if config.init_lr}


def _by_kind(names: Iterable[str], config: Config) -> list[tuple[dict[str, Any], list[str]]]:
    """Return the parameters of each decay, those that step by rows apart."""
    kinds: dict[tuple[float, bool], list[str]] = {}
    for name in names:
        table = stem(name).startswith(("embedding.", "embedding_list", "wide_fields.", "wide_list"))
        kinds.setdefault((decay_of(name, config), config.sparse and table), []).append(name)
    return [
        ({"weight_decay": decay} | ({"sparse": True} if sparse else {}), members)
        for (decay, sparse), members in kinds.items()
    ]
