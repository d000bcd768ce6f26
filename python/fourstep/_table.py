"""Plain text tables for ``repr``: columns as wide as their widest cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from unicodedata import combining


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return head and rows as lines of aligned columns, without a line break at the end."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(_width(row[column]) for row in cells) for column in range(len(head))]
    lines = (
        "  ".join(_padded(cell, width) for cell, width in zip(row, widths, strict=True)) for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - _width(cell))


def _width(cell: str) -> int:
    """Return how wide it prints: an accent stands over a letter."""
    return sum(not combining(character) for character in cell)
