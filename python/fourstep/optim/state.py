"""An optimizer's state as names, numbers and arrays; and back, with every difference listed before anything changes.

{"format": 1, "optimizer": "Adam", "step": 7, "clip_norm": None,
 "groups": [{"names": [...], "step": 7, "lr": 0.001, ...}],
 "state": {"w1": {"exp_avg": array, "exp_avg_sq": array}, ...}}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fourstep import schedules
from fourstep.state import StateError, check_state

if TYPE_CHECKING:
    from fourstep.optim.base import Optimizer
    from fourstep.optim.groups import ParamGroup

FORMAT = 1


def dump(optimizer: Optimizer) -> dict[str, Any]:
    """Return the state of an optimizer, copied."""
    return {
        "format": FORMAT,
        "optimizer": type(optimizer).__name__,
        "step": optimizer.step_count,
        "clip_norm": optimizer.clip_norm,
        "groups": [_dump_group(group) for group in optimizer.param_groups],
        "state": {
            name: {key: value.copy() for key, value in optimizer.state_of(name).items()}
            for group in optimizer.param_groups
            for name in group["names"]
        },
    }


def _dump_group(group: ParamGroup) -> dict[str, Any]:
    described = group.described()
    lr = described.pop("lr")
    if isinstance(lr, schedules.Schedule):
        lr = lr.to_dict()
    elif callable(lr):
        lr = {"function": getattr(lr, "__qualname__", repr(lr))}
    names = list(described.pop("names"))
    return {"names": names, "step": group.steps, "lr": lr, **described, "scalars": dict(group.scalars)}


def restore(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Put a state back.

    Raises
    ------
    StateError
        Lists every difference; nothing is changed then.
    """
    kind = type(optimizer).__name__
    missing = [key for key in ("format", "optimizer", "step", "groups", "state") if key not in state]
    if missing:
        raise StateError(f"{kind}: this is not the state of an optimizer: it has no {', '.join(missing)}")
    if state["format"] != FORMAT:
        raise StateError(f"{kind}: got state of format {state['format']}, need format {FORMAT}")
    if state["optimizer"] != kind:
        raise StateError(f"{kind}: got the state of {state['optimizer']}")
    _check_groups(optimizer, state)
    values = [
        _hyper(kind, group, saved)
        for group, saved in zip(optimizer.param_groups, state["groups"], strict=True)
    ]
    _check_arrays(optimizer, state)

    for group, saved, new in zip(optimizer.param_groups, state["groups"], values, strict=True):
        _remember(group, new)
        group.update_all(new)
        group.steps = int(saved["step"])
        group.scalars = {key: float(value) for key, value in saved["scalars"].items()}
        group.started = set()
    optimizer.step_count = state["step"]
    optimizer.clip_norm = state.get("clip_norm")
    for group in optimizer.param_groups:
        for name in group["names"]:
            group.started |= set(state["state"].get(name, {}))
    _copy_arrays(optimizer, state["state"])


def _check_groups(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    ours = [list(group["names"]) for group in optimizer.param_groups]
    theirs = [list(group["names"]) for group in state["groups"]]
    if ours == theirs:
        return
    lines = []
    here = {name: i for i, names in enumerate(ours) for name in names}
    there = {name: i for i, names in enumerate(theirs) for name in names}
    lines += [f"missing parameter {name!r}" for name in here if name not in there]
    lines += [f"unexpected parameter {name!r}" for name in there if name not in here]
    lines += [
        f"parameter {name!r} is in group {there[name]}, need group {here[name]}"
        for name in here
        if name in there and here[name] != there[name]
    ]
    if not lines:
        lines = [
            f"group {i}: got the order {b}, need {a}"
            for i, (a, b) in enumerate(zip(ours, theirs, strict=False))
            if a != b
        ]
        lines += [f"got {len(theirs)} groups, need {len(ours)}"] if len(ours) != len(theirs) else []
    raise StateError(f"{type(optimizer).__name__}: " + "; ".join(lines))


def _hyper(kind: str, group: ParamGroup, saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyper-parameters of a saved group, checked by the group's own checks."""
    values = {key: value for key, value in saved.items() if key not in ("names", "step", "scalars")}
    lr = values["lr"]
    if isinstance(lr, Mapping):
        values["lr"] = _schedule(kind, group, lr)
    trial = {**group.described(), **values}
    del trial["names"]
    unknown = sorted(set(values) - set(group.described()))
    if unknown:
        raise StateError(f"{kind}: unexpected hyper-parameters {', '.join(unknown)}")
    group.check_all(trial)
    return values


def _schedule(kind: str, group: ParamGroup, saved: Mapping[str, Any]) -> Callable[[int], float]:
    if "function" not in saved:
        return schedules.from_dict(saved)
    own = group.schedule
    if own is None:
        raise StateError(
            f"{kind}: lr was the function {saved['function']}, which cannot be saved; make the optimizer with it first"
        )
    return own


def _remember(group: ParamGroup, new: dict[str, Any]) -> None:
    """Give a plateau schedule its memory back in place: the caller goes on showing metrics to that object."""
    own, saved = group.schedule, new["lr"]
    if isinstance(own, schedules.ReduceOnPlateau) and isinstance(saved, schedules.ReduceOnPlateau):
        memory = saved.state_dict()
        if own.to_dict() | {"state": memory} == saved.to_dict():
            own.load_state_dict(memory)
            new["lr"] = own


def _check_arrays(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    arrays = {name: array for group in optimizer.param_groups for name, array in _named(group)}
    expected: dict[str, np.ndarray[Any, Any]] = {}
    got: dict[str, Any] = {}
    for name, array in arrays.items():
        for key, value in state["state"].get(name, {}).items():
            expected[f"{name}.{key}"] = np.broadcast_to(array.dtype.type(0), array.shape)
            got[f"{name}.{key}"] = value
    for name in state["state"]:
        if name not in arrays:
            got[name] = None
    check_state(expected, got, type(optimizer).__name__)


def _named(group: ParamGroup) -> list[tuple[str, np.ndarray[Any, Any]]]:
    return list(zip(group["names"], group["params"], strict=True))


def _copy_arrays(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    for index, group in enumerate(optimizer.param_groups):
        optimizer.allocate_for(index, sorted(group.started))
        for name in group["names"]:
            views = optimizer.state_of(name)
            for key in group.started:
                views[key][...] = state[name][key]
