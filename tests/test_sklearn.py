"""`fourstep.sklearn` against scikit-learn: the same numbers, classes of warnings and types of errors."""

from __future__ import annotations

import itertools
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fourstep as fs
import fourstep.sklearn as ours
from fourstep.metrics._exact import sums

theirs = pytest.importorskip(
    "sklearn.metrics", reason="scikit-learn is the oracle of this file and is not installed"
)

Array = np.ndarray[Any, Any]
Kwargs = dict[str, Any]
AVERAGES = [None, "micro", "macro", "weighted", "samples"]
ZERO = ["warn", 0, 1, np.nan]


def outcome(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any, set[type[Warning]], Any]:
    """Return the result, the classes of the warnings and the error."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            result, error = function(*args, **kwargs), None
        except Exception as e:
            result, error = None, e
    return result, {w.category for w in said if w.category is not RuntimeWarning}, error


def assert_same(name: str, *args: Any, tolerance: float = 1e-12, **kwargs: Any) -> Any:
    """Check one call of both: value, shape and type; warnings by class; ValueError, TypeError … alike."""
    mine, warned, refused = outcome(getattr(ours, name), *args, **kwargs)
    want, they_warned, they_refused = outcome(getattr(theirs, name), *args, **kwargs)
    about = (name, kwargs, refused, they_refused)
    if they_refused is not None or refused is not None:
        assert they_refused is not None, about
        assert refused is not None, about
        for base in (ValueError, TypeError, NotImplementedError):
            if isinstance(they_refused, base):
                assert isinstance(refused, base), about
        assert len(str(refused)) > 20, about
        return None
    assert warned == they_warned, about
    several = isinstance(want, tuple)
    for a, b in zip(mine if several else [mine], want if several else [want], strict=True):
        if b is None:
            assert a is None, about
            continue
        assert np.shape(a) == np.shape(b), about
        assert isinstance(a, float) == isinstance(b, float) or b == 0, about  # theirs has one int 0
        if (
            np.ndim(b) and name != "precision_recall_fscore_support"
        ):  # theirs makes floats of counts without a hit
            assert np.asarray(a).dtype == np.asarray(b).dtype, about
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=str(about))
    return mine


def dressed(y: Array, kind: str) -> Any:
    """Return labels 0 and 1 as another type."""
    makers: dict[str, Callable[[], Any]] = {
        "int": lambda: y.astype(np.int64),
        "uint8": lambda: y.astype(np.uint8),
        "bool": lambda: y.astype(bool),
        "float": lambda: y.astype(np.float32),
        "-1+1": lambda: 2 * y.astype(np.int8) - 1,
        "1 and 2": lambda: y.astype(np.int64) + 1,
        "far apart": lambda: np.where(y == 1, 10**12, -7),
        "str": lambda: np.where(y == 1, "yes", "no"),
        "object": lambda: np.where(y == 1, "yes", "no").astype(object),
        "list": lambda: y.astype(int).tolist(),
        "column": lambda: y.astype(int)[:, None],
    }
    return makers[kind]()


LABELS = ["int", "uint8", "bool", "float", "-1+1", "1 and 2", "far apart", "str", "object", "list", "column"]


class Case:
    """Rows of two classes."""

    def __init__(self, seed: int, n: int, kind: str = "noise") -> None:
        rng = np.random.default_rng(seed)
        self.y = (rng.random(n) < (0.1 if kind == "rare" else 0.4)).astype(np.int64)
        if kind in ("zeros", "ones"):
            self.y[:] = kind == "ones"
        self.p: Array = 1 / (1 + np.exp(-rng.normal(size=n) - self.y))
        if kind == "ties":
            self.p = np.round(self.p, 1)
        if kind == "equal":
            self.p[:] = 0.5
        if kind == "narrow":
            self.p = self.p.astype(np.float32)
        if kind == "integers":
            self.p = rng.integers(0, 2, n)
        self.pred = (self.p > 0.5).astype(np.int64)
        self.w = rng.exponential(size=n) * ((rng.random(n) < 0.9) | (np.arange(n) == 0))
        self.whole = rng.integers(0, 4, n) + (np.arange(n) == 0)

    def weights(self) -> Iterator[Any]:
        yield from (None, self.w, self.whole, self.w.tolist())


KINDS = ["noise", "rare", "ties", "equal", "zeros", "ones", "narrow", "integers"]
SIZES = [1, 2, 5, 300]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", SIZES)
def test_binary_ranking(kind: str, n: int) -> None:
    case = Case(n, n, kind)
    for w in case.weights():
        for limit in (None, 1, 0.3, 0.01):
            assert_same("roc_auc_score", case.y, case.p, sample_weight=w, max_fpr=limit)
        assert_same("average_precision_score", case.y, case.p, sample_weight=w)
        # With weights theirs keeps points in line that rounding has moved.
        for drop in (True, False):
            if drop and w is not None and np.asarray(w).dtype.kind == "f":
                continue
            assert_same("roc_curve", case.y, case.p, sample_weight=w, drop_intermediate=drop)
            assert_same("precision_recall_curve", case.y, case.p, sample_weight=w, drop_intermediate=drop)


@pytest.mark.parametrize("labels", LABELS)
def test_binary_ranking_by_kind_of_label(labels: str) -> None:
    case = Case(3, 60)
    y = dressed(case.y, labels)
    assert_same("roc_auc_score", y, case.p)
    for pos in (None, 1, 0, "yes", "no", 2, "neither"):
        assert_same("roc_curve", y, case.p, pos_label=pos)
        assert_same("precision_recall_curve", y, case.p, pos_label=pos, sample_weight=case.w)
        assert_same("average_precision_score", y, case.p, pos_label=pos)
        assert_same("brier_score_loss", y, case.p, pos_label=pos)


def test_one_class_of_several_against_the_rest() -> None:
    rng = np.random.default_rng(0)
    y, s = rng.integers(0, 3, 50), rng.random(50)
    for pos in (None, 0, 2, 7):
        assert_same("roc_curve", y, s, pos_label=pos)
        assert_same("precision_recall_curve", np.array(["a", "b", "c"])[y], s, pos_label="c" if pos else None)


def test_curves_keep_scores_types() -> None:
    y = np.array([0, 1, 1, 0, 1])
    for dtype in (np.float16, np.float32, np.float64, np.int8, np.int64, np.uint64):
        s = np.array([3, 1, 4, 1, 5]).astype(dtype)
        assert_same("precision_recall_curve", y, s)
        assert_same("roc_curve", y, s)


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("predicted", LABELS)
def test_counts_by_kinds_of_labels(labels: str, predicted: str) -> None:
    case = Case(5, 80)
    y, pred = dressed(case.y, labels), dressed(case.pred, predicted)
    assert_same("confusion_matrix", y, pred)
    for pos, average in itertools.product((1, "yes", -1), ("binary", "macro", None)):
        assert_same("precision_recall_fscore_support", y, pred, pos_label=pos, average=average)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", SIZES)
def test_binary_counts(kind: str, n: int) -> None:
    case = Case(n, n, kind)
    for w, zero in itertools.product(case.weights(), ZERO):
        for name in ("precision_score", "recall_score", "f1_score"):
            assert_same(name, case.y, case.pred, sample_weight=w, zero_division=zero)
        for beta in (0, 0.5, 2, np.inf):
            assert_same("fbeta_score", case.y, case.pred, beta=beta, sample_weight=w, zero_division=zero)
    for w, normalize in itertools.product(case.weights(), (None, "true", "pred", "all")):
        assert_same("confusion_matrix", case.y, case.pred, sample_weight=w, normalize=normalize)


@pytest.mark.parametrize("names", ["int", "far apart", "negative", "float", "str", "object"])
def test_multiclass_counts(names: str) -> None:
    rng = np.random.default_rng(1)
    classes = {
        "int": np.arange(4),
        "far apart": np.array([-(10**15), 0, 5, 10**15]),
        "negative": np.array([-3, -2, 0, 9], np.int8),
        "float": np.array([0.0, 1.0, 2.0, 8.0], np.float32),
        "str": np.array(["ant", "bee", "cat", "dog"]),
        "object": np.array(["ant", "bee", "cat", "dog"], object),
    }[names]
    y, pred = classes[rng.integers(0, 3, 120)], classes[rng.integers(1, 4, 120)]
    w = rng.exponential(size=120)
    subsets = [None, classes, classes[::-1], classes[:2], classes[[2]], [*classes[:1], *classes[-1:]]]
    for labels, weight in itertools.product(subsets, (None, w, rng.integers(1, 9, 120), w < 1)):
        for normalize in (None, "true", "pred", "all"):
            assert_same("confusion_matrix", y, pred, labels=labels, sample_weight=weight, normalize=normalize)
        for average, zero in itertools.product([*AVERAGES, "binary"], ZERO):
            more: Kwargs = {
                "labels": labels,
                "sample_weight": weight,
                "average": average,
                "zero_division": zero,
            }
            assert_same("precision_recall_fscore_support", y, pred, beta=2.0, **more)
            if weight is None:  # each is one number of those above
                for name in ("precision_score", "recall_score", "f1_score"):
                    assert_same(name, y, pred, **more)


def indicators(seed: int, n: int, k: int) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    y, pred = rng.integers(0, 2, (n, k)), rng.integers(0, 2, (n, k))
    y[0], pred[0], y[:, 0] = 0, 0, 0
    return y, pred, rng.exponential(size=n)


@pytest.mark.parametrize("average", [*AVERAGES, "binary"])
@pytest.mark.parametrize("zero", ZERO)
def test_multilabel_counts(average: str | None, zero: Any) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    y, pred, w = indicators(2, 30, 4)
    for labels, weight in itertools.product((None, [0, 1, 2, 3], [2, 0], [1], [4], [-1]), (None, w)):
        more: Kwargs = {"labels": labels, "sample_weight": weight, "average": average, "zero_division": zero}
        for a, b in ((y, pred), (y == 1, pred == 1), (y.astype(float), pred), (y.tolist(), pred.tolist())):
            assert_same("precision_recall_fscore_support", a, b, **more)
        mine, _, _ = outcome(ours.f1_score, sparse.csr_array(y), sparse.csr_array(pred), **more)
        want, _, _ = outcome(ours.f1_score, y, pred, **more)
        np.testing.assert_equal(mine, want)


@pytest.mark.parametrize("average", [*AVERAGES, "mean"])
@pytest.mark.parametrize("full", [True, False])
def test_multilabel_ranking(average: str | None, full: bool) -> None:
    y, _, w = indicators(4, 40, 5)
    if full:  # every row and column has both classes
        y[:, 0], y[:, 1], y[0, 2:], y[1, 2:] = 0, 1, 1, 0
        y[0, :2], y[1, :2] = [1, 0], [0, 1]
    s = np.round(np.random.default_rng(5).random(y.shape), 1)
    for weight in (None, w, np.round(w)):
        for a in (y, y.astype(bool), y.tolist()):
            assert_same("average_precision_score", a, s, average=average, sample_weight=weight)
            for limit in (None, 0.4):
                assert_same("roc_auc_score", a, s, average=average, sample_weight=weight, max_fpr=limit)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("multi_class", ["raise", "ovr", "ovo"])
def test_multiclass_auc(average: str | None, multi_class: str) -> None:
    rng = np.random.default_rng(6)
    y = rng.integers(0, 3, 90)
    p = np.round(rng.dirichlet([1, 1, 1], 90) * 4) / 4 + 0.25
    p /= p.sum(axis=1, keepdims=True)
    more: Kwargs = {"average": average, "multi_class": multi_class}
    names = np.array(["x", "y", "z"])
    for weight in (None, rng.exponential(size=90)):
        assert_same("roc_auc_score", y, p, sample_weight=weight, **more)
        assert_same("roc_auc_score", names[y], p.astype(np.float32), sample_weight=weight, **more)
    for labels in ([0, 1, 2], [0, 1, 2, 3], [0, 1], [2, 1, 0], [0, 0, 1]):
        assert_same("roc_auc_score", y, p, labels=labels, **more)
        assert_same("roc_auc_score", y % 2, p, labels=labels, **more)
    assert_same("roc_auc_score", y % 2, p, **more)
    assert_same("roc_auc_score", y, p, max_fpr=0.5, **more)
    assert_same("roc_auc_score", y, 2 * p, **more)
    assert_same("roc_auc_score", y, p[:, 0], **more)


@pytest.mark.parametrize("average", AVERAGES)
def test_multiclass_average_precision(average: str | None) -> None:
    rng = np.random.default_rng(7)
    y, s = rng.integers(0, 3, 60), rng.random((60, 3)).round(1)
    assert_same("average_precision_score", y, s, average=average)
    assert_same("average_precision_score", y, s, average=average, sample_weight=rng.random(60))
    assert_same("average_precision_score", y, s, average=average, pos_label=2)
    assert_same("average_precision_score", y, s[:, :2], average=average)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", SIZES)
def test_binary_losses(kind: str, n: int) -> None:
    case = Case(n, n, kind)
    tolerance = 1e-6 if kind == "narrow" else 1e-12  # theirs computes float32 in float32
    for w in case.weights():
        for labels, normalize in itertools.product((None, [0, 1], [1, 0], [1], [0, 1, 2]), (True, False)):
            more: Kwargs = {
                "labels": labels,
                "sample_weight": w,
                "normalize": normalize,
                "tolerance": tolerance,
            }
            assert_same("log_loss", case.y, case.p, **more)
            assert_same("log_loss", case.y, np.stack([1 - case.p, case.p], axis=1), **more)
        for half in (True, False, "auto"):
            more = {"sample_weight": w, "scale_by_half": half, "tolerance": tolerance}
            assert_same("brier_score_loss", case.y, case.p, **more)
            assert_same("brier_score_loss", case.y, np.stack([1 - case.p, case.p], axis=1), **more)


@pytest.mark.parametrize("labels", LABELS)
def test_losses_by_kind_of_label(labels: str) -> None:
    case = Case(8, 40)
    y = dressed(case.y, labels)
    assert_same("log_loss", y, case.p)
    assert_same("log_loss", y, case.p[:, None])
    assert_same("brier_score_loss", y, case.p)
    assert_same("brier_score_loss", y, np.stack([1 - case.p, case.p], axis=1))


def test_multiclass_losses() -> None:
    rng = np.random.default_rng(9)
    y, p, w = rng.integers(0, 3, 70), rng.dirichlet([1, 1, 1], 70), rng.exponential(size=70)
    p[0], p[1] = [0, 1, 0], [1, 0, 0]
    names = np.array(["x", "y", "z"])
    for weight, target in itertools.product((None, w), (y, names[y], np.eye(3, dtype=int)[y])):
        for name in ("log_loss", "brier_score_loss"):
            assert_same(name, target, p, sample_weight=weight)
            assert_same(name, target, 0.9 * p, sample_weight=weight)
            assert_same(name, target, p[:, :2], sample_weight=weight)
        assert_same("log_loss", target, p, sample_weight=weight, normalize=False)
    assert_same("brier_score_loss", y, p, scale_by_half=True)
    for labels in ([0, 1, 2], [2, 1, 0], [0, 1], [0, 1, 2, 3]):
        assert_same("log_loss", y, p, labels=labels)
        assert_same("log_loss", np.minimum(y, 1), p, labels=labels)
        assert_same("brier_score_loss", y, p, labels=labels)


def test_the_old_name_of_probabilities() -> None:
    y, p = [0, 1, 1], [0.2, 0.7, 0.6]
    with pytest.warns(FutureWarning, match="y_proba"):
        assert ours.log_loss(y, y_pred=p) == ours.log_loss(y, p)
    assert_same("log_loss", y, p, y_pred=p)
    assert_same("log_loss", y)


Y, P = [0, 1, 0, 1], [0.1, 0.4, 0.35, 0.8]
RANKING = ["roc_auc_score", "roc_curve", "precision_recall_curve", "average_precision_score"]
COUNTING = ["confusion_matrix", "f1_score", "precision_recall_fscore_support"]
LOSSES = ["log_loss", "brier_score_loss"]
BAD: list[tuple[list[str], Any, Any, Kwargs]] = [
    (RANKING + LOSSES, Y, P[:3], {}),
    (RANKING + LOSSES, [], [], {}),
    (RANKING + LOSSES, Y, [0.1, np.nan, 0.2, 0.3], {}),
    (RANKING + LOSSES, Y, [0.1, np.inf, 0.2, 0.3], {}),
    (RANKING + LOSSES, Y, ["a", "b", "c", "d"], {}),
    (RANKING + LOSSES, Y, "abcd", {}),
    (RANKING + LOSSES, 1, P, {}),
    (RANKING + LOSSES, [0, 1, 0, np.nan], P, {}),
    (RANKING + LOSSES, [0.5, 1, 0, 0], P, {}),
    (RANKING + LOSSES, [b"a", b"b", b"a", b"b"], P, {}),
    (RANKING + LOSSES, [[[0]], [[1]]], P[:2], {}),
    (RANKING + LOSSES, np.tile([0, 1, 2], (4, 1)), P, {}),
    (RANKING + LOSSES, Y, P, {"sample_weight": [1, 2]}),
    (RANKING + LOSSES, Y, P, {"sample_weight": [0, 0, 0, 0]}),
    (RANKING + LOSSES, Y, P, {"sample_weight": [1, np.nan, 1, 1]}),
    (RANKING + LOSSES, Y, P, {"sample_weight": 2.0}),
    (RANKING[1:3], np.eye(4, dtype=int), np.eye(4), {}),
    (RANKING[1:3], Y, P, {"pos_label": [1]}),
    (RANKING[1:3], Y, P, {"drop_intermediate": 1}),
    (RANKING[:1], Y, P, {"max_fpr": 0}),
    (RANKING[:1], Y, P, {"max_fpr": 2}),
    (RANKING[:1], Y, P, {"average": "mean"}),
    (RANKING[:1], Y, P, {"multi_class": "all"}),
    (RANKING[:1], Y, np.zeros((4, 2)), {}),
    (LOSSES, Y, [0.1, 1.5, 0.2, 0.3], {}),
    (LOSSES, Y, [0.1, -0.5, 0.2, 0.3], {}),
    (LOSSES[:1], Y, P, {"normalize": 2}),
    (LOSSES[1:], Y, P, {"scale_by_half": "yes"}),
    (LOSSES[1:], [0, 1, 2, 1], P, {}),
    (LOSSES[1:], ["a", "b", "a", "b"], P, {}),
    (COUNTING, Y, Y[:3], {}),
    (COUNTING, [], [], {}),
    (COUNTING, Y, P, {}),
    (COUNTING, P, P, {}),
    (COUNTING, Y, np.eye(4, dtype=int), {}),
    (COUNTING, Y, ["0", "1", "0", "1"], {}),
    (COUNTING, np.eye(4, dtype=int), np.eye(4, 3, dtype=int), {}),
    (COUNTING, Y, "abcd", {}),
    (COUNTING, Y, None, {}),
    (COUNTING, Y, [0, 1, 0, np.nan], {}),
    (COUNTING, np.array([0, 1, 0, None]), Y, {}),
    (COUNTING, np.array(["a", 1, "b", "b"], object), Y, {}),
    (COUNTING, Y, Y, {"sample_weight": [0, 0, 0, 0]}),
    (COUNTING, Y, Y, {"sample_weight": [[1, 2], [3, 4]]}),
    (COUNTING[:1], Y, Y, {"labels": []}),
    (COUNTING[:1], Y, Y, {"labels": [7, 8]}),
    (COUNTING[:1], Y, Y, {"labels": ["a"]}),
    (COUNTING[:1], Y, Y, {"normalize": "rows"}),
    (COUNTING[:1], np.eye(4, dtype=int), np.eye(4, dtype=int), {}),
    (COUNTING[1:], Y, Y, {"zero_division": 2}),
    (COUNTING[1:], Y, Y, {"zero_division": "nan"}),
    (COUNTING[1:], Y, Y, {"average": "mean"}),
    (COUNTING[1:], Y, Y, {"average": "samples"}),
    (COUNTING[1:], Y, Y, {"average": "binary", "pos_label": 3}),
    (COUNTING[1:], [0, 1, 2, 1], [0, 1, 1, 1], {"average": "binary"}),
    (COUNTING[2:], Y, Y, {"beta": -1}),
    (COUNTING[2:], Y, Y, {"beta": "1"}),
]


@pytest.mark.parametrize(
    ("name", "y", "p", "kwargs"), [(name, *rest) for names, *rest in BAD for name in names], ids=str
)
def test_bad_input(name: str, y: Any, p: Any, kwargs: Kwargs) -> None:
    """Both refuse, with an error of the same types; `assert_same` alone would let both accept."""
    assert outcome(getattr(theirs, name), y, p, **kwargs)[2] is not None
    assert_same(name, y, p, **kwargs)


def test_messages_name_argument_place_and_count() -> None:
    with pytest.raises(ValueError, match=r"y_score: got nan at index 1 \(2 NaN or infinite of 4\)"):
        ours.roc_auc_score(Y, [0.1, np.nan, np.inf, 0.2])
    with pytest.raises(ValueError, match=r"sample_weight: got -1.0 at index 2 \(1 such of 4 rows\)"):
        ours.f1_score(Y, Y, sample_weight=[1.0, 1, -1, 1])
    with pytest.raises(ValueError, match=r"y_proba: got 1.5 at index 3 \(1 such of 4\)"):
        ours.log_loss(Y, [0.1, 0.2, 0.3, 1.5])
    with pytest.raises(TypeError, match="masked"):
        ours.roc_auc_score(Y, np.ma.array(P, mask=[False, True, False, False]))


@pytest.mark.parametrize("name", ours.__all__[1:])
def test_signatures_are_theirs(name: str) -> None:
    import inspect

    mine = inspect.signature(getattr(ours, name)).parameters.values()
    want = inspect.signature(getattr(theirs, name)).parameters.values()
    assert [(p.name, p.kind, p.default) for p in mine] == [(p.name, p.kind, p.default) for p in want]


def test_warnings_point_here() -> None:
    calls: list[Callable[[], Any]] = [
        lambda: ours.roc_auc_score([1, 1], [0.1, 0.2]),
        lambda: ours.f1_score([0, 0], [0, 0]),
    ]
    for call in calls:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            call()
        assert [w.filename for w in said] == [__file__]


def test_without_scikit_learn() -> None:
    """No metric imports it; without it the warning is our own of the same name."""
    code = """
