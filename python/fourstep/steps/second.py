"""Step 2, ψ: the second moment, V_t = ψ(g_1..g_t)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from fourstep.optim import checks
from fourstep.optim.checks import Check
from fourstep.steps.base import Step, Window


class SecondStep(Step):
    """Base of ψ, the second moment."""

    #: What the state holds before the first step.
    start: float = 0.0

    @property
    def v(self) -> str:
        """What step 3 takes for V."""
        return "V"

    @property
    def v_latex(self) -> str:
        """The same for LaTeX."""
        return "V_t"


class _Corrected(SecondStep, Window):
    """A second moment that may be freed of its start at 0."""

    bias_correction: bool

    @property
    def v(self) -> str:
        """What step 3 takes for V."""
        return "V̂" if self.bias_correction else "V"

    @property
    def v_latex(self) -> str:
        """The same for LaTeX."""
        return r"\hat V_t" if self.bias_correction else "V_t"

    def _hat(self) -> str:
        return ", V̂ = V/(1 − β₂^t)" if self.bias_correction else ""

    def _hat_latex(self) -> str:
        return r", \quad \hat V_t = \frac{V_t}{1 - \beta_2^t}" if self.bias_correction else ""


@dataclass(frozen=True, repr=False)
class NoSecond(SecondStep):
    """No second moment: V is 1."""

    kind: ClassVar[str] = "none"

    def formula(self) -> str:
        """Return V = 1."""
        return "V = 1"

    def latex(self) -> str:
        """Return it for LaTeX."""
        return "V_t = 1"


@dataclass(frozen=True, repr=False)
class SumSq(SecondStep):
    """The sum of all squared gradients (AdaGrad)."""

    start: float = 0.0
    kind: ClassVar[str] = "sum_sq"
    states: ClassVar[tuple[str, ...]] = ("sum",)
    checks: ClassVar[dict[str, Check]] = {"start": checks.non_negative}

    def formula(self) -> str:
        """Return V + g²."""
        return "V ← V + g²"

    def latex(self) -> str:
        """Return it for LaTeX."""
        return "V_t = V_{t-1} + g_t^2"


@dataclass(frozen=True, repr=False)
class EmaSq(_Corrected):
    """The moving average of the squared gradients (RMSProp, Adam)."""

    beta: float = 0.999
    bias_correction: bool = True
    start: float = 0.0
    kind: ClassVar[str] = "ema_sq"
    states: ClassVar[tuple[str, ...]] = ("exp_avg_sq",)
    checks: ClassVar[dict[str, Check]] = {
        "beta": checks.fraction,
        "bias_correction": checks.flag,
        "start": checks.non_negative,
    }
    symbols: ClassVar[dict[str, str]] = {"beta": "β₂"}

    def formula(self) -> str:
        """Return the average."""
        return "V ← β₂·V + (1 − β₂)·g²" + self._hat()

    def latex(self) -> str:
        """Return it for LaTeX."""
        return r"V_t = \beta_2 V_{t-1} + (1 - \beta_2) g_t^2" + self._hat_latex()


@dataclass(frozen=True, repr=False)
class MaxSq(_Corrected):
    """The largest moving average so far (AMSGrad): of the raw averages, or of the corrected ones."""

    beta: float = 0.999
    bias_correction: bool = True
    over: Literal["raw", "hat"] = "raw"
    kind: ClassVar[str] = "max_sq"
    states: ClassVar[tuple[str, ...]] = ("exp_avg_sq", "max_exp_avg_sq")
    checks: ClassVar[dict[str, Check]] = {
        "beta": checks.fraction,
        "bias_correction": checks.flag,
        "over": checks.one_of("raw", "hat"),
    }
    symbols: ClassVar[dict[str, str]] = {"beta": "β₂"}

    def brief(self) -> str:
        """Return what of its formula fits a cell of a table."""
        return "V ← max(V, EMA of g²)"

    def formula(self) -> str:
        """Return the largest average."""
        average = "v ← β₂·v + (1 − β₂)·g²"
        if self.over == "hat" and self.bias_correction:
            return f"{average}, V̂ ← max(V̂, v/(1 − β₂^t))"
        return f"{average}, V ← max(V, v){self._hat()}"

    def latex(self) -> str:
        """Return it for LaTeX."""
        average = r"v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2"
        if self.over == "hat" and self.bias_correction:
            return average + r", \quad \hat V_t = \max\left(\hat V_{t-1}, \frac{v_t}{1 - \beta_2^t}\right)"
        return average + r", \quad V_t = \max(V_{t-1}, v_t)" + self._hat_latex()


@dataclass(frozen=True, repr=False)
class InfNorm(SecondStep, Window):
    """The infinity norm of the recent gradients (Adamax): u stands where √V would."""

    beta: float = 0.999
    eps: float = 0.0
    kind: ClassVar[str] = "inf_norm"
    states: ClassVar[tuple[str, ...]] = ("exp_inf",)
    checks: ClassVar[dict[str, Check]] = {"beta": checks.fraction, "eps": checks.non_negative}

    def values(self) -> dict[str, float]:
        """Return β₂, and ε where there is one."""
        return {"β₂": self.beta, **({"ε": self.eps} if self.eps else {})}

    @property
    def v(self) -> str:
        """What step 3 takes for V."""
        return "u²"

    @property
    def v_latex(self) -> str:
        """The same for LaTeX."""
        return "u_t^2"

    def brief(self) -> str:
        """Return what of its formula fits a cell of a table."""
        return self.formula()

    def formula(self) -> str:
        """Return the largest."""
        return f"u ← max(β₂·u, |g|{' + ε' if self.eps else ''})"

    def latex(self) -> str:
        """Return it for LaTeX."""
        eps = r" + \epsilon" if self.eps else ""
        return rf"u_t = \max(\beta_2 u_{{t-1}}, |g_t|{eps})"


@dataclass(frozen=True, repr=False)
class Belief(_Corrected):
    """The moving average of the squared surprise g − m (AdaBelief). It needs a first moment."""

    beta: float = 0.999
    bias_correction: bool = True
    eps: float = 1e-16
    kind: ClassVar[str] = "belief"
    states: ClassVar[tuple[str, ...]] = ("exp_avg_var",)
    checks: ClassVar[dict[str, Check]] = {
        "beta": checks.fraction,
        "bias_correction": checks.flag,
        "eps": checks.non_negative,
    }
    symbols: ClassVar[dict[str, str]] = {"beta": "β₂", "eps": "ε_r"}

    def formula(self) -> str:
        """Return the average."""
        return "V ← β₂·V + (1 − β₂)·(g − m)² + ε_r" + self._hat()

    def latex(self) -> str:
        """Return it for LaTeX."""
        return r"V_t = \beta_2 V_{t-1} + (1 - \beta_2)(g_t - m_t)^2 + \epsilon_r" + self._hat_latex()


@dataclass(frozen=True, repr=False)
class YogiSq(_Corrected):
    """A second moment that moves towards g² by steps of the size of g² (Yogi)."""

    beta: float = 0.999
    bias_correction: bool = False
    start: float = 1e-6
    kind: ClassVar[str] = "yogi"
    states: ClassVar[tuple[str, ...]] = ("exp_avg_sq",)
    checks: ClassVar[dict[str, Check]] = {
        "beta": checks.fraction,
        "bias_correction": checks.flag,
        "start": checks.non_negative,
    }
    symbols: ClassVar[dict[str, str]] = {"beta": "β₂"}

    def formula(self) -> str:
        """Return the move."""
        return "V ← V − (1 − β₂)·sign(V − g²)·g²" + self._hat()

    def latex(self) -> str:
        """Return it for LaTeX."""
        move = r"V_t = V_{t-1} - (1 - \beta_2)\,\mathrm{sign}(V_{t-1} - g_t^2)\, g_t^2"
        return move + self._hat_latex()
