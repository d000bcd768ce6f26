"""Recurrent layers: one step after another through a sequence, with a state that goes along.

    RNN     h_t = f(W_ih·x_t + b_ih + W_hh·h_{t−1} + b_hh)                       f = tanh or ReLU
    LSTM    (i, f, g, o) = W_ih·x_t + b_ih + W_hh·h_{t−1} + b_hh                 in this order, as torch has it
            c_t = σ(f)·c_{t−1} + σ(i)·tanh(g),    h_t = σ(o)·tanh(c_t)

In the RNN each step multiplies the gradient by W_hhᵀ·f′: it vanishes or explodes with the length (G1, G3). In the
LSTM the way along c multiplies it by σ(f) alone (G4).
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np

from fourstep import _core
from fourstep._runtime import execution
from fourstep.nn import _check, functional, init
from fourstep.nn.module import Array, Module

State: TypeAlias = tuple[Array, ...]


class _Recurrent(Module):
    """Layers of cells, one above another; a subclass is one kind of cell.

    Inside, time is the first axis: x (steps, rows, in), and all hidden states h (steps + 1, rows, hidden), the initial
    one first. What a cell saves in a step and needs in backward is its own.
    """

    #: Blocks of rows in the weights: what one step computes for each hidden unit.
    _gates = 1
    #: How the arrays of the state are called.
    _states: tuple[str, ...] = ("h",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        *,
        truncate: int | None = None,
        dtype: str = "float32",
        seed: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        self.input_size = _check.size("input_size", input_size)
        self.hidden_size = _check.size("hidden_size", hidden_size)
        self.num_layers = _check.size("num_layers", num_layers)
        self.bias = _check.flag("bias", bias)
        self.batch_first = _check.flag("batch_first", batch_first)
        self.truncate = None if truncate is None else _check.size("truncate", truncate)
        self.dtype = _check.float_dtype(dtype)
        #: Gradient of the initial state, of the last backward.
        self.dstate: State | Array | None = None
        rng = init.generator(seed, rng)
        bound = 1 / self.hidden_size**0.5
        rows = self._gates * self.hidden_size
        for layer in range(self.num_layers):
            columns = self.hidden_size if layer else self.input_size
            shapes: dict[str, tuple[int, ...]] = {
                f"weight_ih_l{layer}": (rows, columns),
                f"weight_hh_l{layer}": (rows, self.hidden_size),
            }
            if bias:
                shapes |= {f"bias_ih_l{layer}": (rows,), f"bias_hh_l{layer}": (rows,)}
            for name, shape in shapes.items():
                init.uniform(self.add_parameter(name, np.empty(shape, self.dtype)), -bound, bound, rng=rng)

    @property
    def row_for_row(self) -> bool:
        """False: forward returns the state beside the output."""
        return False

    # One kind of cell.

    def _step(self, gates: Array, before: State) -> tuple[State, Any]:
        """Return the state after a step, and what its backward needs; `gates` may be overwritten."""
        raise NotImplementedError

    def _step_back(self, dstate: list[Array], saved: Any, dgates: Array) -> None:
        """Fill `dgates`, and make of the gradient of the state after a step the part of it that goes back by c alone."""
        raise NotImplementedError

    # The passes.

    def forward(self, x: Array, out: Array | None = None, *, state: Any = None) -> tuple[Array, Any]:
        """Return the output of every step, of the top layer, and the state after the last step.

        Parameters
        ----------
        x : ndarray, shape (steps, rows, input_size), or (rows, steps, input_size) with `batch_first`
        out : ndarray, optional
            Takes the output: of shape (steps, rows, hidden_size), or (rows, steps, hidden_size).
        state : optional
            Before the first step, as forward returns it: arrays of shape (num_layers, rows, hidden_size). Zeros by
            default.
        """
        self.drop(spent=False)
        x = _check.floats(self.label, "x", x, self.dtype)
        if x.ndim != 3 or x.shape[2] != self.input_size:
            axes = "rows, steps" if self.batch_first else "steps, rows"
            raise ValueError(f"{self.label}: x: got shape {x.shape}, need ({axes}, {self.input_size})")
        out = _check.output(self.label, out, (*x.shape[:2], self.hidden_size), self.dtype, x)
        below = np.ascontiguousarray(self._turned(x))
        steps, rows, _ = below.shape
        if steps == 0:
            raise ValueError(f"{self.label}: x: got shape {x.shape}: no steps")
        first = self._initial(state, rows)
        kept, last = [], []
        for layer in range(self.num_layers):
            before: State = tuple(part[layer] for part in first)
            hidden, saved, after = self._run(layer, below, before)
            kept.append((below, hidden, saved))
            last.append(after)
            below = hidden[1:]
        out[...] = self._turned(below)
        end = tuple(np.stack([after[i] for after in last]) for i in range(len(self._states)))
        self.keep((x.shape, kept, state is not None))
        return out, self._outer(end)

    def backward(self, dy: Any, out: Array | None = None) -> Array:
        """Add to the gradients of the weights, and return dx, of the shape of x.

        `dy` is the gradient of the output, or a pair (tuple or list) as forward returns it, of the output and of the last
        state; either of the two may be None, and so may be a part of the state: they count as zeros. The gradient of the
        initial state is left in `dstate`.
        """
        shape, kept, given = self.kept()
        doutput, dlast = self._pair(dy)
        rows = shape[0] if self.batch_first else shape[1]
        if doutput is None and dlast is not None:
            above = np.zeros((len(kept[0][1]) - 1, rows, self.hidden_size), self.dtype)
        else:
            doutput = _check.like(self.label, "dy", doutput, (*shape[:2], self.hidden_size), self.dtype)
            above = np.ascontiguousarray(self._turned(doutput))
        dstates = self._initial(dlast, rows, "dy[1]", gaps=True)
        reads = [doutput] if doutput is not None else []
        out = _check.output(self.label, out, shape, self.dtype, *reads)
        first: list[list[Array]] = []
        for layer in reversed(range(self.num_layers)):
            dstate = [part[layer].copy() for part in dstates]
            above = self._run_back(layer, kept[layer], above, dstate)
            first.insert(0, dstate)
        out[...] = self._turned(above)
        self.dstate = (
            self._outer(tuple(np.stack(parts) for parts in zip(*first, strict=True))) if given else None
        )
        self.drop()
        return out

    def _run(self, layer: int, x: Array, state: State) -> tuple[Array, list[Any], State]:
        """Return h before and after every step, what each step saved, and the last state."""
        weight = self.params[f"weight_hh_l{layer}"].T
        gates = x.reshape(-1, x.shape[2]) @ self.params[f"weight_ih_l{layer}"].T
        if self.bias:
            gates += self.params[f"bias_ih_l{layer}"] + self.params[f"bias_hh_l{layer}"]
        gates = gates.reshape(*x.shape[:2], gates.shape[1])
        hidden = np.empty((len(x) + 1, x.shape[1], self.hidden_size), self.dtype)
        hidden[0] = state[0]
        saved = []
        for t, gate in enumerate(gates):
            gate += hidden[t] @ weight
            state, by_step = self._step(gate, state)
            hidden[t + 1] = state[0]
            saved.append(by_step)
        return hidden, saved, state

    def _run_back(self, layer: int, kept: Any, dhidden: Array, dstate: list[Array]) -> Array:
        """Add to the gradients of a layer, and return that of its input; `dstate` becomes that of its initial state."""
        x, hidden, saved = kept
        weight = self.params[f"weight_hh_l{layer}"]
        dgates = np.empty((len(saved), hidden.shape[1], self._gates * self.hidden_size), self.dtype)
        for t in reversed(range(len(saved))):
            dstate[0] += dhidden[t]
            self._step_back(dstate, saved[t], dgates[t])
            dstate[0][...] = dgates[t] @ weight
            if self.truncate is not None and t % self.truncate == 0 and t > 0:
                for part in dstate:
                    part.fill(0)
        flat = dgates.reshape(-1, dgates.shape[2])
        self.grads[f"weight_ih_l{layer}"] += flat.T @ x.reshape(-1, x.shape[2])
        self.grads[f"weight_hh_l{layer}"] += flat.T @ hidden[:-1].reshape(-1, self.hidden_size)
        if self.bias:
            for name in ("bias_ih", "bias_hh"):
                _core.add_column_sums(flat, self.grads[f"{name}_l{layer}"], execution())
        return (flat @ self.params[f"weight_ih_l{layer}"]).reshape(x.shape)

    # Forms.

    def _pair(self, dy: Any) -> tuple[Any, Any]:
        """Return the gradients of the output and of the last state; None for a state that is None in all its parts."""
        if not isinstance(dy, tuple | list):
            return dy, None
        if len(dy) != 2:
            raise TypeError(
                f"{self.label}: dy: got {type(dy).__name__} of {len(dy)}, need the gradient of the output, or the pair "
                "(output, state)"
            )
        doutput, dlast = dy
        if isinstance(dlast, tuple | list) and all(part is None for part in dlast):
            dlast = None
        if doutput is None and dlast is None:
            raise TypeError(
                f"{self.label}: dy: got None for the output and for the state, need the gradient of at least one"
            )
        return doutput, dlast

    def _turned(self, x: Array) -> Array:
        """Return a view with time and rows in the other order, where they are in the other order outside."""
        return x.swapaxes(0, 1) if self.batch_first else x

    def _initial(self, state: Any, rows: int, name: str = "state", *, gaps: bool = False) -> State:
        """Return a state from outside as a tuple; zeros where it is None, and with `gaps` where a part of it is."""
        shape = (self.num_layers, rows, self.hidden_size)
        if state is None:
            return tuple(np.zeros(shape, self.dtype) for _ in self._states)
        parts = state if len(self._states) > 1 else (state,)
        if not isinstance(parts, tuple | list) or len(parts) != len(self._states):
            raise TypeError(
                f"{self.label}: {name}: got {type(state).__name__}, need ({', '.join(self._states)}), "
                f"each of shape {shape}"
            )
        names = [f"{name}[{i}]" for i in range(len(parts))] if len(parts) > 1 else [name]
        return tuple(
            np.zeros(shape, self.dtype)
            if gaps and part is None
            else _check.like(self.label, own, part, shape, self.dtype)
            for own, part in zip(names, parts, strict=True)
        )

    def _outer(self, state: State) -> Any:
        """Return a state as it is outside: the one array, or a tuple of them."""
        return state if len(state) > 1 else state[0]

    def _options(self) -> str:
        return ""

    def __repr__(self) -> str:
        """Return the arguments that it was made with."""
        truncate = "" if self.truncate is None else f", truncate={self.truncate}"
        return (
            f"{type(self).__name__}({self.input_size}, {self.hidden_size}, num_layers={self.num_layers}"
            f"{self._options()}, bias={self.bias}, batch_first={self.batch_first}{truncate})"
        )


class RNN(_Recurrent):
    """Elman's network: h_t = f(W_ih·x_t + b_ih + W_hh·h_{t−1} + b_hh), f = tanh or ReLU.

    Forward returns ``(output, h)``: h_t of the top layer for every step, and the last h of each layer. Backward goes
    through all steps, or through at most `truncate` of them: the sequence is cut into pieces of that length, over
    whose borders the state goes and the gradient does not. That is the same as to call forward and backward piece by
    piece, with ``state=`` what the one before returned.

    Parameters
    ----------
    input_size, hidden_size : int
        Numbers in x_t and in h_t.
    num_layers : int
        Layers, one above another.
    bias : bool
        Whether there are b_ih and b_hh.
    batch_first : bool
        Whether x and the output are (rows, steps, …) instead of (steps, rows, …). The state never is.
    nonlinearity : {"tanh", "relu"}
        f.
    truncate : int, optional
        Steps in a piece.
    dtype : {"float32", "float64"}
        Of parameters, input and output.
    seed, rng : int, numpy.random.Generator
        Where the initial values come from; see `Linear`.

    Attributes
    ----------
    params["weight_ih_l0"] : ndarray, shape (hidden_size, input_size)
    params["weight_hh_l0"] : ndarray, shape (hidden_size, hidden_size)
    params["bias_ih_l0"], params["bias_hh_l0"] : ndarray, shape (hidden_size,)
        And so on for layers 1, 2, …; uniform in ±1/√hidden_size at first.
    dstate : ndarray or None
        Gradient of the initial state of the last forward, after backward, if one was given.

    Raises
    ------
    TypeError, ValueError
        x is not a three-dimensional array of the layer's dtype and `input_size`, or has no steps; a state of another
        shape.
    RuntimeError
        Backward before forward, or twice.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> layer = nn.RNN(2, 3, batch_first=True, seed=0)
    >>> x = np.ones((5, 4, 2), np.float32)  # 5 sequences of 4 steps
    >>> output, state = layer.forward(x)
    >>> output.shape, state.shape, bool((output[:, -1] == state[0]).all())
    ((5, 4, 3), (1, 5, 3), True)
    >>> layer.backward(np.ones_like(output)).shape
    (5, 4, 2)

    Notes
    -----
    Where others differ: torch's has dropout between layers, a second direction, projections and packed sequences; its
    state is the second argument and its gradients are cut by ``detach``.

    References
    ----------
    Elman 1990, "Finding Structure in Time"; Williams and Peng 1990, on truncated back-propagation through time.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        *,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        truncate: int | None = None,
        dtype: str = "float32",
        seed: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity: got {nonlinearity!r}, need 'tanh' or 'relu'")
        self.nonlinearity = nonlinearity
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            truncate=truncate,
            dtype=dtype,
            seed=seed,
            rng=rng,
        )

    def _step(self, gates: Array, before: State) -> tuple[State, Any]:
        h = functional.tanh(gates) if self.nonlinearity == "tanh" else functional.relu(gates)
        return (h,), h

    def _step_back(self, dstate: list[Array], saved: Any, dgates: Array) -> None:
        if self.nonlinearity == "tanh":
            np.multiply(dstate[0], 1 - saved * saved, out=dgates)
        else:
            np.multiply(dstate[0], saved > 0, out=dgates)

    def _options(self) -> str:
        return f", nonlinearity={self.nonlinearity!r}"


