"""One flat buffer for a model's parameters and one for their gradients, so that a step is one call over one array."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from fourstep.torch import refusals
from fourstep.torch.local import is_distributed


@dataclass(frozen=True)
class Place:
    """Where a parameter lies in an arena."""

    arena: Arena
    index: int


#: By id, as tensors compare by element; a parameter that is gone takes its entry along.
_places: dict[int, tuple[weakref.ref[Any], Place]] = {}

#: How often parameters were put into an arena, or out of one.
moves = [0]


def place_of(p: torch.Tensor) -> Place | None:
    """Return where a parameter lies, if it is in an arena."""
    entry = _places.get(id(p))
    return entry[1] if entry is not None and entry[0]() is p else None


def is_used() -> bool:
    """Tell whether there is any arena."""
    return bool(_places)


def arena(model: Any) -> Arena:
    """Move a model's parameters and gradients into one flat buffer, in place.

    The parameters stay the objects that they are; ``param.data`` and ``param.grad`` become views of the buffers. An
    optimizer of `fourstep.torch` whose group is a run of the arena then steps over one array.

    Parameters
    ----------
    model : torch.nn.Module, torch.optim.Optimizer, or iterable of parameters
        Of a module, all parameters that require a gradient, in its order. An optimizer's are laid out in the order of
        its groups: give the optimizer if it has several groups.

    Returns
    -------
    Arena
        ``.data`` and ``.grad``, the flat tensors; it need not be kept.

    Raises
    ------
    ValueError, TypeError
        A parameter is of another dtype than the first, not on the CPU, not dense, distributed, or already in an arena.

    Examples
    --------
    >>> import torch, fourstep.torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 1))
    >>> arena = fourstep.torch.arena(model)
    >>> arena.data.shape
    torch.Size([21])
    >>> optimizer = fourstep.torch.AdamW(model.parameters())
    >>> model(torch.ones(3)).sum().backward()
    >>> bool(arena.grad.any())
    True
    >>> optimizer.step()

    Notes
    -----
    A parameter has a gradient from the start: zeros. One that takes no part in a backward pass steps by these zeros,
    where torch would leave it alone. `zero_grad` of an optimizer of `fourstep.torch` sets the buffer to 0, whatever
    its `set_to_none`. After ``model.zero_grad()``, which sets gradients to None, autograd makes gradients elsewhere,
    and steps go tensor by tensor, until the optimizer's `zero_grad` attaches the buffer again;
    ``model.zero_grad(set_to_none=False)`` leaves it attached.
    """
    return Arena(list(_parameters(model)))


def _parameters(model: Any) -> Iterator[Any]:
    if isinstance(model, torch.nn.Module):
        yield from (p for p in model.parameters() if p.requires_grad)
    elif isinstance(model, torch.optim.Optimizer):
        for group in model.param_groups:
            yield from group["params"]
    else:
        yield from model


class Arena:
    """The flat tensors behind some parameters; see `arena`."""

    def __init__(self, params: Sequence[torch.Tensor]) -> None:
        _check(params)
        dtype = params[0].dtype
        sizes = [p.numel() for p in params]
        #: The parameters; not held, so that the arena goes with the model.
        self._params = [weakref.ref(p) for p in params]
        self._shapes = [(p.shape, p.stride()) for p in params]
        #: The parameters and their gradients, flat.
        self.data = torch.empty(sum(sizes), dtype=dtype)
        self.grad = torch.zeros(sum(sizes), dtype=dtype)
        #: Where each parameter begins, and where the last ends.
        self.starts = [0]
        for size in sizes:
            self.starts.append(self.starts[-1] + size)
        views = self.views(self.data)
        #: Of each parameter the gradient that it should have.
        self.grads = self.views(self.grad)
        moves[0] += 1
        with torch.no_grad():
            for i, (p, view, grad) in enumerate(zip(params, views, self.grads, strict=True)):
                view.copy_(p)
                if p.grad is not None:
                    grad.copy_(p.grad)
                p.data = view
                p.grad = grad
                _places[id(p)] = weakref.ref(p, partial(_places.pop, id(p))), Place(self, i)

    def views(self, flat: torch.Tensor, first: int = 0, last: int | None = None) -> list[torch.Tensor]:
        """Return of a flat tensor the parts of some parameters, in their shapes and orders in memory."""
        begin = self.starts[first]
        return [
            flat.as_strided(shape, strides, flat.storage_offset() + start - begin)
            for (shape, strides), start in zip(self._shapes[first:last], self.starts[first:], strict=False)
        ]

    def release(self) -> None:
        """Forget the parameters, which were given other memory; they step one by one from then on."""
        moves[0] += 1
        for p in (ref() for ref in self._params):
            place = None if p is None else place_of(p)
            if place is not None and place.arena is self:
                del _places[id(p)]

    def __repr__(self) -> str:
        """Return what it holds, in a line."""
        return f"Arena: {len(self._params)} parameters, {self.data.numel():,} elements of {self.data.dtype}"


def _check(params: Sequence[Any]) -> None:
    if not params:
        raise ValueError("arena: got no parameters that require a gradient")
    seen: set[int] = set()
    for i, p in enumerate(params):
        name = f"parameter {i}"
        if not isinstance(p, torch.Tensor):
            raise TypeError(f"arena: {name}: got {type(p).__name__}, need a tensor")
        refusals.parameter("arena", name, p)
        if is_distributed(p):
            raise TypeError(f"arena: {name}: got a DTensor; each process holds its parts in buffers already")
        if not p.is_leaf:
            raise ValueError(f"arena: {name}: got a tensor that was computed, need a leaf")
        if p.dtype != params[0].dtype:
            raise TypeError(
                f"arena: {name}: got {p.dtype}, need {params[0].dtype}, the dtype of the first; make one arena for each"
            )
        if place_of(p) is not None:
            raise ValueError(f"arena: {name}: lies in an arena already")
        if id(p) in seen:
            raise ValueError(f"arena: {name}: got it twice")
        if p.grad is not None:
            refusals.gradient("arena", name, p, p.grad)
        seen.add(id(p))


class Run:
    """Parameters that lie in an arena one after another."""

    def __init__(self, arena: Arena, first: int, params: Sequence[torch.Tensor]) -> None:
        begin, end = arena.starts[first], arena.starts[first + len(params)]
        self.arena, self.params = arena, list(params)
        self.grads = arena.grads[first : first + len(params)]
        self.grad = arena.grad[begin:end]
        #: What the kernels check the parameters against, to step them as one.
        self.flat = (arena.data[begin:end], self.grad, self.grads)

    @classmethod
    def of(cls, params: Sequence[torch.Tensor]) -> Run | None:
        """Return the run that these parameters are, if they are one."""
        places = [place_of(p) for p in params]
        first = places[0] if places else None
        if first is None:
            return None
        run = range(first.index, first.index + len(params))
        if any(
            place is None or place.arena is not first.arena or place.index != i
            for place, i in zip(places, run, strict=True)
        ):
            return None
        return cls(first.arena, first.index, params)

    def zero(self) -> bool:
        """Set the gradients to 0, those in the buffer, which they are again; tells whether that can be."""
        for p, grad in zip(self.params, self.grads, strict=True):
            if p.grad is not grad:
                if p.dtype != grad.dtype or p.stride() != grad.stride():
                    self.arena.release()
                    return False
                p.grad = grad
        self.grad.zero_()
        return True
