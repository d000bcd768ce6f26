"""Schedule-Free SGD and AdamW: an average of the iterates stands where a schedule would.

y = (1 − β)·z + β·x                         gradients are taken at y, which the parameters hold in training
z ← z − γ·(g, or g/(√v + ε))                γ warms up, then stays
x ← (1 − c)·x + c·z                         the average, which the parameters hold in evaluation
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar, Unpack

from fourstep import steps
from fourstep.arena import Array
from fourstep.exact_math import pow, power
from fourstep.explain.steps import Formulas, Symbol
from fourstep.optim import checks
from fourstep.optim.base import Hyper, Optimizer
from fourstep.optim.checks import Check
from fourstep.optim.four_steps import Leak, Triple
from fourstep.optim.groups import ParamGroup
from fourstep.optim.layout import Layout
from fourstep.optim.options import Shared
from fourstep.optim.precision import Coded
from fourstep.state import StateError

_MODES = ("train", "eval")
_LEAK = Leak(
    "three points",
    "gradients are taken at y = (1 − β)·z + β·x, steps are z's, and the result is x, the average of z: the step of y is "
    "c·(y − z) + (1 − β·(1 − c))·γ·n",
)


class ScheduleFree(Optimizer):
    """Base of both: the parameters hold y in training and x in evaluation.

    A step in evaluation is refused, so that a forgotten `train` does not go unnoticed; the mode stands in ``repr`` and in
    the state. Code that reads the parameters cannot be asked which of the two it wants: evaluate and export under
    ``with opt.averaged():``, and store the parameters of a checkpoint in the mode in which its state is taken.
    """

    scalars: ClassVar[tuple[str, ...]] = ("weight_sum", "lr_max")
    starts_at_w: ClassVar[tuple[str, ...]] = ("z",)
    refused: ClassVar[dict[str, str]] = {
        "cautious": "y would leave the line between z and x",
    }
    #: Steps of the warm-up, and the weight (t^r)·(lr_max^weight_lr_power) of step t in the average.
    _checks: ClassVar[dict[str, Check]] = {
        "warmup_steps": checks.count,
        "r": checks.non_negative,
        "weight_lr_power": checks.non_negative,
    }
    _training = True

    def _check_options(self, layout: Layout) -> None:
        super()._check_options(layout)
        if self.options.state_dtype not in (None, "float32"):
            raise ValueError(
                f"state_dtype: got {self.options.state_dtype!r}, need None or 'float32': z is no moment, "
                "it is the parameters themselves, which no fewer bits hold"
            )

    def _beta(self, group: ParamGroup) -> float:
        """Return β of y = (1 − β)·z + β·x."""
        raise NotImplementedError

    def _correction(self, group: ParamGroup, t: int) -> float:
        """Return what the rate of step t is multiplied by, beside the warm-up."""
        return 1.0

    @property
    def training(self) -> bool:
        """Whether the parameters hold y, the point of the gradients; else they hold x, the average."""
        return self._training

    def eval(self) -> None:
        """Put the average x in place of y, which is kept: one more buffer, until `train`."""
        with self._alone():
            if not self._training:
                return
            for index, group in self._averaging("z"):
                self.allocate_for(index, ["y"])
                for w, z, y in self._places(index, "z", "y"):
                    y[...] = w
                    w[...] = averaged(y, z, self._beta(group))
                group.started.add("y")
            self._training = False

    def train(self) -> None:
        """Put y back: the bits that it had before `eval`, whatever was written to the parameters since."""
        with self._alone():
            if self._training:
                return
            for index, group in self._averaging("y"):
                for w, y in self._places(index, "y"):
                    w[...] = y
                group.started.discard("y")
            self._state.pop("y", None)
            self._training = True

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Evaluate inside, and be back in the mode of before after it.

        >>> import numpy as np
        >>> import fourstep as fs
        >>> w = np.array([1.0])
        >>> opt = fs.optim.SGDScheduleFree([w], lr=0.2)
        >>> for _ in range(3):
        ...     opt.step([2 * w])
        >>> with opt.averaged():
        ...     w.round(4).tolist()
        [0.3776]
        >>> w.round(4).tolist()
        [0.3571]
        """
        before = self._training
        self.eval()
        try:
            yield
        finally:
            if before:
                self.train()

    def step(self, grads: Any = None, **rows: Any) -> Any:
        """Take one step; see `Optimizer.step`. Refused in evaluation."""
        self._check_training()
        return super().step(grads, **rows)

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of everything that the next step depends on, and the mode.

        In evaluation the state holds y too: store the parameters in the same mode.
        """
        return {**super().state_dict(), "mode": _MODES[not self._training]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`, in its mode: load the parameters that were stored with it too."""
        kind = type(self).__name__
        if not isinstance(state, Mapping) or state.get("mode") not in _MODES:
            got = state.get("mode") if isinstance(state, Mapping) else type(state).__name__
            raise StateError(f"{kind}: 'mode': got {got!r}, need 'train' or 'eval'")
        super().load_state_dict({key: value for key, value in state.items() if key != "mode"})
        self._training = state["mode"] == "train"

    def __repr__(self) -> str:
        """Return a table of the groups, and the mode."""
        head, rest = super().__repr__().split("\n", 1)
        mode = (
            "training: parameters hold y" if self._training else "evaluation: parameters hold the average x"
        )
        return f"{head}, {mode}\n{rest}"

    # How a step is taken.

    def _check_training(self) -> None:
        if not self._training:
            raise RuntimeError(
                f"{type(self).__name__}: got a step in evaluation, where the parameters hold the average; "
                "call train() first"
            )

    def _begin(self) -> list[int]:
        self._check_training()
        return super()._begin()

    def _places(self, index: int, *states: str) -> Iterator[tuple[Array, ...]]:
        """Yield the parameters of a group and these states of it, flat."""
        for buffer, start, stop, *_ in self._merged[index]:
            state = (self._state[name][buffer] for name in states)
            full = [self._layout.buffers[buffer], *(s for s in state if not isinstance(s, Coded))]
            yield tuple(array.reshape(-1)[start:stop] for array in full)

    def _averaging(self, state: str) -> list[tuple[int, ParamGroup]]:
        return [(i, group) for i, group in enumerate(self.param_groups) if state in group.started]

    def _start_at(self, group: ParamGroup, state: str, w: Array) -> Array | float:
        return w if state == "z" else super()._start_at(group, state, w)

    def _moving(self, group: ParamGroup, t: int) -> tuple[float, float, dict[str, float]]:
        """Return γ and c of step t, and the scalars after it."""
        warmup = group["warmup_steps"]
        rate = group["lr"] * (min(t / warmup, 1.0) if warmup else 1.0) * self._correction(group, t)
        lr_max = max(rate, group.scalars.get("lr_max", 0.0))
        weight = pow(float(t), group["r"]) * pow(lr_max, group["weight_lr_power"])
        total = group.scalars.get("weight_sum", 0.0) + weight
        return rate, weight / total if total > 0 else 0.0, {"weight_sum": total, "lr_max": lr_max}

    def _hyper(self, group: ParamGroup) -> Hyper:
        rate, share, _ = self._moving(group, group.steps + 1)
        hyper = {"rate": rate, "share": share, "beta": self._beta(group), "keep": 1.0}
        of_step = {"l2": 0.0, "decoupled": rate, "independent": 1.0}[group["decay"]]
        return {**hyper, "y_decay": of_step * group["weight_decay"]}

    def _averaging_formulas(self, group: ParamGroup, scaled: str) -> Formulas:
        """Return the formulas of both: the gradient is scaled by one of them; w is y."""
        hyper = self._hyper(group)
        decay = " + d·w" if hyper["y_decay"] else ""
        return Formulas(
            (),
            (f"s = γ·{scaled}{decay}", "η = c·(w − z) + (1 − β·(1 − c))·s", "z ← z − s"),
            symbols={
                "γ": Symbol(hyper["rate"], "lr, warmed up"),
                "c": Symbol(hyper["share"], "share in the average"),
                "β": Symbol(hyper["beta"], "momentum" if "momentum" in group else "betas[0]"),
                "d": Symbol(hyper["y_decay"], "weight_decay, times γ if decoupled"),
            },
            states={"z": "z"},
            leaks=tuple(map(str, self._four_steps(group).leaks)),
            own_decay=group["decay"] != "l2",
        )

    def _stepped(self, group: ParamGroup) -> None:
        *_, group.scalars = self._moving(group, group.steps)


