"""Layers made of layers: one after another, and side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fourstep.nn import _check
from fourstep.nn.activations import ELU, GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Softplus, Tanh
from fourstep.nn.batch_norm import BatchNorm
from fourstep.nn.dropout import Dropout
from fourstep.nn.init import generator, he_normal, xavier_normal
from fourstep.nn.linear import Linear
from fourstep.nn.module import Array, Module


def _named(kind: str, layers: Sequence[Module | Mapping[str, Module]]) -> dict[str, Module]:
    """Return layers by name: those of one mapping, or numbered from 0."""
    first = layers[0] if len(layers) == 1 else None
    found: dict[str, Any] = (
        dict(first) if isinstance(first, Mapping) else {str(i): x for i, x in enumerate(layers)}
    )
    if not found:
        raise ValueError(f"{kind}: got no layers, need at least one")
    return found  # Module.__init__ refuses what is not a Module


def _signature(x: Any) -> Any:
    """Return all of an input's form but its number of rows."""
    if isinstance(x, np.ndarray):
        return x.shape[1:], x.dtype
    return tuple(_signature(part) for part in x) if isinstance(x, list | tuple) else type(x)


def _rows(x: Any) -> int:
    """Return the number of rows of an array, or of the first of several."""
    return len(x) if isinstance(x, np.ndarray) else _rows(x[0])


class _Work:
    """The array that a layer writes to, kept from step to step: no allocation while the rows fit."""

    def __init__(self) -> None:
        self._signature: Any = None
        self._array: Array | None = None

    def for_input(self, x: Any) -> Array | None:
        """Return an array for the output of `x`, or None where its form is not known yet."""
        if self._array is None or _signature(x) != self._signature:
            return None
        rows = _rows(x)
        if rows > len(self._array):
            self._array = np.empty((rows, *self._array.shape[1:]), self._array.dtype)
        return self._array[:rows]

    def learn(self, x: Any, y: Any) -> None:
        """Remember which form the output of `x` has. The array will be our own: y may belong to somebody."""
        if isinstance(y, np.ndarray) and y.ndim and len(y) == _rows(x):
            self._signature, self._array = _signature(x), np.empty((0, *y.shape[1:]), y.dtype)


def _shares(y: Any, x: Any) -> bool:
    """Whether an output, of one array or several, is made of the memory of an input."""
    if isinstance(y, tuple):
        return any(_shares(part, x) for part in y)
    if isinstance(x, tuple):
        return any(_shares(y, part) for part in x)
    return isinstance(y, np.ndarray) and isinstance(x, np.ndarray) and np.may_share_memory(y, x)


def _own(y: Any) -> Any:
    """Return a copy of an array, or of those of a tuple."""
    if isinstance(y, tuple):
        return tuple(_own(part) for part in y)
    return y.copy() if isinstance(y, np.ndarray) else y


class Sequential(Module):
    """Apply layers one after another; backward goes through them in reverse.

    In training, the arrays between the layers are kept and written again at the next step, so that steps with as many
    rows or fewer allocate nothing but the result. The result itself is always new, or `out`.

    Parameters
    ----------
    *layers : Module
        Named "0", "1", …; or one mapping of names to layers.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> model = nn.Sequential(nn.Linear(4, 3, bias=False, seed=0), nn.BatchNorm(3), nn.ReLU())
    >>> list(model.named_parameters())
    ['0.weight', '1.weight', '1.bias']
    >>> y = model.forward(np.eye(4, dtype=np.float32))
    >>> dx = model.backward(np.ones_like(y))
    >>> y.shape, dx.shape
    ((4, 3), (4, 4))
    >>> nn.Sequential({"first": nn.Linear(4, 3), "second": nn.ReLU()})
    Sequential(
      first: Linear(4, 3, bias=True)
      second: ReLU()
    )
    """

    def __init__(self, *layers: Module | Mapping[str, Module]) -> None:
        super().__init__(_named("Sequential", layers))
        self._release()

    @property
    def row_for_row(self) -> bool:
        """Whether every layer is."""
        return all(layer.row_for_row for layer in self.children.values())

    def forward(self, x: Any, out: Array | None = None) -> Any:
        """Return what the last layer makes of what the ones before it made of x."""
        return self._pass("forward", list(self.children.values()), self._forward_work, x, out)

    def backward(self, dy: Array, out: Any = None) -> Any:
        """Add to the gradients of every layer, and return that of the input of the last forward."""
        return self._pass("backward", list(self.children.values())[::-1], self._backward_work, dy, out)

    def _pass(self, way: str, layers: list[Module], works: list[_Work], x: Any, out: Any) -> Any:
        *most, last = layers
        ours = False  # whether x lies in an array that the next step writes again
        for layer, work in zip(most, works, strict=True):
            keep = self.training and layer.row_for_row and not layer.passes_through
            known = work.for_input(x) if keep else None
            y = getattr(layer, way)(x, out=known)
            if keep and known is None:
                work.learn(x, y)
            ours = known is not None or (ours and _shares(y, x))
            x = y
        y = getattr(last, way)(x, out=out)
        return _own(y) if ours and out is None and _shares(y, x) else y

    def _release(self) -> None:
        self._forward_work = [_Work() for _ in range(len(self.children) - 1)]
        self._backward_work = [_Work() for _ in range(len(self.children) - 1)]

    def __repr__(self) -> str:
        """Return the layers, one a line."""
        return _tree("Sequential", self.children)


