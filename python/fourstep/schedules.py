"""Learning rates as pure functions of the step: `lr = schedule(step)`; the first update asks `schedule(0)`.

A schedule holds its arguments and nothing else. It cannot fall out of step with the optimizer, there is no
order of calls to get wrong, and to resume is to set the step. It compares, pickles and becomes a dict.

    Constant               lr
    Step, MultiStep        lr · gamma^k after k drops
    Exponential            lr · gamma^step
    Polynomial             from lr to eta_min as (1 − step/total_iters)^power
    Cosine                 from lr to eta_min along half a cosine
    CosineWarmRestarts     the same, from the top again and again
    OneCycle               up to max_lr, then down to almost nothing
    InverseSqrt            lr / √(1 + step/timescale)
    Warmup, Hold           a straight way up before another schedule; another schedule to a step, then level
    ReduceOnPlateau        not a function of the step: it remembers the metrics that it was shown

Names, arguments and values are those of `torch.optim.lr_scheduler` where it has them; `docs/schedules.md`
lists the differences. No value depends on the machine: see `fourstep.exact_math`.
"""

from __future__ import annotations

import math
import operator
import warnings
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from inspect import signature
from typing import Annotated, Any, Literal

from fourstep._settings import (
    Amount,
    Count,
    Function,
    Metric,
    Milestones,
    Positive,
    Settings,
    Share,
    ShareOrNone,
    Steps,
    as_float,
    one_of,
)
from fourstep.exact_math import cos_pi, pow

__all__ = [
    "Constant",
    "Cosine",
    "CosineWarmRestarts",
    "Exponential",
    "Hold",
    "InverseSqrt",
    "MultiStep",
    "OneCycle",
    "Polynomial",
    "ReduceOnPlateau",
    "Schedule",
    "Step",
    "Warmup",
    "evaluate",
    "from_dict",
]


def evaluate(lr: float | Callable[[int], float], step: int) -> float:
    """The learning rate of update `step` (the first is 0): `lr` itself or `lr(step)`, finite, not negative.

    Parameters
    ----------
    lr : number, schedule, or any function of the step
    step : int

    Raises
    ------
    ValueError
        The rate is negative, infinite, NaN or not a number; names the schedule and the step. One update later
        every weight would be NaN, and the cause no longer visible (N2).

    Examples
    --------
    >>> evaluate(0.1, 7), evaluate(Exponential(0.1, gamma=0.5), 2)
    (0.1, 0.025)
    >>> evaluate(lambda step: 0.1 - step, 3)
    Traceback (most recent call last):
    ValueError: <lambda> gave -2.9 at step 3; a learning rate must be a finite number >= 0
    """
    if not callable(lr):
        return _rate(lr, "lr is", step)
    return _rate(lr(step), f"{getattr(lr, '__qualname__', None) or repr(lr)} gave", step)


def _rate(value: object, what: str, step: int) -> float:
    number = as_float(value)
    if 0 <= number < math.inf:
        return number
    raise ValueError(f"{what} {value!r} at step {step}; a learning rate must be a finite number >= 0")


class Schedule(Settings, ABC):
    """Base of the schedules: calling one checks the step, and the answer as `evaluate` does."""

    def __call__(self, step: int) -> float:
        if not hasattr(step, "__index__"):
            raise TypeError(f"{type(self).__name__}: step must be a whole number, got {step!r}")
        step = operator.index(step)
        if not 0 <= step < 2**64:
            raise ValueError(f"{type(self).__name__}: step must be from 0 to 2^64 - 1, got {step}")
        return _rate(self._at(step), f"{self!r} gave", step)

    @abstractmethod
    def _at(self, step: int) -> float: ...


@dataclass(frozen=True)
class Constant(Schedule):
    """`lr` at every step.

    >>> Constant(0.1)(1_000_000)
    0.1
    """

    lr: Amount

    def _at(self, step: int) -> float:
        return self.lr


