"""Saving and loading state: nested dicts, lists and tuples of arrays, numbers, strings, booleans and None.

    save("run.npz", {"model": arena.state_dict(), "optimizer": opt.state_dict(), "step": 7})
    state = load("run.npz")                     # the same: values, types, dtypes, nesting

A state becomes one JSON document, which holds all but the arrays, and the arrays by name, in a `.npz` or a
`.safetensors` file (`fourstep._containers`), written whole or not at all (`fourstep.atomic`). Lists, strings,
numbers, booleans and null stand for themselves; an object has one key, which says what it is:

    {"dict": {key: ...}}    {"tuple": [...]}    {"int": "0x..."} beyond 64 bits    {"float": bits} inf and NaN
    {"array": [name, dtype, shape]}    {"scalar": [name, dtype, []]}    {"str_": text} NumPy's own types
"""

from __future__ import annotations

import errno
import json
import math
import os
import struct
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote
from zipfile import BadZipFile

import numpy as np

from fourstep._containers import CONTAINERS, Array, Arrays, Container, dtype_from, dtype_name
from fourstep.atomic import atomic_file

__all__ = ["StateError", "atomic_file", "check_state", "load", "save"]

FORMAT = "fourstep.state"
VERSION = 1
DEPTH = 100


class StateError(ValueError):
    """A file is not a state that we can read, or a state does not fit what it is loaded into."""


def save(path: str | os.PathLike[str], state: object) -> None:
    """Write `state` to `path`, whole or not at all; the suffix, `.npz` or `.safetensors`, says how.

    Parameters
    ----------
    path : str or Path
        A file that is there is replaced, at the end and in one instant.
    state : nested dicts with string keys, lists and tuples
        Of arrays and NumPy scalars (booleans, integers, floats up to 64 bits, complex, dates, text of fixed
        width, bfloat16 and its kin; in any byte order); ints of any size; floats with ±inf, −0.0 and NaN,
        whose payload is kept; booleans; strings; None.

    Raises
    ------
    TypeError
        There is something else in it; the place is named, and nothing written.
    ValueError
        The suffix is neither of the two, or the state is nested more than 100 deep.
    OSError
        It cannot be written (a full disk, ...); the file is named, any earlier version of it untouched.

    Examples
    --------
    >>> import tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "state.npz")
    >>> save(path, {"w": np.arange(3, dtype=np.int8), "betas": (0.9, 0.99), "best": -math.inf, "step": 7})
    >>> load(path)
    {'w': array([0, 1, 2], dtype=int8), 'betas': (0.9, 0.99), 'best': -inf, 'step': 7}
    >>> save(path, {"layers": [{"w": {1, 2}}]})
    Traceback (most recent call last):
    TypeError: save: state['layers'][0]['w'] is a set; a state holds dicts, lists, tuples, arrays, numbers, \
strings, booleans and None

    Where others differ
    -------------------
    `torch.save`, and `np.save` of objects, write pickle, which can run any code when it is read, and write in
    place: a kill leaves half a file. `np.savez` turns numbers into arrays and bfloat16 into raw bytes, and
    knows no nesting; safetensors holds a flat dict of arrays.
    """
    container = _container(path)
    arrays: Arrays = {}
    document = {"format": FORMAT, "version": VERSION, "state": _encode(state, (), arrays, container)}
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    with atomic_file(path) as file:
        container.write(file, text, arrays)


def load(path: str | os.PathLike[str]) -> Any:
    """What `save` wrote to `path`: the same values, types, dtypes, nesting. Arrays are new and writeable.

    Raises
    ------
    StateError
        The file is not a state, or cut short, damaged, or in a version of the format that we cannot read.
    OSError
        It cannot be read (`FileNotFoundError`, ...).
    """
    container = _container(path)
    with open(path, "rb") as file:
        try:
            text, arrays = container.read(file)
            return _decode_document(json.loads(text), arrays)
        except StateError as error:
            raise StateError(f"{path}: {error}") from None
        except _DAMAGE as error:
            if isinstance(error, OSError) and error.errno != errno.EINVAL:
                raise
            reason = f"not a state of fourstep, or cut short or damaged ({type(error).__name__}: {error})"
            raise StateError(f"{path}: {reason}") from error


def check_state(expected: Mapping[str, Array], got: Mapping[str, object], what: str) -> None:
    """Raise one StateError that lists every difference: missing and unexpected names, shapes, dtypes.

    >>> check_state({"w": np.zeros(3), "b": np.zeros(1)}, {"w": np.zeros(2), "v": 1}, "Arena.load_state_dict")
    Traceback (most recent call last):
    fourstep.state.StateError: Arena.load_state_dict: 'w' has shape (2,), needs (3,); 'b' is missing; \
'v' is unexpected
    """
    if not isinstance(got, Mapping):
        raise StateError(f"{what}: needs a dict of arrays, got {type(got).__name__}")
    differences = []
    for name, array in expected.items():
        value = got.get(name)
        if name not in got:
            differences.append(f"{name!r} is missing")
        elif not isinstance(value, np.ndarray):
            hint = ", which its .numpy() is" if callable(getattr(value, "numpy", None)) else ""
            differences.append(f"{name!r} is a {type(value).__name__}, needs an array{hint}")
        else:
            if value.shape != array.shape:
                differences.append(f"{name!r} has shape {value.shape}, needs {array.shape}")
            if value.dtype != array.dtype:
                differences.append(f"{name!r} has dtype {value.dtype}, needs {array.dtype}")
    differences += [f"{name!r} is unexpected" for name in got if name not in expected]
    if differences:
        raise StateError(f"{what}: {'; '.join(differences)}")


