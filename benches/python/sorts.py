"""One `numpy.sort` of the scores: what the metrics are measured in.

NumPy takes the widest instructions that the CPU has, and on some CPUs the narrower ones are the faster. Which it takes is
settled when it is imported, so a second process, whose NumPy was told to leave AVX-512 alone, sorts the same scores
on request. It waits for its turn like any rival; asking and answering takes some 20 µs of its time. The rival to
look at is the faster of the two.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from functools import lru_cache, partial

import numpy as np

from clicks import clicks
from harness import Array, Ready, Rival, module


def sorts(rows: int, *, both: bool = True) -> Iterator[Rival]:
    """Yield `numpy.sort` of the usual scores, as NumPy comes and, where that is another thing, without AVX-512."""
    expected = partial(_expected, rows)
    yield Rival("numpy.sort", partial(_here, rows), expected, bytes=8 * rows)
    if both and wide_features():
        yield Rival("numpy.sort, no AVX-512", partial(_there, rows), expected, bytes=8 * rows)


def wide_features() -> list[str]:
    """Return what NumPy calls its AVX-512 paths, of those that run here."""
    umath = module("numpy._core._multiarray_umath")  # where NumPy says so, since 2.0
    found: list[str] = umath.__cpu_dispatch__
    return [x for x in found if x.startswith(("AVX512", "X86_V4")) and umath.__cpu_features__[x]]


@lru_cache(maxsize=1)
def _expected(rows: int) -> int:
    """By another algorithm, which has no wide path for float32."""
    return _checksum(np.sort(clicks("f32", rows)[1], kind="stable"))


def _checksum(ordered: Array) -> int:
    return zlib.crc32(ordered.data)


def _here(rows: int) -> Ready:
    score = clicks("f32", rows)[1]
    last = [score]

    def sort() -> None:
        last[0] = np.sort(score)

    return Ready(sort, lambda: _checksum(last[0]))


def _there(rows: int) -> Ready:
    _ask("load", rows)
    return Ready(partial(_ask, "sort", rows), partial(_ask, "checksum", rows))


def _ask(what: str, rows: int) -> int:
    """Return the helper's answer, which is a number."""
    helper = _helper()
    assert helper.stdin is not None
    assert helper.stdout is not None
    helper.stdin.write(f"{what} {rows}\n")
    helper.stdin.flush()
    answer = helper.stdout.readline()
    if not answer:
        raise RuntimeError(
            f"{__file__}: the process that sorts without AVX-512 ended, exit code {helper.wait()}"
        )
    return int(answer)


@lru_cache(maxsize=1)
def _helper() -> subprocess.Popen[str]:
    helper = subprocess.Popen(
        [sys.executable, __file__],
        env=os.environ | {"NPY_DISABLE_CPU_FEATURES": " ".join(wide_features())},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(helper.communicate)  # its input ends, and so does it
    return helper


def main() -> None:
    """Answer on standard output what is asked on standard input, a line each."""
    if wide_features():
        raise RuntimeError(f"NPY_DISABLE_CPU_FEATURES: need NumPy without {', '.join(wide_features())}")
    ordered = np.empty(0, np.float32)
    for line in sys.stdin:
        what, rows = line.split()
        score = clicks("f32", int(rows))[1]
        if what == "sort":
            ordered = np.sort(score)
        print(_checksum(ordered) if what == "checksum" else len(score), flush=True)


if __name__ == "__main__":
    main()
