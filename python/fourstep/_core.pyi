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

# norm.rs
def batch_norm_forward(
    x: Array,
    out: Array,
    affine: tuple[Array | None, Array | None],
    running: tuple[Array, Array, float | None] | None,
    saved: tuple[Array, Array],
    eps: float,
    exec: Exec,
) -> None: ...
def batch_norm_backward(
    inputs: tuple[Array, Array],
    dx: Array,
    weight: Array | None,
    gradients: tuple[Array | None, Array | None],
    saved: tuple[Array, Array],
    frozen: bool,
    exec: Exec,
) -> None: ...
def add_column_sums(x: Array, into: Array, exec: Exec) -> None: ...
def dropout(x: Array, out: Array, p: float, seed: int, step: int, exec: Exec) -> None: ...
def embedding_forward(table: Array, ids: Array, sizes: list[int], out: Array, exec: Exec) -> None: ...
def embedding_backward(dy: Array, ids: Array, sizes: list[int], gradient: Array, exec: Exec) -> None: ...
