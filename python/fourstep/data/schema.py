"""Which column plays which role."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .errors import DataError

__all__ = ["Schema"]


@dataclass(frozen=True, init=False)
class Schema:
    """The roles of the columns: one label, who, when, and what the model may look at.

    Parameters
    ----------
    label : str
        What is predicted: 0 or 1.
    user : str, optional
        Who saw the row: groups of the grouped AUC, history, and the split by user.
    time : str, optional
        When: a number, or a date that becomes seconds since 1970. Needed by history and by the splits by time.
    categorical : sequence of str
        Columns that get an embedding. The user may be one of them.
    numeric : sequence of str
        Columns that are standardised.
    tags : sequence of str
        Those categorical columns whose text lists several values, separated by ``|`` (``"Action|War"``).
        The embedding takes the whole text as one category; the history also looks at each value.

    Raises
    ------
    DataError
        A column with two roles, or named twice. (The user as a categorical column is no clash.)

    Examples
    --------
    >>> schema = Schema("click", user="user_id", time="ts", categorical=["ad", "site"], numeric=["price"])
    >>> schema.columns
    ('click', 'user_id', 'ts', 'ad', 'site', 'price')
    """

    label: str
    user: str | None
    time: str | None
    categorical: tuple[str, ...]
    numeric: tuple[str, ...]
    tags: tuple[str, ...]

    def __init__(
        self,
        label: str,
        user: str | None = None,
        time: str | None = None,
        categorical: Iterable[str] = (),
        numeric: Iterable[str] = (),
        tags: Iterable[str] = (),
    ) -> None:
        for role, name in (("label", label), ("user", user), ("time", time)):
            object.__setattr__(self, role, name)
        for role, names in (("categorical", categorical), ("numeric", numeric), ("tags", tags)):
            object.__setattr__(self, role, _names(role, names))
        taken: dict[str, str] = {}
        for role, names in self._roles():
            for name in names:
                if name in taken and {taken[name], role} != {"user", "categorical"}:
                    raise DataError(f"column {name!r} is named twice: as {taken[name]} and as {role}")
                taken[name] = role
        for name in self.tags:
            if name not in self.categorical:
                raise DataError(f"tags: column {name!r} is not among the categorical columns")
            if f"{name}/tags" in self.keys:
                raise DataError(
                    f"column '{name}/tags' has the name that history gives to the tags of {name!r}; rename it"
                )

    def _roles(self) -> Iterable[tuple[str, tuple[str, ...]]]:
        yield "label", (self.label,)
        yield "user", () if self.user is None else (self.user,)
        yield "time", () if self.time is None else (self.time,)
        yield "categorical", self.categorical
        yield "numeric", self.numeric

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that has a role, each once, the label first."""
        return tuple(dict.fromkeys(name for _, names in self._roles() for name in names))

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns of categories: the user first, then the categorical ones."""
        user = () if self.user is None else (self.user,)
        return tuple(dict.fromkeys(user + self.categorical))


def _names(role: str, names: Iterable[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise DataError(f"{role} needs a list of column names, got the text {names!r}")
    return tuple(names)
