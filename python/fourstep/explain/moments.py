"""What a moment remembers, and what it makes of steady and of alternating gradients (O3, O9).

m ← keep·m + take·g
window     n = 1/(1 − keep) steps; the last n gradients have the share 1 − keep^n of all its weight, about 1 − 1/e
gain       take/(1 − keep) along g, g, g, …            take/(1 + keep) along g, −g, g, …
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """How far a moving average looks back.

    Examples
    --------
    >>> Window("β₁", 0.9)
    Window(β₁ = 0.9: the last 10 steps have 65.1 % of the weight)
    >>> round(Window("β₂", 0.999).share, 4)
    0.6323
    """

    symbol: str
    keep: float

    @property
    def steps(self) -> float:
        """1/(1 − keep)."""
        return 1 / (1 - self.keep)

    @property
    def share(self) -> float:
        """Share of the weight that the last `steps` gradients have: 1 − keep^steps."""
        return float(1 - self.keep**self.steps)

    def __str__(self) -> str:
        """Say it in a line."""
        n = f"{self.steps:.4g}"
        last = "the last step has" if n == "1" else f"the last {n} steps have"
        return f"{self.symbol} = {self.keep:g}: {last} {self.share:.1%} of the weight".replace("%", " %")

    def __repr__(self) -> str:
        """Say it in a line."""
        return f"Window({self})"


@dataclass(frozen=True)
class Gain:
    """What becomes of gradients that stay, and of gradients that change sign at every step, in the long run.

    `steady` and `alternating` are |η| in units of `unit`: of α·|g|, where there is no second moment; of α, where |g|
    has been divided out.

    Examples
    --------
    >>> gain(0.9, 1.0)  # the heavy ball
    Gain(10.0 steady, 0.526 alternating, of α·|g|)
    >>> gain(0.9, 0.1)  # the moving average
    Gain(1.0 steady, 0.0526 alternating, of α·|g|)
    """

    steady: float
    alternating: float
    unit: str = "α·|g|"

    def __repr__(self) -> str:
        """Say it in a line."""
        return f"Gain({self.steady:.3} steady, {self.alternating:.3} alternating, of {self.unit})"


def gain(keep: float, take: float, by_g: float = 0.0, by_m: float = 1.0, unit: str = "α·|g|") -> Gain:
    """Return the gains of by_g·g + by_m·m, where m ← keep·m + take·g."""
    steady = by_g + by_m * take / (1 - keep)
    alternating = by_g + by_m * take / (1 + keep)
    return Gain(abs(steady), abs(alternating), unit)
