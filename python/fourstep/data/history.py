"""What was known of a key before a row: its click rate and how often it was seen.

For a row at time t and a key (this user, this item, this item with this user), over the fitted rows of the
same key at times < t:

    n = rows,  s = clicks,  p = the prior
    rate   log-odds((s + k·p) / (n + k)) − log-odds(p)  =  log((s + k·p) / (n − s + k·(1 − p))) − log(p / (1 − p))
    count  log(1 + n)

The prior of a key is the rate of all earlier rows, (S + 1) / (N + 2); that of a pair with the user is the
user's own smoothed rate. So 0 means "no different", and a key without a past gets 0. A column that lists
several values gives the mean over its values.

Rows of the same time are not earlier: the label of a row reaches neither itself nor its neighbours in one
page view. Rates are scaled by nothing that was fitted (a mean over the training rows would carry labels back
in time); the counts, which know no label, are standardised.

Each key is a table of its fitted rows sorted by (key, time), with the running sum of their labels: one binary
search a row. All sums are whole numbers, so the same rows give the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Counts", "History", "Keys", "lift"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Counts:
    """Clicks and rows of each key before a time.

    Parameters
    ----------
    key, rank, label : (m,) int
        The fitted rows; `rank` is the place of their time among the distinct fitted times. Negative keys are left out.
    ranks : int
        Number of distinct times.

    Examples
    --------
    >>> counts = Counts(np.array([5, 5, 7]), np.array([0, 1, 1]), np.array([1, 0, 1]), 2)
    >>> clicks, rows = counts.before(np.array([5, 5, 5, 7]), np.array([0, 1, 2, 1]))
    >>> clicks.tolist(), rows.tolist()
    ([0, 1, 1, 0], [0, 1, 2, 0])
    """

    def __init__(self, key: Ints, rank: Ints, label: npt.NDArray[Any], ranks: int) -> None:
        known = key >= 0
        code = key[known] * (ranks + 1) + rank[known]
        order = np.argsort(code, kind="stable")
        self.width = ranks + 1
        self.code = code[order]
        self.clicks = np.concatenate(([0], np.cumsum(label[known][order], dtype=np.int64)))
        self.keys = int(key.max(initial=-1)) + 1
        self.starts = np.searchsorted(self.code, np.arange(self.keys + 1) * self.width)
        same_key = np.diff(self.code // self.width) == 0
        self.repeats = bool((same_key & (np.diff(self.code) > 0)).any())  # else no fitted row has a past

    def before(self, key: Ints, rank: Ints) -> tuple[Ints, Ints]:
        """Clicks and rows of each key at times whose place is below `rank`; 0 for a key that is not there."""
        key = np.where((key < 0) | (key > self.keys), self.keys, key)  # one past the last: it has no rows
        start = self.starts[key]
        end = np.searchsorted(self.code, key * self.width + rank)
        return self.clicks[end] - self.clicks[start], end - start


def lift(clicks: Ints, rows: Ints, prior: Floats, k: float) -> Floats:
    """Log-odds of the smoothed rate, less those of the prior.

    Examples
    --------
    >>> lift(np.array([0, 3]), np.array([0, 4]), np.array([0.5, 0.5]), 2.0).round(3).tolist()
    [0.0, 0.693]
    """
    rate = np.log((clicks + k * prior) / (rows - clicks + k * (1 - prior))) - np.log(prior / (1 - prior))
    return np.where(rows == 0, 0.0, rate)


@dataclass(frozen=True, eq=False)
class Keys:
    """The ids of each row under one key: one each, or several.

    Attributes
    ----------
    ids : (p,) int64
        -1 where nothing is known.
    rows : (p,) int64 or None
        The row of each id; None when each row has one.
    """

    ids: Ints
    rows: Ints | None = None

    def spread(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Values of rows as values of ids."""
        return values if self.rows is None else values[self.rows]

    def mean(self, values: npt.NDArray[Any], n: int) -> Floats:
        """Values of ids as their mean by row; 0 for a row without ids."""
        if self.rows is None:
            return values.astype(np.float64)
        total = np.bincount(self.rows, weights=values, minlength=n)
        return total / np.maximum(np.bincount(self.rows, minlength=n), 1)


