"""Formulas in LaTeX."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fourstep.explain.node import Node

_NAMES = "alpha beta gamma delta epsilon eta theta kappa lambda mu nu rho sigma Pi psi xi"
_GREEK = dict(zip("αβγδεηθκλμνρσΠψξ", _NAMES.split(), strict=True))
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
#: Parts that a root, a bar or an exponent brackets already.
_BRACKETED = {"√": (0,), "/": (0, 1), "^": (1,)}
_ACCENTS = {"\u0302": "hat", "\u0304": "bar", "\u0303": "tilde"}


def of(node: Node) -> str:
    """Write a formula in LaTeX."""
    if node.text == "½":
        return r"\tfrac12"
    if node.op == "number":
        digits, _, exponent = node.text.replace("−", "-").partition("e")
        power = f"10^{{{int(exponent)}}}" if exponent else ""
        return power if power and digits == "1" else f"{digits} \\cdot {power}" if power else digits
    if node.op == "symbol":
        return symbol_latex(node.text)
    bracketed = _BRACKETED.get(node.op, ())
    parts = [
        of(part.parts[0] if part.op == "()" and i in bracketed else part) for i, part in enumerate(node.parts)
    ]
    times = "\\cdot" if _numeric(node.parts[-1]) else "\\,"
    name = f"\\operatorname{{{node.text}}}" if node.text == "sign" else f"\\{node.text}"
    return {
        "()": lambda: f"\\left({parts[0]}\\right)",
        "neg": lambda: f"-{parts[0]}",
        "abs": lambda: f"\\left|{parts[0]}\\right|",
        "²": lambda: f"{parts[0]}^{{2}}",
        "√": lambda: f"\\sqrt{{{parts[0]}}}",
        "+": lambda: f"{parts[0]} + {parts[1]}",
        "−": lambda: f"{parts[0]} - {parts[1]}",
        "·": lambda: f"{parts[0]} {times} {parts[1]}",
        "/": lambda: f"\\frac{{{parts[0]}}}{{{parts[1]}}}",
        "^": lambda: f"{parts[0]}^{{{parts[1]}}}",
        "call": lambda: f"{name}\\left({', '.join(parts)}\\right)",
    }[node.op]()


def _numeric(node: Node) -> bool:
    """Tell whether a factor begins with a digit, so that it needs a dot before it."""
    while node.parts and node.op in ("·", "/", "^", "²"):
        if node.op == "/":
            return False
        node = node.parts[0]
    return node.op == "number"


@cache
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
