"""Writes torch.npz: where torch's optimizers end after 100 steps. Run from the root: python tests/dumps/make_torch.py"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "optim"))

from test_against_torch import SHARED, STEPS  # noqa: E402

from conftest import RULES, noise  # noqa: E402

N = 17
start = noise(7, N, np.float32)
gradients = np.stack([noise(t, N, np.float32) for t in range(STEPS)])  # exact in both dtypes
dump = {"start": start, "gradients": gradients}
for rule in RULES:
    if rule.torch is None:
        continue
    for name, shared in SHARED.items():
        for dtype in (np.float32, np.float64):
            end = rule.walk_torch(torch, start.astype(dtype), gradients.astype(dtype), **shared)
            dump[f"{rule.id}.{name}.{np.dtype(dtype).name}"] = end
np.savez_compressed(Path(__file__).with_name("torch.npz"), **dump)
