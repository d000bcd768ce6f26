"""Categories as indices: 0 = never seen when fitted (or too rare), 1 = null, 2 and up = the fitted categories by text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .column import Factor

__all__ = ["NULL", "UNSEEN", "Vocabulary", "pack", "unpack"]

UNSEEN, NULL, FIRST = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The categories of one column that were there when it was fitted.

    Attributes
    ----------
    texts : list of str
        Sorted.
    kept : (len(texts),) bool
        Which of them the model tells apart; the others share index 0 with the unseen ones, and so give it
        something to learn.

    Examples
    --------
    >>> from fourstep.data.column import from_texts
    >>> seen = from_texts(["b", "a", "b", None]).factor()
    >>> vocabulary = Vocabulary.fit(seen, np.arange(4))
    >>> ids = vocabulary.ids(from_texts(["a", "b", "c", None]).factor())
    >>> vocabulary.fields(ids).tolist(), vocabulary.size
    ([2, 3, 0, 1], 4)
    """

    texts: list[str]
    kept: npt.NDArray[np.bool_]

    @staticmethod
    def fit(factor: Factor, rows: npt.NDArray[np.int64], min_count: int = 1) -> Vocabulary:
        """The categories of the given rows; those in fewer than `min_count` of them are not told apart."""
        codes = factor.codes[rows]
        counts = np.bincount(codes[codes >= 0], minlength=len(factor.texts))
        used = np.flatnonzero(counts)
        return Vocabulary([factor.texts[code] for code in used], counts[used] >= min_count)

    @property
    def size(self) -> int:
        """Number of indices that `fields` can give."""
        return FIRST + int(self.kept.sum())

    def ids(self, factor: Factor) -> npt.NDArray[np.int64]:
        """The index of each row among all fitted categories, rare ones too (this is what history counts by)."""
        place = {text: index for index, text in enumerate(self.texts, FIRST)}
        table = np.array(
            [place.get(text, UNSEEN) for text in factor.texts] + [NULL], np.int64
        )  # code -1 finds the last
        return table[factor.codes]

    def fields(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The index for the model: those that are not kept become 0."""
        kept = np.concatenate(([False, True], self.kept))
        table = np.where(kept, np.cumsum(kept), UNSEEN)
        return table[ids]

    def state_dict(self) -> dict[str, Any]:
        """Arrays only."""
        return {"texts": pack(self.texts), "kept": self.kept.astype(np.uint8)}

    @staticmethod
    def from_state_dict(state: dict[str, Any]) -> Vocabulary:
        """The inverse of `state_dict`."""
        return Vocabulary(unpack(state["texts"]), state["kept"].astype(bool))


def pack(texts: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """Texts as two arrays: their UTF-8 bytes in a row, and where each ends.

    Examples
    --------
    >>> unpack(pack(["", "é", "ab"]))
    ['', 'é', 'ab']
    """
    parts = [text.encode("utf-8", "surrogatepass") for text in texts]
    ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
    return {"bytes": np.frombuffer(b"".join(parts), np.uint8).copy(), "ends": ends}


def unpack(state: dict[str, npt.NDArray[Any]]) -> list[str]:
    """The inverse of `pack`."""
    whole, ends = state["bytes"].tobytes(), state["ends"].tolist()
    return [
        whole[start:end].decode("utf-8", "surrogatepass")
        for start, end in zip([0, *ends], ends, strict=False)
    ]
