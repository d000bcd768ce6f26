"""torch's own optimizers: its constructor, checks and state; our step.

The formulas are those of the class of `fourstep.optim` that each names. The options that both have carry the same names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import torch

from fourstep import optim
from fourstep.torch import refusals
from fourstep.torch.optimizer import Group, Place, Plan, Rule, State, Stepped


class SGD(Stepped, torch.optim.SGD):
    """`torch.optim.SGD`, with momentum and Nesterov's; see `fourstep.optim.SGD` for the formulas.

    Examples
    --------
    >>> import torch, fourstep.torch
    >>> w = torch.nn.Parameter(torch.tensor([1.0, -1.0]))
    >>> opt = fourstep.torch.SGD([w], lr=0.1, momentum=0.9)
    >>> for _ in range(3):
    ...     w.grad = 2 * w.detach()
    ...     opt.step()
    >>> [round(x, 4) for x in w.tolist()]
    [0.062, -0.062]
    """

    _ours = optim.SGD
    _rows = True
    _counters: ClassVar[tuple[str, ...]] = ()


class Adam(Stepped, torch.optim.Adam):
    """`torch.optim.Adam`, with AMSGrad; see `fourstep.optim.Adam` for the formulas.

    Examples
    --------
    >>> import torch, fourstep.torch
    >>> w = torch.nn.Parameter(torch.tensor([1.0, -100.0]))
    >>> opt = fourstep.torch.Adam([w], lr=0.1)
    >>> w.grad = 2 * w.detach()
    >>> opt.step()  # the first step is lr, whatever the gradients
    >>> [round(x, 4) for x in w.tolist()]
    [0.9, -99.9]
    >>> sorted(opt.state_dict()["state"][0])
    ['exp_avg', 'exp_avg_sq', 'step']
    """

    _ours = optim.Adam


class AdamW(Stepped, torch.optim.AdamW):
    """`torch.optim.AdamW`: Adam whose decay is w ← (1 − lr·λ)·w − η, beside the moments."""

    _ours = optim.Adam


class Adamax(Stepped, torch.optim.Adamax):
    """`torch.optim.Adamax`; see `fourstep.optim.Adamax` for the formulas."""

    _ours = optim.Adamax


class NAdam(Stepped, torch.optim.NAdam):
    """`torch.optim.NAdam`; see `fourstep.optim.Nadam` for the formulas."""

    _ours = optim.Nadam
    _counters: ClassVar[tuple[str, ...]] = ("step", "mu_product")


class RAdam(Stepped, torch.optim.RAdam):
    """`torch.optim.RAdam`; see `fourstep.optim.RAdam` for the formulas."""

    _ours = optim.RAdam


class Adagrad(Stepped, torch.optim.Adagrad):
    """`torch.optim.Adagrad`; see `fourstep.optim.AdaGrad` for the formulas."""

    _ours = optim.AdaGrad
    _rows = True


class Adadelta(Stepped, torch.optim.Adadelta):
    """`torch.optim.Adadelta`; see `fourstep.optim.AdaDelta` for the formulas."""

    _ours = optim.AdaDelta


class RMSprop(Stepped, torch.optim.RMSprop):
    """`torch.optim.RMSprop`, centred and with momentum; see `fourstep.optim.RMSProp` for the formulas.

    Where torch differs: its centred variance may round below 0, and its root is NaN then; here it stops at 0.
    """

    _ours = optim.RMSProp


class Rprop(Stepped, torch.optim.Rprop):
    """`torch.optim.Rprop`; see `fourstep.optim.Rprop` for the formulas."""

    _ours = optim.Rprop


class SparseAdam(Stepped, torch.optim.SparseAdam):
    """`torch.optim.SparseAdam`: Adam over the rows that have a gradient; see `fourstep.optim.LazyAdam`."""

    _ours = optim.Adam
    _rows = True
    _sparse = True

    def _rule(self, group: Group) -> Rule:
        rule, buffers, counters, hyper = super()._rule(group)
        return rule, buffers, counters, {**hyper, "eps_hat": True}  # as torch has it

    def _make(self, missing: Iterable[Place], rules: list[Rule], plans: list[Plan]) -> dict[Place, State]:
        """Its step is an int."""
        return {place: {**state, "step": 0} for place, state in super()._make(missing, rules, plans).items()}

    def _take_dense(self, plans: list[Plan], rules: list[Rule]) -> list[Place]:
        """There is nothing dense to do."""
        every = [(index, i, p) for index, plan in enumerate(plans) for i, p in enumerate(plan.params)]
        for index, i, p in every:
            if p.grad is not None:
                name = refusals.name_of(self.param_groups[index], index, i)
                raise RuntimeError(
                    f"SparseAdam: got a dense gradient of {name}, need a sparse one; Adam takes dense ones"
                )
        return [(index, i) for index, i, _ in every]
