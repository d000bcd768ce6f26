"""Formulas as they are written: read, put into LaTeX, filled with numbers, worked out.

equation = symbol ("←" | "=") sum            sum    = product (("+" | "−") product)*
product  = sign (("·" | "/") sign)*          sign   = "−" sign | power
power    = atom ("²" | "^" sign)*            atom   = number | symbol | "(" sum ")" | "√" atom | "|" sum "|"
                                                      | name "(" sum, … ")"
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

from fourstep.explain.latex import symbol_latex
from fourstep.explain.node import FUNCTIONS, Node

__all__ = ["Equation", "Node", "equation", "expression", "padded", "symbol_latex", "width"]

#: A letter or a word with accents, primes, and a subscript: m, m̂, β₁, lr, μ_t, Π_{t−1}.
_SYMBOL = r"[A-Za-zα-ωΑ-Ω]+[\u0300-\u036f]*(?:[₀-₉]+|_\w+|_\{[^}]*\})?[\u0300-\u036f]*"
_TOKEN = re.compile(rf"\s*(?:(\d+\.?\d*(?:e[-−]?\d+)?|½)|({_SYMBOL}|‖{_SYMBOL}‖)|(.))")


@dataclass(frozen=True)
class Equation:
    """A symbol, and what it is or becomes.

    Examples
    --------
    >>> line = equation("m ← β₁·m + (1 − β₁)·g")
    >>> line.right.value({"β₁": 0.9, "m": 1.0, "g": 2.0})
    1.1
    >>> print(line.right.filled({"β₁": "0.9", "m": "1", "g": "2"}))
    0.9·1 + (1 − 0.9)·2
    >>> print(line.latex())
    m \\leftarrow \\beta_{1} \\, m + \\left(1 - \\beta_{1}\\right) \\, g
    >>> print(equation("η = α·m̂/(√v̂ + ε)").latex())
    \\eta = \\frac{\\alpha \\, \\hat{m}}{\\sqrt{\\hat{v}} + \\epsilon}
    """

    left: str
    sign: str
    right: Node

    def __str__(self) -> str:
        """Write it as it was read."""
        return f"{self.left} {self.sign} {self.right}"

    def latex(self) -> str:
        """Write it in LaTeX."""
        return (
            f"{symbol_latex(self.left)} {chr(92)}leftarrow {self.right.latex()}"
            if self.sign == "←"
            else (f"{symbol_latex(self.left)} = {self.right.latex()}")
        )


@cache
def equation(text: str) -> Equation:
    """Read an equation.

    Raises
    ------
    ValueError
        It is none.
    """
    found = re.fullmatch(r"\s*(\S+)\s*(←|=)\s*(.+?)\s*", unicodedata.normalize("NFD", text))
    if found is None:
        raise ValueError(f"formula: got {text!r}, need a symbol, ← or =, and what it becomes")
    return Equation(found[1], found[2], expression(found[3]))


@cache
def expression(text: str) -> Node:
    """Read the right side of an equation."""
    reader = _Reader(unicodedata.normalize("NFD", text))
    node = reader.sum()
    if reader.next:
        raise ValueError(f"formula: got {text!r}, which goes wrong at {reader.next[1]!r}")
    return node


class _Reader:
    """Recursive descent over the tokens."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [
            ("number" if number else "symbol" if symbol else "sign", number or symbol or sign)
            for number, symbol, sign in _TOKEN.findall(text.strip())
        ]

    @property
    def next(self) -> tuple[str, str] | None:
        return self.tokens[0] if self.tokens else None

    def take(self, *signs: str) -> str | None:
        """Take the next token if it is one of these signs."""
        if not self.tokens or self.tokens[0][0] != "sign" or self.tokens[0][1] not in signs:
            return None
        taken: str = self.tokens.pop(0)[1]
        return taken

    def need(self, sign: str) -> None:
        if self.take(sign) is None:
            raise ValueError(f"formula: got {self.text!r}, need {sign!r} before {self.next}")

    def sum(self) -> Node:
        node = self.product()
        while op := self.take("+", "−", "-"):
            node = Node("+" if op == "+" else "−", (node, self.product()))
        return node

    def product(self) -> Node:
        node = self.sign()
        while op := self.take("·", "/"):
            node = Node(op, (node, self.sign()))
        return node

    def sign(self) -> Node:
        return Node("neg", (self.sign(),)) if self.take("−", "-") else self.power()

    def power(self) -> Node:
        node = self.atom()
        while op := self.take("²", "^"):
            node = Node("²", (node,)) if op == "²" else Node("^", (node, self.sign()))
        return node

    def atom(self) -> Node:
        if self.take("("):
            inside = self.sum()
            self.need(")")
            return Node("()", (inside,))
        if self.take("√"):
            return Node("√", (self.atom(),))
        if self.take("|"):
            inside = self.sum()
            self.need("|")
            return Node("abs", (inside,))
        if not self.tokens or self.tokens[0][0] == "sign":
            raise ValueError(f"formula: got {self.text!r}, need a number or a symbol before {self.next}")
        kind, text = self.tokens.pop(0)
        if text in FUNCTIONS:
            self.need("(")
            parts = [self.sum()]
            while self.take(","):
                parts.append(self.sum())
            self.need(")")
            return Node("call", tuple(parts), text)
        return Node(kind, (), text)


def width(text: str) -> int:
    """Count the columns of a text: an accent takes none."""
    return sum(not unicodedata.combining(c) for c in text)


def padded(text: str, columns: int) -> str:
    """Fill up with blanks."""
    return text + " " * (columns - width(text))
