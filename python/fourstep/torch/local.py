"""The part of a distributed tensor that this process holds."""

from __future__ import annotations

from typing import Any

import torch

_PLAIN = (torch.nn.Parameter, torch.Tensor, torch.nn.Buffer)


def is_plain(tensor: Any) -> bool:
    """Tell whether a tensor has memory of its own: no wrapper around others."""
    kind = type(tensor)
    return kind in _PLAIN or kind.__torch_dispatch__ is torch.Tensor.__torch_dispatch__


def is_distributed(tensor: Any) -> bool:
    """Tell whether a tensor is a DTensor: of FSDP2's ``fully_shard`` or of tensor parallelism."""
    return type(tensor) not in _PLAIN and hasattr(tensor, "to_local")


def local(tensor: Any) -> Any:
    """Return the part that is here; it may be empty."""
    return tensor.to_local() if is_distributed(tensor) else tensor
