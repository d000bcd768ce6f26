"""What needs a threshold: the confusion matrix, the quotients of its cells, and the best threshold."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.metrics._counts import Counts, Steps, count, first_largest, product_error, steps
from fourstep.metrics._inputs import Array, Rows, choice, number, rows
from fourstep.metrics.score import Score, UndefinedMetricWarning

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

#: Value of a quotient with nothing below the line: a number, or "warn" = 0.0 and a warning.
ZeroDivision: TypeAlias = "Literal['warn'] | float"


@dataclass(frozen=True)
class Confusion:
    """Rows by actual and predicted class; sums of weights where there are weights.

    ``np.asarray`` gives [[tn, fp], [fn, tp]]: the **actual class in rows**, as scikit-learn has it. The notes (M1) have
    it in columns: that is the transpose.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> matrix = fs.metrics.confusion([0, 0, 1, 1, 1], [0.2, 0.6, 0.4, 0.7, 0.9])
    >>> matrix
    score >= 0.5    predicted 0  predicted 1
    actual 0                  1            1
    actual 1                  1            2
    >>> matrix.tp, np.asarray(matrix).tolist(), matrix.tpr, matrix.fpr
    (2, [[1, 1], [1, 2]], 0.6666666666666666, 0.5)
    """

    tp: int | float
    fp: int | float
    fn: int | float
    tn: int | float
    threshold: float
    #: The same in one integer unit, of which the quotients are made.
    _cells: tuple[int, int, int, int]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return [[tn, fp], [fn, tp]]."""
        if copy is False:
            raise ValueError("a Confusion is no array: np.asarray makes a copy")
        return np.array([[self.tn, self.fp], [self.fn, self.tp]], dtype=dtype)

    def __repr__(self) -> str:
        """Show the matrix, saying which axis is which."""
        cells = [[f"{x:,}" for x in row] for row in ((self.tn, self.fp), (self.fn, self.tp))]
        head = f"score >= {self.threshold:g}"
        first = max(len(head), len("actual 0"))
        width = max(len("predicted 0"), *(len(x) for row in cells for x in row))
        lines = [f"{head:<{first}}    {'predicted 0':>{width}}  {'predicted 1':>{width}}"]
        lines += [
            f"{f'actual {i}':<{first}}    {row[0]:>{width}}  {row[1]:>{width}}" for i, row in enumerate(cells)
        ]
        return "\n".join(lines)

    @property
    def tpr(self) -> float:
        """Tp/(tp + fn): recall."""
        tp, _, fn, _ = self._cells
        return _quotient(tp, tp + fn)

    @property
    def fpr(self) -> float:
        """Fp/(fp + tn)."""
        _, fp, _, tn = self._cells
        return _quotient(fp, fp + tn)

    @property
    def precision(self) -> float:
        """Tp/(tp + fp)."""
        tp, fp, _, _ = self._cells
        return _quotient(tp, tp + fp)

    @property
    def recall(self) -> float:
        """Tp/(tp + fn)."""
        return self.tpr

    @property
    def specificity(self) -> float:
        """Tn/(fp + tn)."""
        _, fp, _, tn = self._cells
        return _quotient(tn, fp + tn)

    @property
    def f1(self) -> float:
        """2·tp/(2·tp + fp + fn)."""
        tp, fp, fn, _ = self._cells
        return _quotient(2 * tp, 2 * tp + fp + fn)

    @property
    def accuracy(self) -> float:
        """(tp + tn)/all."""
        tp, fp, fn, tn = self._cells
        return _quotient(tp + tn, tp + fp + fn + tn)

    @property
    def mcc(self) -> float:
        """(tp·tn − fp·fn)/√((tp + fp)·(tp + fn)·(tn + fp)·(tn + fn))."""
        tp, fp, fn, tn = self._cells
        return _over_root(tp * tn - fp * fn, (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))

    def fbeta(self, beta: float) -> float:
        """(1 + β²)·tp/((1 + β²)·tp + β²·fn + fp)."""
        tp, fp, fn, _ = self._cells
        square = _square(beta)
        whole = (1 + square) * tp + square * fn + fp
        return float((1 + square) * tp / whole) if whole else math.nan


