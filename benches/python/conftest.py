"""A test for each rival of each case of a module: its answer is checked, then pytest-benchmark times it.

pytest-benchmark runs one rival after the other; `compare.py` runs them in turn, and is what ratios are taken from.
"""

from __future__ import annotations

import pytest

from harness import Case, Rival


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--small`` and ``--large``."""
    parser.addoption(
        "--small", action="store_true", help="few elements: only whether everything runs, and is right"
    )
    parser.addoption("--large", action="store_true", help="also the cases that take GBs of memory")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each case and rival; one whose library is missing is skipped with a message."""
    if {"case", "rival"} <= set(metafunc.fixturenames):
        cases = metafunc.module.cases(small=metafunc.config.getoption("--small"))
        pairs = [
            pytest.param(
                case,
                rival,
                id=f"{case.id}-{rival.name}",
                marks=_skipped(case, rival, large=metafunc.config.getoption("--large")),
            )
            for case in cases
            for rival in (*case.rivals, *case.limits)
        ]
        metafunc.parametrize(("case", "rival"), pairs)


def _skipped(case: Case, rival: Rival, *, large: bool) -> pytest.MarkDecorator:
    """Skip what cannot run here, or was not asked for."""
    why = "takes GBs of memory: --large runs it" if case.large and not large else rival.missing
    return pytest.mark.skipif(why is not None, reason=why or "")
