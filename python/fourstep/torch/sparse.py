"""Sparse gradients, of ``nn.Embedding(sparse=True)``: steps over the rows that have one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from fourstep import _core
from fourstep._runtime import execution

_OPTIONS = {
    "grad_scale": 1.0,
    "clip_eps": 1e-6,
    "skip_nonfinite": None,
    "cautious": None,
    "ema_decay": 0.0,
    "flush_subnormals": False,
    "zero_grad": False,
    "track": False,
    "stochastic_rounding": False,
    "seed": 0,
    "step": 1,
}


def is_sparse(p: torch.Tensor) -> bool:
    """Tell whether a parameter has a sparse gradient."""
    return p.grad is not None and p.grad.layout == torch.sparse_coo


@dataclass(frozen=True)
class Table:
    """A parameter with a sparse gradient, its state, and the rule by which its rows step."""

    name: str
    p: torch.Tensor
    state: Sequence[torch.Tensor]
    rule: str
    hyper: dict[str, Any]

    def named(self) -> tuple[str, Any, Any]:
        """Return rows and gradients as they came: a row that comes twice is summed by the kernel."""
        return self.name, self.p.grad._indices()[0].numpy(), self.p.grad._values().numpy()

    def check(self, who: str) -> None:
        """Refuse what the kernels of rows cannot step."""
        p, g = self.p, self.p.grad
        if p.dtype not in (torch.float32, torch.float64) or not p.is_contiguous():
            raise TypeError(
                f"{who}: {self.name}: got {p.dtype} with strides {p.stride()} and a sparse gradient, need torch.float32 "
                "or torch.float64, contiguous"
            )
        if g.dtype != p.dtype or g.sparse_dim() != 1 or g.shape != p.shape:
            raise ValueError(
                f"{who}: the gradient of {self.name}: got {g.dtype} of shape {tuple(g.shape)} with {g.sparse_dim()} "
                f"sparse dimensions, need {p.dtype} of shape {tuple(p.shape)} with 1: rows"
            )
        _core.rows_squares(self.named(), p.detach().numpy(), "sum", False, False, execution())


def step(tables: Sequence[Table]) -> None:
    """Step the rows of these tables, which were checked: one call."""
    calls: list[Any] = [
        (
            table.named(),
            (table.p.detach().numpy(), [buffer.numpy() for buffer in table.state], None, None),
            (table.rule, {**table.hyper, "coefficient": 1.0}),
        )
        for table in tables
    ]
    _core.step_rows(calls, "sum", _OPTIONS, execution())
