"""The compiled kernels: private. Stubs are kept by hand and checked by stubtest."""

from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]
Exec: TypeAlias = tuple[str | None, int | None, int | None, int | None]

# exec.rs
def runtime() -> tuple[str, str, list[str], int, str, str]: ...
def set_num_threads(n: int) -> None: ...

# optim.rs
def step(
    buffers: list[tuple[str, Array, Array, list[Array]]],
    groups: list[tuple[str, dict[str, Any], list[int], list[tuple[int, int, int]]]],
    clip: tuple[float, list[tuple[int, int, int]]] | None,
    exec: Exec,
) -> float | None: ...
def power(base: float, exponent: int) -> float: ...
def pow(x: float, y: float) -> float: ...
def nadam_mu_product(beta1: float, momentum_decay: float, t: int, mu_product: float) -> float: ...
