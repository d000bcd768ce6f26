"""Which arrays a function that works on parameters is about: one array, several by name, or some of an arena's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

import numpy as np

from fourstep.nn import _check
from fourstep.nn.module import Array, Module

#: One array, arrays by name (an arena, its ``grad``, a dict), or a module, which stands for its parameters.
Target: TypeAlias = Array | Mapping[str, Array] | Module

#: A name, a pattern such as "*.weight", several of them, or None for all.
Selection: TypeAlias = str | Sequence[str] | None


def arrays(argument: str, target: Any, params: Selection = None) -> dict[str, Array]:
    """Return the arrays of `target` that `params` selects, by name; a single array has the name of the argument.

    Raises
    ------
    TypeError
        Something is not a writeable array of float32 or float64, or a mapping of them.
    ValueError
        A pattern matches nothing.
    """
    if isinstance(target, np.ndarray):
        if params is not None:
            raise ValueError(f"params: got {params!r}, but {argument} is one array and has no names")
        found: dict[str, Any] = {argument: target}
    elif isinstance(target, Module):
        found = dict(target.named_parameters())
    elif isinstance(target, Mapping):
        found = dict(target)
    else:
        raise TypeError(
            f"{argument}: got {type(target).__name__}, need an array, arrays by name, an arena or a module"
        )
    chosen = found if params is None else _selected(found, params)
    for name, array in chosen.items():
        _check.floats(argument, name, array)
        if not array.flags.writeable:
            raise ValueError(f"{argument}: {name}: got a read-only array, need a writeable one")
    return chosen


def _selected(found: Mapping[str, Any], params: Selection) -> dict[str, Any]:
    patterns = [params] if isinstance(params, str) else list(params or ())
    names: dict[str, None] = {}
    for pattern in patterns:
        matches = [pattern] if pattern in found else [name for name in found if fnmatchcase(name, pattern)]
        if not matches:
            raise ValueError(f"params: {pattern!r} matches no parameter; there are {', '.join(found)}")
        names.update(dict.fromkeys(matches))
    return {name: array for name, array in found.items() if name in names}


def pairs(target: Any, grads: Any, params: Selection = None) -> list[tuple[str, Array, Array]]:
    """Return (name, parameter, gradient) of each selected parameter; an arena and a module bring their gradients."""
    if grads is None:
        if isinstance(target, Module):
            grads = target.named_grads()
        elif hasattr(target, "grad"):
            grads = target.grad
        else:
            raise TypeError("grads: got None, need the gradients: only an arena or a module brings its own")
    found = arrays("target", target, params)
    given = arrays("grads", grads)
    if isinstance(grads, np.ndarray):
        given = {"target": grads}
    for name, w in found.items():
        if name not in given:
            raise ValueError(f"grads: {name!r} has no gradient; there are {', '.join(given)}")
        _check.like("grads", name, given[name], w.shape, w.dtype)
    return [(name, w, given[name]) for name, w in found.items()]
