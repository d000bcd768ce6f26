"""Step 4: w_{t+1} from w_t and η_t."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fourstep.optim import checks
from fourstep.optim.checks import Check
from fourstep.steps.base import Step


class UpdateStep(Step):
    """Base of step 4."""

    def options(self) -> dict[str, Any]:
        """Return it as options of `Optimizer`."""
        return {}


@dataclass(frozen=True, repr=False)
class Descend(UpdateStep):
    """w ← w − η."""

    kind: ClassVar[str] = "descend"

    def formula(self) -> str:
        """Return w − η."""
        return "w ← w − η"

    def latex(self) -> str:
        """Return it for LaTeX."""
        return r"w_{t+1} = w_t - \eta_t"


@dataclass(frozen=True, repr=False)
class Decoupled(UpdateStep):
    """The decay of AdamW: w shrinks by α·λ, whatever the moments say."""

    weight_decay: float = 1e-2
    kind: ClassVar[str] = "decoupled"
    checks: ClassVar[dict[str, Check]] = {"weight_decay": checks.non_negative}
    symbols: ClassVar[dict[str, str]] = {"weight_decay": "λ"}

    def options(self) -> dict[str, Any]:
        """Return it as options of `Optimizer`."""
        return {"weight_decay": self.weight_decay, "decay": "decoupled"}

    def formula(self) -> str:
        """Return (1 − α·λ)·w − η."""
        return "w ← (1 − α·λ)·w − η"

    def latex(self) -> str:
        """Return it for LaTeX."""
        return r"w_{t+1} = (1 - \alpha \lambda) w_t - \eta_t"


@dataclass(frozen=True, repr=False)
class Independent(UpdateStep):
    """Decay by λ at each step, whatever the learning rate."""

    weight_decay: float = 1e-4
    kind: ClassVar[str] = "independent"
    checks: ClassVar[dict[str, Check]] = {"weight_decay": checks.non_negative}
    symbols: ClassVar[dict[str, str]] = {"weight_decay": "λ"}

    def options(self) -> dict[str, Any]:
        """Return it as options of `Optimizer`."""
        return {"weight_decay": self.weight_decay, "decay": "independent"}

    def formula(self) -> str:
        """Return (1 − λ)·w − η."""
        return "w ← (1 − λ)·w − η"

    def latex(self) -> str:
        """Return it for LaTeX."""
        return r"w_{t+1} = (1 - \lambda) w_t - \eta_t"
