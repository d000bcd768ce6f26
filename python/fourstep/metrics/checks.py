"""The notes' properties of AUC (M2 to M5, M8) tried on the rows at hand: one report, a line for each.

area                the area under the ROC curve is the share of pairs that the positive wins, ties counting half
normal scores       AUC = Φ(Δ/√(σ₊² + σ₋²)), if the scores of both classes are normal
constant, maps      AUC stays where the order stays; a rounded score may tie where the score did not
negation            AUC of −score is 1 − AUC
negative sampling   a uniform sample of the negatives has the same AUC, up to chance
chance, diagonal    below ½, or below the diagonal in a part: label or score turned over, there
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np

from fourstep import _core
from fourstep._runtime import execution, limited
from fourstep._table import table
from fourstep.metrics import _interval
from fourstep.metrics._counts import Counts, Steps, count, steps
from fourstep.metrics._inputs import Array, Rows, choice, column, number, orderable, rows, same_length, whole
from fourstep.metrics._means import mean_of
from fourstep.metrics._order import keys
from fourstep.metrics._sort import lexsort
from fourstep.metrics.score import MetricWarning, Score, plural

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Map: TypeAlias = "Callable[[Any], ArrayLike]"
Status: TypeAlias = Literal["passed", "warned", "noted"]

#: All pairs are compared up to this many; beyond it, so many pairs at random.
ALL_PAIRS, SOME_PAIRS = 2**22, 100_000
#: How rare a deviation must be to be called one: ln(2/1e-6), once in a million.
RARE = 14.5
#: Standard errors below the diagonal that are no noise, wherever on the curve one looks.
DEEP = 5.0


class Check(NamedTuple):
    """A line of the report: what was tried, how it went, what was found in words and in numbers."""

    name: str
    status: Status
    found: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Checks:
    """What `check` found; shown as a table.

    Attributes
    ----------
    auc
        Of all rows, with its counts.
    checks
        The lines, each a `Check`: ``name``, ``status`` ("passed", "warned", or "noted" for what is neither), ``found``
        and ``values``.
    """

    auc: Score
    checks: tuple[Check, ...]

    @property
    def warned(self) -> tuple[str, ...]:
        """Names of the checks that warned."""
        return tuple(line.name for line in self.checks if line.status == "warned")

    def __len__(self) -> int:
        """Count the checks."""
        return len(self.checks)

    def __iter__(self) -> Iterator[Check]:
        """Give the lines."""
        return iter(self.checks)

    def __getitem__(self, name: str) -> Check:
        """Return the line of this name."""
        for line in self.checks:
            if line.name == name:
                return line
        raise KeyError(f"{name!r}: the checks are {', '.join(line.name for line in self.checks)}")

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as dictionaries, lists, numbers and strings."""
        lines = {
            line.name: {"status": line.status, "found": line.found} | line.values for line in self.checks
        }
        return {
            "auc": float(self.auc),
            "counts": self.auc.counts,
            "dropped": self.auc.dropped,
            "checks": lines,
        }

    def __repr__(self) -> str:
        """Show a line a check, and AUC with what it counted."""
        return f"{table(('check', 'status', 'found'), (line[:3] for line in self.checks))}\n{self.auc!r}"


class _Data(NamedTuple):
    """Rows without NaN, their scores as they were given, and what the checks share."""

    y: NDArray[np.uint8]
    score: Array
    given: Array
    key: Array
    #: Rows by rising score.
    order: Array
    #: Keys of the classes, sorted: what is drawn from them does not depend on the order of the rows.
    positives: Array
    negatives: Array
    counts: Counts
    #: Twice the pairs that the positive wins, ties once; the pairs that are tied; all pairs.
    won: int
    tied: int
    pairs: int

    @property
    def auc(self) -> float:
        return self.won / (2 * self.pairs)


