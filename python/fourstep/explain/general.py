"""`opt.explain()`: the four steps of an optimizer as formulas, with its hyper-parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fourstep.explain.formula import padded, symbol_latex, width
from fourstep.explain.numbers import aligned
from fourstep.explain.steps import TITLES, Steps, number, steps_of

if TYPE_CHECKING:
    from fourstep.optim.base import Optimizer


@dataclass(frozen=True)
class Explanation:
    """The four steps of an optimizer: `text`, `latex`, `markdown`; its ``repr`` is the text.

    Attributes
    ----------
    name : str
    groups : tuple of (tuple of str, Steps)
        The parameters of each group, and how it steps.
    """

    name: str
    groups: tuple[tuple[tuple[str, ...], Steps], ...]

    def text(self) -> str:
        """Return the formulas as text, what each symbol is worth beside the line that needs it first."""
        return "\n".join(self._text())

    def _text(self) -> Iterator[str]:
        yield self.name
        for names, steps in self.groups:
            if len(self.groups) > 1:
                yield ""
                yield f"{', '.join(names)}"
            rows = list(_rows(steps))
            columns = max(width(line) for _, line, _ in rows)
            for head, line, worth in rows:
                yield f"{head:13} {padded(line, columns)}   {worth}".rstrip()
            remarks = list(_remarks(steps))
            if remarks:
                yield ""
            yield from (f"{title:13} {line}" for title, line in remarks)

    def latex(self) -> str:
        r"""Return the formulas in LaTeX: an ``aligned`` block for each group, for a ``\[ \]`` or ``$$``."""
        return "\n\n".join(_block(steps) for _, steps in self.groups)

    def markdown(self) -> str:
        """Return the formulas in Markdown, with LaTeX between ``$$``, and the remarks as a list."""
        parts = [f"### {self.name}"]
        for names, steps in self.groups:
            if len(self.groups) > 1:
                parts.append(f"`{', '.join(names)}`")
            parts.append(f"$$\n{_block(steps)}\n$$")
            rows = [
                f"| ${symbol_latex(s)}$ | `{v.name}` | {number(v.value)} |" for s, v in steps.symbols.items()
            ]
            parts.append("\n".join(["| symbol | argument | value |", "|---|---|---|", *rows]))
            remarks = [f"- {title}: {line}" for title, line in _remarks(steps)]
            if remarks:
                parts.append("\n".join(remarks))
        return "\n\n".join(parts)

    def __repr__(self) -> str:
        """Return the text."""
        return self.text()


def explanation(opt: Optimizer) -> Explanation:
    """Return the formulas of every group that has parameters."""
    groups = [(tuple(group["names"]), steps_of(opt, group)) for group in opt.param_groups if group["names"]]
    return Explanation(type(opt).__name__, tuple(groups))


def _rows(steps: Steps) -> Iterator[tuple[str, str, str]]:
    """Title, formula, and what the symbols are worth that stand there for the first time."""
    told: set[str] = set()
    for step in range(1, 5):
        lines = [(str(line), line.right.symbols()) for line in steps.of(step)]
        if step == 1:
            lines.insert(0, (f"g = ∇f({steps.point})", steps.point.symbols()))
        nothing = "—" if steps.formulas.states else "m = g, V = 1"
        for i, (line, used) in enumerate(lines or [(nothing, set())]):
            new = [s for s in steps.symbols if s in used and s not in told]
            told.update(new)
            yield f"{step}  {TITLES[step]}" if i == 0 else "", line, ", ".join(_worth(steps, s) for s in new)


def _remarks(steps: Steps) -> Iterator[tuple[str, str]]:
    """Windows, gains and leaks: what is not in the formulas."""
    for window in steps.windows:
        yield "window", str(window)
    gain = steps.formulas.gain
    if gain is not None:
        steady, alternating = f"{gain.steady:.4g}", f"{gain.alternating:.4g}"
        yield (
            "gain",
            f"η → {steady} of {gain.unit} while the gradient stays, {alternating} while its sign changes at each step",
        )
    for leak in steps.formulas.leaks:
        yield "leak", leak


def _worth(steps: Steps, symbol: str) -> str:
    found = steps.symbols[symbol]
    return f"{symbol} = {number(found.value)} ({found.name})"


def _block(steps: Steps) -> str:
    rows = [rf"g_t &= \nabla f\left({steps.point.latex()}\right)"]
    rows += [aligned(line.equation.latex()) for line in steps.lines]
    return "\n".join([r"\begin{aligned}", " \\\\\n".join(rows), r"\end{aligned}"])
