"""DeLong's test: whether two scores of the same rows rank them differently well."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from fourstep import _core
from fourstep._runtime import execution, limited
from fourstep._table import table
from fourstep.metrics import _interval
from fourstep.metrics._inputs import Array, Rows, choice, refuse, rows
from fourstep.metrics._nan import NAN, NO_NAN, Nan
from fourstep.metrics.score import Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class DelongTest:
    """Two AUCs of the same rows and their difference; shown as a table.

    Attributes
    ----------
    a, b
        The AUCs, with ``ci`` and ``se``.
    difference, se, ci
        b − a, its standard error and interval (cut to [−1, 1]).
    z, p_value
        (b − a)/se, and how likely so large a |z| is if both AUCs are the same (two-sided, normal).
    correlation
        Of the two AUCs; nan where one does not vary.
    """

    a: Score
    b: Score
    difference: float
    se: float
    ci: tuple[float, float]
    z: float
    p_value: float
    correlation: float

    def __repr__(self) -> str:
        """Show a line for each score and one for the difference."""
        lines = [
            ("a", self.a, self.a.se, self.a.ci),
            ("b", self.b, self.b.se, self.b.ci),
            ("b - a", self.difference, self.se, self.ci),
        ]
        cells = [
            (name, f"{value:.6f}", f"{se:.6f}", "-" if ci is None else f"{ci[0]:.6f} to {ci[1]:.6f}")
            for name, value, se, ci in lines
        ]
        last = f"z = {self.z:.3f}, p = {self.p_value:.3g}, correlation {self.correlation:.3f}"
        return f"{table(('', 'AUC', 'se', 'interval'), cells)}\n{last}"


def delong_test(
    y: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    *,
    ci: float = 0.95,
    pos_label: Any = None,
    nan: Nan = "raise",
    threads: int | None = None,
) -> DelongTest:
    """Test whether two scores of the same rows have the same AUC (DeLong, DeLong and Clarke-Pearson 1988).

    z = (AUC_b − AUC_a)/√(var AUC_a + var AUC_b − 2·cov),    p = 2·(1 − Φ(|z|))

    The covariance is what makes it sharp: two models mostly err on the same rows, so their difference varies much less
    than either AUC. Placements are integers and their sums exact; rows are taken as independent, which rows of one
    user are not: for those use ``compare`` with `groups`.

    Parameters
    ----------
    y, pos_label, threads
        As for `auc`; at least two rows of each class.
    a, b
        Scores, shape (n,), each ranked by itself: they need not be on one scale.
    ci
        Level of the intervals.
    nan
        ``"raise"``; ``"drop"`` leaves out rows where either score is NaN; ``"lowest"`` ranks NaN below -inf.

    Returns
    -------
    DelongTest
        ``a``, ``b`` (`Score`), ``difference`` = b − a, ``se``, ``ci``, ``z``, ``p_value``, ``correlation``. Where the
        difference does not vary at all (rankings that are the same) z is 0 and p is 1, or z infinite and p 0.

    Raises
    ------
    ValueError
        As for `auc`; fewer than two rows of a class.

    Notes
    -----
    Cost: a sort of the positives and one search for each row and score, O((P + N)·log P), without the O(P·N) matrix
    of the paper (Sun and Xu 2014). Where others differ: pROC and MLstatkit give the same z within rounding;
    implementations that count in 32 bits or return float32 fail on 10⁵ rows.

    Examples
    --------
    >>> import fourstep as fs
    >>> y = [0, 0, 0, 1, 1, 1, 0, 1]
    >>> old = [0.1, 0.4, 0.35, 0.8, 0.3, 0.7, 0.5, 0.6]
    >>> new = [0.1, 0.3, 0.2, 0.8, 0.45, 0.7, 0.5, 0.6]
    >>> fs.metrics.delong_test(y, old, new)
           AUC       se        interval
    a      0.812500  0.197642  0.425128 to 1.000000
    b      0.937500  0.088388  0.764262 to 1.000000
    b - a  0.125000  0.144338  -0.157896 to 0.407896
    z = 0.866, p = 0.386, correlation 0.745
    """
    level = _interval.level(ci)
    choice("nan", nan, NAN)
    with limited(threads):
        first = rows(y, a, None, pos_label, name="a", extra=("b", b))
        second = rows(first.y, b, None, None, name="b")
        pairs = Pairs((first, second), ("a", "b"), nan)
        return pairs.test(0, 1, level)


class Pairs:
    """Several scores of the same rows: their AUCs, variances and covariances."""

    def __init__(self, scores: Sequence[Rows], names: Sequence[str], nan: str) -> None:
        """Place each row by each score. Labels are those of the first."""
        labels, columns = scores[0].y, [s.score for s in scores]
        missing = [np.isnan(c) if c.dtype.kind == "f" else np.zeros(0, np.bool_) for c in columns]
        self.dropped = 0
        if nan == "raise":
            for name, absent in zip(names, missing, strict=True):
                refuse(name, absent, NO_NAN, math.nan)
        elif nan == "drop" and any(absent.any() for absent in missing):
            stays = ~np.logical_or.reduce([absent for absent in missing if len(absent)])
            labels, columns = labels[stays], [c[stays] for c in columns]
            self.dropped = int(np.count_nonzero(~stays))
        self.labels: NDArray[np.uint8] = labels
        self.positives = int(np.count_nonzero(labels))
        self.negatives = len(labels) - self.positives
        if min(self.positives, self.negatives) < 2:
            raise ValueError(
                f"y: got {self.positives} positives and {self.negatives} negatives, need two rows of each class:"
                " one does not say how they vary"
            )
        policy = "lowest" if nan == "lowest" else "raise"
        run = execution()
        self.placed: list[Array] = [_core.metrics_placements(labels, c, policy, run) for c in columns]
        # Placements sum to less than 2^64 only for so many rows; Python's integers do for all.
        self.sums = [_sum(v[labels == 1]) for v in self.placed]

    def covariance(self, i: int, j: int) -> Fraction:
        """Return the covariance of the AUCs of scores i and j."""
        products = _core.metrics_placement_products(self.labels, self.placed[i], self.placed[j], execution())
        return _interval.covariance(self.sums[i], self.sums[j], self.positives, self.negatives, products)

    def auc(self, i: int, level: float) -> Score:
        """Return the AUC of score i with its interval."""
        value = self.sums[i] / (2 * self.positives * self.negatives)
        se = _interval.root(self.covariance(i, i))
        counts = {
            "rows": len(self.labels),
            "positives": self.positives,
            "negatives": self.negatives,
            "pairs": self.positives * self.negatives,
        }
        interval = _interval.method("delong")(value, se, level)
        return Score(value, "auc", counts=counts, dropped={"nan": self.dropped}, ci=interval, se=se)

    def test(self, i: int, j: int, level: float) -> DelongTest:
        """Test score j against score i."""
        a, b = self.auc(i, level), self.auc(j, level)
        cov, var = self.covariance(i, j), [self.covariance(k, k) for k in (i, j)]
        difference = (self.sums[j] - self.sums[i]) / (2 * self.positives * self.negatives)
        se = _interval.root(var[0] + var[1] - 2 * cov)
        reach = _interval.quantile(level) * se
        z = difference / se if se else math.copysign(math.inf, difference) if difference else 0.0
        each = _interval.root(var[0]) * _interval.root(var[1])
        return DelongTest(
            a=a,
            b=b,
            difference=difference,
            se=se,
            ci=(max(-1.0, difference - reach), min(1.0, difference + reach)),
            z=z,
            p_value=math.erfc(abs(z) / math.sqrt(2)),
            correlation=float(cov) / each if each else math.nan,
        )


def _sum(v: Array) -> int:
    """Σ of integers below 2^63 that may come to more than 64 bits."""
    low, high = v & np.uint64(0xFFFFFFFF), v >> np.uint64(32)
    return int(low.sum(dtype=np.uint64)) + (int(high.sum(dtype=np.uint64)) << 32)
