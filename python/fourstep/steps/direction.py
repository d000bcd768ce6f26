"""Step 3: η_t from m_t and V_t."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fourstep.optim import checks
from fourstep.optim.checks import Check
from fourstep.steps.base import Step
from fourstep.steps.first import FirstStep
from fourstep.steps.second import InfNorm, SecondStep


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

    ε stands outside the root, or inside with `eps_inside`; with `eps_hat` it is added before V is corrected for its
    start; `eps_root` is a second one, always inside.
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

    def _before_correction(self, second: Any) -> bool:
        """Tell whether ε is added before V is corrected: not where it is corrected before its largest is taken."""
        return self.eps_hat and getattr(second, "v", "V") == "V̂" and getattr(second, "over", "raw") == "raw"

    def _root(self, second: Any) -> str:
        if isinstance(second, InfNorm):
            return "(u + ε)" if self.eps else "u"
        v = second.v if isinstance(second, SecondStep) else "V"
        hat = self._before_correction(second)
        inside = "ε" if self.eps_inside and self.eps else ""
        added = "".join(f" + {x}" for x in (inside, "ε_0" if self.eps_root else "") if x)
        outside = "ε" if self.eps and not self.eps_inside else ""
        if hat and self.eps_root:  # ε_0 is added to what is corrected, ε before
            root = "√((V + ε)/(1 − β₂^t) + ε_0)" if inside else f"√({v} + ε_0)"
            return f"({root} + ε/√(1 − β₂^t))" if outside else root
        if hat:
            root = f"√(V{added})" if added else "√V"
            whole = f"({root} + ε)" if outside else root
            return f"({whole}/√(1 − β₂^t))"
        root = f"√({v}{added})" if added else f"√{v}"
        return f"({root} + ε)" if outside else root

    def _root_latex(self, second: Any) -> str:
        if isinstance(second, InfNorm):
            return r"u_t + \epsilon" if self.eps else "u_t"
        v = second.v_latex if isinstance(second, SecondStep) else "V_t"
        hat = self._before_correction(second)
        inside = r" + \epsilon" if self.eps_inside and self.eps else ""
        added = inside + (r" + \epsilon_0" if self.eps_root else "")
        outside = r" + \epsilon" if self.eps and not self.eps_inside else ""
        if hat and self.eps_root:
            root = rf"\frac{{V_t{inside}}}{{1 - \beta_2^t}}" if inside else v
            hatted = r" + \frac{\epsilon}{\sqrt{1 - \beta_2^t}}" if outside else ""
            return rf"\sqrt{{{root} + \epsilon_0}}{hatted}"
        if hat:
            return rf"\frac{{\sqrt{{V_t{added}}}{outside}}}{{\sqrt{{1 - \beta_2^t}}}}"
        return rf"\sqrt{{{v}{added}}}{outside}"


@dataclass(frozen=True, repr=False)
class Ratio(_Over):
    """The first moment over the root of the second: η = α·m/(√V + ε).

    `lr_decay` lets α fall as α/(1 + (t − 1)·decay), AdaGrad's. With `lr_last` α multiplies the quotient, not the
    numerator: the same but for the last bit; RMSProp has it.
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