def check(
    y: ArrayLike,
    score: ArrayLike,
    *,
    map: Map | Mapping[str, Map] | None = None,
    constant: float | None = None,
    rates: Iterable[float] = (0.5, 0.1),
    kept: ArrayLike | None = None,
    ci: float = 0.95,
    seed: int = 0,
    pos_label: Any = None,
    nan: Literal["raise", "drop"] = "raise",
    threads: int | None = None,
) -> Checks:
    """Try the properties of AUC on these rows, and report each: passed, warned, or noted.

    area
        Σ Δfp·(tp + tp before)/2 along the ROC curve counts the same pairs as AUC, in integers. So do all pairs, one by
        one, up to 2^22 of them; beyond, the share of 100,000 pairs at random is as near as chance allows.
    normal scores
        Noted: Φ(Δ/√(σ₊² + σ₋²)), where Δ = mean₊ − mean₋ is the class gap, and how far AUC is from it.
    constant
        score + `constant`, in the type of the scores (of integers in float64), wins and ties the same pairs.
    ranks, map …
        So does the rank of the score, a strictly increasing map without rounding; and so does each map of yours.
    negation
        −score wins what the score loses, and ties what it ties, in integers.
    negatives at rate …, negatives kept
        AUC of a uniform sample of the negatives has an interval (DeLong) that holds AUC; so has that of the negatives
        that you kept.
    chance
        AUC >= ½.
    diagonal
        TPR >= FPR along the curve, up to noise.

    Parameters
    ----------
    y, score, pos_label, threads
        As for `auc`. Both classes are needed. There are no weights: the checks count pairs.
    map
        A strictly increasing function of an array of scores, which it gets in their own type, read-only; or several
        by name.
    constant
        What is added, finite, in the type of the scores (integers as float64): in float32 1e-9 + 1 is 1, and ties with
        2e-9 + 1. None: 1, and ties that it makes are noted, as most float32 scores have some; those of a constant of
        yours warn.
    rates
        Shares of the negatives to draw, each in (0, 1).
    kept
        Which negatives your own sample kept, shape (n,), bool; positives all count. A sample that looks at the
        score moves AUC.
    ci
        Level of the intervals, in (0, 1).
    seed
        Of the samples, a whole number >= 0. They are drawn by rank, so the order of rows does not matter.
    nan
        What a NaN score does: ``"raise"``, or ``"drop"`` leaves the row out.

    Returns
    -------
    Checks
        A table: `Checks.warned` has the names, ``report["area"].values`` the numbers of one line.

    Raises
    ------
    ValueError, TypeError
        As for `auc`; one class only; a constant, rate, level or seed that is none; `kept` without a negative.

    Warns
    -----
    MetricWarning
        For each check that warned: ties that a map made (how many pairs), a map that does not increase or gives NaN, a
        sample that is no uniform one, AUC below ½, a curve below the diagonal.

    Notes
    -----
    Source: the notes' M2 (y > x), M3 (two definitions), M4 (a constant), M5 (negative sampling), M8 (the gap).

    What is noise: a sample is called off where a uniform one would be once in a million times, by Bernstein's bound
    √(2·S·L/k) + L/(3k), with S the variance of the negatives' parts of AUC, k their number in the sample, and
    L = ln(2·10^6). Outside of its interval but inside of the bound is "noted": 1 in 20 are, at 95 %.
    The curve is called below the diagonal where r = √(2·(P·KL(TPR‖q) + N·KL(FPR‖q))) > 5, q = (tp + fp)/(P + N): the
    signed root of the likelihood ratio. For many rows r is the depth over its standard error; unlike that, it is right
    for a handful of rows at either end. 5 allows for looking at every threshold.

    σ² are mean squares about the mean (divided by P and N). Φ is that of the C library.

    Where others differ: no other library has it. pROC decides from the medians whether the score is inverted, and then
    turns it over.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(2000) % 4 == 0
    >>> fs.metrics.check(y, rng.normal(size=2000) + y, rates=[0.1])
    check                  status  found
    area                   passed  573,784 of 750,000 pairs by trapezoids and by all pairs, as auc
    normal scores          noted   AUC 0.765045, 0.764753 for normal scores: 0.000292 more; class gap 1.02769
    constant               passed  score + 1 in float64 wins and ties the same pairs
    ranks                  passed  rank of score in int64 wins and ties the same pairs
    negation               passed  -score wins the 176,216 pairs that score loses
    negatives at rate 0.1  passed  150 negatives: AUC 0.763333, interval 0.719555 to 0.807112 holds 0.765045
    chance                 passed  AUC 0.765045, 21.6 standard errors above 0.5
    diagonal               passed  nowhere below
    0.7650453333333334 (auc: 500 positives, 1,500 negatives)
    """
    choice("nan", nan, ("raise", "drop"))
    maps = _maps(map)
    shares = [_between("rates", rate) for rate in rates]
    wide, start = _interval.level(ci), whole("seed", seed, 0, 2**128 - 1, "0 to 2^128 - 1")
    added = 1.0 if constant is None else _finite("constant", constant)
    with limited(threads):
        data, dropped, mine = _prepared(y, score, kept, pos_label, nan)
        every = _steps(data.positives, data.negatives)
        error = _interval.standard_error(every)
        spread = float(_interval.spread(every, of_negatives=True)) if every.negatives > 1 else 0.0
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what comes of it is said below
            lines = [
                _area(data, start),
                _normal(data),
                _unchanged(
                    data,
                    "constant",
                    f"score + {added:g}",
                    data.given + added,
                    "noted" if constant is None else "warned",
                ),
                _unchanged(data, "ranks", "rank of score", _ranks(data.key, data.order)),
                *(_unchanged(data, *names, call(_read_only(data.given))) for names, call in maps.items()),
                _negation(data),
            ]
        for rate in shares:
            size = max(round(rate * len(data.negatives)), 1)
            drawn = np.random.Generator(np.random.Philox(key=start)).choice(
                len(data.negatives), size, replace=False, shuffle=False
            )
            lines.append(
                _sampled(data, spread, f"negatives at rate {rate:g}", np.sort(data.negatives[drawn]), wide)
            )
        if mine is not None:
            lines.append(_sampled(data, spread, "negatives kept", mine, wide))
        lines += [_chance(data, error), _diagonal(data.counts)]
    for line in lines:
        if line.status == "warned":
            warnings.warn(f"check: {line.name}: {line.found}", MetricWarning, stacklevel=2)
    p, n = len(data.positives), len(data.negatives)
    counts = {"rows": p + n, "positives": p, "negatives": n, "pairs": data.pairs, "tied_pairs": data.tied}
    score_of = Score(data.auc, "auc", counts=counts, dropped=dropped, tied=data.tied / data.pairs)
    return Checks(score_of, tuple(lines))


