"""Write docs/conformance.md: the same inputs through every library that is installed, `python docs/conformance.py`.

The definition comes first, in fractions: of all pairs of a positive and a negative, the share that the positive wins,
ties half. Libraries that are missing are named in the page; one that fails shows the type of its error.
"""

from __future__ import annotations

import importlib
import io
import json
import math
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import fourstep as fs

PAGE = Path(__file__).with_suffix(".md")
#: Further from the definition than rounding takes a float32.
FAR = 1e-6


@dataclass(frozen=True, eq=False)
class Case:
    """Rows of which everyone is asked the AUC, or the grouped AUC if there are groups."""

    name: str
    shown: str
    rows: Callable[[], tuple[Any, Any]]
    weight: list[float] | None = None
    groups: list[int] | None = None


def few(y: list[Any], score: list[float]) -> Callable[[], tuple[Any, Any]]:
    return lambda: (np.array(y), np.array(score, np.float32))


@cache
def many() -> tuple[Any, Any]:
    """18,000,000 positives in one place: more than the 2^24 = 16,777,216 that float32 can count to, one by one."""
    i = np.arange(21_000_000)
    y = i < 20_000_000
    score = np.where(i % 10 < np.where(y, 9, 6), np.float32(0.7), np.float32(0.3))
    return y.astype(int), score


TIES = [1, 0, 1, 0, 0, 1], [0.5, 0.5, 0.5, 0.5, 0.2, 0.9]
NAN, INF = math.nan, math.inf

CASES = [
    Case("ties", "y = 1 0 1 0 0 1, s = .5 .5 .5 .5 .2 .9", few(*TIES)),
    Case(
        "ties, rows reversed", "the same rows from the last to the first", few(TIES[0][::-1], TIES[1][::-1])
    ),
    Case("logits", "y = 0 1 0 1, s = 20 30 −3 40", few([0, 1, 0, 1], [20.0, 30.0, -3.0, 40.0])),
    Case(
        "small scores",
        "y = 0 1 0 1 0 1, s = .001 .0011 .0012 .0013 .0014 .0015",
        few([0, 1, 0, 1, 0, 1], [0.001, 0.0011, 0.0012, 0.0013, 0.0014, 0.0015]),
    ),
    Case("infinite scores", "y = 0 1 0 1, s = −∞ .5 .7 ∞", few([0, 1, 0, 1], [-INF, 0.5, 0.7, INF])),
    Case("labels −1 and +1", "y = −1 +1 −1 +1, s = .1 .4 .5 .8", few([-1, 1, -1, 1], [0.1, 0.4, 0.5, 0.8])),
    Case(
        "bool labels", "y = F T F T, s = .1 .4 .5 .8", few([False, True, False, True], [0.1, 0.4, 0.5, 0.8])
    ),
    Case("a label 2", "y = 0 1 2 1, s = .1 .4 .5 .8", few([0, 1, 2, 1], [0.1, 0.4, 0.5, 0.8])),
    Case("one class", "y = 1 1 1, s = .1 .4 .5", few([1, 1, 1], [0.1, 0.4, 0.5])),
    Case("a NaN score", "y = 0 1 0 1, s = .1 NaN .5 .8", few([0, 1, 0, 1], [0.1, NAN, 0.5, 0.8])),
    Case(
        "weights",
        "y = 0 1 0 1, s = .1 .4 .5 .8, w = 1 2 3 0",
        few([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.8]),
        weight=[1.0, 2.0, 3.0, 0.0],
    ),
    Case(
        "one class but for weight 0",
        "y = 0 1 1, s = .1 .4 .05, w = 0 1 1",
        few([0, 1, 1], [0.1, 0.4, 0.05]),
        weight=[0.0, 1.0, 1.0],
    ),
    Case(
        "a negative weight",
        "y = 0 1 0 1, s = .1 .4 .5 .8, w = 1 1 1 −1",
        few([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.8]),
        weight=[1.0, 1.0, 1.0, -1.0],
    ),
    Case(
        "20,000,000 positives",
        "18,000,000 of them have s = .7, the rest .3; of 1,000,000 negatives 600,000 have .7, the rest .3",
        many,
    ),
    Case(
        "groups",
        "y = 1 0 1, 1 0 0 1, 1 1; s = .5 .5 .2, .9 .1 .3 .4, .6 .7",
        few([1, 0, 1, 1, 0, 0, 1, 1, 1], [0.5, 0.5, 0.2, 0.9, 0.1, 0.3, 0.4, 0.6, 0.7]),
        groups=[0, 0, 0, 1, 1, 1, 1, 2, 2],
    ),
]


@cache
def definition(case: Case) -> float | None:
    """Return the value that the definition gives; None where it gives none."""
    y, score = case.rows()
    weight = None if case.weight is None else np.array(case.weight)
    if np.isnan(score).any() or not set(np.unique(y).tolist()) <= {-1, 0, 1}:
        return None
    if weight is not None and (weight < 0).any():
        return None
    if case.groups is None:
        value = pairs(y, score, weight)
        return None if value is None else float(value)
    top, bottom = Fraction(0), 0
    for group in set(case.groups):
        mine = np.array(case.groups) == group
        value = pairs(y[mine], score[mine], None)
        if value is not None:
            top, bottom = top + int(mine.sum()) * value, bottom + int(mine.sum())
    return float(top / bottom)


