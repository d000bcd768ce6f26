"""Atomic writes: the old file or the new one, whatever happens, and nothing else left in the folder."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest

from fourstep.atomic import atomic_file
from fourstep.state import load, save

both = pytest.mark.parametrize("suffix", [".npz", ".safetensors"])


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def write(path: Path, content: str) -> None:
    with atomic_file(path, text=True) as file:
        file.write(content)


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process that runs `code`."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


# --- What a write leaves


def test_bytes_and_text(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "b") as file:
        file.write(b"\0\r\n")
    with atomic_file(str(tmp_path / "t"), text=True) as file:
        file.write("é\n")
    assert (tmp_path / "b").read_bytes() == b"\0\r\n"
    assert (tmp_path / "t").read_bytes() == "é\n".encode()


def test_nothing_is_visible_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write(path, "old")
    with atomic_file(path, text=True) as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
        (other,) = set(names(tmp_path)) - {"f"}
        assert other.startswith(f".f.{os.getpid()}-")
    assert path.read_text() == "new"
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError])
def test_an_error_leaves_the_old_file_alone(tmp_path: Path, failure: type[BaseException]) -> None:
    path = tmp_path / "f"
    write(path, "old")

    def fail() -> None:
        with atomic_file(path, text=True) as file:
            file.write("half")
            raise failure

    with pytest.raises(failure):
        fail()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["f"]


def test_someone_elses_error_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, atomic_file(tmp_path / "f"):
        Path("nowhere").read_text()
    assert caught.value.filename == "nowhere"


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_any_new_file(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        write(tmp_path / "f", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o666 & ~mask


def test_permissions_of_a_file_replaced_stay(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write(path, "secret")
    path.chmod(0o600)
    write(path, "secret still")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_symbolic_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    target, link, dangling = tmp_path / "store" / "f", tmp_path / "link", tmp_path / "dangling"
    write(target, "old")
    link.symlink_to(target)
    dangling.symlink_to(tmp_path / "store" / "g")
    write(link, "new")
    write(dangling, "new")
    assert link.is_symlink()
    assert target.read_text() == (tmp_path / "store" / "g").read_text() == "new"
    assert names(tmp_path) == ["dangling", "link", "store"]


def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("f"), "x")
    assert names(tmp_path) == ["f"]


def test_the_disk_has_the_bytes_before_the_name_and_the_name_before_we_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync, replace = os.fsync, os.replace
    events: list[str] = []

    def recorded_sync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        events.append("folder" if stat.S_ISDIR(status.st_mode) else f"{status.st_size} bytes")
        sync(descriptor)

    def recorded_replace(source: str, target: str) -> None:
        events.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", recorded_sync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    write(tmp_path / "f", "12345")
    assert events == ["5 bytes", "rename", "folder"]


# --- Errors of the system name the file, in one line


def check(error: OSError, path: Path, number: int) -> None:
    assert error.errno == number
    reason = f"not written, any earlier version is untouched: {os.strerror(number)}"
    assert str(error) == f"[Errno {number}] {reason}: '{path}'"


def test_a_missing_folder_and_a_folder_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        write(tmp_path / "no" / "f", "x")
    check(missing.value, tmp_path / "no" / "f", errno.ENOENT)
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as folder:
        write(tmp_path / "folder", "x")
    check(folder.value, tmp_path / "folder", errno.EISDIR)
    os.mkfifo(tmp_path / "pipe")  # or /dev/null: a device must not turn into a file
    with pytest.raises(OSError, match="untouched: it is not a regular file: "):
        write(tmp_path / "pipe", "x")
    assert names(tmp_path) == ["folder", "pipe"]


@both
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(
    tmp_path: Path, suffix: str, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"s{suffix}"
    save(path, "old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(OSError, match="not written") as caught:
            save(path, "new")
    check(caught.value, path, errno.ENOSPC)
    assert load(path) == "old"
    assert names(tmp_path) == [path.name]


@both
@pytest.mark.parametrize("limit", [0, 1, 100, 5000, 100_000])
def test_a_disk_that_fills_up_on_the_way(tmp_path: Path, suffix: str, limit: int) -> None:
    """A limit on the size of files: the real write fails after `limit` bytes, wherever that is."""
    path = tmp_path / f"s{suffix}"
    save(path, "old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(OSError, match="not written") as caught:
            save(path, {"small": np.zeros(10), "large": np.random.default_rng(0).random(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    check(caught.value, path, errno.EFBIG)
    assert load(path) == "old"
    assert names(tmp_path) == [path.name]


# --- Killed writers

SAVE_FOR_EVER = """
import itertools, sys
import numpy as np
from fourstep.state import save
for i in itertools.count():
    save(sys.argv[1], {"i": i, "first": np.full(50_000, i), "last": np.full(50_000, i)})
