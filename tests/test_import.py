"""Promise 4: importing fourstep loads NumPy and nothing else."""

from __future__ import annotations

import subprocess
import sys

import fourstep as fs


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_loads_numpy_and_the_standard_library_alone() -> None:
    touch = "fourstep.Arena, fourstep.optim.Adam, fourstep.reference, fourstep.schedules"
    names = "{name.partition('.')[0] for name in sys.modules}"
    before = f"import sys, numpy; old = {names}\nimport fourstep; {touch}\n"
    assert run(f"{before}print({names} - old - set(sys.stdlib_module_names))").strip() == "{'fourstep'}"


def test_import_starts_no_thread() -> None:
    code = "import os, numpy, fourstep; print(len(os.listdir('/proc/self/task')))"
    base = "import os, numpy; print(len(os.listdir('/proc/self/task')))"
    assert run(code) == run(base)


def test_every_public_name_is_there() -> None:
    missing = [name for name in fs.__all__ if not hasattr(fs, name)]
    assert missing == []
    assert set(fs.__all__) <= set(dir(fs))
