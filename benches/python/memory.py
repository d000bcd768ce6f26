"""How much memory `auc` takes beside its input, at the peak: resident bytes, in a process of its own.

python benches/python/memory.py 100000000        # rows; prints bytes

Where the kernel lets a process reset its own high-water mark (Linux) it is reset after the input was made; else what
making the input took may hide it, and this is a lower bound.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

from clicks import clicks

_MARK = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def extra_bytes(rows: int, threads: int) -> int:
    """Run this file."""
    command = [sys.executable, __file__, str(rows), str(threads)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _peak() -> int:
    """Return the most bytes that were resident since the mark was reset."""
    if _STATUS.exists():
        lines = dict(line.split(":", 1) for line in _STATUS.read_text(encoding="utf-8").splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _reset() -> None:
    if _MARK.exists():
        _MARK.write_text("5", encoding="ascii")  # the high-water mark is what is resident now


def main(rows: int, threads: int = 2) -> None:
    """Print the peak of a call over what was resident before it."""
    import fourstep as fs

    y, score = clicks("f32", rows)
    fs.metrics.auc(y[:1000], score[:1000], threads=threads)  # what is loaded once is not the call's
    _reset()
    before = _peak()
    fs.metrics.auc(y, score, threads=threads)
    print(_peak() - before)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
