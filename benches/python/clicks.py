"""Clicks as they come, for every case of the metrics, and what the metrics are by their definitions.

3 % positives, scores that are probabilities, float32. Beside them data on which a sort or a table could be slow:

    rounded     to two decimals                 one_value   95 % of the scores are equal     constant    all are
    outliers    two positives far away          balanced    half are positives               f64         float64 scores

Users, 20 rows each on average, as int64 ids in the order of the rows:

    scattered   equally likely, ids anywhere    dense       the same, ids from 0             grouped     user by user
    zipf        the k-th a k-th as often        half        one has half of the rows

Answers count pairs in integers, halves for ties; what is no count is summed in float64.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from harness import Array

KINDS = ("rounded", "one_value", "constant", "outliers", "balanced", "f64")
USERS = ("scattered", "dense", "grouped", "zipf", "half")
ROWS_A_USER = 20

#: Rows that are made at a time, so that the float64 temporaries of 10⁸ rows stay small.
_CHUNK = 10**7
#: An odd number: times it, modulo 2^64, each user has an id of its own, anywhere in int64.
_SCATTER = np.uint64(0x9E3779B97F4A7C15)


@lru_cache(maxsize=2)
def clicks(kind: str, rows: int) -> tuple[Array, Array]:
    """Return labels (uint8) and scores, which nobody writes."""
    rng = np.random.default_rng(0)
    y = np.empty(rows, np.uint8)
    score = np.empty(rows, np.float64 if kind == "f64" else np.float32)
    for start in range(0, rows, _CHUNK):
        part = slice(start, min(start + _CHUNK, rows))
        y[part], score[part] = _chunk(kind, part.stop - start, rng)
    return y, score


def _chunk(kind: str, rows: int, rng: np.random.Generator) -> tuple[Array, Array]:
    y = (rng.random(rows) < (0.5 if kind == "balanced" else 0.03)).astype(np.uint8)
    score = 1 / (1 + np.exp(3.6 - 0.9 * y - rng.standard_normal(rows)))
    if kind == "rounded":
        score = score.round(2)
    elif kind == "one_value":
        score[rng.random(rows) < 0.95] = 0.03
    elif kind == "constant":
        score[:] = 0.03
    elif kind == "outliers":
        score[np.flatnonzero(y)[:2]] = -1e30, 1e30
    return y, score


class Users(NamedTuple):
    """Rows with users: labels, scores, users as numbers from 0, and as int64 ids."""

    y: Array
    score: Array
    user: Array
    ids: Array

    @property
    def offsets(self) -> Array:
        """Where each user begins, if rows lie user by user."""
        return np.concatenate(([0], np.cumsum(np.bincount(self.user))))


@lru_cache(maxsize=1)
def users(kind: str, rows: int) -> Users:
    """Return rows with users, who are one more column of `clicks`."""
    y, score = clicks("f32", rows)
    rng = np.random.default_rng(1)
    count = rows // ROWS_A_USER
    user = rng.integers(0, count, rows)
    if kind == "zipf":
        share = np.cumsum(1 / np.arange(1.0, count + 1))
        user = np.searchsorted(share, rng.random(rows) * share[-1], "right")
    elif kind == "half":
        user[rng.random(rows) < 0.5] = 0
    elif kind == "grouped":
        user = np.sort(user)
    ids = user if kind == "dense" else (user.astype(np.uint64) * _SCATTER).view(np.int64)
    return Users(y, score, user, ids)


@lru_cache(maxsize=1)
def exact_auc(kind: str, rows: int) -> float:
    """Return (pairs in order + half of the ties) / pairs, from each positive's place among the negatives."""
    positives, negatives = _classes(kind, rows)
    twice = int(_twice_below(positives, negatives).sum())
    return float(Fraction(twice, 2 * len(positives) * len(negatives)))


@lru_cache(maxsize=1)
def delong_error(kind: str, rows: int) -> float:
    """Return the standard error of AUC: the variance of either class's places, over its rows."""
    positives, negatives = _classes(kind, rows)
    places = (
        _twice_below(positives, negatives) / (2 * len(negatives)),
        _twice_below(negatives, positives) / (2 * len(positives)),
    )
    return float(np.sqrt(sum(place.var(ddof=1) / len(place) for place in places)))


def _classes(kind: str, rows: int) -> tuple[Array, Array]:
    """Return the scores of the positives and of the negatives, in order."""
    y, score = clicks(kind, rows)
    positive = y == 1
    return np.sort(score[positive], kind="stable"), np.sort(score[~positive], kind="stable")


def _twice_below(x: Array, others: Array) -> Array:
    """Return, for each x, how many of the others are below or equal, plus how many are below."""
    return np.searchsorted(others, x, "left") + np.searchsorted(others, x, "right")


class Tallies(NamedTuple):
    """Of each user: rows, positives, and twice the pairs in order (a tie is one)."""

    rows: Array
    positives: Array
    twice: Array

    def aucs(self) -> tuple[Array, Array]:
        """Return the AUC and the rows of each user with both classes."""
        both = (self.positives > 0) & (self.positives < self.rows)
        rows, positives = self.rows[both], self.positives[both]
        return self.twice[both] / (2 * positives * (rows - positives)), rows

    def first(self, count: int) -> Tallies:
        """Return those of the first users."""
        return Tallies(*(column[:count] for column in self))

    def gauc(self) -> float:
        """Return the mean AUC, weighted by rows."""
        auc, rows = self.aucs()
        return float((auc * rows).sum() / rows.sum())

    def error(self) -> float:
        """Return its standard error, users being drawn: that of a quotient of two means, to first order."""
        auc, rows = self.aucs()
        return float(np.sqrt(np.square(rows * (auc - self.gauc())).sum()) / rows.sum())


@lru_cache(maxsize=1)
def tallies(kind: str, rows: int) -> Tallies:
    """Return the tallies of the users."""
    return count_pairs(users(kind, rows))


def count_pairs(data: Users) -> Tallies:
    """Count each user's pairs along rows that are sorted by user and score; equal ones are a run."""
    y, score, user, _ = data
    order = np.lexsort((score, user))
    user, score, y = user[order], score[order], y[order].astype(np.int64)
    starts = np.flatnonzero(np.append(True, (user[1:] != user[:-1]) | (score[1:] != score[:-1])))
    positives = np.add.reduceat(y, starts)
    negatives = np.diff(starts, append=len(y)) - positives
    below, owner = np.cumsum(negatives) - negatives, user[starts]
    # less the negatives of the users before
    below -= below[np.searchsorted(owner, owner, "left")]
    twice = np.zeros(user[-1] + 1, np.int64)
    np.add.at(twice, owner, positives * (2 * below + negatives))
    return Tallies(np.bincount(user), np.bincount(user, y).astype(np.int64), twice)
