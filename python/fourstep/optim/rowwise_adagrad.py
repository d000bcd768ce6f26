"""Rowwise AdaGrad: one sum of squares for a whole row of a table, the cheapest memory that adapts (O12).

V_r ← V_r + mean(g_r²)
η = α_t · g / (√V_r + ε)         α_t = α / (1 + (t − 1)·lr_decay)
"""

from __future__ import annotations

from dataclasses import replace

from fourstep.optim.adagrad import AdaGrad
from fourstep.optim.four_steps import Leak, Triple
from fourstep.optim.groups import ParamGroup
from fourstep.optim.rows import RowRule


class RowwiseAdagrad(AdaGrad):
    r"""AdaGrad with one number of state for each row of a sparse table.

    .. math::
        V_r \leftarrow V_r + \frac{1}{D} \sum_{j=1}^{D} g_{rj}^2, \qquad
        w_{rj} \leftarrow w_{rj} - \alpha_t \frac{g_{rj}}{\sqrt{V_r} + \epsilon}

    for the rows r that a step names, with D elements each. Groups that are not ``"sparse": True`` step by `AdaGrad`.

    Parameters
    ----------
    params, lr, lr_decay, weight_decay, initial_accumulator_value, eps, eps_inside
        See `AdaGrad`.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> table = np.zeros((1000, 2))
    >>> opt = fs.optim.RowwiseAdagrad({"table": table}, lr=1.0, groups=[{"params": ..., "sparse": True}])
    >>> opt.step_rows("table", np.array([7]), np.array([[3.0, 4.0]]))
    >>> table[7].round(4).tolist(), opt.state_of("table")["sum"][7].item()
    ([-0.8485, -1.1314], 12.5)

    Notes
    -----
    State of a table: ``sum``, of shape (rows,), in the table's dtype. The mean is folded in float64 in a fixed order and
    rounded once. FBGEMM and TorchRec take the mean of g² over the row too; where somebody takes the sum, α is as if it
    were √D times smaller.
    """

    def _four_steps(self, group: ParamGroup) -> Triple:
        triple = super()._four_steps(group)
        if not group["sparse"]:
            return triple
        leak = Leak(
            "row mean",
            "V is one number for a row, and takes in the mean of g² over it: ψ sees more than an element",
        )
        return replace(triple, leaks=(leak,))

    def row_rule(self, group: ParamGroup) -> RowRule:
        """Return the rule with one V for each row."""
        _, states, hyper = self._rule(group)
        return RowRule("rowwise_adagrad", (), hyper, per_row=states[0])
