"""Parameter groups: which parameters share hyper-parameters, and a live view of those that looks like torch's.

A group's ``"params"`` is a name, a pattern (``"*.bias"``), a list of them, or ``...``: every parameter that no other
group names. Every parameter is in exactly one group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from fnmatch import fnmatchcase
from types import EllipsisType
from typing import Any

import numpy as np

from fourstep.optim.checks import Check
from fourstep.schedules import evaluate

Array = np.ndarray[Any, Any]

#: What selects the parameters of a group.
Selection = str | EllipsisType | Sequence[str]


class ParamGroup(MutableMapping[str, Any]):
    """Hyper-parameters of one group. Assigning counts from the next step; a value out of range is refused at once.

    Keys are ``params`` (the arrays), ``names``, ``trainable`` and every hyper-parameter of the optimizer; ``lr`` reads
    as the number that the next step uses, also where it is a schedule (`schedule`). A number assigned to ``lr``
    replaces the schedule.
    """

    def __init__(
        self,
        names: Sequence[str],
        params: Sequence[Array],
        values: Mapping[str, Any],
        checks: Mapping[str, Check],
        together: Callable[[Mapping[str, Any]], None],
        next_step: Callable[[], int],
        fixed: Sequence[str] = (),
    ) -> None:
        self._fixed = {"params": list(params), "names": list(names)}
        self._checks = checks
        self._together = together
        self._next_step = next_step
        self._values: dict[str, Any] = {}
        #: Hyper-parameters that are as they were when the optimizer was made.
        self.fixed = tuple(fixed)
        self.update_all(values)
        #: Steps that this group has taken: those of the optimizer, less those for which it was frozen.
        self.steps = 0
        #: Steps that each of its tables has taken, if it is sparse.
        self.table_steps: dict[str, int] = {}
        #: State buffers that hold something for this group.
        self.started: set[str] = set()
        #: Scalars that a rule carries from step to step.
        self.scalars: dict[str, float] = {}

    @property
    def schedule(self) -> Callable[[int], float] | None:
        """The schedule of ``lr``, or None where it is a number."""
        lr = self._values["lr"]
        return lr if callable(lr) else None

    def raw(self, key: str) -> Any:
        """Return a hyper-parameter as it was set: ``lr`` may be a schedule."""
        return self._values[key]

    def update_all(self, values: Mapping[str, Any]) -> None:
        """Set several hyper-parameters: all of them, or on an error none."""
        self._values = self.check_all(values)

    def check_all(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return all hyper-parameters with these changed, without changing them."""
        unknown = [key for key in values if key not in self._checks]
        if unknown:
            known = ", ".join(self._checks)
            raise KeyError(f"no hyper-parameter is called {unknown[0]!r}; there are {known}")
        new = {**self._values, **{key: self._checks[key](key, value) for key, value in values.items()}}
        self._together(new)
        return new

    def __getitem__(self, key: str) -> Any:
        """Return what the next step uses."""
        if key in self._fixed:
            return self._fixed[key]
        if key == "lr":
            return evaluate(self._values["lr"], self._next_step())
        if key not in self._values:
            raise KeyError(f"no hyper-parameter is called {key!r}; there are {', '.join(self._values)}")
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        """Change a hyper-parameter from the next step on."""
        self.update({key: value})

    def update(self, *args: Any, **values: Any) -> None:
        """Change several hyper-parameters at once: all of them, or on an error none."""
        values = dict(*args, **values)
        fixed = [key for key in values if key in self._fixed or key in self.fixed]
        if fixed:
            raise KeyError(f"{fixed[0]!r} of a group is fixed when the optimizer is made")
        self.update_all(values)

    def __delitem__(self, key: str) -> None:
        """Refuse: a hyper-parameter can be changed, not removed."""
        raise KeyError(f"{key!r} cannot be removed from a group")

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys."""
        yield from self._fixed
        yield from self._values

    def __len__(self) -> int:
        """Count the keys."""
        return len(self._fixed) + len(self._values)

    def __repr__(self) -> str:
        """Return names and hyper-parameters."""
        return f"ParamGroup({', '.join(f'{key}={value!r}' for key, value in self.described().items())})"

    def described(self) -> dict[str, Any]:
        """Return what there is to tell of the group, without the arrays; a schedule as itself."""
        return {"names": self._fixed["names"], **self._values}


def assign(names: Sequence[str], groups: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return the names of each group, in the order of `names`.

    Raises
    ------
    ValueError
        A parameter in no group or in two, named; a pattern that matches nothing; two groups of the rest.
    """
    if isinstance(groups, Mapping) or not all(isinstance(group, Mapping) for group in groups):
        raise TypeError(f"groups: got {groups!r}, need a list of dicts, each with 'params'")
    rest = [index for index, group in enumerate(groups) if _selection(group, index) is ...]
    if len(rest) > 1:
        raise ValueError(f"groups {rest[0]} and {rest[1]} both take the rest (...); at most one can")
    owner: dict[str, int] = {}
    for index, group in enumerate(groups):
        for name in _named(names, group, index):
            if name in owner:
                raise ValueError(
                    f"parameter {name!r} is in group {owner[name]} and in group {index}; need exactly one"
                )
            owner[name] = index
    for name in names:
        if name not in owner:
            if not rest:
                raise ValueError(
                    f"parameter {name!r} is in no group; add it to one, or add a group with "
                    f"{{'params': ...}}, which takes the rest"
                )
            owner[name] = rest[0]
    return [[name for name in names if owner[name] == index] for index in range(len(groups))]


def _selection(group: Mapping[str, Any], index: int) -> Selection:
    if "params" not in group:
        raise ValueError(f"group {index} has no 'params': need a name, a pattern, a list of them, or ...")
    selection: Selection = group["params"]
    return selection


def _named(names: Sequence[str], group: Mapping[str, Any], index: int) -> list[str]:
    selection = _selection(group, index)
    if selection is ...:
        return []
    if not isinstance(selection, str) and not hasattr(selection, "__iter__"):
        raise TypeError(
            f"group {index}: 'params' got {selection!r}, need a name, a pattern, a list of them, or ..."
        )
    patterns = [selection] if isinstance(selection, str) else list(selection)
    found: dict[str, None] = {}
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise TypeError(f"group {index}: 'params' got {pattern!r}, need names or patterns as strings")
        matches = [pattern] if pattern in names else [name for name in names if fnmatchcase(name, pattern)]
        if not matches:
            raise ValueError(f"group {index}: {pattern!r} matches no parameter; there are {', '.join(names)}")
        found.update(dict.fromkeys(matches))
    return list(found)
