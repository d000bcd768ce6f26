"""Every example in a docstring, in the README and in the docs runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import fourstep

ROOT = Path(__file__).parents[1]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MODULES = [info.name for info in pkgutil.walk_packages(fourstep.__path__, "fourstep.")]
PAGES = [path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples write into a folder of their own."""
    monkeypatch.chdir(tmp_path)


def test_there_is_something_to_run() -> None:
    assert "fourstep.optim.adam" in MODULES


@pytest.mark.parametrize("name", ["fourstep", *(name for name in MODULES if not name.endswith("__main__"))])
def test_module(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert failed == 0


@pytest.mark.parametrize("page", PAGES)
def test_page(page: str) -> None:
    failed, _ = doctest.testfile(str(ROOT / page), module_relative=False, optionflags=FLAGS, encoding="utf-8")
    assert failed == 0