def pairs(y: Any, score: Any, weight: Any) -> Fraction | None:
    """Return Σ w_i·w_j·(1, ½ or 0) / Σ w_i·w_j over the pairs: each distinct score against each other."""
    values, place = np.unique(score, return_inverse=True)
    w = np.ones(len(y)) if weight is None else weight
    up, down = ([Fraction(m) for m in np.bincount(place[of], w[of], len(values))] for of in (y == 1, y != 1))
    won = sum(
        p * n * (2 * (i > j) + (i == j)) for i, p in enumerate(up) for j, n in enumerate(down) if p and n
    )
    every = sum(up) * sum(down)
    return Fraction(won) / (2 * every) if every else None


# How each is asked: labels and scores as they are, in the container that it takes.


def fourstep(y: Any, score: Any, weight: Any, groups: Any) -> float:
    if groups is not None:
        return fs.metrics.gauc(y, score, groups)
    return fs.metrics.auc(y, score, sample_weight=weight)


def scikit_learn(y: Any, score: Any, weight: Any, groups: Any) -> float:
    not_asked(groups)
    return float(importlib.import_module("sklearn.metrics").roc_auc_score(y, score, sample_weight=weight))


def torchmetrics(y: Any, score: Any, weight: Any, groups: Any) -> float:
    not_asked(weight, groups)
    torch, functional = map(importlib.import_module, ("torch", "torchmetrics.functional.classification"))
    return float(functional.binary_auroc(torch.from_numpy(score), torch.from_numpy(y)))


def torcheval(y: Any, score: Any, weight: Any, groups: Any) -> float:
    not_asked(groups)
    torch, functional = map(importlib.import_module, ("torch", "torcheval.metrics.functional"))
    given = None if weight is None else torch.from_numpy(weight)
    return float(functional.binary_auroc(torch.from_numpy(score), torch.from_numpy(y), weight=given))


def xgboost(y: Any, score: Any, weight: Any, groups: Any) -> float:
    """No trees: the scores are the margins that it starts from."""
    xgb = importlib.import_module("xgboost")
    data = xgb.DMatrix(np.zeros((len(y), 1)), y, weight=weight, base_margin=score, qid=groups)
    options = {"objective": "reg:squarederror", "eval_metric": "auc", "base_score": 0, "verbosity": 0}
    return float(xgb.Booster(options, [data]).eval(data).partition("auc:")[2])


def lightgbm(y: Any, score: Any, weight: Any, groups: Any) -> float:
    """No trees: the scores are those that it starts from."""
    not_asked(groups)
    lgb = importlib.import_module("lightgbm")
    options = {"objective": "regression", "metric": "auc", "verbose": -1, "boost_from_average": False}
    data = lgb.Dataset(
        np.zeros((len(y), 1)), y, weight=weight, init_score=score.astype(float), params={"verbose": -1}
    )
    return float(lgb.Booster(options, data).eval_train()[0][2])


def catboost(y: Any, score: Any, weight: Any, groups: Any) -> float:
    ask = importlib.import_module("catboost.utils").eval_metric
    name = "AUC" if groups is None else "QueryAUC"
    return float(ask(y, score.astype(float), name, weight=weight, group_id=groups)[0])


def polars_ds(y: Any, score: Any, weight: Any, groups: Any) -> float:
    not_asked(weight, groups)
    pl, pds = map(importlib.import_module, ("polars", "polars_ds"))
    value = pl.DataFrame({"y": y, "score": score}).select(pds.query_roc_auc("y", "score")).item()
    return math.nan if value is None else float(value)


def keras(y: Any, score: Any, weight: Any, groups: Any) -> float:
    not_asked(groups)
    metric = importlib.import_module("keras").metrics.AUC(
        from_logits=bool((score < 0).any() or (score > 1).any())
    )
    metric.update_state(y, score, sample_weight=weight)
    return float(metric.result())


def torchrec(y: Any, score: Any, weight: Any, groups: Any) -> float:
    torch, metrics = map(importlib.import_module, ("torch", "torchrec.metrics.auc"))
    s, labels = torch.from_numpy(score)[None].double(), torch.from_numpy(y)[None].double()
    w = torch.ones_like(s) if weight is None else torch.from_numpy(weight)[None]
    if groups is None:
        return float(metrics.compute_auc(1, [s], [labels], [w]))
    return float(metrics.compute_auc_per_group(1, [s], [labels], [w], torch.from_numpy(groups)))


