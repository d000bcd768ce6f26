"""Early stopping: stop when the validation figure no longer gets better, and go back to its best (R2, R7).

    better    value < best − min_delta  (mode "min"),   value > best + min_delta  (mode "max")
    stop      after `patience` updates in a row that were not better

It takes no complexity from the model; it cuts iterations. On a quadratic, that acts like L2 with λ ≈ 1/(α·t).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, Literal

from fourstep.nn import _check

Mode = Literal["min", "max"]


class EarlyStopping:
    """Watch one figure, keep the state of its best, and say when to stop.

    Parameters
    ----------
    patience : int
        How many updates in a row may be no better; at least 1.
    min_delta : float
        By how much a value has to be better to count, 0 or above.
    mode : {"min", "max"}
        Whether the figure is a loss or a score.

    Attributes
    ----------
    best : float or None
        The best value so far; None before the first.
    best_update : int
        Which update it was, from 0; −1 before the first.
    best_state : object
        The state that came with it, copied.
    updates, waited : int
        Updates so far, and those since the best one.
    stopped : bool
        Whether `patience` is used up.

    Raises
    ------
    ValueError
        An argument is out of range, or a value is NaN: a training that diverged did not get worse, it ended.
    RuntimeError
        `restore` without a state.

    Examples
    --------
    >>> from fourstep import nn
    >>> stopping = nn.EarlyStopping(patience=2)
    >>> for epoch, loss in enumerate([0.9, 0.5, 0.6, 0.55, 0.4]):
    ...     if stopping.update(loss, {"epoch": epoch}):
    ...         break
    >>> epoch, stopping.best, stopping.best_state
    (3, 0.5, {'epoch': 1})

    Notes
    -----
    Where others differ: Keras restores only if asked to (``restore_best_weights``), and a patience of 0 there acts as 1
    does. scikit-learn's ``n_iter_no_change`` is `patience`, but stops when it is exceeded.
    """

    def __init__(self, patience: int = 5, min_delta: float = 0.0, mode: Mode = "min") -> None:
        self._set(patience, min_delta, mode)
        self.best: float | None = None
        self.best_update = -1
        self.best_state: Any = None
        self.updates = 0

    def _set(self, patience: int, min_delta: float, mode: Mode) -> None:
        """Check and take the arguments."""
        self.patience = _check.size("patience", patience)
        self.min_delta = _check.number("min_delta", min_delta, "a finite number, 0 or above")
        if not (self.min_delta >= 0 and math.isfinite(self.min_delta)):
            raise ValueError(f"min_delta: got {min_delta!r}, need a finite number, 0 or above")
        if mode not in ("min", "max"):
            raise ValueError(f"mode: got {mode!r}, need 'min' or 'max'")
        self.mode: Mode = mode

    @property
    def waited(self) -> int:
        """Updates since the best one."""
        return self.updates - 1 - self.best_update if self.updates else 0

    @property
    def stopped(self) -> bool:
        """Whether `patience` is used up."""
        return self.waited >= self.patience

    def better(self, value: float) -> bool:
        """Return whether a value would be the best so far."""
        if self.best is None:
            return True
        if self.mode == "min":
            return value < self.best - self.min_delta
        return value > self.best + self.min_delta

    def update(self, value: float, state: Any = None) -> bool:
        """Take note of a value; return whether to stop.

        Parameters
        ----------
        value : float
            The figure on the validation rows. Infinite is allowed, NaN is not.
        state : optional
            What to keep if it is the best: something with ``state_dict()`` (a module, an arena), or anything that can
            be copied. It is copied only then.
        """
        value = _check.number("value", value, "a number")
        if math.isnan(value):
            raise ValueError(f"value: got nan in update {self.updates}, need a number")
        self.updates += 1
        if self.better(value):
            self.best, self.best_update = value, self.updates - 1
            # state_dict() of our own classes is a copy already; another's may be views.
            self.best_state = copy.deepcopy(state.state_dict() if hasattr(state, "state_dict") else state)
        return self.stopped

    def restore(self, target: Any) -> None:
        """Load the best state into a module or an arena: whatever has ``load_state_dict``."""
        if self.best_state is None:
            raise RuntimeError(
                "EarlyStopping: restore: no state was kept; give update() a model, an arena or a state"
            )
        target.load_state_dict(self.best_state)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next update depends on, as ``fs.save`` stores it."""
        return {
            "patience": self.patience,
            "min_delta": self.min_delta,
            "mode": self.mode,
            "best": self.best,
            "best_update": self.best_update,
            "best_state": copy.deepcopy(self.best_state),
            "updates": self.updates,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`, with its patience, min_delta and mode.

        Raises
        ------
        ValueError
            A key is missing or unknown; nothing is changed then.
        """
        mine = self.state_dict().keys()
        if state.keys() != mine:
            missing, unknown = sorted(mine - state.keys()), sorted(state.keys() - mine)
            raise ValueError(f"EarlyStopping.load_state_dict: missing {missing}, unknown {unknown}")
        self._set(state["patience"], state["min_delta"], state["mode"])
        self.best, self.best_update = state["best"], int(state["best_update"])
        self.best_state, self.updates = copy.deepcopy(state["best_state"]), int(state["updates"])

    def __repr__(self) -> str:
        """Return the arguments, and where it is."""
        told = f"patience={self.patience}, min_delta={self.min_delta}, mode={self.mode!r}"
        return f"EarlyStopping({told}: best {self.best} at {self.best_update}, waited {self.waited})"
