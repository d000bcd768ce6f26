"""An optimizer's state as names, numbers and arrays; and back, with every difference listed before anything changes.

{"format": 2, "optimizer": "Adam", "dialect": "torch", "step": 7, "options": {"clip_norm": None, ...},
 "ema": {"w1": array, ...},
 "groups": [{"names": [...], "step": 7, "started": ["exp_avg", "exp_avg_sq"], "scalars": {}, "lr": 0.001, ...}],
 "state": {"w1": {"exp_avg": array, "exp_avg_sq": array}, ...}}
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from fourstep import schedules, steps
from fourstep.optim.dialects import DIALECTS
from fourstep.state import StateError, check_state

if TYPE_CHECKING:
    from fourstep.optim.base import Optimizer
    from fourstep.optim.groups import ParamGroup

FORMAT = 2
_KEYS = ("format", "optimizer", "dialect", "step", "options", "groups", "state", "ema")
_OWN = ("names", "step", "started", "scalars")  # of a group, beside its hyper-parameters


def dump(optimizer: Optimizer) -> dict[str, Any]:
    """Return the state of an optimizer, copied."""
    return {
        "format": FORMAT,
        "optimizer": type(optimizer).__name__,
        "dialect": optimizer.dialect,
        "step": optimizer.step_count,
        "options": optimizer.options.to_dict(),
        "groups": [_dump_group(group) for group in optimizer.param_groups],
        "state": {
            name: {key: value.copy() for key, value in optimizer.stored_of(name).items()}
            for group in optimizer.param_groups
            for name in group["names"]
        },
        "ema": {name: value.copy() for name, value in _averages(optimizer).items()},
    }


def _averages(optimizer: Optimizer) -> Mapping[str, Any]:
    return {} if optimizer.options.ema_decay is None else optimizer.ema


def _dump_group(group: ParamGroup) -> dict[str, Any]:
    described = group.described()
    return {
        "names": list(described.pop("names")),
        "step": group.steps,
        "started": sorted(group.started),
        "scalars": dict(group.scalars),
        **({"table_steps": dict(group.table_steps)} if group.raw("sparse") else {}),
        **{key: _dump_value(value) for key, value in described.items()},
        "lr": _dump_lr(described["lr"]),
    }


def _dump_value(value: Any) -> Any:
    """Return a hyper-parameter as it is, one of the four steps as a dict, a function by its name."""
    if isinstance(value, steps.Step):
        return value.to_dict()
    return _named(value) if callable(value) else value


def _dump_lr(lr: Any) -> Any:
    """Return a number as it is, a schedule as a dict, any other function by its name."""
    try:
        return lr.to_dict() if isinstance(lr, schedules.Schedule) else lr if not callable(lr) else _named(lr)
    except TypeError:  # a schedule around a function
        return _named(lr)


def _named(function: Callable[[int], float]) -> dict[str, str]:
    return {"function": getattr(function, "__qualname__", None) or type(function).__qualname__}


class HyperParameterWarning(UserWarning):
    """A state was loaded whose hyper-parameters are not those that the optimizer was made with."""


@dataclass
class _Group:
    """What a group will be, once all of it is known to be right."""

    values: dict[str, Any]
    memories: list[tuple[schedules.ReduceOnPlateau, dict[str, float]]]
    steps: int
    started: set[str]
    scalars: dict[str, float]
    table_steps: dict[str, int]


def restore(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Put a state back.

    Raises
    ------
    StateError
        Lists every difference; nothing is changed then.
    """
    kind = type(optimizer).__name__
    problems: list[str] = []
    if isinstance(state, Mapping) and state.get("format") == 1:
        state = _from_format_1(optimizer, state)
    _check_outline(kind, state)
    _check_names(optimizer, state["groups"], problems)
    if problems:
        raise StateError(f"{kind}: {'; '.join(problems)}")
    groups = [_read_group(optimizer, index, saved, problems) for index, saved in enumerate(state["groups"])]
    step = _count("step", state["step"], problems)
    options = _read_options(optimizer, state["options"], problems)
    averages = dict(_averages(optimizer))
    try:
        _check_arrays(optimizer, groups, state["state"])
    except StateError as error:
        problems.append(str(error).removeprefix(f"{kind}: "))
    try:
        check_state(averages, state["ema"], "ema")
    except StateError as error:
        problems.append(str(error))
    if problems:
        raise StateError(f"{kind}: {'; '.join(problems)}")

    _tell_of_changes(optimizer, groups, options, state["dialect"])
    for index, new in enumerate(groups):
        optimizer.allocate_for(index, sorted(new.started))
    for group, new in zip(optimizer.param_groups, groups, strict=True):
        group.update_all(new.values)
        group.steps, group.started, group.scalars = new.steps, new.started, new.scalars
        group.table_steps = new.table_steps
        for plateau, memory in new.memories:
            plateau.load_state_dict(memory)
        for name in group["names"]:
            for key, view in optimizer.stored_of(name).items():
                view[...] = state["state"][name][key]
    optimizer.dialect = state["dialect"]
    for name, average in averages.items():
        average[...] = state["ema"][name]
    optimizer.step_count = step
    for name, value in options.items():
        setattr(optimizer.options, name, value)