class Pairs:
    """Ids of pairs (user, id) that the fitted rows hold; -1 for every other pair."""

    def __init__(self, user: Ints, ids: Ints) -> None:
        self.width = int(ids.max(initial=0)) + 1
        code = self._code(user, ids)
        self.known = np.unique(code[code >= 0])

    def _code(self, user: Ints, ids: Ints) -> Ints:
        return np.where((user < 0) | (ids < 0) | (ids >= self.width), -1, user * self.width + ids)

    def ids(self, user: Ints, ids: Ints) -> Ints:
        """The id of each pair."""
        code = self._code(user, ids)
        place = np.searchsorted(self.known, code)
        found = np.append(self.known, -1)[place] == code
        return np.where(found & (code >= 0), place, -1)


class History:
    """The history columns of any rows, from the fitted rows that came before them.

    Parameters
    ----------
    label, time : (m,) array
        The fitted rows.
    keys : dict of str to Keys
        Their keys by name; a name ending in ``/tags`` lists several ids a row, and has no column for its count.
    user : str or None
        The key whose pairs with every other key are counted too.
    smoothing : float
        k: so many rows' worth of belief in the prior.

    Examples
    --------
    >>> keys = {"ad": Keys(np.array([0, 0, 1]))}
    >>> history = History(np.array([1, 0, 1]), np.array([10, 20, 20]), keys, None, smoothing=2.0)
    >>> columns = history.columns(np.array([15, 30]), {"ad": Keys(np.array([0, 0]))})
    >>> columns["ad:count"].round(3).tolist()
    [0.693, 1.099]
    """

    def __init__(
        self,
        label: npt.NDArray[Any],
        time: npt.NDArray[Any],
        keys: dict[str, Keys],
        user: str | None,
        smoothing: float,
    ) -> None:
        self.times, rank = np.unique(time, return_inverse=True)
        self.user, self.smoothing = user, smoothing
        self.listed = {name: key.rows is not None for name, key in keys.items()}
        ranks = len(self.times)
        self.all = Counts(np.zeros(len(rank), np.int64), rank, label, ranks)
        self.counts: dict[str, Counts] = {}
        self.pairs: dict[str, Pairs] = {}
        for name, key in keys.items():
            self.counts[name] = Counts(key.ids, key.spread(rank), key.spread(label), ranks)
        for name in self._crossed(keys):
            key, owner = keys[name], keys[name].spread(keys[str(user)].ids)
            self.pairs[name] = Pairs(owner, key.ids)
            ids = self.pairs[name].ids(owner, key.ids)
            self.counts[f"{user}*{name}"] = Counts(ids, key.spread(rank), key.spread(label), ranks)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in their order."""
        none = np.zeros(0, np.int64)
        return tuple(
            self.columns(
                none, {name: Keys(none, none if listed else None) for name, listed in self.listed.items()}
            )
        )

    def _crossed(self, keys: dict[str, Keys]) -> list[str]:
        """Keys that are paired with the user: of a column that lists several values, its values alone."""
        if self.user is None:
            return []
        return [name for name in keys if name != self.user and f"{name}/tags" not in keys]

    def columns(self, time: npt.NDArray[Any], keys: dict[str, Keys]) -> dict[str, Floats]:
        """``name:rate`` and ``name:count`` of rows at the given times; keys without a past anywhere are left out."""
        n = len(time)
        rank = np.searchsorted(self.times, time)  # place of the first fitted time that is not earlier
        clicks, rows = self.all.before(np.zeros(n, np.int64), rank)
        prior = own = (clicks + 1) / (rows + 2)
        out: dict[str, Floats] = {}
        for name, key in keys.items():
            clicks, rows = self.counts[name].before(key.ids, key.spread(rank))
            if self.counts[name].repeats:
                out[f"{name}:rate"] = key.mean(lift(clicks, rows, key.spread(prior), self.smoothing), n)
            if self.counts[name].repeats and key.rows is None:
                out[f"{name}:count"] = np.log1p(rows)
            if name == self.user:
                own = (clicks + self.smoothing * prior) / (rows + self.smoothing)
        for name in self._crossed(keys):
            pair, key = f"{self.user}*{name}", keys[name]
            if not self.counts[pair].repeats:
                continue
            ids = self.pairs[name].ids(key.spread(keys[str(self.user)].ids), key.ids)
            clicks, rows = self.counts[pair].before(ids, key.spread(rank))
            out[f"{pair}:rate"] = key.mean(lift(clicks, rows, key.spread(own), self.smoothing), n)
        return out
