"""Several values in a cell, as what an `EmbeddingBag` takes: ids one after another, and where each row's begin.

    0 unseen or rare, 1 the cell is null, 2 and up the values of the fitted rows, sorted

Each distinct text is split once; rows share what it holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .column import Factor
from .vocabulary import NULL, UNSEEN, Vocabulary

__all__ = ["Bags", "make_bags", "value_vocabulary", "values_of"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Bags:
    """The values of each row of one column.

    Attributes
    ----------
    codes : (n,) int
        Which text each row has; the last one is null.
    flat : (p,) int64
        The ids of all texts, one text after another.
    sizes : (texts,) int64
        How many ids each text has.

    Examples
    --------
    >>> factor = Factor(np.array([1, 0, -1], np.int32), ["a|b", "c"])
    >>> bags = make_bags(factor, "|", value_vocabulary(factor, "|", np.arange(3), min_count=1))
    >>> ids, starts = bags.take(np.array([2, 1, 0]))
    >>> ids.tolist(), starts.tolist()
    ([1, 2, 3, 4], [0, 1, 3])
    """

    codes: npt.NDArray[np.int64]
    flat: Ints
    sizes: Ints

    def take(self, rows: npt.NDArray[np.int64] | slice) -> tuple[Ints, Ints]:
        """Return the ids of the given rows, and where each row's begin."""
        codes = self.codes[rows]
        counts = self.sizes[codes]
        ends = np.cumsum(counts)
        first = (np.cumsum(self.sizes) - self.sizes)[codes]
        within = np.arange(int(counts.sum())) - np.repeat(ends - counts, counts)
        return self.flat[np.repeat(first, counts) + within], ends - counts

    def rows_with(self, of_flat: npt.NDArray[np.bool_]) -> int:
        """Count the rows of which any id is marked."""
        owner = np.repeat(np.arange(len(self.sizes)), self.sizes)
        return int((np.bincount(owner[of_flat], minlength=len(self.sizes)) > 0)[self.codes].sum())


def values_of(text: str, separator: str) -> list[str]:
    """Return the values of a text, each once, in their order.

    Examples
    --------
    >>> values_of("War; Action;War;", ";")
    ['War', 'Action']
    """
    return [value for value in dict.fromkeys(part.strip() for part in text.split(separator)) if value]


def value_vocabulary(
    factor: Factor, separator: str, rows: npt.NDArray[np.int64], min_count: int
) -> Vocabulary:
    """Return the values of the given rows; those in fewer than `min_count` of them are not told apart."""
    codes = factor.codes[rows]
    counts: dict[str, int] = {}
    for text, count in zip(
        factor.texts, np.bincount(codes[codes >= 0], minlength=len(factor.texts)).tolist(), strict=True
    ):
        for value in values_of(text, separator) if count else ():
            counts[value] = counts.get(value, 0) + count
    found = sorted(counts)
    return Vocabulary(found, np.array([counts[value] >= min_count for value in found], bool))


def make_bags(factor: Factor, separator: str, vocabulary: Vocabulary) -> Bags:
    """Return the values of every row, by the vocabulary that was fitted."""
    ids, sizes = _ids(factor, separator, vocabulary)
    return Bags(factor.codes.astype(np.int64) % (len(factor.texts) + 1), vocabulary.fields(ids), sizes)


def odd_rows(factor: Factor, separator: str, vocabulary: Vocabulary) -> tuple[int, int]:
    """Count the rows with a value that was not there when fitted, and with one that was too rare."""
    ids, _ = _ids(factor, separator, vocabulary)
    bags = make_bags(factor, separator, vocabulary)
    unseen = ids == UNSEEN
    return bags.rows_with(unseen), bags.rows_with((bags.flat == UNSEEN) & ~unseen)


def _ids(factor: Factor, separator: str, vocabulary: Vocabulary) -> tuple[Ints, Ints]:
    """Return the ids of each text among all fitted values, the null last, and how many each has."""
    place = {value: index for index, value in enumerate(vocabulary.texts, NULL + 1)}
    lists = [[place.get(value, UNSEEN) for value in values_of(text, separator)] for text in factor.texts]
    lists.append([NULL])
    return (
        np.array([index for found in lists for index in found], np.int64),
        np.array([len(found) for found in lists], np.int64),
    )