import sys, warnings
sys.modules["sklearn"] = sys.modules["scipy"] = None
import fourstep as fs
from fourstep.sklearn import f1_score, roc_auc_score
assert roc_auc_score([0, 1, 1], [0.2, 0.1, 0.7]) == 0.5
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    f1_score([0, 0], [0, 0])
assert [w.category for w in said] == [fs.metrics.UndefinedMetricWarning], said
print("good")
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("good", "")


def test_importing_does_not_load_scikit_learn() -> None:
    code = (
        "import sys, fourstep.sklearn as s; s.roc_auc_score([0, 1], [0.1, 0.2]); s.log_loss([0, 1], [0.1, 0.2]);"
        "print('sklearn' in sys.modules, 'scipy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True, text=True)
    assert done.stdout.strip() == "False False", done.stderr


weighted_rows = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(0, 2), st.sampled_from([0.0, 0.1, 0.25, 1.0]), st.floats(1e-30, 1e30)
    ),
    min_size=2,
    max_size=30,
)


@given(weighted_rows, st.randoms(use_true_random=False))
def test_order_of_rows_moves_no_bit(rows: list[tuple[int, int, float, float]], random: Any) -> None:
    shuffled = rows.copy()
    random.shuffle(shuffled)

    def all_of(rows: list[tuple[int, int, float, float]]) -> list[Any]:
        y, pred, p, w = map(np.array, zip(*rows, strict=True))
        proba = np.stack([p, 1 - p, 0 * p], axis=1)
        hot, guess = np.eye(3, dtype=int)[y], np.eye(3, dtype=int)[pred]
        calls: list[Callable[[], Any]] = [
            lambda: ours.confusion_matrix(y, pred, sample_weight=w),
            lambda: ours.confusion_matrix(y > 0, pred > 0, sample_weight=w),
            lambda: ours.precision_recall_fscore_support(y, pred, sample_weight=w, average="weighted"),
            lambda: ours.precision_recall_fscore_support(hot, guess, sample_weight=w, average="samples"),
            lambda: ours.roc_auc_score(y > 0, p, sample_weight=w, max_fpr=0.4),
            lambda: ours.roc_auc_score(hot, proba, sample_weight=w, average="weighted"),
            lambda: ours.average_precision_score(y > 0, p, sample_weight=w),
            lambda: ours.log_loss(y, proba, sample_weight=w, labels=[0, 1, 2], normalize=False),
            lambda: ours.brier_score_loss(y, proba, sample_weight=w, labels=[0, 1, 2]),
        ]
        return [outcome(call)[0] for call in calls]

    for a, b in zip(all_of(rows), all_of(shuffled), strict=True):
        np.testing.assert_equal(a, b)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1e30)), min_size=1, max_size=40))