def averaged(y: Array, z: Array, beta: float) -> Array:
    """Return x = y + (1 − 1/β)·(z − y), which solves y = (1 − β)·z + β·x."""
    result: Array = y + (1 - 1 / beta) * (z - y)
    return result


class SGDScheduleFree(ScheduleFree):
    r"""Schedule-Free SGD: no schedule to choose, and no length of the run to know.

    .. math::
        y_t = (1 - \beta) z_t + \beta x_t, \qquad z_{t+1} = z_t - \gamma_t \nabla f(y_t), \qquad
        x_{t+1} = (1 - c_t) x_t + c_t z_{t+1}, \qquad
        c_t = \frac{t^r \gamma_t^p}{\sum_{i \le t} i^r \gamma_i^p}

    with :math:`\gamma_t` = `lr`·min(1, t/`warmup_steps`), :math:`\beta` = `momentum`, :math:`r` = `r`,
    :math:`p` = `weight_lr_power`, where :math:`\gamma_t` counts in :math:`c_t` as the largest so far.

    Parameters
    ----------
    params, weight_decay, maximize, clip_value, clip_norm, groups
        See `Optimizer`. The decay is taken at y, and so in z too; ``"decoupled"`` is the same as ``"l2"`` here.
    lr : float or schedule
        Larger than that of SGD with a schedule.
    momentum : float
        β in (0, 1).
    warmup_steps : int
        Steps over which the rate grows straight to `lr`.
    r : float
        Power of the step in its weight; 0: all count the same.
    weight_lr_power : float
        Power of the rate in the weight.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w = np.array([1.0, -1.0])
    >>> opt = fs.optim.SGDScheduleFree([w], lr=0.2)
    >>> for _ in range(20):
    ...     opt.step([2 * w])
    >>> opt.eval()  # the parameters hold the average now
    >>> w.round(4).tolist()
    [-0.0626, 0.0626]
    >>> opt.step([2 * w])
    Traceback (most recent call last):
        ...
    RuntimeError: SGDScheduleFree: got a step in evaluation, where the parameters hold the average; call train() first
    >>> opt.train()  # y is back, to the bit

    Notes
    -----
    State: ``z``; in evaluation also ``y``. Defazio et al. 2024, arXiv:2405.15682. Where others differ: the authors' code
    computes y back from x and z, so each round of `eval` and `train` moves it by a rounding; here it is kept.
    """

    states: ClassVar[tuple[str, ...]] = ("z", "y")
    _checks: ClassVar[dict[str, Check]] = {"momentum": checks.fraction, **ScheduleFree._checks}

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 1.0,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
        **shared: Unpack[Shared],
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "warmup_steps": warmup_steps,
            "r": r,
            "weight_lr_power": weight_lr_power,
        }
        super().__init__(params, defaults, **shared)

    def _check_together(self, values: Mapping[str, Any]) -> None:
        if values["momentum"] == 0:
            raise ValueError("momentum: got 0.0, need 0 < momentum < 1: without it the average is not in y")

    def _beta(self, group: ParamGroup) -> float:
        return float(group["momentum"])

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        return "schedule_free_sgd", ("z",), self._hyper(group)

    def _formulas(self, group: ParamGroup, *, ahead: bool = True) -> Formulas:
        return self._averaging_formulas(group, "g")

    def _four_steps(self, group: ParamGroup) -> Triple:
        return Triple(steps.plain(), steps.none(), steps.along(), (_LEAK,), ("z",))


