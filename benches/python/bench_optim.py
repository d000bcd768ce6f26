"""Optimizers against NumPy and torch."""

from __future__ import annotations

from typing import Any

from cases import cases
from harness import Case, Rival, measure

__all__ = ["cases"]  # conftest makes a test of each case and rival


def test_optim(benchmark: Any, case: Case, rival: Rival) -> None:
    measure(benchmark, case, rival)
