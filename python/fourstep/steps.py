"""The parts of an optimizer: what each of the four steps can be. `FourStep` puts them together.

    1  gradient     maximize, clip_norm, clip_value, l2             what happens to g before anything else
    2  first        plain, heavy_ball, ema, nesterov, nesterov_ema            m_t = φ(g_1..g_t)
       second       none, sum_sq, ema_sq, max_sq, inf_norm, belief, yogi      V_t = ψ(g_1..g_t)
    3  direction    along, ratio, rectified, sign                   η_t from m_t and V_t
    4  update       descend, decoupled, independent                 w_{t+1} from w_t and η_t

Each is a small frozen object with its hyper-parameters; `formula()`, `latex()` and `values()` say what it does.

>>> from fourstep import steps
>>> steps.ema(0.9)
ema(beta=0.9)
>>> print(steps.ema(0.9).formula())
m ← β₁·m + (1 − β₁)·g, m̂ = m/(1 − β₁^t)
>>> steps.ema(0.9).values(), round(steps.ema(0.9).window)
({'β₁': 0.9}, 10)
>>> steps.ema(1.5)
Traceback (most recent call last):
    ...
ValueError: ema: beta: got 1.5, need 0 <= beta < 1
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from fourstep.optim import checks
from fourstep.optim.checks import Check

__all__ = [
    "DirectionStep",
    "FirstStep",
    "GradientStep",
    "SecondStep",
    "Step",
    "UpdateStep",
    "along",
    "belief",
    "clip_norm",
    "clip_value",
    "decoupled",
    "descend",
    "ema",
    "ema_sq",
    "from_dict",
    "heavy_ball",
    "independent",
    "inf_norm",
    "l2",
    "max_sq",
    "maximize",
    "nesterov",
    "nesterov_ema",
    "none",
    "plain",
    "ratio",
    "rectified",
    "sign",
    "sum_sq",
    "yogi",
]


@dataclass(frozen=True, repr=False)
class Step:
    """Base of all the parts."""

    #: Its name here, and in the kernels.
    kind: ClassVar[str] = ""
    #: Names of the state arrays that it keeps.
    states: ClassVar[tuple[str, ...]] = ()
    #: What its fields may hold.
    checks: ClassVar[dict[str, Check]] = {}
    #: The symbol that a field has in the formulas.
    symbols: ClassVar[dict[str, str]] = {}

    def __post_init__(self) -> None:
        for name, check in self.checks.items():
            try:
                value = check(name, getattr(self, name))
            except (TypeError, ValueError) as error:
                raise type(error)(f"{self.kind}: {error}") from None
            object.__setattr__(self, name, value)

    def formula(self) -> str:
        """Return what it does, as text."""
        raise NotImplementedError

    def latex(self) -> str:
        """Return what it does, for LaTeX's math mode."""
        raise NotImplementedError

    def arguments(self) -> dict[str, Any]:
        """Return its hyper-parameters by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def values(self) -> dict[str, float]:
        """Return the numbers of its formula by symbol."""
        return {symbol: getattr(self, name) for name, symbol in self.symbols.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return its name under "step", and its hyper-parameters: what `from_dict` takes."""
        return {"step": self.kind, **self.arguments()}

    def __repr__(self) -> str:
        """Return it as a call: its first argument, and those that are not at their defaults."""
        own = fields(self)
        shown = [f.name for i, f in enumerate(own) if i == 0 or getattr(self, f.name) != f.default]
        return f"{self.kind}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"


# 1  gradient


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


# 2  moments


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


class _Window:
    """The memory of a moving average."""

    beta: float

    @property
    def window(self) -> float:
        """1/(1 − β): so many steps hold about 1 − 1/e of the weight (O3)."""
        return 1 / (1 - self.beta)


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
class Ema(FirstStep, _Window):
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
    """Momentum that looks ahead, in the form that needs no gradient elsewhere: w is the look-ahead point."""

    momentum: float = 0.9
    kind: ClassVar[str] = "nesterov"
    states: ClassVar[tuple[str, ...]] = ("momentum_buffer",)
    checks: ClassVar[dict[str, Check]] = {"momentum": checks.fraction}
    symbols: ClassVar[dict[str, str]] = {"momentum": "γ"}

    @property
    def window(self) -> float:
        """1/(1 − γ)."""
        return 1 / (1 - self.momentum)

    @property
    def m(self) -> str:
        """What step 3 takes for m."""
        return "(g + γ·m)"

    @property
    def m_latex(self) -> str:
        """The same for LaTeX."""
        return r"(g_t + \gamma m_t)"

    def formula(self) -> str:
        """Return γ·m + g."""
        return "m ← γ·m + g, then g + γ·m"

    def latex(self) -> str:
        """Return it for LaTeX."""
        return r"m_t = \gamma m_{t-1} + g_t, \quad g_t + \gamma m_t"