def _maps(given: Map | Mapping[str, Map] | None) -> dict[tuple[str, str], Map]:
    """Return functions by the name of the check and by what it does."""
    if given is None:
        return {}
    found = dict(given) if isinstance(given, Mapping) else {getattr(given, "__name__", "map"): given}
    for name, call in found.items():
        if not callable(call):
            raise TypeError(
                f"map: got {type(call).__name__} as {name!r}, need a function of an array of scores"
            )
    plain = ("<lambda>", "map")
    return {
        ("map", "map(score)") if name in plain else (f"map {name}", f"{name}(score)"): call
        for name, call in found.items()
    }


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def _between(name: str, value: Any) -> float:
    if not number(value):
        raise TypeError(f"{name}: got {value!r}, need a number in (0, 1)")
    if not 0 < value < 1:
        raise ValueError(f"{name}: got {value!r}, need a number in (0, 1)")
    return float(value)


def _finite(name: str, value: Any) -> float:
    if not number(value):
        raise TypeError(f"{name}: got {value!r}, need a finite number")
    if not math.isfinite(value):
        raise ValueError(f"{name}: got {value!r}, need a finite number")
    return float(value)


def _prepared(
    y: ArrayLike, score: ArrayLike, kept: ArrayLike | None, pos_label: Any, nan: str
) -> tuple[_Data, dict[str, int], Array | None]:
    """Return the rows, what was dropped, and the sorted keys of the negatives that were kept."""
    extra = None if kept is None else ("kept", kept)
    labels, scores, _ = rows(y, score, None, pos_label, extra=extra)
    given, mask = column(score, "score"), None if kept is None else _mask(labels, kept)
    missing = np.isnan(scores) if scores.dtype.kind == "f" else np.zeros(len(labels), bool)
    gone = int(np.count_nonzero(missing))
    if gone and nan == "drop":
        labels, scores, given = (np.ascontiguousarray(x[~missing]) for x in (labels, scores, given))
        mask = None if mask is None else mask[~missing]
    positives = int(np.count_nonzero(labels))
    if positives in (0, len(labels)):
        who = f"all {len(labels):,} rows that are left are" if gone else "all rows are"
        raise ValueError(f"y: check needs both classes, and {who} of class {int(positives > 0)}")
    won, tied, pairs = _pairs(labels, scores)
    key = keys(scores)
    mine = None
    if mask is not None:
        mine = np.sort(key[mask & (labels == 0)])
        if not len(mine):
            raise ValueError("kept: got no negative, need at least one")
    data = _Data(
        labels,
        scores,
        given,
        key,
        lexsort(key),
        np.sort(key[labels == 1]),
        np.sort(key[labels == 0]),
        count(Rows(labels, scores, None), corners=True),
        won,
        tied,
        pairs,
    )
    return data, {"nan": gone}, mine


