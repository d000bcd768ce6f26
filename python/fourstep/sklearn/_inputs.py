"""Arguments: what they may be, and scores and weights as arrays that the kernels read.

scikit-learn goes by position alone, so pandas indexes are not compared here.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fourstep.metrics._inputs import ready, refuse

if TYPE_CHECKING:
    from numpy.typing import NDArray

Array: TypeAlias = "NDArray[Any]"
#: Ways to make one number of many labels'.
AVERAGES = (None, "micro", "macro", "weighted", "samples")


class InvalidParameterError(ValueError, TypeError):
    """An argument is of the wrong kind, or none of the values that it may have; both types, as in scikit-learn."""


def array_like(name: str, x: Any, *, none: bool = False, sparse: bool = False) -> None:
    """Refuse scalars and strings, None unless it is allowed, and sparse matrices unless they are."""
    if x is None and none:
        return
    has_rows = any(hasattr(x, sign) for sign in ("__len__", "shape", "__array__"))
    if not has_rows or np.isscalar(x) or (is_sparse(x) and not sparse):
        raise InvalidParameterError(f"{name}: got {type(x).__name__}, need an array, a list or a column")


def is_sparse(x: Any) -> bool:
    """Whether this is a matrix of scipy.sparse."""
    return hasattr(x, "toarray") and hasattr(x, "nnz")


def option(name: str, value: Any, options: tuple[str | None, ...]) -> None:
    """Refuse what is not one of the options."""
    if value is None and None in options:
        return
    if not isinstance(value, str) or value not in options:
        raise InvalidParameterError(f"{name}: got {value!r}, need one of {', '.join(map(repr, options))}")


def flag(name: str, value: Any) -> None:
    """Refuse what is no bool."""
    if not isinstance(value, bool | np.bool_):
        raise InvalidParameterError(f"{name}: got {value!r}, need True or False")


def label(name: str, value: Any, *, none: bool = True) -> None:
    """Refuse what cannot be a label."""
    if not isinstance(value, Real | str | np.bool_) and not (none and value is None):
        raise InvalidParameterError(f"{name}: got {value!r}, need a number, a string or a bool")


def at_least_zero(name: str, value: Any) -> None:
    """Refuse what is no number from 0 to inf."""
    if not isinstance(value, Real) or not float(value) >= 0:
        raise InvalidParameterError(f"{name}: got {value!r}, need a number >= 0")


def zero_division(value: Any) -> None:
    """Refuse what is none of "warn", 0, 1 and nan."""
    if isinstance(value, str):
        good = value == "warn"
    else:
        good = isinstance(value, Real) and (value in (0, 1) or math.isnan(value))
    if not good:
        raise InvalidParameterError(f"zero_division: got {value!r}, need 'warn', 0, 1 or nan")


def read(x: Any, name: str) -> Array:
    """Return an array of any dtype."""
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{name}: got a masked array, need a plain one; masked values would count as values")
    if is_sparse(x):
        x = x.toarray()
    try:
        return np.asarray(x)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{name}: got {type(x).__name__}, which NumPy cannot read: {error}") from error


def column(array: Array, name: str) -> Array:
    """Return an array of one dimension; one column may lie in two."""
    if array.ndim == 2 and array.shape[1] == 1:
        return array[:, 0]
    if array.ndim != 1:
        raise ValueError(f"{name}: got shape {array.shape}, need one dimension")
    return array


def same_rows(rows: int, array: Array, name: str) -> None:
    """Refuse another number of rows than y_true has."""
    if len(array) != rows:
        raise ValueError(f"{name}: got {len(array)} rows, need {rows}, as many as y_true")


def numbers(x: Any, name: str, *, bounded: bool = False) -> Array:
    """Return finite numbers in one or two dimensions, as they are; of `bounded` ones the caller looks at the range."""
    array = read(x, name)
    if array.dtype.kind == "V" and array.dtype.name.startswith(("bfloat16", "float8")):
        array = array.astype(np.float32)
    if array.dtype.kind == "O":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise InvalidParameterError(f"{name}: got objects, need numbers: {error}") from error
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise InvalidParameterError(f"{name}: got dtype {array.dtype}, need numbers of up to 64 bits")
    if array.ndim not in (1, 2):
        raise ValueError(f"{name}: got shape {array.shape}, need one or two dimensions")
    if array.size == 0:
        raise ValueError(f"{name}: got shape {array.shape}, need at least one row and column")
    if not bounded:
        finite(array, name)
    return array


def finite(array: Array, name: str) -> None:
    """Refuse NaN and inf; min and max see both."""
    if array.dtype.kind != "f" or (np.isfinite(array.min()) and np.isfinite(array.max())):
        return
    wrong = np.argwhere(~np.isfinite(array))
    at = tuple(wrong[0].tolist())
    raise ValueError(
        f"{name}: got {array[at]} at index {at[0] if len(at) == 1 else at} ({len(wrong)} NaN or infinite"
        f" of {array.size}), need finite numbers"
    )


def scores(array: Array) -> Array:
    """Return scores in one of the types that the kernels order, with the order and the ties that they had."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "f":
        return ready(array, np.float64 if size == 8 else np.float32)
    return ready(array, np.uint64 if kind == "u" and size == 8 else np.int64)


def weights(sample_weight: Any, rows: int, *, flat: bool = False) -> NDArray[np.float64] | None:
    """Return weights: finite, none negative, not all 0; with `flat` not as a column of two dimensions."""
    if sample_weight is None:
        return None
    given = numbers(sample_weight, "sample_weight")
    if flat and given.ndim != 1:
        raise ValueError(f"sample_weight: got shape {given.shape}, need one dimension")
    weight = column(given, "sample_weight")
    same_rows(rows, weight, "sample_weight")
    if weight.min() < 0:
        refuse("sample_weight", weight < 0, "weights >= 0", weight)
    if not weight.any():
        raise ValueError(f"sample_weight: got 0 in each of {rows} rows, need one weight above 0")
    return ready(weight, np.float64)
