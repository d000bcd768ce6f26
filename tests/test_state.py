"""Save and load: the round trip of everything a state may hold, and what is refused."""

from __future__ import annotations

import json
import math
import struct
import sys
import zipfile
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fourstep import state as fs
from fourstep._containers import dtype_name
from fourstep.state import StateError, check_state, load, save

SUFFIXES = [".npz", ".safetensors"]
both = pytest.mark.parametrize("suffix", SUFFIXES)


def same(a: object, b: object) -> bool:
    """Equal in type, dtype, shape, order of keys, and every bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.str_) and isinstance(b, np.str_):
        return list(a) == list(b)  # str() drops NULs at the end, tobytes reads past the end of an empty one
    if isinstance(a, np.ndarray | np.generic) and isinstance(b, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, float) and isinstance(b, float):
        return struct.pack("d", a) == struct.pack("d", b)
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def round_trip(folder: Path, suffix: str, value: object) -> object:
    path = folder / f"state{suffix}"
    save(path, value)
    return load(path)


# --- What goes in comes out

EXTENSION_TYPES = [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, ml_dtypes.int4]
DTYPES = [
    *("?", "i1", "u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8", "<c8", "<c16"),
    *(">i2", ">u4", ">f4", ">f8", ">c8", "<U3", ">U3", "S3", "<M8[ns]", "<m8[25s]"),
]  # fmt: skip

shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
native = st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(np.dtype(dtype), shapes))
extension = st.tuples(st.sampled_from(EXTENSION_TYPES), hnp.arrays(np.uint8, shapes)).map(
    lambda pair: (pair[1] & 7).astype(pair[0])
)
layouts: list[Callable[[Any], Any]] = [
    lambda array: array,
    np.asfortranarray,
    lambda array: array.T,
    lambda array: array[..., ::-1] if array.ndim else array,
]
arrays = st.tuples(native | extension, st.sampled_from(layouts)).map(lambda pair: pair[1](pair[0]))
scalars = (native | extension).filter(lambda array: array.size > 0).map(lambda array: array.flat[0])
texts = st.text(st.characters(), max_size=5)  # lone surrogates too
leaves = (
    arrays | scalars | texts | st.booleans() | st.none() | st.integers() | st.floats() | texts.map(np.str_)
)
states = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=8,
)


@both
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=states)
def test_every_state_comes_back_as_it_was(tmp_path: Path, suffix: str, value: object) -> None:
    assert same(round_trip(tmp_path, suffix, value), value)


@both
@pytest.mark.parametrize("kind", [*DTYPES, *EXTENSION_TYPES], ids=lambda kind: dtype_name(np.dtype(kind)))
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3)], ids=str)
def test_every_dtype_and_shape(tmp_path: Path, suffix: str, kind: Any, shape: tuple[int, ...]) -> None:
    array = np.arange(math.prod(shape)).reshape(shape).astype(np.int32).astype(kind)
    back = round_trip(tmp_path, suffix, array)
    assert same(back, array)
    assert isinstance(back, np.ndarray)
    assert back.flags.writeable
    assert back.flags.aligned
    if shape == ():
        assert same(round_trip(tmp_path, suffix, [array[()]]), [array[()]])


@both
def test_numbers_keep_every_bit(tmp_path: Path, suffix: str) -> None:
    payload = struct.unpack(">d", bytes.fromhex("7ff80000deadbeef"))[0]
    integers = [
        0,
        -1,
        2**53 + 1,
        2**63 - 1,
        2**63,
        2**64 - 1,
        -(2**63),
        2**64,
        -(2**63) - 1,
        10**5000,
        -(10**5000),
    ]
    floats = [
        0.0,
        -0.0,
        5e-324,
        0.1,
        1.7976931348623157e308,
        math.inf,
        -math.inf,
        math.nan,
        -math.nan,
        payload,
    ]
    arrays = [
        np.array([0x7FF80000DEADBEEF, 0xFFF0000000000001], np.uint64).view(np.float64),
        np.array([0x7FC0BEEF, 0x80000000], np.uint32).view(np.float32),
        np.array([0x7FC1, 0xFF81], np.uint16).view(ml_dtypes.bfloat16),
        np.array([0x7FC0BEEF], np.uint32).view(np.float32)[0],
    ]
    state = {
        "texts": ["", "nul\0", np.str_(""), np.str_("nul\0")],
        "integers": integers,
        "floats": floats,
        "arrays": arrays,
        "bools": (True, False, np.True_, np.False_),
    }
    assert same(round_trip(tmp_path, suffix, state), state)


@both
def test_awkward_names(tmp_path: Path, suffix: str) -> None:
    """Keys that would collide, escape or break if they were taken for file names."""
    keys = [
        "",
        "a/b",
        "..",
        "../../x",
        "%2F",
        "long" * 100,
        "long" * 100 + "!",
        "longer than zip allows" * 5000,
        "nul\0",
        "é",
        "\ud800",
        "__metadata__",
    ]
    keys += ["fourstep.json", "file", "allow_pickle", " ", "dict", "array"]
    state = {key: np.full(1, i) for i, key in enumerate(keys)} | {
        "a": {"b": np.full(2, 7), "": [np.full(3, 8)]}
    }
    assert same(round_trip(tmp_path, suffix, state), state)


@both
def test_inputs_that_are_not_plain_memory(tmp_path: Path, suffix: str) -> None:
    fixed = np.arange(4.0)
    fixed.flags.writeable = False
    mapped = np.memmap(tmp_path / "mapped", np.float32, "w+", shape=(3,))
    mapped[:] = [1, 2, 3]
    back: Any = round_trip(
        tmp_path, suffix, {"fixed": fixed, "mapped": mapped, "strided": np.arange(9.0)[::-4]}
    )
    assert same(
        back,
        {"fixed": fixed, "mapped": np.array([1, 2, 3], np.float32), "strided": np.array([8.0, 4.0, 0.0])},
    )
    back["fixed"][0] = 1


@both
def test_equal_states_are_equal_files(tmp_path: Path, suffix: str) -> None:
    for name in "ab":
        save(tmp_path / f"{name}{suffix}", {"w": np.arange(5), "b": (1, 2.5)})
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_numpy_reads_our_npz(tmp_path: Path) -> None:
    save(tmp_path / "s.npz", {"model": {"layers.0.weight": np.arange(3)}, "step": 7})
    with np.load(tmp_path / "s.npz") as archive:
        assert archive["state/model/layers.0.weight"].tolist() == [0, 1, 2]
        assert json.loads(archive["fourstep.json"])["version"] == 1


def test_the_safetensors_package_reads_our_file(tmp_path: Path) -> None:
    package = pytest.importorskip(
        "safetensors", reason="safetensors is not installed: our file is not read by it"
    )
    path = tmp_path / "s.safetensors"
    arrays = {dtype: np.arange(3).astype(dtype) for dtype in ("?", "i1", "<u2", "<f2", "<f4", "<u8", "<f8")}
    save(
        path,
        {**arrays, "cube": np.arange(24, dtype=np.float32).reshape(2, 3, 4).T, "empty": np.zeros((0, 2))},
    )
    with package.safe_open(path, "numpy") as file:
        assert json.loads(file.metadata()["fourstep"])["format"] == "fourstep.state"
        theirs = {name.removeprefix("state/"): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    cube = np.arange(24, dtype=np.float32).reshape(2, 3, 4).T
    assert theirs.pop("cube").tolist() == cube.tolist()
    assert theirs.pop("empty").shape == (0, 2)
    assert theirs.keys() == {"%3F", "i1", "%3Cu2", "%3Cf2", "%3Cf4", "%3Cu8", "%3Cf8"}
    for name, array in theirs.items():
        assert array.astype(np.float64).tolist() == np.arange(3).astype(np.float64).tolist() or name == "%3F"


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"needs the package safetensors: pip install 'fourstep\[data\]'"
    ):
        save(tmp_path / "s.safetensors", {"w": np.zeros(3)})
    assert list(tmp_path.iterdir()) == []


# --- What is refused

Pair = namedtuple("Pair", "a b")
CYCLE: list[Any] = []
CYCLE.append(CYCLE)

REFUSED: list[tuple[object, type[Exception], str]] = [
    (
        {1, 2},
        TypeError,
        "save: state is a set; a state holds dicts, lists, tuples, arrays, numbers, strings,",
    ),
    ({"a": [0, {"b": object()}]}, TypeError, "save: state['a'][1]['b'] is a object; a state holds"),
    ({"a": {3: 1}}, TypeError, "save: state['a'] has the key 3; keys must be strings"),
    ({"a": b"x"}, TypeError, "save: state['a'] is a bytes;"),
    ({"a": 1j}, TypeError, "save: state['a'] is a complex;"),
    ({"a": OrderedDict()}, TypeError, "save: state['a'] is a OrderedDict;"),
    ({"a": Pair(1, 2)}, TypeError, "save: state['a'] is a Pair;"),
    ({"a": np.ma.masked_array([1])}, TypeError, "save: state['a'] is a MaskedArray;"),
    ({"a": np.array([object()])}, TypeError, "save: state['a'] has dtype object,"),
    ({"a": np.zeros(2, "f4,i4")}, TypeError, "save: state['a'] has dtype [('f0', '<f4'), ('f1', '<i4')],"),
    ({"a": np.zeros(2, np.longdouble)}, TypeError, f"save: state['a'] has dtype {np.dtype(np.longdouble)},"),
    ({"a": np.longdouble(1)}, TypeError, f"save: state['a'] has dtype {np.dtype(np.longdouble)},"),
    (CYCLE, ValueError, "save: the state is nested more than 100 deep (does it hold itself?)"),
]


@both
@pytest.mark.parametrize(("value", "kind", "message"), REFUSED, ids=[message for *_, message in REFUSED])
def test_what_no_state_can_hold(
    tmp_path: Path, suffix: str, value: object, kind: type[Exception], message: str
) -> None:
    path = tmp_path / f"s{suffix}"
    save(path, "before")
    with pytest.raises(kind) as caught:
        save(path, value)
    assert str(caught.value).startswith(message)
    assert load(path) == "before"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("action", [lambda path: save(path, 1), load], ids=["save", "load"])
def test_the_suffix_says_the_format(tmp_path: Path, action: Callable[[Path], object]) -> None:
    for name, suffix in (("s.pt", ".pt"), ("s", "")):
        with pytest.raises(
            ValueError, match=rf"{name}: the suffix must be .npz or .safetensors, got '{suffix}'$"
        ):
            action(tmp_path / name)


@both
def test_a_missing_file_is_a_missing_file(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / f"s{suffix}")


def example(path: Path) -> object:
    value = {
        "w": np.arange(6, dtype=np.int16).reshape(2, 3),
        "b": (np.float32(0.5), ml_dtypes.bfloat16(2)),
        "n": [1, "x"],
    }
    save(path, value)
    return value


@both
def test_a_file_cut_short_at_any_byte_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"s{suffix}"
    example(path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(StateError, match=f"s{suffix}: "):
            load(path)
    path.write_bytes(whole + b"x")
    if suffix == ".safetensors":
        with pytest.raises(StateError, match="not fully covered"):
            load(path)


@both
def test_a_flipped_bit_raises_nothing_but_state_error(tmp_path: Path, suffix: str) -> None:
    """In .npz, where all content has a checksum, nor does it ever change what is read."""
    path = tmp_path / f"s{suffix}"
    value = example(path)
    whole = path.read_bytes()
    for i in range(len(whole)):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ (1 << i % 8)]) + whole[i + 1 :])
        try:
            back = load(path)
        except StateError:
            continue
        assert suffix == ".safetensors" or same(back, value)


@pytest.mark.parametrize(
    "content",
    [b"", b"PK", b"\x80\x04.", b"a,b\n1,2\n", b"{}", bytes(8), b"\xff" * 64, b"\x93NUMPY"],
    ids=repr,
)
@both
def test_files_that_are_none_of_ours(tmp_path: Path, suffix: str, content: bytes) -> None:
    (tmp_path / f"s{suffix}").write_bytes(content)
    with pytest.raises(StateError, match="not a state of fourstep, or cut short or damaged"):
        load(tmp_path / f"s{suffix}")


def test_other_peoples_archives(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", w=np.arange(3))
    with pytest.raises(StateError, match="not a state of fourstep, or cut short or damaged"):
        load(tmp_path / "s.npz")
    package = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    package.save_file({"w": np.arange(3)}, tmp_path / "s.safetensors")
    with pytest.raises(StateError, match="not a state of fourstep, or cut short or damaged"):
        load(tmp_path / "s.safetensors")


@both
def test_a_later_version_says_so(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(fs, "VERSION", 2)
        save(tmp_path / f"s{suffix}", 1)
    with pytest.raises(
        StateError, match=rf"s{suffix}: written in version 2 of the format; this fourstep reads 1$"
    ):
        load(tmp_path / f"s{suffix}")
    with monkeypatch.context() as patch:
        patch.setattr(fs, "FORMAT", "other")
        save(tmp_path / f"s{suffix}", 1)
    with pytest.raises(StateError, match=r"not a state of fourstep: its format is 'other'$"):
        load(tmp_path / f"s{suffix}")


def rewrite(
    path: Path, change: Callable[[Any], None], extra: dict[str, bytes] | None = None, drop: str = ""
) -> None:
    """The archive at `path` with another document, more members, or one less."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if name != drop}
    document = json.loads(members["fourstep.json"])
    change(document)
    members |= {"fourstep.json": json.dumps(document).encode()} | (extra or {})
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def test_missing_and_unexpected_arrays_are_all_listed(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    save(path, {"a": np.zeros(2), "b": np.zeros(2), "c": np.float32(1)})

    def change(document: Any) -> None:
        document["state"]["dict"]["a"]["array"][0] = "state/x"
        document["state"]["dict"]["c"]["scalar"][0] = "state/y"

    rewrite(path, change)
    with pytest.raises(StateError) as caught:
        load(path)
    assert str(caught.value) == (
        f"{path}: array 'state/x' is missing; array 'state/y' is missing; "
        "array 'state/a' is unexpected; array 'state/c' is unexpected"
    )


@pytest.mark.parametrize(
    "content",
    [["state/a", "<i8", [2]], ["state/a", "<f8", [3]], ["state/a", "|O", [2]], ["state/a", "finfo", [2]], 7],
)
def test_a_document_that_lies_about_an_array(tmp_path: Path, content: object) -> None:
    path = tmp_path / "s.npz"
    save(path, {"a": np.zeros(2)})
    rewrite(path, lambda document: document["state"]["dict"].update(a={"array": content}))
    with pytest.raises(StateError, match="not a state of fourstep, or cut short or damaged"):
        load(path)


class Bomb:
    went_off = False

    def __reduce__(self) -> tuple[Callable[..., None], tuple[object, ...]]:
        return setattr, (Bomb, "went_off", True)


def test_pickle_in_a_file_is_never_run(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    save(path, {"a": np.zeros(1)})
    bomb = np.empty(1, object)
    bomb[0] = Bomb()
    np.save(tmp_path / "bomb.npy", bomb, allow_pickle=True)
    np.load(tmp_path / "bomb.npy", allow_pickle=True)
    assert Bomb.went_off, "the bomb of this test is a dud"
    Bomb.went_off = False
    rewrite(path, lambda document: None, {"state/a.npy": (tmp_path / "bomb.npy").read_bytes()})
    with pytest.raises(StateError, match="allow_pickle=False"):
        load(path)
    assert not Bomb.went_off


@both
def test_bfloat16_without_ml_dtypes(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / f"s{suffix}", np.ones(2, ml_dtypes.bfloat16))
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"^bfloat16 needs ml_dtypes: pip install 'fourstep\[bf16\]'$"
    ):
        load(tmp_path / f"s{suffix}")


# --- check_state


def test_check_state_passes_what_fits() -> None:
    check_state({}, {}, "x")
    check_state({"w": np.zeros((2, 3), np.float32)}, {"w": np.ones((2, 3), np.float32)}, "x")


def test_check_state_lists_every_difference() -> None:
    expected = {
        name: np.zeros((2, 3), np.float32)
        for name in ("same", "gone", "shape", "dtype", "both", "kind", "none")
    }
    got: dict[str, object] = {
        "new": np.zeros(1),
        "same": np.ones((2, 3), np.float32),
        "shape": np.zeros((3, 2), np.float32),
        "dtype": np.zeros((2, 3), ml_dtypes.bfloat16),
        "both": np.zeros(6),
        "kind": [1.0],
        "none": None,
        "other": 3,
    }
    with pytest.raises(StateError) as caught:
        check_state(expected, got, "Adam.load_state_dict")
    assert str(caught.value) == (
        "Adam.load_state_dict: 'gone' is missing; 'shape' has shape (3, 2), needs (2, 3); "
        "'dtype' has dtype bfloat16, needs float32; 'both' has shape (6,), needs (2, 3); "
        "'both' has dtype float64, needs float32; 'kind' is a list, needs an array; "
        "'none' is a NoneType, needs an array; 'new' is unexpected; 'other' is unexpected"
    )
    wrong: Any = [np.zeros(1)]
    with pytest.raises(StateError, match=r"^x: needs a dict of arrays, got list$"):
        check_state(expected, wrong, "x")
