"""One of two processes of a distributed run over gloo; `test_distributed.py` starts it: RANK FILE."""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import torch
import torch.distributed as dist

import fourstep.torch

STEPS = 5


def model() -> Any:
    """Its second layer has one output: with two processes, one of them holds an empty part of it."""
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1))


def batch(step: int) -> Any:
    return torch.randn(8, 6, generator=torch.Generator().manual_seed(step))


def run(net: Any, optimizer: Any, *, rank: int | None) -> None:
    """Train on this process's half of each batch, or on all of it."""
    for step in range(STEPS):
        x = batch(step)
        x = x if rank is None else x[4 * rank : 4 * rank + 4]
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()


def numbers(parameters: Any) -> list[float]:
    """All parameters, whole, in one list."""
    whole = [p.full_tensor() if hasattr(p, "full_tensor") else p for p in parameters]
    flat: list[float] = torch.cat([p.detach().reshape(-1) for p in whole]).tolist()
    return flat


def alone(cls: Any) -> list[float]:
    net = model()
    run(net, cls(net.parameters()), rank=None)
    return numbers(net.parameters())


def data_parallel(name: str, rank: int) -> list[float]:
    net = torch.nn.parallel.DistributedDataParallel(model(), gradient_as_bucket_view=True)
    run(net, getattr(fourstep.torch, name)(net.parameters()), rank=rank)
    return numbers(net.parameters())


def zero(name: str, rank: int) -> list[float]:
    from torch.distributed.optim import ZeroRedundancyOptimizer

    net = torch.nn.parallel.DistributedDataParallel(model())
    optimizer = ZeroRedundancyOptimizer(
        net.parameters(), getattr(fourstep.torch, name), parameters_as_bucket_view=True
    )
    run(net, optimizer, rank=rank)
    optimizer.consolidate_state_dict(to=0)
    if rank == 0:
        whole = optimizer.state_dict()
        theirs = getattr(torch.optim, name)(model().parameters())
        theirs.load_state_dict(whole)
        assert len(whole["state"]) in (0, 4)
    return numbers(net.parameters())


def sharded(name: str, rank: int) -> list[float]:
    from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import DTensor

    net = model()
    for layer in (net[0], net[2]):
        fully_shard(layer)
    fully_shard(net)
    cls = getattr(fourstep.torch, name)
    optimizer = cls(net.parameters())
    held = [p.to_local().numel() for p in net.parameters()]
    assert 0 in held or rank == 0
    before = [p._version for p in net.parameters()]
    run(net, optimizer, rank=rank)
    assert all(p._version > was for p, was in zip(net.parameters(), before, strict=True))
    for p, state in optimizer.state.items():
        for key, value in state.items():
            assert isinstance(value, DTensor) == (key not in ("step", "mu_product"))
            assert key in ("step", "mu_product") or value.placements == p.placements
    saved = get_optimizer_state_dict(net, optimizer)
    again = cls(net.parameters())
    set_optimizer_state_dict(net, again, saved)
    for p in net.parameters():
        for key, value in optimizer.state.get(p, {}).items():
            other = again.state[p][key]
            assert torch.equal(
                getattr(other, "to_local", lambda o=other: o)(),
                getattr(value, "to_local", lambda v=value: v)(),
            )
    return numbers(net.parameters())


RUNS = [
    (data_parallel, "SGD"),
    (data_parallel, "Adam"),
    (zero, "SGD"),
    (zero, "NAdam"),
    (zero, "Adam"),
    (sharded, "SGD"),
    (sharded, "Adam"),
    (sharded, "Adagrad"),
]


def main() -> None:
    rank, store = int(sys.argv[1]), sys.argv[2]
    warnings.simplefilter("ignore")  # torch's own, of its own parts
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    found = {
        f"{scenario.__name__} {name}": (scenario(name, rank), alone(getattr(torch.optim, name)))
        for scenario, name in RUNS
    }
    print(json.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
