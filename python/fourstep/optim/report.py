"""What a pass came to: the norm of the gradient, how it was clipped, what was not finite, how far each parameter went."""

from __future__ import annotations

from dataclasses import dataclass, field


class NonFiniteWarning(RuntimeWarning):
    """A gradient held an infinity or NaN, and the step was taken with it."""


@dataclass(frozen=True)
class Last:
    """What the last step saw; all but the counts need ``track=True``.

    Attributes
    ----------
    step : int
        Which step it was, counted from 1.
    nonfinite : int
        Gradients that were not finite.
    first_nonfinite : str or None
        The first parameter that had one.
    skipped : bool
        Whether nothing was updated (``skip_nonfinite`` of "step" or "error").
    grad_norm : float or None
        ‖g‖ over all trainable parameters, before clipping, after `grad_scale`. Also known with `clip_norm`, where all
        are clipped together.
    clip_coefficient : float or None
        What the gradients were multiplied by to clip them by `clip_norm`; the least, where groups are clipped apart.
    grad_norms, param_norms, update_norms : dict of str to float
        ‖g‖, ‖w‖ before the step, and ‖Δw‖, by parameter.
    """

    step: int
    nonfinite: int = 0
    first_nonfinite: str | None = None
    skipped: bool = False
    grad_norm: float | None = None
    clip_coefficient: float | None = None
    grad_norms: dict[str, float] = field(default_factory=dict)
    param_norms: dict[str, float] = field(default_factory=dict)
    update_norms: dict[str, float] = field(default_factory=dict)

    @property
    def update_ratio(self) -> dict[str, float]:
        """‖Δw‖/‖w‖ by parameter; infinite where w was 0 and moved."""
        return {
            name: update / norm if (norm := self.param_norms[name]) else (float("inf") if update else 0.0)
            for name, update in self.update_norms.items()
        }


@dataclass
class Nonfinite:
    """Counters over all steps: how often gradients were not finite, and what was done."""

    steps: int = 0
    elements: int = 0
    skipped: int = 0
    first: str | None = None

    def add(self, last: Last) -> None:
        """Count a step in which some gradient was not finite."""
        self.steps += 1
        self.elements += last.nonfinite
        self.skipped += last.skipped
        self.first = self.first or last.first_nonfinite
