"""One element's step with its numbers in place of the symbols.

State, g, η and w are the kernels' own, as a trace or a probe saw them. What a kernel keeps to itself (m̂, v̂, a
coefficient) is worked out from them in float64, and marked ≈.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fourstep.explain.formula import expression, padded, width
from fourstep.explain.steps import TITLES, Steps, number, values_of


@dataclass(frozen=True)
class Term:
    """A line of one of the four steps: the formula, the numbers in it, what came out.

    `value` is the kernel's own where `exact`, else `worked`: what the formula gives in float64.
    """

    step: int
    left: str
    formula: str
    latex: str
    filled: str
    value: float
    worked: float
    exact: bool


@dataclass(frozen=True)
class StepExplanation:
    """One step of one element, term by term: `text`, `latex`, `markdown`; its ``repr`` is the text.

    Attributes
    ----------
    optimizer, element : str
    step : int
        t, counted from 1.
    values : dict of str to float
        Every number by its symbol, after the step.
    effective_lr : float
        What the step multiplies its first moment by, or the gradient where there is none: η with a 1 in its place.
    share_of_momentum : float
        How much of η is due to gradients before this one: 0 without momentum; above 1 or below 0 where the two pull
        against each other; nan where η is 0. Both are nan where η is no move of w (FTRL).
    terms : tuple of Term
    """

    optimizer: str
    element: str
    step: int
    values: Mapping[str, float]
    effective_lr: float
    share_of_momentum: float
    terms: tuple[Term, ...]

    def __getitem__(self, symbol: str) -> float:
        """Return what a symbol was worth after the step."""
        return self.values[symbol]

    def text(self) -> str:
        """Return the step as text: formula, numbers, value."""
        return "\n".join(self._text())

    def _text(self) -> Iterator[str]:
        yield f"{self.optimizer}, step {self.step}, {self.element}"
        cells = []
        for term, before in zip(self.terms, (None, *self.terms), strict=False):
            head = f"{term.step}  {TITLES[term.step]}" if before is None or before.step != term.step else ""
            numbers = f"= {term.filled}" if term.filled else ""
            cells.append((head, term.formula, numbers, f"{'=' if term.exact else '≈'} {number(term.value)}"))
        wide = [max(map(width, column)) for column in zip(*cells, strict=True)]
        for cell in cells:
            yield "  ".join(map(padded, cell, wide)).rstrip()
        remarks = self._remarks()
        yield from [""] if remarks else []
        yield from (f"{title:18} {value}" for title, value in remarks)

    def _remarks(self) -> list[tuple[str, str]]:
        if math.isnan(self.effective_lr):
            return []
        share = f"{self.share_of_momentum:.1%}".replace("%", " %").replace("-", "−")
        return [("effective lr", number(self.effective_lr)), ("share of momentum", share)]

    def latex(self) -> str:
        r"""Return the step in LaTeX: an ``aligned`` block, for a ``\[ \]`` or ``$$``."""
        rows = []
        for term in self.terms:
            filled = f" = {expression(term.filled).latex()}" if term.filled else ""
            sign = "=" if term.exact else r"\approx"
            rows.append(f"{aligned(term.latex)}{filled} {sign} {_plain(term.value)}")
        return "\n".join([r"\begin{aligned}", " \\\\\n".join(rows), r"\end{aligned}"])

    def markdown(self) -> str:
        """Return the step in Markdown: a table of formula, numbers and value."""
        rows = ["| step | formula | with numbers | value |", "|---|---|---|---|"]
        for term in self.terms:
            title = f"{term.step} {TITLES[term.step]}"
            filled = term.filled.replace("|", "\\|")
            rows.append(f"| {title} | ${term.latex}$ | {filled} | {number(term.value)} |")
        remarks = [f"- {title}: {value}" for title, value in self._remarks()]
        return "\n".join(
            [f"### {self.optimizer}, step {self.step}, `{self.element}`", "", *rows, "", *remarks]
        )

    def __repr__(self) -> str:
        """Return the text."""
        return self.text()


def substitute(
    steps: Steps,
    before: Mapping[str, float],
    after: Mapping[str, float],
    *,
    at: float,
    head: tuple[str, str, int],
) -> StepExplanation:
    """Put numbers into the formulas.

    Parameters
    ----------
    steps : Steps
    before : dict
        ``w``, ``g`` as it came, ``t``, ``‖g‖`` where it matters, and each state symbol before the step.
    after : dict
        ``g`` after step 1, each state symbol, ``η``, ``w`` after the step: the kernels' own numbers.
    at : float
        w where the gradient was taken.
    head : (optimizer, element, t)
    """
    values = {**values_of(steps.symbols), **before, "w": at}
    point = f"∇f({steps.point})"
    came = values["g"]
    latex = rf"g = \nabla f\left({steps.point.latex()}\right)"
    terms = [Term(1, "g", f"g = {point}", latex, "", came, came, True)]
    last = {line.equation.left: i for i, line in enumerate(steps.lines)}
    trail: list[float] = []
    for i, line in enumerate(steps.lines):
        if line.step > 1:
            values["w"] = before["w"]
            values["g"] = after["g"]
        eq = line.equation
        shown = {key: number(value) for key, value in values.items()}
        exact = eq.left in after and last[eq.left] == i
        worked = eq.right.value(values)
        worth = after[eq.left] if exact else worked
        filled = eq.right.filled(shown)
        terms.append(Term(line.step, eq.left, str(eq), eq.latex(), filled, worth, worked, exact))
        values[eq.left] = worth
        trail.append(worth)
    start = {**values_of(steps.symbols), **before, "g": after["g"]}
    if not steps.formulas.moves:
        return StepExplanation(*head, values, math.nan, math.nan, tuple(terms))
    if steps.formulas.own_decay:  # is no gradient's doing
        start |= {"λ": 0.0, "d": 0.0}
    full = _eta(steps, start, trail)
    past = _eta(steps, {**start, "g": 0.0}, trail)
    return StepExplanation(
        *head, values, _effective(steps, start, trail), past / full if full else math.nan, tuple(terms)
    )


def _eta(steps: Steps, start: Mapping[str, float], trail: list[float], *, ones: bool = False) -> float:
    """Work η out from another start; second moments stay as they were, and with `ones` first moments are 1."""
    values = dict(start)
    for line, was in zip(steps.lines, trail, strict=True):
        left = line.equation.left
        if line.step in (2, 3):
            if left in steps.formulas.second:
                values[left] = was
            elif ones and line.step == 2:
                values[left] = 1.0
            else:
                values[left] = line.equation.right.value(values)
    return values["η"]


def _effective(steps: Steps, start: Mapping[str, float], trail: list[float]) -> float:
    states = [symbol for symbol in steps.formulas.states if symbol not in steps.formulas.second]
    return _eta(steps, {**start, **dict.fromkeys(states, 0.0), "g": 1.0, "w": 0.0}, trail, ones=True)


def aligned(line: str) -> str:
    """Mark where lines of LaTeX are aligned: at their sign."""
    left, sign, right = line.partition(r" \leftarrow ") if r"\leftarrow" in line else line.partition(" = ")
    return f"{left} &{sign.strip()} {right}"


def _plain(value: float) -> str:
    return expression(number(value)).latex() if math.isfinite(value) else rf"\mathrm{{{value}}}"
