"""What the extension knows of memory in use: where an array lies decides, not whose it is."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fourstep as fs
from fourstep import _core
from fourstep._runtime import execution

IN_USE = "its memory is in use, by another argument"
ROWS, CHANNELS = 3, 2
N = ROWS * CHANNELS
#: What `batch_norm_backward` takes, in the order in which it borrows: name, elements, whether it is written.
ARGUMENTS = (
    ("x", N, False),
    ("dy", N, False),
    ("dx", N, True),
    ("weight", CHANNELS, False),
    ("bias", CHANNELS, False),
    ("dweight", CHANNELS, True),
    ("dbias", CHANNELS, True),
)
SPACE = 48


def backward(memory: bytearray, offsets: list[int]) -> None:
    """Call it with arrays at these places, each with a base of its own."""
    x, dy, dx, weight, bias, dweight, dbias = (
        np.frombuffer(memory, np.float32, length, 4 * offset)
        for (_, length, _), offset in zip(ARGUMENTS, offsets, strict=True)
    )
    shape, options = (ROWS, CHANNELS, 1), ((0, 0.0), False)
    affine, into = (weight, bias), (dweight, dbias)
    _core.batch_norm_backward((x, dy, dx), shape, affine, into, np.ones((3, CHANNELS)), options, execution())


def refused(offsets: list[int]) -> str | None:
    """Return the first argument that overlaps one before it, where one of the two is written."""
    spans = [(o, o + length, written) for (_, length, written), o in zip(ARGUMENTS, offsets, strict=True)]
    for i, (start, end, written) in enumerate(spans):
        if any((written or w) and start < e and s < end for s, e, w in spans[:i]):
            return ARGUMENTS[i][0]
    return None


@given(st.tuples(*(st.integers(0, SPACE - length) for _, length, _ in ARGUMENTS)).map(list))
def test_what_is_written_overlaps_nothing_and_readers_share(offsets: list[int]) -> None:
    memory = bytearray(4 * SPACE)
    name = refused(offsets)
    if name is None:
        backward(memory, offsets)
    else:
        with pytest.raises(RuntimeError, match=f"^{name}: {IN_USE}"):
            backward(memory, offsets)
    # Everything was given back, in either case.
    backward(memory, [0, 0, N, 0, 0, 2 * N, 3 * N])


@pytest.mark.parametrize(
    ("weight", "dweight", "name"),
    [(4, 2, "dweight"), (0, 4, "dweight"), (0, 5, "dweight"), (2, 6, None)],
)
def test_a_short_reader_does_not_hide_a_long_one(weight: int, dweight: int, name: str | None) -> None:
    """γ lies inside x, and dγ behind it, still in x."""
    offsets = [0, 0, 24, weight, weight, dweight, 40]
    assert refused(offsets) == name
    if name is None:
        backward(bytearray(4 * SPACE), offsets)
    else:
        with pytest.raises(RuntimeError, match=f"^{name}: {IN_USE}"):
            backward(bytearray(4 * SPACE), offsets)


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_one_overlap_among_many_arrays_is_found(seed: int | None) -> None:
    """More arrays than are looked at one by one, in order of where they lie and in others."""
    memory = np.zeros((2, 200, 4), np.float32)
    order = np.arange(200) if seed is None else np.random.default_rng(seed).permutation(200)
    params, grads = ([rows[i] for i in order] for rows in memory)
    memory[1] = 1
    optimizer = fs.optim.SGD(params, lr=1.0)
    for _ in range(2):
        optimizer.step(grads)
    assert (memory[0] == -2).all()
    wrong = [*grads[:150], params[3], *grads[151:]]
    with pytest.raises(RuntimeError, match=f"^the gradient of 150: {IN_USE}"):
        optimizer.step(wrong)
    wrong = [grads[0], params[150], *grads[2:]]
    with pytest.raises(RuntimeError, match=f"^150: {IN_USE}"):
        optimizer.step(wrong)
    optimizer.step(grads)
    assert (memory[0] == -3).all()


def test_two_arrays_over_one_buffer_overlap_whoever_made_them() -> None:
    memory = bytearray(64)
    x, out = (np.frombuffer(memory, np.float64) for _ in range(2))
    with pytest.raises(RuntimeError, match=f"^out: {IN_USE}"):
        _core.elementary("exp", x, out, execution())
    assert not np.frombuffer(memory, np.float64).any()


def test_an_array_without_elements_is_never_in_use() -> None:
    none = np.zeros(0, np.float32)
    _core.elementary("exp", none, none, execution())


def test_a_number_in_an_array_without_dimensions_is_memory_too() -> None:
    x = np.zeros(())
    with pytest.raises(RuntimeError, match=f"^out: {IN_USE}"):
        _core.elementary("exp", x, x[...], execution())


def test_rows_that_overlap_are_not_written() -> None:
    table, ids = np.ones((2, 3), np.float32), np.array([0, 1])
    out = np.lib.stride_tricks.as_strided(np.zeros(9, np.float32), (2, 3), (4, 4))
    with pytest.raises(
        ValueError, match=r"^out: got an array of shape \[2, 3\] and strides \[4, 4\], need a matrix"
    ):
        _core.embedding_forward(table, ids, [2], out, execution())


def test_rows_may_lie_apart_and_in_either_order() -> None:
    table, ids = np.arange(6, dtype=np.float32).reshape(2, 3), np.array([1, 0])
    wide = np.full((2, 5), -1.0, np.float32)
    _core.embedding_forward(table, ids, [2], wide[::-1, 1:4], execution())
    assert wide.tolist() == [[-1, 0, 1, 2, -1], [-1, 3, 4, 5, -1]]
    gradient = np.zeros((2, 3), np.float32)
    _core.embedding_backward(wide[::-1, 1:4], ids, [2], gradient, execution())
    assert gradient.tolist() == table.tolist()


@pytest.mark.parametrize("shape", [(0, 3), (1, 3)])
def test_strides_of_axes_that_nobody_walks_along_do_not_matter(shape: tuple[int, int]) -> None:
    table, ids = np.ones((2, 3), np.float32), np.zeros(shape[0], np.int64)
    out = np.lib.stride_tricks.as_strided(np.zeros(3, np.float32), shape, (1, 4 if shape[0] else 0))
    _core.embedding_forward(table, ids, [2], out, execution())
    assert out.tolist() == [[1, 1, 1]] * shape[0]


def test_columns_of_one_matrix_are_written_by_two_threads() -> None:
    """Rows as far apart, those of one between those of the other: they do not overlap, though their spans do."""
    rows = 1 << 16
    table, ids = np.arange(16, dtype=np.float32).reshape(2, 8), np.arange(rows) % 2
    wide = np.zeros((rows, 17), np.float32)
    errors = []

    def write(columns: slice) -> None:
        try:
            for _ in range(50):
                _core.embedding_forward(table, ids, [2], wide[:, columns], execution())
        except RuntimeError as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=[columns]) for columns in (slice(0, 8), slice(8, 16))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert (wide[:, :8] == table[ids]).all() and (wide[:, 8:16] == table[ids]).all() and not wide[:, 16].any()


def test_a_column_in_use_by_another_thread_is_refused() -> None:
    rows = 1 << 18
    table, ids = np.ones((2, 8), np.float32), np.arange(rows) % 2
    wide = np.zeros((rows, 9), np.float32)
    stop, errors = threading.Event(), []

    def write(columns: slice) -> None:
        while not stop.is_set():
            try:
                _core.embedding_forward(table, ids, [2], wide[:, columns], execution())
            except RuntimeError as error:
                errors.append(str(error))
                stop.set()

    threads = [threading.Thread(target=write, args=[columns]) for columns in (slice(0, 8), slice(1, 9))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        stop.set()
    assert errors and IN_USE in errors[0]