class AdamWScheduleFree(ScheduleFree):
    r"""Schedule-Free AdamW: Schedule-Free SGD over the scaled gradient.

    .. math::
        v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2, \qquad
        z_{t+1} = z_t - \gamma_t \frac{g_t}{\sqrt{v_t} + \epsilon}, \qquad
        \gamma_t = \alpha \sqrt{1 - \beta_2^t}\, \min(1, t/T)

    and y, x as in `SGDScheduleFree`, with :math:`\alpha` = `lr`, :math:`(\beta, \beta_2)` = `betas`,
    :math:`\epsilon` = `eps`, :math:`T` = `warmup_steps`.

    Parameters
    ----------
    params, weight_decay, maximize, clip_value, clip_norm, groups
        See `Optimizer`. The decay, decoupled, is taken at y: γ·λ·y is a part of the step of z, as in the authors' code.
    lr : float or schedule
        1 to 10 times that of AdamW with a schedule.
    betas : (float, float)
        β of the average, in (0, 1), and β₂ in [0, 1).
    eps : float
        ε, outside the root, and not corrected for v's start at zero.
    warmup_steps, r, weight_lr_power
        See `SGDScheduleFree`.

    Examples
    --------
    >>> import numpy as np
    >>> import fourstep as fs
    >>> w = np.array([1.0, -100.0])
    >>> opt = fs.optim.AdamWScheduleFree([w], lr=0.1, warmup_steps=2)
    >>> for _ in range(20):
    ...     opt.step([2 * w])
    >>> with opt.averaged():
    ...     w.round(4).tolist()
    [0.0914, -98.6833]

    Notes
    -----
    State: ``z``, ``exp_avg_sq``; in evaluation also ``y``. Defazio et al. 2024, arXiv:2405.15682, algorithm 1. Where
    others differ: later versions of the authors' code divide v by 1 − β₂^t instead of multiplying the rate, which makes
    ε larger in effect here, and the first steps weigh less in the average here.
    """

    states: ClassVar[tuple[str, ...]] = ("z", "exp_avg_sq", "y")
    _decay: ClassVar[str] = "decoupled"
    _checks: ClassVar[dict[str, Check]] = {
        "betas": checks.betas,
        "eps": checks.non_negative,
        **ScheduleFree._checks,
    }

    def __init__(
        self,
        params: Any,
        lr: float | Callable[[int], float] = 2.5e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
        **shared: Unpack[Shared],
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "warmup_steps": warmup_steps,
            "r": r,
            "weight_lr_power": weight_lr_power,
        }
        super().__init__(params, defaults, **shared)

    def _check_together(self, values: Mapping[str, Any]) -> None:
        if values["betas"][0] == 0:
            raise ValueError("betas[0]: got 0.0, need 0 < betas[0] < 1: without it the average is not in y")

    def _beta(self, group: ParamGroup) -> float:
        return float(group["betas"][0])

    def _correction(self, group: ParamGroup, t: int) -> float:
        return math.sqrt(1.0 - power(group["betas"][1], t))

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        scaling = {"beta2": group["betas"][1], "eps": group["eps"]}
        return "schedule_free_adamw", ("z", "exp_avg_sq"), {**self._hyper(group), **scaling}

    def _formulas(self, group: ParamGroup, *, ahead: bool = True) -> Formulas:
        plain = self._averaging_formulas(group, "g/(√V + ε)")
        return replace(
            plain,
            moments=("V ← β₂·V + (1 − β₂)·g²",),
            symbols={
                **plain.symbols,
                "β₂": Symbol(group["betas"][1], "betas[1]"),
                "ε": Symbol(group["eps"], "eps"),
            },
            states={"z": "z", "V": "exp_avg_sq"},
            second=("V",),
            windows=("β₂",),
        )

    def _four_steps(self, group: ParamGroup) -> Triple:
        second = steps.ema_sq(group["betas"][1])
        return Triple(steps.plain(), second, steps.ratio(group["eps"], eps_hat=True), (_LEAK,), ("z",))
