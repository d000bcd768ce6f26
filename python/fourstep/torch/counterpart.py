"""From a torch group to a rule: by the class of `fourstep.optim` that has the formulas."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch

from fourstep.optim.base import Optimizer

_blanks: dict[Any, Any] = {}
_defaults: dict[Any, dict[str, Any]] = {}


class Values(dict[str, Any]):
    """A group's hyper-parameters as numbers, over the defaults of the counterpart; reads as its `ParamGroup` does."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.scalars: dict[str, float] = {}
        self.started: set[str] = set()
        self.steps = 0

    def raw(self, key: str) -> Any:
        """Return what is there."""
        return self[key]


def blank(counterpart: Any) -> Any:
    """Return an object of the class without parameters: its rules are functions of a group."""
    if counterpart not in _blanks:
        _blanks[counterpart] = object.__new__(counterpart)
        _blanks[counterpart].step_count = 0  # for messages
    return _blanks[counterpart]


def defaults(counterpart: Any) -> dict[str, Any]:
    """Return its hyper-parameters, with their defaults."""
    if counterpart not in _defaults:
        parameters = inspect.signature(counterpart.__init__).parameters.values()
        _defaults[counterpart] = {p.name: p.default for p in parameters if p.default is not p.empty}
    return _defaults[counterpart]


def values(counterpart: type[Optimizer], group: Mapping[str, Any]) -> Values:
    """Return what a torch group says, as the counterpart names it."""
    own = defaults(counterpart)
    said = {key: plain(group[key]) for key in (*own, "decay") if key in group}
    return Values({"decay": counterpart._decay, **own, **said})


def plain(value: Any) -> Any:
    """Return numbers for tensors of one element, also in pairs."""
    if isinstance(value, torch.Tensor):
        return value.item()
    if isinstance(value, tuple | list):
        return tuple(plain(x) for x in value)
    return value
