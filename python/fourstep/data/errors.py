"""The one error that bad data raises."""

from __future__ import annotations

__all__ = ["DataError", "counted"]


class DataError(ValueError):
    """Bad data: one line that names the file or argument, the column, the first row and the count.

    Rows are counted from 1 and are data rows: the header of a CSV file is not one of them.

    Examples
    --------
    >>> from fourstep import data
    >>> try:
    ...     data.Schema(label="click", numeric=("click",))
    ... except data.DataError as error:
    ...     print(error)
    column 'click' is named twice: as label and as numeric
    """


def counted(number: int, noun: str) -> str:
    """A number and its noun, which takes an s but for one.

    Examples
    --------
    >>> counted(1, "row"), counted(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