class LSTM(_Recurrent):
    """Long short-term memory: c_t = σ(f)·c_{t−1} + σ(i)·tanh(g), h_t = σ(o)·tanh(c_t).

    The gates (i, f, g, o), in this order, are W_ih·x_t + b_ih + W_hh·h_{t−1} + b_hh. Forward returns ``(output, (h,
    c))``: h_t of the top layer for every step, and the last h and c of each layer. `truncate` is as for `RNN`.

    Parameters
    ----------
    input_size, hidden_size : int
        Numbers in x_t, and in h_t and c_t.
    num_layers : int
        Layers, one above another.
    bias : bool
        Whether there are b_ih and b_hh.
    batch_first : bool
        Whether x and the output are (rows, steps, …) instead of (steps, rows, …). The state never is.
    truncate : int, optional
        Backward goes through at most so many steps.
    dtype : {"float32", "float64"}
        Of parameters, input and output.
    seed, rng : int, numpy.random.Generator
        Where the initial values come from; see `Linear`.

    Attributes
    ----------
    params["weight_ih_l0"] : ndarray, shape (4·hidden_size, input_size)
    params["weight_hh_l0"] : ndarray, shape (4·hidden_size, hidden_size)
    params["bias_ih_l0"], params["bias_hh_l0"] : ndarray, shape (4·hidden_size,)
        And so on for layers 1, 2, …; uniform in ±1/√hidden_size at first.
    dstate : tuple of ndarray, or None
        Gradients of the initial h and c of the last forward, after backward, if they were given.

    Raises
    ------
    TypeError, ValueError
        As `RNN`.
    RuntimeError
        Backward before forward, or twice.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> layer = nn.LSTM(2, 3, seed=0, dtype="float64")
    >>> x = np.random.default_rng(0).normal(size=(6, 5, 2))  # 6 steps of 5 sequences
    >>> output, (h, c) = layer.forward(x)
    >>> output.shape, h.shape, c.shape
    ((6, 5, 3), (1, 5, 3), (1, 5, 3))
    >>> first, state = layer.forward(x[:4])
    >>> second, state = layer.forward(x[4:], state=state)  # the state carries a sequence on
    >>> bool(np.allclose(np.concatenate([first, second]), output))
    True

    Notes
    -----
    Where others differ: torch's has dropout between layers, a second direction, projections and packed sequences.
    Keras orders the gates i f g o as well, keeps one bias and starts that of f at 1.

    References
    ----------
    Hochreiter and Schmidhuber 1997, "Long Short-Term Memory"; Gers, Schmidhuber and Cummins 2000 for the gate f.
    """

    _gates = 4
    _states = ("h", "c")

    def _step(self, gates: Array, before: State) -> tuple[State, Any]:
        i, f, g, o = self._split(gates)
        for gate in (i, f, o):
            functional.sigmoid(gate, out=gate)
        functional.tanh(g, out=g)
        c = f * before[1] + i * g
        bent = functional.tanh(c)
        return (o * bent, c), (gates, before[1], bent)

    def _step_back(self, dstate: list[Array], saved: Any, dgates: Array) -> None:
        gates, c_before, bent = saved
        i, f, g, o = self._split(gates)
        di, df, dg, do = self._split(dgates)
        dh, dc = dstate
        dc += dh * o * (1 - bent * bent)
        np.multiply(dc * g, i * (1 - i), out=di)
        np.multiply(dc * c_before, f * (1 - f), out=df)
        np.multiply(dc * i, 1 - g * g, out=dg)
        np.multiply(dh * bent, o * (1 - o), out=do)
        dc *= f

    def _split(self, gates: Array) -> list[Array]:
        """Return views of the columns of i, f, g and o."""
        n = self.hidden_size
        return [gates[:, k * n : (k + 1) * n] for k in range(4)]


