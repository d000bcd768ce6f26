"""The same walk as torch's optimizers: from small dumps, and live where torch is installed.

Not the same bits: torch reorders and fuses. 100 steps; float64 within 1e-10 of each element, float32 within 1e-6 of
the largest parameter.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

Array = np.ndarray[Any, Any]

DUMP = Path(__file__).parents[1] / "dumps" / "torch.npz"
STEPS = 100
SHARED: dict[str, dict[str, Any]] = {
    "plain": {},
    "decay": {"weight_decay": 0.05},
    "maximize": {"maximize": True, "weight_decay": 0.05},
}


def close(ours: Array, theirs: Array) -> None:
    if ours.dtype == np.float64:
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)
    else:
        largest = np.abs(theirs).max()
        assert np.abs(ours.astype(np.float64) - theirs).max() <= 1e-6 * largest


def walk(rule: Any, w: Array, gradients: Array, **shared: Any) -> Array:
    ours = w.copy()
    optimizer = rule.make([ours], **shared)
    for g in gradients:
        optimizer.step([g])
    return ours


@pytest.mark.parametrize("shared", SHARED)
def test_dump(torch_rule: Any, dtype: Any, shared: str) -> None:
    with np.load(DUMP) as dump:
        start, gradients = dump["start"].astype(dtype), dump["gradients"].astype(dtype)
        want = dump[f"{torch_rule.id}.{shared}.{np.dtype(dtype).name}"]
    assert len(gradients) == STEPS
    close(walk(torch_rule, start, gradients, **SHARED[shared]), want)


@pytest.mark.parametrize("shared", SHARED)
def test_live(torch_rule: Any, dtype: Any, shared: str, noise: Any) -> None:
    torch = pytest.importorskip(
        "torch", reason="torch is not installed: its dumps were tested, not torch itself"
    )
    start = noise(1, 301, dtype)
    gradients = np.stack([noise(100 + t, 301, dtype) for t in range(STEPS)])
    want = torch_rule.walk_torch(torch, start, gradients, **SHARED[shared])
    close(walk(torch_rule, start, gradients, **SHARED[shared]), want)