class Concat(Module):
    """Apply a layer to each of several inputs, and put the outputs side by side.

    The inputs come as one sequence, ``forward((ids, numbers))``, and backward returns a tuple of their gradients, with
    None for an input that has none. Every layer makes a (rows, columns) matrix.

    Parameters
    ----------
    *layers : Module
        Named "0", "1", …; or one mapping of names to layers. `Identity` takes an input as it is.

    Raises
    ------
    ValueError
        The number of inputs is not that of the layers, or their rows differ.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> inputs = nn.Concat({"fields": nn.FieldEmbedding([5, 9], 2, seed=0), "numbers": nn.Identity()})
    >>> ids, numbers = np.array([[0, 8], [4, 3]]), np.ones((2, 3), np.float32)
    >>> y = inputs.forward((ids, numbers))
    >>> y.shape
    (2, 7)
    >>> dids, dnumbers = inputs.backward(np.ones_like(y))
    >>> dids is None, dnumbers.shape
    (True, (2, 3))
    """

    def __init__(self, *layers: Module | Mapping[str, Module]) -> None:
        super().__init__(_named("Concat", layers))
        self._forms: dict[Any, tuple[list[int], np.dtype[Any]]] = {}

    def forward(self, x: Sequence[Any], out: Array | None = None) -> Array:
        """Return the outputs side by side, of shape (rows, sum of their columns)."""
        self.drop(spent=False)
        layers = list(self.children.values())
        if not isinstance(x, list | tuple | np.ndarray):
            raise TypeError(f"{self.label}: x: got {type(x).__name__}, need a list or tuple of inputs")
        if isinstance(x, np.ndarray) or len(x) != len(layers):
            got = "one array" if isinstance(x, np.ndarray) else f"{len(x)} inputs"
            raise ValueError(f"{self.label}: x: got {got}, need {len(layers)} inputs, one for each layer")
        rows = [self._rows(f"x[{i}]", part) for i, part in enumerate(x)]
        if len(set(rows)) > 1:
            raise ValueError(f"{self.label}: x: got inputs of {rows} rows, need as many in each")
        signature = _signature(x)
        form = self._forms.get(signature)
        if form is None:
            # The first time, the outputs tell how wide they are; later ones are written where they belong.
            parts = [layer.forward(part) for layer, part in zip(layers, x, strict=True)]
            for name, part in zip(self.children, parts, strict=True):
                if not isinstance(part, np.ndarray):
                    raise TypeError(
                        f"{self.label}: layer {name!r} made {type(part).__name__}, need an array of (rows, columns)"
                    )
                if part.ndim != 2 or part.dtype != parts[0].dtype:
                    raise ValueError(
                        f"{self.label}: layer {name!r} made shape {part.shape} of {part.dtype}, "
                        f"need (rows, columns) of {parts[0].dtype}"
                    )
            form = ([part.shape[1] for part in parts], parts[0].dtype)
            out = _check.output(self.label, out, (rows[0], sum(form[0])), form[1])
            np.concatenate(parts, axis=1, out=out)
            self._forms[signature] = form
        else:
            out = _check.output(self.label, out, (rows[0], sum(form[0])), form[1])
            for layer, part, columns in zip(layers, x, _split(out, form[0]), strict=True):
                layer.forward(part, out=columns)
        self.keep((out.shape, *form))
        return out

    def _rows(self, name: str, part: Any) -> int:
        """Return the number of rows of an input, which is an array or several."""
        while isinstance(part, list | tuple) and part:
            part = part[0]
        if not isinstance(part, np.ndarray):
            raise TypeError(f"{self.label}: {name}: got {type(part).__name__}, need a NumPy array")
        if not part.ndim:
            raise ValueError(f"{self.label}: {name}: got an array without dimensions, need rows")
        return len(part)

    def backward(self, dy: Array, out: Any = None) -> tuple[Any, ...]:
        """Return the gradient of each input; `out` is None, or a sequence with an array or None for each."""
        shape, widths, dtype = self.kept()
        dy = _check.like(self.label, "dy", dy, shape, dtype)
        outs = [None] * len(widths) if out is None else list(out)
        layers = self.children.values()
        if len(outs) != len(layers):
            raise ValueError(
                f"{self.label}: out: got {len(outs)} arrays, need {len(layers)}, one for each layer"
            )
        parts = zip(layers, _split(dy, widths), outs, strict=True)
        dx = tuple(layer.backward(part, out=out) for layer, part, out in parts)
        self.drop()
        return dx

    def __repr__(self) -> str:
        """Return the layers, one a line."""
        return _tree("Concat", self.children)


