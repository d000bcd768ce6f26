"""The one error that bad data raises."""

from __future__ import annotations

__all__ = ["DataError"]


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
