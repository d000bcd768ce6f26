"""What a formula is made of: numbers, symbols and operations, worked out and written."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fourstep.explain import latex

FUNCTIONS: dict[str, Callable[..., float]] = {
    "max": max,
    "min": min,
    "sign": lambda x: (x > 0) - (x < 0),
}

Values = Mapping[str, float]


@dataclass(frozen=True)
class Node:
    """A number, a symbol, or an operation on others."""

    op: str
    parts: tuple[Node, ...] = ()
    text: str = ""

    def value(self, values: Values) -> float:
        """Work it out.

        Raises
        ------
        KeyError
            A symbol that has no value.
        """
        if self.op == "number":
            return 0.5 if self.text == "½" else float(self.text.replace("−", "-"))
        if self.op == "symbol":
            return values[self.text]
        return _work(self.op, self.text, [part.value(values) for part in self.parts])

    def symbols(self) -> set[str]:
        """Return the symbols in it."""
        if self.op == "symbol":
            return {self.text}
        return set().union(*(part.symbols() for part in self.parts))

    def filled(self, shown: Mapping[str, str]) -> str:
        """Write it with numbers in place of symbols; what has none stays."""
        return _write(self, lambda node: shown.get(node.text, node.text))

    def __str__(self) -> str:
        """Write it as it was read."""
        return self.filled({})

    def latex(self) -> str:
        """Write it in LaTeX."""
        return latex.of(self)


def _work(op: str, name: str, parts: list[float]) -> float:
    if op == "call":
        return float(FUNCTIONS[name](*parts))
    a, b = parts[0], parts[-1]
    with_one: dict[str, Callable[[], float]] = {
        "()": lambda: a,
        "neg": lambda: -a,
        "abs": lambda: abs(a),
        "²": lambda: a * a,
        "√": lambda: math.sqrt(a) if a >= 0 else math.nan,
        "+": lambda: a + b,
        "−": lambda: a - b,
        "·": lambda: a * b,
        "/": lambda: a / b if b else math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a),
        "^": lambda: a**b,
    }
    return with_one[op]()


def _write(node: Node, leaf: Callable[[Node], str]) -> str:
    if not node.parts:
        return leaf(node)
    parts = [_write(part, leaf) for part in node.parts]
    # A negative number stands in brackets, except at the beginning of a sum.
    first, last = (f"({p})" if p[0] in "-−" and len(p) > 1 else p for p in (parts[0], parts[-1]))
    if node.op in ("+", "−"):
        return f"{parts[0]} {node.op} {last}"
    return {
        "()": f"({parts[0]})",
        "neg": f"−{first}",
        "abs": f"|{parts[0]}|",
        "²": f"{first}²",
        "√": f"√{first}",
        "·": f"{parts[0] if _leads(node) else first}·{last}",
        "/": f"{parts[0] if _leads(node) else first}/{last}",
        "^": f"{first}^{last}",
        "call": f"{node.text}({', '.join(parts)})",
    }[node.op]


def _leads(node: Node) -> bool:
    """Tell whether what a product begins with needs no brackets of its own."""
    return node.parts[0].op in ("·", "/", "neg")
