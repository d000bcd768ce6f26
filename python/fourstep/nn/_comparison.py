"""The activations beside each other (A2–A5): measured on the functions themselves, for inputs drawn from N(0, 1).

Shares are probabilities of zones, P(low < Z < high) = Φ(high) − Φ(low). The mean output is ∫ f(z)φ(z) dz by the
trapezoidal rule on a grid that has a point at the kink.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fourstep._table import table
from fourstep.nn import functional
from fourstep.nn._scalars import Function, Scalar, scalars
from fourstep.nn._zones import Zone, largest, saturation_zones, zero_zones, zones

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_POINTS = np.linspace(-12, 12, 48_001)
#: A mean output below it is rounding.
_CENTRED = 1e-9


@dataclass(frozen=True)
class Row:
    """One activation of the comparison."""

    name: str
    #: The formulas of f and f′.
    value: str
    derivative: str
    #: max |f′|.
    largest_derivative: float
    #: P(|f′(Z)| < share · max |f′|), Z of N(0, 1).
    saturated_share: float
    #: P(f(Z) = 0) and P(f′(Z) = 0): sparse outputs, and units that pass nothing back.
    zero_share: float
    zero_derivative_share: float
    #: Inputs outside of all saturation zones.
    active: tuple[Zone, ...]
    #: Whether it saturates towards exactly one side.
    one_sided: bool
    #: E f(Z), and whether it is 0.
    mean: float
    zero_centred: bool

    def cells(self) -> tuple[str, ...]:
        """Return the row as text."""
        return (
            self.name,
            self.value,
            self.derivative,
            f"{self.largest_derivative:.4g}",
            f"{self.saturated_share:.4f}",
            f"{self.zero_share:.4f}",
            f"{self.zero_derivative_share:.4f}",
            " ".join(f"({_end(low)}, {_end(high)})" for low, high in self.active),
            "yes" if self.one_sided else "no",
            f"{self.mean:.4f}" if not self.zero_centred else "0",
            "yes" if self.zero_centred else "no",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain numbers and strings; an end that is not there is None."""
        active = [[end if math.isfinite(end) else None for end in zone] for zone in self.active]
        return {**self.__dict__, "active": active}


class Comparison:
    """What `compare` returns: a table that prints itself, its `rows`, and `to_dict`."""

    _HEAD = (
        "activation",
        "f",
        "f′",
        "max |f′|",
        "saturated",
        "f = 0",
        "f′ = 0",
        "active",
        "one-sided",
        "mean",
        "centred",
    )

    def __init__(self, rows: list[Row], share: float) -> None:
        self.rows = rows
        self.share = share

    def __iter__(self) -> Iterator[Row]:
        """Iterate over the rows."""
        return iter(self.rows)

    def __getitem__(self, name: str) -> Row:
        """Return the row of an activation."""
        found = next((row for row in self.rows if row.name == name), None)
        if found is None:
            raise KeyError(
                f"no activation is called {name!r}; there are {', '.join(r.name for r in self.rows)}"
            )
        return found

    def plot(self) -> Figure:
        """Draw each activation and its derivative, saturation zones shaded (`fourstep.plot.activations`)."""
        from fourstep import plot

        return plot.activations([row.name for row in self.rows], share=self.share)

    def to_dict(self) -> dict[str, Any]:
        """Return the share that counts as saturated, and the rows, as plain numbers and strings."""
        return {"share": self.share, "rows": [row.to_dict() for row in self.rows]}

    def __repr__(self) -> str:
        """Return the table."""
        return table(self._HEAD, [row.cells() for row in self.rows])


def compare(names: str | Sequence[str] | None = None, *, share: float = 0.01) -> Comparison:
    """Compare activations: derivative, saturation, exact zeros, active range, sides and centre.

    Parameters
    ----------
    names : str or sequence of str, optional
        Which one or ones; by default all, in the order of the notes (A2) and then the later ones.
    share : float
        Saturated is where |f′| < share · max |f′|.

    Returns
    -------
    Comparison
        It prints as a table; `rows`, ``comparison["relu"]``, `plot()` and `to_dict()`.

    Raises
    ------
    ValueError, TypeError
        There is no such activation; the share is out of range, or no number.

    Examples
    --------
    >>> from fourstep import nn
    >>> found = nn.activations.compare()
    >>> found["sigmoid"].largest_derivative, found["relu"].zero_share, found["tanh"].zero_centred
    (0.25, 0.5, True)
    >>> for row in nn.activations.compare(["sigmoid", "tanh", "relu"]):
    ...     print(row.name, [round(end, 2) for zone in row.active for end in zone], row.one_sided, round(row.mean, 3))
    sigmoid [-5.99, 5.99] False 0.5
    tanh [-2.99, 2.99] False 0.0
    relu [0.0, inf] True 0.399

    Notes
    -----
    Softmax stands for softmax of (x, 0), maxout for that of (x, −x). The negative side of leaky ReLU has a derivative of
    0.01: saturated with a larger share, and not with this one.
    """
    return Comparison([_row(activation, share) for activation in scalars(names)], share)


def _row(activation: Scalar, share: float) -> Row:
    dead = saturation_zones(activation.name, share)
    sides = [any(zone[0] == -np.inf for zone in dead), any(zone[1] == np.inf for zone in dead)]
    mean = _mean(activation.f)
    return Row(
        name=activation.name,
        value=activation.value,
        derivative=activation.derivative,
        largest_derivative=largest(activation.df),
        saturated_share=_probability(dead),
        zero_share=_probability(zones(lambda x: activation.f(x) == 0)),
        zero_derivative_share=_probability(zero_zones(activation.name)),
        active=tuple(_between(dead)),
        one_sided=sides[0] != sides[1],
        mean=mean,
        zero_centred=abs(mean) < _CENTRED,
    )


def _mean(f: Function) -> float:
    weights = functional.exp(-0.5 * _POINTS * _POINTS) / math.sqrt(2 * math.pi)
    return float((f(_POINTS) * weights).sum() * (_POINTS[1] - _POINTS[0]))


def _probability(found: list[Zone]) -> float:
    return math.fsum((math.erf(high / 2**0.5) - math.erf(low / 2**0.5)) / 2 for low, high in found)


def _between(dead: list[Zone]) -> Iterator[Zone]:
    """Yield what lies outside of zones."""
    ends = [-np.inf, *(end for zone in dead for end in zone), np.inf]
    for low, high in zip(ends[::2], ends[1::2], strict=True):
        if low < high:
            yield low, high


def _end(x: float) -> str:
    return f"{x:.2f}" if math.isfinite(x) else ("−∞" if x < 0 else "∞")
