"""What fourstep costs before it does anything: import time over NumPy's, and the size of a wheel.

    python benches/python/import_time.py [--wheel dist/fourstep-*.whl]

Each import runs in a process of its own, in turn; medians. The first round, which may compile bytecode, is not counted.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

IMPORTS = {
    "numpy": "import numpy",
    "numpy, fourstep": "import numpy, fourstep",
    "numpy, fourstep; Arena, Adam": "import numpy, fourstep; fourstep.Arena, fourstep.optim.Adam",
}
#: What the project allows itself.
MOST_MS = 60
MOST_MB = 8


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=15, help="processes for each import (15)")
    parser.add_argument("--wheel", type=Path, help="a wheel whose size to print too")
    options = parser.parse_args(argv)
    if options.runs < 1:
        parser.error(f"--runs: got {options.runs}, need at least 1")
    if options.wheel is not None and not options.wheel.is_file():
        parser.error(f"--wheel: {options.wheel} is not a file")

    times: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for turn in range(options.runs + 1):
        for name, code in IMPORTS.items():
            took = seconds(code)
            if turn > 0:
                times[name].append(took)
    base = median(times["numpy"])
    print(f"{'import':30}  {'ms':>7}  over NumPy's (at most {MOST_MS})")
    for name, samples in times.items():
        over = "" if name == "numpy" else f"{1e3 * (median(samples) - base):+.1f}"
        print(f"{name:30}  {1e3 * median(samples):7.1f}  {over}")
    if options.wheel is not None:
        size = options.wheel.stat().st_size
        print(f"{options.wheel.name}: {size / 1e6:.2f} MB (at most {MOST_MB})")
    return 0


def seconds(code: str) -> float:
    """Time a statement in a new interpreter, from its first line on."""
    timed = f"from time import perf_counter as now; start = now(); {code}; print(now() - start)"
    done = subprocess.run(
        [sys.executable, "-c", timed], capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{code}: {done.stderr.strip().splitlines()[-1]}")
    return float(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
