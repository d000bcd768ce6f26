"""A fork after the first use of the pool neither hangs nor changes a bit. Each scenario has a process and a limit."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

PREPARE = """
    import hashlib, os, sys
    import numpy as np
    import fourstep as fs
    from fourstep._runtime import override

    def run(threads):
        w = np.linspace(-1, 1, 100_003, dtype=np.float32)
        optimizer = fs.optim.Adam([w], lr=0.01, clip_norm=1.0)
        with override(threads=threads, chunk=64, serial_below=0):
            for t in range(5):
                optimizer.step([np.cos(np.arange(w.size, dtype=np.float32) + t)])
        return hashlib.sha256(w.tobytes()).hexdigest()

    def child(work):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = 0 if work() == want else 3
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    want = run(3)
"""

SCENARIOS = {
    "the child uses the same pool": "assert child(lambda: run(3)) == 0",
    "the child uses another thread count": "assert child(lambda: run(2)) == 0",
    "a grandchild": "assert child(lambda: want if child(lambda: run(3)) == 0 else None) == 0",
    "the parent goes on after the fork": (
        "assert child(lambda: run(3)) == 0; assert run(3) == want; assert run(7) == want"
    ),
    "ten children one after the other": "assert [child(lambda: run(3)) for _ in range(10)] == [0] * 10",
    "while another thread is inside a step: its arrays are nobody's in the child, and another arena steps": (
        "import threading\n"
        "w = np.zeros(1 << 24, np.float32); g = np.ones_like(w); busy = fs.optim.Adam([w])\n"
        "stop = threading.Event()\n"
        "def work():\n"
        "    while not stop.is_set(): busy.step([g])\n"
        "thread = threading.Thread(target=work); thread.start()\n"
        "def inherits():\n"
        "    busy.step([g])\n"
        "    return run(3)\n"
        "try: assert [child(inherits) for _ in range(5)] == [0] * 5\n"
        "finally: stop.set(); thread.join()"
    ),
    "multiprocessing by fork": (
        "import multiprocessing as mp\n"
        "with mp.get_context('fork').Pool(3) as pool: assert pool.map(run, [1, 2, 3, 7]) == [want] * 4"
    ),
}


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system does not fork")
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_fork(scenario: str) -> None:
    code = textwrap.dedent(PREPARE) + "\n" + SCENARIOS[scenario]
    done = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
