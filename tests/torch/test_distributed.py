"""Two gloo processes end where one process with torch's own optimizer ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: fourstep.torch was not tested")

SCRIPT = Path(__file__).with_name("distributed_run.py")
LIMIT = 240

#: DistributedDataParallel; ZeroRedundancyOptimizer in it; FSDP2's fully_shard.
SCENARIOS = ["data_parallel", "zero", "sharded"]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of the two processes found: by run, our parameters and torch's."""
    if not torch.distributed.is_available():
        pytest.skip("this torch was built without torch.distributed")
    store = tmp_path_factory.mktemp("gloo") / "store"
    runs = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(rank), str(store)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        done = [run.communicate(timeout=LIMIT) for run in runs]
    finally:
        for run in runs:
            run.kill()
    assert [run.returncode for run in runs] == [0, 0], "\n".join(error for _, error in done)
    return [json.loads(out.splitlines()[-1]) for out, _ in done]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_two_processes(scenario: str, found: list[dict[str, Any]]) -> None:
    first, second = ({key: runs[key] for key in runs if key.startswith(scenario)} for runs in found)
    assert len(first) >= 2
    for key, (ours, alone) in first.items():
        assert ours == second[key][0]
        assert ours == pytest.approx(alone, abs=1e-6), key
