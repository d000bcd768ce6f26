"""What the optimizers for torch share: finding the tensors, one call of the kernels, state that torch can read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, ClassVar

import torch

from fourstep import _core
from fourstep._runtime import execution
from fourstep.optim.base import Optimizer
from fourstep.optim.busy import Busy
from fourstep.torch import memory, refusals
from fourstep.torch.counterpart import blank, plain, values
from fourstep.torch.local import is_distributed, local
from fourstep.torch.packing import API, Held, Packed, fill
from fourstep.torch.sparse import Table, is_sparse, step

Group = dict[str, Any]
State = dict[str, Any]

#: (rule, state buffers, counters, hyper-parameters): what a group does.
Rule = tuple[str, tuple[str, ...], tuple[str, ...], dict[str, Any]]

#: (group, parameter).
Place = tuple[int, int]


class Plan:
    """A group's parameters and their state, found once and looked up at each step."""

    def __init__(self, group: Group, states: Mapping[Any, State]) -> None:
        self.params: list[torch.Tensor] = list(group["params"])
        self.states: list[State] = [states.get(p, {}) for p in self.params]
        self.distributed = any(map(is_distributed, self.params))
        #: Whether they lie in an arena, one after another.
        self.run = memory.Run.of(self.params)
        #: Their state, where it can be flat.
        self.packed: Packed | None = None
        # conj().imag of one number is dense, and its sign a flag that DLPack does not tell.
        self.single = [i for i, p in enumerate(self.params) if p.numel() == 1]

    def holds(self, group: Group) -> bool:
        """Tell whether the group still has these parameters."""
        return _core.identical(list(group["params"]), self.params)