def _tell_of_changes(
    optimizer: Optimizer, groups: Sequence[_Group], options: Mapping[str, Any], dialect: str
) -> None:
    """Warn of what the caller asked for and the state says otherwise."""
    here = optimizer.options.to_dict()
    lines = [f"{name}: {here[name]!r} becomes {value!r}" for name, value in options.items()]
    if dialect != optimizer.dialect:
        lines.insert(0, f"dialect: {optimizer.dialect!r} becomes {dialect!r}")
    for index, (group, new) in enumerate(zip(optimizer.param_groups, groups, strict=True)):
        clean = group.check_all(new.values)
        lines += [
            f"{key} of group {index}: {group.raw(key)!r} becomes {clean[key]!r}"
            for key in new.values
            if key != "lr" and clean[key] != group.raw(key)
        ]
    if lines:
        warnings.warn(
            f"{type(optimizer).__name__}: the state brings its own hyper-parameters: {'; '.join(lines)}",
            HyperParameterWarning,
            stacklevel=4,
        )


def _from_format_1(optimizer: Optimizer, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a state of before the options is today."""
    new = {key: value for key, value in state.items() if key != "clip_norm"}
    new["options"] = {**optimizer.options.to_dict(), "clip_norm": state.get("clip_norm")}
    new.setdefault("dialect", "torch")
    added = {"decay": "l2", "clip_norm": None, "sparse": False}
    groups = state.get("groups")
    if isinstance(groups, list | tuple) and all(isinstance(g, Mapping) for g in groups):
        new["groups"] = [{**added, **group} for group in groups]
    return {
        **new,
        "format": FORMAT,
        "ema": {name: average.copy() for name, average in _averages(optimizer).items()},
    }


def _read_options(optimizer: Optimizer, saved: Any, problems: list[str]) -> dict[str, Any]:
    """Return the options that differ and can be set; those that are fixed have to be the same."""
    here = optimizer.options.to_dict()
    if not isinstance(saved, Mapping) or set(saved) != set(here):
        problems.append(f"options: got {saved!r}, need a dict of {', '.join(here)}")
        return {}
    changed = {}
    for name, value in saved.items():
        if value == here[name]:
            continue
        if name in optimizer.options.FIXED:
            problems.append(f"{name}: got {value!r}, need {here[name]!r}; make the optimizer with it")
            continue
        trial = type(optimizer.options)()
        try:
            setattr(trial, name, value)
            changed[name] = getattr(trial, name)
        except (ValueError, TypeError) as error:
            problems.append(str(error))
    return changed


def _check_outline(kind: str, state: Any) -> None:
    if not isinstance(state, Mapping):
        raise StateError(f"{kind}: got {type(state).__name__}, need the dict that state_dict() returns")
    missing = [key for key in _KEYS if key not in state]
    unknown = [str(key) for key in state if key not in _KEYS]
    if missing or unknown:
        lines = [f"{key!r} is missing" for key in missing] + [f"{key!r} is unexpected" for key in unknown]
        raise StateError(f"{kind}: this is not the state of an optimizer: {'; '.join(lines)}")
    if state["format"] != FORMAT:
        raise StateError(f"{kind}: got state of format {state['format']!r}, need format {FORMAT}")
    if state["optimizer"] != kind:
        raise StateError(f"{kind}: got the state of {state['optimizer']}")
    if state["dialect"] not in DIALECTS:
        raise StateError(f"{kind}: dialect: got {state['dialect']!r}, need one of {', '.join(DIALECTS)}")
    if not isinstance(state["state"], Mapping):
        raise StateError(f"{kind}: 'state' is a {type(state['state']).__name__}, needs to be a dict")
    groups = state["groups"]
    if not isinstance(groups, list | tuple) or not all(
        isinstance(g, Mapping) and "names" in g for g in groups
    ):
        raise StateError(f"{kind}: 'groups' needs to be a list of dicts with 'names'")


def _check_names(optimizer: Optimizer, saved: Any, problems: list[str]) -> None:
    ours = [list(group["names"]) for group in optimizer.param_groups]
    theirs = [list(group["names"]) for group in saved]
    if ours == theirs:
        return
    here = {name: i for i, names in enumerate(ours) for name in names}
    there = {name: i for i, names in enumerate(theirs) for name in names}
    problems += [f"missing parameter {name!r}" for name in here if name not in there]
    problems += [f"unexpected parameter {name!r}" for name in there if name not in here]
    problems += [
        f"parameter {name!r} is in group {there[name]}, need group {here[name]}"
        for name in here
        if name in there and here[name] != there[name]
    ]
    if len(ours) != len(theirs):
        problems.append(f"got {len(theirs)} groups, need {len(ours)}")
    elif not problems:
        orders = enumerate(zip(ours, theirs, strict=True))
        problems += [f"group {i}: got the order {b}, need {a}" for i, (a, b) in orders if a != b]


def _read_group(optimizer: Optimizer, index: int, saved: Mapping[str, Any], problems: list[str]) -> _Group:
    group = optimizer.param_groups[index]
    found: list[str] = []
    own = (*_OWN, "table_steps") if group.raw("sparse") else _OWN
    need = (*own, *(key for key in group.described() if key != "names"))
    found += [f"{key!r} is missing" for key in need if key not in saved]
    found += [f"{key!r} is unexpected" for key in saved if key not in need]
    found += [
        f"{key}: got {saved[key]!r}, need {group.raw(key)!r}, which is fixed"
        for key in group.fixed
        if key in saved and saved[key] != group.raw(key)
    ]
    values = {key: value for key, value in saved.items() if key in need and key not in own}
    memories: list[tuple[schedules.ReduceOnPlateau, dict[str, float]]] = []
    try:
        if "lr" in values:
            values["lr"], memories = _schedule(group, values["lr"])
        values.update({key: _own_function(group, key, value) for key, value in values.items() if key != "lr"})
        group.check_all(values)
    except (ValueError, TypeError, KeyError) as error:
        found.append(str(error))
    taken = _count("step", saved.get("step", 0), found)
    started = saved.get("started", [])
    if not isinstance(started, list | tuple) or not set(started) <= set(optimizer.states):
        found.append(f"started: got {started!r}, need some of {list(optimizer.states)}")
        started = []
    scalars = saved.get("scalars", {})
    if not isinstance(scalars, Mapping) or not all(_finite(value) for value in scalars.values()):
        found.append(f"scalars: got {scalars!r}, need numbers by name")
        scalars = {}
    elif set(scalars) != (set(optimizer.scalars) if taken else set()):
        found.append(f"scalars: got {sorted(scalars)}, need {sorted(optimizer.scalars) if taken else []}")
    table_steps = saved.get("table_steps", {})
    if not isinstance(table_steps, Mapping) or not set(table_steps) <= set(group["names"]):
        found.append(f"table_steps: got {table_steps!r}, need counts by table")
        table_steps = {}
    table_steps = {
        name: _count(f"table_steps of {name}", value, found) for name, value in table_steps.items()
    }
    problems += [f"group {index}: {line}" for line in found]
    scalars = {key: float(value) for key, value in scalars.items()}
    return _Group(values, memories, taken, set(started), scalars, table_steps)


def _count(name: str, value: Any, problems: list[str]) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or not 0 <= int(value) < 2**64:
        problems.append(f"{name}: got {value!r}, need a whole number from 0 to 2^64 - 1")
        return 0
    return int(value)


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _schedule(
    group: ParamGroup, saved: Any
) -> tuple[Any, list[tuple[schedules.ReduceOnPlateau, dict[str, float]]]]:
    """Return the rate of a group, and what the plateaus in it have to remember.

    A plateau is shown metrics by the caller, who holds it: it is kept, and given its memory back in place.
    """
    if not isinstance(saved, Mapping):
        return saved, []
    own = group.schedule
    if "function" in saved:
        if own is None or _dump_lr(own) != dict(saved):
            what = f"lr was the function {saved['function']}, which cannot be saved"
            raise StateError(f"{what}; make the optimizer with it first")
        return own, []
    new = schedules.from_dict(saved)
    mine, theirs = _plateaus(own), _plateaus(new)
    if not mine:
        return new, []
    if _settings(own) != _settings(new):
        raise StateError(
            f"lr: got {new!r}, need {own!r}, which is shown metrics; make the optimizer with the other"
        )
    return own, [(a, b.state_dict()) for a, b in zip(mine, theirs, strict=True)]


def _own_function(group: ParamGroup, key: str, saved: Any) -> Any:
    """Return a hyper-parameter; where it was a function, the user's own of that name."""
    if not (isinstance(saved, Mapping) and "function" in saved):
        return saved
    own = group.raw(key)
    if not callable(own) or _named(own) != dict(saved):
        raise StateError(
            f"{key} was the function {saved['function']}, which cannot be saved; make the optimizer with it first"
        )
    return own


def _plateaus(schedule: Any) -> list[schedules.ReduceOnPlateau]:
    """Return the plateaus in a schedule, outermost first."""
    if isinstance(schedule, schedules.ReduceOnPlateau):
        return [schedule]
    if not isinstance(schedule, schedules.Schedule):
        return []
    return [plateau for f in fields(schedule) for plateau in _plateaus(getattr(schedule, f.name))]  # type: ignore[arg-type]


def _settings(schedule: Any) -> Any:
    """Return a schedule as a dict, without what plateaus remember."""

    def without(node: Any) -> Any:
        if isinstance(node, Mapping):
            return {key: without(value) for key, value in node.items() if key != "state"}
        return node

    return without(_dump_lr(schedule))


def _check_arrays(optimizer: Optimizer, groups: list[_Group], state: Mapping[str, Any]) -> None:
    """Compare the arrays with what each group has started."""
    expected: dict[str, np.ndarray[Any, Any]] = {}
    known: set[str] = set()
    for group, new in zip(optimizer.param_groups, groups, strict=True):
        for name in group["names"]:
            known.add(name)
            for key in sorted(new.started):
                like = optimizer.state_like(group, name, key)
                expected.update({f"{name}.{part}": ghost for part, ghost in like.items()})
    got: dict[str, Any] = {}
    for name, arrays in state.items():
        if name in known and isinstance(arrays, Mapping):
            got.update({f"{name}.{key}": value for key, value in arrays.items()})
        else:
            got[name] = arrays
    check_state(expected, got, type(optimizer).__name__)
    _check_counts(state)


def _check_counts(state: Mapping[str, Any]) -> None:
    """Refuse counts of steps of rows that are none."""
    for name, arrays in state.items():
        counts = np.asarray(arrays.get("row_steps", []))
        if (counts < 0).any():
            row = int(np.argmax(counts < 0))
            raise StateError(f"row_steps of {name}: got {counts[row]} at {row}, need a count")
