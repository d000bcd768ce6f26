"""`docs/conformance.md`: our column, and the definition's, are what `docs/conformance.py` computes now."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep.reference import metrics as reference

DOCS = Path(__file__).parents[1] / "docs"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("fourstep_conformance", DOCS / "conformance.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


conformance = load()
CASES = {case.name: case for case in conformance.CASES}


def table() -> list[dict[str, str]]:
    """The rows of the page's first table."""
    lines = (DOCS / "conformance.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    count = 2 + len(CASES)
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:count]]


PAGE = {row["input"]: row for row in table()}


def test_the_page_has_every_case_and_several_libraries() -> None:
    assert list(PAGE) == list(CASES)
    assert len(next(iter(PAGE.values()))) >= 6


@pytest.mark.parametrize("name", CASES)
def test_our_column_is_what_we_compute(name: str) -> None:
    assert PAGE[name]["fourstep"] == conformance.cell(CASES[name], "fourstep")
    assert "**" not in PAGE[name]["fourstep"]


@pytest.mark.parametrize("name", CASES)
def test_the_definition_is_that_of_the_reference(name: str) -> None:
    """Pairs of rows instead of distinct scores; and we are its nearest float, not only close."""
    case = CASES[name]
    want = conformance.definition(case)
    assert PAGE[name]["definition"] == ("no value" if want is None else f"{want:.9g}")
    if want is None:
        return
    y, score = case.rows()
    if case.groups is not None:
        assert want == reference.gauc(y, score, case.groups) == fs.metrics.gauc(y, score, case.groups)
        return
    assert want == fs.metrics.auc(y, score, sample_weight=case.weight)
    if len(y) < 100:
        assert want == reference.auc(np.where(y == 1, 1, 0), score, case.weight)


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (7 / 9, "0.777777778"),
        (0.5, "**0.5**"),
        (math.nan, "**nan**"),
        (ValueError("no"), "ValueError"),
        (conformance.NotAskedError(), "–"),
    ],
)
def test_what_a_cell_shows(monkeypatch: pytest.MonkeyPatch, answer: Any, shown: str) -> None:
    def library(*rows: Any) -> float:
        if isinstance(answer, Exception):
            raise answer
        return float(answer)

    monkeypatch.setitem(conformance.LIBRARIES, "other", (library, ("other",), "other"))
    assert conformance.cell(CASES["ties"], "other") == shown
    assert conformance.cell(CASES["one class"], "other") == shown.replace(
        "0.777777778", "**0.777777778**"
    ).replace("**nan**", "nan")
