"""What every optimizer shares: parameters, groups, one call of the kernels a step, state by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from fourstep._table import table
from fourstep.arena import Arena, Array
from fourstep.optim import precision
from fourstep.optim import rows as by_rows
from fourstep.optim.dialects import Dialect, Dialected
from fourstep.optim.dialects.against import Against, against
from fourstep.optim.four_steps import FourSteps, four_steps
from fourstep.optim.groups import ParamGroup, assign
from fourstep.optim.kind import Hyper as Hyper
from fourstep.optim.layout import ArenaLayout, Layout, layout_of
from fourstep.optim.options import Shared, split
from fourstep.optim.state import dump, restore
from fourstep.optim.stepper import Closure, Stepper

if TYPE_CHECKING:
    from fourstep.explain.general import Explanation
    from fourstep.explain.numbers import StepExplanation
    from fourstep.explain.steps import Formulas


class Optimizer(Stepper, metaclass=Dialected):
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
        Store state as 0 that is subnormal, and first moments below 2²⁴ times the smallest normal number, whose product
        with a learning rate is: arithmetic with subnormal numbers is slow on many CPUs.
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

    def __init__(
        self,
        params: Any,
        defaults: Hyper,
        **shared: Unpack[Shared],
    ) -> None:
        kind = type(self).__name__
        groups = shared.pop("groups", None)
        self.options, of_groups = split(kind, shared)
        layout, own_groups = layout_of(params)
        if own_groups is not None and groups is not None:
            raise TypeError("groups: got some beside those in params; need one or the other")
        specs = own_groups or ([{"params": ...}] if groups is None else groups)
        #: Updates taken; the next one asks a schedule for this step. Set it to go on from there.
        self.step_count = 0
        shared_defaults = {"decay": self._decay, "maximize": False, "clip_value": None, "clip_norm": None}
        self.defaults = {"trainable": True, "sparse": False, **shared_defaults, **defaults, **of_groups}
        self._check_options(layout)
        arrays = layout.params()
        param_groups = [
            ParamGroup(
                names,
                [arrays[name] for name in names],
                {**self.defaults, **{key: value for key, value in spec.items() if key != "params"}},
                {**self._shared_checks, **self._checks},
                self._check_group,
                lambda: self.step_count,
                self._fixed,
            )
            for spec, names in zip(specs, assign(layout.names, specs), strict=True)
        ]
        super().__init__(layout, param_groups)
        by_rows.check_groups(self)
        if isinstance(params, Arena):
            params.groups = {
                name: str(i) for i, group in enumerate(self.param_groups) for name in group["names"]
            }
            by_rows.check_layers(self, params.by_rows)
            params.sparse = frozenset(self._sparse())

    def _formulas(self, group: ParamGroup, *, ahead: bool = True) -> Formulas:
        """Return steps 2 to 4 of a group as formulas; `ahead`: as with a closure, where there are two forms."""
        from fourstep.explain.triples import of_group

        return of_group(self, group)

    def _over_array(self, group: ParamGroup, w: Array, g: Array, state: Sequence[Array]) -> dict[str, float]:
        """Return the numbers in its formulas that are of a whole parameter: g after step 1, state after step 2."""
        return {}

    def _check_options(self, layout: Layout) -> None:
        """Raise where an option and the rule, the parameters or each other do not go together."""
        kind, changed = type(self).__name__, self.options.changed()
        for name, reason in self.refused.items():
            if name in changed:
                raise ValueError(f"{name}: not for {kind}: {reason}")
        precision.check(kind, self.states, layout, self.options.state_dtype)
        stored_in_half = self.options.copy_out or self.options.state_dtype in ("bfloat16", "int8")
        if self.options.stochastic_rounding and not stored_in_half:
            raise ValueError(
                "stochastic_rounding: needs state_dtype='bfloat16' or copy_out='bfloat16' to round"
            )

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
            try:
                if callable(grads):
                    return self._step_closure(self._then(grads, rows, duplicates))
                self._tables = by_rows.tables_of(self, rows() if callable(rows) else rows, duplicates)
                self._step(self._layout.gradients(grads, self._frozen(), self._sparse()))
                return None
            finally:
                self._tables = []

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
            try:
                self._tables = by_rows.tables_of(self, {name: (rows, grads)}, duplicates)
                self._step({}, dense=False)
            finally:
                self._tables = []

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
        """Go on from a `state_dict`: with its hyper-parameters and options, as they were saved.

        A `HyperParameterWarning` names those that this optimizer was made with otherwise (a rate apart, which a
        schedule or its user moves); set them again afterwards, in `param_groups` or by attribute, where the new ones are
        meant. What fixes the shape of the state (`ema_decay`, `state_dtype`, `copy_out`, `seed`, …) has to be the same.

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
        >>> [d.field for d in fs.optim.SGD([np.ones(2)], lr=0.1).explain_against("optax").fields]
        ['clip_eps']
        """
        return against(self, dialect, gradients, steps=steps, start=start, group=group)

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

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse: a copy would step the copied parameters or the same ones, and nobody could tell which."""
        raise TypeError(
            f"{type(self).__name__}: an optimizer is not copied or pickled; "
            "make another over the parameters that it is for, and load_state_dict(state_dict())"
        )

    def __repr__(self) -> str:
        """Return a table of the groups: what each holds, and its hyper-parameters."""
        keys = list(dict.fromkeys([*self._shared_checks, *self._checks]))
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


def _short(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown}, … ({len(names)} of them)"
