"""AUC and grouped AUC as a `torchmetrics.Metric`: exact over all batches and all processes.

>>> import torch
>>> from fourstep.torch.metrics import AUC, GAUC
>>> auc = AUC()
>>> for logits, clicked in (([2.0, -1.0], [1, 0]), ([30.0, 40.0], [0, 1])):
...     auc.update(torch.tensor(logits), torch.tensor(clicked))
>>> auc.compute()
tensor(0.7500, dtype=torch.float64)

Predictions are kept as they come, in their dtype, and ranked as they are: no sigmoid, no bins, no average of batches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
import torch.distributed as dist

try:
    from torchmetrics import Metric
    from torchmetrics.utilities.distributed import gather_all_tensors
except ModuleNotFoundError as error:
    if error.name != "torchmetrics":
        raise
    raise ModuleNotFoundError(
        "fourstep.torch.metrics: torchmetrics is not installed; pip install torchmetrics", name="torchmetrics"
    ) from None

from fourstep.metrics import Score, auc, gauc
from fourstep.metrics.feval import check_options

_IDS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
#: Arguments of `torchmetrics.Metric` itself.
_OWN = (
    "compute_on_cpu",
    "compute_with_cache",
    "dist_sync_fn",
    "dist_sync_on_step",
    "distributed_available_fn",
    "process_group",
    "sync_on_compute",
)


def gather(state: torch.Tensor, group: Any = None) -> list[torch.Tensor]:
    """Return every process's part of a state. One that has no rows takes the dtype of those that have."""
    parts: list[Any] = [None] * dist.get_world_size(group)
    dist.all_gather_object(parts, state.dtype if len(state) else None, group=group)
    dtypes = sorted({dtype for dtype in parts if dtype is not None}, key=str)
    if len(dtypes) > 1:
        raise TypeError(f"got {' and '.join(map(str, dtypes))} from different processes, need one dtype")
    gathered: list[torch.Tensor] = gather_all_tensors(state.to(dtypes[0]) if dtypes else state, group)
    return gathered


class _Ranking(Metric):
    """Rows in lists, one tensor a batch, and a metric of them all."""

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0
    # Names of their own: a MetricCollection lets metrics with states of equal names and values share one update, and
    # torchmetrics' AUROC, with its sigmoid, must not be given ours to share.
    _states: ClassVar[dict[str, str]] = {
        "preds": "exact_preds",
        "target": "exact_target",
        "sample_weight": "exact_weight",
    }
    _metric: ClassVar[Callable[..., Score]]

    def __init__(self, **options: Any) -> None:
        """Take the options of the metric, and torchmetrics' own."""
        own = {key: options.pop(key) for key in _OWN if key in options}
        super().__init__(**{"dist_sync_fn": gather, **own})
        check_options(type(self).__name__, type(self)._metric, options)
        self.options = options
        for state in self._states.values():
            self.add_state(state, default=[], dist_reduce_fx="cat")

    def compute(self) -> torch.Tensor:
        """Return the metric of all rows, a float64 tensor of shape ()."""
        self._refuse_dtypes(getattr(self, self._states["preds"]))
        rows = {name: _array(getattr(self, state)) for name, state in self._states.items()}
        y, score, weight = rows.pop("target"), rows.pop("preds"), rows.pop("sample_weight")
        value = type(self)._metric(
            y, score, sample_weight=weight if len(weight) else None, **rows, **self.options
        )
        return torch.tensor(float(value), dtype=torch.float64, device=self.device)

    def _refuse_dtypes(self, preds: Any) -> None:
        """Refuse predictions of several dtypes, which would tie once they are put together.

        Calling the metric sets its states aside, so that `update` sees one batch alone: hence once more in `compute`.
        """
        dtypes = list(dict.fromkeys(tensor.dtype for tensor in preds)) if isinstance(preds, list) else []
        if len(dtypes) > 1:
            raise TypeError(
                f"{type(self).__name__}: preds: got {dtypes[1]} after {dtypes[0]}, need one dtype"
            )

    def _keep(self, **batch: Any) -> None:
        who, preds = type(self).__name__, batch["preds"]
        for name, tensor in batch.items():
            if name == "sample_weight" and tensor is None:
                continue
            if not isinstance(tensor, torch.Tensor):
                raise TypeError(f"{who}: {name}: got {type(tensor).__name__}, need a tensor")
            if tensor.shape != preds.shape:
                raise ValueError(
                    f"{who}: {name}: got shape {tuple(tensor.shape)}, need {tuple(preds.shape)}, that of preds"
                )
        before, weights = getattr(self, self._states["preds"]), getattr(self, self._states["sample_weight"])
        self._refuse_dtypes([*before[-1:], preds])
        if before and bool(weights) != (batch["sample_weight"] is not None):
            got = "some, and earlier batches none" if not weights else "none, and earlier batches some"
            raise ValueError(f"{who}: sample_weight: got {got}; need it for all rows or for none")
        for name, tensor in batch.items():
            if tensor is not None:
                getattr(self, self._states[name]).append(tensor.detach().flatten())


