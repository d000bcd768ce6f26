"""Dialects: the same optimizer as torch, Keras, optax, its paper or the notes have it, as explicit fields.

``dialect=`` is read once, when an optimizer is made: it fills in the fields that were not given, under our names. What
the optimizer then is, its ``repr`` shows.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any, Literal, get_args

from fourstep.optim.dialects import keras, notes, optax, paper
from fourstep.optim.dialects.spec import Aliases, Entry, Table

__all__ = ["DIALECTS", "TABLES", "Aliases", "Dialect", "Dialected", "Entry", "entry", "translate"]

Dialect = Literal["torch", "keras", "optax", "paper", "notes"]

DIALECTS: tuple[Dialect, ...] = get_args(Dialect)
TABLES: Mapping[str, Table] = {
    "keras": keras.TABLE,
    "optax": optax.TABLE,
    "paper": paper.TABLE,
    "notes": notes.TABLE,
}
#: torch's arguments that have another place here.
_TORCH = {
    "decoupled_weight_decay": "use decay='decoupled'",
    "foreach": "every step is one fused pass",
    "fused": "every step is one fused pass",
    "capturable": "there are no CUDA graphs here",
    "differentiable": "a step is not differentiable here",
}
_PAIR = re.compile(r"(\w+)\[(\d)\]")


class Dialected(type):
    """The type of the optimizer classes: makes one with its arguments translated from a dialect into our fields."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make an optimizer."""
        dialect = kwargs.pop("dialect", "torch")
        args, kwargs = translate(cls, dialect, args, kwargs)
        blank: Any = object
        optimizer = blank.__new__(cls)
        optimizer.dialect = dialect
        optimizer.__init__(*args, **kwargs)
        return optimizer

    @property
    def __signature__(cls) -> inspect.Signature:
        """What `inspect.signature` shows: the arguments of ``__init__``."""
        return inspect.Signature(list(_parameters(cls).values()))


def entry(cls: type, dialect: str) -> Entry:
    """Return what a dialect says of an optimizer class.

    Raises
    ------
    ValueError
        There is no such dialect, or no such optimizer in it; says what to use instead.
    """
    if dialect not in DIALECTS:
        raise ValueError(f"dialect: got {dialect!r}, need one of {', '.join(map(repr, DIALECTS))}")
    if dialect == "torch":
        return Entry("torch")
    table = TABLES[dialect]
    ours = next(base.__name__ for base in cls.__mro__ if base.__module__.startswith("fourstep."))
    found = table.get(ours)
    if isinstance(found, Entry):
        return found
    why = (
        found
        or f"it has no such optimizer; it has {', '.join(k for k, v in table.items() if isinstance(v, Entry))}"
    )
    raise ValueError(f"{cls.__name__}: dialect {dialect!r}: {why}")