class LastState(Module):
    """Pass on what a recurrent layer knows after the last step: h of its top layer, (rows, hidden_size).

    In a `Sequential` it stands behind `RNN` or `LSTM`, whose pair (output, state) it takes; its backward gives such a
    pair.

    Raises
    ------
    TypeError
        x is not what a recurrent layer returns.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> model = nn.Sequential(nn.LSTM(2, 3, batch_first=True, seed=0), nn.LastState(), nn.Linear(3, 1, seed=1))
    >>> y = model.forward(np.ones((5, 4, 2), np.float32))
    >>> y.shape, model.backward(y).shape
    ((5, 1), (5, 4, 2))
    """

    @property
    def row_for_row(self) -> bool:
        """False: what goes in is a pair, and so is what comes back."""
        return False

    def forward(self, x: Any, out: Array | None = None) -> Array:
        """Return h of the top layer."""
        self.drop(spent=False)
        state = _pair(self.label, x)[1]
        parts = state if isinstance(state, tuple) else (state,)
        last = parts[0][-1]
        out = _check.output(self.label, out, last.shape, last.dtype, last)
        out[...] = last
        self.keep([(part.shape, part.dtype) for part in parts])
        return out

    def backward(self, dy: Array, out: None = None) -> tuple[None, Any]:
        """Return the pair (None, gradient of the state)."""
        kinds = self.kept()
        _no_out(self.label, out)
        shape, dtype = kinds[0]
        dy = _check.like(self.label, "dy", dy, shape[1:], dtype)
        dstate = tuple(np.zeros(*kind) for kind in kinds)
        dstate[0][-1] = dy
        self.drop()
        return None, dstate if len(dstate) > 1 else dstate[0]

    def __repr__(self) -> str:
        """Return the name."""
        return "LastState()"


