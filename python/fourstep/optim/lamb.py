"""LAMB: Adam whose step has, for each parameter array, the size of the array.

u = m̂/(√v̂ + ε) + λ·w
η = α·r·u                      r = ‖w‖/‖u‖ over the array; 1 where a norm is 0 or not finite
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Unpack

import numpy as np

from fourstep import steps
from fourstep.arena import Array
from fourstep.explain.steps import Formulas, Symbol
from fourstep.optim import checks
from fourstep.optim.base import Hyper, Optimizer
from fourstep.optim.checks import Check
from fourstep.optim.four_steps import Leak, Triple
from fourstep.optim.groups import ParamGroup
from fourstep.optim.options import Shared


class LAMB(Optimizer):
    r"""LAMB: for large batches; every array moves by the share `lr` of its own norm.

    .. math::
        u_t = \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon} + \lambda w_t, \qquad
        w_{t+1} = w_t - \alpha \frac{\lVert w_t \rVert}{\lVert u_t \rVert}\, u_t

    with the moments :math:`m_t, v_t` of `Adam`, :math:`\alpha` = `lr`, :math:`(\beta_1, \beta_2)` = `betas`,
    :math:`\epsilon` = `eps`, :math:`\lambda` = `weight_decay`. The norms are those of one parameter array; where one is 0
    or not finite, the ratio is 1.

    Parameters
    ----------
    params, lr, maximize, clip_value, clip_norm, groups
        See `Optimizer`. The paper and NVIDIA's code clip the whole gradient first: ``clip_norm=1.0``.
    betas : (float, float)
        β₁ and β₂, each in [0, 1).
    eps : float
        ε, outside the root.
    weight_decay : float
        λ. With ``decay="decoupled"``, the default, it stands inside the ratio, as above; ``"l2"`` and ``"independent"``
        are what they are for all.
    bias_correction : bool
        Correct the moments for their start at zero.
    adapt : bool
        False: the ratio is 1. Biases and norms are often left out:
        ``groups=[{"params": "*.bias", "adapt": False, "weight_decay": 0.0}, {"params": ...}]``.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> arena = fs.Arena({"small": np.full(4, 0.01), "large": np.full(4, 100.0)})
    >>> opt = fs.optim.LAMB(arena, lr=0.1)
    >>> arena.grad["small"] = arena.grad["large"] = np.ones(4)
    >>> opt.step()  # each by a tenth of its norm
    >>> arena["small"].round(4).tolist(), arena["large"].round(4).tolist()
    ([0.009, 0.009, 0.009, 0.009], [90.0, 90.0, 90.0, 90.0])

    Notes
    -----
    State: ``exp_avg``, ``exp_avg_sq``. The frame leaks: the ratio needs every element's direction before the first is
    written, so the arrays are read twice. You et al. 2020, arXiv:1904.00962, algorithm 2, with φ the identity. Where
    others differ: NVIDIA's kernels leave the ratio out where the decay is 0, and clip the gradient by themselves; some
    ports have no bias correction, or clamp ‖w‖ to at most 10.
    """

    states: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq")
    per_parameter: ClassVar[bool] = True
    _decay: ClassVar[str] = "decoupled"
    _checks: ClassVar[dict[str, Check]] = {
        "betas": checks.betas,
        "eps": checks.non_negative,
        "bias_correction": checks.flag,
        "adapt": checks.flag,
    }

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        bias_correction: bool = True,
        adapt: bool = True,
        **shared: Unpack[Shared],
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "bias_correction": bias_correction,
            "adapt": adapt,
        }
        super().__init__(params, defaults, **shared)

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        hyper = {key: group[key] for key in ("betas", "eps", "bias_correction", "adapt")}
        if group["decay"] == "decoupled":
            hyper.update(ratio_decay=group["weight_decay"], keep=1.0)
        return "lamb", self.states, {"ratio_decay": 0.0, **hyper}

    def _formulas(self, group: ParamGroup, *, ahead: bool = True) -> Formulas:
        triple = super()._formulas(group)
        inside = group["decay"] == "decoupled" and group["weight_decay"] > 0
        step = triple.direction[0].replace("η = α·", "u = ")
        return replace(
            triple,
            direction=(f"{step} + λ·w" if inside else step, "η = α·r·u"),
            symbols={
                **triple.symbols,
                **({"λ": Symbol(group["weight_decay"], "weight_decay")} if inside else {}),
            },
            second=("V", "V̂"),
            gain=None,
            complete=True,
            own_decay=inside,
        )

    def _over_array(self, group: ParamGroup, w: Array, g: Array, state: Sequence[Array]) -> dict[str, float]:
        """Return r."""
        (beta1, beta2), t = group["betas"], group.steps + 1
        of1, of2 = (1 - beta1**t, 1 - beta2**t) if group["bias_correction"] else (1.0, 1.0)
        m, v, w = (x.astype(np.float64) for x in (*state, w))
        u = m / of1 / (np.sqrt(v / of2) + group["eps"])
        if group["decay"] == "decoupled":
            u = u + group["weight_decay"] * w
        sizes = float(np.linalg.norm(w)), float(np.linalg.norm(u[np.isfinite(g)]))
        usable = group["adapt"] and all(0 < size < np.inf for size in sizes)
        return {"r": sizes[0] / sizes[1] if usable else 1.0}

    def _four_steps(self, group: ParamGroup) -> Triple:
        correction = group["bias_correction"]
        first, second = (
            steps.ema(group["betas"][0], correction),
            steps.ema_sq(group["betas"][1], correction),
        )
        leak = Leak(
            "trust ratio",
            "η is multiplied by ‖w‖/‖u‖ over the array, u = η/α + λ·w: all directions come before the first step",
        )
        return Triple(first, second, steps.ratio(group["eps"]), (leak,))
