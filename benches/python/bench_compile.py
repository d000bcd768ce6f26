"""Steps of torch under `torch.compile` (Inductor), which needs a C++ compiler and its time: printed when it is set up.

One array of 16 Mi for rules of which torch has no fused kernel, and Adam over 200 arrays of a thousand: a thousand of
them would compile for some minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from shutil import which
from time import perf_counter
from typing import Any

from bandwidth import limits
from cases import CALLS, RULES, THREADS, TOLERANCE, Layout, Rule, ours, tensors, torch_path, twin
from harness import Case, Ready, Rival, measure, module

_ONE = Layout(1, 1 << 24)
_MANY = Layout(200, 1000)


def cases(small: bool = False) -> list[Case]:
    """Return every case; with `small` one, as each takes its time to compile."""
    if small:
        return [_case(_rule("rmsprop"), Layout(1, 1 << 12), 1)]
    unfused = [rule for rule in RULES if not rule.fused]
    one = [_case(rule, _ONE, threads) for rule in unfused for threads in THREADS]
    return [*one, *(_case(_rule("adam"), _MANY, threads) for threads in THREADS)]


def _rule(name: str) -> Rule:
    return next(rule for rule in RULES if rule.id == name)


def _case(rule: Rule, layout: Layout, threads: int) -> Case:
    n = layout.count * layout.size
    reads, writes = 2 + rule.states, 1 + rule.states
    return Case(
        f"compile_{rule.id}_f32/{layout}/{threads}",
        tuple(_rivals(rule, layout)),
        threads,
        n,
        4 * (reads + writes) * n,
        limits(n, reads, writes, threads, CALLS),
        CALLS,
    )


def _rivals(rule: Rule, layout: Layout) -> Iterator[Rival]:
    expected = partial(twin, rule.id, layout)
    yield Rival("fourstep arena", partial(ours, rule, layout), expected)
    yield Rival("torch default", partial(torch_path, rule, layout, {}), expected, TOLERANCE, needs="torch")
    if which("g++") is None:
        print("g++ is not installed: torch.compile is skipped")
        return
    yield Rival("torch compile", partial(_compiled, rule, layout), expected, TOLERANCE, needs="torch")


def _compiled(rule: Rule, layout: Layout) -> Ready:
    torch = module("torch")
    torch._dynamo.reset()
    params, _ = tensors(layout)
    options = {**(rule.torch_options or rule.options), "foreach": True}
    # A number would be compiled into the code, and compiled again when it changes. (Adam's loops refuse a tensor.)
    if rule.torch not in ("Adam", "AdamW"):
        options["lr"] = torch.tensor(options["lr"])
    optimizer = getattr(torch.optim, rule.torch)(params, **options)
    step = torch.compile(optimizer.step)
    original = [p.detach().clone() for p in params]
    begin = perf_counter()
    step()
    first = perf_counter() - begin
    step()
    print(f"  {rule.id}, {layout}: the first step under torch.compile took {first:.1f} s")
    with torch.no_grad():
        for p, start in zip(params, original, strict=True):
            p.copy_(start)
            for value in optimizer.state[p].values():
                value.zero_()
            if rule.id == "nadam":
                optimizer.state[p]["mu_product"].fill_(1.0)
    return Ready(step, lambda: torch.cat([p.detach() for p in params]).numpy())


def test_compile(benchmark: Any, case: Case, rival: Rival) -> None:
    """Time one rival of one case."""
    measure(benchmark, case, rival)
