"""From what people have (lists, NumPy, pandas, polars, Arrow, torch) to the arrays that the kernels read.

Arrays of a type that the kernels know, C-contiguous, aligned and native-endian, are used where they are; the rest is
copied once. float16, bfloat16 and small integers widen without loss, so order and ties stay. What is not a plain
column of numbers is refused: nothing is aligned, filled or guessed.
"""

from __future__ import annotations

from numbers import Real
from operator import index
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

import numpy as np

from fourstep import _core
from fourstep._runtime import execution

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = "NDArray[Any]"


class Rows(NamedTuple):
    """Labels as bytes 0 and 1, scores, and weights if there are any; of one length, which is not 0."""

    y: NDArray[np.uint8]
    score: Array
    weight: NDArray[np.float64] | None


def rows(
    y: ArrayLike,
    score: ArrayLike,
    sample_weight: ArrayLike | None,
    pos_label: Any,
    *,
    name: str = "score",
    real: bool = False,
    extra: tuple[str, Any] | None = None,
) -> Rows:
    """Check and convert the inputs of a metric.

    `real` asks for floats (probabilities, logits); `extra` is a named input of the same rows, for its index and length.
    """
    named = {"y": y, name: score, "sample_weight": sample_weight}
    if extra is not None:
        named[extra[0]] = extra[1]
    same_index(named)
    labels = column(y, "y")
    scores = column(score, name)
    if len(labels) == 0:
        raise ValueError("y: got no rows, need at least one")
    same_length(labels, scores, name)
    weights = None
    if sample_weight is not None:
        weights = ready(numbers(column(sample_weight, "sample_weight"), "sample_weight"), np.float64)
        same_length(labels, weights, "sample_weight")
    return Rows(_labels(labels, pos_label), (_reals if real else orderable)(scores, name), weights)


def column(x: ArrayLike, name: str, need: str = "a value in each row") -> Array:
    """Return `x` as an array of one dimension; nulls of a column, which NumPy would make NaN, are an error."""
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{name}: got a masked array, need a plain one; masked values would count as values")
    if x is None:
        raise TypeError(f"{name}: got None, need {need}")
    if type(x) is np.ndarray:
        array: Array = x
    else:
        if (
            str(getattr(x, "dtype", "")) == "torch.bfloat16"
        ):  # NumPy has no such type: float32 holds all of it
            x = cast("Any", x).float()
        try:
            array = np.asarray(x)
        except (RuntimeError, TypeError, ValueError) as error:
            raise TypeError(f"{name}: got {type(x).__name__}, which NumPy cannot read: {error}") from error
    null = None if array is x else _nulls(x)
    if null is not None:
        refuse(name, null, need)
    if array.ndim != 1:
        is_score = name in ("score", "p", "a", "b") and array.ndim == 2 and array.shape[1] == 2
        hint = f"; for the second class take {name}[:, 1]" if is_score else ""
        raise ValueError(f"{name}: got shape {array.shape}, need one dimension{hint}")
    return array


def _nulls(x: Any) -> NDArray[np.bool_] | None:
    """Return where a column of Arrow, polars or pandas has no value; None where it says that there is none such.

    A column of a NumPy type in pandas knows no null: what is missing there is NaN.
    """
    count = getattr(x, "null_count", None)  # of Arrow a number, of polars a method
    if count is not None and hasattr(x, "is_null"):
        return np.asarray(x.is_null(), np.bool_) if (count() if callable(count) else count) else None
    if hasattr(x, "isna") and not isinstance(getattr(x, "dtype", None), np.dtype):
        return np.asarray(x.isna(), np.bool_)
    return None


def such(value: Any, first: Any, count: int, rows: int, of: str = "rows") -> str:
    """Say what was found, where first, and how often: in the words of the kernels.

    >>> such(float("nan"), 3, 2, 5)
    'NaN at index 3 (2 such of 5 rows)'
    """
    shown = "null" if _null(value) else "NaN" if value != value else value
    return f"{shown} at index {first} ({count} such of {rows} {of})"


def refuse(name: str, wrong: NDArray[np.bool_], need: str, values: Any = None, of: str = "rows") -> None:
    """Raise where something is wrong: name the first of the values, or what all the wrong ones are (None: null)."""
    where = np.flatnonzero(wrong)
    if len(where):
        value = values[where[0]] if isinstance(values, np.ndarray) else values
        raise ValueError(f"{name}: got {such(value, where[0], len(where), len(wrong), of)}, need {need}")


def same_index(named: dict[str, Any]) -> None:
    """Refuse pandas columns whose indexes differ: they would be compared by position, not by index."""
    first: tuple[str, Any] | None = None
    for name, x in named.items():
        index = None if type(x) is np.ndarray else getattr(x, "index", None)
        if index is None or callable(index) or not hasattr(index, "equals"):
            continue
        if first is None:
            first = (name, index)
        elif not first[1].equals(index):
            raise ValueError(
                f"{name}: its index differs from that of {first[0]}; align them, or pass .to_numpy()"
            )