def _mask(labels: Array, kept: ArrayLike) -> NDArray[np.bool_]:
    array = column(kept, "kept")
    same_length(labels, array, "kept")
    if array.dtype != np.bool_:
        raise TypeError(f"kept: got dtype {array.dtype}, need bool")
    return array


def _pairs(y: Array, score: Array) -> tuple[int, int, int]:
    """Return twice the pairs that the positive wins, ties once; the pairs that are tied; all pairs."""
    below, tied, pairs = _core.metrics_auc(y, score, None, "raise", execution())[3]
    return 2 * below + tied, tied, pairs


def _area(data: _Data, seed: int) -> Check:
    doubled = _trapezoids(data.counts)
    values: dict[str, Any] = {"area": doubled / (2 * data.pairs), "auc": data.auc}
    same = doubled == data.won
    if data.pairs <= ALL_PAIRS:
        how, each = "all pairs", _every_pair(data.positives, data.negatives)
        values["all_pairs"] = each / (2 * data.pairs)
        same &= each == data.won
    else:
        how, share = f"{SOME_PAIRS:,} pairs at random", _some_pairs(data.positives, data.negatives, seed)
        values["sampled_pairs"] = share
        same &= abs(share - data.auc) <= _bernstein(data.auc * (1 - data.auc), SOME_PAIRS)
    if same:
        also = "" if data.pairs <= ALL_PAIRS else f" ({values['sampled_pairs']:.6f})"
        found = f"{_half(data.won)} of {data.pairs:,} pairs by trapezoids and by {how}{also}, as auc"
        return Check("area", "passed", found, values)
    shown = ", ".join(f"{name} {value!r}" for name, value in values.items())
    return Check("area", "warned", f"the definitions differ, a fault of the software: {shown}", values)


def _half(doubled: int) -> str:
    return f"{doubled // 2:,}{'.5' if doubled % 2 else ''}"


def _trapezoids(counts: Counts) -> int:
    """Return Σ Δfp·(tp + tp before): twice the area, in pairs."""
    tp = np.concatenate([np.zeros(1, np.uint64), counts.tp])
    steps, heights = np.diff(counts.fp, prepend=np.uint64(0)), tp[1:] + tp[:-1]
    if counts.positives + counts.negatives >= 2**32:
        return sum(a * b for a, b in zip(steps.tolist(), heights.tolist(), strict=True))
    area = steps * heights  # below 2^63; of their sum, the upper and the lower halves are added
    return (int((area >> np.uint64(32)).sum()) << 32) + int((area & np.uint64(2**32 - 1)).sum())


def _every_pair(positives: Array, negatives: Array) -> int:
    above = int(np.count_nonzero(positives[:, None] > negatives))
    return 2 * above + int(np.count_nonzero(positives[:, None] == negatives))


def _some_pairs(positives: Array, negatives: Array, seed: int) -> float:
    rng = np.random.Generator(np.random.Philox(key=seed))
    p = positives[rng.integers(len(positives), size=SOME_PAIRS)]
    n = negatives[rng.integers(len(negatives), size=SOME_PAIRS)]
    return (2 * int(np.count_nonzero(p > n)) + int(np.count_nonzero(p == n))) / (2 * SOME_PAIRS)


def _bernstein(variance: float, n: int) -> float:
    """Bound how far a mean of n numbers in [0, 1] strays, but once in a million times."""
    return math.sqrt(2 * variance * RARE / n) + RARE / (3 * n)


def _normal(data: _Data) -> Check:
    """Φ(Δ/√(σ₊² + σ₋²)); Δ and σ of scores brought to [0, 1], which leaves the quotient as it is."""
    x = data.score.astype(np.float64)
    low, high = float(x.min()), float(x.max())
    if not 0 < high - low < math.inf:
        why = "scores are infinite" if not math.isfinite(high - low) else "all scores are equal"
        return Check("normal scores", "noted", f"no normal scores: {why}", {"normal_auc": None})
    x = (x - low) / (high - low)
    classes = [x[data.y == label] for label in (1, 0)]
    means = [mean_of(each) for each in classes]
    spread = math.sqrt(sum(mean_of((each - m) ** 2) for each, m in zip(classes, means, strict=True)))
    gap = means[0] - means[1]
    z = gap / spread if spread else math.copysign(math.inf, gap)
    expected = NormalDist().cdf(z)
    values = {
        "normal_auc": expected,
        "difference": data.auc - expected,
        "gap": gap * (high - low),
        "gap_over_spread": z,
    }
    found = (
        f"AUC {data.auc:.6f}, {expected:.6f} for normal scores: {abs(values['difference']):.6f}"
        f" {'more' if values['difference'] >= 0 else 'less'}; class gap {values['gap']:.6g}"
    )
    return Check("normal scores", "noted", found, values)


