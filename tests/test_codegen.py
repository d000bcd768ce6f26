"""What the compiler made of the kernels: full-width vectors at each level, and no fused multiply-add anywhere.

LLVM promises neither, so the built extension is read.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections import Counter

import pytest

from fourstep import _core


@pytest.fixture(scope="module")
def code() -> Counter[tuple[str, str]]:
    """Count the instructions by their name and the kind of register: read once, as there are millions."""
    if platform.machine() != "x86_64":
        pytest.skip("the levels above the baseline are x86-64's")
    objdump = shutil.which("objdump")
    if objdump is None:
        pytest.skip("objdump (binutils) is not installed: the machine code was not read")
    done = subprocess.run(
        [objdump, "-d", _core.__file__], timeout=60, capture_output=True, text=True, check=True
    )
    # "  4a1c:\t62 f1 7c 48 59 c8    \tvmulps %zmm0,%zmm0,%zmm1"
    lines = (line.rpartition("\t")[2].partition(" ") for line in done.stdout.splitlines() if "\t" in line)
    return Counter((name, _register(operands)) for name, _, operands in lines)


def _register(operands: str) -> str:
    return next((kind for kind in ("zmm", "ymm", "xmm") if f"%{kind}" in operands), "")


@pytest.mark.parametrize("instruction", ["sqrtps", "sqrtpd", "divps", "divpd", "mulps", "mulpd"])
@pytest.mark.parametrize(("level", "register"), [("v4", "zmm"), ("v3", "ymm"), ("baseline", "xmm")])
def test_kernels_are_vectorised_at_full_width(
    code: Counter[tuple[str, str]], instruction: str, level: str, register: str
) -> None:
    found = sum(code[name, register] for name in (instruction, f"v{instruction}"))
    assert found >= 8, f"{level}: {found} {instruction} of {register}"


def test_nothing_is_fused(code: Counter[tuple[str, str]]) -> None:
    """A fused multiply-add rounds once where NumPy rounds twice: other bits."""
    assert {name for name, _ in code if re.match(r"vfn?m(?:add|sub)", name)} == set()
