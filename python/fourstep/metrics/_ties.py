"""What lists are worth whose rows tie: expected values over all orders of equal scores, in closed form.

A block of ties has m rows, of which r are relevant, and a rows stand before it:

    gain of each rank of the block          mean gain of the block
    relevant rows among the first k         r · q/m                               q = min(k − a, m) ranks of it are in
    no relevant row among q of them         Π_{i < q} (m − r − i)/(m − i)
    the first relevant row is at j (from 0) r/(m − j) · Π_{i < j} (m − r − i)/(m − i)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.metrics._inputs import Array
from fourstep.metrics._sort import lexsort

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]


class Lists(NamedTuple):
    """Rows sorted by list, then by falling score; rows of equal score of a list are a block.

    ``start`` and ``size`` are of lists that have rows, ``block…`` of blocks: their first row, how many, how many
    stand before them, how many are relevant.
    """

    gain: Floats
    rank: NDArray[np.int64]
    start: NDArray[np.int64]
    size: NDArray[np.int64]
    relevant: NDArray[np.int64]
    block: NDArray[np.int64]
    block_size: NDArray[np.int64]
    block_before: NDArray[np.int64]
    block_relevant: NDArray[np.int64]
    first_block: NDArray[np.int64]


def in_order(gain: Floats, key: Array, code: NDArray[np.int64]) -> Lists:
    """Sort the rows; equal ones by gain, so that the ends of a block are its least and its largest."""
    order = lexsort(_bits(gain), ~key, code)
    gain, key, code = gain[order], key[order], code[order]
    new = np.concatenate([[True], code[1:] != code[:-1]])
    start = np.flatnonzero(new)
    size = np.diff(np.append(start, len(code)))
    rank = np.arange(len(code)) - np.repeat(start, size)
    block = np.flatnonzero(new | np.concatenate([[True], key[1:] != key[:-1]]))
    relevant = (gain > 0).astype(np.int64)
    return Lists(
        gain=gain,
        rank=rank,
        start=start,
        size=size,
        relevant=np.add.reduceat(relevant, start),
        block=block,
        block_size=np.diff(np.append(block, len(code))),
        block_before=rank[block],
        block_relevant=np.add.reduceat(relevant, block),
        first_block=np.flatnonzero(new[block]),
    )


def _bits(gain: Floats) -> NDArray[np.int64]:
    """Return integers that rise with numbers >= 0."""
    return (gain + 0.0).view(np.int64)  # -0.0 is 0.0


def ndcg(lists: Lists, k: int | None) -> Floats:
    """1/log₂(1 + i) and 1/ln(1 + i) differ by a factor that the quotient loses."""
    places = int(lists.size.max()) if k is None else min(k, int(lists.size.max()))
    logarithms = np.empty(places)
    _core.elementary("log", np.arange(2.0, places + 2.0), logarithms, execution())
    # Powers of two change no quotient, and keep the sums of huge gains finite.
    largest = np.frexp(np.maximum.reduceat(lists.gain, lists.start))[1]
    gain = np.ldexp(lists.gain, -np.repeat(largest, lists.size))
    discount = np.concatenate([1.0 / logarithms, [0.0]])[np.minimum(lists.rank, places)]
    low, high = gain[lists.block], gain[lists.block + lists.block_size - 1]
    mean = np.where(low == high, low, _sums(gain, lists.block) / lists.block_size)
    got = _sums(np.repeat(mean, lists.block_size) * discount, lists.start)
    best_first = lexsort(~_bits(gain), np.repeat(np.arange(len(lists.start)), lists.size))
    best = _sums(gain[best_first] * discount, lists.start)
    # A mean of gains that rounds up may pass the best by a last bit.
    return np.divide(np.minimum(got, best), best, out=np.zeros_like(best), where=best > 0)


def _among_first(lists: Lists, k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Expected relevant rows among the first k, as a fraction: whole blocks, and r·q/m of the one that k cuts."""
    inside = np.clip(k - lists.block_before, 0, lists.block_size)
    cut = (inside > 0) & (inside < lists.block_size)
    whole = np.add.reduceat(np.where(inside == lists.block_size, lists.block_relevant, 0), lists.first_block)
    part = np.add.reduceat(np.where(cut, lists.block_relevant * inside, 0), lists.first_block)
    m = np.maximum(np.add.reduceat(np.where(cut, lists.block_size, 0), lists.first_block), 1)
    return whole * m + part, m


