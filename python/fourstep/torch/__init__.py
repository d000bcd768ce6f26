"""torch's optimizers on fourstep's kernels: same signatures, same state, one call a step, no copy.

>>> import torch
>>> import fourstep.torch
>>> model = torch.nn.Linear(3, 1)
>>> optimizer = fourstep.torch.Adam(model.parameters(), lr=0.1)
>>> for _ in range(200):
...     optimizer.zero_grad()
...     loss = (model(torch.eye(3)) - 1).square().sum()
...     _ = loss.backward()
...     optimizer.step()
>>> bool(loss < 1e-3)
True

Each class is a subclass of torch's own of that name, with its constructor, its checks and its ``state_dict``; only the
step is ours. The tensors are in the CPU's memory, float32, float64 or bfloat16.
"""

from __future__ import annotations

try:
    import torch as _torch
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ModuleNotFoundError(
        "fourstep.torch: torch is not installed; pip install 'fourstep[torch]'", name="torch"
    ) from None

if not hasattr(_torch.Tensor, "__dlpack_c_exchange_api__"):
    raise ImportError(
        f"fourstep.torch: torch {_torch.__version__} does not publish where its tensors lie "
        "(Tensor.__dlpack_c_exchange_api__), a newer one does; pip install -U 'fourstep[torch]'"
    )

from fourstep.torch.beyond import ADOPT, FTRL, LAMB, LARS, AdaBelief, Adan, AdEMAMix, Lion, Signum, Yogi
from fourstep.torch.classes import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    NAdam,
    RAdam,
    RMSprop,
    Rprop,
    SparseAdam,
)
from fourstep.torch.memory import Arena, arena

__all__ = [
    "ADOPT",
    "FTRL",
    "LAMB",
    "LARS",
    "SGD",
    "AdEMAMix",
    "AdaBelief",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Adan",
    "Arena",
    "Lion",
    "NAdam",
    "RAdam",
    "RMSprop",
    "Rprop",
    "Signum",
    "SparseAdam",
    "Yogi",
    "arena",
]
