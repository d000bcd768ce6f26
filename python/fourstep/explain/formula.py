"""Formulas as they are written: read, put into LaTeX, filled with numbers, worked out.

equation = symbol ("←" | "=") sum            sum    = product (("+" | "−") product)*
product  = sign (("·" | "/") sign)*          sign   = "−" sign | power
power    = atom ("²" | "^" sign)*            atom   = number | symbol | "(" sum ")" | "√" atom | "|" sum "|"
                                                      | name "(" sum, … ")"
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

#: A letter or a word with accents, primes, and a subscript: m, m̂, β₁, lr, μ_t, Π_{t−1}.
_SYMBOL = r"[A-Za-zα-ωΑ-Ω]+[\u0300-\u036f]*(?:[₀-₉]+|_\w+|_\{[^}]*\})?[\u0300-\u036f]*"
_TOKEN = re.compile(rf"\s*(?:(\d+\.?\d*(?:e[-−]?\d+)?|½)|({_SYMBOL}|‖{_SYMBOL}‖)|(.))")

_FUNCTIONS: dict[str, Callable[..., float]] = {
    "max": max,
    "min": min,
    "sign": lambda x: (x > 0) - (x < 0),
}

_GREEK = dict(
    zip(
        "αβγδεηθκλμνρσΠψξ",
        (
            "alpha",
            "beta",
            "gamma",
            "delta",
            "epsilon",
            "eta",
            "theta",
            "kappa",
            "lambda",
            "mu",
            "nu",
            "rho",
            "sigma",
            "Pi",
            "psi",
            "xi",
        ),
        strict=True,
    )
)
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_ACCENTS = {"\u0302": "hat", "\u0304": "bar", "\u0303": "tilde"}

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
        return _latex(self)


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
        if text in _FUNCTIONS:
            self.need("(")
            parts = [self.sum()]
            while self.take(","):
                parts.append(self.sum())
            self.need(")")
            return Node("call", tuple(parts), text)
        return Node(kind, (), text)


def _work(op: str, name: str, parts: list[float]) -> float:
    if op == "call":
        return float(_FUNCTIONS[name](*parts))
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


def _latex(node: Node) -> str:
    if node.text == "½":
        return r"\tfrac12"
    if node.op == "number":
        digits, _, exponent = node.text.replace("−", "-").partition("e")
        power = f"10^{{{int(exponent)}}}" if exponent else ""
        return power if power and digits == "1" else f"{digits} \\cdot {power}" if power else digits
    if node.op == "symbol":
        return symbol_latex(node.text)
    bare = [
        _latex(part.parts[0] if part.op == "()" else part) for part in node.parts
    ]  # where a bar or a root brackets
    parts = [_latex(part) for part in node.parts]
    times = "\\cdot" if _numeric(node.parts[-1]) else "\\,"
    name = f"\\operatorname{{{node.text}}}" if node.text == "sign" else f"\\{node.text}"
    return {
        "()": lambda: f"\\left({parts[0]}\\right)",
        "neg": lambda: f"-{parts[0]}",
        "abs": lambda: f"\\left|{parts[0]}\\right|",
        "²": lambda: f"{parts[0]}^{{2}}",
        "√": lambda: f"\\sqrt{{{bare[0]}}}",
        "+": lambda: f"{parts[0]} + {parts[1]}",
        "−": lambda: f"{parts[0]} - {parts[1]}",
        "·": lambda: f"{parts[0]} {times} {parts[1]}",
        "/": lambda: f"\\frac{{{bare[0]}}}{{{bare[1]}}}",
        "^": lambda: f"{parts[0]}^{{{bare[1]}}}",
        "call": lambda: f"{name}\\left({', '.join(parts)}\\right)",
    }[node.op]()


def _numeric(node: Node) -> bool:
    """Tell whether a factor begins with a digit, so that it needs a dot before it."""
    while node.parts and node.op in ("·", "/", "^", "²"):
        if node.op == "/":
            return False
        node = node.parts[0]
    return node.op == "number"


def width(text: str) -> int:
    """Count the columns of a text: an accent takes none."""
    return sum(not unicodedata.combining(c) for c in text)


def padded(text: str, columns: int) -> str:
    """Fill up with blanks."""
    return text + " " * (columns - width(text))


def symbol_latex(text: str) -> str:
    """Write a symbol in LaTeX: its letter, its accent, its subscript."""
    found = re.fullmatch(
        r"([A-Za-zα-ωΑ-Ω]+)([\u0300-\u036f]*)([₀-₉]*)(?:_\{?([^}]*)\}?)?([\u0300-\u036f]*)", text
    )
    if found is None:
        return text
    letter, accent, digits, subscript = found[1], found[2] + found[5], found[3], found[4]
    if letter in _GREEK:
        letter = f"\\{_GREEK[letter]}"
    elif len(letter) > 1:
        letter = f"\\mathrm{{{letter}}}"
    for mark in accent:
        letter = f"\\{_ACCENTS.get(mark, 'hat')}{{{letter}}}"
    below = digits.translate(_SUBSCRIPTS) or subscript
    return f"{letter}_{{{below.replace('−', '-')}}}" if below else letter