def _ranks(key: Array, order: Array) -> NDArray[np.int64]:
    """Return 0 for the lowest score, 1 for the next …; the same for equal ones."""
    x = key[order]
    ranks = np.empty(len(x), np.int64)
    ranks[order] = np.cumsum(np.concatenate([[False], x[1:] != x[:-1]]))
    return ranks


def _unchanged(data: _Data, name: str, what: str, mapped: ArrayLike, on_ties: Status = "warned") -> Check:
    """Compare the pairs before and after a map; where they differ, say why."""
    own = column(mapped, name)
    what = f"{what} in {own.dtype}"
    values = orderable(own, name)
    if len(values) != len(data.y):
        raise ValueError(
            f"map: {name} gives {len(values)} values for {len(data.y)} scores, need one for each"
        )
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
    if missing.any():
        n, first = int(np.count_nonzero(missing)), int(np.argmax(missing))
        found = f"{what} is NaN in {plural(n, 'row')}, the first at index {first}"
        return Check(name, "warned", found, {"nan": n})
    won, tied, _ = _pairs(data.y, values)
    new = tied - data.tied
    numbers = {"auc": won / (2 * data.pairs), "new_ties": new, "pairs": data.pairs}
    wrong = _disorder(data, keys(values))
    if wrong is not None:
        return Check(name, "warned", f"{what} is not increasing: {wrong}", numbers)
    if new or won != data.won:
        share, moved = 100 * new / data.pairs, (won - data.won) / (2 * data.pairs)
        found = f"{what} ties {new:,} more of {data.pairs:,} pairs ({share:.3g} %), AUC moves by {moved:.3g}"
        return Check(name, on_ties, found, numbers)
    return Check(name, "passed", f"{what} wins and ties the same pairs", numbers)


def _disorder(data: _Data, after: Array) -> str | None:
    """Say where a map parts equal scores, or falls; None where it does neither."""
    x, fx = data.key[data.order], after[data.order]
    rises = x[1:] != x[:-1]
    parts = ~rises & (fx[1:] != fx[:-1])
    if parts.any():
        one = data.given[data.order[int(np.argmax(parts))]]
        return f"equal scores get different values (the score {one}; {int(parts.sum()):,} such)"
    falls = rises & (fx[1:] < fx[:-1])
    if falls.any():
        i = int(np.argmax(falls))
        low, high = data.given[data.order[i : i + 2]]
        return f"it falls from the score {low} to the score {high} ({int(falls.sum()):,} such falls)"
    return None


def _negation(data: _Data) -> Check:
    negated = -data.score if data.score.dtype.kind == "f" else ~data.score  # −x − 1, which never overflows
    won, tied, _ = _pairs(data.y, negated)
    values = {"auc": won / (2 * data.pairs)}
    if (won, tied) == (2 * data.pairs - data.won, data.tied):
        return Check("negation", "passed", f"-score wins the {_half(won)} pairs that score loses", values)
    found = f"-score wins {_half(won)} pairs and score {_half(data.won)} of {data.pairs:,}, a fault of the software"
    return Check("negation", "warned", found, values)


def _steps(positives: Array, negatives: Array) -> Steps:
    """Return the steps of rows of these scores."""
    y = np.repeat(np.array([1, 0], np.uint8), [len(positives), len(negatives)])
    return steps(Rows(y, np.concatenate([positives, negatives]), None))[0]


def _sampled(data: _Data, spread: float, name: str, sample: Array, level: float) -> Check:
    """Compare AUC with that of all positives and some negatives; `spread` is how a negative's part of AUC varies."""
    k = len(sample)
    part = _steps(data.positives, sample)
    assert part.sums is not None
    auc = part.sums[0] / (2 * part.positives * part.negatives)
    error = _interval.standard_error(part)
    values: dict[str, Any] = {"negatives": k, "auc": auc, "ci": None, "within": None}
    found = f"{plural(k, 'negative')}: AUC {auc:.6f}"
    holds = True
    if error is None:
        found += ", too few rows for an interval"
    else:
        low, high = _interval.method("delong")(auc, error, level)
        holds = low <= data.auc <= high
        values |= {"ci": (low, high), "within": holds}
        found += f", interval {low:.6f} to {high:.6f} {'holds' if holds else 'does not hold'} {data.auc:.6f}"
    off = abs(auc - data.auc) > _bernstein(spread, k)
    if off:
        return Check(name, "warned", f"{found}; no uniform sample is so far off", values)
    return Check(name, "passed" if holds and error is not None else "noted", found, values)


