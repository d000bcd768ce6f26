"""Two kinds of file that hold one text document and named arrays: `.npz` and `.safetensors`.

    .npz             a zip archive of `fourstep.json` and NumPy's .npy files, with a checksum for each
    .safetensors     by the package of that name; the document is in its metadata

Neither knows pickle. A dtype that a container lacks (`holds` is false) is the caller's to turn into bytes.
"""

from __future__ import annotations

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

_SAFETENSORS = ("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8")


def _safetensors_holds(dtype: np.dtype[Any]) -> bool:
    return dtype_name(dtype) in _SAFETENSORS


def _write_safetensors(file: IO[bytes], document: str, arrays: Arrays) -> None:
    dense = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    file.write(_safetensors().numpy.save(dense, metadata={"fourstep": document}))


def _read_safetensors(file: IO[bytes]) -> tuple[str, Arrays]:
    package = _safetensors()
    try:
        with package.safe_open(file.name, framework="numpy") as opened:
            document = opened.metadata()["fourstep"]
            return document, {name: np.array(opened.get_tensor(name)) for name in opened.keys()}  # noqa: SIM118
    except package.SafetensorError as error:
        raise ValueError(str(error)) from None


def _safetensors() -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError:
        raise ModuleNotFoundError(
            "a .safetensors file needs the package safetensors: pip install 'fourstep[data]' (or use .npz)"
        ) from None
    return safetensors


CONTAINERS = {
    ".npz": Container(_npz_holds, _write_npz, _read_npz),
    ".safetensors": Container(_safetensors_holds, _write_safetensors, _read_safetensors),
}
