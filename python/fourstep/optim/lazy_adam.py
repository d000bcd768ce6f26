"""Lazy Adam: Adam for the rows of a table that a batch touched; the others keep parameters and moments as they are.

m_r ← β₁·m_r + (1 − β₁)·g_r          v_r ← β₂·v_r + (1 − β₂)·g_r²          for the rows r that a step names
η = α · m̂ / (√v̂ + ε)                 with t counted for the table, or for each row
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Unpack

import numpy as np

from fourstep import steps
from fourstep.optim import checks
from fourstep.optim.base import Hyper, Optimizer
from fourstep.optim.checks import Check
from fourstep.optim.four_steps import Triple
from fourstep.optim.groups import ParamGroup
from fourstep.optim.options import Shared
from fourstep.optim.rows import RowRule

#: What Adam can be told, and here is as by default.
_AS_ADAM = {"amsgrad": False, "amsgrad_max": "raw", "bias_correction": True}


class LazyAdam(Optimizer):
    r"""Adam that leaves rows alone which no gradient touched.

    Adam itself moves them, by the momentum of gradients long past, and its averages forget. Here time stands still for a
    row between two touches. Groups that are not ``"sparse": True`` step by `Adam`.

    Parameters
    ----------
    params, lr, betas, eps, weight_decay, eps_inside, eps_hat, eps_root
        See `Adam`. Decay acts on the rows that a step names; ``decay="decoupled"`` makes it a lazy AdamW.
    per_row_steps : bool
        Correct the bias of a row's moments by the number of its own steps, not by those of the table. The moments of a
        row that comes late start at zero like any others, and without this are corrected as if they had been there
        from the start: its first steps are √(1 − β₂)/(1 − β₁) = 0.32 of what they are with it.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> table = np.zeros((4, 2))
    >>> opt = fs.optim.LazyAdam({"table": table}, lr=0.1, groups=[{"params": ..., "sparse": True}])
    >>> for row in (0, 0, 0, 3):
    ...     opt.step_rows("table", np.array([row]), np.array([[1.0, -2.0]]))
    >>> table.round(3).tolist()
    [[-0.3, 0.3], [0.0, 0.0], [0.0, 0.0], [-0.058, 0.058]]

    Notes
    -----
    State: ``exp_avg``, ``exp_avg_sq``, and with `per_row_steps` ``row_steps``, int64 of shape (rows,). torch's SparseAdam
    counts for the table, adds ε before the correction of v (`eps_hat`), and has no weight decay.
    """

    states: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq", "row_steps")
    _checks: ClassVar[dict[str, Check]] = {
        "betas": checks.betas,
        "per_row_steps": checks.flag,
        **checks.EPSILON,
    }
    _fixed: ClassVar[tuple[str, ...]] = ("sparse", "per_row_steps")

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        per_row_steps: bool = False,
        eps_inside: bool = False,
        eps_hat: bool = False,
        eps_root: float = 0.0,
        **shared: Unpack[Shared],
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "per_row_steps": per_row_steps,
            "eps_inside": eps_inside,
            "eps_hat": eps_hat,
            "eps_root": eps_root,
        }
        super().__init__(params, defaults, **shared)

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        hyper = {key: group[key] for key in self._checks}
        return "adam", ("exp_avg", "exp_avg_sq"), {**hyper, **_AS_ADAM}

    def _four_steps(self, group: ParamGroup) -> Triple:
        beta1, beta2 = group["betas"]
        return Triple(
            steps.ema(beta1), steps.ema_sq(beta2), steps.ratio(*(group[key] for key in checks.EPSILON))
        )

    def row_rule(self, group: ParamGroup) -> RowRule:
        """Return Adam's rule, with steps counted as asked for."""
        rule = RowRule(*self._rule(group))
        if not group["per_row_steps"]:
            return rule
        return rule._replace(name="adam_by_rows", per_row="row_steps", dtype=np.int64)