class AUC(_Ranking):
    """`fourstep.metrics.auc` of all rows since the last reset, over all processes.

    Parameters
    ----------
    **options
        Of `fourstep.metrics.auc` (`max_fpr`, `min_tpr`, `pos_label`, `nan`, `on_undefined`, `threads`) and of
        `torchmetrics.Metric` (`process_group`, `sync_on_compute` …).

    Raises
    ------
    TypeError, ValueError
        From ``update``: no tensors, shapes that differ, preds of another dtype than before, weights for some batches
        only.
        From ``compute``: what `fourstep.metrics.auc` refuses in all the rows (no rows, NaN, labels, weights).

    Notes
    -----
    Tensors have any shape, all the same one. ``compute`` gives a float64 tensor of shape (), the same bits for any split
    into batches and processes. Memory grows with the rows, which are kept as they are given, detached; on a GPU they are
    copied to the CPU once, by ``compute``.

    Where others differ: torchmetrics' ``BinaryAUROC`` puts a batch with a value outside [0, 1] through a sigmoid, and is
    0 with one class; here that is nan with a warning, or `on_undefined`.

    Examples
    --------
    >>> import torch
    >>> from fourstep.torch.metrics import AUC
    >>> auc = AUC(nan="drop")
    >>> auc.update(torch.tensor([0.1, 0.4, float("nan")]), torch.tensor([0, 1, 1]))
    >>> auc.compute().item()
    1.0
    """

    _metric = staticmethod(auc)

    def update(
        self, preds: torch.Tensor, target: torch.Tensor, *, sample_weight: torch.Tensor | None = None
    ) -> None:
        """Keep a batch of rows."""
        self._keep(preds=preds, target=target, sample_weight=sample_weight)


class GAUC(_Ranking):
    """`fourstep.metrics.gauc` of all rows since the last reset: a group may lie in any batches, on any processes.

    Parameters
    ----------
    **options
        Of `fourstep.metrics.gauc` (`group_weight`, `one_class`, `min_rows`, `pos_label`, `nan` …) and of
        `torchmetrics.Metric`.

    Raises
    ------
    TypeError, ValueError
        As `AUC`; groups that are no integers.

    Notes
    -----
    As `AUC`. Ids are kept as int64. An average of the batches' gAUCs would be another number: groups are cut by batches.

    Examples
    --------
    >>> import torch
    >>> from fourstep.torch.metrics import GAUC
    >>> gauc = GAUC(group_weight="uniform")
    >>> gauc.update(torch.tensor([0.9, 0.2]), torch.tensor([1, 1]), groups=torch.tensor([7, 3]))
    >>> gauc.update(torch.tensor([0.1, 0.8]), torch.tensor([0, 0]), groups=torch.tensor([7, 3]))
    >>> gauc.compute().item()
    0.5
    """

    _metric = staticmethod(gauc)
    _states: ClassVar[dict[str, str]] = {**_Ranking._states, "groups": "exact_groups"}

    def update(
        self,
        preds: torch.Tensor,
        target: torch.Tensor,
        groups: torch.Tensor,
        *,
        sample_weight: torch.Tensor | None = None,
    ) -> None:
        """Keep a batch of rows and the ids of their groups."""
        if isinstance(groups, torch.Tensor):
            if groups.dtype not in _IDS:
                raise TypeError(f"GAUC: groups: got {groups.dtype}, need integers of at most 64 bits, signed")
            groups = groups.to(torch.int64)
        self._keep(preds=preds, target=target, groups=groups, sample_weight=sample_weight)


def _array(state: Any) -> Any:
    """Return a list of tensors, or what is gathered of it, as one array; without a copy where it is one tensor."""
    if isinstance(state, list):
        if not state:
            return np.empty(0)
        state = state[0] if len(state) == 1 else torch.cat(state)
    if state.is_floating_point() and state.dtype not in (torch.float16, torch.float32, torch.float64):
        state = state.float()  # bfloat16 and smaller, which NumPy does not have: exact
    return state.cpu().numpy()