def _chance(data: _Data, error: float | None) -> Check:
    auc = data.auc
    away = abs(auc - 0.5) / error if error else None
    far = "" if away is None else f"{away:.1f} standard errors "
    values = {"auc": auc, "standard_error": error}
    if auc >= 0.5:
        side = "0.5" if auc == 0.5 else f"{far}above 0.5"
        return Check("chance", "passed", f"AUC {auc:.6f}" + (f", {side}" if auc > 0.5 else ""), values)
    why = f"label or score inverted? The other way round it is {1 - auc:.6f}"
    if away is not None and away < 3:
        why = "as by chance: the score knows nothing of the label, or it is inverted"
    return Check("chance", "warned", f"AUC {auc:.6f}, {far}below 0.5; {why}", values)


def _diagonal(counts: Counts) -> Check:
    """Find where TPR < FPR, and whether that is more than noise."""
    p, n = counts.positives, counts.negatives
    tp, fp = (np.concatenate([np.zeros(1), x.astype(np.float64)]) for x in (counts.tp, counts.fp))
    tpr, fpr = tp / p, fp / n
    depth = fpr - tpr
    if not (depth > 0).any():
        return Check("diagonal", "passed", "nowhere below", {"depth": 0.0, "dips": 0})
    q = (tp + fp) / (p + n)
    root = np.where(depth > 0, np.sqrt(2 * np.maximum(p * _kl(tpr, q) + n * _kl(fpr, q), 0.0)), 0.0)
    below = np.concatenate(
        [[False], depth > 0, [False]]
    )  # of runs of points below, the first and the one after
    first, after = np.flatnonzero(below[1:] & ~below[:-1]), np.flatnonzero(~below[1:] & below[:-1])
    deepest = np.maximum.reduceat(root, first)
    dips = int(np.count_nonzero(deepest > DEEP))
    run = int(np.argmax(deepest))
    here = slice(int(first[run]), int(after[run]))
    at = here.start + int(np.argmax(depth[here]))
    deep, worst = float(depth[at]), float(deepest[run])
    error = math.sqrt(tpr[at] * (1 - tpr[at]) / p + fpr[at] * (1 - fpr[at]) / n)
    span = (_crossing(fpr, depth, here.start - 1), _crossing(fpr, depth, here.stop - 1))
    values = {
        "depth": deep,
        "standard_error": error,
        "fpr": float(fpr[at]),
        "fpr_range": span,
        "root": worst,
        "dips": dips,
    }
    if dips == 0:
        found = (
            f"below by at most {float(depth.max()):.6f}, noise ({worst:.1f} standard errors, {DEEP:g} needed)"
        )
        return Check("diagonal", "passed", found, values)
    more = f"; {plural(dips - 1, 'other dip')}" if dips > 1 else ""
    found = (
        f"TPR < FPR for FPR {span[0]:.4g} to {span[1]:.4g}, by up to {deep:.6f} at FPR {fpr[at]:.4g}"
        f" ({worst:.1f} standard errors): the score is inverted there{more}"
    )
    return Check("diagonal", "warned", found, values)


def _crossing(fpr: NDArray[np.float64], depth: NDArray[np.float64], i: int) -> float:
    """Return the FPR at which the curve meets the diagonal, between the points i and i + 1."""
    share = depth[i] / (depth[i] - depth[i + 1])
    return float(fpr[i] + share * (fpr[i + 1] - fpr[i]))


def _kl(t: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """t·ln(t/q) + (1 − t)·ln((1 − t)/(1 − q)), with 0·ln 0 = 0."""
    return _term(t, q) + _term(1 - t, 1 - q)


def _term(t: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    some = (t > 0) & (q > 0)
    ratio = np.where(some, t, 1.0) / np.where(some, q, 1.0)
    log = np.empty_like(ratio)
    _core.elementary("log", ratio, log, execution())
    return np.asarray(t * log)
