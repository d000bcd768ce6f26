"""Every example in a docstring, in the README and in the docs runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fourstep

Array = np.ndarray[Any, Any]

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
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
    if name.startswith("fourstep.torch"):
        pytest.importorskip("torch", reason="torch is not installed: fourstep.torch was not tested")
    if name == "fourstep.torch.metrics":
        pytest.importorskip(
            "torchmetrics", reason="torchmetrics is not installed: its classes were not tested"
        )
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert failed == 0


@pytest.mark.parametrize("page", PAGES)
def test_page(page: str) -> None:
    if page == "docs/torch.md":
        pytest.importorskip("torch", reason="torch is not installed: its page was not tested")
    if page == "docs/sklearn.md":
        pytest.importorskip("sklearn", reason="scikit-learn is not installed: its page was not tested")
    failed, _ = doctest.testfile(str(ROOT / page), module_relative=False, optionflags=FLAGS, encoding="utf-8")
    assert failed == 0


def test_the_training_code_of_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    """Runs as it stands, on rows that one direction separates."""
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    rng = np.random.default_rng(0)
    direction = rng.standard_normal(20)

    def rows(n: int) -> tuple[Array, Array]:
        x = rng.standard_normal((n, 20))
        return x, (x @ direction + rng.standard_normal(n) > 0).astype(float)

    x_test, y_test = rows(1000)
    given = {"batches": [rows(64) for _ in range(200)], "x_test": x_test, "y_test": y_test}
    exec(code, {**given, "user_test": rng.integers(0, 50, 1000)})
    auc, gauc = map(float, capsys.readouterr().out.split())
    assert auc > 0.9
    assert gauc > 0.9
    assert Path("run.npz").exists()


@pytest.mark.parametrize("page", PAGES)
def test_links(page: str) -> None:
    """Every file that a page links to is there; the benches' records are outside what a test run carries along."""
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = [t.partition("#")[0] for t in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in t]
    missing = [t for t in targets if t and not (ROOT / page).parent.joinpath(t).exists()]
    assert missing == []
