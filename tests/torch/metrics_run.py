"""One of two processes that share their rows over gloo; `test_metrics.py` starts it: RANK FILE."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
import torch.distributed as dist

import fourstep as fs
from fourstep.torch.metrics import AUC, GAUC

ROWS = 301
CUT = 120


def main(rank: int, store: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(ROWS, generator=generator, dtype=torch.float64)
    y = (torch.randn(ROWS, generator=generator) + z > 0.5).long()
    user = torch.randint(0, 20, (ROWS,), generator=generator) + 2**40
    weight = torch.rand(ROWS, generator=generator)
    mine = slice(0, CUT) if rank == 0 else slice(CUT, ROWS)
    for weights in (None, weight):
        w = None if weights is None else weights.numpy()
        want = fs.metrics.auc(y.numpy(), z.numpy(), sample_weight=w)
        by_user = fs.metrics.gauc(y.numpy(), z.numpy(), user.numpy(), sample_weight=w)
        for part in (mine, slice(0, ROWS) if rank == 0 else None):  # both; then the second has nothing
            check(AUC(), want, part, z, y, sample_weight=weights)
            check(GAUC(), by_user, part, z, y, user, sample_weight=weights)
    narrow = AUC()
    narrow.update(z[mine].bfloat16(), y[mine])
    assert narrow.compute().item() == fs.metrics.auc(y.numpy(), z.bfloat16().float().numpy())
    mixed = AUC()
    mixed.update(z[mine].to(torch.float32 if rank else torch.float64), y[mine])
    with pytest.raises(TypeError, match="float32 and torch.float64 from different processes"):
        mixed.compute()
    dist.destroy_process_group()


def check(metric: Any, want: float, part: slice | None, *columns: Any, sample_weight: Any) -> None:
    """The rows of all processes, and again after the synchronisation is undone."""
    if part is not None:
        for start in range(part.start, part.stop, 50):
            batch = slice(start, min(start + 50, part.stop))
            weight = None if sample_weight is None else sample_weight[batch]
            metric.update(*(column[batch] for column in columns), sample_weight=weight)
    assert metric.compute().item() == want, (type(metric).__name__, part, metric.compute().item(), want)
    metric.reset()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