@dataclass(frozen=True, repr=False)
class NesterovEma(FirstStep, _Window):
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
            mix = (
                r"\bar m_t = \frac{1 - \beta_1}{1 - \beta_1^t} g_t + \frac{\beta_1}{1 - \beta_1^{t+1}} m_t"
            )
        else:
            mix = (
                r"\bar m_t = \frac{1 - \mu_t}{1 - \Pi_t} g_t + \frac{\mu_{t+1}}{1 - \Pi_{t+1}} m_t, \quad "
                r"\mu_t = \beta_1 (1 - \tfrac12 0.96^{t \psi}), \quad \Pi_t = \mu_1 \cdots \mu_t"
            )
        return rf"m_t = \beta_1 m_{{t-1}} + (1 - \beta_1) g_t, \quad {mix}"


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


class _Corrected(SecondStep, _Window):
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
            return (
                average + r", \quad \hat V_t = \max\left(\hat V_{t-1}, \frac{v_t}{1 - \beta_2^t}\right)"
            )
        return average + r", \quad V_t = \max(V_{t-1}, v_t)" + self._hat_latex()


@dataclass(frozen=True, repr=False)
class InfNorm(SecondStep, _Window):
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
        return (
            r"V_t = \beta_2 V_{t-1} + (1 - \beta_2)(g_t - m_t)^2 + \epsilon_r" + self._hat_latex()
        )


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


# 3  direction


class DirectionStep(Step):
    """Base of step 3."""

    #: Whether it divides by the second moment.
    divides: ClassVar[bool] = False

    def of(self, first: Any = None, second: Any = None) -> str:
        """Return its formula over these moments."""
        raise NotImplementedError

    def of_latex(self, first: Any = None, second: Any = None) -> str:
        """Return the same for LaTeX."""
        raise NotImplementedError

    def formula(self) -> str:
        """Return η over any moments."""
        return self.of()

    def latex(self) -> str:
        """Return it for LaTeX."""
        return self.of_latex()


@dataclass(frozen=True, repr=False)
class Along(DirectionStep):
    """Along the first moment: η = α·m."""

    kind: ClassVar[str] = "along"

    def of(self, first: Any = None, second: Any = None) -> str:
        """Return its formula over these moments."""
        return f"η = {_scaled(first)}"

    def of_latex(self, first: Any = None, second: Any = None) -> str:
        """Return the same for LaTeX."""
        return rf"\eta_t = {_scaled_latex(first)}"


@dataclass(frozen=True, repr=False)
class Sign(DirectionStep):
    """The sign of the first moment alone: every element moves by α, and not at all where m is 0."""

    kind: ClassVar[str] = "sign"

    def of(self, first: Any = None, second: Any = None) -> str:
        """Return its formula over these moments."""
        return f"η = α·sign({_m(first).strip('()')})"

    def of_latex(self, first: Any = None, second: Any = None) -> str:
        """Return the same for LaTeX."""
        return rf"\eta_t = \alpha\,\mathrm{{sign}}({_m_latex(first).strip('()')})"


@dataclass(frozen=True, repr=False)
class _Over(DirectionStep):
    """The first moment over the root of the second, with ε.

    ε stands outside the root, or inside with `eps_inside`; with `eps_hat` it is added before V is corrected for its start;
    `eps_root` is a second one, always inside.
    """

    eps: float = 1e-8
    eps_inside: bool = False
    eps_hat: bool = False
    eps_root: float = 0.0
    divides: ClassVar[bool] = True
    checks: ClassVar[dict[str, Check]] = checks.EPSILON

    def values(self) -> dict[str, float]:
        """Return ε, and ε_0 where there is one."""
        return {"ε": self.eps, **({"ε_0": self.eps_root} if self.eps_root else {})}

    def _root(self, second: Any) -> str:
        if isinstance(second, InfNorm):
            return "(u + ε)" if self.eps else "u"
        v, corrected = ("V", False) if second is None else (second.v, second.v == "V̂")
        hat = self.eps_hat and corrected
        inside = "ε" if self.eps_inside and self.eps else ""
        added = "".join(f" + {x}" for x in (inside, "ε_0" if self.eps_root else "") if x)
        outside = "ε" if self.eps and not self.eps_inside else ""
        if hat:
            root = f"√(V{added})" if added else "√V"
            whole = f"({root} + ε)" if outside else root
            return f"({whole}/√(1 − β₂^t))"
        root = f"√({v}{added})" if added else f"√{v}"
        return f"({root} + ε)" if outside else root

    def _root_latex(self, second: Any) -> str:
        if isinstance(second, InfNorm):
            return r"u_t + \epsilon" if self.eps else "u_t"
        v, corrected = ("V_t", False) if second is None else (second.v_latex, second.v == "V̂")
        hat = self.eps_hat and corrected
        inside = r" + \epsilon" if self.eps_inside and self.eps else ""
        added = inside + (r" + \epsilon_0" if self.eps_root else "")
        outside = r" + \epsilon" if self.eps and not self.eps_inside else ""
        if hat:
            return rf"\frac{{\sqrt{{V_t{added}}}{outside}}}{{\sqrt{{1 - \beta_2^t}}}}"
        return rf"\sqrt{{{v}{added}}}{outside}"


