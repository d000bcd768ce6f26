"""The small parts of a run: time, figures, calibration, early stopping, progress, Ctrl-C, threads, the table."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from typing import Any

import numpy as np
import pytest

from fourstep.train import Config
from fourstep.train.clock import PARTS, Clock
from fourstep.train.errors import nearest
from fourstep.train.interrupt import Interrupt
from fourstep.train.measures import measure, watched
from fourstep.train.progress import Bar, Line, Silent, Terminal, make
from fourstep.train.report import report, shares
from fourstep.train.search import Search
from fourstep.train.threads import blas_threads, limited

# ---- time


def test_every_moment_belongs_to_one_part() -> None:
    start = time.perf_counter()
    clock = Clock()
    clock.lap("data")
    with clock.all_as("baseline"):
        clock.lap("optimizer")
        with clock.all_as("evaluation"):
            clock.lap("matrix_products")
    clock.lap("optimizer")
    assert set(clock.seconds) == set(PARTS)
    assert clock.seconds["matrix_products"] == clock.seconds["evaluation"] == 0.0
    assert clock.seconds["baseline"] > 0
    assert clock.total <= time.perf_counter() - start


# ---- figures


def brute_gauc(y: Any, p: Any, groups: Any) -> tuple[float, int, int]:
    total, weight, kept, dropped = 0.0, 0, 0, 0
    for group in np.unique(groups):
        mine, scores = y[groups == group], p[groups == group]
        pairs = [(a > b) + (a == b) / 2 for a in scores[mine == 1] for b in scores[mine == 0]]
        if not pairs:
            dropped += 1
            continue
        kept += 1
        total += len(mine) * float(np.mean(pairs))
        weight += len(mine)
    return total / weight, kept, dropped


def example(n: int = 200, seed: int = 0) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    p = rng.random(n).round(1).clip(0.05, 0.95)
    return (rng.random(n) < p).astype(np.uint8), p, rng.integers(0, 40, n)


def test_measure_counts_groups_as_they_are() -> None:
    y, p, groups = example()
    found = measure(y, p, groups, 0.5)
    gauc, kept, dropped = brute_gauc(y, p, groups)
    assert found["gauc"] == pytest.approx(gauc, abs=1e-12)
    assert (found["groups_kept"], found["groups_dropped"]) == (kept, dropped)
    assert found["gauc_weight"] == "impressions"
    predicted = p >= 0.5
    assert found["f1"] == pytest.approx(2 * (predicted & (y == 1)).sum() / (predicted.sum() + y.sum()))
    assert found["logloss"] == pytest.approx(-np.mean(np.log(np.where(y == 1, p, 1 - p))))
    assert found["rows"] == len(y)
    assert found["base_rate"] == pytest.approx(y.mean())
    assert all(type(value) in (float, int, str) for value in found.values())  # JSON, not NumPy


def test_without_groups_or_without_both_classes_in_any_there_is_no_gauc() -> None:
    y, p, _ = example()
    none = measure(y, p, None, 0.5)
    assert (none["gauc"], none["gauc_weight"], none["groups_kept"], none["groups_dropped"]) == (
        None,
        None,
        0,
        0,
    )
    own = measure(y, p, np.arange(len(y)), 0.5)
    assert (own["gauc"], own["groups_kept"], own["groups_dropped"]) == (None, 0, len(y))


def test_gauc_of_one_group_is_auc() -> None:
    y, p, _ = example()
    loss, auc, gauc = watched(y, p, np.full(len(y), 7))
    assert gauc == auc
    assert loss > 0


# ---- early stopping


class Fake:
    """A trainer whose epochs have the validation scores that a test wants: the higher `good`, the better."""

    def __init__(self, good: list[float], patience: int) -> None:
        self.config, self.good, self.clock = Config(patience=patience), good, Clock()
        self.epoch, self.rows, self.lr_before = 0, np.arange(4), 0.1
        self.model = self

    def close_epoch(self) -> tuple[float, float]:
        self.epoch += 1
        return 0.5, 1.0

    def predict(self, rows: Any) -> Any:
        score = np.linspace(0.1, 0.9, len(rows))
        order = np.argsort(np.random.default_rng(0).random(len(rows)))
        share = round(self.good[self.epoch - 1] * len(rows))
        score[: len(rows) - share] = score[order[: len(rows) - share]]
        return score

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch}


def searched(good: list[float], patience: int) -> Search:
    n = 400

    class Data:
        label = (np.arange(n) >= n // 2).astype(np.uint8)
        groups = None

    class Parts:
        train = valid = np.arange(n)

    fake: Any = Fake(good, patience)
    data: Any = Data()
    parts: Any = Parts()
    search = Search(fake, data, parts)
    while not search.over(len(good)):
        search.watch()
    return search


def test_it_stops_when_patience_is_over_and_keeps_the_best() -> None:
    search = searched([0.2, 0.6, 0.4, 0.5, 0.9], patience=2)
    assert len(search.history) == 4
    assert (search.best_epoch, search.best) == (2, {"epoch": 2})


def test_an_equal_epoch_is_not_better() -> None:
    search = searched([0.5, 0.5, 0.5], patience=2)
    assert (len(search.history), search.best_epoch) == (3, 1)


def test_a_late_best_is_waited_for() -> None:
    search = searched([0.5, 0.2, 0.8, 0.3], patience=2)
    assert (len(search.history), search.best_epoch) == (4, 3)


def test_the_gap_is_zero_where_both_parts_are_one() -> None:
    line = searched([0.5], patience=1).history[0]
    assert line["gap_loss"] == line["gap_auc"] == 0.0
    assert line["gap_gauc"] is None
    assert line["examples_per_second"] == 4.0


# ---- progress


def shown(progress: Any) -> None:
    progress.stage("epoch", 4, 0)
    for step in range(4):
        progress.step("1/1", 0.5 - step / 100, 1e-3, 10)
    progress.say("a line that stays")
    progress.close()


def test_lines_are_plain_and_few() -> None:
    stream = io.StringIO()
    shown(Line(stream))
    assert stream.getvalue() == "a line that stays\n"


def test_a_terminal_shows_loss_rate_speed_and_time_left_and_wipes_them() -> None:
    stream = io.StringIO()
    shown(Terminal(stream))
    text = stream.getvalue()
    for word in ("epoch 1/1", "100%", "loss 0.4700", "lr 1.00e-03", "examples/s", "ETA 0:00"):
        assert word in text
    assert text.endswith(" \ra line that stays\n")


def test_the_bar_of_rich_shows_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "160")

    class Tty(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Tty()
    progress = make(quiet=False, stream=stream)
    assert isinstance(progress, Bar)
    shown(progress)
    text = stream.getvalue()
    for word in (
        "epoch 1/1",
        "100%",
        "loss 0.4700",
        "lr 1.00e-03",
        "examples/s",
        "ETA 0:00",
        "a line that stays",
    ):
        assert word in text


def test_quiet_is_silent_and_a_pipe_gets_lines() -> None:
    assert isinstance(make(quiet=True, stream=io.StringIO()), Silent)
    assert isinstance(make(quiet=False, stream=io.StringIO()), Line)


# ---- Ctrl-C


def test_the_first_interrupt_is_noted_and_the_second_is_not_swallowed() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupt() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_another_thread_may_train_without_the_signal() -> None:
    found: list[bool] = []

    def work() -> None:
        with Interrupt() as interrupt:
            found.append(interrupt.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]


# ---- threads


def test_threads_are_limited_inside_alone() -> None:
    import fourstep as fs

    outside = fs.runtime().threads
    with limited(1, 0):
        assert fs.runtime().threads == 1
    assert fs.runtime().threads == outside


def test_blas_is_limited_where_threadpoolctl_is() -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")

    def blas() -> set[int]:
        return {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}

    outside = blas()
    with limited(0, 1000):
        assert blas() == {1}
    assert blas() == outside
    assert blas_threads(3, 1000) == 3
    assert blas_threads(0, 1 << 40) >= 1


# ---- the table


def figures(**changes: Any) -> dict[str, Any]:
    held = {"auc": 0.8, "gauc": 0.7, "gauc_weight": "impressions", "groups_kept": 5, "groups_dropped": 2}
    held |= {"logloss": 0.5, "f1": 0.6, "threshold": 0.4, "base_rate": 0.3, "rows": 1000}
    return held | changes


def run_metrics(test: dict[str, Any], baseline: dict[str, Any]) -> dict[str, Any]:
    seconds = {"data": 1.0, "optimizer": 3.0, "total": 4.0}
    return {"test": test, "valid": test, "baseline": baseline, "seconds": seconds} | {
        "parameters": 10,
        "train_rows": 20,
        "seed": 0,
        "version": "0",
        "test_in_place": None,
        "train": {"auc": 0.9},
        "nonzero": {"w": 10},
        "ensemble": 1,
        "shuffled_labels": False,
    }


def test_the_table_says_what_its_figures_are() -> None:
    stream = io.StringIO()
    baseline = {"one_hot": figures(auc=0.77), "same_inputs": None}
    report(run_metrics(figures(), baseline), "runs/x", stream)
    text = stream.getvalue()
    for word in (
        "1,000 test rows",
        "0.8000",
        "fields alone",
        "0.7700",
        "weighted by impressions; 5 kept, 2 dropped",
        "F1 at threshold 0.4000, the best on the validation rows; base rate 0.3000",
        "optimizer 75 %, data 25 %",
        "runs/x",
    ):
        assert word in text
    assert "same inputs" not in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gauc": None, "gauc_weight": None}, "no gAUC: there is no user column"),
        ({"gauc": None, "groups_kept": 0}, "no gAUC: none of the 2 users has both classes"),
        ({"groups_kept": 1, "groups_dropped": 0}, "it is AUC: there is one user"),
    ],
)
def test_the_table_says_why_gauc_is_what_it_is(changes: dict[str, Any], said: str) -> None:
    stream = io.StringIO()
    report(run_metrics(figures(**changes), {}), "x", stream)
    assert said in stream.getvalue()


def test_shares_sum_to_the_whole() -> None:
    assert shares({"a_b": 1.0, "c": 1.0, "d": 0.0, "total": 2.0}) == "c 50 %, a b 50 %"


def test_nearest_knows_when_nothing_is_near() -> None:
    assert nearest("--epoch", ["--epochs", "--lr"]) == "; did you mean --epochs?"
    assert nearest("zzz", ["--epochs"]) == ""
