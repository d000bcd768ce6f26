"""Adam: both moments, with the bias of their start at zero taken out (O15).

m ← β₁·m + (1 − β₁)·g          m̂ = m / (1 − β₁^t)
v ← β₂·v + (1 − β₂)·g²         v̂ = v / (1 − β₂^t)
η = α · m̂ / (√v̂ + ε)

AMSGrad        V ← max(V, v), and V̂ in place of v̂
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, Unpack

from fourstep import steps
from fourstep.optim import checks
from fourstep.optim.base import Hyper, Optimizer
from fourstep.optim.checks import Check
from fourstep.optim.four_steps import Triple
from fourstep.optim.groups import ParamGroup
from fourstep.optim.options import Shared


class Adam(Optimizer):
    r"""Adam: momentum over the root of the recent mean square.

    .. math::
        m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2, \qquad
        w_{t+1} = w_t - \alpha \cdot \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    with :math:`\alpha` = `lr`, :math:`(\beta_1, \beta_2)` = `betas`, :math:`\epsilon` = `eps`.

    Parameters
    ----------
    params, lr, weight_decay, maximize, clip_value, clip_norm, groups
        See `Optimizer`.
    betas : (float, float)
        β₁ and β₂, each in [0, 1).
    eps : float
        ε, outside the root.
    amsgrad : bool
        Divide by the largest v so far (Reddi, Kale and Kumar, ICLR 2018).
    amsgrad_max : {"raw", "hat"}
        The largest v, then corrected, as torch and Keras; or the largest corrected v, as optax.
    bias_correction : bool
        False: m and v in place of m̂ and v̂, as the notes have it (O15).
    eps_inside : bool
        ε inside the root, √(v̂ + ε).
    eps_hat : bool
        ε before v is corrected, (√v + ε)/√(1 − β₂^t), as Keras and TensorFlow ("epsilon hat").
    eps_root : float
        A second ε, inside the root beside the one outside, as optax.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w = np.array([1.0, -100.0])
    >>> opt = fs.optim.Adam([w], lr=0.1)
    >>> opt.step([2 * w])  # the first step is lr, whatever the gradients
    >>> w.round(4).tolist()
    [0.9, -99.9]

    Notes
    -----
    State: ``exp_avg``, ``exp_avg_sq``, with `amsgrad` ``max_exp_avg_sq``. Kingma and Ba, ICLR 2015, algorithm 1. Where
    others differ: Keras adds ε before the correction of v, which makes it 31.6 times larger in effect at the first
    step, and has ε = 1e-7; fastai's β₂ is 0.99. The notes' Adam has no bias correction: its first step is
    (1 − β₁)/√(1 − β₂) = 3.16 times this one.
    """

    states: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    _checks: ClassVar[dict[str, Check]] = {
        "betas": checks.betas,
        "amsgrad": checks.flag,
        "amsgrad_max": checks.one_of("raw", "hat"),
        "bias_correction": checks.flag,
        **checks.EPSILON,
    }

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        amsgrad_max: Literal["raw", "hat"] = "raw",
        bias_correction: bool = True,
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
            "amsgrad": amsgrad,
            "amsgrad_max": amsgrad_max,
            "bias_correction": bias_correction,
            "eps_inside": eps_inside,
            "eps_hat": eps_hat,
            "eps_root": eps_root,
        }
        super().__init__(params, defaults, **shared)

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        states = self.states if group["amsgrad"] else self.states[:2]
        return "adam", states, {key: group[key] for key in self._checks}

    def _four_steps(self, group: ParamGroup) -> Triple:
        (beta1, beta2), corrected = group["betas"], group["bias_correction"]
        return Triple(
            steps.ema(beta1, corrected),
            steps.max_sq(beta2, corrected, group["amsgrad_max"])
            if group["amsgrad"]
            else steps.ema_sq(beta2, corrected),
            steps.ratio(*(group[key] for key in checks.EPSILON)),
        )


class AdamW(Adam):
    r"""AdamW: Adam whose decay of the weights is decoupled from its moments (Loshchilov and Hutter, ICLR 2019).

    .. math::
        w_{t+1} = (1 - \alpha \lambda)\, w_t - \alpha \cdot \frac{\hat m_t}{\sqrt{\hat v_t} + \epsilon}

    with :math:`\lambda` = `weight_decay`, and the rest as in `Adam`. It is ``Adam(decay="decoupled")`` with another
    default.

    Parameters
    ----------
    params, lr, betas, eps, weight_decay, amsgrad, and what else `Adam` takes
        See `Adam`.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w = np.array([1.0, -100.0])
    >>> opt = fs.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> opt.step([np.array([1.0, 0.0])])  # decay reaches what has no gradient
    >>> w.round(4).tolist()
    [0.85, -95.0]

    Notes
    -----
    Where others differ: the default λ is 1e-2 in torch, 4e-3 in Keras, 1e-4 in optax; all multiply it by lr. The paper
    multiplies it by the factor of the schedule alone: ``decay="independent"``.
    """

    _decay: ClassVar[str] = "decoupled"

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        amsgrad_max: Literal["raw", "hat"] = "raw",
        bias_correction: bool = True,
        eps_inside: bool = False,
        eps_hat: bool = False,
        eps_root: float = 0.0,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            amsgrad_max=amsgrad_max,
            bias_correction=bias_correction,
            eps_inside=eps_inside,
            eps_hat=eps_hat,
            eps_root=eps_root,
            **shared,
        )
