"""The learning rate of a run: up over the warm-up, down over the rest of the horizon, then level.

lr |    /‾‾\\__
   |   /       ‾‾\\__
   |  /              ‾‾\\______________      level: FLOOR · lr
   +--|----------------|------------> step
     warm-up         horizon
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fourstep import schedules

if TYPE_CHECKING:
    from fourstep.train.config import Config

__all__ = ["FLOOR", "schedule"]

FLOOR = 0.01  # share of the peak that is left at the horizon, so that epochs beyond it still learn


def schedule(config: Config, lr: float, steps_per_epoch: int) -> schedules.Schedule:
    """Make the schedule with its peak at `lr`.

    Examples
    --------
    >>> from fourstep.train import Config
    >>> made = schedule(Config(horizon=10, warmup=0.1), lr=0.1, steps_per_epoch=10)
    >>> [round(made(step), 3) for step in (0, 10, 100, 1000)]
    [0.009, 0.1, 0.001, 0.001]
    """
    total = max(1, (config.horizon or config.epochs) * steps_per_epoch)
    up = round(config.warmup * total)
    down = max(1, total - up)
    after: schedules.Schedule
    if config.schedule == "cosine":
        after = schedules.Hold(schedules.Cosine(lr, T_max=down, eta_min=FLOOR * lr), steps=down)
    elif config.schedule == "linear":
        after = schedules.Polynomial(lr, total_iters=down, eta_min=FLOOR * lr)
    elif config.schedule == "inverse-sqrt":
        after = schedules.InverseSqrt(lr, timescale=max(1, up))
    else:
        after = schedules.Constant(lr)
    return schedules.Warmup(up, after) if up else after
