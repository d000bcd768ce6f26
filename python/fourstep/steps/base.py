"""What all parts of an optimizer share."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

from fourstep.optim.checks import Check


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

    def brief(self) -> str:
        """Return what of its formula fits a cell of a table."""
        return self.formula().partition(", ")[0].removeprefix("m = ").removeprefix("V = ")

    def latex(self) -> str:
        """Return what it does, for LaTeX's math mode."""
        raise NotImplementedError

    def arguments(self) -> dict[str, Any]:
        """Return its hyper-parameters by name."""
        return dict(vars(self))  # its fields and nothing else; asked for in every step

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


class Window:
    """The memory of a moving average."""

    beta: float

    @property
    def window(self) -> float:
        """1/(1 − β): so many steps hold about 1 − 1/e of the weight (O3)."""
        return 1 / (1 - self.beta)


def is_step(part: object) -> bool:
    """Tell whether something is a step, not a function in its place."""
    return isinstance(part, Step)
