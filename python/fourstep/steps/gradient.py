"""Step 1: what happens to the gradient before anything else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fourstep.optim import checks
from fourstep.optim.checks import Check
from fourstep.steps.base import Step


class GradientStep(Step):
    """Base of step 1: what happens to the gradient before anything else."""

    def options(self) -> dict[str, Any]:
        """Return it as an option of `Optimizer`."""
        raise NotImplementedError


@dataclass(frozen=True, repr=False)
class Maximize(GradientStep):
    """g ← −g: climb instead of descending."""

    kind: ClassVar[str] = "maximize"

    def options(self) -> dict[str, Any]:
        """Return it as an option of `Optimizer`."""
        return {"maximize": True}

    def formula(self) -> str:
        """Return g ← −g."""
        return "g ← −g"

    def latex(self) -> str:
        """Return it for LaTeX."""
        return r"g_t \leftarrow -g_t"


@dataclass(frozen=True, repr=False)
class Unscale(GradientStep):
    """Divide the gradient by the scale of a loss."""

    scale: float
    kind: ClassVar[str] = "unscale"
    checks: ClassVar[dict[str, Check]] = {"scale": checks.positive}
    symbols: ClassVar[dict[str, str]] = {"scale": "S"}

    def options(self) -> dict[str, Any]:
        """Return it as an option of `Optimizer`."""
        return {"grad_scale": self.scale}

    def formula(self) -> str:
        """Return g/S."""
        return "g ← g/S"

    def latex(self) -> str:
        """Return it for LaTeX."""
        return r"g_t \leftarrow g_t / S"


@dataclass(frozen=True, repr=False)
class ClipNorm(GradientStep):
    """Limit the norm of the gradient over all parameters."""

    limit: float
    kind: ClassVar[str] = "clip_norm"
    checks: ClassVar[dict[str, Check]] = {"limit": checks.positive}
    symbols: ClassVar[dict[str, str]] = {"limit": "N"}

    def options(self) -> dict[str, Any]:
        """Return it as an option of `Optimizer`."""
        return {"clip_norm": self.limit}

    def formula(self) -> str:
        """Return the clipped g."""
        return "g ← g·min(1, N/(‖g‖ + 1e-6))"

    def latex(self) -> str:
        """Return it for LaTeX."""
        return r"g_t \leftarrow g_t \min\left(1, \frac{N}{\|g_t\| + 10^{-6}}\right)"


@dataclass(frozen=True, repr=False)
class ClipValue(GradientStep):
    """Limit each element of the gradient."""

    limit: float
    kind: ClassVar[str] = "clip_value"
    checks: ClassVar[dict[str, Check]] = {"limit": checks.positive}
    symbols: ClassVar[dict[str, str]] = {"limit": "C"}

    def options(self) -> dict[str, Any]:
        """Return it as an option of `Optimizer`."""
        return {"clip_value": self.limit}

    def formula(self) -> str:
        """Return the clipped g."""
        return "g ← max(−C, min(C, g))"

    def latex(self) -> str:
        """Return it for LaTeX."""
        return r"g_t \leftarrow \max(-C, \min(C, g_t))"


@dataclass(frozen=True, repr=False)
class L2(GradientStep):
    """Add the gradient of the penalty ½·λ·‖w‖²."""

    weight_decay: float
    kind: ClassVar[str] = "l2"
    checks: ClassVar[dict[str, Check]] = {"weight_decay": checks.non_negative}
    symbols: ClassVar[dict[str, str]] = {"weight_decay": "λ"}

    def options(self) -> dict[str, Any]:
        """Return it as an option of `Optimizer`."""
        return {"weight_decay": self.weight_decay}

    def formula(self) -> str:
        """Return g + λ·w."""
        return "g ← g + λ·w"

    def latex(self) -> str:
        """Return it for LaTeX."""
        return r"g_t \leftarrow g_t + \lambda w_t"
