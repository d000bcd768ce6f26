"""State of a group in flat tensors, of which each parameter has a part: a step looks at a few, not at thousands."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import torch

from fourstep import _core

API = torch.Tensor.__dlpack_c_exchange_api__

#: (buffer, parameter) -> what a buffer holds before the first step.
Start = Callable[[str, torch.Tensor], Any]

_NONE = 2**64 - 1


def fill(buffer: torch.Tensor, value: Any) -> None:
    """Let a buffer of zeros hold a number, or the numbers of an array."""
    if isinstance(value, np.ndarray):
        buffer.copy_(torch.from_numpy(value))
    elif value != 0:
        buffer.fill_(value)


class Held(dict[str, Any]):
    """A parameter's state. A dict like any other, which counts when it is changed: the step then looks anew."""

    __slots__ = ("changes",)

    def __init__(self, values: dict[str, Any], changes: list[int]) -> None:
        super().__init__(values)
        self.changes = changes

    def __reduce__(self) -> Any:
        """A copy is a plain dict."""
        return dict, (dict(self),)

    def _counted(method: Callable[..., Any]) -> Callable[..., Any]:  # type: ignore[misc]  # noqa: N805
        def changed(self: Held, *args: Any, **named: Any) -> Any:
            self.changes[0] += 1
            return method(self, *args, **named)

        return changed

    __setitem__ = _counted(dict.__setitem__)
    __delitem__ = _counted(dict.__delitem__)
    __ior__ = _counted(dict.__ior__)
    pop = _counted(dict.pop)
    popitem = _counted(dict.popitem)
    clear = _counted(dict.clear)
    update = _counted(dict.update)
    setdefault = _counted(dict.setdefault)


class Packed:
    """Flat state of some parameters, and where each has its part."""

    def __init__(
        self, params: Sequence[torch.Tensor], buffers: Collection[str], counters: Collection[str]
    ) -> None:
        self.names = (*buffers, *counters)
        self.buffers: dict[str, torch.Tensor] = {}
        self.counters: dict[str, torch.Tensor] = {}
        self.starts = np.full(len(params), _NONE, np.uint64)
        self.layouts = np.array(_core.layouts(API, list(params)), np.uint64)
        #: Of each parameter the dict of its parts.
        self.held: list[Held | None] = [None] * len(params)

    @classmethod
    def of(
        cls,
        params: Sequence[torch.Tensor],
        states: Sequence[dict[str, Any]],
        names: tuple[Collection[str], Collection[str]],
        new: Collection[int],
        start: Start,
        counter: torch.dtype,
        changes: list[int],
        *,
        dense: bool,
    ) -> Packed | None:
        """Move state into flat tensors, and make it for the parameters in `new`.

        Nothing is changed that was there. `dense` leaves no gaps, so that neighbours can be one run; else parts begin at
        multiples of 64 bytes. None: it cannot be flat, as dtypes differ or some state is not whole.
        """
        buffers, counters = names
        stateless = not buffers and not counters
        there = [i for i, state in enumerate(states) if any(value is not None for value in state.values())]
        member = sorted({*range(len(params))} if stateless else {*there, *new})
        if not all(_whole(params[i], states[i], buffers, counters) for i in there):
            return None
        dtypes = {states[i][key].dtype for i in there if i not in new for key in counters}
        if len({p.dtype for p in params}) > 1 or len(dtypes) > 1:
            return None
        self = cls(params, buffers, counters)
        unit = 1 if dense else 64 // params[0].element_size()
        total = 0
        for i in member:
            self.starts[i] = total
            total += -(-params[i].numel() // unit) * unit
        if stateless:
            return self
        for key in counters:
            self.counters[key] = torch.full(
                (len(params),), 1.0 if key == "mu_product" else 0.0, dtype=next(iter(dtypes), counter)
            )
        for key in buffers:
            self.buffers[key] = torch.zeros(total, dtype=params[0].dtype)
        counts = {key: flat.unbind() for key, flat in self.counters.items()}
        for i in member:
            old = states[i] if i in there else {}
            parts = {key: counts[key][i] for key in counters}
            for key, flat in self.buffers.items():
                parts[key] = flat.as_strided(params[i].shape, params[i].stride(), int(self.starts[i]))
                if key not in old:
                    fill(parts[key], start(key, params[i]))
            for key in old.keys() & parts.keys():
                parts[key].copy_(old[key])
            self.held[i] = Held({**old, **parts}, changes)
        return self


def _whole(
    p: torch.Tensor, state: dict[str, Any], buffers: Collection[str], counters: Collection[str]
) -> bool:
    """Tell whether state has all that it should, as it should be."""
    tensors = [state.get(key) for key in (*buffers, *counters)]
    return all(isinstance(tensor, torch.Tensor) and tensor.device.type == "cpu" for tensor in tensors) and (
        all(state[key].dtype == p.dtype and state[key].shape == p.shape for key in buffers)
        and all(state[key].numel() == 1 for key in counters)
    )