#: Name in the page: (how it is asked, package in the index, module that must import).
LIBRARIES: dict[str, tuple[Callable[..., float], tuple[str, ...], str]] = {
    "fourstep": (fourstep, ("fourstep",), "fourstep"),
    "scikit-learn": (scikit_learn, ("scikit-learn",), "sklearn.metrics"),
    "torchmetrics": (torchmetrics, ("torchmetrics",), "torchmetrics"),
    "torcheval": (torcheval, ("torcheval",), "torcheval.metrics.functional"),
    "XGBoost": (xgboost, ("xgboost", "xgboost-cpu"), "xgboost"),
    "LightGBM": (lightgbm, ("lightgbm",), "lightgbm"),
    "CatBoost": (catboost, ("catboost",), "catboost.utils"),
    "polars-ds": (polars_ds, ("polars-ds",), "polars_ds"),
    "Keras": (keras, ("keras",), "keras"),
    "TorchRec": (torchrec, ("torchrec",), "torchrec.metrics.auc"),
}


class NotAskedError(Exception):
    """The library has no argument for it."""


def not_asked(*inputs: Any) -> None:
    if any(given is not None for given in inputs):
        raise NotAskedError


def cell(case: Case, name: str) -> str:
    """Return what a library says: its value, in bold where that is not the definition's; or how it fails."""
    y, score = case.rows()
    weight = None if case.weight is None else np.array(case.weight)
    groups = None if case.groups is None else np.array(case.groups)
    with (
        warnings.catch_warnings(record=True) as said,
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("always")
        try:
            value = LIBRARIES[name][0](y, score, weight, groups)
        except NotAskedError:
            return "–"
        except Exception as error:
            return type(error).__name__
    # Deprecations speak of code; what is said of numbers is a UserWarning.
    warned = any(issubclass(w.category, UserWarning) for w in said)
    want = definition(case)
    right = math.isnan(value) if want is None else abs(value - want) <= FAR
    text = f"{value:.9g}"
    return (text if right else f"**{text}**") + (", warns" if warned else "")


def answers(name: str) -> dict[str, Any]:
    """Return all cells of a library, or why it cannot be imported."""
    _, packages, module = LIBRARIES[name]
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            importlib.import_module(module)
    except Exception as error:
        return {"version": release(packages), "error": f"{type(error).__name__}: {error}".splitlines()[0]}
    number = fs.__version__ if name == "fourstep" else release(packages)
    return {"version": number, "cells": [cell(case, name) for case in CASES]}


def asked_alone(name: str) -> dict[str, Any]:
    """Ask a library in a process of its own: some cannot be loaded beside each other."""
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, __file__, name], capture_output=True, text=True, env=quiet)
    if done.returncode:
        return {"version": release(LIBRARIES[name][1]), "error": f"its process ended with {done.returncode}"}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def release(packages: tuple[str, ...]) -> str:
    for package in packages:
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return "not installed"


def page() -> str:
    asked = {name: asked_alone(name) for name in LIBRARIES}
    there = {name: found for name, found in asked.items() if "cells" in found}
    head = ["input", "definition", *there]
    lines = [HEAD, "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for i, case in enumerate(CASES):
        want = definition(case)
        cells = [case.name, "no value" if want is None else f"{want:.9g}"]
        lines.append("| " + " | ".join(cells + [found["cells"][i] for found in there.values()]) + " |")
    lines += ["", "## Inputs", "", "| input | rows |", "|---|---|"]
    lines += [f"| {case.name} | {case.shown} |" for case in CASES]
    versions = {name: found["version"] for name, found in there.items()}
    versions |= {package: release((package,)) for package in ("numpy", "torch", "tensorflow-cpu")}
    lines += ["", ASKED, "## Versions", "", ", ".join(map(" ".join, versions.items())) + "."]
    missing = {name: found for name, found in asked.items() if name not in there}
    if missing:
        lines += ["", "Did not run where this page was written:", ""]
        lines += [f"- {name} {found['version']}: {found['error']}" for name, found in missing.items()]
    return "\n".join(lines) + "\n"


HEAD = """# Who returns what

The same inputs through each library that was installed, as `python docs/conformance.py` printed it. The definition
comes first, computed in fractions: of all pairs of a positive and a negative, the share that the positive wins,
ties half; of groups, the mean of their AUCs weighted by rows, over the groups that have both classes. "No value":
there is no pair, or a row that cannot be compared.

Bold: a number that is not the definition's (by more than 1e-6), or one where there is none. "Warns": with a
`UserWarning`. A name: the error that was raised. "–": no such argument. In the last row
libraries have definitions of their own.
"""

ASKED = """Scores are float32, labels int64 or bool, weights float64. scikit-learn is asked for `roc_auc_score`;
torchmetrics and torcheval for `binary_auroc`; XGBoost and LightGBM for the metric `auc` of a model without
trees, whose margins are the scores, XGBoost with the groups as `qid`; CatBoost for `eval_metric` of `AUC`, of
groups `QueryAUC`; polars-ds for `query_roc_auc`; Keras for `metrics.AUC()`, with `from_logits=True` where a
score is outside [0, 1]; TorchRec for `compute_auc` and `compute_auc_per_group`, in float64.
"""


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(answers(sys.argv[1])))
    else:
        PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