@dataclass(frozen=True, repr=False)
class Ratio(_Over):
    """The first moment over the root of the second: η = α·m/(√V + ε).

    `lr_decay` lets α fall as α/(1 + (t − 1)·decay), AdaGrad's. With `lr_last` α multiplies the quotient, not the numerator:
    the same but for the last bit; RMSProp has it.
    """

    lr_decay: float = 0.0
    lr_last: bool = False
    kind: ClassVar[str] = "ratio"
    checks: ClassVar[dict[str, Check]] = {
        **checks.EPSILON,
        "lr_decay": checks.non_negative,
        "lr_last": checks.flag,
    }

    def of(self, first: Any = None, second: Any = None) -> str:
        """Return its formula over these moments."""
        text = f"{_scaled(first)}/{self._root(second)}"
        if self.lr_last and not getattr(first, "lr_inside", False):
            text = f"α·({_m(first)}/{self._root(second)})"
        decay = ", α = lr/(1 + (t − 1)·lr_decay)" if self.lr_decay else ""
        return f"η = {text}{decay}"

    def of_latex(self, first: Any = None, second: Any = None) -> str:
        """Return the same for LaTeX."""
        decay = r", \quad \alpha = \frac{lr}{1 + (t - 1)\,lr\_decay}" if self.lr_decay else ""
        alpha = "" if getattr(first, "lr_inside", False) else r"\alpha "
        return rf"\eta_t = {alpha}\frac{{{_m_latex(first)}}}{{{self._root_latex(second)}}}{decay}"


@dataclass(frozen=True, repr=False)
class Rectified(_Over):
    """RAdam's: the ratio times r_t, and along the first moment while the second has seen too little to divide by."""

    eps_hat: bool = True
    kind: ClassVar[str] = "rectified"

    def of(self, first: Any = None, second: Any = None) -> str:
        """Return its formula over these moments."""
        m = _m(first)
        return f"η = α·r_t·{m}/{self._root(second)} where ρ_t > 5, else α·{m}"

    def of_latex(self, first: Any = None, second: Any = None) -> str:
        """Return the same for LaTeX."""
        m = _m_latex(first)
        ratio = rf"\alpha r_t \frac{{{m}}}{{{self._root_latex(second)}}}"
        return rf"\eta_t = {ratio} \text{{ if }} \rho_t > 5 \text{{ else }} \alpha {m}"


def _m(first: Any) -> str:
    return first.m if isinstance(first, FirstStep) else "m"


def _m_latex(first: Any) -> str:
    return first.m_latex if isinstance(first, FirstStep) else "m_t"


def _scaled(first: Any) -> str:
    return _m(first) if getattr(first, "lr_inside", False) else f"α·{_m(first)}"


def _scaled_latex(first: Any) -> str:
    m = _m_latex(first)
    return m if getattr(first, "lr_inside", False) else rf"\alpha {m}"


# 4  update


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


maximize, clip_norm, clip_value, l2 = Maximize, ClipNorm, ClipValue, L2
plain, heavy_ball, ema, nesterov, nesterov_ema = Plain, HeavyBall, Ema, Nesterov, NesterovEma
none, sum_sq, ema_sq, max_sq = NoSecond, SumSq, EmaSq, MaxSq
inf_norm, belief, yogi = InfNorm, Belief, YogiSq
along, ratio, rectified, sign = Along, Ratio, Rectified, Sign
descend, decoupled, independent = Descend, Decoupled, Independent

_KINDS: dict[str, type[Any]] = {
    kind.kind: kind
    for kind in (
        *(maximize, clip_norm, clip_value, l2),
        *(plain, heavy_ball, ema, nesterov, nesterov_ema),
        *(none, sum_sq, ema_sq, max_sq, inf_norm, belief, yogi),
        *(along, ratio, rectified, sign),
        *(descend, decoupled, independent),
    )
}


def from_dict(plain: Mapping[str, Any]) -> Any:
    """Return the step that `to_dict` wrote down; arguments with a default may be left out.

    >>> from_dict({"step": "ema", "beta": 0.5})
    ema(beta=0.5)
    """
    kind = _KINDS.get(str(plain.get("step")))
    if kind is None:
        raise ValueError(f"no step {plain.get('step')!r}; there are {', '.join(_KINDS)}")
    try:
        return kind(**{name: value for name, value in plain.items() if name != "step"})
    except TypeError as error:
        raise ValueError(f"{kind.kind}: {error}") from None