class AllSteps(Module):
    """Pass on what a recurrent layer says at every step: the output of its pair (output, state).

    In a `Sequential` it stands behind `RNN` or `LSTM`, in front of the next one or of a layer for every step.

    Raises
    ------
    TypeError
        x is not what a recurrent layer returns.

    Examples
    --------
    >>> import numpy as np
    >>> from fourstep import nn
    >>> model = nn.Sequential(nn.RNN(2, 3, seed=0), nn.AllSteps(), nn.RNN(3, 1, seed=1), nn.LastState())
    >>> y = model.forward(np.ones((4, 5, 2), np.float32))
    >>> y.shape, model.backward(y).shape
    ((5, 1), (4, 5, 2))
    """

    @property
    def row_for_row(self) -> bool:
        """False: what goes in is a pair, and so is what comes back."""
        return False

    def forward(self, x: Any, out: Array | None = None) -> Array:
        """Return the output."""
        self.drop(spent=False)
        output = _pair(self.label, x)[0]
        self.keep((output.shape, output.dtype))
        if out is None:
            return output
        out = _check.output(self.label, out, output.shape, output.dtype, output)
        out[...] = output
        return out

    def backward(self, dy: Array, out: None = None) -> tuple[Array, None]:
        """Return the pair (dy, None)."""
        shape, dtype = self.kept()
        _no_out(self.label, out)
        dy = _check.like(self.label, "dy", dy, shape, dtype)
        self.drop()
        return dy, None

    def __repr__(self) -> str:
        """Return the name."""
        return "AllSteps()"


def _pair(label: str, x: Any) -> tuple[Array, Any]:
    """Return what a recurrent layer returned."""
    if not (isinstance(x, tuple) and len(x) == 2 and isinstance(x[0], np.ndarray)):
        raise TypeError(
            f"{label}: x: got {type(x).__name__}, need the pair (output, state) of a recurrent layer"
        )
    return x


def _no_out(label: str, out: Any) -> None:
    if out is not None:
        raise TypeError(
            f"{label}: out: got {type(out).__name__}, need None: what goes back is a pair, in arrays of its own"
        )
