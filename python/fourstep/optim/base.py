"""What every optimizer shares: parameters, groups, one call of the kernels a step, state by name."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep._table import table
from fourstep.arena import Arena, Array, Views
from fourstep.optim import checks, precision
from fourstep.optim import rows as by_rows
from fourstep.optim.busy import Busy
from fourstep.optim.checks import Check
from fourstep.optim.dialects import Dialect, Dialected
from fourstep.optim.dialects.against import Against, against
from fourstep.optim.four_steps import FourSteps, Triple, four_steps
from fourstep.optim.groups import ParamGroup, assign
from fourstep.optim.layout import ArenaLayout, layout_of
from fourstep.optim.options import Shared, split
from fourstep.optim.report import Last, Nonfinite, NonFiniteWarning
from fourstep.optim.state import dump, restore
from fourstep.reference.precision import to_half
from fourstep.schedules import evaluate

if TYPE_CHECKING:
    from fourstep.explain.general import Explanation
    from fourstep.explain.numbers import StepExplanation
    from fourstep.explain.steps import Formulas

Hyper = dict[str, Any]

#: (group, rule, state buffers, hyper-parameters): what one group does in one call.
Job = tuple[int, str, tuple[str, ...], Hyper]

#: (buffer, start, stop, parameter, first 8-bit block): a run of elements, and which parameter they are.
Range = tuple[int, int, int, int, int]
#: What the kernels take: (name, w, g, state, average, copy), (rule, hyper-parameters, which state, ranges), and of each
#: norm to clip by the largest, its parameters, the groups that it scales, and what is known of tables.
Buffers = list[tuple[str, Array, Array, list[precision.Buffer], Array | None, Array | None]]
Groups = list[tuple[str, Hyper, list[int], list[Range]]]
Clips = list[tuple[float, list[Range], list[int], list[tuple[int, float, int]]]]
Report = tuple[list[float], list[float], int, int | None, bool, list[list[list[float]]]]

#: Gradients by buffer.
Gradients = Mapping[int, Array]

#: What a closure returns: the loss over an arena, else (loss, gradients).
Closure = Callable[[], Any]


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
        λ.
    decay : {"l2", "decoupled", "independent"}
        ``"l2"``: the gradient of the penalty ½·λ·‖w‖² is added to g (torch's SGD, Adam, …). ``"decoupled"``: w is
        multiplied by 1 − α·λ in step 4 (AdamW; Keras does so in every optimizer). ``"independent"``: by 1 − λ, whatever
        the learning rate; the paper of AdamW multiplies λ by the factor of the schedule: assign it to the group.
    maximize : bool
        Ascend instead of descend.
    grad_scale : float
        Gradients are divided by this first (multiplied by its reciprocal): the scale of a loss.
    clip_value : float, optional
        The largest magnitude of an element of the gradient. By value changes the gradient's direction (G4).
    clip_norm : float, optional
        The largest norm of the gradient over all trainable parameters. Before anything else it is multiplied by
        ``min(1, clip_norm / (norm + clip_eps))``. A norm that is not finite is an error, and nothing is updated. A group
        with a ``"clip_norm"`` of its own is clipped by its own norm, and does not count in that of the others.
    clip_eps : float
        What is added to that norm: 1e-6, as torch does; 0 is exact, as Keras and optax are.
    skip_nonfinite : {None, "error", "step", "element"}
        What to do about gradients that are infinite or NaN. None: they are counted in the pass and used
        (`last`, `nonfinite`, and one `NonFiniteWarning`). ``"error"``: `FloatingPointError`; ``"step"``: the step is
        left out and counted; both read the gradients once more before anything is written, with `clip_norm` in the same
        trip. ``"element"``: those elements keep their parameters and state.
    cautious : bool or "mask"
        Elements whose step would go against the gradient stay; the others' steps are multiplied by n/(kept + 1), over
        the n elements of a parameter (Liang et al. 2024), which takes a dry run first; ``"mask"`` leaves that factor out.
    ema_decay : float, optional
        d of a moving average of the parameters, ē ← d·ē + (1 − d)·w after each step: `ema`, by name. It starts as a copy.
    zero_grad : bool
        Set the gradients to 0 once they are used.
    flush_subnormals : bool
        Store state below the smallest normal number as 0: arithmetic with subnormal numbers is slow on many CPUs.
    copy_out : {None, "bfloat16"}
        Write the parameters as bfloat16 too: `copies`, by name, as uint16.
    track : bool
        Fill `last` with norms of gradients and updates by parameter.
    state_dtype : {None, "float32", "bfloat16", "int8"}
        How moments of float32 parameters are stored: in full, as bfloat16, or as 8-bit blocks of 256 elements that share
        an exponent. `state_of` returns float32 copies then.
    stochastic_rounding : bool
        Round bfloat16 stochastically, by a generator that counts (`seed`): the same bits for any number of threads.
        8-bit blocks always are.
    seed : int
    groups : list of dict, optional
        Hyper-parameters by group: ``[{"params": "*.bias", "weight_decay": 0.0}, {"params": ...}]``. ``"params"`` is
        a name, a pattern, a list of them, or ``...`` for the rest; ``"trainable": False`` freezes a group, and
        ``"sparse": True`` makes its arrays tables, which step by rows (`step_rows`).
    dialect : {"torch", "keras", "optax", "paper", "notes"}
        Whose defaults, semantics and argument names: fills in what is not given. See ``docs/optim/dialects.md``.
    """

    #: Whose defaults and semantics this one was made with.
    dialect: Dialect = "torch"

    #: Names of the state buffers that its rules can have, and of the scalars that a group carries from step to step.
    states: ClassVar[tuple[str, ...]] = ()
    scalars: ClassVar[tuple[str, ...]] = ()
    #: Whether its rule needs to see each parameter by itself, as a norm of it does.
    per_parameter: ClassVar[bool] = False
    #: State that starts from the parameters, not from a number.
    starts_at_w: ClassVar[tuple[str, ...]] = ()
    #: Options that its rule cannot have, each with the reason.
    refused: ClassVar[dict[str, str]] = {}
    #: How it decays weights unless told otherwise.
    _decay: ClassVar[str] = "l2"
    #: Name of each hyper-parameter and its check; a subclass adds its own.
    _checks: ClassVar[dict[str, Check]] = {}
    _shared_checks: ClassVar[dict[str, Check]] = {
        "lr": checks.learning_rate,
        "weight_decay": checks.non_negative,
        "decay": checks.one_of("l2", "decoupled", "independent"),
        "maximize": checks.flag,
        "clip_value": checks.positive_or_none,
        "clip_norm": checks.positive_or_none,
        "trainable": checks.flag,
        "sparse": checks.flag,
    }
    #: Hyper-parameters that cannot be changed once the optimizer is made.
    _fixed: ClassVar[tuple[str, ...]] = ("sparse",)

    def __init__(
        self,
        params: Any,
        defaults: Hyper,
        **shared: Unpack[Shared],
    ) -> None:
        kind = type(self).__name__
        groups = shared.pop("groups", None)
        self.options, of_groups = split(kind, shared)
        self._layout, own_groups = layout_of(params)
        if own_groups is not None and groups is not None:
            raise TypeError("groups: got some beside those in params; need one or the other")
        specs = own_groups or ([{"params": ...}] if groups is None else groups)
        #: Updates taken; the next one asks a schedule for this step. Set it to go on from there.
        self.step_count = 0
        shared_defaults = {"decay": self._decay, "maximize": False, "clip_value": None, "clip_norm": None}
        self.defaults = {"trainable": True, "sparse": False, **shared_defaults, **defaults, **of_groups}
        self._check_options()
        arrays = self._layout.params()
        self._groups = tuple(
            ParamGroup(
                names,
                [arrays[name] for name in names],
                {**self.defaults, **{key: value for key, value in spec.items() if key != "params"}},
                {**self._shared_checks, **self._checks},
                self._check_group,
                lambda: self.step_count,
                self._fixed,
            )
            for spec, names in zip(specs, assign(self._layout.names, specs), strict=True)
        )
        places = [self._layout.names_in(buffer) for buffer in range(len(self._layout.buffers))]
        self._place = {name: place for names in places for place, name in enumerate(names)}
        self._number = {name: number for number, name in enumerate(self._layout.names)}
        self._own_ranges = {name: self._range_of(name) for name in self._layout.names}
        self._merged = [
            [(*where, 0, 0) for where in self._layout.ranges(group["names"])] for group in self.param_groups
        ]
        #: State by name, then by buffer; a buffer of parameters that never trained has none.
        self._state: dict[str, dict[int, precision.Buffer]] = {}
        #: State that has one value for each row of a table, by name, then by table.
        self._row_state: dict[str, dict[str, Array]] = {}
        #: The tables that the step under way is given rows of.
        self._tables: list[by_rows.Table] = []
        buffers = self._layout.buffers
        self._averages = [b.copy() for b in buffers] if self.options.ema_decay is not None else None
        self._copies = [to_half(b).reshape(b.shape) for b in buffers] if self.options.copy_out else None
        #: What the last step saw.
        self.last = Last(0)
        #: Counters of gradients that were not finite.
        self.nonfinite = Nonfinite()
        self._rates: dict[int, float] = {}
        self._busy = Busy()
        by_rows.check_groups(self)
        if isinstance(params, Arena):
            params.groups = {
                name: str(i) for i, group in enumerate(self.param_groups) for name in group["names"]
            }
            params.sparse = frozenset(self._sparse())

    # What a subclass says.

    def _rule(self, group: ParamGroup) -> tuple[str, tuple[str, ...], Hyper]:
        """Return the rule of a group, its state buffers, and the hyper-parameters that it wants beside the shared."""
        raise NotImplementedError

    def row_rule(self, group: ParamGroup) -> by_rows.RowRule:
        """Return the rule by which the rows of a sparse group step."""
        raise ValueError(
            f"sparse: {type(self).__name__} moves rows that no gradient touched, so it has no sparse tables; "
            "SGD, AdaGrad, RowwiseAdagrad, LazyAdam and FTRL have"
        )

    def _four_steps(self, group: ParamGroup) -> Triple:
        """Return φ, ψ and direction of a group, and where the frame leaks."""
        raise NotImplementedError(f"{type(self).__name__} has not said what its four steps are")

    def _check_group(self, values: Mapping[str, Any]) -> None:
        if values["decay"] == "independent" and values["weight_decay"] > 1:
            raise ValueError(
                f"weight_decay: got {values['weight_decay']}, need at most 1 with decay='independent': "
                "w is multiplied by 1 - weight_decay"
            )
        self._check_together(values)

    def _check_together(self, values: Mapping[str, Any]) -> None:
        """Raise where hyper-parameters that are each in range do not go together."""

    def _start(self, group: ParamGroup, state: str) -> float:
        """Return what a state buffer holds before its first step."""
        return 0.0

    def _start_at(self, group: ParamGroup, state: str, w: Array) -> Array | float:
        """Return what a state buffer holds before its first step beside a parameter; see `starts_at_w`."""
        return self._start(group, state)

    def _stepped(self, group: ParamGroup) -> None:
        """Update the scalars of a group after a step."""

    def _formulas(self, group: ParamGroup, *, ahead: bool = True) -> Formulas:
        """Return steps 2 to 4 of a group as formulas; `ahead`: as with a closure, where there are two forms."""
        from fourstep.explain.triples import of_group

        return of_group(self, group)

    def _over_array(self, group: ParamGroup, w: Array, g: Array, state: Sequence[Array]) -> dict[str, float]:
        """Return the numbers in its formulas that are of a whole parameter: g after step 1, state after step 2."""
        return {}

    def _check_options(self) -> None:
        """Raise where an option and the rule, the parameters or each other do not go together."""
        kind, changed = type(self).__name__, self.options.changed()
        for name, reason in self.refused.items():
            if name in changed:
                raise ValueError(f"{name}: not for {kind}: {reason}")
        precision.check(kind, self.states, self._layout, self.options.state_dtype)
        stored_in_half = self.options.copy_out or self.options.state_dtype in ("bfloat16", "int8")
        if self.options.stochastic_rounding and not stored_in_half:
            raise ValueError(
                "stochastic_rounding: needs state_dtype='bfloat16' or copy_out='bfloat16' to round"
            )

    # What a user calls.

    @property
    def param_groups(self) -> tuple[ParamGroup, ...]:
        """The groups, live: what is assigned to one counts from the next step. There are no more and no fewer later."""
        return self._groups

    @property
    def clip_norm(self) -> float | None:
        """The largest norm of the gradient; None = no limit."""
        return self.options.clip_norm

    @clip_norm.setter
    def clip_norm(self, value: float | None) -> None:
        self.options.clip_norm = value

    @property
    def grad_scale(self) -> float:
        """What gradients are divided by."""
        return self.options.grad_scale

    @grad_scale.setter
    def grad_scale(self, value: float) -> None:
        self.options.grad_scale = value

    @property
    def ema(self) -> Views:
        """The moving averages of the parameters, by name."""
        if self._averages is None:
            raise AttributeError(f"{type(self).__name__} keeps no averages: make it with ema_decay=0.999")
        return self._views(self._averages)

    @property
    def copies(self) -> Views:
        """The parameters as bfloat16, by name: uint16, which torch and ml_dtypes can view as theirs."""
        if self._copies is None:
            raise AttributeError(f"{type(self).__name__} writes no copies: make it with copy_out='bfloat16'")
        return self._views(self._copies)

    def _views(self, buffers: Sequence[Array]) -> Views:
        def view(name: str, array: Array) -> Array:
            buffer, start, stop = self._layout.where(name)
            return buffers[buffer].reshape(-1)[start:stop].reshape(array.shape)

        return Views({name: view(name, array) for name, array in self._layout.params().items()})

    @property
    def step_count(self) -> int:
        """Updates taken so far: the step that a schedule is asked for next."""
        return self._step_count

    @step_count.setter
    def step_count(self, value: int) -> None:
        if not (hasattr(value, "__index__") and 0 <= int(value) < 2**64) or isinstance(value, bool):
            raise ValueError(f"step_count: got {value!r}, need a whole number from 0 to 2^64 - 1")
        self._step_count = int(value)

    def step(
        self,
        grads: Any = None,
        *,
        rows: by_rows.Rows | Callable[[], by_rows.Rows] | None = None,
        duplicates: by_rows.Duplicates = "sum",
    ) -> Any:
        """Take one step over all trainable parameters, in one call of the kernels; of sparse tables, over rows.

        Parameters
        ----------
        grads : optional
            Nothing for an arena, whose gradients are ``arena.grad``; else gradients in the form of the parameters
            (a dict, a list, or for groups a list of lists in group order). Or a closure: it fills ``arena.grad`` and
            returns the loss, or without an arena returns ``(loss, gradients)``.
        rows : dict of str to (rows, gradients), optional
            What steps of sparse tables: whole numbers of shape (n,), and one gradient for each, of shape (n, *row).
            Or a function that returns it, called after the closure.
        duplicates : {"sum", "in_order"}
            A row that is named more than once takes one step by the sum of its gradients, or a step for each.

        Returns
        -------
        The loss, where a closure was given.

        Raises
        ------
        RuntimeError
            Another thread is stepping the same parameters.
        FloatingPointError
            With `clip_norm` or ``skip_nonfinite="error"``, a gradient that is not finite. Nothing was updated.
        """
        with self._alone():
            if callable(grads):
                return self._step_closure(self._then(grads, rows, duplicates))
            self._tables = by_rows.tables_of(self, rows() if callable(rows) else rows, duplicates)
            self._step(self._layout.gradients(grads, self._frozen(), self._sparse()))
            return None

    def step_rows(
        self, name: str, rows: Array, grads: Array, *, duplicates: by_rows.Duplicates = "sum"
    ) -> None:
        """Take one step over rows of one sparse table, and of nothing else: a step of the optimizer, counted as one.

        Only what is named moves, decays, or is averaged; the cost is that of those rows.

        Parameters
        ----------
        name : str
            A parameter of a group with ``"sparse": True``.
        rows : ndarray of int, shape (n,)
            Which rows, in any order.
        grads : ndarray, shape (n, *row)
            Their gradients, of the table's dtype.
        duplicates : {"sum", "in_order"}
            See `step`.

        Raises
        ------
        ValueError
            A row is outside the table: the first is named, with its position. Nothing was updated.

        Examples
        --------
        >>> import numpy as np
        >>> import fourstep as fs
        >>> table = np.ones((5, 2))
        >>> opt = fs.optim.SGD({"table": table}, lr=0.5, groups=[{"params": ..., "sparse": True}])
        >>> opt.step_rows("table", np.array([3, 0, 3]), np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]))
        >>> table.tolist()
        [[1.0, 0.5], [1.0, 1.0], [1.0, 1.0], [0.0, 1.0], [1.0, 1.0]]
        """
        with self._alone():
            self._tables = by_rows.tables_of(self, {name: (rows, grads)}, duplicates)
            self._step({}, dense=False)

    def _then(self, closure: Closure, rows: Any, duplicates: by_rows.Duplicates) -> Closure:
        """Return a closure after which the rows are read."""

        def both() -> Any:
            result = closure()
            self._tables = by_rows.tables_of(self, rows() if callable(rows) else rows, duplicates)
            return result

        return both

    def zero_grad(self) -> None:
        """Set every gradient of the arena to 0."""
        if not isinstance(self._layout, ArenaLayout):
            raise TypeError("zero_grad() is for an arena; the gradients of arrays are the caller's")
        self._layout.arena.zero_grad()

    def as_four_steps(self, group: int = 0) -> FourSteps:
        """Return what a group does as its four steps: its φ × ψ × direction, and by name where the frame leaks.

        Where nothing leaks, ``fs.FourStep(params, **opt.as_four_steps().arguments())`` has the same bits.
        """
        own = self.param_groups[group]
        return four_steps(self, own, self._four_steps(own))

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
        """Return the state of one parameter, in its shape, by torch's names: views, or float32 copies of fewer bits.

        What a sparse table keeps once for each row has the shape (rows,).
        """
        return {
            key: precision.decoded(key, parts, key in precision.SIGNED)
            for key, parts in self._parts(name, self._group_of(name).started).items()
        }

    def stored_of(self, name: str, states: Iterable[str] | None = None) -> dict[str, Array]:
        """Return the state of one parameter as it is stored: views. Of these names, or of all that hold something."""
        states = self._group_of(name).started if states is None else states
        return {key: array for parts in self._parts(name, states).values() for key, array in parts.items()}

    def _group_of(self, name: str) -> ParamGroup:
        for group in self.param_groups:
            if name in group["names"]:
                return group
        raise KeyError(f"no parameter is called {name!r}; there are {', '.join(self._layout.names)}")

    def _parts(self, name: str, states: Iterable[str]) -> dict[str, dict[str, Array]]:
        group = self._group_of(name)
        shape = group["params"][group["names"].index(name)].shape
        buffer, start, stop, _, block = self._own_ranges[name]
        per_row = self._per_row(group)
        return {
            key: {key: self._row_state[key][name]}
            if key in per_row
            else precision.stored(key, self._state[key][buffer], (start, stop), block, shape)
            for key in [*self._state, *(key for key in self._row_state if key not in self._state)]
            if key in states
        }

    def explain(
        self,
        step: int | None = None,
        name: str | None = None,
        index: int | tuple[int, ...] = (),
        grads: Any = None,
    ) -> Explanation | StepExplanation:
        """Say how this optimizer steps: its four steps as formulas, or with `name` one element's step in numbers.

        Parameters
        ----------
        step : int, optional
            The step to put into numbers: by default the next one, from the gradients at hand; an earlier one is read from
            the trace inside whose ``with`` this is called (`fourstep.trace`).
        name, index
            The element: a parameter, and an index in it.
        grads : optional
            Gradients as `step` takes them; nothing for an arena.

        Returns
        -------
        Explanation or StepExplanation
            Either prints itself as text, and has ``text()``, ``latex()`` and ``markdown()``.

        Raises
        ------
        ValueError
            A step that is neither the next one nor in a trace; an element that is not there or is frozen.
        """
        from fourstep.explain import explain

        return explain(self, step, name, index, grads)

    def _per_row(self, group: ParamGroup) -> set[str]:
        """Return the state that this group keeps once for each row."""
        name = self.row_rule(group).per_row if group.raw("sparse") else None
        return set() if name is None else {name}

    def state_like(self, group: ParamGroup, name: str, key: str) -> dict[str, Array]:
        """Return arrays of the shapes and dtypes in which a state of a parameter is stored, without their memory."""
        array = group["params"][group["names"].index(name)]
        if key in self._per_row(group):
            return by_rows.like(self.row_rule(group), array)
        return precision.like(key, array, self.options.state_dtype)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse: a copy would step the copied parameters or the same ones, and nobody could tell which."""
        raise TypeError(
            f"{type(self).__name__}: an optimizer is not copied or pickled; "
            "make another over the parameters that it is for, and load_state_dict(state_dict())"
        )

    def __repr__(self) -> str:
        """Return a table of the groups: what each holds, and its hyper-parameters."""
        keys = [*self._shared_checks, *self._checks]
        if not self._sparse():
            keys.remove("sparse")
        rows = []
        for index, group in enumerate(self.param_groups):
            elements = sum(array.size for array in group["params"])
            values = [group.raw(key) for key in keys]
            rows.append((index, _short(group["names"]), f"{elements:,}", *values))
        options = "".join(f", {key}={value!r}" for key, value in self.options.changed().items())
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
            self._tables = []
            self._busy.release()

    def _step_closure(self, closure: Closure) -> Any:
        loss, gradients = self._layout.closure_result(closure(), self._frozen(), self._sparse())
        self._step(gradients)
        return loss

    def _step(self, gradients: Gradients, *, dense: bool = True) -> None:
        active = self._begin()
        tables, jobs = self._tables, [(i, *self._rule(self.param_groups[i])) for i in active if dense]
        by_rows.measure(self, tables, alone=not jobs)
        if not self._run(gradients, jobs):
            by_rows.run(self, tables)
            self._advance([*(active if dense else []), *dict.fromkeys(table.group for table in tables)])

    def _begin(self) -> list[int]:
        """Return the groups that step, with the learning rate that each has throughout this step."""
        if self.step_count == 2**64 - 1:
            raise OverflowError(f"{type(self).__name__}: step_count is at its end, 2^64 - 1")
        active = self._active()
        rated = [*active, *(table.group for table in self._tables)]
        self._rates = {i: evaluate(self.param_groups[i].raw("lr"), self.step_count) for i in rated}
        return active

    def rate_of(self, index: int) -> float:
        """Return the learning rate that a group has in the step under way."""
        return self._rates[index]

    def _advance(self, active: Sequence[int]) -> None:
        for index in active:
            group = self.param_groups[index]
            group.steps += 1
            self._stepped(group)
        self.step_count += 1

    def _frozen(self) -> set[str]:
        return {name for group in self.param_groups if not group.raw("trainable") for name in group["names"]}

    def _sparse(self) -> set[str]:
        return {name for group in self.param_groups if group.raw("sparse") for name in group["names"]}

    def _active(self) -> list[int]:
        """Return the groups that a plain step is about."""
        return [
            i
            for i, group in enumerate(self.param_groups)
            if group.raw("trainable") and not group.raw("sparse") and group["names"]
        ]

    def _range_of(self, name: str) -> Range:
        buffer, start, stop = self._layout.where(name)
        return buffer, start, stop, self._number[name], precision.first_block(start, self._place[name])

    def _ranges_of(self, index: int) -> list[Range]:
        """Return the ranges of a group: as few as can be, or one for each parameter where something is kept by it."""
        o = self.options
        by_parameter = (
            self.per_parameter
            or o.track
            or o.cautious
            or o.zero_grad
            or o.stochastic_rounding
            or o.state_dtype == "int8"
        )
        if not by_parameter:
            return self._merged[index]
        return [self._own_ranges[name] for name in self.param_groups[index]["names"]]

    def _run(
        self,
        gradients: Gradients,
        jobs: Sequence[Job],
        *,
        step_1: bool = True,
        step_4: bool = True,
    ) -> bool:
        """Run a rule over each of some groups: one call. Return whether it was skipped.

        `step_1`: the gradients are new, to be clipped, counted and zeroed. `step_4`: the update is the last of this
        step, to be decayed, averaged and copied.
        """
        if not jobs and not any(table.measured for table in self._tables):
            by_rows.nothing_dense(self)
            return False
        states: dict[str, None] = {}
        used: dict[int, None] = {}
        ranges = {index: self._ranges_of(index) for index, *_ in jobs}
        for index, _, names, _ in jobs:
            states.update(dict.fromkeys(names))
            used.update(dict.fromkeys(buffer for buffer, *_ in ranges[index]))
        for name in states:
            self._allocate(name, used)
        place = {buffer: i for i, buffer in enumerate(used)}
        columns = {name: i for i, name in enumerate(states)}

        groups: Groups = []
        for index, rule, names, hyper in jobs:
            group = self.param_groups[index]
            self._fill(group, index, names)
            shared = {
                "lr": self._rates[index],
                **self.decays_of(group, self._rates[index], step_4),
                "maximize": group.raw("maximize"),
                "clip_value": group.raw("clip_value"),
                "step": group.steps + 1,
            }
            own = _placed(ranges[index], place)
            groups.append((rule, {**shared, **hyper}, [columns[name] for name in names], own))
        buffers: Buffers = [
            (
                self._layout.buffer_names[buffer],
                self._layout.buffers[buffer],
                gradients[buffer],
                [self._state[name][buffer] for name in states],
                self._averages[buffer] if self._averages and step_4 else None,
                self._copies[buffer] if self._copies and step_4 else None,
            )
            for buffer in used
        ]
        clips = self._clips(jobs, place) if step_1 else []
        try:
            report = self._call(buffers, groups, clips, self.pass_options(step_1, step_4))
        except FloatingPointError as error:
            raise FloatingPointError(f"{error}{self._first_not_finite(gradients, jobs)}") from None
        skipped = report[4]
        if not skipped:
            for index, _, names, _ in jobs:
                self.param_groups[index].started |= set(names)
        if step_1:
            self._report(report, jobs, gradients)
        return skipped

    def _call(self, buffers: Buffers, groups: Groups, clips: Clips, options: dict[str, Any]) -> Report:
        """Call the kernels, once; `fourstep.trace` looks on here, and at `_begin` and `_advance`."""
        return _core.step(buffers, groups, clips, options, execution())

    def decays_of(self, group: ParamGroup, lr: float, step_4: bool = True) -> dict[str, float]:
        """Return λ of the penalty, and what w is multiplied by."""
        decay, weight_decay = group.raw("decay"), group.raw("weight_decay")
        if decay == "l2":
            return {"weight_decay": weight_decay, "keep": 1.0}
        share = lr * weight_decay if decay == "decoupled" else weight_decay
        return {"weight_decay": 0.0, "keep": 1.0 - share if step_4 else 1.0}

    def pass_options(self, step_1: bool = True, step_4: bool = True) -> dict[str, Any]:
        """Return the options of a pass, as the kernels take them."""
        o = self.options
        return {
            "grad_scale": o.grad_scale,
            "clip_eps": o.clip_eps,
            "skip_nonfinite": o.skip_nonfinite if step_1 else None,
            "cautious": {False: None, True: "rescaled", "mask": "mask"}[o.cautious],
            "ema_decay": o.ema_decay or 0.0,
            "flush_subnormals": o.flush_subnormals,
            "zero_grad": o.zero_grad and step_1,
            "track": o.track and step_1,
            "stochastic_rounding": o.stochastic_rounding,
            "seed": o.seed,
            "step": self.step_count + 1,
        }

    def _clips(self, jobs: Sequence[Job], place: Mapping[int, int]) -> Clips:
        """Return each norm that has to be known before the pass.

        Its limit, its parameters, the groups that it scales, and (place, Σg², how many are not finite) of its tables.
        """
        own = {i: self.param_groups[index].raw("clip_norm") for i, (index, *_) in enumerate(jobs)}
        limits = {t.name: self.param_groups[t.group].raw("clip_norm") for t in self._tables}
        shared = [i for i, limit in own.items() if limit is None]
        found = [(limit, [i], list[by_rows.Table]()) for i, limit in own.items() if limit is not None]
        for group in dict.fromkeys(t.group for t in self._tables if limits[t.name] is not None):
            tables = [t for t in self._tables if t.group == group]
            found.append((limits[tables[0].name], [], tables))
        tables = [t for t in self._tables if limits[t.name] is None]
        guarded = float("inf") if self.options.skip_nonfinite in ("error", "step") else None
        limit = self.clip_norm if self.clip_norm is not None else guarded
        if (shared or tables) and limit is not None:
            found.append((limit, shared, tables))
        clips: Clips = []
        for number, (limit, which, tables) in enumerate(found):
            names = {name for i in which for name in self.param_groups[jobs[i][0]]["names"]}
            by_name = {table.name: table for table in tables}
            counted = [name for name in self._layout.names if name in names or name in by_name]
            ranges = [self._own_ranges[name] for name in counted if name in names]
            known = [
                (i, by_name[name].squares, by_name[name].not_finite)
                for i, name in enumerate(counted)
                if name in by_name
            ]
            for clipped in tables:
                clipped.clip = number
            clips.append((limit, _placed(ranges, place), which, known))
        return clips

    def _report(self, report: tuple[Any, ...], jobs: Sequence[Job], gradients: Gradients) -> None:
        """Fill `last`, and tell of gradients that are not finite."""
        norms, coefficients, count, parameter, skipped, sums = report
        first = self._layout.names[parameter] if parameter is not None else None
        if count and not self.options.zero_grad:
            count, first = self._count_not_finite(gradients, jobs)
            if skipped:
                count += sum(table.not_finite for table in self._tables)
        if count and first is None:
            first = next((t.name for t in self._tables if t.not_finite), None)
        for t in self._tables:
            t.coefficient = 1.0 if t.clip is None or skipped else coefficients[t.clip]
        by_name = {
            name: total
            for (index, *_), totals in zip(jobs, sums, strict=False)
            for name, total in zip(self.param_groups[index]["names"], totals, strict=False)
        }
        grad_norm = norms[0] if len(norms) == 1 and len(jobs) == len(self._active()) else None
        rows = {table.name: table.squares for table in self._tables if self.options.track}
        if by_name or rows:
            squares = sum(total[0] for total in by_name.values()) + sum(rows.values())
            grad_norm = math.sqrt(squares) / self.options.grad_scale
        clipped = self.clip_norm is not None or any(self.param_groups[i].raw("clip_norm") for i, *_ in jobs)
        self.last = Last(
            step=self.step_count + 1,
            nonfinite=count,
            first_nonfinite=first,
            skipped=skipped,
            grad_norm=grad_norm,
            clip_coefficient=min(coefficients, default=None) if clipped else None,
            grad_norms={
                name: math.sqrt(square) / self.options.grad_scale
                for name, square in ({name: t[0] for name, t in by_name.items()} | rows).items()
            },
            param_norms={name: math.sqrt(t[1]) for name, t in by_name.items()},
            update_norms={name: math.sqrt(t[2]) for name, t in by_name.items()},
        )
        if not count:
            return
        self.nonfinite.add(self.last)
        if self.options.skip_nonfinite is None and self.nonfinite.steps == 1:
            warnings.warn(
                f"{type(self).__name__}: {count} elements of the gradient are not finite, first of {first}, at step "
                f"{self.last.step}; they were used (see skip_nonfinite)",
                NonFiniteWarning,
                stacklevel=4,
            )

    def _count_not_finite(self, gradients: Gradients, jobs: Sequence[Job]) -> tuple[int, str | None]:
        """Count by name: the gaps of an arena are nobody's."""
        counts = {
            name: count
            for name, grad in self._named(gradients, jobs)
            if (count := int((~np.isfinite(grad)).sum()))
        }
        return sum(counts.values()), next(iter(counts), None)

    def _named(self, gradients: Gradients, jobs: Sequence[Job]) -> Iterator[tuple[str, Array]]:
        for group in (self.param_groups[index] for index, *_ in jobs):
            for name, array in zip(group["names"], group["params"], strict=True):
                buffer, start, stop = self._layout.where(name)
                yield name, gradients[buffer].reshape(-1)[start:stop].reshape(array.shape)

    def _first_not_finite(self, gradients: Gradients, jobs: Sequence[Job]) -> str:
        for name, grad in self._named(gradients, jobs):
            found = np.argwhere(~np.isfinite(grad))
            if len(found):
                index = tuple(found[0].tolist())
                count = f"{len(found)} of its elements are not finite"
                return f"; the gradient of {name} is {grad[index]} at {index}, {count}"
        if (message := by_rows.first_not_finite(self._tables)) is not None:
            return message
        return "; each element is finite, the sum of their squares is not"

    def _allocate(self, name: str, used: Iterable[int]) -> None:
        buffers = self._state.setdefault(name, {})
        for buffer in used:
            if buffer not in buffers:
                buffers[buffer] = precision.zeros(self._layout, buffer, name, self.options.state_dtype)

    def allocate_for(self, index: int, names: Iterable[str], *, fill: bool = False) -> None:
        """Make sure that these state buffers exist for a group; with `fill`, that they hold what they start from."""
        group = self.param_groups[index]
        per_row, names = self._per_row(group), list(names)
        buffers = {buffer for buffer, *_ in self._merged[index]}
        fresh = {name for name in names if not buffers & self._state.get(name, {}).keys()}
        for name in names:
            if name in per_row:
                tables = self._row_state.setdefault(name, {})
                for table, array in zip(group["names"], group["params"], strict=True):
                    if table not in tables:
                        tables[table] = np.array(by_rows.like(self.row_rule(group), array)[name])
            else:
                self._allocate(name, buffers)
        if fill:
            # A new buffer holds zeros: to write them would touch every row of every table.
            written = [n for n in names if n not in fresh or n in self.starts_at_w or self._start(group, n)]
            self._fill(group, index, written)

    def _fill(self, group: ParamGroup, index: int, names: Sequence[str]) -> None:
        """Set the state that a group is about to use for the first time to what it starts from."""
        for name in names:
            if name not in group.started:
                if name in self._per_row(group):
                    for parameter in group["names"]:
                        self._row_state[name][parameter][...] = self._start(group, name)
                    continue
                for parameter in group["names"]:
                    buffer, first, last, _, block = self._own_ranges[parameter]
                    w = self._layout.buffers[buffer].reshape(-1)[first:last]
                    start = self._start_at(group, name, w)
                    precision.fill(self._state[name][buffer], first, last, block, start)


def _placed(ranges: Sequence[Range], place: Mapping[int, int]) -> list[Range]:
    """Return the ranges with their buffers as this call counts them."""
    return [
        (place[buffer], start, stop, parameter, block) for buffer, start, stop, parameter, block in ranges
    ]


def _short(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown}, … ({len(names)} of them)"
