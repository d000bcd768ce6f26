"""What an optimizer holds: parameters by group, their state by name, averages, copies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from fourstep.arena import Array, Views
from fourstep.optim import precision
from fourstep.optim import rows as by_rows
from fourstep.optim.groups import ParamGroup
from fourstep.optim.kind import Kind
from fourstep.optim.layout import Layout
from fourstep.optim.options import Options
from fourstep.reference.precision import to_half

#: (buffer, start, stop, parameter, first 8-bit block): a run of elements, and which parameter they are.
Range = tuple[int, int, int, int, int]


class Holdings(Kind):
    """The arrays of an optimizer, and where each parameter lies in them."""

    options: Options

    def __init__(self, layout: Layout, groups: Sequence[ParamGroup]) -> None:
        self._layout = layout
        self._groups = tuple(groups)
        places = [layout.names_in(buffer) for buffer in range(len(layout.buffers))]
        self._place = {name: place for names in places for place, name in enumerate(names)}
        self._number = {name: number for number, name in enumerate(layout.names)}
        self._own_ranges = {name: self._range_of(name) for name in layout.names}
        self._merged = [[(*where, 0, 0) for where in layout.ranges(group["names"])] for group in groups]
        #: State by name, then by buffer; a buffer of parameters that never trained has none.
        self._state: dict[str, dict[int, precision.Buffer]] = {}
        #: State that has one value for each row of a table, by name, then by table.
        self._row_state: dict[str, dict[str, Array]] = {}
        buffers = layout.buffers
        self._averages = [b.copy() for b in buffers] if self.options.ema_decay is not None else None
        self._copies = [to_half(b).reshape(b.shape) for b in buffers] if self.options.copy_out else None

    @property
    def param_groups(self) -> tuple[ParamGroup, ...]:
        """The groups, live: what is assigned to one counts from the next step. There are no more and no fewer later."""
        return self._groups

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

    def _range_of(self, name: str) -> Range:
        buffer, start, stop = self._layout.where(name)
        return buffer, start, stop, self._number[name], precision.first_block(start, self._place[name])

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