class Identity(Module):
    """Return the input as it is: a place in `Concat` for numbers that need no layer.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> nn.Identity().forward(np.arange(3.0)).tolist()
    [0.0, 1.0, 2.0]
    """

    @property
    def passes_through(self) -> bool:
        """True."""
        return True

    def forward(self, x: Array, out: Array | None = None) -> Array:
        """Return x itself, or `out` with its values."""
        self.drop(spent=False)
        x = _check.floats(self.label, "x", x)
        self.keep((x.shape, x.dtype))
        return self._passed_on(x, out)

    def backward(self, dy: Array, out: Array | None = None) -> Array:
        """Return dy itself, or `out` with its values."""
        shape, dtype = self.kept()
        dx = self._passed_on(_check.like(self.label, "dy", dy, shape, dtype), out)
        self.drop()
        return dx

    def _passed_on(self, x: Array, out: Array | None) -> Array:
        return x if out is None else _check.passed_on(self.label, x, x.shape, out)

    def __repr__(self) -> str:
        """Return the name."""
        return "Identity()"


_ACTIVATIONS: dict[str, Callable[[], Module]] = {
    "relu": ReLU,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "leaky_relu": LeakyReLU,
    "elu": ELU,
    "gelu": GELU,
    "gelu_tanh": lambda: GELU(approximate="tanh"),
    "silu": SiLU,
    "softplus": Softplus,
}


def block(
    in_features: int,
    out_features: int,
    *,
    activation: str = "relu",
    batch_norm: bool = True,
    dropout: float = 0.0,
    dtype: str = "float32",
    seed: int | None = None,
    rng: np.random.Generator | None = None,
) -> Sequential:
    """Return Linear → BatchNorm → activation → Dropout, in the order of the notes (A4).

    The Linear has no bias in front of a BatchNorm, which takes it away again. Weights are Xavier-normal
    for sigmoid and tanh, and He-normal for ReLU and its kin.

    Parameters
    ----------
    in_features, out_features : int
        Columns of the input and of the output.
    activation : {"relu", "sigmoid", "tanh", "leaky_relu", "elu", "gelu", "gelu_tanh", "silu", "softplus"}
        What comes after the normalisation.
    batch_norm : bool
        Whether to normalise.
    dropout : float
        The share to zero; 0 leaves the layer out.
    dtype : {"float32", "float64"}
        Of all parameters.
    seed, rng : int, numpy.random.Generator
        Where the initial values and the masks come from.

    Examples
    --------
    >>> from fourstep import nn
    >>> nn.block(8, 4, dropout=0.1, seed=0).children.keys()
    dict_keys(['linear', 'norm', 'activation', 'dropout'])
    """
    if activation not in _ACTIVATIONS:
        raise ValueError(f"activation: got {activation!r}, need one of {', '.join(_ACTIVATIONS)}")
    rng = generator(seed, rng)
    linear = Linear(in_features, out_features, bias=not batch_norm, dtype=dtype, rng=rng)
    weight = linear.params["weight"]
    if activation in ("sigmoid", "tanh"):
        xavier_normal(weight, rng=rng)
    else:
        he_normal(weight, rng=rng)
    layers: dict[str, Module] = {"linear": linear}
    if batch_norm:
        layers["norm"] = BatchNorm(out_features, dtype=dtype)
    layers["activation"] = _ACTIVATIONS[activation]()
    if dropout:
        layers["dropout"] = Dropout(dropout, rng=rng)
    return Sequential(layers)


def _split(x: Array, widths: Iterable[int]) -> list[Array]:
    """Return views of the columns of x, in runs of these widths."""
    ends = np.cumsum(list(widths)).tolist()
    return [x[:, end - width : end] for end, width in zip(ends, widths, strict=True)]


def _tree(name: str, children: Mapping[str, Module]) -> str:
    lines = [f"{key}: {child!r}".replace("\n", "\n  ") for key, child in children.items()]
    return f"{name}(\n  " + "\n  ".join(lines) + "\n)"