@dataclass(frozen=True)
class Step(Schedule):
    """lr · gamma^⌊step / step_size⌋: a drop every `step_size` steps.

    >>> schedule = Step(1.0, step_size=30, gamma=0.5)
    >>> schedule(0), schedule(29), schedule(30), schedule(60)
    (1.0, 1.0, 0.5, 0.25)
    """

    lr: Amount
    step_size: Steps
    gamma: Amount = 0.1

    def _at(self, step: int) -> float:
        return self.lr * pow(self.gamma, step // self.step_size)


@dataclass(frozen=True)
class MultiStep(Schedule):
    """lr · gamma^k, where k counts the `milestones` at or before the step (one given twice counts twice).

    >>> schedule = MultiStep(1.0, milestones=[30, 80], gamma=0.5)
    >>> schedule(29), schedule(30), schedule(80)
    (1.0, 0.5, 0.25)
    """

    lr: Amount
    milestones: Milestones
    gamma: Amount = 0.1

    def _at(self, step: int) -> float:
        return self.lr * pow(self.gamma, bisect_right(self.milestones, step))


@dataclass(frozen=True)
class Exponential(Schedule):
    """lr · gamma^step.

    >>> Exponential(1.0, gamma=0.5)(3)
    0.125
    """

    lr: Amount
    gamma: Amount

    def _at(self, step: int) -> float:
        return self.lr * pow(self.gamma, step)


@dataclass(frozen=True)
class Polynomial(Schedule):
    """eta_min + (lr − eta_min) · (1 − step/total_iters)^power, and `eta_min` from `total_iters` on.

    >>> schedule = Polynomial(1.0, total_iters=4, power=2.0)
    >>> schedule(0), schedule(2), schedule(4), schedule(5)
    (1.0, 0.25, 0.0, 0.0)
    """

    lr: Amount
    total_iters: Steps
    power: Positive = 1.0
    eta_min: Amount = 0.0

    def _at(self, step: int) -> float:
        left = max(self.total_iters - step, 0) / self.total_iters
        return _between(self.eta_min, self.lr, pow(left, self.power))


@dataclass(frozen=True)
class Cosine(Schedule):
    """eta_min + ½(lr − eta_min)(1 + cos(π·step/T_max)): `lr` at step 0, `eta_min` at step `T_max`.

    Past `T_max` it rises again, as in torch: the cosine has period 2·T_max. `Hold` stops it there.

    >>> schedule = Cosine(1.0, T_max=100)
    >>> schedule(0), schedule(50), schedule(100), schedule(150)
    (1.0, 0.5, 0.0, 0.5)
    """

    lr: Amount
    T_max: Steps
    eta_min: Amount = 0.0

    def _at(self, step: int) -> float:
        return _between(self.lr, self.eta_min, _eased(step % (2 * self.T_max) / self.T_max))


@dataclass(frozen=True)
class CosineWarmRestarts(Schedule):
    """`Cosine` that starts again from `lr` after T_0 steps, then after T_0·T_mult more, T_0·T_mult² more, ...

    It reaches `eta_min` only nearly: the step that would be there is the first of the next cycle.

    >>> schedule = CosineWarmRestarts(1.0, T_0=10, T_mult=2)
    >>> [schedule(step) for step in (0, 5, 10, 20, 30)]
    [1.0, 0.5, 1.0, 0.5, 1.0]
    """

    lr: Amount
    T_0: Steps
    T_mult: Steps = 1
    eta_min: Amount = 0.0

    def _at(self, step: int) -> float:
        cycle = self.T_0
        if self.T_mult == 1:
            step %= cycle
        while step >= cycle:  # at most 64 times: cycles at least double
            step -= cycle
            cycle *= self.T_mult
        return _between(self.lr, self.eta_min, _eased(step / cycle))


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up from max_lr/div_factor to `max_lr`, then down to max_lr/div_factor/final_div_factor.

    The way up takes a share `pct_start` of the steps; each way is half a cosine or, with `anneal_strategy`
    "linear", straight. With `three_phase` it comes down to where it began in as many steps as it went up, and
    only then to the end. Its last step is total_steps − 1: a later one is an error, or `Hold` it there. The
    momentum is not touched.

    >>> schedule = OneCycle(1.0, total_steps=11, pct_start=4 / 11)
    >>> [round(schedule(step), 4) for step in (0, 3, 10)]
    [0.04, 1.0, 0.0]
    """

    max_lr: Amount
    total_steps: Steps
    pct_start: Share = 0.3
    anneal_strategy: Annotated[Literal["cos", "linear"], one_of("cos", "linear")] = "cos"
    div_factor: Positive = 25.0
    final_div_factor: Positive = 1e4
    three_phase: Annotated[bool, one_of(True, False)] = False

    def _at(self, step: int) -> float:
        last = self.total_steps - 1
        if step > last:
            raise ValueError(
                f"{self!r} ends with step {last}, got step {step}; Hold(schedule, {last}) goes on"
            )
        start = self.max_lr / self.div_factor
        end = start / self.final_div_factor
        top = self.pct_start * self.total_steps - 1
        phases = [(top, start, self.max_lr), (last, self.max_lr, end)]
        if self.three_phase:
            phases[1:] = [(2 * top, self.max_lr, start), (last, start, end)]
        begin = 0.0
        while step > phases[0][0]:
            begin = phases.pop(0)[0]
        stop, low, high = phases[0]
        share = (step - begin) / (stop - begin) if stop > begin else 1.0
        return _between(low, high, _eased(share) if self.anneal_strategy == "cos" else share)


@dataclass(frozen=True)
class InverseSqrt(Schedule):
    """lr / √(1 + step/timescale): half the rate after 3 timescales, a quarter after 15.

    `Warmup(n, InverseSqrt(lr, timescale=n + 1))` is the schedule of the first Transformer: straight up for
    n + 1 updates, then lr·√((n + 1) / update), updates counted from 1.

    >>> schedule = InverseSqrt(1.0, timescale=100)
    >>> schedule(0), schedule(300), schedule(1500)
    (1.0, 0.5, 0.25)
    """

    lr: Amount
    timescale: Steps = 1

    def _at(self, step: int) -> float:
        return self.lr * math.sqrt(self.timescale / (self.timescale + step))


@dataclass(frozen=True)
class Warmup(Schedule):
    """Straight up to after(0) in `steps` steps, then `after`, which sees step − steps: it starts at its 0.

    On the way up the rate is after(0)·(step + 1)/(steps + 1): no update is wasted on a rate of zero, none
    repeats the peak. With `start_factor` s it is that of torch's LinearLR, after(0)·(s + (1 − s)·step/steps).

    >>> schedule = Warmup(4, after=Cosine(1.0, T_max=100))
    >>> [schedule(step) for step in (0, 1, 4, 54, 104)]
    [0.2, 0.4, 1.0, 0.5, 0.0]
    """

    steps: Count
    after: Function
    start_factor: ShareOrNone = None

    def _at(self, step: int) -> float:
        if step >= self.steps:
            return self.after(step - self.steps)
        if self.start_factor is None:
            return self.after(0) * ((step + 1) / (self.steps + 1))
        return self.after(0) * _between(self.start_factor, 1.0, step / self.steps)


@dataclass(frozen=True)
class Hold(Schedule):
    """`before` until step `steps`, then its value there for ever.

    >>> schedule = Hold(Cosine(1.0, T_max=100, eta_min=0.25), steps=100)
    >>> schedule(50), schedule(100), schedule(150)
    (0.625, 0.25, 0.25)
    """

    before: Function
    steps: Count

    def _at(self, step: int) -> float:
        return self.before(min(step, self.steps))


def _between(start: float, end: float, share: float) -> float:
    """`start` at 0 and `end` at 1, both exactly (start + (end − start)·share misses the end by a bit)."""
    return start * (1.0 - share) + end * share


def _eased(share: float) -> float:
    """From 0 to 1 along half a cosine."""
    return (1.0 - cos_pi(share)) / 2.0


@dataclass
class ReduceOnPlateau(Schedule):
    """Multiply the rate by `factor` once the metric has not improved for more than `patience` observations.

    Not a pure function of the step: it has to be shown the metric, `observe(metric)`, and what it remembers
    has to be saved, `state_dict()`. As a schedule it answers with its `current` rate, whatever the step.

    Parameters
    ----------
    lr : float
        The rate to start from.
    mode : {"min", "max"}
        Whether a lower or a higher metric is better.
    factor : float
        From 0 to 1. A drop of no more than `eps` is not made; none goes below `min_lr`.
    patience, cooldown : int
        Observations without improvement that are borne; observations after a drop that do not count as such.
    threshold, threshold_mode : float, {"rel", "abs"}
        A metric improves on the best by more than threshold·|best| ("rel") or by more than threshold ("abs").

    Examples
    --------
    >>> plateau = ReduceOnPlateau(0.1, patience=1, factor=0.5)
    >>> [plateau.observe(loss) for loss in (1.0, 0.9, 0.9, 0.9, 0.8)]
    [0.1, 0.1, 0.1, 0.05, 0.05]
    >>> plateau(step=7)
    0.05

    Where others differ
    -------------------
    In torch a relative threshold is best·(1 ± threshold), which for a negative best asks for less than no
    improvement: a constant loss of −1 improves for ever. Here |best| counts; for positive metrics the two
    agree. A NaN metric is no improvement in either; here it also warns.
    """

    lr: Amount
    mode: Annotated[Literal["min", "max"], one_of("min", "max")] = "min"
    factor: Share = 0.1
    patience: Count = 10
    threshold: Amount = 1e-4
    threshold_mode: Annotated[Literal["rel", "abs"], one_of("rel", "abs")] = "rel"
    cooldown: Count = 0
    min_lr: Amount = 0.0
    eps: Amount = 1e-8

    current: Amount = field(init=False, default=0.0)
    best: Metric = field(init=False, default=0.0)
    num_bad_epochs: Count = field(init=False, default=0)
    cooldown_counter: Count = field(init=False, default=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.current = self.lr
        self.best = math.inf if self.mode == "min" else -math.inf

    def _at(self, step: int) -> float:
        return self.current

    def observe(self, metric: float) -> float:
        """Take note of a metric, an epoch's usually, and return the rate from now on."""
        if math.isnan(metric):
            warnings.warn("ReduceOnPlateau: the metric is NaN: no improvement", RuntimeWarning, stacklevel=2)
        if self._improves(metric):
            self.best = float(metric)
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self.num_bad_epochs = 0
            self.cooldown_counter = self.cooldown
            lower = max(self.current * self.factor, self.min_lr)
            if self.current - lower > self.eps:
                self.current = lower
        return self.current

    def _improves(self, metric: float) -> bool:
        down = self.mode == "min"
        if self.threshold_mode == "abs":
            return metric < self.best - self.threshold if down else metric > self.best + self.threshold
        away = 1.0 - self.threshold if down == (self.best > 0) else 1.0 + self.threshold
        return metric < self.best * away if down else metric > self.best * away

    def state_dict(self) -> dict[str, float]:
        """What it remembers: its `current` rate, and the rest under torch's names."""
        return {f.name: getattr(self, f.name) for f in fields(self) if not f.init}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Remember `state` instead; the settings stay. ValueError if a name or a value is wrong."""
        names = [f.name for f in fields(self) if not f.init]
        if sorted(state) != sorted(names):
            raise ValueError(f"ReduceOnPlateau: the state must hold {sorted(names)}, got {sorted(state)}")
        for name, value in [(name, self._checked(name, state[name])) for name in names]:
            setattr(self, name, value)

    def to_dict(self) -> dict[str, Any]:
        """Settings and state, as plain numbers and strings."""
        return {**super().to_dict(), "state": self.state_dict()}


def from_dict(plain: Mapping[str, Any]) -> Schedule:
    """The schedule that `to_dict` wrote down; arguments with a default may be left out.

    >>> from_dict({"schedule": "Warmup", "steps": 9, "after": {"schedule": "Cosine", "lr": 0.1, "T_max": 90}})
    Warmup(steps=9, after=Cosine(lr=0.1, T_max=90, eta_min=0.0), start_factor=None)
    """
    kind = _KINDS.get(str(plain.get("schedule")))
    if kind is None:
        raise ValueError(f"no schedule {plain.get('schedule')!r}; there are {', '.join(_KINDS)}")
    arguments = {
        name: from_dict(value) if isinstance(value, Mapping) else value
        for name, value in plain.items()
        if name not in ("schedule", "state")
    }
    try:
        signature(kind).bind(**arguments)
    except TypeError as error:
        raise ValueError(f"{kind.__name__}: {error}") from None
    schedule: Schedule = kind(**arguments)
    if isinstance(schedule, ReduceOnPlateau) and "state" in plain:
        schedule.load_state_dict(plain["state"])
    return schedule


_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        Constant,
        Step,
        MultiStep,
        Exponential,
        Polynomial,
        Cosine,
        CosineWarmRestarts,
        OneCycle,
        InverseSqrt,
        Warmup,
        Hold,
        ReduceOnPlateau,
    )
}