"""


@both
def test_a_kill_at_any_instant_leaves_one_of_the_states(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"s{suffix}"
    chance = random.Random(suffix)
    leftovers = 0
    for _ in range(8):
        writer = python(SAVE_FOR_EVER, path)
        known = path.stat().st_mtime_ns if path.exists() else 0
        deadline = time.monotonic() + 60
        while not path.exists() or path.stat().st_mtime_ns == known:  # until its first save is done
            assert writer.poll() is None, writer.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.03))
        writer.kill()
        writer.communicate(timeout=60)
        state = load(path)
        assert state["first"].tolist() == state["last"].tolist() == [state["i"]] * 50_000
        assert len(names(tmp_path)) <= 2, "what killed writers leave is not collected"
        leftovers += len(names(tmp_path)) - 1
    assert leftovers, "no kill met a writer at work: this test has shown nothing"
    save(path, "alive")
    assert names(tmp_path) == [path.name]


def test_leftovers_of_the_dead_go_and_all_else_stays(tmp_path: Path) -> None:
    mine = f".f.{os.getpid()}-00000000.tmp"  # of an earlier process that had our number
    dead = [".f.1-0123abcd.tmp", ".f.999999999-0123abcd.tmp", mine]
    others = [
        ".f.tmp",
        ".f.1-0123abcd.tmp.txt",
        ".f.x-0123abcd.tmp",
        ".g.1-0123abcd.tmp",
        ".fX1-0123abcd.tmp",
        "f.1",
    ]
    for name in dead + others:
        (tmp_path / name).write_text("?")
    write(tmp_path / "f", "x")
    assert names(tmp_path) == sorted([*others, "f"])


def test_a_living_writer_is_left_in_peace(tmp_path: Path) -> None:
    """Writers of one target, in one process and in another: each is whole, the last to end stays."""
    path = tmp_path / "f"
    with atomic_file(path, text=True) as file:
        file.write("slow")
        write(path, "quick")
        code = "import sys; from fourstep.state import save; save(sys.argv[1], 1)"
        (tmp_path / "other.npz").symlink_to(path)  # the same target, under a name that save accepts
        other = python(code, tmp_path / "other.npz")
        assert other.wait(60) == 0, other.communicate()
        other.communicate()
        assert path.read_bytes().startswith(b"PK")
        assert len(names(tmp_path)) == 3
    assert path.read_text() == "slow"
    assert names(tmp_path) == ["f", "other.npz"]


def test_a_file_taken_before_its_lock_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between creation and lock, another writer may take the file for a leftover."""
    lock, calls = fcntl.flock, 0

    def late(file: Any, operation: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            os.unlink(file.name)
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    write(tmp_path / "f", "x")
    assert calls == 2
    assert (tmp_path / "f").read_text() == "x"
    assert names(tmp_path) == ["f"]


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    (tmp_path / ".f.1-0123abcd.tmp").touch()
    write(tmp_path / "f", "x")
    assert names(tmp_path) == [".f.1-0123abcd.tmp", "f"]  # whether its writer lives cannot be known: it stays


@both
def test_many_threads_save_to_one_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"s{suffix}"
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for i in range(10):
                save(path, {"who": number, "w": np.full(1000, number), "i": i})
                state = load(path)
                assert (state["w"] == state["who"]).all()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert errors == []
    assert names(tmp_path) == [path.name]


def test_a_name_that_was_taken_again_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A leftover is opened; before its lock is had, another removes it and its writer makes the name anew."""
    leftover = tmp_path / ".f.1-0123abcd.tmp"
    leftover.write_text("old")
    flock = fcntl.flock

    def late(file: IO[Any], how: int) -> None:
        if how & fcntl.LOCK_NB and leftover.read_text() == "old":
            leftover.unlink()
            leftover.write_text("new")
        flock(file, how)

    monkeypatch.setattr("fourstep.atomic.fcntl.flock", late)
    with atomic_file(tmp_path / "f", text=True) as file:
        file.write("x")
    assert leftover.read_text() == "new"
