"""Labels of any kind as numbers 0 to k − 1 of their ascending classes, and what kind of labels they are.

binary, multiclass          one column of integers, bools, whole floats or strings; up to two classes, or more
multilabel-indicator        columns of two values, one column a label
continuous …                what no metric here takes, named for the error
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.metrics._inputs import ready
from fourstep.sklearn._inputs import Array, InvalidParameterError, finite, read

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: A table of all values between the least and the greatest is cheaper than a sort up to this many.
_TABLE = 1 << 16


class Target(NamedTuple):
    """Labels: ``classes[codes]``, or of multilabel-indicators the columns as they are."""

    kind: str
    codes: Array
    classes: Array


def target(y: Any, name: str) -> Target:
    """Return labels as codes."""
    array = read(y, name)
    if array.dtype.kind == "S" or (
        array.dtype.kind == "O" and array.size and isinstance(array.flat[0], bytes)
    ):
        raise TypeError(f"{name}: got bytes, need strings or integers")
    if array.dtype.kind in "cmMV":
        raise ValueError(f"{name}: got dtype {array.dtype}, need integers or strings")
    if array.ndim not in (1, 2):
        raise ValueError(f"{name}: got shape {array.shape}, need one dimension, or two of indicators")
    if array.size == 0:
        raise ValueError(f"{name}: got shape {array.shape}, need at least one row")
    if array.ndim == 2 and array.shape[1] > 1:
        return _columns(array, name)
    array = array.reshape(-1)
    if array.dtype.kind in "OUT":
        return _strings(array, name)
    return _numbers(array, name)


def joint(y_true: Any, y_pred: Any) -> tuple[str, Array, Array, Array]:
    """Return kind, codes and predicted codes in the same classes, and these."""
    true, pred = target(y_true, "y_true"), target(y_pred, "y_pred")
    if len(true.codes) != len(pred.codes):
        raise ValueError(f"y_pred: got {len(pred.codes)} rows, need {len(true.codes)}, as many as y_true")
    kinds = {true.kind, pred.kind}
    if len(kinds) == 2 and kinds != {"binary", "multiclass"}:
        raise ValueError(f"y_true, y_pred: got {true.kind} and {pred.kind} labels, need one kind")
    kind = "multiclass" if "multiclass" in kinds else true.kind
    if kind not in ("binary", "multiclass", "multilabel-indicator"):
        raise ValueError(f"y_true, y_pred: got {kind} labels, need classes or multilabel indicators")
    if kind == "multilabel-indicator":
        if true.codes.shape != pred.codes.shape:
            raise ValueError(f"y_pred: got shape {pred.codes.shape}, need {true.codes.shape}, that of y_true")
        return kind, true.codes, pred.codes, true.classes
    if np.array_equal(true.classes, pred.classes):
        return kind, true.codes, pred.codes, true.classes
    if (true.classes.dtype.kind == "O") != (pred.classes.dtype.kind == "O"):
        raise ValueError("y_true, y_pred: got strings and numbers, need labels of one type")
    classes = np.union1d(true.classes, pred.classes)
    kind = "multiclass" if len(classes) > 2 else kind
    return kind, _within(true, classes), _within(pred, classes), classes


def _within(part: Target, classes: Array) -> Array:
    """Return codes in classes that hold the target's own and more."""
    if np.array_equal(part.classes, classes):
        return part.codes
    narrow = np.uint8 if len(classes) <= 2 else np.intp
    return np.searchsorted(classes, part.classes).astype(narrow)[part.codes]


def places(classes: Array, wanted: Array) -> NDArray[np.intp]:
    """Return where in `wanted` each class is, -1 where it is not; of equal ones the last."""
    place = {name: at for at, name in enumerate(wanted.tolist())}
    return np.array([place.get(name, -1) for name in classes.tolist()], dtype=np.intp)


def positives(of: Target, pos_label: Any) -> NDArray[np.uint8]:
    """Return bytes, 1 where the label is `pos_label`."""
    here = np.flatnonzero(places(of.classes, np.array([pos_label], dtype=object)) == 0)
    if len(here) == 0:
        return np.zeros(len(of.codes), np.uint8)
    if len(of.classes) == 2 and here[0] == 1 and of.codes.dtype == np.uint8:
        return of.codes
    return np.asarray(of.codes == here[0]).view(np.uint8)