class Stepped(torch.optim.Optimizer):
    """The step of a torch optimizer, on fourstep's kernels. A subclass puts it in front of torch's class."""

    _plans: list[Plan] | None = None
    #: The dicts of `state` when the plans were made, how often they had been changed, and parameters been moved.
    _seen: tuple[list[State], int, int]
    _changes: list[int]
    _busy: Busy

    #: The class of `fourstep.optim` that has the formulas; the counters that torch keeps beside the state.
    _ours: ClassVar[type[Optimizer]]
    _counters: ClassVar[tuple[str, ...]] = ("step",)
    #: Whether rows with sparse gradients can step alone; the class says what else they need.
    _rows: ClassVar[bool] = False
    #: Whether a gradient was sparse: then they are looked for at each step.
    _sparse: bool = False
    #: Whether parameters that are neighbours in memory may step as one array.
    _joins: ClassVar[bool] = True

    def _rule(self, group: Group) -> Rule:
        """Return what a group does."""
        rule, buffers, hyper = blank(self._ours)._rule(values(self._ours, group))
        return rule, buffers, self._counters, hyper

    def _begin(self, key: str, p: torch.Tensor, group: Group) -> Any:
        """Return what a state buffer holds before the first step."""
        ours, said = blank(self._ours), values(self._ours, group)
        if key not in ours.starts_at_w:
            return ours._start(said, key)
        here = local(p.detach())
        return ours._start_at(said, key, (here.float() if here.dtype == torch.bfloat16 else here).numpy())

    @torch._disable_dynamo
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step over all parameters that have a gradient, in one call of the kernels.

        Parameters
        ----------
        closure : callable, optional
            Evaluates the model again and returns the loss.

        Returns
        -------
        The loss, where a closure was given.

        Raises
        ------
        ValueError, TypeError, RuntimeError
            A tensor is not as it should be: names the parameter; nothing is changed then.
        RuntimeError
            Another thread is stepping this optimizer.
        OverflowError
            A ``step`` of float32 is at 2^24, where it stops counting.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with self.__dict__.setdefault("_busy", Busy()).alone(self), torch.no_grad():
            self._take()
        return loss

    def add_param_group(self, param_group: Group) -> None:
        """Add a group, as torch does; refuses parameters and flags that this step cannot serve."""
        before = len(self.param_groups)
        super().add_param_group(param_group)
        try:
            for group in self.param_groups[before:]:
                self._check(before, group)
        except Exception:
            del self.param_groups[before:]
            raise

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take on a state, as torch does; finds all tensors anew at the next step."""
        super().__setstate__(state)
        self._plans = None
        for index, group in enumerate(self.param_groups):
            self._check(index, group)

    @torch._disable_dynamo
    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set the gradients to None, or to 0; those of an arena to 0 in any case: their place is there."""
        plans = self._current() if memory.is_used() else []
        if not any(plan.run for plan in plans):
            super().zero_grad(set_to_none)
            return
        for plan in plans:
            if plan.run is not None and plan.run.zero():
                continue
            for p in plan.params:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    p.grad.detach_()
                    p.grad.zero_()

    def state_dict(self) -> dict[str, Any]:
        """Return the state as torch does."""
        whole: dict[str, Any] = super().state_dict()
        states = whole.get("state", {})  # a hook may have made something else of it
        states.update({key: dict(state) for key, state in states.items() if isinstance(state, Held)})
        return whole

    @property
    def _step_supports_amp_scaling(self) -> bool:
        """False: torch.amp.GradScaler unscales the gradients before the step, and skips it if they are not finite."""
        return False

    @_step_supports_amp_scaling.setter
    def _step_supports_amp_scaling(self, value: bool) -> None:
        """What torch's constructor says for fused=True is about torch's kernels."""

    def _check(self, index: int, group: Group) -> None:
        refusals.flags(type(self).__name__, group)
        for i, p in enumerate(group["params"]):
            refusals.parameter(type(self).__name__, refusals.name_of(group, index, i), p)

    def _take(self) -> None:
        plans = self._current()
        rules = [self._rule(group) for group in self.param_groups]
        if self._sparse:
            self._take_sparse(plans, rules)
            return
        for plan, (_, buffers, counters, _) in zip(plans, rules, strict=True):
            if plan.packed is not None and plan.packed.names != (*buffers, *counters):
                plan.packed = None  # of other options
        try:
            _raise_versions(plans, self._take_dense(plans, rules))
        except _SparseError:
            self._sparse = True
            self._take_sparse(plans, rules)

    def _take_dense(self, plans: list[Plan], rules: list[Rule]) -> list[Place]:
        if all(plan.packed is not None for plan in plans):
            return self._take_packed(plans, rules)
        return self._take_each(plans, rules)

    def _hear_of_rows(self, plans: list[Plan]) -> None:
        if self._rows and any(map(is_sparse, _all(plans))):
            raise _SparseError

    def _take_sparse(self, plans: list[Plan], rules: list[Rule]) -> None:
        """Step rows where gradients are sparse, the rest as always."""
        places = [
            (index, i) for index, plan in enumerate(plans) for i, p in enumerate(plan.params) if is_sparse(p)
        ]
        states = [self._whole_state(plans, rules, index, i) for index, i in places]
        tables = [
            self._table(plans, rules, index, i, state)
            for (index, i), state in zip(places, states, strict=True)
        ]
        for table in tables:
            table.check(type(self).__name__)
        for (index, i), state in zip(places, states, strict=True):
            plans[index].states[i] = self.state[plans[index].params[i]]
            if plans[index].states[i] is not state:
                plans[index].states[i].update(state)
        grads = [table.p.grad for table in tables]
        try:
            for table in tables:
                table.p.grad = None
            skipped = self._take_dense(plans, rules)
        finally:
            for table, grad in zip(tables, grads, strict=True):
                table.p.grad = grad
        step(tables)
        for index, i in places:
            state = self.state[plans[index].params[i]]
            if isinstance(state.get("step"), torch.Tensor):
                state["step"] += 1
            elif "step" in state:
                state["step"] = int(state["step"]) + 1
        _raise_versions(plans, [place for place in skipped if place not in set(places)])

    def _whole_state(self, plans: list[Plan], rules: list[Rule], index: int, i: int) -> State:
        """Return the state of a parameter, or what it starts from."""
        state, (_, buffers, counters, _) = plans[index].states[i], rules[index]
        if all(state.get(key) is not None for key in (*buffers, *counters)):
            return state
        return self._make([(index, i)], rules, plans)[index, i]

    def _table(self, plans: list[Plan], rules: list[Rule], index: int, i: int, state: State) -> Table:
        group, plan = self.param_groups[index], plans[index]
        rule, buffers, counters, hyper = rules[index]
        p, name = plan.params[i], refusals.name_of(group, index, i)
        if plain(group.get("weight_decay", 0.0)) != 0:
            raise RuntimeError(
                f"{type(self).__name__}: weight_decay is not compatible with the sparse gradient of {name}"
            )
        if rule == "momentum":
            raise RuntimeError(
                f"{type(self).__name__}: momentum: got {group['momentum']} with the sparse gradient of {name}, need 0"
            )
        hyper = {**_shared(group), **hyper, "step": int(plain(state["step"])) + 1 if counters else 1}
        return Table(name, p, [state[key] for key in buffers], rule, hyper)

    def _take_packed(self, plans: list[Plan], rules: list[Rule]) -> list[Place]:
        """Step by flat state."""
        packed = [plan.packed for plan in plans]
        missing, skipped = self._call_packed(plans, rules, packed, [])
        if not missing:
            return skipped
        for index, plan in enumerate(plans):
            new = [i for g, i in missing if g == index]
            if new:
                packed[index] = self._pack(self.param_groups[index], plan, rules[index], new)
                if packed[index] is None:
                    return self._take_each(plans, rules)
        _, skipped = self._call_packed(plans, rules, packed, missing)
        for plan, now in zip(plans, packed, strict=True):
            self._hold(plan, now)
        self._see()
        return skipped

    def _call_packed(
        self, plans: list[Plan], rules: list[Rule], packed: list[Packed | None], made: list[Place]
    ) -> tuple[list[Place], list[Place]]:
        jobs = []
        for index, (plan, group, (rule, _, _, hyper), now) in enumerate(
            zip(plans, self.param_groups, rules, packed, strict=True)
        ):
            assert now is not None
            self._refuse_negated(index, group, plan)
            flats = list(now.buffers.values()), list(now.counters.values())
            fresh = [i for g, i in made if g == index]
            hyper = {**_shared(group), **hyper}
            jobs.append(
                (
                    rule,
                    hyper,
                    plan.params,
                    flats,
                    (now.starts, now.layouts),
                    fresh,
                    plan.run.flat if self._joins and plan.run is not None else None,
                )
            )
        try:
            missing, skipped, _ = _core.step_packed(API, jobs, execution())
            return missing, skipped
        except (ValueError, RuntimeError, BufferError) as error:
            self._hear_of_rows(plans)
            self._explain(rules, plans, {})
            raise RuntimeError(f"{type(self).__name__}: {error}") from error

    def _refuse_negated(self, index: int, group: Group, plan: Plan) -> None:
        for i in plan.single:
            if (g := plan.params[i].grad) is not None and g.is_neg():
                name = refusals.name_of(group, index, i)
                refusals.gradient(type(self).__name__, name, plan.params[i], g)

    def _take_each(self, plans: list[Plan], rules: list[Rule]) -> list[Place]:
        """Step by the state that each parameter has."""
        missing, skipped = self._call(rules, plans, {})
        if missing:
            made = self._make(missing, rules, plans)
            _, skipped = self._call(rules, plans, made)
            for (index, i), state in made.items():
                self.state[plans[index].params[i]].update(state)
            self._plans = None
        return skipped

    def _current(self) -> list[Plan]:
        plans = self._plans
        if plans is None or not self._unchanged(plans):
            plans = self._plans = self._plan()
        return plans

    def _unchanged(self, plans: list[Plan]) -> bool:
        seen, changes, moves = self._seen
        return (
            len(plans) == len(self.param_groups)
            and (changes, moves) == (self._changes[0], memory.moves[0])
            and _core.identical(list(self.state.values()), seen)
            and all(map(Plan.holds, plans, self.param_groups))
        )

    def _see(self) -> None:
        self._seen = list(self.state.values()), self._changes[0], memory.moves[0]

    def _plan(self) -> list[Plan]:
        self.__dict__.setdefault("_changes", [0])
        plans = [Plan(group, self.state) for group in self.param_groups]
        for group, plan in zip(self.param_groups, plans, strict=True):
            if not plan.distributed:
                self._hold(plan, self._pack(group, plan, self._rule(group), ()))
            if plan.packed is None:
                for p, state in zip(plan.params, plan.states, strict=True):
                    _lay_out(p, state)
        self._see()
        return plans

    def _pack(self, group: Group, plan: Plan, rule: Rule, new: Collection[int]) -> Packed | None:
        _, buffers, counters, _ = rule
        return Packed.of(
            plan.params,
            plan.states,
            (buffers, counters),
            new,
            lambda key, p: self._begin(key, p, group),
            _counter(group),
            self._changes,
            dense=plan.run is not None,
        )

    def _hold(self, plan: Plan, packed: Packed | None) -> None:
        """Let the parts of flat state be the state."""
        plan.packed = packed
        if packed is None:
            return
        for i, (p, held) in enumerate(zip(plan.params, packed.held, strict=True)):
            if held is not None:
                self.state[p] = plan.states[i] = held

    def _call(
        self, rules: list[Rule], plans: list[Plan], made: Mapping[Place, State]
    ) -> tuple[list[Place], list[Place]]:
        jobs = []
        for index, (group, (rule, buffers, counters, hyper), plan) in enumerate(
            zip(self.param_groups, rules, plans, strict=True)
        ):
            fresh = [i for g, i in made if g == index]
            states = plan.states
            if fresh:
                states = states.copy()
                for i in fresh:
                    states[i] = {**states[i], **made[index, i]}
            params, grads = plan.params, None
            if not plan.distributed:
                self._refuse_negated(index, group, plan)
            if plan.distributed:
                grads = [None if p.grad is None else local(p.grad) for p in params]
                states = [{key: local(value) for key, value in state.items()} for state in states]
                params = [local(p) for p in params]
            job = (rule, {**_shared(group), **hyper}, (buffers, counters), (params, grads), states, fresh)
            jobs.append((*job, self._joins and plan.run is not None))
        try:
            return _core.step_at(API, jobs, execution())
        except (ValueError, RuntimeError, BufferError) as error:
            self._hear_of_rows(plans)
            self._explain(rules, plans, made)
            raise RuntimeError(f"{type(self).__name__}: {error}") from error

    def _make(self, missing: Iterable[Place], rules: list[Rule], plans: list[Plan]) -> dict[Place, State]:
        """Return the state that these parameters start from; it is theirs once the step is done."""
        made = {}
        for index, i in missing:
            group, (_, buffers, counters, _) = self.param_groups[index], rules[index]
            p, state = plans[index].params[i], plans[index].states[i]
            held = [key for key, value in state.items() if value is not None]
            if held:
                lacks = next(key for key in (*buffers, *counters) if state.get(key) is None)
                raise KeyError(
                    f"{lacks}: the state of {refusals.name_of(group, index, i)} has {', '.join(held)} and not this; "
                    f"it is of another optimizer, or of other options"
                )
            made[index, i] = {
                **{
                    key: torch.tensor(1.0 if key == "mu_product" else 0.0, dtype=_counter(group))
                    for key in counters
                },
                **{key: begun(p, self._begin(key, p, group)) for key in buffers},
            }
        return made

    def _explain(self, rules: list[Rule], plans: list[Plan], made: Mapping[Place, State]) -> None:
        """Raise for the first tensor that is not as it should be."""
        everything = []
        for index, (group, plan) in enumerate(zip(self.param_groups, plans, strict=True)):
            names = rules[index][1]
            for i, p in enumerate(plan.params):
                if p.grad is None:
                    continue
                state = {**plan.states[i], **made.get((index, i), {})}
                name = refusals.name_of(group, index, i)
                tensors = {key: state[key] for key in names if key in state}
                refusals.parameter(type(self).__name__, name, p)
                refusals.gradient(type(self).__name__, name, p, p.grad)
                refusals.state(type(self).__name__, name, p, tensors)
                everything.append((name, p, p.grad, tensors))
        refusals.overlap(type(self).__name__, everything)


