"""torch's own optimizers: its constructor, checks and state; our step.

Each says which rule its groups step by, and what the rule's state and hyper-parameters are called.
"""

from __future__ import annotations

import torch

from fourstep.torch.optimizer import Group, Rule, Stepped, number

_STEP = ("step",)


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

    def _rule(self, group: Group) -> Rule:
        if group["momentum"] == 0:
            return "sgd", (), (), {}
        hyper = {
            "momentum": number(group["momentum"]),
            "dampening": number(group["dampening"]),
            "form": "nesterov" if group["nesterov"] else "torch",
            "first": False,
        }
        return "momentum", ("momentum_buffer",), (), hyper


class Adam(Stepped, torch.optim.Adam):
    """`torch.optim.Adam`; see `fourstep.optim.Adam` for the formulas.

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

    def _rule(self, group: Group) -> Rule:
        return "adam", ("exp_avg", "exp_avg_sq"), _STEP, {"betas": betas(group), "eps": number(group["eps"])}


class AdamW(Stepped, torch.optim.AdamW):
    """`torch.optim.AdamW`: Adam whose decay is w ← (1 − lr·λ)·w − η, beside the moments."""

    _rule = Adam._rule


class NAdam(Stepped, torch.optim.NAdam):
    """`torch.optim.NAdam`; see `fourstep.optim.Nadam` for the formulas."""

    def _rule(self, group: Group) -> Rule:
        hyper = {
            "betas": betas(group),
            "eps": number(group["eps"]),
            "momentum_decay": number(group["momentum_decay"]),
            "mu_product": 1.0,  # each parameter's own is read beside its step
        }
        return "nadam", ("exp_avg", "exp_avg_sq"), ("step", "mu_product"), hyper


class Adagrad(Stepped, torch.optim.Adagrad):
    """`torch.optim.Adagrad`; see `fourstep.optim.AdaGrad` for the formulas."""

    _start = {"sum": lambda group: number(group["initial_accumulator_value"])}  # noqa: RUF012

    def _rule(self, group: Group) -> Rule:
        hyper = {"lr_decay": number(group["lr_decay"]), "eps": number(group["eps"]), "eps_inside": False}
        return "adagrad", ("sum",), _STEP, hyper


class Adadelta(Stepped, torch.optim.Adadelta):
    """`torch.optim.Adadelta`; see `fourstep.optim.AdaDelta` for the formulas."""

    def _rule(self, group: Group) -> Rule:
        hyper = {"rho": number(group["rho"]), "eps": number(group["eps"])}
        return "adadelta", ("square_avg", "acc_delta"), _STEP, hyper


class RMSprop(Stepped, torch.optim.RMSprop):
    """`torch.optim.RMSprop`, centred and with momentum; see `fourstep.optim.RMSProp` for the formulas.

    Where torch differs: its centred variance may round below 0, and its root is NaN then; here it stops at 0.
    """

    def _rule(self, group: Group) -> Rule:
        hyper = {
            "alpha": number(group["alpha"]),
            "eps": number(group["eps"]),
            "eps_inside": False,
            "momentum": number(group["momentum"]),
            "centered": bool(group["centered"]),
        }
        names = ["square_avg"]
        if group["centered"]:
            names.append("grad_avg")
        if group["momentum"] > 0:
            names.append("momentum_buffer")
        return "rmsprop", tuple(names), _STEP, hyper


def betas(group: Group) -> tuple[float, ...]:
    """Return the weights of the past; torch takes tensors as well."""
    return tuple(number(beta) for beta in group["betas"])