def default_pos_label(classes: Array) -> int:
    """Return 1, if the classes are among 0/1 or -1/+1."""
    names = classes.tolist()
    if not any(set(names) <= set(pair) for pair in ((0, 1), (-1, 1))):
        shown = ", ".join(map(repr, names[:10])) + (", …" if len(names) > 10 else "")
        raise ValueError(f"y_true: got labels {shown}, need 0/1 or -1/+1, or else pos_label=")
    return 1


def indicators(of: Target) -> NDArray[np.uint8]:
    """Return a multilabel target as bytes 0 and 1."""
    flat = np.ascontiguousarray(of.codes).reshape(-1)
    return as_bytes(flat).reshape(of.codes.shape)


def as_bytes(y: Array) -> NDArray[np.uint8]:
    """Return labels 0/1 or -1/+1 as bytes; the kernel refuses all others."""
    y = y.view(np.uint8) if y.dtype == np.bool_ else y
    y = y.astype(np.float32) if y.dtype == np.float16 else y
    y = ready(y, y.dtype.newbyteorder("="))
    binary = _core.metrics_labels(y, execution())
    return y if binary is None else binary


def _columns(array: Array, name: str) -> Target:
    """Return the kind of two dimensions, which are indicators if they hold two values at most."""
    classes = np.arange(array.shape[1])
    if array.dtype.kind in "OUT":
        return Target("multiclass-multioutput" if array.dtype.kind in "UT" else "unknown", array, classes)
    least, most = array.min(), array.max()
    if _fractional(array):
        finite(array, name)
        return Target("continuous-multioutput", array, classes)
    if array.dtype == np.bool_ or bool(((array == least) | (array == most)).all()):
        return Target("multilabel-indicator", array, classes)
    return Target("multiclass-multioutput", array, classes)


def _fractional(array: Array) -> bool:
    """Whether a value is not a whole number; NaN and inf are none."""
    if array.dtype.kind != "f":
        return False
    with np.errstate(invalid="ignore"):
        return not bool(np.isfinite(array).all() and (array == np.rint(array)).all())


def _strings(array: Array, name: str) -> Target:
    """Number strings by hashing: nothing is sorted but the classes."""
    values: list[Any] = array.tolist()
    distinct = dict.fromkeys(values)
    if not all(isinstance(value, str) for value in distinct):
        kinds = ", ".join(sorted({type(value).__name__ for value in distinct}))
        raise InvalidParameterError(
            f"{name}: got objects of type {kinds}, need strings alone, or an array of numbers"
        )
    names = sorted(distinct)
    number = dict(zip(names, range(len(names)), strict=True))
    codes = np.fromiter(map(number.__getitem__, values), np.intp, len(values))
    return _classified(codes, np.array(names, dtype=object))


def _classified(codes: Array, classes: Array) -> Target:
    few = len(classes) <= 2
    return Target("binary" if few else "multiclass", codes.astype(np.uint8) if few else codes, classes)


def _numbers(y: Array, name: str) -> Target:
    if y.dtype.kind == "f" and y.dtype.itemsize > 8:
        raise ValueError(f"{name}: got dtype {y.dtype}, need numbers of up to 64 bits")
    try:
        codes = as_bytes(y)
    except ValueError:
        return _many(y, name)
    # 0/1 or −1/+1: the negative one is read off the first row that has it.
    ones = codes.view(np.bool_)
    count = np.count_nonzero(ones)
    if count == 0:
        return Target("binary", codes, y[:1].copy())
    if count == len(y):
        return Target("binary", np.zeros_like(codes), y[:1].copy())
    return Target("binary", codes, y[[ones.argmin(), ones.argmax()]])


def _many(y: Array, name: str) -> Target:
    """Return the codes of numbers that are not 0/1 or -1/+1."""
    if _fractional(y):
        finite(y, name)
        return Target("continuous", y, y[:0])
    least, most = int(y.min()), int(y.max())
    if most - least >= max(_TABLE, len(y)) or not -(2**62) < least <= most < 2**62:
        classes, codes = np.unique(y, return_inverse=True)
        return _classified(codes.reshape(-1), classes)
    offset = y.astype(np.int64) - least
    seen = np.bincount(offset) > 0
    classes = (np.flatnonzero(seen) + least).astype(y.dtype)
    return _classified((np.cumsum(seen) - 1)[offset], classes)
