"""What the compiler made of the kernels: full-width vectors at each level, and no fused multiply-add anywhere.

LLVM promises neither, so the built extension is read.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess

import pytest

from fourstep import _core


@pytest.fixture(scope="module")
def code() -> str:
    if platform.machine() != "x86_64":
        pytest.skip("the levels above the baseline are x86-64's")
    objdump = shutil.which("objdump")
    if objdump is None:
        pytest.skip("objdump (binutils) is not installed: the machine code was not read")
    done = subprocess.run(
        [objdump, "-d", _core.__file__], timeout=60, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize("instruction", ["sqrtps", "sqrtpd", "divps", "divpd", "mulps", "mulpd"])
@pytest.mark.parametrize(("level", "register"), [("v4", "zmm"), ("v3", "ymm"), ("baseline", "xmm")])
def test_kernels_are_vectorised_at_full_width(code: str, instruction: str, level: str, register: str) -> None:
    found = re.findall(rf"\bv?{instruction}\b.*%{register}", code)
    assert len(found) >= 8, f"{level}: {len(found)} {instruction} of {register}"


def test_nothing_is_fused(code: str) -> None:
    """A fused multiply-add rounds once where NumPy rounds twice: other bits."""
    assert re.findall(r"\bvfn?m(?:add|sub)\w*", code) == []
