"""AdEMAMix: Adam with a second, slow average of the gradients beside the first.

m₁ ← β₁·m₁ + (1 − β₁)·g
m₂ ← β₃·m₂ + (1 − β₃)·g        β₃ and a grow to their ends over their warm-ups
v  ← β₂·v  + (1 − β₂)·g²
η = α·(m̂₁ + a·m₂) / (√v̂ + ε)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Unpack

from fourstep import steps
from fourstep.exact_math import exp, log
from fourstep.explain.steps import Formulas, Symbol
from fourstep.optim import checks
from fourstep.optim.base import Hyper, Optimizer
from fourstep.optim.checks import Check
from fourstep.optim.four_steps import Leak, Triple
from fourstep.optim.groups import ParamGroup
from fourstep.optim.options import Shared


class AdEMAMix(Optimizer):
    r"""AdEMAMix: old gradients stay of use for tens of thousands of steps, beside an average of the last ten.

    .. math::
        m^{(1)}_t &= \beta_1 m^{(1)}_{t-1} + (1 - \beta_1) g_t, \qquad
        m^{(2)}_t = \beta_3 m^{(2)}_{t-1} + (1 - \beta_3) g_t, \qquad
        v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2, \\
        w_{t+1} &= w_t - \alpha
        \frac{m^{(1)}_t / (1 - \beta_1^t) + a\, m^{(2)}_t}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    with :math:`\alpha` = `lr`, :math:`(\beta_1, \beta_2, \beta_3)` = `betas`, :math:`a` = `alpha`,
    :math:`\epsilon` = `eps`. :math:`m^{(2)}` has no bias correction: it is to start slowly.

    Parameters
    ----------
    params, lr, weight_decay, maximize, clip_value, clip_norm, groups
        See `Optimizer`.
    betas : (float, float, float)
        β₁ of the fast average, β₂ of the squares, β₃ of the slow average; each in [0, 1).
    alpha : float
        The weight of the slow average; the paper recommends 4 to 10.
    beta3_warmup, alpha_warmup : int, optional
        Steps T over which β₃ and a grow: a straight from 0, as a·t/T; β₃ from β₁, so that the time constant
        1/ln(1/β₃) grows straight. The authors take the whole length of the run. None: both are what they are from the
        first step on, which can diverge early.
    eps : float
        ε, outside the root.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w = np.array([1.0, -100.0])
    >>> opt = fs.optim.AdEMAMix([w], lr=0.1, alpha=5.0, beta3_warmup=100, alpha_warmup=100)
    >>> for _ in range(10):
    ...     opt.step([2 * w])
    >>> w.round(4).tolist()
    [0.0695, -98.9938]

    Notes
    -----
    State: ``exp_avg_fast``, ``exp_avg_slow``, ``exp_avg_sq``. Pagliardini, Ablin and Grangier 2024, arXiv:2409.03137.
    Where others differ: the authors' code adds 1e-8 to each β inside the warm-up of β₃.
    """

    states: ClassVar[tuple[str, ...]] = ("exp_avg_fast", "exp_avg_slow", "exp_avg_sq")
    _decay: ClassVar[str] = "decoupled"
    _checks: ClassVar[dict[str, Check]] = {
        "betas": checks.three_betas,
        "alpha": checks.non_negative,
        "beta3_warmup": checks.count_or_none,
        "alpha_warmup": checks.count_or_none,
        "eps": checks.non_negative,
    }

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1e-3,
        betas: tuple[float, float, float] = (0.9, 0.999, 0.9999),
        alpha: float = 2.0,
        beta3_warmup: int | None = None,
        alpha_warmup: int | None = None,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        **shared: Unpack[Shared],
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "alpha": alpha,
            "beta3_warmup": beta3_warmup,
            "alpha_warmup": alpha_warmup,
            "eps": eps,
            "weight_decay": weight_decay,
        }
        super().__init__(params, defaults, **shared)

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        beta1, beta2, beta3 = group["betas"]
        t = group.steps + 1
        beta3 = warmed_beta(t, beta1, beta3, group["beta3_warmup"])
        alpha = group["alpha"] * _share(t, group["alpha_warmup"])
        return "ademamix", self.states, {"betas": (beta1, beta2, beta3), "alpha": alpha, "eps": group["eps"]}

    def _formulas(self, group: ParamGroup, *, ahead: bool = True) -> Formulas:
        now = self._rule(group)[2]  # with β₃ and a as far as they have warmed up
        betas = {f"β{'₁₂₃'[i]}": Symbol(beta, f"betas[{i}]") for i, beta in enumerate(now["betas"])}
        return Formulas(
            (
                "m₁ ← β₁·m₁ + (1 − β₁)·g",
                "m₂ ← β₃·m₂ + (1 − β₃)·g",
                "V ← β₂·V + (1 − β₂)·g²",
                "m̂₁ = m₁/(1 − β₁^t)",
                "V̂ = V/(1 − β₂^t)",
            ),
            ("η = α·(m̂₁ + a·m₂)/(√V̂ + ε)",),
            symbols={**betas, "a": Symbol(now["alpha"], "alpha"), "ε": Symbol(group["eps"], "eps")},
            states={"m₁": "exp_avg_fast", "m₂": "exp_avg_slow", "V": "exp_avg_sq"},
            second=("V", "V̂"),
            windows=("β₁", "β₃", "β₂"),
            leaks=tuple(map(str, self._four_steps(group).leaks)),
        )

    def _four_steps(self, group: ParamGroup) -> Triple:
        beta1, beta2, beta3 = group["betas"]
        leak = Leak(
            "second φ",
            f"a slow average m₂ with β₃ = {beta3:g} is added to m̂, {group['alpha']:g} times; both may depend on t",
        )
        second, direction = steps.ema_sq(beta2), steps.ratio(group["eps"])
        return Triple(steps.ema(beta1), second, direction, (leak,), ("exp_avg_slow",))


def warmed_beta(t: int, start: float, end: float, warmup: int | None) -> float:
    """β₃ at step t: its time constant 1/ln(1/β) grows straight from that of `start` to that of `end`.

    >>> [round(warmed_beta(t, 0.9, 0.9999, 1000), 6) for t in (1, 500, 1000)]
    [0.949964, 0.9998, 0.9999]
    """
    share = _share(t, warmup)
    if share == 1.0 or end == 0.0:
        return end
    constant = share / log(end) + ((1.0 - share) / log(start) if start > 0.0 else 0.0)
    return min(exp(1.0 / constant), end)


def _share(t: int, warmup: int | None) -> float:
    return 1.0 if not warmup else min(t / warmup, 1.0)
