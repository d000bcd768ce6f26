"""What subnormal state costs: steps with zero gradients, while the moments sink through the smallest numbers.

    python benches/python/subnormals.py

Adam over 1 Mi float32. After one step with a gradient of about 1e-5 the gradients are 0 for the rest: m falls by β₁ = 0.9
a step, and from step 680 or so to 860 it is below the smallest normal number, 1.2e-38; α·m is there 65 steps before. All
take each step in turn, in three runs, of which the fastest counts: what else the machine does is no part of it. Printed:
the median of the first 50 steps, the slowest median of 25 steps in a row, and the ratio.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from statistics import median
from time import perf_counter

import numpy as np

import fourstep as fs
from harness import module

N, RUNS, STEPS, FIRST, WINDOW = 1 << 20, 3, 900, 50, 25


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(0)
    g = rng.uniform(0.5e-5, 1.5e-5, N).astype(np.float32)
    w = rng.uniform(0.1, 1, N).astype(np.float32)
    makers: dict[str, Callable[[], Callable[[], None]]] = {
        "fourstep": partial(_ours, w, g),
        "fourstep flush_subnormals": partial(_ours, w, g, flush_subnormals=True),
    }
    if find_spec("torch") is not None:
        makers["torch fused"] = partial(_torch, w, g)
    else:
        print("torch is not installed: torch fused is skipped")
    times = {name: [float("inf")] * STEPS for name in makers}
    gc.disable()
    with fs.num_threads(1):
        for _ in range(RUNS):
            runs = {name: make() for name, make in makers.items()}
            for t in range(STEPS):
                for name, step in runs.items():
                    begin = perf_counter()
                    step()
                    times[name][t] = min(times[name][t], perf_counter() - begin)
    print(f"{'':28}{'first, ms':>10}{'slowest, ms':>13}{'at step':>9}{'ratio':>7}")
    for name, samples in times.items():
        first = median(samples[:FIRST])
        windows = [median(samples[i : i + WINDOW]) for i in range(FIRST, STEPS - WINDOW)]
        slowest = max(windows)
        at = FIRST + windows.index(slowest)
        print(f"{name:28}{1e3 * first:10.3f}{1e3 * slowest:13.3f}{at:9}{slowest / first:7.2f}")


def _ours(w: np.ndarray, g: np.ndarray, flush_subnormals: bool = False) -> Callable[[], None]:
    arena = fs.Arena({"w": w})
    arena.grad["w"] = g
    optimizer = fs.optim.Adam(arena, flush_subnormals=flush_subnormals)
    optimizer.step()
    arena.zero_grad()
    return optimizer.step


def _torch(w: np.ndarray, g: np.ndarray) -> Callable[[], None]:
    torch = module("torch")
    torch.set_num_threads(1)
    p = torch.tensor(w)
    p.grad = torch.tensor(g)
    optimizer = torch.optim.Adam([p], fused=True)
    optimizer.step()
    p.grad.zero_()
    step: Callable[[], None] = optimizer.step
    return step


if __name__ == "__main__":
    main()
