"""The compiled kernels: private. Stubs are kept by hand and checked by stubtest."""

from typing import TypeAlias

Exec: TypeAlias = tuple[str | None, int | None, int | None, int | None]

# exec.rs
def runtime() -> tuple[str, str, list[str], int, str, str]: ...
def set_num_threads(n: int) -> None: ...
