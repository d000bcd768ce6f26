"""Time all rivals of each case in turn, in this process; print a table; append it to ``benches/record/``.

    python benches/python/compare.py                            # everything: about an hour
    python benches/python/compare.py --only 'adam_f32/1x16Mi/*'
    python benches/python/compare.py --only 'auc_*' --large     # also what takes GBs of memory
    python benches/python/compare.py --small --rounds 2         # whether everything runs; nothing is recorded

Columns: the median of the rounds and its spread (the distance of the quartiles), ns an element, GB/s of the bytes that
one call must move, their share of the limit (the faster one of memcpy and the plain loop), and the time over ours.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import bench_activations
import bench_auc
import bench_compile
import bench_gauc
import bench_intervals
import bench_norm
import bench_optim
import bench_pass
import bench_report
import bench_rows
import bench_sklearn
import fourstep as fs
from harness import Case, Timing, WrongAnswerError, time_in_turn

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "benches" / "record"
OPTIMIZERS = (bench_optim, bench_pass, bench_compile)
METRICS = (bench_auc, bench_gauc, bench_report, bench_intervals, bench_sklearn)
PARTS = (*OPTIMIZERS, *METRICS, bench_norm, bench_activations, bench_rows)
LIBRARIES = ("numpy", "torch", "optax", "scikit-learn", "polars", "pandas", "scipy", "numba")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the cases that were asked for."""
    options = _options(argv)
    cases = [case for part in PARTS for case in part.cases(small=options.small)]
    cases = [case for case in cases if any(fnmatch(case.id, pattern) for pattern in options.only)]
    if options.list:
        print("\n".join(f"{case.id}{' (--large)' if case.large else ''}" for case in cases))
        return 0
    large = [case.id for case in cases if case.large and not options.large]
    cases = [case for case in cases if case.id not in large]
    if large:
        print(f"left out without --large: {', '.join(large)}", file=sys.stderr)
    if large and not cases:
        return 0
    if not cases:
        print(
            f"--only: no case is called {' or '.join(options.only)}; --list prints them all", file=sys.stderr
        )
        return 2
    print(fs.runtime())
    print(f"{_model()}, load average {os.getloadavg()[0]:.2f}, huge pages {_huge_pages()}")
    path = None if options.small or options.no_record else _record_path()
    wrong = []
    for case in cases:
        print(f"\n{case.id}")
        for rival in case.rivals:
            if rival.missing:
                print(f"  {rival.missing}")
        try:
            rows = table(case, time_in_turn(case, rounds=options.rounds, least=options.least / 1000))
        except WrongAnswerError as error:
            wrong.append(str(error))
            print(f"  wrong answer: {error}")
            continue
        _print(rows)
        if path is not None:
            _append(path, case, rows, options.rounds)
    if path is not None:
        print(f"\nappended to {path.parent.relative_to(ROOT)}")
    print(*wrong, sep="\n", file=sys.stderr, end="\n" if wrong else "")
    return 1 if wrong else 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--only", action="append", metavar="PATTERN", help="ids to run, as a shell pattern; repeatable"
    )
    parser.add_argument("--rounds", type=int, default=15, help="interleaved rounds (15)")
    parser.add_argument(
        "--least", type=float, default=10.0, metavar="MS", help="milliseconds of one sample (10)"
    )
    parser.add_argument(
        "--small", action="store_true", help="few elements: only whether everything runs, and is right"
    )
    parser.add_argument("--large", action="store_true", help="also the cases that take GBs of memory")
    parser.add_argument("--no-record", action="store_true", help="print only")
    parser.add_argument("--list", action="store_true", help="print the ids")
    options = parser.parse_args(argv)
    if options.rounds < 1:
        parser.error(f"--rounds: got {options.rounds}, need at least 1")
    options.only = options.only or ["*"]
    return options


Row = dict[str, str | float | None]


def table(case: Case, timings: Iterable[Timing]) -> list[Row]:
    """Return a row for each rival and limit."""
    timings = list(timings)
    speeds = [(timing.rival.bytes or case.bytes) / timing.seconds / 1e9 for timing in timings]
    limits = [speed for timing, speed in zip(timings, speeds, strict=True) if timing.rival in case.limits]
    limit = max(limits, default=None)
    ours = timings[0].seconds
    return [
        {
            "rival": timing.rival.name,
            "ms": timing.seconds * 1e3,
            "spread": timing.spread,
            "ns_per_element": timing.seconds * 1e9 / case.elements,
            "gb_per_s": speed,
            "share_of_limit": None if limit is None else speed / limit,
            "over_ours": timing.seconds / ours,
        }
        for timing, speed in zip(timings, speeds, strict=True)
    ]


_FORMATS = {
    "ms": "{:.3f}",
    "spread": "±{:.0%}",
    "ns_per_element": "{:.3f}",
    "gb_per_s": "{:.1f}",
    "share_of_limit": "{:.0%}",
    "over_ours": "{:.2f}",
}
_HEADS = ("rival", "ms", "spread", "ns/element", "GB/s", "of limit", "over ours")


def _print(rows: Sequence[Row]) -> None:
    cells = [_HEADS, *([_cell(key, value) for key, value in row.items()] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(_HEADS))]
    for name, *numbers in cells:
        right = (cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True))
        print("  " + "  ".join([name.ljust(widths[0]), *right]))


def _cell(key: str, value: str | float | None) -> str:
    return "" if value is None else _FORMATS.get(key, "{}").format(value)


def _append(path: Path, case: Case, rows: Sequence[Row], rounds: int) -> None:
    """Add rows to today's record; a case at a time, so that a run that is stopped keeps what it measured."""
    now = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "fourstep": fs.runtime().version,
        **{name: _version(name) for name in LIBRARIES},
        "load": f"{os.getloadavg()[0]:.2f}",
        "case": case.id,
        "threads": case.threads,
        "rounds": rounds,
    }
    columns = [*now, *rows[0]]
    path = _of_columns(path, columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        if new:
            writer.writeheader()
        for row in rows:
            short = {key: f"{x:.4g}" if isinstance(x, float) else x for key, x in row.items()}
            writer.writerow({**now, **short})


def _of_columns(path: Path, columns: Sequence[str]) -> Path:
    """Return the file, or, where it has other columns, one beside it: ``2026-11-29-2.csv``."""
    start, number = path, 1
    while path.exists() and path.read_text(encoding="utf-8").partition("\n")[0].strip() != ",".join(columns):
        number += 1
        path = start.with_stem(f"{start.stem}-{number}")
    return path


def _record_path() -> Path:
    slug = re.sub(r"[^a-z0-9]+", "-", _model().lower()).strip("-")
    return RECORD / f"{slug}-{fs.runtime().level}" / f"{datetime.now(UTC).date()}.csv"


def _model() -> str:
    """Return the CPU's name, as the kernel has it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _huge_pages() -> str:
    try:
        text = Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text(encoding="utf-8")
    except OSError:
        return "unknown"
    found = re.search(r"\[(\w+)\]", text)
    return found[1] if found else "unknown"


def _commit() -> str:
    """Return the commit of this checkout, with a plus if it was changed since; nothing outside a checkout."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(git, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