def _square(beta: float) -> Fraction:
    """Return β², exactly."""
    if not number(beta):
        raise TypeError(f"beta: got {beta!r}, need a number in [0, 1e100]")
    if not 0.0 <= beta <= 1e100:
        raise ValueError(f"beta: got {beta!r}, need a number in [0, 1e100]")
    return Fraction(float(beta)) ** 2


def _over_root(part: int, square: int) -> float:
    """Return part/√square of integers, rounded once; nan where there is none."""
    if square == 0:
        return math.nan
    # The root of part²/square in units of 2^-shift: 64 bits or more, and a last bit that says whether it goes on.
    shift = max(0, 64 + (square.bit_length() - 2 * abs(part).bit_length()) // 2 + 1)
    whole, rest = divmod(part * part << 2 * shift, square)
    root = math.isqrt(whole)
    goes_on = rest != 0 or root * root != whole
    value = (2 * root + goes_on) / (1 << shift + 1)
    return -value if part < 0 else value


def _quotient(part: int, whole: int) -> float:
    """Return the quotient of two integers, rounded once; nan where there is none."""
    return part / whole if whole else math.nan


def confusion(
    y: ArrayLike,
    score: ArrayLike,
    threshold: float = 0.5,
    sample_weight: ArrayLike | None = None,
    *,
    pos_label: Any = None,
) -> Confusion:
    """Confusion matrix at a threshold: score >= threshold is a predicted positive.

    Parameters
    ----------
    y, score, sample_weight, pos_label
        As for `auc`; NaN scores are an error. Predicted classes 0/1 serve as scores too.
    threshold
        A number; rounded to the scores' type first, as NumPy does in ``score >= threshold``: the float32 nearest to 0.7
        reaches 0.7. ±inf predicts none, or all.

    Returns
    -------
    Confusion
        ``tp``, ``fp``, ``fn``, ``tn``, and the quotients of them (``tpr``, ``fpr``, ``precision``, ``recall``,
        ``specificity``, ``f1``, ``accuracy``; nan where nothing is below the line).

    Raises
    ------
    ValueError, TypeError
        As for `auc`; a NaN threshold.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.confusion([0, 1, 1], [0.2, 0.5, 0.4]).tp
    1
    """
    at = _threshold(threshold)
    data = rows(y, score, sample_weight, pos_label)
    return _confusion(data, at, _as_compared(at, score) if data.score.dtype == np.float32 else at)


def _threshold(threshold: float) -> float:
    try:
        at = float(threshold)
    except (TypeError, ValueError):
        raise TypeError(f"threshold: got {threshold!r}, need a number") from None
    if math.isnan(at):
        raise ValueError("threshold: got nan, need a number")
    return at


def _confusion(rows: Rows, at: float, cut: float) -> Confusion:
    """Count rows at a threshold, which as the scores' type has it is `cut`."""
    labels, scores, weights = rows
    cells, real = _core.metrics_confusion(labels, scores, weights, cut, execution())
    tp, fp, fn, tn = cells if weights is None else real
    return Confusion(tp, fp, fn, tn, at, cells)


def _as_compared(threshold: float, score: ArrayLike) -> float:
    """Round a threshold to the dtype of the scores before they widen to float32: so NumPy compares them."""
    dtype = np.asarray(score).dtype
    with np.errstate(over="ignore"):
        rounded = float(np.asarray(threshold).astype(dtype))
    return threshold if math.isnan(rounded) else rounded  # a type without inf makes NaN of what is too large


def precision(
    y: ArrayLike,
    score: ArrayLike,
    threshold: float = 0.5,
    sample_weight: ArrayLike | None = None,
    *,
    pos_label: Any = None,
    zero_division: ZeroDivision = "warn",
) -> Score:
    """Precision = tp/(tp + fp): how many of the predicted positives are positive.

    Parameters
    ----------
    y, score, threshold, sample_weight, pos_label
        As for `confusion`.
    zero_division
        The result where nothing is predicted positive: ``"warn"`` = 0.0 with a warning, as scikit-learn; or a number.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.precision([0, 1, 1], [0.6, 0.5, 0.4])
    0.5 (precision: 2 positives, 1 negative)
    """
    matrix = confusion(y, score, threshold, sample_weight, pos_label=pos_label)
    return _score("precision", matrix, matrix.precision, zero_division, "no row is predicted positive")


def recall(
    y: ArrayLike,
    score: ArrayLike,
    threshold: float = 0.5,
    sample_weight: ArrayLike | None = None,
    *,
    pos_label: Any = None,
    zero_division: ZeroDivision = "warn",
) -> Score:
    """Recall = tp/(tp + fn): how many of the positives are predicted positive.

    Parameters
    ----------
    y, score, threshold, sample_weight, pos_label
        As for `confusion`.
    zero_division
        The result where there is no positive: ``"warn"`` = 0.0 with a warning, as scikit-learn; or a number.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.recall([0, 1, 1], [0.6, 0.5, 0.4])
    0.5 (recall: 2 positives, 1 negative)
    """
    matrix = confusion(y, score, threshold, sample_weight, pos_label=pos_label)
    return _score("recall", matrix, matrix.recall, zero_division, "there is no positive")


def f1(
    y: ArrayLike,
    score: ArrayLike,
    threshold: float = 0.5,
    sample_weight: ArrayLike | None = None,
    *,
    pos_label: Any = None,
    zero_division: ZeroDivision = "warn",
) -> Score:
    """F1, the harmonic mean of precision and recall: 1/F1 = ½·(1/P + 1/R), F1 = 2·P·R/(P + R) = 2·tp/(2·tp + fp + fn).

    Computed in the last form, a quotient of integers.

    Parameters
    ----------
    y, score, threshold, sample_weight, pos_label
        As for `confusion`.
    zero_division
        The result where there is neither a positive nor a predicted one: ``"warn"`` = 0.0 with a warning, as
        scikit-learn; or a number.

    Notes
    -----
    Source: the notes' M12. F1 depends on the threshold, AUC does not (M7).

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.f1([0, 1, 1, 1], [0.6, 0.5, 0.4, 0.9])
    0.6666666666666666 (f1: 3 positives, 1 negative)
    """
    matrix = confusion(y, score, threshold, sample_weight, pos_label=pos_label)
    return _score("f1", matrix, matrix.f1, zero_division, "there is neither a positive nor a predicted one")


def tpr(
    y: ArrayLike,
    score: ArrayLike,
    threshold: float = 0.5,
    sample_weight: ArrayLike | None = None,
    *,
    pos_label: Any = None,
    zero_division: ZeroDivision = "warn",
) -> Score:
    """TPR = tp/(tp + fn), the true positive rate: `recall` by its name on the ROC curve.

    Parameters
    ----------
    y, score, threshold, sample_weight, pos_label, zero_division
        As for `recall`.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.tpr([0, 1, 1], [0.6, 0.5, 0.4])
    0.5 (tpr: 2 positives, 1 negative)
    """
    matrix = confusion(y, score, threshold, sample_weight, pos_label=pos_label)
    return _score("tpr", matrix, matrix.tpr, zero_division, "there is no positive")


def fpr(
    y: ArrayLike,
    score: ArrayLike,
    threshold: float = 0.5,
    sample_weight: ArrayLike | None = None,
    *,
    pos_label: Any = None,
    zero_division: ZeroDivision = "warn",
) -> Score:
    """FPR = fp/(fp + tn), the false positive rate: how many of the negatives are predicted positive.

    Parameters
    ----------
    y, score, threshold, sample_weight, pos_label
        As for `confusion`.
    zero_division
        The result where there is no negative: ``"warn"`` = 0.0 with a warning; or a number.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.fpr([0, 0, 1], [0.6, 0.4, 0.7])
    0.5 (fpr: 1 positive, 2 negatives)
    """
    matrix = confusion(y, score, threshold, sample_weight, pos_label=pos_label)
    return _score("fpr", matrix, matrix.fpr, zero_division, "there is no negative")


def specificity(
    y: ArrayLike,
    score: ArrayLike,
    threshold: float = 0.5,
    sample_weight: ArrayLike | None = None,
    *,
    pos_label: Any = None,
    zero_division: ZeroDivision = "warn",
) -> Score:
    """Specificity = tn/(fp + tn) = 1 − FPR: how many of the negatives are predicted negative.

    Parameters
    ----------
    y, score, threshold, sample_weight, pos_label
        As for `confusion`.
    zero_division
        The result where there is no negative: ``"warn"`` = 0.0 with a warning; or a number.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.specificity([0, 0, 0, 1], [0.6, 0.4, 0.1, 0.7])
    0.6666666666666666 (specificity: 1 positive, 3 negatives)
    """
    matrix = confusion(y, score, threshold, sample_weight, pos_label=pos_label)
    return _score("specificity", matrix, matrix.specificity, zero_division, "there is no negative")


def fbeta(
    y: ArrayLike,
    score: ArrayLike,
    threshold: float = 0.5,
    sample_weight: ArrayLike | None = None,
    *,
    beta: float,
    pos_label: Any = None,
    zero_division: ZeroDivision = "warn",
) -> Score:
    """F-beta, where recall counts β times as much as precision: (1 + β²)·P·R/(β²·P + R).

    Computed as (1 + β²)·tp/((1 + β²)·tp + β²·fn + fp), a quotient of fractions that is rounded once. β = 1 is F1.

    Parameters
    ----------
    y, score, threshold, sample_weight, pos_label
        As for `confusion`.
    beta
        β in [0, 1e100]; 0 is precision, a large one is close to recall.
    zero_division
        The result where nothing is below the line: ``"warn"`` = 0.0 with a warning, as scikit-learn; or a number.

    Raises
    ------
    ValueError, TypeError
        As for `confusion`; a `beta` outside [0, 1e100].

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.fbeta([0, 1, 1, 1], [0.6, 0.5, 0.4, 0.3], beta=2.0)
    0.35714285714285715 (fbeta: 3 positives, 1 negative)
    """
    _square(beta)
    matrix = confusion(y, score, threshold, sample_weight, pos_label=pos_label)
    why = "there is neither a positive nor a predicted one" if beta else "no row is predicted positive"
    return _score("fbeta", matrix, matrix.fbeta(beta), zero_division, why)


def mcc(
    y: ArrayLike,
    score: ArrayLike,
    threshold: float = 0.5,
    sample_weight: ArrayLike | None = None,
    *,
    pos_label: Any = None,
    zero_division: ZeroDivision = "warn",
) -> Score:
    """Matthews' correlation coefficient of actual and predicted class, in [−1, 1]; 0 for a guess.

    MCC = (tp·tn − fp·fn)/√((tp + fp)·(tp + fn)·(tn + fp)·(tn + fn))

    Products and root are of integers without limit, so nothing overflows, and the result is rounded once.

    Parameters
    ----------
    y, score, threshold, sample_weight, pos_label
        As for `confusion`.
    zero_division
        The result where there is one actual or one predicted class only: ``"warn"`` = 0.0 with a warning; or a number.

    Notes
    -----
    Source: Matthews 1975, Biochimica et Biophysica Acta 405. Where others differ: scikit-learn has 0.0 without a warning;
    32-bit products overflow from some 1e5 rows on, silently.

    Examples
    --------
    >>> import fourstep as fs
    >>> fs.metrics.mcc([0, 0, 1, 1], [0.2, 0.6, 0.7, 0.9])
    0.5773502691896257 (mcc: 2 positives, 2 negatives)
    """
    matrix = confusion(y, score, threshold, sample_weight, pos_label=pos_label)
    return _score("mcc", matrix, matrix.mcc, zero_division, "there is one actual or one predicted class only")


def _score(name: str, matrix: Confusion, value: float, zero_division: ZeroDivision, why: str) -> Score:
    if not number(zero_division) and not (isinstance(zero_division, str) and zero_division == "warn"):
        raise ValueError(f"zero_division: got {zero_division!r}, need 'warn' or a number")
    if math.isnan(value):
        if zero_division == "warn":
            warnings.warn(f"{name} has no value and is 0.0: {why}", UndefinedMetricWarning, stacklevel=3)
            value = 0.0
        else:
            value = float(zero_division)
    counts = {}
    if isinstance(matrix.tp, int):
        tp, fp, fn, tn = matrix._cells
        counts = {
            "rows": tp + fp + fn + tn,
            "positives": tp + fn,
            "negatives": fp + tn,
            "tp": tp,
            "fp": fp,
            "fn": fn,
            "tn": tn,
        }
    return Score(value, name, counts=counts)


class Threshold(float):
    """A threshold that says how good it is.

    Attributes
    ----------
    metric
        What it is best at.
    value
        That metric, at this threshold.
    confusion
        The confusion matrix there.
    """

    __slots__ = ("confusion", "metric", "value")

    metric: str
    value: float
    confusion: Confusion

    def __new__(cls, threshold: float, metric: str, value: float, confusion: Confusion) -> Threshold:
        """Make a threshold; `best_threshold` does this."""
        self = super().__new__(cls, threshold)
        self.metric, self.value, self.confusion = metric, value, confusion
        return self

    def __getnewargs_ex__(self) -> tuple[tuple[float, str, float, Confusion], dict[str, Any]]:
        """Pickle and copy with everything."""
        return (float(self), self.metric, self.value, self.confusion), {}

    def __str__(self) -> str:
        """Give the number alone."""
        return float.__repr__(self)

    def __repr__(self) -> str:
        """Give the number and how good it is."""
        return f"{float.__repr__(self)} (best {self.metric}: {self.value:.6g})"


def best_threshold(
    y: ArrayLike,
    score: ArrayLike,
    metric: Literal["f1", "accuracy", "mcc", "youden", "fbeta"] = "f1",
    *,
    beta: float | None = None,
    sample_weight: ArrayLike | None = None,
    pos_label: Any = None,
) -> Threshold:
    """Return the threshold at which a metric is highest; of several, the highest threshold.

    All distinct scores are tried in one scan, and compared as fractions of integers: no rounding decides.

    Parameters
    ----------
    y, score, sample_weight, pos_label
        As for `auc`; NaN scores are an error.
    metric
        ``"f1"``; ``"accuracy"`` = (tp + tn)/n; ``"mcc"``, which is 0 where only one class is predicted; ``"youden"`` =
        TPR − FPR; ``"fbeta"``, with `beta`.
    beta
        β of `fbeta`, in [0, 1e100]; of no other metric.

    Returns
    -------
    Threshold
        A float, one of the scores (or the next float64 below an integer beyond 2^53): predict ``score >= threshold``.
        inf where no score is: predict no positive at all.
        Carries ``metric``, ``value`` (how good it is) and ``confusion``.

    Raises
    ------
    ValueError, TypeError
        As for `auc`; also where the metric has no value at any threshold (F1 and F-beta without positives, MCC and
        Youden's J with one class), and where integer scores beyond 2^53 lie so close that no float64 is the best
        threshold.

    Notes
    -----
    Choose it on validation data: on the data that it was chosen on, the metric is too good.

    Examples
    --------
    >>> import fourstep as fs
    >>> t = fs.metrics.best_threshold([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> t, t.confusion.fp
    (0.35 (best f1: 0.8), 1)
    """
    choice("metric", metric, ("f1", "accuracy", "mcc", "youden", "fbeta"))
    if (beta is not None) != (metric == "fbeta"):
        raise TypeError(f"beta: got {beta!r} with metric={metric!r}; fbeta needs a number, the others none")
    data = rows(y, score, sample_weight, pos_label)
    return _best_threshold(data, steps(data)[0], metric, beta)


def _best_threshold(
    data: Rows, found: Steps, metric: str, beta: float | None, highest: Any = None
) -> Threshold:
    """Search; `highest` is the highest score, where it is known."""
    square = Fraction(1) if beta is None else _square(beta)
    labels, scores, _ = data
    highest = scores.max() if highest is None else highest
    threshold, positives, negatives = _best(_candidates(data, found, highest), metric, square)
    if positives == 0 and metric in ("f1", "fbeta"):
        raise ValueError(f"y: {metric} has no value at any threshold, as there is no positive")
    if metric in ("mcc", "youden") and (positives == 0 or negatives == 0):
        raise ValueError(f"y: {metric} has no value at any threshold, as there is only one class")
    at = math.inf if threshold is None else _float64(threshold, labels, scores)
    matrix = _confusion(data, at, at)
    return Threshold(at, metric, _value(matrix, metric, beta), matrix)


def _value(matrix: Confusion, metric: str, beta: float | None) -> float:
    if metric == "youden":
        return matrix.tpr - matrix.fpr
    value: float = getattr(matrix, metric) if beta is None else matrix.fbeta(beta)
    return 0.0 if math.isnan(value) and metric in ("mcc", "fbeta") else value


def _best(counts: Counts, metric: str, square: Fraction) -> tuple[float | int | None, int, int]:
    """Return the best threshold, None above all scores; and positives and negatives, or their weights in one unit.

    With k = tp + fp rows predicted positive, of n: MCC = (tp·N − fp·P)/√(k·(n − k)·P·N), F-beta =
    (1 + β²)·tp/(β²·P + k), accuracy = (tp − fp + N)/n, Youden's J = tp/P − fp/N. Constants are left out; floats choose,
    and what they cannot tell apart fractions do.
    """
    above = [] if len(counts.tp) and counts.thresholds[0] == np.inf else [0]
    if above:
        zero = np.zeros(1, np.uint64)
        counts = counts._replace(tp=np.concatenate([zero, counts.tp]), fp=np.concatenate([zero, counts.fp]))
    up, down = max(counts.shift, 0), max(-counts.shift, 0)
    positives, negatives = counts.positives << up, counts.negatives << down

    def cells(i: int) -> tuple[int, int]:
        return int(counts.tp[i]) << up, int(counts.fp[i]) << down

    def squared_mcc(i: int) -> Fraction:
        """Return MCC²·P·N with the sign of MCC."""
        tp, fp = cells(i)
        part, k, rest = tp * negatives - fp * positives, tp + fp, positives + negatives - tp - fp
        return Fraction(part * abs(part), k * rest) if k and rest else Fraction(0)

    def part_of_fbeta(i: int) -> Fraction:
        tp, fp = cells(i)
        whole = square * positives + tp + fp
        return tp / whole if whole else Fraction(0)

    def part_of_accuracy(i: int) -> int:
        tp, fp = cells(i)
        return tp - fp

    def part_of_youden(i: int) -> int:
        tp, fp = cells(i)
        return tp * negatives - fp * positives

    tp, fp, p, n = counts.common()
    real, false, exact = tp, fp, cast("Callable[[int], Fraction]", part_of_accuracy)
    if metric == "mcc":
        left = counts._replace(
            tp=np.uint64(counts.positives) - counts.tp, fp=np.uint64(counts.negatives) - counts.fp
        )
        fn, tn, _, _ = left.common()
        product = (tp + fp) * (fn + tn)
        root = np.sqrt(np.where(product > 0, product, 1.0))
        real, false, exact = tp * (n / root), fp * (p / root), squared_mcc
    elif metric == "youden":
        real, false, exact = tp * n, fp * p, cast("Callable[[int], Fraction]", part_of_youden)
    elif metric in ("f1", "fbeta"):
        whole = np.maximum(float(square) * p + tp + fp, np.finfo(np.float64).tiny)
        real, false, exact = tp / whole, np.zeros(len(tp)), part_of_fbeta
    best = first_largest(real - false, product_error(real, false), exact)
    threshold = None if best < len(above) else counts.thresholds[best - len(above)].item()
    return threshold, positives, negatives


def _candidates(rows: Rows, found: Steps, highest: Any) -> Counts:
    """Return where the best threshold may be: at the score of a positive, as one lower only adds false positives.

    (Where MCC is above 0 they lower it too: with tp fixed its derivative has the sign of a − 2·P·(fn + tn),
    a = tp·tn − fp·fn <= P·tn; and 0 is what predicting nothing has.) But a score of +inf is at every threshold.
    """
    return count(rows) if highest == np.inf else found.counts()


def _float64(threshold: float, labels: Array, scores: Array) -> float:
    """Return a threshold that is a score as a float64 that splits the rows alike; an integer rounds down."""
    at = float(threshold)
    if at == threshold:
        return at
    if at > threshold:
        at = math.nextafter(at, -math.inf)
    (tp, fp, _, _), _ = _core.metrics_confusion(labels, scores, None, at, execution())
    if tp + fp != np.count_nonzero(scores >= scores.dtype.type(threshold)):
        raise ValueError(
            f"score: the best threshold is {threshold}, and no float64 lies between it and the next lower score; need"
            " scores that differ as float64, such as their ranks"
        )
    return at
