"""Level, threads, version: how the environment sets them, and what is said when it is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import fourstep as fs
from fourstep import _core
from fourstep._runtime import override


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    ours = ("FOURSTEP_ISA", "FOURSTEP_NUM_THREADS", "RAYON_NUM_THREADS")
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.run(
        [sys.executable, "-c", code], env={**clean, **environment}, timeout=60, capture_output=True, text=True
    )


def test_it_prints_well() -> None:
    text = str(fs.runtime())
    assert text.splitlines()[0] == f"fourstep {fs.__version__}"
    assert fs.runtime().level in text
    assert "threads" in text


def test_the_environment_picks_the_level(level: str) -> None:
    done = python(
        "import fourstep as fs; r = fs.runtime(); print(r.level, '|', r.level_reason)", FOURSTEP_ISA=level
    )
    assert done.stdout.strip() == f"{level} | FOURSTEP_ISA={level}", done.stderr


STEP = "import numpy as np, fourstep as fs; fs.optim.SGD([np.ones(3)]).step([np.ones(3)])"


@pytest.mark.parametrize("code", ["import fourstep as fs; fs.runtime()", STEP], ids=["runtime", "step"])
@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"FOURSTEP_ISA": "avx9"},
            'RuntimeError: FOURSTEP_ISA: unknown level "avx9"; it is one of baseline, v3, v4',
        ),
        (
            {"FOURSTEP_NUM_THREADS": "0"},
            'ValueError: FOURSTEP_NUM_THREADS: got "0", need a whole number from 1 to 256',
        ),
        ({"FOURSTEP_NUM_THREADS": "many"}, 'ValueError: FOURSTEP_NUM_THREADS: got "many"'),
        ({"RAYON_NUM_THREADS": "-1"}, 'ValueError: RAYON_NUM_THREADS: got "-1"'),
    ],
)
def test_a_wrong_environment_is_an_error_not_a_crash(
    code: str, environment: dict[str, str], message: str
) -> None:
    done = python(code, **environment)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(message), done.stderr


def test_importing_reads_no_environment() -> None:
    assert python("import fourstep", FOURSTEP_ISA="avx9").returncode == 0


@pytest.mark.parametrize(
    ("environment", "want"),
    [
        ({"FOURSTEP_NUM_THREADS": "3", "RAYON_NUM_THREADS": "5"}, "3 FOURSTEP_NUM_THREADS=3"),
        ({"RAYON_NUM_THREADS": "5"}, "5 RAYON_NUM_THREADS=5"),
        (
            {},
            f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} the CPUs",
        ),
    ],
)
def test_the_environment_sets_the_threads(environment: dict[str, str], want: str) -> None:
    done = python(
        "import fourstep as fs; r = fs.runtime(); print(r.threads, r.threads_reason)", **environment
    )
    assert done.stdout.startswith(want), done.stdout + done.stderr


def test_set_num_threads_and_the_context_manager() -> None:
    default = fs.runtime().threads
    fs.set_num_threads(5)
    try:
        assert fs.runtime().threads == 5
        with fs.num_threads(2):
            assert fs.runtime().threads == 2
            with fs.num_threads(7):
                assert fs.runtime().threads == 7
        assert fs.runtime().threads == 5
    finally:
        fs.set_num_threads(None)
    assert fs.runtime().threads == default


@pytest.mark.parametrize(
    ("n", "error"),
    [
        (0, ValueError),
        (-1, ValueError),
        (257, ValueError),
        (2.0, TypeError),
        ("2", TypeError),
        (True, TypeError),
    ],
)
def test_a_wrong_thread_count(n: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"n: got .*need a whole number from 1 to 256"):
        fs.set_num_threads(n)
    with pytest.raises(error, match=r"n: got .*need a whole number from 1 to 256"), fs.num_threads(n):
        pass


def test_an_unknown_level_of_one_call_is_an_error() -> None:
    w = np.ones(3)
    optimizer = fs.optim.SGD([w])
    with override(level="v9"), pytest.raises(RuntimeError, match="unknown level"):
        optimizer.step([np.ones(3)])
    assert (w == 1).all()


def test_no_level_needs_more_than_the_baseline_to_load() -> None:
    """The extension itself loads and runs at the baseline."""
    done = python(STEP + "; print(fs.runtime().level)", FOURSTEP_ISA="baseline")
    assert done.stdout.strip() == "baseline", done.stderr


def test_one_version() -> None:
    assert fs.__version__ == _core.runtime()[5]


def test_the_environment_is_read_once_and_the_reason_stays_true() -> None:
    code = "import os, fourstep as fs; fs.runtime(); os.environ['FOURSTEP_ISA'] = 'baseline'; print(fs.runtime())"
    assert "FOURSTEP_ISA" not in python(code).stdout