class _SparseError(Exception):
    """A gradient is sparse, and its rows can step."""


def _all(plans: list[Plan]) -> list[torch.Tensor]:
    return [p for plan in plans for p in plan.params]


def _shared(group: Group) -> dict[str, Any]:
    """Return the hyper-parameters that all rules have."""
    lr, weight_decay = plain(group["lr"]), plain(group.get("weight_decay", 0.0))
    decay = group.get("decay", "decoupled" if group.get("decoupled_weight_decay", False) else "l2")
    share = {"l2": 0.0, "decoupled": lr * weight_decay, "independent": weight_decay}[decay]
    return {
        "lr": lr,
        "weight_decay": weight_decay if decay == "l2" else 0.0,
        "keep": 1.0 - share,
        "maximize": bool(group["maximize"]),
        "clip_value": None,
        "step": 1,  # each parameter's own is read beside it
    }


def begun(p: torch.Tensor, value: Any) -> torch.Tensor:
    """Return a state buffer that holds a number, or an array of them."""
    buffer = torch.zeros_like(p, memory_format=torch.preserve_format, requires_grad=False)
    fill(local(buffer), value)
    return buffer


def _counter(group: Group) -> torch.dtype:
    """Return the dtype in which torch counts: float32, but for a default dtype of float64."""
    wide = torch.get_default_dtype() == torch.float64 and not group.get("fused")
    return torch.float64 if wide else torch.float32


def _lay_out(p: torch.Tensor, state: State) -> None:
    """Give state that was loaded the parameter's order in memory: channels_last, say, where the file has rows."""
    for key, value in state.items():
        if (
            isinstance(value, torch.Tensor)
            and not is_distributed(value)
            and value.shape == p.shape
            and value.dim() > 0
            and value.layout == p.layout == torch.strided
            and value.stride() != p.stride()
        ):
            state[key] = torch.empty_like(
                p, dtype=value.dtype, memory_format=torch.preserve_format, requires_grad=False
            ).copy_(value)


def _raise_versions(plans: list[Plan], skipped: list[Place]) -> None:
    """Tell autograd that the parameters were written to."""
    if not skipped and len(plans) == 1:
        stepped = plans[0].params
    else:
        passed = set(skipped)
        stepped = [
            p
            for index, plan in enumerate(plans)
            for i, p in enumerate(plan.params)
            if not passed or (index, i) not in passed
        ]
    torch.autograd.graph.increment_version(stepped)
    if any(plan.distributed for plan in plans):
        torch.autograd.graph.increment_version([local(p) for p in stepped if is_distributed(p)])
