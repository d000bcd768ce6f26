"""What is done inside the pass, against the same by torch, call by call.

``tail``      clip by norm, AdamW, moving average of the parameters, gradients to 0: torch's `clip_grad_norm_`, fused
              AdamW, foreach lerp, `zero_grad`. Of each element ours moves 44 bytes, torch 56
``moments``   AdamW with its moments in bfloat16 or in 8-bit blocks, against torch's fused AdamW in float32: above the
              cache, where memory counts, and in it, where arithmetic does
``triple``    Adam, and a triple that has no name, composed by `FourStep`, against Adam by name, in cache

The answer is that of the twin: ours bit for bit, torch within 1e-6 of the largest parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np

import fourstep as fs
from bandwidth import limits
from cases import CALLS, THREADS, TOLERANCE, Layout, start, tensors
from fourstep import reference, steps
from harness import Array, Case, Ready, Rival, measure, module

LR, DECAY, CLIP, AVERAGE = 1e-3, 1e-2, 0.5, 0.999
_ADAMW: dict[str, Any] = {"lr": LR, "weight_decay": DECAY, "decay": "decoupled"}
_TAIL: dict[str, Any] = {**_ADAMW, "clip_norm": CLIP, "ema_decay": AVERAGE, "zero_grad": True}


def cases(small: bool = False) -> list[Case]:
    """Return every case."""
    layout = Layout(4, 1 << 10 if small else 1 << 22)
    found = [_triple_case(small)]
    cached = Layout(1, 1 << 10 if small else 1 << 18)
    for dtype, size in (("bfloat16", 20), ("int8", 16)):
        found.append(_case(dtype, cached, 1, size, _moment_rivals(cached, dtype)))
    for threads in THREADS:
        found.append(_case("tail", layout, threads, 44, _tail_rivals(layout)))
        for dtype, size in (("bfloat16", 20), ("int8", 16)):
            found.append(_case(dtype, layout, threads, size, _moment_rivals(layout, dtype)))
    return found


def _case(name: str, layout: Layout, threads: int, size: int, rivals: list[Rival]) -> Case:
    n = layout.count * layout.size
    return Case(
        f"adamw_{name}/{layout}/{threads}",
        tuple(rivals),
        threads,
        n,
        size * n,
        limits(n, 4, 3, threads, CALLS),
        CALLS,
    )


def _triple_case(small: bool) -> Case:
    layout = Layout(1, 1 << 10 if small else 1 << 18)
    adam = {"first": steps.ema(0.9), "second": steps.ema_sq(0.999), "direction": steps.ratio(1e-8)}
    unnamed = {**adam, "second": steps.sum_sq()}
    rivals = [
        Rival(
            "FourStep, as Adam",
            partial(_composed, layout, adam),
            partial(_twin_of, layout, "Adam", (("lr", LR),)),
        ),
        Rival("Adam", partial(_named, layout, {"lr": LR}), partial(_twin_of, layout, "Adam", (("lr", LR),))),
        Rival(
            "FourStep, ema and sum_sq",
            partial(_composed, layout, unnamed),
            partial(_twin_of, layout, "FourStep", (("lr", LR), *unnamed.items())),
        ),
    ]
    n = layout.size
    return Case(f"triple_f32/{layout}/1", tuple(rivals), 1, n, 28 * n, limits(n, 4, 3, 1, CALLS), CALLS)


def _composed(layout: Layout, parts: dict[str, Any]) -> Ready:
    arena, gradients = _arena(layout)
    optimizer = fs.FourStep(arena, lr=LR, **parts)
    return Ready(optimizer.step, lambda: np.concatenate(list(arena.values())), gradients)


def _named(layout: Layout, options: dict[str, Any]) -> Ready:
    arena, gradients = _arena(layout)
    optimizer = fs.optim.Adam(arena, **options)
    return Ready(optimizer.step, lambda: np.concatenate(list(arena.values())), gradients)


def _tail_rivals(layout: Layout) -> list[Rival]:
    expected = partial(_twin, layout, tuple(_TAIL.items()))
    theirs = partial(_torch_tail, layout)
    moved = 56 * layout.count * layout.size
    return [
        Rival("fourstep arena", partial(_named, layout, _TAIL), expected),
        Rival("fourstep in four calls", partial(_ours_apart, layout), expected),
        Rival("torch in four calls", theirs, expected, TOLERANCE, needs="torch", bytes=moved),
    ]


def _moment_rivals(layout: Layout, dtype: str) -> list[Rival]:
    options = {**_ADAMW, "state_dtype": dtype}
    full = partial(_twin, layout, tuple(_ADAMW.items()))
    n = layout.count * layout.size
    return [
        Rival(
            f"fourstep {dtype}",
            partial(_named, layout, options),
            partial(_twin, layout, tuple(options.items())),
        ),
        Rival("fourstep float32", partial(_named, layout, _ADAMW), full, bytes=28 * n),
        Rival(
            "torch fused float32", partial(_torch_fused, layout), full, TOLERANCE, needs="torch", bytes=28 * n
        ),
    ]


def _twin(layout: Layout, options: tuple[tuple[str, Any], ...]) -> Array:
    return _twin_of(layout, "Adam", options)


@lru_cache(maxsize=2)
def _twin_of(layout: Layout, kind: str, options: tuple[tuple[str, Any], ...]) -> Array:
    w, g = start(layout)
    params = {str(i): x.copy() for i, x in enumerate(w)}
    twin = getattr(reference, kind)(params, **dict(options))
    for _ in range(CALLS):
        twin.step({str(i): x.copy() for i, x in enumerate(g)})
    return np.concatenate(list(params.values()))


def _arena(layout: Layout) -> tuple[fs.Arena, Callable[[], None]]:
    w, g = start(layout)
    arena = fs.Arena({str(i): x for i, x in enumerate(w)})

    def gradients() -> None:
        for name, gradient in zip(arena, g, strict=True):
            arena.grad[name] = gradient

    gradients()
    return arena, gradients


def _ours_apart(layout: Layout) -> Ready:
    """The same in one call for each of the four: what the one pass saves."""
    arena, gradients = _arena(layout)
    optimizer = fs.optim.Adam(arena, **_ADAMW, clip_norm=CLIP)
    average = arena.data.copy()
    scratch = np.empty_like(average)

    def step() -> None:
        optimizer.step()
        np.multiply(average, np.float32(AVERAGE), out=average)
        np.multiply(arena.data, np.float32(1 - AVERAGE), out=scratch)
        np.add(average, scratch, out=average)
        arena.zero_grad()

    return Ready(step, lambda: np.concatenate(list(arena.values())), gradients)


def _torch_tail(layout: Layout) -> Ready:
    torch = module("torch")
    params, gradients = tensors(layout)
    optimizer = torch.optim.AdamW(params, lr=LR, weight_decay=DECAY, fused=True)
    averages = [p.clone() for p in params]

    def step() -> None:
        torch.nn.utils.clip_grad_norm_(params, CLIP, foreach=True)
        optimizer.step()
        torch._foreach_lerp_(averages, params, 1 - AVERAGE)
        optimizer.zero_grad(set_to_none=False)

    return Ready(step, lambda: torch.cat(params).numpy(), gradients)


def _torch_fused(layout: Layout) -> Ready:
    torch = module("torch")
    params, gradients = tensors(layout)
    optimizer = torch.optim.AdamW(params, lr=LR, weight_decay=DECAY, fused=True)
    return Ready(optimizer.step, lambda: torch.cat(params).numpy(), gradients)


def test_pass(benchmark: Any, case: Case, rival: Rival) -> None:
    """Time one rival of one case."""
    measure(benchmark, case, rival)
