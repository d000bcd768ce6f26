"""Columns that list several values in one text: ``Action|War``."""

from __future__ import annotations

import numpy as np

from .column import Factor
from .history import Keys

__all__ = ["split_tags", "tag_keys", "tag_vocabulary"]


def split_tags(text: str) -> list[str]:
    """The values, each once, in their order.

    Examples
    --------
    >>> split_tags("War| Action|War|")
    ['War', 'Action']
    """
    return [tag for tag in dict.fromkeys(part.strip() for part in text.split("|")) if tag]


def tag_vocabulary(texts: list[str]) -> list[str]:
    """All values of some texts, sorted."""
    return sorted({tag for text in texts for tag in split_tags(text)})


def tag_keys(factor: Factor, tags: list[str]) -> Keys:
    """The place of each row's values among `tags`, -1 for those that are not there; a null lists none.

    Each distinct text is split once; the rows take their values from it.

    Examples
    --------
    >>> keys = tag_keys(Factor(np.array([1, -1, 0], np.int32), ["a|b", "c"]), ["a", "b"])
    >>> keys.ids.tolist(), keys.rows.tolist()
    ([-1, 0, 1], [0, 2, 2])
    """
    place = {tag: index for index, tag in enumerate(tags)}
    lists = [[place.get(tag, -1) for tag in split_tags(text)] for text in factor.texts] + [
        []
    ]  # code -1 finds the last
    sizes = np.array([len(found) for found in lists], np.int64)
    flat = np.array([index for found in lists for index in found], np.int64)
    starts = np.cumsum(sizes) - sizes
    counts = sizes[factor.codes]
    rows = np.repeat(np.arange(len(factor.codes)), counts)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return Keys(flat[np.repeat(starts[factor.codes], counts) + within], rows)
