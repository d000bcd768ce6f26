"""Steps of rows of a table: 4096 rows of 1 Mi × 32, against torch's SparseAdam and against dense steps.

    rows_fresh     other rows at every step, which are not in the cache: the optimizer alone
    rows_lookup    the same with the look-up and the backward pass of an embedding
    rows_same      the same rows at every step, against a dense step over as many elements

A case's elements are the lines of 64 bytes that a step must touch, w and both moments of each row, so ns/element is
what a line costs. ``python benches/python/bench_rows.py`` measures what the latency of memory is, and says how many lines
are under way at a time: that, not bandwidth, is what bounds such a step.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from itertools import cycle
from time import perf_counter
from typing import Any

import numpy as np

import fourstep as fs
from fourstep import nn, reference
from harness import Array, Case, Ready, Rival, measure, module, time_in_turn

#: Rows of the table, its columns, rows of a step, steps before rows come back.
FULL = (1 << 20, 32, 4096, 64)
SMALL = (1 << 10, 32, 64, 8)
THREADS = (1, 2)
LR = 1e-3
TOLERANCE = 1e-6

Size = tuple[int, int, int, int]


def cases(small: bool = False) -> list[Case]:
    """Return every case."""
    size = SMALL if small else FULL
    return [make(size, threads) for make in (_fresh, _lookup, _same) for threads in THREADS]


def test_rows(benchmark: Any, case: Case, rival: Rival) -> None:
    measure(benchmark, case, rival)


def _case(what: str, size: Size, threads: int, rivals: tuple[Rival, ...]) -> Case:
    table, dim, count, _ = size
    lines = 3 * count * -(-4 * dim // 64)
    return Case(f"{what}_f32/{count}of{table}x{dim}/{threads}", rivals, threads, lines, 2 * 64 * lines)


def _fresh(size: Size, threads: int) -> Case:
    expected = partial(_twin, size)
    return _case(
        "rows_fresh",
        size,
        threads,
        (
            Rival("fourstep", partial(_ours, size, False), expected),
            Rival(
                "torch SparseAdam", partial(_torch, size, False, False), expected, TOLERANCE, needs="torch"
            ),
            Rival(
                "torch SparseAdam, coalesced before",
                partial(_torch, size, False, True),
                expected,
                TOLERANCE,
                needs="torch",
            ),
            Rival("numpy take and put of the rows", partial(_numpy, size), partial(_start, size)),
            Rival("fourstep dense, whole table", partial(_dense, size), expected),
        ),
    )


def _lookup(size: Size, threads: int) -> Case:
    expected = partial(_twin, size)
    return _case(
        "rows_lookup",
        size,
        threads,
        (
            Rival("fourstep Embedding(sparse=True)", partial(_ours_embedding, size), expected),
            Rival(
                "torch Embedding(sparse=True)",
                partial(_torch_embedding, size),
                expected,
                TOLERANCE,
                needs="torch",
            ),
        ),
    )


def _same(size: Size, threads: int) -> Case:
    expected = partial(_twin, size)
    return _case(
        "rows_same",
        size,
        threads,
        (
            Rival("fourstep", partial(_ours, size, True), expected),
            Rival("torch SparseAdam", partial(_torch, size, True, False), expected, TOLERANCE, needs="torch"),
            Rival(
                "fourstep dense, as many elements", partial(_dense_block, size), partial(_twin_block, size)
            ),
        ),
    )


@lru_cache(maxsize=1)
def _data(size: Size) -> tuple[Array, Array, Array]:
    """Return a table, rows of each step, and gradients, which nobody writes. A step may name a row twice."""
    table, dim, count, steps = size
    rng = np.random.default_rng(0)
    w = rng.uniform(0.1, 1, (table, dim)).astype(np.float32)
    g = rng.uniform(0.1, 1, (count, dim)).astype(np.float32)
    return w, rng.integers(0, table, (steps, count)), g


def _probe(size: Size) -> Array:
    """Return the rows that are compared: those of the first step, and some that no step touches."""
    _, rows, _ = _data(size)
    return np.union1d(rows[0], np.arange(1000) % size[0])


def _start(size: Size) -> Array:
    w, _, _ = _data(size)
    start: Array = w[_probe(size)]
    return start


@lru_cache(maxsize=1)
def _twin(size: Size) -> Array:
    w, rows, g = _data(size)
    probe = _probe(size)
    table = w[probe]
    twin = reference.ByRows(reference.LazyAdam({"table": table}, lr=LR), ["table"])
    twin.step(rows={"table": (np.searchsorted(probe, rows[0]), g)})
    return table


def _twin_block(size: Size) -> Array:
    w, _, g = _data(size)
    block = w[: len(g)].copy()
    reference.Adam({"w": block}, lr=LR).step({"w": g})
    return block


def _stepper(size: Size, same: bool, step: Callable[[Any], object], make: Callable[[Array], Any]) -> Any:
    """Return a function that steps the next rows at each call."""
    _, rows, _ = _data(size)
    made = cycle([make(r) for r in (rows[:1] if same else rows)])
    return lambda: step(next(made))


def _ours(size: Size, same: bool) -> Ready:
    w, _, g = _data(size)
    table = w.copy()
    optimizer = fs.optim.LazyAdam({"table": table}, lr=LR, groups=[{"params": ..., "sparse": True}])
    call = _stepper(size, same, lambda rows: optimizer.step_rows("table", rows, g), lambda rows: rows)
    return Ready(call, lambda: table[_probe(size)])


def _torch(size: Size, same: bool, coalesced: bool) -> Ready:
    torch = module("torch")
    w, _, g = _data(size)
    table = torch.tensor(w, requires_grad=True)
    optimizer = torch.optim.SparseAdam([table], lr=LR)

    def gradient(rows: Array) -> Any:
        index = torch.from_numpy(rows)[None]
        made = torch.sparse_coo_tensor(index, torch.from_numpy(g), w.shape, check_invariants=False)
        return made.coalesce() if coalesced else made

    def step(grad: Any) -> None:
        table.grad = grad
        optimizer.step()

    call = _stepper(size, same, step, gradient)
    return Ready(call, lambda: table.detach().numpy()[_probe(size)])


def _numpy(size: Size) -> Ready:
    """The lines of a step and nothing else: three tables, rows taken out and put back."""
    w, _, _ = _data(size)
    tables = [w.copy() for _ in range(3)]
    work = np.empty((size[2], size[1]), np.float32)

    def step(rows: Array) -> None:
        for table in tables:
            np.take(table, rows, axis=0, out=work, mode="clip")
            table[rows] = work

    call = _stepper(size, False, step, np.sort)
    return Ready(call, lambda: tables[0][_probe(size)])


def _dense(size: Size) -> Ready:
    """The first step equals a lazy one, as moments are still 0 elsewhere; later ones cost the same."""
    w, rows, g = _data(size)
    table, gradient = w.copy(), np.zeros_like(w)
    np.add.at(gradient, rows[0], g)
    optimizer = fs.optim.Adam({"table": table}, lr=LR)
    return Ready(lambda: optimizer.step({"table": gradient}), lambda: table[_probe(size)])


def _dense_block(size: Size) -> Ready:
    w, _, g = _data(size)
    block = w[: len(g)].copy()
    optimizer = fs.optim.Adam({"w": block}, lr=LR)
    return Ready(lambda: optimizer.step({"w": g}), lambda: block)


def _ours_embedding(size: Size) -> Ready:
    w, _, g = _data(size)
    layer = nn.Embedding(size[0], size[1], sparse=True, std=0.0)
    layer.params["weight"] = w
    table = {"weight": layer.params["weight"]}
    optimizer = fs.optim.LazyAdam(table, lr=LR, groups=[{"params": ..., "sparse": True}])

    def step(rows: Array) -> None:
        layer.forward(rows)
        layer.backward(g)
        optimizer.step(rows=layer.take_row_grads())

    return Ready(_stepper(size, False, step, lambda rows: rows), lambda: table["weight"][_probe(size)])


def _torch_embedding(size: Size) -> Ready:
    torch = module("torch")
    w, _, g = _data(size)
    layer = torch.nn.Embedding(size[0], size[1], sparse=True, _weight=torch.tensor(w))
    optimizer = torch.optim.SparseAdam(layer.parameters(), lr=LR)
    gradient = torch.from_numpy(g)

    def step(rows: Any) -> None:
        optimizer.zero_grad()
        layer(rows).backward(gradient)
        optimizer.step()

    call = _stepper(size, False, step, torch.from_numpy)
    return Ready(call, lambda: layer.weight.detach().numpy()[_probe(size)])


def latency(lines: int = 1 << 21, hops: int = 200_000) -> float:
    """Return the seconds that a line of memory takes: a walk through 128 MiB, less the same walk through 4 KiB."""

    def walk(count: int) -> float:
        where = np.zeros((count, 8), np.int64)  # a line each
        order = np.random.default_rng(0).permutation(count)
        where[order, 0] = np.roll(order, -1)
        item, i = where.item, 0
        start = perf_counter()
        for _ in range(hops):
            i = item(i, 0)
        return (perf_counter() - start) / hops

    return walk(lines) - walk(64)


def main() -> None:
    """Print lines × latency beside what a step takes."""
    case = _fresh(FULL, 1)
    ours = time_in_turn(case, rounds=9, least=0.01)[0].seconds
    one = latency()
    print(
        f"{case.elements} lines of 64 bytes, {one * 1e9:.0f} ns latency: {case.elements * one * 1e3:.2f} ms in turn"
    )
    print(f"a step takes {ours * 1e3:.3f} ms: {case.elements * one / ours:.1f} lines under way at a time")


if __name__ == "__main__":
    main()
