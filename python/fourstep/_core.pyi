"""The compiled kernels: private. Stubs are kept by hand and checked by stubtest."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = np.ndarray[Any, Any]
Exec: TypeAlias = tuple[str | None, int | None, int | None, int | None]
#: What `elementary` computes.
Function: TypeAlias = Literal[
    "exp",
    "log",
    "log1p",
    "softplus",
    "sigmoid",
    "dsigmoid",
    "dtanh",
    "elu",
    "silu",
    "dsilu",
    "gelu",
    "dgelu",
    "gelu_tanh",
    "dgelu_tanh",
]

__all__ = [
    "add_column_sums",
    "batch_norm_backward",
    "batch_norm_evaluate",
    "batch_norm_moments",
    "batch_norm_train",
    "dropout",
    "elementary",
    "embedding_backward",
    "embedding_forward",
    "identical",
    "layouts",
    "metrics_auc",
    "metrics_bootstrap",
    "metrics_buckets",
    "metrics_confusion",
    "metrics_distance",
    "metrics_draws",
    "metrics_gauc",
    "metrics_labels",
    "metrics_losses",
    "metrics_order",
    "metrics_placement_products",
    "metrics_placements",
    "metrics_precisions",
    "metrics_roc",
    "metrics_steps",
    "nadam_mu_product",
    "pow",
    "power",
    "probe",
    "rows_squares",
    "runtime",
    "set_num_threads",
    "step",
    "step_at",
    "step_packed",
    "step_rows",
]

# exec.rs
def runtime() -> tuple[str, str, list[str], int, str, str]: ...
def set_num_threads(n: int) -> None: ...

# elementary.rs
def elementary(
    function: Function,
    x: NDArray[np.floating[Any]],
    out: NDArray[np.floating[Any]],
    exec: Exec,
) -> None: ...

# metrics.rs
def metrics_labels(y: NDArray[Any], exec: Exec) -> NDArray[np.uint8] | None: ...
def metrics_auc(
    y: NDArray[np.uint8],
    score: NDArray[Any],
    sample_weight: NDArray[np.float64] | None,
    nan: str,
    exec: Exec,
) -> tuple[float | None, int, int, tuple[int, int, int], tuple[int, int]]: ...
def metrics_gauc(
    y: NDArray[np.uint8],
    score: NDArray[Any],
    groups: NDArray[np.int64] | NDArray[np.uint64],
    offsets: bool,
    sample_weight: NDArray[np.float64] | None,
    group_weight: str,
    one_class: str,
    min_rows: int,
    nan: str,
    per_group: bool,
    exec: Exec,
) -> tuple[
    float | None,
    list[tuple[int, int, int]],
    int | None,
    tuple[int, int, int],
    tuple[int, int],
    tuple[
        NDArray[np.int64] | NDArray[np.uint64] | None,
        NDArray[np.float64],
        NDArray[np.uint64],
        NDArray[np.uint64],
        NDArray[np.bool_],
    ]
    | None,
]: ...
def metrics_roc(
    y: NDArray[np.uint8],
    score: NDArray[Any],
    sample_weight: NDArray[np.float64] | None,
    corners: bool,
    exec: Exec,
) -> tuple[NDArray[Any], NDArray[np.uint64], NDArray[np.uint64], int, int]: ...
def metrics_confusion(
    y: NDArray[np.uint8],
    score: NDArray[Any],
    sample_weight: NDArray[np.float64] | None,
    threshold: float,
    exec: Exec,
) -> tuple[tuple[int, int, int, int], tuple[float, float, float, float]]: ...
def metrics_losses(
    y: NDArray[np.uint8],
    p: NDArray[np.float32] | NDArray[np.float64],
    sample_weight: NDArray[np.float64] | None,
    losses: Sequence[tuple[str, float]],
    exec: Exec,
) -> list[tuple[float, float | None, float | None, int, int, int, int | None]]: ...
def metrics_distance(
    tp: NDArray[np.uint64], above: NDArray[np.uint64], fp: NDArray[np.uint64], positives: int, negatives: int
) -> int: ...
def metrics_precisions(tp: NDArray[np.uint64], fp: NDArray[np.uint64], shift: int) -> float: ...

_Steps: TypeAlias = tuple[
    NDArray[Any],
    NDArray[np.uint64],
    NDArray[np.uint64],
    NDArray[np.uint64],
    int,
    int,
    tuple[int, int],
    tuple[int, int, int, int] | None,
]

def metrics_steps(
    y: NDArray[np.uint8],
    score: NDArray[Any],
    sample_weight: NDArray[np.float64] | None,
    nan: str,
    exec: Exec,
) -> _Steps: ...
def metrics_order(y: NDArray[np.uint8], score: NDArray[Any], exec: Exec) -> tuple[NDArray[Any], _Steps]: ...
def metrics_buckets(
    p: NDArray[Any], thresholds: NDArray[Any], tp: NDArray[np.uint64], span: float, bound: float
) -> tuple[NDArray[np.float64], NDArray[np.uint64]]: ...
def metrics_placements(
    y: NDArray[np.uint8], score: NDArray[Any], nan: str, exec: Exec
) -> NDArray[np.uint64]: ...
def metrics_placement_products(
    y: NDArray[np.uint8], a: NDArray[np.uint64], b: NDArray[np.uint64], exec: Exec
) -> tuple[int, int]: ...
def metrics_bootstrap(
    y: NDArray[np.uint8],
    score: NDArray[Any],
    unit_of: NDArray[np.uint32] | None,
    units: int,
    nan: str,
    replicates: int,
    seed: int,
    exec: Exec,
) -> NDArray[np.float64]: ...
def metrics_draws(seed: int, replicate: int, places: int) -> NDArray[np.int64]: ...

# optim.rs
_Range = tuple[int, int, int, int, int]
_State = Array | tuple[Array, Array, bool]

_Buffer = tuple[str, Array, Array, Sequence[_State], Array | None, Array | None]
_Group = tuple[str, dict[str, Any], list[int], list[_Range]]

def step(
    buffers: Sequence[_Buffer],
    groups: list[_Group],
    clips: list[tuple[float, list[_Range], list[int], list[tuple[int, float, int]]]],
    options: dict[str, Any],
    exec: Exec,
) -> tuple[list[float], list[float], int, int | None, bool, list[list[list[float]]]]: ...
def probe(
    buffer: _Buffer,
    group: _Group,
    coefficient: float,
    options: dict[str, Any],
    seen: tuple[Array, Array],
    exec: Exec,
) -> None: ...
def power(base: float, exponent: int) -> float: ...
def pow(x: float, y: float) -> float: ...
def nadam_mu_product(beta1: float, momentum_decay: float, t: int, mu_product: float) -> float: ...

# rows.rs
_Named = tuple[str, Array, Array]

def rows_squares(
    named: _Named,
    table: Array,
    duplicates: str,
    measure: bool,
    finite: bool,
    exec: Exec,
) -> tuple[float, int]: ...
def step_rows(
    tables: Sequence[
        tuple[_Named, tuple[Array, Sequence[Array], Array | None, Array | None], tuple[str, dict[str, Any]]]
    ],
    duplicates: str,
    options: dict[str, Any],
    exec: Exec,
) -> list[int]: ...

# tensors.rs
def step_at(
    api: Any,
    groups: list[
        tuple[
            str,
            dict[str, Any],
            tuple[tuple[str, ...], tuple[str, ...]],
            tuple[list[Any], list[Any] | None],
            list[dict[str, Any]],
            list[int],
            bool,
        ]
    ],
    exec: Exec,
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]: ...
def step_packed(
    api: Any,
    groups: list[
        tuple[
            str,
            dict[str, Any],
            list[Any],
            tuple[list[Any], list[Any]],
            tuple[NDArray[np.uint64], NDArray[np.uint64]],
            list[int],
            tuple[Any, Any, list[Any]] | None,
        ]
    ],
    exec: Exec,
) -> tuple[list[tuple[int, int]], list[tuple[int, int]], int]: ...
def layouts(api: Any, tensors: list[Any]) -> list[int]: ...
def identical(a: list[Any], b: list[Any]) -> bool: ...

# norm.rs
def batch_norm_train(
    arrays: tuple[Array | None, Array],
    shape: tuple[int, int, int],
    affine: tuple[Array | None, Array | None],
    running: tuple[Array, Array, Array, float, bool] | None,
    statistics: NDArray[np.float64],
    options: tuple[float, tuple[int, float], int],
    exec: Exec,
) -> tuple[bool, tuple[str, int, int, int, str] | None]: ...
def batch_norm_evaluate(
    arrays: tuple[Array | None, Array],
    shape: tuple[int, int, int],
    affine: tuple[Array | None, Array | None],
    running: tuple[Array, Array],
    statistics: NDArray[np.float64],
    options: tuple[float, tuple[int, float], bool],
    exec: Exec,
) -> tuple[str, int, int, int, str] | None: ...
def batch_norm_moments(
    x: Array, shape: tuple[int, int, int], mean: Array, squares: Array, exec: Exec
) -> None: ...
def batch_norm_backward(
    arrays: tuple[Array, Array, Array],
    shape: tuple[int, int, int],
    affine: tuple[Array | None, Array | None],
    gradients: tuple[Array | None, Array | None],
    statistics: NDArray[np.float64],
    options: tuple[tuple[int, float], bool],
    exec: Exec,
) -> None: ...
def add_column_sums(x: Array, into: Array, exec: Exec) -> None: ...
def dropout(x: Array, out: Array, p: float, seed: int, step: int, exec: Exec) -> None: ...
def embedding_forward(table: Array, ids: Array, sizes: list[int], out: Array, exec: Exec) -> None: ...
def embedding_backward(dy: Array, ids: Array, sizes: list[int], gradient: Array, exec: Exec) -> None: ...
