"""What a setting may hold: one reader for the command line, the TOML file and Python.

A kind says in `needs` what it takes. `read` checks a value that already has a type (from TOML or Python),
`parse` first turns the text of a flag into one. Both raise `ValueError(needs)`; who calls knows the name of
the flag or of the key, and says it.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

__all__ = ["Choice", "Kind", "Lists", "Names", "Number", "Sizes", "Switch", "Text", "Whole"]


class Kind(ABC):
    """A set of values, and how to read one."""

    @property
    @abstractmethod
    def needs(self) -> str:
        """What a value must be, for messages."""

    @abstractmethod
    def read(self, value: object) -> Any:
        """Return the value in its plain form."""

    def parse(self, text: str) -> Any:
        """Read the text of a flag."""
        return self.read(text)

    def refuse(self) -> ValueError:
        """Make the error of a value that will not do."""
        return ValueError(self.needs)


@dataclass(frozen=True)
class Number(Kind):
    """A finite number between two limits; `above` and `below` are excluded ends, `least` and `most` included ones."""

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf

    @property
    def needs(self) -> str:
        """What a value must be."""
        limits = [
            f"{sign} {limit:g}"
            for sign, limit in ((">=", self.least), (">", self.above), ("<=", self.most), ("<", self.below))
            if math.isfinite(limit)
        ]
        return " ".join(["a finite number", " and ".join(limits)]).strip()

    def read(self, value: object) -> float:
        """Return a float."""
        if not isinstance(value, Real) or isinstance(value, bool):
            raise self.refuse()
        number = float(value)
        if math.isfinite(number) and self.least <= number <= self.most and self.above < number < self.below:
            return number
        raise self.refuse()

    def parse(self, text: str) -> float:
        """Read the text of a flag."""
        try:
            return self.read(float(text))
        except ValueError:
            raise self.refuse() from None


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number from `least` to `most`."""

    least: int = 0
    most: int = 2**63 - 1

    @property
    def needs(self) -> str:
        """What a value must be."""
        return f"a whole number >= {self.least}" + (f" and <= {self.most}" if self.most < 2**63 - 1 else "")

    def read(self, value: object) -> int:
        """Return an int."""
        if (
            isinstance(value, Integral)
            and not isinstance(value, bool)
            and self.least <= int(value) <= self.most
        ):
            return int(value)
        raise self.refuse()

    def parse(self, text: str) -> int:
        """Read the text of a flag."""
        try:
            return self.read(int(text))
        except ValueError:
            raise self.refuse() from None


@dataclass(frozen=True)
class Switch(Kind):
    """True or false."""

    @property
    def needs(self) -> str:
        """What a value must be."""
        return "true or false"

    def read(self, value: object) -> bool:
        """Return a bool."""
        if isinstance(value, bool):
            return value
        raise self.refuse()


@dataclass(frozen=True)
class Text(Kind):
    """A text without line breaks; the empty one stands for "none"."""

    @property
    def needs(self) -> str:
        """What a value must be."""
        return "a text of one line in UTF-8"

    def read(self, value: object) -> str:
        """Return a str."""
        if isinstance(value, str) and not set(value) & {"\n", "\r", "\0"} and _is_unicode(value):
            return value
        raise self.refuse()


@dataclass(frozen=True)
class Choice(Kind):
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def needs(self) -> str:
        """What a value must be."""
        return f"one of {', '.join(self.words)}"

    def read(self, value: object) -> str:
        """Return the word."""
        if isinstance(value, str) and value in self.words:
            return value
        raise self.refuse()


@dataclass(frozen=True)
class Names(Kind):
    """Different names; on the command line separated by commas."""

    @property
    def needs(self) -> str:
        """What a value must be."""
        return "a list of different names"

    def read(self, value: object) -> tuple[str, ...]:
        """Return a tuple of str."""
        if not isinstance(value, list | tuple):
            raise self.refuse()
        names = tuple(value)
        good = all(isinstance(name, str) and name and _is_unicode(name) for name in names)
        if good and len(set(names)) == len(names):
            return names
        raise self.refuse()

    def parse(self, text: str) -> tuple[str, ...]:
        """Read the text of a flag; an empty one is the empty list."""
        return self.read([name.strip() for name in text.split(",")] if text.strip() else [])


_LIST = re.compile(r"(.+?):([^:]+|:)", re.DOTALL)
_FLAG_LIST = re.compile(r"([^,]+?:(?:[^:,]+|[:,]))(?:,|$)")


@dataclass(frozen=True)
class Lists(Kind):
    """Columns whose cells list several values, each with what stands between the values: ``genres:|``."""

    @property
    def needs(self) -> str:
        """What a value must be."""
        return "a list of COLUMN:SEPARATOR with different columns, such as genres:|"

    def read(self, value: object) -> tuple[str, ...]:
        """Return a tuple of str."""
        try:
            items = Names().read(value)
            columns = [self.split(item)[0] for item in items]
        except ValueError:
            raise self.refuse() from None
        if len(set(columns)) == len(columns):
            return items
        raise self.refuse()

    def parse(self, text: str) -> tuple[str, ...]:
        """Read the text of a flag: commas between them, and ``tags:,`` for a separator that is one."""
        found, place = [], 0
        while place < len(text):
            match = _FLAG_LIST.match(text, place)
            if match is None:
                raise self.refuse()
            found.append(match[1])
            place = match.end()
        return self.read(found)

    @staticmethod
    def split(item: str) -> tuple[str, str]:
        """Return column and separator.

        Examples
        --------
        >>> Lists.split("genres:|"), Lists.split("a:b::")
        (('genres', '|'), ('a:b', ':'))
        """
        match = _LIST.fullmatch(item)
        if match is None:
            raise ValueError
        return match[1], match[2]


@dataclass(frozen=True)
class Sizes(Kind):
    """Positive whole numbers; on the command line separated by commas, none for the empty list."""

    @property
    def needs(self) -> str:
        """What a value must be."""
        return "a list of whole numbers >= 1"

    def read(self, value: object) -> tuple[int, ...]:
        """Return a tuple of int."""
        if not isinstance(value, list | tuple):
            raise self.refuse()
        try:
            return tuple(Whole(1).read(size) for size in value)
        except ValueError:
            raise self.refuse() from None

    def parse(self, text: str) -> tuple[int, ...]:
        """Read the text of a flag."""
        try:
            return self.read(
                [int(size) for size in text.split(",")] if text.strip() not in ("", "none") else []
            )
        except ValueError:
            raise self.refuse() from None


def _is_unicode(text: str) -> bool:
    """Whether it can be written down: bytes of a command line that are no UTF-8 arrive as halves of surrogate pairs."""
    return not any(0xD800 <= ord(letter) <= 0xDFFF for letter in text)