def choice(name: str, value: Any, options: tuple[str, ...]) -> None:
    """Refuse what is not one of the options of a named argument."""
    if not isinstance(value, str):
        raise TypeError(f"{name}: got {type(value).__name__}, need one of {', '.join(options)}")
    if value not in options:
        raise ValueError(f'{name}: got "{value}", need one of {", ".join(options)}')


def number(value: Any) -> bool:
    """Whether this is a real number, of Python or NumPy, and no bool."""
    return isinstance(value, Real) and not isinstance(value, bool)


def whole(name: str, value: Any, least: int, most: int, need: str = "") -> int:
    """Refuse what is no whole number from `least` to `most`; `need` says so in other words."""
    try:
        n = index(value)
    except TypeError:
        raise TypeError(f"{name}: got {value!r}, need a whole number") from None
    if not least <= n <= most:
        raise ValueError(f"{name}: got {n}, need {need or f'{least} to {most}'}")
    return n


def same_length(labels: Array, other: Array, name: str) -> None:
    if len(other) != len(labels):
        raise ValueError(f"{name}: got {len(other)} rows, need {len(labels)}, as many as y")


def ready(array: Array, dtype: Any) -> Array:
    """Return the array in this dtype, C-contiguous, aligned and native-endian; itself where it is all that."""
    flags = array.flags
    if array.dtype == dtype and array.dtype.isnative and flags.c_contiguous and flags.aligned:
        return array
    return np.require(array, np.dtype(dtype), ["C", "A"])


def numbers(array: Array, name: str) -> Array:
    """Return the array if it holds numbers (small floats of other packages as float32)."""
    kind = array.dtype.kind
    if kind in "biu" or (kind == "f" and array.dtype.itemsize <= 8):
        return array
    if kind == "V" and array.dtype.name.startswith(("bfloat16", "float8", "float6", "float4")):
        return array.astype(np.float32)
    _refuse_null_objects(array, name)
    raise TypeError(f"{name}: got dtype {array.dtype}, need numbers (bool, integer, float16/32/64, bfloat16)")


def _null(value: Any) -> bool:
    """Whether this is None, or the null of pandas."""
    return value is None or type(value).__name__ == "NAType"


def _refuse_null_objects(array: Array, name: str) -> None:
    if array.dtype.kind == "O":
        refuse(name, np.fromiter(map(_null, array), np.bool_, len(array)), "a value in each row")


def is_none(array: Array) -> NDArray[np.bool_]:
    """Return where an array of objects is None."""
    none: Any = None
    return np.asarray(np.equal(array, none), np.bool_)


def orderable(array: Array, name: str) -> Array:
    """Return numbers in the type of their order: float32, float64, int64 or uint64."""
    array = numbers(array, name)
    if array.dtype.kind == "f":
        return ready(array, np.float64 if array.dtype.itemsize == 8 else np.float32)
    return ready(array, np.uint64 if array.dtype.kind == "u" and array.dtype.itemsize == 8 else np.int64)


def _reals(array: Array, name: str) -> Array:
    array = numbers(array, name)
    narrow = array.dtype.kind == "f" and array.dtype.itemsize <= 4
    return ready(array, np.float32 if narrow else np.float64)


def _labels(y: Array, pos_label: Any) -> NDArray[np.uint8]:
    """Return bytes, 1 for a positive."""
    if pos_label is not None:
        y = _matching(y, pos_label)
    if y.dtype.kind not in "OV" and y.dtype.kind not in "biuf":
        raise TypeError(f"y: got dtype {y.dtype}, need labels 0/1 or -1/+1; other labels need pos_label=")
    y = numbers(y, "y")
    if y.dtype == np.bool_:
        y = y.view(np.uint8)
    elif y.dtype == np.float16:
        y = y.astype(np.float32)
    y = ready(y, y.dtype.newbyteorder("="))
    binary = _core.metrics_labels(y, execution())
    return y if binary is None else binary


def _matching(y: Array, pos_label: Any) -> Array:
    """Return where `y` is `pos_label`; all other labels must be one other value, and no null."""
    _refuse_null_objects(y, "y")
    positive = np.asarray(y == pos_label)
    if positive.shape != y.shape:
        raise TypeError(f"pos_label: got {pos_label!r}, which cannot be compared with y of dtype {y.dtype}")
    others = y[~positive]
    if len(others):
        wrong = np.flatnonzero(np.asarray(others != others[0]))
        if len(wrong) and not positive.any():
            two = f"{plain(others[0])!r} and {plain(others[wrong[0]])!r}"
            raise ValueError(f"pos_label: got {pos_label!r}, which no label is: y has {two}")
        if len(wrong):
            index = int(np.flatnonzero(~positive)[wrong[0]])
            found = such(repr(plain(y[index])), index, len(wrong), len(y))
            raise ValueError(
                f"y: got {found} beside {plain(others[0])!r} and pos_label={pos_label!r}, need two labels"
            )
    return positive


def plain(x: Any) -> Any:
    """Return a value as one of Python's, whose repr is short."""
    return x.item() if isinstance(x, np.generic) else x