def recall(lists: Lists, k: int) -> Floats:
    top, m = _among_first(lists, k)
    return np.asarray(top / (m * np.maximum(lists.relevant, 1)), np.float64)


def precision(lists: Lists, k: int) -> Floats:
    top, m = _among_first(lists, k)
    return np.asarray(top / (m * float(k)), np.float64)


class _Block(NamedTuple):
    """The first block with a relevant row of the lists that have one: rows before it, its rows, relevant ones."""

    list: NDArray[np.int64]
    before: NDArray[np.int64]
    size: NDArray[np.int64]
    relevant: NDArray[np.int64]


def _first_relevant(lists: Lists) -> _Block:
    of = np.repeat(np.arange(len(lists.start)), np.diff(np.append(lists.first_block, len(lists.block))))
    some = np.flatnonzero(lists.block_relevant)
    which, where = np.unique(of[some], return_index=True)
    block = some[where]
    return _Block(which, lists.block_before[block], lists.block_size[block], lists.block_relevant[block])


def hit(lists: Lists, k: int) -> Floats:
    block = _first_relevant(lists)
    inside = np.clip(k - block.before, 0, block.size)
    # The product of q factors is also one of r: the shorter one.
    length = np.minimum(inside, block.relevant)
    hit = np.zeros(len(lists.start))
    some = length > 0
    m, longer, length = block.size[some], np.maximum(inside, block.relevant)[some], length[some]
    i, of = _steps(length)
    none = _running_products(np.maximum(m[of] - longer[of] - i, 0) / (m[of] - i), i)
    hit[block.list[some]] = 1.0 - none[np.cumsum(length) - 1]
    return hit


def reciprocal_rank(lists: Lists, k: int | None) -> Floats:
    block = _first_relevant(lists)
    places = block.size - block.relevant + 1
    if k is not None:
        places = np.clip(k - block.before, 0, places)
    reciprocal = np.zeros(len(lists.start))
    some = places > 0
    m, r, before, places = block.size[some], block.relevant[some], block.before[some], places[some]
    if not len(places):
        return reciprocal
    j, of = _steps(places)
    m, r, before = m[of], r[of], before[of]
    # The factor of j is that of the product up to j: the first has none.
    later = _running_products(np.where(j > 0, (m - r - j + 1) / (m - j + 1), 1.0), j)
    terms = later * (r / (m - j)) / (before + 1 + j)
    reciprocal[block.list[some]] = _sums(terms, np.cumsum(places) - places)
    return reciprocal


def _steps(lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return 0 … length − 1 for each length, one after the other, and which length each belongs to."""
    of = np.repeat(np.arange(len(lengths)), lengths)
    return np.arange(len(of)) - np.repeat(np.cumsum(lengths) - lengths, lengths), of


def _sums(terms: Floats, start: NDArray[np.int64]) -> Floats:
    """Return the sums of runs of terms >= 0. Their order cannot matter: they become integers.

    Each term is rounded once, by at most 2^−61 of a power of two near the largest of its run. Integers of 60 bits are
    added in two halves, so that runs of up to 2^33 terms fit.
    """
    power = np.frexp(np.maximum.reduceat(terms, start))[1]
    lengths = np.diff(np.append(start, len(terms)))
    whole = np.rint(np.ldexp(terms, np.repeat(60 - power, lengths))).astype(np.int64)
    high, low = np.add.reduceat(whole >> 30, start), np.add.reduceat(whole & (2**30 - 1), start)
    return np.asarray(np.ldexp(high * 2.0**30 + low, power - 60), np.float64)


def _running_products(factor: Floats, place: NDArray[np.int64]) -> Floats:
    """Return the products of the factors up to each place, which counts from 0 in each run.

    Each round doubles how far back a product reaches, so there are as many as the longest run has binary digits.
    """
    reach, longest = 1, int(place.max(initial=0))
    while reach <= longest:
        far = np.flatnonzero(place >= reach)
        product = factor[far] * factor[far - reach]
        factor = factor.copy()
        factor[far] = product
        reach *= 2
    return factor
