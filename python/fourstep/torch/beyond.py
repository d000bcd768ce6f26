"""Optimizers that torch does not have: arguments and formulas of `fourstep.optim`, groups and state in torch's way."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

import torch

from fourstep import optim
from fourstep.optim.base import Optimizer
from fourstep.torch.counterpart import blank, plain
from fourstep.torch.optimizer import Stepped


class Beyond(Stepped):
    """Base of these classes: takes its counterpart's own arguments, `decay` and `maximize`."""

    __signature__: ClassVar[inspect.Signature]

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        own = inspect.signature(cls._ours.__init__).parameters.values()
        shared = [
            inspect.Parameter("decay", inspect.Parameter.KEYWORD_ONLY, default=cls._ours._decay),
            inspect.Parameter("maximize", inspect.Parameter.KEYWORD_ONLY, default=False),
        ]
        cls.__signature__ = inspect.Signature(
            [*(p for p in own if p.name not in ("self", "shared")), *shared]
        )

    def __init__(self, params: Any, *args: Any, **options: Any) -> None:
        bound = self.__signature__.bind(params, *args, **options)
        bound.apply_defaults()
        given = {name: value for name, value in bound.arguments.items() if name != "params"}
        if callable(given["lr"]) and not isinstance(given["lr"], torch.Tensor):
            raise TypeError("lr: got a schedule, need a number: torch's schedulers set it from outside")
        checks = {**Optimizer._shared_checks, **self._ours._checks}
        checked = {name: checks[name](name, plain(value)) for name, value in given.items()}
        blank(self._ours)._check_group(checked)
        if isinstance(given["lr"], torch.Tensor):  # whoever made it may change it
            checked["lr"] = given["lr"]
        super().__init__(params, checked)


class AdaBelief(Beyond):
    """See `fourstep.optim.AdaBelief`.

    Examples
    --------
    >>> import torch, fourstep.torch
    >>> w = torch.nn.Parameter(torch.tensor([1.0, -1.0]))
    >>> opt = fourstep.torch.AdaBelief([w], lr=0.1, weight_decay=0.5, decay="decoupled")
    >>> w.grad = torch.tensor([1.0, 0.0])
    >>> opt.step()
    >>> w[1].item()
    -0.949999988079071
    """

    _ours = optim.AdaBelief


class AdEMAMix(Beyond):
    """See `fourstep.optim.AdEMAMix`; without warm-up, as here each parameter has a count of its own."""

    _ours = optim.AdEMAMix

    def _check(self, index: int, group: dict[str, Any]) -> None:
        super()._check(index, group)
        for name in ("beta3_warmup", "alpha_warmup"):
            if group[name]:
                raise ValueError(
                    f"{name}: got {group[name]!r}, need None: parameters count their steps one by one here; "
                    "set betas and alpha of the group from outside"
                )


class ADOPT(Beyond):
    """See `fourstep.optim.ADOPT`."""

    _ours = optim.ADOPT


class Adan(Beyond):
    """See `fourstep.optim.Adan`."""

    _ours = optim.Adan


class FTRL(Beyond):
    """See `fourstep.optim.FTRL`.

    Examples
    --------
    >>> import torch, fourstep.torch
    >>> w = torch.nn.Parameter(torch.zeros(2))
    >>> opt = fourstep.torch.FTRL([w], lr=1.0, l1=0.5)
    >>> w.grad = torch.tensor([0.4, -2.0])
    >>> opt.step()
    >>> w[0].item() == 0.0 and w[1].item() > 0.0  # exact zeros where |z| <= l1
    True
    """

    _ours = optim.FTRL


class LAMB(Beyond):
    """See `fourstep.optim.LAMB`: its norms are of each parameter, in an arena too."""

    _ours = optim.LAMB
    _joins = False


class LARS(Beyond):
    """See `fourstep.optim.LARS`: its norms are of each parameter, in an arena too."""

    _ours = optim.LARS
    _joins = False


class Lion(Beyond):
    """See `fourstep.optim.Lion`."""

    _ours = optim.Lion


class Signum(Beyond):
    """See `fourstep.optim.Signum`."""

    _ours = optim.Signum


class Yogi(Beyond):
    """See `fourstep.optim.Yogi`."""

    _ours = optim.Yogi
