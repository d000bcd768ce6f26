"""Two kinds of file that hold one text document and named arrays: `.npz` and `.safetensors`.

    .npz             a zip archive of `fourstep.json` and NumPy's .npy files, with a checksum for each
    .safetensors     8 bytes: n; n bytes of JSON: dtype, shape, place of each array, the document; raw data

Neither knows pickle. A dtype that a container lacks (`holds` is false) is the caller's to turn into bytes.

The safetensors format is small enough to need no package: arrays go straight from memory to the open file,
and a full disk is an OSError like any other. The tests read with the package what is written here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import IO, Any, NamedTuple
from zipfile import ZipFile, ZipInfo

import numpy as np

__all__ = ["CONTAINERS", "Array", "Arrays", "Container", "dtype_from", "dtype_name"]

Array = np.ndarray[Any, np.dtype[Any]]
Arrays = dict[str, Array]


class Container(NamedTuple):
    """How a kind of file is written and read."""

    holds: Callable[[np.dtype[Any]], bool]
    write: Callable[[IO[bytes], str, Arrays], None]
    read: Callable[[IO[bytes]], tuple[str, Arrays]]


# --- Names of dtypes: NumPy's "<f4", and the names of the types of the package ml_dtypes ("bfloat16").


def dtype_name(dtype: np.dtype[Any]) -> str | None:
    """The name of a dtype whose elements are bytes of one meaning on every machine; None for the others."""
    if dtype.type.__module__ == "ml_dtypes":
        return dtype.name
    return dtype.str if dtype.kind in "biufcmMSU" and dtype.char not in "gG" else None  # g, G: long double


def dtype_from(name: str) -> np.dtype[Any]:
    """The dtype of that name; ValueError if it is none that `dtype_name` gives."""
    if name[:1] in "<>|":
        dtype: np.dtype[Any] = np.dtype(name)
    else:
        try:
            import ml_dtypes
        except ImportError:
            raise ModuleNotFoundError(f"{name} needs ml_dtypes: pip install 'fourstep[bf16]'") from None
        dtype = np.dtype(getattr(ml_dtypes, name, None))
    if dtype_name(dtype) != name:
        raise ValueError(f"no dtype {name!r}")
    return dtype


# --- .npz

_DOCUMENT = "fourstep.json"


def _npz_holds(dtype: np.dtype[Any]) -> bool:
    return dtype.type.__module__ != "ml_dtypes"  # .npy files keep the bytes of those, and forget the type


def _write_npz(file: IO[bytes], document: str, arrays: Arrays) -> None:
    with ZipFile(file, "w") as archive:
        archive.writestr(ZipInfo(_DOCUMENT), document)  # a ZipInfo has no clock: equal states, equal files
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _read_npz(file: IO[bytes]) -> tuple[str, Arrays]:
    arrays = {}
    with ZipFile(file) as archive:
        document = archive.read(_DOCUMENT).decode()
        for name in archive.namelist():
            if name != _DOCUMENT:
                with archive.open(name) as member:
                    arrays[name.removesuffix(".npy")] = np.lib.format.read_array(member, allow_pickle=False)
    return document, arrays


# --- .safetensors

_CODES = {
    "BOOL": "|b1",
    "I8": "|i1",
    "U8": "|u1",
    "I16": "<i2",
    "U16": "<u2",
    "I32": "<i4",
    "U32": "<u4",
    "I64": "<i8",
    "U64": "<u8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "BF16": "bfloat16",
}
_CODE_OF = {name: code for code, name in _CODES.items()}


def _safetensors_holds(dtype: np.dtype[Any]) -> bool:
    return dtype_name(dtype) in _CODE_OF


def _write_safetensors(file: IO[bytes], document: str, arrays: Arrays) -> None:
    ordered = sorted(arrays, key=lambda name: -arrays[name].itemsize)  # so that all data is aligned
    header: dict[str, Any] = {"__metadata__": {"fourstep": document}}
    end = 0
    for name in ordered:
        begin, end = end, end + arrays[name].nbytes
        code = _CODE_OF[dtype_name(arrays[name].dtype) or ""]
        header[name] = {"dtype": code, "shape": arrays[name].shape, "data_offsets": (begin, end)}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for name in ordered:
        file.write(np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8).data)


def _read_safetensors(file: IO[bytes]) -> tuple[str, Arrays]:
    size = file.seek(0, 2)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if length > size - 8:
        raise ValueError("it is shorter than its header")
    header = json.loads(file.read(length))
    document = header.pop("__metadata__")["fourstep"]
    end = 0
    arrays = {}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        dtype, shape = dtype_from(_CODES[entry["dtype"]]), entry["shape"]
        begin, end = end, end + math.prod(shape) * dtype.itemsize
        if entry["data_offsets"] != [begin, end] or end > size - 8 - length:
            raise ValueError(f"the data of {name!r} is not where it should be")
        arrays[name] = np.fromfile(file, np.uint8, end - begin).view(dtype).reshape(shape)
    if end != size - 8 - length:
        raise ValueError("there is data that belongs to no array")
    return document, arrays


CONTAINERS = {
    ".npz": Container(_npz_holds, _write_npz, _read_npz),
    ".safetensors": Container(_safetensors_holds, _write_safetensors, _read_safetensors),
}