def translate(
    cls: type, dialect: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of an optimizer under our names, with the dialect's defaults where none are given.

    Raises
    ------
    TypeError
        An argument that is not known, or is given under two names, or has no default in this dialect.
    ValueError
        A dialect, an optimizer, or a value of an argument that there is not.
    """
    spec = entry(cls, dialect)
    speaker = _Speaker(cls, dialect, spec)
    given = speaker.ours(kwargs)
    if dialect == "torch":
        return args, given
    if len(args) > 2:
        raise TypeError(
            f"{cls.__name__}: dialect {dialect!r}: got {len(args)} arguments by position, need those after lr by name: "
            "their order is not the same everywhere"
        )
    by_position = dict(zip(_parameters(cls), args, strict=False))
    twice = [key for key in by_position if key in given]
    if twice:
        raise TypeError(f"{cls.__name__}: {twice[0]}: got it twice, by position and by name")
    missing = [key for key in spec.required if key not in given and key not in by_position]
    if missing:
        theirs = [alias for alias, target in spec.aliases.items() if target == missing[0]]
        named = f"{missing[0]} ({theirs[0]})" if theirs else missing[0]
        raise TypeError(f"{cls.__name__}: {named}: {spec.name} has no default; give one")
    for key, (other, reason) in spec.needs.items():
        if given.get(key) and other not in given:
            raise ValueError(f"{cls.__name__}: dialect {dialect!r}: {key}: {reason}")
    values = {key: value for key, value in spec.values.items() if key not in by_position}
    full = {**values, **speaker.whole(given, values)}
    lacking = [key for key in full if key not in speaker.own]
    if lacking:
        raise ValueError(
            f"{cls.__name__}: dialect {dialect!r}: needs {lacking[0]!r}, which {cls.__name__} has not"
        )
    if "groups" in full and full["groups"] is not None:
        full["groups"] = [speaker.group(group, full) for group in full["groups"]]
    if args and isinstance(args[0], Sequence) and args[0] and all(isinstance(g, Mapping) for g in args[0]):
        args = ([speaker.group(group, full) for group in args[0]], *args[1:])
    return args, full


class _Speaker:
    """Reads arguments of one optimizer in one dialect."""

    def __init__(self, cls: type, dialect: str, spec: Entry) -> None:
        self.cls, self.dialect, self.spec = cls, dialect, spec
        self.own = _own(cls)

    def ours(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments by our names, ``"betas[0]"`` among them."""
        result: dict[str, Any] = {}
        source: dict[str, str] = {}
        for name, value in given.items():
            target = self._target(name, value)
            if target is None or (value is None and target in self.spec.none):
                continue
            for other in source:
                if _overlap(other, target):
                    raise TypeError(
                        f"{self._head()}: got {source[other]!r} and {name!r}, which are one; give one of them"
                    )
            result[target], source[target] = value, name
        return result

    def whole(self, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments with parts of a pair put into the pair."""
        result: dict[str, Any] = {}
        for name, value in given.items():
            found = _PAIR.fullmatch(name)
            if found is None:
                result[name] = value
                continue
            key, place = found[1], int(found[2])
            start = result.get(key, defaults.get(key, _default(self.cls, key)))
            result[key] = (*start[:place], value, *start[place + 1 :])
        return result

    def group(self, group: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Return a group by our names."""
        extra = {key: group[key] for key in ("params", "trainable", "sparse") if key in group}
        rest = {key: value for key, value in group.items() if key not in extra}
        return {**extra, **self.whole(self.ours(rest), defaults)}

    def _target(self, name: str, value: Any) -> str | None:
        alias = self.spec.aliases.get(name)
        if alias is not None and not (name in self.own and isinstance(value, str)):
            return alias
        if name in self.spec.fixed:
            allowed, remedy = self.spec.fixed[name]
            if any(value is other or value == other for other in allowed):
                return None
            need = " or ".join(map(repr, allowed))
            raise ValueError(f"{self._head()}: {name}: got {value!r}, need {need}: {remedy}")
        if name in self.spec.refused:
            raise ValueError(f"{self._head()}: {name}: {self.spec.refused[name]}")
        if name in self.own:
            return name
        raise TypeError(f"{self._head()}: got an unexpected argument {name!r}{self._hint(name)}")

    def _hint(self, name: str) -> str:
        if self.dialect == "torch" and name in _TORCH:
            return f"; {_TORCH[name]}"
        for other, table in TABLES.items():
            found = table.get(self.cls.__name__)
            if isinstance(found, Entry) and name in found.aliases:
                return f"; it is {found.aliases[name]!r} here, and {name!r} with dialect={other!r}"
        near = get_close_matches(name, [*self.spec.aliases, *self.own], n=1, cutoff=0.5)
        return f"; do you mean {near[0]!r}?" if near else f"; there are {', '.join(self.own)}"

    def _head(self) -> str:
        return (
            self.cls.__name__ if self.dialect == "torch" else f"{self.cls.__name__}: dialect {self.dialect!r}"
        )


def _overlap(a: str, b: str) -> bool:
    return a == b or a.startswith(f"{b}[") or b.startswith(f"{a}[")


@cache
def _parameters(cls: type) -> dict[str, inspect.Parameter]:
    """Return the parameters of ``__init__``, without self."""
    own = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
    return {name: parameter for name, parameter in own.items() if name != "self"}


def _default(cls: type, name: str) -> Any:
    return _parameters(cls)[name].default


@cache
def _own(cls: type) -> tuple[str, ...]:
    """Return our names of the arguments."""
    from fourstep.optim.options import Shared

    kinds = {name: parameter.kind for name, parameter in _parameters(cls).items()}
    named = [name for name, kind in kinds.items() if kind is not inspect.Parameter.VAR_KEYWORD]
    if len(named) == len(kinds):
        return tuple(named)
    shared = [
        key for key in Shared.__annotations__ if key not in Aliases.__annotations__ and key != "dialect"
    ]
    return (*named, *(key for key in shared if key not in named))
