"""Step 2, φ: the first moment, m_t = φ(g_1..g_t)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from fourstep.optim import checks
from fourstep.optim.checks import Check
from fourstep.steps.base import Step, Window


class FirstStep(Step):
    """Base of φ, the first moment."""

    @property
    def m(self) -> str:
        """What step 3 takes for m."""
        return "m"

    @property
    def m_latex(self) -> str:
        """The same for LaTeX."""
        return "m_t"


@dataclass(frozen=True, repr=False)
class Plain(FirstStep):
    """No memory: m is the gradient."""

    kind: ClassVar[str] = "plain"

    @property
    def m(self) -> str:
        """What step 3 takes for m."""
        return "g"

    @property
    def m_latex(self) -> str:
        """The same for LaTeX."""
        return "g_t"

    def formula(self) -> str:
        """Return m = g."""
        return "m = g"

    def latex(self) -> str:
        """Return it for LaTeX."""
        return "m_t = g_t"


@dataclass(frozen=True, repr=False)
class HeavyBall(FirstStep):
    """Momentum: a sum of gradients that fades.

    `dampening` is ignored at the first step, as torch does. With `lr_inside` the learning rate is in the buffer (O7), and
    step 3 does not multiply by it again.
    """

    momentum: float = 0.9
    dampening: float = 0.0
    lr_inside: bool = False
    kind: ClassVar[str] = "heavy_ball"
    states: ClassVar[tuple[str, ...]] = ("momentum_buffer",)
    checks: ClassVar[dict[str, Check]] = {
        "momentum": checks.fraction,
        "dampening": checks.up_to_one,
        "lr_inside": checks.flag,
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lr_inside and self.dampening:
            raise ValueError(f"heavy_ball: lr_inside needs dampening 0, got {self.dampening}")

    @property
    def window(self) -> float:
        """1/(1 − γ)."""
        return 1 / (1 - self.momentum)

    def values(self) -> dict[str, float]:
        """Return γ, and d where there is one."""
        return {"γ": self.momentum, **({"d": self.dampening} if self.dampening else {})}

    def formula(self) -> str:
        """Return γ·m + (1 − d)·g."""
        new = "α·g" if self.lr_inside else "(1 − d)·g" if self.dampening else "g"
        return f"m ← γ·m + {new}"

    def latex(self) -> str:
        """Return it for LaTeX."""
        new = r"\alpha g_t" if self.lr_inside else "(1 - d) g_t" if self.dampening else "g_t"
        return rf"m_t = \gamma m_{{t-1}} + {new}"


@dataclass(frozen=True, repr=False)
class Ema(FirstStep, Window):
    """The moving average of the gradients; with `bias_correction`, freed of its start at 0."""

    beta: float = 0.9
    bias_correction: bool = True
    kind: ClassVar[str] = "ema"
    states: ClassVar[tuple[str, ...]] = ("exp_avg",)
    checks: ClassVar[dict[str, Check]] = {"beta": checks.fraction, "bias_correction": checks.flag}
    symbols: ClassVar[dict[str, str]] = {"beta": "β₁"}

    @property
    def m(self) -> str:
        """What step 3 takes for m."""
        return "m̂" if self.bias_correction else "m"

    @property
    def m_latex(self) -> str:
        """The same for LaTeX."""
        return r"\hat m_t" if self.bias_correction else "m_t"

    def formula(self) -> str:
        """Return the average."""
        return "m ← β₁·m + (1 − β₁)·g" + (", m̂ = m/(1 − β₁^t)" if self.bias_correction else "")

    def latex(self) -> str:
        """Return it for LaTeX."""
        hat = r", \quad \hat m_t = \frac{m_t}{1 - \beta_1^t}" if self.bias_correction else ""
        return r"m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t" + hat


@dataclass(frozen=True, repr=False)
class Nesterov(FirstStep):
    """Momentum that looks ahead, in the form that needs no gradient elsewhere: w is the look-ahead point.

    With `lr_inside` the learning rate is in the buffer, as Keras has it, and step 3 does not multiply by it again.
    """

    momentum: float = 0.9
    lr_inside: bool = False
    kind: ClassVar[str] = "nesterov"
    states: ClassVar[tuple[str, ...]] = ("momentum_buffer",)
    checks: ClassVar[dict[str, Check]] = {"momentum": checks.fraction, "lr_inside": checks.flag}
    symbols: ClassVar[dict[str, str]] = {"momentum": "γ"}

    @property
    def window(self) -> float:
        """1/(1 − γ)."""
        return 1 / (1 - self.momentum)

    @property
    def m(self) -> str:
        """What step 3 takes for m."""
        return "(α·g + γ·m)" if self.lr_inside else "(g + γ·m)"

    @property
    def m_latex(self) -> str:
        """The same for LaTeX."""
        return r"(\alpha g_t + \gamma m_t)" if self.lr_inside else r"(g_t + \gamma m_t)"

    def formula(self) -> str:
        """Return γ·m + g."""
        new = "α·g" if self.lr_inside else "g"
        return f"m ← γ·m + {new}, then {new} + γ·m"

    def latex(self) -> str:
        """Return it for LaTeX."""
        new = r"\alpha g_t" if self.lr_inside else "g_t"
        return rf"m_t = \gamma m_{{t-1}} + {new}, \quad {new} + \gamma m_t"


@dataclass(frozen=True, repr=False)
class NesterovEma(FirstStep, Window):
    """Nadam's: the moving average and the gradient mixed, with Dozat's momentum schedule or without."""

    beta: float = 0.9
    form: Literal["schedule", "simple"] = "schedule"
    momentum_decay: float = 4e-3
    kind: ClassVar[str] = "nesterov_ema"
    states: ClassVar[tuple[str, ...]] = ("exp_avg",)
    checks: ClassVar[dict[str, Check]] = {
        "beta": checks.fraction,
        "form": checks.one_of("schedule", "simple"),
        "momentum_decay": checks.non_negative,
    }

    def values(self) -> dict[str, float]:
        """Return β₁, and ψ of the schedule."""
        return {"β₁": self.beta, **({"ψ": self.momentum_decay} if self.form == "schedule" else {})}

    @property
    def m(self) -> str:
        """What step 3 takes for m."""
        return "m̄"

    @property
    def m_latex(self) -> str:
        """The same for LaTeX."""
        return r"\bar m_t"

    def formula(self) -> str:
        """Return the mixture."""
        if self.form == "simple":
            mix = "m̄ = (1 − β₁)/(1 − β₁^t)·g + β₁/(1 − β₁^(t+1))·m"
        else:
            mix = (
                "m̄ = (1 − μ_t)/(1 − Π_t)·g + μ_{t+1}/(1 − Π_{t+1})·m, "
                "μ_t = β₁·(1 − ½·0.96^(t·ψ)), Π_t = μ_1·…·μ_t"
            )
        return f"m ← β₁·m + (1 − β₁)·g, {mix}"

    def latex(self) -> str:
        """Return it for LaTeX."""
        if self.form == "simple":
            mix = r"\bar m_t = \frac{1 - \beta_1}{1 - \beta_1^t} g_t + \frac{\beta_1}{1 - \beta_1^{t+1}} m_t"
        else:
            mix = (
                r"\bar m_t = \frac{1 - \mu_t}{1 - \Pi_t} g_t + \frac{\mu_{t+1}}{1 - \Pi_{t+1}} m_t, \quad "
                r"\mu_t = \beta_1 (1 - \tfrac12 0.96^{t \psi}), \quad \Pi_t = \mu_1 \cdots \mu_t"
            )
        return rf"m_t = \beta_1 m_{{t-1}} + (1 - \beta_1) g_t, \quad {mix}"