def test_sums_are_rounded_once(rows: list[tuple[int, float]]) -> None:
    codes, weight = np.array([c for c, _ in rows]), np.array([w for _, w in rows])
    want = [float(sum((Fraction(w) for c, w in rows if c == k), Fraction(0))) for k in range(4)]
    assert sums(codes, weight, 4).tolist() == want


def test_definition_by_hand() -> None:
    """Precision and recall of each class, from the definition, without scikit-learn."""
    rng = np.random.default_rng(11)
    y, pred = rng.integers(0, 5, 200), rng.integers(0, 5, 200)
    precision, recall, f, support = map(np.asarray, ours.precision_recall_fscore_support(y, pred))
    for k in range(5):
        tp = sum(a == b == k for a, b in zip(y, pred, strict=True))
        p, r = Fraction(tp, sum(pred == k)), Fraction(tp, sum(y == k))
        assert (precision[k], recall[k]) == (float(p), float(r))
        assert f[k] == pytest.approx(float(2 * p * r / (p + r)), rel=1e-15)
        assert support[k] == sum(y == k)


def test_gauc_is_a_scorer_with_routed_groups() -> None:
    """``cross_val_score`` hands the scorer the groups of the rows that it tests."""
    from sklearn import config_context
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import make_scorer
    from sklearn.model_selection import KFold, cross_val_score

    rng = np.random.default_rng(0)
    x, user = rng.normal(size=(600, 3)), rng.integers(0, 20, 600)
    y = (x[:, 0] + rng.normal(size=600) + 0.3 * user > 3).astype(int)
    with config_context(enable_metadata_routing=True):
        scorer = make_scorer(fs.metrics.gauc, response_method="predict_proba").set_score_request(groups=True)
        got = cross_val_score(
            LogisticRegression(), x, y, scoring=scorer, cv=KFold(3), params={"groups": user}
        )
    want = []
    for train, test in KFold(3).split(x):
        p = LogisticRegression().fit(x[train], y[train]).predict_proba(x[test])[:, 1]
        want.append(float(fs.metrics.gauc(y[test], p, user[test])))
    assert got.tolist() == want
    assert min(want) > 0.6


def test_these_metrics_are_scorers() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import make_scorer
    from sklearn.model_selection import cross_val_score

    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    y = np.where(x[:, 0] + rng.normal(size=200) > 0, "yes", "no")
    for name, method in (("roc_auc_score", "predict_proba"), ("log_loss", "predict_proba")):
        scores = [
            cross_val_score(
                LogisticRegression(), x, y, scoring=make_scorer(getattr(m, name), response_method=method)
            )
            for m in (ours, theirs)
        ]
        np.testing.assert_allclose(scores[0], scores[1], rtol=1e-12)


def test_weights_of_losses_are_no_column() -> None:
    y, p, column = [0, 1, 1], [0.2, 0.7, 0.6], np.ones((3, 1))
    for loss in ("log_loss", "brier_score_loss"):
        for library in (ours, theirs):
            with pytest.raises(ValueError, match="dimension|1D"):
                getattr(library, loss)(y, p, sample_weight=column)
