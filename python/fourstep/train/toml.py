"""Write flat tables of TOML: texts, numbers, true and false, and lists of them.

Python's own `tomllib` reads TOML and does not write it. This writes what a configuration needs, so that
`tomllib` reads back the same values.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

__all__ = ["Value", "key", "table", "value"]

Value = str | bool | int | float | Sequence["str | bool | int | float"]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SHORT = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def table(entries: Mapping[str, Value], *, title: str = "", notes: Mapping[str, str] | None = None) -> str:
    """Write one table, a line an entry; `notes` become comments behind their entries.

    Examples
    --------
    >>> print(table({"lr": 0.002, "hidden": [64, 32]}, title='groups."emb*"', notes={"lr": "the peak"}), end="")
    [groups."emb*"]
    lr = 0.002  # the peak
    hidden = [64, 32]
    """
    lines = [f"[{title}]"] if title else []
    for name, held in entries.items():
        note = (notes or {}).get(name, "")
        lines.append(f"{key(name)} = {value(held)}" + (f"  # {note}" if note else ""))
    return "\n".join(lines) + "\n"


def key(name: str) -> str:
    """Write a key: bare where TOML allows it, else quoted."""
    return name if _BARE.fullmatch(name) else _text(name)


def value(held: Value) -> str:
    """Write a value.

    Raises
    ------
    TypeError
        TOML has no such value.
    """
    if isinstance(held, bool):
        return "true" if held else "false"
    if isinstance(held, str):
        return _text(held)
    if isinstance(held, int):
        return str(held)
    if isinstance(held, float):
        return _number(held)
    if isinstance(held, Sequence):
        return f"[{', '.join(value(item) for item in held)}]"
    raise TypeError(f"TOML has no value for {held!r}")


def _number(held: float) -> str:
    """Write the shortest digits that read back as the same float; a float keeps its point or exponent."""
    if not math.isfinite(held):
        return "nan" if held != held else "inf" if held > 0 else "-inf"
    return repr(held)  # 1e-05, 0.1, 1.0: each is a TOML float


def _text(held: str) -> str:
    return f'"{"".join(_escaped(letter) for letter in held)}"'


def _escaped(letter: str) -> str:
    if letter in _SHORT:
        return _SHORT[letter]
    code = ord(letter)
    if code < 0x20 or code == 0x7F:
        return f"\\u{code:04X}"
    if 0xD800 <= code <= 0xDFFF:
        raise TypeError("TOML has no value for half of a surrogate pair")
    return letter
