"""What every optimizer shares: parameters, groups, one call of the kernels a step, state by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Unpack

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep._table import table
from fourstep.arena import Arena, Array
from fourstep.optim import checks
from fourstep.optim.busy import Busy
from fourstep.optim.checks import Check
from fourstep.optim.dialects import Aliases, Dialect, Dialected
from fourstep.optim.dialects.against import Against, against
from fourstep.optim.groups import ParamGroup, assign
from fourstep.optim.layout import ArenaLayout, Range, layout_of
from fourstep.optim.state import dump, restore
from fourstep.schedules import evaluate

Hyper = dict[str, Any]

#: (group, rule, state buffers, hyper-parameters): what one group does in one call.
Job = tuple[int, str, tuple[str, ...], Hyper]

#: Gradients by buffer.
Gradients = Mapping[int, Array]

#: What a closure returns: the loss over an arena, else (loss, gradients).
Closure = Callable[[], Any]


class Shared(Aliases, total=False):
    """What every optimizer takes by keyword beside its own arguments; see `Optimizer`."""

    maximize: bool
    clip_value: float | None
    clip_norm: float | None
    groups: Sequence[Mapping[str, Any]] | None
    dialect: Dialect


class Optimizer(metaclass=Dialected):
    """Base of the optimizers: a subclass says what its hyper-parameters are and which rule a group steps by.

    All of them take these, beside their own:

    Parameters
    ----------
    params : Arena, dict or list of ndarray, or list of dict
        float32 or float64, C-contiguous, updated in place. The last form is torch's: ``[{"params": [w], "lr": 0.1}]``.
    lr : float or schedule
        The learning rate: a number, or a function of the step (`fourstep.schedules`; the first update asks for step 0).
    weight_decay : float
        λ of the penalty ½·λ·‖w‖²: λ·w is added to the gradient (L2, as torch does; not decoupled).
    maximize : bool
        Ascend instead of descend.
    clip_value : float, optional
        The largest magnitude of an element of the gradient. By value changes the gradient's direction (G4).
    clip_norm : float, optional
        The largest norm of the gradient over all trainable parameters. Before anything else it is multiplied by
        ``min(1, clip_norm / (norm + 1e-6))``. A norm that is not finite is an error, and nothing is updated.
    groups : list of dict, optional
        Hyper-parameters by group: ``[{"params": "*.bias", "weight_decay": 0.0}, {"params": ...}]``. ``"params"`` is
        a name, a pattern, a list of them, or ``...`` for the rest; ``"trainable": False`` freezes a group.
    dialect : {"torch", "keras", "optax", "paper", "notes"}
        Whose defaults, semantics and argument names: fills in what is not given. See ``docs/optim/dialects.md``.
    """

    #: Whose defaults and semantics this one was made with.
    dialect: Dialect = "torch"

    #: Names of the state buffers that its rules can have, and of the scalars that a group carries from step to step.
    states: ClassVar[tuple[str, ...]] = ()
    scalars: ClassVar[tuple[str, ...]] = ()
    #: Name of each hyper-parameter and its check; a subclass adds its own.
    _checks: ClassVar[dict[str, Check]] = {}
    _shared_checks: ClassVar[dict[str, Check]] = {
        "lr": checks.learning_rate,
        "weight_decay": checks.non_negative,
        "maximize": checks.flag,
        "clip_value": checks.positive_or_none,
        "trainable": checks.flag,
    }

    def __init__(
        self,
        params: Any,
        defaults: Hyper,
        **shared: Unpack[Shared],
    ) -> None:
        groups = shared.pop("groups", None)
        clip_norm = shared.pop("clip_norm", None)
        self._layout, own_groups = layout_of(params)
        if own_groups is not None and groups is not None:
            raise TypeError("groups: got some beside those in params; need one or the other")
        specs = own_groups or ([{"params": ...}] if groups is None else groups)
        self.clip_norm = clip_norm
        #: Updates taken; the next one asks a schedule for this step. Set it to go on from there.
        self.step_count = 0
        self.defaults = {"trainable": True, "maximize": False, "clip_value": None, **defaults, **shared}
        arrays = self._layout.params()
        self._groups = tuple(
            ParamGroup(
                names,
                [arrays[name] for name in names],
                {**self.defaults, **{key: value for key, value in spec.items() if key != "params"}},
                {**self._shared_checks, **self._checks},
                self._check_together,
                lambda: self.step_count,
            )
            for spec, names in zip(specs, assign(self._layout.names, specs), strict=True)
        )
        self._ranges = [self._layout.ranges(group["names"]) for group in self.param_groups]
        #: State by name, then by buffer; a buffer of parameters that never trained has none.
        self._state: dict[str, dict[int, Array]] = {}
        self._rates: dict[int, float] = {}
        self._busy = Busy()
        if isinstance(params, Arena):
            params.groups = {
                name: str(i) for i, group in enumerate(self.param_groups) for name in group["names"]
            }

    # What a subclass says.

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        """Return the rule of a group, its state buffers, and the hyper-parameters that it wants beside the shared."""
        raise NotImplementedError

    def _check_together(self, values: Mapping[str, Any]) -> None:
        """Raise where hyper-parameters that are each in range do not go together."""

    def _start(self, group: ParamGroup, state: str) -> float:
        """Return what a state buffer holds before its first step."""
        return 0.0

    def _stepped(self, group: ParamGroup) -> None:
        """Update the scalars of a group after a step."""

    # What a user calls.

    @property
    def param_groups(self) -> tuple[ParamGroup, ...]:
        """The groups, live: what is assigned to one counts from the next step. There are no more and no fewer later."""
        return self._groups

    @property
    def clip_norm(self) -> float | None:
        """The largest norm of the gradient; None = no limit."""
        return self._clip_norm

    @clip_norm.setter
    def clip_norm(self, value: float | None) -> None:
        self._clip_norm = checks.positive_or_none("clip_norm", value)

    @property
    def step_count(self) -> int:
        """Updates taken so far: the step that a schedule is asked for next."""
        return self._step_count

    @step_count.setter
    def step_count(self, value: int) -> None:
        if not (hasattr(value, "__index__") and 0 <= int(value) < 2**64) or isinstance(value, bool):
            raise ValueError(f"step_count: got {value!r}, need a whole number from 0 to 2^64 - 1")
        self._step_count = int(value)

    def step(self, grads: Any = None) -> Any:
        """Take one step over all trainable parameters, in one call of the kernels.

        Parameters
        ----------
        grads : optional
            Nothing for an arena, whose gradients are ``arena.grad``; else gradients in the form of the parameters
            (a dict, a list, or for groups a list of lists in group order). Or a closure: it fills ``arena.grad`` and
            returns the loss, or without an arena returns ``(loss, gradients)``.

        Returns
        -------
        The loss, where a closure was given.

        Raises
        ------
        RuntimeError
            Another thread is stepping the same parameters.
        FloatingPointError
            With `clip_norm`, a norm that is not finite.
        """
        with self._alone():
            if callable(grads):
                return self._step_closure(grads)
            self._step(self._layout.gradients(grads, self._frozen()))
            return None

    def zero_grad(self) -> None:
        """Set every gradient of the arena to 0."""
        if not isinstance(self._layout, ArenaLayout):
            raise TypeError("zero_grad() is for an arena; the gradients of arrays are the caller's")
        self._layout.arena.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of everything that the next step depends on: names, numbers, arrays.

        ``fs.save`` stores it; the state keeps its dtype, and is named by parameter, not by position.
        """
        return dump(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`.

        Raises
        ------
        StateError
            It is of another optimizer, version, or set of parameters: lists every difference; nothing is changed then.
        """
        with self._alone():
            restore(self, state)

    def explain_against(
        self,
        dialect: Dialect,
        gradients: Any = None,
        *,
        steps: Sequence[int] | None = None,
        start: Array | None = None,
        group: int = 0,
    ) -> Against:
        """Compare with the same optimizer in another dialect: the fields that differ, why, and the size of the effect.

        What was chosen here is taken along; defaults and semantics are those of there. Both then walk by the same
        gradients, from the same parameters, in float64; this optimizer itself is not touched.

        Parameters
        ----------
        dialect : {"torch", "keras", "optax", "paper", "notes"}
            The other one.
        gradients : array of (steps, n), list of arrays, or function, optional
            A gradient for each step, or a function of the parameters, which then need a `start`. By default 256
            coordinates of sizes from 10⁻⁶ to 10⁻¹.
        steps : list of int, optional
            After which steps to compare: by default 1, 10, 100, as far as there are gradients.
        start : ndarray, optional
            The parameters to start from.
        group : int
            The group whose hyper-parameters are compared.

        Returns
        -------
        Against
            With ``fields``, ``effect`` and ``same_numbers``; its ``repr`` is the table.

        Examples
        --------
        >>> import numpy as np
        >>> import fourstep as fs
        >>> fs.optim.SGD([np.ones(2)], lr=0.1).explain_against("optax").fields
        ()
        """
        return against(self, dialect, gradients, steps=steps, start=start, group=group)

    def state_of(self, name: str) -> dict[str, Array]:
        """Return the state of one parameter: views, in its shape, by torch's names."""
        group = next((g for g in self.param_groups if name in g["names"]), None)
        if group is None:
            raise KeyError(f"no parameter is called {name!r}; there are {', '.join(self._layout.names)}")
        shape = group["params"][group["names"].index(name)].shape
        buffer, start, stop = self._layout.where(name)
        return {
            key: buffers[buffer].reshape(-1)[start:stop].reshape(shape)
            for key, buffers in self._state.items()
            if key in group.started
        }

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse: a copy would step the copied parameters or the same ones, and nobody could tell which."""
        raise TypeError(
            f"{type(self).__name__}: an optimizer is not copied or pickled; "
            "make another over the parameters that it is for, and load_state_dict(state_dict())"
        )

    def __repr__(self) -> str:
        """Return a table of the groups: what each holds, and its hyper-parameters."""
        keys = [*self._shared_checks, *self._checks]
        rows = []
        for index, group in enumerate(self.param_groups):
            elements = sum(array.size for array in group["params"])
            values = [group.raw(key) for key in keys]
            rows.append((index, _short(group["names"]), f"{elements:,}", *values))
        options = f", clip_norm={self.clip_norm}" if self.clip_norm is not None else ""
        dialect = "" if self.dialect == "torch" else f" ({self.dialect})"
        head = f"{type(self).__name__}{dialect}: {len(self._layout.names)} parameters, step {self.step_count}{options}"
        return f"{head}\n{table(('group', 'parameters', 'elements', *keys), rows)}"

    # How a step is taken.

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._busy.acquire():
            raise RuntimeError(
                f"{type(self).__name__}: a step of this optimizer is under way, here or in another thread"
            )
        try:
            yield
        finally:
            self._busy.release()

    def _step_closure(self, closure: Closure) -> Any:
        loss, gradients = self._layout.closure_result(closure(), self._frozen())
        self._step(gradients)
        return loss

    def _step(self, gradients: Gradients) -> None:
        active = self._begin()
        self._run(gradients, [(i, *self._rule(self.param_groups[i])) for i in active], clip=True)
        self._advance(active)

    def _begin(self) -> list[int]:
        """Return the groups that step, with the learning rate that each has throughout this step."""
        if self.step_count == 2**64 - 1:
            raise OverflowError(f"{type(self).__name__}: step_count is at its end, 2^64 - 1")
        active = self._active()
        self._rates = {i: evaluate(self.param_groups[i].raw("lr"), self.step_count) for i in active}
        return active

    def _advance(self, active: Sequence[int]) -> None:
        for index in active:
            group = self.param_groups[index]
            group.steps += 1
            self._stepped(group)
        self.step_count += 1

    def _frozen(self) -> set[str]:
        return {name for group in self.param_groups if not group.raw("trainable") for name in group["names"]}

    def _active(self) -> list[int]:
        return [i for i, group in enumerate(self.param_groups) if group.raw("trainable") and group["names"]]

    def _run(
        self,
        gradients: Gradients,
        jobs: Sequence[Job],
        *,
        clip: bool = False,
    ) -> None:
        """Run a rule over each of some groups: one call."""
        states: dict[str, None] = {}
        used: dict[int, None] = {}
        for index, _, names, _ in jobs:
            states.update(dict.fromkeys(names))
            used.update(dict.fromkeys(buffer for buffer, _, _ in self._ranges[index]))
        for name in states:
            self._allocate(name, used)
        place = {buffer: i for i, buffer in enumerate(used)}
        columns = {name: i for i, name in enumerate(states)}

        groups: list[tuple[str, Hyper, list[int], list[Range]]] = []
        for index, rule, names, hyper in jobs:
            group = self.param_groups[index]
            self._fill(group, index, names)
            shared = {
                "lr": self._rates[index],
                "weight_decay": group.raw("weight_decay"),
                "maximize": group.raw("maximize"),
                "clip_value": group.raw("clip_value"),
                "step": group.steps + 1,
            }
            ranges = [(place[buffer], start, stop) for buffer, start, stop in self._ranges[index]]
            groups.append((rule, {**shared, **hyper}, [columns[name] for name in names], ranges))
        buffers = [
            (
                self._layout.buffer_names[buffer],
                self._layout.buffers[buffer],
                gradients[buffer],
                [self._state[name][buffer] for name in states],
            )
            for buffer in used
        ]
        try:
            _core.step(buffers, groups, self._clip(jobs, place) if clip else None, execution())
        except FloatingPointError as error:
            raise FloatingPointError(f"{error}{self._first_not_finite(gradients, jobs)}") from None
        for index, _, names, _ in jobs:
            self.param_groups[index].started |= set(names)

    def _clip(self, jobs: Sequence[Job], place: Mapping[int, int]) -> tuple[float, list[Range]] | None:
        if self.clip_norm is None:
            return None
        names = {name for index, *_ in jobs for name in self.param_groups[index]["names"]}
        where = [self._layout.where(name) for name in self._layout.names if name in names]
        return self.clip_norm, [(place[buffer], start, stop) for buffer, start, stop in where]

    def _first_not_finite(self, gradients: Gradients, jobs: Sequence[Job]) -> str:
        for group in (self.param_groups[index] for index, *_ in jobs):
            for name, array in zip(group["names"], group["params"], strict=True):
                buffer, start, stop = self._layout.where(name)
                grad = gradients[buffer].reshape(-1)[start:stop].reshape(array.shape)
                found = np.argwhere(~np.isfinite(grad))
                if len(found):
                    index = tuple(found[0].tolist())
                    count = f"{len(found)} of its elements are not finite"
                    return f"; the gradient of {name} is {grad[index]} at {index}, {count}"
        return "; each element is finite, the sum of their squares is not"

    def _allocate(self, name: str, used: Mapping[int, None]) -> None:
        buffers = self._state.setdefault(name, {})
        for buffer in used:
            if buffer not in buffers:
                buffers[buffer] = self._layout.zeros(buffer)

    def allocate_for(self, index: int, names: Iterable[str]) -> None:
        """Make sure that these state buffers exist for a group."""
        for name in names:
            self._allocate(name, dict.fromkeys(buffer for buffer, _, _ in self._ranges[index]))

    def _fill(self, group: ParamGroup, index: int, names: Sequence[str]) -> None:
        """Set the state that a group is about to use for the first time to what it starts from."""
        for name in names:
            if name not in group.started:
                start = self._start(group, name)
                for buffer, first, last in self._ranges[index]:
                    self._state[name][buffer].reshape(-1)[first:last] = start


def _short(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown}, … ({len(names)} of them)"
