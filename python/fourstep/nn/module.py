"""What every layer is: arrays by name, a forward and an explicit backward.

One calling convention holds for all layers::

    y  = layer.forward(x, out=None)       # saves what backward needs
    dx = layer.backward(dy, out=None)     # once for each forward; adds to layer.grads
    layer.params["weight"], layer.grads["weight"], layer.buffers["running_mean"]
    layer.zero_grad(), layer.train(), layer.eval()

A layer keeps references to arrays of the last forward pass (its input or its output) until backward has used them: do
not change them in between. ``release()`` lets go of them, and of work buffers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fourstep.state import check_state

Array: TypeAlias = NDArray[Any]


@contextmanager
def modes_kept(model: Module) -> Iterator[None]:
    """Return a context after which every layer is in training or in use as it was before."""
    modes = [(module, module.training) for _, module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


class Tensors(dict[str, Array]):
    """Arrays by name. Assigning to a name copies into its array, so that views of it (an arena's) stay valid."""

    def __setitem__(self, name: str, value: Array) -> None:
        """Copy `value` into the array called `name`; a new name gets `value` itself."""
        mine = self.get(name)
        if mine is None:
            super().__setitem__(name, value)
        elif mine is not value:
            if np.shape(value) != mine.shape:
                raise ValueError(f"{name}: got shape {np.shape(value)}, need {mine.shape}")
            mine[...] = _converted(name, np.asarray(value), mine.dtype)

    def rebind(self, name: str, array: Array) -> None:
        """Put `array` itself behind `name`."""
        super().__setitem__(name, array)


class Parameters(Tensors):
    """Arrays of the names that ``add_parameter`` made, and of no others."""

    def __setitem__(self, name: str, value: Array) -> None:
        """Copy `value` into the array called `name`, which must be there."""
        if name not in self:
            raise KeyError(
                f"no parameter is called {name!r}; there are {', '.join(self) or 'none'}. New ones need add_parameter"
            )
        super().__setitem__(name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle as a whole: item by item, each name would be new."""
        return type(self), (dict(self),)


def _converted(name: str, value: Array, dtype: np.dtype[Any]) -> Array:
    """Return `value` in `dtype`, if it loses no more than digits: no imaginary part, no fraction, no overflow."""
    allowed = "biuf" if dtype.kind == "f" else "biu"
    if value.dtype != dtype and value.dtype.kind not in allowed:
        raise TypeError(f"{name}: got dtype {value.dtype}, which {dtype} cannot hold")
    with np.errstate(over="ignore"):
        converted = value.astype(dtype)
    lost = np.isfinite(value) & ~np.isfinite(converted) if dtype.kind == "f" else converted != value
    if lost.any():
        first = tuple(int(i) for i in np.argwhere(lost)[0])
        raise ValueError(
            f"{name}: got {value[first]} at index {first} ({int(lost.sum())} such of {value.size}), "
            f"which {dtype} cannot hold"
        )
    return converted


class Module:
    """A layer, or several under names.

    A layer of one's own subclasses it, calls ``add_parameter``, and defines ``forward``, which keeps what backward needs
    (``keep``), and ``backward``, which asks for it (``kept``) and drops it at the end (``drop``). One that is made of
    others passes them on as `children`.

    Parameters
    ----------
    children : mapping of str to Module, optional
        The layers below this one.

    Attributes
    ----------
    params, grads, buffers : dict of str to ndarray
        Trained arrays, their gradients, and arrays that are state but not trained.
    children : dict of str to Module
        The layers below.
    training : bool
        Whether forward works as in training: set by ``train()`` and ``eval()``.

    Raises
    ------
    ValueError
        The same layer stands in two places, or a name is empty or holds a dot.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> class Scale(nn.Module):
    ...     def __init__(self) -> None:
    ...         super().__init__()
    ...         self.add_parameter("weight", np.ones(1))
    ...
    ...     def forward(self, x, out=None):
    ...         self.keep(x)
    ...         return np.multiply(x, self.params["weight"], out=out)
    ...
    ...     def backward(self, dy, out=None):
    ...         self.grads["weight"] += (dy * self.kept()).sum()
    ...         self.drop()
    ...         return np.multiply(dy, self.params["weight"], out=out)
    >>> nn.check_gradients(Scale(), np.array([[1.0, -2.0]]))["weight"] < 1e-8
    True
    """

    def __init__(self, children: Mapping[str, Module] | None = None) -> None:
        self.params = Parameters()
        self.grads = Parameters()
        self.buffers = Tensors()
        self.children: dict[str, Module] = dict(children or {})
        self.training = True
        self._path = ""
        self._context: Any = None
        self._spent = False
        for name, child in self.children.items():
            if not isinstance(child, Module):
                raise TypeError(
                    f"{type(self).__name__}: layer {name!r}: got {type(child).__name__}, need a Module"
                )
            if not isinstance(name, str) or not name or "." in name:
                raise ValueError(
                    f"{type(self).__name__}: got the layer name {name!r}, need one without a dot"
                )
        self._check_unique()
        self._set_path("")

    # The two passes, of each layer its own.

    def forward(self, x: Any, out: Any = None) -> Any:
        """Return the output for `x`, in `out` if it is given."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def backward(self, dy: Any, out: Any = None) -> Any:
        """Add to the gradients of the parameters, and return that of the input of the last forward, in `out` if given."""
        raise NotImplementedError(f"{type(self).__name__} does not define backward")

    @property
    def passes_through(self) -> bool:
        """Whether forward returns its input as it is, so that it needs no array to write to."""
        return False

    @property
    def row_for_row(self) -> bool:
        """Whether the output has as many rows as the input, so that its array can be kept for the next step."""
        return True

    # Arrays by name.

    def add_parameter(self, name: str, value: Array) -> Array:
        """Make `value` the parameter `name`, with a gradient of zeros; return it."""
        self.params.rebind(name, value)
        self.grads.rebind(name, np.zeros_like(value))
        return value

    def modules(self) -> Iterator[tuple[str, Module]]:
        """Yield this layer and all below it, with their dotted names (its own is empty)."""
        yield "", self
        for name, child in self.children.items():
            for below, module in child.modules():
                yield f"{name}.{below}" if below else name, module

    def _named(self, kind: str) -> dict[str, Array]:
        return {
            f"{path}.{name}" if path else name: array
            for path, module in self.modules()
            for name, array in getattr(module, kind).items()
        }

    def named_parameters(self) -> dict[str, Array]:
        """Return every parameter by its dotted name: the arrays themselves."""
        return self._named("params")

    def named_grads(self) -> dict[str, Array]:
        """Return the gradient of every parameter by the same name."""
        return self._named("grads")

    def named_buffers(self) -> dict[str, Array]:
        """Return every array that is state but not trained, by its dotted name."""
        return self._named("buffers")

    def bind(self, name: str, param_view: Array, grad_view: Array) -> None:
        """Put other arrays behind a parameter and its gradient; they take over the values.

        Parameters
        ----------
        name : str
            Dotted name of the parameter.
        param_view, grad_view : ndarray
            Of the parameter's shape and dtype, writeable.

        Raises
        ------
        KeyError
            There is no such parameter.
        ValueError, TypeError
            A view has another shape or dtype, or cannot be written.
        """
        path, _, own = name.rpartition(".")
        module = dict(self.modules()).get(path)
        if module is None or own not in module.params:
            raise KeyError(
                f"{self.label}: no parameter {name!r}; it has {', '.join(self.named_parameters()) or 'none'}"
            )
        views = {"param_view": (module.params, param_view), "grad_view": (module.grads, grad_view)}
        for argument, (arrays, view) in views.items():
            mine = arrays[own]
            if view.dtype != mine.dtype:
                raise TypeError(f"{argument} of {name!r}: got dtype {view.dtype}, need {mine.dtype}")
            if view.shape != mine.shape:
                raise ValueError(f"{argument} of {name!r}: got shape {view.shape}, need {mine.shape}")
            if not view.flags.writeable:
                raise ValueError(f"{argument} of {name!r}: got a read-only array, need a writeable one")
        for arrays, view in views.values():
            view[...] = arrays[own]
            arrays.rebind(own, view)

    # State.

    def _state(self) -> dict[str, Array]:
        return {
            f"{path}.{name}" if path else name: array
            for path, module in self.modules()
            for kind in (module.params, module.buffers)
            for name, array in kind.items()
        }

    def state_dict(self) -> dict[str, Array]:
        """Return copies of all parameters and buffers by dotted name: a snapshot, unlike torch's, which are views."""
        return {name: array.copy() for name, array in self._state().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy the arrays of `state` into the parameters and buffers of the same names.

        Raises
        ------
        StateError
            A name is missing or unknown, or a shape or dtype differs: a ValueError that lists every difference.
            Nothing was changed.
        """
        mine = self._state()
        check_state(mine, state, f"{self.label}.load_state_dict")
        for name, array in mine.items():
            array[...] = state[name]

    def sparse_parameters(self) -> list[str]:
        """Return the dotted names of tables whose gradients are kept by rows (``Embedding(sparse=True)``)."""
        return [f"{name}.{own}" for name, child in self.children.items() for own in child.sparse_parameters()]

    def take_row_grads(self) -> dict[str, tuple[Array, Array]]:
        """Return rows and their gradients by table, of all backward passes since the last time: what a step takes.

        They are handed over: the next call returns those of later passes.

        Examples
        --------
        >>> import numpy as np
        >>> import fourstep as fs
        >>> model = fs.nn.Sequential(fs.nn.Embedding(1000, 4, sparse=True, seed=0), fs.nn.Linear(4, 1, seed=0))
        >>> arena = fs.Arena(model)
        >>> groups = [{"params": model.sparse_parameters(), "sparse": True}, {"params": ...}]
        >>> optimizer = fs.optim.LazyAdam(arena, lr=0.01, groups=groups)
        >>> dx = model.backward(np.ones_like(model.forward(np.array([3, 7, 3]))))
        >>> optimizer.step(rows=model.take_row_grads())
        >>> model.take_row_grads()
        {}
        """
        return {
            f"{name}.{own}": pair
            for name, child in self.children.items()
            for own, pair in child.take_row_grads().items()
        }

    def zero_grad(self) -> None:
        """Set every gradient to zero."""
        for grad in self.grads.values():
            grad.fill(0)
        for child in self.children.values():
            child.zero_grad()

    def train(self, mode: bool = True) -> Self:
        """Work as in training from now on: batch statistics, dropout. Returns the layer."""
        for _, module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Work as in use from now on: running statistics, no dropout. Returns the layer."""
        return self.train(False)

    def release(self) -> None:
        """Let go of what the last forward pass saved, and of work buffers."""
        for _, module in self.modules():
            module._context = None
            module._spent = False
            module._release()

    def _release(self) -> None:
        """Let go of work buffers of this layer alone."""

    # What layers are made with.

    @property
    def label(self) -> str:
        """How errors call this layer: its class, and its name if it stands in another."""
        return f"{type(self).__name__} {self._path!r}" if self._path else type(self).__name__

    def _set_path(self, path: str) -> None:
        self._path = path
        for name, child in self.children.items():
            child._set_path(f"{path}.{name}" if path else name)

    def _check_unique(self) -> None:
        seen: dict[int, str] = {}
        for name, module in self.modules():
            first = seen.setdefault(id(module), name)
            if first != name:
                raise ValueError(
                    f"{type(self).__name__}: the same {type(module).__name__} stands at {first!r} and at {name!r}; "
                    "what one forward saves, the other would overwrite"
                )

    def keep(self, context: Any) -> None:
        """Keep what backward needs: at the end of forward."""
        self._context, self._spent = context, False

    def kept(self) -> Any:
        """Return what the last forward kept: at the start of backward, which is refused without a forward of its own."""
        if self._context is None:
            if self._spent:
                raise RuntimeError(f"{self.label}: backward twice: each backward needs a forward of its own")
            raise RuntimeError(f"{self.label}: backward before forward")
        return self._context

    def drop(self, *, spent: bool = True) -> None:
        """Drop what was kept: at the end of backward, or with ``spent=False`` at the start of a forward."""
        self._context, self._spent = None, spent