_DAMAGE = (  # what the readers of zip, npy, JSON and our own document raise at bytes that they do not expect
    ArithmeticError,
    AttributeError,
    BadZipFile,
    EOFError,
    LookupError,
    OSError,  # EINVAL: a seek to before the beginning
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def _container(path: str | os.PathLike[str]) -> Container:
    suffix = os.path.splitext(path)[1]
    if suffix in CONTAINERS:
        return CONTAINERS[suffix]
    raise ValueError(f"{path}: the suffix must be {' or '.join(CONTAINERS)}, got {suffix!r}")


# --- A state as a document and arrays


def _encode(value: object, at: tuple[str | int, ...], arrays: Arrays, container: Container) -> Any:
    """`value` as JSON; its arrays go into `arrays`. `at` is the way to it: keys and indexes."""

    def inner(key: str | int, item: object) -> Any:
        return _encode(item, (*at, key), arrays, container)

    if len(at) > DEPTH:
        raise ValueError(f"save: the state is nested more than {DEPTH} deep (does it hold itself?)")
    kind = type(value)  # exactly, below: of a subclass, load could not return the same type
    if value is None or kind in (bool, str):
        return value
    if type(value) is int:
        return value if -(2**63) <= value < 2**64 else {"int": hex(value)}
    if type(value) is float:
        return value if math.isfinite(value) else {"float": struct.pack(">d", value).hex()}
    if type(value) is dict:
        for key in value:
            if type(key) is not str:
                raise TypeError(f"save: {_place(at)} has the key {key!r}; keys must be strings")
        return {"dict": {key: inner(key, item) for key, item in value.items()}}
    if type(value) is list:
        return [inner(i, item) for i, item in enumerate(value)]
    if type(value) is tuple:
        return {"tuple": [inner(i, item) for i, item in enumerate(value)]}
    if type(value) is np.str_:
        return {"str_": "".join(value)}  # as an array, or by str(), it would lose NULs at its end
    if isinstance(value, np.generic):
        return {"scalar": _store(np.asarray(value), at, arrays, container)}
    if isinstance(value, np.ndarray) and kind in (np.ndarray, np.memmap):
        return {"array": _store(value, at, arrays, container)}
    raise TypeError(
        f"save: {_place(at)} is a {kind.__name__}; a state holds dicts, lists, tuples, arrays, numbers, "
        "strings, booleans and None"
    )


def _store(array: Array, at: tuple[str | int, ...], arrays: Arrays, container: Container) -> list[Any]:
    dtype = dtype_name(array.dtype)
    if dtype is None:
        raise TypeError(f"save: {_place(at)} has dtype {array.dtype}, whose bytes mean nothing elsewhere")
    name = "/".join(quote(str(key), safe="", errors="surrogatepass") for key in ("state", *at))
    if len(name) > 200:
        name = f"long/{len(arrays)}"
    arrays[name] = array if container.holds(array.dtype) else np.frombuffer(array.tobytes(), np.uint8)
    return [name, dtype, array.shape]


def _place(at: tuple[str | int, ...]) -> str:
    return "state" + "".join(f"[{key!r}]" for key in at)


def _decode_document(document: Any, arrays: Arrays) -> Any:
    if document["format"] != FORMAT:
        raise StateError(f"not a state of fourstep: its format is {document['format']!r}")
    if document["version"] != VERSION:
        raise StateError(
            f"written in version {document['version']} of the format; this fourstep reads {VERSION}"
        )
    missing: list[str] = []
    state = _decode(document["state"], arrays, missing)
    differences = [f"array {name!r} is missing" for name in missing]
    differences += [f"array {name!r} is unexpected" for name in arrays]  # the others have been taken out
    if differences:
        raise StateError("; ".join(differences))
    return state


def _decode(node: Any, arrays: Arrays, missing: list[str]) -> Any:
    if isinstance(node, list):
        return [_decode(item, arrays, missing) for item in node]
    if not isinstance(node, dict):
        return node
    ((tag, content),) = node.items()
    if tag == "dict":
        return {key: _decode(item, arrays, missing) for key, item in content.items()}
    if tag == "tuple":
        return tuple(_decode(item, arrays, missing) for item in content)
    if tag == "int":
        return int(content, 16)
    if tag == "float":
        return struct.unpack(">d", bytes.fromhex(content))[0]
    if tag == "str_":
        return np.str_(content)
    if tag == "array":
        return _restore(content, arrays, missing)
    if tag == "scalar":
        return _restore(content, arrays, missing)[()]
    raise ValueError(f"unknown {tag!r}")


def _restore(content: list[Any], arrays: Arrays, missing: list[str]) -> Array:
    name, dtype, shape = content
    if name not in arrays:
        missing.append(name)
        return np.empty(())
    array, wanted = arrays.pop(name), dtype_from(dtype)
    if array.dtype != wanted and array.dtype == np.uint8:  # stored as bytes
        array = array.view(wanted).reshape(shape)
    if array.dtype != wanted or array.shape != tuple(shape):
        raise ValueError(f"array {name!r} is {array.dtype}{array.shape}, not {dtype}{tuple(shape)}")
    return array
