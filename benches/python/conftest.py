"""A test for each rival of each case of a module: its answer is checked, then pytest-benchmark times it.

pytest-benchmark runs one rival after the other; `compare.py` runs them in turn, and is what ratios are taken from.
"""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--small``."""
    parser.addoption(
        "--small", action="store_true", help="few elements: only whether everything runs, and is right"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each case and rival; one whose library is missing is skipped with a message."""
    if {"case", "rival"} <= set(metafunc.fixturenames):
        cases = metafunc.module.cases(small=metafunc.config.getoption("--small"))
        pairs = [
            pytest.param(
                case,
                rival,
                id=f"{case.id}-{rival.name}",
                marks=pytest.mark.skipif(rival.missing is not None, reason=rival.missing or ""),
            )
            for case in cases
            for rival in (*case.rivals, *case.limits)
        ]
        metafunc.parametrize(("case", "rival"), pairs)
